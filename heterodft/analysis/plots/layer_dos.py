"""Density of states by layer or plane, one panel each, in the order they lie in the cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.patches import Patch

from heterodft.analysis.plots.figure import Figure
from heterodft.analysis.plots.style import COLUMN, PALETTE, SMALL, fold, legend_columns, pretty, pretty_orbital, style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from heterodft.analysis.pdos import LayerDos
    from heterodft.analysis.plots.quantities import DosStack

__all__ = ["draw_layer_dos"]

_COLORS = {
    "s": "#7f7f7f", "p": "#0072B2", "d": "#D55E00", "f": "#009E73",
    "pz": "#0072B2", "px": "#56B4E9", "py": "#5d4a8a",
    "dz2": "#D55E00", "dx2-y2": "#E69F00", "dxy": "#009E73", "dxz": "#CC79A7", "dyz": "#8c564b",
    "eg": "#D55E00", "t2g": "#009E73",
}  # fmt: skip
_SHELLS = ("s", "p", "d", "f")
_PANEL, _MOST = 0.62, 8.6
"""Inches: the height of a panel, and that of all of them together, a page."""
_NAME = 0.2
"""Part of the width that a name takes."""
_LEAST, _TIGHT, _DENSE = 0.18, 0.27, 0.45
_SPIKE, _CUT = 0.3, 2.0
"""eV over which a density is averaged, and how many times the largest average is shown of a spike."""


def draw_layer_dos(layer_dos: DosStack | LayerDos, *, window: tuple[float, float] = (-8.0, 6.0)) -> Figure:
    """Draw the density of states of every group, the top one on top, spin down mirrored.

    A spike that would flatten all the rest runs out of its panel, with an arrowhead; its numbers are in the table.

    Parameters
    ----------
    layer_dos
        By plane or layer, by shell or orbital; of a noncollinear run the sum of both spins is drawn.
    window
        eV relative to its reference.
    """
    groups, columns = _groups(layer_dos), tuple(getattr(layer_dos, "columns", _SHELLS))
    energies, values = layer_dos.energies, layer_dos.values
    inside = (energies >= window[0]) & (energies <= window[1])
    values = values[:, :, : 2 if values.shape[2] == 2 else 1]
    used = [i for i in range(len(columns)) if values[:, i][..., inside].any()]
    colors = _colors(columns)
    panel = max(min(_PANEL, _MOST / len(groups)), _LEAST)
    with style():
        figure = Figure(figsize=(COLUMN, panel * len(groups) + 0.6), layout="constrained")
        figure.get_layout_engine().set(hspace=0, h_pad=0.005)  # type: ignore[union-attr, call-arg]
        axes = np.atleast_1d(figure.subplots(len(groups), 1, sharex=True))
        for axis, index in zip(axes, reversed(range(len(groups))), strict=True):
            _draw_curves(axis, energies[inside], values[index][..., inside], used, colors)
            left = _emptier_left(energies[inside], values[index][..., inside])
            _dress(axis, _name(groups[index]), panel=panel, left=left)
        if used:
            patches = [
                Patch(facecolor=(colors[i], 0.4), edgecolor=colors[i], label=pretty_orbital(columns[i])) for i in used
            ]
            figure.legend(
                handles=patches, loc="outside upper center", ncols=legend_columns([columns[i] for i in used])
            )
        axes[-1].set_xlim(*window)
        axes[-1].set_xlabel(f"energy from the {layer_dos.reference_name} (eV)")
        spins = "\nspin up above, down below" if values.shape[2] == 2 and panel * len(groups) > 1.7 else ""
        name = fold("density of states (1/eV)", height=panel * len(groups) + 0.2) + spins
        figure.supylabel(name, fontsize=7, multialignment="center")
    return figure


def _groups(layer_dos: DosStack | LayerDos) -> Sequence[Any]:
    found: Sequence[Any] = getattr(layer_dos, "groups", None) or layer_dos.planes  # type: ignore[union-attr]
    return found


def _name(group: Any) -> str:
    """Return formula and layer of a plane, or the label of a layer."""
    return f"{group.formula}   {group.layer}" if hasattr(group, "layer") else str(group.label)


def _colors(columns: Sequence[str]) -> list[str]:
    """Return a colour a column; shells and orbitals have theirs, other names take those left in turn."""
    return [_COLORS.get(name, PALETTE[i % len(PALETTE)]) for i, name in enumerate(columns)]


def _draw_curves(
    axis: Axes, energies: NDArray[np.float64], values: NDArray[np.float64], used: list[int], colors: Sequence[str]
) -> None:
    """Draw the columns of one group; values (column, spin, energy)."""
    largest, top = float(values.max(initial=0.0)), 0.0
    for column in used:
        if values[column].max() < 0.01 * largest:
            continue
        for sign, part in zip((1, -1), values[column], strict=False):  # up, and down where there are spins
            kept = _without_empty_stretches(part, 1e-3 * largest)
            axis.fill_between(
                energies[kept],
                sign * part[kept],
                facecolor=(colors[column], 0.25),
                edgecolor=colors[column],
                linewidth=0.6,
            )
        top = max(top, *(_height(energies, part) for part in values[column]))
    limit = 1.1 * top or 1.0
    axis.set_ylim(-limit if values.shape[1] == 2 else 0.0, limit)
    _mark_cut(axis, energies, values, limit)


def _height(energies: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    """Return the height to show: that of the largest peak, unless it is a spike that would flatten all the rest.

    Tetrahedra make one of a flat band, as high as its band is flat, though it holds no more states than others.
    """
    largest = float(values.max(initial=0.0))
    points = round(_SPIKE / float(np.diff(energies).mean())) if len(energies) > 1 else 0
    if points < 2 or points > len(energies):
        return largest
    broad = float(np.convolve(values, np.full(points, 1 / points), mode="same").max())
    return min(largest, _CUT * broad)


def _mark_cut(axis: Axes, energies: NDArray[np.float64], values: NDArray[np.float64], limit: float) -> None:
    """Put an arrowhead where a spike runs out of its panel; values (column, spin, energy)."""
    for sign, marker, part in zip((1, -1), ("^", "v"), values.max(axis=0), strict=False):
        above = part > limit
        for start, end in np.flatnonzero(np.diff(np.pad(above, 1).astype(int))).reshape(-1, 2):
            peak = energies[start + int(part[start:end].argmax())]
            axis.plot(peak, sign * limit, marker, color="black", markersize=2.5, clip_on=False, zorder=5)


def _emptier_left(energies: NDArray[np.float64], values: NDArray[np.float64]) -> bool:
    """Whether there is as much room for a name at the left end as at the right one; values (column, spin, energy)."""
    if not len(energies):
        return True
    part = energies[0] + _NAME * (energies[-1] - energies[0]), energies[-1] - _NAME * (energies[-1] - energies[0])
    up = values[:, 0]
    left, right = (up[:, chosen].max(initial=0.0) for chosen in (energies < part[0], energies > part[1]))
    return bool(left <= max(right, 0.5 * up.max(initial=0.0)))


def _dress(axis: Axes, name: str, *, panel: float, left: bool) -> None:
    axis.axhline(0, color="black", linewidth=0.4)
    axis.axvline(0, color="black", linewidth=0.6, linestyle="--")
    axis.axvspan(-2, 0, color="#fff2b3", alpha=0.5, linewidth=0, zorder=0)
    dense = panel < _DENSE
    place = (1.012, 0.5) if dense else (0.022 if left else 0.978, 0.93)  # a small panel would be hidden by it
    ground = {"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 0.6}
    align = "center" if dense else "top"
    side = "left" if left or dense else "right"
    axis.text(*place, pretty(name), transform=axis.transAxes, ha=side, va=align, fontsize=SMALL, bbox=ground)
    low, high = axis.get_ylim()
    step = _round_below(0.75 * high)
    ticks = [step] if not low or panel < _TIGHT else [-step, step]
    axis.set_yticks(ticks if dense else [0.0, *ticks])
    axis.set_yticklabels([f"{abs(tick):g}" for tick in axis.get_yticks()])


def _round_below(value: float) -> float:
    """Return the largest of 1, 2, 5, 10 … that is not above a value."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(max(digit * power for digit in (1, 2, 5) if digit * power <= value * (1 + 1e-9)))


def _without_empty_stretches(values: NDArray[np.float64], tolerance: float) -> NDArray[np.bool_]:
    """Mark the points to draw: all but those inside a stretch of zeros."""
    full = np.pad(values > tolerance, 1, constant_values=True)
    return np.asarray(full[1:-1] | full[:-2] | full[2:])
