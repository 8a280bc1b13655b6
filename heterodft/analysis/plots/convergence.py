"""How far quantities are from their value at the finest point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.plots.figure import Figure
from heterodft.analysis.plots.style import COLUMN, PALETTE, legend_columns, style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from heterodft.analysis.plots.quantities import ConvergenceTable

__all__ = ["draw_convergence"]

_MARKERS = "os^Dv<>P"
_TOLERANCE = "tolerance"
_LINEAR = 3.0
"""Tolerances to which the axis is linear; logarithmic beyond."""
_MARGIN = 0.3


def draw_convergence(table: ConvergenceTable) -> Figure:
    """Draw each quantity less its value at the last point, a line for each configuration, over its tolerance.

    What has no sign, as the largest change of a moment, begins at zero. The axis is linear to three tolerances and
    logarithmic beyond. A dotted line marks the recommended value. What has no value at the last point is left out,
    and a panel without any says so.
    """
    quantities = list(dict.fromkeys(one.tolerance.quantity for one in table.series))
    with style():
        figure = Figure(figsize=(COLUMN, 1.15 * len(quantities) + 0.75), layout="constrained")
        axes: list[Axes] = list(figure.subplots(len(quantities), 1, sharex=True, squeeze=False)[:, 0])
        names = list(dict.fromkeys(one.name for one in table.series))
        for axis, quantity in zip(axes, quantities, strict=True):
            _draw(axis, table, [one for one in table.series if one.tolerance.quantity == quantity], names)
        places = np.arange(len(table.values))
        axes[-1].set_xticks(places, [label.partition(" ")[0] for label in table.labels])
        unit = table.labels[0].partition(" ")[2] if table.labels else table.unit
        axes[-1].set_xlabel(f"{table.axis} ({unit})" if unit else table.axis)
        figure.align_ylabels(axes)
        handles, entries = _entries(axes)
        figure.legend(handles, entries, loc="outside upper center", ncols=legend_columns(entries))
    return figure


def _draw(axis: Axes, table: ConvergenceTable, series: Sequence[Any], names: Sequence[str]) -> None:
    tolerance = series[0].tolerance
    allowed = tolerance.value * tolerance.scale
    axis.axhspan(-allowed, allowed, color="#009E73", alpha=0.18, linewidth=0, label=_TOLERANCE)
    axis.axhline(0, color="black", linewidth=0.4)
    places = np.arange(len(table.values))
    drawn = [one for one in series if np.isfinite(one.changes[:, -1]).any()]
    if not drawn:
        axis.text(0.5, 0.75, "no value that counts", ha="center", va="center", transform=axis.transAxes)
    for one in drawn:
        number = names.index(one.name)
        axis.plot(
            places, one.changes[:, -1] * tolerance.scale, label=one.name.replace(" - ", " − "),
            color=PALETTE[number % len(PALETTE)], marker=_MARKERS[number % len(_MARKERS)], clip_on=False,
        )  # fmt: skip
    if table.recommended is not None:
        axis.axvline(
            table.values.index(table.recommended), color="#555555", linestyle=":", linewidth=0.8, label="recommended"
        )
    _limit(axis, series, allowed, tolerance.scale)
    name = tolerance.quantity.replace("_", " ")
    told = f"{name} − last" if series[0].signed else f"|{name} − last|"
    axis.set_ylabel(f"{told}\n({tolerance.unit})")
    axis.margins(x=0.06)


def _limit(axis: Axes, series: Sequence[Any], allowed: float, scale: float) -> None:
    """Set an axis that holds all values and the tolerance on both sides, from zero on where nothing has a sign."""
    apart = np.concatenate([one.changes[:, -1] for one in series]) * scale
    lowest = min(float(np.nanmin(apart, initial=0.0)), -allowed) if series[0].signed else 0.0
    highest = max(float(np.nanmax(apart, initial=0.0)), allowed)
    if max(highest, -lowest) > 2 * _LINEAR * allowed:
        axis.set_yscale("symlog", linthresh=_LINEAR * allowed, linscale=1.5)
        axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}".replace("-", "−"))
    axis.set_ylim(_beyond(lowest, allowed), _beyond(highest, allowed))


def _beyond(end: float, allowed: float) -> float:
    """Return the end of an axis a little beyond a value: by a part of it where the axis is logarithmic."""
    if end == 0:
        return 0.0
    return end * 1.6 if abs(end) > 2 * _LINEAR * allowed else end + np.sign(end) * _MARGIN * max(abs(end), allowed)


def _entries(axes: Sequence[Axes]) -> tuple[list[Any], list[str]]:
    """Return one entry of the legend for each name."""
    found: dict[str, Any] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    found |= {name: found.pop(name) for name in (_TOLERANCE, "recommended") if name in found}
    return list(found.values()), list(found)
