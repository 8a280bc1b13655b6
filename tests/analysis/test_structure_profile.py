from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_results import made_result
from pymatgen.core import Lattice, Structure

from heterodft.analysis.layers import find_layering
from heterodft.analysis.octahedra import find_octahedra
from heterodft.analysis.structure import StructureProfile
from heterodft.errors import ReaderError
from heterodft.structures import (
    Block,
    build_material,
    build_superlattice,
    enumerate_defects,
    parse_tilt,
    tilt_octahedra,
)

STO, LAO = build_material("SrTiO3"), build_material("LaAlO3")
BULK = build_superlattice([Block(STO, 2)], supercell=((1, -1), (1, 1)))
STACK = build_superlattice([Block(STO, 2), Block(LAO, 2)], supercell=((1, -1), (1, 1)), in_plane="SrTiO3")


def measure(structure, **options):
    return StructureProfile.from_structure(structure, **options)


def tilted(glazer, angle, structure=BULK):
    materials = set(structure.site_properties["material"])
    return tilt_octahedra(structure, dict.fromkeys(materials, parse_tilt(glazer, angle)))


def test_an_ideal_cell_is_zero_everywhere():
    profile = measure(BULK)
    for values in (profile.rumpling, profile.off_centre, profile.off_centre_in_plane, profile.tilt, profile.rotation):
        assert values == pytest.approx([0, 0], abs=1e-9)
    assert profile.spacing == pytest.approx([3.905, 3.905])
    assert profile.thickness == pytest.approx([3.905, 3.905])
    assert profile.angle_across == pytest.approx([180, 180], abs=1e-4)
    assert profile.bond == pytest.approx([3.905 / 2] * 2)
    assert profile.octahedra.tolist() == [2, 2]
    assert profile.cages == ()


@given(st.floats(0.5, 15))
@settings(max_examples=15, deadline=None)
def test_a_rotation_about_the_normal_comes_back(angle):
    profile = measure(tilted("a0a0c-", angle))
    assert profile.rotation == pytest.approx([angle, angle], abs=1e-6)
    assert profile.tilt == pytest.approx([0, 0], abs=1e-6)
    assert profile.angle_in_plane == pytest.approx([180 - 2 * angle] * 2, abs=1e-4)
    assert profile.angle_across == pytest.approx([180, 180], abs=1e-4)


@given(st.floats(0.5, 12), st.floats(0.5, 12), st.floats(0.5, 12), st.sampled_from(["a-b-c+", "a-b-c-"]))
@settings(max_examples=15, deadline=None)
def test_glazer_angles_come_back(first, second, third, glazer):
    structure = tilted(glazer, (first, second, third))
    axes = np.array(structure.properties["lattices"]["SrTiO3"]["axes"])
    for octahedron in find_octahedra(structure):
        angles = np.degrees(np.arctan(np.abs(axes @ octahedron.turns)))
        assert angles == pytest.approx([first, second, third], abs=1e-6)
    profile = measure(structure)
    together = np.degrees(np.arctan(np.hypot(np.tan(np.radians(first)), np.tan(np.radians(second)))))
    assert profile.tilt == pytest.approx([together] * 2, abs=1e-6)
    assert profile.rotation == pytest.approx([third] * 2, abs=1e-6)


def test_the_tilt_is_the_angle_between_the_axis_of_the_octahedron_and_the_normal():
    for octahedron in find_octahedra(tilted("a-a-c+", 9.0)):
        up = octahedron.vectors[np.argsort(octahedron.vectors[:, 2])[[-1, 0]]]
        axis = up[0] - up[1]
        angle = np.degrees(np.arccos(axis[2] / np.linalg.norm(axis)))
        assert octahedron.tilt(np.array([0.0, 0.0, 1.0])) == pytest.approx(angle)


def test_octahedra_turn_against_one_another():
    turns = [o.rotation(np.array([0.0, 0.0, 1.0])) for o in find_octahedra(tilted("a0a0c-", 7.0))]
    assert sorted(turns) == pytest.approx([-7, -7, 7, 7])


@pytest.mark.parametrize(("normal", "turn", "tilt"), [((1, 1, 1), np.sqrt(3), 0), ((1, 1, 0), np.sqrt(2), 1)])
def test_rotations_of_other_orientations_are_measured_from_the_normal(normal, turn, tilt):
    host = build_superlattice([Block(STO, 2)], normal=normal, supercell=(2, 2))
    profile = measure(tilted("a-a-a-", 6.0, host))
    tangent = np.tan(np.radians(6.0))
    assert profile.rotation == pytest.approx([np.degrees(np.arctan(turn * tangent))] * 2, abs=1e-6)
    assert profile.tilt == pytest.approx([np.degrees(np.arctan(tilt * tangent))] * 2, abs=1e-6)


@given(st.tuples(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3), st.floats(-0.3, 0.3)))
@settings(max_examples=25, deadline=None)
def test_a_displaced_cation_gives_its_displacement(move):
    structure = build_superlattice([Block(STO, 2)])
    site = next(i for i, s in enumerate(structure) if s.specie.symbol == "Ti")
    structure.translate_sites([site], move, frac_coords=False, to_unit_cell=False)
    profile = measure(structure)
    assert profile.off_centre == pytest.approx([move[2], 0], abs=1e-9)
    assert profile.off_centre_in_plane == pytest.approx([np.hypot(move[0], move[1]), 0], abs=1e-9)
    assert measure(structure, by="plane").rumpling == pytest.approx([0, -move[2], 0, 0], abs=1e-9)
    assert profile.polar == pytest.approx([move[2] / 2, 0], abs=1e-9)  # the mean of SrO and TiO2


def test_tetragonal_lead_titanate_has_its_off_centring():
    vectors = Lattice.tetragonal(3.904, 4.152)
    places = [[0, 0, 0], [0.5, 0.5, 0.538], [0.5, 0.5, 0.112], [0.5, 0, 0.618], [0, 0.5, 0.618]]
    profile = measure(Structure(vectors, ["Pb", "Ti", "O", "O", "O"], places))
    oxygen = (0.112 + 1.112 + 4 * 0.618) / 6
    assert profile.off_centre == pytest.approx([(0.538 - oxygen) * 4.152])
    assert profile.groups[0].label == "PbTiO3:1"


@given(
    st.tuples(st.floats(0, 1), st.floats(0, 1), st.sampled_from([0.0, 1.0, -2.0])),
    st.permutations(range(len(STACK))),
    st.booleans(),
)
@settings(max_examples=15, deadline=None)
def test_translation_permutation_and_wrapping_change_nothing(shift, order, wrap):
    structure = tilted("a-a-c+", 8.0, STACK)
    same = Structure.from_sites([structure[i] for i in order])
    same.translate_sites(range(len(same)), shift, to_unit_cell=wrap)
    for name in ("spacing", "rumpling", "off_centre", "off_centre_in_plane", "tilt", "rotation", "bond"):
        assert getattr(measure(same), name) == pytest.approx(getattr(measure(structure), name), abs=1e-6)


def test_a_supercell_has_the_same_profile():
    structure = tilted("a-a-c+", 8.0, STACK)
    larger = structure.copy()
    larger.make_supercell([2, 1, 1])
    small, large = measure(structure), measure(larger)
    assert large.octahedra == pytest.approx(2 * small.octahedra)
    for name in ("spacing", "thickness", "off_centre", "tilt", "rotation", "angle_across", "angle_in_plane", "bond"):
        assert getattr(large, name) == pytest.approx(getattr(small, name), abs=1e-6)


def test_spacings_and_thicknesses_add_up_to_the_period():
    for by in ("layer", "plane"):
        assert measure(STACK, by=by).spacing.sum() == pytest.approx(STACK.lattice.c)
    assert measure(STACK).thickness.sum() == pytest.approx(STACK.lattice.c)


def test_thickness_is_compared_with_the_reference():
    profile = measure(STACK, reference={"SrTiO3": 3.9})
    assert profile.strain[0] == pytest.approx(100 * (3.905 / 3.9 - 1))
    assert np.isnan(profile.strain[2:]).all()
    with pytest.raises(ReaderError, match="reference: LaAl03 is not in the stack; did you mean 'LaAlO3'"):
        measure(STACK, reference={"LaAl03": 3.8})
    with pytest.raises(ReaderError, match="reference: 0 Å of SrTiO3"):
        measure(STACK, reference={"SrTiO3": 0.0})


def test_a_vacancy_leaves_incomplete_octahedra_which_are_named():
    host = build_superlattice([Block(STO, 2)], supercell=(2, 2))
    structure = enumerate_defects(host, "V_O", where="all")[0].structure
    profile = measure(structure)
    assert [count for _, count in profile.cages] == [5, 5]
    assert all(structure[site].specie.symbol == "Ti" for site, _ in profile.cages)
    assert profile.incomplete.sum() == 2
    assert profile.off_centre == pytest.approx([0, 0], abs=1e-9)


def test_a_slab_has_no_spacing_across_its_vacuum():
    profile = measure(build_superlattice([Block(STO, 3)], vacuum=15))
    assert profile.spacing[:2] == pytest.approx([3.905, 3.905])
    assert np.isnan(profile.spacing[2])
    assert np.isnan(profile.thickness[2])
    assert [count for _, count in profile.cages] == [5]


def test_layers_that_the_user_gave_have_the_vacuum_where_it_is():
    slab = build_superlattice([Block(STO, 3)], vacuum=15)
    slab.translate_sites(range(len(slab)), [0, 0, 0.5])  # the vacuum now lies within the cell
    given = [list(layer.sites) for layer in find_layering(slab).layers]
    profile = StructureProfile.from_structure(slab, layering=find_layering(slab, layers=given))
    wide = [spacing for spacing in profile.spacing if not np.isnan(spacing)]
    assert wide == pytest.approx([3.905, 3.905])


def test_corundum_has_octahedra_but_no_cubic_axes_to_turn_from():
    profile = measure(build_superlattice([Block(build_material("Cr2O3"), 2)], normal=(0, 0, 0, 1)))
    assert profile.octahedra.tolist() == [2, 2]
    assert np.isnan(profile.tilt).all()
    assert profile.bond[0] == pytest.approx(1.99, abs=0.02)


def test_crystals_without_octahedra_have_none():
    for name, prototype, a in (("CaF2", "fluorite", 5.46), ("GaAs", "zincblende", 5.65)):
        profile = measure(build_superlattice([Block(build_material(name, prototype=prototype, a=a), 2)]))
        assert profile.octahedra.sum() == 0
        assert np.isnan(profile.off_centre).all()
        assert "tilt (°)" not in profile.to_frame()


def test_tables_data_and_series_name_units():
    profile = StructureProfile.from_result(made_result(STACK))
    assert {"layer", "formula", "height (Å)", "thickness (Å)", "tilt (°)"} < set(profile.to_frame())
    data = json.loads(json.dumps(profile.to_dict(), allow_nan=False))
    assert data["spacing"] == pytest.approx(profile.spacing.tolist())
    series = profile.series("tilt")
    assert (series.columns, series.unit, series.values.shape) == (("tilt", "rotation"), "°", (4, 2))
    with pytest.raises(ReaderError, match="what: 'tilts'; did you mean 'tilt'"):
        profile.series("tilts")


def test_by_default_what_there_is_to_see_is_drawn():
    flat = StructureProfile.from_result(made_result(STACK))
    assert flat.plot().axes[0].get_ylabel().replace("\n", " ") == "spacing to the next (Å)"
    polar = replace(flat, polar=np.full(4, 0.05))
    assert "displacement" in polar.plot().axes[0].get_ylabel()
    assert "polar" in polar.plot().axes[0].get_ylabel().replace("\n", " ")
