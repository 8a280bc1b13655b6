"""A MongoDB collection on one SQLite table, as far as FireWorks uses it.

Documents are BSON. What FireWorks looks up by is copied to indexed columns (scalars) or to a side table (arrays),
which narrow a search; mongomock's filter has the last word, so that the meaning of a query is MongoDB's.
"""

from __future__ import annotations

import json
import sqlite3
from copy import deepcopy
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import bson
import mongomock
from bson import ObjectId
from mongomock.aggregate import process_pipeline
from mongomock.filtering import filter_applies
from pymongo.errors import AutoReconnect, DuplicateKeyError

from heterodft.workflows.queue.documents import (
    ARRAYS,
    INDEXES,
    SCALARS,
    SEARCHED,
    SORTED,
    UNIQUE,
    Cursor,
    Document,
    Sort,
    first,
    in_order,
    nested,
    quoted,
    read_date,
    to_sql,
    values_at,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from heterodft.workflows.queue.store import SqliteClient, SqliteDatabase

__all__ = ["SqliteCollection"]


class SqliteCollection:
    """One collection; every write is one transaction, nested in the client's when there is one."""

    def __init__(self, database: SqliteDatabase, name: str):
        self.database = database
        self.client: SqliteClient = database.client
        self.name, self._table = name, f"{database.name}.{name}"
        self._searched, self._arrays = SEARCHED.get(name, []), ARRAYS.get(name, [])
        self._columns = self._searched + SORTED.get(name, [])

    # -- storage --------------------------------------------------------------------------------------------

    def _connection(self) -> sqlite3.Connection:
        connection = self.client.connect()
        if self._table not in self.client.tables:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (self._table,)).fetchone():
                with self.client.transaction():
                    self._create(connection)
            self.client.tables.add(self._table)
        return connection

    def _create(self, connection: sqlite3.Connection) -> None:
        columns = "".join(f"{quoted(path)}, " for path in self._columns)
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {quoted(self._table)}"
            f"(rid INTEGER PRIMARY KEY, oid UNIQUE NOT NULL, {columns}doc BLOB NOT NULL)"
        )
        for number, columns in enumerate(INDEXES.get(self.name, [])):
            unique = "UNIQUE" if (self.name, columns) in UNIQUE else ""
            index = quoted(f"{self._table}.index{number}")
            connection.execute(f"CREATE {unique} INDEX IF NOT EXISTS {index} ON {quoted(self._table)}({columns})")

    def _put(self, rid: int | None, document: Document, old: Document | None = None) -> None:
        connection = self._connection()
        row = [to_sql(document["_id"])]
        for path in self._columns:
            value = next(iter(values_at(document, path)), None)
            if value is not None and not isinstance(value, SCALARS):
                raise TypeError(f"{self.name}.{path} must be a scalar, got {type(value).__name__}")
            row.append(to_sql(value))
        row.append(bson.encode(document))
        names = ["oid", *self._columns, "doc"]
        try:
            if rid is None:
                marks = ", ".join("?" * len(names))
                rid = connection.execute(
                    f"INSERT INTO {quoted(self._table)}({', '.join(map(quoted, names))}) VALUES({marks})", row
                ).lastrowid
            else:
                changes = ", ".join(f"{quoted(name)} = ?" for name in names)
                connection.execute(f"UPDATE {quoted(self._table)} SET {changes} WHERE rid = ?", [*row, rid])
        except sqlite3.IntegrityError as error:
            raise DuplicateKeyError(str(error)) from error
        for path in self._arrays:
            self._put_array(connection, rid, path, document, old)

    def _put_array(
        self, connection: sqlite3.Connection, rid: int | None, path: str, new: Document, old: Document | None
    ) -> None:
        now = {to_sql(value) for value in values_at(new, path) if isinstance(value, SCALARS)}
        was = {to_sql(v) for v in values_at(old, path) if isinstance(v, SCALARS)} if old else set()
        connection.executemany(
            "DELETE FROM members WHERE collection = ? AND path = ? AND value = ? AND rid = ?",
            [(self._table, path, value, rid) for value in was - now],
        )
        connection.executemany(
            "INSERT OR IGNORE INTO members VALUES(?, ?, ?, ?)", [(self._table, path, v, rid) for v in now - was]
        )

    def _where(self, query: Document) -> tuple[str, list[Any]]:
        """Return the part of a filter that indexes answer: a superset of the matches."""
        clauses, arguments = [], []
        for key, condition in query.items():
            several = isinstance(condition, dict) and isinstance(condition.get("$in"), list | tuple)
            values = condition["$in"] if several else [condition]
            if not all(isinstance(value, SCALARS) for value in values):
                continue
            argument = json.dumps([to_sql(value) for value in values]) if several else to_sql(condition)
            test = "IN (SELECT value FROM json_each(?))" if several else "= ?"
            if key == "_id" or key in self._searched:
                clauses.append(f"{quoted('oid' if key == '_id' else key)} {test}")
                arguments.append(argument)
            elif key in self._arrays:
                clauses.append(f"rid IN (SELECT rid FROM members WHERE collection = ? AND path = ? AND value {test})")
                arguments += [self._table, key, argument]
        return (" WHERE " + " AND ".join(clauses) if clauses else ""), arguments

    def scan(self, query: Document | None, sort: Sort | None = None) -> Iterator[tuple[int, Document]]:
        """Yield the row number and the document of every match."""
        query = query or {}
        where, arguments = self._where(query)
        by_column = bool(sort) and all(key in self._columns for key, _ in sort or [])
        order = ", ".join(f"{quoted(key)} {'DESC' if way < 0 else 'ASC'}" for key, way in sort or [])
        sql = f"SELECT rid, doc FROM {quoted(self._table)}{where}{f' ORDER BY {order}, rid' if by_column else ''}"
        try:
            rows = ((rid, bson.decode(blob)) for rid, blob in self._connection().execute(sql, arguments))
            matches = ((rid, doc) for rid, doc in rows if not query or filter_applies(query, doc))
            yield from matches if by_column or not sort else in_order(matches, sort)
        except sqlite3.DatabaseError as error:
            raise AutoReconnect(f"queue file {self.client.path}: {error}") from error

    def is_covered(self, projection: Any) -> bool:
        """Tell whether the columns alone answer a projection: what is searched by, without the identity."""
        if not isinstance(projection, dict) or projection.get("_id", 1) not in (0, False):
            return False
        return all(
            key == "_id" or (key in self._searched and value in (1, True)) for key, value in projection.items()
        )

    def listing(self, projection: Document, limit: int = 0) -> list[Document]:
        """Return the columns of every document as `project` would, without decoding any."""
        paths = [path for path in projection if path != "_id"]
        names = ", ".join(map(quoted, paths))
        sql = f"SELECT {names} FROM {quoted(self._table)} ORDER BY rid LIMIT ?"
        try:
            with self.client.lock:
                rows = self._connection().execute(sql, [limit or -1]).fetchall()
        except sqlite3.DatabaseError as error:
            raise AutoReconnect(f"queue file {self.client.path}: {error}") from error
        return [nested(paths, row) for row in rows]

    @staticmethod
    def project(document: Document, projection: Any) -> Document:
        """Return the asked-for part of a document, with mongomock's rules."""
        if not projection:
            return document
        wanted = dict.fromkeys(projection, 1) if isinstance(projection, list | tuple) else dict(projection)
        if all("." not in key and value in (1, True) for key, value in wanted.items()):
            return {key: document[key] for key in ("_id", *wanted) if key in document}
        scratch: Any = mongomock.MongoClient().d.c
        scratch.insert_one(document)
        found: Document = scratch.find_one({}, wanted)
        return found

    @staticmethod
    def _updated(document: Document, update: Document) -> Document:
        plain = set(update) <= {"$set", "$unset", "$inc"} and not any("." in k for m in update.values() for k in m)
        if plain:
            changed: Document = deepcopy(document) | update.get("$set", {})
            for key in update.get("$unset", {}):
                changed.pop(key, None)
            for key, amount in update.get("$inc", {}).items():
                changed[key] = changed.get(key, 0) + amount
            return changed
        scratch: Any = mongomock.MongoClient().d.c
        scratch.insert_one(document)
        scratch.update_one({"_id": document["_id"]}, update)
        updated: Document = scratch.find_one()
        return updated

    # -- what pymongo offers ----------------------------------------------------------------------------------

    def find(
        self,
        filter: Document | None = None,
        projection: Any = None,
        skip: int = 0,
        limit: int = 0,
        sort: Sort | None = None,
    ) -> Cursor:
        return Cursor(self, filter, projection, sort).skip(skip).limit(limit)

    def find_one(
        self,
        filter: Document | None = None,
        projection: Any = None,
        sort: Sort | None = None,
    ) -> Document | None:
        return next(iter(self.find(filter, projection, sort=sort, limit=1)), None)

    def count_documents(self, filter: Document | None = None) -> int:
        if not filter:
            sql = f"SELECT COUNT(*) FROM {quoted(self._table)}"
            return int(self._connection().execute(sql).fetchone()[0])
        return sum(1 for _ in self.scan(filter))

    def distinct(self, key: str, filter: Document | None = None) -> list[Any]:
        found: list[Any] = []
        for _, document in self.scan(filter):
            found += [value for value in values_at(document, key) if value not in found]
        return found

    def aggregate(self, pipeline: Iterable[Document]) -> Iterator[Document]:
        stages = list(pipeline)
        query = stages.pop(0)["$match"] if stages and "$match" in stages[0] else {}
        documents = [document for _, document in self.scan(query)]
        plain: list[Document] = []
        for stage in stages:
            dates = [key for key, value in stage.get("$set", {}).items() if "$dateFromString" in value]
            if not dates:
                plain.append(stage)
                continue
            documents = list(process_pipeline(documents, self.database, plain, None))  # it lacks $dateFromString
            documents = [document | {key: read_date(document.get(key)) for key in dates} for document in documents]
            plain = []
        return iter(process_pipeline(documents, self.database, plain, None))

    def insert_many(self, documents: Iterable[Document]) -> SimpleNamespace:
        identities = []
        with self.client.transaction():
            for document in documents:
                document.setdefault("_id", ObjectId())
                self._put(None, document)
                identities.append(document["_id"])
        return SimpleNamespace(inserted_ids=identities)

    def insert_one(self, document: Document) -> SimpleNamespace:
        return SimpleNamespace(inserted_id=self.insert_many([document]).inserted_ids[0])

    def _modify(
        self,
        query: Document,
        change: Document,
        *,
        sort: Sort | None = None,
        upsert: bool = False,
        many: bool = False,
        replace: bool = False,
    ) -> SimpleNamespace:
        with self.client.transaction():
            rows = list(self.scan(query, sort)) if many else list(first(self.scan(query, sort)))
            before = after = None
            for rid, before in rows:
                after = {"_id": before["_id"], **change} if replace else self._updated(before, change)
                self._put(rid, after, before)
            if not rows and upsert:
                base = {k: v for k, v in query.items() if isinstance(v, SCALARS) and not k.startswith("$")}
                base.setdefault("_id", ObjectId())
                after = {"_id": base["_id"], **change} if replace else self._updated(base, change)
                self._put(None, after)
        return SimpleNamespace(matched_count=len(rows), modified_count=len(rows), before=before, after=after)

    def _find_and(
        self,
        query: Document,
        change: Document,
        projection: Any,
        sort: Sort | None,
        upsert: bool,
        return_document: bool,
        *,
        replace: bool,
    ) -> Document | None:
        done = self._modify(query, change, sort=sort, upsert=upsert, replace=replace)
        document = done.after if return_document else done.before
        return self.project(document, projection) if document else None

    def find_one_and_update(
        self,
        filter: Document,
        update: Document,
        projection: Any = None,
        sort: Sort | None = None,
        upsert: bool = False,
        return_document: bool = False,
    ) -> Document | None:
        return self._find_and(filter, update, projection, sort, upsert, return_document, replace=False)

    def find_one_and_replace(
        self,
        filter: Document,
        replacement: Document,
        projection: Any = None,
        sort: Sort | None = None,
        upsert: bool = False,
        return_document: bool = False,
    ) -> Document | None:
        return self._find_and(filter, replacement, projection, sort, upsert, return_document, replace=True)

    def update_one(self, filter: Document, update: Document, upsert: bool = False) -> SimpleNamespace:
        return self._modify(filter, update, upsert=upsert)

    def update_many(self, filter: Document, update: Document, upsert: bool = False) -> SimpleNamespace:
        return self._modify(filter, update, upsert=upsert, many=True)

    def delete_many(self, filter: Document) -> SimpleNamespace:
        return self._delete(filter, many=True)

    def delete_one(self, filter: Document) -> SimpleNamespace:
        return self._delete(filter, many=False)

    def _delete(self, query: Document, *, many: bool) -> SimpleNamespace:
        with self.client.transaction():
            connection = self._connection()
            found = self.scan(query)
            rows = [(rid,) for rid, _ in (found if many else first(found))]
            connection.executemany(f"DELETE FROM {quoted(self._table)} WHERE rid = ?", rows)
            connection.executemany(
                "DELETE FROM members WHERE collection = ? AND rid = ?", [(self._table, rid) for (rid,) in rows]
            )
        return SimpleNamespace(deleted_count=len(rows))

    def create_index(self, keys: Any, **_options: Any) -> str:
        """Do nothing: the columns and their indexes are fixed."""
        return str(keys)
