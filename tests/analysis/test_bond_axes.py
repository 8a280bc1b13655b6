from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from pymatgen.core.operations import SymmOp

from heterodft.analysis.bond_axes import common_axes, find_bond_axes, local_name
from heterodft.errors import ReaderError
from heterodft.structures import Block, build_material, build_superlattice

CELL = Structure(
    Lattice.tetragonal(7.8, 7.8), ["Ti", *["O"] * 6],
    [[0.5, 0.5, 0.5], *[[0.5 + dx, 0.5 + dy, 0.5 + dz] for dx, dy, dz in
     [(0.25, 0, 0), (-0.25, 0, 0), (0, 0.25, 0), (0, -0.25, 0), (0, 0, 0.25), (0, 0, -0.25)]]],
)  # fmt: skip


def turned(axis, angle):
    structure = CELL.copy()
    structure.apply_operation(SymmOp.from_axis_angle_and_translation(axis, angle))
    return structure


@given(st.floats(-90, 90))
@settings(max_examples=60, deadline=None)
def test_a_turn_about_z_is_told_by_its_angle(angle):
    found = find_bond_axes(turned([0, 0, 1], angle), 0)
    nearest = (angle + 45) % 90 - 45
    assert abs((found.angle - nearest + 45) % 90 - 45) < 1e-6
    if abs(nearest) < 19.9:
        assert found.along == "axes"
    elif abs(nearest) > 25.1:
        assert found.along == "diagonals"
    elif 20.1 < abs(nearest) < 24.9:
        assert found.along is None
        assert "lie at" in found.reason


@pytest.mark.parametrize("tilt", [0, 8, 15])
def test_tilted_octahedra_keep_their_axes(tilt):
    assert find_bond_axes(turned([1, 0, 0], tilt), 0).along == "axes"


def test_octahedra_on_a_corner_are_refused():
    structure = build_superlattice(
        [Block(build_material("SrTiO3"), 3), Block(build_material("LaAlO3"), 3)], normal=(1, 1, 1), in_plane="SrTiO3"
    )
    titanium = [i for i, site in enumerate(structure) if site.specie.symbol == "Ti"]
    with pytest.raises(ReaderError, match=r"a bond of Ti\d+ lies \d+° out of the plane of x and y, so orbitals"):
        common_axes(structure, titanium)


def test_a_cell_of_root_two_has_its_bonds_on_the_diagonals():
    structure = build_superlattice([Block(build_material("SrTiO3"), 1)])
    structure.make_supercell([[1, 1, 0], [-1, 1, 0], [0, 0, 1]])
    about_z = SymmOp.from_axis_angle_and_translation([0, 0, 1], -45)  # a along x, as codes are given cells
    structure.apply_operation(about_z)
    titanium = [i for i, site in enumerate(structure) if site.specie.symbol == "Ti"]
    assert np.allclose(structure.lattice.matrix[0, 1:], 0, atol=1e-9)
    assert common_axes(structure, titanium) == "diagonals"
    assert [local_name(name, "diagonals") for name in ("dxy", "dx2-y2", "dz2")] == ["dx2-y2", "dxy", "dz2"]
    assert local_name("dxy", "axes") == "dxy"


def test_sites_of_different_kinds_have_no_common_axes():
    both = CELL.copy()
    for site in turned([0, 0, 1], 45):
        shifted = site.frac_coords @ site.lattice.matrix + [0, 0, 20]
        both.append(site.specie, shifted, coords_are_cartesian=True)
    big = Structure(Lattice.cubic(60), both.species, both.cart_coords, coords_are_cartesian=True)
    with pytest.raises(ReaderError, match="along different axes"):
        common_axes(big, [0, 7])


def test_a_vacancy_next_to_the_ion_changes_nothing_but_a_lone_ion_has_no_axes():
    pyramid = CELL.copy()
    pyramid.remove_sites([6])
    assert find_bond_axes(pyramid, 0).along == "axes"
    lone = CELL.copy()
    lone.remove_sites([2, 3, 4, 5, 6])
    assert "1 bonded anions, fewer than 4" in find_bond_axes(lone, 0).reason


@pytest.mark.parametrize("angle", [0.0, 17.0, 45.0, 80.0])
def test_a_trigonal_bipyramid_has_no_axes(angle):
    """As of Mn in YMnO3: three bonds in the plane at 120°, so that no turn makes them those of an octahedron."""
    ring = [[np.cos(np.radians(angle + a)), np.sin(np.radians(angle + a)), 0] for a in (0, 120, 240)]
    ends = 2.0 * np.array([*ring, [0, 0, 1], [0, 0, -1]])
    found = find_bond_axes(
        Structure(np.eye(3) * 12, ["Mn", *["O"] * 5], [[0, 0, 0], *ends], coords_are_cartesian=True), 0
    )
    assert found.along is None
    assert found.reason == "the in-plane bonds of Mn1 are not at right angles"
