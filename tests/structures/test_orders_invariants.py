from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest
import spglib
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from heterodft.errors import StructureError
from heterodft.structures import (
    Block,
    BlockOrder,
    Interfaces,
    LayerOrder,
    Moments,
    assign_moments,
    build_material,
    build_superlattice,
    describe,
    enumerate_defects,
    enumerate_orders,
    read_material,
    starting_moments,
)

STO, LAO = build_material("SrTiO3", a=3.905), build_material("LaAlO3", a=3.79)
SMO, LMO = build_material("SrMnO3", a=3.805), build_material("LaMnO3", a=3.941)
NIO, CRN, CR2O3, AL2O3 = (build_material(name) for name in ("NiO", "CrN", "Cr2O3", "Al2O3"))
OXYNITRIDE = {"Cr2O3": (0, 0, 0, 1), "CrN": (1, 1, 1)}


def bulk(material, layers, normal=(0, 0, 1), supercell=(1, 1)):
    return build_superlattice([Block(material, layers)], normal=normal, supercell=supercell)


def neighbours(structure, signs, distance):
    """Of each site with a moment, how many at a distance (Å) are parallel and antiparallel."""
    first, second, _, lengths = structure.get_neighbor_list(distance + 0.05)
    chosen = (np.abs(lengths - distance) < 0.05) & (signs[first] != 0) & (signs[second] != 0)
    same = signs[first] == signs[second]
    up = np.bincount(first[chosen & same], minlength=len(structure))
    down = np.bincount(first[chosen & ~same], minlength=len(structure))
    return {(int(u), int(d)) for u, d in zip(up[signs != 0], down[signs != 0], strict=True)}


def signs_of(structure, order, **moments):
    return np.sign(assign_moments(structure, order, moments)).astype(int)


def suggested(text):
    words = text.split("supercell: ")[1].split(" holds")[0]
    return tuple(tuple(int(x) for x in row.split(",")) for row in words.strip("[]").split("], ["))


# Enumerated orders


def permutations(structure, magnetic, kinds):
    """Permutations of the magnetic sites by spglib, worked out site by site."""
    symmetry = spglib.get_symmetry((structure.lattice.matrix, structure.frac_coords, kinds), symprec=1e-3)
    places = structure.frac_coords[magnetic]
    found = set()
    for rotation, translation in zip(symmetry["rotations"], symmetry["translations"], strict=True):
        row = []
        for place in places:
            apart = rotation @ place + translation - places
            row.append(int(np.argmin(np.abs(apart - np.round(apart)).sum(axis=1))))
        found.add(tuple(row))
    return found


def orbits(number, moves):
    """Orbits of all patterns under the moves and turning all over, by brute force; patterns with + first."""
    left = set(product((1, -1), repeat=number))
    sizes = []
    while left:
        seed = left.pop()
        orbit = {tuple(s * seed[i] for i in move) for move in moves for s in (1, -1)}
        left -= orbit
        sizes.append(len(orbit) // 2)
    return sizes


def brute(structure, element, labels=("material",)):
    magnetic = [i for i, site in enumerate(structure) if site.species_string == element]
    names = [(s.species_string, *(structure.site_properties[k][i] for k in labels)) for i, s in enumerate(structure)]
    kinds = [sorted(set(names)).index(name) + 1 for name in names]
    return magnetic, permutations(structure, magnetic, kinds)


CASES = {
    "perovskite 2x2": lambda: (bulk(SMO, 1, supercell=(2, 2)), "Mn"),
    "perovskite 2x2x2": lambda: (bulk(SMO, 2, supercell=(2, 2)), "Mn"),
    "perovskite 111": lambda: (bulk(SMO, 4, (1, 1, 1)), "Mn"),
    "corundum": lambda: (bulk(CR2O3, 2, (0, 0, 0, 1)), "Cr"),
    "superlattice": lambda: (build_superlattice([Block(SMO, 2), Block(LMO, 2)], supercell=(2, 1)), "Mn"),
    "oxide and nitride": lambda: (
        build_superlattice([Block(CR2O3, 2), Block(CRN, 1)], normal=OXYNITRIDE, in_plane="Cr2O3"),
        "Cr",
    ),
    "nickel oxide": lambda: (bulk(NIO, 2, (1, 1, 1), (2, 1)), "Ni"),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_enumerated_orders_are_the_orbits_found_by_brute_force(name):
    structure, element = CASES[name]()
    magnetic, moves = brute(structure, element)
    found = enumerate_orders(structure, [site.species_string == element for site in structure])
    assert sorted(order.degeneracy for order in found) == sorted(orbits(len(magnetic), moves))
    assert sum(order.degeneracy for order in found) == 2 ** (len(magnetic) - 1)
    seen = set()
    for order in found:
        pattern = [order.signs[i] for i in magnetic]
        assert all(order.signs[i] == 0 for i in range(len(structure)) if i not in magnetic)
        assert order.net == abs(sum(pattern))
        orbit = {tuple(s * pattern[i] for i in move) for move in moves for s in (1, -1)}
        assert not orbit & seen
        seen |= orbit


def test_simple_cubic_2x2x2_has_fourteen_orders_six_of_them_compensated():
    cubic = Structure(Lattice.cubic(4.0), ["Fe"], [[0, 0, 0]]) * (2, 2, 2)
    found = enumerate_orders(cubic, [True] * 8)
    assert len(found) == 14
    assert sum(order.net == 0 for order in found) == 6
    # two-coloured corners of a cube under its 48 operations: 1 1 3 3 6 3 3 1 1; turning over pairs them
    assert Counter(order.net for order in found) == {8: 1, 6: 1, 4: 3, 2: 3, 0: 6}


def test_the_hexagonal_cell_of_chromia_has_210_orders():
    structure = bulk(CR2O3, 6, (0, 0, 0, 1))
    magnetic, moves = brute(structure, "Cr")
    assert len(magnetic) == 12
    # Burnside: patterns fixed by each move, and by each move with all turned over (only if every cycle is even)
    fixed = 0
    for move in moves:
        left, cycles = set(range(12)), []
        while left:
            start = here = left.pop()
            size = 1
            while (here := move[here]) != start:
                left.discard(here)
                size += 1
            cycles.append(size)
        fixed += 2 ** len(cycles) * (1 + all(size % 2 == 0 for size in cycles))
    assert fixed / (2 * len(moves)) == 210
    assert len(enumerate_orders(structure, [site.species_string == "Cr" for site in structure])) == 210


def test_the_ferromagnet_comes_first_and_a_number_may_be_given():
    structure = bulk(SMO, 2, supercell=(2, 2))
    magnetic = [site.species_string == "Mn" for site in structure]
    found = enumerate_orders(structure, magnetic, up_to=4)
    assert len(found) == 4
    assert found[0].net == 8
    ferro = [int(m) for m in magnetic]
    assert all(order.net < 8 for order in enumerate_orders(structure, magnetic, besides=[ferro]))


def test_an_order_that_is_listed_already_is_left_out_whichever_way_round():
    structure = bulk(SMO, 2, supercell=(2, 2))
    magnetic = [site.species_string == "Mn" for site in structure]
    layered = signs_of(structure, "AFM-A")
    layered = np.where(magnetic, layered, 0)
    plain, fewer = (enumerate_orders(structure, magnetic, besides=b) for b in ([], [(-layered).tolist()]))
    assert len(fewer) == len(plain) - 1


def test_sizes_of_moments_tell_sites_apart():
    cubic = Structure(Lattice.cubic(4.0), ["Fe"], [[0, 0, 0]]) * (2, 1, 1)
    assert len(enumerate_orders(cubic, [True, True])) == len(enumerate_orders(cubic, [True, True], sizes=[4, 2])) == 2


def test_without_magnetic_sites_or_with_too_many_layers_there_is_one_line():
    with pytest.raises(StructureError, match="no site of Sr1 Ti1 O3 carries a moment"):
        enumerate_orders(STO.cell, [False] * 5)
    with pytest.raises(StructureError, match="too many to enumerate"):
        enumerate_orders(build_superlattice([Block(SMO, 20), Block(STO, 1)]), [True] * 105)
    large = bulk(SMO, 4, supercell=(4, 4))
    assert enumerate_orders(large, [site.species_string == "Mn" for site in large])[0].net == 64


# Named orders


@pytest.mark.parametrize(
    ("order", "expected"), [("AFM-G", (0, 6)), ("AFM", (0, 6)), ("AFM-A", (4, 2)), ("AFM-C", (2, 4)), ("FM", (6, 0))]
)
def test_named_orders_of_a_perovskite_have_the_neighbours_of_wollan_and_koehler(order, expected):
    structure = bulk(SMO, 2, supercell=(2, 2))
    signs = signs_of(structure, order)
    assert neighbours(structure, signs, 3.805) == {expected}
    alone = structure.site_properties["layer"]
    if order == "AFM-A":  # layers along the normal
        assert len({(alone[i], signs[i]) for i in np.flatnonzero(signs)}) == 2


@pytest.mark.parametrize("normal", [(1, 1, 1), (1, 1, 0)])
def test_afm_g_is_the_same_order_along_other_normals(normal):
    structure = bulk(SMO, 2, normal) if normal == (1, 1, 1) else bulk(SMO, 2, normal, (2, 1))
    signs = signs_of(structure, "AFM-G")
    assert neighbours(structure, signs, 3.805) == {(0, 6)}


def along_lines(structure, signs):
    """Signs along each line through magnetic sites parallel to z, from the bottom."""
    lines = {}
    for i in np.argsort(structure.cart_coords[:, 2]):
        if signs[i]:
            x, y = np.mod(np.round(structure.frac_coords[i][:2] * 3), 3).astype(int)
            lines.setdefault((int(x), int(y)), []).append(int(signs[i]))
    return list(lines.values())


@pytest.mark.parametrize(
    ("order", "cycle"), [("AFM", [[1, -1, 1, -1]]), ("AFM-2", [[1, -1, -1, 1], [-1, -1, 1, 1], [1, 1, -1, -1]])]
)
def test_corundum_orders_run_as_measured_along_every_threefold_line(order, cycle):
    structure = bulk(CR2O3, 6, (0, 0, 0, 1))
    lines = along_lines(structure, signs_of(structure, order))
    assert [len(line) for line in lines] == [4, 4, 4]
    turned = [[s * x for x in c[k:] + c[:k]] for c in cycle for k in range(4) for s in (1, -1)]
    assert all(line in turned for line in lines)


def test_chromia_and_hematite_differ_in_the_signs_within_a_buckled_pair():
    structure = bulk(CR2O3, 6, (0, 0, 0, 1))
    # a face-shared pair, 2.65 Å along c, is antiparallel in both; the buckled neighbours, 2.89 Å, only in chromia
    for order, pair in (("AFM", (0, 3)), ("AFM-2", (3, 0))):
        signs = signs_of(structure, order)
        assert neighbours(structure, signs, 2.652) == {(0, 1)}
        assert neighbours(structure, signs, 2.888) == {pair}


@pytest.mark.parametrize("layers", [1, 3])
def test_hematite_order_needs_an_even_number_of_layers(layers):
    with pytest.raises(StructureError, match="does not close"):
        signs_of(bulk(CR2O3, layers, (0, 0, 0, 1)), "AFM-2")


def test_nickel_oxide_has_six_neighbours_each_way_and_all_next_ones_antiparallel():
    for structure in (bulk(NIO, 2, (1, 1, 1)), bulk(NIO, 4, (0, 0, 1), (2, 1))):
        signs = signs_of(structure, "AFM-II")
        assert neighbours(structure, signs, 4.177 / np.sqrt(2)) == {(6, 6)}
        assert neighbours(structure, signs, 4.177) == {(0, 6)}


def test_chromium_nitride_alternates_in_pairs_of_110_sheets():
    structure = bulk(CRN, 4, (1, 1, 0))
    signs = signs_of(structure, "AFM-110")
    layers = structure.site_properties["layer"]
    run = [{int(signs[i]) for i in np.flatnonzero(signs) if layers[i] == n} for n in (1, 2, 3, 4)]
    assert all(len(signs_here) == 1 for signs_here in run)
    flat = [min(x) for x in run]
    assert flat in ([1, 1, -1, -1], [1, -1, -1, 1], [-1, -1, 1, 1], [-1, 1, 1, -1])
    assert neighbours(structure, signs, 4.149 / np.sqrt(2)) == {(6, 6)}


@pytest.mark.parametrize(
    ("material", "order", "normal", "layers"),
    [
        (SMO, "AFM-G", (0, 0, 1), 2),
        (SMO, "AFM-C", (0, 0, 1), 1),
        (SMO, "AFM-A", (1, 1, 0), 2),
        (SMO, "AFM-C", (1, 1, 1), 2),  # c leans so that one stack does not close
        (NIO, "AFM-II", (0, 0, 1), 4),
        (CRN, "AFM-110", (0, 0, 1), 4),
        (CRN, "AFM-110", (1, 1, 1), 12),
        (NIO, "AFM-A", (1, 1, 1), 6),
    ],
)
def test_an_order_that_does_not_fit_names_a_supercell_that_holds_it(material, order, normal, layers):
    with pytest.raises(StructureError, match=f"order {order} of .* does not fit the supercell") as caught:
        signs_of(bulk(material, layers, normal), order)
    layers *= 2 if "with the stack repeated twice" in str(caught.value) else 1
    structure = bulk(material, layers, normal, suggested(str(caught.value)))
    signs = signs_of(structure, order)
    assert signs.sum() == 0
    assert describe(structure).orders.count(order) == 1


def test_a_period_that_turns_the_order_over_is_told():
    with pytest.raises(StructureError, match=r"AFM-A does not close across the cell .* repeat the stack twice"):
        signs_of(bulk(SMO, 3), "AFM-A")
    assert signs_of(build_superlattice([Block(SMO, 3)] * 2), "AFM-A").sum() == 0
    with pytest.raises(StructureError, match="AFM-A does not close"):
        signs_of(build_superlattice([Block(SMO, 2), Block(LMO, 1)]), "AFM-A")


def test_an_order_by_block_of_one_block_closes_as_well():
    with pytest.raises(StructureError, match="does not close"):
        signs_of(bulk(SMO, 3), BlockOrder((("SrMnO3", "AFM-A"),)))


def test_a_slab_need_not_close():
    slab = build_superlattice([Block(SMO, 3)], vacuum=12.0)
    assert sorted(signs_of(slab, "AFM-A")[signs_of(slab, "AFM-A") != 0]) == [-1, 1, 1]


# Orders by block and by layer


@pytest.mark.parametrize(("interface", "product_of_signs"), [("parallel", 1), ("antiparallel", -1)])
def test_ferromagnetic_blocks_face_one_another_as_asked(interface, product_of_signs):
    structure = build_superlattice([Block(SMO, 2), Block(LMO, 3)])
    signs = signs_of(structure, BlockOrder((("SrMnO3", "FM"), ("LaMnO3", "FM")), interface))
    by_block = {(b, int(s)) for b, s in zip(structure.site_properties["block"], signs, strict=True) if s}
    assert by_block == {(1, 1), (2, product_of_signs)}


def test_three_ferromagnetic_blocks_cannot_all_be_antiparallel():
    third = build_material("film", formula="CaMnO3")
    structure = build_superlattice([Block(SMO, 1), Block(LMO, 1), Block(third, 1)])
    order = BlockOrder((("SrMnO3", "FM"), ("LaMnO3", "FM"), ("film", "FM")), "antiparallel")
    with pytest.raises(StructureError, match="3 ferromagnetic blocks cannot be antiparallel"):
        signs_of(structure, order)


@pytest.mark.parametrize(("interface", "wanted"), [("parallel", 1), ("antiparallel", -1)])
def test_oxide_and_nitride_keep_their_own_orders_and_face_as_asked(interface, wanted):
    build = {"normal": OXYNITRIDE, "in_plane": "Cr2O3"}
    blocks = [Block(CR2O3, 2), Block(CRN, 3)]
    order = BlockOrder((("Cr2O3", "AFM"), ("CrN", "AFM-110")), interface)
    structure = build_superlattice(blocks, **build)
    try:
        signs = signs_of(structure, order)
    except StructureError as error:
        structure = build_superlattice(blocks, supercell=suggested(str(error)), **build)
        signs = signs_of(structure, order)
    material = np.array(structure.site_properties["material"])
    heights = structure.cart_coords[:, 2]
    for name in ("Cr2O3", "CrN"):
        assert signs[material == name].sum() == 0 or name == "CrN"
    magnetic = signs != 0
    lower = np.flatnonzero(magnetic & (material == "Cr2O3"))
    upper = np.flatnonzero(magnetic & (material == "CrN"))
    lower = lower[heights[lower] > heights[lower].max() - 0.3]
    upper = upper[heights[upper] < heights[upper].min() + 0.3]
    apart = structure.lattice.get_all_distances(structure.frac_coords[lower], structure.frac_coords[upper])
    near = apart < apart.min() + 0.3
    assert ((signs[lower][:, None] * signs[upper][None, :] * near).sum()) * wanted >= 0


def test_signs_are_given_layer_by_layer():
    structure = build_superlattice([Block(SMO, 3), Block(LMO, 2)])
    signs = signs_of(structure, LayerOrder((("SrMnO3:2", "-"), ("LaMnO3", "+-"))))
    labels = structure.site_properties
    found = {(m, n): int(s) for m, n, s in zip(labels["material"], labels["layer"], signs, strict=True) if s}
    assert found == {("SrMnO3", 1): 1, ("SrMnO3", 2): -1, ("SrMnO3", 3): 1, ("LaMnO3", 1): 1, ("LaMnO3", 2): -1}
    none = signs_of(structure, LayerOrder((("SrMnO3", "0"),)))
    assert {labels["material"][i] for i in np.flatnonzero(none)} == {"LaMnO3"}


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (LayerOrder((("SrMnO3:9", "-"),)), "no layer or material SrMnO3:9"),
        (LayerOrder((("SrMnO3", "x"),)), "signs 'x' of SrMnO3"),
        (LayerOrder((("SrMnO3:1", "+-"),)), "SrMnO3:1"),
        (BlockOrder((("SrMnO3", "AFM-G"), ("CrN", "FM"))), "block CrN is not in the stack"),
        (BlockOrder((("SrMnO3", "FM"),)), "lacks LaMnO3"),
        (BlockOrder((("SrMnO3", "FM"), ("LaMnO3", "FM")), "sideways"), "sideways"),
        ("AFM-X", "unknown order 'AFM-X'"),
        ("AFM-II", "AFM-II is not known for SrMnO3"),
    ],
)
def test_orders_that_make_no_sense_are_refused(order, message):
    structure = build_superlattice([Block(SMO, 2), Block(LMO, 2)], supercell=(2, 2))
    with pytest.raises(StructureError, match=message) as caught:
        assign_moments(structure, order, {})
    assert "\n" not in str(caught.value)


# Sizes


def test_the_size_of_a_moment_comes_from_the_first_that_names_it():
    structure = build_superlattice([Block(SMO, 2), Block(LMO, 1)])
    manganese = [i for i, site in enumerate(structure) if site.species_string == "Mn"]
    titanium_like = {"layers": {("Mn", "SrMnO3:2"): 2.5}, "species": {"Mn": 1.5}}
    found = starting_moments(structure, "FM", Moments(sites={manganese[0]: 5.0}, **titanium_like))
    assert [found.values[i] for i in manganese] == [5.0, 2.5, 1.5]
    assert [found.sources[i] for i in manganese] == ["site", "layer", "species"]
    structure.add_site_property("magmom", [0.7] * len(structure))
    own = starting_moments(structure, "FM", Moments(layers={("Mn", "SrMnO3:1"): 3.0}))
    assert [own.sources[i] for i in manganese] == ["layer", "file", "file"]
    assert [own.values[i] for i in manganese] == [3.0, 0.7, 0.7]


def test_defaults_come_last_and_other_elements_have_none():
    found = starting_moments(bulk(SMO, 1), "FM", Moments())
    assert dict(zip([s.species_string for s in bulk(SMO, 1)], found.sources, strict=True)) == {
        "Sr": "none", "Mn": "default", "O": "none"
    }  # fmt: skip


def test_moments_in_the_file_of_a_material_reach_the_superlattice(tmp_path):
    cell = SMO.cell.copy()
    cell.add_site_property("magmom", [2.6 if site.species_string == "Mn" else 0.0 for site in cell])
    path = tmp_path / "SrMnO3.json"
    cell.to(str(path))
    structure = build_superlattice([Block(read_material("SrMnO3", path), 2)])
    found = starting_moments(structure, "FM", Moments())
    manganese = [i for i, site in enumerate(structure) if site.species_string == "Mn"]
    assert [found.sources[i] for i in manganese] == ["file", "file"]
    assert [found.values[i] for i in manganese] == [2.6, 2.6]


def test_a_site_or_layer_that_is_not_there_is_told():
    structure = bulk(SMO, 1)
    with pytest.raises(StructureError, match="site 7: Sr1 Mn1 O3 has the sites 0 to 4"):
        starting_moments(structure, "FM", Moments(sites={7: 1.0}))
    with pytest.raises(StructureError, match="no layer SrMnO3:2"):
        starting_moments(structure, "FM", Moments(layers={("Mn", "SrMnO3:2"): 1.0}))
    with pytest.raises(StructureError, match="holds no Ti"):
        starting_moments(structure, "FM", Moments(layers={("Ti", "SrMnO3:1"): 1.0}))


@pytest.mark.parametrize("kind", ["V_Mn", "V_O", "Fe_Mn", "Fe_Sr", ("Fe_Mn", "V_O")])
def test_spins_next_to_a_defect_stay_as_they_were(kind):
    host = bulk(SMO, 2, supercell=(2, 2))
    before = signs_of(host, "AFM-G")
    for defect in enumerate_defects(host, kind, where="all"):
        after = signs_of(defect.structure, "AFM-G")
        for new, old in enumerate(defect.kept):
            if defect.structure[new].species_string == "Mn":
                assert after[new] == before[old]
            if defect.structure[new].species_string == "Fe" and kind != "Fe_Sr":
                assert after[new] == before[old]


# Defects


def labels(found):
    return [(defect.label, defect.plane) for defect in found]


@pytest.mark.parametrize("element", ["Sr", "Ti", "O"])
def test_a_cubic_bulk_cell_has_one_vacancy_of_each_element(element):
    assert len(enumerate_defects(bulk(STO, 2, supercell=(2, 2)), f"V_{element}", where="all")) == 1


@given(st.integers(1, 4), st.integers(1, 4))
@settings(max_examples=8, deadline=None)
def test_a_superlattice_has_a_site_a_plane_and_layer(n, m):
    host = build_superlattice([Block(STO, n), Block(LAO, m)], supercell=(2, 2))
    assert len(enumerate_defects(host, "V_O", where="all")) == 2 * (n + m)
    assert len(enumerate_defects(host, "V_Ti", where="all")) == n
    assert len(enumerate_defects(host, "Ti_Al", where="all")) == m


@pytest.mark.parametrize("supercell", [(1, 1), (2, 1), (2, 2), ((1, 1), (-1, 1)), ((2, 1), (0, 1))])
@pytest.mark.parametrize("normal", [(0, 0, 1), (1, 1, 0), (1, 1, 1)])
def test_inequivalent_vacancies_are_the_orbits_of_spglib_on_the_labelled_cell(normal, supercell):
    host = build_superlattice([Block(STO, 2), Block(LAO, 3)], normal=normal, supercell=supercell)
    names = [(s.species_string, s.properties["block"], s.properties["layer"]) for s in host]
    kinds = [sorted(set(names)).index(name) + 1 for name in names]
    data = spglib.get_symmetry_dataset((host.lattice.matrix, host.frac_coords, kinds), symprec=1e-3)
    for element in ("O", "Sr", "Al"):
        classes = {data.equivalent_atoms[i] for i, site in enumerate(host) if site.species_string == element}
        assert len(enumerate_defects(host, f"V_{element}", where="all")) == len(classes)


@pytest.mark.parametrize(("order", "classes"), [("FM", 1), ("AFM-G", 1), ("AFM-A", 2), ("AFM-C", 2)])
def test_an_antiferromagnet_tells_oxygen_between_parallel_spins_from_the_others(order, classes):
    host = bulk(SMO, 2, supercell=(2, 2))
    moments = assign_moments(host, order, {"Mn": 3.0})
    assert len(enumerate_defects(host, "V_Mn", where="all", orders=[moments])) == 1
    assert len(enumerate_defects(host, "V_O", where="all", orders=[moments])) == classes
    assert len(enumerate_defects(host, "V_O", where="all")) == 1


def test_all_chromium_of_antiferromagnetic_chromia_is_equivalent():
    host = bulk(CR2O3, 6, (0, 0, 0, 1))
    moments = assign_moments(host, "AFM", {"Cr": 3.0})
    assert len(enumerate_defects(host, "V_Cr", where="all", orders=[moments])) == 1
    assert len(enumerate_defects(host, "V_O", where="all", orders=[moments])) == 1


def test_a_complex_along_001_is_aligned_and_at_the_distance_worked_out_by_hand():
    host = build_superlattice([Block(STO, 4), Block(LAO, 4)], supercell=(2, 2),
                              interfaces=Interfaces(termination=("TiO2/LaO", "AlO2/SrO")))  # fmt: skip
    found = enumerate_defects(host, ["Ti_Al", "V_Ti"], along=(0, 0, 1))
    assert len(found) == 2  # one at each interface
    film = 3.79**3 / 3.905**2 / 2
    gap = (3.905 / 2 + film) / 2
    distances = []
    for defect in found:
        first, second = defect.sites
        apart = host.frac_coords[second] - host.frac_coords[first]
        vector = (apart - np.round(apart)) @ host.lattice.matrix
        np.testing.assert_allclose(vector[:2], 0, atol=1e-6)
        distances.append(abs(vector[2]))
        assert host[first].species_string == "Al"
        assert host[second].species_string == "Ti"
        assert len(defect.structure) == len(host) - 1
        assert defect.structure.composition["Ti"] == host.composition["Ti"]
        assert defect.structure.composition["Al"] == host.composition["Al"] - 1
        assert defect.kind == "Ti_Al+V_Ti"
        assert [member["kind"] for member in defect.structure.properties["defect"]["members"]] == ["Ti_Al", "V_Ti"]
    assert sorted(distances) == pytest.approx([gap + film, gap + 3.905 / 2], abs=1e-5)


def test_a_complex_of_one_element_takes_two_different_sites():
    host = bulk(STO, 2, supercell=(2, 2))
    for defect in enumerate_defects(host, ["V_O", "V_O"], where="all"):
        assert len(set(defect.sites)) == 2
        assert len(defect.structure) == len(host) - 2
        first, second = (host[i] for i in defect.sites)
        assert first.distance(second) == pytest.approx(3.905 / np.sqrt(2), rel=1e-6)


def test_two_alike_vacancies_are_one_complex_whichever_is_named_first():
    host = bulk(STO, 2, supercell=(2, 2))
    # two O next to one another in an octahedron, along an edge: all edges of a cube's octahedron are alike
    assert len(enumerate_defects(host, ["V_O", "V_O"], where="all")) == 1
    layered = build_superlattice([Block(STO, 1), Block(LAO, 1)], supercell=(2, 2))
    pairs = [frozenset(defect.sites) for defect in enumerate_defects(layered, ["V_O", "V_O"], where="all")]
    cells = [defect.structure for defect in enumerate_defects(layered, ["V_O", "V_O"], where="all")]
    prints = [tuple(sorted((a.species_string, tuple(np.round(np.sort(cell.distance_matrix[i]), 3))) for i, a in
                           enumerate(cell))) for cell in cells]  # fmt: skip
    assert len(set(pairs)) == len(pairs)
    assert len(set(prints)) == len(prints)


@pytest.mark.parametrize("charge", [2, -3])
def test_a_charge_is_kept_and_named(charge):
    host = bulk(STO, 2, supercell=(2, 2))
    (defect,) = enumerate_defects(host, "V_O", where="all", charge=charge)
    assert defect.structure.properties["charge"] == charge
    assert defect.label.endswith(f"({charge:+d})")
    assert "charge" not in host.properties


def test_surface_defects_lie_in_the_outermost_planes():
    slab = build_superlattice([Block(STO, 3), Block(LAO, 2)], vacuum=12.0)
    found = enumerate_defects(slab, "V_O", where="surface")
    assert labels(found) == [("V_O@SrTiO3:1", "SrO"), ("V_O@LaAlO3:2", "AlO2")]
    assert labels(enumerate_defects(slab, "V_O")) == [("V_O@SrTiO3:3", "TiO2"), ("V_O@LaAlO3:1", "LaO")]
    with pytest.raises(StructureError, match="no O at surface"):
        enumerate_defects(bulk(STO, 2), "V_O", where="surface")


@given(st.sampled_from(["V_O", "V_Ti", "Ti_Al", "Nb_Ti"]), st.sampled_from([(0, 0, 1), (1, 1, 1), (1, 1, 0)]))
@settings(max_examples=12, deadline=None)
def test_labels_follow_their_atoms(kind, normal):
    host = build_superlattice([Block(STO, 2), Block(LAO, 2)], normal=normal, supercell=(2, 1))
    host.add_site_property("magmom", [float(i % 3) for i in range(len(host))])
    for defect in enumerate_defects(host, kind, where="all"):
        assert len(defect.kept) == len(defect.structure)
        for new, old in enumerate(defect.kept):
            site, origin = defect.structure[new], host[old]
            np.testing.assert_allclose(site.frac_coords, origin.frac_coords)
            keys = ("material", "block", "layer", "plane", "bulk_position")
            assert [site.properties[k] for k in keys] == [origin.properties[k] for k in keys]
            if old not in defect.sites:
                assert site.species_string == origin.species_string
                assert site.properties["magmom"] == origin.properties["magmom"]
        assert {s.species_string for s in host} == {"Sr", "Ti", "O", "La", "Al"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "V_N"}, "no N at interface"),
        ({"kind": "V_O", "where": "nowhere"}, "nowhere"),
        ({"kind": "V_O", "material": "KTaO3"}, "KTaO3"),
        ({"kind": "V_O", "material": "SrTiO3", "layers": [7]}, "not 7"),
        ({"kind": ["Ti_Al", "V_Ti"], "along": (0, 0, 0)}, "no direction"),
        ({"kind": ["Ti_Al", "V_Ti"], "along": (1, 0, 0)}, "no Al next to Ti"),
        ({"kind": []}, "defect"),
        ({"kind": "Qq_O"}, "write a vacancy as V_O"),
    ],
)
def test_defects_that_cannot_be_made_are_told_in_one_line(options, message):
    host = build_superlattice([Block(STO, 2), Block(LAO, 2)])
    with pytest.raises(StructureError, match=message) as caught:
        enumerate_defects(host, **options)
    assert "\n" not in str(caught.value)
