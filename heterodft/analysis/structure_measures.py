"""Spacings, strain, rumpling and means over octahedra: what a structure profile is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.layers import Layer
from heterodft.analysis.layers.plane_search import anions_of
from heterodft.errors import ReaderError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from heterodft.analysis.layers import AtomicPlane, Layering, SiteGroup
    from heterodft.analysis.layers.plane_search import Heights
    from heterodft.analysis.octahedra import Octahedron

__all__ = [
    "StructureSeries",
    "each_group",
    "layer_normal",
    "mean_of_known",
    "measure_rumpling",
    "measure_spacings",
    "measure_strain",
    "upright_corners",
]


@dataclass(frozen=True)
class StructureSeries:
    """Some of the numbers, for a figure: shape (group, column)."""

    groups: tuple[SiteGroup, ...]
    columns: tuple[str, ...]
    values: NDArray[np.float64]
    quantity: str
    unit: str


def layer_normal(structure: Structure, axis: int) -> NDArray[np.float64]:
    """Return the unit vector that heights are measured along."""
    vectors = structure.lattice.matrix
    normal = np.cross(vectors[(axis + 1) % 3], vectors[(axis + 2) % 3])
    return np.asarray(normal / np.linalg.norm(normal) * np.sign(normal @ vectors[axis]))


def measure_spacings(
    groups: Sequence[SiteGroup], period: float, slab: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return spacing and thickness (Å) of each group, not-a-number below the vacuum of a slab."""
    middles = np.array([group.height for group in groups])
    spacing = np.diff(middles, append=middles[0] + period)
    lowest = np.array([group.planes[0].height if isinstance(group, Layer) else np.nan for group in groups])
    thickness = np.diff(lowest, append=lowest[0] + period)
    if slab:
        below = int(np.argmax(spacing))  # of layers that the user gave, the vacuum may be anywhere
        spacing[below] = thickness[below] = np.nan
    return spacing, thickness


def measure_strain(
    groups: Sequence[SiteGroup], thickness: NDArray[np.float64], reference: Mapping[str, float]
) -> NDArray[np.float64]:
    """Return by which percentage the thickness differs from the reference of the material."""
    materials = [group.label.partition(":")[0].partition("[")[0] for group in groups]
    for name, value in reference.items():
        if name not in materials:
            raise ReaderError(f"reference: {name} is not in the stack{did_you_mean(name, materials)}")
        if not value > 0:
            raise ReaderError(f"reference: {value:g} Å of {name}; give the thickness of a layer")
    return np.asarray(100 * (thickness / [reference.get(name, np.nan) for name in materials] - 1))


def measure_rumpling(structure: Structure, layering: Layering, by: str, heights: Heights) -> NDArray[np.float64]:
    """Return the mean height (Å) of the anions above the cations of each layer or plane."""
    anions = anions_of(structure)

    def of_plane(plane: AtomicPlane) -> float:
        own = heights.together(list(plane.sites))
        is_anion = np.array([structure[site].specie.symbol in anions for site in plane.sites])
        if is_anion.all() or not is_anion.any():
            return float("nan")
        return float(own[is_anion].mean() - own[~is_anion].mean())

    if by == "plane":
        return np.array([of_plane(plane) for plane in layering.planes])
    return np.array([float(mean_of_known([of_plane(plane) for plane in layer.planes])) for layer in layering.layers])


def upright_corners(octahedron: Octahedron, normal: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which corners join octahedra above one another, those whose centres are more above than beside."""
    ends = octahedron.vectors + octahedron.across
    return np.asarray(np.abs(ends @ normal) > 0.5 * np.linalg.norm(ends, axis=1))


def mean_of_known(values: Sequence[Any]) -> NDArray[np.float64]:
    """Return the mean of those that are numbers; not-a-number, of shape (3,) for want of vectors, when none is."""
    array = np.array(values, dtype=float)
    if not len(array):
        return np.full(3, np.nan)
    known = array[~np.isnan(array).reshape(len(array), -1).any(axis=1)]
    return np.asarray(known.mean(axis=0)) if len(known) else np.full(array.shape[1:], np.nan)


def each_group(
    inside: Sequence[Sequence[Octahedron]],
    measure: Callable[[Octahedron], Any],
    reduce: Callable[[NDArray[np.float64]], Any] = np.mean,
) -> NDArray[np.float64]:
    """Return one number a group from those of all its octahedra."""
    results = []
    for own in inside:
        values = np.array([value for octahedron in own for value in measure(octahedron)], dtype=float)
        values = values[~np.isnan(values)]
        results.append(float(reduce(values)) if len(values) else float("nan"))
    return np.array(results)
