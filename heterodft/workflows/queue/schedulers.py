"""The schedulers: how each is asked which jobs are still there, and told to cancel one."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from getpass import getuser
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["SCHEDULERS", "Scheduler", "cancel_waiting_job", "job_is_gone", "jobs_there"]

_STATUS_SECONDS = 60


@dataclass(frozen=True)
class Scheduler:
    """How one batch system is spoken to.

    Attributes
    ----------
    kind
        First part of a job's name, ``slurm.123``.
    adapter
        FireWorks' name of it.
    directive
        What a line for it begins with.
    status
        From job ids to the command that lists them.
    line
        Finds id and state in a line of its answer.
    ended
        States of jobs that are over but still listed.
    unknown
        What it says of a job that it does not know.
    cancel
        Its command that cancels a job.
    waits
        What the states of jobs that have not begun start with.
    """

    kind: str
    adapter: str
    directive: str
    status: Callable[[Sequence[str]], list[str]]
    line: re.Pattern[str]
    ended: tuple[str, ...]
    unknown: re.Pattern[str]
    cancel: str
    waits: tuple[str, ...]


_NEVER = re.compile(r"(?!)")
_PBS_LINE = re.compile(r"(\d+)\S*\s.*\s([A-Z])\s+\S+\s*")
_PBS_UNKNOWN = re.compile("Unknown Job|has finished", re.IGNORECASE)
_PBS = ("pbs", "PBS", "#PBS", lambda ids: ["qstat", *ids], _PBS_LINE, ("C", "F", "X"), _PBS_UNKNOWN, "qdel",
        ("Q", "H", "W"))  # fmt: skip
_SLURM_ENDED = ("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY",
                "PREEMPTED", "TIMEOUT")  # fmt: skip

SCHEDULERS: dict[str, Scheduler] = {
    "slurm": Scheduler(
        "slurm",
        "SLURM",
        "#SBATCH",
        lambda ids: ["squeue", "--noheader", "--format=%i %T", f"--jobs={','.join(ids)}"],
        re.compile(r"\s*(\d+)\s+(\w+)\s*"),
        _SLURM_ENDED,
        re.compile("Invalid job id"),
        "scancel",
        ("PENDING",),
    ),
    "pbs": Scheduler(*_PBS),
    "torque": Scheduler(*_PBS),
    "sge": Scheduler(
        "sge",
        "SGE",
        "#$",
        lambda _ids: ["qstat", "-u", getuser()],
        re.compile(r"\s*(\d+)\s+\S+\s+\S+\s+\S+\s+(\w+)\s.*"),
        (),
        _NEVER,
        "qdel",
        ("qw", "hqw", "Eqw"),
    ),
    "lsf": Scheduler(
        "lsf",
        "LoadSharingFacility",
        "#BSUB",
        lambda ids: ["bjobs", "-noheader", "-o", "jobid stat", *ids],
        re.compile(r"\s*(\d+)\s+(\w+)\s*"),
        ("DONE", "EXIT", "ZOMBI"),
        re.compile("is not found"),
        "bkill",
        ("PEND", "PSUSP"),
    ),
}
"""By the name that the settings file uses."""


def jobs_there(jobs: Sequence[str]) -> dict[str, bool | None]:
    """Tell of each job, such as ``slurm.123``, whether it waits or runs; None where the scheduler does not say."""
    found: dict[str, bool | None] = {}
    for kind in {job.partition(".")[0] for job in jobs}:
        ids = [job.partition(".")[2] for job in jobs if job.startswith(f"{kind}.")]
        found |= {f"{kind}.{number}": there for number, there in _ask(SCHEDULERS[kind], ids).items()}
    return found


def _ask(scheduler: Scheduler, ids: list[str]) -> dict[str, bool | None]:
    try:
        done = subprocess.run(
            scheduler.status(ids), capture_output=True, text=True, timeout=_STATUS_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return dict.fromkeys(ids)
    states = _states_in(done.stdout, scheduler)
    text = done.stdout + done.stderr
    answers: dict[str, bool | None] = {}
    for number in ids:
        if number in states:
            answers[number] = states[number] not in scheduler.ended
        else:
            named = len(ids) == 1 or re.search(rf"\b{number}\b", text) is not None
            answers[number] = False if not done.returncode or (named and scheduler.unknown.search(text)) else None
    return answers


def _states_in(text: str, scheduler: Scheduler) -> dict[str, str]:
    matches = [match for line in text.splitlines() if (match := scheduler.line.fullmatch(line))]
    return {match[1]: match[2] for match in matches}


def cancel_waiting_job(name: str) -> bool:
    """Cancel a job, such as ``slurm.123``, that has not begun; return whether it was.

    One that runs is left to end its programs in good order.
    """
    kind, _, number = name.partition(".")
    scheduler = SCHEDULERS.get(kind)
    if scheduler is None:
        return False
    try:
        listed = subprocess.run(
            scheduler.status([number]), capture_output=True, text=True, timeout=_STATUS_SECONDS, check=False
        )
        if not _states_in(listed.stdout, scheduler).get(number, "").startswith(scheduler.waits):
            return False
        done = subprocess.run(
            [scheduler.cancel, number], capture_output=True, text=True, timeout=_STATUS_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return not done.returncode


def job_is_gone(name: str) -> bool | None:
    """Return whether the batch job of a worker's name, or a job such as ``slurm.123``, is over; None if unknown."""
    job = name.rpartition(":")[2]
    if job.partition(".")[0] not in {scheduler.kind for scheduler in SCHEDULERS.values()}:
        return None
    there = jobs_there([job])[job]
    return None if there is None else not there
