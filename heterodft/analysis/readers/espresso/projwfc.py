"""What projwfc.x leaves: one file of densities of states a shell of an atom, and the energies in them.

Collinear runs have a column a spin. Of noncollinear runs both spins are added, as the total density of states is not
told by spin; with spin-orbit coupling the states of a shell go by j and m_j and are added to shells.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.readers.espresso.lowdin import read_lowdin, read_spilling
from heterodft.analysis.readers.opening import SUFFIXES, read_text
from heterodft.analysis.result import ORBITALS, SHELLS, ProjectedDos
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["read_lowdin", "read_projected_dos", "read_spilling"]

_SHELL_FILE = re.compile(r"(.*)\.pdos_atm#(\d+)\(([^)]+)\)_wfc#(\d+)\(([spdf])(?:_j([\d.]+))?\)")
_FIRST_ORBITAL = {"s": 0, "p": 1, "d": 4, "f": 9}
_COUNT = {"s": 1, "p": 3, "d": 5, "f": 7}
# Fortran drops the E of exponents below -99: 0.123-102
_LOST_EXPONENT = re.compile(r"(\d)([-+]\d{3})\b")
_AGAIN = "run projwfc.x again"


def read_projected_dos(folder: Path, *, sites: int, prefix: str | None = None) -> ProjectedDos:
    """Read the files ``*.pdos_*`` of a folder.

    Shells of the same angular momentum on one atom (3s and 4s) are added.

    Parameters
    ----------
    folder
        Where projwfc.x ran.
    sites
        Number of atoms.
    prefix
        ``filpdos`` of projwfc.x, where files of several of its runs are there.

    Raises
    ------
    ReaderError
        If files are missing, cut off, resolved by k-point, or have different energy grids.
    """
    tables: dict[Path, NDArray[np.float64]] = {}
    resolved: list[Path] = []
    for path in _plain_names(folder, f"{prefix or '*'}.pdos_tot"):
        header, table = _read_table(path)
        if header[:2] == ["#", "ik"]:
            resolved.append(path)
        else:
            tables[path] = table
    if not tables and resolved:
        raise ReaderError(f"{resolved[0]} is resolved by k-point; run projwfc.x without kresolveddos")
    if len(tables) != 1:
        raise ReaderError(f"{folder} holds {len(tables)} files *.pdos_tot; run projwfc.x there once")
    (path, table) = tables.popitem()
    if not _even(np.diff(table[:, 0])):
        raise ReaderError(f"cannot read {path}: its energies do not go up by one step; {_AGAIN}")
    stem = _plain(path).removesuffix(".pdos_tot")
    spins = 2 if table.shape[1] == 5 else 1  # E, dos (up, down), sums of projections (up, down)
    noncollinear = table.shape[1] == 4  # E, dos, sums of projections up and down
    if table.shape[1] not in (3, 4, 5):
        raise ReaderError(f"{path} has {table.shape[1]} columns, not 3 to 5; {_AGAIN}")
    shells = _read_shells(folder, stem, path.name, table[:, 0])
    by_j = any(shell.j is not None for shell in shells)
    orbitals = SHELLS if by_j else ORBITALS
    values = np.zeros((sites, len(orbitals), spins, len(table)))
    for shell in shells:
        if not 0 <= shell.site < sites:
            raise ReaderError(
                f"{shell.path}: atom {shell.site + 1} of a cell with {sites} atoms; files of another run?"
            )
        first = SHELLS.index(shell.name) if by_j else _FIRST_ORBITAL[shell.name]
        parts = _orbitals_of(shell, spins, noncollinear=noncollinear)
        values[shell.site, first : first + len(parts)] += parts
    _check_completeness(folder, shells, sites)
    return ProjectedDos(table[:, 0], values, table[:, 1 : 1 + spins].T.copy(), orbitals)


@dataclass(frozen=True)
class _Shell:
    """One file: site from 0, number of the shell on the site, its letter and j, its rows."""

    path: Path
    site: int
    number: int
    name: str
    j: float | None
    rows: NDArray[np.float64]


def _plain_names(folder: Path, pattern: str) -> list[Path]:
    """Return files, of one that is there both plain and compressed the plain."""
    found: dict[str, Path] = {}
    for suffix in reversed(SUFFIXES):
        found |= {_plain(path): path for path in folder.glob(pattern + suffix)}
    return [found[name] for name in sorted(found)]


def _plain(path: Path) -> str:
    return path.name.removesuffix(path.suffix) if path.suffix in SUFFIXES[1:] else path.name


def _read_shells(folder: Path, stem: str, total: str, energies: NDArray[np.float64]) -> list[_Shell]:
    shells = []
    for path in _plain_names(folder, "*.pdos_atm#*"):
        match = _SHELL_FILE.fullmatch(_plain(path))
        if match is not None and match[1] == stem:
            rows = _read_shell(path, energies, total)
            j = float(match[6]) if match[6] else None
            shells.append(_Shell(path, int(match[2]) - 1, int(match[4]), match[5], j, rows))
    return shells


def _orbitals_of(shell: _Shell, spins: int, *, noncollinear: bool) -> NDArray[np.float64]:
    """Return the columns of a file by orbital, shape (orbital, spin, energy); of a state of given j their sum."""
    if shell.j is not None:
        columns = _columns(shell, 2 + round(2 * shell.j) + 1)
        _check_sums(shell, 1)
        return columns[:, :1].T[None]
    count, components = _COUNT[shell.name], 2 if noncollinear else spins
    parts = _columns(shell, 1 + components * (1 + count))[:, components:]
    _check_sums(shell, components)
    split = parts.T.reshape(count, components, -1)
    return split.sum(axis=1, keepdims=True) if noncollinear else split


def _check_completeness(folder: Path, shells: list[_Shell], sites: int) -> None:
    """Refuse a folder that lacks an atom or, as the shells of each are numbered, one of them."""
    numbers: dict[int, set[int]] = {}
    for shell in shells:
        numbers.setdefault(shell.site, set()).add(shell.number)
    if len(numbers) != sites:
        raise ReaderError(f"{folder} holds projections of {len(numbers)} of {sites} atoms; {_AGAIN}")
    for site, seen in numbers.items():
        missing = set(range(1, max(seen) + 1)) - seen
        if missing and min(seen) == 1:
            raise ReaderError(f"{folder} lacks shell {min(missing)} of atom {site + 1}; {_AGAIN}")


def _columns(shell: _Shell, count: int) -> NDArray[np.float64]:
    if shell.rows.shape[1] != count:
        raise ReaderError(f"{shell.path} has {shell.rows.shape[1]} columns, not {count}; {_AGAIN}")
    return shell.rows[:, 1:]


def _check_sums(shell: _Shell, sums: int) -> None:
    """Refuse a file whose first columns are not the sums of the others, within the three digits that are printed."""
    columns = shell.rows[:, 1:]
    parts = columns[:, sums:].reshape(len(columns), -1, sums)
    allowed = 6e-3 * (np.abs(parts).sum(axis=1) + np.abs(columns[:, :sums])) + 1e-30  # 0.123E-01
    wrong = np.abs(parts.sum(axis=1) - columns[:, :sums]) > allowed
    if wrong.any():
        row = int(np.flatnonzero(wrong.any(axis=1))[0])
        raise ReaderError(f"{shell.path}: row {row + 1} does not add up to its first columns; {_AGAIN}")


def _read_shell(path: Path, energies: NDArray[np.float64], total: str) -> NDArray[np.float64]:
    header, rows = _read_table(path)
    if header[:2] == ["#", "ik"] or len(rows) != len(energies) or not np.allclose(rows[:, 0], energies, atol=2e-3):
        raise ReaderError(f"{path} has another energy grid than {total}; {_AGAIN}")
    return rows


def _read_table(path: Path) -> tuple[list[str], NDArray[np.float64]]:
    """Return the words of the header and the numbers, of which none may be missing or infinite."""
    lines = [line for line in read_text(path).splitlines() if line.strip()]
    header = lines[0].split() if lines and lines[0].lstrip().startswith("#") else []
    rows = [line for line in lines if not line.lstrip().startswith("#")]
    if not rows:
        raise ReaderError(f"{path} holds no numbers; {_AGAIN}")
    try:
        table = _load(rows)
    except ValueError as error:
        raise ReaderError(f"cannot read {path}: {error}; {_AGAIN}") from error
    if not np.isfinite(table).all():
        raise ReaderError(f"cannot read {path}: a number was lost or damaged; {_AGAIN}")
    return header, table


def _load(rows: list[str]) -> NDArray[np.float64]:
    try:
        return np.loadtxt(rows, ndmin=2)
    except ValueError:
        return np.loadtxt([_LOST_EXPONENT.sub(r"\1E\2", row) for row in rows], ndmin=2)


def _even(steps: NDArray[np.float64]) -> bool:
    """Tell whether energies go up by one step, to the three digits that are printed."""
    return len(steps) == 0 or bool((steps > 0).all() and np.ptp(steps) < 5e-3)
