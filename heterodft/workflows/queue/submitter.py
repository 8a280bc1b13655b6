"""Deciding for each calculation of a submission: it is finished, in the queue already, shared, or new."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from heterodft.errors import CalculationError, QueueError
from heterodft.workflows.calculation import finished_id, read_request, write_request
from heterodft.workflows.handover import has_density
from heterodft.workflows.queue.additions import Additions
from heterodft.workflows.queue.control import put_back, rerun
from heterodft.workflows.queue.entries import TAKEN_OUT, Entries, Entry
from heterodft.workflows.queue.orphans import find_orphans
from heterodft.workflows.queue.submitted_folders import SubmittedFolders, link_folder, text_in
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
    from pathlib import Path

    from fireworks import Firework
    from fireworks.core.launchpad import LaunchPad

    from heterodft.workflows.calculation import Request
    from heterodft.workflows.queue.submission import Submission
    from heterodft.workflows.settings import Settings

__all__ = ["Submitter"]

_BUSY = ("RUNNING", "RESERVED")


class Submitter:
    """One submission under way, in an `exclusive` block.

    Parameters
    ----------
    launchpad, settings, command
        As in `heterodft.workflows.queue.submission.submit`.
    report
        What became of each calculation goes there.
    """

    def __init__(self, launchpad: LaunchPad, settings: Settings, command: str | None, report: Submission):
        self.launchpad, self.settings, self.report = launchpad, settings, report
        self._entries = Entries(launchpad)
        self._folders = SubmittedFolders(launchpad, settings, self._entries)
        self._additions = Additions(launchpad, self._entries, self._folders.stored, command)
        self._asked: list[str] = []  # identities
        self._again: set[str] = set()  # identities of steps that are to reach another state than they did

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
        there = self._entries.in_folder(self._folders.stored(request.path))
        return next((e.fw_id for e in there if e.state in _BUSY and e.identity != request.id), None)

    def refuse_running(self, request: Request) -> None:
        """Refuse to touch a folder in which another calculation runs."""
        if self._busy(request) is not None:
            raise QueueError(
                f"{self._folders.of(request)} is running with other settings; wait until it ends, or use another name"
            )

    def submit_chain(self, chain: Sequence[Request]) -> None:
        """Decide for the steps of a configuration, and write those that are neither finished nor in the queue."""
        new: list[Request] = []
        queued: dict[str, Entry] = {}  # entry of each step that is in the queue already
        for number, request in enumerate(chain):
            folder, later = self._folders.of(request), chain[number + 1 :]
            self.report.replaced += self._folders.clear(request)
            entry = self._entries.find(request.id)
            if entry is not None and self._is_abandoned(entry, request):
                self._take_over(entry, request, folder)
            if entry is not None and entry.folder != self._folders.stored(request.path):
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
        self._additions.note(new, queued)

    def enqueue(self) -> None:
        """Add the new steps to the queue."""
        self._additions.enqueue()

    def enqueue_before(self, last: Firework, look: int) -> bool:
        """Add the new steps below a look and its next look behind them, see `Additions.enqueue_before`."""
        return self._additions.enqueue_before(last, look, self._asked)

    def find_orphans(self, chains: Sequence[Sequence[Request]]) -> None:
        """Note what the campaigns of the requests have and no longer ask for."""
        wanted = {request.path for chain in chains for request in chain}
        campaigns = {path.partition("/")[0] for path in wanted}
        self.report.orphaned = find_orphans(self.settings.runs, campaigns, wanted, self._entries)

    def _is_abandoned(self, entry: Entry, request: Request) -> bool:
        """Tell whether a calculation was taken out of the queue where another campaign has it, without a result."""
        if entry.folder == self._folders.stored(request.path) or entry.state not in TAKEN_OUT:
            return False
        return finished_id(self.settings.resolved(entry.folder)) != request.id

    def _take_over(self, entry: Entry, request: Request, folder: Path) -> None:
        """Make a calculation that another campaign gave up one of this campaign."""
        if folder.is_symlink():
            folder.unlink()
        stored = self._folders.stored(request.path)
        change = {"name": request.path, "spec.folder": stored}
        self.launchpad.fireworks.update_one({"fw_id": entry.fw_id}, {"$set": change})
        self._entries.move(entry, stored)
        entry.name = request.path

    def _share(self, request: Request, folder: Path, entry: Entry, later: Sequence[Request]) -> None:
        """Link the folder of the same calculation elsewhere; it runs again if it lost what is needed."""
        owner = self.settings.resolved(entry.folder)
        link_folder(folder, owner)
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
        needed = any(
            r.parent == request.id and r.about.get("same_hubbard", True) and not self._is_finished(r) for r in later
        )
        if not needed or has_density(folder):
            return True
        (folder / "result.json").replace(folder / "result-without-density.json")
        return False

    def _is_finished(self, request: Request) -> bool:
        """Tell whether there is a result, here or where another campaign has the same calculation."""
        entry = self._entries.find(request.id)
        folders = [self._folders.of(request)] + ([self.settings.resolved(entry.folder)] if entry else [])
        return any(finished_id(folder) == request.id for folder in folders)

    def _remind(self, request: Request, folder: Path, entry: Entry) -> None:
        """Deal with a calculation that is queued here already."""
        if text_in(folder) != request.to_text():
            write_request(request, folder)
        if entry.state == "FIZZLED" and not is_released(request, folder):
            self.report.failed.append(request.path)
        elif entry.state in ("COMPLETED", "FIZZLED", *TAKEN_OUT):  # its result or its folder was taken away
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
