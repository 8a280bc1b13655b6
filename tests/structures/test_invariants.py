from __future__ import annotations

import numpy as np
import pytest
import spglib
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure

from heterodft.errors import StructureError
from heterodft.structures import Block, build_material, build_superlattice, parse_tilt, plane_formulas, tilt_octahedra

PEROVSKITES = {"SrTiO3": 3.905, "LaAlO3": 3.79, "KTaO3": 3.989, "CaZrO3": 4.012}
ROCKSALTS = {"MgO": 4.211, "NiO": 4.177, "TiN": 4.242, "CrN": 4.149, "VN": 4.139}
A = PEROVSKITES | ROCKSALTS
MATERIALS = {name: build_material(name, a=a) for name, a in A.items()}
CR2O3, AL2O3 = build_material("Cr2O3"), build_material("Al2O3")
# Shannon, six-fold coordinated, Å
RADII = {"Sr": 1.18, "Ti": 0.605, "La": 1.032, "Al": 0.535, "K": 1.38, "Ta": 0.64, "Ca": 1.0, "Zr": 0.72, "O": 1.4,
         "Mg": 0.72, "Ni": 0.69, "N": 1.46, "Cr": 0.615, "V": 0.64}  # fmt: skip
# of both families, by hand: planes in a layer and their spacing in units of a
SPACINGS = {
    "perovskite": {(0, 0, 1): 1 / 2, (1, 1, 0): 1 / np.sqrt(8), (1, 1, 1): 1 / np.sqrt(12)},
    "rocksalt": {(0, 0, 1): 1 / 2, (1, 1, 0): 1 / np.sqrt(8), (1, 1, 1): 1 / np.sqrt(12)},
}
NORMALS = st.sampled_from([(0, 0, 1), (1, 1, 0), (1, 1, 1)])
ANY_NORMAL = st.sampled_from([(0, 0, 1), (1, 1, 0), (1, 1, 1), (2, 1, 0), (1, 1, 2), (-1, 0, 2), (3, 1, 1)])
MULTIPLES = st.sampled_from([(1, 1), (2, 1), (1, 3), ((1, 1), (-1, 1)), ((2, 1), (0, 1)), ((1, -1), (2, 1))])
PAIRS = st.one_of(
    *(
        st.tuples(st.sampled_from(sorted(family)), st.sampled_from(sorted(family)))
        for family in (PEROVSKITES, ROCKSALTS)
    )
)
COUNTS = st.tuples(st.integers(1, 4), st.integers(1, 4))
EXACT = StructureMatcher(ltol=1e-3, stol=1e-3, angle_tol=0.05, scale=False, primitive_cell=False)
few = settings(max_examples=20, deadline=None)


def stack(names, counts, normal=(0, 0, 1), **options):
    return build_superlattice([Block(MATERIALS[m], n) for m, n in zip(names, counts, strict=True)],
                              normal=normal, **options)  # fmt: skip


def neighbours(name, normal):
    """Formulas of each plane of a crystal and of the one above it."""
    formulas = list(plane_formulas(stack([name], [2], normal)).values())
    return set(zip(formulas, [*formulas[1:], formulas[0]], strict=True))


def area(supercell):
    return abs(round(np.linalg.det(np.diag(supercell) if np.ndim(supercell) == 1 else supercell)))


def gram(vectors):
    return vectors @ np.transpose(vectors)


def surroundings(structure):
    """What the sites see within 7 Å: smooth sums that no order of neighbours changes; sorted, by element."""
    first, second, _, distances = structure.get_neighbor_list(7.0)
    numbers = np.array([site.specie.Z for site in structure])
    weights = (1 - (distances / 7) ** 2) ** 3 * numbers[second]
    seen = [np.bincount(first, w, len(structure)) for w in (weights, weights / distances, weights / distances**3)]
    return {z: np.sort(np.array(seen)[:, numbers == z], axis=1) for z in sorted(set(numbers.tolist()))}


def alike(one, other):
    """Whether two cells of one crystal, the second a whole multiple of the first, see the same."""
    a, b = surroundings(one), surroundings(other)
    times = len(other) // len(one)
    return len(other) == times * len(one) and a.keys() == b.keys() and all(
        np.allclose(np.repeat(a[z], times, axis=1), b[z], rtol=1e-4) for z in a
    )  # fmt: skip


def primitive(structure):
    cell = (structure.lattice.matrix, structure.frac_coords, [site.specie.Z for site in structure])
    lattice, positions, kinds = spglib.find_primitive(cell, symprec=1e-4)
    return Structure(lattice, kinds, positions)


def planes(structure):
    numbers, heights = np.array(structure.site_properties["plane"]), structure.cart_coords[:, 2]
    return np.array([heights[numbers == number].mean() for number in range(numbers.max() + 1)])


@given(PAIRS, COUNTS, ANY_NORMAL, MULTIPLES)
@few
def test_atoms_and_stoichiometry_are_those_of_the_layers(pair, counts, normal, supercell):
    structure = stack(pair, counts, normal, supercell=supercell)
    expected = sum((MATERIALS[m].cell.composition.reduced_composition * n * area(supercell)
                    for m, n in zip(pair, counts, strict=True)), start=structure.composition * 0)  # fmt: skip
    assert structure.composition == expected
    blocks = np.array(structure.site_properties["block"])
    for number, (name, n) in enumerate(zip(pair, counts, strict=True), 1):
        per_layer = (5 if name in PEROVSKITES else 2) * area(supercell)
        assert (blocks == number).sum() == n * per_layer


@given(PAIRS, COUNTS, ANY_NORMAL, MULTIPLES, st.integers(0, 1))
@few
def test_the_in_plane_cell_is_exactly_that_of_the_reference(pair, counts, normal, supercell, which):
    structure = stack(pair, counts, normal, supercell=supercell, in_plane=pair[which])
    alone = stack([pair[which]], [1], normal)
    matrix = np.diag(supercell) if np.ndim(supercell) == 1 else np.array(supercell)
    expected = matrix @ alone.lattice.matrix[:2]
    np.testing.assert_allclose(gram(structure.lattice.matrix[:2]), gram(expected), rtol=1e-9, atol=1e-9)
    fcc = pair[which] in ROCKSALTS
    own = A[pair[which]] ** 3 / (4 if fcc else 1)
    climb = alone.lattice.matrix[2, 2]
    assert abs(np.linalg.det(expected[:, :2])) == pytest.approx(area(supercell) * own / climb)


@pytest.mark.parametrize(("normal", "edges"), [((0, 0, 1), (1, 1)), ((1, 1, 0), (1, 2)), ((1, 1, 1), (2, 2))])
def test_in_plane_cells_of_a_perovskite_are_those_worked_out_by_hand(normal, edges):
    lengths = np.linalg.norm(stack(["LaAlO3", "KTaO3"], [2, 3], normal, in_plane="KTaO3").lattice.matrix[:2], axis=1)
    np.testing.assert_allclose(lengths, 3.989 * np.sqrt(edges))


@given(PAIRS, COUNTS, NORMALS, st.sampled_from([None, 0.0, 0.2, 0.33]), st.integers(0, 1))
@few
def test_every_plane_spacing_follows_from_the_strain(pair, counts, normal, ratio, which):
    poisson = None if ratio is None else dict.fromkeys(pair, ratio)
    structure = stack(pair, counts, normal, in_plane=pair[which], poisson=poisson)
    reference = A[pair[which]]

    def spacing(name):
        strain = reference / A[name] - 1
        factor = 1 / (1 + strain) ** 2 if ratio is None else 1 - ratio / (1 - ratio) * 2 * strain
        return A[name] * SPACINGS["perovskite" if name in PEROVSKITES else "rocksalt"][normal] * factor

    def facing(lower, upper):  # as in the one material that has such a pair of planes
        own = [spacing(name) for name in pair if (lower, upper) in neighbours(name, normal)]
        return own[0] if len(own) == 1 else (spacing(pair[0]) + spacing(pair[1])) / 2

    flat = 1 if pair[0] in ROCKSALTS and normal != (1, 1, 1) else 2
    formulas, count = list(plane_formulas(structure).values()), flat * counts[0]
    wanted = [spacing(pair[0])] * (count - 1) + [facing(formulas[count - 1], formulas[count])]
    wanted += [spacing(pair[1])] * (flat * counts[1] - 1) + [facing(formulas[-1], formulas[0])]
    heights = planes(structure)
    np.testing.assert_allclose(np.diff([*heights, heights[0] + structure.lattice.matrix[2, 2]]), wanted, atol=1e-6)


@given(COUNTS)
@settings(max_examples=8, deadline=None)
def test_planes_of_strained_corundum_keep_its_volume(counts):
    structure = build_superlattice([Block(CR2O3, counts[0]), Block(AL2O3, counts[1])], normal=(0, 0, 0, 1))
    squeezed = 12.991 * (4.759 / 4.961) ** 2

    def spacings(c, z):  # O at c/12 + k c/6, Cr at z and 1/2 - z beside the middle of two O planes
        return [c * (1 / 3 - z + 1 / 12), c * (2 * z - 2 / 3), c * (1 / 3 - z + 1 / 12)]

    oxide, film = spacings(13.599, 0.3475), spacings(squeezed, 0.3522)
    heights = planes(structure)
    np.testing.assert_allclose(np.diff(heights[: 3 * counts[0]]), (oxide * counts[0])[:-1], atol=1e-5)
    np.testing.assert_allclose(np.diff(heights[3 * counts[0] :]), (film * counts[1])[:-1], atol=1e-5)
    between = heights[3 * counts[0]] - heights[3 * counts[0] - 1]
    assert between == pytest.approx(oxide[-1], abs=1e-5), "O3 above Cr, as in Cr2O3"


@given(PAIRS, COUNTS, ANY_NORMAL, MULTIPLES)
@few
def test_no_two_atoms_are_closer_than_seven_tenths_of_their_radii(pair, counts, normal, supercell):
    structure = stack(pair, counts, normal, supercell=supercell)
    first, second, _, distances = structure.get_neighbor_list(2.6)
    radii = np.array([RADII[site.species_string] for site in structure])
    assert (distances > 0.7 * (radii[first] + radii[second])).all()


@given(PAIRS, COUNTS, ANY_NORMAL)
@few
def test_the_interface_across_the_boundary_is_the_one_inside(pair, counts, normal):
    single, double = stack(pair, counts, normal), stack(pair * 2, counts * 2, normal)
    assert double.volume == pytest.approx(2 * single.volume)
    assert double.composition == single.composition * 2
    assert alike(single, double)


@given(PAIRS, COUNTS, ANY_NORMAL)
@few
def test_it_does_not_matter_which_block_comes_first(pair, counts, normal):
    one = stack(pair, counts, normal, in_plane=pair[0])
    other = stack(pair[::-1], counts[::-1], normal, in_plane=pair[0])
    assert one.volume == pytest.approx(other.volume)
    assert one.composition == other.composition
    assert alike(one, other)


@pytest.mark.parametrize("counts", [(1, 1), (2, 2), (1, 3), (4, 2), (1, 2), (3, 2)])
def test_corundum_superlattices_close_and_turn(counts):
    blocks = [Block(CR2O3, counts[0]), Block(AL2O3, counts[1])]
    single = build_superlattice(blocks, normal=(0, 0, 0, 1))
    turned = build_superlattice(blocks[::-1], normal=(0, 0, 0, 1), in_plane="Cr2O3")
    assert single.composition == turned.composition
    if (
        sum(counts) % 2 == 0
    ):  # corundum has two layers a repeat: an odd number of them leaves a fault, whatever one does
        assert alike(single, build_superlattice(blocks * 2, normal=(0, 0, 0, 1)))
    assert alike(single, turned)


@pytest.mark.parametrize("normal", [(1, 1, -2, 0), (1, 0, -1, 2), (1, 0, -1, 0)])
def test_corundum_of_other_normals_closes(normal):
    blocks = [Block(CR2O3, 2), Block(AL2O3, 1)]
    single = build_superlattice(blocks, normal=normal)
    assert single.composition.get_el_amt_dict()["O"] == 1.5 * (single.composition["Cr"] + single.composition["Al"])
    assert alike(single, build_superlattice(blocks * 2, normal=normal))


@pytest.mark.parametrize(
    "normal",
    [(1, 1, -2, 0), (1, 0, -1, 2), (1, 0, -1, 0), (1, 0, -1, 1), (1, 0, -1, 4), (2, 1, -3, 4), (1, 1, -2, 3)],
)
def test_corundum_of_any_normal_keeps_its_octahedra_across_the_interface(normal):
    twin = build_material("twin", formula="Cr2O3")
    for other in (twin, AL2O3):
        structure = build_superlattice([Block(CR2O3, 2), Block(other, 2)], normal=normal)
        first, second, _, _ = structure.get_neighbor_list(2.45)
        oxygen = np.array([site.species_string == "O" for site in structure])
        found = np.bincount(first[oxygen[second] & ~oxygen[first]], minlength=len(structure))[~oxygen]
        assert set(found.tolist()) == {6}


@given(st.sampled_from(sorted(A)), COUNTS)
@settings(max_examples=10, deadline=None)
def test_001_layers_of_one_material_are_the_supercell_of_pymatgen(name, counts):
    twin = build_material("twin", formula=name, prototype=MATERIALS[name].prototype, a=A[name])
    structure = build_superlattice([Block(MATERIALS[name], counts[0]), Block(twin, counts[1])])
    n = sum(counts)
    bulk = MATERIALS[name].cell.copy()
    if name in PEROVSKITES:
        bulk.make_supercell((1, 1, n))
        assert structure.lattice.abc == pytest.approx(bulk.lattice.abc)
    else:
        bulk = bulk.get_primitive_structure()
        bulk.make_supercell(n)
    assert alike(primitive(structure), primitive(bulk))
    assert EXACT.fit(primitive(structure), primitive(bulk))
    assert structure.volume / len(structure) == pytest.approx(bulk.volume / len(bulk))


@pytest.mark.parametrize(
    ("normal", "matrix", "layers"),
    [
        ((1, 1, 1), [[1, -1, 0], [0, 1, -1], [1, 1, 1]], 3),
        ((1, 1, 0), [[0, 0, 1], [1, -1, 0], [1, 1, 0]], 2),
        ((0, 0, 1), [[1, 0, 0], [0, 1, 0], [0, 0, 3]], 3),
    ],
)
def test_layers_of_two_names_are_the_supercell_of_pymatgen_edge_by_edge(normal, matrix, layers):
    twin = build_material("STO", formula="SrTiO3", a=3.905)
    structure = build_superlattice([Block(MATERIALS["SrTiO3"], 1), Block(twin, layers - 1)], normal=normal)
    bulk = MATERIALS["SrTiO3"].cell.copy()
    bulk.make_supercell(matrix)
    assert sorted(structure.lattice.abc) == pytest.approx(sorted(bulk.lattice.abc))
    assert EXACT.fit(structure, bulk)


@pytest.mark.parametrize("counts", [(1, 1), (1, 2), (3, 2)])
@pytest.mark.parametrize("name", ["SrTiO3", "MgO"])
@pytest.mark.parametrize("normal", [(1, 1, 0), (1, 1, 1), (2, 1, 0)])
def test_leaning_cells_of_one_material_are_its_bulk(name, normal, counts):
    twin = build_material("twin", formula=name, prototype=MATERIALS[name].prototype, a=A[name])
    structure = build_superlattice([Block(MATERIALS[name], counts[0]), Block(twin, counts[1])], normal=normal)
    assert EXACT.fit(primitive(structure), primitive(MATERIALS[name].cell))


@pytest.mark.parametrize("counts", [(1, 1), (2, 2), (3, 1), (5, 1)])
def test_corundum_of_two_names_is_its_bulk(counts):
    twin = build_material(
        "twin", formula="Cr2O3", a=4.961, c=13.599, parameters={"z_cation": 0.3475, "x_anion": 0.3058}
    )
    structure = build_superlattice([Block(CR2O3, counts[0]), Block(twin, counts[1])], normal=(0, 0, 0, 1))
    assert EXACT.fit(primitive(structure), primitive(CR2O3.cell))


# Tilts

SMALL = ((1, 1), (-1, 1))


def bulk(supercell, layers, normal=(0, 0, 1)):
    return stack(["SrTiO3"], [layers], normal, supercell=supercell)


def bonds(structure, element="Ti"):
    first, second, images, distances = structure.get_neighbor_list(2.5)
    kinds = np.array([site.species_string for site in structure])
    near = (kinds[first] == element) & (kinds[second] == "O")
    vectors = structure.cart_coords[second] + images @ structure.lattice.matrix - structure.cart_coords[first]
    return first[near], second[near], vectors[near], distances[near]


def angles(structure):
    """B-O-B angles in degrees, one an oxygen."""
    _, oxygens, vectors, _ = bonds(structure)
    found = []
    for oxygen in np.unique(oxygens):
        one, other = vectors[oxygens == oxygen]
        found.append(np.degrees(np.arccos(one @ other / np.linalg.norm(one) / np.linalg.norm(other))))
    return np.array(found)


# Howard & Stokes, Acta Cryst. B 54, 782 (1998), table 1
@pytest.mark.parametrize(
    ("glazer", "group", "supercell"),
    [
        ("a0a0a0", 221, (1, 1)), ("a0a0c+", 127, SMALL), ("a0a0c-", 140, SMALL), ("a0b-b-", 74, (2, 2)),
        ("a-a-a-", 167, (2, 2)), ("a-a-c+", 62, SMALL), ("a+a+a+", 204, (2, 2)), ("a0b+b+", 139, (2, 2)),
        ("a-a-a0", 74, SMALL), ("a-b+a-", 62, (2, 2)), ("a+b-b-", 62, (2, 2)), ("a0b+c-", 63, (2, 2)),
    ],
)  # fmt: skip
def test_tilts_make_the_space_groups_of_howard_and_stokes(glazer, group, supercell):
    letters = dict(zip("abc", (6.0, 9.0, 4.0), strict=True))
    angle = tuple(letters[letter] for letter in glazer[::2])
    tilted = tilt_octahedra(bulk(supercell, 2), {"SrTiO3": parse_tilt(glazer, angle)})
    # a homogeneous cubic cell under mean displacements keeps the lattice, the symmetry is that of the tilts
    found = spglib.get_symmetry_dataset(
        (tilted.lattice.matrix, tilted.frac_coords, [site.specie.Z for site in tilted]), symprec=1e-3
    )
    assert found.number == group


@given(st.sampled_from(["a-a-c+", "a-a-a-", "a+a+a+", "a0a0c-", "a0a0c+"]), st.floats(2.0, 12.0))
@settings(max_examples=15, deadline=None)
def test_a_tilt_moves_only_oxygen_and_keeps_its_bonds(glazer, angle):
    before = bulk((2, 2), 2)
    after = tilt_octahedra(before, {"SrTiO3": parse_tilt(glazer, angle)})
    for one, other in zip(before, after, strict=True):
        if one.species_string != "O":
            np.testing.assert_allclose(one.coords, other.coords, atol=1e-9)
    assert after.site_properties == before.site_properties
    lengths = bonds(after)[3]
    assert len(lengths) == 6 * 8
    # three turns by tan φ lengthen a bond of a/2 by at most 1/cos of the angle between, √2 tan φ
    assert lengths.min() >= 3.905 / 2 - 1e-6
    assert lengths.max() <= 3.905 / 2 * np.sqrt(1 + 2 * np.tan(np.radians(angle)) ** 2) + 1e-6


@given(st.sampled_from(["a0a0c+", "a0a0c-"]), st.floats(1.0, 15.0))
@settings(max_examples=10, deadline=None)
def test_a_turn_about_c_bends_the_bonds_in_the_plane_by_twice_its_angle(glazer, angle):
    tilted = tilt_octahedra(bulk(SMALL, 2), {"SrTiO3": parse_tilt(glazer, angle)})
    found = np.sort(angles(tilted))
    np.testing.assert_allclose(found[:8], 180 - 2 * angle, atol=1e-6)
    np.testing.assert_allclose(found[8:], 180.0, atol=1e-4)


def test_three_equal_turns_bend_every_bond_alike():
    tilted = tilt_octahedra(bulk((2, 2), 2), {"SrTiO3": parse_tilt("a-a-a-", 5.0)})
    found = angles(tilted)
    # oxygen leaves the line of its two neighbours by √2 a/2 tan 5°
    expected = 180 - 2 * np.degrees(np.arctan(np.sqrt(2) * np.tan(np.radians(5.0))))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("normal", [(1, 1, 0), (1, 1, 1)])
def test_a_tilted_block_of_another_normal_is_the_same_crystal(normal):
    lying = tilt_octahedra(
        bulk((2, 2), 4 if normal == (1, 1, 0) else 6, normal), {"SrTiO3": parse_tilt("a-a-a-", 6.0)}
    )
    upright = tilt_octahedra(bulk((2, 2), 2), {"SrTiO3": parse_tilt("a-a-a-", 6.0)})
    assert EXACT.fit(primitive(lying), primitive(upright))


@pytest.mark.parametrize("glazer", ["a-a-c+", "a0a0c-", "a+a+a+"])
def test_a_tilt_that_does_not_fit_names_a_supercell_that_holds_it(glazer):
    tilts = {"SrTiO3": parse_tilt(glazer, 6.0)}
    with pytest.raises(StructureError, match=r"does not fit the supercell .*; supercell: (.*) holds it") as caught:
        tilt_octahedra(bulk((1, 1), 2), tilts)
    assert "\n" not in str(caught.value)
    words = str(caught.value).split("supercell: ")[1].split(" holds")[0]
    rows = tuple(tuple(int(x) for x in row.split(",")) for row in words.strip("[]").split("], ["))
    tilted = tilt_octahedra(bulk(rows, 2), tilts)
    assert len(tilted) == 10 * area(rows)


def test_an_odd_number_of_layers_that_cannot_alternate_is_told():
    with pytest.raises(StructureError, match="does not close across the cell boundary"):
        tilt_octahedra(bulk(SMALL, 3), {"SrTiO3": parse_tilt("a0a0c-", 6.0)})


def test_two_blocks_tilt_on_their_own():
    host = stack(["SrTiO3", "LaAlO3"], [2, 2], supercell=(2, 2))
    tilted = tilt_octahedra(host, {"LaAlO3": parse_tilt("a0a0c-", 6.0)})
    moved = np.linalg.norm(tilted.cart_coords - host.cart_coords, axis=1) > 1e-6
    assert {host.site_properties["material"][i] for i in np.flatnonzero(moved)} == {"LaAlO3"}


@pytest.mark.parametrize(
    ("glazer", "angle", "message"),
    [
        ("a-a-", 5.0, "write a letter and"),
        ("a-a-c+", 40.0, "beyond 25"),
        ("a-a-c+", (5.0, 6.0, 5.0), "share the letter"),
    ],
)
def test_what_is_no_tilt_is_refused(glazer, angle, message):
    with pytest.raises(StructureError, match=message):
        parse_tilt(glazer, angle)
