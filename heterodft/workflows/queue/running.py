"""Who runs what, since when: read without starting FireWorks."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from heterodft.errors import QueueError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from heterodft.workflows.settings import Settings

__all__ = ["Running", "read_running"]

_STATES = ("RUNNING", "RESERVED")
_PARTS = (3, 4)
"""Of the name of a worker, outside of a batch job and in one."""


@dataclass(frozen=True)
class Running:
    """Where a calculation runs.

    Attributes
    ----------
    worker
        Its name: host, process number and start time; empty for one that was given to a batch job, which may have
        begun it.
    host
        Of the worker.
    job
        Number of the batch job, None outside of one.
    since
        When it started, or was given to the batch queue.
    """

    worker: str
    host: str
    job: str | None
    since: datetime | None

    @property
    def text(self) -> str:
        """As in a table: ``node7, process 4211, job slurm.93``, or ``given to job slurm.93``."""
        if not self.worker:
            return f"given to job {self.job}" if self.job else "being given to a job"
        parts = self.worker.split(":")
        number = parts[1] if len(parts) in _PARTS else ""
        words = [self.host, f"process {number}" if number else self.worker, f"job {self.job}" if self.job else ""]
        return ", ".join(word for word in words if word)


def read_running(settings: Settings) -> dict[str, Running]:
    """Return where each running calculation is, by its identity.

    Raises
    ------
    QueueError
        If the queue cannot be read.
    """
    rows = _rows_of_file(settings) if settings.queue_file is not None else _rows_of_server(settings)
    return {identity: _running(launch) for identity, launch in rows}


def _running(launch: dict[str, Any]) -> Running:
    history = launch.get("state_history") or []
    jobs = [str(entry["reservation_id"]) for entry in history if entry.get("reservation_id")]
    starts = [entry.get("created_on") for entry in history if entry.get("state") == launch["state"]]
    name = str((launch.get("fworker") or {}).get("name") or "") if launch["state"] == "RUNNING" else ""
    parts = name.split(":")
    host = parts[0] if len(parts) in _PARTS else str(launch.get("host") or "")
    job = parts[3] if len(parts) == _PARTS[1] else jobs[-1] if jobs else None
    return Running(name, host, job, _time(starts[-1] if starts else None))


def _time(value: datetime | str | None) -> datetime | None:
    """Return a time of the store, which keeps UTC without saying so."""
    if value is None:
        return None
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _rows_of_file(settings: Settings) -> Iterable[tuple[str, dict[str, Any]]]:
    import bson

    path = settings.queue_file
    if path is None or not path.exists():
        return []
    base = settings.database
    sql = (
        f'SELECT f."spec.calculation", l.doc FROM "{base}.launches" l '  # noqa: S608
        f'JOIN "{base}.fireworks" f ON f.fw_id = l.fw_id AND f.state = l.state WHERE l.state IN (?, ?)'
    )
    mode = "mode=ro" if os.access(path.parent, os.W_OK) else "immutable=1"  # as in summary.read_queue
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?{mode}", uri=True, timeout=30)) as connection:
            return [(identity, bson.decode(blob)) for identity, blob in connection.execute(sql, _STATES)]
    except sqlite3.Error as error:
        raise QueueError(f"cannot read the queue {path}: {error}") from error


def _rows_of_server(settings: Settings) -> Iterable[tuple[str, dict[str, Any]]]:
    from pymongo.errors import PyMongoError

    from heterodft.workflows.queue.server import connect

    try:
        client, name = connect(settings)
        with client:
            database: Any = client[name]
            found = list(database.launches.find({"state": {"$in": _STATES}}))
            wanted = {"fw_id": {"$in": [launch["fw_id"] for launch in found]}, "state": {"$in": _STATES}}
            names = {fw["fw_id"]: fw["spec"].get("calculation") for fw in database.fireworks.find(wanted)}
    except PyMongoError as error:
        raise QueueError(f"cannot read the queue: {' '.join(str(error).split())[:200]}") from error
    return [(names[launch["fw_id"]], launch) for launch in found if names.get(launch["fw_id"])]
