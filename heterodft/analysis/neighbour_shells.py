"""Shells of neighbours around a place, told by element and distance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymatgen.core import Structure

    from heterodft.analysis.defect_place import DefectPlace


__all__ = ["NeighbourShell", "find_shells"]

_REACH = 6.0
"""Å."""
_GAP = 0.6
"""Å; atoms of one element follow one another in distance by less within a shell, even where it is distorted."""
_WIDEST = 1.4
"""Atoms of a shell are no farther than this multiple of its nearest one: 1.36 in tetragonal PbTiO3."""
_SPLIT = 0.1
"""Å; an atom nearer than this is the defect itself."""


@dataclass(frozen=True)
class NeighbourShell:
    """Neighbours of one element at about the same distance.

    Attributes
    ----------
    element
        Their element.
    sites
        Indices, from 0, the nearest first; in a small cell a site may be there more than once, as its own image.
    distances
        Å, shape (neighbour,).
    """

    element: str
    sites: tuple[int, ...]
    distances: tuple[float, ...]

    @property
    def label(self) -> str:
        """``6 O at 1.95 Å``."""
        return f"{len(self.sites)} {self.element} at {np.mean(self.distances):.2f} Å"

    @property
    def own_sites(self) -> tuple[int, ...]:
        """Indices without images: what sums are over."""
        return tuple(dict.fromkeys(self.sites))

    @property
    def bottom(self) -> float:
        """Å: the shortest distance."""
        return min(self.distances)

    @property
    def top(self) -> float:
        """Å: the longest distance."""
        return max(self.distances)


def find_shells(
    structure: Structure, place: DefectPlace, number: int
) -> tuple[tuple[NeighbourShell, ...], tuple[str, ...]]:
    """Gather atoms around a place by element and distance."""
    near = [n for n in structure.get_sites_in_sphere(place.position, _REACH) if n.nn_distance > _SPLIT]
    near = [n for n in near if n.index != place.site or n.nn_distance > _REACH / 2]
    near.sort(key=lambda n: (n.nn_distance, n.index))
    if not near:
        raise ReaderError(f"no atoms within {_REACH:g} Å of {place.kind}; check the position, in Å")
    shells: list[NeighbourShell] = []
    for element in dict.fromkeys(n.specie.symbol for n in near):
        own = [n for n in near if n.specie.symbol == element]
        for part in _parts([float(n.nn_distance) for n in own]):
            members = own[part]
            shells.append(
                NeighbourShell(
                    element, tuple(int(n.index) for n in members), tuple(float(n.nn_distance) for n in members)
                )
            )
    chosen = tuple(sorted(shells, key=lambda shell: float(np.mean(shell.distances)))[:number])
    twice = [shell.label for shell in chosen if len(shell.own_sites) < len(shell.sites)]
    notes = (f"the cell is so small that images count as neighbours ({', '.join(twice)}); sums hold each site once",)
    return chosen, notes if twice else ()


def _parts(distances: Sequence[float]) -> list[slice]:
    """Return which of the rising distances belong to each shell."""
    starts = [0]
    for i, distance in enumerate(distances):
        if i and (distance - distances[i - 1] > _GAP or distance > _WIDEST * distances[starts[-1]]):
            starts.append(i)
    return [slice(low, high) for low, high in zip(starts, [*starts[1:], len(distances)], strict=True)]
