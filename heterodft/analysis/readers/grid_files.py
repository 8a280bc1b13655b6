"""Every grid of a folder, of VASP or Quantum ESPRESSO, by quantity."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.readers.espresso.grids import EnergyUnit, read_espresso_grid
from heterodft.analysis.readers.espresso.pp_input import name_plot, plot_of
from heterodft.analysis.readers.opening import SUFFIXES
from heterodft.analysis.readers.vasp.grids import VASP_GRIDS, read_vasp_grids, vasp_grid_kind
from heterodft.errors import ReaderError, did_you_mean
from heterodft.files import read_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymatgen.core import Structure

    from heterodft.analysis.grids import GridQuantity, VolumeGrid

__all__ = ["find_grids", "read_grid", "read_grids"]

_QUANTITIES = ("charge density", "spin density", "magnetization", "potential")
_ORDER = ("LOCPOT", "CHGCAR", "CHG", "AECCAR2", "AECCAR1", "AECCAR0", "PARCHG")
"""The one that is meant by a charge density comes before those of parts of it."""
_ENDS = (".cube", ".xsf", ".filplot", ".pp")


def find_grids(folder: Path | str) -> tuple[Path, ...]:
    """Return the files of a folder that hold grids, those of whole densities before those of parts.

    LOCPOT, CHGCAR (or CHG where there is none), AECCAR, PARCHG; cube, XSF and filplot files, of which a filplot is
    left out where its cube is there, and those of which pp.x was asked for neither a density nor a potential.
    """
    files = sorted(path for path in Path(folder).iterdir() if path.is_file()) if Path(folder).is_dir() else []
    vasp = [(vasp_grid_kind(path.name), path) for path in files if _is_vasp(path)]
    kinds = {kind for kind, _ in vasp}
    chosen = [(_ORDER.index(kind), path) for kind, path in vasp if kind and not (kind == "CHG" and "CHGCAR" in kinds)]
    ours = [path for path in files if _plain(path).lower().endswith(_ENDS) and _is_grid(path)]
    stems = {_plain(path).rpartition(".")[0] for path in ours if _plain(path).lower().endswith((".cube", ".xsf"))}
    others = [
        path
        for path in ours
        if not (_plain(path).lower().endswith((".filplot", ".pp")) and _plain(path).rpartition(".")[0] in stems)
    ]
    return tuple(path for _, path in sorted(chosen)) + tuple(sorted(others, key=_rank))


def read_grids(
    path: Path | str, quantity: GridQuantity | None = None, *, unit: EnergyUnit | None = None
) -> tuple[VolumeGrid, ...]:
    """Read the grids of a file or of every file of a folder.

    Parameters
    ----------
    path
        A file, or a folder whose grids are read; in a folder of this program the atoms come in the builder's order
        with its labels.
    quantity
        Which are wanted; all without. Of a file that does not tell what it holds it is what is taken for it.
    unit
        Of a potential in a cube that pp.x did not write.

    Returns
    -------
    tuple
        Whole densities before those of parts; empty where a folder has none.

    Raises
    ------
    ReaderError
        If a file cannot be read. Of a folder: if none can.
    """
    return tuple(_read(Path(path), quantity, unit))


def read_grid(path: Path | str, quantity: GridQuantity, *, unit: EnergyUnit | None = None) -> VolumeGrid:
    """Read the first grid of a quantity; further ones are left alone.

    Of a noncollinear run its magnetization along z is the spin density.

    Raises
    ------
    ReaderError
        If there is none.
    """
    if quantity not in _QUANTITIES:
        raise ReaderError(f"'{quantity}' is no quantity on a grid{did_you_mean(quantity, _QUANTITIES)}")
    wanted = next(_read(Path(path), quantity, unit), None)
    if wanted is None and quantity == "spin density":
        vectors = next(_read(Path(path), "magnetization", unit), None)
        wanted = vectors.component("z") if vectors else None
    if wanted is None:
        step = "potential" if quantity == "potential" else "charge"
        raise ReaderError(f"{path} holds no {quantity} on a grid; run a step '{step}', or keep its LOCPOT or CHGCAR")
    return wanted


def _read(path: Path, quantity: GridQuantity | None, unit: EnergyUnit | None) -> Iterator[VolumeGrid]:
    if not path.is_dir():
        yield from (grid for grid in _read_file(path, quantity, unit) if quantity in (None, grid.quantity))
        return
    problems: list[str] = []
    read = 0
    for files in _together(_of_quantity(find_grids(path), quantity)):
        try:
            grids = tuple(grid for file in files for grid in _read_file(file, None, unit))
            grids = (_combined(grids),) if len(files) > 1 else grids
        except ReaderError as error:
            problems.append(str(error))
            continue
        for grid in grids:
            if quantity in (None, grid.quantity):
                read += 1
                yield replace(_labelled(grid, path), notes=(*grid.notes, *problems))
    if problems and not read:
        raise ReaderError(problems[0])


def _together(files: list[Path]) -> list[tuple[Path, ...]]:
    """Put the three components of a magnetization, which pp.x writes one a file, together."""
    plots = {file: plot_of(file) for file in files if not _is_vasp(file)}
    parts = {plot.component: file for file, plot in plots.items() if plot and plot.number == 13}
    if not {1, 2, 3} <= set(parts):
        return [(file,) for file in files]
    others = [(file,) for file in files if file not in parts.values()]
    return [*others, (parts[1], parts[2], parts[3])]


def _combined(grids: tuple[VolumeGrid, ...]) -> VolumeGrid:
    if len({grid.shape for grid in grids}) > 1:
        raise ReaderError(f"the components of the magnetization have different grids: {grids[0].source} …")
    source = ", ".join(grid.source.split(" ")[0] for grid in grids) + " (magnetization)"
    return replace(
        grids[0], quantity="magnetization", values=np.stack([grid.values for grid in grids]), source=source
    )


def _of_quantity(files: tuple[Path, ...], quantity: GridQuantity | None) -> list[Path]:
    """Leave out files of VASP that are known to hold something else."""
    if quantity is None:
        return list(files)
    return [
        file
        for file in files
        if not _is_vasp(file) or (vasp_grid_kind(file.name) == "LOCPOT") == (quantity == "potential")
    ]


def _read_file(path: Path, quantity: GridQuantity | None, unit: EnergyUnit | None) -> tuple[VolumeGrid, ...]:
    if not path.is_file():
        raise ReaderError(f"{path} is missing; give a file of a grid, or the folder of a calculation")
    if _is_vasp(path):
        return read_vasp_grids(path)
    if _plain(path).upper().startswith("ELFCAR"):
        raise ReaderError(f"{path} holds the localization of electrons, neither a density nor a potential")
    return (read_espresso_grid(path, quantity=quantity if plot_of(path) is None else None, unit=unit),)


def _plain(path: Path) -> str:
    return path.stem if path.suffix and path.suffix in SUFFIXES else path.name


def _is_vasp(path: Path) -> bool:
    name = _plain(path)
    return (
        not name.lower().endswith(_ENDS)
        and vasp_grid_kind(name) is not None
        and name.upper().startswith(tuple(VASP_GRIDS))
    )


def _is_grid(path: Path) -> bool:
    """Return whether pp.x was not asked for something else."""
    plot = plot_of(path)
    try:
        return plot is None or bool(name_plot(plot, path))
    except ReaderError:
        return False


def _rank(path: Path) -> tuple[int, str]:
    """Put what pp.x calls the charge, the spin density and the mean potential before parts of them."""
    plot = plot_of(path)
    first = (11, 1, 0, 6, 13, 21, 17)
    number = plot.number if plot else 99
    part = plot.component if plot and plot.number != 13 else 0
    return ((first.index(number) if number in first else len(first)) + 10 * bool(part), path.name)


def _labelled(grid: VolumeGrid, folder: Path) -> VolumeGrid:
    """Put the atoms into the builder's order with its labels, where the folder has its request."""
    if not (folder / "request.json").is_file():
        return grid
    asked: dict[str, Any] = read_json(folder / "request.json").get("request", {}).get("structure", {})
    structure = _ordered(grid.structure, folder)
    species, labels = asked.get("species"), asked.get("site_properties")
    if not isinstance(labels, dict) or [site.species_string for site in structure] != species:
        note = f"{folder}: the atoms of its grids are not those of its request.json; they have no labels"
        return replace(grid, notes=(*grid.notes, note))
    for name, values in labels.items():
        structure.add_site_property(name, values)
    return replace(grid, structure=structure)


def _ordered(structure: Structure, folder: Path) -> Structure:
    """Undo how the POSCAR of VASP was sorted."""
    if not (folder / "site_order.json").is_file():
        return structure.copy()
    order = read_json(folder / "site_order.json").get("order", [])
    if sorted(order) != list(range(len(structure))):
        raise ReaderError(f"{folder / 'site_order.json'} is not the order of {len(structure)} sites; of another run?")
    return type(structure).from_sites([structure[int(i)] for i in np.argsort(np.array(order))])
