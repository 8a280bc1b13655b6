"""What the collections of a queue file look like: documents, the columns beside them, cursors."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bson import ObjectId

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from heterodft.workflows.queue.collection import SqliteCollection

__all__ = [
    "ARRAYS",
    "INDEXES",
    "SCALARS",
    "SEARCHED",
    "SORTED",
    "UNIQUE",
    "Cursor",
    "Document",
    "Sort",
    "first",
    "in_order",
    "nested",
    "quoted",
    "read_date",
    "to_sql",
    "values_at",
]

Document = dict[str, Any]
Sort = list[tuple[str, int]]

SCALARS = (str, int, float, bool, datetime, ObjectId)
SEARCHED: dict[str, list[str]] = {
    "fireworks": ["fw_id", "state", "name", "spec.calculation", "spec.folder"],
    "launches": ["launch_id", "fw_id", "state"],
    "workflows": ["state", "name"],
    "offline_runs": ["launch_id"],
}
"""Scalar paths that an equality or ``$in`` is answered from."""
SORTED: dict[str, list[str]] = {
    "fireworks": ["spec._priority", "created_on", "updated_on"],
    "workflows": ["created_on", "updated_on"],
    "launches": ["time_start"],
}
"""Further scalar paths kept as columns, to sort by or to list without decoding."""
ARRAYS: dict[str, list[str]] = {
    "fireworks": ["launches"],
    "workflows": ["nodes"],
    "launches": ["state_history.reservation_id"],
}
INDEXES: dict[str, list[str]] = {
    "fireworks": [
        '"fw_id"',
        '"state", "spec._priority" DESC, "created_on"',
        '"name"',
        '"spec.calculation"',
        '"spec.folder"',
    ],
    "launches": ['"launch_id"', '"fw_id"', '"state"'],
    "workflows": ['"state"', '"name"'],
    "offline_runs": ['"launch_id"'],
}
UNIQUE = {("fireworks", '"fw_id"'), ("launches", '"launch_id"'), ("fireworks", '"spec.calculation"')}


def values_at(document: Document, path: str) -> list[Any]:
    """Return every value at a dotted path, walking into arrays as MongoDB does."""
    current: list[Any] = [document]
    for part in path.split("."):
        items = [item for value in current for item in (value if isinstance(value, list) else [value])]
        current = [item[part] for item in items if isinstance(item, dict) and part in item]
    return [item for value in current for item in (value if isinstance(value, list) else [value])]


def to_sql(value: Any) -> Any:
    """Return a scalar as SQLite keeps it."""
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, ObjectId) else value


def read_date(value: Any) -> Any:
    """Return the date that a text stands for, in UTC without saying so, as BSON gives it; else what was given."""
    try:
        date = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return value
    return date if date.tzinfo is None else date.astimezone(UTC).replace(tzinfo=None)


def nested(paths: list[str], values: tuple[Any, ...]) -> Document:
    """Return a document with values at dotted paths; None stands for a value that is not there."""
    document: Document = {}
    for path, value in zip(paths, values, strict=True):
        *parents, key = path.split(".")
        place = document
        for parent in parents:
            place = place.setdefault(parent, {})
        if value is not None:
            place[key] = value
    return document


def quoted(name: str) -> str:
    """Return a name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


class Cursor:
    """A lazy query result, sorted, skipped and limited like pymongo's."""

    def __init__(self, collection: SqliteCollection, query: Document | None, projection: Any, sort: Sort | None):
        self._collection, self._query, self._projection = collection, query, projection
        self._sort, self._skip, self._limit = sort, 0, 0
        self._iterator: Iterator[Document] | None = None

    def sort(self, key: str | Sort, direction: int = 1) -> Cursor:
        self._sort = [(key, direction)] if isinstance(key, str) else list(key)
        return self

    def skip(self, count: int) -> Cursor:
        self._skip = count
        return self

    def limit(self, count: int) -> Cursor:
        self._limit = count
        return self

    def __iter__(self) -> Iterator[Document]:
        if not self._query and not self._sort and not self._skip and self._collection.is_covered(self._projection):
            return iter(self._collection.listing(self._projection, self._limit))
        end = self._skip + self._limit if self._limit else None
        rows = []
        with self._collection.client.lock:
            for _, document in self._collection.scan(self._query, self._sort):
                rows.append(self._collection.project(document, self._projection))
                if end is not None and len(rows) >= end:
                    break
        return iter(rows[self._skip :])

    def __next__(self) -> Document:
        if self._iterator is None:
            self._iterator = iter(self)
        return next(self._iterator)

    def __getitem__(self, index: int) -> Document:
        return list(self)[index]


def first(rows: Iterator[tuple[int, Document]]) -> Iterator[tuple[int, Document]]:
    """Yield the first row, if there is one."""
    for row in rows:
        yield row
        return


def in_order(rows: Iterable[tuple[int, Document]], sort: Sort) -> list[tuple[int, Document]]:
    """Return rows sorted as MongoDB would."""

    def rank(document: Document, key: str) -> list[tuple[str, Any]]:
        return [(type(value).__name__, to_sql(value)) for value in values_at(document, key)[:1] if value is not None]

    ordered = list(rows)
    for key, way in reversed(sort):
        ordered.sort(key=lambda row, key=key: rank(row[1], key), reverse=way < 0)  # type: ignore[misc]
    return ordered
