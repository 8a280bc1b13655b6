"""Each kind of driver through the queue with real programs, keeping no densities but those that it needs."""

from __future__ import annotations

import json
import shutil

import pytest

from heterodft.workflows.calculation import read_request
from heterodft.workflows.handover import has_density

CAMPAIGN = """\
name: q
code: espresso
materials:
  SrTiO3: {prototype: perovskite, a: 3.905}
structures:
  bulk: {stack: [{material: SrTiO3, layers: 1}]}
magnetism: {orders: [NM]}
method: {protocol: fast, cutoff: 20 Ry, kspacing: 1.7, shift_mesh: false}
steps: [static]
converge:
"""

pytestmark = [pytest.mark.espresso, pytest.mark.slow]


@pytest.fixture
def converge(heterodft, pw):
    """Drive a question of SrTiO3 to its end; return what was found, and the calculations by their paths."""

    def run(kind, section, campaign=CAMPAIGN):
        (heterodft.folder / "heterodft.yaml").write_text("disk: {keep: results, free: 0}\n")
        (heterodft.folder / "q.yaml").write_text(f"{campaign}  {kind}: {section}\n")
        heterodft("converge", "q.yaml", "--run", "--quiet", code=None)
        told = json.loads(heterodft("converge", "q.yaml", "--json", code=None).stdout)[kind]
        status = json.loads(heterodft("status", "--json").stdout)
        failed = [(c["path"], c["reason"]) for c in status["calculations"] if c["state"] != "done"]
        assert told["ended"], (told, failed)
        assert not failed
        assert status["drivers"][0]["ended"]
        folders = [path.parent for path in (heterodft.folder / "runs" / f"q.{kind}").glob("*/*/*/*/request.json")]
        assert not any(map(has_density, folders)), "nothing is left to start from them"
        return told, {folder: read_request(folder) for folder in folders}

    return run


def test_shifts_start_from_the_density_of_a_calculation_in_another_folder(converge):
    _, found = converge("linear_response", "{elements: [Ti], method: shifts, shifts: [-0.1, 0.1]}")
    shifted = [request for request in found.values() if request.shift is not None]
    assert len(shifted) >= 2
    assert all(request.about["parent_folder"].count("/") > 1 for request in shifted)


def test_hp_responds_over_two_meshes(converge):
    if shutil.which("hp.x") is None:
        pytest.skip("hp.x is not installed")
    _, found = converge("linear_response", "{elements: [Ti], qmeshes: [[1, 1, 1], [1, 1, 2]], tolerance: 5 eV}")
    assert [request.step for request in found.values()].count("response") == 2


def test_ramps_of_u_go_up_and_down(converge):
    _, found = converge("hubbard", "{Ti-3d: [0, 2, 4], branches: [up, down]}")
    ramped = [request for request in found.values() if request.parent is not None]
    assert len(ramped) == 4
    for folder, request in found.items():
        if request.parent is not None:
            assert "startingpot      = 'file'" in (folder / "pw.in").read_text()


def test_starts_that_end_alike_are_told_so(converge):
    magnetic = CAMPAIGN.replace("[NM]", "[FM], moments: {Ti: 1.0}")
    told, found = converge("starts", "{moments: [0.5, 1], patience: 2}", magnetic)
    assert len(found) >= 2
    assert told["recommended"] is not None or told["converged"] is None


def test_a_cutoff_that_the_campaign_has_is_not_computed_again(converge, heterodft):
    section = "{values: [15 Ry, 20 Ry, 25 Ry], quantities: {energy: 20 eV/atom}}"
    (heterodft.folder / "q.yaml").write_text(f"{CAMPAIGN}  cutoff: {section}\n")
    said = heterodft("submit", "q.yaml")
    heterodft("run", "--quiet")
    told, _ = converge("cutoff", section)
    assert told["converged"]
    again = heterodft("submit", "q.yaml")
    assert "no longer" not in said.stdout + said.stderr + again.stdout + again.stderr
    assert "left" not in again.stdout + again.stderr
    assert sum("static/pw.out" in str(path) for path in heterodft.folder.glob("runs/*/*/*/*/static/pw.out")) >= 2
