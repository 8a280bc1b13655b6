"""From sites to planes and layers, and sums over them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from heterodft.errors import ReaderError
from heterodft.structures import layer_labels, plane_formulas

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray
    from pymatgen.core import Structure

__all__ = ["AtomicPlane", "find_planes", "sum_over_planes"]


@dataclass(frozen=True)
class AtomicPlane:
    """One atomic plane of a cell.

    Attributes
    ----------
    number
        0… from the bottom of the cell.
    layer
        Label of its layer, ``SrTiO3:1``.
    formula
        What is in it, per in-plane cell: ``TiO2``, or ``TiO`` with a vacancy in a 1 × 1 cell.
    sites
        Indices of its atoms.
    height
        Mean height in Å along the normal.
    """

    number: int
    layer: str
    formula: str
    sites: tuple[int, ...]
    height: float


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
    planes = []
    for number, formula in plane_formulas(structure).items():
        sites = np.flatnonzero(numbers == number)
        planes.append(
            AtomicPlane(number, labels[sites[0]], formula, tuple(map(int, sites)), float(heights[sites].mean()))
        )
    return planes


def sum_over_planes(planes: Sequence[AtomicPlane], values: ArrayLike) -> NDArray[np.float64]:
    """Add site values over planes.

    Parameters
    ----------
    planes
        Of `find_planes`.
    values
        Shape (site, …).

    Returns
    -------
    array
        Shape (plane, …).
    """
    array = np.asarray(values, dtype=np.float64)
    return np.array([array[list(plane.sites)].sum(axis=0) for plane in planes])
