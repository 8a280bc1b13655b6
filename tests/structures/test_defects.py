from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Composition

from heterodft.errors import StructureError
from heterodft.structures.defect_sites import interface_planes
from heterodft.structures.defects import (
    enumerate_defects,
    inequivalent_sites,
    parse_defect,
    plane_formulas,
)
from heterodft.structures.materials import build_material
from heterodft.structures.superlattice import Block, build_superlattice

STO, LAO = build_material("SrTiO3"), build_material("LaAlO3")


def stack(lao, sto, **options):
    return build_superlattice([Block(LAO, lao), Block(STO, sto)], in_plane="SrTiO3", **options)


def bulk(layers=1, **options):
    return build_superlattice([Block(STO, layers)], **options)


def places(vacancies):
    return [(v.label, v.plane) for v in vacancies]


def test_a_one_by_one_superlattice_has_four_oxygen_vacancies():
    assert places(enumerate_defects(stack(1, 1), "V_O")) == [
        ("V_O@LaAlO3:1", "LaO"),
        ("V_O@LaAlO3:1", "AlO2"),
        ("V_O@SrTiO3:1", "SrO"),
        ("V_O@SrTiO3:1", "TiO2"),
    ]


def test_a_repeat_in_the_plane_adds_no_inequivalent_vacancies():
    assert places(enumerate_defects(stack(1, 1, supercell=(2, 2)), "V_O")) == places(
        enumerate_defects(stack(1, 1), "V_O")
    )


def test_an_oblong_supercell_tells_the_two_oxygens_of_a_tio2_plane_apart():
    found = enumerate_defects(stack(1, 1, supercell=(2, 1)), "V_O", material="SrTiO3")
    assert [v.plane for v in found] == ["SrO", "TiO2", "TiO2"]


def test_the_three_oxygens_of_a_111_plane_are_equivalent():
    found = enumerate_defects(stack(1, 1, normal=(1, 1, 1)), "V_O", where="all")
    assert places(found) == [("V_O@LaAlO3:1", "LaO3"), ("V_O@SrTiO3:1", "SrO3")]


def test_all_oxygens_of_a_cubic_cell_are_equivalent_but_not_in_a_flat_supercell():
    assert len(enumerate_defects(bulk(), "V_O", where="all")) == 1
    assert len(enumerate_defects(bulk(supercell=(2, 2)), "V_O", where="all")) == 2


def test_a_cubic_supercell_without_labels_has_one_vacancy_an_element():
    host = STO.cell.copy().make_supercell(2)
    for element, count in {"Sr": 8, "Ti": 8, "O": 24}.items():
        sites = [i for i, site in enumerate(host) if site.species_string == element]
        assert len(sites) == count
        assert inequivalent_sites(host, sites) == sites[:1]


def test_layers_of_a_block_are_told_apart_where_there_is_something_to_count_them_from():
    lao = build_material("LaAlO3")
    host = build_superlattice([Block(STO, 2), Block(lao, 1)], supercell=(2, 2))
    found = enumerate_defects(host, "V_Ti", where="all")
    assert [v.label for v in found] == ["V_Ti@SrTiO3:1", "V_Ti@SrTiO3:2"]
    slab = build_superlattice([Block(STO, 2)], vacuum=10)
    assert len(enumerate_defects(slab, "V_Ti", where="all")) == 2
    assert len(enumerate_defects(bulk(2, supercell=(2, 2)), "V_Ti", where="all")) == 1


def test_starting_moments_tell_sites_apart():
    host = bulk(supercell=(2, 1))
    titanium = [i for i, site in enumerate(host) if site.species_string == "Ti"]
    assert inequivalent_sites(host, titanium) == titanium[:1]
    host.add_site_property("magmom", [float(i == titanium[0]) for i in range(len(host))])
    assert inequivalent_sites(host, titanium) == titanium


@given(st.integers(1, 3), st.integers(1, 3), st.sampled_from([(1, 1), (2, 1), (2, 2)]))
@settings(max_examples=25, deadline=None)
def test_each_vacancy_is_the_host_without_its_site_and_knows_itself(lao, sto, supercell):
    host = stack(lao, sto, supercell=supercell)
    before = host.copy()
    found = enumerate_defects(host, "V_O", where="all")
    assert host == before
    assert "defect" not in host.properties
    for vacancy in found:
        kept = [i for i in range(len(host)) if i != vacancy.site]
        without = vacancy.structure
        assert host[vacancy.site].species_string == "O"
        np.testing.assert_allclose(without.frac_coords, host.frac_coords[kept])
        for key, values in host.site_properties.items():
            assert without.site_properties[key] == [values[i] for i in kept]
        defect = without.properties["defect"]
        assert (defect["kind"], defect["label"], defect["plane"]) == ("V_O", vacancy.label, vacancy.plane)
        np.testing.assert_allclose(defect["position"], host[vacancy.site].coords, atol=1e-7)
        assert without.properties["strain"] == host.properties["strain"]
    assert [v.site for v in found] == sorted({v.site for v in found})


def test_a_vacancy_may_be_limited_to_layers_of_a_material():
    host = stack(2, 3)
    found = enumerate_defects(host, "V_O", material="SrTiO3", layers=[2])
    assert places(found) == [("V_O@SrTiO3:2", "SrO"), ("V_O@SrTiO3:2", "TiO2")]
    everywhere = enumerate_defects(host, "V_O", material="SrTiO3")
    assert [v.label[-1] for v in everywhere] == ["1", "1", "2", "2", "3", "3"]


def test_an_interface_vacancy_is_in_a_plane_next_to_another_block():
    found = enumerate_defects(stack(3, 3), "V_O")
    assert places(found) == [
        ("V_O@LaAlO3:1", "LaO"),
        ("V_O@LaAlO3:3", "AlO2"),
        ("V_O@SrTiO3:1", "SrO"),
        ("V_O@SrTiO3:3", "TiO2"),
    ]


def test_every_plane_of_one_layer_blocks_is_at_an_interface():
    assert interface_planes(stack(1, 1)) == {0, 1, 2, 3}


def test_thick_blocks_have_interfaces_at_their_ends_only():
    assert interface_planes(stack(3, 2)) == {0, 5, 6, 9}


def test_one_block_has_no_interface():
    assert interface_planes(bulk(3)) == set()
    with pytest.raises(StructureError, match="defect V_O: no O at interface in Sr2 Ti2 O6"):
        enumerate_defects(bulk(2), "V_O")


def test_an_interface_stays_where_it_was_when_a_whole_plane_is_removed():
    host = stack(1, 1, normal=(1, 1, 1))
    (vacancy,) = enumerate_defects(host, "V_Ti")
    assert interface_planes(vacancy.structure) == {0, 1, 2}


@pytest.mark.parametrize("kind", ["V", "O", "V_o", "V_O_1", "VO", ""])
def test_what_is_no_vacancy_is_refused(kind):
    with pytest.raises(StructureError, match=f"defect '{kind}': write a vacancy as V_O"):
        enumerate_defects(stack(1, 1), kind)


def test_the_element_of_a_vacancy_is_read_from_its_name():
    assert [parse_defect(kind) for kind in ("V_O", "V_Ti")] == [(None, "O"), (None, "Ti")]


def test_an_absent_element_layer_or_material_is_told():
    with pytest.raises(StructureError, match="defect V_N: no N at all in"):
        enumerate_defects(stack(1, 1), "V_N", where="all")
    with pytest.raises(StructureError, match="defect V_O: SrTiO3 has the layers 1 to 3, not 4"):
        enumerate_defects(stack(1, 3), "V_O", material="SrTiO3", layers=[4])
    with pytest.raises(StructureError, match="defect V_Ti: no Ti at LaAlO3, layers all in"):
        enumerate_defects(stack(1, 1), "V_Ti", material="LaAlO3")


def test_an_unknown_place_is_refused():
    with pytest.raises(StructureError, match="interfaces"):
        enumerate_defects(stack(3, 3), "V_O", where="interfaces")


def test_planes_are_written_cations_first_and_as_small_as_they_go():
    assert plane_formulas(stack(1, 1, supercell=(2, 2))) == {0: "LaO", 1: "AlO2", 2: "SrO", 3: "TiO2"}
    assert plane_formulas(stack(1, 1, normal=(1, 1, 1))) == {0: "LaO3", 1: "Al", 2: "SrO3", 3: "Ti"}


def test_a_plane_that_lost_an_atom_says_so():
    (vacancy,) = enumerate_defects(stack(1, 1), "V_O", material="LaAlO3", layers=[1])[1:]
    assert plane_formulas(vacancy.structure)[1] == "AlO"


def test_an_antisite_keeps_every_site_and_label_and_changes_one_element():
    host = stack(2, 2)
    for defect in enumerate_defects(host, "Ti_Al", where="all"):
        changed = defect.structure
        assert changed[defect.site].species_string == "Ti"
        assert host[defect.site].species_string == "Al"
        assert changed.site_properties == host.site_properties
        assert changed.composition == host.composition - Composition("Al") + Composition("Ti")
        assert defect.label.startswith("Ti_Al@LaAlO3:")
    assert len(enumerate_defects(host, "Ti_Al", where="all")) == 2


def test_vanadium_on_a_site_is_not_a_vacancy():
    host = stack(1, 1)
    assert enumerate_defects(host, "V1_Ti", where="all")[0].structure.composition["V"] == 1
    assert len(enumerate_defects(host, "V_Ti", where="all")[0].structure) == len(host) - 1


@pytest.mark.parametrize("kind", ["Ti_Ti", "Xx_O", "V1", "_O", "V_Xx"])
def test_what_is_no_defect_is_refused(kind):
    with pytest.raises(StructureError, match=f"defect '{kind}': "):
        enumerate_defects(stack(1, 1), kind)
