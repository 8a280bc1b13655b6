"""Figures: density of states by layer, and the cell from the side. Drawing knows nothing of a DFT code."""

from __future__ import annotations

import re
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Patch

from heterodft.analysis.layers import find_planes
from heterodft.analysis.pdos import SHELLS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from heterodft.analysis.layers import AtomicPlane
    from heterodft.analysis.pdos import LayerDos

__all__ = ["draw_layer_dos", "draw_side_view", "layer_colors", "to_svg"]

_SHELL_COLORS = {"s": "#7f7f7f", "p": "#1f77b4", "d": "#d95f02", "f": "#7570b3"}
_FAMILIES = ("Blues", "Oranges", "Greens", "Purples", "Reds")
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
        figure.supylabel("density of states (1/eV), spin up above, down below", fontsize=7)
    return figure


def _draw_plane(axis: Axes, layer_dos: LayerDos, index: int, inside: Any, used: list[int]) -> None:
    energies = layer_dos.energies[inside]
    polarized = layer_dos.values.shape[2] == 2
    largest, top = float(layer_dos.values[index][:, :, inside].max()), 0.0
    for shell in used:
        values = layer_dos.values[index, shell][:, inside]
        up, down = (values[0], values[1]) if polarized else (values[0] / 2, values[0] / 2)
        if max(up.max(), down.max()) < 0.01 * largest:
            continue
        color = _SHELL_COLORS[SHELLS[shell]]
        for sign, part in ((1, up), (-1, down)):
            kept = _without_empty_stretches(part, 1e-3 * largest)
            axis.fill_between(
                energies[kept], sign * part[kept], facecolor=(color, 0.25), edgecolor=color, linewidth=0.6
            )
        top = max(top, float(np.max([up, down], initial=0.0)))
    limit = 1.1 * top or 1.0
    axis.set_ylim(-limit, limit)
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
    width, height = structure.lattice.matrix[0, 0], structure.lattice.matrix[2, 2]
    with rc_context(_STYLE):
        scale = 0.5
        figure = Figure(figsize=(scale * (width + 5.6), scale * (height + 2.6)), layout="constrained")
        axis = figure.subplots()
        axis.plot([0, width, width, 0, 0], [0, 0, height, height, 0], color="#888888", linewidth=0.7, zorder=0)
        for plane in planes:
            for site in plane.sites:
                _draw_atom(axis, structure, site, colors[plane.layer])
            axis.text(width + 0.9, plane.height, plane.formula, va="center", fontsize=8)
            axis.text(width + 2.7, plane.height, plane.layer, va="center", fontsize=7.5, color=colors[plane.layer])
        defect = structure.properties.get("defect")
        if defect:
            x, _, z = defect["position"]
            for image in _images(x, z, width, height):
                axis.add_patch(Circle(image, 0.45, fill=False, linestyle="--", color="#c00000", zorder=4))
                axis.text(*image, "V", ha="center", va="center", fontsize=7, color="#c00000", zorder=5)
        axis.set(xlim=(-0.9, width + 4.7), ylim=(-1.0, height + 1.0), aspect="equal")
        axis.axis("off")
    return figure


def _draw_atom(axis: Axes, structure: Structure, index: int, color: str) -> None:
    site = structure[index]
    radius = 0.33 if site.specie.Z < 10 else 0.45 + 0.15 * min(site.specie.Z, 60) / 60
    x, _, z = site.coords
    width, height = structure.lattice.matrix[0, 0], structure.lattice.matrix[2, 2]
    for image in _images(float(x), float(z), width, height):
        depth = 2 + (site.specie.Z > 10)
        axis.add_patch(Circle(image, radius, facecolor=color, edgecolor="black", linewidth=0.5, zorder=depth))
        axis.text(*image, site.species_string, ha="center", va="center", fontsize=7, zorder=depth + 0.5)


def _images(x: float, z: float, width: float, height: float) -> list[tuple[float, float]]:
    """Return a point and its copies on the opposite edges of the cell."""
    xs = [x % width] + ([width] if x % width < 1e-3 else [])
    zs = [z % height] + ([height] if z % height < 1e-3 else [])
    return [(px, pz) for px in xs for pz in zs]
