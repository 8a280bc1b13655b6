"""What was built: cell, strain, planes and their charges, interfaces, shortest distances, space group, orders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.structures.defects import plane_formulas
from heterodft.structures.ions import closest_pairs, formal_charges
from heterodft.structures.magnetic_orders import fitting_orders
from heterodft.structures.moments import Moments, moment_sizes
from heterodft.structures.polarity import plane_charges, polar_discontinuities
from heterodft.structures.superlattice import layer_labels
from heterodft.structures.symmetry import plain_symmetry

if TYPE_CHECKING:
    from pymatgen.core import Structure

__all__ = ["BlockRow", "InterfaceRow", "PairRow", "PlaneRow", "StructureReport", "describe"]


@dataclass(frozen=True)
class PlaneRow:
    """One atomic plane.

    Its number, layer label, formula, atoms in the cell, mean height (Å), distance to the next (Å) and formal charge
    (e per in-plane cell, None where no oxidation states are known).
    """

    plane: int
    layer: str
    formula: str
    atoms: int
    height: float
    spacing: float
    charge: float | None


@dataclass(frozen=True)
class BlockRow:
    """One block.

    Its material, normal, number of layers, thickness asked for (Å, None where layers were) and thickness (Å),
    principal in-plane strains (%), rotation (degrees), and the height of a layer in the bulk and here (Å).
    """

    material: str
    normal: tuple[int, int, int]
    layers: float
    asked_thickness: float | None
    thickness: float
    strains: tuple[float, float]
    rotation: float
    bulk_layer: float
    layer: float


@dataclass(frozen=True)
class InterfaceRow:
    """One interface.

    The materials below and above, the facing planes, how they join (``continued``; ``shifted``; ``fault``: one
    lattice whose planes do not go on; ``registry``: two lattices), the gap (Å), the shift (fractions of the in-plane
    cell), and the polar discontinuity (e per in-plane cell, e per nm²; None of a structure with a defect).
    """

    below: str
    above: str
    planes: str
    joint: str
    gap: float
    shift: tuple[float, float]
    discontinuity: float | None
    density: float | None


@dataclass(frozen=True)
class PairRow:
    """The shortest distance of two elements and the sum of their ionic radii, Å."""

    first: str
    second: str
    distance: float
    radii: float


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
        Mean in-plane strain of each material in percent.
    blocks, interfaces
        From the bottom up.
    planes
        From the bottom up; the last spacing crosses the cell boundary.
    shortest
        The two elements and the length (Å) of the shortest bond.
    pairs
        Shortest distance of each pair of elements, the closest in relation to the radii first.
    space_group
        Symbol of the cell, labels ignored.
    orders
        Named antiferromagnetic orders that the cell holds for the moments given.
    """

    formula: str
    atoms: int
    lengths: tuple[float, float, float]
    angles: tuple[float, float, float]
    strain: dict[str, float]
    blocks: tuple[BlockRow, ...]
    interfaces: tuple[InterfaceRow, ...]
    planes: tuple[PlaneRow, ...]
    shortest: tuple[str, str, float]
    pairs: tuple[PairRow, ...]
    space_group: str
    orders: tuple[str, ...]


def describe(structure: Structure, moments: Moments | None = None) -> StructureReport:
    """Describe a structure built here.

    Parameters
    ----------
    structure
        With the site properties of `build_superlattice`.
    moments
        Which sites are magnetic, for the orders; by default those of the usual magnetic elements.
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
        blocks=tuple(_block(block) for block in structure.properties.get("blocks", [])),
        interfaces=_interfaces(structure),
        planes=_planes(structure),
        shortest=(first, second, distance),
        pairs=_pairs(structure),
        space_group=_space_group(structure),
        orders=_orders(structure, moments or Moments()),
    )


def _block(block: dict[str, Any]) -> BlockRow:
    return BlockRow(
        material=block["material"],
        normal=tuple(block["normal"]),
        layers=block["layers"],
        asked_thickness=block["asked_thickness"],
        thickness=round(block["layers"] * block["layer_thickness"], 6),
        strains=tuple(block["strains"]),
        rotation=block["rotation"],
        bulk_layer=block["bulk_layer_thickness"],
        layer=block["layer_thickness"],
    )


def _interfaces(structure: Structure) -> tuple[InterfaceRow, ...]:
    meetings = structure.properties.get("interfaces", [])
    if len(structure.properties.get("blocks", [])) < 2:
        return ()
    whole = "defect" not in structure.properties and _neutral(structure)
    jumps = polar_discontinuities(structure) if whole else [None] * len(meetings)
    return tuple(
        InterfaceRow(
            meeting["below"],
            meeting["above"],
            meeting["planes"],
            meeting["joint"],
            meeting["gap"],
            tuple(meeting["shift"]),
            jump.charge if jump else None,
            jump.density if jump else None,
        )
        for meeting, jump in zip(meetings, jumps, strict=True)
    )


def _neutral(structure: Structure) -> bool:
    """Whether oxidation states are known for every material."""
    lattices = structure.properties.get("lattices", {})
    return bool(lattices) and all(formal_charges(lattice["formula"]) for lattice in lattices.values())


def _planes(structure: Structure) -> tuple[PlaneRow, ...]:
    numbers = np.array(structure.site_properties["plane"])
    labels = layer_labels(structure)
    formulas = plane_formulas(structure)
    charges = plane_charges(structure) if _neutral(structure) else {}
    heights = {plane: float(np.mean(structure.cart_coords[numbers == plane, 2])) for plane in formulas}
    period = structure.lattice.matrix[2, 2]
    above = dict(zip(formulas, [*list(heights.values())[1:], next(iter(heights.values())) + period], strict=True))
    return tuple(
        PlaneRow(
            plane,
            labels[int(np.flatnonzero(numbers == plane)[0])],
            formula,
            int((numbers == plane).sum()),
            heights[plane],
            above[plane] - heights[plane],
            charges.get(plane),
        )
        for plane, formula in formulas.items()
    )


def _pairs(structure: Structure) -> tuple[PairRow, ...]:
    lattices = structure.properties.get("lattices", {})
    charges = {name: formal_charges(lattice["formula"]) for name, lattice in lattices.items()}
    found = closest_pairs(structure, charges, reach=1.5)
    return tuple(PairRow(*pair, distance, total) for pair, (distance, total) in found.items())


def _orders(structure: Structure, moments: Moments) -> tuple[str, ...]:
    if "lattices" not in structure.properties:
        return ()
    sizes, _ = moment_sizes(structure, moments)
    magnetic = [size > 0 for size in sizes]
    return tuple(fitting_orders(structure, magnetic)) if any(magnetic) else ()


def _space_group(structure: Structure) -> str:
    found = plain_symmetry(structure)
    return "" if found is None else str(found.international)


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
