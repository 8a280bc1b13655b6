"""What is inside spheres of growing radius around a place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from heterodft.analysis.plots.figure import Figure
from heterodft.analysis.plots.style import COLUMN, PALETTE, style

if TYPE_CHECKING:
    from heterodft.analysis.plots.quantities import ShellMoments

__all__ = ["draw_defect_shells", "draw_shells"]


def draw_shells(shells: ShellMoments) -> Figure:
    """Draw what spheres around a defect hold, such as the moment, against their radius."""
    with style():
        figure = Figure(figsize=(COLUMN, 2.0), layout="constrained")
        axis = figure.subplots()
        many = len(shells.radii) > 40
        inside: Any = getattr(shells, "inside" if hasattr(shells, "inside") else "cumulative")
        axis.plot(shells.radii, inside, color=PALETTE[0], marker="" if many else "o")
        axis.set_xlim(0, float(shells.radii[-1]))
        axis.margins(y=0.1)
        axis.axhline(0, color="black", linewidth=0.4, zorder=0)
        axis.set_xlabel("radius (Å)")
        name = {"spin density": "moment", "charge density": "electrons"}.get(shells.quantity, shells.quantity)
        axis.set_ylabel(f"{name} inside ({shells.unit})")
    return figure


def draw_defect_shells(shells: ShellMoments) -> Figure:
    """Draw what the integral of a density around a defect is, against the radius; see `draw_shells`."""
    return draw_shells(shells)
