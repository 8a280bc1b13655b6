"""How the moments of neighbouring blocks face one another."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from heterodft.errors import StructureError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

__all__ = ["check_ring", "face_blocks", "facing_moments"]

_FACING = 0.3
"""Å; less than the buckling of the cation planes of corundum, which are two planes."""


def face_blocks(
    structure: Structure, signs: NDArray[np.int64], magnetic: NDArray[np.bool_], wanted: int
) -> NDArray[np.int64]:
    """Turn whole blocks so that moments across each interface are parallel or antiparallel.

    Of each pair of neighbouring blocks the magnetic sites nearest to the interface are compared, each with its
    nearest partners on the other side.
    """
    blocks = np.array(structure.site_properties["block"])
    signs = signs.copy()
    numbers = [int(b) for b in sorted(set(blocks[magnetic]))]
    for below, above in pairwise(numbers):
        coupling = _coupling(structure, signs, magnetic & (blocks == below), magnetic & (blocks == above))
        if coupling * wanted < 0:
            signs[blocks == above] *= -1
    return signs


def check_ring(structure: Structure, signs: NDArray[np.int64], magnetic: NDArray[np.bool_], wanted: int) -> None:
    """Refuse an odd ring of ferromagnetic blocks that should all be antiparallel."""
    blocks = np.array(structure.site_properties["block"])
    numbers = sorted(set(blocks[magnetic].tolist()))
    if len(numbers) < 2 or structure.properties["vacuum"]:
        return
    first, last = (int(signs[magnetic & (blocks == number)][0]) for number in (numbers[0], numbers[-1]))
    if first * last * wanted < 0:
        raise StructureError(
            f"magnetism: {len(numbers)} ferromagnetic blocks cannot be antiparallel at every interface of a period; "
            "repeat the stack twice"
        )


def facing_moments(structure: Structure, moments: Sequence[float]) -> list[str]:
    """Return how moments face each other at each interface, from the bottom up.

    Parameters
    ----------
    structure
        Of `build_superlattice`.
    moments
        By site; sites without one are passed over.

    Returns
    -------
    list of str
        ``parallel``, ``antiparallel``, ``compensated`` (as many pairs of either kind), or ``none`` where a block has
        no moment.
    """
    values = np.asarray(moments, dtype=float)
    signs, magnetic = np.sign(values).astype(np.int64), values != 0
    blocks = np.array(structure.site_properties["block"])
    number = int(blocks.max())
    found = []
    for below in range(1, number if structure.properties["vacuum"] else number + 1):
        lower, upper = magnetic & (blocks == below), magnetic & (blocks == below % number + 1)
        if number == 1 or not (lower.any() and upper.any()):
            found.append("none")
            continue
        net = _pairs(structure, signs, lower, upper)
        found.append("parallel" if net > 0 else "antiparallel" if net < 0 else "compensated")
    return found


def _coupling(
    structure: Structure, signs: NDArray[np.int64], below: NDArray[np.bool_], above: NDArray[np.bool_]
) -> int:
    """Return the sum of `_pairs`, or where that is compensated the product of the first pair."""
    first = int(signs[below][0] * signs[above][0])
    return _pairs(structure, signs, below, above) or first


def _pairs(structure: Structure, signs: NDArray[np.int64], below: NDArray[np.bool_], above: NDArray[np.bool_]) -> int:
    """Return the sum of products of signs over the shortest pairs between the facing magnetic planes."""
    heights = structure.cart_coords[:, 2]
    lower = np.flatnonzero(below & (heights > heights[below].max() - _FACING))
    upper = np.flatnonzero(above & (heights < heights[above].min() + _FACING))
    distances = structure.lattice.get_all_distances(structure.frac_coords[lower], structure.frac_coords[upper])
    near = distances < distances.min() + _FACING
    return int((signs[lower][:, None] * signs[upper][None, :] * near).sum())
