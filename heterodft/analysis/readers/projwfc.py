"""What projwfc.x leaves: one density-of-states file a shell of an atom, and Löwdin charges in its output."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.result import ORBITALS, ProjectedDos, SiteValues
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["read_lowdin", "read_projected_dos", "read_spilling"]

_SHELL_FILE = re.compile(r".*\.pdos_atm#(\d+)\((\w+)\)_wfc#(\d+)\(([spdf])\)")
_FIRST_ORBITAL = {"s": 0, "p": 1, "d": 4, "f": 9}
_CHARGE = re.compile(r"Atom #\s*(\d+): total charge =\s*([-\d.]+)")
_POLARIZATION = re.compile(r"polarization =\s*([-\d.]+)")
_SPILLING = re.compile(r"Spilling Parameter:\s*([-\d.]+)")
# Fortran drops the E of exponents below -99: 0.123-102
_LOST_EXPONENT = re.compile(r"(\d)([-+]\d{3})\b")


def read_projected_dos(folder: Path, *, sites: int) -> ProjectedDos:
    """Read the files ``*.pdos_*`` of a folder.

    Shells of the same angular momentum on one atom (3s and 4s) are added.

    Parameters
    ----------
    folder
        Where projwfc.x ran.
    sites
        Number of atoms.

    Raises
    ------
    ReaderError
        If files are missing, cut off, or have different energy grids.
    """
    totals = sorted(folder.glob("*.pdos_tot"))
    if len(totals) != 1:
        raise ReaderError(f"{folder} holds {len(totals)} files *.pdos_tot; run projwfc.x there once")
    table = _read_table(totals[0])
    energies = table[:, 0]
    # E, dos (1 or 2 columns), summed projections (1 or 2 columns)
    spins = 2 if table.shape[1] == 5 else 1
    if table.shape[1] == 4:
        raise ReaderError(f"{totals[0]} is of a noncollinear run, which cannot be read yet")
    values = np.zeros((sites, len(ORBITALS), spins, len(energies)))
    seen = set()
    for path in sorted(folder.glob("*.pdos_atm#*")):
        match = _SHELL_FILE.fullmatch(path.name)
        if match is None:
            raise ReaderError(f"{path}: a projection of total angular momentum (spin-orbit) cannot be read yet")
        site, first = int(match[1]) - 1, _FIRST_ORBITAL[match[4]]
        shell = _read_table(path)
        if len(shell) != len(energies) or not np.allclose(shell[:, 0], energies, atol=2e-3):
            raise ReaderError(f"{path} has another energy grid than {totals[0].name}; run projwfc.x again")
        if site >= sites:
            raise ReaderError(f"{path}: atom {site + 1} of a cell with {sites} atoms; files of another run?")
        projections = shell[:, 1 + spins :]
        count = projections.shape[1] // spins
        values[site, first : first + count] += projections.T.reshape(count, spins, len(energies))
        seen.add(site)
    if len(seen) != sites:
        raise ReaderError(f"{folder} holds projections of {len(seen)} of {sites} atoms; run projwfc.x again")
    return ProjectedDos(energies, values, table[:, 1 : 1 + spins].T.copy())


def _read_table(path: Path) -> NDArray[np.float64]:
    text = path.read_text(encoding="utf-8", errors="replace")
    rows = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not rows:
        raise ReaderError(f"{path} holds no numbers; run projwfc.x again")
    try:
        return np.loadtxt(rows, ndmin=2)
    except ValueError:
        pass
    try:
        return np.loadtxt([_LOST_EXPONENT.sub(r"\1E\2", row) for row in rows], ndmin=2)
    except ValueError as error:
        raise ReaderError(f"cannot read {path}: {error}; run projwfc.x again") from error


def read_lowdin(path: Path, *, polarized: bool) -> SiteValues:
    """Read Löwdin charges (electrons) and polarizations (μB) from the output of projwfc.x.

    Raises
    ------
    ReaderError
        If the file is missing or holds none.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ReaderError(f"cannot read {path}: {error.strerror}") from error
    start = text.find("Lowdin Charges")
    charges = [float(charge) for _, charge in _CHARGE.findall(text, max(start, 0))]
    moments = [float(moment) for moment in _POLARIZATION.findall(text, max(start, 0))]
    if start < 0 or not charges or (polarized and len(moments) != len(charges)):
        raise ReaderError(f"{path} holds no complete table of Löwdin charges; run projwfc.x again")
    return SiteValues("Löwdin", tuple(charges), tuple(moments) if polarized else None)


def read_spilling(path: Path) -> float | None:
    """Return the spilling parameter that projwfc.x printed, None when it printed none."""
    found = _SPILLING.search(path.read_text(encoding="utf-8", errors="replace"))
    return float(found[1]) if found else None
