"""One style for all figures: readable in print at the width of one column, told apart without colour vision."""

from __future__ import annotations

import re
from itertools import groupby
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.colors import to_hex

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from matplotlib.axes import Axes

    from heterodft.analysis.layers import AtomicPlane
    from heterodft.analysis.plots.quantities import Group

__all__ = [
    "COLUMN",
    "PAGE",
    "PALETTE",
    "SMALL",
    "block_of",
    "block_runs",
    "fold",
    "layer_colors",
    "layer_of",
    "legend_columns",
    "material_colors",
    "pretty",
    "pretty_orbital",
    "shade_blocks",
    "style",
    "tick_text",
]

COLUMN, PAGE = 3.4, 7.0
"""Inches: the widths of one and of two columns of a journal."""
SMALL = 6.0
"""Points: the smallest text."""
_LETTER = 3.6
"""Points: the mean width of its letters."""
_SLIVER = 9.0
"""Points: a stretch too narrow for its name, such as the end of a layer that begins at the other end of the cell."""
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5d4a8a", "#7f7f7f")
"""Of Okabe and Ito, whom colour-blind readers can follow, with a violet and a grey."""
_FAMILIES = ("Blues", "Oranges", "Greens", "Purples", "Reds")
_TINTS = ("#dbe9f6", "#fde3cb", "#dcf0d9", "#e8e6f2", "#fbdcd4")
_STYLE: Any = {
    "font.size": 7,
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that a figure is the same everywhere
    "mathtext.fontset": "dejavusans",
    "axes.labelsize": 7,
    "axes.titlesize": 7,
    "axes.linewidth": 0.5,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.fontsize": SMALL,
    "legend.handlelength": 1.4,
    "legend.columnspacing": 1.0,
    "legend.frameon": False,
    "lines.linewidth": 0.9,
    "lines.markersize": 3.5,
    "hatch.linewidth": 0.5,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "0",
    "savefig.dpi": 300,
}


def style() -> AbstractContextManager[None]:
    """Return the context in which figures are made and saved; outside of it the user's settings are left alone."""
    return rc_context(_STYLE)


_COUNT = re.compile(r"(?<=[A-Za-z)])\d+(?![\d.])")
_LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def pretty(text: str) -> str:
    """Lower the numbers of formulas.

    Examples
    --------
    >>> pretty("LaAlO3[1]:12 AlO2")
    'LaAlO₃[1]:12 AlO₂'
    """
    return _COUNT.sub(lambda count: count[0].translate(_LOWERED), text)


def pretty_orbital(name: str) -> str:
    """Raise the powers in the name of an orbital.

    Examples
    --------
    >>> pretty_orbital("dx2-y2"), pretty_orbital("t2g")
    ('dx²−y²', 't₂g')
    """
    return pretty(re.sub(r"(?<=[xyz])[23]", lambda power: "²³"[power[0] == "3"], name).replace("-", "−"))


def legend_columns(names: Sequence[str], *, width: float = COLUMN) -> int:
    """Return how many entries of a legend fit side by side into a width in inches."""
    entry = max((len(name) for name in names), default=1) * _LETTER + 24
    return max(1, min(len(names), int(72 * width / entry), 6))


def fold(text: str, *, height: float) -> str:
    """Break the name of an axis into lines that fit into a height (or width) in inches."""
    return "\n".join(wrap(text, max(int(72 * height / (_LETTER * 7 / SMALL)), 8), break_long_words=False))


def block_of(label: str) -> str:
    """Return the block of a layer or plane: ``LaAlO3[1]`` of ``LaAlO3[1]:12 AlO2``; empty when it names none."""
    return label.partition(" ")[0].rpartition(":")[0]


def layer_of(label: str) -> str:
    """Return the layer of a plane's label, or that of a layer as it is."""
    return label.partition(" ")[0] if block_of(label) else label


def tick_text(label: str) -> str:
    """Return what tells a group from others of its block: the number of a layer, number and formula of a plane."""
    layer, _, formula = label.partition(" ")
    if not block_of(label):
        return pretty(label)
    return pretty(formula) or layer.rpartition(":")[2]


def block_runs(labels: Sequence[str]) -> list[tuple[str, int, int]]:
    """Return the blocks one after another, each with its first and last index."""
    runs, start = [], 0
    for block, members in groupby(labels, block_of):
        count = len(list(members))
        runs.append((block, start, start + count - 1))
        start += count
    return runs


def _materials(blocks: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(block.partition("[")[0] for block in blocks))


def material_colors(labels: Sequence[str]) -> dict[str, str]:
    """Return a pale colour for each block, the same for all blocks of a material."""
    blocks = list(dict.fromkeys(map(block_of, labels)))
    materials = _materials(blocks)
    return {block: _TINTS[materials.index(block.partition("[")[0]) % len(_TINTS)] for block in blocks}


def layer_colors(groups: Sequence[AtomicPlane | Group]) -> dict[str, str]:
    """Return a colour for each layer label: one hue a block, darker towards the top."""
    labels = list(dict.fromkeys(getattr(group, "layer", None) or layer_of(group.label) for group in groups))
    blocks = list(dict.fromkeys(map(block_of, labels)))
    colors = {}
    for number, block in enumerate(blocks):
        own = [label for label in labels if block_of(label) == block]
        family = colormaps[_FAMILIES[number % len(_FAMILIES)]]
        for label, shade in zip(own, np.linspace(0.45, 0.85, len(own)) if len(own) > 1 else [0.55], strict=True):
            colors[label] = to_hex(family(float(shade)))
    return colors


def shade_blocks(axis: Axes, labels: Sequence[str], bounds: Sequence[tuple[float, float]]) -> None:
    """Shade the stretch of each block along x and write its name above the axes.

    Parameters
    ----------
    axis
        With its x limits set.
    labels
        Of the groups from the bottom up.
    bounds
        Where each group begins and ends along x.
    """
    colors = material_colors(labels)
    runs = block_runs(labels)
    left, right = axis.get_xlim()
    for block, first, last in runs:
        low, high = bounds[first][0], bounds[last][1]
        axis.axvspan(low, high, facecolor=colors[block], linewidth=0, zorder=-2)
        if first:
            axis.axvline(low, color="#999999", linewidth=0.4, zorder=-1)
        middle = (max(low, left) + min(high, right)) / 2
        width = (min(high, right) - max(low, left)) / (right - left) * _points_wide(axis)
        name = pretty(block)
        if width > _SLIVER and left < middle < right:
            _name_block(axis, name, middle, upright=len(name) * 0.62 * 7 > width)


def _points_wide(axis: Axes) -> float:
    """Width of the axes in points, as far as it is known before the layout: nine tenths of the figure."""
    figure: Any = axis.figure
    return float(figure.get_size_inches()[0]) * 72 * 0.88


def _name_block(axis: Axes, name: str, middle: float, *, upright: bool) -> None:
    axis.annotate(
        name,
        (middle, 1.0),
        (0, 2),
        xycoords=axis.get_xaxis_transform(),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=SMALL if upright else 7,
        rotation=90 if upright else 0,
    )
