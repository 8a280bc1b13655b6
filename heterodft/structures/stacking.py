"""Which planes each block of a stack has, and where they lie above one another.

A block is a run of planes out of the endless crystal of its material. Its lateral position follows from the block
below: the same lattice goes on; another lattice takes one of the registries that symmetry singles out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from pymatgen.core import Composition

from heterodft.errors import StructureError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heterodft.structures.fitting import FittedCell
    from heterodft.structures.planes import Plane

__all__ = ["PlacedPlane", "Run", "choose_run", "count_on", "mirror_stack", "plane_name", "split_termination"]

_PAIR_SPACING = 0.6
"""Å; planes of one element that are closer are a buckled pair, such as the Cr2 of corundum (0001)."""


@dataclass(frozen=True)
class PlacedPlane:
    """A plane of a run.

    Attributes
    ----------
    plane
        Of the surface cell.
    repeat
        Which repeat of the endless crystal it is in.
    height
        Å above the first plane of the run, strained.
    """

    plane: Plane
    repeat: int
    height: float


@dataclass(frozen=True)
class Run:
    """Consecutive planes of one material.

    Attributes
    ----------
    fitted
        The material on the common in-plane lattice.
    start
        Number of the first plane in the endless crystal; 0 is the lowest plane of a repeat.
    count
        Number of planes.
    """

    fitted: FittedCell
    start: int
    count: int

    @property
    def end(self) -> int:
        """Number of the plane that would follow."""
        return self.start + self.count

    @property
    def name(self) -> str:
        """Name of the material."""
        return self.fitted.cell.material.name

    def place(self, number: int) -> PlacedPlane:
        """Return the plane of a number in the endless crystal."""
        return PlacedPlane(*self._plane(number), self._height(number) - self._height(self.start))

    def spacing_above(self, number: int) -> float:
        """Å from a plane to the next one of the strained bulk."""
        return self._height(number + 1) - self._height(number)

    def formula(self, number: int) -> str:
        """Formula of a plane of the endless crystal."""
        return plane_name(self._plane(number)[0])

    def layer(self, number: int) -> int:
        """Return which layer, from 1, a plane belongs to."""
        cell = self.fitted.cell
        return (number - self.start) * cell.layers // len(cell.planes) + 1

    def _plane(self, number: int) -> tuple[Plane, int]:
        repeat, inside = divmod(number, len(self.fitted.cell.planes))
        return self.fitted.cell.planes[inside], repeat

    def _height(self, number: int) -> float:
        plane, repeat = self._plane(number)
        return (repeat * self.fitted.cell.thickness + plane.height) * self.fitted.stretch

    def moved(self, start: int) -> Run:
        """Return the same planes a whole number of repeats further up, not below `start`."""
        period = len(self.fitted.cell.planes)
        return replace(self, start=self.start + period * -(-(start - self.start) // period))


@lru_cache(maxsize=4096)
def plane_name(plane: Plane) -> str:
    """Return the formula of a plane, cations first: ``TiO2``; of one element, in the primitive in-plane cell: ``O3``.

    Examples
    --------
    >>> from heterodft.structures.planes import Plane
    >>> plane_name(Plane(0.0, (("O", 0, 0), ("Ti", 0.5, 0.5), ("O", 0, 0.5)), (0.0, 0.0, 0.0)))
    'TiO2'
    """
    composition = Composition("".join(plane.elements))
    if len(composition) > 1:
        composition = composition.reduced_composition
    return "".join(
        f"{element.symbol}{int(amount) if amount > 1 else ''}"
        for element, amount in sorted(composition.items(), key=lambda pair: pair[0].X)
    )


def choose_run(
    fitted: FittedCell, layers: int, *, bottom: str | None = None, top: str | None = None, after: int | None = None
) -> Run:
    """Choose the planes of a block.

    Parameters
    ----------
    fitted
        Its material.
    layers
        Whole layers; the fewest planes are added on top that reach the plane asked for there.
    bottom, top
        Formula of the lowest and the highest plane; without, whole layers, as they go on from below.
    after
        Number of the plane that goes on from the block below, when the same lattice does.

    Raises
    ------
    StructureError
        If the material has no such plane.
    """
    planes = fitted.cell.planes
    whole = layers * len(planes) // fitted.cell.layers
    ends = None if top is None else _find_planes(fitted, top, upper=True)
    if bottom is not None:
        starts = _find_planes(fitted, bottom, upper=False)
    elif ends is not None and after is None:
        starts = [(end - whole + 1) % len(planes) for end in ends]
    else:
        starts = [0 if after is None else after % len(planes)]
    first = min(starts, key=lambda start: (start - (after or 0)) % len(planes))
    extra = 0
    while ends is not None and not _ends_in(first + whole + extra - 1, ends, len(planes)):
        extra += 1
    return Run(fitted, first, whole + extra).moved(after or 0)


def _ends_in(number: int, ends: list[int], period: int) -> bool:
    return number % period in ends


def _find_planes(fitted: FittedCell, name: str, *, upper: bool) -> list[int]:
    """Return the planes of a repeat with a formula.

    A buckled pair is kept whole (``Cr2``, or its reduced formula) unless the formula is that of one of its planes
    alone (``Cr``); `upper` says at which of its two ends the crystal stops.
    """
    planes = fitted.cell.planes
    try:
        asked = Composition(name)
    except ValueError:
        asked = Composition()
    found = [i for i, p in enumerate(planes) if Composition("".join(p.elements)).reduced_formula
             == asked.reduced_formula]  # fmt: skip
    if not asked or not found:
        known = ", ".join(dict.fromkeys(plane_name(plane) for plane in planes))
        raise StructureError(f"termination '{name}': the planes of {fitted.cell.name} are {known}")
    torn = [i for i in found if _pair_goes_on(fitted, i, upper=upper)]
    alone = [i for i in torn if Composition("".join(planes[i].elements)) == asked]
    return alone or [i for i in found if i not in torn]


def _pair_goes_on(fitted: FittedCell, index: int, *, upper: bool) -> bool:
    """Whether a buckled pair would be torn apart by ending the crystal at a plane."""
    run = Run(fitted, 0, len(fitted.cell.planes))
    other = index + 1 if upper else index - 1
    spacing = run.spacing_above(min(index, other)) / fitted.stretch
    same = fitted.cell.planes[index].elements == fitted.cell.planes[other % run.count].elements
    return same and spacing < _PAIR_SPACING


def split_termination(text: str | None, below: FittedCell, above: FittedCell) -> tuple[str | None, str | None]:
    """Return the top plane of the block below and the bottom plane of the one above of ``TiO2/LaO``.

    A single formula is the plane of the block below if that has one, else of the block above.
    """
    if text is None:
        return None, None
    if "/" in text:
        first, second = (part.strip() for part in text.split("/", 1))
        return first, second
    try:
        _find_planes(below, text, upper=True)
    except StructureError:
        _find_planes(above, text, upper=False)
        return None, text
    return text, None


def mirror_stack(runs: Sequence[Run], variant: int = 0) -> list[Run]:
    """Return a stack that is the same upside down: the first run in the middle, the others on both of its sides.

    Where layers differ by a glide there are several ways; `variant` chooses one.

    Raises
    ------
    StructureError
        If the planes of a material have another order from above than from below.
    """
    centre = _symmetric_run(runs[0])
    upside_down = [_mirrored(run, variant) for run in reversed(runs[1:])]
    return count_on([*upside_down, centre, *runs[1:]])


def count_on(runs: Sequence[Run]) -> list[Run]:
    """Count the planes of each block on from those of the block below, where its lattice goes on."""
    counted = list(runs[:1])
    for run in runs[1:]:
        counted.append(run.moved(counted[-1].end) if run.fitted.continues(counted[-1].fitted) else run)
    return counted


def _mirror_sums(fitted: FittedCell) -> list[int]:
    """Return each c for which plane c - i is plane i seen from above."""
    run = Run(fitted, 0, len(fitted.cell.planes))
    period = run.count
    planes = fitted.cell.planes

    def mirrors(c: int) -> bool:
        return all(
            planes[i].elements == planes[(c - i) % period].elements
            and abs(run.spacing_above(i) - run.spacing_above((c - i - 1) % period)) < 1e-3
            for i in range(period)
        )

    sums = [c for c in range(period) if mirrors(c)]
    if not sums:
        raise StructureError(
            f"{fitted.cell.name} has another order of planes from above than from below, so that no slab of it is "
            "symmetric; leave symmetric out"
        )
    return sums


def _mirrored(run: Run, variant: int) -> Run:
    period = len(run.fitted.cell.planes)
    sums = _mirror_sums(run.fitted)
    return replace(run, start=(sums[variant % len(sums)] - run.end + 1) % period)


def _symmetric_run(run: Run) -> Run:
    """Add the fewest planes at the bottom of a run that make both its ends alike."""
    period = len(run.fitted.cell.planes)
    sums = _mirror_sums(run.fitted)
    for extra in range(period):
        start = run.start - extra
        if any((c - run.end + 1 - start) % period == 0 for c in sums):
            return Run(run.fitted, start, run.count + extra)
    raise StructureError(f"{run.fitted.cell.name}: no number of planes ends alike on both sides")
