"""Smearing, layers, vacuum and several relaxed starts with the real pw.x, each to its end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drive_here import drive_here

from heterodft.analysis.result import Result
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.drivers import build_driver, strategy_of
from heterodft.workflows.drivers.driver import Finished
from heterodft.workflows.settings_file import load_settings

pytestmark = [pytest.mark.espresso, pytest.mark.slow]

METAL = """\
name: metal
code: espresso
materials: {CrN: {prototype: rocksalt, a: 4.14}}
structures: {bulk: {stack: [{material: CrN, layers: 1}]}}
magnetism: {orders: [NM, FM], moments: {Cr: 3.0}}
method: {protocol: fast, cutoff: 20 Ry, kspacing: 1.8, smearing: gaussian}
steps: [static]
converge:
  smearing: {values: [0.5 eV, 0.3 eV, 0.1 eV], quantities: {order_energy: 0.2 eV/f.u., moment: 0.3}}
"""
THIN = """\
name: thin
code: espresso
materials:
  MgO: {prototype: rocksalt, a: 4.21}
  CaO: {prototype: rocksalt, a: 4.81}
structures:
  sl: {stack: [{material: MgO, layers: 1}, {material: CaO, layers: 1}], in_plane: 4.4}
magnetism: {orders: [NM]}
method: {protocol: fast, cutoff: 20 Ry, kspacing: 1.8}
steps: [static]
converge:
  layers: {material: MgO, values: [1, 2, 3], quantities: {energy: 1 meV/atom}}
"""
SLAB = THIN.replace("in_plane: 4.4}", "in_plane: 4.4, vacuum: 8}").replace(
    "layers: {material: MgO, values: [1, 2, 3], quantities: {energy: 1 meV/atom}}",
    "vacuum: {values: [5, 8], quantities: {energy: 30 meV/atom, forces: 0.2}}",
)
VACANCY = """\
name: sto
code: espresso
materials: {SrTiO3: {prototype: perovskite, a: 3.905}}
structures: {sl: {stack: [{material: SrTiO3, layers: 2}], defects: [{kind: V_O, where: all}]}}
magnetism: {orders: [FM], moments: {Ti: 1.0}}
method: {protocol: fast, cutoff: 15 Ry, kspacing: 1.7, cell: fixed, force_tolerance: 5 eV/Å, scf_tolerance: 1e-4 eV}
hubbard: {Ti-3d: 4.0}
steps: [relax]
converge:
  starts: {structures: [sl-V_O_1], random: {number: 1}, distortions: [-0.1], rattle: 0.05 Å, limit: 3, patience: 3}
"""


@pytest.fixture
def driven(pw, tmp_path):
    """A function: a driver at its end, what is finished of it, and its summary."""

    def drive(text):
        (tmp_path / "c.yaml").write_text(text)
        campaign = load_campaign(tmp_path / "c.yaml")
        driver = build_driver(campaign, campaign.converge.asked[0])
        settings = replace(load_settings(), cores=1, runs=tmp_path / "runs", keep_free=0.0)
        assert drive_here(driver, settings)[-1].ended
        finished = Finished(settings.runs)
        return driver, finished, strategy_of(driver).summarize(driver, finished, figures=True)

    return drive


def energies(finished, driver):
    """Energies from the folders themselves, one a point, of the first configuration."""
    folders = [finished.runs / point.chains[0][-1].path for point in driver.points]
    return np.array([Result.load(folder).energy for folder in folders])


def test_a_metal_is_converged_by_its_width_at_its_mesh(driven):
    driver, finished, summary = driven(METAL)
    assert not finished.failures
    first, *_ = summary.data["convergence"]["quantities"]
    folders = [finished.runs / chain[-1].path for point in driver.points for chain in point.chains]
    told = {
        (r.request["about"]["variant"], r.request["about"]["order"]): r.energy for r in map(Result.load, folders[:4])
    }
    nm, fm = (told[f"width{0.5:g}eV", order] for order in ("NM", "FM"))
    assert first["values"][0] == pytest.approx(nm - fm, abs=1e-6)
    mesh = "x".join(map(str, driver.points[0].chains[0][0].settings.kpoints))
    assert f"this holds for the mesh {mesh} alone" in "\n".join(summary.words)
    assert "converge kspacing at the smallest width in use" in "\n".join(summary.words)


def test_layers_are_compared_by_the_energy_of_those_that_were_added(driven):
    driver, finished, summary = driven(THIN)
    (found,) = summary.data["convergence"]["quantities"]
    total = energies(finished, driver)
    assert found["values"] == [
        None,
        *pytest.approx((np.diff(total) / 2).tolist(), abs=1e-9),
    ]  # MgO: two atoms a layer
    assert summary.data["ended"]
    assert summary.data["converged"] is False
    assert "energies are those of the added layers" in "\n".join(summary.words)


def test_a_slab_with_a_dipole_is_corrected_at_every_vacuum(driven):
    driver, finished, summary = driven(SLAB)
    assert len(driver.points) == 2
    for point in driver.points:
        (static,) = point.chains[0]
        text = (finished.runs / static.path / "pw.in").read_text()
        assert "dipfield" in text
        assert static.settings.kpoints[2] == 1
    energy, forces = summary.data["convergence"]["quantities"]
    total = energies(finished, driver)
    assert energy["changes"] == pytest.approx([(total[1] - total[0]) / 4], abs=1e-9)
    assert None not in forces["values"]
    assert set(summary.figures) == {"convergence"}


def test_relaxed_starts_are_counted_by_the_states_they_end_in(driven):
    driver, finished, summary = driven(VACANCY)
    assert not finished.failures
    names = [start["name"].partition(": ")[2] for start in driver.rule["starts"]]
    assert names == ["as the campaign starts", "random moments 1", "bonds -10%"]
    (found,) = summary.data["structures"].values()
    assert sum(state["count"] for state in found["states"]) == 3
    assert [state["relative"] for state in found["states"]] == sorted(state["relative"] for state in found["states"])
    lowest = min(start["energy"] for start in found["starts"])
    assert found["states"][0]["energy"] == pytest.approx(lowest)
    assert set(summary.figures) == {"starts-sl-V_O_1-Ti-3d-4eV"}
