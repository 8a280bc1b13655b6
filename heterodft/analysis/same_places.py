"""Whether two structures are the same: one cell, and each atom where it is in the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pymatgen.core import Structure

__all__ = ["same_places"]


def same_places(structure: Structure, other: Structure, *, within: float = 1e-3) -> bool:
    """Return whether two structures have one cell, and their atoms in the same order the same places but for periods.

    Parameters
    ----------
    structure, other
        Of any number of atoms.
    within
        Å that a lattice vector or an atom may differ by in each direction.
    """
    if len(structure) != len(other):
        return False
    cell = other.lattice.matrix
    apart = structure.frac_coords - other.frac_coords
    moved = np.abs((apart - np.round(apart)) @ cell).max(initial=0.0)
    return bool(max(moved, np.abs(structure.lattice.matrix - cell).max()) < within)
