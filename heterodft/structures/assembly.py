"""Putting runs of planes above one another: from chosen planes, gaps and shifts to a labelled structure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.core import Lattice, Structure

from heterodft.errors import StructureError
from heterodft.structures.checks import turns_over
from heterodft.structures.fitting import translations
from heterodft.structures.ions import anion, formal_charges
from heterodft.structures.registries import Facing, Joint, same_place
from heterodft.structures.stacking import plane_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from heterodft.structures.stacking import Run

__all__ = ["Assembly"]

_ALTERNATING = np.array([[0, 0, 1], [1, 1, 0], [1, 1, 1]])
"""Steps in the conventional cell that patterns of type A, C and G alternate with."""
_SAME_SHIFT = 1e-4
_WIDEST_OPENING = 0.5
"""Å."""


@dataclass(frozen=True)
class _Meeting:
    """An interface: the blocks that meet there, and whether the planes go on as in one crystal."""

    facing: Facing
    goes_on: bool

    def joint(self, gap: float | None, shift: tuple[float, float] | None) -> Joint:
        """Return how the upper block sits, with what is given or automatically."""
        if shift is None and not self.goes_on:
            return self.facing.best(gap)
        lateral = np.zeros(2) if shift is None else np.asarray(shift, dtype=float)
        if gap is None:
            gap = self.facing.own_gap if self.goes_on and not lateral.any() else self.facing.widened(lateral)
        return Joint(lateral, gap)


@dataclass(frozen=True)
class Assembly:
    """Everything that decides a structure.

    Attributes
    ----------
    runs
        Blocks, bottom to top.
    supercell
        In-plane multiples of the common cell.
    vacuum
        Å; 0 for a superlattice.
    gaps, shifts
        One an interface, None where automatic.
    asked
        Thickness asked for in Å, one a block, None where a number of layers was given.
    """

    runs: tuple[Run, ...]
    supercell: tuple[tuple[int, int], tuple[int, int]]
    vacuum: float
    gaps: tuple[float | None, ...]
    shifts: tuple[tuple[float, float] | None, ...]
    asked: tuple[float | None, ...]

    def charges(self) -> dict[str, dict[str, float]]:
        """Return the formal charges of each material."""
        return {run.name: formal_charges(run.fitted.cell.material.cell.formula) for run in self.runs}

    @cached_property
    def _meetings(self) -> tuple[_Meeting, ...]:
        """Interfaces from the bottom up; of a superlattice the last one is with the next period."""
        return tuple(self._meet(index) for index in range(len(self.gaps)))

    def _meet(self, index: int) -> _Meeting:
        below = self.runs[index]
        above = self.runs[(index + 1) % len(self.runs)]
        lattice_goes_on = above.fitted.continues(below.fitted)
        offset = np.zeros(2)
        if lattice_goes_on:
            above = above.moved(below.end)
            offset = above.start // len(above.fitted.cell.planes) * (_step(below) - _step(above))
        own_gap = (below.spacing_above(below.end - 1) + above.spacing_above(above.start - 1)) / 2
        if lattice_goes_on:
            own_gap = _shared_spacing(below, above) or own_gap
        facing = Facing(below, above, offset, own_gap)
        return _Meeting(facing, lattice_goes_on and above.start == below.end)

    @cached_property
    def _joints(self) -> tuple[Joint, ...]:
        """As given, automatic elsewhere."""
        given = zip(self._meetings, self.gaps, self.shifts, strict=True)
        return tuple(meeting.joint(gap, shift) for meeting, gap, shift in given)

    def registries(self) -> list[tuple[Joint, ...]]:
        """Return every combination of registries, the automatic one first.

        Left out are those that need a gap more than 0.5 Å wider than the automatic one.
        """
        choices = []
        for meeting, first, gap in zip(self._meetings, self._joints, self.gaps, strict=True):
            others = [
                joint
                for joint in meeting.facing.joints(gap)
                if joint.gap < first.gap + _WIDEST_OPENING and not same_place(joint.shift, first.shift, _SAME_SHIFT)
            ]
            choices.append([first, *others])
        return list(product(*choices))

    def build(self, joints: Sequence[Joint] | None = None) -> Structure:
        """Build the structure, in a registry of `registries` or the automatic one."""
        joints = self._joints if joints is None else joints
        origin, height, plane = np.zeros(2), 0.0, 0
        parts: list[dict[str, Any]] = []
        for index, run in enumerate(self.runs):
            parts.append(self._block(index, run, origin, height, plane))
            plane += run.count
            height += run.place(run.end - 1).height
            if index < len(joints):
                origin = origin + self._meetings[index].facing.offset + joints[index].shift
                height += joints[index].gap
        lean = self._lean(origin) if len(joints) == len(self.runs) else np.zeros(2)
        return self._structure(parts, height, lean, {
            "blocks": [_describe_block(*block) for block in zip(self.runs, self.asked, strict=True)],
            "interfaces": [_describe_joint(*pair) for pair in zip(self._meetings, joints, strict=True)],
            "lattices": {run.name: self._lattice(run, lean) for run in self.runs},
        })  # fmt: skip

    def build_symmetric(self) -> Structure:
        """Build a slab that is the same upside down: below the middle, the registry that mirrors the one above.

        Raises
        ------
        StructureError
            If there is none.
        """
        upper = len(self.gaps) // 2
        for joints in self.registries():
            if all(a is b for a, b in zip(joints[upper:], self._joints[upper:], strict=True)):
                structure = self.build(joints)
                if turns_over(structure):
                    return structure
        raise StructureError(
            f"{' / '.join(run.name for run in self.runs)}: no registry makes both sides of the slab alike; leave "
            "symmetric out"
        )

    def _lean(self, origin: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how far the period leans, in common in-plane vectors, folded to the nearest image.

        In a supercell every lattice vector closes the same crystal. Where one lattice goes on throughout, that one is
        taken across which the most patterns that alternate close; of these the one that leans least.
        """
        lean = np.asarray(origin + self._repeats * _step(self.runs[0]))
        lean = lean - np.round(lean - 1e-9)
        wider = translations(self.supercell)
        if len(wider) == 1 or not self._one_crystal:
            return lean
        onto = np.linalg.inv(np.array(self.supercell))
        inside = (lean + wider) @ onto
        choices = (inside - np.round(inside - 1e-9)) @ np.array(self.supercell)
        periods = np.array([self._period(self.runs[0], choice) for choice in choices])
        steps = periods @ _ALTERNATING.T
        uneven = np.abs(steps - 2 * np.round(steps / 2)).sum(axis=1).round(4)
        length = np.linalg.norm(choices @ self.runs[0].fitted.common, axis=1).round(4)
        return np.asarray(choices[np.lexsort((length, uneven))[0]])

    @property
    def _one_lattice(self) -> bool:
        """Whether the lattice of every block goes on in the next, across the period too."""
        first = self.runs[0].fitted
        return len(self.gaps) == len(self.runs) and all(run.fitted.continues(first) for run in self.runs)

    @property
    def _one_crystal(self) -> bool:
        """Whether the planes go on as well, without a fault."""
        return self._one_lattice and all(meeting.goes_on for meeting in self._meetings)

    def _period(self, run: Run, lean: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the period in fractions of the conventional cell of a material; straight up across a fault."""
        cell = run.fitted.cell
        origin, in_plane = _bulk_vectors(run)
        rise = sum(other.count for other in self.runs) / len(cell.planes) * cell.thickness
        shift, beside = np.zeros((1, 2)), np.zeros(2)
        if self._one_crystal:
            shift, beside = self._repeats * cell.shift[None], lean - self._repeats * _step(run)
        climb = cell.bulk_positions(shift, np.array([rise])) - origin
        return np.asarray(climb[0] + beside @ in_plane)

    @property
    def _repeats(self) -> int:
        """Repeats of the first material that the period climbs, when its lattice goes on throughout."""
        upper, first = self._meetings[-1].facing.above, self.runs[0]
        return (upper.start - first.start) // len(first.fitted.cell.planes)

    def _block(self, index: int, run: Run, origin: NDArray[np.float64], height: float, plane: int) -> dict[str, Any]:
        """Return the sites of a block as columns."""
        cell, repeats = run.fitted.cell, run.fitted.repeats
        wider = translations(self.supercell)
        onto_common, onto_supercell = np.linalg.inv(repeats), np.linalg.inv(np.array(self.supercell))
        spots, heights, unstrained, elements, planes, layers = [], [], [], [], [], []
        for number in range(run.start, run.end):
            placed = run.place(number)
            own = run.fitted.spread(placed.plane, placed.repeat)
            copies = len(own) // len(placed.plane.atoms) * len(wider)
            spots.append((own[:, None, :] + (wider @ repeats)[None]).reshape(-1, 2))
            offsets = np.repeat(placed.plane.offsets, copies)
            heights.append(height + placed.height + offsets * run.fitted.stretch)
            unstrained.append(placed.repeat * cell.thickness + placed.plane.height + offsets)
            elements += [atom[0] for atom in placed.plane.atoms for _ in range(copies)]
            planes += [plane + number - run.start] * len(offsets)
            layers += [run.layer(number)] * len(offsets)
        lateral = np.concatenate(spots)
        return {
            "element": elements,
            "lateral": np.mod(np.round((lateral @ onto_common + origin) @ onto_supercell, 9), 1.0),
            "height": np.concatenate(heights),
            "material": [run.name] * len(elements),
            "block": [index + 1] * len(elements),
            "layer": layers,
            "plane": planes,
            "bulk_position": cell.bulk_positions(lateral, np.concatenate(unstrained)).tolist(),
        }

    def _structure(
        self, parts: list[dict[str, Any]], height: float, lean: NDArray[np.float64], about: dict[str, Any]
    ) -> Structure:
        common = self.runs[0].fitted.common
        in_plane = np.array(self.supercell) @ common
        period = np.array([*(lean @ common), height + self.vacuum])
        heights = np.concatenate([part["height"] for part in parts]) + self.vacuum / 2
        lateral = np.concatenate([part["lateral"] for part in parts]) @ in_plane
        labels = ("material", "block", "layer", "plane", "bulk_position")
        structure = Structure(
            Lattice(np.array([[*in_plane[0], 0.0], [*in_plane[1], 0.0], period])),
            [element for part in parts for element in part["element"]],
            np.column_stack([lateral, heights]),
            coords_are_cartesian=True,
            site_properties={key: [value for part in parts for value in part[key]] for key in labels},
        )
        structure.properties = {
            "strain": {run.name: round(50 * sum(run.fitted.strains), 6) for run in self.runs},
            **about,
            "supercell": [list(row) for row in self.supercell],
            "vacuum": float(self.vacuum),
        }
        return structure

    def _lattice(self, run: Run, lean: NDArray[np.float64]) -> dict[str, Any]:
        """Return how the conventional cell of a material lies in the structure.

        ``formula``, ``prototype``, ``anion``: of the material; ``axes``: directions of its edges, unit vectors as
        rows; ``in_plane``: the common in-plane vectors, before the supercell, in fractions of its edges;
        ``period``: that of the whole stack, where its lattice goes on throughout (straight up across a fault).
        """
        cell = run.fitted.cell
        _, in_plane = _bulk_vectors(run)
        period = np.round(self._period(run, lean), 6).tolist() if self._one_lattice else None
        return {
            "formula": cell.material.cell.composition.reduced_formula,
            "prototype": cell.material.prototype,
            "anion": anion(cell.material.cell.formula),
            "axes": np.round(run.fitted.axes, 9).tolist(),
            "in_plane": np.round(in_plane, 6).tolist(),
            "period": period,
        }


def _bulk_vectors(run: Run) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the foot and the common in-plane vectors of a block in fractions of its conventional cell."""
    cell = run.fitted.cell
    origin = cell.bulk_positions(np.zeros((1, 2)), np.zeros(1))
    return origin, cell.bulk_positions(run.fitted.repeats.astype(float), np.zeros(2)) - origin


def _step(run: Run) -> NDArray[np.float64]:
    """Return how far a repeat lies beside the one below, fractional in the common cell."""
    return np.asarray(run.fitted.cell.shift @ np.linalg.inv(run.fitted.repeats))


def _describe_block(run: Run, asked: float | None) -> dict[str, Any]:
    cell, fitted = run.fitted.cell, run.fitted
    return {
        "material": run.name,
        "normal": list(cell.normal),
        "layers": round(run.count * cell.layers / len(cell.planes), 6),
        "planes": run.count,
        "planes_per_repeat": len(cell.planes),
        "layers_per_repeat": cell.layers,
        "asked_thickness": asked,
        "layer_thickness": round(fitted.layer_thickness, 6),
        "bulk_layer_thickness": round(cell.layer_thickness, 6),
        "strains": [round(100 * strain, 6) for strain in fitted.strains],
        "rotation": round(fitted.rotation, 4),
        "multiples": fitted.repeats.tolist(),
    }


def _shared_spacing(below: Run, above: Run) -> float | None:
    """Return the spacing of facing planes in the one material that has such a pair; None where none or both have it.

    In LaMnO3/SrMnO3 MnO2 faces SrO as in SrMnO3, and LaO as in LaMnO3.
    """
    as_below = below.formula(below.end) == above.formula(above.start)
    as_above = above.formula(above.start - 1) == below.formula(below.end - 1)
    if as_below == as_above:
        return None
    return below.spacing_above(below.end - 1) if as_below else above.spacing_above(above.start - 1)


def _describe_joint(meeting: _Meeting, joint: Joint) -> dict[str, Any]:
    below, above = meeting.facing.below, meeting.facing.above
    faces = (below.place(below.end - 1).plane, above.place(above.start).plane)
    return {
        "below": below.name,
        "above": above.name,
        "planes": "/".join(map(plane_name, faces)),
        "gap": round(joint.gap, 6),
        "shift": (np.mod(np.round(joint.shift, 6), 1.0) + 0.0).tolist(),
        "joint": _kind(meeting, joint),
    }


def _kind(meeting: _Meeting, joint: Joint) -> str:
    """Return ``continued``, ``shifted``, ``fault`` (one lattice, but its planes do not go on) or ``registry``."""
    if meeting.goes_on:
        return "continued" if same_place(joint.shift, np.zeros(2), _SAME_SHIFT) else "shifted"
    return "fault" if meeting.facing.above.fitted.continues(meeting.facing.below.fitted) else "registry"
