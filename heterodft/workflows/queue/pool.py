"""Several workers on this machine, watched from one place."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from importlib import resources
from typing import TYPE_CHECKING

from heterodft.errors import SettingsError
from heterodft.files import make_folder
from heterodft.workflows.queue.launchpad import open_launchpad, queue_errors
from heterodft.workflows.queue.reconciliation import reconcile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from heterodft.workflows.settings import Settings

__all__ = ["WorkerPool", "recover", "running_workers"]

_STOP_SECONDS = 30


def recover(settings: Settings) -> list[str]:
    """Put back what dead workers left behind and return the paths of those calculations.

    Raises
    ------
    QueueError
        If the queue cannot be used.
    """
    launchpad = open_launchpad(settings)
    with queue_errors(settings):
        return reconcile(launchpad, settings)


class WorkerPool:
    """Worker processes that share the cores of this machine.

    Parameters
    ----------
    settings
        Of this machine.
    jobs
        Number of calculations at a time.

    Raises
    ------
    SettingsError
        If there are more jobs than cores.
    """

    def __init__(self, settings: Settings, jobs: int):
        if jobs > settings.cores:
            raise SettingsError(
                f"-j {jobs} on {settings.cores} cores; give at most {settings.cores}, or raise cores:"
            )
        self._settings = settings
        self._jobs = jobs
        self._workers: list[subprocess.Popen[bytes]] = []
        self.log_folder: Path = settings.runs / "workers"

    def start(self) -> None:
        """Start the workers, each in a session of its own so that Ctrl-C reaches only the watcher."""
        settings = replace(self._settings, cores=self._settings.cores // self._jobs)
        options = {"settings": settings.to_dict(), "parent": os.getpid()}
        make_folder(self.log_folder)
        config = str(resources.files("heterodft.workflows.queue") / "fw_config.yaml")
        environment = {"FW_CONFIG_FILE": config} | dict(os.environ)
        for number in range(self._jobs):
            with (self.log_folder / f"worker-{os.getpid()}-{number + 1}.log").open("ab") as log:
                worker = subprocess.Popen(
                    [sys.executable, "-m", "heterodft.workflows.queue.worker"],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    env=environment,
                    start_new_session=True,
                )
            self._workers.append(worker)
            if worker.stdin is not None:
                worker.stdin.write(json.dumps(options).encode())
                worker.stdin.close()

    def alive(self) -> int:
        """Return how many workers still run."""
        return sum(worker.poll() is None for worker in self._workers)

    def exit_codes(self) -> list[int]:
        """Return the exit codes of the workers that ended."""
        return [worker.returncode for worker in self._workers if worker.returncode is not None]

    def stop(self) -> None:
        """Tell the workers to leave their calculations, and wait for it."""
        for worker in self._workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGTERM)
        for worker in self._workers:
            try:
                worker.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()


@contextmanager
def running_workers(settings: Settings, jobs: int) -> Iterator[WorkerPool]:
    """Run a pool for the length of a block; on the way out, by whatever road, the workers are stopped."""
    pool = WorkerPool(settings, jobs)
    try:
        pool.start()
        yield pool
    finally:
        pool.stop()
