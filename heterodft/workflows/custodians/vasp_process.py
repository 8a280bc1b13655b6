"""VASP in a process group of its own, asked to end by STOPCAR so that it writes what the next run goes on from."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
from custodian.custodian import Job

from heterodft.errors import InterruptedCalculation
from heterodft.files import read_json, write_json, write_text
from heterodft.workflows.custodians.vasp_inputs import end_of_file, restore_request

__all__ = ["ERRORS", "OUTPUT", "PROCESS_FILE", "VaspProcess", "stop_orphan", "stop_request"]

_log = logging.getLogger(__name__)

PROCESS_FILE = "process.json"
OUTPUT, ERRORS = "vasp.out", "std_err.txt"
"""Where custodian's handlers look for what VASP printed."""
_STOP = "STOPCAR"
_ABORT, _STOP_AFTER_STEP = "LABORT = .TRUE.\n", "LSTOP = .TRUE.\n"
_TERM_SECONDS = 5.0
_LOOK_SECONDS = (0.5, 30.0)
"""Between looks at the time: a hundredth of what is left, but within these."""
_IONIC_TIME = re.compile(r"LOOP\+:.*?real time\s*([\d.]+)")
_CYCLE_TIME = re.compile(r"LOOP:.*?real time\s*([\d.]+)")


class VaspProcess(Job):
    """Run VASP in a process group of its own.

    Before every start, also after a correction, the moments, U, blocks and cell asked for are put back. When the
    worker is told to stop, or its time is nearly up, VASP is asked to end by STOPCAR, so that it writes what the next
    attempt goes on from.

    Parameters
    ----------
    command
        Words that start VASP.
    grace
        Seconds that it is given to end by itself.
    deadline
        When the worker's time is up, in seconds since 1970.
    """

    def __init__(self, command: list[str], grace: float = 20.0, deadline: float | None = None):
        self.command = command
        self.grace = grace
        self.deadline = deadline
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        """For Custodian's log."""
        return "VASP"

    def setup(self, directory: str = "./") -> None:
        """Do nothing: the inputs are written before."""

    def run(self, directory: str = "./") -> subprocess.Popen[bytes]:
        """Start VASP."""
        folder = Path(directory)
        lost = restore_request(folder)
        if lost:
            _log.warning("a correction had changed %s in %s; put back", ", ".join(lost), folder)
        (folder / _STOP).unlink(missing_ok=True)
        with (folder / OUTPUT).open("wb") as out, (folder / ERRORS).open("wb") as err:
            self._process = subprocess.Popen(
                self.command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=_environment(),
                start_new_session=True,
            )
        _record_process(folder, self._process.pid)
        if self.deadline is not None:
            threading.Thread(target=self._watch_time, args=(folder, self._process), daemon=True).start()
        return self._process

    def _watch_time(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        while process.poll() is None:
            left = (self.deadline or 0.0) - time.time()
            asked = stop_request(folder, left, self.grace)
            if asked is not None and _stop_asked(folder) not in (asked, _ABORT):
                _log.warning("the time of this worker is nearly up: %s in %s", asked.strip(), folder)
                with suppress(OSError):
                    write_text(folder / _STOP, asked)
            time.sleep(min(max(left / 100, _LOOK_SECONDS[0]), _LOOK_SECONDS[1]))

    def postprocess(self, directory: str = "./") -> None:
        """Forget the process, which has ended."""
        (Path(directory) / PROCESS_FILE).unlink(missing_ok=True)

    def terminate(self, directory: str = "./") -> None:
        """End VASP with all ranks that were started, after it wrote its state where the worker is told to stop."""
        folder = Path(directory)
        if self._process is not None and self._process.poll() is None:
            # A run that a handler ends is killed at once: its density is bad, and the one before is better.
            interrupted = isinstance(sys.exception(), InterruptedCalculation | KeyboardInterrupt | SystemExit)
            _stop(self._process.pid, folder, self.grace if interrupted else 0.0)
            self._process.wait()
        (folder / PROCESS_FILE).unlink(missing_ok=True)


def stop_request(folder: Path, left: float, grace: float) -> str | None:
    """Return what to write into STOPCAR with so many seconds left, None when there is time.

    A relaxation is stopped after the ionic step under way when no further one would fit; anything is stopped inside
    its SCF cycle when three more iterations and the writing of files (`grace`) would not fit.
    """
    text = end_of_file(folder / "OUTCAR")
    ionic, cycle = (max(map(float, pattern.findall(text)), default=0.0) for pattern in (_IONIC_TIME, _CYCLE_TIME))
    if left < 2 * grace + 3 * cycle:
        return _ABORT
    return _STOP_AFTER_STEP if ionic and left < 2 * grace + 2.2 * ionic else None


def _stop_asked(folder: Path) -> str | None:
    try:
        return (folder / _STOP).read_text(encoding="utf-8")
    except OSError:
        return None


def stop_orphan(folder: Path, grace: float) -> bool:
    """End a VASP that outlived its worker in this folder, after it wrote its state; return whether there was one.

    Only a process of the recorded host, number and start time is ended.
    """
    path = folder / PROCESS_FILE
    if not path.is_file():
        return False
    record = read_json(path)
    if record["host"] != socket.gethostname():
        return False
    found = False
    with suppress(psutil.Error):
        found = abs(psutil.Process(record["pid"]).create_time() - record["started"]) < 1.0
    if found:
        _stop(record["pid"], folder, grace)
    path.unlink(missing_ok=True)
    return found


def _stop(group: int, folder: Path, grace: float) -> None:
    """Ask VASP to end by STOPCAR and wait; then end its process group."""
    if grace > 0:
        with suppress(OSError):
            write_text(folder / _STOP, _ABORT)
        psutil.wait_procs(_members(group), timeout=grace)
    members = _members(group)
    for number, wait in ((signal.SIGTERM, _TERM_SECONDS), (signal.SIGKILL, 1.0)):
        if not members:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)
        _, members = psutil.wait_procs(members, timeout=wait)


def _members(group: int) -> list[psutil.Process]:
    return [p for p in psutil.process_iter() if _group_of(p.pid) == group]


def _group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except (ProcessLookupError, PermissionError):
        return -1


def _environment() -> dict[str, str]:
    """Return the environment of the program: one thread a rank, and Open MPI told what we know better."""
    ours = {
        "OMP_NUM_THREADS": "1",
        "OMPI_MCA_hwloc_base_binding_policy": "none",
        "OMPI_MCA_rmaps_base_oversubscribe": "1",
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    }
    return ours | dict(os.environ)


def _record_process(folder: Path, pid: int) -> None:
    """Write who runs here, so that a later worker can tell it from another process of the same number."""
    with suppress(psutil.Error):
        started = psutil.Process(pid).create_time()
        write_json(folder / PROCESS_FILE, {"host": socket.gethostname(), "pid": pid, "started": started})
