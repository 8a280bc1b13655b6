from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from made_results import made_result

from heterodft.analysis.report.caveats import find_caveats
from heterodft.analysis.report.drivers import UNSURE, DriverFindings
from heterodft.analysis.report.summary import counted
from heterodft.structures import build_material
from heterodft.templates.families import known_families, suggested_cutoffs
from heterodft.units import RYDBERG

CHROMIUM, OXYGEN = "933b", "2a54"
SUGGESTED = {CHROMIUM: 94 * RYDBERG, OXYGEN: 84 * RYDBERG}


def caveats_at(rydberg, suggested=SUGGESTED):
    run = made_result(build_material("Cr2O3").cell)
    body = {"settings": {"cutoff": rydberg * RYDBERG}, "pseudopotentials": {"O": OXYGEN, "Cr": CHROMIUM}}
    told = find_caveats(
        replace(run, request={"request": body}), {}, state="kept", steps=["relax"], suggested=suggested
    )
    return [one for one in told if "cutoff" in one]


@pytest.mark.parametrize(
    ("rydberg", "words"),
    [
        (
            25,
            "a cutoff of 25 Ry is not converged for these elements, "
            "and below the 94 Ry that the pseudopotential of Cr suggests",
        ),
        (
            60,
            "a cutoff of 60 Ry is below the 94 Ry that the pseudopotential of Cr suggests; "
            "what it changes: heterodft converge --what cutoff",
        ),
    ],
)
def test_a_cutoff_below_that_of_the_pseudopotentials_is_told(rydberg, words):
    assert caveats_at(rydberg) == [words]


def test_a_cutoff_as_suggested_or_of_unknown_pseudopotentials_needs_no_word():
    assert caveats_at(94) == []
    assert caveats_at(60, {}) == []
    assert caveats_at(25, None) == ["a cutoff of 25 Ry is not converged for these elements"]


def test_suggested_cutoffs_are_those_of_the_indexes():
    family = known_families()["pseudodojo-0.4-pbe-sr-standard"]
    chromium = family.files["Cr"]
    assert suggested_cutoffs()[chromium["sha256"]] == pytest.approx(chromium["cutoff"] * 13.605693, rel=1e-6)


def findings(state, *words):
    return DriverFindings("crn.cutoff", "cutoff", "cutoff of crn", state, words, {})


def test_a_convergence_that_was_not_reached_stands_before_the_numbers_that_rest_on_it():
    done = SimpleNamespace(static=object(), caveats=["the density rests on one k-point"], path="crn/a/FM/noU")
    waiting = SimpleNamespace(static=None, caveats=[], path="crn/b/FM/noU")
    unsure, sure = findings(UNSURE, "not converged at the end of the range, 60 Ry"), findings("finished", "60 Ry")
    assert counted([done, waiting], [unsure, sure]) == [
        "the density rests on one k-point",
        "what heterodft converge found of cutoff is not sure: not converged at the end of the range, 60 Ry",
    ]
    assert counted([waiting], [unsure]) == []
