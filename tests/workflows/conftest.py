"""What tests of the queue share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from wire_server import WireServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def wire() -> Iterator[WireServer]:
    """A server that speaks MongoDB's wire protocol."""
    server = WireServer().start()
    yield server
    server.stop()
