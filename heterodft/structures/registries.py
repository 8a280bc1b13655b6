"""Lateral positions of one block on another that symmetry singles out.

Two blocks share rotation axes only at certain shifts; there the lateral force on a block vanishes by symmetry, so
that the energy is stationary. These shifts are the registries.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import spglib

from heterodft.structures.ions import formal_charges, ionic_radius
from heterodft.structures.stacking import Run

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Structure

__all__ = ["Facing", "Joint", "distances_by_pair", "same_crystal", "same_place", "symmetric_shifts"]

_VACUUM = 30.0
"""Å; it only keeps the images of a slab apart."""
_EASE = 0.95
_SCREENING = 2.0
"""Å; opposite ions in contact decide, not the far planes."""
_GRID = 6
"""Shifts tried along each vector where no axis is shared."""
_REACH = 7.937
"""Å; no distance of a crystal is likely to be just this long."""


_Slab = tuple[list[str], "NDArray[np.float64]", "NDArray[np.float64]"]


def _slab(run: Run, numbers: range) -> _Slab:
    """Return elements, lateral positions (fractional in the common cell, registry left out) and heights in Å."""
    elements: list[str] = []
    lateral: list[NDArray[np.float64]] = []
    heights: list[float] = []
    for number in numbers:
        placed = run.place(number)
        spots = run.fitted.spread(placed.plane, placed.repeat)
        copies = len(spots) // len(placed.plane.atoms)
        elements += [atom[0] for atom in placed.plane.atoms for _ in range(copies)]
        heights += [placed.height + o * run.fitted.stretch for o in placed.plane.offsets for _ in range(copies)]
        lateral.append(spots @ np.linalg.inv(run.fitted.repeats))
    return elements, np.concatenate(lateral), np.array(heights)


def _top(run: Run) -> range:
    return range(run.end - len(run.fitted.cell.planes), run.end)


def _bottom(run: Run) -> range:
    return range(run.start, run.start + len(run.fitted.cell.planes))


_Operation = tuple[tuple[int, ...], "NDArray[np.float64]"]


def _lateral_operations(run: Run, numbers: range) -> list[_Operation]:
    """Return the operations of a slab that keep every height: 2×2 rotations (flattened) and fractional shifts."""
    elements, lateral, heights = _slab(run, numbers)
    names = {element: number for number, element in enumerate(sorted(set(elements)), start=1)}
    edges = np.zeros((3, 3))
    edges[:2, :2] = run.fitted.common
    edges[2, 2] = float(np.ptp(heights)) + _VACUUM
    positions = np.column_stack([lateral, heights / edges[2, 2]])
    found = spglib.get_symmetry_dataset((edges.tolist(), positions.tolist(), [names[e] for e in elements]), 1e-3)
    if found is None:
        return [((1, 0, 0, 1), np.zeros(2))]
    return [
        (tuple(np.asarray(rotation[:2, :2]).ravel().tolist()), np.asarray(shift[:2]))
        for rotation, shift in zip(found.rotations, found.translations, strict=True)
        if rotation[2, 2] == 1
    ]


def symmetric_shifts(below: Run, above: Run) -> list[NDArray[np.float64]]:
    """Return the shifts of the upper block at which it shares rotation axes with the lower one.

    With x → R x + s an operation of the lower and x → R x + s' of the upper block, the shifts solve
    (1 - R) t = s - s' + l for a vector l of the common lattice.

    Returns
    -------
    list of arrays of shape (2,)
        Fractional in the common cell; shifts that a lattice translation of either block undoes are left out.
    """
    lower, upper = _lateral_operations(below, _top(below)), _lateral_operations(above, _bottom(above))
    unit = (1, 0, 0, 1)
    pure = [a + b for ra, a in lower if ra == unit for rb, b in upper if rb == unit]
    kept: list[NDArray[np.float64]] = []
    for (rotation, a), (other, b) in product(lower, upper):
        matrix = np.array(rotation).reshape(2, 2)
        if rotation != other or rotation == unit or round(float(np.linalg.det(matrix))) != 1:
            continue
        for whole in product((0, 1, 2), repeat=2):
            shift = np.linalg.solve(np.eye(2) - matrix, a - b + np.array(whole))
            if not any(same_place(shift, known + translation, 1e-3) for known in kept for translation in pure):
                kept.append(np.mod(np.round(shift, 6), 1.0))
    return sorted(kept, key=lambda shift: np.round(shift, 4).tolist())


def same_place(a: NDArray[np.float64], b: NDArray[np.float64], tolerance: float) -> bool:
    """Return whether two fractional positions differ by a lattice vector."""
    apart = a - b
    return bool((np.abs(apart - np.round(apart)) < tolerance).all())


@dataclass(frozen=True)
class Joint:
    """How a block sits on the one below.

    Attributes
    ----------
    shift
        Shape (2,): lateral, fractional in the common cell, beyond where the block would be by itself.
    gap
        Å between the facing planes.
    """

    shift: NDArray[np.float64]
    gap: float


@dataclass(frozen=True)
class Facing:
    """The facing repeats of two blocks, for choosing a joint.

    Attributes
    ----------
    below, above
        The blocks.
    offset
        Shape (2,): where the upper block would be by itself, fractional in the common cell.
    own_gap
        Å: mean of the two materials' own spacings there.
    """

    below: Run
    above: Run
    offset: NDArray[np.float64]
    own_gap: float

    def best(self, gap: float | None) -> Joint:
        """Return the registry of the lowest screened Coulomb energy of the formal charges.

        Its gap is the one given, or the materials' own, widened until no two ions are closer, in relation to their
        radii, than in the bulk of the two materials, less 5 %.
        """
        joints = self.joints(gap)
        if not joints:
            points = [np.array(point) / _GRID for point in product(range(_GRID), repeat=2)]
            joints = [self._joint(point, gap) for point in points]
        energies = [round(self._energy(joint), 4) for joint in joints]
        return joints[int(np.argmin(energies))]

    def joints(self, gap: float | None) -> list[Joint]:
        """Return the registries that symmetry singles out, each with its gap."""
        return [self._joint(shift - self.offset, gap) for shift in symmetric_shifts(self.below, self.above)]

    def widened(self, shift: NDArray[np.float64]) -> float:
        """Return the gap in Å, at least the materials' own, that leaves ions the room they have in the bulk."""
        across, climb, radii, _ = self._pairs(shift)
        needed = np.sqrt(np.maximum((self._room * radii) ** 2 - across**2, 0.0)) - climb
        return max(self.own_gap, float(needed.max()))

    def _joint(self, shift: NDArray[np.float64], gap: float | None) -> Joint:
        return Joint(shift, self.widened(shift) if gap is None else gap)

    def _energy(self, joint: Joint) -> float:
        """Return the sum of q q' exp(-r/λ)/r over pairs across the interface; less room counts without charges."""
        across, climb, radii, charges = self._pairs(joint.shift)
        distances = np.sqrt(across**2 + (climb + joint.gap) ** 2)
        if not charges.any():
            return -float((distances / radii).min())
        return float((charges * np.exp(-distances / _SCREENING) / distances).sum())

    def _pairs(self, shift: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
        """Return for all pairs across: lateral distance, height difference without the gap, radii, charge product."""
        (_, a, za), (_, b, zb) = self._slabs
        apart = b[None, :, :] + self.offset + shift - a[:, None, :]
        apart -= np.round(apart)
        images = np.array(list(product((-1, 0, 1), repeat=2)))
        across = np.linalg.norm((apart[:, :, None, :] + images) @ self.below.fitted.common, axis=-1)
        climb = (zb - zb.min())[None, :] + (za.max() - za)[:, None]
        radii, charges = self._ions
        return across, climb[:, :, None], radii[:, :, None], charges[:, :, None]

    @cached_property
    def _slabs(self) -> tuple[_Slab, _Slab]:
        return _slab(self.below, _top(self.below)), _slab(self.above, _bottom(self.above))

    @cached_property
    def _room(self) -> float:
        """Shortest distance allowed, in sums of ionic radii."""
        return _EASE * min(_bulk_room(run) for run in (self.below, self.above))

    @cached_property
    def _ions(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Sums of radii (Å) and products of charges of all pairs."""
        (lower, *_), (upper, *_) = self._slabs
        below, above = _ions(self.below, lower), _ions(self.above, upper)
        return below[1][:, None] + above[1][None, :], below[0][:, None] * above[0][None, :]


def _ions(run: Run, elements: list[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return formal charges and radii (Å)."""
    known = formal_charges(run.fitted.cell.material.cell.formula)
    charges = [known.get(element, 0.0) for element in elements]
    radii = [ionic_radius(element, charge) for element, charge in zip(elements, charges, strict=True)]
    return np.array(charges), np.array(radii)


def _bulk_room(run: Run) -> float:
    """Return the shortest distance of the strained bulk in sums of ionic radii, between neighbouring repeats."""
    upper = Run(run.fitted, run.end, len(run.fitted.cell.planes))
    same = Facing(run, upper, np.zeros(2), run.spacing_above(run.end - 1))
    across, climb, radii, _ = same._pairs(np.zeros(2))
    return float((np.sqrt(across**2 + (climb + same.own_gap) ** 2) / radii).min())


def distances_by_pair(structure: Structure) -> dict[tuple[str, str], NDArray[np.float64]]:
    """Return the distances of each pair of elements within 8 Å, sorted."""
    first, second, _, distances = structure.get_neighbor_list(_REACH)
    names, numbers = np.unique([site.species_string for site in structure], return_inverse=True)
    low, high = np.minimum(numbers[first], numbers[second]), np.maximum(numbers[first], numbers[second])
    return {
        (str(names[i]), str(names[j])): np.sort(distances[(low == i) & (high == j)])
        for i in range(len(names))
        for j in range(i, len(names))
    }


def same_crystal(
    a: dict[tuple[str, str], NDArray[np.float64]], b: dict[tuple[str, str], NDArray[np.float64]]
) -> bool:
    """Return whether two stacks of the same blocks are the same: all distances within 8 Å agree to 0.01 Å."""
    return a.keys() == b.keys() and all(
        len(a[pair]) == len(b[pair]) and bool(np.allclose(a[pair], b[pair], rtol=0, atol=0.01)) for pair in a
    )
