"""The way from a quantity to its figure, which imports matplotlib only when one is drawn."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw"]


def draw(name: str, quantity: object) -> Figure:
    """Return the figure that a function of `heterodft.analysis.plots` makes of a quantity."""
    figure: Figure = vars(import_module("heterodft.analysis.plots"))[name](quantity)
    return figure
