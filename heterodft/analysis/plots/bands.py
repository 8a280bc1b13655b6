"""Band structure with spin and, where there are projections, the layer each state is in."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D

from heterodft.analysis.plots.figure import Figure
from heterodft.analysis.plots.style import (
    COLUMN,
    PALETTE,
    block_of,
    layer_colors,
    layer_of,
    legend_columns,
    pretty,
    style,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from heterodft.analysis.plots.quantities import BandLines

__all__ = ["draw_bands"]

_Entry: TypeAlias = tuple[str, str, Any, float]
"""Name, colour, dash and width in a legend."""
_MOST_GROUPS = 8
_THIN, _THICK = 0.3, 2.4
_GREEK = {"gamma": "Γ", "g": "Γ", "sigma": "Σ", "delta": "Δ", "lambda": "Λ"}


def draw_bands(layer_bands: BandLines, *, window: tuple[float, float] = (-4.0, 4.0)) -> Figure:
    """Draw bands along a path.

    With weights each spin has a panel, every state the colour of the layer in which most of it is and a line as thick
    as that part of it; planes, and more than eight layers, are added up by layer and by block. Without weights both
    spins share one panel, up solid and down dashed.

    Parameters
    ----------
    layer_bands
        Energies relative to their reference, with or without weights.
    window
        eV relative to the reference.
    """
    spins = len(layer_bands.energies)
    with style():
        figure = Figure(figsize=(COLUMN, 2.9), layout="constrained")
        parts = layer_bands.weights is not None
        axes = np.atleast_1d(figure.subplots(1, spins if parts else 1, sharey=True))
        if parts:
            names, weights, colors = _merged(layer_bands)
            for axis, spin in zip(axes, range(spins), strict=True):
                _draw_weighted(axis, layer_bands, spin, weights=weights[spin], colors=colors, window=window)
                if spins == 2:
                    axis.set_title(("spin up", "spin down")[spin], pad=3)
            entries: list[_Entry] = [
                (pretty(name), color, "-", 2.0) for name, color in zip(names, colors, strict=True)
            ]
        else:
            entries = _draw_plain(axes[0], layer_bands)
        if entries:
            _add_legend(figure, entries)
        for axis in axes:
            _dress(axis, layer_bands, window)
        axes[0].set_ylabel(f"energy from the {layer_bands.reference_name} (eV)")
    return figure


def _stretches(layer_bands: BandLines) -> list[slice]:
    """Return the parts of the path within which neighbouring k-points are joined."""
    edges = [0, *sorted(layer_bands.breaks), len(layer_bands.distances)]
    return [slice(low, high) for low, high in pairwise(edges) if high > low]


def _merged(layer_bands: BandLines) -> tuple[list[str], NDArray[np.float64], list[str]]:
    """Add weights up by layer, and by block when there are too many layers to tell apart.

    Returns
    -------
    names, weights, colors
        The weights of shape (spin, k, band, name).
    """
    groups = list(layer_bands.groups)
    keys = [layer_of(group.label) for group in groups]
    shades = layer_colors(groups)
    if len(set(keys)) > _MOST_GROUPS and len(set(map(block_of, keys))) > 1:
        keys = [block_of(key) for key in keys]
        shades = dict(zip(dict.fromkeys(keys), PALETTE * (len(keys) // len(PALETTE) + 1), strict=False))
    names = list(dict.fromkeys(keys))
    weights: Any = layer_bands.weights
    sums = np.stack(
        [weights[..., [i for i, key in enumerate(keys) if key == name]].sum(axis=-1) for name in names], axis=-1
    )
    return names, sums, [shades[name] for name in names]


def _draw_weighted(
    axis: Axes,
    layer_bands: BandLines,
    spin: int,
    *,
    weights: NDArray[np.float64],
    colors: Sequence[str],
    window: tuple[float, float],
) -> None:
    """Draw the bands of one spin piece by piece; weights (k, band, name)."""
    energies = layer_bands.energies[spin]
    shown = np.flatnonzero((energies.max(axis=0) >= window[0]) & (energies.min(axis=0) <= window[1]))
    for part in _stretches(layer_bands):
        x = layer_bands.distances[part]
        axis.plot(x, energies[part][:, shown], color="#bbbbbb", linewidth=_THIN, zorder=1)
        pieces: list[NDArray[np.float64]] = []
        looks: list[str] = []
        widths: list[float] = []
        for band in shown:
            points = np.column_stack([x, energies[part, band]])
            middle = (weights[part, band][:-1] + weights[part, band][1:]) / 2
            pieces += list(np.stack([points[:-1], points[1:]], axis=1))
            looks += [colors[i] for i in middle.argmax(axis=1)]
            widths += list(_THICK * np.clip(middle.max(axis=1), 0, 1))
        axis.add_collection(LineCollection(pieces, colors=looks, linewidths=widths, capstyle="round", zorder=2))


def _draw_plain(axis: Axes, layer_bands: BandLines) -> list[_Entry]:
    """Draw the lines; return a legend's entries, none when there is one spin."""
    entries: list[_Entry] = [("spin up", PALETTE[0], "-", 0.8), ("spin down", PALETTE[1], "--", 0.8)]
    for spin in reversed(range(len(layer_bands.energies))):
        _, color, dash, width = entries[spin]
        for part in _stretches(layer_bands):
            lines = layer_bands.energies[spin, part]
            axis.plot(layer_bands.distances[part], lines, color=color, linestyle=dash, linewidth=width)
    return entries if len(layer_bands.energies) == 2 else []


def _add_legend(figure: Figure, entries: Sequence[_Entry]) -> None:
    handles = [Line2D([], [], color=c, linestyle=dash, linewidth=w, label=name) for name, c, dash, w in entries]
    ncols = min(legend_columns([name for name, *_ in entries]), 4)
    figure.legend(handles=handles, loc="outside lower center", ncols=ncols)


def _dress(axis: Axes, layer_bands: BandLines, window: tuple[float, float]) -> None:
    axis.axhline(0, color="black", linewidth=0.5, linestyle="--", zorder=0)
    axis.set_xlim(float(layer_bands.distances[0]), float(layer_bands.distances[-1]))
    axis.set_ylim(*window)
    places = _tidy(layer_bands.labels)
    axis.set_xticks(list(places), list(places.values()))
    axis.tick_params(axis="x", length=0)
    for place in places:
        axis.axvline(place, color="#888888", linewidth=0.4, zorder=0)


def _tidy(labels: Mapping[float, str]) -> dict[float, str]:
    """Write Greek letters as such, and lower the numbers of names such as ``S_0``."""
    tidy = {}
    for place, name in labels.items():
        parts = [part.strip().lstrip("\\") for part in name.split("|")]
        parts = [_GREEK.get(part.lower(), part) for part in parts]
        tidy[place] = "|".join(pretty(part.replace("_", "")) for part in parts)
    return tidy
