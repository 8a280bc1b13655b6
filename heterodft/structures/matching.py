"""Commensurate in-plane cells of two lattices.

A supercell of one lattice lies, turned and strained, on a supercell of the other: Zur & McGill, J. Appl. Phys. 55,
378 (1984), as pymatgen implements it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import lcm
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from heterodft.structures.surface_cells import SurfaceCell

__all__ = ["Match", "MatchLimits", "deform", "enumerate_matches", "plain_multiples"]

_BASES = np.array([m for m in np.array(list(product((-1, 0, 1), repeat=4))).reshape(-1, 2, 2)
                   if round(abs(np.linalg.det(m))) == 1])  # fmt: skip


@dataclass(frozen=True)
class MatchLimits:
    """What a match of two different lattices may cost, and which of the candidates is taken.

    Attributes
    ----------
    strain
        Largest principal strain, as a fraction.
    area
        Largest area of the common cell in Å².
    candidate
        Number in the list of `enumerate_matches`, from 1.
    """

    strain: float = 0.05
    area: float = 200.0
    candidate: int = 1


@dataclass(frozen=True)
class Match:
    """A film cell on a substrate cell.

    Attributes
    ----------
    film, substrate
        Shape (2, 2), integer: the common in-plane vectors as multiples of those of each, which the film is strained
        to and the substrate keeps.
    strains
        Principal in-plane strains of the film, the larger first.
    rotation
        Degrees by which the film is turned, anticlockwise.
    area
        Å².
    """

    film: tuple[tuple[int, int], tuple[int, int]]
    substrate: tuple[tuple[int, int], tuple[int, int]]
    strains: tuple[float, float]
    rotation: float
    area: float

    @property
    def strain(self) -> float:
        """Largest principal strain without its sign."""
        return max(abs(strain) for strain in self.strains)


def deform(own: NDArray[np.float64], target: NDArray[np.float64]) -> tuple[tuple[float, float], float]:
    """Return the principal strains, and the rotation in degrees, that take in-plane vectors to others."""
    u, values, v = np.linalg.svd(np.linalg.solve(own, target))
    turn = u @ v
    larger, smaller = (round(float(value) - 1, 9) + 0.0 for value in values)
    return (larger, smaller), round(float(np.degrees(np.arctan2(turn[0, 1], turn[0, 0]))), 6) + 0.0


def enumerate_matches(film: SurfaceCell, substrate: SurfaceCell, limits: MatchLimits | None = None) -> list[Match]:
    """Return the ways in which a film fits on a substrate, the smallest cell first, then the smallest strain.

    Turned films that symmetry makes the same, and supercells of a smaller match, are listed once.

    Parameters
    ----------
    film, substrate
        Materials cut along their normals; the substrate keeps its lattice.
    limits
        Of strain and area; `candidate` is not used here.

    Examples
    --------
    >>> from heterodft.structures.materials import build_material
    >>> from heterodft.structures.surface_cells import cut_surface_cell
    >>> oxide = cut_surface_cell(build_material("Cr2O3"), (0, 0, 0, 1))
    >>> nitride = cut_surface_cell(build_material("CrN"), (1, 1, 1))
    >>> best = enumerate_matches(nitride, oxide)[0]
    >>> round(100 * best.strain, 2), best.rotation, round(abs(float(np.linalg.det(best.film))))
    (2.37, 30.0, 3)
    """
    limits = limits or MatchLimits()
    order = lcm(film.rotations, substrate.rotations)
    mirrored = film.mirrored and substrate.mirrored
    return list(_matches(_key(film.in_plane), _key(substrate.in_plane), limits.strain, limits.area, order, mirrored))


_Key = tuple[tuple[float, ...], ...]


def _key(vectors: NDArray[np.float64]) -> _Key:
    return tuple(tuple(round(float(x), 9) for x in row) for row in vectors)


@lru_cache(maxsize=128)
def _matches(  # noqa: PLR0917, the cache takes positions
    film: _Key, substrate: _Key, strain: float, area: float, order: int, mirrored: bool
) -> tuple[Match, ...]:
    own, base = np.array(film), np.array(substrate)
    flat = np.zeros((2, 1))
    from pymatgen.analysis.interfaces.zsl import ZSLGenerator  # takes a second

    generator = ZSLGenerator(  # type: ignore[no-untyped-call]
        max_area_ratio_tol=(1 + strain) ** 2 - 1, max_area=area, max_length_tol=strain, max_angle_tol=2 * strain
    )
    found: dict[tuple[float, ...], Match] = {}
    for raw in generator(np.hstack([own, flat]), np.hstack([base, flat])):
        multiples = [
            np.rint(np.asarray(vectors)[:, :2] @ np.linalg.inv(cell)).astype(np.int64)
            for vectors, cell in ((raw.film_sl_vectors, own), (raw.substrate_sl_vectors, base))
        ]
        for match in _best_bases(own, base, *multiples):
            if match.strain <= strain + 1e-9:
                angle = _smallest_angle(match.rotation, order, mirrored)
                key = (*(round(strain, 5) for strain in match.strains), angle)
                found[key] = min(found.get(key, match), match, key=_preference)
    return tuple(sorted(found.values(), key=_preference))


def _best_bases(
    own: NDArray[np.float64], base: NDArray[np.float64], film: NDArray[np.int64], substrate: NDArray[np.int64]
) -> list[Match]:
    """Return the least strained correspondences of two supercells, one for each rotation."""
    if np.linalg.det(substrate @ base) < 0:
        substrate = substrate[::-1]
    if abs(round(float(np.linalg.det(substrate)))) == 1:
        film = np.rint(np.linalg.inv(substrate) @ film).astype(np.int64)
        substrate = np.eye(2, dtype=np.int64)
    if tuple(substrate[0]) < (0, 0):
        substrate, film = -substrate, -film
    target = substrate @ base
    bases = _BASES @ film
    bases = bases[np.linalg.det(bases @ own) > 0]
    stretches = np.linalg.svd(np.linalg.solve(bases @ own, target[None]), compute_uv=False)
    worst = np.round(np.abs(stretches - 1).max(axis=1), 6)
    area = round(abs(float(np.linalg.det(target))), 6)
    least = []
    for changed in bases[worst == worst.min()]:
        strains, rotation = deform(changed @ own, target)
        least.append(Match(plain_multiples(changed), plain_multiples(substrate), strains, rotation, area))
    return least


def plain_multiples(matrix: NDArray[np.int64]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return a 2×2 integer matrix as tuples."""
    (a, b), (c, d) = matrix.tolist()
    return (a, b), (c, d)


def _preference(match: Match) -> tuple[float, float, float, bool]:
    return round(match.area, 2), round(match.strain, 4), round(abs(match.rotation), 3), match.rotation < 0


def _smallest_angle(rotation: float, order: int, mirrored: bool) -> float:
    """Fold a rotation by the symmetry of both materials."""
    period = 360 / order
    angle = round(rotation % period, 2) % period
    return round(min(angle, (-angle) % period), 2) if mirrored else angle
