"""What drivers found is shown by ``heterodft report``, rebuilt from their folders."""

from __future__ import annotations

import csv
import json
import sys
from math import exp
from pathlib import Path

import pytest
from lxml import html

from heterodft.units import RYDBERG
from heterodft.workflows.calculation import write_request
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.drivers import build_driver
from heterodft.workflows.drivers.driver import write_driver

sys.path.append(str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[1] / "analysis"))
from drive_here import drive_made_up
from made_results import made_result

CRN = """\
name: crn
code: espresso
materials:
  CrN: {prototype: rocksalt, a: 4.15}
structures:
  bulk: {stack: [{material: CrN, layers: 2}]}
magnetism: {orders: [FM], moments: {Cr: 3.0}}
hubbard: {Cr-3d: 3.0}
method: {protocol: fast, cutoff: 60 Ry, kpoints: [4, 4, 3]}
steps: [static]
converge:
  cutoff: {start: 30 Ry, stop: 120 Ry, step: 10 Ry, quantities: {energy: 1 meV/atom}}
"""


def made_up(request):
    energy = 20.0 * exp(-0.12 * request.settings.cutoff / RYDBERG) - 900.0
    return made_result(request.to_structure(), moments=request.moments, energy=energy, cpu_seconds=2.0)


@pytest.fixture
def campaign(heterodft_inside):
    """A campaign of which only the driver was run."""
    folder = heterodft_inside.folder
    (folder / "crn.yaml").write_text(CRN)
    driver = build_driver(load_campaign(folder / "crn.yaml"), "cutoff")
    finished, decisions = drive_made_up(driver, made_up)
    write_driver(driver, folder / "runs")
    for request in (r for decision in decisions for chain in decision.chains for r in chain):
        write_request(request, folder / "runs" / request.path)
        finished.result(request).save(folder / "runs" / request.path)
    return heterodft_inside


def test_the_answer_of_a_driver_is_on_the_page_with_its_figure_and_tables(campaign):
    done = campaign("report", "crn.yaml", "-o", "report")
    assert "70 Ry is enough; write method: {cutoff: 70 Ry}" in done.stdout
    assert "Not submitted:\n  - crn/bulk/FM/Cr-3d-3eV" in done.stdout
    out = campaign.folder / "report"
    page = html.fromstring((out / "report.html").read_text())
    card = page.get_element_by_id("driver-cutoff")
    assert len(card.xpath(".//*[local-name()='svg']")) == 1
    assert "70 Ry is enough" in page.get_element_by_id("about").getnext().text_content()
    with (out / "cutoff" / "convergence.csv").open(newline="") as stream:
        assert len(list(csv.DictReader(stream))) == 6  # 30 to 80 Ry
    assert (out / "cutoff" / "convergence.pdf").is_file()
    assert "Convergence with the k-mesh was not tested" in page.text_content()
    with (out / "calculations.csv").open(newline="") as stream:
        assert len(list(csv.DictReader(stream))) == 6


def test_json_has_the_answer_too(campaign):
    data = json.loads(campaign("report", "crn.yaml", "--json").stdout)
    assert data["drivers"]["cutoff"]["state"] == "finished"
    assert data["missing"] == ["crn/bulk/FM/Cr-3d-3eV"]


def test_a_driver_that_was_altered_is_left_out_and_said(campaign):
    path = campaign.folder / "runs" / "crn.cutoff" / "driver.json"
    path.write_text(path.read_text().replace('"kind": "cutoff"', '"kind": "vacuum"'))
    done = campaign("report", "crn.yaml", code=1)
    assert "note: left out of the report: " in done.stderr
    assert "was altered; give heterodft converge again" in done.stderr
