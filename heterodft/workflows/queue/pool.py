"""Several workers on this machine, watched from one place."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib import resources
from typing import TYPE_CHECKING, Any

import psutil

from heterodft.errors import SettingsError
from heterodft.files import make_folder
from heterodft.workflows.queue.identity import worker_name
from heterodft.workflows.queue.launchpad import open_launchpad, queue_errors
from heterodft.workflows.queue.reconciliation import reconcile
from heterodft.workflows.queue.reservation import settle_reservations

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from heterodft.workflows.settings import Settings

__all__ = ["WorkerPool", "recover", "running_workers"]

_STOP_SECONDS = 10.0
"""Beyond the grace of a program."""
_STOPS = "the worker stops: "


def recover(settings: Settings) -> list[str]:
    """Put back what dead workers and dead batch jobs left behind and return the paths of those calculations.

    Raises
    ------
    QueueError
        If the queue cannot be used.
    """
    launchpad = open_launchpad(settings)
    with queue_errors(settings):
        return settle_reservations(launchpad, settings) + reconcile(launchpad, settings)


class WorkerPool:
    """Worker processes that share the cores of this machine.

    Parameters
    ----------
    settings
        Of this machine.
    jobs
        Number of calculations at a time.
    tasks
        What each worker is told beside its settings, one entry a worker; without, all take what is ready.
    log_folder
        Where their logs go, by default ``workers`` in the folder of runs.

    Raises
    ------
    SettingsError
        If there are more jobs than cores.
    """

    def __init__(
        self,
        settings: Settings,
        jobs: int,
        *,
        tasks: Sequence[Mapping[str, Any]] = (),
        log_folder: Path | None = None,
    ):
        if jobs > settings.cores:
            raise SettingsError(
                f"-j {jobs} on {settings.cores} cores; give at most {settings.cores}, or raise cores:"
            )
        self._settings = settings
        self._jobs = jobs
        self._tasks = tasks or [{}] * jobs
        self._workers: list[subprocess.Popen[bytes]] = []
        self._names: list[str] = []
        self._logs: list[Path] = []
        self.log_folder: Path = log_folder or settings.runs / "workers"

    def start(self) -> None:
        """Start the workers, each in a session of its own so that Ctrl-C reaches only the watcher."""
        make_folder(self.log_folder)
        config = str(resources.files("heterodft.workflows.queue") / "fw_config.yaml")
        environment = {"FW_CONFIG_FILE": config} | dict(os.environ)
        for number, task in enumerate(self._tasks):
            settings = replace(self._settings, cores=self._share(number))
            options = {"settings": settings.to_dict(), "parent": os.getpid(), **task}
            self._logs.append(self.log_folder / f"worker-{os.getpid()}-{number + 1}.log")
            with self._logs[-1].open("ab") as log:
                worker = subprocess.Popen(
                    [sys.executable, "-m", "heterodft.workflows.queue.worker"],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    env=environment,
                    start_new_session=True,
                )
            self._workers.append(worker)
            self._names.append(worker_name(worker.pid))
            if worker.stdin is not None:
                worker.stdin.write(json.dumps(options).encode())
                worker.stdin.close()

    def _share(self, number: int) -> int:
        """Return the cores of one worker; those that do not divide go to the first ones."""
        each, rest = divmod(self._settings.cores, self._jobs)
        return each + (number < rest)

    def alive(self) -> int:
        """Return how many workers still run."""
        return sum(worker.poll() is None for worker in self._workers)

    @property
    def pids(self) -> list[int]:
        """Process numbers of the workers."""
        return [worker.pid for worker in self._workers]

    def exit_codes(self) -> list[int]:
        """Return the exit codes of the workers that ended."""
        return [worker.returncode for worker in self._workers if worker.returncode is not None]

    def reasons(self) -> list[str]:
        """Return why workers stopped before their work was done, each reason once."""
        found = []
        for worker, log in zip(self._workers, self._logs, strict=True):
            if worker.returncode:
                lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
                told = [line.partition(_STOPS)[2] for line in lines if _STOPS in line]
                found.append(told[-1] if told else f"a worker ended early; its log is {log}")
        return list(dict.fromkeys(found))

    def ended(self) -> set[str]:
        """Return the identities of the calculations that ended, done or failed, in these workers.

        Raises
        ------
        QueueError
            If the queue cannot be read.
        """
        launchpad = open_launchpad(self._settings, create=False)
        with queue_errors(self._settings):
            own = {"fworker.name": {"$in": self._names}, "state": {"$in": ["COMPLETED", "FIZZLED"]}}
            ids = {launch["fw_id"] for launch in launchpad.launches.find(own, {"fw_id": 1})}
            found = launchpad.fireworks.find({"fw_id": {"$in": sorted(ids)}}, {"spec.calculation": 1})
            return {str(firework["spec"].get("calculation", "")) for firework in found}

    def stop(self) -> None:
        """Tell the workers to leave their calculations, and wait for it; none leaves a program behind."""
        for worker in self._workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGTERM)
        for worker in self._workers:
            try:
                worker.wait(self._settings.grace + _STOP_SECONDS)
            except subprocess.TimeoutExpired:
                _kill_tree(worker.pid)
                worker.wait()


def _kill_tree(pid: int) -> None:
    """End a process and all that it started, whatever group or session they are in."""
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        for member in [process, *process.children(recursive=True)]:
            with suppress(psutil.Error):
                member.kill()


@contextmanager
def running_workers(settings: Settings, jobs: int) -> Iterator[WorkerPool]:
    """Run a pool for the length of a block; on the way out, by whatever road, the workers are stopped."""
    pool = WorkerPool(settings, jobs)
    with _stopped_by_signals():
        try:
            pool.start()
            yield pool
        finally:
            pool.stop()


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Take SIGTERM and a closed terminal as Ctrl-C, unless they are ignored, as under nohup."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    heard = {number: old for number, old in before.items() if old != signal.SIG_IGN}
    for number in heard:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, old in heard.items():
            signal.signal(number, old)
