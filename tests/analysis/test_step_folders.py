from __future__ import annotations

import json
from dataclasses import replace

import pytest
import synthetic_grids as grids
from synthetic_vasp import Run, write_run

from heterodft.analysis import FolderOverview
from heterodft.analysis.step_folders import find_configurations, find_steps, find_steps_beside
from heterodft.errors import ReaderError

ALL = ("OUTCAR", "CONTCAR", "DOSCAR")


def make_step(folder, step, *, order="FM", files=("OUTCAR", "CONTCAR"), **about):
    folder.mkdir(parents=True)
    told = {"campaign": "t", "name": "sl", "order": order, "hubbard": "U0"} | about
    (folder / "request.json").write_text(json.dumps({"id": step, "about": told, "request": {"step": step}}))
    if files:
        write_run(folder, Run(), *files)


@pytest.fixture
def campaign(tmp_path):
    """Two configurations of one structure; of the first the bands were not run yet."""
    for order in ("FM", "AFM-A"):
        make_step(tmp_path / "runs" / "sl" / order / "static", "static", order=order)
        make_step(tmp_path / "runs" / "sl" / order / "dos", "dos", order=order, files=ALL)
    make_step(tmp_path / "runs" / "sl" / "FM" / "bands", "bands", files=())
    return tmp_path / "runs"


def test_steps_of_a_configuration_come_with_their_energies_first(campaign):
    assert list(find_steps(campaign / "sl" / "FM")) == ["static", "dos", "bands"]
    assert find_steps(campaign / "sl" / "FM" / "static") == {}
    assert find_steps(campaign) == {}


def test_steps_beside_are_of_the_same_configuration(campaign):
    make_step(campaign / "sl" / "FM" / "other", "charge", order="AFM-C")
    assert list(find_steps_beside(campaign / "sl" / "FM" / "dos")) == ["static", "bands"]
    assert find_steps_beside(campaign) == {}


def test_a_folder_above_stands_for_its_configurations_and_others_for_themselves(campaign, tmp_path):
    other = tmp_path / "elsewhere"
    found = find_configurations([campaign, other, campaign / "sl" / "FM" / "dos"])
    assert found == [campaign / "sl" / "AFM-A", campaign / "sl" / "FM", other, campaign / "sl" / "FM" / "dos"]


def test_steps_are_read_together_and_one_that_was_not_run_is_told(campaign):
    found = FolderOverview.read(campaign / "sl" / "FM")
    static = FolderOverview.read(campaign / "sl" / "FM" / "static")
    assert list(found.steps) == ["static", "dos"]
    assert found.result.energy == static.result.energy
    assert "step 'bands'" in found.missing
    assert set(static.columns) <= set(found.columns)
    data = found.to_dict()
    assert data["gap_step"] in ("static", "dos")
    assert json.loads(json.dumps(data, allow_nan=False))["steps"]["dos"]["folder"].endswith("dos")


def test_a_step_says_which_other_one_tells_what_it_does_not(tmp_path):
    make_step(tmp_path / "sl" / "static", "static", files=("OUTCAR",))
    make_step(tmp_path / "sl" / "dos", "dos", files=ALL)
    found = FolderOverview.read(tmp_path / "sl" / "static")
    assert found.missing["density of states"] == "see step 'dos' beside it"
    assert list(found.to_dict()["beside"]) == ["dos"]


def test_a_folder_that_holds_runs_of_others_names_them(tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        write_run(tmp_path / name, Run(), "OUTCAR")
    with pytest.raises(ReaderError, match="is no finished run, but holds some: first, second; give one or several"):
        FolderOverview.read(tmp_path)


def write_grid(path, values, structure=None):
    path.write_text(grids.vasp_file(structure or grids.cell(), values))


def test_a_density_alone_is_analysed(tmp_path):
    total, spin = grids.wave((12, 12, 16)), grids.wave((12, 12, 16), mean=0.1, seed=4)
    volume = grids.cell().volume
    write_grid(tmp_path / "CHGCAR", (volume * total, volume * spin))
    for path in (tmp_path, tmp_path / "CHGCAR"):
        found = FolderOverview.read(path)
        names = {"average-charge-density", "average-spin-density", "slabs-charge-density", "slabs-spin-density"}
        assert names | {"slice-spin-density", "structure"} == set(found.quantities)
        assert found.result.total_moment == pytest.approx(spin.mean() * volume)
        assert sum(found.columns["slab charge (e)"]) == pytest.approx(total.mean() * volume)
        assert (found.result.code, found.gap, found.result.energy) == ("vasp", None, None)
        assert "read from CHGCAR alone: no energy, bands or convergence" in found.notes
    written = replace(found, quantities={}).save(tmp_path / "out")  # without their figures, which take long
    assert "spin-density.cube" in [path.name for path in written]


def test_a_potential_alone_is_averaged_and_cut(tmp_path):
    write_grid(tmp_path / "LOCPOT", (grids.wave((12, 12, 16), mean=0.0),))
    found = FolderOverview.read(tmp_path / "LOCPOT")
    assert {"average-potential", "slice-potential", "structure"} == set(found.quantities)


def test_a_damaged_grid_is_one_error(tmp_path):
    (tmp_path / "CHGCAR").write_text("nonsense\n")
    with pytest.raises(ReaderError, match="CHGCAR"):
        FolderOverview.read(tmp_path)


def test_analyze_reads_the_configurations_below_a_folder_and_compares_them(campaign, heterodft_inside):
    done = heterodft_inside("analyze", "runs")
    assert done.stdout.count("steps static, dos") == 2
    assert "sl U0: energies from" in done.stdout
    assert "see step" not in done.stdout
    data = json.loads(heterodft_inside("analyze", "runs", "--json").stdout)
    assert [one["name"] for one in data["folders"]] == ["AFM-A", "FM"]
    assert {row["name"] for row in data["energies"]["rows"]} == {"AFM-A", "FM"}
    assert (data["segregation"], data["against_u"], data["unreadable"]) == (None, None, {})


def test_analyze_says_which_sibling_tells_the_energy(campaign, heterodft_inside):
    (campaign / "sl" / "FM" / "dos" / "OUTCAR").unlink()
    said = heterodft_inside("analyze", "runs/sl/FM/dos").stdout
    assert "Energy: see step 'static' beside it" in said
    assert "No moments, charges: see step 'static' beside it" in said


def test_analyze_compares_moment_and_gap_where_u_differs(tmp_path, heterodft_inside):
    for u in (0.0, 4.0):
        folder = tmp_path / "runs" / "sl" / "FM" / f"U{u:g}" / "static"
        make_step(folder, "static", hubbard=f"U{u:g}")
        request = json.loads((folder / "request.json").read_text())
        request["request"] |= {"hubbard": [["Ni", "3d", u]]}
        (folder / "request.json").write_text(json.dumps(request))
    said = heterodft_inside("analyze", "runs").stdout
    assert "Against U" in said
    assert "Energies are ranked among runs of one structure and U; just one of: sl U0, sl U4" in said
    rows = json.loads(heterodft_inside("analyze", "runs", "--json").stdout)["against_u"]["rows"]
    assert [row["u"].get("Ni", 0.0) for row in rows] == [0.0, 4.0]
