"""Smearing, layers, vacuum and several relaxed starts with the real pw.x, each to its end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drive_here import drive_here

from heterodft.analysis.result import Result
from heterodft.workflows.calculation import write_request
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.chains import campaign_chains
from heterodft.workflows.drivers import build_driver, strategy_of
from heterodft.workflows.drivers.driver import Finished
from heterodft.workflows.runner import run_calculation
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
method: {protocol: fast, cutoff: 15 Ry, kspacing: 1.7, cell: fixed, force_tolerance: 5 eV/Å,
         scf_tolerance: 1e-4 eV, espresso: {etot_conv_thr: 1.0}}
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


def _anyhow(finished, request):
    """The result at a point, from scratch or from the density of the one before, as it was computed there."""
    return Result.load(finished.runs / request.path)


def energies(finished, driver):
    """Energies from the folders themselves, one a point, of the first configuration."""
    folders = [finished.runs / point.chains[0][-1].path for point in driver.points]
    return np.array([Result.load(folder).energy for folder in folders])


def test_a_metal_is_converged_by_its_width_at_its_mesh(driven):
    driver, finished, summary = driven(METAL)
    difference, moment = summary.data["convergence"]["quantities"]
    assert (difference["configuration"], moment["configuration"]) == ("bulk NM - FM", "bulk FM")
    for point, told, size in zip(driver.points, difference["values"], moment["values"], strict=True):
        results = [_anyhow(finished, chain[-1]) for chain in point.chains]
        collapsed = abs(results[1].sites["sphere"].moments[0]) < 0.1  # a wide smearing takes the moment away
        assert (told is None) == (size is None) == collapsed
        assert collapsed or told == pytest.approx(results[0].energy - results[1].energy, abs=1e-6)
    assert [value is None for value in moment["values"]] == [True, False, False]
    mesh = "x".join(map(str, driver.points[0].chains[0][0].settings.kpoints))
    assert f"this holds for the mesh {mesh} alone" in "\n".join(summary.words)
    assert "converge kspacing at the smallest width in use" in "\n".join(summary.words)


def test_layers_are_compared_by_the_energy_of_those_that_were_added(driven, tmp_path):
    driver, finished, summary = driven(THIN)
    (found,) = summary.data["convergence"]["quantities"]
    added = (np.diff(energies(finished, driver)) / 2).tolist()  # two atoms a layer of MgO
    assert found["values"][0] is None
    assert found["values"][1:] == pytest.approx(added, abs=1e-9)
    assert (summary.data["ended"], summary.data["converged"]) == (True, False)
    assert "energies are those of the added layers" in "\n".join(summary.words)
    (bulk,) = campaign_chains(load_campaign(_bulk(tmp_path)))[0]
    write_request(bulk, finished.runs / bulk.path)
    run_calculation(finished.runs / bulk.path, bulk.id, replace(load_settings(), cores=1, keep_free=0.0))
    alone = Result.load(finished.runs / bulk.path).energy / len(bulk.structure["species"])
    assert added[-1] == pytest.approx(alone, abs=0.3)  # eV an atom, at 20 Ry; CaO is hundreds of eV away


def _bulk(folder):
    """The material of the layers alone, as strained as in the superlattice."""
    text = THIN.partition("converge:")[0].replace(", {material: CaO, layers: 1}", "").replace("sl:", "bulk:")
    (folder / "bulk.yaml").write_text(text)
    return folder / "bulk.yaml"


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
    assert names == ["as the campaign starts", "bonds -10%", "random moments 1"]
    (found,) = summary.data["structures"].values()
    assert sum(state["count"] for state in found["states"]) == 3
    assert [state["relative"] for state in found["states"]] == sorted(state["relative"] for state in found["states"])
    lowest = min(start["energy"] for start in found["starts"])
    assert found["states"][0]["energy"] == pytest.approx(lowest)
    assert set(summary.figures) == {"starts-sl-V_O_1-Ti-3d-4eV"}
