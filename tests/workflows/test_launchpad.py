"""FireWorks on the embedded file: workflows run in order, each once, whoever takes them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import pytest
from fireworks import Firework, FWorker, PyTask, ScriptTask, Workflow
from fireworks.core.rocket import Rocket

from heterodft.workflows.queue.identity import is_alive, worker_name
from heterodft.workflows.queue.launchpad import EmbeddedLaunchPad, open_launchpad
from heterodft.workflows.queue.reconciliation import dead_workers, requeue
from heterodft.workflows.settings_file import load_settings

WORKER = """
import sys
from pathlib import Path
from fireworks import FWorker
from fireworks.core.rocket import Rocket
from heterodft.workflows.queue.identity import worker_name
from heterodft.workflows.queue.launchpad import EmbeddedLaunchPad
launchpad = EmbeddedLaunchPad(Path(sys.argv[1]))
while Rocket(launchpad, FWorker(worker_name()), None).run():
    pass
"""


@pytest.fixture
def launchpad(tmp_path, monkeypatch) -> EmbeddedLaunchPad:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return open_launchpad(load_settings(host=f"sqlite://{tmp_path}/queue.sqlite"))


def run_all(launchpad):
    while Rocket(launchpad, FWorker("test"), None).run():
        pass


def states(launchpad):
    return {fw["name"]: fw["state"] for fw in launchpad.fireworks.find()}


def write(name: str) -> ScriptTask:
    return ScriptTask.from_str(f"echo {name} >> order.txt")


def test_a_diamond_runs_in_order(launchpad, tmp_path):
    top = Firework(write("top"), name="top", fw_id=-4)
    sides = [Firework(write(n), name=n, parents=[top], fw_id=i) for i, n in ((-3, "left"), (-2, "right"))]
    bottom = Firework(write("bottom"), name="bottom", parents=sides, fw_id=-1)
    launchpad.add_wf(Workflow([top, *sides, bottom]))
    run_all(launchpad)
    order = (tmp_path / "order.txt").read_text().split()
    assert order[0] == "top"
    assert set(order[1:3]) == {"left", "right"}
    assert order[3] == "bottom"
    assert launchpad.workflows.find_one()["state"] == "COMPLETED"


def test_a_failure_stops_its_branch_only(launchpad):
    bad = Firework(ScriptTask.from_str("exit 3"), name="bad", fw_id=-3)
    child = Firework(write("child"), name="child", parents=[bad], fw_id=-2)
    launchpad.add_wf(Workflow([bad, child]))
    launchpad.add_wf(Firework(write("other"), name="other"))
    run_all(launchpad)
    assert states(launchpad) == {"bad": "FIZZLED", "child": "WAITING", "other": "COMPLETED"}


def test_a_task_may_add_work(launchpad, tmp_path):
    module = tmp_path / "detour_task.py"
    module.write_text(
        "from fireworks import Firework, FWAction, ScriptTask\n"
        "def add():\n"
        "    return FWAction(detours=Firework(ScriptTask.from_str('echo detour >> order.txt'), name='detour'))\n"
    )
    sys.path.insert(0, str(tmp_path))
    first = Firework(PyTask(func="detour_task.add"), name="first", fw_id=-2)
    last = Firework(write("last"), name="last", parents=[first], fw_id=-1)
    launchpad.add_wf(Workflow([first, last]))
    try:
        run_all(launchpad)
    finally:
        sys.path.remove(str(tmp_path))
    assert (tmp_path / "order.txt").read_text().split() == ["detour", "last"]


def test_three_workers_run_sixty_jobs_once_each(launchpad, tmp_path):
    launchpad.bulk_add_wfs([Firework(write(f"job{i}"), name=f"job{i}") for i in range(60)])
    command = [sys.executable, "-c", WORKER, str(tmp_path / "queue.sqlite")]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    workers = [subprocess.Popen(command, cwd=tmp_path, **quiet) for _ in range(3)]
    assert [worker.wait(120) for worker in workers] == [0, 0, 0]
    assert set(Counter((tmp_path / "order.txt").read_text().split()).values()) == {1}
    assert Counter(states(launchpad).values()) == {"COMPLETED": 60}


def test_a_lock_is_never_left_behind(launchpad):
    launchpad.add_wf(Firework(ScriptTask.from_str("exit 1"), name="bad"))
    run_all(launchpad)
    assert launchpad.workflows.find_one({"locked": {"$exists": True}}) is None


def test_the_calculations_of_a_dead_worker_are_found_and_put_back(launchpad):
    launchpad.add_wf(Firework(write("a"), name="a"))
    gone = subprocess.run(
        [sys.executable, "-c", "from heterodft.workflows.queue.identity import *; print(worker_name())"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    launchpad.checkout_fw(FWorker(gone), os.fspath("."))
    assert states(launchpad) == {"a": "RUNNING"}
    assert requeue(launchpad, dead_workers(launchpad), "RUNNING") == ["a"]
    assert states(launchpad) == {"a": "READY"}


def test_the_calculations_of_a_living_worker_and_of_other_hosts_are_left_alone(launchpad):
    for name in (worker_name(), "elsewhere:1:2.0"):
        launchpad.add_wf(Firework(write("a"), name=name))
        launchpad.checkout_fw(FWorker(name), os.fspath("."))
    assert dead_workers(launchpad) == []


def test_a_process_number_that_was_given_again_is_told_apart():
    host, pid, started = worker_name().split(":")
    assert is_alive(f"{host}:{pid}:{started}") is True
    boot, _, ticks = started.partition("-")
    assert is_alive(f"{host}:{pid}:{boot}-{int(ticks) - 100}") is False
    assert is_alive(f"{host}:{pid}:another-{ticks}") is False  # before the machine was started anew
    assert is_alive(f"another-host:{pid}:{started}") is None


def test_a_clock_that_is_set_does_not_make_a_worker_look_dead(monkeypatch):
    """Times since 1970 move with the clock, and with them what psutil calls the creation of a process."""
    name = worker_name()
    monkeypatch.setattr("psutil.Process.create_time", lambda _self: 0.0)
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert is_alive(name) is True
