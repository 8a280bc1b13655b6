from __future__ import annotations

import gzip
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from heterodft.analysis.corrections import incomparable_reason
from heterodft.analysis.gaps import find_gap
from heterodft.analysis.pdos import electrons_between, resolve_by_plane
from heterodft.analysis.readers import read_folder
from heterodft.analysis.result import Result
from heterodft.errors import ReaderError
from heterodft.files import read_json, write_json
from heterodft.units import RYDBERG

KINDS = ["Ni", "O", "Ni", "O", "Cr", "N", "Cr", "N"]
LABELS = {
    "material": ["NiO"] * 4 + ["CrN"] * 4,
    "block": [1] * 4 + [2] * 4,
    "layer": [1, 1, 2, 2, 1, 1, 2, 2],
    "plane": [0, 0, 1, 1, 2, 2, 3, 3],
}


@pytest.fixture
def finished(shared_data, tmp_path):
    """The NiO/CrN superlattice as pw.x and projwfc.x would leave it in a folder of ours."""
    source = shared_data / "qe" / "nio_crn_superlattice_v67"
    (tmp_path / "pwscf.save").mkdir()
    places = {
        "scf.out": "pw.out",
        "projwfc.out": "projwfc.out",
        "data-file-schema.xml": "pwscf.save/data-file-schema.xml",
    }
    for name, place in places.items():
        (tmp_path / place).write_bytes(gzip.decompress((source / f"{name}.gz").read_bytes()))
    for path in source.glob("nc.pdos*"):
        shutil.copyfile(path, tmp_path / path.name)
    return tmp_path


def label(folder, species):
    write_json(
        folder / "request.json",
        {"id": "x", "request": {"structure": {"species": species, "site_properties": LABELS}}},
    )


def test_all_files_of_a_folder_become_one_result(finished):
    found = read_folder(finished)
    assert (found.code, found.version, found.step, found.converged) == ("espresso", "6.7MaX", "static", True)
    assert found.energy / RYDBERG == pytest.approx(-771.97554371, abs=1e-8)
    assert found.sites["sphere"].moments == (1.5673, 0.1359, -1.5673, -0.1359, 2.5108, -0.0850, -2.5113, 0.0848)
    assert found.sites["Löwdin"].moments == (1.5929, 0.1477, -1.5930, -0.1477, 3.0046, -0.1097, -3.0048, 0.1096)
    assert (found.spilling, found.electrons) == (0.0057, 70.0)
    assert (found.cpu_seconds, found.wall_seconds) == pytest.approx((306.10, 623.96))
    assert found.dos.values.shape[:3] == (8, 16, 2)
    assert found.request == {}


def test_a_result_read_from_a_folder_survives_saving(finished):
    found = read_folder(finished)
    found.save(finished)
    assert find_gap(Result.load(finished)) == find_gap(found)


def test_labels_of_the_request_are_taken_over_and_layers_alternate(finished):
    label(finished, KINDS)
    layers = resolve_by_plane(read_folder(finished))
    assert [(p.layer, p.formula) for p in layers.planes] == [
        ("NiO:1", "NiO"),
        ("NiO:2", "NiO"),
        ("CrN:1", "CrN"),
        ("CrN:2", "CrN"),
    ]
    up, down = electrons_between(layers, -8, 0).T
    assert [a > b for a, b in zip(up, down, strict=True)] == [True, False, True, False]
    assert up == pytest.approx(down[[1, 0, 3, 2]], rel=0.01)


def test_a_request_of_other_atoms_is_refused(finished):
    label(finished, KINDS[::-1])
    with pytest.raises(ReaderError, match=r"the result has other atoms than its request.json"):
        read_folder(finished)


def test_a_defect_stays_where_it_is_in_a_cell_that_relaxed(finished):
    label(finished, KINDS)
    request = read_json(finished / "request.json")
    cell = read_folder(finished).structure.lattice.matrix
    built, place = cell * [[0.9], [1.0], [1.1]], np.array([0.25, 0.5, 0.75])
    request["request"]["structure"]["lattice"] = built.tolist()
    request["about"] = {"defect": {"kind": "V_O", "position": (place @ built).tolist()}}
    write_json(finished / "request.json", request)
    found = read_folder(finished).structure.properties["defect"]
    assert found["kind"] == "V_O"
    np.testing.assert_allclose(found["position"], place @ cell, atol=1e-9)
    del request["request"]["structure"]["lattice"]
    write_json(finished / "request.json", request)
    with pytest.raises(ReaderError, match=r"request.json lacks 'lattice'"):
        read_folder(finished)


@pytest.mark.parametrize(("end", "energy"), [("iteration #  9", False), ("Writing output data", True)])
def test_a_run_of_ours_that_was_killed_is_read_as_far_as_it_got(finished, heterodft_inside, end, energy):
    label(finished, KINDS)
    (finished / "pwscf.save" / "data-file-schema.xml").unlink()
    text, cut, _ = (finished / "pw.out").read_text().partition(end)
    assert cut
    (finished / "pw.out").write_text(text)
    found = read_folder(finished)
    assert (found.ended, found.energy is not None) == ("cut off", energy)
    assert found.structure.site_properties["layer"] == LABELS["layer"]
    assert any("pw.out has no end" in note for note in found.notes)
    shown = json.loads(heterodft_inside("analyze", str(finished), "--json").stdout)
    assert shown["ended"] == "cut off"
    with pytest.raises(ReaderError, match=r"holds 0 pw.x results"):
        read_folder(finished, strict=True)


def test_without_projections_there_is_no_density_of_states(finished):
    for path in [finished / "projwfc.out", *finished.glob("nc.pdos*")]:
        path.unlink()
    found = read_folder(finished)
    assert (found.dos, found.spilling, set(found.sites)) == (None, None, {"sphere"})


def test_a_cycle_that_did_not_converge_says_so_and_has_no_moments(shared_data, tmp_path):
    source = shared_data / "qe" / "pw_not_converged_v66"
    (tmp_path / "x.save").mkdir()
    shutil.copyfile(source / "data-file-schema.xml", tmp_path / "x.save" / "data-file-schema.xml")
    shutil.copyfile(source / "aiida.out", tmp_path / "pw.out")
    found = read_folder(tmp_path)
    assert (found.converged, found.sites, found.total_moment) == (False, {}, None)


def test_an_nscf_with_projections_is_a_dos_step_without_energy(shared_data, tmp_path):
    source = shared_data / "qe" / "projwfc_fe2_collinear_v66"
    (tmp_path / "aiida.save").mkdir()
    shutil.copyfile(source / "data-file-schema.xml", tmp_path / "aiida.save" / "data-file-schema.xml")
    for path in source.glob("aiida.pdos*"):
        shutil.copyfile(path, tmp_path / path.name)
    shutil.copyfile(source / "aiida.out", tmp_path / "projwfc.out")
    (tmp_path / "pw.out").write_text("     JOB DONE.\n")
    found = read_folder(tmp_path)
    assert (found.step, found.energy, found.converged, set(found.sites)) == ("dos", None, None, {"Löwdin"})
    assert found.sites["Löwdin"].moments == (2.9911, 3.1716)


@pytest.mark.parametrize("name", ["pwscf.save/data-file-schema.xml", "nc.pdos_tot"])
def test_a_missing_file_of_a_folder_that_must_be_whole_is_told(finished, name):
    label(finished, KINDS)
    (finished / name).unlink()
    with pytest.raises(ReaderError, match=r"holds 0 "):
        read_folder(finished, strict=True)
    assert read_folder(finished).notes


def test_a_missing_output_of_a_folder_that_must_be_whole_is_told(finished):
    assert read_folder(finished, strict=True).notes == ()
    (finished / "pw.out").unlink()
    with pytest.raises(ReaderError, match=r"holds no output of pw\.x that belongs to its XML file; expected pw\.out"):
        read_folder(finished, strict=True)
    found = read_folder(finished)
    assert found.energy is not None
    assert found.notes == ("there is no standard output of pw.x: times and accuracy are missing",)


def test_two_results_in_one_folder_are_told(finished):
    shutil.copytree(finished / "pwscf.save", finished / "other.save")
    with pytest.raises(ReaderError, match=r"holds 2 pw.x results .*; expected one"):
        read_folder(finished)


def recorded(folder, **changes):
    """Label a folder as one of ours and record its result, as the queue does."""
    label(folder, KINDS)
    result = read_folder(folder)
    replace(result, request=json.loads((folder / "request.json").read_text()) | {"id": "1"}, **changes).save(folder)
    request = json.loads((folder / "request.json").read_text())
    write_json(folder / "request.json", request | {"id": "1"})
    return result


def test_what_the_queue_recorded_is_read_with_what_handlers_changed(finished):
    wider = [{"errors": ["x"], "changes": {"system->degauss": [0.01, 0.02]}, "touches": ["smearing"]}]
    raw = recorded(finished, corrections=wider)
    found = read_folder(finished)
    assert (found.corrections, found.energy) == (wider, raw.energy)
    assert read_folder(finished, projections=True).corrections == wider


def test_the_record_stands_where_the_outputs_were_removed(finished):
    raw = recorded(finished)
    for path in [*finished.glob("*.out"), *finished.glob("nc.*"), *finished.glob("*.save/*")]:
        path.unlink()
    assert read_folder(finished).energy == raw.energy
    assert "no projections of bands: the outputs were removed" in read_folder(finished, projections=True).notes


def test_a_record_of_another_request_is_not_taken(finished):
    recorded(finished, energy=-1.0)
    assert read_folder(finished).energy == -1.0
    request = json.loads((finished / "request.json").read_text())
    write_json(finished / "request.json", request | {"id": "2"})
    assert read_folder(finished).energy != -1.0


def test_corrections_that_were_not_recorded_forbid_a_comparison(finished):
    label(finished, KINDS)
    log = [{"corrections": [{"errors": ["x"], "actions": []}]}]
    (finished / "custodian.json").write_text(json.dumps(log))
    assert incomparable_reason(read_folder(finished).corrections) == "a setting was changed"
    log[0]["corrections"] = []
    (finished / "custodian.json").write_text(json.dumps(log))
    assert read_folder(finished).corrections == []
