"""After how many planes a stack repeats, and which planes make a layer where it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.layers.plane_contents import sum_of_planes
from heterodft.structures.ions import formal_charges

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from heterodft.analysis.layers.plane_contents import PlaneContents

__all__ = ["SAME_SPACE", "opening_plane", "rank_repeats", "separate_layers"]

_LONGER = 1.05
"""Mismatched atoms that a repeat longer by one plane must save."""
SAME_SPACE = 0.3
"""Å; spaces between planes that differ by less are equally wide after relaxation."""
_LONGEST_RUN = 6


def rank_repeats(contents: list[PlaneContents], slab: bool) -> list[int]:
    """Return after how many planes they may repeat, the likeliest first; empty where they do not."""
    number = len(contents)
    if slab and _is_trilayer(contents):
        return [number]
    kinds = np.array([plane.kind for plane in contents])
    costs = {
        length: length * _LONGER + sum(_misfit(kinds[phase::length]) for phase in range(length))
        for length in range(1, number + 1)
        if slab or number % length == 0
    }
    ranked = sorted(costs, key=lambda n: costs[n])
    return [] if ranked[0] == number > 1 and _differ(contents) else ranked


def opening_plane(contents: list[PlaneContents], spaces: NDArray[np.float64], length: int, slab: bool) -> int:
    """Return which plane of a repeat opens a layer: above the widest space, of such planes one with anions."""
    if slab:
        return 0
    wide = np.array([spaces[phase::length].mean() for phase in range(length)])
    narrow = wide < wide.max() - SAME_SPACE
    bare = [not any(plane.anions for plane in contents[phase::length]) for phase in range(length)]
    pure = [not any(plane.cations for plane in contents[phase::length]) for phase in range(length)]
    return min(range(length), key=lambda i: (narrow[i], bare[i], pure[i], i))


def _is_trilayer(contents: list[PlaneContents]) -> bool:
    """Whether a sheet is cations between anions, as MoS2."""
    return [bool(plane.cations) for plane in contents] == [False, True, False]


def _misfit(kinds: NDArray[np.float64]) -> float:
    return float(np.abs(kinds - np.median(kinds, axis=0)).sum())


def _anion_starts(contents: list[PlaneContents]) -> list[int]:
    """Return the planes of nothing but anions, if each has cation planes above it and there are no mixed planes."""
    starts = [i for i, plane in enumerate(contents) if not plane.cations]
    mixed = any(plane.cations and plane.anions for plane in contents)
    adjacent = any(not contents[(i + 1) % len(contents)].cations for i in starts)
    return [] if mixed or adjacent else starts


def _differ(contents: list[PlaneContents]) -> bool:
    """Whether planes that do not repeat are those of two structure types, rather than one long repeat."""
    starts = _anion_starts(contents)
    if not starts:
        return len(contents) > _LONGEST_RUN
    groups = [contents[low:high] for low, high in zip(starts, [*starts[1:], len(contents) + starts[0]], strict=True)]
    formulas = {_plain(sum_of_planes(group)) for group in groups}
    return len(starts) > 1 and all(formal_charges(formula) for formula in formulas)


def _plain(amounts: dict[str, float]) -> str:
    return "".join(f"{element}{amount:g}" for element, amount in sorted(amounts.items()))


def separate_layers(contents: list[PlaneContents], slab: bool) -> list[list[int]]:
    """Return the planes of each layer of a stack of different structure types.

    Where there are planes of anions alone, each opens a layer, or closes one if so fewer materials are needed.
    """
    number = len(contents)
    starts = _anion_starts(contents)
    if starts:
        ways = [_between(starts, number, slab), _between([(i + 1) % number for i in starts], number, slab)]
        return min(ways, key=lambda way: len({_plain(sum_of_planes([contents[i] for i in own])) for own in way}))
    layers: list[list[int]] = []
    low = 0
    while low < number:
        length, covered = _run(contents[low:])
        layers += [list(range(i, i + length)) for i in range(low, low + covered, length)]
        low += covered
    return layers


def _between(starts: list[int], number: int, slab: bool) -> list[list[int]]:
    """Return the planes from each start to the next."""
    starts = sorted({0, *starts} if slab else starts)
    ends = [*starts[1:], number + (0 if slab else starts[0])]
    return [[i % number for i in range(low, high)] for low, high in zip(starts, ends, strict=True)]


def _run(contents: list[PlaneContents]) -> tuple[int, int]:
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
