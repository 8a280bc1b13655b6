"""The fewest materials that account for the planes of a stack."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from heterodft.analysis.layers.plane_contents import (
    ElementOrder,
    PlaneContents,
    name_formula,
    sum_of_planes,
)
from heterodft.structures.ions import formal_charges

if TYPE_CHECKING:
    from collections.abc import Sequence


__all__ = ["Material", "find_materials", "material_of_planes"]

_ALMOST = 0.6
"""Part of the cations or anions of a plane that one material has to account for."""
_MOST_MATERIALS = 4


@dataclass(frozen=True)
class Material:
    """Name and elements of a material."""

    name: str
    elements: frozenset[str]

    def fit(self, plane: PlaneContents) -> float:
        """Return which part of a plane is of this material's elements."""
        cations = sum(plane.shares.get(element, 0.0) for element in plane.cations & self.elements)
        if not plane.anions:
            return cations
        anions = len(plane.anions & self.elements) / len(plane.anions)
        return min(cations, anions) if plane.cations else anions


def _typical(contents: list[PlaneContents], phase: int, length: int) -> tuple[int, int]:
    """Return the most common numbers of cations and anions of a plane of the repeat; of several the largest."""
    found = Counter(plane.counts for plane in contents[phase % length :: length])
    return max(found, key=lambda counts: (found[counts], counts))


def find_materials(
    contents: list[PlaneContents], length: int, start: int, order: ElementOrder, slab: bool
) -> list[Material]:
    """Return the fewest materials that account for the planes."""
    number = len(contents)
    seen: Counter[Material] = Counter()
    opens: Counter[Material] = Counter()
    for low in range(number - length + 1 if slab else number):
        if length > 2 and (low - start) % length:  # it may span an interface
            continue
        window = [contents[(low + i) % number] for i in range(length)]
        around = frozenset().union(*(plane.anions for plane in window))
        pure = [
            PlaneContents(p.cations, p.anions or around, _typical(contents, low + i, length), p.distance, p.shares)
            for i, p in enumerate(window)
        ]
        material = material_of_planes(pure, order)
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


def _is_mixture(contents: list[PlaneContents], number: int, length: int) -> bool:
    """Whether a plane is of the cations of other planes at the same place of the repeat, as where layers mix."""
    own = contents[number].cations
    parts = [plane.cations for plane in contents[number % length :: length] if plane.cations < own]
    return bool(parts) and frozenset().union(*parts) == own


def material_of_planes(planes: Sequence[PlaneContents], order: ElementOrder) -> Material:
    """Return the material that planes make."""
    amounts = sum_of_planes(planes)
    return Material(name_formula(amounts, order), frozenset(amounts))
