"""Jobs and validators for Quantum ESPRESSO in Custodian's own style."""

from __future__ import annotations

import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from custodian.custodian import Job, Validator

from heterodft.errors import InterruptedCalculation
from heterodft.files import write_text
from heterodft.templates.espresso import PREFIX, program_of
from heterodft.templates.espresso_edit import edit_namelists
from heterodft.workflows.custodians.diagnosis import diagnose
from heterodft.workflows.custodians.espresso_state import OCCUPATIONS
from heterodft.workflows.custodians.last_structure import outputs_of
from heterodft.workflows.processes import (
    end_programs,
    end_unseen,
    forget_program,
    mpi_environment,
    start_program,
    stop_group,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heterodft.workflows.processes import WatchedProcess

__all__ = ["EspressoJob", "EspressoValidator", "ask_to_stop"]


class EspressoJob(Job):
    """Run one program of Quantum ESPRESSO in a process group of its own.

    Parameters
    ----------
    command
        Words that start the program.
    file
        Its input: ``pw.in``; it prints to ``pw.out`` and ``pw.err``, and what an earlier attempt printed is kept as
        ``pw.out.1``, ``pw.out.2`` …
    asked
        Checksum of the input as the request has it, before corrections and time limits.
    start
        From ``scratch``, from the ``checkpoint`` of pw.x, or from the last ``positions``.
    deadline
        When the worker's time is up, in seconds since 1970: pw.x stops in time to write its checkpoint.
    grace
        Seconds that pw.x is given to write a checkpoint when it is stopped.
    alone
        Words that start it without mpirun, for an input with starting occupations; empty where mpirun will do.
    """

    def __init__(
        self,
        command: Sequence[str],
        file: str,
        *,
        asked: str = "",
        start: str = "scratch",
        deadline: float | None = None,
        grace: float = 0.0,
        alone: Sequence[str] = (),
    ):
        self.command = list(command)
        self.file = file
        self.asked = asked
        self.start = start
        self.deadline = deadline
        self.grace = grace
        self.alone = list(alone)
        self._process: WatchedProcess | None = None

    @property
    def name(self) -> str:
        """The program and its input, for Custodian's log."""
        return f"{program_of(self.file)} {self.file}"

    def setup(self, directory: str = "./") -> None:
        """Do nothing: the inputs are written before."""

    def run(self, directory: str = "./") -> WatchedProcess:
        """Start the program."""
        folder, name = Path(directory), self.file.removesuffix(".in")
        for left in ("CRASH", f"{PREFIX}.EXIT"):
            (folder / left).unlink(missing_ok=True)
        command = self.command
        if program_of(self.file) == "pw.x":
            text = (folder / self.file).read_text(encoding="utf-8")
            command = self.alone if self.alone and OCCUPATIONS in text else command
            limit = None if self.deadline is None else _seconds_until(self.deadline)
            write_text(folder / self.file, edit_namelists(text, {"control->max_seconds": limit}))
        _keep_output(folder / f"{name}.out")
        self._process = start_program(
            [*command, "-in", self.file],
            folder,
            output=f"{name}.out",
            errors=f"{name}.err",
            environment=mpi_environment(),
            record={"file": self.file, "asked": self.asked},
        )
        return self._process

    def postprocess(self, directory: str = "./") -> None:
        """Forget the process, which has ended."""
        forget_program(Path(directory))

    def terminate(self, directory: str = "./") -> None:
        """End the program with all ranks that mpirun started; pw.x is first asked for a checkpoint."""
        process = self._process
        if process is None:
            end_unseen(Path(directory))
        elif subprocess.Popen.poll(process) is None:
            if program_of(self.file) == "pw.x":
                ask_to_stop(process, Path(directory), self.grace)
            if subprocess.Popen.poll(process) is None:
                stop_group(process.pid)
                process.wait(5.0)
                end_programs(Path(directory))  # ranks of an mpirun that had to be killed
        forget_program(Path(directory))


def _seconds_until(deadline: float) -> int:
    """Return how long a program may take, with time left to write its checkpoint.

    Raises
    ------
    InterruptedCalculation
        If nothing is left.
    """
    left = deadline - time.time()
    reserve = min(max(0.1 * left, 10.0), 900.0)
    if left - reserve < 1.0:
        raise InterruptedCalculation("the time of this worker is up; the calculation goes on in the next one")
    return int(left - reserve)


def ask_to_stop(process: WatchedProcess, folder: Path, grace: float) -> None:
    """Ask pw.x for a checkpoint by its EXIT file, which it looks for between k-points, and wait a little."""
    if grace <= 0:
        return
    with suppress(OSError):
        (folder / f"{PREFIX}.EXIT").touch()
        with suppress(subprocess.TimeoutExpired):
            process.wait(grace)
        (folder / f"{PREFIX}.EXIT").unlink(missing_ok=True)


def _keep_output(path: Path) -> None:
    """Number what an earlier attempt printed, unless it printed nothing."""
    if path.is_file() and path.stat().st_size:
        path.rename(path.with_name(f"{path.name}.{len(outputs_of(path.parent, f'{path.stem}.in'))}"))


class EspressoValidator(Validator):
    """Invalid when the program did not reach a usable end."""

    def __init__(self, file: str):
        self.file = file

    def check(self, directory: str = "./") -> bool:
        """Return True when the run is not valid."""
        return diagnose(Path(directory), self.file) is not None
