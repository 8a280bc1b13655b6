"""All collinear orders of a cell that no symmetry makes the same.

Two orders are the same when an operation of the space group, with or without turning all moments over, takes one to
the other: the magnetic space group acts on patterns of signs, and one of each orbit is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Structure

from heterodft.errors import StructureError
from heterodft.structures.symmetry import site_names, site_permutations

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

__all__ = ["EnumeratedOrder", "enumerate_orders"]

_SHELL = 1.2
"""Neighbours are as near as this multiple of the nearest one."""
_MOST_SPINS = 16
"""Independent signs; 2^15 patterns are searched."""


@dataclass(frozen=True)
class EnumeratedOrder:
    """A collinear order.

    Attributes
    ----------
    signs
        1 or -1 by site, 0 where there is no moment.
    degeneracy
        Patterns of the cell that symmetry and turning all moments over make the same.
    net
        Sum of the signs, not negative.
    """

    signs: tuple[int, ...]
    degeneracy: int
    net: int


def enumerate_orders(
    structure: Structure,
    magnetic: Sequence[bool],
    *,
    up_to: int | None = None,
    sizes: Sequence[float] | None = None,
    besides: Sequence[Sequence[int]] = (),
) -> list[EnumeratedOrder]:
    """Return the symmetry-inequivalent collinear orders of a cell, the simplest first.

    Parameters
    ----------
    structure
        Sites of one element, and one material where they have the site property, are alike.
    magnetic
        Which sites carry a moment.
    up_to
        At most so many; all by default.
    sizes
        Sizes of the moments (μB), where they tell sites apart that are otherwise alike.
    besides
        Signs of orders to leave out, as they are listed already.

    Returns
    -------
    list of EnumeratedOrder
        From the simplest pattern on: that with the fewest kinds of magnetic surroundings, then with the fewest
        equivalents, then with the largest net moment.
        In a cell of more than 16 magnetic sites, patterns keep the translations of the crystal, or, where these are
        too few, are uniform within each plane, then each layer.

    Raises
    ------
    StructureError
        If no site carries a moment, or the cell has more than 16 magnetic layers.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> cubic = Structure(Lattice.cubic(3.0), ["Fe"], [[0, 0, 0]]) * (2, 2, 2)
    >>> len(enumerate_orders(cubic, [True] * 8))
    14
    """
    sites = np.flatnonzero(np.asarray(magnetic))
    if not len(sites):
        raise StructureError(f"no site of {structure.formula} carries a moment; give magnetism: moments")
    given = np.zeros(len(structure)) if sizes is None else np.round(np.asarray(sizes, dtype=float), 3)
    labels = zip(site_names(structure, ("material",)), magnetic, given, strict=True)
    names = [(*name, bool(moved), float(size)) for name, moved, size in labels]
    permutations = site_permutations(structure, names, sites.tolist())
    groups = _independent(structure, sites, permutations)
    moves = _moves(groups, permutations)
    listed = {_canonical(np.asarray(signs)[sites], permutations) for signs in besides}
    orders = []
    for pattern, degeneracy in _orbits(moves):
        signs = np.where((pattern >> np.arange(moves.shape[1])) & 1, -1, 1)[groups]
        if _canonical(signs, permutations) in listed:
            continue
        whole = np.zeros(len(structure), dtype=np.int64)
        whole[sites] = signs
        orders.append(EnumeratedOrder(tuple(int(s) for s in whole), degeneracy, abs(int(signs.sum()))))
    surroundings = _surroundings(structure, sites, names)
    orders.sort(key=lambda o: (surroundings(np.array(o.signs)[sites]), o.degeneracy, -o.net))
    return orders[:up_to]


def _surroundings(
    structure: Structure, sites: NDArray[np.int64], names: Sequence[object]
) -> Callable[[NDArray[np.int64]], int]:
    """Return a function that counts how many kinds of magnetic surroundings a pattern has.

    Of each site it tells apart the name, how many magnetic neighbours there are, and how many of them are parallel.
    """
    magnetic = Structure.from_sites([structure[int(i)] for i in sites])
    reach = 1.0
    while len(found := magnetic.get_neighbor_list(reach)[3]) < len(sites):
        reach *= 1.5
    first, second, _, distances = magnetic.get_neighbor_list(_SHELL * max(reach, float(found.max())))
    nearest = np.full(len(sites), np.inf)
    np.minimum.at(nearest, first, distances)
    near = distances < _SHELL * np.maximum(nearest[first], nearest[second])
    first, second = first[near], second[near]
    kinds = {name: number for number, name in enumerate(dict.fromkeys(names[int(i)] for i in sites))}
    kind = np.array([kinds[names[int(i)]] for i in sites])
    neighbours = np.bincount(first, minlength=len(sites))

    def count(signs: NDArray[np.int64]) -> int:
        parallel = np.bincount(first[signs[first] == signs[second]], minlength=len(sites))
        return len(set(zip(kind.tolist(), neighbours.tolist(), parallel.tolist(), strict=True)))

    return count


def _canonical(signs: NDArray[np.int64], permutations: NDArray[np.int64]) -> bytes:
    """Return the same bytes for all patterns that symmetry or turning over make the same."""
    moved = signs[permutations]
    moved = moved * moved[:, :1]
    rows: list[bytes] = [row.tobytes() for row in moved.astype(np.int8)]
    return min(rows)


def _independent(
    structure: Structure, sites: NDArray[np.int64], permutations: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return which independent sign each magnetic site takes, numbered from 0."""
    properties = structure.site_properties
    choices: list[list[object]] = [list(range(len(sites))), _translation_orbits(structure, sites, permutations)]
    for key in ("plane", "layer"):
        if key in properties and "block" in properties:
            choices.append([(properties["block"][i], properties[key][i]) for i in sites.tolist()])
    for choice in choices:
        numbers = {name: number for number, name in enumerate(dict.fromkeys(choice))}
        groups = np.array([numbers[name] for name in choice])
        if len(numbers) <= _MOST_SPINS and _is_kept(groups, permutations):
            return groups
    raise StructureError(
        f"{structure.formula} has {len(sites)} magnetic sites in more than {_MOST_SPINS} layers, too many to "
        "enumerate their orders; name the orders, or build fewer layers"
    )


def _translation_orbits(
    structure: Structure, sites: NDArray[np.int64], permutations: NDArray[np.int64]
) -> list[object]:
    """Return the lowest site that a lattice translation of the crystal puts each site on."""
    positions = structure.frac_coords[sites]
    lowest = np.arange(len(sites))
    for permutation in permutations:
        apart = positions[permutation] - positions
        apart = apart - apart[0]
        if (np.abs(apart - np.round(apart)) < 1e-3).all():
            lowest = np.minimum(lowest, permutation)
    return [int(i) for i in lowest]


def _is_kept(groups: NDArray[np.int64], permutations: NDArray[np.int64]) -> bool:
    """Whether every operation takes whole groups to whole groups."""
    for permutation in permutations:
        images = {(int(g), int(h)) for g, h in zip(groups, groups[permutation], strict=True)}
        if len(images) != groups.max() + 1:
            return False
    return True


def _moves(groups: NDArray[np.int64], permutations: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how the operations permute the groups, each once, shape (operations, groups)."""
    number = int(groups.max()) + 1
    members = np.array([int(np.flatnonzero(groups == g)[0]) for g in range(number)])
    return np.unique(groups[permutations[:, members]], axis=0)


def _orbits(moves: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return the lowest pattern of each orbit, as bits that are set where a sign is -1, and the size of the orbit.

    Of every pattern and the one with all signs turned over only that with the first sign + is looked at.
    """
    number = moves.shape[1]
    patterns = np.arange(0, 2**number, 2, dtype=np.int64) if number > 1 else np.zeros(1, dtype=np.int64)
    everything = 2**number - 1
    lowest = patterns.copy()
    for move in moves:
        moved = np.zeros_like(patterns)
        for source, target in enumerate(move):
            moved |= ((patterns >> source) & 1) << int(target)
        lowest = np.minimum(lowest, np.where(moved & 1, moved ^ everything, moved))
    firsts, sizes = np.unique(lowest, return_counts=True)
    return [(int(first), int(size)) for first, size in zip(firsts, sizes, strict=True)]
