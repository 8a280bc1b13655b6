from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import spglib
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure

from heterodft.errors import StructureError
from heterodft.structures import plane_formulas
from heterodft.structures.matching import MatchLimits
from heterodft.structures.materials import build_material
from heterodft.structures.superlattice import Block, build_superlattice, layer_labels
from heterodft.structures.surface_cells import cut_surface_cell

MATERIALS = {name: build_material(name) for name in ("SrTiO3", "LaAlO3", "KTaO3")}
A_SITES = {"SrTiO3": "Sr", "LaAlO3": "La", "KTaO3": "K"}
CELLS = st.sampled_from([(0, 0, 1), (1, 1, 0), (1, 1, 1), (2, 1, 0)])
NAMES = st.sampled_from(sorted(MATERIALS))
STACKS = st.lists(st.tuples(NAMES, st.integers(1, 5)), min_size=1, max_size=3)
SUPERCELLS = st.sampled_from([(1, 1), (2, 1), (1, 2), (2, 2)])
EXACT = StructureMatcher(ltol=1e-3, stol=1e-3, angle_tol=0.05, scale=False, primitive_cell=False)
few = settings(max_examples=25, deadline=None)


def build(stack, normal=(0, 0, 1), **options):
    return build_superlattice([Block(MATERIALS[name], n) for name, n in stack], normal=normal, **options)


def primitive(structure):
    """Smallest cell that repeats, labels ignored."""
    numbers = [site.specie.Z for site in structure]
    cell = (structure.lattice.matrix, structure.frac_coords, numbers)
    lattice, positions, kinds = spglib.find_primitive(cell, symprec=1e-4)
    return Structure(lattice, kinds, positions)


def same_crystal(one, other):
    return EXACT.fit(primitive(one), primitive(other))


def surroundings(structure, cutoff=4.2):
    """Of each site: species and distance (Å) of its neighbours, sorted."""
    centres, others, _, lengths = structure.get_neighbor_list(cutoff)
    found = [[] for _ in structure]
    for centre, other, length in zip(centres, others, lengths, strict=True):
        found[centre].append((structure[int(other)].species_string, round(float(length), 4)))
    return [(site.species_string, tuple(sorted(f))) for site, f in zip(structure, found, strict=True)]


@given(STACKS, CELLS, SUPERCELLS)
@few
def test_every_layer_of_every_cell_is_one_formula_unit(stack, normal, supercell):
    structure = build(stack, normal, supercell=supercell)
    repeats = supercell[0] * supercell[1]
    assert len(structure) == 5 * repeats * sum(n for _, n in stack)
    properties = structure.site_properties
    layers = Counter(zip(properties["material"], properties["block"], properties["layer"], strict=True))
    assert layers == {(m, b, k): 5 * repeats for b, (m, n) in enumerate(stack, 1) for k in range(1, n + 1)}
    for name, element in A_SITES.items():
        assert structure.composition[element] == repeats * sum(n for m, n in stack if m == name)


@given(STACKS, CELLS, NAMES, SUPERCELLS)
@few
def test_the_in_plane_cell_is_that_of_the_reference(stack, normal, reference, supercell):
    stack = [*stack, (reference, 1)]
    vectors = build(stack, normal, in_plane=reference, supercell=supercell).lattice.matrix[:2]
    expected = cut_surface_cell(MATERIALS[reference], normal).in_plane * np.array(supercell)[:, None]
    np.testing.assert_allclose(vectors, np.pad(expected, ((0, 0), (0, 1))), atol=1e-9)


@given(STACKS, CELLS, st.floats(3.8, 3.98))
@few
def test_every_layer_keeps_the_volume_of_its_bulk(stack, normal, a):
    structure = build(stack, normal, in_plane=a)
    expected = sum(n * MATERIALS[name].cell.volume for name, n in stack)
    assert structure.volume == pytest.approx(expected, rel=1e-9)


@given(STACKS, CELLS)
@few
def test_plane_spacings_follow_from_constant_volume_and_interfaces_from_those_of_both(stack, normal):
    structure = build(stack, normal)

    def neighbours(name):
        formulas = list(plane_formulas(build([(name, 2)], normal)).values())
        return set(zip(formulas, [*formulas[1:], formulas[0]], strict=True))

    properties, heights = structure.site_properties, structure.cart_coords[:, 2]
    reference = MATERIALS[stack[0][0]].cell.lattice.a
    half_layer = {
        name: MATERIALS[name].cell.lattice.a ** 3 / reference**2 / np.linalg.norm(normal) / 2 for name, _ in stack
    }
    planes = sorted(set(zip(properties["plane"], properties["material"], np.round(heights, 9), strict=True)))
    assert [plane for plane, _, _ in planes] == list(range(2 * sum(n for _, n in stack)))
    top = planes[0][2] + structure.lattice.matrix[2, 2]
    formulas = list(plane_formulas(structure).values())
    pairs = zip(formulas, [*formulas[1:], formulas[0]], strict=True)
    ends = zip(planes, [*planes[1:], (None, planes[0][1], top)], strict=True)
    for pair, ((_, below, low), (_, above, high)) in zip(pairs, ends, strict=True):
        own = [half_layer[name] for name in (below, above) if pair in neighbours(name)]
        expected = own[0] if len(own) == 1 else (half_layer[below] + half_layer[above]) / 2
        assert high - low == pytest.approx(expected, abs=1e-6)


@given(STACKS, CELLS)
@few
def test_octahedra_and_cages_stay_whole_across_every_interface(stack, normal):
    for element, around in surroundings(build(stack, normal), cutoff=3.4):
        oxygens = [d for e, d in around if e == "O"]
        if element in ("Ti", "Al", "Ta"):
            assert len([d for d in oxygens if d < 2.4]) == 6
        elif element in ("Sr", "La", "K"):
            assert len([d for d in oxygens if d > 2.4]) == 12


@given(st.tuples(st.integers(1, 4), st.integers(1, 4)), CELLS)
@few
def test_the_cell_closes_a_doubled_period_is_the_same_crystal(counts, normal):
    stack = [("KTaO3", counts[0]), ("LaAlO3", counts[1])]
    single, double = build(stack, normal), build([*stack, *stack], normal)
    assert 2 * len(primitive(double)) == len(double)
    assert same_crystal(single, double)
    # the interface inside the doubled cell looks like the one across the boundary of the single one
    assert surroundings(single) == surroundings(double)[: len(single)] == surroundings(double)[len(single) :]


@given(st.lists(st.tuples(NAMES, st.integers(1, 4)), min_size=2, max_size=3), CELLS)
@few
def test_the_stack_may_begin_with_any_of_its_blocks(stack, normal):
    turned = [*stack[1:], stack[0]]
    one, other = (build(s, normal, in_plane=3.9) for s in (stack, turned))
    assert one.volume == pytest.approx(other.volume)
    assert same_crystal(one, other)


@given(st.integers(1, 5), st.integers(1, 5), CELLS)
@few
def test_blocks_of_one_material_make_its_bulk_for_any_number_of_layers(n, m, normal):
    structure = build([("SrTiO3", n), ("SrTiO3", m)], normal)
    assert len(structure) == 5 * (n + m)
    assert len(primitive(structure)) == 5
    assert same_crystal(structure, MATERIALS["SrTiO3"].cell)


@pytest.mark.parametrize(("layers", "leans"), [(1, True), (2, True), (3, False), (4, True), (6, False)])
def test_a_111_cell_leans_unless_its_layers_are_a_multiple_of_three(layers, leans):
    alpha, beta, gamma = build([("SrTiO3", layers)], (1, 1, 1)).lattice.angles
    assert gamma == pytest.approx(120)
    assert (abs(alpha - 90) > 1 or abs(beta - 90) > 1) is leans


@pytest.mark.parametrize(
    ("in_plane", "strains"),
    [
        ("SrTiO3", {"SrTiO3": 0.0, "LaAlO3": 3.034301}),  # 3.905 / 3.790 - 1
        ("LaAlO3", {"SrTiO3": -2.944942, "LaAlO3": 0.0}),
        (3.9, {"SrTiO3": -0.128041, "LaAlO3": 2.902375}),
        ("mean", {"SrTiO3": -1.472471, "LaAlO3": 1.517150}),  # on 3.8475
        (None, {"SrTiO3": 0.0, "LaAlO3": 3.034301}),
    ],
)
@pytest.mark.parametrize("normal", [(0, 0, 1), (1, 1, 1)])
def test_a_stretched_material_has_a_positive_strain(in_plane, strains, normal):
    structure = build([("SrTiO3", 1), ("LaAlO3", 1)], normal, in_plane=in_plane)
    assert structure.properties["strain"] == pytest.approx(strains, abs=2e-6)


def test_strains_on_the_mean_are_measured_from_the_mean():
    pair = [Block(build_material(n, prototype="rocksalt", a=a), 2) for n, a in (("CaO", 4.81), ("NiO", 4.17))]
    structure = build_superlattice(pair, in_plane="mean")
    assert structure.lattice.a == pytest.approx(4.49 / np.sqrt(2))
    assert structure.properties["strain"] == pytest.approx({"CaO": -6.652807, "NiO": 7.673861})
    with pytest.raises(StructureError, match=r"NiO: an in-plane strain of \+15\.3 % is beyond 15 %"):
        build_superlattice(pair)


def test_the_strain_survives_a_supercell():
    structure = build([("SrTiO3", 1), ("LaAlO3", 1)], supercell=(2, 2))
    assert structure.properties["strain"] == {"SrTiO3": 0.0, "LaAlO3": 3.034301}


@given(STACKS, CELLS, SUPERCELLS)
@few
def test_planes_are_numbered_from_the_bottom_and_lie_flat(stack, normal, supercell):
    structure = build(stack, normal, supercell=supercell)
    numbers, heights = np.array(structure.site_properties["plane"]), structure.cart_coords[:, 2]
    assert (np.diff(numbers) >= 0).all()
    means = [heights[numbers == plane].mean() for plane in range(numbers.max() + 1)]
    assert (np.diff(means) > 0.3).all()
    np.testing.assert_allclose(heights, np.array(means)[numbers], atol=1e-6)
    assert min(heights) >= 0
    assert max(heights) < structure.lattice.matrix[2, 2]


@given(STACKS, CELLS)
@few
def test_a_supercell_is_the_same_crystal(stack, normal):
    small, large = build(stack, normal), build(stack, normal, supercell=(2, 1))
    assert len(large) == 2 * len(small)
    assert same_crystal(small, large)


def test_labels_count_materials_blocks_and_layers_from_the_bottom():
    structure = build([("KTaO3", 2), ("LaAlO3", 1)])
    labels = dict.fromkeys(zip(*(structure.site_properties[k] for k in ("plane", "block", "layer")), strict=True))
    assert list(labels) == [(0, 1, 1), (1, 1, 1), (2, 1, 2), (3, 1, 2), (4, 2, 1), (5, 2, 1)]
    assert list(dict.fromkeys(layer_labels(structure))) == ["KTaO3:1", "KTaO3:2", "LaAlO3:1"]


def test_blocks_that_repeat_a_material_are_numbered():
    structure = build([("KTaO3", 2), ("LaAlO3", 1), ("KTaO3", 1)])
    assert list(dict.fromkeys(layer_labels(structure))) == ["KTaO3[1]:1", "KTaO3[1]:2", "LaAlO3:1", "KTaO3[2]:1"]


@pytest.mark.parametrize(
    ("stack", "options", "message"),
    [
        ([], {}, "the stack is empty"),
        ([("SrTiO3", 0)], {}, "0 layers of SrTiO3; give at least 1"),
        ([("SrTiO3", 1)], {"supercell": (2, 0)}, r"supercell \[2, 0\]; give two repeats"),
        ([("SrTiO3", 1)], {"in_plane": "KTO"}, "in_plane: KTO is not in the stack; name one of SrTiO3, a substrate"),
        ([("SrTiO3", 1)], {"in_plane": 4.6}, r"SrTiO3: an in-plane strain of \+17.8 % is beyond 15 %"),
        ([("SrTiO3", 1)], {"in_plane": 0.0}, "in_plane: 0 Å is no lattice constant"),
        ([("SrTiO3", 1)], {"in_plane": -3.905}, "in_plane: -3.905 Å is no lattice constant"),
    ],
)
def test_what_cannot_be_stacked_is_refused(stack, options, message):
    with pytest.raises(StructureError, match=message):
        build(stack, **options)


def test_lattices_that_do_not_fit_within_the_limits_are_refused():
    stack = [Block(MATERIALS["SrTiO3"], 1), Block(MATERIALS["KTaO3"], 1)]
    normal = {"SrTiO3": (0, 0, 1), "KTaO3": (1, 1, 1)}
    message = (
        r"KTaO3 \(1 1 1\) does not fit on SrTiO3 \(0 0 1\) within 2 % strain and 60 Å²; the least strained match"
    )
    with pytest.raises(StructureError, match=message):
        build_superlattice(stack, normal=normal, match=MatchLimits(strain=0.02, area=60))


@given(st.integers(1, 5), CELLS)
@few
def test_cells_are_right_handed_and_the_lean_stays_within_half_a_cell(layers, normal):
    matrix = build([("SrTiO3", layers)], normal).lattice.matrix
    assert np.linalg.det(matrix) > 0
    lean = matrix[2, :2] @ np.linalg.inv(matrix[:2, :2])
    assert (np.abs(lean) <= 0.5 + 1e-9).all()


@given(st.integers(1, 3), st.integers(1, 3), st.sampled_from([(0, 0, 1), (1, 1, 0), (1, 1, 1)]))
@settings(max_examples=10, deadline=None)
def test_rocksalts_stack_and_close_like_perovskites(n, m, normal):
    nitrides = [Block(build_material("TiN"), n), Block(build_material("VN"), m)]
    single, double = (build_superlattice(nitrides * times, normal=normal) for times in (1, 2))
    assert single.composition.get_el_amt_dict() == {"Ti": n, "V": m, "N": n + m}
    matcher = StructureMatcher(ltol=1e-3, stol=1e-3, angle_tol=0.1, scale=False)
    assert matcher.fit(single, double)
    bulk = build_superlattice([Block(build_material("TiN"), n + m)], normal=normal)
    assert matcher.fit(bulk, build_material("TiN").cell)


@pytest.mark.parametrize("layers", [2, 4, 6])
def test_layers_of_corundum_are_its_bulk(layers):
    cell = build_material("Cr2O3").cell
    stack = build_superlattice([Block(build_material("Cr2O3"), layers)], normal=(0, 0, 0, 1))
    assert len(stack) == 5 * layers
    assert stack.site_properties["layer"] == [1 + i // 5 for i in range(5 * layers)]
    assert StructureMatcher(ltol=1e-3, stol=1e-3, angle_tol=0.1, scale=False).fit(stack, cell)
    assert stack.lattice.matrix[2, 2] == pytest.approx(layers * 13.599 / 6)
