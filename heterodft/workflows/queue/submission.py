"""Putting calculations into the queue, each once.

Everything is decided first; then folders are moved and written; the queue changes last, in one transaction where the
launchpad can do so. A submission that is refused or killed can be repeated and ends in the same place.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fireworks import Firework, Workflow

from heterodft.errors import CalculationError, InputError, QueueError, StorageError
from heterodft.files import make_folder
from heterodft.workflows.calculation import REQUEST_FILE, finished_id, read_request, write_request
from heterodft.workflows.handover import has_density
from heterodft.workflows.queue.control import put_back
from heterodft.workflows.queue.firetasks import RunCalculation
from heterodft.workflows.queue.launchpad import atomic, open_launchpad, queue_errors

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from fireworks.core.launchpad import LaunchPad

    from heterodft.workflows.calculation import Request
    from heterodft.workflows.settings import Settings

__all__ = ["Submission", "submit"]

_BUSY = ("RUNNING", "RESERVED")


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


def submit(chains: Sequence[Sequence[Request]], settings: Settings, *, command: str | None = None) -> Submission:
    """Put chains of requests into the queue, leaving out what is there or finished.

    Parameters
    ----------
    chains
        The steps of each configuration, in the order they run.
    settings
        Launchpad and folder of the runs.
    command
        How to start pw.x for these, instead of the settings of the worker.

    Raises
    ------
    StorageError
        If a folder cannot be written; nothing is then queued.
    QueueError
        If the queue cannot be used, or a calculation in the way is running.
    InputError
        If a calculation can be written, but not run yet.
    """
    _refuse_unrunnable(chains)
    launchpad = open_launchpad(settings)
    with queue_errors(settings), atomic(launchpad):
        submitter = _Submitter(launchpad, settings, command)
        for chain in chains:
            for request in chain:
                submitter.refuse_running(request)
        for chain in chains:
            submitter.submit_chain(chain)
    return submitter.report


def _refuse_unrunnable(chains: Sequence[Sequence[Request]]) -> None:
    for request in (request for chain in chains for request in chain):
        if request.directions is not None or request.spin_orbit:
            raise InputError(
                "magnetism: noncollinear runs cannot be read yet; write their inputs with: heterodft inputs FILE"
            )


class _Submitter:
    """One submission under way."""

    def __init__(self, launchpad: LaunchPad, settings: Settings, command: str | None):
        self.launchpad, self.settings, self.command = launchpad, settings, command
        self.report = Submission()

    def _find(self, query: dict[str, Any]) -> dict[str, Any] | None:
        found = self.launchpad.fireworks.find_one(query, {"fw_id": 1, "state": 1, "spec": 1})
        return None if found is None else dict(found)

    def _folder(self, request: Request) -> Path:
        return self.settings.runs / request.path

    def refuse_running(self, request: Request) -> None:
        """Refuse to touch a folder in which another calculation runs."""
        folder = self._folder(request)
        there = self.launchpad.fireworks.find({"spec.folder": self.settings.stored(folder)}, {"state": 1, "spec": 1})
        if any(fw["state"] in _BUSY and fw["spec"]["calculation"] != request.id for fw in there):
            raise QueueError(f"{folder} is running with other settings; wait until it ends, or use another name")

    def submit_chain(self, chain: Sequence[Request]) -> None:
        """Queue the steps of a configuration that are neither finished nor in the queue."""
        new: list[Request] = []
        queued: dict[str, int] = {}  # entry of each step that is in the queue already
        for number, request in enumerate(chain):
            folder = self._folder(request)
            self._clear(folder, request)
            entry = self._find({"spec.calculation": request.id})
            if entry is not None and entry["spec"]["folder"] != self.settings.stored(folder):
                self._share(request, folder, entry, chain[number + 1 :])
                queued[request.id] = entry["fw_id"]
            elif finished_id(folder) == request.id and self._is_complete(request, folder, chain[number + 1 :]):
                self.report.done.append(request.path)
            elif entry is None:
                write_request(request, folder)
                self.report.queued.append(request.path)
                new.append(request)
            else:
                self._remind(request, folder, entry)
                queued[request.id] = entry["fw_id"]
        self._enqueue(new, queued)

    def _enqueue(self, new: Sequence[Request], queued: dict[str, int]) -> None:
        """Add new steps below the steps in the queue that they start from."""
        below: dict[int | None, list[Request]] = {}
        entry_of: dict[str, int | None] = dict(queued)
        for request in new:
            entry_of[request.id] = entry_of.get(request.parent or "")
            below.setdefault(entry_of[request.id], []).append(request)
        for parent, requests in below.items():
            if parent is None:
                self.launchpad.add_wf(self._workflow(requests))
            else:
                self.launchpad.append_wf(self._workflow(requests), [parent])

    def _share(self, request: Request, folder: Path, entry: dict[str, Any], later: Sequence[Request]) -> None:
        """Link the folder of the same calculation elsewhere; it runs again if it lost what is needed."""
        owner = self.settings.resolved(entry["spec"]["folder"])
        _link(folder, owner)
        if entry["state"] == "FIZZLED":
            self.report.failed.append(request.path)
            return
        self.report.shared.append(request.path)
        finished = entry["state"] == "COMPLETED" and finished_id(owner) == request.id
        if finished and not self._is_complete(request, owner, later):
            self.launchpad.rerun_fw(entry["fw_id"])

    def _is_complete(self, request: Request, folder: Path, later: Sequence[Request]) -> bool:
        """Tell whether a finished step still has what a later, unfinished one needs; if not, it must run again."""
        needed = any(r.parent == request.id and not self._is_finished(r) for r in later)
        if not needed or has_density(folder):
            return True
        (folder / "result.json").replace(folder / "result-without-density.json")
        return False

    def _is_finished(self, request: Request) -> bool:
        """Tell whether there is a result, here or where another campaign has the same calculation."""
        entry = self._find({"spec.calculation": request.id})
        folders = [self._folder(request)] + ([self.settings.resolved(entry["spec"]["folder"])] if entry else [])
        return any(finished_id(folder) == request.id for folder in folders)

    def _remind(self, request: Request, folder: Path, entry: dict[str, Any]) -> None:
        """Deal with a calculation that is queued here already."""
        write_request(request, folder)
        if entry["state"] == "FIZZLED":
            self.report.failed.append(request.path)
        elif entry["state"] == "DEFUSED":
            put_back(self.launchpad, self.settings, entry)
            self.report.queued.append(request.path)
        elif entry["state"] in ("COMPLETED", "ARCHIVED"):  # its result or its folder was taken away
            self.launchpad.rerun_fw(entry["fw_id"])
            self.report.queued.append(request.path)
        else:
            self.report.waiting.append(request.path)

    def _clear(self, folder: Path, request: Request) -> None:
        """Move an older calculation with other settings out of the way; bring back an earlier one."""
        here = _identity_in(folder)
        if folder.is_symlink():
            if here != request.id:
                folder.unlink()
            return
        self._defuse_others(folder, request)
        if here is not None and here != request.id:
            self._move(folder, folder.with_name(f"{folder.name}-{here}"), here)
            self.report.replaced.append(f"{request.path}-{here}")
        kept = folder.with_name(f"{folder.name}-{request.id}")
        if kept.is_dir() and not folder.exists():
            self._move(kept, folder, request.id)

    def _defuse_others(self, folder: Path, request: Request) -> None:
        """Take older entries for the same folder out of the queue."""
        query = {"spec.folder": self.settings.stored(folder), "spec.calculation": {"$ne": request.id}}
        for fw in list(self.launchpad.fireworks.find(query, {"fw_id": 1, "state": 1})):
            if fw["state"] in ("READY", "WAITING", "PAUSED", "FIZZLED"):
                self.launchpad.defuse_fw(fw["fw_id"])

    def _move(self, source: Path, target: Path, identity: str) -> None:
        """Move a calculation to another folder and let the queue know."""
        try:
            source.rename(target)
        except OSError as error:
            raise StorageError(f"cannot move {source} to {target}: {error.strerror}") from error
        self.launchpad.fireworks.update_many(
            {"spec.calculation": identity, "spec.folder": self.settings.stored(source)},
            {"$set": {"spec.folder": self.settings.stored(target)}},
        )

    def _workflow(self, requests: Sequence[Request]) -> Workflow:
        fireworks: dict[str, Firework] = {}
        for number, request in enumerate(requests, start=-len(requests)):  # lowest first: ids are given in this order
            spec = {"folder": self.settings.stored(self._folder(request)), "calculation": request.id}
            if self.command is not None:
                spec["command"] = self.command
            parent = fireworks.get(request.parent or "")
            fireworks[request.id] = Firework(
                [RunCalculation()], spec=spec, name=request.path, parents=[parent] if parent else [], fw_id=number
            )
        first = requests[0]
        name = first.path.rpartition("/")[0]
        return Workflow(list(fireworks.values()), name=name, metadata={"campaign": first.about["campaign"]})


def _identity_in(folder: Path) -> str | None:
    """Return the identity of the request in a folder; None when there is none, ``unreadable`` when it is damaged."""
    if not (folder / REQUEST_FILE).is_file():
        return None
    try:
        return read_request(folder).id
    except CalculationError:
        return "unreadable"


def _link(folder: Path, target: Path) -> None:
    """Show the folder of a shared calculation where this campaign would have it."""
    if folder.is_symlink():
        folder.unlink()
    if folder.exists():
        return
    make_folder(folder.parent)
    try:
        folder.symlink_to(os.path.relpath(target, folder.parent), target_is_directory=True)
    except OSError as error:
        raise StorageError(f"cannot link {folder}: {error.strerror}") from error
