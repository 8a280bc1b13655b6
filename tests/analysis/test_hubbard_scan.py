from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from finished import make_result
from pymatgen.core import Lattice, Structure
from test_figures import outside, overlaps

from heterodft.analysis import HubbardScan
from heterodft.analysis.energies.followed_states import follow_states
from heterodft.analysis.energies.states import find_states
from heterodft.analysis.result import Bands, HubbardOccupations

CELL = Structure(Lattice.tetragonal(4.2, 8.4), ["Ni", "O", "Ni", "O"], np.eye(4)[:, :3] / 2)
SIGNS = {"FM": np.array([1, 0, 1, 0]), "AFM-A": np.array([1, 0, -1, 0])}


def bands(gap):
    levels = np.array([[[-1.0, gap - 1.0 + 1e-9], [-1.2, gap - 0.8]]] * 2)
    return Bands(levels, np.array([[[1.0, 0.0]] * 2] * 2), np.array([[0, 0, 0], [0.5, 0, 0]]), np.array([0.5, 0.5]))


def run(u, branch, size, energy, *, order="FM", strain=0.0, **changes):
    cell = CELL.copy()
    cell.apply_strain(strain)
    given = {
        "asked": list(1.0 * SIGNS[order]), "about": {"name": "nio", "order": order, "variant": branch},
        "hubbard": [["Ni", "3d", u]], "moments": list(size * SIGNS[order]), "bands": bands(u / 4), "electrons": 2.0,
        "state": "kept",
    }  # fmt: skip
    result = make_result(cell, energy, **given | changes)
    result.request["request"]["structure"]["lattice"] = CELL.lattice.matrix.tolist()
    return result


def high(u):
    return 1.6 + 0.05 * u


def low(u):
    return 0.5 + 0.1 * u


def bistable(order="FM", above=0.0, strain=0.0):
    """Low spin lies lower below 2.5 eV, high spin above; the way up stays low, the way down stays high."""
    found = [run(0, "cold", low(0), -10.0 + above, order=order), run(4, "cold", high(4), -8.0 + above, order=order)]
    for u in (1, 2, 3, 4):
        found.append(run(u, "up", low(u), -10 + 0.8 * u + above, order=order, strain=strain * u))
    for u in (3, 2, 1):
        found.append(run(u, "down", high(u), -8.0 + above, order=order, strain=2 * strain * u))
    return [*found, run(0, "down", low(0), -10.0 + above, order=order)]


def states_of(scan):
    return {(row.branch, row.u): row.state for row in scan.rows}


def test_a_state_keeps_its_name_where_the_energies_cross():
    scan = HubbardScan.from_results(bistable())
    found = states_of(scan)
    assert [found["up", u] for u in range(5)] == ["FM"] * 5
    assert [found["down", u] for u in range(5)] == ["FM", *["FM (2)"] * 4]
    assert [(one.from_u, one.to_u) for one in scan.transitions if one.branch == "lowest"] == [(2, 3)]


def test_a_ramp_begins_with_the_start_from_the_atoms_which_is_counted_once():
    scan = HubbardScan.from_results(bistable())
    assert [(row.branch, row.u) for row in scan.rows if row.shared] == [("down", 4), ("up", 0)]
    assert {one.branch: one.calculations for one in scan.costs} == {"cold": 2, "down": 4, "up": 4}


def test_hysteresis_has_both_directions_and_no_energy_between_different_u():
    scan = HubbardScan.from_results(bistable())
    found = {one.u: (one.branch, one.difference) for one in scan.hysteresis}
    assert set(found) == {1, 2, 3, 4}
    assert found[1] == ("down", pytest.approx(1000 * 1.2 / 2))
    assert found[4] == ("up", pytest.approx(1000 * 1.2 / 2))
    assert max(abs(row.relative) for row in scan.rows if row.relative is not None) <= 600.001


def test_two_branches_in_one_state_may_differ_by_the_tolerance_only():
    two = [run(1, "cold", 1.0, -10.0), run(1, "up", 1.0, -9.99), run(2, "up", 1.1, -9.0)]
    assert HubbardScan.from_results(two, tolerance=0.01).hysteresis == ()
    told = HubbardScan.from_results(two, tolerance=0.001).hysteresis
    assert [(one.branch, one.same_state, one.difference) for one in told] == [("up", True, pytest.approx(5.0))]


def test_energies_that_may_not_be_subtracted_say_why():
    two = [run(1, "cold", 1.0, -10.0), run(1, "up", 1.8, -9.0, cutoff=600.0), run(2, "up", 1.1, -9.0)]
    (told,) = HubbardScan.from_results(two).hysteresis
    assert told.difference is None
    assert "cutoff 520 eV against 600 eV" in told.reason or "cutoff 600 eV against 520 eV" in told.reason


def test_order_energies_are_of_the_lowest_states_reached():
    scan = HubbardScan.from_results([*bistable(), *bistable("AFM-A", above=-0.1)])
    assert [(one.u, one.order, one.value) for one in scan.order_energies] == [
        (u, "AFM-A", pytest.approx(-50.0)) for u in range(5)
    ]


def test_an_order_that_fell_into_another_is_counted_as_what_it_reached():
    fallen = run(2, "cold", 1.0, -9.0, order="AFM-A", moments=[1.0, 0, 1.0, 0], state="flipped")
    scan = HubbardScan.from_results([run(2, "cold", 1.0, -9.0), fallen, run(3, "cold", 1.1, -8.0)])
    assert scan.order_energies == ()
    assert {row.state for row in scan.rows} == {"FM"}
    assert "reached FM, not AFM-A" in scan.to_frame()["notes"].to_list()


def test_what_lies_alone_at_its_u_is_the_lowest_known_unless_it_is_no_good():
    scan = HubbardScan.from_results([run(0, "cold", 1.0, -9.0), run(1, "cold", 1.0, -9.0, converged=False)])
    assert [row.lowest for row in scan.rows] == [True, False]


def test_the_u_of_a_layer_is_followed_beside_that_of_the_rest():
    runs = [
        run(0, "cold", 1.0, -9.0, hubbard=[["Ni", "3d", 1.0, {"layers": [["NiO:1", u]]}]], strain=0) for u in (0, 2.5)
    ]
    scan = HubbardScan.from_results(runs)
    assert (scan.axis, [row.u for row in scan.rows]) == ("U of Ni (NiO:1)", [0.0, 2.5])


def test_iterations_are_compared_with_starts_in_the_same_state_only():
    runs = [run(u, "cold", high(u), -9.0) for u in (1, 2)] + [run(1, "up", high(1), -9.0), run(2, "up", low(2), -8.0)]
    scan = HubbardScan.from_results(runs, costs=[(20, 40.0), (20, 40.0), (13, 26.0), (13, 26.0)])
    up = next(one for one in scan.costs if one.branch == "up")
    assert (up.compared, up.own_iterations, up.cold_iterations, up.saved) == (1, 13, 20, pytest.approx(0.35))
    assert up.text == (
        "up: 2 points, 26 SCF iterations, 52 s of CPU time; 13 iterations against 20 where a cold start ended in the "
        "same state (1 point): -35 %"
    )


def test_relaxed_points_are_compared_by_cpu_time():
    runs = [run(1, "cold", high(1), -9.0), run(1, "up", high(1), -9.0), run(2, "up", high(2), -9.0)]
    scan = HubbardScan.from_results(runs, costs=[(None, 40.0), (None, 30.0), (None, 30.0)])
    up = next(one for one in scan.costs if one.branch == "up")
    assert (up.iterations, up.saved, up.saved_cpu) == (None, None, pytest.approx(0.25))
    assert up.text.endswith("30 s against 40 s where a cold start ended in the same state (1 point): -25 %")


def occupied(result, orbital):
    up = np.diag([1.0 if i == orbital else 0.2 for i in range(5)])
    return replace(result, occupations=(HubbardOccupations(0, "3d", np.array([up, 0.1 * np.eye(5)])),))


def test_another_orbital_order_is_another_state_though_moments_agree():
    one, other = occupied(run(1, "up", 1.0, -9.0), 0), occupied(run(2, "up", 1.05, -8.9), 0)
    turned = occupied(run(2, "up", 1.05, -8.9), 3)
    for last, names in ((other, ["FM", "FM"]), (turned, ["FM", "FM (2)"])):
        results = [one, last]
        states = [find_states([result])[0] for result in results]
        assert follow_states(results, states, [1.0, 2.0]) == names


def test_spins_turned_over_are_the_same_state():
    runs = [run(1, "up", 1.0, -9.0, order="AFM-A"), run(2, "up", -1.05, -8.9, order="AFM-A")]
    assert {row.state for row in HubbardScan.from_results(runs).rows} == {"AFM-A"}


def test_numbers_are_plain_data_and_tables_carry_units():
    scan = HubbardScan.from_results([*bistable(strain=0.002), *bistable("AFM-A", above=-0.1)])
    data = json.loads(json.dumps(scan.to_dict(), allow_nan=False))
    assert len(data["rows"]) == len(scan.rows)
    frame = scan.to_frame()
    assert {"U of Ni (eV)", "volume per formula unit (Å³)", "a (Å)", "gap (eV)", "CPU time (s)"} < set(frame)
    assert "energy above the lowest branch (meV per formula unit)" in scan.hysteresis_frame()
    assert list(scan.transitions_frame()["branch"]).count("down") == 2
    assert HubbardScan.from_results([]).transitions_frame().empty


@pytest.mark.parametrize("strain", [0.0, 0.002])
def test_the_figure_shows_each_branch_once_and_no_text_on_text(strain):
    scan = HubbardScan.from_results([*bistable(strain=strain), *bistable("AFM-A", above=-0.1)])
    figure = scan.plot()
    labels = [axis.get_ylabel().replace("\n", " ") for axis in figure.axes]
    always = {"moment (μB)", "gap (eV)", "above the lowest (meV/f.u.)", "AFM-A − FM (meV/f.u.)"}
    assert set(labels) == always | ({"volume (Å³/f.u.)", "a (Å)", "c (Å)"} if strain else set())
    marks = [line for line in figure.axes[0].lines if line.get_linestyle() == "None"]
    assert len(marks) == sum(not row.shared for row in scan.rows)
    assert not overlaps(figure)
    assert not outside(figure)


def test_a_run_that_may_not_be_compared_is_not_the_lowest():
    lost = run(2, "up", low(2), -500.0, converged=False)  # far below, and no energy at all
    other = run(2, "cold", low(2), -9.0, order="AFM-A")
    scan = HubbardScan.from_results([lost, run(2, "down", low(2), -8.5), run(2, "cold", low(2), -8.6), other])
    (apart, unknown) = sorted(scan.hysteresis, key=lambda one: one.difference is None)
    assert (apart.lowest, apart.branch, apart.difference) == ("cold", "down", pytest.approx(1000 * 0.1 / 2))
    assert (unknown.lowest, unknown.branch, unknown.difference) == ("cold", "up", None)
    (energy,) = scan.order_energies
    assert (energy.order, energy.reference) == ("AFM-A", "FM")
    assert energy.value == pytest.approx(1000 * (-9.0 + 8.6) / 2)
    assert [row.branch for row in scan.rows if row.lowest] == ["cold"]


def test_a_ramp_whose_second_point_failed_still_begins_at_its_end():
    found = [run(u, "cold", low(u), -10.0 + u) for u in (0, 1, 2)] + [run(2, "up", low(2), -8.0)]
    first = next(row for row in HubbardScan.from_results(found).rows if row.shared and row.branch == "up")
    assert first.u == 0


def test_hysteresis_between_different_cells_says_so():
    scan = HubbardScan.from_results(
        [run(2, "up", low(2), -8.0, strain=0.01), run(2, "down", low(2), -8.1), run(2, "cold", low(2), -8.1)]
    )
    (one,) = scan.hysteresis
    assert one.swelling == pytest.approx(100 * (1.01**3 - 1))
    assert any("its cell is 3.0 % larger, which is part of that" in line for line in scan.notes)
    assert not any("its cell" in line for line in HubbardScan.from_results(bistable()).notes)
