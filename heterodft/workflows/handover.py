"""What a calculation takes from its parent's folder: structure, density, occupations; nothing there is changed."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.gaps import find_gap
from heterodft.analysis.result import Result
from heterodft.errors import CalculationError, StorageError
from heterodft.files import write_text
from heterodft.templates.espresso import PREFIX
from heterodft.templates.espresso_edit import edit_namelists, read_value
from heterodft.templates.hp import hubbard_first
from heterodft.templates.shifts import SHIFT_STEPS
from heterodft.templates.steps import RELAXATIONS
from heterodft.workflows.calculation import FAILURE_FILE, finished_id, read_request

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pymatgen.core import Structure

    from heterodft.workflows.calculation import Request

__all__ = ["filled_moment", "hand_over", "has_density", "relaxed_structure", "smeared_alike"]

_HANDED_ON = ("data-file-schema.xml", "charge-density.dat", "occup.txt", "paw.txt")
"""The copy leaves the parent's data as it was: an nscf run overwrites ``data-file-schema.xml``."""
_UNCHANGED = 1e-5
"""Å; pw.x prints and stores cells in bohr."""
_SMEARING = "system->smearing"
_WHOLE = 0.05
"""μB by which the smeared moment of an insulator may miss a whole number."""


def has_density(folder: Path) -> bool:
    """Return whether a step of either code left the density that later steps start from."""
    chgcar = folder / "CHGCAR"
    return (folder / f"{PREFIX}.save" / "charge-density.dat").is_file() or (
        chgcar.is_file() and chgcar.stat().st_size > 0
    )


def relaxed_structure(request: Request, folder: Path) -> Structure | None:
    """Return the structure that the relaxation of a chain ended with, None where nothing was relaxed.

    Raises
    ------
    CalculationError
        If the parent's folder does not hold what this request starts from.
    """
    if request.parent is None:
        return None
    parent = _parent_folder(request, folder)
    before = read_request(parent)
    if before.step not in RELAXATIONS and before.parent is None:
        return None
    found = Result.load(parent).structure
    asked = request.to_structure()
    vectors = np.where(
        np.abs(found.lattice.matrix - asked.lattice.matrix) < _UNCHANGED, asked.lattice.matrix, found.lattice.matrix
    )
    return type(found)(
        vectors, found.species, found.frac_coords, site_properties=asked.site_properties, to_unit_cell=False
    )


def _parent_folder(request: Request, folder: Path) -> Path:
    parent: Path = folder / request.about["parent_folder"]
    if finished_id(parent) != request.parent:
        if (parent / FAILURE_FILE).is_file():
            raise CalculationError(f"the step before, {parent.resolve()}, failed; heterodft retry puts both back")
        raise CalculationError(
            f"{parent} does not hold the step that this one starts from; submit the campaign again"
        )
    return parent


def hand_over(request: Request, folder: Path) -> None:
    """Copy what a step needs of its parent into its folder.

    Raises
    ------
    CalculationError
        If the parent left no density.
    """
    if request.parent is None or not request.to_setup().takes.density:
        return
    parent = _parent_folder(request, folder)
    source, target = parent / f"{PREFIX}.save", folder / f"{PREFIX}.save"
    if not has_density(parent):
        raise CalculationError(f"{source} holds no charge density; submit the campaign again")
    # pp.x looks for the pseudopotentials beside the density.
    names = [*_HANDED_ON, *(path.name for path in source.iterdir() if path.suffix.lower() == ".upf")]
    try:
        target.mkdir(exist_ok=True)
        for name in names:
            if (source / name).is_file():
                shutil.copy2(source / name, target / name)
        if request.step == "response" and (target / "occup.txt").is_file():
            _reorder_occupations(target / "occup.txt", hubbard_first(request.to_setup()))
    except OSError as error:
        raise StorageError(f"cannot write {target}: {error.strerror or error}; free some space") from error


def smeared_alike(request: Request, folder: Path, inputs: dict[str, str]) -> dict[str, str]:
    """Return the inputs of a step; those of a shifted potential with the smearing that the step before ended with.

    What a shift moves is a difference of two runs; a handler may have changed the smearing of the first.
    """
    if request.step not in SHIFT_STEPS or request.parent is None:
        return inputs
    before = read_value((_parent_folder(request, folder) / "pw.in").read_text(encoding="utf-8"), _SMEARING)
    if before in (None, read_value(inputs["pw.in"], _SMEARING)):
        return inputs
    return inputs | {"pw.in": edit_namelists(inputs["pw.in"], {_SMEARING: before})}


def _reorder_occupations(path: Path, order: Sequence[int]) -> None:
    """Put the occupation matrices of a response step into the order of its sites; the site varies slowest."""
    numbers = path.read_text(encoding="utf-8").split()
    if len(numbers) % len(order):
        raise CalculationError(f"{path} does not hold occupations of {len(order)} sites; submit the campaign again")
    size = len(numbers) // len(order)
    blocks = [" ".join(numbers[site * size : (site + 1) * size]) for site in order]
    write_text(path, "\n".join(blocks) + "\n")


def filled_moment(request: Request, folder: Path) -> float | None:
    """Return the total moment (μB) of a response step whose parent has a gap; None fills bands with smearing.

    hp.x stops where a smeared run has no states at its Fermi level, and takes fixed occupations there. A gap below
    the smearing width is left to smearing, and so is one with a moment that is no whole number.
    """
    if request.step != "response" or request.parent is None:
        return None
    before = Result.load(_parent_folder(request, folder))
    gap = None if before.bands is None else find_gap(before)
    if gap is None or gap.metal or gap.value <= request.settings.smearing_width:
        return None
    moment = before.total_moment or 0.0
    return None if abs(moment - round(moment)) > _WHOLE else float(round(moment))
