"""VASP in a process group of its own, asked to end by STOPCAR so that it writes what the next run goes on from."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from custodian.custodian import Job

from heterodft.errors import InterruptedCalculation
from heterodft.files import write_text
from heterodft.workflows.custodians.spent import note_vasp_run
from heterodft.workflows.custodians.vasp_inputs import end_of_file, restore_request
from heterodft.workflows.processes import (
    end_programs,
    end_unseen,
    forget_program,
    mpi_environment,
    start_program,
    stop_group,
)

if TYPE_CHECKING:
    from heterodft.workflows.processes import WatchedProcess

__all__ = ["ERRORS", "OUTPUT", "VaspProcess", "stop_request"]

_log = logging.getLogger(__name__)

OUTPUT, ERRORS = "vasp.out", "std_err.txt"
"""Where custodian's handlers look for what VASP printed."""
_STOP = "STOPCAR"
_ABORT, _STOP_AFTER_STEP = "LABORT = .TRUE.\n", "LSTOP = .TRUE.\n"
_END_SECONDS = 10.0
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
    asked
        Checksum of the inputs as the request has them.
    grace
        Seconds that it is given to end by itself.
    deadline
        When the worker's time is up, in seconds since 1970.
    """

    def __init__(self, command: list[str], *, asked: str = "", grace: float = 20.0, deadline: float | None = None):
        self.command = command
        self.asked = asked
        self.grace = grace
        self.deadline = deadline
        self._process: WatchedProcess | None = None

    @property
    def name(self) -> str:
        """For Custodian's log."""
        return "VASP"

    def setup(self, directory: str = "./") -> None:
        """Do nothing: the inputs are written before."""

    def run(self, directory: str = "./") -> WatchedProcess:
        """Start VASP."""
        folder = Path(directory)
        lost = restore_request(folder)
        if lost:
            _log.warning("a correction had changed %s in %s; put back", ", ".join(lost), folder)
        (folder / _STOP).unlink(missing_ok=True)
        note_vasp_run(folder)
        record = {"file": "INCAR", "asked": self.asked}
        self._process = start_program(
            self.command, folder, output=OUTPUT, errors=ERRORS, environment=mpi_environment(), record=record
        )
        if self.deadline is not None:
            threading.Thread(target=self._watch_time, args=(folder, self._process), daemon=True).start()
        return self._process

    def _watch_time(self, folder: Path, process: WatchedProcess) -> None:
        while subprocess.Popen.poll(process) is None:
            left = (self.deadline or 0.0) - time.time()
            asked = stop_request(folder, left, self.grace)
            if asked is not None and _stop_asked(folder) not in (asked, _ABORT):
                _log.warning("the time of this worker is nearly up: %s in %s", asked.strip(), folder)
                with suppress(OSError):
                    write_text(folder / _STOP, asked)
            time.sleep(min(max(left / 100, _LOOK_SECONDS[0]), _LOOK_SECONDS[1]))

    def postprocess(self, directory: str = "./") -> None:
        """Forget the process, which has ended."""
        forget_program(Path(directory))

    def terminate(self, directory: str = "./") -> None:
        """End VASP with all ranks that were started, after it wrote its state where the worker is told to stop."""
        folder = Path(directory)
        if self._process is None:
            end_unseen(folder)
        elif subprocess.Popen.poll(self._process) is None:
            # A run that a handler ends is killed at once: its density is bad, and the one before is better.
            interrupted = isinstance(sys.exception(), InterruptedCalculation | KeyboardInterrupt | SystemExit)
            if interrupted and self.grace > 0:
                with suppress(OSError, subprocess.TimeoutExpired):
                    write_text(folder / _STOP, _ABORT)
                    self._process.wait(self.grace)
            stop_group(self._process.pid)
            self._process.wait(_END_SECONDS)
            end_programs(folder)  # ranks of an mpirun that had to be killed
        forget_program(folder)


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
