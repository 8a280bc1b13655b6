"""Batch jobs for a queue: how many, what is reserved, and what is recorded when they are over."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace

import pytest
from fireworks import FWAction, FWorker

from heterodft.errors import QueueError, StorageError
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.chains import build_chain
from heterodft.workflows.configurations import expand
from heterodft.workflows.queue import worker
from heterodft.workflows.queue.batch_job import run_job
from heterodft.workflows.queue.batch_settings import read_batch_settings
from heterodft.workflows.queue.firetasks import interrupted, machine_failures
from heterodft.workflows.queue.identity import worker_name
from heterodft.workflows.queue.launching import launch, lead_seconds
from heterodft.workflows.queue.launchpad import open_launchpad
from heterodft.workflows.queue.limits import TimeLeft, check_disk
from heterodft.workflows.queue.pool import WorkerPool
from heterodft.workflows.queue.submission import submit
from heterodft.workflows.queue.summary import count_states, read_queue
from heterodft.workflows.settings_file import load_settings

SBATCH = """#!/bin/sh
test -e refuse && { echo "sbatch: error: no such partition" >&2; exit 1; }
cd FOLDER
number=$(($(cat last 2>/dev/null || echo 0) + 1))
echo $number > last
echo "$number PENDING" >> jobs
echo "Submitted batch job $number"
"""
SQUEUE = "#!/bin/sh\ncat FOLDER/jobs 2>/dev/null\nexit 0\n"


class FakeSlurm:
    """Jobs that wait for ever in a text file."""

    def __init__(self, folder):
        self.folder = folder
        for name, text in {"sbatch": SBATCH, "squeue": SQUEUE}.items():
            path = folder / name
            path.write_text(text.replace("FOLDER", str(folder)).replace("refuse", str(folder / "refuse")))
            path.chmod(0o755)

    def end(self, *numbers):
        lines = (self.folder / "jobs").read_text().splitlines(keepends=True)
        (self.folder / "jobs").write_text("".join(x for x in lines if int(x.split()[0]) not in numbers))


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return FakeSlurm(folder)


@pytest.fixture
def settings(tmp_path, monkeypatch, tiny_file):
    """A queue of two chains of two steps."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    settings = load_settings(cores=2, batch={"scheduler": "slurm", "walltime": "1 h"})
    campaign = load_campaign(tiny_file)
    submit([build_chain(campaign, configuration) for configuration in expand(campaign)], settings)
    return settings


def batch_of(settings, **changes):
    return read_batch_settings(settings, **changes)


def counts(settings):
    return count_states(read_queue(settings))


def orders(settings):
    paths = sorted((settings.runs / "workers").glob("job-*/job.json"))
    return [json.loads(path.read_text()) for path in paths]


def test_no_more_pilots_than_there_is_work_and_never_more_than_allowed(settings, slurm):
    assert launch(settings, batch_of(settings), jobs=1).submitted == ["slurm.1"]
    assert launch(settings, batch_of(settings, max_jobs=1)).submitted == []
    assert launch(settings, batch_of(settings)).submitted == ["slurm.2"], "two calculations are ready"
    again = launch(settings, batch_of(settings))
    assert (again.submitted, again.active, again.left) == ([], 2, 2)
    slurm.end(1)
    assert launch(settings, batch_of(settings, per_job=2)).submitted == [], "the other one takes both"
    assert counts(settings) == {"waiting": 2, "ready": 2}


def test_a_refused_job_leaves_nothing_reserved(settings, slurm):
    (slurm.folder / "refuse").touch()
    for mode in ("pilot", "reserve", "offline"):
        with pytest.raises(QueueError, match="sbatch refused the job: sbatch: error: no such partition"):
            launch(settings, batch_of(settings), mode=mode)
        assert counts(settings) == {"waiting": 2, "ready": 2}
    (slurm.folder / "refuse").unlink()
    assert len(launch(settings, batch_of(settings), mode="reserve").submitted) == 2
    assert counts(settings) == {"waiting": 2, "running": 2}


def test_the_orders_of_a_job_are_for_its_owner_and_hold_no_password_offline(settings, slurm):
    launch(settings, batch_of(settings), mode="offline", jobs=1)
    (folder,) = (settings.runs / "workers").glob("job-*")
    assert folder.stat().st_mode & 0o077 == 0
    (order,) = orders(settings)
    (task,) = order["tasks"]
    assert [entry["folder"].rpartition("/")[2] for entry in task["chain"]] == ["static", "dos"]
    assert task["chain"][1]["parent"] == task["chain"][0]["identity"]


@pytest.mark.parametrize("mode", ["reserve", "offline"])
def test_what_a_lost_job_was_to_run_is_put_back(settings, slurm, mode):
    launch(settings, batch_of(settings), mode=mode)
    slurm.end(1)
    done = launch(settings, batch_of(settings), mode=mode)
    assert done.put_back == ["tiny/bulk/NM/Ti-3d-4eV/static"]
    assert done.submitted == ["slurm.3"], "it goes to a new job"
    assert done.ended[0][0] == "slurm.1"


def test_reservations_of_a_launcher_that_died_before_its_submission_are_put_back(settings, slurm):
    launchpad = open_launchpad(settings)
    from fireworks import FWorker

    launchpad.reserve_fw(FWorker(name=f"{os.uname().nodename}:999999:1.0"), "/")
    assert counts(settings) == {"waiting": 2, "ready": 1, "running": 1}
    assert launch(settings, batch_of(settings), jobs=1).put_back == ["tiny/bulk/NM/Ti-3d-4eV/static"]


def test_results_and_failures_of_offline_jobs_are_recorded_when_the_job_is_over(settings, slurm, monkeypatch):
    from heterodft.analysis.result import Result

    launch(settings, batch_of(settings, per_job=2), mode="offline")
    (order,) = orders(settings)
    first, second = (task["chain"] for task in order["tasks"])
    for entry in first:
        stub(entry)
    failure = {"reason": "no convergence", "interrupted": False}
    (settings.resolved(second[0]["folder"]) / "failure.json").write_text(json.dumps(failure))
    monkeypatch.setattr(Result, "load", classmethod(lambda cls, folder: Finished()))
    assert launch(settings, batch_of(settings), mode="offline").left == 2, "the job still runs"
    slurm.end(1)
    assert launch(settings, batch_of(settings), mode="offline").left == 0
    assert counts(settings) == {"done": 2, "failed": 1, "blocked": 1}


class Finished:
    energy, converged = -1.0, True


def stub(entry):
    from pathlib import Path

    folder = Path(entry["folder"])
    (folder / "result.json").write_text(json.dumps({"id": entry["identity"]}))
    (folder / "result.npz").write_bytes(b"")


@pytest.mark.parametrize("mode", ["reserve", "offline"])
def test_a_job_that_never_began_does_not_repeat_an_earlier_failure(settings, slurm, mode):
    failure = {"reason": "of last week", "interrupted": False}
    for entry in read_queue(settings):
        (entry.folder / "failure.json").write_text(json.dumps(failure))
    launch(settings, batch_of(settings), mode=mode, jobs=1)
    slurm.end(1)
    done = launch(settings, batch_of(settings, max_jobs=1), mode=mode)
    assert done.ended == [("slurm.1", "it never began: it was cancelled, or the batch system dropped it")]
    assert done.put_back == ["tiny/bulk/NM/Ti-3d-4eV/static"]
    assert "failed" not in counts(settings)


def test_the_command_of_a_campaign_is_for_either_code(settings):
    given = replace(settings, vasp_gamma_command="vasp_gam").with_command("srun prog")
    assert (given.command, given.vasp_command, given.vasp_gamma_command) == ("srun prog", "srun prog", None)
    assert settings.with_command(None) is settings


def test_an_interrupted_offline_calculation_runs_again(settings, slurm):
    launch(settings, batch_of(settings), mode="offline", jobs=1)
    (order,) = orders(settings)
    entry = order["tasks"][0]["chain"][0]
    failure = {"reason": "interrupted", "interrupted": True}
    (settings.resolved(entry["folder"]) / "failure.json").write_text(json.dumps(failure))
    slurm.end(1)
    assert launch(settings, batch_of(settings), mode="offline", jobs=1).put_back == ["tiny/bulk/NM/Ti-3d-4eV/static"]


def test_a_job_that_was_not_registered_runs_nothing(settings, slurm, monkeypatch):
    launch(settings, batch_of(settings), jobs=1)
    (file,) = (settings.runs / "workers").glob("job-*/job.json")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with pytest.raises(QueueError, match=r"this job is slurm.7, but .* was registered for slurm.1; nothing is run"):
        run_job(file)


def test_the_queue_file_is_refused_on_another_host(settings, slurm, monkeypatch):
    launch(settings, batch_of(settings), jobs=1)
    (file,) = (settings.runs / "workers").glob("job-*/job.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"host": "login1"}))
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    with pytest.raises(QueueError, match=r"is a file for one host, login1, .* use --offline, or a MongoDB server"):
        run_job(file)


def test_a_job_stops_its_programs_in_time(settings):
    assert lead_seconds(batch_of(settings, walltime="24 h"), settings) == 20 + 10 + 120
    assert lead_seconds(batch_of(settings, walltime="1 min"), settings) == 30
    assert lead_seconds(batch_of(settings, walltime="1 min"), replace(settings, grace=5)) == 16


def test_nothing_new_is_begun_in_the_last_tenth_of_the_time(settings):
    now = time.time()
    assert TimeLeft(settings).for_another()
    assert TimeLeft(replace(settings, deadline=now + 10)).for_another()
    assert not TimeLeft(replace(settings, deadline=now - 1)).for_another()
    left = TimeLeft(replace(settings, deadline=now + 1))
    time.sleep(0.92)
    assert not left.for_another()


@pytest.mark.parametrize(("cores", "jobs", "shares"), [(5, 2, [3, 2]), (4, 2, [2, 2]), (8, 3, [3, 3, 2])])
def test_cores_that_do_not_divide_go_to_the_first_workers(settings, cores, jobs, shares):
    pool = WorkerPool(replace(settings, cores=cores), jobs)
    assert [pool._share(number) for number in range(jobs)] == shares


def test_of_two_runs_at_once_each_counts_what_its_own_workers_ended(settings):
    pool = WorkerPool(settings, 1)
    pool._names = [worker_name()]
    launchpad = open_launchpad(settings)
    for name, end in ((worker_name(), "COMPLETED"), ("other:1:0", "FIZZLED")):
        _, launched = launchpad.checkout_fw(FWorker(name), str(settings.runs))
        launchpad.complete_launch(launched, FWAction(), end)
    entries = read_queue(settings)
    assert {entry.identity for entry in entries if entry.state == "done"} == pool.ended()
    assert count_states(entries)["failed"] == 1
    assert not WorkerPool(settings, 1).ended()


def test_a_worker_takes_nothing_on_a_disk_that_is_almost_full(settings):
    with pytest.raises(StorageError, match=r"GB are free on the disk of .*runs, of which 1e\+09 are kept free"):
        check_disk(replace(settings, keep_free=1e9))
    options = {"settings": replace(settings, keep_free=1e9).to_dict(), "parent": os.getppid()}
    with pytest.raises(StorageError):
        worker.work(options)
    assert counts(settings) == {"waiting": 2, "ready": 2}


def test_a_machine_where_nothing_runs_does_not_burn_the_queue(settings, tmp_path, monkeypatch, tiny_file):
    for name in ("tiny2", "tiny3"):
        file = tmp_path / f"{name}.yaml"
        text = tiny_file.read_text().replace("3.905", f"3.9{name[-1]}")
        file.write_text(text.replace("name: tiny", f"name: {name}"))
        campaign = load_campaign(file)
        submit([build_chain(campaign, c) for c in expand(campaign)], settings)
    before = counts(settings)
    broken = replace(settings, bin_dir=tmp_path / "nothing-here")
    with pytest.raises(QueueError, match=r"3 calculations in a row could not run on this machine; .*pw.x is not"):
        worker.work({"settings": broken.to_dict(), "parent": os.getppid()})
    assert counts(settings) == before
    machine_failures.clear()
    interrupted.clear()


def test_run_says_why_its_worker_stopped(settings, heterodft, tmp_path):
    (tmp_path / "heterodft.yaml").write_text("disk: {free: 1000000000}\n")
    done = heterodft("run", code=1)
    assert "kept free; free some space or lower disk: free:" in done.stderr


def test_launch_prints_the_script_and_nothing_else(settings, heterodft, tmp_path):
    (tmp_path / "heterodft.yaml").write_text("batch: {scheduler: pbs, walltime: 4 h, cores: 2}\n")
    done = heterodft("launch", "--dry-run", "--walltime", "90 min")
    assert "#PBS -l walltime=01:30:00" in done.stdout
    assert "-m heterodft.workflows.queue.batch_job job.json" in done.stdout
    assert not list((settings.runs).glob("workers/job-*"))
    assert "-j" in heterodft("launch", "--reserve", "-j", "2", code=2).stderr
