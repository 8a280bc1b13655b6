"""PROCAR: bands and the part of each state on each orbital of each site."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.readers.file_text import number
from heterodft.analysis.readers.opening import read_bytes
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Procar", "read_procar"]

_SIZES = re.compile(rb"# of k-points:\s*(\d+)\s+# of bands:\s*(\d+)\s+# of ions:\s*(\d+)")
_KPOINT = re.compile(rb"\n\s*k-point\s*\d+\s*:\s*([^\n]*?)\s*weight =\s*(\S+)")
_BAND = re.compile(rb"\n\s*band\s*\d+\s*# energy\s*(\S+)\s*# occ\.\s*(\S+)")
_TABLE = re.compile(rb"[^\n]*\n\s*ion\s+([^\n]*?)\s*tot\s*\n")
_COORDINATE = re.compile(rb"-?\d*\.\d+")
_WIDTH = 7
_SPINOR = 4
_HALF_FILLED = 0.75
_PRINTED = 0.00051
"""Half of the last digit, with some room."""


@dataclass(frozen=True)
class Procar:
    """What PROCAR holds.

    Attributes
    ----------
    energies, occupations
        eV and 0…1, shape (spin, k, band).
    kpoints, weights
        Fractional, shape (k, 3); shape (k,).
    projections
        Shape (spin, k, band, site, column), spin being up and down, or of a noncollinear run the state as a whole and
        its x, y and z magnetization; None when not asked for.
    columns
        VASP's names along the last axis.
    sites
        Number of atoms it says there are.
    noncollinear
        Whether each state has four tables.
    """

    energies: NDArray[np.float64]
    occupations: NDArray[np.float64]
    kpoints: NDArray[np.float64]
    weights: NDArray[np.float64]
    projections: NDArray[np.float64] | None
    columns: tuple[str, ...]
    sites: int
    noncollinear: bool


def read_procar(path: Path, *, projections: bool = True) -> Procar:
    """Read a PROCAR of LORBIT 10 to 14; phases are passed over.

    Raises
    ------
    ReaderError
        If the file cannot be opened, is cut off, or its rows do not add up.
    """
    text = read_bytes(path).replace(b"\r", b"")
    sizes = {tuple(map(int, found)) for found in _SIZES.findall(text)}
    if len(sizes) != 1:
        raise ReaderError(f"cannot read {path}: it says its size {len(sizes)} times differently; expected once")
    kpoints, bands, sites = sizes.pop()
    found = list(_BAND.finditer(text))
    spins, rest = divmod(len(found), max(kpoints * bands, 1))
    if rest or spins not in (1, 2):
        raise ReaderError(f"{path} is cut off: {len(found)} states of {kpoints} k-points times {bands} bands")
    shape = (spins, kpoints, bands)
    states = np.array([[number(match[1]), number(match[2])] for match in found]).reshape(*shape, 2)
    points = [(_COORDINATE.findall(match[1]), number(match[2])) for match in _KPOINT.finditer(text)]
    if len(points) != spins * kpoints or any(len(where) != 3 for where, _ in points):
        raise ReaderError(f"{path} is cut off: {len(points)} k-points of {spins} times {kpoints}")
    coordinates = np.array([[number(word) for word in where] for where, _ in points[:kpoints]])
    weights = np.array([weight for _, weight in points[:kpoints]])
    if not (np.isfinite(states).all() and np.isfinite(weights).all() and weights.sum() > 0):
        raise ReaderError(f"cannot read {path}: energies, occupations or weights are no numbers; a damaged file?")
    values, columns = None, tuple[str, ...]()
    places = [match.end() for match in found]
    noncollinear = _components(text, places, sites) == _SPINOR
    if spins == 1 and not noncollinear:
        states[..., 1] /= 2  # two electrons a state
        if states[..., 1].max() < _HALF_FILLED:
            raise ReaderError(f"{path} is cut off after its first spin: no state holds two electrons")
    if projections:
        values, columns = _projections(path, text, places, sites)
        values = np.moveaxis(values.reshape(*shape, *values.shape[1:]), 3, 1)
        values = values[:, 0] if values.shape[1] == 1 else values[0]
    return Procar(states[..., 0], states[..., 1], coordinates, weights, values, columns, sites, noncollinear)


def _projections(
    path: Path, text: bytes, places: list[int], sites: int
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return the tables of all states, shape (state, component, site, column), and the names of the columns."""
    first = _TABLE.match(text, places[0])
    if first is None or sites < 1:
        raise ReaderError(f"cannot read {path}: no table of orbitals after its first band")
    columns = tuple(word.decode("latin-1") for word in first[1].split())
    length = text.find(b"\n", first.end()) + 1 - first.end()
    used = len(text[first.end() : first.end() + length].rstrip())
    rows = sites + (sites > 1)
    if used < _WIDTH * (len(columns) + 1):
        raise ReaderError(
            f"cannot read {path}: its first row does not have {len(columns) + 1} columns; a damaged file?"
        )
    components = _components(text, places, sites)
    size = length * rows * components
    blocks: list[bytes] = []
    for place in places:
        match = _TABLE.match(text, place)
        if match is None or len(text) < match.end() + size:
            raise ReaderError(f"{path} is cut off: {len(blocks)} of {len(places)} states have their orbitals")
        blocks.append(text[match.end() : match.end() + size])
    table = np.frombuffer(b"".join(blocks), dtype=np.uint8).reshape(len(places), components, rows, length)
    numbers = table[:, :, :sites, used - _WIDTH * (len(columns) + 1) : used]
    values = _decode(numbers.reshape(*numbers.shape[:-1], len(columns) + 1, _WIDTH))
    across = np.abs(values[..., :-1].sum(axis=-1) - values[..., -1])
    newlines = bool((table[..., -1] == ord("\n")).all())
    if not newlines or not np.isfinite(values).all() or across.max() > _PRINTED * (len(columns) + 1):
        raise ReaderError(f"cannot read {path}: rows of orbitals do not add up to their total; a damaged file?")
    return values[..., :-1], columns


def _components(text: bytes, places: list[int], sites: int) -> int:
    """Return how many tables each state has: one, or four of a noncollinear run."""
    first = _TABLE.match(text, places[0])
    body = text[first.end() : places[1] if len(places) > 1 else len(text)] if first is not None else b""
    rows = sites + (sites > 1) + 1
    return _SPINOR if re.match(rb"(?:\s*(?:\d+|\*+|tot)\s[^\n]*\n){%d}" % rows, body) else 1


def _decode(cells: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the numbers printed as Fortran's F7.3, in the last axis; not-a-number for anything else."""
    digits = cells.astype(np.int16) - ord("0")
    is_digit = (digits >= 0) & (digits <= 9)
    blank, minus = cells == ord(" "), cells == ord("-")
    good = (cells[..., 3] == ord(".")) & is_digit[..., 4:].all(axis=-1)
    good &= (is_digit | blank | minus)[..., :3].all(axis=-1) & (minus[..., :3].sum(axis=-1) <= 1)
    good &= ~(is_digit[..., :2] & ~is_digit[..., 1:3]).any(axis=-1)  # no blank or sign after a digit
    good &= ~(minus[..., :2] & blank[..., 1:3]).any(axis=-1)
    powers = np.array([100000, 10000, 1000, 0, 100, 10, 1], dtype=np.int64)
    values = np.where(is_digit, digits, 0) @ powers / 1000.0
    return np.where(good, np.where(minus[..., :3].any(axis=-1), -values, values), np.nan)
