from __future__ import annotations

import json

import numpy as np
import pytest
from finished import make_result
from pymatgen.core import Lattice, Structure

from heterodft.analysis import AgainstHubbard
from heterodft.analysis.comparison import compare_results
from heterodft.analysis.result import Bands

CELL = Structure(Lattice.tetragonal(4.2, 8.4), ["Ni", "O", "Ni", "O"], np.eye(4)[:, :3] / 2)


def bands(gap):
    levels = np.array([[[-1.0, gap - 1.0 + 1e-9], [-1.2, gap - 0.8]]] * 2)
    return Bands(levels, np.array([[[1.0, 0.0]] * 2] * 2), np.array([[0, 0, 0], [0.5, 0, 0]]), np.array([0.5, 0.5]))


def run(u, order, moments, *, energy=-10.0, gap=2.0, **changes):
    signs = {"FM": (1, 0, 1, 0), "AFM-A": (1, 0, -1, 0)}[order]
    given = {
        "asked": [2.0 * sign for sign in signs], "about": {"name": "nio", "order": order, "hubbard": f"U{u:g}"},
        "hubbard": [["Ni", "3d", u]], "moments": moments, "bands": bands(gap), "electrons": 2.0,
    }  # fmt: skip
    return make_result(CELL, energy, **given | changes)


SCAN = [
    run(4.0, "FM", [1.6, 0.1, 1.8, 0.1], energy=-9.0, gap=1.0),
    run(0.0, "FM", [1.0, 0.1, 1.2, 0.1], energy=-10.0, gap=0.0),
    run(0.0, "AFM-A", [1.1, 0.0, -1.1, 0.0], energy=-10.5, gap=0.5),
    run(4.0, "AFM-A", [1.7, 0.1, 1.7, 0.1], energy=-8.8, gap=1.5, state="flipped"),
]


def test_a_scan_is_sorted_by_order_and_u_with_the_mean_moment_of_the_magnetic_ions():
    found = AgainstHubbard.from_results(SCAN)
    assert found.scanned == ("Ni",)
    assert found.labels == ["AFM-A", "AFM-A", "FM", "FM"]
    assert found.u == [0.0, 4.0, 0.0, 4.0]
    assert found.moments == pytest.approx([1.1, 1.7, 1.1, 1.7])
    assert found.points[0].by_element == {"Ni": pytest.approx(1.1)}
    assert {point.moment_kind for point in found.points} == {"sphere"}


def test_gaps_are_those_of_the_bands_and_a_metal_says_so():
    found = AgainstHubbard.from_results(SCAN)
    assert found.gaps == pytest.approx([0.5, 1.5, 0.0, 1.0], abs=1e-6)
    assert found.metals == [False, False, True, False]


def test_energies_are_relative_only_within_one_u():
    found = AgainstHubbard.from_results(SCAN)
    assert [point.relative for point in found.points] == pytest.approx([0.0, 0.2, 0.5, 0.0])
    alone = AgainstHubbard.from_results(SCAN[:2])
    assert [point.relative for point in alone.points] == [None, None]


def test_a_state_that_is_not_the_one_asked_for_is_told():
    notes = {(p.order, p.u["Ni"]): p.notes for p in AgainstHubbard.from_results([*SCAN]).points if p.u}
    assert notes["AFM-A", 4.0] == ("reached FM, not AFM-A",)
    assert notes["FM", 4.0] == ()


def test_moments_that_collapse_are_counted_as_what_is_left_of_them():
    found = AgainstHubbard.from_results([SCAN[0], run(0.0, "FM", [0.01, 0.0, 0.03, 0.0])])
    assert found.points[0].state == "NM"
    assert found.moments == pytest.approx([0.02, 1.7])
    assert found.points[0].notes == ("reached NM, not FM",)


def test_u_of_folders_of_others_is_what_their_outputs_say():
    others = [
        make_result(CELL, -1.0, ours=False, moments=[1.0, 0, 1.0, 0], method={"hubbard": {"Ni1": u, "Ni2": u}})
        for u in (2.0, 5.0)
    ]
    found = AgainstHubbard.from_results(others, names=["a", "b"])
    assert (found.u, found.scanned) == ([2.0, 5.0], ("Ni",))
    assert {point.structure for point in found.points} == {"NiO"}


def test_one_u_is_no_scan_and_two_are_compared():
    assert not AgainstHubbard.from_results(SCAN[:1]).scans
    one_u = {"FM": SCAN[1], "AFM-A": SCAN[2]}
    assert "against_u" not in compare_results(one_u)
    assert compare_results({"FM": SCAN[1], "FM at 4": SCAN[0]})["against_u"].scanned == ("Ni",)


def test_tables_and_figures_carry_units():
    found = AgainstHubbard.from_results(SCAN)
    frame = found.to_frame()
    assert {"U(Ni) (eV)", "moment per magnetic ion (μB)", "gap (eV)", "energy from the lowest at this U (eV)"} < set(
        frame
    )
    data = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert [row["u"].get("Ni", 0.0) for row in data["rows"]] == [0.0, 4.0, 0.0, 4.0]
    above, below = found.plot().axes
    assert above.lines[0].get_xdata().tolist() == [0.0, 4.0]
    assert below.get_xlabel() == "U of Ni (eV); open: metal"
