"""What the kind of cell decides: whether it is a slab, has a dipole, may change its height."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pymatgen.core import Structure

__all__ = ["default_cell", "has_dipole", "is_slab", "turns_normal"]

_SAME_PLACE = 1e-3


def is_slab(structure: Structure) -> bool:
    """Return whether there is vacuum along the third lattice vector."""
    return bool(structure.properties.get("vacuum"))


def has_dipole(structure: Structure) -> bool:
    """Return whether no symmetry of the cell turns its normal around, so that a slab may carry a dipole along it."""
    return all(cosine > _SAME_PLACE - 1 for cosine in _turned_normals(structure))


def turns_normal(structure: Structure) -> bool:
    """Return whether a symmetry of the cell turns its normal to another axis, as in a cube."""
    return any(abs(cosine) < 1 - _SAME_PLACE for cosine in _turned_normals(structure))


def _turned_normals(structure: Structure) -> list[float]:
    """Return the cosine between the normal and what each rotation makes of it; empty where no symmetry is found."""
    from heterodft.structures.symmetry import plain_symmetry

    dataset = plain_symmetry(structure)
    if dataset is None:
        return []
    normal = np.linalg.inv(structure.lattice.matrix)[:, 2]
    normal /= np.linalg.norm(normal)
    matrix = structure.lattice.matrix.T
    turned = matrix @ dataset.rotations @ np.linalg.inv(matrix) @ normal
    return [float(cosine) for cosine in turned @ normal]


def default_cell(structure: Structure) -> str:
    """Return what a relaxation may change besides the positions.

    The height of a superlattice, whose in-plane lattice is that of a substrate; nothing of a slab, of a charged cell
    (the background presses on it) and of a cell of one material, whose defects are compared at the bulk lattice.
    """
    blocks = structure.properties.get("blocks", ())
    free = len(blocks) > 1 and not is_slab(structure) and not structure.properties.get("charge")
    return "c" if free else "fixed"
