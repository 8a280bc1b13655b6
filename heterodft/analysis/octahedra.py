"""Octahedra of anions around cations: their centres, axes, angles and bonds, in any periodic cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.layers.plane_search import anions_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Structure

__all__ = ["Octahedron", "find_octahedra"]

_SHELL = 1.5
"""Corners are no farther from the centre than this multiple of the nearest one: 1.36 in tetragonal PbTiO3."""
_REACH = 5.0
"""Å."""
_OPPOSITE, _ACROSS = 145.0, 135.0
"""Degrees: least angle of opposite corners at the centre, and of two centres at the corner they share."""
_FEWEST, _CORNERS = 4, 6


@dataclass(frozen=True)
class Octahedron:
    """A cation and the anions around it.

    Attributes
    ----------
    centre
        Index of the cation.
    corners
        Indices of the anions; of an incomplete octahedron 4 or 5.
    vectors
        Å, shape (corner, 3): from the centre to the corners.
    across
        Å, shape (corner, 3): from each corner to the centre of the next octahedron; not-a-number where there is none.
    turns
        Shape (3,): the rotation as a Cartesian vector whose components along the cubic axes are the tangents of the
        angles about them; not-a-number where the octahedra around do not tell the axes.
    """

    centre: int
    corners: tuple[int, ...]
    vectors: NDArray[np.float64]
    across: NDArray[np.float64]
    turns: NDArray[np.float64]

    @property
    def complete(self) -> bool:
        """Whether it has six corners."""
        return len(self.corners) == _CORNERS

    @property
    def displacement(self) -> NDArray[np.float64]:
        """Å, shape (3,): of the cation from the centre of the corners; not-a-number when one is missing."""
        return -self.vectors.mean(axis=0) if self.complete else np.full(3, np.nan)

    @property
    def bond_lengths(self) -> NDArray[np.float64]:
        """Å, shape (corner,)."""
        return np.asarray(np.linalg.norm(self.vectors, axis=1))

    @property
    def bond_angles(self) -> NDArray[np.float64]:
        """Degrees at each corner between the two centres, shape (corner,)."""
        with np.errstate(invalid="ignore"):
            return _angles(-self.vectors, self.across)

    def tilt(self, normal: NDArray[np.float64]) -> float:
        """Return the angle in degrees by which it is turned about axes in the plane.

        Where an axis of the untilted octahedron is along the normal, this is the angle between the two.
        """
        beside = self.turns - (self.turns @ normal) * normal
        return float(np.degrees(np.arctan(np.linalg.norm(beside))))

    def rotation(self, normal: NDArray[np.float64]) -> float:
        """Return the angle in degrees by which it is turned about the normal, anticlockwise seen from above."""
        return float(np.degrees(np.arctan(self.turns @ normal)))


def find_octahedra(structure: Structure) -> list[Octahedron]:
    """Find the cations with six anions around them, or four or five where anions are missing.

    Corners are the anions within 1.5 times the shortest bond; at least one pair of them lies opposite, the others at
    right angles.
    """
    anions = anions_of(structure)
    is_anion = np.isin([site.specie.symbol for site in structure], sorted(anions))
    if not is_anion.any() or is_anion.all():
        return []
    first, second, images, distances = structure.get_neighbor_list(_REACH)
    vectors = structure.cart_coords[second] + images @ structure.lattice.matrix - structure.cart_coords[first]
    around: dict[int, tuple[NDArray[np.int64], NDArray[np.float64]]] = {}
    for centre in np.flatnonzero(~is_anion).tolist():
        near = np.flatnonzero((first == centre) & is_anion[second])
        if len(near):
            near = near[distances[near] <= _SHELL * distances[near].min()]
            if _is_octahedral(vectors[near]):
                around[centre] = (second[near], vectors[near])
    ends: dict[int, list[NDArray[np.float64]]] = {}
    for corners, arms in around.values():
        for corner, arm in zip(corners.tolist(), arms, strict=True):
            ends.setdefault(corner, []).append(-arm)
    return [_octahedron(centre, corners, arms, ends) for centre, (corners, arms) in around.items()]


def _is_octahedral(vectors: NDArray[np.float64]) -> bool:
    """Whether corners lie opposite one another or at right angles."""
    if not _FEWEST <= len(vectors) <= _CORNERS:
        return False
    pairs = np.triu_indices(len(vectors), 1)
    angles = _angles(vectors[pairs[0]], vectors[pairs[1]])
    opposite = angles > _OPPOSITE
    enough = opposite.sum() >= len(vectors) - _CORNERS // 2
    return bool(enough and (np.abs(angles[~opposite] - 90) < 35).all())


def _angles(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    return np.asarray(np.degrees(np.arccos(np.clip((first * second).sum(axis=-1) / lengths, -1, 1))))


def _octahedron(
    centre: int,
    corners: NDArray[np.int64],
    arms: NDArray[np.float64],
    ends: dict[int, list[NDArray[np.float64]]],
) -> Octahedron:
    across = np.full((len(corners), 3), np.nan)
    for row, (corner, arm) in enumerate(zip(corners.tolist(), arms, strict=True)):
        others = np.array(ends[corner])
        angles = _angles(np.broadcast_to(-arm, others.shape), others)
        if angles.max() >= _ACROSS:
            across[row] = others[angles.argmax()]
    return Octahedron(centre, tuple(map(int, corners)), arms, across, _turns(arms, across))


def _turns(arms: NDArray[np.float64], across: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return by which vector the axes between opposite corners are turned from those between the centres beyond."""
    unknown = np.full(3, np.nan)
    axes, ideal = [], []
    left = list(range(len(arms)))
    while left:
        i = left.pop(0)
        angles = _angles(np.broadcast_to(arms[i], arms[left].shape), arms[left]) if left else np.zeros(1)
        if angles.max() <= _OPPOSITE:
            continue
        j = left.pop(int(angles.argmax()))
        ends = [arms[k] + across[k] for k in (i, j)]
        if np.isnan(ends[0]).any() or np.isnan(ends[1]).any():
            ends = [end if not np.isnan(end).any() else np.zeros(3) for end in ends]
        axes.append(arms[i] - arms[j])
        ideal.append(ends[0] - ends[1])
    if len(axes) < 3 or min(np.linalg.norm(ideal, axis=1)) < 1.0:
        return unknown
    frame = np.array([vector / np.linalg.norm(vector) for vector in ideal])
    turned = np.linalg.solve(frame.T, np.array(axes).T).T  # rows: axes in terms of the ideal directions
    turned /= np.diag(turned)[:, None]
    hand = np.sign(np.linalg.det(frame))
    about = [(turned[(k + 1) % 3, (k + 2) % 3] - turned[(k + 2) % 3, (k + 1) % 3]) / 2 for k in range(3)]
    return np.asarray(hand * np.array(about) @ frame)
