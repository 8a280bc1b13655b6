"""How far a band edge may lie beyond the one that a mesh of k-points met.

Between its points a mesh knows nothing. The true edge is taken to lie beyond the sampled one by no more than the
largest step of the band to the neighbours of that point. Neighbours are those along independent directions, not only
the nearest one: a superlattice is flat along its short reciprocal vector, whatever its bands do in the plane. A
symmetry of the crystal that leaves the point where it is and exchanges the neighbours on both sides puts a stationary
point there, so that this direction adds nothing: an edge at Γ is met exactly. Neighbours outside of the irreducible
wedge are its points turned by the symmetries of the crystal.

This is an estimate, not a bound: a band may do anything between two points of a mesh that is coarse enough.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from heterodft.analysis.result import Result

__all__ = ["edge_error", "equivalent_sites", "moment_signs", "symmetries_of"]

_SAME_POINT = 1e-6
"""1/Å."""
_SAME_K = 1e-4
_NEW_DIRECTION = 0.3
"""Part of a step that must lie outside of the directions already taken."""
_FARTHEST = 4.0
"""Neighbours are at most this many times as far as the nearest one."""
_SPIN = 0.1
"""μB from which on the sign of a moment tells atoms apart."""
_PRECISION = 1e-2
"""Å within which atoms are where a symmetry puts them."""


def symmetries_of(result: Result, *, spinors: bool) -> NDArray[np.int64]:
    """Return the matrices that turn fractional k-points into points of the same energies, shape (n, 3, 3).

    Those of the crystal with its collinear moments, and k → −k. Of a noncollinear run (`spinors`) only k → −k, and
    with moments the identity alone.
    """
    unit = np.eye(3, dtype=np.int64)[None]
    if spinors:
        vectors = [values.vectors for values in result.sites.values() if values.vectors is not None]
        magnetic = any(np.linalg.norm(found, axis=1).max(initial=0.0) > _SPIN for found in vectors)
        return unit if magnetic else np.concatenate([unit, -unit])
    found = _symmetry(result)
    turns = unit if found is None else np.asarray(found["rotations"], dtype=np.int64)
    return np.unique(np.concatenate([turns, -turns]), axis=0)


def equivalent_sites(result: Result) -> NDArray[np.int64]:
    """Return for each site the first one that a symmetry of the crystal with its collinear moments puts it on."""
    found = _symmetry(result)
    return (
        np.arange(len(result.structure)) if found is None else np.asarray(found["equivalent_atoms"], dtype=np.int64)
    )


def moment_signs(result: Result) -> NDArray[np.float64]:
    """Return the sign of the moment of each site, shape (sites,): zero below 0.1 μB and where none is told."""
    known = next((values.moments for values in result.sites.values() if values.moments is not None), None)
    if known is None:
        return np.zeros(len(result.structure))
    return np.where(np.abs(known) > _SPIN, np.sign(known), 0.0)


def _symmetry(result: Result) -> dict[str, Any] | None:
    import spglib

    structure, signs = result.structure, moment_signs(result)
    kinds = [(site.species_string, sign) for site, sign in zip(structure, signs.tolist(), strict=True)]
    numbers = [list(dict.fromkeys(kinds)).index(kind) + 1 for kind in kinds]
    cell = (structure.lattice.matrix.tolist(), structure.frac_coords.tolist(), numbers)
    found: dict[str, Any] | None = spglib.get_symmetry(cell, symprec=_PRECISION)
    return found


def edge_error(
    band: NDArray[np.float64],
    index: int,
    kpoints: NDArray[np.float64],
    reciprocal: NDArray[np.float64],
    symmetries: NDArray[np.int64],
    *,
    directions: int = 3,
) -> float | None:
    """Return by how much the true edge of a band may lie beyond the sampled one.

    Parameters
    ----------
    band
        eV, shape (k,), of which `index` is the highest or the lowest.
    kpoints
        Fractional, shape (k, 3).
    reciprocal
        1/Å, rows are the reciprocal vectors.
    symmetries
        Of `symmetries_of`.
    directions
        Independent ones to look along; 1 of a path.

    Returns
    -------
    float
        eV; None where there is no other point.
    """
    here = kpoints[index]
    apart = kpoints @ symmetries - here  # (symmetry, k, 3)
    apart -= np.round(apart)
    alike = (np.linalg.norm(apart @ reciprocal, axis=2) < _SAME_POINT).any(axis=0)
    others = np.flatnonzero(~alike)
    if not len(others):
        return None
    apart = apart[:, others].reshape(-1, 3)
    heights = np.tile(np.abs(band[others] - band[index]), len(symmetries))
    steps = apart @ reciprocal
    lengths = np.linalg.norm(steps, axis=1)
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] < _FARTHEST * lengths[order[0]]]
    turned = here @ symmetries - here
    fixing = symmetries[np.abs(turned - np.round(turned)).max(axis=1) < _SAME_K]
    error, taken = 0.0, np.zeros((0, 3))
    for i in order:
        along = steps[i] / lengths[i]
        new = along - taken.T @ (taken @ along)
        if np.linalg.norm(new) < _NEW_DIRECTION:
            continue
        taken = np.vstack([taken, new / np.linalg.norm(new)])
        if not (np.abs(apart[i] @ fixing + apart[i]).max(axis=1) < _SAME_K).any():
            on_line = np.abs(steps[order] @ along) > 0.99 * lengths[order]
            beside = order[on_line & (lengths[order] < 1.01 * lengths[i])]
            error = max(error, float(heights[beside].max()))
        if len(taken) == directions:
            break
    return error
