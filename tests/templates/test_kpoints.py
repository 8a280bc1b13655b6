from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from ase.cell import Cell
from ase.lattice import CRECT, HEX2D, OBL, RECT, SQR
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer
from scipy.spatial.transform import Rotation

from heterodft.errors import InputError
from heterodft.structures.materials import build_material
from heterodft.structures.superlattice import Block, build_superlattice
from heterodft.templates.kpoints import band_path, irreducible_kpoints, k_mesh, mesh_shift

CELL = build_material("SrTiO3").cell
LEANING = build_superlattice([Block(build_material("SrTiO3"), 2)], normal=(1, 1, 1))
LATTICES = {
    "SQR": SQR(3.9),
    "RECT": RECT(3.9, 5.5),
    "HEX2D": HEX2D(5.5),
    "acute CRECT": CRECT(4.0, 40),
    "CRECT": CRECT(4.0, 80),
    "OBL": OBL(3.0, 4.1, 75),
}
LOOPS = {
    "SQR": "Γ X M Γ",
    "RECT": "Γ X S Y Γ",
    "HEX2D": "Γ M K Γ",
    "CRECT": "Γ X A1 Y Γ",
    "OBL": "Γ Y H C H1 X Γ",
}
NEIGHBOURS = dict.fromkeys(["X", "Y", "M", "C"], 2) | dict.fromkeys(["K", "H", "H1", "A1"], 3) | {"S": 4}


def box(a, b, c, *, gamma=90):
    return Structure(Lattice.from_parameters(a, b, c, 90, 90, gamma), ["Ti"], [[0, 0, 0]])


def stack(plane, third=(0, 0, 12), *, turn=(0, 0, 0)):
    """A cell from two-dimensional vectors and a third one, turned in space."""
    matrix = np.vstack([np.pad(np.array(plane)[:2, :2], ((0, 0), (0, 1))), third])
    return Structure(Lattice(Rotation.from_rotvec(turn).apply(matrix)), ["Ti"], [[0, 0, 0]])


def standard(name):
    return LATTICES[name].tocell()[:2, :2]


def unit_normal(structure):
    normal = np.cross(*structure.lattice.matrix[:2])
    return normal / np.linalg.norm(normal)


def cartesian(structure, path):
    return np.array(path.kpoints) @ structure.lattice.reciprocal_lattice.matrix


def special(structure, **options):
    """Cartesian special points by label, of the first visit."""
    path = band_path(structure, 0.1, **options)
    points = cartesian(structure, path)
    return {label: points[index] for index, label in reversed(path.labels)}


def names(structure, **options):
    return " ".join(label for _, label in band_path(structure, 0.1, **options).labels)


def zone_neighbours(structure, point):
    """How many points of the in-plane reciprocal lattice are as near to a point as Γ, and how many are nearer."""
    plane = structure.lattice.matrix[:2]
    dual = 2 * np.pi * np.linalg.pinv(plane).T
    lattice = np.array(list(product(range(-25, 26), repeat=2))) @ dual
    farther = np.linalg.norm(lattice - point, axis=1) - np.linalg.norm(point)
    return int((abs(farther) < 1e-4).sum()), int((farther < -1e-4).sum())


@st.composite
def unimodular(draw):
    """Another choice of the two vectors of a lattice, of either handedness."""
    p, q, r = (draw(st.integers(-2, 2)) for _ in range(3))
    matrix = np.array([[1, p], [0, 1]]) @ [[1, 0], [q, 1]] @ [[1, r], [0, 1]]
    return matrix[::-1] if draw(st.booleans()) else matrix


vectors = st.tuples(*[st.floats(-3, 3)] * 3)
noises = st.tuples(*[st.floats(-1e-6, 1e-6)] * 4).map(lambda x: np.reshape(x, (2, 2)))


@st.composite
def cells(draw, lattices=tuple(LATTICES)):
    """A cell on one of the lattices: any choice of in-plane vectors, noise, lean, orientation and handedness."""
    name = draw(st.sampled_from(lattices))
    plane = draw(unimodular()) @ standard(name) + draw(noises)
    x, y = draw(st.tuples(*[st.floats(-4, 4)] * 2))
    height = draw(st.sampled_from([-1, 1])) * draw(st.floats(4, 40))
    return name.split()[-1], stack(plane, (x, y, height), turn=draw(vectors))


class TestMesh:
    def test_divisions_count_reciprocal_vectors_with_two_pi(self):
        # 2π / 3.905 Å = 1.609 1/Å, in steps of at most 0.25 1/Å
        assert k_mesh(box(3.905, 3.905, 3.905), 0.25) == (7, 7, 7)
        assert k_mesh(box(3.905, 7.81, 30.0), 0.25) == (7, 4, 1)

    @given(st.floats(0.15, 2.0), st.sampled_from([CELL, LEANING, box(3, 5, 20)]), st.booleans())
    @settings(max_examples=40, deadline=None)
    def test_they_are_as_few_as_the_spacing_allows(self, spacing, structure, slab):
        used = 2 if slab else 3
        lengths = np.array(structure.lattice.reciprocal_lattice.abc)[:used]
        mesh = np.array(k_mesh(structure, spacing, slab=slab))[:used]
        assert (lengths / mesh <= spacing * (1 + 1e-5)).all()
        assert ((mesh == 1) | (lengths / np.maximum(mesh - 1, 1) > spacing * (1 - 1e-5))).all()

    def test_a_spacing_that_divides_exactly_gains_no_division_from_rounding(self):
        assert k_mesh(box(np.pi, np.pi, np.pi), 0.2) == (10, 10, 10)

    def test_a_slab_has_one_division_across_its_vacuum(self):
        assert k_mesh(box(4, 4, 8), 0.25) == (7, 7, 4)
        assert k_mesh(box(4, 4, 8), 0.25, slab=True) == (7, 7, 1)
        assert k_mesh(box(4, 4, 0.1), 0.25, slab=True) == (7, 7, 1)

    @given(st.floats(-9e-5, 9e-5), st.floats(0.05, 1), st.sampled_from([60, 90, 120]))
    @settings(max_examples=60, deadline=None)
    def test_nearly_equal_vectors_have_equal_divisions(self, noise, spacing, gamma):
        a, b, _ = k_mesh(box(4, 4 * (1 + noise), 10, gamma=gamma), spacing)
        assert a == b

    def test_rounding_does_not_split_a_square_at_a_whole_number_of_divisions(self):
        b = np.pi * (1 - 2e-5)
        assert k_mesh(box(np.pi, b, np.pi), 0.2) == k_mesh(box(b, np.pi, np.pi), 0.2) == (11, 11, 10)
        assert k_mesh(box(np.pi, np.pi * 0.999, np.pi), 0.2) == (10, 11, 10)

    def test_sixty_divisions_are_taken_and_more_refused(self):
        assert k_mesh(box(np.pi, 5, 5), 2 / 60)[0] == 60
        with pytest.raises(InputError, match=r"kspacing 0\.02 1/Å makes a mesh of 81x81x81; give a wider spacing"):
            k_mesh(box(3.9, 3.9, 3.9), 0.02)

    @pytest.mark.parametrize("spacing", [0.0, -0.25])
    def test_a_spacing_that_is_not_positive_is_refused(self, spacing):
        with pytest.raises(InputError, match=r"kspacing .* 1/Å; give a positive spacing such as 0\.25"):
            k_mesh(CELL, spacing)


@pytest.mark.parametrize(
    ("structure", "kpoints", "shift"),
    [
        (box(4, 4, 6), (4, 3, 2), (1, 0, 1)),
        (box(4, 4, 6), (1, 1, 1), (0, 0, 0)),
        (box(4, 4, 6, gamma=90.0005), (2, 2, 2), (1, 1, 1)),
        (box(4, 4, 6, gamma=120), (4, 4, 2), (0, 0, 0)),
        (box(4, 5, 6, gamma=91), (4, 4, 2), (0, 0, 0)),
        (LEANING, (4, 4, 2), (0, 0, 0)),
    ],
)
def test_only_even_divisions_of_right_angled_cells_are_shifted(structure, kpoints, shift):
    assert mesh_shift(structure, kpoints, wanted=True) == shift
    assert mesh_shift(structure, kpoints, wanted=False) == (0, 0, 0)


class TestIrreducible:
    @pytest.mark.parametrize("shift", [(0, 0, 0), (1, 1, 1)])
    @pytest.mark.parametrize("structure", [box(4, 4, 6), box(4, 4, 6, gamma=120), CELL])
    def test_the_number_is_that_of_pymatgen(self, structure, shift):
        kinds = [site.specie.Z for site in structure]
        expected = SpacegroupAnalyzer(structure, symprec=1e-5).get_ir_reciprocal_mesh((4, 4, 2), is_shift=shift)
        assert irreducible_kpoints(structure, (4, 4, 2), shift, kinds) == len(expected)

    def test_a_cube_has_four_of_eight_points(self):
        assert irreducible_kpoints(box(4, 4, 4), (2, 2, 2), (0, 0, 0), [0]) == 4  # Γ, X, M, R
        assert irreducible_kpoints(box(4, 4, 4), (2, 2, 2), (1, 1, 1), [0]) == 1

    def test_kinds_lower_the_symmetry(self):
        row = Structure(Lattice.cubic(4), ["Ti"] * 3, [[0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
        assert irreducible_kpoints(row, (2, 2, 2), (0, 0, 0), [0, 0, 0]) == 4
        assert irreducible_kpoints(row, (2, 2, 2), (0, 0, 0), [0, 0, 1]) == 6
        assert irreducible_kpoints(row, (2, 2, 2), (0, 0, 0), [0, 1, 2]) == 8

    def test_without_time_reversal_k_and_minus_k_are_two(self):
        places = [[0, 0, 0], [0.3, 0.1, 0], [0, 0.5, 0.2], [0.4, 0.3, 0.7]]
        chiral = Structure(Lattice.orthorhombic(3, 4, 5), ["Ti"] * 4, places)
        assert irreducible_kpoints(chiral, (3, 3, 3), (0, 0, 0), [0, 1, 2, 3]) == 14
        assert irreducible_kpoints(chiral, (3, 3, 3), (0, 0, 0), [0, 1, 2, 3], time_reversal=False) == 27

    def test_atoms_in_one_place_are_refused(self):
        twice = Structure(Lattice.cubic(4), ["Ti", "Ti"], [[0, 0, 0]] * 2)
        with pytest.raises(InputError, match=r"Ti: no symmetry of 2 atoms .* mesh of 2x2x2; look for atoms in one"):
            irreducible_kpoints(twice, (2, 2, 2), (0, 0, 0), [0, 0])


class TestPath:
    @given(cells(), st.floats(0.02, 0.5), st.booleans())
    @settings(max_examples=100, deadline=None)
    def test_it_starts_at_gamma_stays_in_the_plane_and_steps_by_no_more_than_the_spacing(self, cell, spacing, slab):
        _, structure = cell
        path = band_path(structure, spacing, slab=slab)
        points = cartesian(structure, path)
        last_in_plane = next(index for index, label in reversed(path.labels) if label == "Γ")
        assert path.kpoints[0] == path.kpoints[last_in_plane] == (0, 0, 0)
        assert points[: last_in_plane + 1] @ unit_normal(structure) == pytest.approx(0, abs=1e-8)
        assert np.linalg.norm(np.diff(points, axis=0), axis=1).max() <= spacing * (1 + 2e-6)
        assert all(j < k for (j, _), (k, _) in pairwise(path.labels))
        assert path.labels[-1] == (len(points) - 1, "Γ" if slab else "Z")

    @given(cells())
    @settings(max_examples=100, deadline=None)
    def test_the_loop_is_that_of_the_lattice_for_any_choice_of_vectors(self, cell):
        lattice, structure = cell
        assert names(structure, slab=True) == LOOPS[lattice]
        assert names(structure) == LOOPS[lattice] + " Z"

    @given(cells())
    @settings(max_examples=100, deadline=None)
    def test_special_points_are_edge_centres_and_corners_of_the_zone(self, cell):
        lattice, structure = cell
        expected = NEIGHBOURS | ({"M": 4} if lattice == "SQR" else {"X": 3} if lattice == "CRECT" else {})
        for label, point in special(structure, slab=True).items():
            assert zone_neighbours(structure, point) == (1 if label == "Γ" else expected[label], 0)

    @given(st.data(), st.sampled_from(sorted(LATTICES)))
    @settings(max_examples=60, deadline=None)
    def test_the_path_has_the_shape_of_that_of_the_upright_standard_cell(self, data, name):
        upright = special(stack(standard(name)), slab=True)
        _, structure = data.draw(cells([name]))
        found = special(structure, slab=True)
        overlaps = [np.array(list(p.values())) @ np.array(list(p.values())).T for p in (upright, found)]
        assert overlaps[1] == pytest.approx(overlaps[0], abs=1e-4)

    @pytest.mark.parametrize("name", LATTICES)
    def test_special_points_of_an_upright_standard_cell_are_those_of_ase(self, name):
        structure = stack(standard(name))
        path = band_path(structure, 0.1, slab=True)
        lattice = Cell(structure.lattice.matrix).get_bravais_lattice(pbc=[1, 1, 0])
        assert lattice.name == name.split()[-1]
        points = lattice.get_special_points()
        for index, label in path.labels:
            assert path.kpoints[index] == pytest.approx(points["G" if label == "Γ" else label], abs=1e-9)

    @given(cells())
    @settings(max_examples=60, deadline=None)
    def test_z_is_half_the_third_reciprocal_vector_along_the_normal(self, cell):
        _, structure = cell
        normal, found = unit_normal(structure), special(structure)["Z"]
        height = abs(structure.lattice.matrix[2] @ normal)
        assert abs(found @ normal) == pytest.approx(np.pi / height)
        assert np.cross(found, normal) == pytest.approx(0, abs=1e-8)

    @given(cells(["SQR"]))
    @settings(max_examples=20, deadline=None)
    def test_lengths_in_a_square_zone(self, cell):
        lengths = {label: np.linalg.norm(point) for label, point in special(cell[1]).items()}
        assert lengths["X"] == pytest.approx(np.pi / 3.9, rel=1e-5)
        assert lengths["M"] == pytest.approx(np.sqrt(2) * np.pi / 3.9, rel=1e-5)

    @pytest.mark.parametrize("gamma", [60, 120])
    @pytest.mark.parametrize("foot", [(0, 0), (1.1, -0.4), (2.75, 1.6)])
    def test_lengths_in_a_hexagonal_zone(self, gamma, foot):
        angle = np.radians(gamma)
        plane = [[5.5, 0], [5.5 * np.cos(angle), 5.5 * np.sin(angle)]]
        lengths = {label: np.linalg.norm(k) for label, k in special(stack(plane, (*foot, 13))).items()}
        assert lengths["K"] == pytest.approx(4 * np.pi / 3 / 5.5)
        assert lengths["M"] == pytest.approx(2 * np.pi / np.sqrt(3) / 5.5)
        assert lengths["Z"] == pytest.approx(np.pi / 13)

    @pytest.mark.parametrize(("a", "b"), [(3.9, 5.5), (5.5, 3.9)])
    def test_x_of_a_rectangle_lies_along_its_short_side(self, a, b):
        found = special(box(a, b, 12))
        short = int(a > b)
        assert found["X"] == pytest.approx(np.eye(3)[short] * np.pi / 3.9, abs=1e-8)
        assert found["Y"] == pytest.approx(np.eye(3)[1 - short] * np.pi / 5.5, abs=1e-8)
        assert found["S"] == pytest.approx(found["X"] + found["Y"], abs=1e-8)

    def test_points_of_a_square_are_the_textbook_ones(self):
        path = band_path(box(np.pi, np.pi, 2 * np.pi), 0.5)
        assert path.labels == ((0, "Γ"), (2, "X"), (4, "M"), (7, "Γ"), (8, "Z"))
        assert path.kpoints[:5] == ((0, 0, 0), (0, 0.25, 0), (0, 0.5, 0), (0.25, 0.5, 0), (0.5, 0.5, 0))
        assert path.kpoints[5] == pytest.approx((1 / 3, 1 / 3, 0))
        assert path.kpoints[7:] == ((0, 0, 0), (0, 0, 0.5))

    def test_a_third_vector_that_leans_by_half_gives_points_a_third_coordinate(self):
        path = band_path(stack([[4, 0], [0, 4]], (2, 0, 10)), 0.5)
        points = {label: path.kpoints[index] for index, label in reversed(path.labels)}
        assert (points["X"], points["M"], points["Z"]) == ((0, 0.5, 0), (0.5, 0.5, 0.25), (0, 0, 0.5))

    @given(cells(), noises)
    @settings(max_examples=60, deadline=None)
    def test_noise_in_the_lattice_constants_moves_no_special_point(self, cell, noise):
        _, structure = cell
        matrix = structure.lattice.matrix.copy()
        matrix[:2] += noise @ np.linalg.svd(matrix[:2])[2][:2]
        other = Structure(Lattice(matrix), ["Ti"], [[0, 0, 0]])
        before, after = special(structure), special(other)
        assert list(before) == list(after)
        assert np.array(list(after.values())) == pytest.approx(np.array(list(before.values())), abs=1e-3)

    @given(st.floats(0, 1), st.floats(2.9, 177.1), st.floats(3, 8))
    @settings(max_examples=100, deadline=None)
    def test_every_lattice_has_a_path(self, part, gamma, a):
        least = max(0.5, 0.1 / np.sin(np.radians(gamma)))  # of a cell that is not flat
        ratio = least + part * (2 - least)
        assert names(box(a, a * ratio, 10, gamma=gamma), slab=True) in LOOPS.values()

    @given(st.floats(-5e-4, 5e-4), st.floats(-5e-4, 5e-4), st.sampled_from(sorted(LATTICES)))
    @settings(max_examples=100, deadline=None)
    def test_so_has_a_lattice_that_is_nearly_of_another_kind(self, stretch, shear, name):
        structure = stack(standard(name) @ [[1 + stretch, shear], [0, 1]])
        for label, point in special(structure, slab=True).items():
            _, nearer = zone_neighbours(structure, point * (1 - 1e-2))
            assert nearer == 0, label

    def test_every_segment_has_both_ends_however_wide_the_spacing(self):
        path = band_path(CELL, 50.0)
        assert path.labels == ((0, "Γ"), (1, "X"), (2, "M"), (3, "Γ"), (4, "Z"))
        assert len(path.kpoints) == 5

    @pytest.mark.parametrize("spacing", [0.0, -0.05])
    def test_a_spacing_that_is_not_positive_is_refused(self, spacing):
        with pytest.raises(InputError, match=r"path_spacing .* 1/Å; give a positive spacing such as 0\.05"):
            band_path(CELL, spacing)

    @pytest.mark.parametrize("spacing", [0.001, 1e-300, 5e-324])
    def test_more_than_two_thousand_points_are_refused(self, spacing):
        with pytest.raises(InputError, match=r"path_spacing .* makes a path of more than 2000 points; give a wider"):
            band_path(CELL, spacing)
        assert len(band_path(CELL, 0.0018).kpoints) == 1975
