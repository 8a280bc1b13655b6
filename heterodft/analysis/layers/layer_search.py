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
from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.layers.layer_formulas import fuller_name
from heterodft.analysis.layers.material_search import Material, find_materials, material_of_planes
from heterodft.analysis.layers.plane_contents import (
    ElementOrder,
    PlaneContents,
    contents_of,
    element_order,
    has_vacuum,
    spaces_below,
)
from heterodft.analysis.layers.plane_repeat import SAME_SPACE, opening_plane, rank_repeats, separate_layers
from heterodft.analysis.layers.plane_search import anion_distances, content
from heterodft.structures.ions import formal_charges

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from heterodft.analysis.layers.plane_search import Heights

__all__ = ["Stacking", "label_planes"]


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
        first = int(np.argmax(spaces_below(planes, heights)))
        planes = [*planes[first:], *planes[:first]]
    spaces = _spaces_in_order(planes, heights)
    distances = anion_distances(structure, anions)
    contents = [contents_of(structure, plane, anions, distances) for plane in planes]
    order = element_order(structure, anions, distances)
    ranked = rank_repeats(contents, slab)
    if ranked:
        length, start, materials = _repeating(contents, spaces, ranked, order, slab)
        owners = _owners(contents, materials, length, start, slab)
        begins, runs = _begins(owners, length, start, slab)
    else:
        sizes = separate_layers(contents, slab)
        owners, begins, runs = _owners_of_layers(contents, sizes, order)
    if len(set(owners)) == 1:
        held = [content(structure, plane) for plane in planes]
        owners = [fuller_name(owners[0], held, begins, order, anions)] * len(owners)
    return _name(planes, owners, begins, runs)


def _spaces_in_order(planes: Sequence[tuple[int, ...]], heights: Heights) -> NDArray[np.float64]:
    return np.mod(spaces_below(planes, heights), heights.period) if len(planes) > 1 else np.array([heights.period])


def _repeating(
    contents: list[PlaneContents], spaces: NDArray[np.float64], ranked: list[int], order: ElementOrder, slab: bool
) -> tuple[int, int, list[Material]]:
    """Return the repeat, the plane of it that opens a layer, and the materials.

    Where the likeliest repeat gives materials that cannot be neutral, as LiO and CoO of LiCoO2, it is a longer one
    that comes again with the same elements, if there is one that can be.
    """
    longer = [length for length in ranked if length > ranked[0] and _comes_again(contents, length, slab)]
    found = []
    for length in [ranked[0], *longer]:
        start = opening_plane(contents, spaces, length, slab)
        materials = find_materials(contents, length, start, order, slab)
        found.append((length, start, materials))
        if all(formal_charges(material.name) for material in materials):
            return found[-1]
    return found[0]


def _comes_again(contents: list[PlaneContents], length: int, slab: bool) -> bool:
    """Whether planes a repeat apart are of the same elements, all through the stack."""
    number = len(contents)
    pairs = [(i, i + length) for i in range(number - length)] if slab else [(i, i - length) for i in range(number)]
    alike = [
        contents[i].cations == contents[j].cations and contents[i].anions == contents[j].anions for i, j in pairs
    ]
    return 2 * length <= number and all(alike)


def _owners(
    contents: list[PlaneContents], materials: list[Material], length: int, start: int, slab: bool
) -> list[str]:
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


def _opening(contents: list[PlaneContents], length: int, start: int) -> int:
    """Return the plane of a repeat that opens a layer between two materials: the A sites of a perovskite (001)."""
    if any(not (plane.cations and plane.anions) for plane in contents):
        return start
    far = [float(np.mean([plane.distance for plane in contents[phase::length]])) for phase in range(length)]
    return int(np.argmax(far)) if max(far) > min(far) + SAME_SPACE else start


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


def _owners_of_layers(
    contents: list[PlaneContents], layers: list[list[int]], order: ElementOrder
) -> tuple[list[str], list[bool], list[bool]]:
    """Return the material of each plane, and at which planes a layer and a block begin."""
    owners, begins, runs = [""] * len(contents), [False] * len(contents), [False] * len(contents)
    for planes in layers:
        name = material_of_planes([contents[i] for i in planes], order).name
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
