"""Cancel, pause, resume and retry calculations: the user's word over the queue. Nothing on disk is deleted.

A worker that runs a cancelled calculation finds `CANCEL_FILE` in its folder, ends the program with its checkpoint
written, and goes on to the next one; what it then reports of the cancelled one changes nothing in the queue.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from heterodft.files import write_text
from heterodft.workflows.calculation import finished_id
from heterodft.workflows.control_files import CANCEL_FILE
from heterodft.workflows.queue.launchpad import atomic, open_launchpad, queue_errors
from heterodft.workflows.queue.schedulers import cancel_waiting_job

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from fireworks.core.launchpad import LaunchPad

    from heterodft.workflows.settings import Settings

__all__ = ["Cancelled", "cancel", "pause", "put_back", "rerun", "resume", "retry"]

_TO_COME = ("WAITING", "READY", "PAUSED")
_AT_ONCE = 200
"""Calculations changed in one transaction, so that workers are not kept waiting."""


@dataclass
class Cancelled:
    """What was cancelled, as paths.

    Attributes
    ----------
    waiting
        Had not started.
    running
        Were running; their workers end them.
    reserved
        Were given to a batch job, which leaves them out, or ends them where it has begun.
    jobs
        Batch jobs that still waited, with nothing else to do, and were cancelled with them.
    """

    waiting: list[str] = field(default_factory=list)
    running: list[str] = field(default_factory=list)
    reserved: list[str] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)


def cancel(settings: Settings, identities: Collection[str]) -> Cancelled:
    """Cancel calculations, named by their hashes, and every one that starts from them.

    Finished and failed ones are left as they are.

    Parameters
    ----------
    settings
        Launchpad and folder of the runs.
    identities
        Hashes of the requests.

    Raises
    ------
    QueueError
        If the queue cannot be used.
    """
    done = Cancelled()
    launchpad = open_launchpad(settings)
    for block in _blocks(identities):
        with queue_errors(settings), atomic(launchpad):
            for fw in _with_descendants(launchpad, block):
                _cancel_one(launchpad, settings, fw, done)
    with queue_errors(settings):
        idle = [job for job in dict.fromkeys(done.jobs) if not _has_work(launchpad, job)]
    done.jobs = [job for job in idle if cancel_waiting_job(job)]
    return done


def _has_work(launchpad: LaunchPad, job: str) -> bool:
    """Tell whether a calculation that was not cancelled is reserved for a batch job."""
    launches = launchpad.launches.find({"state": "RESERVED", "state_history.reservation_id": job}, {"fw_id": 1})
    wanted = [launch["fw_id"] for launch in launches]
    return launchpad.fireworks.find_one({"fw_id": {"$in": wanted}, "state": "RESERVED"}, {"fw_id": 1}) is not None


def _cancel_one(launchpad: LaunchPad, settings: Settings, fw: dict[str, Any], done: Cancelled) -> None:
    if fw["state"] in _TO_COME:
        launchpad.defuse_fw(fw["fw_id"])
        done.waiting.append(fw["name"])
    elif fw["state"] in ("RUNNING", "RESERVED"):
        # LaunchPad.defuse_fw would make it READY in between, when another worker may take it.
        job = launchpad.get_reservation_id_from_fw_id(fw["fw_id"])
        folder = settings.resolved(fw["spec"]["folder"])
        if folder.is_dir():  # a job without the queue hears of it by this only
            write_text(folder / CANCEL_FILE, "Written by heterodft cancel; heterodft retry removes it.\n")
        if fw["state"] == "RUNNING":
            done.running.append(fw["name"])
        else:
            done.reserved.append(fw["name"])
            done.jobs += [str(job)] if job else []
        changes = {"state": "DEFUSED", "updated_on": datetime.now(UTC)}
        launchpad.fireworks.update_one({"fw_id": fw["fw_id"], "state": fw["state"]}, {"$set": changes})
        launchpad._refresh_wf(fw["fw_id"])


def pause(settings: Settings, identities: Collection[str]) -> list[str]:
    """Keep workers from starting calculations, named by their hashes; what runs goes on.

    Returns
    -------
    list of str
        Paths of those that were waiting or ready and are paused now.

    Raises
    ------
    QueueError
        If the queue cannot be used.
    """
    return _change(settings, identities, ("WAITING", "READY"), lambda launchpad, fw: launchpad.pause_fw(fw["fw_id"]))


def resume(settings: Settings, identities: Collection[str]) -> list[str]:
    """Let paused calculations run again and return their paths.

    Raises
    ------
    QueueError
        If the queue cannot be used.
    """
    return _change(settings, identities, ("PAUSED",), lambda launchpad, fw: launchpad.resume_fw(fw["fw_id"]))


def retry(settings: Settings, identities: Collection[str], *, cancelled: bool = False) -> list[str]:
    """Put failed calculations back into the queue and return their paths; their checkpoints stay.

    Parameters
    ----------
    settings
        Launchpad and folder of the runs.
    identities
        Hashes of the requests.
    cancelled
        Put cancelled ones back, too, with the cancelled ones that start from them.

    Raises
    ------
    QueueError
        If the queue cannot be used.
    """
    states = ("FIZZLED", "DEFUSED") if cancelled else ("FIZZLED",)
    changed: list[str] = []
    launchpad = open_launchpad(settings)
    for block in _blocks(identities):
        with queue_errors(settings), atomic(launchpad):
            chosen = _entries(launchpad, {"spec.calculation": {"$in": block}, "state": {"$in": list(states)}})
            below = _below(launchpad, [fw["fw_id"] for fw in chosen]) if cancelled else []
            for fw in [*chosen, *(fw for fw in below if fw["state"] == "DEFUSED")]:
                put_back(launchpad, settings, fw)
                changed.append(fw["name"])
    return list(dict.fromkeys(changed))


def rerun(launchpad: LaunchPad, number: int) -> None:
    """Make an entry ready to run again; what starts from it and is cancelled or paused stays so."""
    with atomic(launchpad):
        below = _below(launchpad, [number])
        launchpad.rerun_fw(number)
        for fw in below:
            if fw["state"] == "DEFUSED":
                launchpad.defuse_fw(fw["fw_id"])
            elif fw["state"] == "PAUSED":
                launchpad.pause_fw(fw["fw_id"])


def put_back(launchpad: LaunchPad, settings: Settings, fw: dict[str, Any]) -> None:
    """Make a failed or cancelled calculation, given as its entry in the queue, ready to run.

    A cancelled one takes up the state of its launch: still running where its worker has not heard of it yet, done
    where it ended first. A batch job that was cancelled has left a reservation.
    """
    number, state, folder = fw["fw_id"], fw["state"], settings.resolved(fw["spec"]["folder"])
    with suppress(OSError):
        (folder / CANCEL_FILE).unlink(missing_ok=True)
    if state == "DEFUSED":
        launchpad.reignite_fw(number)
        found = launchpad.fireworks.find_one({"fw_id": number}, {"state": 1, "launches": 1}) or {}
        state = found.get("state")
        if state == "RESERVED":
            launchpad.cancel_reservation(found["launches"][-1])
    if state == "FIZZLED" or (state == "COMPLETED" and finished_id(folder) != fw["spec"]["calculation"]):
        rerun(launchpad, number)


def _change(
    settings: Settings,
    identities: Collection[str],
    states: Sequence[str],
    change: Callable[[LaunchPad, dict[str, Any]], Any],
) -> list[str]:
    """Change the calculations that are in some states and return their paths."""
    changed: list[str] = []
    launchpad = open_launchpad(settings)
    for block in _blocks(identities):
        with queue_errors(settings), atomic(launchpad):
            for fw in _entries(launchpad, {"spec.calculation": {"$in": block}, "state": {"$in": list(states)}}):
                change(launchpad, fw)
                changed.append(fw["name"])
    return changed


def _blocks(identities: Collection[str]) -> Iterator[list[str]]:
    ordered = list(identities)
    for start in range(0, len(ordered), _AT_ONCE):
        yield ordered[start : start + _AT_ONCE]


def _entries(launchpad: LaunchPad, query: dict[str, Any]) -> list[dict[str, Any]]:
    found = launchpad.fireworks.find(query, {"fw_id": 1, "name": 1, "state": 1, "spec": 1})
    return sorted((dict(fw) for fw in found), key=lambda fw: int(fw["fw_id"]))


def _with_descendants(launchpad: LaunchPad, identities: Sequence[str]) -> list[dict[str, Any]]:
    """Return unfinished entries and all that start from them, the last ones first, so that none becomes ready."""
    wanted = _entries(launchpad, {"spec.calculation": {"$in": list(identities)}})
    wanted = [fw for fw in wanted if fw["state"] not in ("COMPLETED", "FIZZLED")]
    known = {fw["fw_id"]: fw for fw in [*wanted, *_below(launchpad, [fw["fw_id"] for fw in wanted])]}
    return [known[number] for number in sorted(known, reverse=True)]


def _below(launchpad: LaunchPad, numbers: Sequence[int]) -> list[dict[str, Any]]:
    """Return the entries that start from others, in the order they run."""
    below: set[int] = set()
    for workflow in launchpad.workflows.find({"nodes": {"$in": list(numbers)}}, {"links": 1}):
        links = {int(parent): children for parent, children in workflow["links"].items()}
        ahead = [number for number in numbers if number in links]
        while ahead:
            children = links.get(ahead.pop(), [])
            ahead += [child for child in children if child not in below]
            below.update(children)
    return _entries(launchpad, {"fw_id": {"$in": sorted(below)}}) if below else []
