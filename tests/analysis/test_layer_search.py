from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from heterodft.analysis.layers import find_layering
from heterodft.errors import ReaderError
from heterodft.structures import (
    Block,
    Interfaces,
    build_material,
    build_superlattice,
    enumerate_defects,
    layer_labels,
    parse_tilt,
    tilt_octahedra,
)

STO, LAO, KTO = (build_material(name) for name in ("SrTiO3", "LaAlO3", "KTaO3"))
SRO = build_material("SrRuO3", prototype="perovskite", a=3.93)
LTO = build_material("LaTiO3", prototype="perovskite", a=3.97)
NIO = build_material("NiO", prototype="rocksalt", a=4.17)
CRN = build_material("CrN", prototype="rocksalt", a=4.149)
CR = build_material("Cr2O3")
FE = build_material("Fe2O3", prototype="corundum", a=5.03, c=13.75)
GAN = build_material("GaN", prototype="wurtzite", a=3.19, c=5.19)
ALN = build_material("AlN", prototype="wurtzite", a=3.11, c=4.98)
CAF = build_material("CaF2", prototype="fluorite", a=5.46)
GAAS = build_material("GaAs", prototype="zincblende", a=5.65)
CAMPAIGNS = Path(__file__).parents[3] / "shared" / "campaigns"
HEXAGONAL = {"Cr2O3": (0, 0, 0, 1), "CrN": (1, 1, 1)}


def blocks(*pairs):
    return [Block(material, layers) for material, layers in pairs]


def same_as_built(structure):
    """Whether planes, and labels and formulas of the layers, are found again without labels."""
    built, found = find_layering(structure), find_layering(bare(structure))
    assert found.source == "composition"
    assert [set(p.sites) for p in found.planes] == [set(p.sites) for p in built.planes]
    assert [(n.label, n.formula, set(n.sites)) for n in found.layers] == [
        (n.label, n.formula, set(n.sites)) for n in built.layers
    ]
    for group, other in zip(found.planes, built.planes, strict=True):
        assert (group.height, group.bottom, group.top) == pytest.approx((other.height, other.bottom, other.top))


def bare(structure):
    return Structure(structure.lattice, structure.species, structure.frac_coords)


def members(layering):
    """Planes and layers as sets of sites, wherever the cell begins."""
    return (
        {frozenset(plane.sites) for plane in layering.planes},
        {frozenset(layer.sites) for layer in layering.layers},
    )


def disturbed(structure, seed, largest, *, wrap=True):
    rng = np.random.default_rng(seed)
    ways = rng.normal(size=(len(structure), 3))
    ways *= (rng.uniform(0, largest, len(structure)) / np.linalg.norm(ways, axis=1))[:, None]
    return Structure(
        structure.lattice,
        structure.species,
        structure.cart_coords + ways,
        coords_are_cartesian=True,
        to_unit_cell=wrap,
    )


@pytest.mark.parametrize(
    ("stack", "options"),
    [
        (blocks((STO, 1)), {}),
        (blocks((STO, 1), (LAO, 1)), {}),
        (blocks((STO, 3), (LAO, 2)), {"supercell": ((1, -1), (1, 1))}),
        (blocks((STO, 2), (SRO, 3)), {}),
        (blocks((LTO, 2), (LAO, 3)), {}),
        (blocks((STO, 2), (LAO, 2), (STO, 1), (LAO, 3)), {}),
        (blocks((STO, 2), (LAO, 2), (STO, 3), (KTO, 2)), {}),
        (blocks((STO, 2), (SRO, 3)), {"normal": (1, 1, 0)}),
        (blocks((KTO, 2), (LAO, 3)), {"normal": (1, 1, 1)}),
        (blocks((STO, 1)), {"normal": (1, 1, 1)}),
        (blocks((STO, 3), (LAO, 2)), {"vacuum": 12}),
        (blocks((STO, 3), (LAO, 2)), {"vacuum": 12, "symmetric": True}),
        (blocks((STO, 3)), {"vacuum": 12, "interfaces": Interfaces(surfaces=("TiO2", "TiO2"))}),
        (blocks((STO, 2), (LAO, 2)), {"interfaces": Interfaces(termination=("TiO2/LaO", "LaO/TiO2"))}),
        (blocks((STO, 2), (LAO, 2)), {"interfaces": Interfaces(termination=("SrO/AlO2", "AlO2/SrO"))}),
        (blocks((NIO, 2)), {}),
        (blocks((NIO, 1), (CRN, 1)), {}),
        (blocks((NIO, 2), (CRN, 3)), {"normal": (1, 1, 1)}),
        (blocks((CR, 6)), {"normal": (0, 0, 0, 1)}),
        (blocks((CR, 2), (FE, 4)), {"normal": (0, 0, 0, 1)}),
        (blocks((CR, 1), (CRN, 1)), {"normal": HEXAGONAL}),
        (blocks((CR, 3), (CRN, 2)), {"normal": HEXAGONAL}),
        (blocks((GAN, 4), (ALN, 2)), {"normal": (0, 0, 0, 1)}),
        (blocks((CAF, 2)), {}),
        (blocks((CAF, 3)), {"normal": (1, 1, 1)}),
        (blocks((GAAS, 2)), {"normal": (1, 1, 1)}),
    ],
)
def test_what_was_built_is_found_again_without_labels(stack, options):
    same_as_built(build_superlattice(stack, **options))


@pytest.mark.parametrize("kind", ["V_O", "V_Ti", "V_Sr", "La_Sr", "Al_Ti"])
def test_a_defect_does_not_move_its_layer(kind):
    host = build_superlattice(blocks((STO, 2), (LAO, 2)), supercell=(2, 2))
    for defect in enumerate_defects(host, kind, where="all"):
        same_as_built(defect.structure)


def test_a_vacancy_in_a_plane_of_one_anion_is_found_in_the_layer_of_the_builder():
    host = build_superlattice(blocks((STO, 1), (LAO, 1)))
    for defect in enumerate_defects(host, "V_O", where="all"):
        labels = [n.label for n in find_layering(defect.structure).layers]
        assert [n.label for n in find_layering(bare(defect.structure)).layers] == labels


@pytest.mark.skipif(not CAMPAIGNS.is_dir(), reason="the campaigns of the papers are not beside the project")
def test_every_structure_of_the_papers_is_found_again_without_labels():
    from heterodft.workflows.built_structures import build_structures
    from heterodft.workflows.campaign_file import load_campaign

    built = [found for path in sorted(CAMPAIGNS.glob("*.yaml")) for found in build_structures(load_campaign(path))]
    assert len(built) > 50
    for found in built:
        same_as_built(found.structure)


HOSTS = {
    "001": build_superlattice(blocks((STO, 2), (LAO, 2)), supercell=((1, -1), (1, 1))),
    "111": build_superlattice(blocks((KTO, 3), (LAO, 2)), normal=(1, 1, 1)),
    "110": build_superlattice(blocks((STO, 2), (LAO, 2)), normal=(1, 1, 0)),
    "corundum": build_superlattice(blocks((CR, 2), (CRN, 2)), normal=HEXAGONAL),
    "rocksalt": build_superlattice(blocks((NIO, 2), (CRN, 2))),
    "shared": build_superlattice(blocks((STO, 3), (SRO, 2))),
    "slab": build_superlattice(blocks((STO, 3), (LAO, 2)), vacuum=12),
}


FOUND = {name: members(find_layering(host)) for name, host in HOSTS.items()}


@given(
    host=st.sampled_from(sorted(HOSTS)),
    seed=st.integers(0, 2**32 - 1),
    shift=st.tuples(*[st.floats(0, 1)] * 3),
    wrap=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_displacements_and_another_origin_and_order_change_no_membership(host, seed, shift, wrap):
    structure = HOSTS[host]
    moved = disturbed(structure, seed, 0.15, wrap=False)
    order = np.random.default_rng(seed).permutation(len(moved))
    mixed = Structure.from_sites([moved[int(i)] for i in order])
    # A lateral shift may be any; along c the lowest layer stays whole, as a new lowest plane may open other layers.
    mixed.translate_sites(range(len(mixed)), [shift[0], shift[1], 0.0], to_unit_cell=wrap)
    planes, layers = members(find_layering(mixed))
    renamed = [{frozenset(int(order[site]) for site in group) for group in groups} for groups in (planes, layers)]
    assert tuple(renamed) == FOUND[host]


@given(st.floats(0, 1), st.sampled_from(["001", "110", "111", "shared", "corundum"]))
@settings(max_examples=25, deadline=None)
def test_superlattices_keep_planes_blocks_and_layers_wherever_the_cell_begins(shift, host):
    structure = bare(HOSTS[host])
    structure.translate_sites(range(len(structure)), [0, 0, shift], to_unit_cell=True)
    layering = find_layering(structure)
    assert members(layering) == FOUND[host]
    assert sorted(layer.label for layer in layering.layers) == sorted(set(layer_labels(HOSTS[host])))
    bounds = [(group.bottom, group.top) for group in layering.planes]
    assert all(low[1] == pytest.approx(high[0]) for low, high in pairwise(bounds))
    assert bounds[-1][1] - bounds[0][0] == pytest.approx(layering.period)


@pytest.mark.parametrize(("glazer", "angle"), [("a-a-c+", 10.0), ("a-a-a-", 12.0), ("a0a0c-", 10.0)])
@pytest.mark.parametrize("seed", range(5))
def test_tilted_octahedra_keep_their_layers(glazer, angle, seed):
    tilt = parse_tilt(glazer, angle)
    tilted = tilt_octahedra(HOSTS["001"], {"SrTiO3": tilt, "LaAlO3": tilt})
    assert members(find_layering(disturbed(tilted, seed, 0.08))) == FOUND["001"]


def test_tilted_octahedra_keep_their_layers_in_111():
    host = build_superlattice(blocks((STO, 2)), normal=(1, 1, 1), supercell=(2, 2))
    tilted = tilt_octahedra(host, {"SrTiO3": parse_tilt("a-a-a-", 6.0)})
    assert members(find_layering(bare(tilted))) == members(find_layering(host))


@pytest.mark.parametrize("la", [-0.4, 0.4])
@pytest.mark.parametrize("al", [-0.3, 0.3])
def test_rumpled_planes_stay_whole(la, al):
    rumpled = bare(build_superlattice(blocks((STO, 3), (LAO, 3))))
    for index, site in enumerate(rumpled):
        move = {"La": la, "Al": al}.get(site.specie.symbol, 0.0)
        rumpled.translate_sites([index], [0, 0, move], frac_coords=False, to_unit_cell=True)
    assert members(find_layering(rumpled)) == members(find_layering(build_superlattice(blocks((STO, 3), (LAO, 3)))))


def test_a_plane_across_the_cell_boundary_is_one_plane_with_labels_and_without():
    structure = build_superlattice(blocks((STO, 1), (LAO, 1)))
    structure.translate_sites([0], [0, 0, -0.1], frac_coords=False, to_unit_cell=True)  # Sr of the lowest plane
    for layering in (find_layering(structure), find_layering(bare(structure))):
        lowest = layering.planes[0]
        assert lowest.formula == "SrO"
        assert lowest.height == pytest.approx(-0.05)
        assert layering.layers[0].label == "SrTiO3:1"


def test_layers_where_two_materials_mix_belong_to_the_one_that_is_more():
    structure = bare(build_superlattice(blocks((STO, 3), (LAO, 3)), supercell=(2, 2)))
    lanthanum = [i for i, site in enumerate(structure) if site.specie.symbol == "La"][:2]
    strontium = [i for i, site in enumerate(structure) if site.specie.symbol == "Sr"][-2:]
    for i, j in zip(lanthanum, strontium, strict=True):
        structure.replace(i, "Sr")
        structure.replace(j, "La")
    layers = find_layering(structure).layers
    assert [layer.label for layer in layers[:2]] == ["SrTiO3:1", "SrTiO3:2"]
    assert {layer.material for layer in layers} == {"SrTiO3", "LaAlO3"}
    assert [layer.formula for layer in layers][2:4] == ["Sr0.5La0.5TiO3", "Sr0.5La0.5AlO3"]


def test_stacking_along_a_is_found_and_said():
    structure = bare(build_superlattice(blocks((STO, 2), (LAO, 2))))
    vectors = structure.lattice.matrix[[2, 0, 1]]
    turned = Structure(Lattice(vectors), structure.species, structure.frac_coords[:, [2, 0, 1]])
    layering = find_layering(turned)
    assert layering.axis == "a"
    assert layering.notes == ("stacked along a: along c the composition does not vary, or not from layer to layer",)
    assert [layer.label for layer in layering.layers] == ["SrTiO3:1", "SrTiO3:2", "LaAlO3:1", "LaAlO3:2"]
    assert layering.period == pytest.approx(structure.lattice.c)
    assert find_layering(turned, axis="c").axis == "c"


def test_a_bulk_cell_is_stacked_along_c():
    layering = find_layering(bare(build_superlattice(blocks((STO, 1)), supercell=(2, 2))))
    assert (layering.axis, layering.notes) == ("c", ())
    assert [layer.label for layer in layering.layers] == ["SrTiO3:1"]


def test_a_tolerance_gathers_whatever_follows_within_it():
    structure = bare(build_superlattice(blocks((CR, 2)), normal=(0, 0, 0, 1)))
    assert len(find_layering(structure).planes) == 6
    assert len(find_layering(structure, tolerance=0.5).planes) == 4
    with pytest.raises(ReaderError, match="tolerance: 0 Å; give a height above 0"):
        find_layering(structure, tolerance=0.0)


def test_elements_alone_have_planes_and_layers():
    iron = Structure(Lattice.cubic(2.87), ["Fe", "Fe"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert [layer.label for layer in find_layering(iron).layers] == ["Fe:1", "Fe:2"]
    assert len(find_layering(Structure(Lattice.cubic(10), ["O"], [[0.1, 0.2, 0.9]])).layers) == 1


def test_partly_occupied_sites_are_told():
    alloy = Structure(Lattice.cubic(4), [{"Ni": 0.5, "Cr": 0.5}, "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    with pytest.raises(ReaderError, match="partly occupied sites; layers cannot be told"):
        find_layering(alloy)


def test_a_primitive_cell_with_a_longer_vector_is_no_slab():
    vectors = np.array([[0, 3.52, 3.52], [1.76, 0, 1.76], [1.76, 1.76, 0]])
    layering = find_layering(Structure(Lattice(vectors), ["Ni", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]))
    assert (layering.axis, [layer.label for layer in layering.layers]) == ("c", ["NiO:1"])


def test_a_slab_may_lie_across_the_cell_boundary():
    slab = bare(HOSTS["slab"])
    slab.translate_sites(range(len(slab)), [0, 0, 0.5], to_unit_cell=True)
    layering = find_layering(slab)
    assert [layer.label for layer in layering.layers] == [
        layer.label for layer in find_layering(HOSTS["slab"]).layers
    ]
    assert members(layering) == FOUND["slab"]
    heights = [plane.height for plane in layering.planes]
    assert heights == sorted(heights)


def test_noble_gases_make_planes_without_warnings():
    argon = Structure(Lattice.cubic(5.3), ["Ar", "Ar"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert len(find_layering(argon).planes) == 2


def labels(structure, **options):
    return [layer.label for layer in find_layering(structure, **options).layers]


def test_a_sheet_of_cations_between_anions_is_one_layer():
    thick = 1.56 / 25
    sheet = Structure(
        Lattice.hexagonal(3.16, 25),
        ["Mo", "S", "S"],
        [[1 / 3, 2 / 3, 0.5], [2 / 3, 1 / 3, 0.5 + thick], [2 / 3, 1 / 3, 0.5 - thick]],
    )
    assert labels(sheet) == ["MoS2:1"]


def test_quintuple_layers_of_elements_of_like_electronegativity_are_found():
    telluride = Structure.from_spacegroup(
        "R-3m", Lattice.hexagonal(4.38, 30.49), ["Bi", "Te", "Te"], [[0, 0, 0.4], [0, 0, 0], [0, 0, 0.2095]]
    )
    assert labels(telluride) == ["Bi2Te3:1", "Bi2Te3:2", "Bi2Te3:3"]


def test_planes_of_one_compound_that_takes_turns_in_cations_are_layers_of_the_compound():
    cobaltate = Structure.from_spacegroup(
        "R-3m", Lattice.hexagonal(2.816, 14.05), ["Li", "Co", "O"], [[0, 0, 0.5], [0, 0, 0], [0, 0, 0.26]]
    )
    assert labels(cobaltate) == ["LiCoO2:1", "LiCoO2:2", "LiCoO2:3"]


def test_the_name_of_a_material_holds_elements_that_share_their_planes():
    ordered = Structure.from_spacegroup(
        "Im-3",
        Lattice.cubic(7.39),
        ["Ca", "Cu", "Ti", "O"],
        [[0, 0, 0], [0, 0.5, 0.5], [0.25, 0.25, 0.25], [0.303, 0.179, 0]],
    )
    assert labels(ordered) == ["CaTi4Cu3O12:1", "CaTi4Cu3O12:2"]


@pytest.mark.parametrize("normal", [(1, 1, 0), (1, 1, 1)])
def test_stacking_along_a_is_found_where_planes_along_c_differ_too(normal):
    built = build_superlattice(blocks((KTO, 4), (LAO, 4)), normal=normal)
    turned = Structure(built.lattice.matrix[[2, 0, 1]], built.species, built.frac_coords[:, [2, 0, 1]])
    layering = find_layering(turned)
    assert layering.axis == "a"
    assert [set(layer.sites) for layer in layering.layers] == [set(one.sites) for one in find_layering(built).layers]


def test_corundum_on_rocksalt_upside_down_keeps_its_layers():
    built = build_superlattice(blocks((CR, 3), (CRN, 2)), normal=HEXAGONAL)
    turned = bare(Structure(built.lattice, built.species, built.frac_coords * [1, 1, -1]))
    assert members(find_layering(turned))[1] == members(find_layering(built))[1]
    assert {layer.formula for layer in find_layering(turned).layers} == {"Cr2O3", "CrN"}


def test_layers_that_are_a_guess_say_so():
    cuprate = Structure(
        Lattice.orthorhombic(3.82, 3.89, 11.68),
        ["Y", "Ba", "Ba", "Cu", "Cu", "Cu", *["O"] * 7],
        [
            *([0.5, 0.5, 0.5], [0.5, 0.5, 0.184], [0.5, 0.5, 0.816], [0, 0, 0], [0, 0, 0.356], [0, 0, 0.644]),
            *([0, 0.5, 0], [0.5, 0, 0.379], [0.5, 0, 0.621], [0, 0.5, 0.377], [0, 0.5, 0.623]),
            *([0, 0, 0.158], [0, 0, 0.842]),
        ],
    )
    assert "a guess; give layers or axis" in find_layering(cuprate).notes[0]
    assert find_layering(bare(build_superlattice(blocks((STO, 2), (LAO, 2))))).notes == ()
