"""Programs and the folders they run in: started in a group of their own, found again, waited for, ended.

A process is known by its host, number and start, so that a reused number is told apart, and a program by its folder:
it carries the folder in its environment, so that a worker that died before it could write the number down leaves no
orphan that the next one would miss.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import psutil

from heterodft.errors import CancelledCalculation, ReaderError
from heterodft.files import read_json, write_json
from heterodft.workflows.control_files import CANCEL_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = [
    "PROCESS_FILE",
    "WatchedProcess",
    "end_programs",
    "end_unseen",
    "exclusive",
    "forget_program",
    "is_running",
    "mpi_environment",
    "programs_in",
    "read_program",
    "refuse_cancelled",
    "start_mark",
    "start_program",
    "stop_group",
]

PROCESS_FILE = "process.json"
LOCK_FILE = ".lock"
_MARK = "HETERODFT_FOLDER"
_GRACE_SECONDS = 5.0
_LOOK_SECONDS = 1.0


@cache
def _boot() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()[:8]
    return ""


def start_mark(pid: int) -> str | None:
    """Return when a process started, in a form that no step of the clock changes; None when it does not live.

    On Linux clock ticks since boot and the name of the boot, elsewhere seconds since 1970.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        if _boot():
            return None
        with suppress(psutil.Error):
            return f"{psutil.Process(pid).create_time():.2f}"
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else f"{_boot()}-{fields[19]}"


def is_running(pid: int, mark: str) -> bool:
    """Tell whether the process that started then still runs."""
    return start_mark(pid) == mark


class WatchedProcess(subprocess.Popen[bytes]):
    """A program whose folder may ask for it to stop."""

    folder: Path
    _next_look = 0.0
    _ranks_ended = False

    def poll(self) -> int | None:
        """Return the exit code, None while it runs.

        Raises
        ------
        CancelledCalculation
            If the calculation was cancelled meanwhile.
        """
        if self.returncode is None and time.monotonic() > self._next_look:
            self._next_look = time.monotonic() + _LOOK_SECONDS
            refuse_cancelled(self.folder)
        code = super().poll()
        if code and not self._ranks_ended:
            self._ranks_ended = True
            end_programs(self.folder)  # mpirun may have been killed alone, and its ranks go on
        return code

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, with an eye on the folder unless there is a time limit."""
        while timeout is None and self.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                super().wait(_LOOK_SECONDS / 5)
        return super().wait(timeout)


def refuse_cancelled(folder: Path) -> None:
    """Stop here when the calculation of a folder was cancelled.

    Raises
    ------
    CancelledCalculation
        If it was.
    """
    if (folder / CANCEL_FILE).exists():
        raise CancelledCalculation(f"{folder} was cancelled; heterodft retry goes on with it")


def start_program(
    command: Sequence[str],
    folder: Path,
    *,
    output: str,
    errors: str,
    environment: Mapping[str, str],
    record: Mapping[str, Any],
) -> WatchedProcess:
    """Start a program in a session of its own.

    Parameters
    ----------
    command
        Its words.
    folder
        Where it runs.
    output, errors
        Files of the folder that it prints to.
    environment
        Its whole environment.
    record
        What ``process.json`` says beside host, number and start; written before the start and after it.
    """
    marked = dict(environment) | {_MARK: str(folder.resolve())}
    told = {"host": socket.gethostname(), **record}
    write_json(folder / PROCESS_FILE, {**told, "pid": None, "started": None})
    with (folder / output).open("wb") as out, (folder / errors).open("wb") as err:
        process = WatchedProcess(
            list(command),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=marked,
            start_new_session=True,
        )
    process.folder = folder
    try:
        write_json(folder / PROCESS_FILE, {**told, "pid": process.pid, "started": start_mark(process.pid)})
    except BaseException:
        stop_group(process.pid)
        process.wait(_GRACE_SECONDS)
        raise
    return process


def mpi_environment() -> dict[str, str]:
    """Return the environment of a program: one thread a rank, and Open MPI told what we know better.

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


def read_program(folder: Path) -> dict[str, Any] | None:
    """Return what is written about the program that was started in a folder and not seen to end."""
    with suppress(ReaderError):
        return read_json(folder / PROCESS_FILE)
    return None


def forget_program(folder: Path) -> None:
    """Remove the record of a program that has ended."""
    with suppress(OSError):
        (folder / PROCESS_FILE).unlink(missing_ok=True)


def programs_in(folder: Path) -> list[int]:
    """Return the processes of this host that were started by us for a folder and still live."""
    mark = str(folder.resolve())
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            started_here = process.environ().get(_MARK) == mark and process.cwd() == mark
            if started_here and process.status() != psutil.STATUS_ZOMBIE and process.pid != os.getpid():
                found.append(process.pid)
    return found


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Keep every other worker out of a folder for the length of a block, after waiting for the one that is in.

    The lock ends with its process, however that dies; a file system without locks has none.

    Raises
    ------
    CancelledCalculation
        If the calculation is cancelled while it waits.
    """
    try:
        stream = (folder / LOCK_FILE).open("ab")
    except OSError:  # read-only: what is to be written there will say so
        yield
        return
    with stream:
        while not _locked(stream):
            refuse_cancelled(folder)
            time.sleep(_LOOK_SECONDS)
        yield


def _locked(stream: IO[bytes]) -> bool:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # this file system has no locks
        return True
    return True


def end_programs(folder: Path) -> bool:
    """End every program that we started in a folder; return whether there was one."""
    groups = {group for pid in programs_in(folder) if (group := _group_of(pid)) > 0}
    for group in groups - {os.getpgid(0)}:
        stop_group(group)
    return bool(groups)


def end_unseen(folder: Path) -> None:
    """End a program whose start was broken off by a signal before its number was known."""
    if read_program(folder) is not None:
        end_programs(folder)


def stop_group(group: int) -> None:
    """End a process group with all ranks that mpirun started in it: first politely, then at once."""
    members = [p for p in psutil.process_iter() if _group_of(p.pid) == group]
    for number, wait in ((signal.SIGTERM, _GRACE_SECONDS), (signal.SIGKILL, 1.0)):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)
        _, members = psutil.wait_procs(members, timeout=wait)
        if not members:
            return


def _group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except (ProcessLookupError, PermissionError):
        return -1
