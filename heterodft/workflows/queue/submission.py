"""Putting calculations into the queue, each once."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fireworks import Firework, Workflow

from heterodft.errors import QueueError, StorageError
from heterodft.files import make_folder
from heterodft.workflows.calculation import REQUEST_FILE, read_request, write_request
from heterodft.workflows.queue.firetasks import RunCalculation
from heterodft.workflows.queue.launchpad import EmbeddedLaunchPad, open_launchpad, queue_errors
from heterodft.workflows.runner import finished_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from fireworks.core.launchpad import LaunchPad

    from heterodft.workflows.calculation import Request
    from heterodft.workflows.settings import Settings

__all__ = ["Submission", "submit"]


@dataclass
class Submission:
    """What became of each calculation, as paths below the folder of all runs.

    Attributes
    ----------
    queued
        New in the queue.
    waiting
        There already, not finished.
    done
        Finished already; the result is on disk.
    failed
        There already, failed earlier.
    shared
        The same calculation as another one, whose folder is linked.
    replaced
        Older calculations in the way, moved aside.
    """

    queued: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)


def submit(chains: Sequence[Sequence[Request]], settings: Settings) -> Submission:
    """Put chains of requests into the queue, leaving out what is there or finished.

    Parameters
    ----------
    chains
        The steps of each configuration, in the order they run.
    settings
        Launchpad and folder of the runs.

    Raises
    ------
    StorageError
        If a folder cannot be written; nothing is then queued.
    QueueError
        If the queue cannot be used, or a calculation in the way is running.
    """
    launchpad = open_launchpad(settings)
    transaction = launchpad.connection.transaction() if isinstance(launchpad, EmbeddedLaunchPad) else nullcontext()
    report = Submission()
    with queue_errors(settings), transaction:
        known = _known(launchpad, [request.id for chain in chains for request in chain])
        workflows, appended = [], []
        for chain in chains:
            new, parent = _sort_out(chain, known, launchpad, settings.runs, report)
            if new and parent is None:
                workflows.append(_workflow(new, settings.runs))
            elif new:
                appended.append((_workflow(new, settings.runs), parent))
            for request in new:
                known[request.id] = {"state": "NEW", "folder": str(settings.runs / request.path), "fw_id": None}
        for workflow in workflows:
            launchpad.add_wf(workflow)
        for workflow, parent in appended:
            launchpad.append_wf(workflow, [parent])
    return report


def _known(launchpad: LaunchPad, identities: list[str]) -> dict[str, dict[str, Any]]:
    found = launchpad.fireworks.find({"spec.calculation": {"$in": identities}}, {"fw_id": 1, "state": 1, "spec": 1})
    return {
        fw["spec"]["calculation"]: {"fw_id": fw["fw_id"], "state": fw["state"], "folder": fw["spec"]["folder"]}
        for fw in found
    }


def _sort_out(
    chain: Sequence[Request],
    known: dict[str, dict[str, Any]],
    launchpad: LaunchPad,
    runs: Path,
    report: Submission,
) -> tuple[list[Request], int | None]:
    """Return the requests to queue, and the queued calculation they must wait for."""
    new: list[Request] = []
    parent = None
    for request in chain:
        folder = runs / request.path
        entry = known.get(request.id)
        if entry is not None and entry["folder"] != str(folder):
            report.shared.append(request.path)
            _link(folder, entry["folder"])
            parent = entry["fw_id"]
            continue
        _clear(folder, request, launchpad, report)
        if finished_id(folder) == request.id:
            report.done.append(request.path)
            parent = None
        elif entry is None:
            write_request(request, folder)
            report.queued.append(request.path)
            new.append(request)
        else:
            _remind(launchpad, request, folder, entry, report)
            parent = entry["fw_id"]
    return new, parent


def _remind(launchpad: LaunchPad, request: Request, folder: Path, entry: dict[str, Any], report: Submission) -> None:
    """Deal with a calculation that is queued here already."""
    write_request(request, folder)
    if entry["state"] == "FIZZLED":
        report.failed.append(request.path)
    elif entry["state"] in ("COMPLETED", "DEFUSED", "ARCHIVED"):  # its result or its folder was taken away
        if entry["state"] == "DEFUSED":
            launchpad.reignite_fw(entry["fw_id"])
        launchpad.rerun_fw(entry["fw_id"])
        report.queued.append(request.path)
    else:
        report.waiting.append(request.path)


def _link(folder: Path, target: str) -> None:
    """Show the folder of a shared calculation where this campaign would have it."""
    if folder.is_symlink() or folder.exists():
        return
    make_folder(folder.parent)
    try:
        folder.symlink_to(os.path.relpath(target, folder.parent), target_is_directory=True)
    except OSError as error:
        raise StorageError(f"cannot link {folder}: {error.strerror}") from error


def _clear(folder: Path, request: Request, launchpad: LaunchPad, report: Submission) -> None:
    """Move an older calculation with other settings out of the way; bring back an earlier one."""
    if (folder / REQUEST_FILE).is_file():
        old = read_request(folder).id
        if old == request.id:
            return
        queued = launchpad.fireworks.find_one({"spec.calculation": old}, {"fw_id": 1, "state": 1})
        if queued is not None and queued["state"] in ("RUNNING", "RESERVED"):
            raise QueueError(f"{folder} is running with other settings; wait until it ends, or use another name")
        if queued is not None and queued["state"] in ("READY", "WAITING", "PAUSED", "FIZZLED"):
            launchpad.defuse_fw(queued["fw_id"])
        folder.rename(folder.with_name(f"{folder.name}-{old}"))
        report.replaced.append(f"{request.path}-{old}")
    kept = folder.with_name(f"{folder.name}-{request.id}")
    if kept.is_dir():
        kept.rename(folder)


def _workflow(requests: Sequence[Request], runs: Path) -> Workflow:
    fireworks: list[Firework] = []
    for number, request in enumerate(requests, start=-len(requests)):  # lowest first: ids are given in this order
        folder = str(runs / request.path)
        fireworks.append(
            Firework(
                [RunCalculation()],
                spec={"folder": folder, "calculation": request.id, "_launch_dir": folder},
                name=request.path,
                parents=fireworks[-1:],
                fw_id=number,
            )
        )
    first = requests[0]
    return Workflow(
        fireworks, name="/".join(first.path.split("/")[:-1]), metadata={"campaign": first.about["campaign"]}
    )
