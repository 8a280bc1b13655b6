"""A server that speaks MongoDB's wire protocol and keeps its documents in mongomock, where there is no MongoDB.

What pymongo sends crosses a real socket as BSON and is answered as a standalone server answers it; what a query means
is mongomock's. It has no users, transactions or files larger than a document. See
https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/ and the page of each command.
"""

from __future__ import annotations

import socketserver
import struct
import threading
from itertools import count
from typing import TYPE_CHECKING, Any

import bson
import mongomock
from mongomock.collection import ReturnDocument
from pymongo.errors import DuplicateKeyError, OperationFailure, PyMongoError

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEADER = struct.Struct("<iiii")
_OP_REPLY, _OP_QUERY, _OP_MSG = 1, 2004, 2013
_BATCH = 101
_HELLO = {
    "helloOk": True,
    "isWritablePrimary": True,
    "ismaster": True,
    "maxBsonObjectSize": 16 * 2**20,
    "maxMessageSizeBytes": 48_000_000,
    "maxWriteBatchSize": 100_000,
    "minWireVersion": 0,
    "maxWireVersion": 17,
    "readOnly": False,
}


class WireServer:
    """A server on a port of this machine that may be stopped and started again, with its documents.

    Attributes
    ----------
    seen
        Names of the commands it was sent.
    """

    def __init__(self) -> None:
        self.store, self.seen, self.port = _Store(), set[str](), 0
        self._server: _Server | None = None

    @property
    def address(self) -> str:
        """Return what pymongo connects to."""
        return f"mongodb://127.0.0.1:{self.port}/?serverSelectionTimeoutMS=5000"

    def start(self) -> WireServer:
        """Answer, on the same port as before."""
        self._server = _Server(("127.0.0.1", self.port), _Connection)
        self._server.owner, self._server.open = self, set()
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Close the port and every connection."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
            for connection in list(server.open):
                connection.shutdown(2)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = allow_reuse_address = True
    owner: WireServer
    open: set[Any]


class _Connection(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        """Answer one message after the other."""
        self.server.open.add(self.request)
        try:
            while (header := self._read(_HEADER.size)) is not None:
                length, request, _, operation = _HEADER.unpack(header)
                body = self._read(length - _HEADER.size)
                if body is None:
                    return
                answer = self._answer(operation, body)
                self.request.sendall(_message(operation, request, answer))
        except OSError:
            pass  # the client or the server is gone
        finally:
            self.server.open.discard(self.request)

    def _read(self, size: int) -> bytes | None:
        found = b""
        while len(found) < size:
            piece = self.request.recv(size - len(found))
            if not piece:
                return None
            found += piece
        return found

    def _answer(self, operation: int, body: bytes) -> dict[str, Any]:
        command = _read_query(body) if operation == _OP_QUERY else _read_message(body)
        self.server.owner.seen.add(next(iter(command)))
        return self.server.owner.store.answer(command)


def _read_query(body: bytes) -> dict[str, Any]:
    """Read the message with which drivers greet: flags, a collection, two numbers, a document."""
    return bson.decode(body[body.index(b"\0", 4) + 9 :])


def _read_message(body: bytes) -> dict[str, Any]:
    """Read flags and sections: a document, or documents for one of its keys."""
    command: dict[str, Any] = {}
    place = 4
    while place < len(body):
        kind, (size,) = body[place], struct.unpack_from("<i", body, place + 1)
        part = body[place + 1 : place + 1 + size]
        if kind == 0:
            command = bson.decode(part) | command
        else:
            end = part.index(b"\0", 4)
            command[part[4:end].decode()] = bson.decode_all(part[end + 1 :])
        place += 1 + size
    # The name of a command is its first key, and the documents may come before it.
    name = next(key for key in command if isinstance(command[key], str | int | float) and key != "$db")
    return {name: command[name]} | command


def _message(operation: int, request: int, answer: dict[str, Any]) -> bytes:
    document = bson.encode(answer)
    query = operation == _OP_QUERY
    body = struct.pack("<iqii", 0, 0, 0, 1) + document if query else struct.pack("<iB", 0, 0) + document
    return _HEADER.pack(_HEADER.size + len(body), 0, request, _OP_REPLY if query else _OP_MSG) + body


class _Store:
    """What is kept, and the commands on it; one at a time."""

    def __init__(self) -> None:
        self.client: Any = mongomock.MongoClient()
        self.cursors: dict[int, list[Any]] = {}
        self.numbers, self.lock = count(1), threading.RLock()

    def answer(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to a command."""
        name = next(iter(command))
        method = getattr(self, f"do_{name.lower()}", None)
        if method is None:
            return {"ok": 0.0, "errmsg": f"no such command: '{name}'", "code": 59, "codeName": "CommandNotFound"}
        with self.lock:
            try:
                found: dict[str, Any] = method(self.client[command.get("$db", "admin")], command)
            except (PyMongoError, NotImplementedError) as error:
                code = getattr(error, "code", None) or (11000 if isinstance(error, DuplicateKeyError) else 2)
                return {"ok": 0.0, "errmsg": str(error), "code": code}
        return found | {"ok": 1.0}

    def do_ismaster(self, _db: Any, _command: Mapping[str, Any]) -> dict[str, Any]:
        return dict(_HELLO)

    do_hello = do_ismaster

    def do_ping(self, _db: Any, _command: Mapping[str, Any]) -> dict[str, Any]:
        return {}

    do_endsessions = do_ping

    def do_buildinfo(self, _db: Any, _command: Mapping[str, Any]) -> dict[str, Any]:
        return {"version": "6.0.0", "versionArray": [6, 0, 0, 0]}

    def do_find(self, db: Any, command: Mapping[str, Any]) -> dict[str, Any]:
        found = db[command["find"]].find(command.get("filter") or {}, command.get("projection") or None)
        if command.get("sort"):
            found = found.sort(list(command["sort"].items()))
        found = found.skip(command.get("skip", 0)).limit(abs(command.get("limit", 0)))
        return self._cursor(f"{db.name}.{command['find']}", list(found), command)

    def do_aggregate(self, db: Any, command: Mapping[str, Any]) -> dict[str, Any]:
        found = list(db[command["aggregate"]].aggregate(command["pipeline"]))
        return self._cursor(f"{db.name}.{command['aggregate']}", found, command.get("cursor", {}))

    def do_getmore(self, db: Any, command: Mapping[str, Any]) -> dict[str, Any]:
        number = command["getMore"]
        rows, size = self.cursors.pop(number), command.get("batchSize") or 1000
        if rows[size:]:
            self.cursors[number] = rows[size:]
        told = {"id": bson.Int64(number if rows[size:] else 0), "ns": f"{db.name}.{command['collection']}"}
        return {"cursor": told | {"nextBatch": rows[:size]}}

    def do_killcursors(self, _db: Any, command: Mapping[str, Any]) -> dict[str, Any]:
        for number in command["cursors"]:
            self.cursors.pop(number, None)
        return {"cursorsKilled": command["cursors"]}

    def _cursor(self, name: str, rows: list[Any], command: Mapping[str, Any]) -> dict[str, Any]:
        size = command.get("batchSize", _BATCH)
        rest = [] if command.get("singleBatch") else rows[size:]
        number = next(self.numbers) if rest else 0
        if rest:
            self.cursors[number] = rest
        return {"cursor": {"id": bson.Int64(number), "ns": name, "firstBatch": rows[:size]}}

    def do_count(self, db: Any, command: Mapping[str, Any]) -> dict[str, Any]:
        return {"n": db[command["count"]].count_documents(command.get("query") or {})}

    def do_distinct(self, db: Any, command: Mapping[str, Any]) -> dict[str, Any]:
        return {"values": db[command["distinct"]].distinct(command["key"], command.get("query") or None)}

    def do_insert(self, db: Any, command: Mapping[str, Any]) -> dict[str, Any]:
        return _each(command, "documents", lambda one: bool(db[command["insert"]].insert_one(one)))

    def do_update(self, db: Any, command: Mapping[str, Any]) -> dict[str, Any]:
        modified, upserted = 0, []

        def change(one: Mapping[str, Any]) -> int:
            nonlocal modified
            done = _update(db[command["update"]], one)
            modified += done.modified_count
            if done.upserted_id is not None:
                upserted.append({"index": command["updates"].index(one), "_id": done.upserted_id})
            return int(done.matched_count) + (done.upserted_id is not None)

        told = _each(command, "updates", change)
        return told | {"nModified": modified} | ({"upserted": upserted} if upserted else {})

    def do_delete(self, db: Any, command: Mapping[str, Any]) -> dict[str, Any]:
        def delete(one: Mapping[str, Any]) -> int:
            collection = db[command["delete"]]
            done = collection.delete_one(one["q"]) if one["limit"] else collection.delete_many(one["q"])
            return int(done.deleted_count)

        return _each(command, "deletes", delete)

    def do_findandmodify(self, db: Any, command: Mapping[str, Any]) -> dict[str, Any]:
        collection = db[next(iter(command.values()))]
        options: dict[str, Any] = {"projection": command.get("fields") or None}
        if command.get("sort"):
            options["sort"] = list(command["sort"].items())
        if command.get("remove"):
            value = collection.find_one_and_delete(command["query"], **options)
            return {"value": value, "lastErrorObject": {"n": int(value is not None)}}
        change = command["update"]
        options |= {"upsert": bool(command.get("upsert"))}
        options |= {"return_document": ReturnDocument.AFTER if command.get("new") else ReturnDocument.BEFORE}
        replaces = not any(key.startswith("$") for key in change)
        method = collection.find_one_and_replace if replaces else collection.find_one_and_update
        value = method(command.get("query") or {}, change, **options)
        return {
            "value": value,
            "lastErrorObject": {"n": int(value is not None), "updatedExisting": value is not None},
        }

    def do_createindexes(self, db: Any, command: Mapping[str, Any]) -> dict[str, Any]:
        for index in command["indexes"]:
            options = {key: index[key] for key in ("name", "unique", "sparse") if key in index}
            db[command["createIndexes"]].create_index(list(index["key"].items()), **options)
        return {}

    def do_listindexes(self, db: Any, command: Mapping[str, Any]) -> dict[str, Any]:
        name = command["listIndexes"]
        known = db[name].index_information()
        rows = [{"v": 2, "name": key, "key": dict(index["key"])} for key, index in known.items()]
        return self._cursor(f"{db.name}.{name}", rows, {})

    def do_listcollections(self, db: Any, _command: Mapping[str, Any]) -> dict[str, Any]:
        rows = [{"name": name, "type": "collection", "options": {}} for name in db.list_collection_names()]
        return self._cursor(f"{db.name}.$cmd.listCollections", rows, {})

    def do_listdatabases(self, _db: Any, _command: Mapping[str, Any]) -> dict[str, Any]:
        return {"databases": [{"name": name} for name in self.client.list_database_names()], "totalSize": 0}

    def do_dropindexes(self, db: Any, command: Mapping[str, Any]) -> dict[str, Any]:
        db[command["dropIndexes"]].drop_indexes()
        return {}

    def do_drop(self, db: Any, command: Mapping[str, Any]) -> dict[str, Any]:
        db.drop_collection(command["drop"])
        return {}

    def do_dropdatabase(self, db: Any, _command: Mapping[str, Any]) -> dict[str, Any]:
        self.client.drop_database(db.name)
        return {}


def _update(collection: Any, one: Mapping[str, Any]) -> Any:
    upsert = bool(one.get("upsert"))
    if not any(key.startswith("$") for key in one["u"]):
        return collection.replace_one(one["q"], one["u"], upsert=upsert)
    method = collection.update_many if one.get("multi") else collection.update_one
    return method(one["q"], one["u"], upsert=upsert)


def _each(command: Mapping[str, Any], key: str, write: Any) -> dict[str, Any]:
    """Do each write of a command; those that fail are told, and end the command where order matters."""
    done, errors = 0, []
    for index, one in enumerate(command[key]):
        try:
            done += int(write(one))
        except OperationFailure as error:
            code = 11000 if isinstance(error, DuplicateKeyError) else 2
            errors.append({"index": index, "code": code, "errmsg": str(error)})
            if command.get("ordered", True):
                break
    return {"n": done} | ({"writeErrors": errors} if errors else {})
