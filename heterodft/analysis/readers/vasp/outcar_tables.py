"""The tables of charges and moments in spheres of OUTCAR: the last that are whole."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.readers.file_text import fixed_width, rfind
from heterodft.analysis.result import SHELLS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from heterodft.analysis.readers.file_text import Mapped

__all__ = ["ShellTable", "read_tables"]

_COMPONENTS = (b"magnetization (x)", b"magnetization (y)", b"magnetization (z)")
_LONGEST = 1 << 22
_SUMS = re.compile(rb"\n[ ]*-{20,}[ ]*\r?\ntot ([^\n]*)\n")
_ONE_SITE = re.compile(rb"([^\n]+)\n\s*\n")
"""Below the row of a single site VASP prints no sums."""
_SUM_ERROR = 0.0007
"""Of each of the rounded numbers that are added up, with some room."""


@dataclass(frozen=True)
class ShellTable:
    """A table of numbers in spheres.

    Attributes
    ----------
    shells
        Names of the columns, such as ``("s", "p", "d")``.
    values
        Electrons or μB, shape (sites, shells).
    total
        As printed, which is their sum but for the rounding; shape (sites,).
    """

    shells: tuple[str, ...]
    values: NDArray[np.float64]
    total: NDArray[np.float64]


def read_tables(data: Mapped, where: tuple[int, int], settings: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    """Read the last tables of spheres in a step that are whole; VASP prints them more than once."""
    begin, stop = where
    expected = 3 if settings.get("LNONCOLLINEAR") else 1 if settings.get("ISPIN") == 2 else 0
    at = stop
    cut = False
    while (at := rfind(data, b" total charge", begin, at)) >= 0:
        end_of_line = bytes(data[at + 13 : at + 60]).partition(b"\n")
        if end_of_line[0].strip() or not end_of_line[1]:
            continue
        text = bytes(data[at : min(stop, at + _LONGEST)])
        tables = _tables_of(text, settings.get("NIONS"))
        if tables is not None and len(tables) - 1 >= expected:
            if cut:
                notes.append("the last tables of charges and moments in OUTCAR are cut off; those before were taken")
            return _checked(tables, notes)
        cut = True
    if cut:
        notes.append("the tables of charges and moments in OUTCAR are cut off")
    return {}


def _tables_of(text: bytes, sites: int | None) -> list[ShellTable] | None:
    """Return the table of charges and those of magnetization right after it; None when one is cut off."""
    tables: list[ShellTable] = []
    at = 0
    for name in (b"total charge", *_COMPONENTS):
        found = text.find(name, at)
        if found < 0 or text[at:found].strip():
            break
        match = re.compile(rb"[^\n]*\n\s*\n?# of ion([^\n]*)\n\s*-+\s*\n").match(text, found)
        if match is None:
            return None
        shells = tuple(word.decode("latin-1") for word in match[1].split())
        end = _ONE_SITE.match(text, match.end()) or _SUMS.search(text, match.end() - 1)
        if end is None or shells[-1:] != ("tot",) or not set(shells[:-1]) <= set(SHELLS):
            return None
        last = end.end(1) if end.re is _ONE_SITE else end.start()
        rows = text[match.end() : last].replace(b"\r", b"").split(b"\n")
        columns = [(-8 * (len(shells) - i), -8 * (len(shells) - i - 1)) for i in range(len(shells))]
        values = fixed_width(rows, columns)
        if sites is not None and len(rows) != sites:
            return None
        sums = fixed_width([end[1].rstrip(b"\r")], columns)[0]
        bad = not np.isfinite(values).all() or not _adds_up(values, sums)
        tables.append(ShellTable(shells[:-1] if not bad else (), values[:, :-1], values[:, -1]))
        at = end.end()
    return tables


def _adds_up(values: NDArray[np.float64], sums: NDArray[np.float64]) -> bool:
    across = np.abs(values[:, :-1].sum(axis=1) - values[:, -1]).max()
    down = np.abs(values.sum(axis=0) - sums)
    down = down[np.isfinite(down)]  # sums of many sites are too wide for their column
    return bool(across < _SUM_ERROR * values.shape[1] and (down < _SUM_ERROR * (len(values) + 1)).all())


def _checked(tables: list[ShellTable], notes: list[str]) -> dict[str, Any]:
    charges, *moments = tables
    found: dict[str, Any] = {}
    if charges.shells:
        found["charges"] = charges
    if all(table.shells for table in moments):
        found["moments"] = tuple(moments)
    if len(found) < 2:
        notes.append("charges or moments in OUTCAR do not add up to their sums, or are no numbers; they are left out")
    return found
