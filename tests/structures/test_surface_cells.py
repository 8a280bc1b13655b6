from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from heterodft.errors import StructureError
from heterodft.structures.materials import build_material
from heterodft.structures.surface_cells import cut_surface_cell

A = 3.905
NORMALS = [(0, 0, 1), (1, 1, 0), (1, 1, 1), (2, 1, 0)]
INDICES = st.integers(-3, 3)
ANY_NORMAL = st.tuples(INDICES, INDICES, INDICES).filter(any)


def cut(normal):
    return cut_surface_cell(build_material("SrTiO3", a=A), normal)


def as_structure(cell):
    """One layer repeated along its leaning third vector."""
    third = [*(cell.shift @ cell.in_plane), cell.thickness]
    lattice = Lattice([[*cell.in_plane[0], 0.0], [*cell.in_plane[1], 0.0], third])
    atoms = [
        (element, [*(np.array([u, v]) @ cell.in_plane), plane.height + offset])
        for plane in cell.planes
        for (element, u, v), offset in zip(plane.atoms, plane.offsets, strict=True)
    ]
    return Structure(lattice, [a for a, _ in atoms], [x for _, x in atoms], coords_are_cartesian=True)


@pytest.mark.parametrize("normal", NORMALS)
def test_a_layer_is_as_thick_as_the_interplanar_distance(normal):
    assert cut(normal).thickness == pytest.approx(A / np.linalg.norm(normal))


@pytest.mark.parametrize(
    ("normal", "formulas"),
    [
        ((0, 0, 1), [{"Sr": 1, "O": 1}, {"Ti": 1, "O": 2}]),
        ((1, 1, 0), [{"Sr": 1, "Ti": 1, "O": 1}, {"O": 2}]),
        ((1, 1, 1), [{"Sr": 1, "O": 3}, {"Ti": 1}]),
        ((2, 1, 0), [{"Sr": 1, "O": 1}, {"Ti": 1, "O": 2}]),
    ],
)
def test_planes_have_the_composition_worked_out_by_hand_and_are_evenly_spaced(normal, formulas):
    cell = cut(normal)
    assert [Counter(element for element, _, _ in plane.atoms) for plane in cell.planes] == formulas
    assert [plane.height for plane in cell.planes] == pytest.approx([0.0, cell.thickness / 2])


@given(ANY_NORMAL)
@settings(max_examples=25, deadline=None)
def test_a_layer_is_one_formula_unit_of_the_volume_of_the_unit_cell(normal):
    cell = cut(normal)
    area = np.linalg.det(cell.in_plane)
    assert Counter(e for plane in cell.planes for e, _, _ in plane.atoms) == {"Sr": 1, "Ti": 1, "O": 3}
    assert area * cell.thickness == pytest.approx(A**3)


@given(ANY_NORMAL)
@settings(max_examples=25, deadline=None)
def test_in_plane_vectors_are_lattice_vectors_perpendicular_to_the_normal(normal):
    cell = cut(normal)
    gram = np.round(cell.in_plane @ cell.in_plane.T / A**2, 6)
    flat = [v for v in product(range(-5, 6), repeat=3) if any(v) and np.dot(v, normal) == 0]
    pairs = {(np.dot(v, v), np.dot(w, w), np.dot(v, w)) for v in flat for w in flat}
    assert (gram[0, 0], gram[1, 1], gram[0, 1]) in pairs


@given(ANY_NORMAL)
@settings(max_examples=25, deadline=None)
def test_layers_repeated_along_the_leaning_vector_are_the_bulk_crystal(normal):
    matcher = StructureMatcher(ltol=1e-3, stol=1e-3, angle_tol=0.1, scale=False)
    assert matcher.fit(as_structure(cut(normal)), build_material("SrTiO3", a=A).cell)


def test_the_first_vector_lies_along_x_and_the_pair_is_right_handed():
    for normal in NORMALS:
        (ax, ay), (bx, by) = cut(normal).in_plane
        assert ay == pytest.approx(0.0, abs=1e-9)
        assert ax > 0
        assert ax * by - ay * bx > 0


def test_the_hexagonal_plane_of_111_has_an_angle_of_120_degrees():
    first, second = cut((1, 1, 1)).in_plane
    assert np.linalg.norm(first) == pytest.approx(A * np.sqrt(2))
    assert np.linalg.norm(second) == pytest.approx(A * np.sqrt(2))
    assert np.degrees(np.arccos(first @ second / (first @ first))) == pytest.approx(120)


def test_111_layers_are_shifted_by_thirds_and_001_layers_are_not():
    assert sorted(np.mod(cut((1, 1, 1)).shift, 1.0)) == pytest.approx([1 / 3, 2 / 3])
    assert cut((0, 0, 1)).shift == pytest.approx([0.0, 0.0])


def test_a_common_divisor_of_the_indices_is_taken_out():
    assert cut((2, 2, 2)).normal == (1, 1, 1)
    assert cut((2, 2, 2)).thickness == pytest.approx(A / np.sqrt(3))
    assert cut((0, 0, -2)).normal == (0, 0, -1)


def test_the_zero_normal_is_refused():
    with pytest.raises(StructureError, match=r"SrTiO3: the normal \(0 0 0\) has no direction; give Miller"):
        cut((0, 0, 0))


MATERIALS = {
    "MgO": {},
    "Cr2O3": {},
    "GaAs": {"prototype": "zincblende", "a": 5.653},
    "CaF2": {"prototype": "fluorite", "a": 5.463},
    "MgAl2O4": {"prototype": "spinel", "a": 8.083},
    "GaN": {"prototype": "wurtzite", "a": 3.189, "c": 5.185},
}


@given(st.sampled_from(sorted(MATERIALS)), ANY_NORMAL.filter(lambda n: max(map(abs, n)) < 3))
@settings(max_examples=40, deadline=None)
def test_repeats_of_every_prototype_are_its_bulk_crystal(name, normal):
    material = build_material(name, **MATERIALS[name])
    repeat = as_structure(cut_surface_cell(material, normal))
    assert repeat.composition.reduced_formula == material.cell.composition.reduced_formula
    assert repeat.volume / len(repeat) == pytest.approx(material.cell.volume / len(material.cell))
    assert surroundings(repeat) == surroundings(material.cell)
    numbers = [SpacegroupAnalyzer(cell, symprec=1e-4).get_space_group_number() for cell in (repeat, material.cell)]
    assert numbers[0] == numbers[1]


def surroundings(cell):
    """What every atom of a crystal sees within 3.5 Å: the kinds of atoms and their distances, in hundredths of Å."""
    found = set()
    for site in cell:
        seen = sorted((n.species_string, round(100 * n.nn_distance + 0.123)) for n in cell.get_neighbors(site, 3.5))
        found.add((site.species_string, tuple(seen)))
    return found


@pytest.mark.parametrize(
    ("name", "normal", "layers", "thickness", "first_layer"),
    [
        ("MgO", (0, 0, 1), 1, 4.211 / 2, [("Mg", "O")]),
        ("MgO", (1, 1, 1), 1, 4.211 / np.sqrt(3), [("O",), ("Mg",)]),
        ("Cr2O3", (0, 0, 0, 1), 2, 13.599 / 6, [("O", "O", "O"), ("Cr",), ("Cr",)]),
        ("GaN", (0, 0, 0, 1), 2, 5.185 / 2, [("N",), ("Ga",)]),
        ("CaF2", (1, 1, 1), 1, 5.463 / np.sqrt(3), [("F",), ("Ca",), ("F",)]),
        ("GaAs", (0, 0, 1), 1, 5.653 / 2, [("As",), ("Ga",)]),
    ],
)
def test_layers_are_those_that_papers_count(name, normal, layers, thickness, first_layer):
    cell = cut_surface_cell(build_material(name, **MATERIALS[name]), normal)
    assert cell.layers == layers
    assert cell.layer_thickness == pytest.approx(thickness)
    size = len(cell.planes) // layers
    assert [tuple(sorted(a[0] for a in p.atoms)) for p in cell.planes[:size]] == first_layer


def test_chromium_planes_of_crn_111_are_as_far_apart_as_measured():
    assert cut_surface_cell(build_material("CrN"), (1, 1, 1)).layer_thickness == pytest.approx(2.40, abs=0.01)


def test_four_indices_must_agree():
    material = build_material("Cr2O3")
    assert cut_surface_cell(material, (1, 1, -2, 0)).normal == (1, 1, 0)
    with pytest.raises(StructureError, match=r"Cr2O3: the normal \(1 1 2 0\) breaks h \+ k \+ i = 0"):
        cut_surface_cell(material, (1, 1, 2, 0))
    with pytest.raises(StructureError, match=r"the normal \(1 1\) has 2 indices"):
        cut_surface_cell(material, (1, 1))


@given(st.integers(3500, 4500))
@settings(max_examples=60, deadline=None)
def test_the_first_plane_does_not_hang_on_rounding(thousandths):
    cell = cut_surface_cell(build_material("SrTiO3", a=thousandths / 1000), (0, 0, 1))
    assert cell.planes[0].elements == ("O", "Sr")


def test_lanthanum_manganite_whose_half_constant_ends_in_a_five_begins_with_its_a_site():
    assert cut_surface_cell(build_material("LaMnO3"), (0, 0, 1)).planes[0].elements == ("La", "O")
