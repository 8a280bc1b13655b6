from __future__ import annotations

import json
import math

import pytest
from finished import make_result
from hypothesis import given, settings
from hypothesis import strategies as st

from heterodft.analysis.energies.formation import SuperlatticeFormation, count_formula_units
from heterodft.analysis.energies.segregation import SegregationEnergies
from heterodft.errors import ReaderError
from heterodft.structures import Block, build_material, build_superlattice, enumerate_defects
from heterodft.structures.vacuum import has_vacuum

STO, LAO = build_material("SrTiO3"), build_material("LaAlO3")


def stack(first, second, **options):
    return build_superlattice([Block(STO, first), Block(LAO, second)], in_plane="SrTiO3", **options)


def strained(material):
    return build_superlattice([Block(material, 1)], in_plane=3.905)


def bulks(sto=-40.0, lao=-42.0, **options):
    return {
        "SrTiO3": make_result(strained(STO), sto, **options),
        "LaAlO3": make_result(strained(LAO), lao, **options),
    }


def mesh(structure):
    return [math.ceil(length / 0.44) for length in structure.lattice.reciprocal_lattice.abc]


def formation(structure, energy, **options):
    whole = make_result(structure, energy, kpoints=mesh(structure))
    return SuperlatticeFormation.from_results(whole, bulks(), **options)


def test_a_superlattice_is_counted_in_formula_units_and_per_area_and_interface():
    found = formation(stack(2, 2), 2 * (-40.0 - 42.0) + 0.5)
    assert [(term.name, term.formula_units) for term in found.bulks] == [("SrTiO3", 2.0), ("LaAlO3", 2.0)]
    assert found.energy == pytest.approx(0.5)
    assert found.per_formula_unit == pytest.approx(0.125)
    assert found.per_area == pytest.approx(500 / 3.905**2)
    assert (found.interfaces, found.slab) == (2, False)
    assert found.per_interface == pytest.approx(250 / 3.905**2)
    joule = found.to_frame()["interface energy (J/m²)"][0]
    assert joule == pytest.approx(0.25 * 1.602176634e-19 / (3.905e-10) ** 2)
    assert not found.notes


def test_a_superlattice_of_no_interface_costs_nothing():
    found = SuperlatticeFormation.from_results(
        make_result(strained(STO) * (1, 1, 2), -80.0, kpoints=[4, 4, 2]), {"SrTiO3": bulks()["SrTiO3"]}
    )
    assert found.energy == pytest.approx(0.0)


def test_other_settings_leave_no_number_and_the_reason():
    found = SuperlatticeFormation.from_results(
        make_result(stack(1, 1), -80.0, kpoints=[4, 4, 2]), bulks(cutoff=400.0)
    )
    assert found.energy is None
    assert found.reason == "cutoff 520 eV against 400 eV"
    assert found.to_frame()["no number because"][0] == found.reason


def test_a_bulk_that_is_not_strained_is_told():
    relaxed = {**bulks(), "LaAlO3": make_result(LAO.cell, -42.1)}
    found = SuperlatticeFormation.from_results(make_result(stack(1, 1), -80.0, kpoints=[4, 4, 2]), relaxed)
    assert "LaAlO3 is not strained" in found.notes[0]


def test_a_slab_has_surfaces_in_its_energy_until_they_are_given():
    slab = stack(2, 2, vacuum=15.0)
    found = formation(slab, -163.0)
    assert found.slab
    assert found.per_interface is None
    assert "surfaces" in " ".join(found.notes)
    known = formation(slab, -163.0, surfaces=20.0)
    assert known.per_interface == pytest.approx(1000 / 3.905**2 - 20.0)


def test_bulks_that_do_not_add_up_are_refused_with_what_is_left():
    vacancy = stack(1, 1).copy()
    vacancy.remove_sites([2])
    with pytest.raises(ReaderError, match=r"left over"):
        formation(vacancy, -70.0)
    with pytest.raises(ReaderError, match="same elements"):
        count_formula_units(STO.cell, {"a": STO.cell, "b": STO.cell})


def test_the_data_is_plain():
    data = formation(stack(1, 1), -81.0).to_dict()
    assert json.loads(json.dumps(data))["per_formula_unit"] == pytest.approx(0.5)


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 3), st.integers(1, 3))
def test_repeating_the_cell_in_its_plane_changes_nothing_per_area(n, m):
    one = formation(stack(n, m), -40.0 * n - 42.0 * m + 0.3)
    two = formation(stack(n, m) * (2, 1, 1), 2 * (-40.0 * n - 42.0 * m + 0.3))
    assert two.per_interface == pytest.approx(one.per_interface)
    assert two.per_formula_unit == pytest.approx(one.per_formula_unit)


def test_vacuum_is_found_along_its_axis_alone():
    slab = stack(1, 1, vacuum=12.0)
    assert [has_vacuum(slab, axis) for axis in range(3)] == [False, False, True]
    assert not has_vacuum(stack(1, 1))


class TestSegregation:
    HOST = stack(3, 3)

    def vacancies(self, **options):
        found = enumerate_defects(self.HOST, "V_Ti", where="all", material="SrTiO3")
        energies = {"SrTiO3:1": -200.5, "SrTiO3:2": -200.0, "SrTiO3:3": -200.3}
        return [
            make_result(
                d.structure, energies[d.label.partition("@")[2]], kpoints=[4, 4, 1],
                about={"defect": d.structure.properties["defect"], "order": "FM"}, **options,
            )
            for d in found
        ]  # fmt: skip

    def test_energies_are_against_the_layer_deepest_inside(self):
        found = SegregationEnergies.from_results(self.vacancies())
        values = {row.layer: row.relative for row in found.rows}
        assert values == pytest.approx({"SrTiO3:1": -0.5, "SrTiO3:2": 0.0, "SrTiO3:3": -0.3})
        assert found.reference == "SrTiO3:2 TiO2"
        assert found.names[0] == "SrTiO3:1 TiO2"
        assert found.to_frame()["segregation energy (eV)"].notna().all()

    def test_another_layer_may_be_zero(self):
        found = SegregationEnergies.from_results(self.vacancies(), reference="SrTiO3:3")
        assert {row.layer: row.relative for row in found.rows}["SrTiO3:1"] == pytest.approx(-0.2)
        with pytest.raises(ReaderError, match="did you mean"):
            SegregationEnergies.from_results(self.vacancies(), reference="SrTiO3:9 TiO2")

    def test_layers_that_do_not_compare_say_why(self):
        results = self.vacancies()[:2] + self.vacancies(cutoff=400.0)[2:]
        rows = SegregationEnergies.from_results(results).rows
        assert sorted(row.reason for row in rows) == ["", "", "cutoff 400 eV against 520 eV"]

    def test_a_defect_that_nobody_labelled_needs_its_layer(self):
        bare = [make_result(self.HOST, -1.0), make_result(self.HOST, -2.0)]
        with pytest.raises(ReaderError, match="layers="):
            SegregationEnergies.from_results(bare)
        found = SegregationEnergies.from_results(bare, layers=["a", "b"], reference="a")
        assert found.values == [0.0, pytest.approx(-1000.0)]
