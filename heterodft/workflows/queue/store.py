"""One SQLite file that stands in for a MongoDB server on one host.

Transactions are ``BEGIN IMMEDIATE``: a writer excludes all others until it commits, and `SqliteClient.transaction`
nests, so that a whole LaunchPad method becomes one atomic step.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakSet, finalize

from pymongo.errors import AutoReconnect

from heterodft.workflows.queue.collection import SqliteCollection

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["SqliteClient", "SqliteDatabase"]

_BUSY_SECONDS = 120.0
_AGAIN_SECONDS = 0.02
_TRY_SECONDS = 1.0
"""A wait for a lock is in pieces, since inside one no signal is heard."""


class SqliteClient:
    """The connection to one queue file, reopened in each process.

    Parameters
    ----------
    path
        The file; its folder must exist.
    create
        Make the file when it is missing.
    """

    def __init__(self, path: Path, *, create: bool = True):
        self.path = path.absolute()
        self._create = create
        self._file: tuple[int, int] | None = None
        self.lock = threading.RLock()
        self.tables: set[str] = set()
        self._process: int | None = None
        self._depth = 0
        self._opened: sqlite3.Connection
        self._closing: finalize[..., Any]
        _CLIENTS.add(self)

    def connect(self) -> sqlite3.Connection:
        """Return the connection of this process, opening it at first use or after a fork."""
        if self._process != os.getpid():
            try:
                self._opened = self._open()
                self._closing = finalize(self, self._opened.close)  # a launchpad is opened, used and let go
                self._file = self._place()
            except (sqlite3.Error, OSError) as error:
                raise AutoReconnect(f"queue file {self.path}: {error}") from error
            self._process, self._depth, self.tables, self.lock = os.getpid(), 0, set(), threading.RLock()
        elif not self._depth:
            self._check_place()
        return self._opened

    def _place(self) -> tuple[int, int]:
        found = self.path.stat()
        return found.st_dev, found.st_ino

    def _check_place(self) -> None:
        """Notice a file that was taken away, which SQLite would go on writing to unseen."""
        try:
            place = self._place()
        except OSError as error:
            raise AutoReconnect(f"queue file {self.path}: {error.strerror}") from error
        if place != self._file:
            raise AutoReconnect(f"queue file {self.path}: another file is in its place")

    def _open(self) -> sqlite3.Connection:
        """Open the file; while others make it, SQLite may give up at once, so that it is tried again."""
        address = f"{self.path.as_uri()}?mode={'rwc' if self._create else 'rw'}"
        end = time.monotonic() + _BUSY_SECONDS
        while True:
            connection = sqlite3.connect(
                address, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare(connection)
            except sqlite3.DatabaseError as error:
                connection.close()
                if not _is_busy(error) or time.monotonic() > end:
                    raise
            else:
                return connection
            time.sleep(_AGAIN_SECONDS)

    @staticmethod
    def _prepare(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS members(collection TEXT, path TEXT, value, rid INTEGER, "
            "PRIMARY KEY(collection, path, value, rid)) WITHOUT ROWID"
        )
        connection.execute("CREATE INDEX IF NOT EXISTS members_by_row ON members(collection, rid)")
        connection.execute(f"PRAGMA busy_timeout = {round(1000 * min(_TRY_SECONDS, _BUSY_SECONDS))}")

    def _begin(self, connection: sqlite3.Connection) -> None:
        """Become the one that writes, after waiting for the one that does."""
        end = time.monotonic() + _BUSY_SECONDS
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if not _is_busy(error) or time.monotonic() > end:
                    raise
            else:
                return

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run a block as one atomic step; an inner block joins the outer one."""
        self.connect()
        with self.lock:
            connection = self.connect()
            try:
                if not self._depth:
                    self._begin(connection)
                self._depth += 1
                try:
                    yield connection
                finally:
                    self._depth -= 1
                if not self._depth:
                    connection.execute("COMMIT")
            except BaseException as error:
                if not self._depth:
                    self._roll_back(connection)
                if isinstance(error, sqlite3.DatabaseError):
                    raise AutoReconnect(f"queue file {self.path}: {error}") from error
                raise

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        self.tables.clear()  # a table made inside is gone again
        if connection.in_transaction:
            connection.execute("ROLLBACK")

    def __getitem__(self, name: str) -> SqliteDatabase:
        return SqliteDatabase(self, name)

    @property
    def admin(self) -> SqliteDatabase:
        """The database that takes ``command("ping")``."""
        return SqliteDatabase(self, "admin")

    def drop_database(self, name: str) -> None:
        """Remove every collection of a database."""
        with self.transaction() as connection:
            found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (table,) in found:
                if table.startswith(f"{name}."):
                    connection.execute(f'DROP TABLE "{table}"')
                    connection.execute("DELETE FROM members WHERE collection = ?", (table,))
        self.tables.clear()

    def close(self) -> None:
        """Close the connection of this process."""
        if self._process == os.getpid():
            self._closing()
            self._process = None

    def close_if_idle(self) -> None:
        """Close the connection once no other thread uses it, except within a transaction of this one."""
        with self.lock:
            if not self._depth:
                self.close()


def _close_before_fork() -> None:
    """Leave no open connection to a child.

    SQLite there would believe to hold locks that a child does not inherit: the parent takes itself for the last one,
    removes the write-ahead log on closing, and what the child writes from then on is lost.
    """
    for client in list(_CLIENTS):
        client.close_if_idle()


_CLIENTS: WeakSet[SqliteClient] = WeakSet()
os.register_at_fork(before=_close_before_fork)


def _is_busy(error: sqlite3.DatabaseError) -> bool:
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


class SqliteDatabase:
    """A named set of collections, reached as items or attributes."""

    def __init__(self, client: SqliteClient, name: str):
        self.client, self.name = client, name

    def __getitem__(self, name: str) -> SqliteCollection:
        return SqliteCollection(self, name)

    def __getattr__(self, name: str) -> SqliteCollection:
        if name.startswith("_"):
            raise AttributeError(name)
        return SqliteCollection(self, name)

    def get_collection(self, name: str) -> SqliteCollection:
        """Return a collection, as pymongo does."""
        return self[name]

    def command(self, *_arguments: Any, **_options: Any) -> dict[str, int]:
        """Answer ``ping`` and ``compact``."""
        return {"ok": 1}

    def drop_collection(self, name: str) -> None:
        """Remove every document of a collection."""
        self[name].delete_many({})
