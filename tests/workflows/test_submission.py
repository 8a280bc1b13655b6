from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from fireworks import FWorker

from heterodft.errors import QueueError
from heterodft.workflows.calculation import finished_id, read_request, write_request
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.chains import build_chain
from heterodft.workflows.configurations import expand
from heterodft.workflows.queue.identity import worker_name
from heterodft.workflows.queue.launchpad import open_launchpad
from heterodft.workflows.queue.reconciliation import reconcile, requeue
from heterodft.workflows.queue.submission import submit
from heterodft.workflows.queue.summary import count_states, failure_reason, read_queue
from heterodft.workflows.settings_file import load_settings


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
    (folder / "result.npz").write_bytes(b"")
    if request.step == "static":
        (folder / "pwscf.save").mkdir()
        (folder / "pwscf.save" / "charge-density.dat").write_bytes(b"")
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
    assert [e.path for e in read_queue(settings)].count(old.path) == 1, "status shows what is asked for now"
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


def test_a_shared_calculation_is_still_found_after_the_other_campaign_was_edited(settings, tiny_file):
    submit(chains(tiny_file), settings)
    first = chains(tiny_file)[0][0]
    finish(settings, first)
    submit(chains(twin(tiny_file)), settings)
    link = settings.runs / chains(twin(tiny_file))[0][0].path
    text = tiny_file.read_text()
    tiny_file.write_text(text.replace("20 Ry", "22 Ry"))
    submit(chains(tiny_file), settings)
    assert (read_request(link).id, finished_id(link)) == (first.id, first.id)
    tiny_file.write_text(text)
    submit(chains(tiny_file), settings)
    assert finished_id(link) == first.id
    assert link.resolve() == (settings.runs / first.path).resolve()


def test_a_failed_calculation_blocks_the_next_step_until_it_is_retried(settings, tiny_file):
    submit(chains(tiny_file), settings)
    path = "tiny/bulk/FM/Ti-3d-4eV/static"
    set_state(settings, path, "FIZZLED")
    (settings.runs / path / "failure.json").write_text('{"reason": "no luck", "interrupted": false}')
    assert states(settings)["tiny/bulk/FM/Ti-3d-4eV/dos"] == "blocked"
    assert failure_reason(settings.runs / path) == "no luck"
    assert submit(chains(tiny_file), settings).failed == [path]
    assert reconcile(open_launchpad(settings), settings) == []
    launchpad = open_launchpad(settings)
    assert requeue(launchpad, [launchpad.fireworks.find_one({"name": path})["fw_id"]], "FIZZLED") == [path]
    assert count_states(read_queue(settings)) == {"waiting": 2, "ready": 2}


def test_an_interrupted_calculation_is_put_back_by_itself(settings, tiny_file):
    submit(chains(tiny_file), settings)
    path = "tiny/bulk/FM/Ti-3d-4eV/static"
    set_state(settings, path, "FIZZLED")
    (settings.runs / path / "failure.json").write_text('{"reason": "stopped", "interrupted": true}')
    assert reconcile(open_launchpad(settings), settings) == [path]
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


def twin(tiny_file):
    """The same campaign under another name."""
    path = tiny_file.with_name("twin.yaml")
    path.write_text(tiny_file.read_text().replace("name: tiny", "name: twin"))
    return path


def test_a_shared_calculation_is_taken_over_when_the_other_campaign_gives_it_up(settings, tiny_file):
    other = twin(tiny_file)
    submit(chains(tiny_file), settings)
    submit(chains(other), settings)
    shared = [request for chain in chains(other) for request in chain]
    tiny_file.write_text(tiny_file.read_text().replace("20 Ry", "22 Ry"))
    submit(chains(tiny_file), settings)
    report = submit(chains(other), settings)
    assert (report.queued, report.shared) == ([request.path for request in shared], [])
    for request in shared:
        folder = settings.runs / request.path
        assert not folder.is_symlink()
        assert read_request(folder).id == request.id
    mine = {path: state for path, state in states(settings).items() if path.startswith("twin/")}
    assert sorted(mine.values()) == ["ready", "ready", "waiting", "waiting"]
    fw = open_launchpad(settings).fireworks.find_one({"name": shared[0].path})
    assert fw["spec"]["folder"] == shared[0].path


def test_a_shared_calculation_that_is_finished_follows_its_folder(settings, tiny_file):
    other = twin(tiny_file)
    submit(chains(tiny_file), settings)
    finish(settings, chains(tiny_file)[0][0])
    submit(chains(other), settings)
    tiny_file.write_text(tiny_file.read_text().replace("20 Ry", "22 Ry"))
    submit(chains(tiny_file), settings)
    shared = chains(other)[0][0]
    assert submit(chains(other), settings).shared == [shared.path]
    assert finished_id(settings.runs / shared.path) == shared.id
    assert states(settings)[chains(other)[0][1].path] in ("waiting", "ready")


def test_an_archived_calculation_is_queued_again(settings, tiny_file):
    submit(chains(tiny_file), settings)
    request = chains(tiny_file)[0][0]
    launchpad = open_launchpad(settings)
    launchpad.archive_wf(launchpad.fireworks.find_one({"name": request.path})["fw_id"])
    assert submit(chains(tiny_file), settings).queued == [r.path for r in chains(tiny_file)[0]]
    assert states(settings)[request.path] == "ready"


def test_what_the_file_no_longer_asks_for_is_told(settings, tiny_file):
    text = tiny_file.read_text()
    submit(chains(tiny_file), settings)
    finish(settings, chains(tiny_file)[1][0])
    tiny_file.write_text(text.replace("orders: [NM, FM]", "orders: [NM]"))
    report = submit(chains(tiny_file), settings)
    gone = ["tiny/bulk/FM/Ti-3d-4eV/dos", "tiny/bulk/FM/Ti-3d-4eV/static"]
    assert report.orphaned == gone
    settings.queue_file.unlink()
    assert submit(chains(tiny_file), settings).orphaned == gone[1:]  # its result is still there
    tiny_file.write_text(text)
    assert submit(chains(tiny_file), settings).orphaned == []


def test_what_was_moved_aside_cancelled_or_of_another_campaign_is_no_orphan(settings, tiny_file):
    submit(chains(twin(tiny_file)), settings)
    submit(chains(tiny_file), settings)
    finish(settings, chains(twin(tiny_file))[0][0])
    text = tiny_file.read_text()
    tiny_file.write_text(text.replace("20 Ry", "22 Ry"))
    submit(chains(tiny_file), settings)
    finish(settings, chains(tiny_file)[1][0])
    tiny_file.write_text(text.replace("20 Ry", "24 Ry"))
    report = submit(chains(tiny_file), settings)
    assert report.replaced
    assert report.orphaned == []


SUBMIT = """
import sys, time
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from test_submission import chains
from heterodft.workflows.queue.submission import submit
from heterodft.workflows.settings_file import load_settings
asked = chains(Path(sys.argv[1]))
while time.time() < float(sys.argv[3]):
    pass
print(len(submit(asked, load_settings()).queued))
"""


def test_of_submissions_at_the_same_moment_one_queues(settings, tiny_file):
    orders = "orders: [FM], moments"
    tiny_file.write_text(
        tiny_file.read_text().replace("orders: [NM, FM], moments", orders).replace("4.0", "[1, 2, 3]")
    )
    command = [sys.executable, "-c", SUBMIT, str(tiny_file), str(Path(__file__).parent), str(time.time() + 4)]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    counts = sorted(int(worker.communicate(timeout=120)[0]) for worker in workers)
    assert counts == [0, 0, 6]
    assert count_states(read_queue(settings)) == {"waiting": 3, "ready": 3}
    assert open_launchpad(settings).workflows.count_documents({}) == 3


def test_a_submission_to_a_server_waits_for_its_turn(server, tiny_file):
    launchpad = open_launchpad(server)
    turns = launchpad.db["heterodft_turns"]
    host = worker_name().split(":")[0]
    turns.insert_one({"_id": "submission", "by": f"{host}:999999:1.00", "since": time.time()})  # died
    assert len(submit(chains(tiny_file), server).queued) == 4
    assert turns.find_one() is None


def test_a_request_is_written_whole_as_it_is_hashed(settings, tiny_file):
    submit(chains(tiny_file), settings)
    request = chains(tiny_file)[0][0]
    text = (settings.runs / request.path / "request.json").read_text()
    data = json.loads(text)
    assert data["id"] == request.id
    assert data["request"] == json.loads(json.dumps(request.identity()))
    assert data["about"] == json.loads(json.dumps(request.about))


def test_changing_one_campaign_leaves_the_calculations_of_the_other_alone(settings, tiny_file):
    other = twin(tiny_file)
    submit(chains(tiny_file), settings)
    submit(chains(other), settings)
    other.write_text(other.read_text().replace("20 Ry", "22 Ry"))
    assert len(submit(chains(other), settings).queued) == 4
    mine = {path: state for path, state in states(settings).items() if path.startswith("tiny/")}
    assert sorted(mine.values()) == ["ready", "ready", "waiting", "waiting"]


def test_a_step_waits_for_a_parent_that_another_configuration_of_the_campaign_brings(settings, tiny_file):
    stack = "{stack: [{material: SrTiO3, layers: 1}]"
    text = tiny_file.read_text().replace("orders: [NM, FM]", "orders: [FM]")
    other = f"  other: {stack}, steps: [static, {{dos: {{dos_energy_step: 0.05 eV}}}}]}}\nmagnetism:"
    tiny_file.write_text(text.replace("magnetism:", other, 1))
    submit(chains(tiny_file), settings)
    assert states(settings)["tiny/other/FM/Ti-3d-4eV/dos"] == "waiting"


def test_a_refused_submission_moves_nothing(settings, tiny_file):
    submit(chains(tiny_file), settings)
    first, last = chains(tiny_file)[0][0], chains(tiny_file)[1][0]
    finish(settings, first)
    set_state(settings, last.path, "RUNNING")
    tiny_file.write_text(tiny_file.read_text().replace("20 Ry", "22 Ry"))
    with pytest.raises(QueueError, match="is running with other settings"):
        submit(chains(tiny_file), settings)
    assert read_request(settings.runs / first.path).id == first.id


def test_an_entry_that_a_killed_submission_left_for_the_same_folder_is_taken_out(settings, tiny_file):
    submit(chains(tiny_file), settings)
    old = chains(tiny_file)[0][0]
    tiny_file.write_text(tiny_file.read_text().replace("20 Ry", "22 Ry"))
    new = chains(tiny_file)[0][0]
    write_request(new, settings.runs / new.path)  # as far as it came
    submit(chains(tiny_file), settings)
    found = {e.identity: e.state for e in read_queue(settings)}
    assert found[new.id] == "ready"
    assert old.id not in found


def test_a_project_that_is_moved_or_copied_keeps_its_queue(settings, tiny_file, tmp_path):
    submit(chains(tiny_file), settings)
    shutil.move(tmp_path / "runs", tmp_path / "elsewhere")
    moved = load_settings(runs=tmp_path / "elsewhere", host=f"sqlite://{tmp_path}/elsewhere/queue.sqlite")
    assert all(entry.folder.is_relative_to(tmp_path / "elsewhere") for entry in read_queue(moved))
    assert len(submit(chains(tiny_file), moved).waiting) == 4


def test_a_calculation_that_meanwhile_runs_is_not_put_back(settings, tiny_file):
    submit(chains(tiny_file), settings)
    path = chains(tiny_file)[0][0].path
    set_state(settings, path, "RUNNING")
    launchpad = open_launchpad(settings)
    fw_id = launchpad.fireworks.find_one({"name": path})["fw_id"]
    assert requeue(launchpad, [fw_id], "FIZZLED") == []
    assert states(settings)[path] == "running"


def test_what_replaced_a_cancelled_calculation_is_not_blocked_by_it(settings, tiny_file):
    submit(chains(tiny_file), settings)
    tiny_file.write_text(tiny_file.read_text().replace("20 Ry", "22 Ry"))
    submit(chains(tiny_file), settings)
    assert sorted(states(settings).values()) == ["ready", "ready", "waiting", "waiting"]
    assert len(read_queue(settings)) == 4


def test_a_static_step_without_its_density_runs_again_when_a_later_step_needs_it(settings, tiny_file):
    submit(chains(tiny_file), settings)
    first = chains(tiny_file)[0][0]
    finish(settings, first)
    shutil.rmtree(settings.runs / first.path / "pwscf.save")
    assert submit(chains(tiny_file), settings).queued == [first.path]


def test_the_command_of_a_campaign_goes_with_its_calculations(settings, tiny_file):
    submit(chains(tiny_file), settings, command="srun pw.x")
    found = open_launchpad(settings).fireworks.find({}, {"spec": 1})
    assert {fw["spec"]["command"] for fw in found} == {"srun pw.x"}


@pytest.fixture
def server(settings, wire):
    """The same on a server, which has no transactions."""
    return replace(settings, host=wire.address)


def test_on_a_server_calculations_are_queued_once_with_absolute_folders(server, tiny_file):
    assert len(submit(chains(tiny_file), server).queued) == 4
    again = submit(chains(tiny_file), server)
    assert (again.queued, len(again.waiting)) == ([], 4)
    launchpad = open_launchpad(server)
    found = list(launchpad.fireworks.find())
    assert {fw["spec"]["folder"] for fw in found} == {str(server.runs / r.path) for c in chains(tiny_file) for r in c}
    assert sorted(fw["state"] for fw in found) == ["READY", "READY", "WAITING", "WAITING"]


def test_on_a_server_what_a_dead_worker_left_is_put_back(server, tiny_file):
    submit(chains(tiny_file), server)
    launchpad = open_launchpad(server)
    host = worker_name().split(":")[0]
    launchpad.checkout_fw(FWorker(f"{host}:999999:1.00"), ".")
    assert len(reconcile(launchpad, server)) == 1
    assert launchpad.fireworks.count_documents({"state": "RUNNING"}) == 0


def test_a_server_that_does_not_answer_is_told_without_its_password(settings, tiny_file, monkeypatch):
    away = replace(settings, host="mongodb://me:secret@127.0.0.1:1/?serverSelectionTimeoutMS=200")
    for use in (lambda: submit(chains(tiny_file), away), lambda: read_queue(away)):
        with pytest.raises(QueueError, match="check launchpad: host:") as caught:
            use()
        assert "secret" not in str(caught.value)
        assert "\n" not in str(caught.value)
