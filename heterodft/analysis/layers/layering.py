"""From sites to planes and layers, and sums over them.

Planes and layers are those of the builder where the sites carry its labels. In any other cell the planes are found
from the heights of the atoms (`plane_search`) and the layers from what is in them (`layer_search`), or the user gives
them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from heterodft.analysis.layers.given_layers import read_layers
from heterodft.analysis.layers.groups import AtomicPlane, Layer, Layering, SiteGroup, sum_over_groups
from heterodft.analysis.layers.layer_formulas import (
    layer_doubts,
    layer_formula,
    material_of,
    plane_formula,
    reduced_amounts,
    share_of_whole,
)
from heterodft.analysis.layers.layer_search import label_planes
from heterodft.analysis.layers.plane_contents import element_order, has_vacuum, name_formula
from heterodft.analysis.layers.plane_search import (
    anion_distances,
    anions_of,
    content,
    group_heights,
    heights_along,
    search_planes,
)
from heterodft.errors import ReaderError, did_you_mean
from heterodft.structures import layer_labels, plane_formulas

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pymatgen.core import Structure

    from heterodft.analysis.layers.plane_search import Heights

__all__ = ["AtomicPlane", "Layer", "Layering", "SiteGroup", "find_layering", "find_planes", "sum_over_groups"]


_LABELS = ("material", "block", "layer", "plane")
_WAYS = ("composition", "labels", "planes")
_LONGER = 1.2
"""A cell is stacked along another vector than c only if that one is longer by this factor."""

_PASSED = 1.0
"""Å."""
_WHOLE = 0.75
"""Part of the layers along c that hold what their names say, for no longer vector to be tried."""


def find_layering(
    structure: Structure,
    *,
    layers: str | Path | Sequence[Sequence[int]] | Mapping[str, Sequence[int]] | None = None,
    axis: str | None = None,
    tolerance: float | None = None,
) -> Layering:
    """Return the planes and layers of a structure.

    Parameters
    ----------
    structure
        Any; the site properties ``material``, ``block``, ``layer`` and ``plane`` of the builder decide where present.
    layers
        ``"labels"``: those, or an error; ``"composition"``: found anew; ``"planes"``: each plane is a layer; a list
        of site lists or a mapping of labels to site lists, sites counted from 0; or, sites counted from 1, a text
        such as ``"1-5,6-10;11-20"`` or a YAML or JSON file that holds a list or a mapping.
    axis
        ``"a"``, ``"b"`` or ``"c"``: the vector that the layers are stacked along, as seen from the plane of the two
        others. Without it c, unless there the composition does not vary and it does along a longer vector.
    tolerance
        Å; atoms that follow one another in height by less share a plane. Without it planes are found from the cations
        and the anions around them. With it labels are not used.

    Raises
    ------
    ReaderError
        If they cannot be told, or the list of the user does not fit the structure.
    """
    if axis not in (None, "a", "b", "c"):
        raise ReaderError(f"axis: '{axis}'; give a, b or c")
    if tolerance is not None and not tolerance > 0:
        raise ReaderError(f"tolerance: {tolerance:g} Å; give a height above 0")
    way = layers if isinstance(layers, str) and layers in _WAYS else None
    if isinstance(layers, str) and way is None and layers.isalpha():
        raise ReaderError(f"layers: '{layers}'{did_you_mean(layers, _WAYS)}; or give sites such as 1-5;6-10")
    labelled = all(
        None not in structure.site_properties[key] if key in structure.site_properties else False for key in _LABELS
    )
    if way == "labels" or (labelled and layers is None and tolerance is None):
        return _assemble(structure, _labelled(structure, axis), "labels", axis)
    if layers is None or way == "composition":
        planes, chosen, notes = _composed(structure, axis, tolerance)
        return _assemble(structure, planes, "composition", chosen, notes)
    if way == "planes":
        if labelled and tolerance is None:
            return _assemble(structure, _each_its_own(_labelled(structure, axis)), "labels", axis)
        planes, chosen, notes = _composed(structure, axis, tolerance)
        return _assemble(structure, _each_its_own(planes), "composition", chosen, notes)
    return _given(structure, read_layers(layers, len(structure)), axis, tolerance)


def find_planes(structure: Structure) -> list[AtomicPlane]:
    """Return the planes of a labelled structure from the bottom up.

    Raises
    ------
    ReaderError
        If the sites carry no labels ``material``, ``block``, ``layer``, ``plane``.
    """
    return _labelled(structure, None)


def _labelled(structure: Structure, axis: str | None) -> list[AtomicPlane]:
    missing = set(_LABELS) - set(structure.site_properties)
    if missing:
        raise ReaderError(f"{structure.formula}: sites carry no {', '.join(sorted(missing))}; layers cannot be told")
    numbers = np.array(structure.site_properties["plane"])
    labels = layer_labels(structure)
    planes = []
    for number, formula in plane_formulas(structure).items():
        sites = tuple(map(int, np.flatnonzero(numbers == number)))
        planes.append(AtomicPlane(number, labels[sites[0]], formula, sites, 0.0))
    return _placed(planes, heights_along(structure, _index(axis)))


def _index(axis: str | None) -> int:
    return "abc".index(axis or "c")


def _placed(planes: Sequence[AtomicPlane], heights: Heights) -> list[AtomicPlane]:
    """Return planes, which are in order, with their heights and where they begin and end."""
    middles = np.array([heights.mean(list(plane.sites)) for plane in planes])
    for i in range(1, len(middles)):
        # In order, but relaxed planes may have come past one another a little.
        middles[i] += heights.period * np.ceil((middles[i - 1] - _PASSED - middles[i]) / heights.period)
    bounds = (middles + np.append(middles[1:], middles[:1] + heights.period)) / 2
    bottoms = np.append(bounds[-1:] - heights.period, bounds[:-1])
    return [
        replace(plane, height=float(height), bottom=float(bottom), top=float(top))
        for plane, height, bottom, top in zip(planes, middles, bottoms, bounds, strict=True)
    ]


def _composed(
    structure: Structure, axis: str | None, tolerance: float | None
) -> tuple[list[AtomicPlane], str, tuple[str, ...]]:
    """Return planes with the layers found from composition, along the axis given or the one that shows layers."""
    if not structure.is_ordered:
        raise ReaderError(f"{structure.formula}: partly occupied sites; layers cannot be told")
    anions = anions_of(structure)
    lengths = dict(zip("abc", structure.lattice.abc, strict=True))
    others = sorted((name for name in "ab" if lengths[name] > _LONGER * lengths["c"]), key=lambda n: -lengths[n])
    found: dict[str, tuple[list[AtomicPlane], tuple[bool, float]]] = {}
    for name in [axis] if axis else ["c", *others]:
        heights = heights_along(structure, _index(name))
        stacking = label_planes(structure, search_planes(structure, heights, anions, tolerance), heights, anions)
        planes = [
            AtomicPlane(number, label, plane_formula(structure, sites), sites, 0.0)
            for number, (sites, label) in enumerate(zip(stacking.planes, stacking.labels, strict=True))
        ]
        stacked = stacking.materials > 1 or has_vacuum(stacking.planes, heights)
        found[name] = (_placed(planes, heights), (stacked, share_of_whole(_held(structure, planes))))
        if stacked and found[name][1][1] >= _WHOLE:
            break
    best = max(found, key=lambda name: found[name][1])
    planes = found[best][0]
    notes = layer_doubts(_held(structure, planes), anions)
    turned = f"stacked along {best}: along c the composition does not vary, or not from layer to layer"
    return planes, best, (turned, *notes) if best != "c" and not axis else notes


def _held(structure: Structure, planes: Sequence[AtomicPlane]) -> dict[str, Counter[str]]:
    """Return what is in each layer."""
    held: dict[str, Counter[str]] = {}
    for plane in planes:
        held.setdefault(plane.layer, Counter()).update(content(structure, plane.sites))
    return held


def _each_its_own(planes: Sequence[AtomicPlane]) -> list[AtomicPlane]:
    """Return planes of which each is a layer: ``TiO2:1``, ``TiO2:2``."""
    seen: Counter[str] = Counter()
    labelled = []
    for plane in planes:
        seen[plane.formula] += 1
        labelled.append(replace(plane, layer=f"{plane.formula}:{seen[plane.formula]}"))
    return labelled


def _given(
    structure: Structure,
    layers: Sequence[tuple[str | None, tuple[int, ...]]],
    axis: str | None,
    tolerance: float | None,
) -> Layering:
    """Return the layers of the user, from the bottom up, each with its own planes."""
    heights = heights_along(structure, _index(axis))
    anions = anions_of(structure)
    found = [set(plane) for plane in search_planes(structure, heights, anions, tolerance)]
    order = element_order(structure, anions, anion_distances(structure, anions))
    seen: Counter[str] = Counter()
    planes: list[AtomicPlane] = []
    for label, sites in sorted(layers, key=lambda layer: _lowest(layer[1], heights)):
        name = name_formula(reduced_amounts(content(structure, sites)), order)
        seen[name] += 1
        for own in found:
            inside = tuple(sorted(own & set(sites)))
            if inside:
                layer = label or f"{name}:{seen[name]}"
                planes.append(AtomicPlane(0, layer, plane_formula(structure, inside), inside, 0.0))
    planes = [replace(plane, number=number) for number, plane in enumerate(_ordered(planes, heights))]
    order_of = [plane.layer for plane in planes]
    apart = sum(a != b for a, b in pairwise(order_of)) >= len(set(order_of))
    notes = ("the layers given lie between one another; where one begins and ends is not sharp",) if apart else ()
    return _assemble(structure, _placed(planes, heights), "given", axis, notes)


def _lowest(sites: Sequence[int], heights: Heights) -> float:
    """Return the height of a group by its lowest part in the cell."""
    groups = group_heights(np.array(sites, dtype=np.int64), heights, limit=heights.period)
    return min(heights.mean(group) for group in groups)


def _ordered(planes: Sequence[AtomicPlane], heights: Heights) -> list[AtomicPlane]:
    """Sort planes by height; a layer across the cell boundary is kept together at the top."""
    ordered = sorted(planes, key=lambda plane: heights.mean(list(plane.sites)))
    first, last = ordered[0].layer, ordered[-1].layer
    if first == last and len({plane.layer for plane in ordered}) > 1:
        cut = next(i for i, plane in enumerate(ordered) if plane.layer != first)
        ordered = [*ordered[cut:], *ordered[:cut]]
    return ordered


def _assemble(
    structure: Structure,
    planes: Sequence[AtomicPlane],
    source: Literal["labels", "composition", "given"],
    axis: str | None,
    notes: tuple[str, ...] = (),
) -> Layering:
    """Gather planes into layers."""
    anions = anions_of(structure)
    order = element_order(structure, anions, anion_distances(structure, anions))
    groups: dict[str, list[AtomicPlane]] = {}
    for plane in planes:
        groups.setdefault(plane.layer, []).append(plane)
    contents = {label: content(structure, (s for p in own for s in p.sites)) for label, own in groups.items()}
    layers = []
    for label, own in groups.items():
        material = material_of(label)
        alike = [contents[name] for name in groups if material_of(name) == material]
        layers.append(
            Layer(
                label,
                material,
                layer_formula(contents[label], alike, order),
                tuple(site for plane in own for site in plane.sites),
                float(np.mean([plane.height for plane in own])),
                own[0].bottom,
                own[-1].top,
                tuple(own),
            )
        )
    period = heights_along(structure, _index(axis)).period
    chosen: Any = axis or "c"
    return Layering(tuple(planes), tuple(layers), source, period, chosen, notes)
