"""The blocks of numbers in vasprun.xml: rows ``<r> … </r>`` in nested, numbered sets.

Blocks of equal length follow each other: their headers are compared with what they must be, and the rows of many
blocks are decoded at once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.readers.numbers import BadNumberError, RowFormat, decode_rows, split_numbers
from heterodft.analysis.readers.vasp.vasprun_text import CutOffError, DamageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from heterodft.analysis.readers.vasp.vasprun_text import Element, Text

__all__ = ["Sets", "read_fields", "read_rows"]

_BATCH = 1 << 17
"""Bytes of rows decoded at once."""
_PAD = 64
"""Bytes before the rows of a batch, so that what is before a number can be loaded."""
_FIELD = re.compile(rb"<field[^<>]*>([^<>]*)</field>")
_SET = re.compile(rb"\s*<set>")
_NUMBERED = re.compile(rb"[ \t\r\n]*<set comment=\"([A-Za-z]+)( *)(\d+)\"[ \t]*>[ \t\r]*\n?")
_CLOSE = re.compile(rb"[ \t\r\n]*</set>[ \t\r]*\n?")
_ROW = re.compile(rb"\s*<([rv])(?: [^<>]*)?>([^<>]*)</[rv]>\s*")


def read_fields(text: Text, array: Element) -> tuple[tuple[str, ...], int]:
    """Return the names of the columns of an ``<array>`` and where its outermost set begins.

    Raises
    ------
    DamageError
        If there is no set.
    """
    limit = min(array.end, array.start + 8192)
    start = text.bytes.find(b"<set>", array.start, limit)
    if start < 0:
        kind = DamageError if array.complete else CutOffError
        raise kind("an array without its set", array.start)
    names = _FIELD.findall(text.bytes[array.start : start])
    declared = bytes(text.bytes[array.start : start]).count(b"field") // 2
    if declared != len(names):
        raise DamageError("the names of the columns are damaged", array.start)
    return tuple(name.decode("ascii", errors="replace").strip() for name in names), start + 5


@dataclass(frozen=True)
class _Layout:
    """Rows of equal length below each other."""

    form: RowFormat
    rows: int

    @property
    def size(self) -> int:
        return self.form.length * self.rows


def read_rows(text: Text, start: int, end: int, columns: int | None = None) -> tuple[NDArray[np.float64], int]:
    """Read the rows between two positions.

    Returns
    -------
    tuple
        Shape (rows, columns), and how many numbers are stars.

    Raises
    ------
    DamageError
        If there is anything else than rows of that many columns.
    """
    start = _line_start(text, start, end)
    layout = _layout(text, start, end, columns)
    if layout is None:
        return _read_slowly(text, start, end, columns)
    try:
        return decode_rows(text.bytes, start, layout.rows, layout.form)
    except BadNumberError as error:
        if _uneven(text, start, layout):
            return _read_slowly(text, start, end, columns)
        raise _damaged(error, start + error.row * layout.form.length) from error


def _damaged(error: BadNumberError, position: int) -> DamageError:
    shown = error.text.strip()[:60].decode("ascii", errors="backslashreplace")
    return DamageError(f"{shown!r} where numbers are expected", position)


def _line_start(text: Text, start: int, end: int) -> int:
    """Skip blanks up to and with the end of the line."""
    newline = text.bytes.find(b"\n", start, end)
    return newline + 1 if newline >= 0 and not text.bytes[start:newline].strip() else start


def _layout(text: Text, start: int, end: int, columns: int | None) -> _Layout | None:
    """Return how the rows up to ``end`` are laid out, or None when they are not all of one length."""
    newline = text.bytes.find(b"\n", start, end)
    length = newline + 1 - start
    last = text.bytes.rfind(b">", start, end)
    rows = -(-(last + 1 - start) // length) if newline >= 0 and last >= 0 else 0
    if rows == 0 or not -2 <= rows * length - (last + 1 - start) <= 2:
        return None
    if rows * length > end - start:
        return None
    for row in range(min(rows, 5)):
        line = bytes(text.bytes[start + row * length : start + (row + 1) * length])
        form = RowFormat.of(line)
        if form is not None and _ROW.fullmatch(line) and columns in (None, len(form.ends)):
            return _Layout(form, rows)
    return None


def _uneven(text: Text, start: int, layout: _Layout) -> bool:
    """Whether the rows only seemed to be of equal length."""
    lines = bytes(text.bytes[start : start + layout.size]).splitlines()
    return len({len(line) for line in lines}) > 1


def _read_slowly(text: Text, start: int, end: int, columns: int | None) -> tuple[NDArray[np.float64], int]:
    """Read rows of any layout."""
    rows: list[list[float]] = []
    while (match := _ROW.match(text.bytes, start, end)) is not None:
        try:
            row = split_numbers(match[2])
        except BadNumberError as error:
            raise _damaged(error, start) from error
        if len(row) != (columns or len(row)) or (rows and len(row) != len(rows[0])):
            raise DamageError(f"a row of {len(row)} numbers among others of {columns or len(rows[0])}", start)
        rows.append(row)
        start = match.end()
    if text.bytes[start:end].strip() or not rows:
        raise DamageError(f"{bytes(text.bytes[start : start + 40])!r} where numbers are expected", start)
    values = np.array(rows, dtype=np.float64)
    return values, int(np.isnan(values).sum())


class Sets:
    """Walks through nested sets from one position to the next.

    Attributes
    ----------
    unknown
        How many of the numbers read so far were stars.
    leading
        The columns that `blocks` was told to leave out, shape (rows, columns); they are the same in all sets.
    """

    def __init__(self, text: Text, start: int, end: int, columns: int) -> None:
        self._text, self._position, self._end, self._columns = text, start, end, columns
        self._layout: _Layout | None = None
        self._skipped: NDArray[np.uint8] | None = None
        self.leading: NDArray[np.float64] | None = None
        self.unknown = 0

    def numbered(self, name: str) -> Iterator[int]:
        """Enter the sets of that name one by one; each is left when the next one is asked for.

        Raises
        ------
        DamageError
            If a set has another name or number than expected, or no end.
        """
        number = 0
        while (match := self._header()) is not None:
            number += 1
            self._check(match, name, number)
            self._position = match.end()
            yield number
            self._close()

    def blocks(self, name: str, *, first: int = 0) -> Iterator[NDArray[np.float64]]:
        """Yield the rows of the sets of that name, several sets at once: shape (sets, rows, columns from ``first``).

        Raises
        ------
        DamageError
            If a set has another name, number or length than expected, no end, or something that is no number.
        """
        number = 0
        while (match := self._header()) is not None:
            self._check(match, name, number + 1)
            if self._layout is None:
                self._layout = _layout(self._text, match.end(), self._stop(match.end()), self._columns)
            values = self._decode(self._layout, match, first) if self._layout is not None else None
            if values is None:
                values = self._one(match, first)
            number += len(values)
            yield values

    def _header(self) -> re.Match[bytes] | None:
        match = _NUMBERED.match(self._text.bytes, self._position, self._end)
        if match is None and _CLOSE.match(self._text.bytes, self._position, self._end) is None:
            rest = bytes(self._text.bytes[self._position : min(self._end, self._position + 120)])
            cut = not self._text.complete and self._end == self._text.end and b">" not in rest
            kind = CutOffError if cut else DamageError
            raise kind(f"{rest[:40].strip()!r} where a set is expected", self._position)
        return match

    def _check(self, match: re.Match[bytes], name: str, number: int) -> None:
        if match[1].decode("ascii") != name or int(match[3]) != number:
            raise DamageError(
                f"set {match[1] + match[2] + match[3]!r} where {name} {number} is expected", match.start()
            )

    def _close(self) -> None:
        match = _CLOSE.match(self._text.bytes, self._position, self._end)
        if match is None:
            kind = DamageError if self._text.complete else CutOffError
            raise kind("a set without its end", self._position)
        self._position = match.end()

    def _stop(self, start: int) -> int:
        """Return where the rows from ``start`` end."""
        stop = self._text.bytes.find(b"</set>", start, self._end)
        if stop < 0:
            kind = DamageError if self._text.complete else CutOffError
            raise kind("a set without its end", start)
        return int(stop)

    def _one(self, match: re.Match[bytes], first: int) -> NDArray[np.float64]:
        """Read one set by itself."""
        stop = self._stop(match.end())
        values, unknown = read_rows(self._text, match.end(), stop, self._columns)
        self.unknown += unknown
        if first and self.leading is None:
            self.leading = values[:, :first]
        if first and not np.array_equal(values[:, :first], np.asarray(self.leading)):
            raise DamageError("the first column is not that of the sets before", match.end())
        self._position = stop
        self._close()
        return values[None, :, first:]

    def _decode(self, layout: _Layout, match: re.Match[bytes], first: int) -> NDArray[np.float64] | None:
        """Decode all sets from here that look alike; None where not even the first one does."""
        footer = _CLOSE.match(self._text.bytes, match.end() + layout.size, self._end)
        if footer is None:
            return None
        size, number = footer.end() - match.start(), int(match[3])
        most = min(10 ** len(match[3]) - number, (self._end - match.start()) // size, max(1, _BATCH // size))
        alike = self._alike(match, footer, most, size)
        rows = self._gather(match.end(), layout, alike, size)
        try:
            repeated = first == 0 or self._repeats(*rows, layout, alike, first)
            values, unknown = decode_rows(*rows, alike * layout.rows, layout.form, first=first)
        except BadNumberError as error:
            block, row = divmod(error.row, layout.rows)
            if _uneven(self._text, match.end() + block * size, layout):
                self._layout = None
                return None
            raise _damaged(error, match.end() + block * size + row * layout.form.length) from error
        if not repeated:
            raise DamageError("the first column is not that of the sets before", match.end())
        self.unknown += unknown
        self._text.release(match.start(), match.start() + alike * size)
        self._position = match.start() + alike * size
        return values.reshape(alike, layout.rows, -1)

    def _gather(self, start: int, layout: _Layout, alike: int, size: int) -> tuple[Any, int]:
        """Return a buffer that holds the rows of some sets without what is between them, and where they begin."""
        if alike == 1:
            return self._text.bytes, start
        data = np.empty(_PAD + alike * layout.size, dtype=np.uint8)
        sets: Any = np.ndarray((alike, layout.size), np.uint8, self._text.bytes, start, (size, 1))
        data[_PAD:].reshape(alike, layout.size)[:] = sets
        return data, _PAD

    def _repeats(self, buffer: Any, start: int, layout: _Layout, alike: int, first: int) -> bool:
        """Whether the columns left out are those of the first set, which alone is decoded."""
        form = layout.form
        shape = (alike, layout.rows, form.ends[first - 1] - form.start)
        seen: Any = np.ndarray(shape, np.uint8, buffer, start + form.start, (layout.size, form.length, 1))
        if self._skipped is None:
            self._skipped = seen[0].copy()
            narrow = replace(form, ends=form.ends[:first], frame=(form.frame[0], b""))
            self.leading = decode_rows(buffer, start, layout.rows, narrow)[0]
        return bool((seen == self._skipped).all())

    def _alike(self, match: re.Match[bytes], footer: re.Match[bytes], most: int, size: int) -> int:
        """Count the sets from here whose headers and ends are as expected."""
        before, after = match[0][: match.start(3) - match.start()], match[0][match.end(3) - match.start() :]
        number = int(match[3])
        expected = b"".join(b"%b%d%b" % (before, number + i, after) for i in range(most))
        alike = np.ones(most, dtype=bool)
        for at, wanted in ((match.start(), expected), (footer.start(), footer[0] * most)):
            width = len(wanted) // most
            seen: Any = np.ndarray((most, width), np.uint8, self._text.bytes, at, (size, 1))
            alike &= (seen == np.frombuffer(wanted, np.uint8).reshape(most, width)).all(axis=1)
        return most if alike.all() else int(np.argmin(alike))
