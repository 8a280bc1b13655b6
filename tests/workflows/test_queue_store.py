"""The embedded store against mongomock: the same operations must give the same documents."""

from __future__ import annotations

import gc
import multiprocessing
import os
import sqlite3
import warnings
from typing import TYPE_CHECKING

import mongomock
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.errors import AutoReconnect, DuplicateKeyError

from heterodft.workflows.queue.store import SqliteClient

if TYPE_CHECKING:
    from pathlib import Path

STATES = st.sampled_from(["READY", "RUNNING", "COMPLETED"])
QUERIES = st.one_of(
    st.fixed_dictionaries({"fw_id": st.integers(1, 6)}),
    st.fixed_dictionaries({"state": STATES}),
    st.fixed_dictionaries({"state": st.fixed_dictionaries({"$in": st.lists(STATES, max_size=3)})}),
    st.fixed_dictionaries({"launches": st.integers(1, 4)}),
    st.fixed_dictionaries({"spec.x": st.fixed_dictionaries({"$exists": st.booleans()})}),
    st.fixed_dictionaries({"$or": st.lists(st.fixed_dictionaries({"fw_id": st.integers(1, 6)}), min_size=1)}),
    st.fixed_dictionaries({"fw_id": st.fixed_dictionaries({"$nin": st.lists(st.integers(1, 6))})}),
    st.just({}),
)
UPDATES = st.one_of(
    st.fixed_dictionaries({"$set": st.fixed_dictionaries({"state": STATES})}),
    st.fixed_dictionaries({"$set": st.fixed_dictionaries({"spec.x": st.integers(0, 3)})}),
    st.fixed_dictionaries({"$inc": st.fixed_dictionaries({"count": st.integers(-2, 2)})}),
    st.just({"$unset": {"count": 1}}),
    st.fixed_dictionaries({"$push": st.fixed_dictionaries({"launches": st.integers(1, 4)})}),
)
DOCUMENTS = st.fixed_dictionaries(
    {
        "fw_id": st.integers(1, 6),
        "state": STATES,
        "launches": st.lists(st.integers(1, 4), max_size=3),
        "spec": st.fixed_dictionaries({}, optional={"x": st.integers(0, 3)}),
    }
)
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), DOCUMENTS, st.none()),
        st.tuples(st.sampled_from(["update_many", "find_one_and_update"]), QUERIES, UPDATES),
        st.tuples(st.just("replace"), QUERIES, DOCUMENTS),
        st.tuples(st.just("delete_many"), QUERIES, st.none()),
    ),
    max_size=8,
)


def plain(document):
    return {key: value for key, value in document.items() if key != "_id"}


def apply(collection, operation):
    kind, first, second = operation
    if kind == "insert":
        if collection.find_one({"fw_id": first["fw_id"]}) is None:
            collection.insert_one({**first, "_id": first["fw_id"]})
    elif kind == "update_many":
        collection.update_many(first, second)
    elif kind == "find_one_and_update":
        collection.find_one_and_update(first, second, sort=[("fw_id", 1)])
    elif kind == "replace":
        found = collection.find_one(first, sort=[("fw_id", 1)])
        if found is not None:
            new = {**second, "fw_id": found["fw_id"]}
            collection.find_one_and_replace({"fw_id": found["fw_id"]}, new)
    else:
        collection.delete_many(first)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(OPERATIONS, QUERIES)
def test_every_operation_does_what_mongodb_does(tmp_path_factory, operations, query):
    client = SqliteClient(tmp_path_factory.mktemp("store") / "q.sqlite")
    ours, theirs = client["db"]["fireworks"], mongomock.MongoClient()["db"]["fireworks"]
    for operation in operations:
        apply(ours, operation)
        apply(theirs, operation)
    order = [("fw_id", 1)]
    assert [plain(d) for d in ours.find(query, sort=order)] == [plain(d) for d in theirs.find(query, sort=order)]
    assert ours.count_documents(query) == theirs.count_documents(query)
    assert sorted(ours.distinct("state", query)) == sorted(theirs.distinct("state", query))
    columns = {"_id": 0, "fw_id": 1, "state": 1}
    assert list(ours.find({}, columns)) == list(theirs.find({}, columns))
    wanted = {"state": 1, "spec.x": 1}
    assert list(ours.find({}, wanted, sort=order)) == list(theirs.find({}, wanted, sort=order))
    client.close()


@pytest.fixture
def client(tmp_path):
    client = SqliteClient(tmp_path / "q.sqlite")
    yield client
    client.close()


def test_a_calculation_is_in_the_store_once(client):
    fireworks = client["db"].fireworks
    fireworks.insert_one({"fw_id": 1, "spec": {"calculation": "abc"}})
    fireworks.insert_one({"fw_id": 2, "spec": {}})
    fireworks.insert_one({"fw_id": 3, "spec": {}})
    with pytest.raises(DuplicateKeyError):
        fireworks.insert_one({"fw_id": 4, "spec": {"calculation": "abc"}})
    assert fireworks.count_documents() == 3


def test_a_listing_of_columns_is_what_the_documents_hold(client):
    fireworks, reference = client["db"].fireworks, mongomock.MongoClient()["db"]["fireworks"]
    for collection in (fireworks, reference):
        collection.insert_one({"fw_id": 1, "name": "a", "spec": {"calculation": "abc", "folder": "f", "more": 1}})
        collection.insert_one({"fw_id": 2, "name": "b", "spec": {}})
    wanted = {"_id": 0, "fw_id": 1, "name": 1, "spec.folder": 1, "spec.calculation": 1}
    assert list(fireworks.find({}, wanted)) == list(reference.find({}, wanted))
    assert list(fireworks.find({}, wanted).limit(1)) == list(reference.find({}, wanted).limit(1))


def test_an_error_inside_a_transaction_undoes_all_of_it(client):
    counter = client["db"].counter
    counter.insert_one({"_id": 1, "n": 0})

    def fail():
        with client.transaction():
            counter.update_one({"_id": 1}, {"$inc": {"n": 1}})
            client["db"].other.insert_one({"_id": 7})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert counter.find_one({"_id": 1})["n"] == 0
    assert client["db"].other.find_one() is None


def increment(path: Path, times: int) -> None:
    counter = SqliteClient(path)["db"].counter
    for _ in range(times):
        counter.find_one_and_update({"_id": 1}, {"$inc": {"n": 1}})


def test_four_processes_lose_no_increment(client):
    client["db"].counter.insert_one({"_id": 1, "n": 0})
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=increment, args=(client.path, 100)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert client["db"].counter.find_one({"_id": 1})["n"] == 400


def test_a_file_that_is_no_database_is_told(tmp_path):
    path = tmp_path / "q.sqlite"
    path.write_text("this is no database, only a text that is long enough to be looked at as one" * 10)
    with pytest.raises(AutoReconnect, match=r"q\.sqlite: file is not a database"):
        SqliteClient(path).connect()


def test_a_client_that_is_let_go_closes_its_connection(tmp_path):
    client = SqliteClient(tmp_path / "q.sqlite")
    connection = client.connect()
    del client
    gc.collect()
    with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
        connection.execute("SELECT 1")


def test_what_a_forked_child_writes_outlives_the_connections_of_its_parent(tmp_path):
    client = SqliteClient(tmp_path / "q.sqlite")
    client["d"]["c"].insert_one({"n": 0})
    (from_child, to_parent), (from_parent, to_child) = os.pipe(), os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads of the tests
        child = os.fork()
    if child == 0:
        client["d"]["c"].insert_one({"n": 1})
        os.write(to_parent, b"x")
        os.read(from_parent, 1)
        client["d"]["c"].insert_one({"n": 2})
        os._exit(0)
    os.read(from_child, 1)
    client.close()
    os.write(to_child, b"x")
    assert os.waitpid(child, 0)[1] == 0
    assert sorted(d["n"] for d in SqliteClient(tmp_path / "q.sqlite")["d"]["c"].find({})) == [0, 1, 2]
