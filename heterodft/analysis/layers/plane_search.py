"""Atomic planes of any cell, from the heights of its atoms.

Cations come first: their heights cluster well, even in tilted or rumpled crystals. Anions join the cation plane they
scatter around, or, as in rock salt (111) and corundum (0001), make planes of their own in between.
"""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Element

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from pymatgen.core import Structure

__all__ = [
    "Heights",
    "anion_distances",
    "anions_of",
    "content",
    "electronegativity",
    "group_heights",
    "heights_along",
    "search_planes",
]

_CATION_GAP, _ANION_GAP = 0.55, 1.0
"""Å; atoms of one plane may follow one another in height by this much, when planes are farther apart still."""
_RUMPLING = 0.58
"""Å; anions that scatter around a cation plane by less (root mean square) belong to it."""
_NEIGHBOUR = 1.25
"""Nearest neighbours of an atom are no farther than this multiple of the nearest one."""
_MORE = 0.1
"""Of Pauling's electronegativity."""
_ANIONS = frozenset(["O", "S", "Se", "Te", "F", "Cl", "Br", "I"])
"""Of these any more is enough."""
_REACH = 4.5
"""Å; no bond is longer."""
_SPLIT = 0.05
"""Å; sheets of cations thinner than this are flat."""
_BELOW_ZERO = 0.5
"""Å; a plane so little below the top of the cell is counted as the lowest."""


@dataclass(frozen=True)
class Heights:
    """Heights of atoms along the normal of two cell vectors.

    Attributes
    ----------
    values
        Å, shape (site,), as the coordinates are.
    period
        Å.
    """

    values: NDArray[np.float64]
    period: float

    def together(self, sites: NDArray[np.int64] | list[int]) -> NDArray[np.float64]:
        """Return the heights of atoms that lie near one another, across the cell boundary too, as one group."""
        own = self.values[sites]
        return np.asarray(own[0] + self.fold(own - own[0]))

    def mean(self, sites: NDArray[np.int64] | list[int]) -> float:
        """Return the mean height of such atoms, in the cell or at most 0.5 Å below it."""
        mean = float(self.together(sites).mean())
        margin = min(_BELOW_ZERO, self.period / 4)
        return (mean + margin) % self.period - margin

    def fold(self, difference: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the shortest difference between heights in a periodic cell."""
        return np.asarray(difference - self.period * np.round(difference / self.period))


def heights_along(structure: Structure, axis: int) -> Heights:
    """Return the heights of the atoms along the normal of the two other cell vectors."""
    vectors = structure.lattice.matrix
    normal = np.cross(vectors[(axis + 1) % 3], vectors[(axis + 2) % 3])
    normal /= np.linalg.norm(normal)
    period = float(vectors[axis] @ normal)
    return Heights(np.asarray(structure.cart_coords @ normal) * np.sign(period), abs(period))


def anions_of(structure: Structure) -> frozenset[str]:
    """Return the elements whose atoms mostly are more electronegative than their nearest neighbours on average."""
    first, second = _bonds(structure)
    attraction = np.array([electronegativity(site.specie.symbol) for site in structure])
    around = np.bincount(first, weights=attraction[second], minlength=len(structure))
    number = np.bincount(first, minlength=len(structure))
    symbols = np.array([site.specie.symbol for site in structure])
    margin = np.where(np.isin(symbols, sorted(set(symbols) & _ANIONS)), 0.0, _MORE)  # Bi and Te are 0.08 apart
    more = (number > 0) & (attraction > around / np.maximum(number, 1) + margin)
    return frozenset(str(symbol) for symbol in set(symbols) if more[symbols == symbol].mean() > 0.5)


@lru_cache(maxsize=256)
def electronegativity(symbol: str) -> float:
    """Return Pauling's electronegativity, 0 for the noble gases, which have none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen warns where there is none
        value = float(Element(symbol).X)
    return value if np.isfinite(value) else 0.0


def _bonds(structure: Structure) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    first, second, _, distances = structure.get_neighbor_list(_REACH)
    nearest = np.full(len(structure), np.inf)
    np.minimum.at(nearest, first, distances)
    near = distances <= _NEIGHBOUR * nearest[first]
    return first[near], second[near]


def anion_distances(structure: Structure, anions: frozenset[str]) -> NDArray[np.float64]:
    """Return the distance (Å) of each site to the nearest anion, shape (site,); 0 where there is none near."""
    symbols = np.array([site.specie.symbol for site in structure])
    first, second, _, distances = structure.get_neighbor_list(_REACH)
    kept = np.isin(symbols[second], sorted(anions))
    nearest = np.full(len(structure), np.inf)
    np.minimum.at(nearest, first[kept], distances[kept])
    return np.where(np.isfinite(nearest), nearest, 0.0)


def search_planes(
    structure: Structure, heights: Heights, anions: frozenset[str], tolerance: float | None
) -> list[tuple[int, ...]]:
    """Return the sites of each plane from the bottom of the cell up.

    Parameters
    ----------
    structure, heights
        The cell, and its heights along the normal.
    anions
        Elements, of `anions_of`.
    tolerance
        Å; atoms that follow one another in height by less share a plane, whatever they are. Without it, see the head
        of this module.
    """
    everything = np.arange(len(structure))
    if tolerance is not None:
        groups = group_heights(everything, heights, gap=tolerance)
    else:
        is_anion = np.isin([site.specie.symbol for site in structure], sorted(anions))
        cations = group_heights(everything[~is_anion], heights, limit=_CATION_GAP)
        members, free = _share_out(everything[is_anion], cations, heights)
        own = group_heights(np.array(free, dtype=np.int64), heights, limit=_ANION_GAP)
        groups = [[*plane, *members[number]] for number, plane in enumerate(cations)]
        groups = _split_sheets(groups, own, is_anion, heights)
    return sorted((tuple(sorted(group)) for group in groups), key=lambda group: heights.mean(list(group)))


def group_heights(
    sites: NDArray[np.int64], heights: Heights, *, gap: float | None = None, limit: float = 0.0
) -> list[list[int]]:
    """Gather sites of like height, the cell boundary notwithstanding.

    A new group begins where the next atom is farther up than `gap`, by default the middle of the widest range in
    which there are no gaps and that begins at `limit` or below.
    """
    if not len(sites):
        return []
    folded = np.mod(heights.values[sites], heights.period)
    order = np.argsort(folded, kind="stable")
    gaps = np.diff(folded[order], append=folded[order[0]] + heights.period)
    cuts = np.flatnonzero(gaps > (gap if gap is not None else _widest(gaps, limit)))
    if not len(cuts):
        return [sites.tolist()]
    turned = np.roll(sites[order], -(cuts[-1] + 1))
    ends = np.cumsum(np.diff(cuts, prepend=cuts[-1] - len(sites)))
    return [part.tolist() for part in np.split(turned, ends[:-1])]


def _widest(values: NDArray[np.float64], limit: float) -> float:
    """Return the middle of the widest empty range of values above zero that begins at `limit` or below."""
    steps = np.sort(np.append(values, 0.0))
    below = np.flatnonzero(steps[:-1] <= limit)
    best = below[int(np.argmax(np.diff(steps)[below]))]
    return float(steps[best] + steps[best + 1]) / 2


def _share_out(
    anions: NDArray[np.int64], cations: list[list[int]], heights: Heights
) -> tuple[dict[int, list[int]], list[int]]:
    """Return the anions of each cation plane, and those that belong to none."""
    members: dict[int, list[int]] = defaultdict(list)
    if not cations:
        return members, anions.tolist()
    middles = np.array([heights.mean(plane) for plane in cations])
    apart = np.abs(heights.fold(heights.values[anions][:, None] - middles[None, :]))
    nearest, distance = apart.argmin(axis=1), apart.min(axis=1, initial=np.inf)
    free: list[int] = []
    for number in range(len(cations)):
        near = np.flatnonzero(nearest == number)
        if not len(near):
            continue
        inside = np.ones(len(near), dtype=bool)
        if np.sqrt(np.mean(distance[near] ** 2)) > _RUMPLING:
            inside = distance[near] < _widest(distance[near], np.inf)
        members[number] += anions[near[inside]].tolist()
        free += anions[near[~inside]].tolist()
    return members, free


def _split_sheets(
    groups: list[list[int]], own: list[list[int]], is_anion: NDArray[np.bool_], heights: Heights
) -> list[list[int]]:
    """Split the buckled sheets of corundum (0001), two cations for three anions of the planes around, in two."""
    if not own:
        return groups
    planes = []
    for group in groups:
        near = sorted(own, key=lambda plane: abs(heights.fold(np.array(heights.mean(plane) - heights.mean(group)))))
        ratio = len(group) / np.mean([len(plane) for plane in near[:2]])
        sheet = not is_anion[group].any() and 0.5 < ratio < 0.75
        planes += _halves(group, heights) if sheet and len(group) > 1 else [group]
    return planes + own


def _halves(sheet: list[int], heights: Heights) -> list[list[int]]:
    """Split a sheet where it is thinnest, not far from the middle."""
    folded = heights.together(sheet)
    order = np.argsort(folded, kind="stable")
    gaps = np.diff(folded[order])
    third = len(sheet) // 3
    central = np.arange(third, max(len(gaps) - third, third + 1))
    cut = int(central[np.argmax(gaps[central])])
    if gaps[cut] < _SPLIT:
        return [sheet]
    return [[sheet[i] for i in order[: cut + 1]], [sheet[i] for i in order[cut + 1 :]]]


def content(structure: Structure, sites: Iterable[int]) -> Counter[str]:
    """Return how many atoms of each element there are."""
    return Counter(structure[site].specie.symbol for site in sites)
