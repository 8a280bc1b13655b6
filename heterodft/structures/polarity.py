"""Formal charges of planes and the polar discontinuity at interfaces.

With formal charges q the field jumps by q at each plane. A block is free of an average field if the field that
enters it, f', cancels the mean of what its planes add; the field f that leaves the block below follows likewise from
its top. What is missing, f - f', is the polar discontinuity: + 0.5 e a cell at TiO2/LaO, which half an electron
compensates (Nakagawa, Hwang & Muller, Nature Mater. 5, 204 (2006)).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Element

from heterodft.structures.ions import formal_charges

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Structure

__all__ = ["Discontinuity", "plane_charges", "polar_discontinuities", "site_charges"]


@dataclass(frozen=True)
class Discontinuity:
    """Polar discontinuity of an interface.

    Attributes
    ----------
    block
        Number of the block below.
    charge
        e per in-plane cell (without the supercell); positive: electrons compensate it.
    density
        e per nm².
    """

    block: int
    charge: float
    density: float


def site_charges(structure: Structure) -> NDArray[np.float64]:
    """Return the formal charge of each site in e, that of its element in the bulk of its material.

    An element that the material lacks, such as an incoming ion, takes its charge in another material of the stack, or
    its most common one.
    """
    lattices = structure.properties.get("lattices", {})
    materials = structure.site_properties["material"]
    known = {name: formal_charges(lattice["formula"]) for name, lattice in lattices.items()}
    anywhere = {element: charge for charges in known.values() for element, charge in charges.items()}

    def charge(element: str, material: str) -> float:
        found = known.get(material, {}).get(element, anywhere.get(element))
        return float(next(iter(Element(element).common_oxidation_states), 0)) if found is None else found

    return np.array([charge(s.species_string, m) for s, m in zip(structure, materials, strict=True)])


def plane_charges(structure: Structure) -> dict[int, float]:
    """Return the formal charge of each plane in e per in-plane cell (without the supercell)."""
    charges = site_charges(structure)
    planes = np.array(structure.site_properties["plane"])
    return {int(p): round(float(charges[planes == p].sum()) / _cells(structure), 6) for p in np.unique(planes)}


def _cells(structure: Structure) -> float:
    return abs(float(np.linalg.det(structure.properties.get("supercell", np.eye(2)))))


def polar_discontinuities(structure: Structure) -> list[Discontinuity]:
    """Return the polar discontinuity of each interface, from the bottom up.

    Parameters
    ----------
    structure
        Of `build_superlattice`, without a defect.

    Returns
    -------
    list of Discontinuity
        Empty for one block; of a superlattice the last interface closes the period.
    """
    blocks, planes = structure.site_properties["block"], structure.site_properties["plane"]
    number = max(blocks)
    if number == 1:
        return []
    charges = plane_charges(structure)
    heights = structure.cart_coords[:, 2]
    members = {b: sorted({p for p, q in zip(planes, blocks, strict=True) if q == b}) for b in range(1, number + 1)}
    levels = {p: float(heights[np.array(planes) == p].mean()) for p in charges}
    area = float(np.linalg.norm(np.cross(*structure.lattice.matrix[:2]))) / 100 / _cells(structure)
    found = []
    for below in range(1, number if structure.properties.get("vacuum") else number + 1):
        above = below % number + 1
        jump = _leaving(structure, below, members[below], charges, levels) - _entering(
            structure, above, members[above], charges, levels
        )
        found.append(Discontinuity(below, round(jump, 4) + 0.0, round(jump / area, 4) + 0.0))
    return found


def _whole_layers(structure: Structure, block: int) -> tuple[int, float]:
    """Return how many planes make whole layers, at most those of a repeat, and how thick (Å) these are."""
    about = structure.properties["blocks"][block - 1]
    layers = min(int(about["layers"]), int(about["layers_per_repeat"]))
    planes = layers * int(about["planes_per_repeat"]) // int(about["layers_per_repeat"])
    return planes, layers * float(about["layer_thickness"])


def _spacings(planes: list[int], levels: dict[int, float], thickness: float) -> NDArray[np.float64]:
    """Return the spacing above each plane of some layers; above the last one, what is left of their thickness."""
    inner = np.diff([levels[p] for p in planes])
    return np.append(inner, max(thickness - float(inner.sum()), 0.0))


def _entering(
    structure: Structure, block: int, planes: list[int], charges: dict[int, float], levels: dict[int, float]
) -> float:
    number, thickness = _whole_layers(structure, block)
    first = planes[:number]
    spacing = _spacings(first, levels, thickness)
    gathered = np.cumsum([charges[p] for p in first])
    return -float(gathered @ spacing / spacing.sum())


def _leaving(
    structure: Structure, block: int, planes: list[int], charges: dict[int, float], levels: dict[int, float]
) -> float:
    number, thickness = _whole_layers(structure, block)
    last = planes[-number:]
    spacing = _spacings(last, levels, thickness)
    still = [sum(charges[q] for q in last[i + 1 :]) for i in range(len(last))]
    return float(np.array(still) @ spacing / spacing.sum())
