"""Who a worker is: host, process number, start time, so that a reused number is told apart, and its batch job."""

from __future__ import annotations

import os
import re
import socket

from heterodft.workflows.processes import is_running, start_mark
from heterodft.workflows.queue.schedulers import job_is_gone

__all__ = ["current_job", "is_alive", "job_of", "worker_name"]

_JOB = re.compile(r"(slurm|pbs|sge|lsf)\.\d+")


def current_job() -> str | None:
    """Return the batch job that this process runs in, as ``slurm.123``; None outside."""
    known = {"slurm": "SLURM_JOB_ID", "pbs": "PBS_JOBID", "lsf": "LSB_JOBID"}
    if "SGE_TASK_ID" in os.environ:
        known["sge"] = "JOB_ID"
    for scheduler, variable in known.items():
        number = re.match(r"\d+", os.environ.get(variable, ""))
        if number:
            return f"{scheduler}.{number[0]}"
    return None


def worker_name(pid: int | None = None) -> str:
    """Return the identity of this or another process of this host, the name under which it checks calculations out.

    ``host:pid:start``, in a batch job with a fourth part, ``slurm.123``.
    """
    number = os.getpid() if pid is None else pid
    name = f"{socket.gethostname()}:{number}:{start_mark(number)}"
    job = current_job()
    return name if job is None else f"{name}:{job}"


def job_of(name: str) -> str | None:
    """Return the batch job in the name of a worker."""
    last = name.rpartition(":")[2]
    return last if _JOB.fullmatch(last) else None


def is_alive(name: str) -> bool | None:
    """Return whether the process of a worker name lives; None when it cannot be told from this host.

    Of a worker in a batch job on another host, the scheduler is asked.
    """
    job = job_of(name)
    host, _, rest = name.removesuffix(f":{job}").partition(":")
    number, _, started = rest.partition(":")
    if host != socket.gethostname():
        gone = None if job is None else job_is_gone(job)
        return None if gone is None else not gone
    if not number.isdigit() or not started:
        return None
    return is_running(int(number), started)
