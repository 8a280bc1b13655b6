from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from heterodft.analysis.convergence import Convergence
from heterodft.analysis.tolerances import Tolerance
from heterodft.errors import ReaderError
from heterodft.units import RYDBERG
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.drivers import build_driver, strategy_of
from heterodft.workflows.drivers.driver import Finished
from heterodft.workflows.settings_file import load_settings

sys.path.append(str(Path(__file__).parent))
from drive_here import drive_here

pytestmark = [pytest.mark.espresso, pytest.mark.slow]


@pytest.fixture(scope="module")
def driven(pw, tmp_path_factory, tiny_text):
    """SrTiO3 from 30 to 60 Ry, from a density as long as it helps and from scratch: two drivers at their end."""
    folder = tmp_path_factory.mktemp("driven")
    path = folder / "tiny.yaml"
    section = "start: 30 Ry, stop: 60 Ry, step: 10 Ry, orders: NM, quantities: {energy: 1.5 eV/atom}"
    path.write_text(tiny_text + f"converge:\n  cutoff: {{{section}}}\n")
    driver = build_driver(load_campaign(path), "cutoff")
    cold = replace(driver, rule=driver.rule | {"start_from": "scratch"})
    found = []
    for name, one in (("warm", driver), ("cold", cold)):
        settings = replace(load_settings(), cores=1, runs=folder / name, keep_free=0.0)
        decisions = drive_here(one, settings)
        found.append((one, Finished(settings.runs), decisions))
    return found


def _energies(driver, finished):
    return strategy_of(driver).summarize(driver, finished).data["convergence"]["quantities"][0]["values"]


def test_a_start_from_a_density_gives_the_energy_of_a_start_from_scratch(driven):
    (warm, done_warm, decisions), (cold, done_cold, _) = driven
    assert any(chain[0].parent is not None for decision in decisions for chain in decision.chains)
    one, other = _energies(warm, done_warm), _energies(cold, done_cold)
    assert len(one) > 2
    tolerance = warm.points[0].chains[0][0].settings.scf_tolerance  # eV an atom
    assert one == pytest.approx(other, abs=10 * tolerance)


def test_it_stops_before_the_end_of_the_range_where_the_next_point_would_have_agreed(driven):
    driver, finished, decisions = driven[0]
    summary = strategy_of(driver).summarize(driver, finished, figures=True)
    assert summary.data["converged"]
    assert summary.data["computed"] < summary.data["planned"] == len(driver.points)
    assert decisions[-1].words.endswith("is enough")
    assert summary.data["points"][0]["iterations"] > 0
    values = summary.data["convergence"]["quantities"][0]["values"]
    assert values == sorted(values, reverse=True)  # variational


def test_its_folders_are_read_as_those_of_anyone(driven):
    driver, finished, decisions = driven[0]
    folders = [finished.runs / request.path for d in decisions for chain in d.chains for request in chain]
    found = Convergence.read(folders, [Tolerance.read("energy", "1.5 eV/atom")])
    summary = strategy_of(driver).summarize(driver, finished)
    assert found.recommended == pytest.approx(summary.data["recommended"])
    assert found.values == pytest.approx([(30 + 10 * i) * RYDBERG for i in range(len(folders))])
    with pytest.raises(ReaderError, match="takes two folders or more"):
        Convergence.read(folders[:1], [Tolerance.read("energy", "1.5 eV/atom")])
