"""Which atom of one cell is which of another, as files of others may list them in another order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Structure

__all__ = ["order_like"]

_MOVED = 1.0
"""Å; no atom relaxes farther within its site."""
_IMPOSSIBLE = 1e6


def order_like(structure: Structure, reference: Structure) -> NDArray[np.int64]:
    """Return the sites of a structure in the order of a reference, shape (sites,).

    Atoms are told by element and place. The order is kept where it is that of the reference already, and where no
    order brings each atom within 1 Å of its place there.
    """
    from scipy.optimize import linear_sum_assignment

    kept = np.arange(len(structure))
    elements, wanted = ([site.specie.symbol for site in each] for each in (structure, reference))
    if sorted(elements) != sorted(wanted):
        return kept
    apart = structure.frac_coords - reference.frac_coords
    moves = np.linalg.norm((apart - np.round(apart)) @ reference.lattice.matrix, axis=1)
    if elements == wanted and moves.max(initial=0.0) < _MOVED:
        return kept
    distances = reference.lattice.get_all_distances(reference.frac_coords, structure.frac_coords)
    other = np.array(wanted)[:, None] != np.array(elements)[None, :]
    rows, columns = linear_sum_assignment(np.where(other, _IMPOSSIBLE, distances**2))
    found = np.empty(len(structure), dtype=np.int64)
    found[rows] = columns
    return found if distances[rows, columns].max() < _MOVED else kept
