"""A small program in the place of pw.x, and workers forked from the test, which may change what they see."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import psutil

from heterodft.workflows.calculation import read_request, write_request
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.chains import campaign_chains
from heterodft.workflows.queue import worker
from heterodft.workflows.queue.submission import submit
from heterodft.workflows.queue.summary import count_states, read_queue
from heterodft.workflows.runner import run_calculation
from heterodft.workflows.settings_file import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from heterodft.workflows.settings import Settings

CAMPAIGN = """\
name: fail
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
# Leaves the outputs of a real run, and a trace of its start, of being asked to stop, and of its end.
case "$*" in *-in*) ;; *) exec "REAL" "$@" ;; esac
echo "$$ start" >> trace
n=0
while [ $n -lt TICKS ]; do
  sleep 0.05
  n=$((n + 1))
  if [ -e pwscf.EXIT ]; then echo "$$ asked" >> trace; exit 2; fi
  if [ -e enough ]; then break; fi
done
cp -r "CANNED/pwscf.save" .
cat "CANNED/pw.out"
echo "$$ end" >> trace
"""


def compute_one(folder: Path) -> Path:
    """Run one real calculation and return its folder."""
    (folder / "k.yaml").write_text(CAMPAIGN)
    settings = replace(load_settings(), cores=1, runs=folder / "runs", keep_free=0.0)
    request = campaign_chains(load_campaign(folder / "k.yaml"))[0][0]
    write_request(request, folder / "real")
    run_calculation(folder / "real", request.id, settings)
    return folder / "real"


@dataclass
class Site:
    """A queue of calculations that the stand-in runs."""

    settings: Settings

    @property
    def queue(self) -> Path:
        assert self.settings.queue_file is not None
        return self.settings.queue_file

    def counts(self) -> dict[str, int]:
        return count_states(read_queue(self.settings))

    def folders(self) -> list[Path]:
        return sorted(path.parent for path in self.settings.runs.glob("fail/*/*/*/static/request.json"))

    def events(self, folder: Path) -> list[str]:
        trace = folder / "trace"
        return [line.split()[1] for line in trace.read_text().splitlines()] if trace.is_file() else []

    def starts(self) -> list[int]:
        return [self.events(folder).count("start") for folder in self.folders()]

    def programs(self) -> list[str]:
        """Return what runs below the folder of runs."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                below = process.cwd().startswith(f"{self.settings.runs}/")
                if below and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process.name())
        return found

    def start(self, patch: Callable[[], object] = lambda: None, **changes: object) -> int:
        """Fork a worker and return its number."""
        options = json.dumps({"settings": replace(self.settings, **changes).to_dict(), "parent": os.getpid()})
        log = self.settings.runs.parent / "workers.log"
        pid = os.fork()
        if pid:
            return pid
        try:
            _become_a_worker(options, log)
            patch()
            worker.main()
        finally:
            os._exit(70)

    def log(self) -> str:
        path = self.settings.runs.parent / "workers.log"
        return path.read_text() if path.is_file() else ""  # of workers that were not forked here

    def wait_until(self, ready: Callable[[], object], seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while not ready():
            assert time.monotonic() < end, self.log()
            time.sleep(0.02)


def assert_done_once(site: Site) -> None:
    assert site.counts() == {"done": len(site.folders())}, site.log()
    assert site.starts() == [1] * len(site.folders())


def _become_a_worker(options: str, log: Path) -> None:
    os.setsid()
    read, write = os.pipe()
    os.write(write, options.encode())
    os.close(write)
    os.dup2(read, 0)
    out = os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.dup2(out, 1)
    os.dup2(out, 2)
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w", 1), os.fdopen(2, "w", 1)
    logging.getLogger().handlers.clear()
    for told in (worker.machine_failures, worker.interrupted, worker._STOP):
        told.clear()


def end_of(pid: int) -> int:
    """Wait for a worker and return its exit code."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def build_site(folder: Path, canned: Path, *, jobs: int, seconds: float, host: str = "") -> Site:
    """Put the stand-in into the place of pw.x and submit so many calculations.

    The queue is on a server, or by default a file in a folder of its own.
    """
    real = load_settings()
    (folder / "k.yaml").write_text(CAMPAIGN)
    request = campaign_chains(load_campaign(folder / "k.yaml"))[0][0]
    bin_dir = folder / "bin"
    bin_dir.mkdir()
    text = PROGRAM.replace("REAL", real.program("pw.x")).replace("CANNED", str(canned))
    for name in ("pw.x", "projwfc.x", "pp.x"):
        (bin_dir / name).write_text(text.replace("TICKS", str(max(1, round(seconds / 0.05)))))
        (bin_dir / name).chmod(0o755)
    settings = replace(
        real,
        host=host or f"sqlite://{folder}/q/queue.sqlite",
        runs=folder / "runs",
        cores=1,
        bin_dir=bin_dir,
        keep_free=0.0,
        grace=2.0,
    )
    tolerance = request.settings.scf_tolerance
    variants = [
        replace(
            request,
            settings=replace(request.settings, scf_tolerance=tolerance * (1 + 1e-3 * number)),
            about=request.about | {"name": f"job-{number:03}"},
        )
        for number in range(jobs)
    ]
    submit([[variant] for variant in variants], settings)
    return Site(settings)


def run_here(site: Site, folder: Path):
    """Run a calculation without the queue."""
    return run_calculation(folder, read_request(folder).id, site.settings)


def copy_of(folder: Path, to: Path) -> Path:
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(folder, to, symlinks=True)
    return to
