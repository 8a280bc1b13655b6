"""Octahedral rotations of perovskite blocks in Glazer's notation.

The octahedron of each B site turns about the three edges of the cubic cell; neighbours across an edge turn the other
way about the two other axes, and about the edge itself the same way (+) or the other way (-): Glazer, Acta Cryst.
B 28, 3384 (1972). Oxygen moves by the mean of what its two octahedra ask for; the cell and the cations stay. It is a
seed for the relaxation, which finds the real angles.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from heterodft.errors import StructureError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from pymatgen.core import Structure

__all__ = ["Tilt", "parse_tilt", "tilt_octahedra"]

_LARGEST_ANGLE = 25.0
_SHELL = 1.35
"""Oxygen of an octahedron is no farther from its centre than this multiple of the nearest one."""
_REACH = 4.0
"""Å; longer than any bond of an octahedron."""


@dataclass(frozen=True)
class Tilt:
    """Rotations about the three cubic axes.

    Attributes
    ----------
    glazer
        Such as ``a-a-c+``.
    angles
        Degrees about the three axes, 0 where the sign is 0.
    phases
        1 where neighbours along the axis turn alike, -1 where they alternate, 0 where there is no rotation.
    """

    glazer: str
    angles: tuple[float, float, float]
    phases: tuple[int, int, int]


def parse_tilt(glazer: str, angle: float | tuple[float, float, float] = 8.0) -> Tilt:
    """Read a tilt in Glazer's notation.

    Parameters
    ----------
    glazer
        Three letters, each with +, - or 0, for the axes a, b and c of the cubic cell.
    angle
        Degrees about each axis that turns, or one number each.

    Raises
    ------
    StructureError
        If the notation or an angle makes no sense.

    Examples
    --------
    >>> parse_tilt("a-a-c+", 10).phases
    (-1, -1, 1)
    >>> parse_tilt("a0a0c-", 5).angles
    (0.0, 0.0, 5.0)
    """
    match = re.fullmatch(r"([abc])([-+0])([abc])([-+0])([abc])([-+0])", glazer.replace("−", "-"))
    if match is None:
        raise StructureError(f"tilt '{glazer}': write a letter and +, - or 0 for each axis, such as a-a-c+")
    letters, signs = match.group(1, 3, 5), match.group(2, 4, 6)
    angles = angle if isinstance(angle, tuple) else (angle,) * 3
    turned = tuple(float(x) if sign != "0" else 0.0 for x, sign in zip(angles, signs, strict=True))
    for i, j in ((0, 1), (0, 2), (1, 2)):
        if letters[i] == letters[j] and turned[i] and turned[j] and turned[i] != turned[j]:
            raise StructureError(
                f"tilt '{glazer}': the axes {i + 1} and {j + 1} share the letter {letters[i]} but not the angle, "
                f"{turned[i]:g}° and {turned[j]:g}°"
            )
    if not all(abs(x) <= _LARGEST_ANGLE for x in turned):
        raise StructureError(
            f"tilt '{glazer}': {max(map(abs, turned)):g}° is beyond {_LARGEST_ANGLE:g}°; give degrees"
        )
    phases = tuple({"+": 1, "-": -1, "0": 0}[sign] if x else 0 for sign, x in zip(signs, turned, strict=True))
    return Tilt(glazer, (turned[0], turned[1], turned[2]), (phases[0], phases[1], phases[2]))


def tilt_octahedra(structure: Structure, tilts: Mapping[str, Tilt]) -> Structure:
    """Turn the octahedra of perovskite blocks.

    Parameters
    ----------
    structure
        Of `build_superlattice`.
    tilts
        By material; the others stay as they are.

    Returns
    -------
    Structure
        A copy with oxygen moved.

    Raises
    ------
    StructureError
        If a material is absent or no perovskite, or the cell does not hold the pattern.
    """
    lattices = structure.properties["lattices"]
    for name in tilts:
        if name not in lattices:
            raise StructureError(f"tilts: {name} is not in the stack{did_you_mean(name, lattices)}")
        if lattices[name]["prototype"] != "perovskite":
            raise StructureError(f"tilts: {name} is no perovskite but {lattices[name]['prototype']}")
    turns, signs = _rotations(structure, tilts)
    bonds = _octahedra(structure, list(turns))
    _check(structure, tilts, signs, bonds)
    moved = structure.copy(properties=dict(structure.properties))
    for index, ends in bonds.items():
        push = [np.cross(turns[centre], vector) for centre, vector in ends]
        moved.translate_sites([index], np.mean(push, axis=0), frac_coords=False, to_unit_cell=False)
    return moved


def _rotations(
    structure: Structure, tilts: Mapping[str, Tilt]
) -> tuple[dict[int, NDArray[np.float64]], dict[int, NDArray[np.int64]]]:
    """Return by B site the rotation vector (tangents of the angles) and its sense about each axis."""
    positions = np.array(structure.site_properties["bulk_position"], dtype=float)
    materials = structure.site_properties["material"]
    centres = np.flatnonzero((np.abs(positions - np.floor(positions) - 0.5) < 1e-3).all(axis=1))
    turns, signs = {}, {}
    for index in centres.tolist():
        tilt = tilts.get(materials[index])
        phases = np.zeros(3, dtype=int) if tilt is None else np.array(tilt.phases)
        angles = np.zeros(3) if tilt is None else np.tan(np.radians(tilt.angles))
        signs[index] = _signs(np.floor(positions[index]).astype(int), phases)
        axes = np.array(structure.properties["lattices"][materials[index]]["axes"])
        turns[index] = (signs[index] * angles) @ axes
    return turns, signs


def _signs(cell: NDArray[np.int64], phases: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the sense of rotation about each axis in a cell: it alternates across that axis, along it if -."""
    exponents = cell.sum() - cell + np.where(phases < 0, cell, 0)
    return np.where(phases == 0, 0, np.where(exponents % 2 == 0, 1, -1))


_Bonds = dict[int, list[tuple[int, "NDArray[np.float64]"]]]


def _octahedra(structure: Structure, centres: list[int]) -> _Bonds:
    """Return for each oxygen its B sites with the vector (Å) from them."""
    first, second, images, distances = structure.get_neighbor_list(_REACH)
    is_centre = np.zeros(len(structure), dtype=bool)
    is_centre[centres] = True
    nearest = np.full(len(structure), np.inf)
    outward = is_centre[first] & ~is_centre[second]
    np.minimum.at(nearest, first[outward], distances[outward])
    bonded = np.flatnonzero(outward & (distances < _SHELL * nearest[first]))
    vectors = structure.cart_coords[second] + images @ structure.lattice.matrix - structure.cart_coords[first]
    bonds: _Bonds = {}
    for k in bonded.tolist():
        bonds.setdefault(int(second[k]), []).append((int(first[k]), vectors[k]))
    return bonds


def _check(
    structure: Structure, tilts: Mapping[str, Tilt], signs: Mapping[int, NDArray[np.int64]], bonds: _Bonds
) -> None:
    """Check that the two octahedra of each oxygen turn against one another, as corner sharing demands."""
    materials = structure.site_properties["material"]
    for ends in bonds.values():
        if len(ends) != 2:
            continue
        (a, vector), (b, _) = ends
        axes = np.array(structure.properties["lattices"][materials[a]]["axes"])
        along = int(np.abs(axes @ vector).argmax())
        for axis in np.flatnonzero(signs[a] * signs[b]).tolist():
            wanted = -1
            if axis == along:
                wanted = tilts[materials[a]].phases[axis] if materials[a] == materials[b] else 0
            if signs[a][axis] * signs[b][axis] == -wanted:
                raise StructureError(_misfit(structure, tilts, materials[a], abs(vector[2]) > abs(vector[:2]).max()))


def _misfit(structure: Structure, tilts: Mapping[str, Tilt], material: str, across: bool) -> str:
    vectors = np.array(structure.properties["lattices"][material]["in_plane"])
    pattern = f"tilts: {tilts[material].glazer} of {material}"
    text = f"{pattern} does not fit the supercell {structure.properties['supercell']}"
    phases = [np.array(tilt.phases) for tilt in tilts.values()]

    def holds(multiples: tuple[tuple[int, int], tuple[int, int]]) -> bool:
        moves = np.rint(np.array(multiples) @ vectors).astype(int)
        return all((_signs(move, p) == _signs(np.zeros(3, dtype=int), p)).all() for move in moves for p in phases)

    now = tuple(tuple(row) for row in structure.properties["supercell"])
    if across and holds((now[0], now[1])):
        return (
            f"{pattern} does not close across the cell boundary, where octahedra would turn alike"
            " on both sides of an oxygen; add or remove a layer, or repeat the stack twice"
        )
    fits = next(
        (m for m in (((1, -1), (1, 1)), ((2, 0), (0, 1)), ((1, 0), (0, 2)), ((2, 0), (0, 2))) if holds(m)), None
    )
    return (
        f"{text}; supercell: {[list(row) for row in fits]} holds it" if fits else f"{text}; give a larger supercell"
    )
