"""Which results of one cell are in the same state: the same moments, structure and energy, up to symmetry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.energies.states import find_states, reached_moments, same_state
from heterodft.structures.symmetry import site_permutations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from heterodft.analysis.energies.states import State
    from heterodft.analysis.result import Result

__all__ = ["group_states", "same_structure"]

_MOVED = 0.1
"""Å by which an atom may be elsewhere in the same structure, the drift of all taken off."""


def group_states(results: Sequence[Result], *, tolerance: float) -> list[int]:
    """Return the number of the state each result is in, 1 for the lowest in energy.

    Two results are in one state when their moments (and occupations) agree up to turning all over, or up to a
    symmetry operation of the cell they started from, their structures agree, and their energies do.

    Parameters
    ----------
    results
        Of one cell, whose energies may be subtracted, with energies.
    tolerance
        eV of the cell.
    """
    states = find_states(results)
    moments = [None if (one := reached_moments(result)) is None else one[0] for result in results]
    start = _starting_structure(results[0])
    permutations = site_permutations(start, [site.species_string for site in start])
    energies = [float(result.energy or 0.0) for result in results]
    groups: list[list[int]] = []
    for i in sorted(range(len(results)), key=lambda i: energies[i]):
        for group in groups:
            first = group[0]
            if (
                abs(energies[i] - energies[first]) <= tolerance
                and _same_moments(states, moments, (first, i), permutations)
                and same_structure(results[first].structure, results[i].structure)
            ):
                group.append(i)
                break
        else:
            groups.append([i])
    numbers = {i: number for number, group in enumerate(groups, start=1) for i in group}
    return [numbers[i] for i in range(len(results))]


def _starting_structure(result: Result) -> Structure:
    """Return the structure that a result's run started from, where that is known: it has the symmetry."""
    data = (result.request.get("request") or {}).get("structure")
    if not data:
        return result.structure
    from pymatgen.core import Structure

    return Structure(data["lattice"], data["species"], data["positions"])


def _same_moments(
    states: Sequence[State],
    moments: Sequence[NDArray[np.float64] | None],
    pair: tuple[int, int],
    permutations: NDArray[np.int64],
) -> bool:
    first, second = pair
    one, other = moments[first], moments[second]
    if one is None or other is None:
        return one is None and other is None
    if states[first].name == states[second].name:
        return True
    if same_state(one, other):
        return False  # told apart by their occupations
    return any(same_state(one, other[permutation]) for permutation in permutations)


def same_structure(one: Structure, other: Structure) -> bool:
    """Whether two structures of one cell with atoms in one order agree, up to a drift and to symmetry.

    No atom is farther than 0.1 Å from its place, or pymatgen's StructureMatcher maps one on the other within
    0.1 Å (root mean square).
    """
    apart = other.frac_coords - one.frac_coords
    apart -= np.round(apart)
    moves = apart @ one.lattice.matrix
    stretched = np.abs(other.lattice.matrix - one.lattice.matrix).max() > _MOVED
    if not stretched and np.linalg.norm(moves - moves.mean(axis=0), axis=1).max(initial=0.0) < _MOVED:
        return True
    from pymatgen.analysis.structure_matcher import StructureMatcher

    spacing = (one.volume / len(one)) ** (1 / 3)
    matcher = StructureMatcher(
        ltol=0.02, stol=_MOVED / spacing, angle_tol=1, primitive_cell=False, scale=False, attempt_supercell=False
    )
    return bool(matcher.fit(one, other))
