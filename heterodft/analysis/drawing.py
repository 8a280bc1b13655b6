"""How a quantity draws itself: by the function of `heterodft.analysis.plots` that takes it, loaded when asked."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw"]


def draw(name: str, quantity: object) -> Figure:
    """Return the figure that the drawing function of that name makes of a quantity."""
    function: Any = getattr(import_module("heterodft.analysis.plots"), name)
    figure: Figure = function(quantity)
    return figure
