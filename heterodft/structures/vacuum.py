"""Where a cell is empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pymatgen.core import Structure

__all__ = ["has_vacuum", "widest_gap"]

_VACUUM = 6.0
"""Å between nuclei; no interface gap, and no plane spacing of a crystal, is as wide."""


def widest_gap(structure: Structure, axis: int = 2) -> tuple[float, float]:
    """Return the middle and the width of the widest slice without an atom.

    Parameters
    ----------
    structure
        The cell.
    axis
        Of the cell vector that leads through the slices; 2 is the stacking axis.

    Returns
    -------
    tuple of float
        Both in units of that vector.
    """
    places = np.sort(np.mod(structure.frac_coords[:, axis], 1.0))
    gaps = np.diff(np.append(places, places[0] + 1.0))
    widest = int(gaps.argmax())
    return float((places[widest] + gaps[widest] / 2) % 1), float(gaps[widest])


def has_vacuum(structure: Structure, axis: int = 2) -> bool:
    """Whether the atoms leave a gap of more than 6 Å along the normal of a face of the cell.

    Parameters
    ----------
    structure
        The cell.
    axis
        Of the cell vector that leads through the face; 2 is the stacking axis.
    """
    height = 2 * np.pi / structure.lattice.reciprocal_lattice.abc[axis]
    return bool(widest_gap(structure, axis)[1] * height > _VACUUM)
