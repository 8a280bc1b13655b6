"""What to call the contents of planes and layers."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.layers.layer_search import name_formula
from heterodft.structures import plane_formulas

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymatgen.core import Structure

    from heterodft.analysis.layers.layer_search import ElementOrder

__all__ = ["layer_formula", "plane_formula", "reduced_amounts"]

_WHOLE, _FEWEST = 0.6, 0.7
"""Part of the numbers of atoms that the number of in-plane cells divides; fewest atoms of an element per cell."""


def plane_formula(structure: Structure, sites: Sequence[int]) -> str:
    """Return the formula of a plane as the builder writes it."""
    part = structure.__class__.from_sites([structure[site] for site in sites])
    part.add_site_property("plane", [0] * len(sites))
    return plane_formulas(part)[0]


def reduced_amounts(counts: Counter[str]) -> dict[str, float]:
    """Return numbers of atoms divided by what they share."""
    divisor = int(np.gcd.reduce(list(counts.values())))
    return {element: count / divisor for element, count in counts.items()}


def layer_formula(counts: Counter[str], alike: Sequence[Counter[str]], order: ElementOrder) -> str:
    """Write what a layer holds per in-plane cell, whose number follows from the layers of the same material."""
    cells = _cells(alike)
    return name_formula({element: count / cells for element, count in counts.items()}, order)


def _cells(layers: Sequence[Counter[str]]) -> int:
    """Return the number of in-plane cells: what divides most numbers of atoms, up to one that is missing or added.

    Layers without a defect decide when they are half of all.
    """
    divisors = Counter(int(np.gcd.reduce(list(counts.values()))) for counts in layers)
    whole, times = max(divisors.items(), key=lambda pair: (pair[1], pair[0]))
    if len(layers) > 1 and 2 * times >= len(layers):
        return whole
    numbers = np.array([count for counts in layers for count in counts.values()])
    for cells in range(int(numbers.max()), whole, -1):
        parts = numbers / cells
        off = np.abs(parts - np.round(parts)) * cells
        if (off == 0).mean() >= _WHOLE and off.max() <= 1 and parts.min() >= _FEWEST:
            return cells
    return whole
