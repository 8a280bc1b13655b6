"""The folders of a submission: what is in the way is moved aside, what is shared is linked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from heterodft.errors import CalculationError, StorageError
from heterodft.files import make_folder
from heterodft.workflows.calculation import REQUEST_FILE, read_request

if TYPE_CHECKING:
    from fireworks.core.launchpad import LaunchPad

    from heterodft.workflows.calculation import Request
    from heterodft.workflows.queue.entries import Entries
    from heterodft.workflows.settings import Settings

__all__ = ["SubmittedFolders", "link_folder", "text_in"]


class SubmittedFolders:
    """The folders that calculations are submitted to, and what the queue knows of them.

    Parameters
    ----------
    launchpad, settings
        As of the submission.
    entries
        Of the queue, kept up with what is moved.
    """

    def __init__(self, launchpad: LaunchPad, settings: Settings, entries: Entries):
        self.launchpad, self.settings = launchpad, settings
        self._entries = entries
        self._runs = settings.stored(settings.runs)
        self._links: dict[Path, list[Path]] | None = None  # of shared calculations, by the folder they show

    def of(self, request: Request) -> Path:
        """Return the folder of a request."""
        return self.settings.runs / request.path

    def stored(self, path: str) -> str:
        """Return the folder of a path as the queue keeps it."""
        return os.path.normpath(f"{self._runs}/{path}")

    def clear(self, request: Request) -> list[str]:
        """Move an older calculation with other settings out of the way; bring back an earlier one.

        Returns
        -------
        list of str
            Paths of what was moved aside.
        """
        folder, replaced = self.of(request), []
        if not os.path.lexists(folder.parent):
            self._defuse_others(request)
            return []
        here = request.id if text_in(folder) == request.to_text() else _identity_in(folder)
        if folder.is_symlink():
            if here != request.id:
                folder.unlink()
            return []
        self._defuse_others(request)
        if here is not None and here != request.id:
            self._move(request.path, f"{request.path}-{here}", here)
            replaced.append(f"{request.path}-{here}")
        kept = f"{request.path}-{request.id}"
        if not folder.exists() and (self.settings.runs / kept).is_dir():
            self._move(kept, request.path, request.id)
        return replaced

    def _defuse_others(self, request: Request) -> None:
        """Take older entries for the same folder out of the queue."""
        for entry in self._entries.in_folder(self.stored(request.path)):
            if entry.identity != request.id and entry.state in ("READY", "WAITING", "PAUSED", "FIZZLED"):
                self.launchpad.defuse_fw(entry.fw_id)
                entry.state = "DEFUSED"

    def _move(self, source: str, target: str, identity: str) -> None:
        """Move a calculation to another folder and let the queue know."""
        runs = self.settings.runs
        try:
            (runs / source).rename(runs / target)
        except OSError as error:
            remedy = "; remove one of the two" if (runs / target).exists() else ""
            raise StorageError(f"cannot move {runs / source} to {target}: {error.strerror}{remedy}") from error
        self._follow(runs / source, runs / target)
        entry = self._entries.find(identity)
        if entry is not None and entry.folder == self.stored(source):
            stored = self.stored(target)
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
            link_folder(link, target)
        self._links.setdefault(target, []).extend(links)


def text_in(folder: Path) -> str | None:
    """Return the request in a folder as it is written there; None where there is none."""
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


def link_folder(folder: Path, target: Path) -> None:
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
