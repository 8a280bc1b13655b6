"""Numbers as Fortran prints them: rows of fixed width decoded by numpy eight bytes at a time, single ones by rules.

A row of VASP's output is as long as the next, and each number ends where the one above it ends. Eight bytes of each
number are loaded as one 64-bit integer, and their digits are added up in three multiplications, for many rows at once
(D. Lemire, "Number parsing at a gigabyte per second", Softw. Pract. Exp. 51, 1700 (2021)). An integer below 2^53
divided by a power of ten up to 10^22 is rounded once, so that each value is bit for bit that of ``float``. What does
not look as it should (stars, a lost E, more digits) is read one by one, by rules.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Buffer = Any
    """Bytes, a mapped file, or an array of bytes."""

__all__ = ["BadNumberError", "RowFormat", "decode_rows", "parse_number", "split_numbers"]

_NUMBER = re.compile(
    rb"(?P<mantissa>[+-]?(?:\d+\.?\d*|\.\d+))"
    rb"(?:[EeDdQq](?P<exponent>[+-]?\d+)|(?P<bare>[+-]\d{3})(?![\d.]))?"  # 0.123-102: no room for the E
    rb"|(?P<special>\*+|[+-]?(?:[nN][aA][nN]|[iI][nN][fF](?:[iI][nN][iI][tT][yY])?))"
)
_FIELD = re.compile(rb" *[+-]?\d*\.(\d+)(?:([EeDd])[+-]\d\d(?!\d))?")
_BLANKS = b" \t\r\n"

_ALL = 0xFFFFFFFFFFFFFFFF
_ONES = np.uint64(0x0101010101010101)
_BLANK, _ZERO = _ONES * np.uint64(0x20), _ONES * np.uint64(0x30)
_ABOVE_NINE, _HIGH_BITS = _ONES * np.uint64(0x76), _ONES * np.uint64(0x80)
_MASKS = np.array([_ALL & ~((1 << 8 * (8 - count)) - 1) for count in range(9)], dtype=np.uint64)
_EXACT = 1 << 53
_CHUNK = 15000
"""Numbers decoded at once: arrays of 120 kB stay in the processor's cache, and malloc keeps their memory."""
_POWERS = 10.0 ** np.arange(23)

Words = Any
"""Array of uint64, each eight characters, the first one in the lowest byte."""


class BadNumberError(ValueError):
    """Text that Fortran prints for no number; ``row`` says where in a block, ``text`` what."""

    def __init__(self, text: bytes, row: int = 0) -> None:
        self.text, self.row = text, row
        super().__init__(f"row {row + 1}: no number: {text.decode('ascii', errors='backslashreplace')!r}")


def parse_number(text: bytes) -> float:
    """Return one number; stars, with which Fortran fills a field that is too narrow, are not-a-number.

    Raises
    ------
    BadNumberError
        If it is none.

    Examples
    --------
    >>> parse_number(b"-.5"), parse_number(b"1.0D+02"), parse_number(b"0.123-102")
    (-0.5, 100.0, 1.23e-103)
    """
    stripped = text.strip(_BLANKS)
    match = _NUMBER.fullmatch(stripped)
    if match is None:
        raise BadNumberError(text)
    return _value(match)


def _value(match: re.Match[bytes]) -> float:
    if (special := match["special"]) is not None:
        return float("nan") if special.startswith(b"*") else float(special)
    exponent = match["exponent"] or match["bare"]
    return float(match["mantissa"] + b"e" + exponent) if exponent else float(match["mantissa"])


def split_numbers(text: bytes) -> list[float]:
    """Return the numbers of a line of free form, also those that run together.

    Raises
    ------
    BadNumberError
        If there is anything else, or if two numbers without a sign between them run together.

    Examples
    --------
    >>> split_numbers(b"-12.345-67.890  0.5")
    [-12.345, -67.89, 0.5]
    """
    numbers, end = [], 0
    for match in _NUMBER.finditer(text):
        between = text[end : match.start()]
        glued = end > 0 and not between and match[0][:1] not in (b"+", b"-", b"*")
        if glued or between.strip(_BLANKS):
            raise BadNumberError(text)
        numbers.append(_value(match))
        end = match.end()
    if text[end:].strip(_BLANKS):
        raise BadNumberError(text)
    return numbers


@dataclass(frozen=True)
class RowFormat:
    """Where the numbers are in rows of equal length.

    Attributes
    ----------
    length
        Bytes a row, with its line end.
    start
        First byte of the first field.
    ends
        Past the last digit of each field, which begins where the one before ends.
    decimals
        Digits after the point.
    exponent
        Whether the numbers end in E+00.
    frame
        The bytes before the first and behind the last field, the same in all rows.
    """

    length: int
    start: int
    ends: tuple[int, ...]
    decimals: int
    exponent: bool
    frame: tuple[bytes, bytes]

    @classmethod
    def of(cls, row: bytes) -> RowFormat | None:
        """Return the format of a row with its line end, or None when its numbers are not alike."""
        fields = list(_FIELD.finditer(row))
        if not fields or len({(len(field[1]), field[2] is None) for field in fields}) > 1:
            return None
        if any(a.end() != b.start() for a, b in pairwise(fields)):
            return None
        ends = tuple(field.end() for field in fields)
        frame = (row[: fields[0].start()], row[ends[-1] :])
        return cls(len(row), fields[0].start(), ends, len(fields[0][1]), fields[0][2] is not None, frame)

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Bytes of each field."""
        return tuple(end - start for start, end in zip((self.start, *self.ends), self.ends, strict=False))


def decode_rows(
    buffer: Buffer, offset: int, rows: int, form: RowFormat, *, first: int = 0
) -> tuple[NDArray[np.float64], int]:
    """Decode rows of equal length.

    Parameters
    ----------
    buffer
        Holds the rows, one after the other from ``offset``.
    form
        Of one of the rows.
    first
        Columns left of it are not looked at.

    Returns
    -------
    tuple
        The numbers, shape (rows, columns), and how many of them are stars or other not-a-numbers.

    Raises
    ------
    BadNumberError
        If a row is not like the others, or holds something that is no number.
    """
    _check_frame(buffer, offset, rows, form)
    columns = len(form.ends) - first
    values = np.empty((rows, columns))
    chunks = -(-rows * columns // _CHUNK)
    step = max(1, -(-rows // max(1, chunks)))
    unknown = 0
    for begin in range(0, rows, step):
        count = min(step, rows - begin)
        part = values[begin : begin + count]
        bad = _decode_chunk(_Columns(buffer, offset + begin * form.length, count, form, first), part)
        for row in np.flatnonzero(bad.any(axis=1)) if bad.any() else ():
            number = begin + int(row)
            part[row] = _decode_row(_row(buffer, offset, number, form), form, first, number)
            unknown += int(np.isnan(part[row]).sum())
    return values, unknown


def _decode_row(row: bytes, form: RowFormat, first: int, number: int) -> list[float]:
    """Decode what is no plain number: stars, signs, exponents of three digits, many digits."""
    fields = zip((form.start, *form.ends), form.ends, strict=False)
    values = []
    for start, end in list(fields)[first:]:
        match = _NUMBER.fullmatch(row[start:end].strip(b" "))
        if match is None or not _belongs(match, form):
            raise BadNumberError(row[start:end], number)
        values.append(_value(match))
    return values


def _belongs(match: re.Match[bytes], form: RowFormat) -> bool:
    """Whether a number could be printed in this format: others are damaged."""
    if match["special"] is not None:
        return True
    decimals = len(match["mantissa"].partition(b".")[2])
    exponent = match["exponent"] or match["bare"]
    return decimals == form.decimals and (exponent is not None) == form.exponent


def _check_frame(buffer: Buffer, offset: int, rows: int, form: RowFormat) -> None:
    """Make sure that what is around the numbers is the same in all rows."""
    for start, text in ((0, form.frame[0]), (form.ends[-1], form.frame[1])):
        size = 8 if len(text) >= 8 else 1
        for at in range(0, len(text), size):
            begin = min(at, len(text) - size)  # the last piece may overlap the one before
            piece = np.ndarray((rows,), f"<u{size}", buffer, offset + start + begin, (form.length,))
            wrong = piece != int.from_bytes(text[begin : begin + size], "little")
            if wrong.any():
                row = int(wrong.argmax())
                raise BadNumberError(_row(buffer, offset, row, form), row)


def _row(buffer: Buffer, offset: int, row: int, form: RowFormat) -> bytes:
    at = offset + row * form.length
    return bytes(memoryview(buffer)[at : at + form.length])


@dataclass(frozen=True)
class _Columns:
    """The numbers of a chunk of rows, of which words of eight bytes are loaded relative to their ends."""

    buffer: Buffer
    offset: int
    rows: int
    form: RowFormat
    first: int

    @property
    def tail(self) -> int:
        """Characters of each number from its point on."""
        return 1 + self.form.decimals + (4 if self.form.exponent else 0)

    @cached_property
    def before(self) -> NDArray[np.int64]:
        """Characters of each field before its point."""
        return np.array(self.form.widths[self.first :]) - self.tail

    def load(self, back: int, kind: str = "<u8") -> Words:
        """Return the words that begin ``back`` bytes before the end of each number."""
        ends = self.form.ends[self.first :]
        gaps = {b - a for a, b in pairwise(ends)} or {0}
        if len(gaps) == 1:
            strides = (self.form.length, gaps.pop())
            return np.ndarray((self.rows, len(ends)), kind, self.buffer, self.offset + ends[0] - back, strides).copy()
        starts = [self.offset + end - back for end in ends]
        columns = [np.ndarray((self.rows,), kind, self.buffer, at, (self.form.length,)) for at in starts]
        return np.stack(columns, axis=1)

    def blanks(self, back: int, counts: NDArray[np.int64]) -> Words:
        """Return zero where the last ``counts`` characters of the words, at most eight, are blanks."""
        if not counts.any():
            return np.uint64(0)
        return ((self.load(back) ^ _BLANK) & _last(np.minimum(counts, 8))) | (counts > 8)


def _last(counts: int | NDArray[np.int64]) -> Words:
    """Mask of the last ``counts`` characters, one to eight or none, of words."""
    return _MASKS[counts]


def _decode_chunk(columns: _Columns, out: NDArray[np.float64]) -> NDArray[Any]:
    """Fill ``out``; return nonzero for each number that needs the rules."""
    form = columns.form
    reach = 16 + columns.tail
    if columns.offset + form.ends[columns.first] < reach or columns.before.min() < 1 or form.decimals > 19:
        return np.ones(out.shape, dtype=bool)  # too near to the beginning of the buffer to load what is before
    if form.decimals <= 5 and not form.exponent:
        number, sign, bad = _one_word(columns, form.decimals)
    else:
        number, sign, bad = _several_words(columns, form.decimals)
    np.copyto(out, number, casting="unsafe")
    if form.exponent:
        power, wrong = _exponents(columns)
        power -= form.decimals
        scale = _POWERS[np.minimum(np.abs(power), 22)]
        np.copyto(out, np.where(power < 0, out / scale, out * scale))
        bad = bad | wrong | (np.abs(power) > 22)
    else:
        out /= _POWERS[form.decimals]
    if sign.any():
        np.negative(out, out=out, where=sign != 0)
    return np.asarray(bad)


def _one_word(columns: _Columns, decimals: int) -> tuple[Words, Words, Words]:
    """Decode up to eight digits on both sides of the point."""
    room = 8 - decimals
    point = np.uint64(0xFF << 8 * (room - 1))
    after = _last(decimals)
    words = columns.load(8)
    bad = (words ^ np.uint64(0x2E << 8 * (room - 1))) & point
    words &= after
    words |= columns.load(9) & ~after
    outside = ~_last(8 - np.maximum(room - columns.before, 0))
    if outside.any():
        words = (words & ~outside) | (_BLANK & outside)
    bad |= columns.blanks(17, np.maximum(columns.before - room, 0))
    number, sign, wrong = _add_digits(words, decimals)
    return number, sign, bad | wrong


def _several_words(columns: _Columns, decimals: int) -> tuple[Words, Words, Words]:
    """Decode eight digits before the point and, eight by eight, those behind it."""
    own = _last(np.minimum(columns.before, 8))
    words = (columns.load(columns.tail + 8) & own) | (_BLANK & ~own)
    number, sign, bad = _add_digits(words, 0)
    bad |= columns.load(columns.tail, "u1") != 0x2E
    bad |= columns.blanks(columns.tail + 16, np.maximum(columns.before - 8, 0))
    bad |= number > np.uint64(_EXACT // 10**decimals)
    for done in range(0, decimals, 8):
        count = min(8, decimals - done)
        words = columns.load(columns.tail - 1 - done - count + 8)
        digits, _, wrong = _add_digits((words & _last(count)) | (_ZERO & ~_last(count)), 8)
        number = number * np.uint64(10**count) + digits
        bad |= wrong
    return number, sign, bad | (number >= np.uint64(_EXACT))


def _add_digits(words: Words, digits: int) -> tuple[Words, Words, Words]:
    """Return the integer of each word of blanks, a minus or none, and digits.

    Returns
    -------
    tuple
        The integers, nonzero where there is a minus, and nonzero where a word is not of this form or does not end in
        ``digits`` digits.
    """
    values = words ^ _ZERO  # digits turn into their values, a blank into 0x10, a minus into 0x1D
    other = (values >> 4) & _ONES
    mask = other * np.uint64(0xFF)
    rest = values & mask
    values ^= rest
    bad = ((values + _ABOVE_NINE) | values) & _HIGH_BITS
    first = mask + np.uint64(1)  # with the digits at the end of the word this is one bit, of the first of them
    bad |= mask & (first | _last(digits))
    sign = rest & (first >> 8)
    bad |= rest ^ (other << 4) ^ (sign * np.uint64(0x0D))
    values *= np.uint64(10 << 8 | 1)
    values >>= 8
    values &= np.uint64(0x00FF00FF00FF00FF)
    values *= np.uint64(100 << 16 | 1)
    values >>= 16
    values &= np.uint64(0x0000FFFF0000FFFF)
    values *= np.uint64(10000 << 32 | 1)
    values >>= 32
    return values, sign, bad


def _exponents(columns: _Columns) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the powers of ten of E+00, and where they are none."""
    letter, sign, tens, ones = (columns.load(back, "u1") for back in (4, 3, 2, 1))
    power = (tens.astype(np.int64) - 48) * 10 + (ones.astype(np.int64) - 48)
    wrong = ~np.isin(letter, list(b"EeDd")) | ~np.isin(sign, list(b"+-"))
    wrong |= (np.minimum(tens, ones) < 48) | (np.maximum(tens, ones) > 57)
    return np.where(sign == ord("-"), -power, power), wrong
