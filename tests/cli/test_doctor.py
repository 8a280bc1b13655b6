from __future__ import annotations

import json

import pytest


@pytest.fixture
def findings(heterodft_inside, monkeypatch):
    for name in (
        "ESPRESSO_PSEUDO",
        "ESPRESSO_BIN_DIR",
        "VASP_CMD",
        "HETERODFT_HOST",
        "PMG_VASP_PSP_DIR",
        "VASP_PP_PATH",
    ):
        monkeypatch.delenv(name, raising=False)

    def look(*words, code=0, **environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, str(value))
        data = json.loads(heterodft_inside("doctor", *words, "--json", code=code).stdout)
        assert data["can_run"] is (code == 0)
        return {(one["part"], one["name"]): one for one in data["findings"]}

    look.folder = heterodft_inside.folder
    return look


def problems(found):
    return {name for (_, name), one in found.items() if one["state"] == "problem"}


def test_each_problem_is_found_and_has_its_remedy(findings):
    (findings.folder / "heterodft.yaml").write_text("batch: {scheduler: sge, walltime: 4 h, cores: 2}\n")
    found = findings(
        code=1, ESPRESSO_BIN_DIR="/nowhere", ESPRESSO_PSEUDO="/nowhere", VASP_CMD="mpirun no_vasp",
        HETERODFT_HOST="mongodb://me:secret@127.0.0.1:1/?serverSelectionTimeoutMS=200",
    )  # fmt: skip
    assert problems(found) == {"pw.x", "UPF", "command", "POTCARs", "launchpad", "section"}
    assert all(one["remedy"] for one in found.values() if one["state"] == "problem")
    assert "secret" not in json.dumps(list(found.values()))


def test_without_pw_a_machine_that_runs_vasp_has_no_problem_with_it(findings, tmp_path):
    program = tmp_path / "vasp_std"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (tmp_path / "library" / "potpaw_PBE.54" / "Ti_pv").mkdir(parents=True)
    found = findings(PATH="/nowhere", VASP_CMD=program, VASP_PP_PATH=tmp_path / "library", VASP_PP_VERSION="54")
    assert found["Quantum ESPRESSO", "pw.x"]["state"] == "note"
    assert "1 of PBE_54" in found["VASP", "POTCARs"]["told"]


def test_a_folder_that_cannot_be_written_to_is_told(findings, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write anywhere
    assert {"disk", "launchpad"} <= problems(findings(code=1))


@pytest.mark.espresso
def test_the_trial_runs_pw_as_a_calculation_would(findings, pw):
    found = findings("--test")
    assert found["Quantum ESPRESSO", "pw.x"]["state"] == "ok"
    assert "iterations" in found["trial", "SrTiO3"]["told"]


@pytest.mark.espresso
def test_a_command_that_does_not_start_fails_the_trial(findings, pw):
    (findings.folder / "heterodft.yaml").write_text("espresso: {command: mpirun -np 2 --nonsense pw.x}\n")
    assert problems(findings("--test", code=1)) == {"MPI", "SrTiO3"}
