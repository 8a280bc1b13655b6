"""Atomic planes of a material along a normal, and how many of them make a layer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Plane", "group_planes", "split_layers"]

_PLANE_TOLERANCE = 0.05
"""Å; atoms whose heights differ by less share a plane."""
_SAME_SPACE = 1e-3
"""Å; spaces that differ by less are equally wide."""


@dataclass(frozen=True)
class Plane:
    """One atomic plane of a repeat.

    Attributes
    ----------
    height
        Å above the lowest plane of the repeat, the mean of its atoms.
    atoms
        (element, u, v) with u, v fractional in the in-plane cell, in [0, 1).
    offsets
        Å of each atom from that height; zero unless the plane is a little rumpled.
    """

    height: float
    atoms: tuple[tuple[str, float, float], ...]
    offsets: tuple[float, ...]

    @property
    def elements(self) -> tuple[str, ...]:
        """Its atoms' elements, sorted."""
        return tuple(sorted(atom[0] for atom in self.atoms))


def group_planes(
    elements: list[str], heights: NDArray[np.float64], lateral: NDArray[np.float64]
) -> tuple[Plane, ...]:
    """Gather atoms of equal height, bottom first; heights stay as they are."""
    order = np.argsort(heights, kind="stable")
    groups: list[list[int]] = []
    for index in order:
        if groups and heights[index] - heights[groups[-1][0]] < _PLANE_TOLERANCE:
            groups[-1].append(int(index))
        else:
            groups.append([int(index)])
    means = [float(np.mean(heights[group])) for group in groups]
    return tuple(
        Plane(
            mean,
            tuple((elements[i], float(lateral[i, 0]), float(lateral[i, 1])) for i in group),
            tuple(round(float(heights[i]) - mean, 9) for i in group),
        )
        for mean, group in zip(means, groups, strict=True)
    )


def split_layers(
    planes: tuple[Plane, ...], thickness: float, shift: NDArray[np.float64], anion: str
) -> tuple[tuple[Plane, ...], int, float]:
    """Find the most layers of equal composition and thickness in a repeat.

    Where several planes may begin a layer, it is one of those with the widest space below, so that no close pair of
    planes is torn apart; of these one that holds the anion; of these the lowest.

    Returns
    -------
    planes
        Turned so that a layer comes first, at height 0.
    layers
        Their number.
    bottom
        Å: the height that was put to 0.
    """
    heights = np.array([plane.height for plane in planes])
    space_below = np.diff(heights, prepend=heights[-1] - thickness)
    for layers in range(len(planes), 0, -1):
        size, rest = divmod(len(planes), layers)
        if rest:
            continue
        narrow = space_below < space_below[:size].max() - _SAME_SPACE
        starts = sorted(range(size), key=lambda start: (narrow[start], anion not in planes[start].elements, start))
        for start in starts:
            turned = _turn(planes, start, thickness, shift)
            if layers == 1 or _alike(turned, layers, thickness):
                return turned, layers, planes[start].height
    raise AssertionError("a repeat is at least one layer")


def _alike(planes: tuple[Plane, ...], layers: int, thickness: float) -> bool:
    size = len(planes) // layers
    groups = [planes[i : i + size] for i in range(0, len(planes), size)]
    contents = {tuple(sorted(element for plane in group for element in plane.elements)) for group in groups}
    climbs = np.diff([group[0].height for group in groups])
    return len(contents) == 1 and bool(np.allclose(climbs, thickness / layers, atol=_PLANE_TOLERANCE))


def _turn(planes: tuple[Plane, ...], start: int, thickness: float, shift: NDArray[np.float64]) -> tuple[Plane, ...]:
    """Return the planes of a repeat from another one on, which is put at height 0."""
    bottom = planes[start].height
    above = []
    for plane in planes[:start]:
        lateral = np.mod(np.round([atom[1:] + shift for atom in plane.atoms], 9), 1.0)
        atoms = tuple((atom[0], float(u), float(v)) for atom, (u, v) in zip(plane.atoms, lateral, strict=True))
        above.append(Plane(plane.height + thickness, atoms, plane.offsets))
    return tuple(replace(plane, height=plane.height - bottom) for plane in (*planes[start:], *above))
