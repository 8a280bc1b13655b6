"""Planar and macroscopic averages along the stacking normal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from heterodft.analysis.plots.figure import Figure
from heterodft.analysis.plots.style import COLUMN, PALETTE, fold, shade_blocks, style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from heterodft.analysis.plots.quantities import HeightProfile

__all__ = ["draw_planar_average"]


def draw_planar_average(average: HeightProfile) -> Figure:
    """Draw an average over planes against the height, with its macroscopic average, materials shaded.

    Parameters
    ----------
    average
        With its ``groups`` (or ``layers``), whose bounds are marked; without them nothing is shaded.
    """
    heights = average.heights
    with style():
        figure = Figure(figsize=(COLUMN, 2.1), layout="constrained")
        axis = figure.subplots()
        axis.set_xlim(float(heights[0]), float(heights[-1]))
        thin = 0.6 if average.macroscopic is not None else 0.9
        axis.plot(heights, average.planar, color=PALETTE[0], linewidth=thin, label="planar average")
        if average.macroscopic is not None:
            axis.plot(heights, average.macroscopic, color=PALETTE[1], linewidth=1.3, label="macroscopic average")
            figure.legend(loc="outside lower center", ncols=2)
        layers = getattr(average, "groups", None) or getattr(average, "layers", None) or ()
        if layers:
            _mark_layers(axis, layers)
        low, high = axis.get_ylim()
        if low < 0 < high:
            axis.axhline(0, color="black", linewidth=0.4, zorder=0)
        axis.set_xlabel("height (Å)")
        axis.set_ylabel(fold(f"{average.quantity} ({average.unit})", height=1.5))
    return figure


def _mark_layers(axis: Axes, groups: Sequence[Any]) -> None:
    """Shade the blocks; the part of a layer that reaches over an end of the cell is drawn at the other end too."""
    period = groups[-1].top - groups[0].bottom
    left, right = axis.get_xlim()
    entries = [
        (group.label, (group.bottom + shift, group.top + shift))
        for shift in (-period, 0.0, period)
        for group in groups
        if group.bottom + shift < right - 1e-6 and group.top + shift > left + 1e-6
    ]
    shade_blocks(axis, [label for label, _ in entries], [bounds for _, bounds in entries])
    for _, (low, _) in entries:
        axis.axvline(low, color="#bbbbbb", linewidth=0.3, zorder=-1)
