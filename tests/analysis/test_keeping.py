"""Kept results give the same report without the rest of the runs."""

from __future__ import annotations

import numpy as np
import pytest
from campaign_folders import Campaign, result

from heterodft.analysis.keeping import keep_results
from heterodft.analysis.report import collect
from heterodft.analysis.report.citations import find_citations
from heterodft.analysis.report.runs import read_runs
from heterodft.analysis.result import Result
from heterodft.errors import ReaderError, StorageError
from heterodft.files import write_json


@pytest.fixture
def campaign(tmp_path):
    made = Campaign(tmp_path / "runs" / "demo")
    for step in ("static", "dos"):
        folder = made.finish("sl", step)
        (folder / "pwscf.save").mkdir()
        (folder / "pwscf.save" / "charge-density.dat").write_bytes(b"0" * 10000)
    write_json(made.request("a", "static") / "failure.json", {"reason": "out of memory"})
    return made


def told(root):
    return [{**r.to_dict(), "steps": [(s.step, s.state, s.reason) for s in r.steps]} for r in collect(root)]


def test_the_report_of_what_is_kept_is_that_of_the_runs(campaign, tmp_path):
    kept = keep_results(campaign.root, tmp_path / "kept")
    assert (kept.calculations, kept.finished) == (3, 2)
    ours, theirs = told(campaign.root), told(tmp_path / "kept" / "demo")
    assert [r["path"] for r in ours] == [r["path"] for r in theirs]
    for one, other in zip(ours, theirs, strict=True):
        layers = [one.pop("layers"), other.pop("layers")]
        for row, again in zip(*layers, strict=True):
            for key, value in row.items():
                assert again[key] == (pytest.approx(value, rel=1e-3) if isinstance(value, float) else value)
        assert one == other
    names = {path.name for path in (tmp_path / "kept").rglob("*") if path.is_file()}
    assert names == {"request.json", "result.json", "result.npz", "failure.json"}


def test_where_the_runs_were_is_not_kept(campaign, tmp_path):
    failure = next(campaign.root.rglob("failure.json"))
    write_json(failure, {"reason": f"{failure.parent} was cancelled"})
    keep_results(campaign.root, tmp_path / "kept")
    (report,) = (report for report in collect(tmp_path / "kept" / "demo") if report.name == "a")
    assert report.steps[0].reason == "demo/a/FM/Ti-3d-4eV/static was cancelled"


def test_densities_are_rounded_below_what_codes_print_and_bands_to_less_than_a_microelectronvolt(campaign, tmp_path):
    values = np.random.default_rng(1).random(result_of(campaign).dos.values.shape)
    changed = result_of(campaign).dos
    folder = campaign.finish("sl", "dos", changes={"dos": type(changed)(changed.energies, values, changed.total)})
    keep_results(campaign.root, tmp_path / "kept")
    before = Result.load(folder)
    after = Result.load(tmp_path / "kept" / folder.relative_to(campaign.root.parent))
    assert not np.array_equal(before.dos.values, after.dos.values)
    assert after.dos.values == pytest.approx(before.dos.values, rel=2**-12, abs=1e-7)
    assert after.bands.energies == pytest.approx(before.bands.energies, abs=2**-23)


def test_a_small_density_beside_a_high_peak_is_kept(campaign, tmp_path):
    dos = result_of(campaign).dos
    values = np.full(dos.values.shape, 1e-4)
    values[0, 0, 0, 0] = 1e4
    folder = campaign.finish("sl", "dos", changes={"dos": type(dos)(dos.energies, values, dos.total)})
    keep_results(campaign.root, tmp_path / "kept")
    after = Result.load(tmp_path / "kept" / folder.relative_to(campaign.root.parent))
    assert after.dos.values.sum() == pytest.approx(values.sum(), rel=2**-12)
    assert after.dos.values[1, 1, 1, 1] == pytest.approx(1e-4, rel=2**-12)


def result_of(campaign):
    return result(collect(campaign.root)[-1].structure, "dos")


def test_keeping_twice_changes_no_byte(campaign, tmp_path):
    def content():
        keep_results(campaign.root, tmp_path / "kept")
        return {path: path.read_bytes() for path in (tmp_path / "kept").rglob("*.*") if path.is_file()}

    assert content() == content()


def test_doubts_of_an_output_are_still_told(campaign, tmp_path):
    text = "iteration #  9\n c_bands:  3 eigenvalues not converged\n" + "line\n" * 50
    (campaign.root / "sl/FM/Ti-3d-4eV/static/pw.out").write_text(text)
    keep_results(campaign.root, tmp_path / "kept")
    again = collect(tmp_path / "kept" / "demo")[-1]
    assert again.corrections == ["static: 3 eigenvalues did not converge in the last iteration"]


def test_what_was_kept_stays_where_the_runs_cannot_be_read_any_more(campaign, tmp_path):
    keep_results(campaign.root, tmp_path / "kept")
    before = {path: path.read_bytes() for path in (tmp_path / "kept").rglob("*") if path.is_file()}
    (campaign.root / "sl/FM/Ti-3d-4eV/static/result.json").write_text("{")
    with pytest.raises(ReaderError):
        keep_results(campaign.root, tmp_path / "kept")
    assert {path: path.read_bytes() for path in (tmp_path / "kept").rglob("*") if path.is_file()} == before


def test_programs_that_watched_the_runs_are_cited_from_what_is_kept_too(campaign, tmp_path):
    folder = campaign.root / "sl/FM/Ti-3d-4eV/static"
    write_json(folder / "custodian.json", [])
    keep_results(campaign.root, tmp_path / "kept")
    runs = read_runs([folder, tmp_path / "kept" / folder.relative_to(campaign.root.parent)])
    cited = [{one.reference.key for one in find_citations([run])} for run in runs]
    assert cited[0] == cited[1]
    assert "jain2015" in cited[1]


def test_runs_are_not_kept_in_their_own_folder_nor_nothing_at_all(campaign, tmp_path):
    with pytest.raises(StorageError, match="keep their results in another one"):
        keep_results(campaign.root, campaign.root.parent)
    with pytest.raises(ReaderError, match="holds no calculation to keep"):
        keep_results(campaign.root, tmp_path / "kept", paths=["demo/other/FM/noU"])
