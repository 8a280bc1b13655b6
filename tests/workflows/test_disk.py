"""Disk space: estimated, held against what there is, and given back once nobody needs it."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from heterodft.errors import SettingsError
from heterodft.workflows.calculation import read_request, write_request
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.chains import build_chain
from heterodft.workflows.configurations import expand
from heterodft.workflows.disk import clean, disk_warnings, enough_space, estimate_disk, used_space
from heterodft.workflows.settings_file import load_settings

CHAIN = "steps: [relax, static, {dos: {kspacing: 0.9}}, charge]"
DENSITY, WAVES, SCRATCH = "pwscf.save/charge-density.dat", "pwscf.save/wfc1.dat", "pwscf.wfc1"


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return load_settings()


@pytest.fixture
def chain(tiny_file):
    text = tiny_file.read_text()
    tiny_file.write_text(text[: text.index("steps:")] + CHAIN + "\n")
    campaign = load_campaign(tiny_file)
    return {request.step: request for request in build_chain(campaign, expand(campaign)[1])}


@pytest.fixture
def folders(chain, settings):
    """The folders of a chain as submit writes them, with what pw.x would leave."""
    folders = {step: settings.runs / request.path for step, request in chain.items()}
    for step, folder in folders.items():
        write_request(chain[step], folder)
        (folder / "pwscf.save").mkdir()
        for name in (DENSITY, WAVES, SCRATCH, "pwscf.save/data-file-schema.xml", "pw.out"):
            (folder / name).write_bytes(b"0" * 1000)
    return folders


def finish(chain, folders, step, keep):
    (folders[step] / "result.json").write_text(json.dumps({"id": chain[step].id}))
    (folders[step] / "result.npz").write_bytes(b"")
    clean(chain[step], folders[step], keep)


def left(folder):
    return [name for name in (DENSITY, WAVES, SCRATCH) if (folder / name).is_file()]


def test_all_keeps_all_but_scratch(chain, folders):
    for step in folders:
        finish(chain, folders, step, "all")
    assert all(left(folder) == [DENSITY, WAVES] for folder in folders.values())


def test_densities_stay_where_a_step_may_start_from_them(chain, folders):
    for step in folders:
        finish(chain, folders, step, "densities")
    assert {step: left(folder) for step, folder in folders.items()} == {
        "relax": [DENSITY],
        "static": [DENSITY],
        "dos": [],
        "charge": [],
    }
    assert all((folder / "pwscf.save/data-file-schema.xml").is_file() for folder in folders.values())


def test_with_results_only_a_density_goes_with_the_last_step_that_starts_from_it(chain, folders):
    finish(chain, folders, "relax", "results")
    assert left(folders["relax"]) == [DENSITY]
    finish(chain, folders, "static", "results")
    assert (left(folders["relax"]), left(folders["static"])) == ([], [DENSITY])
    finish(chain, folders, "dos", "results")
    assert left(folders["static"]) == [DENSITY]  # the charge is still to come
    finish(chain, folders, "charge", "results")
    assert [left(folder) for folder in folders.values()] == [[], [], [], []]


def test_a_density_that_another_campaign_starts_from_stays(chain, folders, settings):
    other = settings.runs / "other" / "bulk" / "FM" / "Ti-3d-4eV"
    other.mkdir(parents=True)
    (other / "static").symlink_to(os.path.relpath(folders["static"], other), target_is_directory=True)
    theirs = replace(chain["dos"], settings=replace(chain["dos"].settings, dos_energy_step=0.01))
    write_request(theirs, other / "dos")
    for step in folders:
        finish(chain, folders, step, "results")
    assert left(folders["static"]) == [DENSITY]
    (other / "dos" / "result.json").write_text(json.dumps({"id": theirs.id}))
    (other / "dos" / "result.npz").write_bytes(b"")
    clean(theirs, other / "dos", "results")
    assert left(folders["static"]) == []


def test_an_older_calculation_that_was_moved_aside_holds_nothing_back(chain, folders):
    older = replace(chain["dos"], settings=replace(chain["dos"].settings, dos_energy_step=0.01))
    write_request(older, folders["dos"].with_name(f"dos-{older.id}"))
    for step in folders:
        finish(chain, folders, step, "results")
    assert left(folders["static"]) == []


def test_a_run_that_would_fill_the_disk_is_refused_with_the_reason(chain, settings):
    settings.runs.mkdir()
    assert enough_space(chain["static"], replace(settings, keep_free=0.0)) is None
    reason = enough_space(chain["static"], replace(settings, keep_free=1e9))
    assert "are to be left; free some space or lower disk: free" in reason


def test_a_run_beyond_the_budget_is_refused_with_the_reason(chain, settings):
    settings.runs.mkdir()
    peak = estimate_disk(chain["static"], settings).peak
    settings = replace(settings, keep_free=0.0, disk_budget=peak + 0.001)
    assert enough_space(chain["static"], settings) is None
    (settings.runs / "large").write_bytes(b"0" * 2_000_000)
    assert enough_space(chain["static"], settings) is None  # looked at less than a minute ago
    (settings.runs / ".disk-usage.json").unlink()
    assert "of its budget of" in enough_space(chain["static"], settings)
    assert "more than the" in disk_warnings(0.0, peak, settings)[0]


def test_links_are_not_counted(settings, tmp_path):
    settings.runs.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "large").write_bytes(b"0" * 2_000_000)
    (settings.runs / "link").symlink_to(tmp_path / "elsewhere")
    assert used_space(settings) < 0.001


def test_what_is_kept_follows_the_settings(chain, settings):
    kept = {keep: estimate_disk(chain["dos"], replace(settings, keep_files=keep)) for keep in ("densities", "all")}
    assert kept["densities"].peak == kept["all"].peak > kept["all"].kept > kept["densities"].kept > 0


def test_a_noncollinear_run_takes_more(chain, settings):
    single = estimate_disk(chain["static"], settings)
    spinors = replace(chain["static"], directions=tuple((0.0, 0.0, 1.0) for _ in chain["static"].moments))
    assert estimate_disk(spinors, settings).peak > single.peak


def test_what_to_keep_is_one_of_three(settings, tmp_path):
    (tmp_path / "heterodft.yaml").write_text("disk: {keep: results, budget: 3}\n")
    assert (load_settings().keep_files, load_settings().disk_budget) == ("results", 3)
    (tmp_path / "heterodft.yaml").write_text("disk: {keep: everything}\n")
    with pytest.raises(SettingsError, match="disk: keep: 'everything'; write densities, all or results"):
        load_settings()


def folder_bytes(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.mark.espresso
@pytest.mark.slow
def test_the_estimate_is_what_a_real_run_leaves(pw, heterodft, tiny_file, monkeypatch):
    tiny_file.write_text(tiny_file.read_text().replace("[NM, FM]", "[FM]"))
    (heterodft.folder / "heterodft.yaml").write_text("disk: {keep: all}\n")
    heterodft("submit", str(tiny_file))
    heterodft("run", "--quiet")
    monkeypatch.chdir(heterodft.folder)
    for step in ("static", "dos"):
        folder = heterodft.folder / "runs/tiny/bulk/FM/Ti-3d-4eV" / step
        request = read_request(folder)
        for keep in ("all", "densities"):
            clean(request, folder, keep)
            kept = estimate_disk(request, replace(load_settings(), keep_files=keep)).kept * 1e9
            assert folder_bytes(folder) / 1.5 < kept < folder_bytes(folder) * 1.5
