"""A material cut along a Miller normal into layers of atomic planes.

The primitive lattice is written in a basis whose first two vectors lie in the plane and whose third climbs by
exactly one distance of lattice planes. That cell holds one *layer*, or several that differ only by a glide or screw,
such as the two O3 + Cr2 layers of corundum (0001). The third vector may lean: its lateral part is carried along, so
that any number of layers closes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import product
from math import gcd
from typing import TYPE_CHECKING

import numpy as np

from heterodft.errors import StructureError
from heterodft.structures.ions import anion
from heterodft.structures.planes import Plane, group_planes, split_layers
from heterodft.structures.symmetry import plain_symmetry

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from heterodft.structures.materials import Material

__all__ = ["SurfaceCell", "cut_surface_cell", "three_indices"]

_SAME_PLACE = 1e-4
"""Fraction of the cell; atoms that are closer are the same one."""
_CENTRING_FRACTION = 12
"""Centring translations are halves and thirds of a conventional cell; a file may hold a doubled one."""

_MOST_KEPT = 256
_CUT: dict[tuple[object, ...], SurfaceCell] = {}
"""What was cut: campaigns cut the same few materials again and again."""


@dataclass(frozen=True)
class SurfaceCell:
    """The repeat of a material along a normal.

    Attributes
    ----------
    material
        The bulk end member.
    normal
        Miller indices, coprime, in the conventional cell.
    in_plane
        Shape (2, 2), Å: the in-plane vectors as rows, the first along x.
    thickness
        Å: how far the third vector climbs.
    shift
        Shape (2,): lateral offset of the next repeat, fractional in the in-plane cell.
    planes
        From the bottom of the repeat up.
    layers
        Number of layers in the repeat; the planes are shared out to them evenly, from the bottom.
    bottom
        Å: height of the lowest plane above the origin of the conventional cell.
    vectors
        Shape (3, 3): the two in-plane vectors and the climbing one, in fractions of the conventional cell.
    rotations
        Order of the rotation, or screw, axis along the normal.
    mirrored
        Whether a mirror or glide plane holds the normal.
    axes
        Shape (3, 3): the edges of the conventional cell in Å, as rows, with the normal along z.
    """

    material: Material
    normal: tuple[int, int, int]
    in_plane: NDArray[np.float64]
    thickness: float
    shift: NDArray[np.float64]
    planes: tuple[Plane, ...]
    layers: int
    bottom: float
    axes: NDArray[np.float64]
    vectors: NDArray[np.float64]
    rotations: int
    mirrored: bool

    @property
    def name(self) -> str:
        """Material and normal, for messages: ``SrTiO3 (0 0 1)``."""
        return f"{self.material.name} ({' '.join(map(str, self.normal))})"

    @cached_property
    def formula_type(self) -> str:
        """Formula without its elements: ``ABC3``."""
        return str(self.material.cell.composition.anonymized_formula)

    @cached_property
    def plane_parts(self) -> NDArray[np.float64]:
        """Which part of a repeat each plane is at, counted from the origin of the conventional cell."""
        return np.array([(plane.height + self.bottom) / self.thickness for plane in self.planes])

    @property
    def layer_thickness(self) -> float:
        """Å from one layer to the next."""
        return self.thickness / self.layers

    @cached_property
    def _onto_edges(self) -> NDArray[np.float64]:
        return np.asarray(np.linalg.inv(self.axes))

    def bulk_positions(self, lateral: NDArray[np.float64], heights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where atoms lie in the conventional cell.

        Parameters
        ----------
        lateral
            Shape (atoms, 2), fractional in the in-plane cell, not folded back into it.
        heights
            Shape (atoms,), Å above the lowest plane, before any strain.

        Returns
        -------
        array of shape (atoms, 3)
            Fractional in the conventional cell, not folded back into it.
        """
        places = np.column_stack([lateral @ self.in_plane, heights + self.bottom])
        return np.asarray(np.round(places @ self._onto_edges, 6) + 0.0)


def cut_surface_cell(material: Material, normal: tuple[int, ...], *, like: SurfaceCell | None = None) -> SurfaceCell:
    """Cut a material along a Miller normal.

    Parameters
    ----------
    material
        The bulk end member.
    normal
        Miller indices (hkl), or (hkil) of a hexagonal cell, of the stacking normal in the conventional cell.
    like
        Take the vectors of this cell of the same structure type and normal, where another ratio of lattice constants
        would make others the shortest.

    Returns
    -------
    SurfaceCell

    Raises
    ------
    StructureError
        If the normal is zero or its four indices contradict one another.

    Examples
    --------
    >>> from heterodft.structures.materials import build_material
    >>> cell = cut_surface_cell(build_material("SrTiO3"), (1, 1, 1))
    >>> round(cell.thickness, 4), len(cell.planes)
    (2.2546, 2)
    >>> cut_surface_cell(build_material("Cr2O3"), (0, 0, 0, 1)).layers
    2
    """
    cell = material.cell
    key = (
        material.name, material.prototype, cell.lattice.matrix.tobytes(), cell.frac_coords.tobytes(),
        tuple(site.species_string for site in cell), three_indices(material, normal),
        None if like is None else like.vectors.tobytes(),
    )  # fmt: skip
    if key not in _CUT:
        if len(_CUT) >= _MOST_KEPT:
            _CUT.clear()
        _CUT[key] = _cut(material, three_indices(material, normal), like)
    return _CUT[key]


def _cut(material: Material, indices: tuple[int, int, int], like: SurfaceCell | None) -> SurfaceCell:
    rotations, translations = _operations(material)
    if like is None:
        lattice, climbs = _primitive_lattice(material, indices, rotations, translations)
        basis = _layer_basis(lattice, climbs) @ lattice
    else:
        basis = like.vectors @ material.cell.lattice.matrix
    x = basis[0] / np.linalg.norm(basis[0])
    z = np.cross(basis[0], basis[1])
    z /= np.linalg.norm(z)
    axes = np.array([x, np.cross(z, x), z])
    turned = basis @ axes.T
    in_plane, thickness = turned[:2, :2], float(turned[2, 2])

    elements, places = _atoms_inside(material, basis)
    shift = np.round(turned[2, :2] @ np.linalg.inv(in_plane), 12)
    lateral = np.mod(np.round(places[:, :2] + places[:, 2:] * shift, 9), 1.0)  # the third vector leans
    planes, layers, bottom = split_layers(
        group_planes(elements, places[:, 2] * thickness, lateral), thickness, shift, anion(material.cell.formula)
    )
    edges = np.asarray(material.cell.lattice.matrix) @ axes.T
    keep = _keeping_normal(rotations, edges)
    cell = SurfaceCell(
        material=material,
        normal=indices,
        in_plane=in_plane,
        thickness=thickness,
        shift=shift,
        planes=planes,
        layers=layers,
        bottom=bottom,
        axes=edges,
        vectors=np.asarray(np.round(basis @ np.linalg.inv(material.cell.lattice.matrix), 9)),
        rotations=int((keep > 0).sum()),
        mirrored=bool((keep < 0).any()),
    )
    for array in (cell.in_plane, cell.shift, cell.axes, cell.vectors):
        array.setflags(write=False)  # it is handed out again
    return cell


def _operations(material: Material) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return rotations and translations of the space group, in fractions of the conventional cell."""
    found = plain_symmetry(material.cell)
    if found is None:
        return np.eye(3, dtype=np.int64)[None], np.zeros((1, 3))
    return np.asarray(found.rotations, dtype=np.int64), np.asarray(found.translations)


def _keeping_normal(rotations: NDArray[np.int64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the determinants of the point operations that keep the normal, z."""
    turned = edges.T @ np.unique(rotations, axis=0) @ np.linalg.inv(edges.T)
    return np.asarray(np.linalg.det(turned[np.isclose(turned[:, 2, 2], 1.0, atol=1e-3)]))


def _atoms_inside(material: Material, basis: NDArray[np.float64]) -> tuple[list[str], NDArray[np.float64]]:
    """Return the elements and fractional places, in [0, 1), of the atoms of a primitive cell."""
    places = np.mod(np.asarray(material.cell.cart_coords) @ np.linalg.inv(basis), 1.0)
    places[places > 1 - _SAME_PLACE] = 0.0
    kept: list[int] = []
    for index, site in enumerate(material.cell):
        apart = places[kept] - places[index]
        same = (np.abs(apart - np.round(apart)) < _SAME_PLACE).all(axis=1)
        if not any(same[i] and material.cell[k].species == site.species for i, k in enumerate(kept)):
            kept.append(index)
    return [material.cell[i].species_string for i in kept], np.round(places[kept], 9)


def three_indices(material: Material, normal: tuple[int, ...]) -> tuple[int, int, int]:
    """Return coprime (hkl) of (hkl) or (hkil)."""
    text = f"material {material.name}: the normal ({' '.join(map(str, normal))})"
    if len(normal) not in (3, 4):
        raise StructureError(f"{text} has {len(normal)} indices; give (h k l) or (h k i l)")
    if len(normal) == 4 and normal[0] + normal[1] + normal[2] != 0:
        raise StructureError(f"{text} breaks h + k + i = 0; correct the third index")
    divisor = reduce(gcd, normal)
    if divisor == 0:
        raise StructureError(f"{text} has no direction; give Miller indices")
    h, k, m = (index // divisor for index in (normal[0], normal[1], normal[-1]))
    return h, k, m


def _primitive_lattice(
    material: Material,
    normal: tuple[int, int, int],
    rotations: NDArray[np.int64],
    translations: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return a primitive basis (3, 3) in Å, oriented as the cell, and how many lattice planes each vector climbs."""
    cell = material.cell
    centring = translations[(rotations == np.eye(3, dtype=int)).all(axis=(1, 2))]
    candidates = np.array([t + shift for t in centring for shift in product((1, 0, -1), repeat=3)])
    lengths = np.round(np.linalg.norm(candidates @ cell.lattice.matrix, axis=1), 6)
    vectors = candidates[np.argsort(lengths, kind="stable")][1:]  # without the zero vector
    first = vectors[0]
    second = next(v for v in vectors if np.linalg.norm(np.cross(first, v)) > 1e-6)
    volume = 1 / len(centring)  # positive: right-handed
    third = next(v for v in vectors if np.isclose(np.linalg.det([first, second, v]), volume))
    basis = np.array([first, second, third])
    climbs = np.rint(basis @ np.array(normal) * _CENTRING_FRACTION).astype(np.int64)
    return basis @ cell.lattice.matrix, climbs // np.gcd.reduce(climbs)


def _layer_basis(lattice: NDArray[np.float64], climbs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Integer basis (3, 3) of the lattice: two shortest vectors in the plane, one that climbs by one lattice plane.

    The in-plane pair is right-handed about the normal and, where there is a choice, obtuse (120° for
    hexagonal planes); the climbing vector is the one that leans least.
    """
    reach = int(max(abs(climbs))) + 1
    vectors = np.array(list(product(range(reach, -reach - 1, -1), repeat=3)))
    climb = vectors @ climbs
    length = np.round(np.linalg.norm(vectors @ lattice, axis=1), 8)
    flat = [v for _, v in sorted(zip(length[climb == 0], vectors[climb == 0], strict=True), key=lambda p: p[0])]
    first = next(v for v in flat if v.any())
    seconds = np.array(flat)[(np.cross(first, flat) == climbs).all(axis=1)]
    second = min(
        seconds,
        key=lambda v: (
            round(float(np.linalg.norm(v @ lattice)), 8),
            float((v @ lattice) @ (first @ lattice)) > 1e-8,
        ),
    )
    third = vectors[climb == 1][np.argmin(length[climb == 1])]
    return np.array([first, second, third])
