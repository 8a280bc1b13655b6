"""From sites to planes and layers, and sums over them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from heterodft.errors import ReaderError
from heterodft.structures import layer_labels, plane_formulas

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray
    from pymatgen.core import Structure

__all__ = ["AtomicPlane", "Layer", "Layering", "SiteGroup", "find_layering", "find_planes", "sum_over_groups"]


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
        """Mean height in Å along the normal of the cell's first two vectors."""

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
    """One layer of a cell, a `SiteGroup`, with its planes from the bottom up."""

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
    """

    planes: tuple[AtomicPlane, ...]
    layers: tuple[Layer, ...]
    source: Literal["labels", "composition", "given"]
    period: float


def find_layering(structure: Structure) -> Layering:
    """Return the planes and layers of a structure.

    Raises
    ------
    ReaderError
        If they cannot be told.
    """
    planes = find_planes(structure)
    normal = np.cross(structure.lattice.matrix[0], structure.lattice.matrix[1])
    period = float(structure.lattice.matrix[2] @ normal / np.linalg.norm(normal))
    layers = []
    for label in dict.fromkeys(plane.layer for plane in planes):
        own = tuple(plane for plane in planes if plane.layer == label)
        sites = tuple(site for plane in own for site in plane.sites)
        height = float(np.mean([plane.height for plane in own]))
        layers.append(
            Layer(
                label,
                label.partition(":")[0],
                structure.composition.reduced_formula,
                sites,
                height,
                own[0].bottom,
                own[-1].top,
                own,
            )
        )
    return Layering(tuple(planes), tuple(layers), "labels", period)


def find_planes(structure: Structure) -> list[AtomicPlane]:
    """Return the planes of a labelled structure from the bottom up.

    Raises
    ------
    ReaderError
        If the sites carry no labels ``material``, ``block``, ``layer``, ``plane``.
    """
    missing = {"material", "block", "layer", "plane"} - set(structure.site_properties)
    if missing:
        raise ReaderError(f"{structure.formula}: sites carry no {', '.join(sorted(missing))}; layers cannot be told")
    numbers = np.array(structure.site_properties["plane"])
    labels = layer_labels(structure)
    normal = np.cross(structure.lattice.matrix[0], structure.lattice.matrix[1])
    heights = structure.cart_coords @ (normal / np.linalg.norm(normal))
    period = float(structure.lattice.matrix[2] @ normal / np.linalg.norm(normal))
    formulas = plane_formulas(structure)
    middles = np.array([heights[numbers == number].mean() for number in formulas])
    bounds = (middles + np.append(middles[1:], middles[0] + period)) / 2
    bottoms = np.append(bounds[-1] - period, bounds[:-1])
    planes = []
    for i, (number, formula) in enumerate(formulas.items()):
        sites = np.flatnonzero(numbers == number)
        planes.append(
            AtomicPlane(
                number,
                labels[sites[0]],
                formula,
                tuple(map(int, sites)),
                float(middles[i]),
                float(bottoms[i]),
                float(bounds[i]),
            )
        )
    return planes


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
