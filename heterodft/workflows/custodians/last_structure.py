"""The last structure that a relaxation of pw.x has printed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from heterodft.units import BOHR

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from pymatgen.core import Structure

__all__ = ["outputs_of", "read_last_structure"]

_NUMBER = r"[-+]?\d+\.\d+(?:[EeDd][-+]?\d+)?"
_ROW = rf"[ \t]+{_NUMBER}[ \t]+{_NUMBER}[ \t]+{_NUMBER}"
_CELL = re.compile(rf"^CELL_PARAMETERS \(?(angstrom|bohr|alat)[^)\n]*\)?\s*\n((?:{_ROW}[^\n]*\n){{3}})", re.MULTILINE)
_ALAT = re.compile(rf"^CELL_PARAMETERS \(alat=\s*({_NUMBER})\)", re.MULTILINE)
_ATOMS = re.compile(rf"^ATOMIC_POSITIONS \(crystal\)\s*\n((?:[A-Z]\w*{_ROW}[^\n]*\n)+)", re.MULTILINE)
_INPUT_CELL = re.compile(rf"^CELL_PARAMETERS angstrom\s*\n((?:{_ROW}[^\n]*\n){{3}})", re.MULTILINE)
_ATOMS_ASKED = re.compile(r"^\s*nat\s*=\s*(\d+)", re.MULTILINE)


def outputs_of(folder: Path, file: str) -> list[Path]:
    """Return what the attempts at an input have printed, the newest first: ``pw.out``, ``pw.out.2``, ``pw.out.1``."""
    name = f"{file.removesuffix('.in')}.out"
    earlier = [path for path in folder.glob(f"{name}.*") if path.suffix[1:].isdigit()]
    newest = [folder / name] if (folder / name).is_file() else []
    return newest + sorted(earlier, key=lambda path: -int(path.suffix[1:]))


def read_last_structure(folder: Path, file: str) -> Structure | None:
    """Return the last structure printed whole by any attempt, None when there is none.

    Parameters
    ----------
    folder, file
        Where pw.x ran, and its input, which holds the cell where that does not change.
    """
    asked = (folder / file).read_text(encoding="utf-8")
    for path in outputs_of(folder, file):
        found = _structure_in(path.read_text(encoding="utf-8", errors="replace"), asked)
        if found is not None:
            return found
    return None


def _structure_in(text: str, asked: str) -> Structure | None:
    from pymatgen.core import Lattice, Structure

    cell, atoms = _last_cell(text, asked), _ATOMS.findall(text)
    count = _ATOMS_ASKED.search(asked)
    whole = [rows for block in atoms if len(rows := block.splitlines()) == int(count[1] if count else 0)]
    if cell is None or not whole:
        return None
    labels = [row.split()[0] for row in whole[-1]]
    positions = [[float(x) for x in row.split()[1:4]] for row in whole[-1]]
    elements = [re.sub(r"[^A-Za-z].*", "", label) for label in labels]
    return Structure(Lattice(cell), elements, positions)


def _last_cell(text: str, asked: str) -> NDArray[np.float64] | None:
    """Return the vectors in Å: as last printed, or else those of the input."""
    printed = _CELL.findall(text)
    if not printed:
        found = _INPUT_CELL.search(asked)
        return None if found is None else _vectors(found[1])
    unit, rows = printed[-1]
    alat = _ALAT.findall(text)
    return _vectors(rows) * {"angstrom": 1.0, "bohr": BOHR, "alat": BOHR * float(alat[-1] if alat else 1.0)}[unit]


def _vectors(rows: str) -> NDArray[np.float64]:
    return np.array([[float(x) for x in row.split()[:3]] for row in rows.splitlines()])
