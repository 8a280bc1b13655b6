"""A density of states by tetrahedra, given at points, made to hold as many states as there are bands.

Between the points of the grid lies what trapezoids do not see: a band narrower than a step of the grid, or one whose
tetrahedra a coarse mesh leaves flat, is hit by chance. Yet each set of bands with a gap below and above it holds a
known number of states, and its part below the Fermi level the occupations of these bands. Within such a set
the density keeps its shape and is multiplied by one factor below and one above the Fermi level.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.gaps import electrons_per_band
from heterodft.analysis.integrals import has_tetrahedra, integrate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from heterodft.analysis.result import Bands, ProjectedDos, Result

__all__ = ["CountedStates", "count_states"]

_APART = 4
"""Steps of the grid between two sets of bands."""
_LEAST = 0.05
"""Part of a set of bands that the grid must have seen to be scaled."""
_FEW = 0.02
"""States of a set below or above the Fermi level, by which no factor is told."""
_NEAR = 3.0
"""eV from the Fermi level within which bands matter to carriers and electrons by layer."""


@dataclass(frozen=True)
class CountedStates:
    """A density of states that holds what its bands hold.

    Attributes
    ----------
    dos
        The density of states; the one that was read where nothing is known better.
    missing
        Electrons in bands that it does not hold: too narrow for its grid, or below it.
    highest
        eV, the upper end of the highest of them; None where there is none.
    factor
        The largest change that was made within 3 eV of the Fermi level, never below one: 1.13 for 0.885 or 1.13.
    """

    dos: ProjectedDos
    missing: float = 0.0
    highest: float | None = None
    factor: float = 1.0


def count_states(dos: ProjectedDos, result: Result) -> CountedStates:
    """Scale a density of states at points by the number of its bands.

    Parameters
    ----------
    dos
        Of the result.
    result
        With bands of the same mesh. Without bands, with those of a path, or without tetrahedra nothing is changed:
        sums of broadened levels hold what they should.
    """
    bands, channels = result.bands, _channels(dos)
    if bands is None or not bands.energies.size or result.on_path or not has_tetrahedra(result):
        return CountedStates(dos)
    if len(channels) != len(bands.energies) or not result.fermi_levels:
        return CountedStates(dos)
    per_band, levels = electrons_per_band(result), np.resize(result.fermi_levels, len(channels))
    scale = np.ones((len(channels), len(dos.energies)))
    missing, ends, factor = 0.0, [], 1.0
    for spin, (density, level) in enumerate(zip(channels, levels, strict=True)):
        for one in _sets(bands, spin, _APART * float(np.diff(dos.energies).mean())):
            found = _factors(dos.energies, density, one, float(level), per_band)
            inside = (dos.energies >= one.low - one.margin) & (dos.energies <= one.high + one.margin)
            scale[spin, inside] = np.where(dos.energies[inside] <= level, *(found or (0.0, 0.0)))
            if found is None:
                missing += per_band * one.filled
                ends += [one.high] if one.filled > _FEW else []
            elif one.low < level + _NEAR and one.high > level - _NEAR:
                factor = max(factor, *(max(x, 1 / x) for x in found))
    spread = scale if len(channels) == dos.total.shape[0] else np.repeat(scale, dos.total.shape[0], axis=0)
    scaled = replace(dos, values=dos.values * spread, total=dos.total * spread)
    return CountedStates(scaled, missing, max(ends, default=None), factor)


@dataclass(frozen=True)
class _Set:
    """Bands of one spin between two gaps: their ends in eV, how many they are, and how many of them are filled."""

    low: float
    high: float
    count: int
    filled: float
    margin: float


def _channels(dos: ProjectedDos) -> NDArray[np.float64]:
    return dos.total if dos.total.shape[0] != 4 else dos.total[:1]


def _sets(bands: Bands, spin: int, apart: float) -> list[_Set]:
    """Return the sets of bands that are further apart than a distance in eV, from the bottom up."""
    order = np.argsort(bands.energies[spin], axis=1)
    energies = np.take_along_axis(bands.energies[spin], order, axis=1)
    filled = np.take_along_axis(bands.occupations[spin], order, axis=1)
    low, high = energies.min(axis=0), np.maximum.accumulate(energies.max(axis=0))
    begins = [0, *(i for i in range(1, len(low)) if low[i] - high[i - 1] > apart), len(low)]
    return [
        _Set(low[i], high[j - 1], j - i, float(bands.weights @ filled[:, i:j].sum(axis=1)), apart / 2)
        for i, j in pairwise(begins)
    ]


def _factors(
    energies: NDArray[np.float64], density: NDArray[np.float64], one: _Set, level: float, per_band: int
) -> tuple[float, float] | None:
    """Return the factors of a set below and above the Fermi level; None where the grid does not hold it."""
    low, high = one.low - one.margin, one.high + one.margin
    if one.low < energies[0] - one.margin or one.high > energies[-1] + one.margin:
        return None if one.high < energies[0] else (1.0, 1.0)  # cut off by the ends of the grid
    whole = float(integrate(energies, density, low, high, "points"))
    states = float(per_band * one.count)
    if whole < _LEAST * states:
        return None
    both = states / whole
    below = float(integrate(energies, density, low, min(max(level, low), high), "points"))
    filled = per_band * one.filled
    parts = [(filled, below), (states - filled, whole - below)]
    told = [n / found if n > _FEW and found > _LEAST * n else both for n, found in parts]
    return told[0], told[1]
