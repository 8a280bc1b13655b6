"""Text of a file that may be large: mapped where it is plain, searched from either end, cut where it is wanted."""

from __future__ import annotations

import math
import mmap
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from heterodft.analysis.readers.opening import is_compressed, read_bytes
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Mapped", "find", "fixed_width", "mapped", "number", "rfind", "words_to_numbers"]

Mapped: TypeAlias = "bytes | mmap.mmap"
_BLOCK = 1 << 18
_NUMBER = re.compile(rb"\s*([-+]?(?:\d+\.?\d*|\.\d+))(?:[eEdD]([-+]?\d+)|([-+]\d+))?\s*")


@contextmanager
def mapped(path: Path) -> Iterator[Mapped]:
    """Give a file as bytes that can be searched and cut, without reading all of it where it is not compressed.

    Raises
    ------
    ReaderError
        If it cannot be opened, or is compressed and cannot be unpacked.
    """
    if is_compressed(path):
        yield read_bytes(path)
        return
    try:
        stream = path.open("rb")
    except OSError as error:
        raise ReaderError(f"cannot read {path}: {error.strerror or error}; copy it again") from error
    with stream:
        try:
            whole: Mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except (ValueError, OSError):  # an empty file, or a file system that cannot map
            whole = read_bytes(path)
        try:
            yield whole
        finally:
            if isinstance(whole, mmap.mmap):
                whole.close()


def rfind(data: Mapped, word: bytes, start: int = 0, end: int | None = None) -> int:
    """Return where a word is found last, −1 where nowhere; block by block, since mmap's own search is slow."""
    stop = len(data) if end is None else end
    while stop > start:
        begin = max(start, stop - _BLOCK)
        found = data[begin : min(stop + len(word) - 1, len(data) if end is None else end)].rfind(word)
        if found >= 0:
            return begin + found
        stop = begin
    return -1


def find(data: Mapped, word: bytes, start: int) -> int:
    """Return where a word is found first, −1 where nowhere."""
    while start < len(data):
        found = data[start : start + _BLOCK + len(word)].find(word)
        if found >= 0:
            return start + found
        start += _BLOCK
    return -1


def number(text: bytes) -> float:
    """Return a number as Fortran prints it; not-a-number for asterisks and anything else.

    Examples
    --------
    >>> number(b" -.52663928E+03"), number(b"0.1-101"), number(b"****")
    (-526.63928, 1e-102, nan)
    """
    match = _NUMBER.fullmatch(text)
    if match is None:
        return math.nan
    power = match[2] or match[3]
    return float(match[1] + (b"e" + power if power else b""))


def words_to_numbers(text: bytes) -> list[float]:
    """Return the numbers of a line that has blanks between them."""
    return [number(word) for word in text.split()]


def fixed_width(rows: list[bytes], columns: list[tuple[int, int]]) -> NDArray[np.float64]:
    """Return the numbers in fixed columns, counted from the start (or, negative, from the end) of each row."""
    cells = [[number(row[begin : stop or None]) for begin, stop in columns] for row in rows]
    return np.array(cells, dtype=np.float64).reshape(len(rows), len(columns))
