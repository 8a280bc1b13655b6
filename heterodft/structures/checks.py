"""What is looked at before a structure is handed out: atoms that overlap, slabs that should be symmetric."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heterodft.errors import StructureError
from heterodft.structures.ions import closest_pairs
from heterodft.structures.symmetry import plain_symmetry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pymatgen.core import Structure

__all__ = ["check_overlap", "turns_over"]

_CLOSEST = 0.7
"""Of the sum of two ionic radii; crystals keep above 0.79 of it."""


def check_overlap(structure: Structure, charges: Mapping[str, Mapping[str, float]]) -> None:
    """Refuse a structure whose atoms overlap.

    Raises
    ------
    StructureError
        If two atoms are closer than 0.7 of the sum of their ionic radii.
    """
    pairs = closest_pairs(structure, charges, reach=_CLOSEST)
    if pairs:
        (first, second), (distance, total) = next(iter(pairs.items()))
        raise StructureError(
            f"{first} and {second} would be {distance:.2f} Å apart, {100 * distance / total:.0f} % of the sum of "
            f"their ionic radii, in {structure.formula}; choose other terminations, a wider gap, or another shift"
        )


def turns_over(structure: Structure) -> bool:
    """Return whether an operation of the space group turns a slab upside down."""
    found = plain_symmetry(structure)
    return found is not None and any(rotation[2, 2] == -1 for rotation in found.rotations)
