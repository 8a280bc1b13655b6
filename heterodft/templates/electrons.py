"""How many electrons and bands a cell has."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from heterodft.templates.setup import Setup

__all__ = ["HasValence", "band_count", "electron_count"]

_FEWEST_EMPTY = 4


class HasValence(Protocol):
    """A pseudopotential of either code."""

    @property
    def valence(self) -> float:
        """Number of valence electrons."""
        ...


def electron_count(setup: Setup, pseudopotentials: Mapping[str, HasValence]) -> float:
    """Return the number of valence electrons of a cell, less its charge."""
    return sum(pseudopotentials[element].valence for element in setup.elements) - setup.charge


def band_count(setup: Setup, electrons: float) -> int:
    """Return the number of bands: the filled ones of the majority spin and a share of empty ones, at least four.

    A band of a noncollinear run holds one electron, so that there are twice as many.
    """
    moment = 0.0 if setup.noncollinear else abs(sum(setup.moments or ()))
    filled = math.ceil((electrons + moment) / 2 - 1e-9)
    bands = filled + max(_FEWEST_EMPTY, math.ceil(filled * setup.settings.empty_bands))
    return 2 * bands if setup.noncollinear else bands
