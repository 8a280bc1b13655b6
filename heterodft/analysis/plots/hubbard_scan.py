"""Moment, gap, energies and volume against U: a line for each state, a mark for each branch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.lines import Line2D

from heterodft.analysis.plots.figure import Figure
from heterodft.analysis.plots.style import COLUMN, PAGE, PALETTE, fold, legend_columns, style

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes

    from heterodft.analysis.plots.scan_quantities import OrderEnergyPoint, ScanOfU, ScanPoint

__all__ = ["draw_hubbard_scan"]

_MARKS = {"up": "^", "down": "v", "cold": "o"}
_OTHER_STARTS = "Ds*PX"
_DASHES = ("-", "--", "-.", ":")
_STATE = re.compile(r" \(\d+\)(?=,|$)")
"""The number of a further state of an order."""
_MOST_IN_COLUMN = 4
_CHANGES = 1e-4
"""Part of a volume or length that is worth a panel."""
_SMALL = 0.5
"""Part of the largest moment below which the smallest lies where the axis begins at zero."""
_HIGHER = 0.5
"""meV per formula unit above the lowest that is worth a panel."""


@dataclass(frozen=True)
class _Panel:
    name: str
    value: Callable[[ScanPoint], float | None]


def draw_hubbard_scan(scan: ScanOfU, structure: str) -> Figure:
    """Draw one structure of a scan; filled marks are the lowest at their U, open ones lie higher."""
    rows = [row for row in scan.rows if row.structure == structure]
    lines = list(dict.fromkeys(_line(row) for row in sorted(rows, key=lambda row: (row.other_u, row.state))))
    panels = _panels(rows)
    energies = [one for one in scan.order_energies if one.structure == structure and one.value is not None]
    with style():
        number = len(panels) + bool(energies)
        figure, axes = _axes(number)
        for axis, panel in zip(axes, panels, strict=False):
            _draw_panel(axis, panel, rows, lines)
        if energies:
            _draw_orders(axes[number - 1], energies)
        for axis in axes:
            axis.margins(x=0.05, y=0.14)
            _from_zero(axis)
            if axis.xaxis.get_label_text() == "":
                axis.tick_params(labelbottom=False)
            else:
                axis.tick_params(labelbottom=True)
                axis.set_xlabel(f"{scan.axis} (eV)")
        figure.align_ylabels(axes)
        _legend(figure, rows, lines)
    return figure


def _from_zero(axis: Axes) -> None:
    """Let a gap begin at zero, and a moment that changes much, which would seem to vanish otherwise."""
    name, values = axis.get_ylabel(), np.concatenate([np.asarray(line.get_ydata(), float) for line in axis.lines])
    small = name.startswith("moment") and np.nanmin(values) < _SMALL * np.nanmax(values)
    if name.startswith("gap") or small:
        axis.set_ylim(bottom=-0.04 * axis.get_ylim()[1])


def _axes(number: int) -> tuple[Figure, list[Axes]]:
    """Return a figure with so many panels, one below the other or in two columns; the lowest name the axis."""
    columns = 1 if number <= _MOST_IN_COLUMN else 2
    across = -(-number // columns)
    figure = Figure(figsize=((COLUMN, PAGE)[columns - 1], 1.1 * across + 0.85), layout="constrained")
    axes = list(np.atleast_1d(figure.subplots(across, columns, sharex=True)).T.flat)
    for axis in axes[number:]:
        axis.remove()
    for last in {min(across, number) - 1, number - 1}:
        axes[last].set_xlabel("U")
    return figure, axes[:number]


def _line(row: ScanPoint) -> str:
    return ", ".join(filter(None, (row.state or row.point.order, row.other_u)))


def _look(line: str, lines: Sequence[str]) -> dict[str, Any]:
    """Return the colour of an order and the dashes of its states."""
    orders = list(dict.fromkeys(_STATE.sub("", one) for one in lines))
    order = _STATE.sub("", line)
    own = [one for one in lines if _STATE.sub("", one) == order]
    return {
        "color": PALETTE[orders.index(order) % len(PALETTE)],
        "linestyle": _DASHES[own.index(line) % len(_DASHES)],
    }


def _panels(rows: Sequence[ScanPoint]) -> list[_Panel]:
    panels = [_Panel("moment (μB)", lambda row: row.point.moment)]
    if any(row.point.gap is not None for row in rows):
        panels.append(_Panel("gap (eV)", lambda row: row.point.gap))
    if any((row.relative or 0) > _HIGHER for row in rows):
        panels.append(_Panel("above the lowest (meV/f.u.)", lambda row: row.relative))
    square = all(abs(row.lattice[0] - row.lattice[1]) < _CHANGES * row.lattice[0] for row in rows)
    lengths = [_Panel(f"{name} (Å)", _length("abc".index(name))) for name in ("ac" if square else "abc")]
    for panel in (_Panel("volume (Å³/f.u.)", lambda row: row.volume), *lengths):
        values = [_number(panel.value(row)) for row in rows]
        if np.ptp(values) > _CHANGES * max(values):
            panels.append(panel)
    return panels


def _length(axis: int) -> Callable[[ScanPoint], float]:
    return lambda row: row.lattice[axis]


def _draw_panel(axis: Axes, panel: _Panel, rows: Sequence[ScanPoint], lines: Sequence[str]) -> None:
    """Draw a line through the lowest point of each state at each U, and a mark for every branch."""
    starts = _other_starts(rows)
    for line in lines:
        look = _look(line, lines)
        own = [row for row in rows if _line(row) == line and panel.value(row) is not None]
        lowest: dict[float, ScanPoint] = {}
        for row in sorted(own, key=lambda row: (row.u, row.sort_energy)):
            lowest.setdefault(row.u, row)
        axis.plot(
            list(lowest), [_number(panel.value(row)) for row in lowest.values()], zorder=1, **look
        )  # fmt: skip
        for row in own:
            if row.shared:  # its own branch draws it
                continue
            inside = look["color"] if row.lowest else "white"
            axis.plot(
                [row.u], [_number(panel.value(row))], linestyle="", marker=_mark(row.branch, starts),
                color=look["color"], markerfacecolor=inside, markeredgewidth=0.7, zorder=2 + row.lowest,
            )  # fmt: skip
    axis.set_ylabel(fold(panel.name, height=0.95))


def _draw_orders(axis: Axes, energies: Sequence[OrderEnergyPoint]) -> None:
    pairs = list(dict.fromkeys((one.order, one.reference, one.other_u) for one in energies))
    axis.axhline(0, color="#999999", linewidth=0.5, zorder=0)
    for number, pair in enumerate(pairs):
        own = [one for one in energies if (one.order, one.reference, one.other_u) == pair]
        axis.plot(
            [one.u for one in own], [_number(one.value) for one in own], color="black", marker="s", markersize=2.5,
            linestyle=_DASHES[number % len(_DASHES)],
            label=" ".join(filter(None, (f"{pair[0]} − {pair[1]}", pair[2]))),
        )  # fmt: skip
    first = f"{pairs[0][0]} − {pairs[0][1]}" if len(pairs) == 1 else f"energy from {pairs[0][1]}"
    axis.set_ylabel(fold(f"{first} (meV/f.u.)", height=0.95))
    if len(pairs) > 1:
        axis.legend()


def _legend(figure: Figure, rows: Sequence[ScanPoint], lines: Sequence[str]) -> None:
    """Tell the states by colour, the branches by mark, and what open marks are."""
    starts = _other_starts(rows)
    branches = [name for name in (*_MARKS, *starts) if any(row.branch == name and not row.shared for row in rows)]
    entries = [Line2D([], [], label=line, **_look(line, lines)) for line in lines]
    entries += [
        Line2D([], [], color="#555555", linestyle="", marker=_mark(name, starts), label=name) for name in branches
    ]
    if not all(row.lowest for row in rows):
        entries.append(
            Line2D([], [], color="#555555", linestyle="", marker="o", markerfacecolor="white",
                   markeredgewidth=0.7, label="not the lowest")
        )  # fmt: skip
    names = [str(entry.get_label()) for entry in entries]
    columns = legend_columns(names, width=figure.get_figwidth())
    figure.legend(handles=entries, loc="outside upper center", ncols=columns)


def _other_starts(rows: Sequence[ScanPoint]) -> list[str]:
    return list(dict.fromkeys(row.branch for row in rows if row.branch not in _MARKS))


def _mark(branch: str, starts: Sequence[str]) -> str:
    return _MARKS.get(branch) or _OTHER_STARTS[list(starts).index(branch) % len(_OTHER_STARTS)]


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)
