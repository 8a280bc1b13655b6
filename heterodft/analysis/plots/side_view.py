"""The cell from the side, atoms coloured by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.patches import Circle

from heterodft.analysis.layers import find_layering
from heterodft.analysis.plots.figure import Figure
from heterodft.analysis.plots.style import COLUMN, SMALL, layer_colors, pretty, style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray
    from pymatgen.core import PeriodicSite, Structure

    from heterodft.analysis.layers import AtomicPlane, Layering

__all__ = ["draw_side_view"]

_OBLIQUE = (0.16, 0.12)
"""Shift to the right and upwards for each Å of depth."""
_INCHES_PER_ANGSTROM, _PAGE_HEIGHT = 0.4, 8.8
"""Å as drawn where there is room, and inches."""
_FONT, _LAYER_FONT = 9, 8
"""Points; the names are read beside a page's text of 15 pixels, unlike those of a diagram."""


def draw_side_view(structure: Structure, layering: Layering | None = None) -> Figure:
    """Draw a cell from the side, atoms coloured by layer; a removed atom is a dashed circle.

    Parameters
    ----------
    structure
        ``properties["defect"]["position"]`` (Å) marks a vacancy.
    layering
        Of `find_layering`, which is asked when there is none.
    """
    planes = (layering or find_layering(structure)).planes
    colors = layer_colors(planes)
    edges = _projected_cell(structure)
    color_of = {site: colors[plane.layer] for plane in planes for site in plane.sites}
    depth = structure.cart_coords @ np.cross(np.cross(*structure.lattice.matrix[:2]), structure.lattice.matrix[0])
    circles = [
        (point, structure[int(site)], color_of[int(site)])
        for site in np.argsort(-depth)
        for point in _images(structure.frac_coords[site], edges)
    ]
    corners = np.array([i * edges[0] + k * edges[2] for i in (0, 1) for k in (0, 1)])
    points = np.vstack([corners, [point for point, _, _ in circles]])
    low, high = points.min(axis=0) - 0.8, points.max(axis=0) + 0.8
    with style():
        names = _label_inches(planes)
        scale = min(_INCHES_PER_ANGSTROM, (COLUMN - sum(names)) / (high - low)[0], _PAGE_HEIGHT / (high - low)[1])
        right = high[0] + sum(names) / scale
        figure = Figure(figsize=(scale * (right - low[0]), scale * (high - low)[1]))
        axis = figure.add_axes((0, 0, 1, 1))
        axis.plot(*corners[[0, 2, 3, 1, 0]].T, color="#888888", linewidth=0.7, zorder=0)
        for order, (point, site, color) in enumerate(circles):
            _draw_atom(axis, site, point, color, order=2 + order / len(circles), points=72 * scale)
        _name_planes(axis, planes, colors, (high[0], high[0] + names[0] / scale), 72 * scale)
        if str((structure.properties.get("defect") or {}).get("kind", "")).startswith("V_"):
            _draw_vacancy(axis, structure, edges)
        axis.set(xlim=(low[0], right), ylim=(low[1], high[1]), aspect="equal")
        axis.axis("off")
    return figure


def _label_inches(planes: Sequence[AtomicPlane]) -> tuple[float, float]:
    """Return the width of the two columns of names beside the cell."""
    formula, layer = (max(len(getattr(plane, name)) for plane in planes) for name in ("formula", "layer"))
    return 0.08 + 0.080 * formula, 0.08 + 0.074 * layer


def _name_planes(
    axis: Axes, planes: Sequence[AtomicPlane], colors: dict[str, str], places: tuple[float, float], points: float
) -> None:
    """Write the formula of each plane where there is room for it, and each layer once; `points` an Å."""
    period = planes[-1].top - planes[0].bottom
    heights = [_inside(plane.height, period) for plane in planes]
    room = min(np.diff(sorted(heights)), default=np.inf) * points
    for plane, height in zip(planes, heights, strict=True) if room >= _FONT else ():
        axis.text(places[0], height, pretty(plane.formula), va="center", fontsize=_FONT)
    for layer in dict.fromkeys(plane.layer for plane in planes):
        height = _inside(float(np.mean([plane.height for plane in planes if plane.layer == layer])), period)
        dark = tuple(0.75 * part for part in to_rgb(colors[layer]))
        axis.text(places[1], height, pretty(layer), va="center", fontsize=_LAYER_FONT, color=dark)


def _projected_cell(structure: Structure) -> NDArray[np.float64]:
    """Return the cell vectors as drawn, shape (3, 2): seen from the front, a little from the right and above.

    Atoms behind one another are so told apart.
    """
    matrix = structure.lattice.matrix
    normal = np.cross(matrix[0], matrix[1])
    axes = np.array([matrix[0] / np.linalg.norm(matrix[0]), normal / np.linalg.norm(normal)])
    axes += np.outer(_OBLIQUE, np.cross(axes[1], axes[0]))
    return np.asarray(matrix @ axes.T)


def _inside(height: float, period: float) -> float:
    """Return where in the cell a height is, as its atoms are drawn."""
    return float(np.mod(height + 1e-3 * period, period) - 1e-3 * period)


def _draw_atom(
    axis: Axes, site: PeriodicSite, point: tuple[float, float], color: str, *, order: float, points: float
) -> None:
    """Draw an atom, with its symbol where that fits into it; `points` an Å."""
    number = site.specie.Z
    radius = 0.33 if number < 10 else 0.45 + 0.15 * min(number, 60) / 60
    ink = "white" if sum(to_rgb(color)) < 1.3 else "black"
    axis.add_patch(Circle(point, radius, facecolor=color, edgecolor="black", linewidth=0.5, zorder=order))
    if radius * points >= 0.7 * SMALL:
        axis.text(*point, site.specie.symbol, ha="center", va="center", fontsize=SMALL, color=ink, zorder=order)


def _draw_vacancy(axis: Axes, structure: Structure, edges: NDArray[np.float64]) -> None:
    place = structure.lattice.get_fractional_coords(structure.properties["defect"]["position"])
    for point in _images(place, edges):
        circle = Circle(point, 0.36, facecolor="white", linestyle="--", edgecolor="#c00000", zorder=4)
        axis.add_patch(circle)
        axis.text(*point, "V", ha="center", va="center", fontsize=_FONT, color="#c00000", zorder=5)


def _images(fractional: NDArray[np.float64], edges: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Return where an atom is drawn, and its copies on the opposite edges of the cell."""
    inside = np.mod(np.round(fractional, 6), 1.0)
    shifts = [(0, 1) if x < 1e-3 else (0,) for x in (inside[0], inside[2])]
    places = [(inside + [i, 0, k]) @ edges for i in shifts[0] for k in shifts[1]]
    return [(float(x), float(z)) for x, z in places]
