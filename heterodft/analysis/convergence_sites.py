"""Which sites of two cells are the same ions: of one cell, with other vacuum, or with other numbers of layers."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.energies.site_order import order_like

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Structure

__all__ = ["match_sites"]

Key = tuple[str, str, int, str, int]
"""Block, the end it is counted from, layer from there, element, and number among those."""


def match_sites(coarse: Structure, fine: Structure, *, growing: bool = False) -> NDArray[np.int64]:
    """Return pairs of the same ions, shape (pair, 2).

    Parameters
    ----------
    coarse, fine
        The cells.
    growing
        Whether the second has more layers: then the lower half of each block of the first is found from the bottom of
        the block, the upper half from its top, and the layers between have no partner. Without site properties of the
        builder nothing is.
    """
    if not growing:
        same_cell = np.allclose(coarse.lattice.matrix, fine.lattice.matrix, rtol=0.2)
        order = order_like(fine, coarse) if same_cell else np.arange(len(fine))
        return np.column_stack([np.arange(len(coarse)), order])
    if not {"block", "layer"} <= set(coarse.site_properties) & set(fine.site_properties):
        return np.empty((0, 2), dtype=np.int64)
    known = {key: site for end in ("bottom", "top") for site, key in enumerate(_keys(fine, end))}
    pairs = [(site, known[key]) for site, key in enumerate(_nearest(coarse)) if key in known]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _nearest(structure: Structure) -> list[Key]:
    """Return the key of each site from the nearer end of its block, the bottom where both are as near."""
    from_bottom, from_top = _keys(structure, "bottom"), _keys(structure, "top")
    return [low if low[2] <= high[2] else high for low, high in zip(from_bottom, from_top, strict=True)]


def _keys(structure: Structure, end: str) -> list[Key]:
    blocks = [str(block) for block in structure.site_properties["block"]]
    layers = [int(layer) for layer in structure.site_properties["layer"]]
    tops = {block: max(layer for layer, own in zip(layers, blocks, strict=True) if own == block) for block in blocks}
    counted: Counter[tuple[str, int, str]] = Counter()
    keys = []
    for site, block, layer in zip(structure, blocks, layers, strict=True):
        distance = layer if end == "bottom" else tops[block] - layer + 1
        kind = (block, distance, site.specie.symbol)
        keys.append((block, end, distance, site.specie.symbol, counted[kind]))
        counted[kind] += 1
    return keys
