"""What grids alone say of a calculation: LOCPOT, CHGCAR or a cube without the run they are from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heterodft.analysis.readers.grid_files import find_grids, read_grids
from heterodft.analysis.readers.opening import SUFFIXES
from heterodft.analysis.readers.vasp.grids import vasp_grid_kind
from heterodft.analysis.result import Result

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from heterodft.analysis.grids import VolumeGrid

__all__ = ["first_of_each", "holds_grids", "read_grids_alone", "result_of_grids"]

_ENDS = (".cube", ".xsf", ".filplot", ".pp")


def holds_grids(path: Path) -> bool:
    """Whether a path is a file of a grid by its name, or a folder with any."""
    if path.is_dir():
        return bool(find_grids(path))
    name = path.stem if path.suffix in SUFFIXES[1:] else path.name
    return path.is_file() and (name.lower().endswith(_ENDS) or vasp_grid_kind(name) is not None)


def read_grids_alone(path: Path) -> tuple[VolumeGrid, ...]:
    """Read the grids of a file or folder; a file in a folder of this program has the labels of its atoms.

    Raises
    ------
    ReaderError
        If they cannot be read.
    """
    if path.is_file() and (path.parent / "request.json").is_file():
        labelled = tuple(grid for grid in read_grids(path.parent) if grid.source.startswith(path.name))
        if labelled:
            return labelled
    return read_grids(path)


def first_of_each(grids: Sequence[VolumeGrid]) -> dict[str, VolumeGrid]:
    """Return the first grid of each quantity: whole densities come before parts of them."""
    found: dict[str, VolumeGrid] = {}
    for grid in grids:
        found.setdefault(grid.quantity, grid)
    return found


def result_of_grids(path: Path, grids: Sequence[VolumeGrid]) -> Result:
    """Return what the grids say of the run: its atoms, and moments and electrons of the cell as their integrals."""
    found = first_of_each(grids)
    spin, vectors, charge = (found.get(name) for name in ("spin density", "magnetization", "charge density"))
    names = list(dict.fromkeys(grid.source.partition(" (")[0] for grid in grids))
    notes = [f"read from {', '.join(names)} alone: no energy, bands or convergence"]
    if vectors is not None and spin is None:
        notes.append("the magnetization has three components; pictures show that along z")
    return Result(
        code=_code(path, names),
        version="",
        step="potential" if set(found) == {"potential"} else "charge",
        structure=grids[0].structure,
        electrons=None,
        energy=None,
        fermi_levels=(),
        total_moment=None if spin is None or charge is None else float(spin.integrate()),
        absolute_moment=None,
        sites={},
        converged=None,
        iterations=None,
        accuracy=None,
        cpu_seconds=None,
        wall_seconds=None,
        notes=tuple(notes),
    )


def _code(path: Path, names: Sequence[str]) -> str:
    """Return which code wrote grids of these names, empty where a cube or XSF file does not tell."""
    if any(vasp_grid_kind(name) and not name.lower().endswith(_ENDS) for name in (*names, path.name)):
        return "vasp"
    return "espresso" if any(name.lower().endswith((".filplot", ".pp")) for name in names) else ""
