"""Quantum ESPRESSO: its programs, how they start in parallel, and the linear algebra they use."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from heterodft.errors import HeterodftError
from heterodft.templates.espresso import PROGRAMS, program_version
from heterodft.workflows.doctor.finding import Finding, note, problem, well
from heterodft.workflows.processes import mpi_environment

if TYPE_CHECKING:
    from heterodft.workflows.settings import Settings

__all__ = ["examine_espresso", "is_asked_for"]

_PART = "Quantum ESPRESSO"
_SECONDS = 30
_LIBRARY = re.compile(r"^\s*(\S*(?:blas|lapack|mkl|blis|libsci|flexi|armpl)\S*) => (\S+)", re.MULTILINE)
_FAST = ("openblas", "mkl", "blis", "atlas", "libsci", "flexiblas", "armpl", "essl")
_LOCAL_LAUNCHERS = ("mpirun", "mpiexec", "mpiexec.hydra", "orterun")
"""Those that start ranks here; others, such as srun, may wait for a job."""


def is_asked_for(settings: Settings) -> bool:
    """Whether the settings speak of pw.x, or of no DFT code at all."""
    own = (settings.command, settings.bin_dir, settings.pseudo_dir)
    return any(value is not None for value in own) or settings.vasp_command is None


def examine_espresso(settings: Settings) -> list[Finding]:
    """Look for pw.x and its version, the programs beside it, MPI and BLAS."""
    missing = problem if is_asked_for(settings) else note
    try:
        path = settings.program("pw.x")
        major, minor = program_version(path)
    except HeterodftError as error:
        what, _, remedy = str(error).partition("; ")
        return [missing(_PART, "pw.x", what, remedy)]
    found = [well(_PART, "pw.x", f"{major}.{minor}, {path}")]
    return [*found, *_others(settings), _start(settings), _blas(path)]


def _others(settings: Settings) -> list[Finding]:
    found = []
    for name in (*PROGRAMS[1:], "hp.x"):
        try:
            found.append(well(_PART, name, settings.program(name)))
        except HeterodftError as error:
            what, _, remedy = str(error).partition("; ")
            if name == "hp.x":
                found.append(note(_PART, name, f"{what}: only the response step needs it", remedy))
            else:
                found.append(problem(_PART, name, what, remedy))
    return found


def _start(settings: Settings) -> Finding:
    """Tell whether two ranks start, with the launcher and the environment of real runs."""
    cores = min(2, settings.cores)
    try:
        words = settings.command_for("pw.x", cores)
    except HeterodftError as error:
        what, _, remedy = str(error).partition("; ")
        return problem(_PART, "command", what, remedy)
    program = next(i for i, word in enumerate(words) if Path(word).name == "pw.x")
    shown = " ".join(words)
    if program == 0:
        if settings.cores > 1 and shutil.which("mpirun") is None:
            return note(_PART, "MPI", "no mpirun: pw.x runs on one core", "install an MPI, such as openmpi-bin")
        return well(_PART, "MPI", f"not needed: {shown}")
    if Path(words[0]).name not in _LOCAL_LAUNCHERS:
        return note(
            _PART, "MPI", f"{words[0]} is there; not tried, since it may wait for a job", "heterodft doctor --test"
        )
    return _try(words[:program], cores, shown)


def _try(launcher: list[str], cores: int, shown: str) -> Finding:
    remedy = "try it by hand, and correct espresso: command: in the settings"
    try:
        done = subprocess.run(
            [*launcher, "hostname"], env=mpi_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return problem(_PART, "MPI", f"{' '.join(launcher)} does not start: {error}", remedy)
    ranks = len(done.stdout.split())
    if done.returncode or ranks == 0:
        said = " ".join(done.stderr.split())[-200:] or f"it ended with {done.returncode}"
        return problem(_PART, "MPI", f"{' '.join(launcher)} does not start: {said}", remedy)
    return well(_PART, "MPI", f"{shown} starts {ranks} rank{'s' * (ranks > 1)} of {cores} asked for")


def _blas(path: str) -> Finding:
    """Tell which BLAS pw.x is linked to; the reference one is several times slower."""
    try:
        done = subprocess.run(["ldd", path], capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return note(_PART, "BLAS", f"ldd does not tell: {error}")
    files = {Path(file).resolve() for _, file in _LIBRARY.findall(done.stdout) if file.startswith("/")}
    found = sorted({next((name for name in _FAST if name in str(file)), "") for file in files} - {""})
    if found:
        return well(_PART, "BLAS", f"{', '.join(found)} ({_named(files, found[0])})")
    if not files:
        return note(_PART, "BLAS", "linked into pw.x itself, or ldd does not tell")
    return note(
        _PART, "BLAS", f"the reference one, several times slower: {min(map(str, files))}",
        "install OpenBLAS (Debian: apt-get install libopenblas0-serial) or name it with update-alternatives",
    )  # fmt: skip


def _named(files: set[Path], word: str) -> str:
    return min(str(file) for file in files if word in str(file))
