"""Long blocks of numbers as Fortran writes them, in rows of equal fields or free form.

Rows of equal fields (``5(1X,E17.11)`` of CHGCAR and LOCPOT, ``6E13.5`` of a cube, ``5(1PE17.9)`` of pp.x) are decoded
as a table of bytes: eight digits at a time as one 64-bit integer. A mantissa below 2^53 times or over a power of ten
up to 10^22 is rounded once, so that each number equals what ``float`` gives; the few that are smaller are left to it.
Anything else (``10(1X,G11.5)`` of CHG, files made by hand) is counted token by token before numpy reads it.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["read_numbers"]

_FIELD = re.compile(rb"( *)([- ]?)([0-9]?)\.([0-9]+)E[-+][0-9]{2}")
_NUMBER = re.compile(rb"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[EeDd][-+]?[0-9]+|[-+][0-9]{3})?")
_RUN_TOGETHER = re.compile(rb"[0-9.][-+][0-9.]{4}")
_ZERO = re.compile(rb"0?\.0+(E[-+]?00)?")
_NO_E = re.compile(rb"(?<=[0-9.])([-+][0-9]{3})$")
_POWERS = np.array([float(10**power) for power in range(23)])
_ROWS = 1 << 11
_WIDEST = 32
_WHITE = np.zeros(256, dtype=bool)
_WHITE[list(b" \t\n\r\f\v")] = True
_Word = np.uint64
_HIGH = _Word(0x8080808080808080)
_PLUS, _MINUS = _Word(0x2B45), _Word(0x2D45)
"""``E+`` and ``E-``, the first byte the lower one."""


@dataclass(frozen=True)
class _Layout:
    """Rows of ``columns`` fields of ``width`` bytes, with the point at ``point`` and so many ``digits`` after it."""

    columns: int
    width: int
    point: int
    digits: int


def read_numbers(
    data: bytes, start: int, count: int, path: Path, *, record: int | None = None
) -> tuple[NDArray[np.float64], int]:
    """Read so many numbers.

    Parameters
    ----------
    data, start
        What the file holds, and where the first row of numbers begins.
    count
        How many there must be.
    path
        Of the file, for messages.
    record
        How many numbers there are before a new row begins in any case; without, all of them.

    Returns
    -------
    tuple
        The numbers, shape (count,), and the position behind the end of their last row.

    Raises
    ------
    ReaderError
        If there are fewer numbers, one of them is ``*****`` or otherwise none, or the last has no line end.
    """
    record = min(record or count, count)
    layout = _layout(data, start)
    if layout is None or count % record:
        return _read_free(data, start, count, path)
    # VASP ends its last row in blanks where it is not full.
    rest = count % layout.columns if record == count else 0
    values = np.empty(count)
    end: int | None = start
    if record > rest:
        table = values[: count - rest].reshape(count // record, record - rest)
        end = _read_table(data, start, table, layout, path)
    if end is None:
        return _read_free(data, start, count, path)
    if rest:
        values[count - rest :], end = _read_free(data, end, rest, path, before=count - rest)
    return values, end


def _layout(data: bytes, start: int) -> _Layout | None:
    end = data.find(b"\n", start)
    line = data[start:end] if end >= 0 else b""
    columns = len(line.split())
    if not columns or len(line) % columns:
        return None
    width = len(line) // columns
    field = _FIELD.fullmatch(line[:width])
    if field is None or not 5 <= len(field[4]) <= 12:
        return None
    return _Layout(columns, width, field.start(4) - 1, len(field[4]))


def _read_table(data: bytes, start: int, values: NDArray[np.float64], layout: _Layout, path: Path) -> int | None:
    """Fill in the numbers of rows of equal fields, shape (record, number); return their end, None if unlike."""
    records, record = values.shape
    full, rest = divmod(record, layout.columns)
    row = layout.columns * layout.width + 1
    size = full * row + (rest * layout.width + 1 if rest else 0)
    end: int = start + records * size
    if end > len(data):
        return None
    table = np.frombuffer(data, np.uint8, records * size, start).reshape(records, size)
    step = max(1, _ROWS // max(full, 1))
    for first in range(0, records, step):
        part = table[first : first + step]
        for low in range(0, full, _ROWS):
            rows = part[:, low * row : min(low + _ROWS, full) * row].reshape(len(part), -1, row)
            numbers = _decode(rows, layout, path)
            if numbers is None:
                return None
            target = values[first : first + step, low * layout.columns :]
            target[:, : numbers.shape[1]] = numbers
        if rest:
            numbers = _decode(part[:, full * row :].reshape(len(part), 1, -1), layout, path)
            if numbers is None:
                return None
            values[first : first + step, full * layout.columns :] = numbers
    return end


def _decode(rows: NDArray[np.uint8], layout: _Layout, path: Path) -> NDArray[np.float64] | None:
    """Return the numbers of rows with line ends, shape (record, row, byte) → (record, number); None if unlike."""
    if not (rows[..., -1] == ord("\n")).all():
        return None
    fields = rows[..., :-1].reshape(*rows.shape[:2], -1, layout.width)
    head, tail = _head(fields, layout), fields[..., -8:].view("<u8")[..., 0].astype(_Word)
    marks = (tail >> _Word(32)) & _Word(0xFFFF)
    smaller = marks == _MINUS
    # Four digits, E, a sign and two digits: between the digits zeros are put before all are checked.
    wrong = _not_digits(head) | _not_digits((tail & _Word(0xFFFF0000FFFFFFFF)) | _Word(0x0000303000000000))
    if wrong.any() or not (smaller | (marks == _PLUS)).all() or not (fields[..., layout.point] == ord(".")).all():
        return None
    front = _front(fields[..., : layout.point])
    if front is None:
        return None
    negative, leading = front
    values = (_eight_digits(head) * _Word(10_000) + _four_digits(tail)).astype(np.float64)
    if leading is not None:
        values += leading * 10.0**layout.digits
    index = ((tail >> _Word(48)) & _Word(15)) * _Word(10) + ((tail >> _Word(56)) & _Word(15))
    divisor = _divisors(layout.digits)[(index + smaller * _Word(100)).astype(np.intp)]
    values /= divisor
    np.negative(values, out=values, where=negative)
    outside = np.isnan(divisor)
    if outside.any():
        values[outside] = [float(bytes(field)) for field in fields[outside]]
    if not np.isfinite(values).all():
        raise ReaderError(f"{path}: a number is infinite; copy the file again")
    numbers: NDArray[np.float64] = values.reshape(len(rows), -1)
    return numbers


@lru_cache
def _divisors(digits: int) -> NDArray[np.float64]:
    """Return by what to divide for the exponents 0 … 99, 0 … −99; nan where one rounding would not be enough."""
    exponents = np.concatenate([np.arange(100), -np.arange(100)])
    powers = digits - exponents
    return np.where((powers >= 0) & (powers <= 22), _POWERS[np.clip(powers, 0, 22)], np.nan)


def _head(fields: NDArray[np.uint8], layout: _Layout) -> NDArray[_Word]:
    """Return the digits before the last four as the last bytes of words, with zeros before them."""
    first = max(0, layout.width - 16)
    unused = 8 * (8 - (layout.width - 8 - first))
    word = fields[..., first : first + 8].view("<u8")[..., 0] << _Word(unused)
    bits = 8 * (layout.digits - 4)
    keep = ((1 << bits) - 1) << (64 - bits)
    head: NDArray[_Word] = (word & _Word(keep)) | _Word(0x3030303030303030 & ~keep)
    return head


def _not_digits(word: NDArray[_Word]) -> NDArray[_Word]:
    """Return something else than zero where one of eight bytes is no ASCII digit."""
    found: NDArray[_Word] = ((word + _Word(0x4646464646464646)) | (word - _Word(0x3030303030303030))) & _HIGH
    return found


def _eight_digits(word: NDArray[_Word]) -> NDArray[_Word]:
    """Return what eight ASCII digits mean: pairs of neighbours are added up three times."""
    word = ((word & _Word(0x0F0F0F0F0F0F0F0F)) * _Word(2561)) >> _Word(8)
    word = ((word & _Word(0x00FF00FF00FF00FF)) * _Word(6553601)) >> _Word(16)
    number: NDArray[_Word] = ((word & _Word(0x0000FFFF0000FFFF)) * _Word(42949672960001)) >> _Word(32)
    return number


def _four_digits(word: NDArray[_Word]) -> NDArray[_Word]:
    word = ((word & _Word(0x0F0F0F0F)) * _Word(2561)) >> _Word(8)
    number: NDArray[_Word] = (((word & _Word(0x00FF00FF)) * _Word(6553601)) >> _Word(16)) & _Word(0xFFFF)
    return number


def _front(front: NDArray[np.uint8]) -> tuple[NDArray[np.bool_], NDArray[np.float64] | None] | None:
    """Return the sign and the digit (None of all zeros) before the point: ``" -1"``, ``" -"``, ``" 0"``, ``"  "``."""
    if front.shape[-1] == 0:
        return np.zeros(front.shape[:-1], dtype=bool), None
    last = front[..., -1]
    digit = (last >= ord("0")) & (last <= ord("9"))
    minus = last == ord("-")
    good = digit | minus | (last == ord(" "))
    if front.shape[-1] > 1:
        before = front[..., -2] == ord("-")
        good &= (front[..., -2] == ord(" ")) | (before & digit)
        minus |= before
    if not good.all() or not all((front[..., i] == ord(" ")).all() for i in range(front.shape[-1] - 2)):
        return None
    leading = np.where(digit, last - np.uint8(ord("0")), 0)
    return minus, leading.astype(np.float64) if leading.any() else None


def _read_free(
    data: bytes, start: int, count: int, path: Path, *, before: int = 0
) -> tuple[NDArray[np.float64], int]:
    """Read words between blanks, the first of which is number ``before`` + 1 of the grid."""
    total = before + count
    begins, white = _tokens(data, start, count * _WIDEST)
    if len(begins) < count or not white[begins[count - 1] :].any():
        begins, white = _tokens(data, start, len(data))
    if len(begins) < count:
        _complain(data[start:], path, before, total, cut_off=True)
        there = before + len(begins)
        raise ReaderError(f"{path} is cut off: {there} of {total} numbers of a grid are there; copy it again")
    ends = np.flatnonzero(white[begins[count - 1] :])
    if not len(ends):
        raise ReaderError(f"{path} is cut off: the last of {total} numbers of a grid has no line end; copy it again")
    block = data[start : start + int(begins[count - 1] + ends[0])]
    line_end = data.find(b"\n", start + len(block))
    _complain_of_rest(data, start + len(block), line_end, path, total)
    return _floats(block, count, path, before), line_end + 1


def _complain_of_rest(data: bytes, end: int, line_end: int, path: Path, total: int) -> None:
    if line_end < 0:
        raise ReaderError(f"{path} is cut off: the last of {total} numbers of a grid has no line end; copy it again")
    if any(_ZERO.fullmatch(word) is None for word in data[end:line_end].split()):  # some programs fill the last row
        raise ReaderError(f"{path}: more than the {total} numbers that a grid should have; copy the file again")


def _tokens(data: bytes, start: int, most: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return where words begin, relative to the start, and which bytes are white."""
    white = _WHITE[np.frombuffer(data, np.uint8, min(most, len(data) - start), start)]
    before = np.concatenate([[True], white[:-1]])
    return np.flatnonzero(before & ~white), white


def _floats(block: bytes, count: int, path: Path, before: int) -> NDArray[np.float64]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)  # older numpy's for what is no number
            values = np.fromstring(block, dtype=np.float64, sep=" ")
    except (DeprecationWarning, ValueError):
        values = np.empty(0)
    # As many numbers as words: no word was read as two.
    if len(values) == count and np.isfinite(values).all():
        return values
    _complain(block, path, before, before + count)
    words = block.upper().replace(b"D", b"E").split()
    values = np.array([float(_NO_E.sub(rb"E\1", word)) for word in words])
    if not np.isfinite(values).all():
        raise ReaderError(f"{path}: a number is infinite; copy the file again")
    return values


def _complain(block: bytes, path: Path, before: int, total: int, *, cut_off: bool = False) -> None:
    """Refuse the first word that is no number; what a cut left of the last one is none of its faults."""
    words = list(re.finditer(rb"\S+", block))
    if cut_off and not block.endswith(b"\n"):
        words = words[:-1]
    for number, match in enumerate(words, start=before + 1):
        if _NUMBER.fullmatch(match[0]) is None:
            _refuse(match[0], number, total, path)


def _refuse(word: bytes, number: int, total: int, path: Path) -> NoReturn:
    text = word[:40].decode("ascii", errors="replace")
    if set(word) == {ord("*")}:
        reason = "too large for its field"
    elif word.count(b".") > 1 or _RUN_TOGETHER.search(word):
        reason = "numbers run together"
    else:
        reason = "no number"
    raise ReaderError(
        f"{path}: number {number} of {total} of a grid reads {text!r} ({reason}); write or copy the file again"
    )
