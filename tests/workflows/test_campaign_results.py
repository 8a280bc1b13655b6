from __future__ import annotations

from dataclasses import replace

import pytest

import heterodft
from heterodft import Campaign
from heterodft.analysis.overview import FolderOverview
from heterodft.analysis.plots.figure import Figure
from heterodft.analysis.result import Result
from heterodft.errors import CampaignError, ReaderError
from heterodft.files import read_json
from heterodft.workflows.calculation import write_request
from heterodft.workflows.chains import campaign_chains
from heterodft.workflows.runner import run_calculation
from heterodft.workflows.settings_file import load_settings


def test_the_package_offers_the_campaign_and_nothing_unknown(demo_file):
    assert Campaign.from_file(str(demo_file)).name == "demo"
    with pytest.raises(AttributeError, match="no attribute 'Campagne'"):
        heterodft.Campagne  # noqa: B018


def test_without_a_run_the_results_say_so(demo_file, tmp_path):
    results = Campaign.from_file(demo_file).results(runs=tmp_path)
    assert len(results.missing) == 5
    assert len(results.summary()) == len(results.layers()) == 0
    assert f"Not in {results.runs}: demo/" in repr(results)
    assert len(results.energies().to_frame()) == 0
    with pytest.raises(ReaderError, match="nothing to draw"):
        results.energies().plot()


def test_steps_that_are_not_done_are_missing(tiny_file, tmp_path):
    campaign = Campaign.from_file(tiny_file)
    static, dos = campaign_chains(campaign)[0]
    for request in (static, dos):
        write_request(request, tmp_path / "runs" / request.path)
    cell = static.to_structure()
    made = Result("espresso", "6.7", "static", cell, 1.0, -1.0, (0.0,), 0.0, 0.0, {}, True, 1, 0.0, 1.0, 1.0)
    told = read_json(tmp_path / "runs" / static.path / "request.json")
    replace(made, request=told).save(tmp_path / "runs" / static.path)
    missing = campaign.results(runs=tmp_path / "runs").missing
    assert missing == (f"{static.path.rpartition('/')[0]}: dos", "tiny/bulk/FM/Ti-3d-4eV")


def test_without_pseudopotentials_it_is_still_told_what_was_not_run(tiny_file, tmp_path, monkeypatch):
    campaign = Campaign.from_file(tiny_file)
    request = campaign_chains(campaign)[0][0]  # NM
    write_request(request, tmp_path / "runs" / request.path)
    monkeypatch.setenv("ESPRESSO_PSEUDO", str(tmp_path / "nowhere"))
    both = ("tiny/bulk/NM/Ti-3d-4eV", "tiny/bulk/FM/Ti-3d-4eV")
    assert campaign.results(runs=tmp_path / "runs").missing == both


def test_a_figure_shows_itself_in_a_notebook():
    figure = Figure(figsize=(1, 1))
    figure.add_subplot().plot([0, 1])
    assert figure._repr_png_().startswith(b"\x89PNG")


@pytest.mark.espresso
def test_results_of_a_campaign_are_frames_that_a_notebook_shows(tiny_file, tmp_path, pw):
    campaign = Campaign.from_file(tiny_file)
    settings = replace(load_settings(), runs=tmp_path / "runs", cores=1)
    chains = campaign_chains(campaign)
    for request in chains[0]:  # NM: static, dos
        write_request(request, settings.runs / request.path)
        run_calculation(settings.runs / request.path, request.id, settings)
    results = campaign.results(runs=settings.runs)
    assert len(results.summary()) == 1
    assert results.missing == ("tiny/bulk/FM/Ti-3d-4eV",)
    layers = results.layers()
    assert list(layers["formula"]) == ["SrO", "TiO2"]
    assert layers["charge_electrons"].sum() == pytest.approx(10 + 12 + 3 * 6, abs=1.5)  # Löwdin loses some
    assert "bulk/NM/Ti-3d-4eV" in repr(results)
    assert len(repr(results)) < 1000
    assert len(repr(results.overview("bulk/NM/Ti-3d-4eV"))) < 3000
    html = results._repr_html_()
    assert "bulk/NM/Ti-3d-4eV" in html
    assert "runs/tiny: tiny/bulk/FM/Ti-3d-4eV" in html
    assert "<table" in FolderOverview.read(settings.runs / request.path)._repr_html_()
    assert isinstance(results.overview("bulk/NM/Ti-3d-4eV"), FolderOverview)
    with pytest.raises(CampaignError, match="did you mean 'bulk/NM/Ti-3d-4eV'"):
        results.overview("bulk/NM/Ti-3d-4")
