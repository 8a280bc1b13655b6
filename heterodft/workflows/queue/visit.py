"""A look at the launchpad that leaves nothing behind."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

from heterodft.errors import QueueError
from heterodft.words import number_of
from heterodft.workflows.queue.filesystems import filesystem_of, refuse_network_filesystem
from heterodft.workflows.queue.launchpad import open_launchpad, queue_errors
from heterodft.workflows.queue.server import connect

if TYPE_CHECKING:
    from pathlib import Path

    from heterodft.workflows.settings import Settings

__all__ = ["visit_launchpad"]


def visit_launchpad(settings: Settings) -> str:
    """Return where the launchpad is and what it holds, having seen that it can be written to.

    Raises
    ------
    QueueError
        If it cannot be reached, read or written to.
    """
    return _visit_server(settings) if settings.queue_file is None else _visit_file(settings, settings.queue_file)


def _visit_file(settings: Settings, path: Path) -> str:
    refuse_network_filesystem(path)
    folder = next(one for one in path.parents if one.is_dir())
    for place in (folder, *([path] if path.exists() else [])):
        if not os.access(place, os.W_OK):
            raise QueueError(f"{place} cannot be written to; make it writable, or name another launchpad: host:")
    if not path.exists():
        return f"{path} (made by the first heterodft submit)"
    with queue_errors(settings):
        number = open_launchpad(settings, create=False).fireworks.count_documents({})
    return f"{path} on {filesystem_of(path)}, {number_of(number, 'calculation')}"


def _visit_server(settings: Settings) -> str:
    with queue_errors(settings):
        client, name = connect(settings)
        try:
            release = client.server_info()["version"]
            scratch = client[name][f"heterodft_doctor_{uuid.uuid4().hex}"]
            scratch.insert_one({"_id": "doctor"})
            scratch.drop()
            number = client[name].fireworks.count_documents({})
        finally:
            client.close()
    return f"MongoDB {release}, database {name}, readable and writable, {number_of(number, 'calculation')}"
