from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from heterodft.errors import ProgramNotFoundError, SettingsError
from heterodft.workflows.settings import Settings
from heterodft.workflows.settings_file import absolute_command, load_settings


@pytest.fixture(autouse=True)
def empty_machine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("HETERODFT_SETTINGS", "HETERODFT_HOST", "ESPRESSO_BIN_DIR", "ESPRESSO_PSEUDO"):
        monkeypatch.delenv(name, raising=False)


def write(text: str, path: str = "heterodft.yaml") -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def test_without_any_file_the_queue_is_one_file_below_runs(tmp_path):
    settings = load_settings()
    assert settings.queue_file == tmp_path / "runs" / "queue.sqlite"
    assert settings.runs == tmp_path / "runs"


def test_the_working_folder_wins_over_the_user(tmp_path):
    write("cores: 3\nruns: a", "config/heterodft/settings.yaml")
    write("runs: b")
    settings = load_settings()
    assert (settings.cores, settings.runs) == (3, tmp_path / "b")


def test_a_relative_queue_file_is_relative_to_its_settings_file(tmp_path):
    write("launchpad: {host: 'sqlite://q.sqlite'}", "config/heterodft/settings.yaml")
    assert load_settings().queue_file == tmp_path / "config" / "heterodft" / "q.sqlite"


def test_an_absolute_queue_file_stays():
    write("launchpad: {host: 'sqlite:///scratch/q.sqlite'}")
    assert load_settings().queue_file == Path("/scratch/q.sqlite")


def test_a_server_is_taken_as_it_is():
    write("launchpad: {host: 'mongodb://user:secret@server', name: mine}")
    settings = load_settings()
    assert (settings.host, settings.database) == ("mongodb://user:secret@server", "mine")
    assert settings.queue_file is None


def test_environment_variables_win_over_files(monkeypatch):
    write("espresso: {pseudo_dir: /a}")
    monkeypatch.setenv("ESPRESSO_PSEUDO", "/b")
    assert load_settings().pseudo_dir == Path("/b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("launchpat: {}", r"heterodft\.yaml: unknown key 'launchpat'; did you mean 'launchpad'"),
        ("launchpad: {hots: x}", r"launchpad: unknown key 'hots'; did you mean 'host'"),
        ("launchpad: here", "launchpad: expected keys host, name"),
        ("cores: many", "cores: 'many' is no number of cores"),
        ("launchpad: {host: 'mysql://x'}", "write sqlite://PATH or mongodb://SERVER"),
        ("[", r"heterodft\.yaml:[12]: "),  # the first line, or with ruamel.yaml 0.18 where the text ends
        ("cores: 0", "cores: 0 is no number of cores"),
        ("runs: 5", "runs: 5; give a text"),
        ("espresso: {bin_dir: [a]}", r"bin_dir: \['a'\]; give a text"),
    ],
)
def test_a_mistake_is_one_line(text, message):
    write(text)
    with pytest.raises(SettingsError, match=message) as caught:
        load_settings()
    assert "\n" not in str(caught.value)


def test_a_missing_settings_file_is_named(monkeypatch):
    monkeypatch.setenv("HETERODFT_SETTINGS", "gone.yaml")
    with pytest.raises(SettingsError, match=r"gone\.yaml, which does not exist"):
        load_settings()


def programs(folder: Path, *names: str) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)


def test_the_command_serves_every_program_and_any_number_of_cores(tmp_path, monkeypatch):
    programs(tmp_path / "bin", "pw.x", "projwfc.x", "srun")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    settings = load_settings(command="srun -n {cores} pw.x -nk 2")
    words = settings.command_for("projwfc.x", 4)
    assert words == ["srun", "-n", "4", str(tmp_path / "bin" / "projwfc.x"), "-nk", "2"]


def test_one_core_needs_no_mpi(tmp_path, monkeypatch):
    programs(tmp_path / "bin", "pw.x", "mpirun")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert load_settings().command_for("pw.x", 1) == [str(tmp_path / "bin" / "pw.x")]
    assert load_settings().command_for("pw.x", 2)[:3] == ["mpirun", "-np", "2"]


def test_k_points_are_shared_by_pools_unless_the_command_is_the_users(tmp_path, monkeypatch):
    programs(tmp_path / "bin", "pw.x", "mpirun", "srun")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert load_settings().command_for("pw.x", 4, pools=2)[-2:] == ["-nk", "2"]
    assert "-nk" not in load_settings().command_for("pw.x", 1, pools=1)
    assert "-nk" not in load_settings(command="srun -n {cores} pw.x").command_for("pw.x", 4, pools=2)
    assert load_settings(command="srun pw.x -nk {pools}").command_for("pw.x", 4, pools=2)[-2:] == ["-nk", "2"]


def test_a_missing_program_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProgramNotFoundError, match=r"pw\.x is not installed .*apt-get install quantum-espresso"):
        load_settings().command_for("pw.x", 2)


def test_a_command_must_name_pw(tmp_path):
    with pytest.raises(SettingsError, match=r"must name pw\.x once"):
        load_settings(command="mpirun vasp").command_for("pw.x", 2)


def test_unbalanced_quotes_in_a_command_are_told():
    with pytest.raises(SettingsError, match="No closing quotation; balance its quotes"):
        load_settings(command="mpirun 'pw.x").command_for("pw.x", 2)


def test_a_settings_file_that_is_no_text_is_told():
    Path("heterodft.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match=r"heterodft\.yaml"):
        load_settings()


def test_a_program_given_by_a_relative_path_is_found_from_everywhere(tmp_path):
    assert load_settings(command="./wrap.sh pw.x").command == f"{tmp_path}/wrap.sh pw.x"


def test_settings_survive_the_way_to_a_worker_and_a_password_stays_behind():
    settings = load_settings(host="mongodb://me:secret@server", cores=1)
    assert Settings.from_dict(settings.to_dict()) == settings
    assert "secret" not in str(settings.to_dict(secret=False))


def test_a_relative_program_is_found_from_a_folder_with_a_space(tmp_path, monkeypatch):
    folder = tmp_path / "my site"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert shlex.split(absolute_command("bash ./start -v pw.x")) == ["bash", f"{folder}/start", "-v", "pw.x"]


def test_the_grace_of_programs_is_read():
    write("grace: 5")
    assert load_settings().grace == 5


def test_handlers_may_touch_physics_only_when_asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert (load_settings().correct_physics, load_settings().reseed) == (False, False)
    Path("heterodft.yaml").write_text("corrections: {physics: true, reseed: true}\n")
    assert (load_settings().correct_physics, load_settings().reseed) == (True, True)
    Path("heterodft.yaml").write_text("corrections: {physics: maybe}\n")
    with pytest.raises(SettingsError, match="corrections: physics: 'maybe'; write true or false"):
        load_settings()
