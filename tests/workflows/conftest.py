"""What tests of the queue share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from stand_in import compute_one
from wire_server import WireServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def canned(tmp_path_factory: pytest.TempPathFactory, pw: str) -> Path:
    """A folder of one real run, for the stand-in."""
    return compute_one(tmp_path_factory.mktemp("canned"))


@pytest.fixture
def wire() -> Iterator[WireServer]:
    """A server that speaks MongoDB's wire protocol."""
    server = WireServer().start()
    yield server
    server.stop()
