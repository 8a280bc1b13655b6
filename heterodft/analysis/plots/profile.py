"""Numbers along the layers: moments, charges, carriers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import NullLocator

from heterodft.analysis.plots.figure import Figure
from heterodft.analysis.plots.style import (
    COLUMN,
    PAGE,
    PALETTE,
    SMALL,
    block_of,
    fold,
    legend_columns,
    pretty,
    shade_blocks,
    style,
    tick_text,
)
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from heterodft.analysis.plots.quantities import LayerProfile, SlabProfile

__all__ = ["draw_profile", "draw_slab_integrals"]

_MOST_IN_A_COLUMN = 26
_ROUNDING = 1e-9
"""What is smaller in every layer is drawn as zero."""
_MARKERS = "os^Dv<>P"


def draw_profile(profile: LayerProfile) -> Figure:
    """Draw a profile along the layers from the bottom of the cell (left) to its top, materials shaded.

    One series is drawn as bars, several as points with lines. Up to 26 groups fit one column; more take two.

    Raises
    ------
    ReaderError
        If there is no number to draw.
    """
    if not np.isfinite(profile.values).any():
        raise ReaderError(f"the {profile.quantity} of no layer is known, so there is nothing to draw")
    labels = [group.label for group in profile.groups]
    count, series = len(labels), len(profile.columns)
    places = np.arange(count)
    with style():
        wide = count > _MOST_IN_A_COLUMN
        beside = legend_columns(profile.columns)
        rows = -(-series // beside) if series > 1 else 0
        figure = Figure(figsize=(PAGE if wide else COLUMN, 1.95 + 0.13 * rows), layout="constrained")
        axis = figure.subplots()
        axis.set_xlim(-0.5, count - 0.5)
        if series == 1:
            axis.bar(places, np.nan_to_num(profile.values[:, 0]), width=0.7, color=PALETTE[0], linewidth=0)
        for i, name in enumerate(profile.columns if series > 1 else ()):
            marker = _MARKERS[i % len(_MARKERS)]
            axis.plot(
                places, profile.values[:, i], marker=marker, color=PALETTE[i % len(PALETTE)], label=pretty(name)
            )
        _limits(axis, profile)
        axis.axhline(0, color="black", linewidth=0.5)
        _name_groups(axis, labels)
        shade_blocks(axis, labels, [(place - 0.5, place + 0.5) for place in places])
        unit = f" ({profile.unit})" if profile.unit else ""
        only = f", {profile.columns[0]}" if series == 1 and profile.columns[0] not in profile.quantity else ""
        axis.set_ylabel(fold(f"{profile.quantity}{only}{unit}", height=1.5))
        if series > 1:
            figure.legend(loc="outside lower center", ncols=beside)
    return figure


def _limits(axis: Axes, profile: LayerProfile) -> None:
    """Show zero where it is near; elsewhere, as with charges, the range of the values."""
    finite = profile.values[np.isfinite(profile.values)]
    low, high = float(finite.min()), float(finite.max())
    if len(profile.columns) == 1 or high - low > 0.2 * max(abs(low), abs(high)):
        low, high = min(low, 0.0), max(high, 0.0)
    if max(abs(low), abs(high)) < _ROUNDING:
        low, high = 0.0, 1.0
    margin = 0.08 * (high - low) or 0.1 * abs(high)
    axis.set_ylim(low - margin * (low != 0), high + margin * (high != 0))


def _name_groups(axis: Axes, labels: list[str]) -> None:
    names = [tick_text(label) for label in labels]
    upright = max(map(len, names)) > 2
    axis.set_xticks(range(len(labels)), names, rotation=90 if upright else 0, fontsize=SMALL)
    axis.tick_params(axis="x", length=0, pad=2)
    axis.xaxis.set_minor_locator(NullLocator())
    planes = " " in labels[0] if labels else False
    if any(map(block_of, labels)):
        axis.set_xlabel("plane" if planes else "layer")


def draw_slab_integrals(slabs: SlabProfile) -> Figure:
    """Draw a density integrated over each layer or plane; of a magnetization its three components."""
    values = np.asarray(slabs.values)
    columns = ("x", "y", "z") if values.ndim == 2 else ("integral of the density",)
    name = {"spin density": "moment", "magnetization": "moment", "charge density": "electrons"}
    groups = [SimpleNamespace(label=label) for label in slabs.labels]
    quantity = name.get(slabs.quantity, slabs.quantity)
    return draw_profile(
        SimpleNamespace(
            groups=groups,
            columns=columns,
            values=values.reshape(len(groups), -1),
            quantity=quantity,
            unit="" if quantity == "electrons" else slabs.unit,
        )
    )
