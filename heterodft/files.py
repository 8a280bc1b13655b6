"""Files written whole or not at all: a temporary name beside the target, then a rename."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import lru_cache
from typing import IO, TYPE_CHECKING, Any

from heterodft.errors import ReaderError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["atomic_writer", "checksum", "make_folder", "read_json", "recorded", "write_json", "write_text"]

_WRITTEN: ContextVar[list[Path] | None] = ContextVar("written", default=None)
_IN_THE_WAY = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.EROFS)


def _storage_error(path: Path, error: OSError) -> StorageError:
    reason = error.strerror or str(error)
    remedy = "choose" if error.errno in _IN_THE_WAY else "free some space or choose"
    return StorageError(f"cannot write {path}: {reason}; {remedy} another folder")


@contextmanager
def recorded() -> Iterator[list[Path]]:
    """Collect the paths of all files that are written inside."""
    paths: list[Path] = []
    token = _WRITTEN.set(paths)
    try:
        yield paths
    finally:
        _WRITTEN.reset(token)


def make_folder(path: Path) -> Path:
    """Create a folder with its parents.

    Raises
    ------
    StorageError
        If the file system refuses.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _storage_error(path, error) from error
    return path


@contextmanager
def atomic_writer(path: Path) -> Iterator[IO[bytes]]:
    """Open ``path`` for binary writing such that readers see the old file or the whole new one.

    Raises
    ------
    StorageError
        If the file system refuses; the old file, if any, is left as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            yield stream
        temporary.replace(path)
        if (paths := _WRITTEN.get()) is not None:
            paths.append(path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _storage_error(path, error) from error
        raise


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file, read again only after it changed."""
    stamp = path.stat()
    return _checksum(path, stamp.st_mtime_ns, stamp.st_size)


@lru_cache(maxsize=1024)
def _checksum(path: Path, _changed: int, _size: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_text(path: Path, text: str) -> Path:
    """Write a UTF-8 text file, whole or not at all."""
    with atomic_writer(path) as stream:
        stream.write(text.encode())
    return path


def write_json(path: Path, data: Any) -> Path:
    """Write a JSON file, whole or not at all; not-a-number is refused."""
    return write_text(path, json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises
    ------
    ReaderError
        If the file is missing, cut off or not an object.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReaderError(f"cannot read {path}: {error}") from error
    if not isinstance(data, dict):
        raise ReaderError(f"cannot read {path}: expected a JSON object")
    return data
