"""Energies of configurations, and moment and gap against U."""

from __future__ import annotations

from textwrap import shorten
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.plots.figure import Figure
from heterodft.analysis.plots.style import COLUMN, PALETTE, SMALL, fold, legend_columns, style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from heterodft.analysis.plots.quantities import AgainstU, EnergyTable

__all__ = ["draw_against_u", "draw_energies"]

_LONGEST_NAME = 26
_LEAST_SPAN = 1.0
"""Of the axis, in the unit of the energies: smaller differences are no bars."""
_LETTER = 3.6
"""Points: the width of a letter of the smallest text."""
_MARKERS = "os^Dv<>P"
_DASHES = ("-", "--", "-.", ":")


def draw_energies(table: EnergyTable) -> Figure:
    """Draw the energies of configurations as bars; what may not be compared says so in place of its bar."""
    names = [_middle_out(name, _LONGEST_NAME) for name in table.names]
    values = [np.nan if value is None else float(value) for value in table.values]
    with style():
        figure = Figure(figsize=(COLUMN, 0.17 * len(names) + 0.7), layout="constrained")
        axis = figure.subplots()
        places = np.arange(len(names))
        colors = [PALETTE[1] if value < 0 else PALETTE[0] for value in values]
        axis.barh(places, np.nan_to_num(values), height=0.62, color=colors, linewidth=0)
        low, high = min(0.0, np.nanmin([0.0, *values])), max(0.0, np.nanmax([0.0, *values]))
        if high - low < _LEAST_SPAN:  # equal but for rounding: no bar
            low, high = min(low, 0.0), _LEAST_SPAN
        span = high - low
        axis.set_xlim(low - 0.22 * span * (low < 0), high + 0.22 * span)
        room = int((COLUMN - 0.2) * 72 / _LETTER - max(map(len, names), default=0))
        for place, value, reason in zip(places, values, table.reasons, strict=True):
            _tell(axis, float(place), value, reason, room)
        axis.axvline(0, color="black", linewidth=0.5)
        axis.set_yticks(places, names)
        axis.tick_params(axis="y", length=0)
        axis.set_ylim(len(names) - 0.5, -0.5)
        zero = _middle_out(table.reference, 60)
        figure.supxlabel(fold(f"energy from {zero} ({table.unit})", height=COLUMN - 0.1), fontsize=7)
    return figure


def _tell(axis: Axes, place: float, value: float, reason: str, room: int) -> None:
    """Write the number beside its bar, or the reason where there is none, in at most `room` letters."""
    if not np.isfinite(value):
        text = shorten(reason or "not known", room, placeholder=" …")
        where = (0.015, place)
        look: dict[str, Any] = {"fontsize": SMALL, "color": "#666666", "style": "italic", "va": "center"}
        look["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
        axis.text(*where, text, transform=axis.get_yaxis_transform(), **look)
        return
    left = value < 0
    axis.annotate(
        f"{value:.1f}".replace("-", "−"),
        (value, place),
        (-2 if left else 2, 0),
        textcoords="offset points",
        ha="right" if left else "left",
        va="center",
        fontsize=SMALL,
    )


def _middle_out(text: str, longest: int) -> str:
    """Shorten a name in the middle; what tells configurations apart is often at its end."""
    half = (longest - 1) // 2
    return text if len(text) <= longest else f"{text[:half]}…{text[-half:]}"


def draw_against_u(table: AgainstU) -> Figure:
    """Draw moment and gap against U, a line for each label; a metal is an open mark at zero."""
    lines = list(dict.fromkeys(table.labels))
    with style():
        figure = Figure(figsize=(COLUMN, 3.0), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True)
        for number, line in enumerate(lines):
            chosen = sorted((i for i, label in enumerate(table.labels) if label == line), key=lambda i: table.u[i])
            u = [table.u[i] for i in chosen]
            look: dict[str, Any] = {
                "color": PALETTE[number % len(PALETTE)],
                "marker": _MARKERS[number % len(_MARKERS)],
                "linestyle": _DASHES[number % len(_DASHES)],
            }
            above.plot(u, _numbers(table.moments, chosen), label=line, **look)
            gaps = _numbers(table.gaps, chosen)
            below.plot(u, gaps, **look)
            metal = [k for k, i in enumerate(chosen) if table.metals[i]]
            below.plot(
                [u[k] for k in metal], [gaps[k] for k in metal], linestyle="", marker=look["marker"],
                markerfacecolor="white", markeredgecolor=look["color"], zorder=3, clip_on=False,
            )  # fmt: skip
        above.set_ylabel("moment (μB)")
        below.set_ylabel("gap (eV)")
        below.set_ylim(bottom=0)
        name = getattr(table, "axis", "U")
        below.set_xlabel(f"{name} (eV)" + ("; open: metal" if any(table.metals) else ""))
        for axis in (above, below):
            axis.margins(x=0.06, y=0.12)
        if len(lines) > 1 or lines != [""]:
            figure.legend(loc="outside upper center", ncols=legend_columns(lines))
    return figure


def _numbers(values: Sequence[float | None], chosen: Sequence[int]) -> list[float]:
    return [np.nan if (value := values[i]) is None else float(value) for i in chosen]
