"""Files as they are found on disk: plain, or compressed by gzip, xz or bzip2, whatever their names say."""

from __future__ import annotations

import bz2
import lzma
import zlib
from typing import TYPE_CHECKING, Any

from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["SUFFIXES", "find_file", "is_compressed", "read_bytes", "read_head", "read_text"]

SUFFIXES = ("", ".gz", ".xz", ".bz2")
"""In which a file may be compressed; the plain one is taken first."""
_UNPACKERS: dict[bytes, Callable[[], Any]] = {
    b"\x1f\x8b": lambda: zlib.decompressobj(31),  # 31: with the header and checksum of gzip
    b"\xfd7zXZ\x00": lzma.LZMADecompressor,
    b"BZh": bz2.BZ2Decompressor,
}
"""By what such files begin with."""
_LONGEST = max(map(len, _UNPACKERS))
_MARK = b"\xef\xbb\xbf"
"""What some editors put before UTF-8."""


def find_file(folder: Path, name: str) -> Path | None:
    """Return the file of that name, plain or compressed, rather one that is not empty; None where there is none."""
    found = [path for suffix in SUFFIXES if (path := folder / f"{name}{suffix}").is_file()]
    return next((path for path in found if path.stat().st_size), found[0] if found else None)


def is_compressed(path: Path) -> bool:
    """Tell whether a file is compressed, by what it begins with.

    Raises
    ------
    ReaderError
        If it cannot be opened.
    """
    return _packed_as(_read(path, _LONGEST)) is not None


def read_bytes(path: Path) -> bytes:
    """Return what a file holds, uncompressed; of one that was cut off as much as there is.

    Raises
    ------
    ReaderError
        If it cannot be opened, or is compressed and damaged.
    """
    data = _read(path)
    magic = _packed_as(data)
    if magic is not None:
        data = _unpack(data, magic, path)
    elif path.suffix in SUFFIXES[1:] and b"\0" in data[:4096]:
        raise ReaderError(f"cannot read {path}: it is not compressed as its name says; copy it again")
    return data.removeprefix(_MARK)


def read_head(path: Path, count: int) -> bytes:
    """Return so many of the first bytes of what a file holds, as far as they can be read."""
    try:
        data = _read(path, count)
        magic = _packed_as(data)
        return data if magic is None else bytes(_UNPACKERS[magic]().decompress(data, count))
    except (ReaderError, OSError, zlib.error, lzma.LZMAError):
        return b""


def read_text(path: Path) -> str:
    """Return what a file holds as text; bytes that are no UTF-8 are replaced.

    Raises
    ------
    ReaderError
        As `read_bytes`.
    """
    return read_bytes(path).decode("utf-8", errors="replace")


def _read(path: Path, count: int = -1) -> bytes:
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise ReaderError(f"cannot read {path}: it is no file; give the file itself")
        with path.open("rb") as stream:
            return stream.read(count)
    except OSError as error:
        raise ReaderError(f"cannot read {path}: {error.strerror or error}; copy it again") from error


def _packed_as(data: bytes) -> bytes | None:
    return next((magic for magic in _UNPACKERS if data.startswith(magic)), None)


def _unpack(data: bytes, magic: bytes, path: Path) -> bytes:
    """Unpack all parts that follow each other; what is no such part is left out, as gzip does."""
    parts: list[bytes] = []
    while data.startswith(magic):
        unpacker = _UNPACKERS[magic]()
        try:
            parts.append(unpacker.decompress(data))
        except (zlib.error, lzma.LZMAError, OSError) as error:
            # What comes before the damage was found may be wrong already.
            raise ReaderError(f"cannot read {path}: it is damaged ({error}); copy it again") from error
        if not unpacker.eof:
            break
        data = unpacker.unused_data.lstrip(b"\0")
    if not any(parts) and not unpacker.eof:
        raise ReaderError(f"cannot read {path}: it is cut off at its beginning; copy it again")
    return b"".join(parts)
