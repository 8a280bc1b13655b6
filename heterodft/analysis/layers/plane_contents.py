"""What is in each atomic plane, and how far planes are apart: what layers are told from."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.layers.plane_search import content, electronegativity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from heterodft.analysis.layers.plane_search import Heights

__all__ = [
    "ElementOrder",
    "PlaneContents",
    "contents_of",
    "element_order",
    "has_vacuum",
    "name_formula",
    "spaces_below",
    "sum_of_planes",
]

_VACUUM = 5.0
"""Å; planes that are farther apart have vacuum between them."""
_PER_ANGSTROM = 1.5
"""Mismatched atoms that a cation nearer to its anions by 1 Å is worth: A sites are 0.8 Å farther than B sites."""
_DOMINANT = 0.4
"""Part of a plane's cations."""
_A_SITE = 2.3
"""Å; cations farther from all anions are written first."""


@dataclass(frozen=True)
class PlaneContents:
    """Contents of a plane: the elements that make it, the numbers of cations and anions, and their distance (Å)."""

    cations: frozenset[str]
    anions: frozenset[str]
    counts: tuple[int, int]
    distance: float
    shares: dict[str, float]

    @property
    def kind(self) -> NDArray[np.float64]:
        """What planes are compared by, in mismatched atoms."""
        return np.array([*self.counts, _PER_ANGSTROM * self.distance])


def has_vacuum(planes: Sequence[Sequence[int]], heights: Heights) -> bool:
    """Whether planes are somewhere so far apart that it is a slab."""
    middles = np.sort([heights.mean(list(plane)) for plane in planes])
    return bool(np.diff(middles, append=middles[0] + heights.period).max() > _VACUUM)


def spaces_below(planes: Sequence[Sequence[int]], heights: Heights) -> NDArray[np.float64]:
    """Return the space (Å) below each plane."""
    middles = np.array([heights.mean(list(plane)) for plane in planes])
    return np.asarray(np.diff(middles, prepend=middles[-1] - heights.period))


def contents_of(
    structure: Structure, plane: tuple[int, ...], anions: frozenset[str], distances: NDArray[np.float64]
) -> PlaneContents:
    """Return what is in a plane; `distances` are those of `anion_distances`."""
    counts = content(structure, plane)
    cations = {element: number for element, number in counts.items() if element not in anions}
    total = sum(cations.values())
    shares = {element: number / total for element, number in cations.items()}
    ranked = [element for element, share in shares.items() if share >= _DOMINANT]
    inside = [site for site in plane if structure[site].specie.symbol in cations]
    return PlaneContents(
        frozenset(ranked or ([max(shares, key=lambda e: shares[e])] if shares else [])),
        frozenset(counts) & anions,
        (total, sum(counts.values()) - total),
        float(distances[inside].mean()) if inside else 0.0,
        shares,
    )


ElementOrder = dict[str, tuple[int, float]]


def element_order(structure: Structure, anions: frozenset[str], distances: NDArray[np.float64]) -> ElementOrder:
    """Return what to sort the elements of a formula by: A sites, B sites, anions; see `anion_distances`."""
    symbols = np.array([site.specie.symbol for site in structure])
    return {
        str(symbol): (
            2 if symbol in anions else int(distances[symbols == symbol].mean() < _A_SITE),
            electronegativity(str(symbol)),
        )
        for symbol in sorted(set(symbols))
    }


def name_formula(amounts: dict[str, float], order: ElementOrder) -> str:
    """Write a formula: ``SrTiO3``, ``SrTiO2.75``."""
    kept = sorted((element for element, amount in amounts.items() if amount > 1e-6), key=lambda e: order[e])
    return "".join(f"{e}{'' if abs(amounts[e] - 1) < 1e-6 else format(round(amounts[e], 3), 'g')}" for e in kept)


def sum_of_planes(planes: Sequence[PlaneContents]) -> dict[str, float]:
    """Return the reduced formula of planes by the elements that make them, whatever a few other atoms are."""
    amounts: Counter[str] = Counter()
    for plane in planes:
        for element in plane.cations:
            amounts[element] += plane.counts[0] * 60 // len(plane.cations)  # 60: so that shares stay whole
        for element in plane.anions:
            amounts[element] += plane.counts[1] * 60 // len(plane.anions)
    divisor = int(np.gcd.reduce(list(amounts.values()))) if amounts else 1
    return {element: amount // divisor for element, amount in amounts.items()}
