from __future__ import annotations

import json
import shutil

import pytest

from heterodft.errors import QueueError
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.chains import build_chain
from heterodft.workflows.configurations import expand
from heterodft.workflows.queue.launchpad import open_launchpad
from heterodft.workflows.queue.reconciliation import reconcile, requeue
from heterodft.workflows.queue.submission import submit
from heterodft.workflows.queue.summary import count_states, failure_reason, read_queue
from heterodft.workflows.settings import load_settings


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return load_settings()


def chains(path):
    campaign = load_campaign(path)
    return [build_chain(campaign, configuration) for configuration in expand(campaign)]


def states(settings):
    return {entry.path: entry.state for entry in read_queue(settings)}


def set_state(settings, path, state):
    open_launchpad(settings).fireworks.update_one({"name": path}, {"$set": {"state": state}})


def finish(settings, request):
    folder = settings.runs / request.path
    (folder / "result.json").write_text(json.dumps({"id": request.id}))
    set_state(settings, request.path, "COMPLETED")


def test_a_chain_waits_for_its_first_step(settings, tiny_file):
    report = submit(chains(tiny_file), settings)
    assert len(report.queued) == 4
    assert states(settings) == {
        "tiny/bulk/NM/Ti-3d-4eV/static": "ready",
        "tiny/bulk/NM/Ti-3d-4eV/dos": "waiting",
        "tiny/bulk/FM/Ti-3d-4eV/static": "ready",
        "tiny/bulk/FM/Ti-3d-4eV/dos": "waiting",
    }


def test_a_second_submission_queues_nothing(settings, tiny_file):
    submit(chains(tiny_file), settings)
    again = submit(chains(tiny_file), settings)
    assert (again.queued, len(again.waiting)) == ([], 4)
    assert len(read_queue(settings)) == 4


def test_a_finished_result_is_not_queued_even_without_its_queue(settings, tiny_file):
    submit(chains(tiny_file), settings)
    first = chains(tiny_file)[0]
    finish(settings, first[0])
    settings.queue_file.unlink()
    report = submit(chains(tiny_file), settings)
    assert report.done == [first[0].path]
    assert first[0].path not in states(settings)
    assert states(settings)[first[1].path] == "ready"


def test_a_result_that_was_deleted_is_queued_again(settings, tiny_file):
    submit(chains(tiny_file), settings)
    first = chains(tiny_file)[0]
    finish(settings, first[0])
    shutil.rmtree(settings.runs / first[0].path)
    report = submit(chains(tiny_file), settings)
    assert report.queued == [first[0].path]
    assert states(settings)[first[0].path] == "ready"


def test_a_new_step_waits_for_the_one_that_is_queued(settings, tiny_file):
    text = tiny_file.read_text()
    tiny_file.write_text(text.replace("steps: [static, {dos: {kspacing: 0.9}}]", "steps: [static]"))
    submit(chains(tiny_file), settings)
    tiny_file.write_text(text)
    report = submit(chains(tiny_file), settings)
    assert [path.rsplit("/", 1)[1] for path in report.queued] == ["dos", "dos"]
    assert states(settings)["tiny/bulk/FM/Ti-3d-4eV/dos"] == "waiting"


def test_changed_settings_move_the_old_calculation_aside_and_back(settings, tiny_file):
    submit(chains(tiny_file), settings)
    old = chains(tiny_file)[0][0]
    finish(settings, old)
    text = tiny_file.read_text()
    tiny_file.write_text(text.replace("20 Ry", "22 Ry"))
    changed = submit(chains(tiny_file), settings)
    aside = settings.runs / f"{old.path}-{old.id}"
    assert len(changed.queued) == 4
    assert (aside / "result.json").is_file()
    tiny_file.write_text(text)
    back = submit(chains(tiny_file), settings)
    assert back.done == [old.path]
    assert (settings.runs / old.path / "result.json").is_file()


def test_a_running_calculation_is_not_moved_aside(settings, tiny_file):
    submit(chains(tiny_file), settings)
    set_state(settings, chains(tiny_file)[0][0].path, "RUNNING")
    tiny_file.write_text(tiny_file.read_text().replace("20 Ry", "22 Ry"))
    with pytest.raises(QueueError, match="is running with other settings"):
        submit(chains(tiny_file), settings)


def test_the_same_calculation_in_another_campaign_is_shared(settings, tiny_file):
    submit(chains(tiny_file), settings)
    tiny_file.write_text(tiny_file.read_text().replace("name: tiny", "name: twin"))
    report = submit(chains(tiny_file), settings)
    assert (report.queued, len(report.shared)) == ([], 4)
    link = settings.runs / "twin/bulk/FM/Ti-3d-4eV/static"
    assert link.resolve() == (settings.runs / "tiny/bulk/FM/Ti-3d-4eV/static").resolve()


def test_a_failed_calculation_blocks_the_next_step_until_it_is_retried(settings, tiny_file):
    submit(chains(tiny_file), settings)
    path = "tiny/bulk/FM/Ti-3d-4eV/static"
    set_state(settings, path, "FIZZLED")
    (settings.runs / path / "failure.json").write_text('{"reason": "no luck", "interrupted": false}')
    assert states(settings)["tiny/bulk/FM/Ti-3d-4eV/dos"] == "blocked"
    assert failure_reason(settings.runs / path) == "no luck"
    assert submit(chains(tiny_file), settings).failed == [path]
    assert reconcile(open_launchpad(settings)) == []
    launchpad = open_launchpad(settings)
    assert requeue(launchpad, [launchpad.fireworks.find_one({"name": path})["fw_id"]]) == [path]
    assert count_states(read_queue(settings)) == {"waiting": 2, "ready": 2}


def test_an_interrupted_calculation_is_put_back_by_itself(settings, tiny_file):
    submit(chains(tiny_file), settings)
    path = "tiny/bulk/FM/Ti-3d-4eV/static"
    set_state(settings, path, "FIZZLED")
    (settings.runs / path / "failure.json").write_text('{"reason": "stopped", "interrupted": true}')
    assert reconcile(open_launchpad(settings)) == [path]
    assert states(settings)[path] == "ready"


def test_an_empty_queue_reads_as_nothing(settings):
    assert read_queue(settings) == []


def test_a_damaged_queue_says_what_to_do(settings):
    settings.runs.mkdir()
    settings.queue_file.write_text("no database at all, but long enough to be opened as one" * 30)
    with pytest.raises(QueueError, match=r"cannot read the queue .*delete it and submit again"):
        read_queue(settings)
    with pytest.raises(QueueError, match="cannot use the queue"):
        open_launchpad(settings)


def test_a_queue_in_a_folder_that_is_a_file_is_refused(tmp_path, settings, tiny_file):
    (tmp_path / "runs").write_text("in the way")
    with pytest.raises(OSError, match=r"cannot write .*runs"):
        submit(chains(tiny_file), settings)
