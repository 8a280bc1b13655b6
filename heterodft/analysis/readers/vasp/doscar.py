"""DOSCAR: the density of states of the cell and of each site."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.readers.file_text import number, words_to_numbers
from heterodft.analysis.readers.opening import read_bytes
from heterodft.analysis.readers.vasp.orbitals import LM_COLUMNS
from heterodft.analysis.result import SHELLS
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Doscar", "read_doscar"]

_HEAD = 5
_COLLINEAR_TOTAL = {3: 1, 5: 2}
"""Columns of the density of the cell: energy, then density and its integral for each spin."""
_SPINOR = 4
_ORBITALS = (1, 3, 4, 9, 16)


@dataclass(frozen=True)
class Doscar:
    """What DOSCAR holds.

    Attributes
    ----------
    sites
        Number of atoms it says there are.
    fermi_level
        eV.
    energies
        eV, shape (energy,).
    total, integrated
        States per eV and states, shape (spin, energy).
    partial
        States per eV, shape (site, column, spin, energy); of a noncollinear run the spin axis has the density and its
        x, y and z magnetization; None without LORBIT.
    columns
        VASP's names of the columns.
    """

    sites: int
    fermi_level: float
    energies: NDArray[np.float64]
    total: NDArray[np.float64]
    integrated: NDArray[np.float64]
    partial: NDArray[np.float64] | None
    columns: tuple[str, ...]


def read_doscar(path: Path, *, noncollinear: bool | None = None) -> Doscar:
    """Read a DOSCAR.

    Parameters
    ----------
    path
        The file.
    noncollinear
        Whether the run was, where it is known: 16 columns a site are four shells and their magnetization, or all
        orbitals up to f of a run without spin.

    Raises
    ------
    ReaderError
        If the file cannot be opened, is cut off, or holds something else.
    """
    lines = read_bytes(path).replace(b"\r", b"").split(b"\n")
    if len(lines) <= _HEAD + 1:
        raise ReaderError(f"{path} is cut off: {len(lines) - 1} lines")
    sites = words_to_numbers(lines[0])[:1]
    points, fermi_level = _block_head(lines[_HEAD])
    if not sites or not sites[0] >= 1 or not np.isfinite(fermi_level) or points < 1:
        raise ReaderError(f"cannot read {path}: line {_HEAD + 1} does not say its size and Fermi level")
    whole = _block(path, lines, _HEAD + 1, points)
    spins = _COLLINEAR_TOTAL.get(whole.shape[1])
    if spins is None:
        raise ReaderError(f"cannot read {path}: line {_HEAD + 2} has {whole.shape[1]} columns; expected 3 or 5")
    energies = whole[:, 0]
    if (np.diff(energies) < 0).any():
        raise ReaderError(f"cannot read {path}: its energies do not rise; a damaged file?")
    partial, columns = None, tuple[str, ...]()
    start = _HEAD + 1 + points
    if any(line.strip() for line in lines[start:]):
        blocks = [_site_block(path, lines, start + site * (points + 1), energies) for site in range(int(sites[0]))]
        if len({block.shape[1] for block in blocks}) > 1:
            raise ReaderError(f"cannot read {path}: its sites have different numbers of columns")
        values = np.stack(blocks)
        components, columns = _columns(path, values.shape[2], spins, noncollinear)
        shape = (len(values), points, len(columns), components)
        partial = np.ascontiguousarray(values.reshape(shape).transpose(0, 2, 3, 1))
    total, integrated = whole[:, 1 : 1 + spins].T.copy(), whole[:, 1 + spins :].T.copy()
    return Doscar(int(sites[0]), fermi_level, energies, total, integrated, partial, columns)


def _block_head(line: bytes) -> tuple[int, float]:
    """Return the number of energies and the Fermi level, which stand in fixed columns without blanks between."""
    values = number(line[32:37]), number(line[37:53])
    if not all(map(np.isfinite, values)):
        words = words_to_numbers(line)
        values = (words[2], words[3]) if len(words) > 3 else (np.nan, np.nan)
    return (int(values[0]) if np.isfinite(values[0]) else 0), float(values[1])


def _block(path: Path, lines: list[bytes], start: int, points: int) -> NDArray[np.float64]:
    rows = lines[start : start + points]
    if len(rows) < points or start + points >= len(lines):
        raise ReaderError(f"{path} is cut off at line {len(lines)}; {start + points} are needed")
    values = _numbers(b" ".join(rows))
    columns = len(rows[0].split())
    if columns == 0 or values.size != points * columns or not np.isfinite(values).all():
        raise ReaderError(f"cannot read {path}: lines {start + 1} to {start + points} are no table of numbers")
    return values.reshape(points, columns)


def _numbers(text: bytes) -> NDArray[np.float64]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return np.fromstring(text.decode("latin-1"), sep=" ")
        except (DeprecationWarning, ValueError):  # 0.1-101, which wants for its E
            return np.array(words_to_numbers(text))


def _site_block(path: Path, lines: list[bytes], start: int, energies: NDArray[np.float64]) -> NDArray[np.float64]:
    if start >= len(lines):
        raise ReaderError(f"{path} is cut off at line {len(lines)}; the site at line {start + 1} is missing")
    block = _block(path, lines, start + 1, len(energies))
    if _block_head(lines[start])[0] != len(energies) or not np.array_equal(block[:, 0], energies):
        raise ReaderError(f"cannot read {path}: the site at line {start + 1} has other energies than the cell")
    return block[:, 1:]


def _columns(path: Path, found: int, spins: int, noncollinear: bool | None) -> tuple[int, tuple[str, ...]]:
    """Return the number of spin components and the names of the columns of a site."""
    choices = [spins] if spins == 2 else [1, _SPINOR] if noncollinear is None else [_SPINOR if noncollinear else 1]
    possible = [(n, found // n) for n in choices if found % n == 0 and found // n in _ORBITALS]
    if len(possible) != 1:
        reason = "as two kinds of runs have; keep its INCAR beside it" if possible else "which VASP never writes"
        raise ReaderError(f"cannot read {path}: {found} columns a site, {reason}")
    components, orbitals = possible[0]
    return components, SHELLS[:orbitals] if orbitals <= len(SHELLS) else LM_COLUMNS[:orbitals]
