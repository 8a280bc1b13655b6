"""Ways in which runs are broken off, caused on purpose: nothing is lost, runs twice or stays behind."""

from __future__ import annotations

import datetime
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import psutil
import pytest
from fireworks import Firework, FWorker, ScriptTask
from fireworks.core import rocket
from fireworks.core.launchpad import LaunchPad
from fireworks.core.rocket import Rocket
from pymongo.errors import AutoReconnect
from stand_in import assert_done_once, build_site, copy_of, end_of, run_here

from heterodft.analysis.result import Result
from heterodft.errors import CalculationError, HeterodftError, QueueError
from heterodft.workflows.calculation import read_request, write_request
from heterodft.workflows.processes import programs_in, start_program
from heterodft.workflows.queue import launchpad as launchpads
from heterodft.workflows.queue import store, worker
from heterodft.workflows.queue.control import retry
from heterodft.workflows.queue.lasting import LastingLaunchPad
from heterodft.workflows.queue.launchpad import exclusive, open_launchpad
from heterodft.workflows.queue.pool import recover
from heterodft.workflows.queue.summary import failure_reason, read_queue
from heterodft.workflows.runner import run_calculation

pytestmark = [pytest.mark.espresso, pytest.mark.slow]


@pytest.fixture
def site_of(tmp_path, canned, monkeypatch):
    """Build sites and, at the end, leave no worker and no program behind."""
    monkeypatch.chdir(tmp_path)
    built = []

    def build(jobs=3, seconds=0.2):
        built.append(build_site(tmp_path, canned, jobs=jobs, seconds=seconds))
        return built[-1]

    yield build
    for site in built:
        assert site.programs() == []


# -- the store: locked, gone ----------------------------------------------------------------------------------


def fast_pings():
    rocket.PING_TIME_SECS = 0.1


def impatient():
    """Give up a lock after a fifth of a second."""
    fast_pings()
    store._BUSY_SECONDS = store._TRY_SECONDS = 0.2


@pytest.mark.parametrize("patch", [fast_pings, impatient])
def test_a_queue_that_another_process_locks_for_a_while_is_waited_for(site_of, patch):
    site = site_of(jobs=6, seconds=0.4)
    workers = [site.start(patch) for _ in range(2)]
    site.wait_until(lambda: sum(site.starts()) >= 1)
    other = sqlite3.connect(site.queue, isolation_level=None)
    for _ in range(2):
        other.execute("BEGIN IMMEDIATE")
        time.sleep(1.0)
        other.execute("ROLLBACK")
        time.sleep(0.3)
    other.close()
    assert [end_of(pid) for pid in workers] == [0, 0]
    assert_done_once(site)


@pytest.mark.parametrize("away", [0.4, 2.0])
def test_a_queue_that_is_gone_for_a_while_hears_of_the_result_later(site_of, away):
    """It is away in the middle of the first calculation, or when that ends."""
    site = site_of(jobs=3, seconds=1.0)
    pid = site.start(fast_pings)
    site.wait_until(lambda: any(site.starts()))
    elsewhere = site.queue.parent.with_name("unmounted")
    site.queue.parent.rename(elsewhere)
    time.sleep(away)
    assert not site.queue.parent.exists(), "nobody made a new one"
    elsewhere.rename(site.queue.parent)
    assert end_of(pid) == 0
    assert_done_once(site)


def test_a_queue_that_is_gone_for_good_ends_the_worker_in_one_line_and_the_result_stays(site_of, monkeypatch):
    site = site_of(jobs=2, seconds=0.5)
    monkeypatch.setattr(worker, "_PATIENCE_SECONDS", 1.0)
    pid = site.start()
    site.wait_until(lambda: any(site.starts()))
    elsewhere = site.queue.parent.with_name("taken-away")
    site.queue.parent.rename(elsewhere)
    assert end_of(pid) == 1
    (last,) = [line for line in site.log().splitlines() if "the worker stops: " in line]
    assert "No such file or directory; results are on disk, heterodft run records them" in last
    assert sum((folder / "result.json").is_file() for folder in site.folders()) == 1
    assert end_of(site.start()) == 1, "a worker that finds no queue makes none"
    assert not site.queue.exists()
    elsewhere.rename(site.queue.parent)
    recover(site.settings)
    assert end_of(site.start()) == 0
    assert_done_once(site)


def test_another_file_in_the_place_of_the_queue_is_not_written_to(site_of):
    site = site_of(jobs=1)
    launchpad = open_launchpad(site.settings)
    copy = site.queue.with_name("copy")
    shutil.copy(site.queue, copy)
    copy.replace(site.queue)
    with pytest.raises(AutoReconnect, match=r"queue\.sqlite: another file is in its place"):
        launchpad.get_wf_ids()


def test_pings_go_on_after_a_queue_that_was_away(site_of):
    site = site_of(jobs=1, seconds=60)
    pid = site.start(fast_pings)
    site.wait_until(lambda: any(site.starts()))
    elsewhere = site.queue.parent.with_name("unmounted")
    site.queue.parent.rename(elsewhere)
    time.sleep(0.5)
    elsewhere.rename(site.queue.parent)
    back = datetime.datetime.now(datetime.UTC).isoformat()

    def last_ping():
        launch = open_launchpad(site.settings).launches.find_one({"state": "RUNNING"})
        return str(launch["state_history"][-1]["updated_on"]).replace(" ", "T")

    try:
        site.wait_until(lambda: last_ping() > back)
    finally:
        (site.folders()[0] / "enough").touch()
        ended = end_of(pid)
    assert ended == 0
    assert_done_once(site)


class Flaky:
    """A collection that does not answer a few times when a launch ends."""

    def __init__(self, collection, failures):
        self.collection, self.failures = collection, failures

    def __getattr__(self, name):
        return getattr(self.collection, name)

    def find_one_and_replace(self, query, document, **options):
        if self.failures and document["state"] in ("COMPLETED", "FIZZLED"):
            self.failures -= 1
            raise AutoReconnect("connection closed")
        return self.collection.find_one_and_replace(query, document, **options)


@pytest.mark.parametrize(("wrap", "state"), [(False, "FIZZLED"), (True, "COMPLETED")])
def test_a_server_that_fails_over_as_a_calculation_ends_records_no_failure(tmp_path, monkeypatch, wrap, state):
    """FireWorks by itself would: this is what it does first."""
    monkeypatch.chdir(tmp_path)
    embedded = launchpads.EmbeddedLaunchPad(tmp_path / "q.sqlite")
    embedded.reset("", require_password=False)
    server = LaunchPad.__new__(LaunchPad)  # call by call, as on a server
    server.__dict__.update(vars(embedded))
    server.add_wf(Firework(ScriptTask.from_str("true"), name="a"))
    server.launches = Flaky(embedded.launches, 1)
    Rocket(LastingLaunchPad(server, patience=10) if wrap else server, FWorker("w"), None).run()
    assert embedded.fireworks.find_one({"name": "a"})["state"] == state


def test_a_failure_in_the_queue_beside_a_result_on_disk_is_set_right(site_of):
    site = site_of(jobs=1)
    run_here(site, site.folders()[0])
    launchpad = open_launchpad(site.settings)
    _, launch = launchpad.checkout_fw(FWorker("w"), ".")
    launchpad.complete_launch(launch, None, "FIZZLED")
    assert site.counts() == {"failed": 1}
    recover(site.settings)
    assert end_of(site.start()) == 0
    assert_done_once(site)


# -- signals and kills ----------------------------------------------------------------------------------------


def test_workers_told_to_stop_at_random_moments_leave_nothing_running_and_lose_nothing(site_of):
    site, chance = site_of(jobs=10, seconds=0.3), random.Random(5)  # noqa: S311
    for _ in range(8):
        pids = [site.start(), site.start()]
        time.sleep(chance.uniform(0.0, 0.7))
        for pid in pids:
            os.kill(pid, chance.choice([signal.SIGTERM, signal.SIGINT]))
        # -2 where the signal came before the worker listened to it
        assert {end_of(pid) for pid in pids} <= {0, -signal.SIGTERM, -signal.SIGINT, 70}
        assert site.programs() == []
        assert "running" not in site.counts() or recover(site.settings)
    asked = sum(site.events(folder).count("asked") for folder in site.folders())
    assert asked > 2, "the program was asked for a checkpoint"
    assert end_of(site.start()) == 0
    assert site.counts() == {"done": 10}
    assert [site.events(folder).count("end") for folder in site.folders()] == [1] * 10


def test_a_worker_and_its_program_killed_together(site_of):
    site = site_of(jobs=1, seconds=1.0)
    pid = site.start()
    site.wait_until(lambda: site.starts() == [1])
    programs = programs_in(site.folders()[0])
    os.kill(pid, signal.SIGKILL)
    for program in programs:
        os.kill(program, signal.SIGKILL)
    assert end_of(pid) == -signal.SIGKILL
    assert recover(site.settings) == ["fail/job-000/NM/none/static"] or site.counts() == {"ready": 1}
    assert end_of(site.start()) == 0
    assert site.counts() == {"done": 1}
    assert site.events(site.folders()[0]) == ["start", "start", "end"]


def test_a_start_that_cannot_be_written_down_leaves_no_program(tmp_path, monkeypatch):
    from heterodft.workflows import processes

    written = []

    def write(path, data):
        written.append(data)
        if len(written) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(processes, "write_json", write)
    with pytest.raises(KeyboardInterrupt):
        start_program(["sleep", "100"], tmp_path, output="o", errors="e", environment=dict(os.environ), record={})
    assert written[1]["pid"]
    assert programs_in(tmp_path) == []


def test_one_calculation_by_the_queue_and_by_hand_at_once_runs_once(site_of):
    site = site_of(jobs=1, seconds=1.0)
    pid = site.start()
    site.wait_until(lambda: site.starts() == [1])
    energy = run_here(site, site.folders()[0]).energy
    assert end_of(pid) == 0
    assert Result.load(site.folders()[0]).energy == energy
    assert_done_once(site)


@pytest.mark.parametrize("victim", ["mpirun", "pw.x"])
def test_mpirun_or_a_rank_killed_alone_leaves_no_rank(tmp_path, monkeypatch, site_of, victim):
    """A real pw.x on two ranks; what the next attempt makes of it is told or done."""
    if shutil.which("mpirun") is None:
        pytest.skip("mpirun is not installed")
    site = site_of(jobs=1)
    folder, slow = tmp_path / "slow", site.folders()[0]
    request = read_request(slow)
    finer = replace(request.settings, kpoints=(5, 5, 5), cutoff=2 * request.settings.cutoff)
    request = replace(request, settings=finer)
    write_request(request, folder)
    settings = replace(site.settings, bin_dir=None, cores=2)
    ended = []

    def run():
        try:
            ended.append(run_calculation(folder, request.id, settings).energy)
        except HeterodftError as error:
            ended.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    output = folder / "pw.out"
    site.wait_until(lambda: ended or (output.is_file() and "iteration #  2" in output.read_text()), 60)
    names = {psutil.Process(pid).name(): pid for pid in programs_in(folder)}
    os.kill(names.get(victim) or names["orterun"], signal.SIGKILL)
    thread.join(90)
    assert len(ended) == 1
    assert programs_in(folder) == []
    assert isinstance(ended[0], float) or "\n" not in ended[0]


# -- disks ----------------------------------------------------------------------------------------------------


def mounted(*arguments):
    return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode == 0


@pytest.fixture
def read_only():
    """Make a folder read-only, for root too; what is open there stays open."""
    folders = []

    def make(folder):
        if not mounted("--bind", str(folder), str(folder)):
            pytest.skip("mounting needs root")
        folders.append(folder)
        assert mounted("-o", "remount,ro,bind", str(folder))

    def undo():
        while folders:
            subprocess.run(["umount", str(folders.pop())], check=True)

    yield SimpleNamespace(make=make, undo=undo)
    undo()


def test_a_folder_that_becomes_read_only_in_the_middle_is_told_and_its_result_is_not_computed_again(
    site_of, read_only
):
    site = site_of(jobs=2, seconds=0.8)
    folder = site.folders()[0]
    (folder / "pwscf.save").mkdir()
    pid = site.start()
    site.wait_until(lambda: site.events(folder) == ["start"])
    read_only.make(folder)
    assert end_of(pid) == 0
    assert site.counts() == {"done": 1, "failed": 1}
    assert "cannot be written; make it writable" in failure_reason(folder)
    read_only.undo()
    retry(site.settings, [entry.identity for entry in read_queue(site.settings)])
    assert end_of(site.start()) == 0
    assert site.counts() == {"done": 2}


def test_a_disk_that_becomes_read_only_does_not_burn_the_queue(site_of, read_only):
    site = site_of(jobs=5)
    read_only.make(site.settings.runs)
    assert end_of(site.start()) == 1
    assert "3 calculations in a row could not run on this machine" in site.log()
    assert "Read-only file system" in site.log()
    assert site.counts() == {"ready": 5}
    read_only.undo()
    assert end_of(site.start()) == 0
    assert_done_once(site)


def test_a_full_disk_does_not_burn_the_queue(site_of):
    site = site_of(jobs=4)
    runs, kept = site.settings.runs, site.settings.runs.with_name("kept")
    shutil.copytree(runs, kept)
    if not mounted("-t", "tmpfs", "-o", "size=400k", "tmpfs", str(runs)):
        pytest.skip("mounting needs root")
    try:
        shutil.copytree(kept, runs, dirs_exist_ok=True)
        assert end_of(site.start()) == 1
        assert "GB free; fail/job-" in site.log()
        assert site.counts() == {"ready": 4}
        assert site.starts() == [0] * 4
        assert mounted("-o", "remount,size=50m", str(runs))
        assert end_of(site.start()) == 0
        assert_done_once(site)
    finally:
        subprocess.run(["umount", "-l", str(runs)], check=True)


@pytest.mark.parametrize(
    ("limit", "words"), [({"disk_budget": 1e-6}, "of its budget of"), ({"keep_free": 1e9}, "kept free")]
)
def test_a_worker_stops_at_the_limits_of_the_disk(site_of, limit, words):
    site = site_of(jobs=4)
    assert end_of(site.start(**limit)) == 1
    (line,) = [line for line in site.log().splitlines() if "the worker stops: " in line]
    assert words in line
    assert site.counts() == {"ready": 4}
    assert end_of(site.start()) == 0
    assert_done_once(site)


# -- half-written files ---------------------------------------------------------------------------------------

RESULTS = ("result.json", "result.npz")
OUTPUTS = ("custodian.json", "failure.json", "process.json", "request.json", "pw.in", "pw.out",
           "pwscf.save/data-file-schema.xml")  # fmt: skip


@pytest.mark.parametrize("name", [*RESULTS, *OUTPUTS])
def test_a_half_written_file_is_mended_or_told_and_never_a_wrong_result(site_of, tmp_path, name):
    site = site_of(jobs=1, seconds=0.05)
    identity = read_request(site.folders()[0]).id
    energy = run_here(site, site.folders()[0]).energy
    whole = copy_of(site.folders()[0], tmp_path / "whole")
    for extra in ("failure.json", "process.json"):
        (whole / extra).write_text(json.dumps({"reason": "a", "interrupted": True, "pid": 1, "asked": "x"}))
    if name not in RESULTS:
        (whole / "result.json").unlink()
    size = (whole / name).stat().st_size
    folder = site.folders()[0]
    for kept in (0, 1, size // 3, size // 2, size - 2):
        copy_of(whole, folder)
        with (folder / name).open("r+b") as stream:
            stream.truncate(kept)
        told = ""
        try:
            result = run_calculation(folder, identity, site.settings)
        except CalculationError as error:
            told = str(error)
        if told:
            assert "\n" not in told
            assert name.rpartition("/")[2] in told
            assert json.loads((folder / "failure.json").read_text())["reason"] == told
            if name == "request.json":
                continue
            result = run_here(site, folder)  # heterodft retry
        assert result.energy == energy
        assert Result.load(folder).energy == energy


def test_zeros_in_the_place_of_a_result_are_noticed(site_of):
    """As a file system leaves them when the power fails before the data are on disk."""
    site = site_of(jobs=1, seconds=0.05)
    folder = site.folders()[0]
    energy = run_here(site, folder).energy
    for name in RESULTS:
        (folder / name).write_bytes(b"\0" * (folder / name).stat().st_size)
        assert run_here(site, folder).energy == energy
        assert Result.load(folder).energy == energy


# -- clocks ---------------------------------------------------------------------------------------------------

REAL_TIME, REAL_DATETIME = time.time, datetime.datetime


class AnyDatetime(type):
    def __instancecheck__(cls, value):
        return isinstance(value, REAL_DATETIME)


class ShiftedDatetime(REAL_DATETIME, metaclass=AnyDatetime):
    hours = 0.0

    @classmethod
    def now(cls, tz=None):
        return REAL_DATETIME.now(tz) + datetime.timedelta(hours=cls.hours)


def set_clock(hours):
    """Return a change of this process: its clock, and so that of FireWorks, jumps after a moment."""

    def patch():
        datetime.datetime = ShiftedDatetime
        time.time = lambda: REAL_TIME() + 3600 * ShiftedDatetime.hours
        threading.Timer(1.0, lambda: setattr(ShiftedDatetime, "hours", hours)).start()

    return patch


def test_clocks_that_jump_lose_nothing_and_make_nobody_look_dead(site_of):
    site = site_of(jobs=8, seconds=0.5)
    workers = [site.start(set_clock(hours)) for hours in (7, -7)]
    while site.counts().get("done", 0) < 6:
        assert recover(site.settings) == []
        time.sleep(0.2)
    assert [end_of(pid) for pid in workers] == [0, 0]
    assert_done_once(site)


def test_a_clock_that_jumps_past_the_end_of_a_worker_ends_it_in_order(site_of):
    site = site_of(jobs=6, seconds=0.5)
    assert end_of(site.start(set_clock(7), deadline=REAL_TIME() + 3600)) == 0
    assert 0 < site.counts()["ready"] < 6, site.log()
    assert end_of(site.start(deadline=REAL_TIME() - 10)) == 0
    assert end_of(site.start()) == 0
    assert_done_once(site)


def test_a_host_whose_clock_is_ahead_does_not_take_the_turn_of_another(site_of, monkeypatch):
    site = site_of(jobs=1)
    launchpad = open_launchpad(site.settings)
    turns = launchpad.db["heterodft_turns"]
    turns.insert_one({"_id": "submission", "by": "another-host:1:2", "since": REAL_TIME() - 7 * 3600})
    server = LaunchPad.__new__(LaunchPad)
    server.__dict__.update(vars(launchpad))
    for seconds, outcome in ((1000.0, [False]), (0.3, [True])):
        monkeypatch.setattr(launchpads, "_TURN_SECONDS", seconds)
        got = []

        def take(got=got):
            with exclusive(server):
                got.append(True)

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        thread.join(1.5)
        assert (got or [False]) == outcome
        if thread.is_alive():
            turns.update_one({"_id": "submission"}, {"$set": {"by": "another-host:1:2"}})
            monkeypatch.setattr(launchpads, "_TURN_SECONDS", -1.0)
            with pytest.raises(QueueError), exclusive(server):
                pass
