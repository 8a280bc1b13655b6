from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_results import made_result
from pymatgen.core import Lattice, Structure

from heterodft.analysis.plots import to_svg
from heterodft.analysis.starts import Starts
from heterodft.analysis.state_groups import same_structure
from heterodft.errors import ReaderError

SQUARE = Structure(Lattice.tetragonal(6.0, 5.0), ["Cr"] * 4, [[0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0.5, 0.5, 0]])
METHOD = {
    "xc": "PBE", "cutoff": 500.0, "density_cutoff": 2000.0, "kpoints": [2, 2, 2], "smearing": "gaussian",
    "smearing_width": 0.1, "hubbard": {}, "pseudopotentials": {"Cr": "a"}, "charge": 0,
}  # fmt: skip


def result(energy, moments=(3, 3, 3, 3), structure=SQUARE, **given):
    return made_result(structure, moments=moments, energy=energy, **{"method": METHOD} | given)


def test_each_state_says_how_often_it_was_reached_and_from_where():
    found = Starts.from_results(
        [result(-1.0), result(-1.2, (3, -3, -3, 3)), result(-1.0004), result(-1.2, (-3, 3, 3, -3))],
        names=["own", "b", "c", "d"],
    )
    assert [(state.count, state.starts, state.own) for state in found.states] == [
        (2, ("b", "d"), False),
        (2, ("own", "c"), True),
    ]
    assert found.reached == [2, 1, 2, 1]
    assert found.new == [True, True, False, False]
    assert found.energies == pytest.approx([200, 0, 199.6, 0])
    assert found.words == (
        "2 states found by 4 starts; the lowest, + - - +, was reached 2 times",
        "the campaign's own start did not reach the lowest state but FM, 199.6 meV higher",
    )


def test_states_that_symmetry_makes_equal_are_one():
    along_x, along_y = (3, -3, 3, -3), (3, 3, -3, -3)
    found = Starts.from_results([result(-1.0, along_x), result(-1.0, along_y)])
    assert [state.count for state in found.states] == [2]
    longer = SQUARE.copy()
    longer.lattice = Lattice.orthorhombic(6.0, 7.0, 5.0)
    both = [result(-1.0, moments, longer) for moments in (along_x, along_y)]
    assert [state.count for state in Starts.from_results(both).states] == [1, 1]


def test_energies_apart_are_two_states_of_the_same_moments():
    results = [result(-1.0), result(-1.02), result(-1.001)]
    assert [state.count for state in Starts.from_results(results).states] == [1, 2]
    assert [state.count for state in Starts.from_results(results, tolerance=0.05).states] == [3]


def test_structures_apart_are_two_states_and_a_drift_is_none():
    drifted, moved = SQUARE.copy(), SQUARE.copy()
    drifted.translate_sites(range(4), [0.3, 0.1, 0.2], to_unit_cell=True)
    moved.translate_sites([0], [0.05, 0, 0.1])
    assert same_structure(SQUARE, drifted)
    assert not same_structure(SQUARE, moved)
    found = Starts.from_results([result(-1.0), result(-1.0, structure=drifted), result(-1.0, structure=moved)])
    assert sorted(state.count for state in found.states) == [1, 2]
    assert found.states[1].notes == ("within 1 meV of state 1; perhaps the same by symmetry",)


def test_mirrored_distortions_are_one_structure():
    up, down = SQUARE.copy(), SQUARE.copy()
    up.translate_sites([0], [0, 0, 0.1])
    down.translate_sites([0], [0, 0, -0.1])
    assert same_structure(up, down)


def test_what_may_not_be_subtracted_and_what_failed_count_for_nothing():
    other = result(-9.0, method=METHOD | {"cutoff": 400.0})
    found = Starts.from_results(
        [result(-1.0), other, None, replace(result(-5.0), converged=False)], reasons=["", "", "no memory", ""]
    )
    assert [start.state for start in found.starts] == [1, None, None, None]
    assert "cutoff 500 eV against 400 eV" in found.starts[1].reason
    assert [start.reason for start in found.starts[2:]] == ["no memory", "did not converge"]
    assert found.states[0].energy == -1.0
    assert "the lowest state was reached only once: more starts may find lower ones" in found.words


def test_cells_of_other_composition_are_refused():
    other = Structure(SQUARE.lattice, ["Cr"], [[0, 0, 0]])
    with pytest.raises(ReaderError, match="starts of one cell are compared; one is Cr1, another Cr4"):
        Starts.from_results([result(-1.0), result(-1.0, (3,), other)])


def test_tables_and_figure_hold_every_start():
    found = Starts.from_results([result(-1.0), result(-1.2, (3, -3, -3, 3)), None], names=["own", "drawn", "lost"])
    assert list(found.starts_frame()["state"].astype(float))[:2] == [2.0, 1.0]
    assert list(found.to_frame()["reached"]) == [1, 1]
    assert [state["count"] for state in found.to_dict()["states"]] == [1, 1]
    svg = to_svg(found.plot())
    assert all(text in svg for text in ("own", "drawn", "lost", "no state", "meV"))
    assert np.isclose(found.states[1].relative, 0.2)


def test_nothing_finished_is_drawn_too():
    found = Starts.from_results([None], names=["own"])
    assert found.states == ()
    assert found.words == ("no start ended in a state", "own counts for nothing: it failed")
    to_svg(found.plot())
