"""Files of the programs after pw.x: bands.x (``bands.dat``, ``.rap``), dos.x, and the boxes of projwfc.x."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.readers.opening import read_text
from heterodft.analysis.result import Bands
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from pymatgen.core import Structure

__all__ = [
    "BoxDos",
    "TotalDos",
    "read_band_file",
    "read_band_symmetries",
    "read_dos_file",
    "read_gnu",
    "read_ldos_boxes",
]

_PLOT = re.compile(r"&plot(?:_rap)?\s+nbnd(?:_rap)?=\s*(\d+),\s*nks(?:_rap)?=\s*(\d+)\s*/")
_FIXED_POINT = re.compile(r"-?\d+\.\d{3}(?!\d)|-?\d+\.\d+")
_FERMI = re.compile(r"EFermi =\s*([-\d.]+)(?:\s+([-\d.]+))?\s*eV")
_LOST_EXPONENT = re.compile(r"(\d)([-+]\d{3})\b")


@dataclass(frozen=True)
class TotalDos:
    """Density of states of the whole cell, as dos.x writes it.

    Attributes
    ----------
    energies
        eV, shape (energy,).
    values
        States per eV, shape (spin, energy); one spin channel of noncollinear runs.
    integrated
        States up to each energy, both spins, shape (energy,).
    fermi_levels
        eV: one, or one a spin.
    """

    energies: NDArray[np.float64]
    values: NDArray[np.float64]
    integrated: NDArray[np.float64]
    fermi_levels: tuple[float, ...]


@dataclass(frozen=True)
class BoxDos:
    """Local density of states integrated in boxes (``tdosinboxes`` of projwfc.x).

    Attributes
    ----------
    energies
        eV, shape (energy,).
    values
        States per eV in each box, shape (box, spin, energy).
    total
        States per eV of the whole cell, shape (spin, energy).
    """

    energies: NDArray[np.float64]
    values: NDArray[np.float64]
    total: NDArray[np.float64]


def read_band_file(
    path: Path,
    structure: Structure,
    *,
    fermi_level: float,
    down: Path | None = None,
    alat: float | None = None,
) -> Bands:
    """Read what bands.x writes to ``filband``, energies to 1 meV.

    Parameters
    ----------
    path
        Bands of both spins, or of spin up.
    structure
        The cell, which the k-points need.
    fermi_level
        eV, which the file lacks: bands are full up to it.
    down
        Bands of spin down (``spin_component=2``).
    alat
        Å, the unit 2π/alat of the k-points; None takes the length of the first cell vector.

    Raises
    ------
    ReaderError
        If a file is missing, cut off, or the two are not of the same path.
    """
    spins = [_read_plot(path), *([] if down is None else [_read_plot(down)])]
    points = spins[0][0]
    if any(k.shape != points.shape or e.shape != spins[0][1].shape or not np.allclose(k, points) for k, e in spins):
        raise ReaderError(f"{path} and {down} are of different paths; run bands.x again")
    cell = structure.lattice.matrix
    unit = float(np.linalg.norm(cell[0])) if alat is None else alat
    energies = np.array([e for _, e in spins])
    return Bands(
        energies,
        (energies <= fermi_level).astype(float),
        points @ cell.T / unit,
        np.full(len(points), 1 / len(points)),
    )


def _read_plot(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return k-points, shape (k, 3), and the numbers of each, shape (k, band)."""
    text = read_text(path)
    head = _PLOT.search(text)
    if head is None:
        raise ReaderError(f"{path} is no file of bands.x: its first line is not &plot nbnd=…, nks=… /")
    bands, count = int(head[1]), int(head[2])
    numbers = [float(word) for word in _FIXED_POINT.findall(text[head.end() :])]
    if len(numbers) != count * (3 + bands) or "*" in text:
        raise ReaderError(
            f"{path} holds {len(numbers)} of {count * (3 + bands)} numbers: cut off, or too large for their columns; "
            "run bands.x again"
        )
    table = np.array(numbers).reshape(count, 3 + bands)
    return table[:, :3], table[:, 3:]


def read_band_symmetries(path: Path) -> NDArray[np.int64]:
    """Read the number of the irreducible representation of each band from ``filband.rap``; shape (k, band).

    Raises
    ------
    ReaderError
        If the file is missing or cut off.
    """
    text = read_text(path)
    head = _PLOT.search(text)
    words = text[head.end() :].split() if head else []
    bands, count = (int(head[1]), int(head[2])) if head else (0, 0)
    row = 4 + bands  # the k-point, whether it is one of high symmetry, its bands
    try:
        if head is None or len(words) != count * row:
            raise ValueError("cut off")
        return np.array([[int(w) for w in words[i * row + 4 : (i + 1) * row]] for i in range(count)], dtype=np.int64)
    except ValueError as error:
        raise ReaderError(f"{path} cannot be read as a file of bands.x: {error}; run bands.x again") from error


def read_gnu(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Read ``filband.gnu``: the length along the path (2π/alat), shape (k,), and energies (eV), shape (band, k).

    Raises
    ------
    ReaderError
        If the file is missing or its bands differ in length.
    """
    blocks = [block for block in re.split(r"\n[ \t]*\n", read_text(path)) if block.strip()]
    try:
        tables = [np.loadtxt(block.splitlines(), ndmin=2) for block in blocks]
        if not tables or any(t.shape != tables[0].shape or t.shape[1] != 2 for t in tables):
            raise ValueError("its bands differ in length")
    except ValueError as error:
        raise ReaderError(f"{path} cannot be read as a file of bands.x: {error}; run bands.x again") from error
    return tables[0][:, 0], np.array([table[:, 1] for table in tables])


def read_dos_file(path: Path) -> TotalDos:
    """Read what dos.x writes to ``fildos``.

    Raises
    ------
    ReaderError
        If the file is missing, cut off, or has other columns.
    """
    header, table = _read_columns(path, "dos.x")
    fermi = _FERMI.search(header)
    if table.shape[1] not in (3, 4):
        raise ReaderError(f"{path} has {table.shape[1]} columns, not 3 or 4; run dos.x again")
    levels = tuple(float(word) for word in fermi.groups() if word) if fermi else ()
    return TotalDos(table[:, 0], table[:, 1:-1].T.copy(), table[:, -1], levels)


def read_ldos_boxes(path: Path) -> BoxDos:
    """Read ``*.ldos_boxes`` of projwfc.x.

    Raises
    ------
    ReaderError
        If the file is missing, cut off, or has other columns.
    """
    header, table = _read_columns(path, "projwfc.x")
    spins = 2 if "tot_up" in header else 1
    boxes = len(re.findall(r"#\s*\d+", header[1:])) // spins
    if boxes < 1 or table.shape[1] != 1 + spins * (2 + boxes):
        raise ReaderError(
            f"{path} has {table.shape[1]} columns, which its header does not explain; run projwfc.x again"
        )
    values = table[:, 1 + 2 * spins :].T.reshape(boxes, spins, -1)
    return BoxDos(table[:, 0], values, table[:, 1 : 1 + spins].T.copy())


def _read_columns(path: Path, program: str) -> tuple[str, NDArray[np.float64]]:
    lines = [line for line in read_text(path).splitlines() if line.strip()]
    if len(lines) < 2 or not lines[0].lstrip().startswith("#"):
        raise ReaderError(f"{path} holds no table; run {program} again")
    try:
        table = np.loadtxt([_LOST_EXPONENT.sub(r"\1E\2", line) for line in lines[1:]], ndmin=2)
    except ValueError as error:
        raise ReaderError(f"cannot read {path}: {error}; run {program} again") from error
    if not np.isfinite(table).all() or (np.diff(table[:, 0]) <= 0).any():
        raise ReaderError(f"cannot read {path}: a number was lost or damaged; run {program} again")
    return lines[0], table
