"""Setting right what died: calculations of workers that are gone, and interrupted ones, are put back.

A calculation whose result is on disk is then recorded, not run again, since running it finds the result first.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from heterodft.errors import ReaderError
from heterodft.files import read_json
from heterodft.workflows.calculation import FAILURE_FILE, finished_id
from heterodft.workflows.queue.control import rerun
from heterodft.workflows.queue.identity import is_alive
from heterodft.workflows.queue.launchpad import atomic
from heterodft.workflows.queue.sweep import sweep

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from fireworks.core.launchpad import LaunchPad

    from heterodft.workflows.settings import Settings

__all__ = ["dead_workers", "reconcile", "requeue", "running_of"]


def reconcile(launchpad: LaunchPad, settings: Settings) -> list[str]:
    """Put back the calculations of dead workers on this host, those stopped from outside, and failures with a result.

    On the embedded file, looking and putting back are one step, so that nobody can start one in between; on a server,
    what a death between two calls left is mended first.

    Returns
    -------
    list of str
        Their paths.
    """
    sweep(launchpad)
    with atomic(launchpad):
        dead = requeue(launchpad, dead_workers(launchpad), "RUNNING")
        return dead + requeue(launchpad, _not_failed(launchpad, settings), "FIZZLED")


def requeue(launchpad: LaunchPad, fw_ids: Sequence[int], state: str) -> list[str]:
    """Make calculations that are still in a state ready to run again and return their paths."""
    names = []
    for fw_id in fw_ids:
        with atomic(launchpad):
            found = launchpad.fireworks.find_one({"fw_id": fw_id, "state": state}, {"name": 1})
            if found is not None:
                rerun(launchpad, fw_id)
                names.append(str(found["name"]))
    return names


def dead_workers(launchpad: LaunchPad) -> list[int]:
    """Return the running calculations whose worker, a process of this host, is gone."""
    names = launchpad.launches.distinct("fworker.name", {"state": "RUNNING"})
    return running_of(launchpad, [name for name in names if is_alive(name) is False])


def running_of(launchpad: LaunchPad, workers: Sequence[str]) -> list[int]:
    """Return the calculations that are running by the name of some workers."""
    launches = launchpad.launches.find({"state": "RUNNING", "fworker.name": {"$in": list(workers)}}, {"fw_id": 1})
    wanted = sorted({launch["fw_id"] for launch in launches})
    states = launchpad.fireworks.find({"fw_id": {"$in": wanted}, "state": "RUNNING"}, {"fw_id": 1})
    return sorted(fw["fw_id"] for fw in states)


def _not_failed(launchpad: LaunchPad, settings: Settings) -> list[int]:
    """Return the failed calculations that were stopped from outside, or have their result on disk."""
    found = []
    for fw in launchpad.fireworks.find(
        {"state": "FIZZLED", "spec.folder": {"$exists": True}}, {"fw_id": 1, "spec": 1}
    ):
        folder = settings.resolved(fw["spec"]["folder"])
        if _was_interrupted(folder) or finished_id(folder) == fw["spec"].get("calculation", ""):
            found.append(int(fw["fw_id"]))
    return found


def _was_interrupted(folder: Path) -> bool:
    with suppress(ReaderError):
        return bool(read_json(folder / FAILURE_FILE).get("interrupted"))
    return False
