"""k-points: meshes, what symmetry leaves of them, and the path of a band structure in the zone of the layers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    Array = NDArray[Any]  # in-plane vectors as rows, (2, 3) in Å, or their integer combinations, (2, 2)
    Corner = tuple[str, Array]  # label and fractional k-point

__all__ = ["BandPath", "band_path", "irreducible_kpoints", "k_mesh", "mesh_shift"]

_MAXIMUM_MESH = 60
_MOST_POINTS = 2000
_SAME = 1e-4
"""Relative difference of lengths, and cosines, below which a lattice has the symmetry that it nearly has."""
_ROUNDING = 1e-6
"""Of a division: what a spacing that divides exactly may miss."""
_LOOPS = {"SQR": "G X M G", "RECT": "G X S Y G", "HEX2D": "G M K G", "CRECT": "G X A1 Y G", "OBL": "G Y H C H1 X G"}
"""By ASE's name of the lattice: around its wedge of the zone, ASE's special points in turn."""


@dataclass(frozen=True)
class BandPath:
    """k-points along the lines of high symmetry.

    Attributes
    ----------
    kpoints
        In units of the reciprocal vectors of the cell, in the order of the path.
    labels
        Index and name of each special point, such as ``(0, "Γ")``.
    """

    kpoints: tuple[tuple[float, float, float], ...]
    labels: tuple[tuple[int, str], ...]


def k_mesh(structure: Structure, kspacing: float, *, slab: bool = False) -> tuple[int, int, int]:
    """Return the mesh whose divisions are at most `kspacing` apart.

    N_i = ceil(|b_i| / kspacing) with b_i the reciprocal vectors including 2π, at least 1.

    Parameters
    ----------
    structure
        The cell.
    kspacing
        1/Å, including 2π.
    slab
        Whether there is vacuum along the third vector, which then gets one division.

    Raises
    ------
    InputError
        If the spacing is not positive or makes more than 60 divisions.
    """
    if kspacing <= 0:
        raise InputError(f"kspacing {kspacing:g} 1/Å; give a positive spacing such as 0.25")
    lengths = np.array(structure.lattice.reciprocal_lattice.abc)
    if math.isclose(structure.lattice.a, structure.lattice.b, rel_tol=_SAME):
        lengths[:2] = lengths[:2].max()  # rounding and leaning must not break the symmetry of the plane
    mesh = np.maximum(1, np.ceil(lengths / kspacing - _ROUNDING).astype(int))
    if slab:
        mesh[2] = 1
    if mesh.max() > _MAXIMUM_MESH:
        raise InputError(
            f"kspacing {kspacing:g} 1/Å makes a mesh of {'x'.join(map(str, mesh))}; "
            "give a wider spacing (the usual range is 0.1 to 0.5)"
        )
    return int(mesh[0]), int(mesh[1]), int(mesh[2])


def mesh_shift(structure: Structure, kpoints: tuple[int, int, int], *, wanted: bool) -> tuple[int, int, int]:
    """Return which divisions of a mesh are shifted by half a step: even ones, in right-angled cells, where wanted.

    A shifted mesh in any other cell, a hexagonal one first of all, would lose its symmetry; it stays around Γ.
    """
    right_angled = np.allclose(structure.lattice.angles, 90, atol=1e-3)
    a, b, c = (int(wanted and right_angled and n % 2 == 0) for n in kpoints)
    return a, b, c


def irreducible_kpoints(
    structure: Structure,
    kpoints: tuple[int, int, int],
    shift: tuple[int, int, int],
    kinds: Sequence[int],
    *,
    time_reversal: bool = True,
) -> int:
    """Return the number of k-points of a mesh that no symmetry of the cell relates.

    Parameters
    ----------
    structure
        The cell.
    kpoints, shift
        Divisions, and whether each is shifted by half a step.
    kinds
        One a site: symmetry maps a site on those of its kind alone.
    time_reversal
        Whether k and -k count as one.

    Raises
    ------
    InputError
        If no symmetry is found, not even the identity, as for atoms in one place.
    """
    import spglib

    cell = (structure.lattice.matrix.tolist(), structure.frac_coords.tolist(), list(kinds))
    found = spglib.get_ir_reciprocal_mesh(kpoints, cell, shift, is_time_reversal=time_reversal, symprec=1e-5)
    if found is None:
        raise InputError(
            f"{structure.composition.reduced_formula}: no symmetry of {len(structure)} atoms was found for a mesh of "
            f"{'x'.join(map(str, kpoints))}; look for atoms in one place"
        )
    return len(set(found[0].tolist()))


def band_path(structure: Structure, spacing: float, *, slab: bool = False) -> BandPath:
    """Return the path around the zone of the in-plane lattice, then to Z along the normal unless it is a slab.

    The two-dimensional zone lies in the plane through Γ perpendicular to the normal a₁ x a₂, also where the third
    vector leans. The special points are those of Setyawan and Curtarolo, Comput. Mater. Sci. 49, 299 (2010), as in
    ASE; Z is half the third reciprocal vector, which is parallel to the normal.

    Parameters
    ----------
    structure
        The cell; its first two vectors span the plane of the layers.
    spacing
        Largest distance of neighbouring points, 1/Å including 2π.
    slab
        Whether there is vacuum along the third vector, along which no band then disperses.

    Raises
    ------
    InputError
        If the spacing is not positive or makes more than 2000 points.
    """
    if spacing <= 0:
        raise InputError(f"path_spacing {spacing:g} 1/Å; give a positive spacing such as 0.05")
    corners = _plane_corners(structure.lattice.matrix)
    if not slab:
        corners.append(("Z", np.array([0, 0, 0.5])))
    reciprocal = structure.lattice.reciprocal_lattice.matrix
    steps = [_steps(float(np.linalg.norm((k - j) @ reciprocal)), spacing) for (_, j), (_, k) in pairwise(corners)]
    if sum(steps) >= _MOST_POINTS:
        raise InputError(
            f"path_spacing {spacing:g} 1/Å makes a path of more than {_MOST_POINTS} points; "
            "give a wider spacing (the usual range is 0.02 to 0.1)"
        )
    indices = np.cumsum([0, *steps]).tolist()
    labels = tuple((index, label) for index, (label, _) in zip(indices, corners, strict=True))
    return BandPath(_points([k for _, k in corners], steps), labels)


def _steps(length: float, spacing: float) -> int:
    return max(1, math.ceil(min(length / spacing, _MOST_POINTS) - _ROUNDING))


def _points(corners: list[Array], steps: list[int]) -> tuple[tuple[float, float, float], ...]:
    """Interpolate between special points, each of which is there once."""
    segments = zip(pairwise(corners), steps, strict=True)
    points = [j + (k - j) * i / n for (j, k), n in segments for i in range(n)] + corners[-1:]
    # Ten digits, as many as a request keeps: read back, the path is the same. Adding zero turns -0 into 0.
    return tuple((x, y, z) for x, y, z in (np.round(points, 10) + 0.0).tolist())


def _plane_corners(matrix: Array) -> list[Corner]:
    """Return the special points of the in-plane lattice, from Γ to Γ, as k-points perpendicular to the normal.

    With k·a₁ = 2πu, k·a₂ = 2πv and k·n = 0, the third coordinate is w = k·a₃/2π = pu + qv, where p a₁ + q a₂ is the
    projection of a₃ on the plane.
    """
    plane, third = matrix[:2], matrix[2]
    lean = np.linalg.lstsq(plane.T, third, rcond=None)[0]
    return [(label, np.append(uv, uv @ lean)) for label, uv in _zone(plane)]


def _zone(plane: Array) -> list[Corner]:
    """Return the loop of ASE's special points, in units of the reciprocal vectors of a two-dimensional lattice.

    ASE's own mapping from a cell to its standard one is left aside: for half the choices of in-plane vectors it
    exchanges the two, and the points of an oblique lattice are then off the boundary of the zone.
    """
    from ase.lattice import bravais_lattices

    name, basis = _standard_basis(plane)
    a, b, cosine = _shape(basis @ plane)
    angle = math.degrees(math.acos(cosine))
    shapes = {"RECT": (a, b), "CRECT": ((a + b) / 2, angle), "OBL": (a, b, angle)}
    special = bravais_lattices[name](*shapes.get(name, (a,))).get_special_points()
    to_plane = np.linalg.inv(basis)
    return [("Γ" if label == "G" else label, to_plane @ special[label][:2]) for label in _LOOPS[name].split()]


def _standard_basis(plane: Array) -> tuple[str, Array]:
    """Return ASE's name of a two-dimensional lattice, and its standard vectors as combinations of the given ones."""
    basis = _reduced_basis(plane)
    a, b, cosine = _shape(basis @ plane)
    equal = b < a * (1 + _SAME)
    if cosine < _SAME:
        return ("SQR" if equal else "RECT"), basis
    centred = b * cosine > a * (0.5 - _SAME)  # then b and b - a are equally long
    if equal and centred:
        return "HEX2D", np.array([basis[0], basis[1] - basis[0]])
    if centred:
        return "CRECT", np.array([basis[1] - basis[0], basis[1]])
    return ("CRECT" if equal else "OBL"), basis


def _reduced_basis(plane: Array) -> Array:
    """Return the two shortest vectors of a lattice, at 60° to 90°, as combinations of the given ones.

    Lagrange's reduction, where nearly equal lengths and nearly half a vector count as exact: noise in the lattice
    constants must not lead to another, equivalent basis.
    """
    basis = np.eye(2, dtype=np.int64)
    while True:
        a, b = basis @ plane
        basis[1] -= math.ceil(a @ b / (a @ a) - 0.5 - _SAME) * basis[0]
        length_a, length_b, cosine = _shape(basis @ plane)
        if length_b > length_a * (1 - _SAME):
            break
        basis = basis[::-1].copy()
    if cosine < -_SAME:
        basis[1] *= -1
    return basis


def _shape(plane: Array) -> tuple[float, float, float]:
    """Return the lengths in Å of two vectors and the cosine of the angle between them."""
    a, b = np.linalg.norm(plane, axis=1).tolist()
    return a, b, float(plane[0] @ plane[1]) / (a * b)
