"""A material cut along a Miller normal into identical layers of atomic planes.

The lattice is written in a basis whose first two vectors lie in the plane and whose third climbs by exactly
one interplanar distance d(hkl). One *layer* is that cell. The third vector may lean: its lateral part is
carried along, so that any number of layers closes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from itertools import product
from math import gcd
from typing import TYPE_CHECKING

import numpy as np

from heterodft.errors import StructureError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from heterodft.structures.materials import Material

__all__ = ["Plane", "SurfaceCell", "cut_surface_cell"]

_PLANE_TOLERANCE = 0.05
"""Å; atoms whose heights differ by less share a plane."""


@dataclass(frozen=True)
class Plane:
    """One atomic plane of a layer.

    Attributes
    ----------
    height
        Å above the lowest plane of the layer.
    atoms
        (element, u, v) with u, v fractional in the in-plane cell, in [0, 1).
    """

    height: float
    atoms: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True)
class SurfaceCell:
    """One layer of a material along a normal.

    Attributes
    ----------
    material
        The bulk end member.
    normal
        Miller indices, coprime.
    in_plane
        Shape (2, 2), Å: the in-plane vectors as rows, the first along x.
    thickness
        Å: the distance of two layers, d(hkl).
    shift
        Shape (2,): lateral offset of the next layer, fractional in the in-plane cell.
    planes
        From the bottom of the layer up.
    """

    material: Material
    normal: tuple[int, int, int]
    in_plane: NDArray[np.float64]
    thickness: float
    shift: NDArray[np.float64]
    planes: tuple[Plane, ...]


def _layer_basis(lattice: NDArray[np.float64], normal: tuple[int, int, int]) -> NDArray[np.int64]:
    """Integer basis (3, 3) of the lattice: two shortest vectors in the plane, one that climbs by d(hkl).

    The in-plane pair is right-handed about the normal and, where there is a choice, obtuse (120° for
    hexagonal planes); the climbing vector is the one that leans least.
    """
    reach = max(map(abs, normal)) + 1
    vectors = np.array(list(product(range(reach, -reach - 1, -1), repeat=3)))
    climb = vectors @ normal
    length = np.round(np.linalg.norm(vectors @ lattice, axis=1), 8)
    flat = [v for _, v in sorted(zip(length[climb == 0], vectors[climb == 0], strict=True), key=lambda p: p[0])]
    first = next(v for v in flat if v.any())
    seconds = [v for v in flat if np.array_equal(np.cross(first, v), normal)]
    second = min(
        seconds,
        key=lambda v: (
            round(float(np.linalg.norm(v @ lattice)), 8),
            float((v @ lattice) @ (first @ lattice)) > 1e-8,
        ),
    )
    third = vectors[climb == 1][np.argmin(length[climb == 1])]
    return np.array([first, second, third])


def cut_surface_cell(material: Material, normal: tuple[int, int, int]) -> SurfaceCell:
    """Cut a material along a Miller normal.

    Parameters
    ----------
    material
        The bulk end member.
    normal
        Miller indices (hkl) of the stacking normal in the material's own cell.

    Returns
    -------
    SurfaceCell

    Raises
    ------
    StructureError
        If the normal is (0, 0, 0).

    Examples
    --------
    >>> from heterodft.structures.materials import build_material
    >>> cell = cut_surface_cell(build_material("SrTiO3"), (1, 1, 1))
    >>> round(cell.thickness, 4), len(cell.planes)
    (2.2546, 2)
    """
    divisor = reduce(gcd, normal)
    if divisor == 0:
        raise StructureError(f"material {material.name}: the normal (0 0 0) has no direction; give Miller indices")
    h, k, m = (index // divisor for index in normal)
    lattice = np.asarray(material.cell.lattice.matrix)
    basis = _layer_basis(lattice, (h, k, m)) @ lattice
    x = basis[0] / np.linalg.norm(basis[0])
    z = np.cross(basis[0], basis[1])
    z /= np.linalg.norm(z)
    axes = np.array([x, np.cross(z, x), z])
    basis = basis @ axes.T
    in_plane, thickness = basis[:2, :2], float(basis[2, 2])

    cartesian = np.asarray(material.cell.cart_coords) @ axes.T
    layer_number = np.floor(cartesian[:, 2] / thickness + 1e-6)
    inside = cartesian - layer_number[:, None] * basis[2]
    lateral = np.mod(np.round(inside[:, :2] @ np.linalg.inv(in_plane), 9), 1.0)
    planes = _group_planes([str(site.specie) for site in material.cell], inside[:, 2], lateral)
    shift = np.round(basis[2, :2] @ np.linalg.inv(in_plane), 12)
    return SurfaceCell(material, (h, k, m), in_plane, thickness, shift, planes)


def _group_planes(
    elements: list[str], heights: NDArray[np.float64], lateral: NDArray[np.float64]
) -> tuple[Plane, ...]:
    """Gather atoms of equal height, bottom first; the lowest plane is put at height 0."""
    order = np.argsort(heights, kind="stable")
    groups: list[list[int]] = []
    for index in order:
        if groups and heights[index] - heights[groups[-1][0]] < _PLANE_TOLERANCE:
            groups[-1].append(int(index))
        else:
            groups.append([int(index)])
    bottom = float(heights[order[0]])
    return tuple(
        Plane(
            float(np.mean(heights[group])) - bottom,
            tuple((elements[i], float(lateral[i, 0]), float(lateral[i, 1])) for i in group),
        )
        for group in groups
    )
