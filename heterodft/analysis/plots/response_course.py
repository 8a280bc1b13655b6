"""Hubbard U by linear response against the q-mesh, and against the round of a self-consistent loop, drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.lines import Line2D

from heterodft.analysis.plots.figure import Figure
from heterodft.analysis.plots.style import COLUMN, PALETTE, legend_columns, pretty, style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

__all__ = ["Curve", "draw_response"]

_MARKERS = "os^Dv<>P"
_GREY = "#555555"


@dataclass(frozen=True)
class Curve:
    """U of one element in one layer.

    Attributes
    ----------
    label
        As in the legend.
    at
        Mesh or round of each point.
    values, put_in
        U found and U put in, eV.
    doubtful
        Whether the point is of another magnetic state than asked for.
    """

    label: str
    at: tuple[str, ...]
    values: tuple[float, ...]
    put_in: tuple[float, ...]
    doubtful: tuple[bool, ...]


def draw_response(over_mesh: Sequence[Curve], over_rounds: Sequence[Curve]) -> Figure:
    """Draw U against the q-mesh and, where there are several rounds, against the round; hollow where doubtful.

    Parameters
    ----------
    over_mesh, over_rounds
        The curves of each panel; the second panel is left out where there are none. Its dotted lines are the U that
        was put in.
    """
    panels = [("q-mesh", over_mesh, False)] + ([("round", over_rounds, True)] if over_rounds else [])
    labels = list(dict.fromkeys(curve.label for curve in (*over_mesh, *over_rounds)))
    with style():
        figure = Figure(figsize=(COLUMN, 1.5 * len(panels) + 0.5), layout="constrained")
        axes: list[Axes] = list(figure.subplots(len(panels), 1, squeeze=False)[:, 0])
        for axis, (name, curves, with_input) in zip(axes, panels, strict=True):
            for curve in curves:
                _draw(axis, curve, labels.index(curve.label), with_input=with_input)
            axis.set_xlabel(name)
            axis.set_ylabel("U (eV)")
            axis.margins(x=0.06, y=0.14)
        figure.align_ylabels(axes)
        entries = _entries(labels, over_mesh, over_rounds)
        names = [str(entry.get_label()) for entry in entries]
        figure.legend(handles=entries, loc="outside upper center", ncols=legend_columns(names))
    return figure


def _draw(axis: Axes, curve: Curve, number: int, *, with_input: bool) -> None:
    color, marker = PALETTE[number % len(PALETTE)], _MARKERS[number % len(_MARKERS)]
    if with_input:
        axis.plot(curve.at, curve.put_in, ":", color=color, zorder=1)
    axis.plot(curve.at, curve.values, color=color, marker=marker)
    hollow = [(at, u) for at, u, doubtful in zip(curve.at, curve.values, curve.doubtful, strict=True) if doubtful]
    if hollow:
        axis.plot(*zip(*hollow, strict=True), marker, color=color, markerfacecolor="white", zorder=3)


def _entries(labels: Sequence[str], over_mesh: Sequence[Curve], over_rounds: Sequence[Curve]) -> list[Line2D]:
    """Return the entries of the legend: U found of each curve, what was put in, what hollow marks are."""
    entries = [
        Line2D([], [], color=PALETTE[i % len(PALETTE)], marker=_MARKERS[i % len(_MARKERS)], label=pretty(label))
        for i, label in enumerate(labels)
    ]
    if over_rounds:
        entries.append(Line2D([], [], color=_GREY, linestyle=":", label="U put in"))
    if any(doubtful for curve in (*over_mesh, *over_rounds) for doubtful in curve.doubtful):
        entries.append(
            Line2D([], [], color=_GREY, linestyle="", marker="o", markerfacecolor="white",
                   label="not of the state asked for")
        )  # fmt: skip
    return entries
