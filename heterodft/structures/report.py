"""What was built: cell, strain, planes, spacings, shortest distance, space group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from heterodft.structures.defects import plane_formulas
from heterodft.structures.superlattice import layer_labels

if TYPE_CHECKING:
    from pymatgen.core import Structure

__all__ = ["PlaneRow", "StructureReport", "describe"]


@dataclass(frozen=True)
class PlaneRow:
    """One atomic plane: its number, layer label, formula, mean height (Å) and distance to the next (Å)."""

    plane: int
    layer: str
    formula: str
    height: float
    spacing: float


@dataclass(frozen=True)
class StructureReport:
    """Numbers to compare a structure by eye with what was meant.

    Attributes
    ----------
    formula, atoms
        Of the cell.
    lengths, angles
        Of the cell vectors, Å and degrees.
    strain
        In-plane strain of each material in percent.
    planes
        From the bottom up; the last spacing crosses the cell boundary.
    shortest
        The two elements and the length (Å) of the shortest bond.
    space_group
        Symbol of the cell, labels ignored.
    """

    formula: str
    atoms: int
    lengths: tuple[float, float, float]
    angles: tuple[float, float, float]
    strain: dict[str, float]
    planes: tuple[PlaneRow, ...]
    shortest: tuple[str, str, float]
    space_group: str


def describe(structure: Structure) -> StructureReport:
    """Describe a structure built here.

    Parameters
    ----------
    structure
        With the site properties of `build_superlattice`.
    """
    a, b, c = structure.lattice.abc
    alpha, beta, gamma = structure.lattice.angles
    first, second, distance = _shortest_pair(structure)
    return StructureReport(
        formula=structure.formula.replace(" ", ""),
        atoms=len(structure),
        lengths=(a, b, c),
        angles=(alpha, beta, gamma),
        strain=dict(structure.properties.get("strain", {})),
        planes=_planes(structure),
        shortest=(first, second, distance),
        space_group=SpacegroupAnalyzer(structure, symprec=1e-3).get_space_group_symbol(),
    )


def _planes(structure: Structure) -> tuple[PlaneRow, ...]:
    numbers = np.array(structure.site_properties["plane"])
    labels = layer_labels(structure)
    formulas = plane_formulas(structure)
    heights = {plane: float(np.mean(structure.cart_coords[numbers == plane, 2])) for plane in formulas}
    period = structure.lattice.matrix[2, 2]
    above = dict(zip(formulas, [*list(heights.values())[1:], next(iter(heights.values())) + period], strict=True))
    return tuple(
        PlaneRow(
            plane,
            labels[int(np.flatnonzero(numbers == plane)[0])],
            formula,
            heights[plane],
            above[plane] - heights[plane],
        )
        for plane, formula in formulas.items()
    )


def _shortest_pair(structure: Structure) -> tuple[str, str, float]:
    radius = 1.0
    while True:
        centres, neighbours, _, distances = structure.get_neighbor_list(radius)
        if len(distances):
            best = int(np.argmin(distances))
            pair = (structure[int(i)].species_string for i in (centres[best], neighbours[best]))
            first, second = sorted(pair)
            return first, second, float(distances[best])
        radius *= 2
