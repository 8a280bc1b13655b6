"""Levels of a defect beside the gap that was found, which are not the band edges of the host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.gaps import electrons_per_band, find_gap

if TYPE_CHECKING:
    from heterodft.analysis.result import Result

__all__ = ["levels_in_gap"]

_FEW = 0.1
"""States an atom of the cell; a band of the host holds more."""
_APART = 0.5
"""eV between such levels and the next band, at least."""


def levels_in_gap(result: Result) -> tuple[str, ...]:
    """Say where the highest filled or the lowest empty bands are a few levels apart from all others.

    They are told by holding few states for the size of the cell and by a gap behind them that is wider than the one
    beside them. Such are the levels of an acceptor or a donor; band edges and windows then count from these levels.
    """
    bands = result.bands
    gap = None if bands is None else find_gap(result)
    if bands is None or gap is None or gap.metal:
        return ()
    energies = np.sort(bands.energies, axis=2)
    lows, highs = energies.min(axis=1).ravel(), energies.max(axis=1).ravel()
    middle = max(s.valence_maximum for s in gap.spins if s.valence_maximum is not None) + gap.value / 2
    notes = []
    for word, near, far in (
        ("empty", lows[lows > middle] - middle, highs[lows > middle] - middle),
        ("filled", middle - highs[highs < middle], middle - lows[highs < middle]),
    ):
        order = np.argsort(near)
        ends = np.maximum.accumulate(far[order])
        behind = near[order][1:] - ends[:-1]
        wide = np.flatnonzero(behind > max(_APART, gap.value))
        states = 0 if not len(wide) else (int(wide[0]) + 1) * electrons_per_band(result)
        if 0 < states < _FEW * len(result.structure):
            notes.append(
                f"next to the gap of {gap.value:.2f} eV are bands of {states} {word} states, "
                f"{behind[wide[0]]:.2f} eV apart from those behind them, as levels of a defect are: the gap and "
                "energies from its middle are those of the levels, not of the host; give an energy inside the "
                "gap of the host: analyze --edge, in Python start= or edge="
            )
    return tuple(notes)
