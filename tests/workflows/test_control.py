"""Cancel, pause, resume and retry on the embedded queue, and what status then reads."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace

import pytest
from fireworks import Firework, FWAction, FWorker, ScriptTask

from heterodft.errors import CancelledCalculation, QueueError
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.chains import build_chain
from heterodft.workflows.configurations import expand
from heterodft.workflows.control_files import CANCEL_FILE
from heterodft.workflows.queue.control import cancel, pause, resume, retry
from heterodft.workflows.queue.identity import worker_name
from heterodft.workflows.queue.launchpad import open_launchpad
from heterodft.workflows.queue.reconciliation import reconcile
from heterodft.workflows.queue.running import read_running
from heterodft.workflows.queue.selection import select
from heterodft.workflows.queue.submission import submit
from heterodft.workflows.queue.summary import failure_reason, read_queue
from heterodft.workflows.runner import run_calculation
from heterodft.workflows.settings_file import load_settings

FM = "tiny/bulk/FM/Ti-3d-4eV"
NM = "tiny/bulk/NM/Ti-3d-4eV"


@pytest.fixture
def chains(tiny_file):
    campaign = load_campaign(tiny_file)
    return [build_chain(campaign, configuration) for configuration in expand(campaign)]


@pytest.fixture
def settings(tmp_path, monkeypatch, chains):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    settings = load_settings()
    submit(chains, settings)
    return settings


def states(settings):
    return {entry.path: entry.state for entry in read_queue(settings)}


def ids(settings, *words):
    return [entry.identity for entry in select(read_queue(settings), words)]


def start(settings, name=None):
    """Check the next calculation out, as a worker does; return its number, its launch and its path."""
    launchpad = open_launchpad(settings)
    fw, launch = launchpad.checkout_fw(FWorker(name or worker_name()), os.fspath(settings.runs))
    return launchpad, launch, fw.name


def test_a_cancelled_step_takes_what_starts_from_it_along_and_leaves_the_others(settings):
    done = cancel(settings, ids(settings, f"{FM}/static"))
    assert sorted(done.waiting) == [f"{FM}/dos", f"{FM}/static"]
    assert states(settings) == {
        f"{FM}/static": "cancelled",
        f"{FM}/dos": "cancelled",
        f"{NM}/static": "ready",
        f"{NM}/dos": "waiting",
    }
    assert (settings.runs / FM / "static" / "request.json").is_file()


def test_cancelled_ones_come_back_in_their_order(settings):
    cancel(settings, ids(settings, FM))
    assert retry(settings, ids(settings, FM)) == []
    assert sorted(retry(settings, ids(settings, FM), cancelled=True)) == [f"{FM}/dos", f"{FM}/static"]
    assert states(settings)[f"{FM}/static"] == "ready"
    assert states(settings)[f"{FM}/dos"] == "waiting"


def test_a_step_put_back_alone_is_blocked_by_its_cancelled_parent(settings):
    cancel(settings, ids(settings, FM))
    retry(settings, ids(settings, f"{FM}/dos"), cancelled=True)
    entry = {entry.path: entry for entry in read_queue(settings)}[f"{FM}/dos"]
    assert (entry.state, entry.blocked_by) == ("blocked", f"{FM}/static")


@pytest.mark.parametrize("end", ["COMPLETED", "FIZZLED"])
def test_a_running_one_is_told_and_what_its_worker_reports_does_not_bring_it_back(settings, end):
    launchpad, launch, path = start(settings)
    done = cancel(settings, ids(settings, path))
    assert done.running == [path]
    assert (settings.runs / path / CANCEL_FILE).is_file()
    assert states(settings)[path] == "cancelled"
    launchpad.complete_launch(launch, FWAction(), end)
    reconcile(launchpad, settings)
    assert states(settings)[path] == "cancelled"
    assert launchpad.checkout_fw(FWorker("other"), ".")[0].name != path


def test_a_cancelled_one_says_what_was_in_vain_until_then(settings):
    folder = settings.runs / FM / "static"
    vain = {"errors": ["the SCF cycle oscillates"], "actions": [{"dict": "pw.in", "action": {"_set": {}}}]}
    (folder / "custodian.json").write_text(json.dumps([{"job": {"file": "pw.in"}, "corrections": [vain] * 3}]))
    (folder / CANCEL_FILE).touch()
    with pytest.raises(CancelledCalculation):
        run_calculation(folder, ids(settings, f"{FM}/static")[0], settings)
    reason = failure_reason(folder)
    assert reason.endswith("goes on with it (corrected 3 times until then: the SCF cycle oscillates)")


def test_a_cancelled_one_that_ended_first_is_done_when_it_is_put_back(settings):
    launchpad, launch, path = start(settings)
    identity = ids(settings, path)[0]
    cancel(settings, [identity])
    (settings.runs / path / "result.json").write_text(json.dumps({"id": identity}))
    (settings.runs / path / "result.npz").write_bytes(b"")
    launchpad.complete_launch(launch, FWAction(), "COMPLETED")
    retry(settings, [identity], cancelled=True)
    assert states(settings)[path] == "done"
    assert not (settings.runs / path / CANCEL_FILE).exists()


def test_a_cancelled_one_that_was_stopped_runs_again_when_it_is_put_back(settings):
    launchpad, launch, path = start(settings)
    cancel(settings, ids(settings, path))
    launchpad.complete_launch(launch, FWAction(), "FIZZLED")
    retry(settings, ids(settings, path), cancelled=True)
    assert states(settings)[path] == "ready"
    assert states(settings)[path.replace("static", "dos")] == "waiting"


def test_one_put_back_before_its_worker_heard_of_it_goes_on_there_and_is_not_started_twice(settings):
    launchpad, launch, path = start(settings)
    cancel(settings, ids(settings, path))
    retry(settings, ids(settings, path), cancelled=True)
    assert states(settings)[path] == "running"
    launchpad.complete_launch(launch, FWAction(), "COMPLETED")
    assert states(settings)[path] == "done"
    assert states(settings)[path.replace("static", "dos")] == "ready"


@pytest.mark.parametrize("change", [pause, cancel])
def test_what_is_paused_or_cancelled_stays_so_when_its_parent_is_put_back(settings, change):
    host, pid, _ = worker_name().split(":")
    _, _, path = start(settings, f"{host}:{pid}:1.00")  # a worker that is no longer there
    child = path.replace("static", "dos")
    change(settings, ids(settings, child))
    before = states(settings)[child]
    assert reconcile(open_launchpad(settings), settings) == [path]
    assert (states(settings)[path], states(settings)[child]) == ("ready", before)
    assert before in ("paused", "cancelled")


def test_a_new_submission_puts_cancelled_ones_back_and_takes_back_the_word_to_stop(settings, chains):
    launchpad, launch, path = start(settings)
    cancel(settings, ids(settings, "tiny"))
    launchpad.complete_launch(launch, FWAction(), "FIZZLED")
    submit(chains, settings)
    assert sorted(states(settings).values()) == ["ready", "ready", "waiting", "waiting"]
    assert not (settings.runs / path / CANCEL_FILE).exists()


def test_finished_and_failed_ones_are_not_cancelled(settings):
    launchpad, launch, path = start(settings)
    launchpad.complete_launch(launch, FWAction(), "FIZZLED")
    done = cancel(settings, ids(settings, path))
    assert (done.waiting, done.running) == ([], [])
    assert states(settings)[path] == "failed"


def test_a_reserved_one_is_cancelled_with_its_batch_job_and_may_come_back(settings):
    launchpad = open_launchpad(settings)
    fw, launch = launchpad.reserve_fw(FWorker("cluster"), ".")
    launchpad.set_reservation_id(launch, "slurm.4711")
    identity = fw.spec["calculation"]
    assert read_running(settings)[identity].text == "given to job slurm.4711"
    done = cancel(settings, [identity])
    assert (done.reserved, done.jobs, done.running) == ([fw.name], [], []), "there is no such job to cancel"
    assert (settings.runs / fw.name / CANCEL_FILE).exists(), "a job without the queue would not hear of it"
    assert states(settings)[fw.name] == "cancelled"
    retry(settings, [identity], cancelled=True)
    assert states(settings)[fw.name] == "ready"
    assert not (settings.runs / fw.name / CANCEL_FILE).exists()


def test_paused_ones_are_not_started_and_running_ones_go_on(settings):
    launchpad, launch, path = start(settings)
    paused = pause(settings, ids(settings, "tiny"))
    assert len(paused) == 3
    assert path not in paused
    assert launchpad.checkout_fw(FWorker("other"), ".")[0] is None
    launchpad.complete_launch(launch, FWAction(), "COMPLETED")
    assert list(states(settings).values()).count("paused") == 3
    assert len(resume(settings, ids(settings, "tiny"))) == 3
    assert sorted(states(settings).values()) == ["done", "ready", "ready", "waiting"]


def test_only_the_part_that_is_named_is_paused(settings):
    pause(settings, ids(settings, FM))
    assert [path for path, state in states(settings).items() if state == "paused"] == [f"{FM}/static", f"{FM}/dos"]
    assert states(settings)[f"{NM}/static"] == "ready"


def test_where_it_runs_and_since_when_is_read_without_fireworks(settings):
    start(settings, "node7:42:1.00")
    (place,) = read_running(settings).values()
    assert (place.host, place.text) == ("node7", "node7, process 42")
    start(settings, "node8:43:boot-1.00:slurm.5")
    assert "node8, process 43, job slurm.5" in {place.text for place in read_running(settings).values()}
    assert place.since is not None
    assert place.since.utcoffset().total_seconds() == 0
    assert abs(time.time() - place.since.timestamp()) < 60


def test_a_failed_density_of_states_blocks_nothing(settings):
    launchpad = open_launchpad(settings)
    launchpad.fireworks.update_one({"name": f"{FM}/dos"}, {"$set": {"state": "FIZZLED"}})
    assert states(settings)[f"{FM}/static"] == "ready"
    launchpad.fireworks.update_one({"name": f"{NM}/static"}, {"$set": {"state": "FIZZLED"}})
    entry = {entry.path: entry for entry in read_queue(settings)}[f"{NM}/dos"]
    assert (entry.state, entry.blocked_by) == ("blocked", f"{NM}/static")


def test_a_part_of_a_name_is_no_path_and_the_nearest_is_told(settings):
    with pytest.raises(
        QueueError, match=r"'tiny/bulc' names no calculation of the queue; did you mean 'tiny/bulk'\?"
    ):
        select(read_queue(settings), ["tiny/bulc"])
    with pytest.raises(QueueError, match="did you mean 'tiny'"):
        select(read_queue(settings), ["tin"])
    assert len(ids(settings, "tiny/")) == 4
    one = read_queue(settings)[0]
    assert ids(settings, one.identity) == ids(settings, one.path) == [one.identity]


def test_entries_of_others_are_left_alone(settings):
    launchpad = open_launchpad(settings)
    launchpad.add_wf(Firework(ScriptTask.from_str("true"), name="theirs"))
    cancel(settings, ids(settings, "tiny"))
    assert launchpad.fireworks.find_one({"name": "theirs"})["state"] == "READY"


@pytest.fixture
def server(settings, chains, wire):
    """The same on a server, which has no transactions."""
    settings = replace(settings, host=wire.address)
    submit(chains, settings)
    return settings


def test_on_a_server_the_same_words_do_the_same(server):
    launchpad, launch, path = start(server, "node7:42:1.00")
    assert [place.text for place in read_running(server).values()] == ["node7, process 42"]
    assert len(pause(server, ids(server, "tiny"))) == 3
    assert len(resume(server, ids(server, "tiny"))) == 3
    done = cancel(server, ids(server, "tiny"))
    assert (done.running, len(done.waiting)) == ([path], 3)
    launchpad.complete_launch(launch, FWAction(), "FIZZLED")
    assert set(states(server).values()) == {"cancelled"}
    assert len(retry(server, ids(server, "tiny"), cancelled=True)) == 4
    assert sorted(states(server).values()) == ["ready", "ready", "waiting", "waiting"]
