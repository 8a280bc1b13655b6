"""Layers of an unlabelled cell: how many planes repeat, of which materials, and where each layer begins.

1. The planes repeat after so many as fit best, by the number of their cations and anions and how near these are;
   where they do not, as in Cr2O3/CrN, a layer begins at each plane of anions.
2. The materials are the fewest whose cations and anions account for all planes; of several choices the one that can
   be neutral, of these the one that occurs most often in the stack.
3. A plane that fits two materials (SrO between TiO2 and RuO2) belongs to the layer that it would open or close if
   the stack were one crystal; AO opens that of a perovskite (001). Where planes of one crystal could open a layer
   equally well, it is one with the widest space below, of these one that holds anions, best with cations, of these
   the lowest. Layers count from the bottom of their block; the top one may hold fewer planes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.layers.plane_search import anion_distances, content, electronegativity
from heterodft.structures.ions import formal_charges

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from heterodft.analysis.layers.plane_search import Heights

__all__ = ["ElementOrder", "Stacking", "element_order", "has_vacuum", "label_planes", "name_formula"]

_VACUUM = 5.0
"""Å; planes that are farther apart have vacuum between them."""
_LONGER = 1.05
"""Mismatched atoms that a repeat longer by one plane must save."""
_PER_ANGSTROM = 1.5
"""Mismatched atoms that a cation nearer to its anions by 1 Å is worth: A sites are 0.8 Å farther than B sites."""
_DOMINANT = 0.4
"""Part of a plane's cations."""
_ALMOST = 0.6
"""Part of the cations or anions of a plane that one material has to account for."""
_SAME_SPACE = 0.3
"""Å; spaces between planes that differ by less are equally wide after relaxation."""
_A_SITE = 2.3
"""Å; cations farther from all anions are written first."""
_MOST_MATERIALS = 4
_LONGEST_RUN = 6


@dataclass(frozen=True)
class _Plane:
    """Contents of a plane: the elements that make it, the numbers of cations and anions, and their distance (Å)."""

    cations: frozenset[str]
    anions: frozenset[str]
    counts: tuple[int, int]
    distance: float
    shares: dict[str, float]

    @property
    def kind(self) -> NDArray[np.float64]:
        return np.array([*self.counts, _PER_ANGSTROM * self.distance])


@dataclass(frozen=True)
class _Material:
    name: str
    elements: frozenset[str]

    def fit(self, plane: _Plane) -> float:
        """Return which part of a plane is of this material's elements."""
        cations = sum(plane.shares.get(element, 0.0) for element in plane.cations & self.elements)
        if not plane.anions:
            return cations
        anions = len(plane.anions & self.elements) / len(plane.anions)
        return min(cations, anions) if plane.cations else anions


@dataclass(frozen=True)
class Stacking:
    """The planes of a cell and the labels of their layers, from the bottom up.

    Attributes
    ----------
    planes
        Sites of each.
    labels
        ``SrTiO3:1`` …, one a plane.
    materials
        Number of different ones.
    """

    planes: tuple[tuple[int, ...], ...]
    labels: tuple[str, ...]
    materials: int


def has_vacuum(planes: Sequence[Sequence[int]], heights: Heights) -> bool:
    """Whether planes are somewhere so far apart that it is a slab."""
    middles = np.sort([heights.mean(list(plane)) for plane in planes])
    return bool(np.diff(middles, append=middles[0] + heights.period).max() > _VACUUM)


def _spaces(planes: Sequence[Sequence[int]], heights: Heights) -> NDArray[np.float64]:
    """Return the space (Å) below each plane."""
    middles = np.array([heights.mean(list(plane)) for plane in planes])
    return np.asarray(np.diff(middles, prepend=middles[-1] - heights.period))


def label_planes(
    structure: Structure, planes: Sequence[tuple[int, ...]], heights: Heights, anions: frozenset[str]
) -> Stacking:
    """Find the layer of each plane.

    Parameters
    ----------
    structure, heights, anions
        The cell, its heights and anions.
    planes
        Of `search_planes`.

    Returns
    -------
    Stacking
        Its lowest plane opens a layer; those below it in the cell come last, as parts of the period above.
    """
    slab = has_vacuum(planes, heights)
    if slab:
        first = int(np.argmax(_spaces(planes, heights)))
        planes = [*planes[first:], *planes[:first]]
    spaces = _spaces_in_order(planes, heights)
    distances = anion_distances(structure, anions)
    contents = [_contents(structure, plane, anions, distances) for plane in planes]
    order = element_order(structure, anions, distances)
    length, start = _repeat(contents, spaces, slab)
    if length is not None:
        materials = _materials(contents, length, start, order, slab)
        owners = _owners(contents, materials, length, start, slab)
        begins, runs = _begins(owners, length, start, slab)
    else:
        sizes = _separate_layers(contents, order, slab)
        owners, begins, runs = _owners_of_layers(contents, sizes, order)
    return _name(planes, owners, begins, runs)


def _spaces_in_order(planes: Sequence[tuple[int, ...]], heights: Heights) -> NDArray[np.float64]:
    return np.mod(_spaces(planes, heights), heights.period) if len(planes) > 1 else np.array([heights.period])


def _contents(
    structure: Structure, plane: tuple[int, ...], anions: frozenset[str], distances: NDArray[np.float64]
) -> _Plane:
    counts = content(structure, plane)
    cations = {element: number for element, number in counts.items() if element not in anions}
    total = sum(cations.values())
    shares = {element: number / total for element, number in cations.items()}
    ranked = [element for element, share in shares.items() if share >= _DOMINANT]
    inside = [site for site in plane if structure[site].specie.symbol in cations]
    return _Plane(
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


def _repeat(contents: list[_Plane], spaces: NDArray[np.float64], slab: bool) -> tuple[int | None, int]:
    """Return after how many planes they repeat, None where they do not, and which plane of a repeat opens a layer."""
    number = len(contents)
    kinds = np.array([plane.kind for plane in contents])
    costs = {
        length: length * _LONGER + sum(_misfit(kinds[phase::length]) for phase in range(length))
        for length in range(1, number + 1)
        if slab or number % length == 0
    }
    length = min(costs, key=lambda n: costs[n])
    if length == number > 1 and _differ(contents):
        return None, 0
    if slab:  # the vacuum is no space within a crystal
        spaces = spaces.copy()
        spaces[0] = np.nan
    with np.errstate(all="ignore"):
        wide = np.array(
            [np.nanmean(part) if np.isfinite(part := spaces[i::length]).any() else 0 for i in range(length)]
        )
    narrow = wide < wide.max() - _SAME_SPACE
    bare = [not any(plane.anions for plane in contents[phase::length]) for phase in range(length)]
    pure = [not any(plane.cations for plane in contents[phase::length]) for phase in range(length)]
    start = 0 if slab else min(range(length), key=lambda i: (narrow[i], bare[i], pure[i], i))
    return length, start


def _misfit(kinds: NDArray[np.float64]) -> float:
    return float(np.abs(kinds - np.median(kinds, axis=0)).sum())


def _anion_starts(contents: list[_Plane]) -> list[int]:
    """Return the planes of nothing but anions, if each has cation planes above it and there are no mixed planes."""
    starts = [i for i, plane in enumerate(contents) if not plane.cations]
    mixed = any(plane.cations and plane.anions for plane in contents)
    adjacent = any(not contents[(i + 1) % len(contents)].cations for i in starts)
    return [] if mixed or adjacent else starts


def _differ(contents: list[_Plane]) -> bool:
    """Whether planes that do not repeat are those of two structure types, rather than one long repeat."""
    starts = _anion_starts(contents)
    if not starts:
        return len(contents) > _LONGEST_RUN
    groups = [contents[low:high] for low, high in zip(starts, [*starts[1:], len(contents) + starts[0]], strict=True)]
    formulas = {_plain(_sum(group)) for group in groups}
    return len(starts) > 1 and all(formal_charges(formula) for formula in formulas)


def _sum(planes: Sequence[_Plane]) -> dict[str, float]:
    amounts: Counter[str] = Counter()
    for plane in planes:
        for element in plane.cations:
            amounts[element] += plane.counts[0] * 60 // len(plane.cations)  # 60: so that shares stay whole
        for element in plane.anions:
            amounts[element] += plane.counts[1] * 60 // len(plane.anions)
    divisor = int(np.gcd.reduce(list(amounts.values()))) if amounts else 1
    return {element: amount // divisor for element, amount in amounts.items()}


def _plain(amounts: dict[str, float]) -> str:
    return "".join(f"{element}{amount:g}" for element, amount in sorted(amounts.items()))


def _typical(contents: list[_Plane], phase: int, length: int) -> tuple[int, int]:
    """Return the most common numbers of cations and anions of a plane of the repeat; of several the largest."""
    found = Counter(plane.counts for plane in contents[phase % length :: length])
    return max(found, key=lambda counts: (found[counts], counts))


def _materials(contents: list[_Plane], length: int, start: int, order: ElementOrder, slab: bool) -> list[_Material]:
    """Return the fewest materials that account for the planes."""
    number = len(contents)
    seen: Counter[_Material] = Counter()
    opens: Counter[_Material] = Counter()
    for low in range(number - length + 1 if slab else number):
        if length > 2 and (low - start) % length:  # it may span an interface
            continue
        window = [contents[(low + i) % number] for i in range(length)]
        around = frozenset().union(*(plane.anions for plane in window))
        pure = [
            _Plane(p.cations, p.anions or around, _typical(contents, low + i, length), p.distance, p.shares)
            for i, p in enumerate(window)
        ]
        material = _material(pure, order)
        seen[material] += 1
        opens[material] += (low - start) % length == 0
    candidates = [material for material, _ in seen.most_common(12)]
    needed = [plane for i, plane in enumerate(contents) if not _is_mixture(contents, i, length)]
    for size in range(1, _MOST_MATERIALS + 1):
        fits = [
            choice
            for choice in combinations(candidates, size)
            if all(max(material.fit(plane) for material in choice) > _ALMOST for plane in needed)
        ]
        if fits:
            return list(
                min(
                    fits,
                    key=lambda choice: (
                        sum(not formal_charges(material.name) for material in choice),
                        -sum(seen[material] for material in choice),
                        -sum(opens[material] for material in choice),
                    ),
                )
            )
    return list(opens)


def _is_mixture(contents: list[_Plane], number: int, length: int) -> bool:
    """Whether a plane is of the cations of other planes at the same place of the repeat, as where layers mix."""
    own = contents[number].cations
    parts = [plane.cations for plane in contents[number % length :: length] if plane.cations < own]
    return bool(parts) and frozenset().union(*parts) == own


def _material(planes: Sequence[_Plane], order: ElementOrder) -> _Material:
    amounts = _sum(planes)
    return _Material(name_formula(amounts, order), frozenset(amounts))


def _owners(contents: list[_Plane], materials: list[_Material], length: int, start: int, slab: bool) -> list[str]:
    """Return the material of each plane; of a plane that fits several, that of its neighbour in the layer."""
    number = len(contents)
    fits = np.array([[material.fit(plane) for material in materials] for plane in contents])
    clear = (fits >= fits.max(axis=1, keepdims=True) - 0.1).sum(axis=1) == 1
    owners = fits.argmax(axis=1)
    start = _opening(contents, length, start)
    for plane in np.flatnonzero(~clear).tolist():
        step = 1 if (plane - start) % length == 0 else -1
        allowed = np.flatnonzero(fits[plane] >= fits[plane].max() - 0.1)
        for direction in (step, -step):
            found = _next_clear(clear, plane, direction, number, slab)
            if found is not None and owners[found] in allowed:
                owners[plane] = owners[found]
                break
    return [materials[owner].name for owner in owners]


def _opening(contents: list[_Plane], length: int, start: int) -> int:
    """Return the plane of a repeat that opens a layer between two materials: the A sites of a perovskite (001)."""
    if any(not (plane.cations and plane.anions) for plane in contents):
        return start
    far = [float(np.mean([plane.distance for plane in contents[phase::length]])) for phase in range(length)]
    return int(np.argmax(far)) if max(far) > min(far) + _SAME_SPACE else start


def _next_clear(clear: NDArray[np.bool_], plane: int, step: int, number: int, slab: bool) -> int | None:
    """Return the next plane that belongs to one material only."""
    for away in range(1, number):
        other = plane + step * away
        if slab and not 0 <= other < number:
            return None
        if clear[other % number]:
            return other % number
    return None


def _begins(owners: list[str], length: int, start: int, slab: bool) -> tuple[list[bool], list[bool]]:
    """Return at which planes a layer begins, and at which a block."""
    number = len(owners)
    runs = [owners[i] != owners[i - 1] for i in range(number)]
    if slab:
        runs[0] = True
    if not any(runs):
        runs[start] = True
    begins = [False] * number
    first = runs.index(True)
    since = 0
    for i in [*range(first, number), *range(first)]:
        since = 0 if runs[i] else since + 1
        begins[i] = since % length == 0
    return begins, runs


def _separate_layers(contents: list[_Plane], order: ElementOrder, slab: bool) -> list[list[int]]:
    """Return the planes of each layer of a stack of different structure types."""
    number = len(contents)
    starts = _anion_starts(contents)
    if starts:
        if slab and starts[0]:
            starts = [0, *starts]
        ends = [*starts[1:], number + (0 if slab else starts[0])]
        return [[i % number for i in range(low, high)] for low, high in zip(starts, ends, strict=True)]
    layers: list[list[int]] = []
    low = 0
    while low < number:
        length, covered = _run(contents[low:])
        layers += [list(range(i, i + length)) for i in range(low, low + covered, length)]
        low += covered
    return layers


def _run(contents: list[_Plane]) -> tuple[int, int]:
    """Return the repeat that most of the lowest planes keep, and how many planes whole repeats cover."""
    kinds = np.array([plane.kind for plane in contents])
    best = (1, 1)
    for length in range(1, min(_LONGEST_RUN, len(kinds) // 2) + 1):
        same = (
            np.abs(kinds[length:] - kinds[:-length]).sum(axis=1)
            < 0.5 * np.maximum(kinds[:-length].sum(axis=1), 1) ** 0.5
        )
        covered = (length + (len(same) if same.all() else int(np.argmin(same)))) // length * length
        if covered >= 2 * length and covered > best[1]:
            best = (length, covered)
    return best


def _owners_of_layers(
    contents: list[_Plane], layers: list[list[int]], order: ElementOrder
) -> tuple[list[str], list[bool], list[bool]]:
    """Return the material of each plane, and at which planes a layer and a block begin."""
    owners, begins, runs = [""] * len(contents), [False] * len(contents), [False] * len(contents)
    for planes in layers:
        name = _material([contents[i] for i in planes], order).name
        for i in planes:
            owners[i] = name
        begins[planes[0]] = True
    for before, planes in zip([layers[-1], *layers[:-1]], layers, strict=True):
        runs[planes[0]] = owners[before[0]] != owners[planes[0]]
    if not any(runs):
        runs[layers[0][0]] = True
    return owners, begins, runs


def _name(planes: Sequence[tuple[int, ...]], owners: list[str], begins: list[bool], runs: list[bool]) -> Stacking:
    """Number blocks and layers from the bottom; the lowest plane that opens a layer comes first."""
    number = len(planes)
    blocks = Counter(owners[i] for i in range(number) if runs[i])
    seen: Counter[str] = Counter()
    names, layer = [""] * number, 0
    first = runs.index(True)
    for i in [*range(first, number), *range(first)]:
        if runs[i]:
            seen[owners[i]] += 1
            layer = 0
        layer += begins[i]
        block = f"[{seen[owners[i]]}]" if blocks[owners[i]] > 1 else ""
        names[i] = f"{owners[i]}{block}:{layer}"
    lowest = begins.index(True)
    turned = [*range(lowest, number), *range(lowest)]
    return Stacking(tuple(planes[i] for i in turned), tuple(names[i] for i in turned), len(blocks))
