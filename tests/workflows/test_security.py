"""Nothing of a file is executed, and passwords stay where they were written."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from test_launching import FakeSlurm

import heterodft
from heterodft.errors import CampaignError, HeterodftError, SettingsError
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.chains import campaign_chains
from heterodft.workflows.queue import batch_job, server
from heterodft.workflows.queue.batch import render
from heterodft.workflows.queue.batch_settings import read_batch_settings
from heterodft.workflows.queue.launching import launch
from heterodft.workflows.queue.launchpad import open_launchpad
from heterodft.workflows.queue.pool import WorkerPool
from heterodft.workflows.settings_file import load_settings

PACKAGE = Path(heterodft.__file__).parent
NASTY = ["a b", "a;touch canary", "$(touch canary)", "`touch canary`", "a'b", 'a"b', "-rf", "--help", "../up", "/etc",
         "a\ntouch canary", "a\n", "a|b", "a&b", "*", "~", ".", "..", "a\0b", ""]  # fmt: skip


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    yield tmp_path
    assert not list(tmp_path.rglob("canary*"))


# -- nothing is executed --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NASTY)
@pytest.mark.parametrize("place", ["name: tiny", "  bulk:"])
def test_a_name_that_a_shell_or_a_path_would_misread_is_refused(tiny_file, name, place):
    key, _, _ = place.rpartition("tiny") if place.endswith("tiny") else ("  ", "", "")
    written = json.dumps(name)
    text = tiny_file.read_text().replace(place, f"{key}{written}" + ("" if place.endswith("tiny") else ":"))
    tiny_file.write_text(text)
    with pytest.raises(CampaignError) as caught:
        load_campaign(tiny_file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", NASTY)
def test_a_material_of_any_name_stays_a_name(tiny_file, name, heterodft_inside):
    text = tiny_file.read_text().replace("  SrTiO3:", f"  {json.dumps(name)}:")
    tiny_file.write_text(text.replace("material: SrTiO3", f"material: {json.dumps(name)}"))
    try:
        chains, told = campaign_chains(load_campaign(tiny_file)), ""
    except HeterodftError as error:
        chains, told = [], str(error)
    assert "\n" not in told
    assert told or chains
    for request in (request for chain in chains for request in chain):
        assert re.fullmatch(r"[\w.+/-]+", request.path), request.path


@pytest.mark.espresso
@pytest.mark.parametrize(
    "command", ["env A=$(touch${IFS}canary) pw.x", "env A=`touch${IFS}canary`;touch${IFS}canary pw.x"]
)
def test_the_command_of_a_campaign_is_no_shell_line(pw, tiny_file, heterodft, command):
    text = tiny_file.read_text().replace("[NM, FM]", "[NM]").replace("[static, {dos: {kspacing: 0.9}}]", "[static]")
    tiny_file.write_text(text + f"run: {{command: {json.dumps(command)}}}\n")
    heterodft("submit", str(tiny_file))
    heterodft("run", "--quiet")
    assert not list(heterodft.folder.rglob("canary*"))


def test_a_folder_of_any_name_is_quoted_in_the_script_of_a_job(tmp_path):
    settings = load_settings(cores=1, batch={"scheduler": "slurm", "walltime": "1 h"})
    folder = tmp_path / "a b;touch canary $(touch canary2) 'c'"
    folder.mkdir()
    script = render(read_batch_settings(settings), name="heterodft", folder=folder, command=["echo", str(folder)])
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert str(folder) in done.stdout


@pytest.mark.parametrize(
    "tagged",
    [
        "!!python/object/apply:os.system ['touch canary']",
        "!!python/object/new:os.system ['touch canary']",
        "!!python/name:os.system",
        "!!python/module:os",
    ],
)
def test_yaml_makes_no_objects(tiny_file, tmp_path, tagged):
    text = tiny_file.read_text()
    for place in ("name: tiny", "code: espresso"):
        tiny_file.write_text(text.replace(place, f"{place.partition(':')[0]}: {tagged}"))
        with pytest.raises(CampaignError):
            load_campaign(tiny_file)
    (tmp_path / "heterodft.yaml").write_text(f"runs: {tagged}\n")
    with pytest.raises(SettingsError):
        load_settings()
    (tmp_path / "lp.yaml").write_text(f"host: {tagged}\nname: x\n")
    (tmp_path / "heterodft.yaml").write_text("launchpad: {file: lp.yaml}\n")
    with pytest.raises(SettingsError):
        open_launchpad(load_settings())


def modules():
    return sorted(PACKAGE.rglob("*.py"))


def test_no_module_reads_pickles_or_starts_a_shell():
    forbidden = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    calls = {"eval", "exec", "os.system", "os.popen", "subprocess.getoutput", "pickle.load"}
    found = []
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found += [(path.name, name) for name in names if name.partition(".")[0] in forbidden]
            if isinstance(node, ast.Call):
                found += [(path.name, name) for name in [ast.unparse(node.func)] if name in calls]
                found += [
                    (path.name, each.arg)
                    for each in node.keywords
                    if each.arg in ("shell", "allow_pickle") and ast.unparse(each.value) not in ("False", "one.shell")
                ]
    assert len(modules()) > 100
    # What goes through a pipe between this program and its own child is no file that somebody else may have written.
    assert {name for name, _ in found} <= {"separate_process.py"}


def test_every_yaml_reader_is_a_safe_one():
    kinds = [kind for path in modules() for kind in re.findall(r"YAML\(([^)]*)\)", path.read_text())]
    assert set(kinds) == {'typ="safe"', 'typ="rt"'}


# -- passwords ------------------------------------------------------------------------------------------------

SERVER = "mongodb://me:s3cret@127.0.0.1:1/?serverSelectionTimeoutMS=100"


def files_with(text, folder):
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def test_no_command_tells_the_password_of_the_server(tmp_path, tiny_file, heterodft_inside, monkeypatch):
    monkeypatch.setattr(server, "_TIMEOUT", {"serverSelectionTimeoutMS": 50})
    file = tmp_path / "heterodft.yaml"
    file.write_text(f"launchpad: {{host: '{SERVER}'}}\nbatch: {{scheduler: slurm, walltime: 1 h}}\ncores: 1\n")
    commands = (["status"], ["status", "--json"], ["run"], ["launch"], ["submit", "tiny.yaml"], ["lpad", "get_fws"])
    for words in (*commands, ["cancel", "tiny", "--yes"], ["retry", "--all-failed"], ["lpad", "version"]):
        done = heterodft_inside(*words, code=1)
        assert "s3cret" not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
    assert "#SBATCH" in heterodft_inside("launch", "--dry-run").stdout
    assert set(files_with("s3cret", tmp_path)) == {file}
    assert "s3cret" not in repr(load_settings())


@pytest.mark.parametrize(
    "host",
    ["mongo://me:s3cret@h", "mongodb://me:s3/s3cret@h/db", "mongodb://me:s3cret@h:p0rt", "mongodb://me:s3cret@[::1"],
)
def test_an_address_that_is_none_is_told_without_its_password(tmp_path, host, heterodft_inside):
    (tmp_path / "heterodft.yaml").write_text(f"launchpad: {{host: '{host}'}}\n")
    for words in (["status"], ["lpad", "get_fws"]):
        done = heterodft_inside(*words, code=1)
        assert "s3cret" not in done.stdout + done.stderr
        assert done.stderr.count("\n") == 1
        assert "launchpad: host:" in done.stderr


@pytest.mark.parametrize(
    "text",
    [
        f"launchpad: {{host: '{SERVER}'\n",
        f"launchpad: {{host: '{SERVER}', host: '{SERVER}'}}\n",
        f"launchpad:\n host: {SERVER}\n\tname: x\n",
        f"launchpad: {{host: [{SERVER}]}}\n",
        f'launchpad: {{host: "{SERVER}\\q"}}\n',
    ],
)
def test_a_settings_file_that_is_no_yaml_is_told_without_its_password(tmp_path, text):
    (tmp_path / "heterodft.yaml").write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_orders_of_a_job_hold_no_password_and_the_job_finds_the_server_itself(
    tmp_path, tiny_file, monkeypatch, heterodft_inside
):
    """The queue is a file here, so that there is one; only what is written down is that of a server."""
    heterodft_inside("submit", "tiny.yaml")
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    FakeSlurm(tmp_path / "bin")
    queue = load_settings()
    (tmp_path / "heterodft.yaml").write_text(f"launchpad: {{host: '{SERVER}'}}\n")
    settings = replace(load_settings(), cores=1, batch={"scheduler": "slurm", "walltime": "1 h"})
    pad = open_launchpad(queue)
    monkeypatch.setattr("heterodft.workflows.queue.launching.open_launchpad", lambda _settings: pad)
    monkeypatch.setattr("heterodft.workflows.queue.launching.recover", lambda _settings: [])
    launch(settings, read_batch_settings(settings), jobs=1)
    (orders,) = settings.runs.glob("workers/job-*/job.json")
    assert not files_with("s3cret", settings.runs)
    seen = []
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    monkeypatch.setattr(batch_job, "_adopt_orphans", lambda: None)
    monkeypatch.setattr(batch_job, "WorkerPool", lambda given, *_args, **_options: seen.append(given) or Nobody())
    monkeypatch.chdir(orders.parent)  # as a job starts
    batch_job.run_job(orders)
    assert seen[0].host == SERVER


class Nobody:
    pids: tuple[int, ...] = ()

    def start(self):
        pass

    def alive(self):
        return 0

    def stop(self):
        pass

    def reasons(self):
        return []


def test_the_password_is_no_argument_of_a_worker(tmp_path):
    settings = replace(load_settings(), host=SERVER, cores=1)
    settings.runs.mkdir()
    pool = WorkerPool(settings, 1)
    pool.start()
    try:
        assert "s3cret" not in " ".join(psutil.Process(pool.pids[0]).cmdline())
        while pool.alive():
            time.sleep(0.1)
    finally:
        pool.stop()
    (reason,) = pool.reasons()
    assert "cannot use the queue mongodb://…@127.0.0.1:1" in reason
    assert not files_with("s3cret", tmp_path)


# -- files of batch jobs that are half-written ----------------------------------------------------------------


@pytest.mark.parametrize("name", ["job.json", "job.id", "ended.json"])
def test_half_written_files_of_a_batch_job_stop_nothing(tmp_path, tiny_file, monkeypatch, heterodft_inside, name):
    (tmp_path / "heterodft.yaml").write_text("cores: 1\nbatch: {scheduler: slurm, walltime: 1 h}\n")
    heterodft_inside("submit", "tiny.yaml")
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    slurm = FakeSlurm(tmp_path / "bin")
    heterodft_inside("launch", "--reserve", "-n", "1")
    (folder,) = (tmp_path / "runs").glob("workers/job-*")
    (folder / "ended.json").write_text('{"job": "slurm.1", "reasons": ["the disk was full"]}')
    whole = (folder / name).read_bytes()
    slurm.end(1)
    for kept in (0, 1, len(whole) // 2):
        (folder / name).write_bytes(whole[:kept])
        (folder / "closed").unlink(missing_ok=True)
        heterodft_inside("launch", "--reserve", "-n", "1")
        slurm.end(*range(1, 20))
    heterodft_inside("launch", "--reserve", "-n", "1")
    assert json.loads(heterodft_inside("status", "--json").stdout)["counts"] == {
        "running": 1,
        "ready": 1,
        "waiting": 2,
    }
    if name == "job.json":
        (folder / name).write_bytes(whole[: len(whole) // 2])
        monkeypatch.setattr("sys.argv", ["batch_job", str(folder / name)])
        monkeypatch.setattr(batch_job.signal, "signal", lambda *_: None)
        with pytest.raises(SystemExit) as stop:
            batch_job.main()
        assert stop.value.code == 1
        assert "cannot read" in json.loads((folder / "ended.json").read_text())["reasons"][0]
