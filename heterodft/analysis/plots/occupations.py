"""Occupations of the eigenorbitals of each site with a Hubbard U."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heterodft.analysis.plots.figure import Figure
from heterodft.analysis.plots.style import COLUMN, PAGE, PALETTE, SMALL, pretty, style

if TYPE_CHECKING:
    from heterodft.analysis.plots.quantities import OccupationLevels

__all__ = ["draw_occupations"]

_BESIDE = 0.2
"""Of the distance of two sites: up to the left, down to the right."""
_CROWDED = 12
"""Sites from which on their names stand upright and the figure is as wide as a page."""


def draw_occupations(occupations: OccupationLevels) -> Figure:
    """Draw the occupation of each eigenorbital as a short line, site by site; up to the left, down to the right."""
    shells = occupations.shells
    crowded = len(shells) > _CROWDED
    with style():
        figure = Figure(figsize=(PAGE if crowded else COLUMN, 2.4), layout="constrained")
        axis = figure.subplots()
        named: set[str] = set()
        for place, shell in enumerate(shells):
            for spin, name in enumerate(shell.spins):
                middle = place + (0.0 if not name else _BESIDE * (2 * spin - 1))
                label = "_" if name in named else name or "_"
                named.add(name)
                ends = (middle - 0.8 * _BESIDE, middle + 0.8 * _BESIDE)
                axis.hlines(shell.eigenvalues[spin], *ends, color=PALETTE[spin], linewidth=1.0, label=label)
        axis.set_xlim(-0.6, len(shells) - 0.4)
        axis.margins(y=0.06)
        names = [f"{shell.element}{shell.site + 1} {shell.shell}\n{pretty(shell.group)}".strip() for shell in shells]
        axis.set_xticks(range(len(shells)), names, fontsize=SMALL, rotation=90 if crowded else 0)
        for level in (0, 1):
            axis.axhline(level, color="black", linewidth=0.4, zorder=0)
        axis.set_ylabel("occupation of an eigenorbital")
        if named - {""}:
            axis.legend(loc="upper center", bbox_to_anchor=(0.5, 1.14), ncols=2)
    return figure
