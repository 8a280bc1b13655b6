"""The entries of the queue as a submission sees them: read once, then kept up with what it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fireworks.core.launchpad import LaunchPad

__all__ = ["TAKEN_OUT", "UNFINISHED", "Entries", "Entry", "is_look"]

UNFINISHED = ("WAITING", "READY", "PAUSED", "RESERVED", "RUNNING")
"""States of an entry that runs or will, as FireWorks calls them."""
TAKEN_OUT = ("DEFUSED", "ARCHIVED")

_WANTED = {"_id": 0, "fw_id": 1, "state": 1, "name": 1, "spec.folder": 1, "spec.calculation": 1}


def is_look(identity: str) -> bool:
    """Tell whether an entry is a look of a driver: the identity of the driver, and the number of the look."""
    return "-" in identity


@dataclass
class Entry:
    """One calculation in the queue.

    Attributes
    ----------
    identity
        Hash of its request.
    fw_id
        Its number, None as long as it is only about to be added.
    state
        As FireWorks calls it.
    name
        Its path below the folder of all runs.
    folder
        Where it runs, as the queue keeps it.
    """

    identity: str
    fw_id: int | None
    state: str
    name: str
    folder: str


class Entries:
    """Every entry, by identity and by folder."""

    def __init__(self, launchpad: LaunchPad):
        self._all: dict[str, Entry] = {}
        self._in_folder: dict[str, list[Entry]] = {}
        for fw in launchpad.fireworks.find({}, _WANTED):
            spec = fw.get("spec", {})
            if "calculation" in spec:
                self.add(Entry(spec["calculation"], fw["fw_id"], fw["state"], fw["name"], spec["folder"]))

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._all.values())

    def find(self, identity: str | None) -> Entry | None:
        """Return the entry of a calculation."""
        return self._all.get(identity or "")

    def in_folder(self, folder: str) -> list[Entry]:
        """Return the entries that run in a folder."""
        return list(self._in_folder.get(folder, ()))

    def add(self, entry: Entry) -> None:
        """Take in a new entry."""
        self._all[entry.identity] = entry
        self._in_folder.setdefault(entry.folder, []).append(entry)

    def move(self, entry: Entry, folder: str) -> None:
        """Note that an entry now runs in another folder."""
        self._in_folder[entry.folder].remove(entry)
        entry.folder = folder
        self._in_folder.setdefault(folder, []).append(entry)
