from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import spglib
from hypothesis import given, settings
from hypothesis import strategies as st

from heterodft.errors import StructureError
from heterodft.structures import (
    Block,
    Interfaces,
    MatchLimits,
    build_material,
    build_superlattice,
    cut_surface_cell,
    describe,
    enumerate_defects,
    enumerate_matches,
    enumerate_registries,
    plane_formulas,
    read_material,
)

STO, LAO, KTO = build_material("SrTiO3", a=3.905), build_material("LaAlO3", a=3.79), build_material("KTaO3", a=3.989)
MGO, CRN, CR2O3, AL2O3 = (build_material(name) for name in ("MgO", "CrN", "Cr2O3", "Al2O3"))
OXYNITRIDE = {"Cr2O3": (0, 0, 0, 1), "CrN": (1, 1, 1)}
EASY = MatchLimits(strain=0.08)


def oxide_nitride(n, m, **options):
    return build_superlattice([Block(CR2O3, n), Block(CRN, m)], normal=OXYNITRIDE, in_plane="Cr2O3", **options)


def shells(structure, centres, others, cutoff):
    """Number of others within a cutoff (Å) of each centre."""
    first, second, _, _ = structure.get_neighbor_list(cutoff)
    kinds = np.array([site.species_string for site in structure])
    inside = np.isin(kinds[first], centres) & np.isin(kinds[second], others)
    return np.bincount(first[inside], minlength=len(structure))[np.isin(kinds, centres)]


def planes(structure):
    numbers, heights = np.array(structure.site_properties["plane"]), structure.cart_coords[:, 2]
    return np.array([heights[numbers == number].mean() for number in np.unique(numbers)])


def fingerprint(structure):
    first, _, _, distances = structure.get_neighbor_list(7.0)
    numbers = np.array([site.specie.Z for site in structure])
    weights = (1 - (distances / 7) ** 2) ** 3
    seen = np.bincount(first, weights / distances, len(structure))
    return np.concatenate([np.sort(seen[numbers == z]) for z in np.unique(numbers)])


# Cr2O3 (0001) / CrN (111)


@pytest.mark.parametrize("counts", [(2, 2), (4, 3), (1, 1), (2, 3), (3, 2)])
def test_chromium_counts_three_a_nitride_layer_and_two_an_oxide_layer(counts):
    structure = oxide_nitride(*counts)
    labels = zip(structure, structure.site_properties["material"], structure.site_properties["layer"], strict=True)
    found = Counter((material, layer) for site, material, layer in labels if site.species_string == "Cr")
    oxide = {("Cr2O3", n): 2 for n in range(1, counts[0] + 1)}
    assert found == oxide | {("CrN", n): 3 for n in range(1, counts[1] + 1)}
    assert structure.composition.get_el_amt_dict() == {
        "Cr": 2 * counts[0] + 3 * counts[1], "O": 3 * counts[0], "N": 3 * counts[1]
    }  # fmt: skip


def test_the_nitride_is_turned_by_30_degrees_and_strained_as_worked_out_by_hand():
    report = describe(oxide_nitride(4, 3))
    nitride = report.blocks[1]
    # √3 × a/√2 of CrN is 5.0815 Å, 4.961 of Cr2O3
    strain = 4.961 / (4.149 * np.sqrt(1.5)) - 1
    assert nitride.strains == pytest.approx((100 * strain,) * 2, abs=1e-4)
    assert round(100 * strain, 2) == -2.37
    assert abs(nitride.rotation) % 60 == pytest.approx(30)
    assert nitride.bulk_layer == pytest.approx(4.149 / np.sqrt(3), abs=1e-6)
    assert round(nitride.bulk_layer, 3) == 2.395
    assert nitride.layer == pytest.approx(4.149 / np.sqrt(3) / (1 + strain) ** 2, abs=1e-5)
    np.testing.assert_allclose(report.lengths[:2], 4.961)


@pytest.mark.parametrize("counts", [(1, 1), (2, 2), (3, 2), (2, 3), (4, 3), (1, 2)])
def test_every_chromium_has_six_anions_around_it(counts):
    structure = oxide_nitride(*counts)
    assert set(shells(structure, ["Cr"], ["O", "N"], 2.4).tolist()) == {6}


@pytest.mark.parametrize("counts", [(2, 2), (3, 2), (4, 3)])
def test_nitrogen_has_three_to_six_chromium_around_it(counts):
    found = shells(oxide_nitride(*counts), ["N"], ["Cr"], 2.4)
    # six inside; at the interface three of its own below or above, and at most three of the oxide
    assert found.min() >= 3
    assert found.max() == 6
    assert (found == 6).sum() >= 3 * (counts[1] - 1)


def test_registries_are_distinct_and_the_automatic_one_comes_first():
    stack = [Block(CR2O3, 2), Block(CRN, 2)]
    found = enumerate_registries(stack, normal=OXYNITRIDE, in_plane="Cr2O3")
    assert len(found) > 1
    prints = [fingerprint(structure) for structure in found]
    for i, one in enumerate(prints):
        for other in prints[:i]:
            assert one.shape != other.shape or np.abs(one - other).max() > 1e-3
    np.testing.assert_allclose(prints[0], fingerprint(oxide_nitride(2, 2)))
    for structure in found:
        distances = structure.get_neighbor_list(2.6)[3]
        assert distances.min() > 0.7 * (0.615 + 1.4)
        assert structure.composition == found[0].composition


def test_anion_planes_go_on_close_packed_in_the_automatic_registry():
    # an anion of one plane sits above a hollow of the plane below: no anion straight above another
    structure = oxide_nitride(2, 2)
    anions = structure.copy()
    anions.remove_species(["Cr"])
    first, second, images, _ = anions.get_neighbor_list(3.2)
    vectors = anions.cart_coords[second] + images @ anions.lattice.matrix - anions.cart_coords[first]
    climbing = np.abs(vectors[:, 2]) > 1.0
    assert np.linalg.norm(vectors[climbing, :2], axis=1).min() > 0.8


def test_magnesia_turns_by_45_degrees_on_the_titanate_when_the_limit_allows_it():
    structure = build_superlattice([Block(STO, 2), Block(MGO, 2)], match=EASY)
    report = describe(structure)
    assert structure.composition.get_el_amt_dict() == {"Sr": 2, "Ti": 2, "Mg": 4, "O": 10}
    np.testing.assert_allclose(report.lengths[:2], 3.905)
    # the primitive square a/√2 = 2.978 Å of MgO: √2 of it, 4.211 Å, on 3.905 Å
    assert report.blocks[1].strains == pytest.approx((100 * (3.905 / 4.211 - 1),) * 2, abs=1e-4)
    assert abs(report.blocks[1].rotation) == pytest.approx(45)


def test_a_film_that_fits_nowhere_is_told_with_what_would_fit():
    with pytest.raises(
        StructureError, match=r"MgO \(0 0 1\) does not fit on SrTiO3 \(0 0 1\) within 1 % strain"
    ) as e:
        build_superlattice([Block(STO, 2), Block(MGO, 2)], match=MatchLimits(strain=0.01, area=60))
    assert "\n" not in str(e.value)
    assert "match: {" in str(e.value)


def test_matches_are_within_the_limits_and_sorted():
    limits = MatchLimits(strain=0.06, area=120)
    matches = enumerate_matches(cut_surface_cell(MGO, (0, 0, 1)), cut_surface_cell(STO, (0, 0, 1)), limits)
    assert matches
    for match in matches:
        substrate = np.array(match.substrate) @ (3.905 * np.eye(2))
        film = np.array(match.film) @ cut_surface_cell(MGO, (0, 0, 1)).in_plane
        stretches = np.linalg.svd(np.linalg.solve(film, substrate), compute_uv=False) - 1
        assert match.strains == pytest.approx(tuple(stretches), abs=1e-6)
        assert np.abs(stretches).max() <= 0.06 + 1e-9
        assert match.area == pytest.approx(abs(np.linalg.det(substrate)), abs=1e-4)
        assert match.area <= 120
    assert [m.area for m in matches] == sorted(m.area for m in matches)


def test_a_candidate_of_the_list_may_be_chosen():
    matches = enumerate_matches(cut_surface_cell(MGO, (0, 0, 1)), cut_surface_cell(STO, (0, 0, 1)), EASY)
    for number, match in enumerate(matches[:2], 1):
        limits = MatchLimits(strain=0.08, candidate=number)
        structure = build_superlattice([Block(STO, 1), Block(MGO, 1)], match=limits)
        assert np.linalg.norm(np.cross(*structure.lattice.matrix[:2])) == pytest.approx(match.area, abs=1e-3)


@pytest.mark.parametrize("layers", [(2, 2), (2, 3), (1, 1)])
def test_files_of_perovskites_stack_like_the_prototype(tmp_path, layers):
    materials = []
    for material in (STO, LAO):
        path = tmp_path / f"{material.name}.cif"
        material.cell.to(str(path))
        materials.append(read_material(material.name, path))
    read = build_superlattice([Block(m, n) for m, n in zip(materials, layers, strict=True)])
    built = build_superlattice([Block(m, n) for m, n in zip((STO, LAO), layers, strict=True)])
    assert read.composition == built.composition
    assert set(shells(read, ["Ti", "Al"], ["O"], 2.4).tolist()) == {6}
    np.testing.assert_allclose(fingerprint(read), fingerprint(built), rtol=1e-4)


# Terminations


def formulas(*terminations, layers=(2, 2), **options):
    return list(plane_formulas(build_superlattice(
        [Block(STO, layers[0]), Block(LAO, layers[1])], interfaces=Interfaces(termination=terminations), **options
    )).values())  # fmt: skip


@pytest.mark.parametrize("layers", [(1, 1), (2, 2), (2, 3)])
def test_a_plane_that_both_materials_have_is_as_far_from_its_neighbours_as_in_each(layers):
    manganites = [build_material(name, prototype="perovskite") for name in ("LaMnO3", "SrMnO3")]
    structure = build_superlattice([Block(m, n) for m, n in zip(manganites, layers, strict=True)], in_plane="SrTiO3")
    spacings = np.diff([*planes(structure), structure.lattice.c + planes(structure)[0]])
    formulas = plane_formulas(structure)
    for index, spacing in enumerate(spacings):
        pair = {formulas[index], formulas[(index + 1) % len(formulas)]}
        bulk = manganites[0] if "LaO" in pair else manganites[1]
        alone = build_superlattice([Block(bulk, 1)], in_plane=3.905)
        assert spacing == pytest.approx(alone.lattice.c / 2, abs=1e-6)
    cell = (structure.lattice.matrix, structure.frac_coords, [site.specie.Z for site in structure])
    assert spglib.get_spacegroup(cell, symprec=1e-4).startswith("P4/mmm"), "both interfaces are alike"


def test_titania_on_lanthana_and_alumina_on_strontia_need_no_further_planes():
    assert formulas("TiO2/LaO", "AlO2/SrO") == ["SrO", "TiO2"] * 2 + ["LaO", "AlO2"] * 2


def test_two_titania_interfaces_need_a_further_plane_of_each_block():
    structure = build_superlattice(
        [Block(STO, 2), Block(LAO, 2)], interfaces=Interfaces(termination=("TiO2/LaO", "LaO/TiO2"))
    )
    names = list(plane_formulas(structure).values())
    assert names == ["TiO2", "SrO", "TiO2", "SrO", "TiO2", "LaO", "AlO2", "LaO", "AlO2", "LaO"]
    assert structure.composition.get_el_amt_dict() == {"Sr": 2, "Ti": 3, "La": 3, "Al": 2, "O": 15}
    report = describe(structure)
    assert [row.planes for row in report.interfaces] == ["TiO2/LaO", "LaO/TiO2"]
    assert [row.discontinuity for row in report.interfaces] == pytest.approx([0.5, 0.5], abs=1e-4)
    assert [block.layers for block in report.blocks] == [2.5, 2.5]


def test_two_strontia_interfaces_hold_holes():
    structure = build_superlattice(
        [Block(STO, 2), Block(LAO, 2)], interfaces=Interfaces(termination=("SrO/AlO2", "AlO2/SrO"))
    )
    assert structure.composition.get_el_amt_dict() == {"Sr": 3, "Ti": 2, "La": 2, "Al": 3, "O": 15}
    assert [row.discontinuity for row in describe(structure).interfaces] == pytest.approx([-0.5, -0.5], abs=1e-4)


def test_a_termination_that_one_material_lacks_names_the_planes_it_has():
    with pytest.raises(StructureError, match=r"termination 'BaO': the planes of LaAlO3 \(0 0 1\) are LaO, AlO2"):
        formulas("TiO2/BaO")
    with pytest.raises(StructureError, match=r"'nonsense': the planes of .* are"):
        formulas("nonsense")
    with pytest.raises(StructureError, match="3 terminations for 2 interfaces"):
        formulas("TiO2/LaO", "AlO2/SrO", "TiO2/LaO")


def test_one_formula_chooses_one_of_the_two():
    assert formulas("SrO")[:5] == ["TiO2", "SrO", "TiO2", "SrO", "AlO2"]


@pytest.mark.parametrize(("normal", "planes"), [((1, 1, 1), ["SrO3", "Ti"]), ((1, 1, 0), ["SrTiO", "O2"])])
def test_planes_of_other_normals_may_be_chosen(normal, planes):
    for top in planes:
        structure = build_superlattice(
            [Block(STO, 2), Block(LAO, 2)], normal=normal, interfaces=Interfaces(termination=(top,))
        )
        names, blocks = plane_formulas(structure), structure.site_properties["block"]
        last = max(p for p, b in zip(structure.site_properties["plane"], blocks, strict=True) if b == 1)
        assert names[last].replace("2", "") == top.replace("2", "")


# Slabs


def flips(structure):
    dataset = spglib.get_symmetry_dataset(
        (structure.lattice.matrix, structure.frac_coords, [site.specie.Z for site in structure]), symprec=1e-3
    )
    turned = [structure.lattice.matrix.T @ r @ np.linalg.inv(structure.lattice.matrix.T) for r in dataset.rotations]
    return any(np.isclose(operation[2, 2], -1) for operation in turned)


@pytest.mark.parametrize("normal", [(0, 0, 1), (1, 1, 0), (1, 1, 1)])
@pytest.mark.parametrize("counts", [(1, 1), (2, 2), (3, 1), (2, 3)])
def test_a_symmetric_slab_is_the_same_upside_down(normal, counts):
    slab = build_superlattice(
        [Block(STO, counts[0]), Block(LAO, counts[1])], normal=normal, vacuum=12.0, symmetric=True
    )
    assert flips(slab)
    names = list(plane_formulas(slab).values())
    assert names == names[::-1]
    assert slab.site_properties["material"][0] == slab.site_properties["material"][-1] == "LaAlO3"


@given(st.sampled_from([(0, 0, 1), (1, 1, 0), (1, 1, 1)]), st.integers(1, 4), st.integers(1, 4), st.floats(5.0, 30.0))
@settings(max_examples=15, deadline=None)
def test_vacuum_is_exactly_as_asked(normal, n, m, vacuum):
    slab = build_superlattice([Block(STO, n), Block(LAO, m)], normal=normal, vacuum=vacuum)
    heights = slab.cart_coords[:, 2]
    assert slab.lattice.matrix[2, 2] - np.ptp(heights) == pytest.approx(vacuum, abs=1e-8)
    assert slab.lattice.angles[:2] == pytest.approx((90, 90))
    assert slab.composition.get_el_amt_dict() == {"Sr": n, "Ti": n, "La": m, "Al": m, "O": 3 * (n + m)}


def test_surfaces_of_a_slab_are_chosen():
    slab = build_superlattice(
        [Block(STO, 2), Block(LAO, 1)],
        vacuum=10,
        interfaces=Interfaces(termination=("TiO2/LaO",), surfaces=("TiO2", "LaO")),
    )
    names = list(plane_formulas(slab).values())
    assert names == ["TiO2", "SrO", "TiO2", "SrO", "TiO2", "LaO", "AlO2", "LaO"]


def test_symmetric_slabs_of_corundum_keep_its_pairs_of_planes():
    slab = build_superlattice([Block(CR2O3, 3)], normal=(0, 0, 0, 1), vacuum=12.0, symmetric=True)
    assert flips(slab)


@pytest.mark.parametrize("surfaces", [("TiO2", None), (None, "TiO2"), ("TiO2", "TiO2")])
def test_a_surface_that_is_asked_of_a_symmetric_slab_is_there_on_both_sides(surfaces):
    slab = build_superlattice([Block(STO, 2)], vacuum=12.0, symmetric=True, interfaces=Interfaces(surfaces=surfaces))
    names = list(plane_formulas(slab).values())
    assert (names[0], names[-1]) == ("TiO2", "TiO2")


def test_a_stack_of_both_kinds_of_plane_keeps_octahedra_whole():
    for termination in ("TiO2/AlO2", "SrO/LaO", "TiO2/LaO", "SrO/AlO2"):
        structure = build_superlattice(
            [Block(STO, 2), Block(LAO, 2)], interfaces=Interfaces(termination=(termination,))
        )
        inner = shells(structure, ["Ti", "Al"], ["O"], 2.45)
        assert set(inner.tolist()) == {6}


# Gap, shift, thickness


@given(st.floats(1.7, 4.0), st.floats(1.7, 4.0))
@settings(max_examples=10, deadline=None)
def test_a_gap_is_as_given(first, second):
    structure = build_superlattice([Block(STO, 2), Block(LAO, 2)], interfaces=Interfaces(gap=(first, second)))
    heights = planes(structure)
    assert heights[4] - heights[3] == pytest.approx(first)
    assert heights[0] + structure.lattice.matrix[2, 2] - heights[-1] == pytest.approx(second)


def test_a_shift_moves_the_upper_block_and_leans_the_cell():
    plain = build_superlattice([Block(STO, 2), Block(LAO, 2)], interfaces=Interfaces(gap=2.3))
    moved = build_superlattice(
        [Block(STO, 2), Block(LAO, 2)], interfaces=Interfaces(gap=2.3, shift=((0.1, 0.0), (0, 0)))
    )
    apart = (moved.cart_coords - plain.cart_coords) @ np.linalg.inv(plain.lattice.matrix)
    apart -= np.round(apart)
    upper = np.array(plain.site_properties["block"]) == 2
    np.testing.assert_allclose(apart[~upper], 0, atol=1e-8)
    np.testing.assert_allclose(apart[upper], np.broadcast_to([0.1, 0, 0], apart[upper].shape), atol=1e-8)
    np.testing.assert_allclose(moved.lattice.matrix[2] - plain.lattice.matrix[2], [0.3905, 0, 0], atol=1e-8)


@pytest.mark.parametrize(("thickness", "layers"), [(3.905, 1), (10.0, 3), (9.7, 2), (39.05, 10), (3.9, 1)])
def test_a_thickness_is_rounded_to_layers_and_says_so(thickness, layers):
    report = describe(build_superlattice([Block(STO, thickness=thickness), Block(LAO, 1)]))
    assert report.blocks[0].layers == layers
    assert report.blocks[0].asked_thickness == thickness
    assert report.blocks[0].thickness == pytest.approx(layers * 3.905, abs=1e-5)


# Polar discontinuity


def jumps(blocks, **options):
    return [row.discontinuity for row in describe(build_superlattice(blocks, **options)).interfaces]


@pytest.mark.parametrize("supercell", [(1, 1), (2, 1), ((1, 1), (-1, 1))])
@pytest.mark.parametrize("counts", [(1, 1), (2, 3), (4, 4)])
@pytest.mark.parametrize(
    ("film", "normal", "expected"), [(LAO, (0, 0, 1), 0.5), (KTO, (1, 1, 1), 1.0), (LAO, (1, 1, 0), 0.0)]
)
def test_polar_discontinuities_are_those_of_the_textbook(film, normal, expected, counts, supercell):
    substrate = STO if film is LAO else LAO
    found = jumps([Block(substrate, counts[0]), Block(film, counts[1])], normal=normal, supercell=supercell)
    assert sorted(found) == pytest.approx([-expected, expected], abs=1e-4)


def test_titania_on_lanthana_asks_for_electrons():
    assert jumps([Block(STO, 2), Block(LAO, 2)]) == pytest.approx([0.5, -0.5], abs=1e-4)


@given(st.sampled_from([STO, LAO, KTO]), st.sampled_from([STO, LAO, KTO]), st.integers(1, 4), st.integers(1, 4),
       st.sampled_from([(0, 0, 1), (1, 1, 0), (1, 1, 1), (2, 1, 0)]))  # fmt: skip
@settings(max_examples=20, deadline=None)
def test_discontinuities_of_a_stoichiometric_period_add_up_to_nothing(one, other, n, m, normal):
    assert sum(jumps([Block(one, n), Block(other, m)], normal=normal)) == pytest.approx(0, abs=1e-3)


# by hand: what enters a layer of O3 (-6 e), M, M (3 e each) is (6 d1 + 3 d2) / (2 d1 + d2) = 3 e, whatever d1 and d2
@pytest.mark.parametrize("layers", [(1, 1), (1, 3), (2, 2), (1, 2), (3, 2), (4, 1)])
def test_isovalent_corundum_has_no_discontinuity(layers):
    found = jumps([Block(CR2O3, layers[0]), Block(AL2O3, layers[1])], normal=(0, 0, 0, 1), in_plane="Al2O3")
    assert np.abs(found).max() < 1e-3


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_the_discontinuity_does_not_depend_on_the_thickness_of_the_oxide(layers):
    found = jumps([Block(CR2O3, layers), Block(CRN, 2)], normal=OXYNITRIDE, in_plane="Cr2O3")
    # mean of what enters: oxide 6 d1 + 3 d2 over a layer, d1 = 0.0692 c and d2 = 0.0283 c: 3.0 e; nitride 9/2 e
    assert np.abs(found) == pytest.approx([1.5, 1.5], abs=1e-2)


# Bad input: a foreseen error of one line with the value


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: build_superlattice([]), "the stack is empty"),
        (lambda: build_superlattice([Block(STO, 0)]), "0 layers of SrTiO3"),
        (lambda: build_superlattice([Block(STO, -2)]), "-2 layers of SrTiO3"),
        (lambda: build_superlattice([Block(STO)]), "either layers or a thickness"),
        (lambda: build_superlattice([Block(STO, 2, 8.0)]), "either layers or a thickness"),
        (lambda: build_superlattice([Block(STO, thickness=2.0)]), r"2 Å of SrTiO3 .* 3\.905 Å"),
        (lambda: build_superlattice([Block(STO, thickness=0.0)]), "0 Å of SrTiO3"),
        (lambda: build_superlattice([Block(STO, thickness=-5.0)]), "-5 Å of SrTiO3"),
        (lambda: build_superlattice([Block(STO, thickness=float("nan"))]), "nan"),
        (lambda: build_superlattice([Block(STO, thickness=float("inf"))]), "inf"),
        (lambda: build_superlattice([Block(STO, 1), Block(MGO, 1)], match=MatchLimits(0.001, 50)), "does not fit"),
        (
            lambda: build_superlattice([Block(STO, 1), Block(MGO, 1)], match=MatchLimits(0.08, candidate=0)),
            "candidate 0",
        ),
        (lambda: build_superlattice([Block(STO, 1), Block(MGO, 1)], match=MatchLimits(0.08, candidate=999)), "999"),
        (lambda: formulas("CaO/LaO"), "termination 'CaO'"),
        (lambda: enumerate_defects(build_superlattice([Block(STO, 1), Block(LAO, 1)]), "V_N"), "no N"),
        (lambda: build_superlattice([Block(STO, 1), Block(LAO, 1)], interfaces=Interfaces(gap=0.4)), "apart"),
        (lambda: build_superlattice([Block(STO, 1), Block(LAO, 1)], interfaces=Interfaces(gap=-1.0)), "apart|gap"),
        (lambda: build_superlattice([Block(STO, 1)], interfaces=Interfaces(gap=-1.952)), "apart|gap"),
        (lambda: build_superlattice([Block(STO, 1)], interfaces=Interfaces(gap=-3.0)), "apart|gap"),
        (lambda: build_superlattice([Block(STO, 1)], interfaces=Interfaces(gap=float("nan"))), "gap"),
        (lambda: build_superlattice([Block(STO, 1), Block(LAO, 1)], interfaces=Interfaces(gap=(2.0,))), "1 values"),
        (
            lambda: build_superlattice([Block(STO, 1)], interfaces=Interfaces(shift=(np.nan, 0.0))),
            "shift",
        ),
        (lambda: build_superlattice([Block(STO, 1)], supercell=(0, 1)), r"supercell \[0, 1\]"),
        (lambda: build_superlattice([Block(STO, 1)], supercell=((1, 1), (1, 1))), "determinant 0"),
        (lambda: build_superlattice([Block(STO, 1)], vacuum=-1.0), "vacuum of -1 Å"),
        (lambda: build_superlattice([Block(STO, 1)], vacuum=float("nan")), "vacuum"),
        (lambda: build_superlattice([Block(STO, 1)], symmetric=True), "give vacuum"),
        (lambda: build_superlattice([Block(STO, 1)], poisson={"SrTiO3": 0.9}), "0.9"),
        (lambda: build_superlattice([Block(STO, 1)], poisson={"LaAlO3": 0.3}), "not in the stack"),
        (lambda: build_superlattice([Block(STO, 1)], in_plane="Nb"), "in_plane: Nb is not in the stack"),
        (lambda: build_superlattice([Block(STO, 1)], in_plane=39.0), "beyond 15 %"),
        (lambda: build_superlattice([Block(STO, 1)], in_plane=0.0), "in_plane|strain"),
        (lambda: build_superlattice([Block(STO, 1)], in_plane=float("nan")), "in_plane|strain"),
        (lambda: build_superlattice([Block(STO, 1)], in_plane=-3.905), "in_plane|strain"),
        (lambda: build_superlattice([Block(STO, 1)], normal=(0, 0, 0)), "no direction"),
        (lambda: build_superlattice([Block(STO, 1)], normal={"LaAlO3": (0, 0, 1)}), "^normal: "),
        (lambda: build_superlattice([Block(STO, 1), Block(build_material("SrTiO3", a=3.95), 1)]), "two materials"),
        (lambda: build_superlattice([Block(STO, 4000)]), "beyond 5000"),
    ],
)
def test_what_cannot_be_built_is_told_in_one_line(build, message):
    with pytest.raises(StructureError, match=message) as caught:
        build()
    assert "\n" not in str(caught.value)
