from __future__ import annotations

import json

import pytest

from heterodft.templates.potcars import potcar_library
from heterodft.workflows.settings_file import load_settings

_OURS = (
    "HETERODFT_SETTINGS", "HETERODFT_HOST", "ESPRESSO_PSEUDO", "VASP_CMD", "VASP_COMMAND", "ASE_VASP_COMMAND",
    "FW_CONFIG_FILE", "ASE_CONFIG_PATH", "PMG_VASP_PSP_DIR", "PMG_DEFAULT_FUNCTIONAL", "VASP_PP_PATH",
)  # fmt: skip


@pytest.fixture
def settings(heterodft_inside, monkeypatch, tmp_path):
    for name in _OURS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def read(*words):
        rows = json.loads(heterodft_inside("settings", *words, "--json").stdout)
        return {row["key"]: (row["value"], row["origin"]) for row in rows}

    return read


def test_each_value_says_where_it_comes_from(settings, tmp_path, monkeypatch, tiny_text):
    user = tmp_path / "config" / "heterodft" / "settings.yaml"
    user.parent.mkdir(parents=True)
    user.write_text("cores: 3\ngrace: 5\n")
    (tmp_path / "heterodft.yaml").write_text("grace: 7\n")
    monkeypatch.setenv("VASP_CMD", "vasp")
    (tmp_path / "tiny.yaml").write_text(f"{tiny_text}run: {{command: mpirun pw.x}}\n")
    found = settings("tiny.yaml")
    assert found["cores"] == (3, str(user))
    assert found["grace"] == (7, "heterodft.yaml")
    assert found["vasp: command"] == ("vasp", "VASP_CMD")
    assert found["espresso: command"] == ("mpirun pw.x", "campaign tiny.yaml")
    assert found["orphans"] == ("adopt", "default")
    assert settings("--cores", "1")["cores"] == (1, "command line")


def test_passwords_are_not_shown(settings, monkeypatch):
    monkeypatch.setenv("HETERODFT_HOST", "mongodb://me:s@cret@server/x")
    assert settings()["launchpad: host"] == ("mongodb://…@server/x", "HETERODFT_HOST")
    monkeypatch.setenv("HETERODFT_HOST", "mongodb://server/?tls=true&tlsCertificateKeyFilePassword=s3cret&w=1")
    assert settings()["launchpad: host"][0] == "mongodb://server/?tls=true&tlsCertificateKeyFilePassword=…&w=1"


def test_files_of_ase_and_fireworks_are_honoured_where_ours_say_nothing(settings, tmp_path, monkeypatch):
    ase = tmp_path / "ase.ini"
    ase.write_text("[espresso]\ncommand = mpirun pw.x\npseudo_dir = /upf\n[vasp]\ncommand = srun vasp_std\n")
    fireworks = tmp_path / "FW_config.yaml"
    fireworks.write_text("LAUNCHPAD_LOC: pads/my_launchpad.yaml\n")
    monkeypatch.setenv("ASE_CONFIG_PATH", str(ase))
    monkeypatch.setenv("FW_CONFIG_FILE", str(fireworks))
    found = settings()
    assert found["espresso: command"] == ("mpirun pw.x", str(ase))
    assert found["espresso: pseudo_dir"] == ("/upf", str(ase))
    assert found["vasp: command"] == ("srun vasp_std", str(ase))
    assert found["launchpad: file"][0] == str(tmp_path / "pads" / "my_launchpad.yaml")
    (tmp_path / "heterodft.yaml").write_text("launchpad: {host: 'sqlite://q.sqlite'}\nvasp: {command: mine}\n")
    ours = load_settings()
    assert (ours.queue_file, ours.launchpad_file) == (tmp_path / "q.sqlite", None)
    assert (ours.vasp_command, ours.command) == ("mine", "mpirun pw.x")


def test_the_library_of_ase_is_taken_where_pymatgen_has_none(settings, tmp_path, monkeypatch):
    for name in ("pmg", "ase"):
        (tmp_path / name / "potpaw_PBE.52").mkdir(parents=True)
    monkeypatch.setenv("PMG_CONFIG_FILE", str(tmp_path / "none.yaml"))
    monkeypatch.setenv("VASP_PP_PATH", str(tmp_path / "ase"))
    monkeypatch.setenv("VASP_PP_VERSION", "52")
    assert potcar_library() == ("PBE_52", tmp_path / "ase" / "potpaw_PBE.52")
    monkeypatch.setenv("PMG_VASP_PSP_DIR", str(tmp_path / "pmg"))
    monkeypatch.setenv("PMG_DEFAULT_FUNCTIONAL", "PBE_52")
    assert potcar_library()[1] == tmp_path / "pmg" / "potpaw_PBE.52"


def test_an_unknown_key_is_told_with_what_was_meant(settings, tmp_path, heterodft_inside):
    (tmp_path / "heterodft.yaml").write_text("core: 3\n")
    assert "did you mean 'cores'" in heterodft_inside("settings", code=1).stderr
