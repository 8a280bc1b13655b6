"""Whether two runs of one cell fill the same orbitals, as their Hubbard occupations tell.

Two matrices are the same where no element differs by more than 0.1 electrons at one U, 0.25 at two: a step of 1 eV
changes those of CrN by 0.05, 0.2 at most, and another orbital order those of FeO by 0.4.

1. The eigenvalues of each site are compared first, which no turn of the axes changes; where they differ, so do the
   states.
2. Then the matrices, as they are and carried over by each operation of the cell's symmetry, without and with the
   spins exchanged: an electron in dxz instead of dyz at every site of a tetragonal cell is the same state, one in dxz
   here and dyz there is not.

Sites are compared place by place in the first part, so that two charge orders that only symmetry exchanges count as
two states. Of noncollinear runs the eigenvalues alone are compared.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from heterodft.analysis.result import HubbardOccupations, Result

__all__ = [
    "OTHER_U_TOLERANCE",
    "SAME_U_TOLERANCE",
    "compare_occupations",
    "harmonic_rotation",
    "occupations_in_order",
]

SAME_U_TOLERANCE, OTHER_U_TOLERANCE = 0.1, 0.25
"""Electrons by which eigenvalues and elements of matrices of one state may differ, at one U and at two."""
_SYMPREC = 0.01
"""Å, of the search for symmetry, and with room of the sites that an operation takes to one another."""
_NEGATIVE = {"espresso": (1, 3)}
"""Orders m whose real harmonics have the other sign; those of VASP have none."""
_ORDERS = {1: (0, 1, 1), 2: (0, 1, 1, 2, 2), 3: (0, 1, 1, 2, 2, 3, 3)}
"""|m| of p, d and f orbitals as they stand in `heterodft.analysis.result.ORBITALS`."""

Verdict = Literal["same", "turned", "other", "unknown"]


def occupations_in_order(result: Result, order: NDArray[np.int64]) -> dict[int, HubbardOccupations]:
    """Return the occupations by site of a reference; `order` lists the result's own sites in that order."""
    place = {int(own): site for site, own in enumerate(order)}
    return {place[one.site]: one for one in result.occupations}


def compare_occupations(
    first: Mapping[int, HubbardOccupations],
    second: Mapping[int, HubbardOccupations],
    structure: Structure,
    *,
    code: str,
    tolerance: float = SAME_U_TOLERANCE,
) -> Verdict:
    """Compare the occupations of two runs, see the head of this module.

    Parameters
    ----------
    first, second
        By site of the structure.
    structure
        Whose symmetry is used.
    code
        Of both runs, on which the signs of the orbitals depend.
    tolerance
        Electrons.

    Returns
    -------
    str
        ``same``; ``turned``: the eigenvalues agree but no symmetry makes the matrices agree; ``other``; ``unknown``
        where they have no site in common.
    """
    sites = [site for site in first if site in second and first[site].shell[-1] == second[site].shell[-1]]
    if not sites:
        return "unknown"
    mine, theirs = [first[site] for site in sites], [second[site] for site in sites]
    if any(len(one.matrices) == 4 for one in (*mine, *theirs)):
        return "same" if _close(_all_levels(mine), _all_levels(theirs), tolerance) else "other"
    ours, others = [_both_spins(one) for one in mine], [_both_spins(one) for one in theirs]
    flips = [flip for flip in (1, -1) if _close(_levels(ours), _levels([b[::flip] for b in others]), tolerance)]
    if not flips:
        return "other"
    for rotation, images in _operations(structure):
        carried = _carried_over(dict(zip(sites, others, strict=True)), rotation, images, code)
        if set(carried) == set(sites) and any(
            _close(ours, [carried[site][::flip] for site in sites], tolerance) for flip in (1, -1)
        ):
            return "same"
    return "turned"


def _close(first: Sequence[NDArray[np.float64]], second: Sequence[NDArray[np.float64]], tolerance: float) -> bool:
    pairs = zip(first, second, strict=True)
    return all(a.shape == b.shape and np.abs(a - b).max() <= tolerance for a, b in pairs)


def _levels(matrices: Sequence[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    return [np.asarray(np.linalg.eigvalsh(one), dtype=np.float64) for one in matrices]


def _all_levels(shells: Sequence[HubbardOccupations]) -> list[NDArray[np.float64]]:
    """Return the eigenvalues of each site, those of both spins together."""
    found = [np.sort(one.eigenvalues.ravel()) for one in shells]
    return [
        np.repeat(levels, 2) if len(one.matrices) == 1 else levels for one, levels in zip(shells, found, strict=True)
    ]


def _both_spins(shell: HubbardOccupations) -> NDArray[np.float64]:
    matrices = np.asarray(shell.matrices.real, dtype=np.float64)
    return np.repeat(matrices, 2, axis=0) if len(matrices) == 1 else matrices


def _carried_over(
    matrices: Mapping[int, NDArray[np.float64]],
    rotation: NDArray[np.float64],
    images: NDArray[np.int64],
    code: str,
) -> dict[int, NDArray[np.float64]]:
    """Return what an operation makes of matrices by site."""
    carried = {}
    for site, matrix in matrices.items():
        turn = harmonic_rotation(rotation, matrix.shape[-1] // 2, code)
        carried[int(images[site])] = np.asarray(turn @ matrix @ turn.T)
    return carried


def _operations(structure: Structure) -> Iterator[tuple[NDArray[np.float64], NDArray[np.int64]]]:
    """Yield each operation, the identity first, as its Cartesian rotation and where it takes each site."""
    from pymatgen.core import Structure
    from pymatgen.symmetry.analyzer import SpacegroupAnalyzer, SymmetryUndeterminedError

    yield np.identity(3), np.arange(len(structure))
    elements = [site.specie.symbol for site in structure]
    plain = Structure(structure.lattice, elements, structure.frac_coords)
    axes = plain.lattice.matrix.T
    try:
        operations = SpacegroupAnalyzer(plain, symprec=_SYMPREC).get_symmetry_operations()
    except SymmetryUndeterminedError:
        return
    for operation in operations:
        moved = plain.frac_coords @ operation.rotation_matrix.T + operation.translation_vector
        apart = moved[:, None, :] - plain.frac_coords[None, :, :]
        distances = np.linalg.norm((apart - np.round(apart)) @ plain.lattice.matrix, axis=2)
        images = distances.argmin(axis=1)
        if len(set(images.tolist())) == len(images) and distances.min(axis=1).max() < 10 * _SYMPREC:
            yield axes @ operation.rotation_matrix @ np.linalg.inv(axes), images


def harmonic_rotation(rotation: NDArray[np.float64], degree: int, code: str = "") -> NDArray[np.float64]:
    """Return D with which a turned orbital is a sum of the others: f_m(R⁻¹ r) = Σ_m' f_m'(r) D_m'm.

    Parameters
    ----------
    rotation
        R, shape (3, 3), orthogonal; an improper one as well.
    degree
        l, 0 to 3.
    code
        ``espresso``, whose harmonics of odd m have the other sign, or any other.

    Returns
    -------
    array
        Orthogonal, shape (2l + 1, 2l + 1), orbitals as in `heterodft.analysis.result.ORBITALS`.
    """
    points, values = _sampled(degree)
    turned = _harmonics(points @ rotation, degree)  # rows times R are R⁻¹ times columns
    found = np.linalg.lstsq(values, turned, rcond=None)[0]
    orders = _ORDERS.get(degree, (0,))
    signs = np.array([-1.0 if order in _NEGATIVE.get(code, ()) else 1.0 for order in orders])
    return np.asarray(signs[:, None] * found * signs[None, :])


@lru_cache
def _sampled(degree: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return directions enough to tell harmonics apart, and their values there."""
    points = np.random.default_rng(0).normal(size=(60, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return points, _harmonics(points, degree)


def _harmonics(points: NDArray[np.float64], degree: int) -> NDArray[np.float64]:
    """Return real harmonics but for a factor they share, shape (point, orbital), in the order of `ORBITALS`."""
    x, y, z = points.T
    columns: dict[int, list[NDArray[np.float64]]] = {
        0: [np.ones_like(x)],
        1: [z, x, y],
        2: [
            (2 * z**2 - x**2 - y**2) / 2,
            np.sqrt(3) * x * z,
            np.sqrt(3) * y * z,
            np.sqrt(3) / 2 * (x**2 - y**2),
            np.sqrt(3) * x * y,
        ],
        3: [
            z * (2 * z**2 - 3 * x**2 - 3 * y**2) / 2,
            np.sqrt(6) / 4 * x * (4 * z**2 - x**2 - y**2),
            np.sqrt(6) / 4 * y * (4 * z**2 - x**2 - y**2),
            np.sqrt(15) / 2 * z * (x**2 - y**2),
            np.sqrt(15) * x * y * z,
            np.sqrt(10) / 4 * x * (x**2 - 3 * y**2),
            np.sqrt(10) / 4 * y * (3 * x**2 - y**2),
        ],
    }
    return np.stack(columns[degree], axis=1)
