"""Bonds between magnetic ions, periodic images counted, in shells by distance and species or layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from heterodft.errors import ReaderError
from heterodft.structures import layer_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

__all__ = ["Bonds", "Shell", "find_bonds", "group_bonds"]

_REACH = 1.45
"""Of the shortest bond; the second neighbours of a cubic lattice are √2 away."""
_APART = 0.15
"""Å between the lengths of two shells: the bonds of one shell spread when the atoms relax."""


@dataclass(frozen=True)
class Bonds:
    """Every pair of magnetic ions of a cell within reach, each once; of a pair of images, one for each pair.

    Attributes
    ----------
    first, second
        Positions in the list of magnetic sites, shape (bonds,); equal where an ion meets its own image.
    lengths
        Å, shape (bonds,).
    kinds
        What is bonded: ``Ni–Ni``, or layers ``CrN:1–CrN:2``.
    sites
        Indices of the magnetic sites in the structure.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    lengths: NDArray[np.float64]
    kinds: tuple[str, ...]
    sites: tuple[int, ...]

    def count(self, signs: NDArray[np.float64], members: NDArray[np.bool_]) -> float:
        """Return Σ s_i s_j over some of the bonds, s the signs of the magnetic sites."""
        return float((signs[self.first[members]] * signs[self.second[members]]).sum())


@dataclass(frozen=True)
class Shell:
    """Bonds of one kind and about one length.

    Attributes
    ----------
    name
        ``J1``, by length.
    kind
        ``Ni–Ni``, or layers.
    length
        Mean, Å.
    members
        Of each cell, which of its bonds, shape (bonds,).
    """

    name: str
    kind: str
    length: float
    members: tuple[NDArray[np.bool_], ...]

    @property
    def label(self) -> str:
        """``J1 (Ni–Ni 2.95 Å)``."""
        return f"{self.name} ({self.kind} {self.length:.2f} Å)"


def find_bonds(
    structure: Structure, sites: Sequence[int], *, reach: float | None = None, by_layer: bool = False
) -> Bonds:
    """Find the bonds of a cell.

    Parameters
    ----------
    structure
        The cell.
    sites
        Indices of the magnetic sites.
    reach
        Longest bond in Å; by default 1.45 of the shortest.
    by_layer
        Tell bonds apart by the layers of their ends too, which the sites must carry.

    Raises
    ------
    ReaderError
        If no bond is that short, or the sites carry no layers.
    """
    from pymatgen.core import Structure

    magnetic = Structure.from_sites([structure[i] for i in sites])
    limit = _default_reach(magnetic) if reach is None else reach
    first, second, images, lengths = magnetic.get_neighbor_list(limit + 1e-6)
    if not len(first):
        raise ReaderError(f"no two magnetic ions are within {limit:.2f} Å; give a longer reach")
    once = _once(first, second, images)
    first, second, lengths = first[once], second[once], lengths[once]
    if by_layer and not {"material", "block", "layer"} <= set(structure.site_properties):
        raise ReaderError(f"{structure.formula}: sites carry no layers; bonds cannot be told apart by layer")
    labels = layer_labels(structure) if by_layer else [site.specie.symbol for site in structure]
    ends = [(labels[sites[i]], labels[sites[j]]) for i, j in zip(first, second, strict=True)]
    kinds = tuple("–".join(sorted(pair)) for pair in ends)
    return Bonds(first.astype(np.int64), second.astype(np.int64), lengths, kinds, tuple(sites))


def _default_reach(magnetic: Structure) -> float:
    """Return 1.45 of the shortest bond."""
    reach = 3.0
    while not len(found := magnetic.get_neighbor_list(reach)[3]):
        reach *= 1.5
    return _REACH * float(found.min())


def _once(first: NDArray[np.int64], second: NDArray[np.int64], images: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Mark one of the two directions in which each bond is listed."""
    x, y, z = np.asarray(images).T
    leading = np.where(x != 0, x, np.where(y != 0, y, z))
    return np.asarray((first < second) | ((first == second) & (leading > 0)))


def group_bonds(cells: Sequence[Bonds]) -> list[Shell]:
    """Group the bonds of several cells into shells, the shortest first."""
    shells = []
    for kind in sorted({kind for bonds in cells for kind in bonds.kinds}):
        masks = [np.array([one == kind for one in bonds.kinds]) for bonds in cells]
        lengths = np.sort(np.concatenate([b.lengths[m] for b, m in zip(cells, masks, strict=True)]))
        edges = lengths[:-1][np.diff(lengths) > _APART]
        low = -np.inf
        for high in [*edges, lengths[-1]]:
            members = tuple(m & (b.lengths > low) & (b.lengths <= high) for b, m in zip(cells, masks, strict=True))
            inside = lengths[(lengths > low) & (lengths <= high)]
            shells.append((float(inside.mean()), kind, members))
            low = high
    shells.sort(key=lambda shell: (round(shell[0], 2), shell[1]))
    return [Shell(f"J{i}", kind, length, members) for i, (length, kind, members) in enumerate(shells, start=1)]
