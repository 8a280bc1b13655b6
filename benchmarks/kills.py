"""Workers killed at random moments: is anything lost, does anything run twice?

    python benchmarks/kills.py --jobs 500 --kills 300 --workers 4

A small program stands in for pw.x: it notes its start and its end in the folder, sleeps, and leaves the outputs of
one real run; everything else (queue, worker, Custodian, reader, result) is as it is with the real one. Workers are
killed with SIGKILL, which nothing can catch; a few get SIGTERM. The real pw.x is killed in the tests.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from heterodft.workflows.calculation import finished_id, read_request
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.chains import campaign_chains
from heterodft.workflows.queue.pool import recover
from heterodft.workflows.queue.submission import submit
from heterodft.workflows.queue.summary import count_states, read_queue
from heterodft.workflows.queue.worker import main as worker_main
from heterodft.workflows.runner import run_calculation
from heterodft.workflows.settings_file import load_settings

if TYPE_CHECKING:
    from heterodft.workflows.settings import Settings

CAMPAIGN = """\
name: kills
code: espresso
materials:
  SrTiO3: {prototype: perovskite, a: 3.905}
structures:
  bulk: {stack: [{material: SrTiO3, layers: 1}]}
magnetism: {orders: [NM]}
method: {protocol: fast, cutoff: 20 Ry, kspacing: 1.7}
steps: [static]
"""

PROGRAM = """\
#!/bin/sh
# Stands in for pw.x: leaves the outputs of a real run, and a trace of each start and end.
case "$*" in *-in*) ;; *) exec REAL_PW "$@" ;; esac
echo "$$ start $(date +%s%N)" >> trace
sleep SECONDS
cp -r CANNED/pwscf.save .
cat CANNED/pw.out
echo "$$ end $(date +%s%N)" >> trace
"""


def prepare(folder: Path, jobs: int, seconds: float) -> Settings:
    """Run one real calculation, put the stand-in into the place of pw.x, and submit the jobs."""
    (folder / "k.yaml").write_text(CAMPAIGN)
    settings = replace(load_settings(), cores=1)
    request = campaign_chains(load_campaign(folder / "k.yaml"))[0][0]
    canned = folder / "canned"
    canned.mkdir()
    shutil.copytree(make_real(request, settings), canned, dirs_exist_ok=True)
    bin_dir = folder / "bin"
    bin_dir.mkdir()
    text = PROGRAM.replace("REAL_PW", settings.program("pw.x")).replace("CANNED", str(canned))
    for name in ("pw.x", "projwfc.x", "pp.x"):
        (bin_dir / name).write_text(text.replace("SECONDS", str(seconds)))
        (bin_dir / name).chmod(0o755)
    settings = replace(settings, bin_dir=bin_dir, keep_free=0.0)
    submit([[_variant(request, number)] for number in range(jobs)], settings)
    return settings


def make_real(request, settings):
    from heterodft.workflows.calculation import write_request

    folder = settings.runs.parent / "real"
    write_request(request, folder)
    run_calculation(folder, request.id, settings)
    return folder


def _variant(request, number):
    changed = replace(request.settings, scf_tolerance=request.settings.scf_tolerance * (1 + 1e-3 * number))
    return replace(request, settings=changed, about=request.about | {"name": f"job-{number:04}"})


def start_worker(settings: Settings) -> int:
    """Fork a worker; this process has imported everything already."""
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    options = json.dumps({"settings": settings.to_dict(), "parent": os.getppid()})
    read, write = os.pipe()
    os.write(write, options.encode())
    os.close(write)
    os.dup2(read, 0)
    sys.stdin = os.fdopen(0)
    log = os.open(settings.runs / f"worker-{os.getpid()}.log", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.dup2(log, 1)
    os.dup2(log, 2)
    worker_main()
    os._exit(0)


def drain(settings: Settings, workers: int, kills: int, seed: int) -> dict[str, int]:
    """Run the queue with workers that are killed and replaced until nothing is left."""
    chance = random.Random(seed)  # noqa: S311
    alive = [start_worker(settings) for _ in range(workers)]
    done = {"SIGKILL": 0, "SIGTERM": 0, "put back": 0}
    while alive:
        time.sleep(chance.uniform(0.0, 0.25))
        for pid in list(alive):
            if os.waitpid(pid, os.WNOHANG)[0]:
                alive.remove(pid)
        if done["SIGKILL"] + done["SIGTERM"] < kills and alive:
            kind = "SIGTERM" if chance.random() < 0.1 else "SIGKILL"
            victim = chance.choice(alive)
            os.kill(victim, getattr(signal, kind))
            os.waitpid(victim, 0)
            alive.remove(victim)
            done[kind] += 1
            if chance.random() < 0.5:  # the others find it, or the next `heterodft run`
                done["put back"] += len(recover(settings))
            alive.append(start_worker(settings))
    if any(entry.state in ("ready", "running", "waiting") for entry in read_queue(settings)):
        recover(settings)
        more = drain(settings, workers, 0, seed + 1)
        done["put back"] += more["put back"]
    return done


def examine(settings: Settings) -> dict[str, int]:
    """Count what became of every job."""
    kinds = ("jobs", "done", "lost", "wrong state", "started again", "two at once", "ran after the end")
    found = dict.fromkeys(kinds, 0)
    for entry in read_queue(settings):
        found["jobs"] += 1
        finished = finished_id(entry.folder) == read_request(entry.folder).id == entry.identity
        found["done"] += finished and entry.state == "done"
        found["lost"] += not finished
        found["wrong state"] += finished != (entry.state == "done")
        events = [line.split()[:2] for line in (entry.folder / "trace").read_text().splitlines()]
        starts = sum(kind == "start" for _, kind in events)
        first_end = next((i for i, (_, kind) in enumerate(events) if kind == "end"), len(events))
        found["started again"] += starts > 1
        found["ran after the end"] += any(kind == "start" for _, kind in events[first_end + 1 :])
        found["two at once"] += _overlap(events)
    found["programs left"] = _left(settings)
    return found


def _overlap(events: list[list[str]]) -> bool:
    """Tell whether two programs both came to an end after both had started."""
    running: set[str] = set()
    for pid, kind in events:
        if kind == "start":
            running.add(pid)
        elif len(running) > 1 and any(other != pid and [other, "end"] in events for other in running):
            return True
        else:
            running.discard(pid)
    return False


def _left(settings: Settings) -> int:
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return sum(str(settings.bin_dir) in line for line in listed.splitlines())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("jobs", 100), ("kills", 60), ("workers", 4), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--seconds", type=float, default=0.2, help="that the stand-in for pw.x takes")
    parser.add_argument("--folder", type=Path, help="a new one; by default in the temporary folder")
    chosen = parser.parse_args()
    folder = chosen.folder or Path(os.environ.get("TMPDIR", "/tmp")) / f"kills-{os.getpid()}"  # noqa: S108
    folder.mkdir(parents=True)
    os.chdir(folder)
    settings = prepare(folder, chosen.jobs, chosen.seconds)
    started = time.monotonic()
    killed = drain(settings, chosen.workers, chosen.kills, chosen.seed)
    found = examine(settings)
    print(f"{chosen.jobs} jobs, {chosen.workers} workers, {time.monotonic() - started:.0f} s")
    print("workers ended: " + ", ".join(f"{count} by {kind}" for kind, count in killed.items() if kind != "put back"))
    for kind, count in found.items():
        print(f"{kind:20} {count:6}")
    print(f"queue: {count_states(read_queue(settings))}")
    bad = ("lost", "wrong state", "two at once", "ran after the end", "programs left")
    sys.exit(any(found[kind] for kind in bad) or found["done"] != chosen.jobs)


if __name__ == "__main__":
    main()
