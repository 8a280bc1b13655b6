"""What a macroscopic average says of layers, blocks, interfaces and the vacuum beside a slab."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.grids.periodic import integrate_between, interpolate
from heterodft.analysis.grids.volume_grid import plane_normal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from heterodft.analysis.layers import Layer, Layering

__all__ = [
    "BlockAverage",
    "LayerAverage",
    "Step",
    "VacuumLevel",
    "average_blocks",
    "average_layers",
    "find_vacuum",
    "steps_between",
    "vacuum_levels",
    "window_of",
]

_VACUUM = 6.0
"""Å between atoms from which on it is a vacuum."""
_SAME = 0.01
"""Relative difference below which two layers are equally thick."""
_FIELD = 0.01
"""eV/Å in a vacuum from which on it is not flat."""
_POINTS = 41
Gap = tuple[float, float]
"""Å; where a vacuum begins and ends, the end above the beginning."""


@dataclass(frozen=True)
class LayerAverage:
    """Macroscopic average within one layer.

    Attributes
    ----------
    label
        ``SrTiO3:1``.
    height, bottom, top
        Å; the outermost layers of a slab end at its outermost atoms.
    mean
        Mean of the macroscopic average from bottom to top.
    spread
        Its largest minus its smallest value there: small on a plateau.
    slope
        Of a straight line through it there, per Å; of a potential the field on an electron.
    """

    label: str
    height: float
    bottom: float
    top: float
    mean: float
    spread: float
    slope: float


@dataclass(frozen=True)
class BlockAverage:
    """Straight line through the macroscopic average inside a block, half a window away from its ends.

    Attributes
    ----------
    label
        ``SrTiO3``, or ``SrTiO3[1]`` of several blocks.
    bottom, top
        Å; of the block. The period is added where it goes on above the cell.
    middle
        Å.
    mean
        Value of the line in the middle.
    slope
        Per Å; of a potential in eV/Å, the electric field times the elementary charge.
    spread
        Largest minus smallest deviation from the line.
    reached
        Whether the block is thick enough for points that the window does not mix with those of its neighbours.
    """

    label: str
    bottom: float
    top: float
    middle: float
    mean: float
    slope: float
    spread: float
    reached: bool

    def at(self, height: float) -> float:
        """Return the line at a height in Å."""
        return self.mean + self.slope * (height - self.middle)


@dataclass(frozen=True)
class Step:
    """Step from the block below to that above: the two lines' difference at the interface, in Å and eV."""

    below: str
    above: str
    height: float
    value: float


@dataclass(frozen=True)
class VacuumLevel:
    """Mean of the planar average in the third of the vacuum that is next to one side of a slab.

    Attributes
    ----------
    side
        ``above`` or ``below`` the slab.
    bottom, top
        Å; between which it was averaged, 1.5 Å away from the atoms at least.
    level
        eV.
    slope
        eV/Å.
    doubt
        What is wrong with it in words, empty when nothing.
    """

    side: str
    bottom: float
    top: float
    level: float
    slope: float
    doubt: str = ""


def window_of(layering: Layering) -> tuple[tuple[float, ...], str]:
    """Return the thickness of a layer of each material in Å, of one where they are the same within 1 %.

    The thickness is the median distance of neighbouring layers of a material, or, of a material with single layers
    only, the median of how thick these are.
    """
    layers, period = layering.layers, layering.period
    widths: dict[str, list[float]] = {}
    for layer, after in zip(layers, (*layers[1:], layers[0]), strict=True):
        if _block(layer) == _block(after) and after is not layer:
            distance = (after.height - layer.height) % period
            widths.setdefault(layer.material, []).append(distance)
    for layer in layers:
        if layer.material not in widths or len(layers) == 1:
            alone = [other.top - other.bottom for other in layers if other.material == layer.material]
            widths[layer.material] = [float(np.median(alone))]
    found: dict[str, float] = {}
    for material, distances in widths.items():
        # Across a vacuum the distance of two layers is no thickness.
        near = [distance for distance in distances if distance < 1.5 * min(distances)]
        width = float(np.median(near))
        if not any(abs(width - other) < _SAME * other for other in found.values()):
            found[material] = width
    chosen = dict(list(found.items())[:2])
    return tuple(chosen.values()), "thickness of a layer of " + " and of ".join(chosen)


def find_vacuum(structure: Structure, axis: int = 2) -> Gap | None:
    """Return the widest gap between atoms along the normal in Å if it is a vacuum (above 6 Å)."""
    normal = plane_normal(structure.lattice, axis)
    period = float(structure.lattice.matrix[axis] @ normal)
    heights = np.sort((structure.cart_coords @ normal) % period)
    gaps = np.diff(np.append(heights, heights[0] + period))
    widest = int(np.argmax(gaps))
    return (float(heights[widest]), float(heights[widest] + gaps[widest])) if gaps[widest] > _VACUUM else None


def _block(layer: Layer) -> str:
    return layer.label.rpartition(":")[0]


def _bounds(layer: Layer, period: float, gap: Gap | None) -> tuple[float, float]:
    """Return bottom and top of a layer without the vacuum."""
    bottom, top = layer.bottom, layer.top
    for shift in (-period, 0.0, period) if gap else ():
        low, high = gap[0] + shift, gap[1] + shift  # type: ignore[index]
        if bottom < low < top:
            top = low
        elif bottom < high < top:
            bottom = high
    return bottom, top


def average_layers(
    layers: Sequence[Layer], macroscopic: NDArray[np.float64], period: float, gap: Gap | None
) -> tuple[LayerAverage, ...]:
    """Return mean, spread and slope of each layer."""
    averages = []
    for layer in layers:
        bottom, top = _bounds(layer, period, gap)
        thickness = max(top - bottom, 1e-6)
        heights = np.linspace(bottom, bottom + thickness, _POINTS)
        values = interpolate(macroscopic, period, heights)
        mean = float(integrate_between(macroscopic, period, bottom, bottom + thickness)) / thickness
        slope = float(np.polyfit(heights, values, 1)[0]) if thickness > 1e-3 else 0.0
        averages.append(LayerAverage(layer.label, layer.height, bottom, top, mean, float(np.ptp(values)), slope))
    return tuple(averages)


def average_blocks(
    layers: Sequence[Layer],
    macroscopic: NDArray[np.float64],
    period: float,
    windows: tuple[float, ...],
    gap: Gap | None,
) -> tuple[tuple[BlockAverage, ...], tuple[str, ...]]:
    """Return a line through each block, and which are too thin for a plateau."""
    blocks, doubts = [], []
    for label, bottom, top in _block_bounds(layers, period, gap):
        # Nothing cuts the only block of a bulk cell.
        margin = 0.0 if top - bottom > period - 1e-6 else sum(windows) / 2
        reached = top - bottom - 2 * margin > 0.1
        low, high = (bottom + margin, top - margin) if reached else (bottom, top)
        heights = np.linspace(low, high, 4 * _POINTS)
        values = interpolate(macroscopic, period, heights)
        middle = (low + high) / 2
        slope, mean = np.polyfit(heights - middle, values, 1)
        spread = float(np.ptp(values - mean - slope * (heights - middle)))
        blocks.append(BlockAverage(label, bottom, top, middle, float(mean), float(slope), spread, reached))
        if not reached:
            doubts.append(f"the block {label} is no thicker than the window: its plateau is not reached")
    return tuple(blocks), tuple(doubts)


def _block_bounds(layers: Sequence[Layer], period: float, gap: Gap | None) -> list[tuple[str, float, float]]:
    """Return label, bottom and top of the runs of layers of one block, that across the end of the cell as one."""
    runs: list[tuple[str, float, float]] = []
    for layer in layers:
        bottom, top = _bounds(layer, period, gap)
        if runs and runs[-1][0] == _block(layer):
            runs[-1] = (runs[-1][0], runs[-1][1], top)
        else:
            runs.append((_block(layer), bottom, top))
    if len(runs) > 1 and runs[0][0] == runs[-1][0]:
        first, last = runs[0], runs.pop()
        runs = [*runs[1:], (last[0], last[1], first[2] + period)]
    return runs


def steps_between(blocks: Sequence[BlockAverage], period: float, gap: Gap | None) -> tuple[Step, ...]:
    """Return the steps at the interfaces, that across the end of the cell last; none across a vacuum."""
    steps = []
    for number, below in enumerate(blocks if len(blocks) > 1 else ()):
        above = blocks[(number + 1) % len(blocks)]
        shift = period if number + 1 == len(blocks) else 0.0
        if abs(above.bottom + shift - below.top) > 0.5 * _VACUUM and gap is not None:
            continue
        value = above.at(below.top - shift) - below.at(below.top)
        steps.append(Step(below.label, above.label, below.top, value))
    return tuple(steps)


def vacuum_levels(planar: NDArray[np.float64], period: float, gap: Gap) -> tuple[VacuumLevel, ...]:
    """Return the levels above the slab (where the gap begins) and below it (where it ends).

    They differ by the step of a dipole correction, which is put in the middle of the vacuum, or by the field of a
    polar slab without one.
    """
    low, high = gap
    third = (high - low) / 3
    start = max(1.5, third / 2)
    levels = []
    for side, bottom, top in (("above", low + start, low + 1.2 * third), ("below", high - 1.2 * third, high - start)):
        heights = np.linspace(bottom, top, _POINTS)
        values = interpolate(planar, period, heights)
        slope = float(np.polyfit(heights, values, 1)[0])
        doubt = ""
        if abs(slope) > _FIELD:
            doubt = (
                f"the potential {side} the slab is not flat ({slope:.3f} eV/Å): more vacuum or a dipole correction"
            )
        levels.append(VacuumLevel(side, bottom, top, float(values.mean()), slope, doubt))
    return tuple(levels)
