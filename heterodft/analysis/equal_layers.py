"""Layers that the symmetry of the cell makes equal, and whether what was read of them is.

The self-consistent density is made symmetric by the code; projections on atomic wavefunctions are so only under the
operations that it used. Quantum ESPRESSO drops those whose translation does not fit its grid. Where tetrahedra or a
smearing fill the two states of a degenerate pair differently, one of two equal layers then gets more than the other.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.layers import sum_over_groups
from heterodft.analysis.mesh_errors import moment_signs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from heterodft.analysis.layers import SiteGroup
    from heterodft.analysis.result import Result

__all__ = ["EQUAL_LAYERS", "equal_groups", "unequal_moments"]

EQUAL_LAYERS = "are equal by the symmetry of the cell"
"""What a note says of layers that differ all the same."""
_PRECISION = 1e-2
"""Å within which atoms are where a symmetry puts them."""
_LEAST = 0.01
"""μB by which equal layers may differ before it is said."""


def equal_groups(result: Result, groups: Sequence[SiteGroup]) -> list[tuple[int, int]]:
    """Return the pairs of groups of the same kinds of sites, by the symmetry of the crystal with its moments.

    Also by one that turns all moments over: the layers of an antiferromagnet may have opposite moments of one size.
    """
    kinds = _equal_sites(result)
    held = [sorted(kinds[list(group.sites)].tolist()) for group in groups]
    return [(i, j) for i, j in combinations(range(len(groups)), 2) if held[i] == held[j]]


def _equal_sites(result: Result) -> NDArray[np.int64]:
    """Return for each site the first one that a symmetry puts it on, with all moments as they are or turned over."""
    import spglib

    structure = result.structure
    species = [site.species_string for site in structure]
    kinds = [species.index(name) for name in species]
    cell = (structure.lattice.matrix.tolist(), structure.frac_coords.tolist(), kinds, moment_signs(result).tolist())
    found = spglib.get_magnetic_symmetry(cell, symprec=_PRECISION, is_axial=False)
    return np.arange(len(structure)) if found is None else np.asarray(found["equivalent_atoms"], dtype=np.int64)


def unequal_moments(
    result: Result, groups: Sequence[SiteGroup], kinds: Sequence[str], moments: NDArray[np.float64]
) -> tuple[str, ...]:
    """Say which equal layers or planes have moments of other sizes, the pair that differs most.

    Parameters
    ----------
    result
        Whose structure and moments tell the symmetry.
    groups
        Layers or planes.
    kinds
        How moments were made, ``sphere`` or ``Löwdin``.
    moments
        μB, shape (site, kind).

    Returns
    -------
    tuple of str
        One note or none; none of noncollinear runs.
    """
    if any(values.vectors is not None for values in result.sites.values()):
        return ()  # the symmetry of vectors is another one
    values = sum_over_groups(tuple(groups), moments)
    sizes = np.abs(values)
    apart = [(float(np.abs(sizes[i] - sizes[j]).max()), i, j) for i, j in equal_groups(result, groups)]
    if not apart or max(apart)[0] < _LEAST:
        return ()
    _, i, j = max(apart)
    told = {kind: (float(values[i, k]), float(values[j, k])) for k, kind in enumerate(kinds)}
    by = {kind: abs(abs(one) - abs(other)) for kind, (one, other) in told.items()}
    said = ", ".join(f"{one:.3f} and {other:.3f} μB by {kind}" for kind, (one, other) in told.items())
    if "sphere" not in by:
        why = "take the difference as the error of this mesh, or the electrons broke the symmetry"
    elif by["sphere"] < _LEAST:
        why = "their density is alike: the difference is the error of projections on this mesh"
    else:
        why = "the electrons broke the symmetry, or the SCF cycle or its mesh is too coarse"
    return (f"{groups[i].label} and {groups[j].label} {EQUAL_LAYERS}, but have {said}; {why}",)
