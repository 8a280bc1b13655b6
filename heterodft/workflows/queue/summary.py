"""What is in the queue, read without starting FireWorks: for status and progress."""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from heterodft.analysis.state_marks import STATE_FILE, is_accepted, order_reached, words_of
from heterodft.errors import QueueError, ReaderError
from heterodft.files import read_json
from heterodft.templates.steps import NEED_A_STATIC_STEP
from heterodft.workflows.drivers.decisions import DRIVER_FILE, is_to_look, read_decision
from heterodft.workflows.queue.entries import is_look

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from heterodft.workflows.settings import Settings

__all__ = ["STATES", "QueueEntry", "another_state", "count_states", "decisions", "failure_reason", "read_queue"]

State = Literal["waiting", "ready", "running", "done", "failed", "blocked", "paused", "cancelled"]
STATES: tuple[State, ...] = ("waiting", "ready", "running", "done", "failed", "blocked", "paused", "cancelled")
_STATE_OF: dict[str, State] = {
    "WAITING": "waiting",
    "READY": "ready",
    "RESERVED": "running",
    "RUNNING": "running",
    "COMPLETED": "done",
    "FIZZLED": "failed",
    "DEFUSED": "cancelled",
    "PAUSED": "paused",
    "ARCHIVED": "cancelled",
}


@dataclass(frozen=True)
class QueueEntry:
    """One calculation in the queue.

    Attributes
    ----------
    path
        ``demo/sl/FM/Ti-3d-4eV/static``.
    state
        One of `STATES`; ``blocked`` waits for a failed one.
    folder
        Where it runs.
    identity
        Hash of its request.
    blocked_by
        Path of the failed or cancelled step that a blocked one waits for.
    """

    path: str
    state: State
    folder: Path
    identity: str
    blocked_by: str | None = None

    @property
    def campaign(self) -> str:
        """First part of the path."""
        return self.path.partition("/")[0]

    @property
    def configuration(self) -> str:
        """The path without its step."""
        return self.path.rpartition("/")[0]

    @property
    def step(self) -> str:
        """Last part of the path."""
        return self.path.rpartition("/")[2]


def read_queue(settings: Settings) -> list[QueueEntry]:
    """Read the calculations of the queue, oldest first; empty when there is no queue yet.

    Those that were moved aside, since the settings of their campaign changed, are left out unless they run; of a
    driver, which has an entry for each look at its results, only the one to come is there, cancelled or not.

    Raises
    ------
    QueueError
        If the queue cannot be read.
    """
    rows = _rows_of_file(settings) if settings.queue_file is not None else _rows_of_server(settings)
    entries = [
        QueueEntry(name, _STATE_OF[state], settings.resolved(folder), identity)
        for name, state, folder, identity in rows
    ]
    return _mark_blocked([entry for entry in entries if not _is_replaced(entry)])


def _rows_of_file(settings: Settings) -> list[tuple[str, str, str, str]]:
    path = settings.queue_file
    if path is None or not path.exists():
        return []
    table = f"{settings.database}.fireworks"
    sql = f'SELECT name, state, "spec.folder", "spec.calculation" FROM "{table}" ORDER BY fw_id'  # noqa: S608
    # A file that nobody can write has no writers to wait for, and SQLite could not make its lock file.
    mode = "mode=ro" if os.access(path.parent, os.W_OK) else "immutable=1"
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?{mode}", uri=True, timeout=30)) as connection:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone():
                return []
            return [tuple(row) for row in connection.execute(sql) if row[3] is not None]
    except sqlite3.Error as error:
        raise QueueError(
            f"cannot read the queue {path}: {error}; if it is damaged, delete it and submit again"
        ) from error


def _rows_of_server(settings: Settings) -> list[tuple[str, str, str, str]]:
    from pymongo.errors import PyMongoError

    from heterodft.workflows.queue.server import connect

    wanted = {"name": 1, "state": 1, "spec.folder": 1, "spec.calculation": 1}
    try:
        client, name = connect(settings)
        with client:
            found: Any = client[name].fireworks.find({"spec.calculation": {"$exists": True}}, wanted)
            return [
                (d["name"], d["state"], d["spec"]["folder"], d["spec"]["calculation"]) for d in found.sort("fw_id")
            ]
    except PyMongoError as error:
        raise QueueError(
            f"cannot read the queue: {' '.join(str(error).split())[:200]}; check launchpad: host: or file:"
        ) from error


def _is_replaced(entry: QueueEntry) -> bool:
    """Tell whether an entry is of the past: moved aside, or a look of a driver that has been made."""
    if is_look(entry.identity) and entry.state in ("done", "cancelled"):
        return entry.state == "done" or not is_to_look(entry.folder, entry.identity)
    return entry.state in ("done", "cancelled") and entry.folder.name == f"{entry.step}-{entry.identity}"


def _mark_blocked(entries: list[QueueEntry]) -> list[QueueEntry]:
    """Leave out cancelled entries that were replaced, and mark what waits in a chain with a failed one."""
    live = {entry.path for entry in entries if entry.state != "cancelled"}
    last = {entry.path: entry for entry in entries if is_look(entry.identity)}  # of several that were cancelled
    kept = [
        entry
        for entry in entries
        if entry.state != "cancelled" or (entry.path not in live and last.get(entry.path, entry) is entry)
    ]
    broken: dict[str, str] = {}
    for entry in kept:
        if entry.state in ("failed", "cancelled") and entry.step not in NEED_A_STATIC_STEP:
            broken.setdefault(entry.configuration, entry.path)
    return [
        replace(entry, state="blocked", blocked_by=broken[entry.configuration])
        if entry.state == "waiting" and entry.configuration in broken
        else entry
        for entry in kept
    ]


def count_states(entries: Iterable[QueueEntry]) -> dict[State, int]:
    """Count calculations by state, zeros left out, in the order of `STATES`."""
    counts = Counter(entry.state for entry in entries)
    return {state: counts[state] for state in STATES if counts[state]}


def another_state(entry: QueueEntry) -> str:
    """Return in words that a finished calculation is not in the state asked for; empty where it is, or not known."""
    path = entry.folder / STATE_FILE
    if entry.state != "done" or not path.is_file():
        return ""
    try:
        record = read_json(path)
    except ReaderError:
        return ""
    if is_accepted(record):
        return f"{order_reached(record) or record['verdict']}, accepted"
    return words_of(record, str(record.get("asked", "")))


def decisions(settings: Settings, path: str | None = None) -> dict[str, tuple[str, bool]]:
    """Return what drivers decided last, in words, and whether they have ended, by their names.

    Parameters
    ----------
    settings
        Folder of the runs.
    path
        Only the driver of that name, or those of the campaign of that name.
    """
    places = sorted(file.parent for file in settings.runs.glob(f"*/{DRIVER_FILE}"))
    if path is not None:
        name = path.rstrip("/")
        places = [place for place in places if place.name == name or place.name.rpartition(".")[0] == name]
    found = {place.name: read_decision(place) for place in places}
    return {name: decided for name, decided in found.items() if decided is not None}


def failure_reason(folder: Path) -> str:
    """Return why the calculation of a folder failed, in words."""
    try:
        return str(read_json(folder / "failure.json")["reason"])
    except (ReaderError, KeyError):
        if not folder.is_dir():
            return f"{folder} is gone; submit the campaign again"
        if not os.access(folder, os.W_OK):
            return f"{folder} cannot be written; make it writable or free some space, then: heterodft retry"
        return f"no reason recorded; see the files in {folder}"
