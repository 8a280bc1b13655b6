"""Setting right what died: calculations of workers that are gone, and interrupted ones, are put back.

A calculation whose result is on disk is then recorded, not run again, since running it finds the result first.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from heterodft.errors import ReaderError
from heterodft.files import read_json
from heterodft.workflows.queue.identity import is_alive
from heterodft.workflows.runner import FAILURE_FILE

if TYPE_CHECKING:
    from fireworks.core.launchpad import LaunchPad

__all__ = ["reconcile", "requeue"]


def reconcile(launchpad: LaunchPad) -> list[str]:
    """Put back the calculations of dead workers on this host, and those stopped from outside.

    Returns
    -------
    list of str
        Their paths.
    """
    return requeue(launchpad, dead_workers(launchpad)) + requeue(launchpad, _interrupted(launchpad))


def requeue(launchpad: LaunchPad, fw_ids: list[int]) -> list[str]:
    """Make calculations ready to run again and return their paths."""
    names = []
    for fw_id in fw_ids:
        launchpad.rerun_fw(fw_id)
        names.append(str(launchpad.fireworks.find_one({"fw_id": fw_id}, {"name": 1})["name"]))
    return names


def dead_workers(launchpad: LaunchPad) -> list[int]:
    """Return the running calculations whose worker, a process of this host, is gone."""
    running = launchpad.launches.find({"state": "RUNNING"}, {"fw_id": 1, "fworker": 1})
    lost = {launch["fw_id"] for launch in running if is_alive(launch["fworker"]["name"]) is False}
    states = launchpad.fireworks.find({"fw_id": {"$in": sorted(lost)}, "state": "RUNNING"}, {"fw_id": 1})
    return sorted(fw["fw_id"] for fw in states)


def _interrupted(launchpad: LaunchPad) -> list[int]:
    """Return the failed calculations whose failure says that they were stopped from outside."""
    found = []
    for fw in launchpad.fireworks.find({"state": "FIZZLED"}, {"fw_id": 1, "spec": 1}):
        with suppress(ReaderError):
            if read_json(Path(fw["spec"].get("folder", "")) / FAILURE_FILE).get("interrupted"):
                found.append(int(fw["fw_id"]))
    return found
