"""Files as they are found on disk: plain, or compressed by gzip, xz or bzip2."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from typing import TYPE_CHECKING, Any

from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SUFFIXES", "find_file", "read_bytes", "read_text"]

_OPENERS: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
SUFFIXES = ("", *_OPENERS)
"""In which a file may be compressed; the plain one is taken first."""
_BLOCK = 1 << 22


def find_file(folder: Path, name: str) -> Path | None:
    """Return the file of that name, plain or compressed; None where there is none."""
    for suffix in SUFFIXES:
        path = folder / f"{name}{suffix}"
        if path.is_file():
            return path
    return None


def read_bytes(path: Path) -> bytes:
    """Return what a file holds, uncompressed; of one that was cut off as much as there is.

    Raises
    ------
    ReaderError
        If it cannot be opened or is not compressed as its name says.
    """
    try:
        if path.suffix not in _OPENERS:
            return path.read_bytes()
        blocks: list[bytes] = []
        try:
            with _OPENERS[path.suffix](path, "rb") as stream:
                while block := stream.read1(_BLOCK):  # read would lose what is before the damage
                    blocks.append(block)
        except (EOFError, zlib.error, lzma.LZMAError) as error:
            if not blocks:
                raise ReaderError(f"cannot read {path}: {error}; copy it again") from error
        return b"".join(blocks)
    except OSError as error:
        raise ReaderError(f"cannot read {path}: {error.strerror or error}; copy it again") from error


def read_text(path: Path) -> str:
    """Return what a file holds as text; bytes that are no UTF-8 are replaced.

    Raises
    ------
    ReaderError
        As `read_bytes`.
    """
    return read_bytes(path).decode("utf-8", errors="replace")
