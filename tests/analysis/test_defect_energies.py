from __future__ import annotations

import json

import numpy as np
import pytest
from finished import make_result
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Composition, Lattice, Structure

from heterodft.analysis.energies.chemical_potentials import ChemicalPotentials
from heterodft.analysis.energies.defects import DefectFormation, name_defects
from heterodft.analysis.result import Bands
from heterodft.errors import ReaderError

ELEMENTS = {"Sr": -1.7, "Ti": -7.8, "O": -4.9}
BANDS = Bands(
    np.array([[[-1.0, 2.0, 5.0], [-2.0, 2.5, 5.5]]]),
    np.array([[[1.0, 0, 0], [1.0, 0, 0]]]),
    np.zeros((2, 3)),
    np.array([0.5, 0.5]),
)


def crystal(formula, units=1, length=4.0):
    """Return any structure of that composition; only its atoms matter here."""
    atoms = [s.symbol for s, n in Composition(formula).items() for _ in range(round(n * units))]
    places = [[i / len(atoms), (i % 3) / 3, (i % 2) / 2] for i in range(len(atoms))]
    return Structure(Lattice.cubic(length), atoms, places)


def phase(formula, heat=0.0, units=1, **options):
    """Return a result of a formation energy `heat` in eV per formula unit, against `ELEMENTS`."""
    energy = units * (heat + sum(n * ELEMENTS[s.symbol] for s, n in Composition(formula).items()))
    return make_result(crystal(formula, units), energy, **options)


def element(symbol, **options):
    return phase({"O": "O2"}.get(symbol, symbol), **options)


OXIDES = {"SrO": -6.0, "TiO2": -9.5, "Ti2O3": -15.2}


def strontium_titanate(heat=-17.0, **options):
    return phase("SrTiO3", heat, **options)


def potentials(heat=-17.0, phases=OXIDES, **options):
    all_phases = [element(e) for e in ELEMENTS] + [phase(name, value) for name, value in phases.items()]
    return ChemicalPotentials.from_results(strontium_titanate(heat), all_phases, **options)


class TestChemicalPotentials:
    def test_a_binary_oxide_has_an_oxygen_rich_and_an_oxygen_poor_limit(self):
        found = ChemicalPotentials.from_results(
            phase("TiO2", -9.5), [element("Ti"), element("O"), phase("Ti2O3", -15.2)]
        )
        assert [limit.name for limit in found.limits] == ["O-rich", "O-poor"]
        rich, poor = found.limits
        assert rich.deltas == pytest.approx({"Ti": -9.5, "O": 0.0})
        # 2 Ti + 3 O = -15.2 and Ti + 2 O = -9.5
        assert poor.deltas == pytest.approx({"Ti": -1.9, "O": -3.8})
        assert poor.phases == ("Ti2O3",)
        assert found.references == pytest.approx({"Ti": -7.8, "O": -4.9})

    def test_corners_equal_those_of_pymatgen(self):
        from pymatgen.analysis.chempot_diagram import ChemicalPotentialDiagram
        from pymatgen.entries.computed_entries import ComputedEntry

        entries = [ComputedEntry(e, ELEMENTS[e]) for e in ELEMENTS]
        for name, heat in {**OXIDES, "SrTiO3": -17.0}.items():
            reference = sum(n * ELEMENTS[s.symbol] for s, n in Composition(name).items())
            entries.append(ComputedEntry(name, heat + reference))
        diagram = ChemicalPotentialDiagram(entries)
        theirs = diagram.domains["SrTiO3"]
        inside = theirs[(theirs > diagram.default_min_limit + 1).all(axis=1)]
        order = [e.symbol for e in diagram.elements]
        ours = np.array([[limit.deltas[e] for e in order] for limit in potentials().limits])
        wanted = np.unique(np.round(inside, 5), axis=0)
        assert np.allclose(np.unique(np.round(ours, 5), axis=0), wanted, atol=1e-4)

    def test_every_corner_keeps_the_host_and_forbids_all_else(self):
        found = potentials()
        assert found.statement == "SrTiO3 is stable"
        for limit in found.limits:
            delta = limit.deltas
            assert delta["Sr"] + delta["Ti"] + 3 * delta["O"] == pytest.approx(-17.0)
            assert delta["Sr"] + delta["O"] <= -6.0 + 1e-6
            assert delta["Ti"] + 2 * delta["O"] <= -9.5 + 1e-6
            assert max(delta.values()) <= 1e-6
        assert len({limit.name for limit in found.limits}) == len(found.limits)
        assert found.limits[0].name.startswith("O-rich")
        assert found.limits[-1].name.startswith("O-poor")

    def test_an_unstable_host_is_told_with_what_lies_below_it(self):
        found = potentials(heat=-15.0)
        assert found.limits == ()
        assert found.statement == "SrTiO3 is not stable: 0.500 eV per formula unit above 1 SrO + 1 TiO2"

    def test_an_impurity_is_held_down_by_its_first_phase(self):
        ELEMENTS["La"] = -4.9
        try:
            phases = [*map(element, ("Ti", "O", "La")), phase("La2O3", -18.0)]
            found = ChemicalPotentials.from_results(phase("TiO2", -9.5), phases)
        finally:
            del ELEMENTS["La"]
        rich, poor = found.limits
        assert rich.deltas["La"] == pytest.approx(-9.0)
        assert poor.deltas["La"] == pytest.approx((-18.0 - 3 * poor.deltas["O"]) / 2)

    def test_a_phase_of_other_settings_is_left_out_and_says_why(self):
        found = ChemicalPotentials.from_results(
            phase("TiO2", -9.5), [element("Ti"), element("O"), phase("Ti2O3", -20.0, cutoff=300.0)]
        )
        assert found.notes == ("Ti2O3 is left out: cutoff 300 eV against 520 eV",)
        assert "Ti2O3" not in found.formation_energies

    def test_another_structure_of_the_host_that_lies_lower_is_told(self):
        found = potentials(phases={**OXIDES, "SrTiO3": -17.5})
        assert found.notes == ("another structure of SrTiO3 lies 0.100 eV an atom lower",)

    def test_an_element_that_is_missing_or_unusable_is_named(self):
        with pytest.raises(ReaderError, match="no usable energy of the element O "):
            ChemicalPotentials.from_results(
                phase("TiO2", -9.5), [element("Ti"), element("O", hubbard=[["O", "2p", 3.0]])]
            )

    def test_the_number_of_formula_units_in_a_cell_does_not_matter(self):
        one = potentials()
        phases = [*map(element, ELEMENTS), *(phase(n, h, units=2) for n, h in OXIDES.items())]
        two = ChemicalPotentials.from_results(strontium_titanate(units=4), phases)
        assert two.to_frame().round(6).equals(one.to_frame().round(6))


def host(**options):
    return strontium_titanate(units=8, bands=BANDS, electrons=2.0, **options)


def vacancy(energy, charge=0, **options):
    cell = crystal("SrTiO3", 8)
    cell.remove_sites([len(cell) - 1])
    return make_result(cell, energy, charge=charge, **options)


E_HOST = 8 * (-17.0 - 1.7 - 7.8 - 3 * 4.9)


def two_limits():
    return ChemicalPotentials.given({"O": -4.9}, {"O-rich": {"O": 0.0}, "O-poor": {"O": -3.0}})


def test_a_neutral_vacancy_by_hand():
    found = DefectFormation.from_results({"V_O": vacancy(E_HOST + 10.0)}, host(), two_limits())
    rich, poor = found.rows
    assert rich.exchanged == {"O": -1}
    assert rich.energy == pytest.approx(10.0 - 4.9)
    assert poor.energy == pytest.approx(10.0 - 4.9 - 3.0)
    assert (rich.corrected, rich.reason) == ("none needed", "")
    assert (found.valence_maximum, found.gap) == (-1.0, 3.0)


def test_a_charged_vacancy_by_hand_and_its_correction():
    defects = {"V_O: +2": vacancy(E_HOST + 6.0, charge=2)}
    bare = DefectFormation.from_results(defects, host(), two_limits()).rows[0]
    assert bare.energy == pytest.approx(6.0 - 4.9 + 2 * -1.0)
    assert bare.corrected == "uncorrected"
    assert "periodic images" in bare.notes[-1]
    assert bare.at(1.5) == pytest.approx(bare.energy + 3.0)
    told = DefectFormation.from_results(
        defects, host(), two_limits(), dielectric=10.0, scheme="makov-payne", alignments={"V_O: +2": 0.05}
    ).rows[0]
    image = 4 * 2.837297 * 14.39964 / (2 * 10.0 * 4.0)
    assert told.energy == pytest.approx(bare.energy + image + 0.1, rel=1e-5)
    assert told.corrected == "Makov–Payne, first order with potential alignment"


def test_transition_levels_are_where_the_lowest_line_changes():
    defects = {
        "V_O: +2": vacancy(E_HOST + 7.0, charge=2),
        "V_O: +1": vacancy(E_HOST + 9.6, charge=1),
        "V_O": vacancy(E_HOST + 11.0),
    }
    found = DefectFormation.from_results(defects, host(), two_limits())
    rows = {row.charge: row.energy for row in found.rows if row.limit == "O-rich"}
    (level,) = found.transition_levels()  # +1 is never the lowest: negative U
    assert (level.upper, level.lower) == (2, 0)
    assert level.level == pytest.approx((rows[0] - rows[2]) / 2)
    assert level.in_gap is True
    assert level.corrected == "uncorrected"
    assert found.levels_frame()["transition"].tolist() == ["+2/0"]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=5, max_size=5))
def test_levels_follow_the_lowest_line_everywhere(energies):
    defects = {
        f"V_O: {q:+d}": vacancy(E_HOST + e, charge=q) for q, e in zip((2, 1, 0, -1, -2), energies, strict=True)
    }
    found = DefectFormation.from_results(defects, host(), two_limits())
    levels = found.transition_levels()
    assert [x.level for x in levels] == sorted(x.level for x in levels)
    rows = [row for row in found.rows if row.limit == "O-rich"]
    for fermi in np.linspace(-12, 12, 49):
        stable = min(rows, key=lambda row: row.at(fermi))
        passed = [x.lower for x in levels if x.level < fermi]
        expected = passed[-1] if passed else (levels[0].upper if levels else rows[0].charge)
        line = next(row for row in rows if row.charge == expected)
        assert line.at(fermi) == pytest.approx(stable.at(fermi), abs=1e-9)


def test_a_charged_slab_is_refused_with_the_reason():
    cell = Structure(Lattice.tetragonal(4.0, 20.0), ["Ti", "O", "O"], [[0, 0, 0], [0.5, 0, 0], [0, 0.5, 0]])
    gone = cell.copy()
    gone.remove_sites([2])
    slab = make_result(cell, -30.0, bands=BANDS, electrons=2.0)
    defects = {"V_O: +1": make_result(gone, -20.0, charge=1), "V_O": make_result(gone, -19.0)}
    charged, neutral = (
        row
        for row in DefectFormation.from_results(defects, slab, two_limits(), dielectric=5.0).rows
        if row.limit == "O-rich"
    )
    assert charged.energy is None
    assert "vacuum" in charged.reason
    assert neutral.energy == pytest.approx(11.0 - 4.9)


def test_what_may_not_be_subtracted_says_why():
    defects = {"V_O": vacancy(E_HOST + 10.0, cutoff=300.0), "V_O: +1": vacancy(E_HOST, charge=1)}
    rows = DefectFormation.from_results(defects, strontium_titanate(units=8), two_limits()).rows
    assert rows[0].reason == "cutoff 300 eV against 520 eV"
    assert "valence band maximum" in rows[2].reason
    assert all(row.energy is None for row in rows)


def test_a_defect_in_a_host_that_is_not_stable_has_no_energy():
    with pytest.raises(ReaderError, match="not stable"):
        DefectFormation.from_results({"V_O": vacancy(0.0)}, host(), potentials(heat=-15.0))


def test_an_element_without_a_chemical_potential_is_named():
    with pytest.raises(ReaderError, match="no chemical potential of O"):
        DefectFormation.from_results(
            {"V_O": vacancy(0.0)}, host(), ChemicalPotentials.given({"Ti": -7.8}, {"x": {"Ti": 0.0}})
        )


def test_a_fractional_charge_is_refused():
    with pytest.raises(ReaderError, match="not a whole number"):
        DefectFormation.from_results({"V_O": vacancy(0.0, charge=0.5)}, host(), two_limits())


def test_computed_limits_lead_to_the_formation_energy_of_the_limit():
    found = DefectFormation.from_results({"V_O": vacancy(E_HOST + 10.0)}, host(), potentials())
    by_limit = {limit.name: limit.deltas["O"] for limit in potentials().limits}
    for row in found.rows:
        assert row.energy == pytest.approx(10.0 - 4.9 + by_limit[row.limit])


def test_the_charge_of_a_folder_of_others_is_given_or_taken_as_unknown():
    theirs = vacancy(E_HOST + 6.0, ours=False)
    bulk = host(ours=False)
    unknown = DefectFormation.from_results({"V_O": theirs}, bulk, two_limits()).rows[0]
    assert "unknown: charge of V_O" in unknown.reason
    given_ = DefectFormation.from_results({"V_O": theirs}, bulk, two_limits(), charges={"V_O": 2}).rows[0]
    assert (given_.charge, given_.energy) == (2, pytest.approx(6.0 - 4.9 - 2.0))


def test_defects_are_named_by_layer_and_charge_and_kept_apart():
    about = [{"label": "V_O@SrTiO3:1"}, {"label": "V_O@SrTiO3:1"}, {"label": "V_O@SrTiO3:2"}]
    results = [
        vacancy(E_HOST + 9.0 + i, charge=q, about=a) for i, (q, a) in enumerate(zip((2, 0, 0), about, strict=True))
    ]
    named = name_defects(results)
    assert list(named) == ["V_O@SrTiO3:1: +2", "V_O@SrTiO3:1", "V_O@SrTiO3:2"]
    found = DefectFormation.from_results(named, host(), two_limits())
    assert {row.family for row in found.rows} == {"V_O@SrTiO3:1", "V_O@SrTiO3:2"}


def test_tables_data_and_figure():
    found = DefectFormation.from_results(
        {"V_O: +2": vacancy(E_HOST + 6.0, charge=2), "V_O": vacancy(E_HOST + 10.0)}, host(), two_limits()
    )
    assert "formation energy at the valence band maximum (eV)" in found.to_frame().columns
    assert len(json.loads(json.dumps(found.to_dict()))["rows"]) == 4
    (axis,) = found.plot(limit="O-poor").axes
    assert axis.lines[0].get_label() == "V_O (uncorrected)"
    with pytest.raises(ReaderError, match="did you mean 'O-poor'"):
        found.plot(limit="O-por")


def test_namesakes_and_charges_of_one_defect_are_one_family():
    same = {"label": "V_O@SrTiO3:1"}
    results = [vacancy(E_HOST + e, charge=q, about=same) for e, q in ((6.0, 2), (6.5, 2), (9.0, 0), (9.5, 0))]
    named = name_defects(results)
    assert list(named) == [f"V_O@SrTiO3:1{end}" for end in (": +2", ": +2 (2)", "", " (4)")]
    found = DefectFormation.from_results(named, host(), two_limits())
    assert {row.family for row in found.rows} == {"V_O@SrTiO3:1"}
    assert len(found.transition_levels()) == 1
