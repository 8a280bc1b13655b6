"""Batch jobs in a real Slurm with two nodes, with a real pw.x."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from slurm_cluster import PROGRAMS, Cluster, find

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.slurm, pytest.mark.espresso]

BATCH = """\
grace: 5
batch: {scheduler: slurm, walltime: 10 min, cores: 2, memory: 500 MB, options: ['--comment="a test"']}
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    missing = [program for program in PROGRAMS if find(program) is None]
    if missing and os.environ.get("CI"):
        pytest.fail(f"{', '.join(missing)} missing in CI; tools/install_system.sh --tests installs them")
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed; run: tools/install_system.sh --tests")
    cluster = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@dataclass
class Site:
    """A folder with a queue and settings, beside a cluster."""

    program: Any
    cluster: Cluster

    @property
    def folder(self) -> Path:
        return self.program.folder

    def __call__(self, *words: str, code: int | None = 0) -> Any:
        return self.program(*words, code=code, environment=self.cluster.environment)

    def counts(self) -> dict[str, int]:
        return json.loads(self("status", "--json").stdout)["counts"]

    def logs(self) -> str:
        paths = sorted(self.folder.glob("runs/workers/job-*/*"))
        return "\n".join(f"--- {path}\n{path.read_text()}" for path in paths)

    def wait(self, ready: Callable[[], bool], seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not ready():
            assert time.monotonic() < end, f"{self.cluster.jobs()} {self.counts()}\n{self.logs()}"
            time.sleep(0.2)

    def processes(self) -> list[psutil.Process]:
        """Return what runs below this folder."""
        found = []
        for process in psutil.process_iter(["name"]):
            try:
                if process.cwd().startswith(str(self.folder)) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def programs(self) -> list[str]:
        """Return the names of what runs below this folder."""
        return [process.info["name"] for process in self.processes()]


@pytest.fixture
def site(tmp_path: Path, heterodft_in: Any, cluster: Cluster, pw: str) -> Iterator[Site]:
    folder = tmp_path / "a site"  # with a space, as users have them
    folder.mkdir()
    (folder / "heterodft.yaml").write_text(BATCH)
    site = Site(heterodft_in(folder), cluster)
    yield site
    for job in cluster.jobs():
        cluster("scancel", job)
    site.wait(lambda: not cluster.jobs())
    site.wait(lambda: not site.programs(), 10)


def submit(site: Site, text: str) -> None:
    (site.folder / "tiny.yaml").write_text(text)
    site("submit", "tiny.yaml")


def slow(text: str) -> str:
    """A calculation of half a minute and more."""
    dense = text.replace("[NM, FM]", "[NM]").replace("20 Ry, kspacing: 1.7", "40 Ry, kspacing: 0.1")
    return dense.replace("[static, {dos: {kspacing: 0.9}}]", "[static]")


def test_pilot_jobs_drain_the_queue_with_two_calculations_at_a_time(site, tiny_text):
    submit(site, tiny_text)
    done = site("launch", "-j", "2", "--watch", "--every", "1")
    assert done.stdout.count("Submitted") == 1, "two chains fit into one job"
    assert site.counts() == {"done": 4}
    assert not site.programs()
    energies = {path.parent.name for path in site.folder.glob("runs/tiny/bulk/*/*/static/result.json")}
    assert energies == {"static"}


def test_reserved_calculations_run_one_a_job_and_no_more_jobs_than_allowed(site, tiny_text):
    submit(site, tiny_text.replace("[static, {dos: {kspacing: 0.9}}]", "[static]"))
    assert "1 jobs wait or run, the most" in site("launch", "--reserve", "--max-jobs", "1").stdout
    assert "Submitted" not in site("launch", "--reserve", "--max-jobs", "1").stdout
    site("launch", "--reserve", "--max-jobs", "2", "--watch", "--every", "1")
    assert site.counts() == {"done": 2}
    assert len(list(site.folder.glob("runs/workers/job-*/closed"))) == 2


def test_jobs_without_the_queue_leave_results_that_the_next_call_records(site, tiny_text):
    submit(site, tiny_text)
    queue, away = site.folder / "runs" / "queue.sqlite", site.folder / "queue-out-of-reach"
    site("launch", "--offline", "-j", "2")
    queue.rename(away)
    site.wait(lambda: not site.cluster.jobs())
    assert not queue.exists(), "nobody looked for the queue"
    away.rename(queue)
    assert len(list(site.folder.glob("runs/tiny/bulk/*/*/*/result.json"))) == 4, site.logs()
    assert site.counts() == {"running": 2, "waiting": 2}
    assert "Nothing is left to run." in site("launch", "--offline").stdout
    assert site.counts() == {"done": 4}


def test_cancelled_jobs_give_their_calculations_back_and_end_their_programs(site, tiny_text):
    submit(site, slow(tiny_text))
    site.cluster("sbatch", "--exclusive", "--nodes=2", "--output=/dev/null", "--wrap", "exec sleep 600")
    site("launch", "--reserve")
    blocker, pending = sorted(site.cluster.jobs(), key=int)
    assert site.counts() == {"running": 1}
    site.cluster("scancel", pending)
    site.wait(lambda: pending not in site.cluster.jobs())
    again = site("launch", "--reserve")
    assert "Put back into the queue: tiny/bulk/NM" in again.stderr
    assert "Submitted" in again.stdout
    site.cluster("scancel", blocker)
    site.wait(lambda: "pw.x" in site.programs())
    site.cluster("scancel", max(site.cluster.jobs(), key=int))
    site.wait(lambda: not site.programs(), 30)
    site.wait(lambda: not site.cluster.jobs())
    assert site.counts() == {"ready": 1}, site.logs()


def test_cancel_ends_what_a_job_without_the_queue_runs_and_takes_a_waiting_job_along(site, tiny_text):
    submit(site, slow(tiny_text))
    site("launch", "--offline")
    site.wait(lambda: "pw.x" in site.programs())
    told = site("cancel", "tiny", "--yes")
    assert "was given to a batch job" in told.stderr
    assert "0 of them running;" in told.stdout, "a running job is not killed, but ends by itself"
    site.wait(lambda: not site.programs(), 30)
    site.wait(lambda: not site.cluster.jobs(), 30)
    assert site.counts() == {"cancelled": 1}
    site("retry", "--cancelled")
    site.cluster("sbatch", "--exclusive", "--nodes=2", "--output=/dev/null", "--wrap", "exec sleep 600")
    site("launch", "--offline")
    blocker, pending = sorted(site.cluster.jobs(), key=int)
    assert f"with the batch jobs slurm.{pending}" in site("cancel", "tiny", "--yes").stdout
    site.wait(lambda: list(site.cluster.jobs()) == [blocker])


def test_a_job_that_is_killed_outright_gives_its_calculation_back(site, tiny_text):
    submit(site, slow(tiny_text))
    site("launch")
    site.wait(lambda: "pw.x" in site.programs())
    (job,) = site.cluster.jobs()
    for process in site.processes():
        if process.name().startswith("python"):
            process.kill()
    site.wait(lambda: not site.cluster.jobs())
    assert site.counts() == {"running": 1}
    again = site("launch", "-n", "1")
    assert f"slurm.{job} ended early: it ended without a word" in again.stderr
    assert "Put back into the queue: tiny/bulk/NM" in again.stderr
    assert "Submitted" in again.stdout
    (record,) = site.folder.glob("runs/tiny/bulk/NM/*/static/custodian.json")
    site.wait(lambda: len(json.loads(record.read_text())) == 2)


def test_a_calculation_goes_on_from_job_to_job_as_often_as_the_walltime_ends_it(site, tiny_text):
    """Each job has some fifteen seconds for pw.x, which stops by its own clock and leaves a checkpoint."""
    (site.folder / "heterodft.yaml").write_text(BATCH.replace("memory", "setup: [sleep 15], memory"))
    one = tiny_text.replace("[NM, FM]", "[NM]").replace("[static, {dos: {kspacing: 0.9}}]", "[static]")
    for settings in ("40 Ry, kspacing: 0.5", "60 Ry, kspacing: 0.3", "60 Ry, kspacing: 0.2", "60 Ry, kspacing: 0.12"):
        # until it is too much for one job on this machine
        submit(site, one.replace("20 Ry, kspacing: 1.7", settings))
        before = set(site.folder.glob("runs/workers/job-*"))
        site("launch", "--walltime", "1min", "--watch", "--every", "1")
        assert set(site.counts()) == {"done"}, site.logs()
        assert not site.programs()
        logs = site.folder.glob("runs/tiny/bulk/NM/*/static/custodian.json")
        log = max(logs, key=lambda path: path.stat().st_mtime)
        starts = [entry["job"]["start"] for entry in json.loads(log.read_text())]
        if len(starts) > 1:
            break
    assert starts == ["scratch"] + ["checkpoint"] * (len(starts) - 1)
    assert len(starts) > 1
    assert len(set(site.folder.glob("runs/workers/job-*")) - before) >= len(starts)
    outputs = [path.read_text() for path in log.parent.glob("pw.out*")]
    assert sum("Maximum CPU time exceeded" in text for text in outputs) == len(starts) - 1


DRIVEN = """\
name: tiny
code: espresso
materials:
  SrTiO3: {prototype: perovskite, a: 3.905}
structures:
  bulk: {stack: [{material: SrTiO3, layers: 1}]}
magnetism: {orders: [NM]}
method: {protocol: fast, cutoff: 20 Ry, kspacing: 1.7}
steps: [static]
converge:
  cutoff: {values: [15 Ry, 20 Ry, 25 Ry, 30 Ry], quantities: {energy: 20 eV/atom}, start_from: START}
"""


@pytest.mark.parametrize(("mode", "start"), [("pilot", "previous"), ("reserve", "scratch"), ("offline", "previous")])
def test_a_driver_goes_on_from_job_to_job_and_stops_by_itself(site, mode, start):
    (site.folder / "tiny.yaml").write_text(DRIVEN.replace("START", start))
    site("converge", "tiny.yaml", code=None)
    site("launch", *([] if mode == "pilot" else [f"--{mode}"]), "--watch", "--every", "1")
    answer = json.loads(site("converge", "tiny.yaml", "--json").stdout)["cutoff"]
    assert answer["ended"]
    assert answer["converged"]
    assert site.counts() == {"done": 2}, "the third and the fourth were not needed"
    jobs = list(site.folder.glob("runs/workers/job-*/closed"))
    assert len(jobs) == (1 if mode == "pilot" else 2)
    assert not (site.folder / "FW.json").exists(), "looks that launch made itself leave nothing here"
    (told,) = json.loads(site("status", "--json").stdout)["drivers"]
    assert told["ended"]
