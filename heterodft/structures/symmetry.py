"""Symmetry of a labelled structure as permutations of its sites."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import spglib
from scipy.spatial import KDTree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

__all__ = ["can_relax", "equivalent_under", "plain_symmetry", "site_names", "site_permutations"]

_SYMPREC = 1e-3
_FREE = 1e-6
_MOST_KEPT = 16
_KNOWN: dict[tuple[object, ...], NDArray[np.int64]] = {}
"""A host is asked for each of its defects again."""


def plain_symmetry(structure: Structure) -> Any:
    """Return spglib's dataset of a structure, labels ignored; None where it finds none."""
    numbers = [site.specie.Z for site in structure]
    cell = (structure.lattice.matrix.tolist(), structure.frac_coords.tolist(), numbers)
    return spglib.get_symmetry_dataset(cell, symprec=_SYMPREC)


def can_relax(structure: Structure) -> bool:
    """Return whether symmetry leaves any atom free to move.

    The displacements that an operation which leaves a site where it is does not change are those the mean of all such
    rotations keeps.
    """
    found = plain_symmetry(structure)
    if found is None:
        return True
    positions = np.asarray(structure.frac_coords)
    apart = np.einsum("oij,sj->osi", found.rotations, positions) + found.translations[:, None] - positions
    lengths = np.linalg.norm((apart - np.round(apart)) @ structure.lattice.matrix, axis=2)
    fixing = lengths < 10 * _SYMPREC
    return any(np.abs(found.rotations[those].mean(axis=0)).max() > _FREE for those in fixing.T)


def site_names(structure: Structure, keys: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the element and the named site properties of each site, as text."""
    columns = [structure.site_properties[key] for key in keys if key in structure.site_properties]
    return [(site.species_string, *map(str, values)) for site, *values in zip(structure, *columns, strict=True)]


def site_permutations(
    structure: Structure, names: Sequence[object], sites: Sequence[int] | None = None
) -> NDArray[np.int64]:
    """Return where each operation of the space group puts each site.

    Parameters
    ----------
    structure
        The structure.
    names
        One a site: only sites of the same name may be mapped on one another.
    sites
        Return the permutations of these sites alone, which must be a whole number of the names.

    Returns
    -------
    array of shape (operations, sites)
        Entry [i, j] is the index, within `sites`, that operation i puts site j on; the identity comes first.
    """
    key = (structure.lattice.matrix.tobytes(), structure.frac_coords.tobytes(), tuple(names), tuple(sites or ()))
    if key not in _KNOWN:
        if len(_KNOWN) >= _MOST_KEPT:
            _KNOWN.clear()
        _KNOWN[key] = _permutations(structure, names, sites)
        _KNOWN[key].setflags(write=False)
    return _KNOWN[key]


def _permutations(structure: Structure, names: Sequence[object], sites: Sequence[int] | None) -> NDArray[np.int64]:
    order = {name: number for number, name in enumerate(sorted(set(names), key=str), start=1)}
    chosen = np.arange(len(structure)) if sites is None else np.asarray(sites)
    positions = np.asarray(structure.frac_coords)
    found = spglib.get_symmetry_dataset(
        (structure.lattice.matrix.tolist(), positions.tolist(), [order[name] for name in names]), symprec=_SYMPREC
    )
    unchanged = np.arange(len(chosen))[None]
    if found is None:
        return unchanged
    images = np.einsum("oij,sj->osi", found.rotations, positions[chosen]) + found.translations[:, None, :]
    nearest = KDTree(np.mod(positions[chosen], 1.0) % 1.0, boxsize=np.ones(3))
    permutations = nearest.query(np.mod(images, 1.0) % 1.0)[1].reshape(images.shape[:2])
    return np.unique(np.concatenate([unchanged, permutations]), axis=0)


def equivalent_under(permutations: NDArray[np.int64], moments: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the permutations that keep all moments, or turn all of them over, shape (operations, sites).

    These are the operations of the magnetic space group, time reversal included.
    """
    moved = moments[permutations]
    kept = np.isclose(moved, moments, atol=1e-6).all(axis=1) | np.isclose(moved, -moments, atol=1e-6).all(axis=1)
    return np.asarray(permutations[kept])
