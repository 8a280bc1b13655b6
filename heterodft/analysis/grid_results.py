"""What grids alone say of a calculation: LOCPOT, CHGCAR or a cube without the run they are from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heterodft.analysis.readers import read_folder
from heterodft.analysis.readers.grid_files import find_grids, read_grids
from heterodft.analysis.readers.opening import SUFFIXES
from heterodft.analysis.readers.vasp.grids import vasp_grid_kind
from heterodft.analysis.result import Result
from heterodft.errors import HeterodftError, ReaderError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from heterodft.analysis.grids import VolumeGrid

__all__ = [
    "first_of_each",
    "grids_beside",
    "grids_instead",
    "holds_grids",
    "read_grids_alone",
    "result_of_grids",
]

_MOST_RUNS = 20
"""Looked for below a folder that is none itself."""
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


def grids_beside(folder: Path, missing: dict[str, str]) -> Sequence[VolumeGrid]:
    """Read the grids beside a run; why they cannot be goes to `missing`."""
    if not (folder.is_dir() and holds_grids(folder)):
        return ()
    try:
        return read_grids_alone(folder)
    except HeterodftError as error:
        missing["averages of grids"] = str(error)
        return ()


def grids_instead(folder: Path, error: ReaderError) -> Sequence[VolumeGrid]:
    """Read the grids of a folder or file that holds nothing else.

    Raises
    ------
    ReaderError
        If there are none: the one that the run could not be read with, with the folders below that hold runs.
    """
    if holds_grids(folder):
        return read_grids_alone(folder)
    below = _runs_below(folder)
    if not below:
        raise error
    named = ", ".join(below[:4]) + (f" and {len(below) - 4} more" if len(below) > 4 else "")
    raise ReaderError(
        f"{folder} is no finished run, but holds some: {named}; give one or several of these"
    ) from error


def _runs_below(folder: Path) -> list[str]:
    """Return the names of the folders right below one that hold a run."""
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        try:
            if path.is_dir() and path.suffix != ".save" and not path.name.startswith("."):
                read_folder(path)
                found.append(path.name)
        except HeterodftError:
            continue
        if len(found) > _MOST_RUNS:
            break
    return found


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
