"""Jobs and validators for Quantum ESPRESSO in Custodian's own style."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil
from custodian.custodian import Job, Validator

from heterodft.files import read_json, write_json
from heterodft.templates.espresso import program_of
from heterodft.workflows.custodians.diagnosis import diagnose

__all__ = ["PROCESS_FILE", "EspressoJob", "EspressoValidator", "end_orphan"]

PROCESS_FILE = "process.json"
_GRACE_SECONDS = 5.0


class EspressoJob(Job):
    """Run one program of Quantum ESPRESSO in a process group of its own.

    Parameters
    ----------
    command
        Words that start the program.
    file
        Its input: ``pw.in``; it prints to ``pw.out`` and ``pw.err``.
    """

    def __init__(self, command: list[str], file: str):
        self.command = command
        self.file = file
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        """The program and its input, for Custodian's log."""
        return f"{program_of(self.file)} {self.file}"

    def setup(self, directory: str = "./") -> None:
        """Do nothing: the inputs are written before."""

    def run(self, directory: str = "./") -> subprocess.Popen[bytes]:
        """Start the program."""
        folder, name = Path(directory), self.file.removesuffix(".in")
        (folder / "CRASH").unlink(missing_ok=True)
        with ExitStack() as stack:
            out = stack.enter_context((folder / f"{name}.out").open("wb"))
            err = stack.enter_context((folder / f"{name}.err").open("wb"))
            self._process = subprocess.Popen(
                [*self.command, "-in", self.file],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=_environment(),
                start_new_session=True,
            )
        _record_process(folder, self._process.pid)
        return self._process

    def postprocess(self, directory: str = "./") -> None:
        """Forget the process, which has ended."""
        (Path(directory) / PROCESS_FILE).unlink(missing_ok=True)

    def terminate(self, directory: str = "./") -> None:
        """End the program with all ranks that mpirun started."""
        if self._process is not None and self._process.poll() is None:
            _end_group(self._process.pid)
            self._process.wait()
        (Path(directory) / PROCESS_FILE).unlink(missing_ok=True)


def _environment() -> dict[str, str]:
    """Return the environment of the program: one thread a rank, and Open MPI told what we know better.

    Unbound, since two jobs side by side would otherwise be bound to the same core; as root in containers.
    """
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


def _end_group(pid: int) -> None:
    members = [p for p in psutil.process_iter() if _group_of(p.pid) == pid]
    for number, wait in ((signal.SIGTERM, _GRACE_SECONDS), (signal.SIGKILL, 1.0)):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, number)
        _, members = psutil.wait_procs(members, timeout=wait)
        if not members:
            return


def _group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except (ProcessLookupError, PermissionError):
        return -1


def end_orphan(folder: Path) -> bool:
    """End a program that outlived its worker in this folder; return whether there was one.

    Only a process of the recorded host, number and start time is ended.
    """
    path = folder / PROCESS_FILE
    if not path.is_file():
        return False
    record: dict[str, Any] = read_json(path)
    if record["host"] != socket.gethostname():
        return False
    found = False
    with suppress(psutil.Error):
        found = abs(psutil.Process(record["pid"]).create_time() - record["started"]) < 1.0
    if found:
        _end_group(record["pid"])
    path.unlink(missing_ok=True)
    return found


class EspressoValidator(Validator):
    """Invalid when the program did not reach a usable end."""

    def __init__(self, file: str):
        self.file = file

    def check(self, directory: str = "./") -> bool:
        """Return True when the run is not valid."""
        return diagnose(Path(directory), self.file) is not None
