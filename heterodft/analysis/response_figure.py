"""Hubbard U by linear response against the q-mesh, and against the round of a self-consistent loop, drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from heterodft.analysis.plots.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

__all__ = ["Curve", "draw_response"]

_COLUMN = 3.4
"""Inches, a column of a journal."""


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
    figure = Figure(figsize=(_COLUMN * len(panels), 2.4), layout="constrained")
    for axis, (name, curves, with_input) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
    ):
        for curve in curves:
            _draw(axis, curve, with_input=with_input)
        axis.set_xlabel(name, fontsize=8)
        axis.set_ylabel("U (eV)", fontsize=8)
        axis.tick_params(labelsize=7)
        if curves:
            axis.legend(fontsize=6, frameon=False)
    return figure


def _draw(axis: Axes, curve: Curve, *, with_input: bool) -> None:
    (line,) = axis.plot(curve.at, curve.values, marker="o", markersize=3.5, linewidth=0.8, label=curve.label)
    hollow = [(at, u) for at, u, doubtful in zip(curve.at, curve.values, curve.doubtful, strict=True) if doubtful]
    if hollow:
        axis.plot(*zip(*hollow, strict=True), "o", markersize=3.5, color="white", markeredgecolor=line.get_color())
    if with_input:
        axis.plot(curve.at, curve.put_in, ":", linewidth=0.8, color=line.get_color())
