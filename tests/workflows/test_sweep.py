"""FireWorks' own LaunchPad, call by call, whose process dies between any two calls."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from fireworks import Firework, FWorker, PyTask, Workflow
from fireworks.core.launchpad import LaunchPad
from fireworks.core.rocket import Rocket

from heterodft.workflows.queue.launchpad import EmbeddedLaunchPad, add_workflows
from heterodft.workflows.queue.reconciliation import requeue, running_of
from heterodft.workflows.queue.store import SqliteClient
from heterodft.workflows.queue.sweep import sweep

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

MOST_CALLS = 60


class Killed(BaseException):
    """What nobody catches."""


class MortalClient(SqliteClient):
    """A store whose process dies before one of its writes; nothing is written from then on."""

    def __init__(self, path):
        super().__init__(path)
        self.left: int | None = None

    def transaction(self) -> AbstractContextManager:
        if not self._depth and self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Killed
        return super().transaction()


class PlainLaunchPad(LaunchPad):
    """FireWorks' methods as they are, each call to the store on its own."""

    def __init__(self, path):
        self.__dict__.update(EmbeddedLaunchPad(path).__dict__)
        self.connection = MortalClient(path)
        self.db = self.connection["heterodft"]
        for name in ("fireworks", "launches", "workflows", "offline_runs", "fw_id_assigner"):
            setattr(self, name, self.db[name])


def chain(number: int) -> Workflow:
    steps: list[Firework] = []
    for step in range(3):
        task = PyTask(func="builtins.len", args=[[1]])
        spec = {"calculation": f"{number}-{step}", "folder": f"{number}-{step}"}
        steps.append(Firework(task, spec=spec, name=f"{number}/{step}", parents=steps[-1:], fw_id=step - 3))
    return Workflow(steps, name=str(number))


def drain(launchpad):
    while Rocket(launchpad, FWorker("second"), None).run():
        pass


def deaths(path, prepare, action) -> Iterator[LaunchPad]:
    """Yield the queue after the death of a process before each write of an action in turn."""
    for calls in range(MOST_CALLS):
        path.unlink(missing_ok=True)
        first = PlainLaunchPad(path)
        first.reset("", require_password=False)
        prepare(first)
        first.connection.left = calls
        try:
            action(first)
            return
        except Killed:
            pass
        finally:
            first.connection.close()
        after = PlainLaunchPad(path)
        yield after
        after.connection.close()
    pytest.fail(f"more than {MOST_CALLS} writes")


def two_chains(launchpad):
    add_workflows(launchpad, [chain(1), chain(2)])


def run_one(launchpad):
    Rocket(launchpad, FWorker("first"), None).run()


def rerun(launchpad):
    launchpad.rerun_fw(1)


def defuse_and_reignite(launchpad):
    launchpad.defuse_fw(2)
    launchpad.reignite_fw(2)


def append(launchpad):
    launchpad.append_wf(Workflow([Firework(PyTask(func="builtins.len", args=[[1]]), name="more", fw_id=-1)]), [3])


def one_ran(launchpad):
    two_chains(launchpad)
    run_one(launchpad)


@pytest.fixture(autouse=True)
def _in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fireworks.core.rocket.start_ping_launch", lambda *_: None)  # a thread of the dead


def assert_everything_ran(launchpad):
    assert set(Counter(fw["state"] for fw in launchpad.fireworks.find())) == {"COMPLETED"}
    for workflow in launchpad.workflows.find():
        assert workflow["state"] == "COMPLETED"
        assert "locked" not in workflow
        assert set(workflow["fw_states"].values()) == {"COMPLETED"}
    of_now = [number for fw in launchpad.fireworks.find() for number in fw["launches"]]
    assert launchpad.launches.count_documents({"launch_id": {"$in": of_now}, "state": "COMPLETED"}) == len(of_now)


@pytest.mark.parametrize(
    ("prepare", "action"), [(two_chains, run_one), (one_ran, run_one), (one_ran, rerun), (one_ran, append)]
)
def test_whenever_a_process_dies_everything_still_runs(tmp_path, prepare, action):
    count = 0
    for launchpad in deaths(tmp_path / "queue.sqlite", prepare, action):
        sweep(launchpad, patience=0)
        requeue(launchpad, running_of(launchpad, ["first"]), "RUNNING")
        drain(launchpad)
        assert launchpad.fireworks.count_documents({"name": {"$ne": "more"}}) == 6, count
        assert_everything_ran(launchpad)
        assert sweep(launchpad, patience=0) == []
        count += 1
    assert count > 3


def test_a_death_while_defusing_leaves_it_defused_or_not(tmp_path):
    for launchpad in deaths(tmp_path / "queue.sqlite", two_chains, defuse_and_reignite):
        sweep(launchpad, patience=0)
        launchpad.reignite_fw(2)
        drain(launchpad)
        assert_everything_ran(launchpad)


@pytest.mark.parametrize("add", [add_workflows, lambda launchpad, wfs: [launchpad.add_wf(wf) for wf in wfs]])
def test_a_death_while_adding_leaves_whole_steps_and_the_rest_can_be_added(tmp_path, add):
    path = tmp_path / "queue.sqlite"
    for launchpad in deaths(path, lambda _: None, lambda launchpad: add(launchpad, [chain(1), chain(2)])):
        sweep(launchpad, patience=0)
        there = {fw["spec"]["calculation"] for fw in launchpad.fireworks.find()}
        nodes = [node for workflow in launchpad.workflows.find() for node in workflow["nodes"]]
        assert len(nodes) == len(there)
        add_workflows(launchpad, [wf for wf in (chain(1), chain(2)) if f"{wf.name}-0" not in there])
        drain(launchpad)
        assert_everything_ran(launchpad)
        assert launchpad.fireworks.count_documents({}) == 6


def test_without_a_sweep_a_death_leaves_something_for_ever(tmp_path):
    stuck = 0
    for launchpad in deaths(tmp_path / "queue.sqlite", two_chains, run_one):
        launchpad.workflows.update_many({}, {"$unset": {"locked": 1}})  # which would be waited for
        requeue(launchpad, running_of(launchpad, ["first"]), "RUNNING")
        drain(launchpad)
        stuck += launchpad.fireworks.count_documents({"state": "COMPLETED"}) < 6
    assert stuck


def test_what_is_not_half_done_is_left_alone(tmp_path):
    launchpad = PlainLaunchPad(tmp_path / "queue.sqlite")
    launchpad.reset("", require_password=False)
    two_chains(launchpad)
    launchpad.checkout_fw(FWorker("first"), ".")
    launchpad.reserve_fw(FWorker("first"), ".")
    launchpad.defuse_fw(3)
    before = list(launchpad.fireworks.find())
    assert sweep(launchpad, patience=0) == []
    assert list(launchpad.fireworks.find()) == before
