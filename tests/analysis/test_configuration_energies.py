from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from finished import make_result
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from heterodft.analysis.energies import ConfigurationEnergies

NIO = Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.18), ["Ni", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
FM, AFM = [1.6, 1.6, 1.6, 1.6, 0.1, 0.1, 0.1, 0.1], [1.6, 1.6, -1.6, -1.6, 0, 0, 0, 0]
SIGNS = {"FM": [2, 2, 2, 2, 0, 0, 0, 0], "AFM-A": [2, 2, -2, -2, 0, 0, 0, 0], "AFM-C": [2, -2, 2, -2, 0, 0, 0, 0]}


def configuration(order, energy, moments, *, structure=NIO, name="nio", u="U-4eV", **options):
    about = {"name": name, "order": order, "hubbard": u}
    return make_result(structure, energy, about=about, asked=SIGNS.get(order), moments=moments, **options)


def table(results, **options):
    return {row.name: row for row in ConfigurationEnergies.from_results(results, **options).rows}


def test_energies_are_against_the_ferromagnet_per_formula_unit_and_per_magnetic_ion():
    rows = table([configuration("FM", -40.0, FM), configuration("AFM-A", -40.4, AFM)])
    assert rows["FM"].relative == 0.0
    assert rows["AFM-A"].relative == pytest.approx(-0.4)
    assert rows["AFM-A"].per_formula_unit == pytest.approx(-100.0)
    assert rows["AFM-A"].per_magnetic_ion == pytest.approx(-100.0)
    assert (rows["AFM-A"].formula_units, rows["AFM-A"].magnetic_ions) == (4, 4)


def test_another_reference_can_be_chosen_and_without_it_the_lowest_is_zero():
    results = [configuration("FM", -40.0, FM), configuration("AFM-A", -40.4, AFM)]
    assert table(results, reference="AFM-A")["FM"].relative == pytest.approx(0.4)
    lowest = table(results[1:] + [configuration("AFM-C", -40.1, [1.6, -1.6, 1.6, -1.6, 0, 0, 0, 0])])
    assert lowest["AFM-C"].relative == pytest.approx(0.3)
    assert lowest["AFM-C"].reference == "AFM-A"


def test_a_run_that_fell_into_another_order_is_named_after_the_order_it_reached():
    rows = table(
        [
            configuration("FM", -40.0, FM),
            configuration("AFM-A", -40.4, AFM),
            configuration("AFM-C", -40.3, [-m for m in AFM], state="flipped"),
        ]
    )
    assert rows["AFM-C"].state == "AFM-A"
    assert rows["AFM-C"].verdict == "flipped"
    assert rows["AFM-C"].same_as == "AFM-A"
    assert rows["AFM-C"].notes == (
        "not in the state asked for (AFM-C): flipped", "reached AFM-A, not AFM-C",
        "the same moments as AFM-A, 25.0 meV per formula unit apart",
    )  # fmt: skip


def test_a_ferromagnet_that_was_lost_is_no_reference():
    rows = table([configuration("FM", -41.0, AFM, state="flipped"), configuration("AFM-A", -40.4, AFM)])
    assert rows["FM"].state == "AFM-A"
    assert rows["AFM-A"].reference == "FM → AFM-A"
    assert rows["FM"].relative == 0.0


def test_two_states_of_one_pattern_are_told_apart_by_the_size_of_their_moments():
    low = [m * 0.6 for m in FM]
    rows = ConfigurationEnergies.from_results(
        [configuration("FM", -40.0, low), configuration("FM", -40.5, FM)], names=["low spin", "high spin"]
    ).rows
    assert {row.name: row.state for row in rows} == {"high spin": "FM", "low spin": "FM (2)"}


def test_a_run_without_spins_is_known_to_be_nonmagnetic():
    ours = make_result(NIO, -39.0, about={"name": "nio", "order": "NM"})
    theirs = make_result(NIO, -39.0, ours=False)
    assert table([ours])["NM"].state == "NM"
    assert table([theirs])["configuration 1"].state == ""  # nothing is told of its spins


def test_small_moments_are_no_state_without_moments_nor_another_order():
    """Ta carries some 0.1 μB."""
    small = [0.124, 0.124, 0.12, 0.12, 0, 0, 0, 0]
    turned = [0.124, 0.124, -0.12, -0.12, 0, 0, 0, 0]
    rows = table(
        [
            configuration("FM", -40.0, small),
            configuration("AFM-A", -40.1, turned),
            configuration("", -39.9, [0.0] * 8),
        ]
    )
    assert [row.state for row in rows.values()] == ["AFM-A", "FM", "NM"]


def test_a_state_without_moments_is_nonmagnetic_and_an_unknown_pattern_shows_its_signs():
    rows = table(
        [
            configuration("FM", -40.0, [0.0] * 8, state="collapsed"),
            configuration("", -39.0, [1, -1, -1, -1, 0, 0, 0, 0]),
        ]
    )
    assert rows["FM"].state == "NM"
    assert rows["configuration 2"].state == "+ - - -"


def test_moments_of_a_noncollinear_run_count_along_the_axis_they_share():
    """A magnet that lies in the plane has no z components and is no nonmagnet."""
    results = []
    for vectors in (
        np.outer(AFM, [1.0, 0, 0]),
        np.outer(FM, [0.6, 0.8, 0]),
        np.array([[1.6, 0, 0], [0, 1.6, 0]] * 4),
    ):
        one = make_result(NIO, -40.0, moments=vectors[:, 2], about={"name": "nio"})
        one.sites["sphere"] = replace(one.sites["sphere"], vectors=vectors)
        results.append(one)
    rows = table(results, names=["in plane", "along", "canted"])
    assert (rows["in plane"].state, rows["along"].state, rows["canted"].state) == ("+ + - -", "FM", "")


def test_what_may_not_be_subtracted_says_why():
    rows = table(
        [
            configuration("FM", -40.0, FM),
            configuration("AFM-A", -40.4, AFM, cutoff=400.0),
            configuration("AFM-C", -40.3, None, converged=False),
        ]
    )
    assert rows["AFM-A"].relative is None
    assert rows["AFM-A"].reason == "cutoff 400 eV against 520 eV"
    assert rows["AFM-C"].reason == "AFM-C did not converge"
    assert "no collinear moments are told" in rows["AFM-C"].notes[0]


def test_structures_and_u_are_ranked_apart():
    results = [configuration("FM", -40.0, FM), configuration("AFM-A", -40.4, AFM)]
    results += [configuration("FM", -30.0, FM, u="U-6eV"), configuration("AFM-A", -30.6, AFM, u="U-6eV")]
    rows = ConfigurationEnergies.from_results(results).rows
    assert [(row.family, round(row.relative, 6)) for row in rows] == [
        ("nio U-4eV", -0.4), ("nio U-4eV", 0.0), ("nio U-6eV", -0.6), ("nio U-6eV", 0.0),
    ]  # fmt: skip


def test_folders_of_others_are_compared_when_the_user_vouches_for_what_is_not_told():
    theirs = [
        make_result(NIO, energy, moments=moments, ours=False, method={"pseudopotentials": None})
        for energy, moments in ((-40.0, FM), (-40.4, AFM))
    ]
    rows = table(theirs, names=["a", "b"])
    assert rows["b"].reason.startswith("unknown: pseudopotentials of b")
    trusted = table(theirs, names=["a", "b"], trust=True)
    assert trusted["b"].relative == pytest.approx(-0.4)
    assert any(note.startswith("trusted by the user") for note in trusted["b"].notes)


def test_the_table_has_units_and_the_data_is_plain():
    energies = ConfigurationEnergies.from_results([configuration("FM", -40.0, FM), configuration("AFM-A", None, AFM)])
    frame = energies.to_frame()
    assert "relative energy (meV per magnetic ion)" in frame.columns
    assert frame["no number because"].tolist() == ["", "AFM-A has no energy"]
    assert json.loads(json.dumps(energies.to_dict()))["rows"][0]["per_formula_unit"] == 0.0
    assert (energies.names, energies.values, energies.reference) == (["FM", "AFM-A"], [0.0, None], "FM")


@settings(deadline=None)
@given(st.integers(1, 3), st.integers(1, 3), st.floats(-0.5, 0.5))
def test_a_supercell_gives_the_same_energies_per_formula_unit(x, z, apart):
    def difference(repeats):
        cell, cells = NIO * repeats, repeats[0] * repeats[2]
        index = [int(i) for i in range(len(cell))]
        of = [next(k for k in range(8) if i // (len(cell) // 8) == k) for i in index]
        results = [
            configuration(order, cells * energy, [moments[k] for k in of], structure=cell)
            for order, energy, moments in (("FM", -40.0, FM), ("AFM-A", -40.0 + apart, AFM))
        ]
        for one in results:
            one.request["request"]["moments"] = None
        return table(results)["AFM-A"].per_formula_unit

    assert difference((x, 1, z)) == pytest.approx(difference((1, 1, 1)), abs=1e-6)


@settings(deadline=None)
@given(st.permutations(range(3)))
def test_the_order_in_which_results_come_does_not_matter(order):
    results = [
        configuration("FM", -40.0, FM),
        configuration("AFM-A", -40.4, AFM),
        configuration("AFM-C", -40.1, [1.6, -1.6, 1.6, -1.6, 0, 0, 0, 0]),
    ]
    rows = ConfigurationEnergies.from_results([results[i] for i in order]).rows
    assert [row.name for row in rows] == ["AFM-A", "AFM-C", "FM"]


@pytest.mark.parametrize("order", [[7, 6, 5, 4, 3, 2, 1, 0], [2, 3, 0, 1, 4, 5, 6, 7], [0, 2, 4, 6, 1, 3, 5, 7]])
def test_files_that_list_the_atoms_in_another_order_hold_the_same_state(order):
    listed = Structure.from_sites([NIO[i] for i in order])
    again = make_result(listed, -40.4, moments=[AFM[i] for i in order], ours=False)
    results = [make_result(NIO, -40.0, moments=FM, ours=False), make_result(NIO, -40.4, moments=AFM, ours=False)]
    rows = table([*results, again], names=["a", "b", "c"])
    assert rows["b"].state == rows["c"].state
    assert rows["c"].same_as == "b" or rows["b"].same_as == "c"
    assert rows["a"].same_as == ""


def test_atoms_that_relaxed_keep_their_order():
    moved = NIO.copy()
    moved.perturb(0.3)
    rows = table(
        [
            make_result(NIO, -40.0, moments=AFM, ours=False),
            make_result(moved, -40.0, moments=AFM, ours=False),
        ],
        names=["a", "b"],
    )
    assert rows["b"].same_as == "a"


def test_a_figure_leaves_out_what_has_nothing_to_be_ranked_against():
    pair = [configuration("FM", -40.0, FM), configuration("AFM-A", -40.4, AFM)]
    alone = configuration("FM", -1.0, FM, name="other")
    energies = ConfigurationEnergies.from_results([*pair, alone])
    assert len(energies.rows) == 3
    assert energies.names == ["AFM-A", "FM"]
    assert energies.values == pytest.approx([-100.0, 0.0])
    assert len(ConfigurationEnergies.from_results([alone]).names) == 1
