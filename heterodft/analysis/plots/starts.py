"""Energies that several starts ended with, by the state each reached."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, Protocol

from matplotlib.ticker import MaxNLocator

from heterodft.analysis.plots.figure import Figure
from heterodft.analysis.plots.style import COLUMN, PALETTE, SMALL, fold, legend_columns, pretty, style

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["StartEnergies", "draw_starts"]

_MARKERS = "os^Dv<>P"
_LONGEST_NAME = 38


class StartEnergies(Protocol):
    """Starts in the order they were made, and the states they ended in."""

    @property
    def names(self) -> Sequence[str]:
        """Of the starts."""

    @property
    def energies(self) -> Sequence[float | None]:
        """Energies in meV of the cell from the lowest state; None where there is none."""

    @property
    def reached(self) -> Sequence[int | None]:
        """Number of the state that each ended in, 1 for the lowest."""

    @property
    def state_names(self) -> Sequence[str]:
        """Of the states, the lowest first."""


def draw_starts(table: StartEnergies) -> Figure:
    """Draw the energy of each start, a mark a state; the lowest is filled, a start without a state is a cross."""
    count = len(table.names)
    labels = [f"{number}: {name}" for number, name in enumerate(table.state_names, start=1)]
    with style():
        figure = Figure(figsize=(COLUMN, 0.16 * count + 1.1), layout="constrained")
        axis = figure.subplots()
        for number, label in enumerate(labels, start=1):
            chosen = [i for i, state in enumerate(table.reached) if state == number]
            color = PALETTE[(number - 1) % len(PALETTE)]
            energies = [nan if (energy := table.energies[i]) is None else energy for i in chosen]
            axis.plot(
                energies, chosen, linestyle="", label=pretty(label), color=color, clip_on=False, zorder=3,
                marker=_MARKERS[(number - 1) % len(_MARKERS)], markerfacecolor=color if number == 1 else "white",
            )  # fmt: skip
        failed = [i for i, state in enumerate(table.reached) if state is None]
        axis.plot(
            [0.5] * len(failed), failed, linestyle="", marker="x", color="#666666",
            transform=axis.get_yaxis_transform(), label="no state" if failed else None,
        )  # fmt: skip
        axis.axvline(0, color="black", linewidth=0.5)
        axis.set_yticks(range(count), [_short(name) for name in table.names], fontsize=SMALL)
        axis.tick_params(axis="y", length=0)
        axis.set_ylim(count - 0.5, -0.5)
        axis.grid(axis="y", color="#dddddd", linewidth=0.4)
        axis.set_axisbelow(True)
        axis.margins(x=0.08)
        highest = max((energy for energy in table.energies if energy is not None), default=0.0)
        if highest < 0.1:  # a lone state: no span to show
            axis.set_xlim(-1, 10)
        axis.xaxis.set_major_locator(MaxNLocator(5))
        figure.supxlabel(fold("energy from the lowest state (meV per cell)", height=COLUMN - 0.1), fontsize=7)
        if labels or failed:
            names = [*labels, *(["no state"] if failed else [])]
            figure.legend(loc="outside upper center", ncols=legend_columns(names))
    return figure


def _short(name: str) -> str:
    half = (_LONGEST_NAME - 1) // 2
    return pretty(name if len(name) <= _LONGEST_NAME else f"{name[:half]}…{name[-half:]}")
