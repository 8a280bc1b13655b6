"""Calculations reserved for a batch job: what became of those whose job is over.

Their folders tell it: a result is recorded, a failure too, and the others are put back. This is all the bookkeeping
that a job without a connection to the queue needs.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from fireworks import FWAction, FWorker

from heterodft.analysis.result import Result
from heterodft.errors import ReaderError
from heterodft.files import read_json
from heterodft.workflows.calculation import FAILURE_FILE, finished_id
from heterodft.workflows.queue.entries import is_look
from heterodft.workflows.queue.identity import is_alive, worker_name
from heterodft.workflows.queue.launchpad import atomic
from heterodft.workflows.queue.schedulers import jobs_there

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fireworks.core.launchpad import LaunchPad

    from heterodft.workflows.settings import Settings

__all__ = ["chain_of", "settle_reservations"]


def settle_reservations(launchpad: LaunchPad, settings: Settings) -> list[str]:
    """Record what jobs that are over left on disk and put back what they did not finish.

    Returns
    -------
    list of str
        Paths of the calculations that were put back.
    """
    wanted = {"launch_id": 1, "fw_id": 1, "state_history": 1, "fworker.name": 1}
    reserved = list(launchpad.launches.find({"state": "RESERVED"}, wanted))
    jobs = {job for launch in reserved if (job := _reservation(launch)) is not None}
    there = jobs_there(sorted(jobs)) if jobs else {}
    names = []
    for launch in reserved:
        job = _reservation(launch)
        over = there[job] is False if job else is_alive(launch["fworker"]["name"]) is False
        if over:
            with atomic(launchpad):
                names += _settle(launchpad, settings, launch)
    return names


def _reservation(launch: dict[str, Any]) -> str | None:
    """Return the job that a launch is reserved for; None between reserving and submitting it."""
    found = [entry["reservation_id"] for entry in launch["state_history"] if "reservation_id" in entry]
    return str(found[-1]) if found else None


def _settle(launchpad: LaunchPad, settings: Settings, launch: dict[str, Any]) -> list[str]:
    """Deal with one reservation, still there or not."""
    fw = launchpad.fireworks.find_one({"fw_id": launch["fw_id"], "state": "RESERVED"})
    if fw is None:  # cancelled since
        launchpad.cancel_reservation(launch["launch_id"])
        return []
    recorded = [_record(launchpad, settings, fw_id) for fw_id in chain_of(launchpad, fw["fw_id"])]
    if recorded[0]:
        return []
    launchpad.cancel_reservation(launch["launch_id"])
    return [str(fw["name"])]


def _record(launchpad: LaunchPad, settings: Settings, fw_id: int) -> bool:
    """Record the outcome that the folder of a calculation tells; return whether there was one."""
    fw = launchpad.fireworks.find_one({"fw_id": fw_id, "state": {"$in": ["READY", "RESERVED"]}})
    if fw is None:
        return False
    folder = settings.resolved(fw["spec"]["folder"])
    outcome = _outcome(folder, fw["spec"]["calculation"])
    if outcome is None:
        return False
    _, launch_id = launchpad.checkout_fw(FWorker(name=worker_name()), str(folder), fw_id=fw_id)
    if launch_id is None:
        return False
    state, action = outcome
    launchpad.complete_launch(launch_id, action, state)
    return True


def _outcome(folder: Path, identity: str) -> tuple[str, FWAction] | None:
    if finished_id(folder) == identity:
        with suppress(ReaderError):  # cut off: the calculation runs again, which mends it
            result = Result.load(folder)
            return "COMPLETED", FWAction(stored_data={"energy": result.energy, "converged": result.converged})
        return None
    with suppress(ReaderError):
        failure = read_json(folder / FAILURE_FILE)
        if not failure.get("interrupted"):
            return "FIZZLED", FWAction(stored_data={"_message": failure.get("reason", "")}, exit=True)
    return None


def chain_of(launchpad: LaunchPad, fw_id: int) -> list[int]:
    """Return a calculation and those that follow from it, parents first, up to where a driver has to look."""
    workflow = launchpad.workflows.find_one({"nodes": fw_id}, {"links": 1, "nodes": 1}) or {"links": {}, "nodes": []}
    links = {int(key): value for key, value in workflow["links"].items()}
    found = launchpad.fireworks.find({"fw_id": {"$in": workflow["nodes"]}}, {"fw_id": 1, "spec.calculation": 1})
    looks = {fw["fw_id"] for fw in found if is_look(fw["spec"].get("calculation", ""))}

    def below(parent: int) -> Iterator[int]:
        yield parent
        for child in sorted(set(links.get(parent, [])) - looks):
            yield from below(child)

    return list(dict.fromkeys(below(fw_id)))
