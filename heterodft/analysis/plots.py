"""Figures: density of states by layer, and the cell from the side. Drawing knows nothing of a DFT code."""

from __future__ import annotations

import re
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Patch

from heterodft.analysis.layers import find_planes
from heterodft.analysis.pdos import SHELLS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray
    from pymatgen.core import PeriodicSite, Structure

    from heterodft.analysis.layers import AtomicPlane
    from heterodft.analysis.pdos import LayerDos

__all__ = ["draw_layer_dos", "draw_side_view", "layer_colors", "to_svg"]

_SHELL_COLORS = {"s": "#7f7f7f", "p": "#1f77b4", "d": "#d95f02", "f": "#7570b3"}
_FAMILIES = ("Blues", "Oranges", "Greens", "Purples", "Reds")
_OBLIQUE = (0.16, 0.12)
"""Shift to the right and upwards for each Å of depth."""
_INCHES_PER_ANGSTROM = 0.5
_STYLE: Any = {"font.size": 8, "svg.fonttype": "none", "font.family": "sans-serif", "svg.hashsalt": "0"}


def to_svg(figure: Figure) -> str:
    """Return a figure as SVG text without its XML prologue, the same bytes each time."""
    buffer = BytesIO()
    with rc_context(_STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue().decode()
    # Hundredths of a point are enough, and halve the file.
    return re.sub(r"(\d\.\d\d)\d+", r"\1", text[text.index("<svg") :])


def layer_colors(planes: Sequence[AtomicPlane]) -> dict[str, str]:
    """Return a colour for each layer: one hue a material, darker towards the top."""
    labels = list(dict.fromkeys(plane.layer for plane in planes))
    materials = list(dict.fromkeys(label.rpartition(":")[0] for label in labels))
    colors = {}
    for number, material in enumerate(materials):
        own = [label for label in labels if label.rpartition(":")[0] == material]
        shades = np.linspace(0.45, 0.85, len(own)) if len(own) > 1 else [0.55]
        family = colormaps[_FAMILIES[number % len(_FAMILIES)]]
        for label, shade in zip(own, shades, strict=True):
            red, green, blue, _ = family(float(shade))
            colors[label] = f"#{int(255 * red):02x}{int(255 * green):02x}{int(255 * blue):02x}"
    return colors


def draw_layer_dos(layer_dos: LayerDos, *, window: tuple[float, float] = (-8.0, 6.0)) -> Figure:
    """Draw the density of states of every plane, the top plane on top, spin down mirrored.

    Parameters
    ----------
    layer_dos
        Of `resolve_by_plane`.
    window
        eV relative to its reference.
    """
    planes = layer_dos.planes
    with rc_context(_STYLE):
        figure = Figure(figsize=(4.6, 0.85 * len(planes) + 0.9), layout="constrained")
        axes = np.atleast_1d(figure.subplots(len(planes), 1, sharex=True))
        inside = (layer_dos.energies >= window[0]) & (layer_dos.energies <= window[1])
        used = [i for i in range(len(SHELLS)) if layer_dos.values[:, i].any()]
        for axis, index in zip(axes, reversed(range(len(planes))), strict=True):
            _draw_plane(axis, layer_dos, index, inside, used)
        patches = [Patch(facecolor=(_SHELL_COLORS[SHELLS[i]], 0.4), label=SHELLS[i]) for i in used]
        figure.legend(handles=patches, loc="outside upper right", ncols=len(used), frameon=False)
        axes[-1].set_xlim(*window)
        axes[-1].set_xlabel(f"energy from the {layer_dos.reference_name} (eV)")
        spins = ", spin up above, down below" if layer_dos.values.shape[2] == 2 else ""
        figure.supylabel(f"density of states (1/eV){spins}", fontsize=7)
    return figure


def _draw_plane(axis: Axes, layer_dos: LayerDos, index: int, inside: Any, used: list[int]) -> None:
    energies = layer_dos.energies[inside]
    largest, top = float(layer_dos.values[index][:, :, inside].max()), 0.0
    for shell in used:
        values = layer_dos.values[index, shell][:, inside]
        if values.max() < 0.01 * largest:
            continue
        color = _SHELL_COLORS[SHELLS[shell]]
        for sign, part in zip((1, -1), values, strict=False):  # up, and down where there are spins
            kept = _without_empty_stretches(part, 1e-3 * largest)
            axis.fill_between(
                energies[kept], sign * part[kept], facecolor=(color, 0.25), edgecolor=color, linewidth=0.6
            )
        top = max(top, float(values.max()))
    limit = 1.1 * top or 1.0
    axis.set_ylim(-limit if len(layer_dos.values[index, 0]) == 2 else 0.0, limit)
    axis.axhline(0, color="black", linewidth=0.4)
    axis.axvline(0, color="black", linewidth=0.6, linestyle="--")
    axis.axvspan(-2, 0, color="#fff2b3", alpha=0.5, linewidth=0, zorder=0)
    plane = layer_dos.planes[index]
    axis.text(0.012, 0.92, f"{plane.formula}   {plane.layer}", transform=axis.transAxes, va="top", fontsize=7)
    axis.tick_params(labelsize=6, length=2)
    axis.locator_params(axis="y", nbins=3)


def _without_empty_stretches(values: NDArray[np.float64], tolerance: float) -> NDArray[np.bool_]:
    """Mark the points to draw: all but those inside a stretch of zeros."""
    full = np.pad(values > tolerance, 1, constant_values=True)
    return np.asarray(full[1:-1] | full[:-2] | full[2:])


def draw_side_view(structure: Structure) -> Figure:
    """Draw a cell from the side, atoms coloured by layer; a removed atom is a dashed circle.

    Parameters
    ----------
    structure
        With labels; ``properties["defect"]["position"]`` (Å) marks a vacancy.
    """
    planes = find_planes(structure)
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
    low, right, top = points.min(axis=0) - 0.8, points[:, 0].max() + 1.0, points[:, 1].max() + 0.8
    with rc_context(_STYLE):
        size = (_INCHES_PER_ANGSTROM * (right + 3.7 - low[0]), _INCHES_PER_ANGSTROM * (top - low[1]))
        figure = Figure(figsize=size)
        axis = figure.add_axes((0, 0, 1, 1))
        axis.plot(*corners[[0, 2, 3, 1, 0]].T, color="#888888", linewidth=0.7, zorder=0)
        for order, (point, site, color) in enumerate(circles):
            _draw_atom(axis, site, point, color, 2 + order / len(circles))
        for plane in planes:
            axis.text(right, plane.height, plane.formula, va="center", fontsize=8)
            axis.text(right + 1.6, plane.height, plane.layer, va="center", fontsize=7.5, color=colors[plane.layer])
        if str((structure.properties.get("defect") or {}).get("kind", "")).startswith("V_"):
            _draw_vacancy(axis, structure, edges)
        axis.set(xlim=(low[0], right + 3.7), ylim=(low[1], top), aspect="equal")
        axis.axis("off")
    return figure


def _projected_cell(structure: Structure) -> NDArray[np.float64]:
    """Return the cell vectors as drawn, shape (3, 2): seen from the front, a little from the right and above.

    Atoms behind one another are so told apart.
    """
    matrix = structure.lattice.matrix
    normal = np.cross(matrix[0], matrix[1])
    axes = np.array([matrix[0] / np.linalg.norm(matrix[0]), normal / np.linalg.norm(normal)])
    axes += np.outer(_OBLIQUE, np.cross(axes[1], axes[0]))
    return np.asarray(matrix @ axes.T)


def _draw_atom(axis: Axes, site: PeriodicSite, point: tuple[float, float], color: str, order: float) -> None:
    number = site.specie.Z
    radius = 0.33 if number < 10 else 0.45 + 0.15 * min(number, 60) / 60
    ink = "white" if sum(to_rgb(color)) < 1.3 else "black"
    axis.add_patch(Circle(point, radius, facecolor=color, edgecolor="black", linewidth=0.5, zorder=order))
    axis.text(*point, site.species_string, ha="center", va="center", fontsize=7, color=ink, zorder=order)


def _draw_vacancy(axis: Axes, structure: Structure, edges: NDArray[np.float64]) -> None:
    place = structure.lattice.get_fractional_coords(structure.properties["defect"]["position"])
    for point in _images(place, edges):
        circle = Circle(point, 0.36, facecolor="white", linestyle="--", edgecolor="#c00000", zorder=4)
        axis.add_patch(circle)
        axis.text(*point, "V", ha="center", va="center", fontsize=7, color="#c00000", zorder=5)


def _images(fractional: NDArray[np.float64], edges: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Return where an atom is drawn, and its copies on the opposite edges of the cell."""
    inside = np.mod(np.round(fractional, 6), 1.0)
    shifts = [(0, 1) if x < 1e-3 else (0,) for x in (inside[0], inside[2])]
    places = [(inside + [i, 0, k]) @ edges for i in shifts[0] for k in shifts[1]]
    return [(float(x), float(z)) for x, z in places]
