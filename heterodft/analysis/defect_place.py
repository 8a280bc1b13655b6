"""Where a defect is: as the builder noted it, as the user says, or by comparing with the pristine cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from heterodft.analysis.result import Result

__all__ = ["DefectPlace", "compare_with_pristine", "locate_defect"]

_FARTHEST = 1.5
"""Å; an atom that is farther from a site of the pristine cell is not the one of that site."""
_OTHER_ELEMENT = 0.6
"""Å that an atom of another element counts as farther away."""
_SAME_CELL = 0.06
"""Of the lengths of two cells that are the same but for relaxation."""


@dataclass(frozen=True)
class DefectPlace:
    """A defect.

    Attributes
    ----------
    kind
        ``V_O``, ``Ti_Al``, ``O_i`` (interstitial); of a complex its members joined by +; ``site`` where only a site
        was given.
    position
        Å, Cartesian; of a complex that of the first member.
    site
        Index of the atom that is the defect, None of a vacancy.
    source
        ``builder``, ``pristine`` or ``given``.
    """

    kind: str
    position: tuple[float, float, float]
    site: int | None
    source: str


def locate_defect(
    result: Result,
    *,
    position: Sequence[float] | None = None,
    site: int | None = None,
    pristine: Structure | None = None,
) -> DefectPlace:
    """Return where the defect of a result is.

    Parameters
    ----------
    result
        Of the cell with the defect.
    position
        Å, Cartesian, if the user knows it.
    site
        Index of an atom, from 0, if the defect is one.
    pristine
        The cell without the defect, to compare with.

    Raises
    ------
    ReaderError
        If nothing tells, or what is given does not fit the cell.
    """
    structure = result.structure
    if position is not None:
        place = np.asarray(position, dtype=float)
        if place.shape != (3,) or not np.isfinite(place).all():
            raise ReaderError(f"position: {position}; give x, y, z in Å")
        return DefectPlace("position", _triple(place), _atom_at(structure, place), "given")
    if site is not None:
        if not 0 <= site < len(structure):
            raise ReaderError(f"site {site} is not in the structure, which has the sites 0 to {len(structure) - 1}")
        symbol = structure[site].specie.symbol
        return DefectPlace(f"{symbol} {site}", _triple(structure[site].coords), site, "given")
    if pristine is not None:
        found = compare_with_pristine(structure, pristine)
        if not found:
            raise ReaderError("the cell holds the same atoms as the pristine one; there is no defect")
        kind = "+".join(member.kind for member in found)
        return DefectPlace(kind, found[0].position, found[0].site, "pristine")
    noted = structure.properties.get("defect") or result.request.get("about", {}).get("defect")
    if not noted:
        raise ReaderError("nothing tells where the defect is; give its position, a site or the pristine cell")
    place = np.asarray(noted["position"], dtype=float)
    vacancy = str(noted["kind"]).startswith("V_")
    return DefectPlace(noted["kind"], _triple(place), None if vacancy else _atom_at(structure, place), "builder")


def compare_with_pristine(structure: Structure, pristine: Structure) -> list[DefectPlace]:
    """Return the defects by which a cell differs from a pristine one: vacancies, then others, from the bottom up.

    Each atom is the one of the nearest site, all together (a linear assignment). Positions of vacancies are those of
    the pristine site, in fractions of the cell.

    Raises
    ------
    ReaderError
        If the cells differ.
    """
    from scipy.optimize import linear_sum_assignment

    lengths = np.array(structure.lattice.parameters) / np.array(pristine.lattice.parameters)
    if np.abs(lengths - 1).max() > _SAME_CELL:
        raise ReaderError(
            f"the pristine cell ({pristine.formula}) is another one; give the one that the defect was put into, with "
            "the same supercell"
        )
    distances = structure.lattice.get_all_distances(pristine.frac_coords, structure.frac_coords)
    sites = [site.specie.symbol for site in pristine]
    atoms = [atom.specie.symbol for atom in structure]
    other = np.array(sites)[:, None] != np.array(atoms)[None, :]
    far = distances > _FARTHEST
    rows, columns = linear_sum_assignment(np.where(far, 100.0, (distances + _OTHER_ELEMENT * other) ** 2))
    pairs = {int(i): int(j) for i, j in zip(rows, columns, strict=True) if not far[i, j]}
    places = structure.lattice.get_cartesian_coords(pristine.frac_coords)
    vacancies = [
        DefectPlace(f"V_{sites[i]}", _triple(places[i]), None, "pristine")
        for i in range(len(sites))
        if i not in pairs
    ]
    changed = [
        DefectPlace(f"{atoms[j]}_{sites[i]}", _triple(structure[j].coords), j, "pristine")
        for i, j in pairs.items()
        if atoms[j] != sites[i]
    ]
    added = [
        DefectPlace(f"{atoms[j]}_i", _triple(structure[j].coords), j, "pristine")
        for j in range(len(atoms))
        if j not in set(pairs.values())
    ]
    groups = (vacancies, changed, added)
    return [member for group in groups for member in sorted(group, key=lambda found: found.position[2])]


def _atom_at(structure: Structure, place: NDArray[np.float64]) -> int | None:
    """Return the atom that is at a place, as far as it can have relaxed."""
    fractional = structure.lattice.get_fractional_coords(place)
    distances = structure.lattice.get_all_distances([fractional], structure.frac_coords)[0]
    nearest = int(distances.argmin())
    return nearest if distances[nearest] < _FARTHEST / 2 else None


def _triple(place: NDArray[np.float64]) -> tuple[float, float, float]:
    return float(place[0]), float(place[1]), float(place[2])
