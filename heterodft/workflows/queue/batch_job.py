"""What a batch job runs: workers that share its cores, stopped before its time is up.

Started by the script of the job as ``python -m heterodft.workflows.queue.batch_job job.json`` in the job's folder.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from contextlib import chdir, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from heterodft.errors import HeterodftError, QueueError
from heterodft.files import read_json, write_json
from heterodft.workflows.queue.identity import current_job
from heterodft.workflows.queue.launching import ENDED_FILE, ID_FILE
from heterodft.workflows.queue.pool import WorkerPool
from heterodft.workflows.settings import HIDDEN, Settings
from heterodft.workflows.settings_file import load_settings

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["run_job"]

_LOOK_SECONDS = 0.5
_ID_SECONDS = 60.0
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of prctl(2)


def run_job(file: Path) -> list[str]:
    """Run the orders of a job.

    Returns
    -------
    list of str
        Why workers stopped before their work was done.

    Raises
    ------
    QueueError
        If this job is not the one that the orders are for, or the queue is out of reach.
    """
    started = float(os.environ.get("HETERODFT_JOB_START") or time.time())
    orders, folder = read_json(file), file.absolute().parent
    settings = Settings.from_dict(orders["settings"])
    _check_own(folder)
    if settings.host == HIDDEN and settings.launchpad_file is None and orders["mode"] != "offline":
        settings = replace(settings, host=_address(orders["home"]))
    if orders["mode"] != "offline" and settings.queue_file is not None and os.uname().nodename != orders["host"]:
        raise QueueError(
            f"the queue {settings.queue_file} is a file for one host, {orders['host']}, and this is "
            f"{os.uname().nodename}; use --offline, or a MongoDB server in launchpad: host:"
        )
    end = float(os.environ.get("SLURM_JOB_END_TIME") or started + orders["walltime"])
    stop = time.monotonic() + end - orders["lead"] - time.time()  # the clock may be set meanwhile
    settings = replace(settings, deadline=end - orders["lead"])
    pool = WorkerPool(settings, orders["per_job"], tasks=orders["tasks"], log_folder=folder)
    _adopt_orphans()
    try:
        pool.start()
        while pool.alive() and not _STOP and time.monotonic() < stop:
            time.sleep(_LOOK_SECONDS)
            _reap(pool)
    finally:
        pool.stop()
        _end_the_rest()
    return pool.reasons()


def _address(home: dict[str, str]) -> str:
    """Return the address of the server from the launcher's own settings, since orders hold no password."""
    os.environ.update({key: value for key, value in home.items() if key != "folder"})
    try:
        with chdir(home["folder"]):
            host = load_settings().host
    except OSError as error:
        raise QueueError(f"the settings in {home['folder']} are not seen here: {error.strerror}") from error
    if host.startswith("sqlite:"):
        raise QueueError(
            f"the settings in {home['folder']} do not name the server here; write its address into heterodft.yaml or "
            "~/.config/heterodft/settings.yaml, readable by you alone"
        )
    return host


def _check_own(folder: Path) -> None:
    """Wait until the launcher has registered this job."""
    job, path = current_job(), folder / ID_FILE
    waited = time.monotonic() + _ID_SECONDS
    while not path.exists() and time.monotonic() < waited and not _STOP:
        time.sleep(_LOOK_SECONDS)
    registered = path.read_text(encoding="utf-8").strip() if path.exists() else None
    if job != registered:
        raise QueueError(f"this job is {job}, but {folder} was registered for {registered}; nothing is run")


def _adopt_orphans() -> None:
    """Become the parent of programs whose worker dies, so that they end with the job."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0)


def _reap(pool: WorkerPool) -> None:
    """Take note of adopted programs that ended."""
    for child in psutil.Process().children():
        with suppress(psutil.Error, ChildProcessError):
            if child.pid not in pool.pids and child.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(child.pid, os.WNOHANG)


def _end_the_rest() -> None:
    """End every program that is left."""
    left = psutil.Process().children(recursive=True)
    for number, wait in ((signal.SIGTERM, 2.0), (signal.SIGKILL, 1.0)):
        for process in left:
            with suppress(psutil.Error):
                process.send_signal(number)
        _, left = psutil.wait_procs(left, timeout=wait)


_STOP: list[int] = []


def _stop(number: int, _frame: FrameType | None) -> None:
    _STOP.append(number)


def main() -> None:
    """Run the job and leave word of how it ended."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, _stop)
    file = Path(sys.argv[1])
    ended: dict[str, Any] = {"job": current_job()}
    try:
        ended["reasons"] = run_job(file)
    except HeterodftError as error:
        ended["reasons"] = [str(error)]
    write_json(file.absolute().parent / ENDED_FILE, ended | {"signals": _STOP})
    for reason in ended["reasons"]:
        sys.stderr.write(f"heterodft: {reason}\n")
    sys.exit(1 if ended["reasons"] else 0)


if __name__ == "__main__":
    main()
