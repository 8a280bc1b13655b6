"""What to call the contents of planes and layers."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Composition

from heterodft.analysis.layers.plane_contents import name_formula
from heterodft.structures import plane_formulas
from heterodft.structures.ions import formal_charges

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymatgen.core import Structure

    from heterodft.analysis.layers.plane_contents import ElementOrder

__all__ = [
    "fuller_name",
    "layer_doubts",
    "layer_formula",
    "material_of",
    "plane_formula",
    "reduced_amounts",
    "share_of_whole",
]

_WHOLE, _FEWEST = 0.6, 0.7
"""Part of the numbers of atoms that the number of in-plane cells divides; fewest atoms of an element per cell."""
_PART, _PART_OF_SEVERAL = 0.15, 0.1
"""Of the cations or the anions of a layer, and of several equal layers: an element with less is a dopant."""


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


def fuller_name(
    name: str, planes: Sequence[Counter[str]], begins: Sequence[bool], order: ElementOrder, anions: frozenset[str]
) -> str:
    """Return what to call the only material of a cell, with elements that share their planes with more of another.

    That is what most layers hold, if it can be neutral: LiGa5O8, where planes are of Ga and O for the most part.
    """
    layers: list[Counter[str]] = []
    first = list(begins).index(True)
    for i in [*range(first, len(planes)), *range(first)]:
        layers += [Counter()] if begins[i] else []
        layers[-1].update(planes[i])
    common, times = Counter(frozenset(reduced_amounts(layer).items()) for layer in layers).most_common(1)[0]
    amounts = dict(common)
    left = set(amounts) - set(Composition(name).get_el_amt_dict())
    kinds = {element: sum(x for e, x in amounts.items() if (e in anions) == (element in anions)) for element in left}
    part = _PART_OF_SEVERAL if times > 1 else _PART
    missed = any(amounts[element] >= part * kinds[element] for element in left)
    fuller = name_formula(amounts, order)
    return fuller if missed and 2 * times >= len(layers) and formal_charges(fuller) else name


def share_of_whole(layers: Mapping[str, Counter[str]]) -> float:
    """Return which part of the layers, by label, holds just what its material does."""
    whole = [
        Composition(layer).reduced_composition == Composition(material_of(label)).reduced_composition
        for label, layer in layers.items()
    ]
    return float(np.mean(whole))


def layer_doubts(layers: Mapping[str, Counter[str]], anions: frozenset[str]) -> tuple[str, ...]:
    """Return, in words, where layers that were found may not be what the user means by layers."""
    materials = list(dict.fromkeys(map(material_of, layers)))
    if not anions or not any(anions & set(layer) for layer in layers.values()):
        return ()
    odd = [material for material in materials if not formal_charges(material)]
    if odd:
        return (f"no common charges make {' and '.join(odd)} neutral: these layers are a guess; give layers or axis",)
    other = round((1 - share_of_whole(layers)) * len(layers))
    if 2 * other > len(layers):
        return (f"{other} of {len(layers)} layers do not hold what their names say; give layers or axis if wrong",)
    return ()


def material_of(label: str) -> str:
    """Return the material of a label, ``SrTiO3`` of ``SrTiO3[1]:2``."""
    return label.partition(":")[0].partition("[")[0]
