"""A density on a plane through the cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.patheffects import withStroke

from heterodft.analysis.plots.figure import Figure
from heterodft.analysis.plots.style import COLUMN, SMALL, style

if TYPE_CHECKING:
    from heterodft.analysis.plots.quantities import DensitySlice

__all__ = ["draw_density_slice"]

_PAGE_HEIGHT = 8.5
_BAR = 0.75
"""Inches that the colour bar and the numbers of the axes take from the width."""


_LETTERS = 0.1
"""Inches that half a name takes."""


def draw_density_slice(density: DensitySlice) -> Figure:
    """Draw a slice with its atoms; a spin density in colours that diverge from white at zero."""
    values = np.asarray(density.values)
    extent = left, right, bottom, top = _extent(density)
    signed = density.quantity != "charge density" and bool((values < 0).any())
    size = float(np.abs(values).max()) or 1.0
    with style():
        scale = min((COLUMN - _BAR - 0.45) / (right - left), (_PAGE_HEIGHT - 0.5) / (top - bottom))
        height = max(scale * (top - bottom) + 0.5, 1.4)
        figure = Figure(figsize=(COLUMN, height), layout="constrained")
        axis = figure.subplots()
        image = axis.imshow(
            values,
            origin="lower",
            extent=extent,
            cmap="RdBu_r" if signed else "viridis",
            vmin=-size if signed else min(float(values.min()), 0.0),
            vmax=size,
            interpolation="bilinear",
        )
        halo = [withStroke(linewidth=1.4, foreground="white")]
        for element, x, y in sorted({(atom.element, round(atom.x, 1), round(atom.y, 1)) for atom in density.atoms}):
            across, along = _side(x, (left, right), _LETTERS / scale), _side(y, (bottom, top), _LETTERS / scale)
            axis.text(
                x, y, element, ha=("left", "center", "right")[across], va=("bottom", "center", "top")[along],
                fontsize=SMALL, path_effects=halo,
            )  # fmt: skip
        axis.set_xlabel("Å")
        axis.set_ylabel("Å")
        figure.colorbar(
            image, ax=axis, label=f"{density.quantity} ({density.unit})", shrink=min(0.9, 2.5 / height), aspect=25
        )
    return figure


def _side(place: float, bounds: tuple[float, float], margin: float) -> int:
    """Return 0 at the lower end, 2 at the upper one and 1 between them, where a name has room on both sides."""
    return 1 + int(place > bounds[1] - margin) - int(place < bounds[0] + margin)


def _extent(density: DensitySlice) -> tuple[float, float, float, float]:
    """Return the edges of the picture; a point is in the middle of its square."""
    (x, y), half = (density.x, density.y), [0.5 * float(a[1] - a[0]) for a in (density.x, density.y)]
    return float(x[0]) - half[0], float(x[-1]) + half[0], float(y[0]) - half[1], float(y[-1]) + half[1]
