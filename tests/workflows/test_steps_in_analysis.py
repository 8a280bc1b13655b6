"""Every step that a chain may have is known where folders are read, and none is taken for what it is not."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from test_shifts_driver import CAMPAIGN, answers, build

from heterodft.analysis.comparison import compare_results
from heterodft.analysis.energies.comparability import differences
from heterodft.analysis.overview import FolderOverview
from heterodft.analysis.report.collect import collect
from heterodft.analysis.result import Result
from heterodft.analysis.step_folders import find_steps
from heterodft.templates.shifts import PotentialShift
from heterodft.templates.steps import STEPS
from heterodft.workflows.calculation import write_request
from heterodft.workflows.campaign_file import load_campaign

TITANIUM = 2


@pytest.fixture
def configuration(tmp_path):
    """Return the folder of a configuration with every step there is."""
    path = tmp_path / "c.yaml"
    path.write_text(CAMPAIGN)
    static = build(load_campaign(path)).points[0].chains[0][-1]
    for step in STEPS:
        shift = PotentialShift(TITANIUM, 0.05) if step.startswith("shift") else None
        request = replace(static, step=step, shift=shift)
        folder = tmp_path / "runs" / request.path
        write_request(request, folder)
        replace(answers(request), request=json.loads(request.to_text())).save(folder)
    return (tmp_path / "runs" / static.path).parent


def test_a_report_knows_every_step(configuration):
    (report,) = collect(configuration.parents[2])
    assert [(step.step, step.state) for step in report.steps] == [(step, "done") for step in STEPS]
    assert report.static.step == "static"


def test_every_step_is_found_and_the_static_one_speaks(configuration):
    steps = list(find_steps(configuration))
    assert set(steps) == set(STEPS)
    assert steps[0] == "static"
    assert steps.index("response") < steps.index("shift") < steps.index("shift-bare")


def test_the_energy_of_a_shifted_potential_is_none_of_the_cell(configuration):
    static, shift = (Result.load(configuration / step) for step in ("static", "shift"))
    assert differences(static, shift) == ["B has a site with a shifted potential"]
    assert "energies" not in compare_results({"static": static, "shift": shift})
    assert FolderOverview.read(configuration / "shift").notes[-1] == (
        "the potential of Ti3 is shifted by +0.05 eV: its energy and gap are not those of the cell"
    )
    assert not any("shifted" in note for note in FolderOverview.read(configuration).notes)
