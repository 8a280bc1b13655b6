"""What an earlier report left in a folder: figures of configurations that a new one does not have."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from heterodft.errors import ReaderError
from heterodft.files import read_json, recorded, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["replacing"]

_LIST = "files.json"
"""Names what a report wrote, so that the next one takes that away and nothing else."""


@contextmanager
def replacing(folder: Path) -> Iterator[None]:
    """Write a report in place of an earlier one: what that wrote and this does not is removed at the end."""
    with recorded() as written:
        yield
    names = sorted({path.relative_to(folder).as_posix() for path in written if path.is_relative_to(folder)})
    for name in _earlier(folder) - set(names):
        if not name.startswith(("/", "..")) and "/../" not in name:
            with suppress(OSError):
                (folder / name).unlink()
    write_json(folder / _LIST, {"files": names})


def _earlier(folder: Path) -> set[str]:
    try:
        return set(map(str, read_json(folder / _LIST).get("files", ())))
    except ReaderError:
        return set()
