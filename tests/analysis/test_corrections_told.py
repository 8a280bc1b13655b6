from __future__ import annotations

import json
from dataclasses import replace

import pytest

from heterodft.analysis.corrections import correction_notes, describe_correction, incomparable_reason
from heterodft.analysis.result import Result
from heterodft.structures import build_material

SLOWER = {"errors": ["SCF not converged"], "changes": {"electrons->mixing_beta": [0.4, 0.32]}, "touches": []}
WIDER = {"errors": ["SCF not converged"], "changes": {"system->degauss": [0.01, 0.02]}, "touches": ["smearing"]}
SYMMETRY = {"errors": ["x"], "changes": {"system->nosym": [None, True]}, "touches": ["symmetry"]}


@pytest.fixture
def result():
    cell = build_material("SrTiO3").cell
    return Result(
        "espresso", "6.7", "static", cell, 32.0, -9.0, (0.0,), None, None, {}, True, 5, 0.0, 1.0, 1.0,
        request={"request": {}},
    )  # fmt: skip


def test_a_correction_is_told_with_values_and_reason():
    assert describe_correction(SLOWER) == "mixing_beta 0.4 → 0.32 (SCF not converged)"
    assert describe_correction(SYMMETRY) == "nosym its default → True (x)"
    assert describe_correction({"errors": ["interrupted"], "changes": {}}) == "started again (interrupted)"


@pytest.mark.parametrize(
    ("corrections", "reason"),
    [
        ([], None),
        ([SLOWER], None),
        ([SLOWER, WIDER], "smearing was widened"),
        ([WIDER, SYMMETRY], "smearing was widened and symmetry was changed"),
        ([{"changes": {"ISMEAR": [-5, 0], "SIGMA": [0.2, 0.05]}, "touches": ["smearing"]}], "smearing was changed"),
        ([{"changes": {"kpoints": [None, [[2, 2, 2]]]}, "touches": ["k-points"]}], "k-points were changed"),
    ],
)
def test_why_energies_may_not_be_compared_is_told(corrections, reason):
    assert incomparable_reason(corrections) == reason


def test_notes_of_a_step_name_every_correction_once():
    assert correction_notes("static", []) == []
    assert correction_notes("static", [SLOWER, SLOWER, WIDER]) == [
        "static corrected: mixing_beta 0.4 → 0.32 (SCF not converged); degauss 0.01 → 0.02 (SCF not converged)",
        "static not comparable: smearing was widened",
    ]


def test_corrections_are_kept_with_the_result_and_results_without_them_are_read(result, tmp_path):
    replace(result, corrections=[WIDER]).save(tmp_path)
    assert Result.load(tmp_path).corrections == [WIDER]
    path = tmp_path / "result.json"
    data = json.loads(path.read_text())
    del data["corrections"]
    path.write_text(json.dumps(data))
    assert Result.load(tmp_path).corrections == []
