"""A scan of U with a real pw.x: CrN from the atoms, upwards and downwards."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from drive_here import drive_here

from heterodft.analysis.hubbard_scan import HubbardScan
from heterodft.workflows.calculation import read_request, write_request
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.chains import campaign_chains
from heterodft.workflows.drivers import build_driver, strategy_of
from heterodft.workflows.drivers.driver import Finished
from heterodft.workflows.runner import run_calculation
from heterodft.workflows.settings_file import load_settings

CAMPAIGN = """\
name: crn
code: espresso
materials:
  CrN: {prototype: rocksalt, a: 4.15}
structures:
  bulk: {stack: [{material: CrN, layers: 1}]}
magnetism: {orders: [FM], moments: {Cr: 3.0}}
hubbard: {Cr-3d: 0}
method: {protocol: fast, cutoff: 30 Ry, kpoints: [2, 2, 2]}
steps: [static]
converge:
  hubbard: {Cr-3d: [0, 1, 2], branches: [cold, up, down]}
"""

pytestmark = [pytest.mark.espresso, pytest.mark.slow]


@pytest.fixture(scope="module")
def scan(pw, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scan")
    (folder / "c.yaml").write_text(CAMPAIGN)
    campaign = load_campaign(folder / "c.yaml")
    settings = replace(load_settings(), runs=folder / "runs", cores=1, keep_free=0.0)
    driver = build_driver(campaign, "hubbard")
    drive_here(driver, settings)
    without_u = campaign_chains(campaign)[0][0]
    write_request(without_u, settings.runs / without_u.path)
    reference = run_calculation(settings.runs / without_u.path, without_u.id, settings)
    summary = strategy_of(driver).summarize(driver, Finished(settings.runs), figures=True)
    return driver, summary, settings.runs, reference


@pytest.fixture(scope="module")
def rows(scan):
    return {(row["branch"], row["u_followed"]): row for row in scan[1].data["rows"]}


def test_every_branch_is_there(scan, rows):
    data = scan[1].data
    assert data["ended"]
    assert data["computed"] == data["planned"] == 7
    assert set(rows) == {(branch, u) for branch in ("cold", "up", "down") for u in (0.0, 1.0, 2.0)}


def test_a_ramped_point_has_the_energy_of_the_start_from_the_atoms_where_the_state_is_the_same(scan, rows):
    assert {row["state"] for row in rows.values()} == {"FM"}
    for (branch, u), row in rows.items():
        assert row["energy"] == pytest.approx(rows["cold", u]["energy"], abs=1e-5), (branch, u)
    assert scan[1].data["hysteresis"] == []


def test_tracked_occupations_at_zero_u_leave_the_energy_as_it_is_without_u(scan, rows):
    _, _, runs, reference = scan
    cold = runs / "crn.hubbard/bulk/FM/Cr-3d-0eV.cold/static"
    assert (cold / "pwscf.save/occup.txt").is_file() or list(cold.glob("*.save/occup.txt"))
    assert reference.request["id"] != read_request(cold).id
    assert rows["cold", 0.0]["energy"] == pytest.approx(reference.energy, abs=1e-5)


def test_a_ramp_takes_density_and_occupations_of_the_point_before(scan):
    folder = scan[2] / "crn.hubbard/bulk/FM/Cr-3d-1eV.up/static"
    assert re.search(r"startingpot\s*= 'file'", (folder / "pw.in").read_text())
    assert "The initial density is read from file" in (folder / "pw.out").read_text()


def test_the_folders_alone_tell_the_same(scan):
    _, summary, runs, _ = scan
    folders = [path.parent for path in sorted(runs.glob("crn.hubbard/*/*/*/static/result.json"))]
    found = HubbardScan.read(folders)
    assert len(found.rows) == len(summary.data["rows"])
    assert [(row.branch, row.u, row.state) for row in found.rows] == [
        (row["branch"], row["u_followed"], row["state"]) for row in summary.data["rows"]
    ]


def test_iterations_of_ramps_are_told_beside_those_from_the_atoms(scan):
    costs = {one["branch"]: one for one in scan[1].data["costs"]}
    assert (costs["up"]["compared"], costs["down"]["compared"]) == (2, 2)
    assert costs["up"]["own_iterations"] < costs["up"]["cold_iterations"]
