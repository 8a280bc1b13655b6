"""The queue at scale: submitting, listing, checking out and running many calculations of two steps.

    python benchmarks/job_queue.py [--full] [--peers PYTHON]

``--full`` takes 10,000 chains instead of 1,000. The peers are FireWorks on mongomock, in this environment, and
jobflow (in memory) and AiiDA (SQLite profile), where the interpreter that ``--peers`` names has them. The trivial
job is a call of ``len`` or the like.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

from fireworks import Firework, FWorker, PyTask, Workflow

from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.chains import build_chain
from heterodft.workflows.configurations import expand
from heterodft.workflows.queue.launchpad import EmbeddedLaunchPad, add_workflows
from heterodft.workflows.queue.submission import submit
from heterodft.workflows.settings_file import load_settings

CAMPAIGN = """\
name: bench
code: espresso
materials: {SrTiO3: {prototype: perovskite, a: 3.905}}
structures: {bulk: {stack: [{material: SrTiO3, layers: 1}]}}
magnetism: {orders: [FM], moments: {Ti: 1.0}}
hubbard: {Ti-3d: 4.0}
method: {protocol: fast, cutoff: 20 Ry, kspacing: 1.7}
steps: [static, dos]
"""
WORKER = """
import logging, os, sys, time
from pathlib import Path
from fireworks import FWorker
from fireworks.core.rocket import Rocket
from heterodft.workflows.queue.launchpad import EmbeddedLaunchPad
launchpad, fworker = EmbeddedLaunchPad(Path(sys.argv[1]), "bench"), FWorker(f"worker-{os.getpid()}")
logging.disable(logging.INFO)
print("ready", flush=True)
sys.stdin.readline()
while Rocket(launchpad, fworker, None).run() or launchpad.future_run_exists():
    pass
os._exit(0)
"""
MONGOMOCK = """
import json, logging, os, sys, time
import mongomock
from fireworks import Firework, FWorker, LaunchPad, PyTask, Workflow
from fireworks.core import launchpad as module
from fireworks.core.rocket import Rocket
logging.disable(logging.INFO)
module.MongoClient = mongomock.MongoClient
launchpad = LaunchPad(strm_lvl="ERROR")
launchpad.reset("", require_password=False)
def task():
    return PyTask(func="builtins.len", args=[[1]])
n = int(sys.argv[1])
for i in range(n // 2):
    first = Firework(task(), fw_id=-2)
    launchpad.add_wf(Workflow([first, Firework(task(), parents=[first], fw_id=-1)]))
start = time.perf_counter()
while Rocket(launchpad, FWorker("bench"), None).run():
    pass
print(json.dumps(n / (time.perf_counter() - start)))
sys.stdout.flush()
os._exit(0)
"""
JOBFLOW = """
import json, logging, sys, time, warnings
warnings.simplefilter("ignore"); logging.disable(logging.INFO)
from jobflow import Flow, JobStore, job, run_locally
from maggma.stores import MemoryStore
step = job(abs)
def flow():
    first = step(-1)
    return Flow([first, step(first.output)])
n = int(sys.argv[1])
flows = [flow() for _ in range(n // 2)]
start = time.perf_counter()
run_locally(Flow(flows), store=JobStore(MemoryStore()), log=False, ensure_success=True)
print(json.dumps(n / (time.perf_counter() - start)))
"""
AIIDA = """
import json, logging, os, sys, time, warnings
warnings.simplefilter("ignore")
os.environ["AIIDA_PATH"] = sys.argv[2]
from aiida import load_profile
from aiida.storage.sqlite_dos import SqliteDosStorage
from aiida.manage.configuration import create_profile, get_config
from aiida.engine import calcfunction
from aiida.orm import Int
profile = create_profile(get_config(create=True), name="bench", email="a@b.c",
    storage_backend="core.sqlite_dos", storage_config={"filepath": sys.argv[2] + "/store"})
load_profile("bench")
@calcfunction
def step(x):
    return x + 1
n = int(sys.argv[1])
start = time.perf_counter()
for _ in range(n // 2):
    step(step(Int(1)))
print(json.dumps(n / (time.perf_counter() - start)))
"""


def many_chains(count: int) -> list[list[Any]]:
    """Two-step chains that differ a little; nothing of a request is computed yet."""
    path = Path("bench.yaml")
    path.write_text(CAMPAIGN)
    campaign = load_campaign(path)
    static, dos = build_chain(campaign, expand(campaign)[0])
    chains = []
    for number in range(count):
        structure = json.loads(json.dumps(static.structure))
        structure["lattice"][2][2] = 3.9 + number * 1e-6
        name = {"name": f"s{number:05}"}
        first = replace(static, structure=structure, about=static.about | name)
        chains.append([first, replace(dos, structure=structure, parent=first.id, about=dos.about | name)])
    return [[replace(request) for request in chain] for chain in chains]


def timed(action: Any) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def submissions(count: int) -> None:
    """Submit, submit again, list."""
    settings = load_settings()
    for what in ("submit", "submit again"):
        chains = many_chains(count)
        seconds = timed(lambda: submit(chains, settings))  # noqa: B023
        print(f"{what:14} {2 * count:6} calculations {seconds:7.2f} s")
    status = [sys.executable, "-m", "heterodft", "status"]
    seconds = min(timed(lambda: subprocess.run(status, check=True, capture_output=True)) for _ in range(3))
    print(f"{'status':14} {2 * count:6} calculations {seconds:7.2f} s")


def trivial(number: int) -> Workflow:
    first = Firework(PyTask(func="builtins.len", args=[[1]]), name=f"{number}/1", fw_id=-2)
    return Workflow([first, Firework(PyTask(func="builtins.len", args=[[1]]), parents=[first], fw_id=-1)])


def checkout(path: Path, count: int) -> float:
    """Median milliseconds of a checkout among many."""
    launchpad = EmbeddedLaunchPad(path, "bench")
    launchpad.reset("", require_password=False)
    add_workflows(launchpad, [trivial(i) for i in range(count)])
    times = sorted(timed(lambda: launchpad.checkout_fw(FWorker("bench"), ".")) for _ in range(50))
    launchpad.connection.close()
    return 1000 * times[25]


def ours(path: Path, jobs: int, workers: int) -> float:
    """Jobs per second of a number of workers."""
    launchpad = EmbeddedLaunchPad(path, "bench")
    launchpad.reset("", require_password=False)
    add_workflows(launchpad, [trivial(i) for i in range(jobs // 2)])
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    pool = [subprocess.Popen([sys.executable, "-c", WORKER, str(path)], **pipes) for _ in range(workers)]
    for worker in pool:
        worker.stdout.readline()
    start = time.perf_counter()
    for worker in pool:
        worker.stdin.write("\n")
        worker.stdin.flush()
    for worker in pool:
        worker.wait()
    seconds = time.perf_counter() - start
    ran = launchpad.fireworks.count_documents({"state": "COMPLETED"})
    launches = launchpad.launches.count_documents()
    assert ran == launches == jobs, f"{ran} of {jobs} completed in {launches} launches"
    launchpad.connection.close()
    return jobs / seconds


def peer(python: str, code: str, jobs: int, folder: Path) -> float | None:
    done = subprocess.run(
        [python, "-c", code, str(jobs), str(folder)], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(f"  it does not run: {(done.stderr.strip().splitlines() or ['?'])[-1][:100]}")
        return None
    return float(json.loads(done.stdout.strip().splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--peers", metavar="PYTHON")
    options = parser.parse_args()
    chains, jobs = (10_000, 4_000) if options.full else (1_000, 600)
    os.environ["FW_CONFIG_FILE"] = str(resources.files("heterodft.workflows.queue") / "fw_config.yaml")
    folder = Path(tempfile.mkdtemp(prefix="heterodft-queue-"))
    os.chdir(folder)
    try:
        submissions(chains)
        print(f"{'checkout':14} among {2 * chains} {checkout(folder / 'checkout.sqlite', chains):7.2f} ms")
        one, four = (ours(folder / f"{n}.sqlite", jobs, n) for n in (1, 4))
        print(f"1 worker       {one:7.0f} jobs/s\n4 workers      {four:7.0f} jobs/s")
        peers = [("FireWorks on mongomock", sys.executable, MONGOMOCK)]
        if options.peers:
            peers += [("jobflow run_locally", options.peers, JOBFLOW), ("AiiDA calcfunctions", options.peers, AIIDA)]
        for name, python, code in peers:
            rate = peer(python, code, 300, folder)
            told = (
                "does not run" if rate is None else f"{rate:7.1f} jobs/s; ours with 1 worker: {one / rate:.1f} times"
            )
            print(f"{name:24} {told}", flush=True)
    finally:
        os.chdir("/")
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
