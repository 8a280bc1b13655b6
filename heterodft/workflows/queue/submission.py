"""Putting calculations into the queue, each once.

Everything is decided first; then folders are moved and written; the queue changes last, in one transaction where the
launchpad can do so. A submission that is refused or killed can be repeated and ends in the same place.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fireworks import Firework, Workflow

from heterodft.errors import CalculationError, QueueError, StorageError
from heterodft.files import make_folder
from heterodft.workflows.calculation import REQUEST_FILE, finished_id, read_request, write_request
from heterodft.workflows.handover import has_density
from heterodft.workflows.queue.control import put_back, rerun
from heterodft.workflows.queue.entries import UNFINISHED, Entries, Entry
from heterodft.workflows.queue.firetasks import RunCalculation
from heterodft.workflows.queue.launchpad import add_workflows, exclusive, open_launchpad, queue_errors
from heterodft.workflows.queue.orphans import find_orphans
from heterodft.workflows.state.changed import (
    is_in_other_state,
    is_released,
    mark_again,
    set_aside,
    what_is_to_be_done,
)
from heterodft.workflows.state.choice import unreached_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fireworks.core.launchpad import LaunchPad

    from heterodft.workflows.calculation import Request
    from heterodft.workflows.settings import Settings

__all__ = ["Submission", "Submitter", "submit"]

_BUSY = ("RUNNING", "RESERVED")
_TAKEN_OUT = ("DEFUSED", "ARCHIVED")


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
    orphaned
        In the queue or finished, but no longer asked for.
    notes
        What must be known besides, in words.
    """

    queued: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    orphaned: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def submit(chains: Sequence[Sequence[Request]], settings: Settings, *, command: str | None = None) -> Submission:
    """Put chains of requests into the queue, leaving out what is there or finished.

    Parameters
    ----------
    chains
        The steps of each configuration, in the order they run; all of a campaign, or the rest counts as orphaned.
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
    """
    launchpad = open_launchpad(settings)
    with queue_errors(settings), exclusive(launchpad):
        submitter = Submitter(launchpad, settings, command)
        submitter.decide(chains)
        submitter.enqueue()
        submitter.find_orphans(chains)
    return submitter.report


class Submitter:
    """One submission under way, in an `exclusive` block.

    Parameters
    ----------
    launchpad, settings, command
        As in `submit`.
    """

    def __init__(self, launchpad: LaunchPad, settings: Settings, command: str | None):
        self.launchpad, self.settings, self.command = launchpad, settings, command
        self.report = Submission()
        self._entries = Entries(launchpad)
        self._runs = settings.stored(settings.runs)
        self._groups: list[tuple[int | None, list[Request]]] = []  # new steps, below an entry of the queue or none
        self._group_of: dict[str, list[Request]] = {}
        self._asked: list[str] = []  # identities
        self._again: set[str] = set()  # identities of steps that are to reach another state than they did
        self._links: dict[Path, list[Path]] | None = None  # of shared calculations, by the folder they show

    def decide(self, chains: Sequence[Sequence[Request]]) -> None:
        """Decide for every chain, and write what is neither finished nor in the queue.

        Raises
        ------
        QueueError
            If a calculation in the way is running.
        """
        for chain in chains:
            for request in chain:
                self.refuse_running(request)
                self._asked.append(request.id)
        for chain in chains:
            self.submit_chain(chain)

    def in_the_way(self, chains: Sequence[Sequence[Request]]) -> int | None:
        """Return the number of an entry that runs other settings in a folder of some chains."""
        return next((number for chain in chains for request in chain if (number := self._busy(request))), None)

    def _busy(self, request: Request) -> int | None:
        there = self._entries.in_folder(self._stored(request.path))
        return next((e.fw_id for e in there if e.state in _BUSY and e.identity != request.id), None)

    def _folder(self, request: Request) -> Path:
        return self.settings.runs / request.path

    def _stored(self, path: str) -> str:
        """Return the folder of a path as the queue keeps it."""
        return os.path.normpath(f"{self._runs}/{path}")

    def refuse_running(self, request: Request) -> None:
        """Refuse to touch a folder in which another calculation runs."""
        if self._busy(request) is not None:
            raise QueueError(
                f"{self._folder(request)} is running with other settings; wait until it ends, or use another name"
            )

    def submit_chain(self, chain: Sequence[Request]) -> None:
        """Decide for the steps of a configuration, and write those that are neither finished nor in the queue."""
        new: list[Request] = []
        queued: dict[str, Entry] = {}  # entry of each step that is in the queue already
        for number, request in enumerate(chain):
            folder, later = self._folder(request), chain[number + 1 :]
            self._clear(folder, request)
            entry = self._entries.find(request.id)
            if entry is not None and self._is_abandoned(entry, request):
                self._take_over(entry, request, folder)
            if entry is not None and entry.folder != self._stored(request.path):
                self._share(request, folder, entry, later)
                queued[request.id] = entry
            elif self._is_done(request, folder, later):
                self.report.done.append(request.path)
            elif entry is None:
                write_request(request, folder)
                self.report.queued.append(request.path)
                new.append(request)
            else:
                self._remind(request, folder, entry)
                queued[request.id] = entry
        self._group(new, queued)

    def _group(self, new: Sequence[Request], queued: dict[str, Entry]) -> None:
        """Note new steps to be added below the steps that they start from, and show them to later chains."""
        roots: list[Request] = []
        for request in new:
            entry = queued.get(request.parent or "") or self._to_come(request.parent)
            group = self._group_of.get(request.parent or "")
            if group is None and entry is not None:
                group = []
                self._groups.append((entry.fw_id, group))
            elif group is None:
                if not roots:
                    self._groups.append((None, roots))
                group = roots
            group.append(request)
            self._group_of[request.id] = group
            self._entries.add(Entry(request.id, None, "WAITING", request.path, self._stored(request.path)))

    def _to_come(self, identity: str | None) -> Entry | None:
        """Return the entry of a step of another configuration that is in the queue and not finished."""
        entry = self._entries.find(identity)
        return entry if entry is not None and entry.fw_id is not None and entry.state in UNFINISHED else None

    def enqueue(self) -> None:
        """Add the new steps to the queue."""
        add_workflows(self.launchpad, [self._workflow(group) for parent, group in self._groups if parent is None])
        self._append()

    def _append(self, *, tell_failures: bool = False) -> None:
        for parent, group in self._groups:
            if parent is not None:
                steps = self._fireworks(group, below=True, tell_failures=tell_failures)
                self.launchpad.append_wf(Workflow(steps), [parent])

    def _unfinished(self) -> Entry | None:
        """Return an entry of what was asked for that runs, or will."""
        entries = Entries(self.launchpad)
        asked = [entry for identity in self._asked if (entry := entries.find(identity)) is not None]
        return next((e for e in asked if e.state in UNFINISHED and not self._is_stuck(e)), None)

    def _is_stuck(self, entry: Entry) -> bool:
        """Tell whether an entry waits for one that failed or was taken out of the queue."""
        workflow = self.launchpad.workflows.find_one({"nodes": entry.fw_id}, {"links": 1, "fw_states": 1})
        ahead = [entry.fw_id] if entry.state == "WAITING" and workflow else []
        while ahead:
            number = ahead.pop()
            fw = self.launchpad.fireworks.find_one({"fw_id": number}, {"spec": 1})
            bad = _TAKEN_OUT if fw["spec"].get("_allow_fizzled_parents") else (*_TAKEN_OUT, "FIZZLED")
            above = [int(parent) for parent, children in workflow["links"].items() if number in children]
            if any(workflow["fw_states"][str(parent)] in bad for parent in above):
                return True
            ahead += [parent for parent in above if workflow["fw_states"][str(parent)] == "WAITING"]
        return False

    def enqueue_before(self, last: Firework, look: int) -> bool:
        """Add the new steps to the queue below the look that asks for them, and its next look behind them.

        Where all are in the queue already, the next look is added there, behind one that is not finished: it may run
        before the others are.

        Returns
        -------
        bool
            False where there is nothing to wait for; the next look is not in the queue then.
        """
        self._append(tell_failures=True)
        groups = [self._fireworks(group, tell_failures=True) for parent, group in self._groups if parent is None]
        fireworks = [firework for group in groups for firework in group]
        if fireworks:
            for number, firework in enumerate([*fireworks, last], start=-len(fireworks) - 1):
                firework.fw_id = number
            above = {id(parent) for firework in fireworks for parent in firework.parents}
            last.parents = [firework for firework in fireworks if id(firework) not in above]
            self.launchpad.append_wf(Workflow([*fireworks, last]), [look])
            return True
        waiting = self._unfinished()
        if waiting is not None:
            self.launchpad.append_wf(Workflow([last]), [waiting.fw_id])
        return waiting is not None

    def find_orphans(self, chains: Sequence[Sequence[Request]]) -> None:
        """Note what the campaigns of the requests have and no longer ask for."""
        wanted = {request.path for chain in chains for request in chain}
        campaigns = {path.partition("/")[0] for path in wanted}
        self.report.orphaned = find_orphans(self.settings.runs, campaigns, wanted, self._entries)

    def _is_abandoned(self, entry: Entry, request: Request) -> bool:
        """Tell whether a calculation was taken out of the queue where another campaign has it, without a result."""
        if entry.folder == self._stored(request.path) or entry.state not in _TAKEN_OUT:
            return False
        return finished_id(self.settings.resolved(entry.folder)) != request.id

    def _take_over(self, entry: Entry, request: Request, folder: Path) -> None:
        """Make a calculation that another campaign gave up one of this campaign."""
        if folder.is_symlink():
            folder.unlink()
        stored = self._stored(request.path)
        change = {"name": request.path, "spec.folder": stored}
        self.launchpad.fireworks.update_one({"fw_id": entry.fw_id}, {"$set": change})
        self._entries.move(entry, stored)
        entry.name = request.path

    def _share(self, request: Request, folder: Path, entry: Entry, later: Sequence[Request]) -> None:
        """Link the folder of the same calculation elsewhere; it runs again if it lost what is needed."""
        owner = self.settings.resolved(entry.folder)
        _link(folder, owner)
        if entry.state == "FIZZLED":
            self.report.failed.append(request.path)
            return
        self.report.shared.append(request.path)
        self._tell_other_choice(request, owner)
        lost = finished_id(owner) != request.id or not self._is_complete(request, owner, later)
        if entry.state == "COMPLETED" and lost:
            rerun(self.launchpad, entry.fw_id or 0)

    def _tell_other_choice(self, request: Request, owner: Path) -> None:
        """Note where a calculation shared with another campaign is not dealt with as this campaign asks."""
        with suppress(CalculationError):
            theirs, ours = unreached_of(read_request(owner)), unreached_of(request)
            if theirs != ours and (is_in_other_state(owner) or finished_id(owner) != request.id):
                self.report.notes.append(
                    f"{request.path} is a calculation of {owner}, where unreached: {theirs.choice} holds; "
                    f"the unreached: {ours.choice} of this campaign does not change it"
                )

    def _is_done(self, request: Request, folder: Path, later: Sequence[Request]) -> bool:
        """Tell whether a step is finished, also by what its user wants done about its state now."""
        if finished_id(folder) != request.id:
            return False
        todo = what_is_to_be_done(request, folder)
        if todo == "mark":
            write_request(request, folder)
            mark_again(request, folder)
        elif todo == "run":
            write_request(request, folder)
            set_aside(folder)
        if todo == "run" or request.parent in self._again:  # the worker finds out what is outdated
            self._again.add(request.id)
            return False
        return self._is_complete(request, folder, later)

    def _is_complete(self, request: Request, folder: Path, later: Sequence[Request]) -> bool:
        """Tell whether a finished step still has what a later, unfinished one needs; if not, it must run again."""
        needed = any(r.parent == request.id and not self._is_finished(r) for r in later)
        if not needed or has_density(folder):
            return True
        (folder / "result.json").replace(folder / "result-without-density.json")
        return False

    def _is_finished(self, request: Request) -> bool:
        """Tell whether there is a result, here or where another campaign has the same calculation."""
        entry = self._entries.find(request.id)
        folders = [self._folder(request)] + ([self.settings.resolved(entry.folder)] if entry else [])
        return any(finished_id(folder) == request.id for folder in folders)

    def _remind(self, request: Request, folder: Path, entry: Entry) -> None:
        """Deal with a calculation that is queued here already."""
        if _text_in(folder) != request.to_text():
            write_request(request, folder)
        if entry.state == "FIZZLED" and not is_released(request, folder):
            self.report.failed.append(request.path)
        elif entry.state in ("COMPLETED", "FIZZLED", *_TAKEN_OUT):  # its result or its folder was taken away
            self._revive(entry)
            self.report.queued.append(request.path)
        else:
            self.report.waiting.append(request.path)

    def _revive(self, entry: Entry) -> None:
        """Make an entry that ended or was taken out run again."""
        if entry.state == "ARCHIVED":  # from which FireWorks brings none back
            self.launchpad.fireworks.update_one({"fw_id": entry.fw_id}, {"$set": {"state": "DEFUSED"}})
        state = entry.state if entry.state in ("COMPLETED", "FIZZLED") else "DEFUSED"
        spec = {"folder": entry.folder, "calculation": entry.identity}
        put_back(self.launchpad, self.settings, {"fw_id": entry.fw_id, "state": state, "spec": spec})
        entry.state = "WAITING"

    def _clear(self, folder: Path, request: Request) -> None:
        """Move an older calculation with other settings out of the way; bring back an earlier one."""
        if not os.path.lexists(folder.parent):
            self._defuse_others(request)
            return
        here = request.id if _text_in(folder) == request.to_text() else _identity_in(folder)
        if folder.is_symlink():
            if here != request.id:
                folder.unlink()
            return
        self._defuse_others(request)
        if here is not None and here != request.id:
            self._move(request.path, f"{request.path}-{here}", here)
            self.report.replaced.append(f"{request.path}-{here}")
        kept = f"{request.path}-{request.id}"
        if not folder.exists() and (self.settings.runs / kept).is_dir():
            self._move(kept, request.path, request.id)

    def _defuse_others(self, request: Request) -> None:
        """Take older entries for the same folder out of the queue."""
        for entry in self._entries.in_folder(self._stored(request.path)):
            if entry.identity != request.id and entry.state in ("READY", "WAITING", "PAUSED", "FIZZLED"):
                self.launchpad.defuse_fw(entry.fw_id)
                entry.state = "DEFUSED"

    def _move(self, source: str, target: str, identity: str) -> None:
        """Move a calculation to another folder and let the queue know."""
        runs = self.settings.runs
        try:
            (runs / source).rename(runs / target)
        except OSError as error:
            raise StorageError(f"cannot move {runs / source} to {target}: {error.strerror}") from error
        self._follow(runs / source, runs / target)
        entry = self._entries.find(identity)
        if entry is not None and entry.folder == self._stored(source):
            stored = self._stored(target)
            self.launchpad.fireworks.update_one({"fw_id": entry.fw_id}, {"$set": {"spec.folder": stored}})
            self._entries.move(entry, stored)

    def _follow(self, source: Path, target: Path) -> None:
        """Let the other campaigns that share a calculation find it where it was moved."""
        if self._links is None:
            self._links = {}
            for link in self.settings.runs.glob("*/*/*/*/*"):
                if link.is_symlink():
                    shown = Path(os.path.normpath(link.parent / link.readlink()))
                    self._links.setdefault(shown, []).append(link)
        links = [link for link in self._links.pop(source, []) if link.is_symlink()]
        for link in links:
            _link(link, target)
        self._links.setdefault(target, []).extend(links)

    def _workflow(self, requests: Sequence[Request]) -> Workflow:
        first = requests[0]
        name = first.path.rpartition("/")[0]
        return Workflow(self._fireworks(requests), name=name, metadata={"campaign": first.about["campaign"]})

    def _fireworks(
        self, requests: Sequence[Request], *, below: bool = False, tell_failures: bool = False
    ) -> list[Firework]:
        """Return the entries of steps, which may be to go below one of the queue.

        To tell failures, those after a failed one fail as well instead of waiting.
        """
        fireworks: dict[str, Firework] = {}
        for number, request in enumerate(requests, start=-len(requests)):  # lowest first: ids are given in this order
            spec: dict[str, Any] = {"folder": self._stored(request.path), "calculation": request.id}
            if self.command is not None:
                spec["command"] = self.command
            parent = fireworks.get(request.parent or "")
            if tell_failures and (below or parent is not None):
                spec["_allow_fizzled_parents"] = True
            fireworks[request.id] = Firework(
                [RunCalculation()], spec=spec, name=request.path, parents=[parent] if parent else [], fw_id=number
            )
        return list(fireworks.values())


def _text_in(folder: Path) -> str | None:
    try:
        return (folder / REQUEST_FILE).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


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
