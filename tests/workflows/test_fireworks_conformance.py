"""FireWorks' own launchpad tests, run on the embedded file.

A copy of their module is imported in which the name ``LaunchPad`` is ours and the folder to work in is temporary.
"""

from __future__ import annotations

import importlib.util
import inspect
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import fireworks.core.firework
import fireworks.core.launchpad
import fireworks.fw_config
import mongomock
import pytest
from fireworks import Firework, FWAction, FWorker, ScriptTask
from monty.io import zopen

from heterodft.workflows.queue.launchpad import EmbeddedLaunchPad

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # they fork while threads run
    pytest.mark.filterwarnings("ignore:cd is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),  # pings after the end
]

FOLDER = Path(tempfile.mkdtemp(prefix="heterodft-fireworks-"))

SKIPPED = {
    "AuthenticationTest": "a file has no users",
    "WFLockTest": "a workflow is never seen locked: a whole method is one transaction, whose end the other awaits",
    "GridfsStoredDataTest": "a document may be larger than 16 MB: there is nothing to put into GridFS",
}


class OurLaunchPad(EmbeddedLaunchPad):
    """Ours, made as their tests make theirs."""

    def __init__(self, path: Path = FOLDER / "queue.sqlite", name: str = "fireworks_unittest", **_ignored: Any):
        super().__init__(path, name)


def theirs(name: str) -> ModuleType:
    """Import a copy of a test module of FireWorks for our launchpad."""
    spec = importlib.util.find_spec(f"fireworks.core.tests.{name}")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # It looks for a server, and leaves out what forks with clients of pymongo > 3, which may not be forked; ours may.
    looks = mock.patch.object(fireworks.fw_config, "MongoClient", mongomock.MongoClient)
    with looks, mock.patch("pymongo.__version__", "3"):
        spec.loader.exec_module(module)
    module.LaunchPad = OurLaunchPad
    module.MODULE_DIR = str(FOLDER)
    return module


@pytest.fixture(scope="module", autouse=True)
def _restored() -> Iterator[None]:
    """Undo what their tests change for the whole process."""
    lock = fireworks.core.launchpad.WFLock.__init__
    defaults, details = lock.__defaults__, fireworks.core.firework.EXCEPT_DETAILS_ON_RERUN
    yield
    lock.__defaults__ = defaults
    fireworks.core.firework.EXCEPT_DETAILS_ON_RERUN = details


@pytest.fixture(autouse=True)
def _in_folder(monkeypatch) -> None:
    monkeypatch.chdir(FOLDER)
    monkeypatch.setattr("fireworks.core.rocket_launcher.RAPIDFIRE_SLEEP_SECS", 0.1)


launchpad, rocket, tracker = theirs("test_launchpad"), theirs("test_rocket"), theirs("test_tracker")


class TestLaunchPad(launchpad.LaunchPadTest):
    pass


class TestDefuseReigniteRerunArchiveDelete(launchpad.LaunchPadDefuseReigniteRerunArchiveDeleteTest):
    pass


class TestLostRuns(launchpad.LaunchPadLostRunsDetectTest):
    pass


class TestFireworkStates(launchpad.WorkflowFireworkStatesTest):
    pass


class TestRerunException(launchpad.LaunchPadRerunExceptionTest):
    pass


class TestOffline(launchpad.LaunchPadOfflineTest):
    @pytest.mark.skipif(
        inspect.signature(zopen).parameters["mode"].default is inspect.Parameter.empty,
        reason="FireWorks' offline rocket calls zopen without a mode, which this monty does not take",
    )
    def test__recover_completed(self):
        super().test__recover_completed()


class TestRocket(rocket.RocketTest):
    pass


class TestTracker(tracker.TrackerTest):
    pass


@pytest.mark.parametrize("name", SKIPPED)
def test_left_out(name):
    assert hasattr(launchpad, name)
    pytest.skip(SKIPPED[name])


def test_none_of_their_test_classes_is_forgotten():
    mentioned = {base.__name__ for value in globals().values() if isinstance(value, type) for base in value.__bases__}
    classes = {name for name, value in vars(launchpad).items() if isinstance(value, type) and name.endswith("Test")}
    assert classes <= mentioned | set(SKIPPED)


def test_an_action_larger_than_a_document_of_mongodb_is_kept(tmp_path):
    launchpad = EmbeddedLaunchPad(tmp_path / "queue.sqlite")
    launchpad.reset("", require_password=False)
    launchpad.add_wf(Firework(ScriptTask.from_str("true")))
    _, launch_id = launchpad.checkout_fw(FWorker(), str(tmp_path))
    launchpad.complete_launch(launch_id, FWAction(stored_data={"much": "x" * 20_000_000}))
    assert len(launchpad.get_launch_by_id(launch_id).action.stored_data["much"]) == 20_000_000
    assert launchpad.get_fw_by_id(1).state == "COMPLETED"


def test_calculations_are_listed_by_date(tmp_path):
    launchpad = EmbeddedLaunchPad(tmp_path / "queue.sqlite")
    launchpad.reset("", require_password=False)
    for _ in range(3):
        launchpad.add_wf(Firework(ScriptTask.from_str("true")))
    launchpad.checkout_fw(FWorker(), str(tmp_path), fw_id=2)
    assert launchpad.get_fw_ids(sort=[("updated_on", -1)])[0] == 2
    assert launchpad.get_fw_ids(sort=[("created_on", 1)]) == [1, 2, 3]
    assert launchpad.get_wf_ids(sort=[("updated_on", -1)], limit=1) == [2]
