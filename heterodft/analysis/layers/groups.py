"""Planes and layers of a cell, and sums over them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from heterodft.errors import ReaderError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["AtomicPlane", "Axis", "Layer", "Layering", "SiteGroup", "sum_over_groups"]

Axis = Literal["a", "b", "c"]


class SiteGroup(Protocol):
    """A plane or a layer: what profiles are resolved by.

    Together the groups fill one period; the top one may end above the cell and the bottom one begin below zero.
    """

    @property
    def label(self) -> str:
        """``SrTiO3:1`` of a layer, ``SrTiO3:1 TiO2`` of a plane."""

    @property
    def formula(self) -> str:
        """What is in it, per in-plane cell: ``TiO2``, or ``TiO`` with a vacancy in a 1 × 1 cell."""

    @property
    def sites(self) -> tuple[int, ...]:
        """Indices of its atoms."""

    @property
    def height(self) -> float:
        """Mean height in Å along the normal of the cell's first two vectors, or of `Layering.axis`."""

    @property
    def bottom(self) -> float:
        """Å; half way to the group below, periodic images included."""

    @property
    def top(self) -> float:
        """Å; half way to the group above."""


@dataclass(frozen=True)
class AtomicPlane:
    """One atomic plane of a cell, a `SiteGroup`; ``number`` counts from 0 at the bottom, ``layer`` is its layer's
    label.
    """

    number: int
    layer: str
    formula: str
    sites: tuple[int, ...]
    height: float
    bottom: float = 0.0
    top: float = 0.0

    @property
    def label(self) -> str:
        """Layer and formula."""
        return f"{self.layer} {self.formula}"


@dataclass(frozen=True)
class Layer:
    """One layer of a cell, a `SiteGroup`, with its planes from the bottom up.

    Its formula is per in-plane cell of the material: ``SrTiO2.75`` with one oxygen vacancy in a 2 × 2 cell.
    """

    label: str
    material: str
    formula: str
    sites: tuple[int, ...]
    height: float
    bottom: float
    top: float
    planes: tuple[AtomicPlane, ...]


@dataclass(frozen=True)
class Layering:
    """The planes and layers of a cell, both from the bottom up.

    Attributes
    ----------
    planes, layers
        As they lie in the cell.
    source
        ``labels`` (of our builder), ``composition`` (found from heights and what is in the planes) or ``given`` (the
        user's list).
    period
        Å along the normal.
    axis
        The cell vector that the normal belongs to: that of the two others.
    notes
        What the user should know of how they were found.
    """

    planes: tuple[AtomicPlane, ...]
    layers: tuple[Layer, ...]
    source: Literal["labels", "composition", "given"]
    period: float
    axis: Axis = "c"
    notes: tuple[str, ...] = ()

    def groups(self, by: str) -> tuple[SiteGroup, ...]:
        """Return the layers (``"layer"``) or the planes (``"plane"``).

        Raises
        ------
        ReaderError
            If it is neither word.
        """
        if by not in ("layer", "plane"):
            raise ReaderError(f"by: '{by}'{did_you_mean(by, ('layer', 'plane'))}; give layer or plane")
        return self.layers if by == "layer" else self.planes


def sum_over_groups(groups: Sequence[SiteGroup], values: ArrayLike) -> NDArray[np.float64]:
    """Add site values over planes or layers.

    Parameters
    ----------
    groups
        Planes or layers of `find_layering`.
    values
        Shape (site, …).

    Returns
    -------
    array
        Shape (group, …).
    """
    array = np.asarray(values, dtype=np.float64)
    return np.array([array[list(group.sites)].sum(axis=0) for group in groups])
