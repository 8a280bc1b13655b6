"""`heterodft analyze` on folders made by others; what it makes of them is tested in tests/analysis."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import pytest

from heterodft.analysis import overview


@pytest.fixture
def superlattice(shared_data, tmp_path):
    """A real pw.x and projwfc.x run of NiO on CrN, as pw.x left it."""
    folder = tmp_path / "run" / "nc"
    (folder / "nc.save").mkdir(parents=True)
    for path in (shared_data / "qe" / "nio_crn_superlattice_v67").iterdir():
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        name = {"scf.out": "pw.out", "data-file-schema.xml": "nc.save/data-file-schema.xml"}
        plain = path.name.removesuffix(".gz")
        (folder / name.get(plain, plain)).write_bytes(data)
    return folder


def stamps(folder):
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")}


def test_a_folder_of_others_is_told(superlattice, heterodft_inside):
    before = stamps(superlattice)
    said = heterodft_inside("analyze", str(superlattice)).stdout
    assert "Quantum ESPRESSO 6.7" in said
    assert "Cr2 Ni2 N2 O2 (8 atoms), finished, converged" in said
    assert "Energy: -10503.26" in said
    assert "Fermi level: 14.2760 eV" in said
    assert "9.741 μB of absolute value, -0.001 μB in the spheres" in said
    assert stamps(superlattice) == before


def test_json_has_plain_keys(superlattice, heterodft_inside):
    told = json.loads(heterodft_inside("analyze", str(superlattice), "--json").stdout)
    assert told["energy"] == pytest.approx(-771.97554371 * 13.605693122994, abs=1e-5)
    assert (told["code"], told["converged"], told["atoms"], told["name"]) == ("espresso", True, 8, "nc")
    assert told["moment"] == pytest.approx(0.0, abs=0.01)
    assert told["fermi_level"] == pytest.approx(14.2760, abs=1e-4)
    assert told["gap"] is not None
    assert [layer["layer"] for layer in told["layers"]] == ["NiO:1", "NiO:2", "CrN:1", "CrN:2"]


def test_figures_and_json_go_to_the_folder_asked_for(superlattice, heterodft_inside, monkeypatch):
    monkeypatch.setattr(overview, "SECTIONS", overview.SECTIONS[:1])  # figures take long
    before = stamps(superlattice)
    said = heterodft_inside("analyze", str(superlattice), "-o", "out", "--json").stdout
    out = heterodft_inside.folder / "out" / "nc"
    told = json.loads(said)
    assert sorted(told["files"]) == sorted(f"out/nc/{path.name}" for path in out.iterdir())
    written = json.loads((out / "analysis.json").read_text())
    assert written == {key: value for key, value in told.items() if key not in ("name", "files")}
    assert stamps(superlattice) == before


def test_a_folder_that_cannot_be_read_is_one_line_and_the_others_are_told(superlattice, heterodft_inside):
    (heterodft_inside.folder / "empty").mkdir()
    done = heterodft_inside("analyze", "empty", str(superlattice), code=3)
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("heterodft: ")
    assert "empty" in done.stderr
    assert "Quantum ESPRESSO" in done.stdout
    data = json.loads(heterodft_inside("analyze", "empty", str(superlattice), "--json", code=3).stdout)
    assert list(data["unreadable"]) == ["empty"]
    assert len(data["folders"]) == 1


def test_several_folders_are_compared_where_they_may_be(superlattice, heterodft_inside):
    said = heterodft_inside("analyze", str(superlattice), str(superlattice)).stdout
    assert said.count("Quantum ESPRESSO 6.7") == 2


def test_the_energy_inside_the_gap_may_be_given(heterodft_inside):
    """Of a real vacancy whose two electrons are in the conduction bands, 1 to 3 eV above the gap."""
    kept = Path(__file__).parents[2] / "examples/cazro3-ktao3/results/runs/cazro3-ktao3-small/001-V_O_1/NM/noU"

    def per_layer(*words):
        told = json.loads(heterodft_inside("analyze", str(kept), *words, "--json").stdout)
        return [layer.get("electrons (1/cm²)") for layer in told["layers"]], told["missing"]

    found, _ = per_layer()
    assert per_layer("--edge", "-1.5")[0] == pytest.approx(found, rel=1e-3)
    assert sum(per_layer("--edge", "-0.3")[0]) < 0.9 * sum(found)
    nothing, missing = per_layer("--edge", "99")
    assert nothing == [None] * len(found)
    assert "99 eV from the Fermi level is outside" in missing["sheet carriers"]


def test_nothing_readable_is_exit_code_one(heterodft_inside):
    (heterodft_inside.folder / "empty").mkdir()
    done = heterodft_inside("analyze", "empty", "nowhere", code=1)
    assert done.stderr.count("heterodft: ") == 2
    assert done.stdout == ""
    data = json.loads(heterodft_inside("analyze", "empty", "--json", code=1).stdout)
    assert data["folders"] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["analyze"], "Missing argument"),
        (["analyze", ".", "--by", "atom"], "'atom' is not one of"),
        (["analyze", ".", "--bulk", "SrTiO3"], "is not MATERIAL=DIR"),
        (["analyze", ".", "--stoner", "Ru"], "'Ru' is not ELEMENT=EV"),
        (["analyze", ".", "--stoner", "Qq=0.6"], "is not ELEMENT=EV"),
        (["analyze", ".", "--stoner", "Ru=-0.6"], "is not ELEMENT=EV"),
    ],
)
def test_wrong_usage_is_told(words, said, heterodft_inside):
    assert said in heterodft_inside(*words, code=2).stderr


def test_a_bulk_that_cannot_be_read_stops_before_anything_is_read(heterodft_inside):
    done = heterodft_inside("analyze", ".", "--bulk", "NiO=nowhere", code=1)
    assert done.stderr.count("\n") == 1
    assert "nowhere" in done.stderr


def test_a_bulk_may_be_a_configuration_of_ours(superlattice, heterodft_inside):
    step = heterodft_inside.folder / "bulk" / "static"
    shutil.copytree(superlattice, step)
    (step / "request.json").write_text('{"request": {"step": "static"}}', encoding="utf-8")
    same = json.loads(
        heterodft_inside("analyze", str(superlattice), "--bulk", f"NiO={superlattice}", "--json").stdout
    )
    done = json.loads(heterodft_inside("analyze", str(superlattice), "--bulk", "NiO=bulk", "--json").stdout)
    assert done["layers"] == same["layers"]
    assert [name for name in done["layers"][0] if "transfer" in name]
