"""The batch systems: their scripts through FireWorks' adapters, submission, and which jobs are still there."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from getpass import getuser
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from fireworks.user_objects.queue_adapters.common_adapter import CommonAdapter

from heterodft.errors import ProgramNotFoundError, QueueError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from heterodft.workflows.queue.batch_settings import BatchSettings

__all__ = ["SCHEDULERS", "Scheduler", "cancel_waiting_job", "job_is_gone", "jobs_there", "render", "submit_script"]

_SUBMIT_SECONDS = 120
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


class _Adapter(CommonAdapter):
    """FireWorks' adapter, which would only log what went wrong with a submission."""

    def submit_to_queue(self, script_file: str) -> str:
        script = Path(script_file)
        command = self.q_commands[self.q_type]["submit_cmd"]
        from_input = self.q_type == "LoadSharingFacility"  # bsub reads its directives from there only
        try:
            done = subprocess.run(
                [command] if from_input else [command, script.name],
                cwd=script.parent,
                input=script.read_text(encoding="utf-8") if from_input else None,
                capture_output=True,
                text=True,
                timeout=_SUBMIT_SECONDS,
                check=False,
            )
        except FileNotFoundError as error:
            raise ProgramNotFoundError(_missing(command)) from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise QueueError(f"{command} did not answer: {error}") from error
        if done.returncode:
            raise QueueError(f"{command} refused the job: {_words(done)} [{script}]")
        try:
            return str(self._parse_jobid(done.stdout))
        except RuntimeError as error:
            raise QueueError(f"{command} named no job: {_words(done)} [{script}]") from error


def _missing(command: str) -> str:
    return f"{command} is not installed or not on PATH; correct batch: scheduler: or work where it is"


def _words(done: subprocess.CompletedProcess[str]) -> str:
    return " ".join((done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").split())[:300]


def render(batch: BatchSettings, *, name: str, folder: Path, command: Sequence[str], lead: int | None = None) -> str:
    """Return the script of a job.

    Parameters
    ----------
    batch
        What it asks for.
    name
        Of the job.
    folder
        Where it works.
    command
        Words of what it runs.
    lead
        Seconds before its end at which the scheduler should tell it, where it does that; None for not.

    Raises
    ------
    SettingsError
        If the template cannot be read or has no place for something that the settings give.
    """
    template = batch.template.expanduser().absolute() if batch.template else _template(batch.scheduler)
    try:
        text = template.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"batch: template: cannot read {template}: {error}") from error
    values = _values(batch, lead) | {
        "job_name": name,
        "folder": shlex.quote(str(folder)),
        "rocket_launch": shlex.join(command),
    }
    used = {key for key in values if f"$${{{key}}}" in text}
    _check_template(batch, template, text, used)
    if "$${launch_dir}" in text and shlex.quote(str(folder)) != str(folder):
        raise SettingsError(f"batch: template: {template}: write $${{folder}} for $${{launch_dir}} [{folder}]")
    for key in used:
        if "$$" in values[key]:  # FireWorks leaves out lines with $$, as those of settings that are not given
            raise SettingsError(f"batch: '{values[key]}' holds $$, which cannot stand in a script; rename it")
    adapter = _Adapter(
        SCHEDULERS[batch.scheduler].adapter, template_file=str(template), **{key: values[key] for key in used}
    )
    return str(adapter.get_script_str(str(folder)))


def _template(scheduler: str) -> Path:
    return Path(str(resources.files("heterodft.templates") / "queues" / f"{scheduler}.sh"))


_PLACES = {
    "walltime": ("walltime",),
    "memory": ("memory", "memory_per_node", "memory_per_core"),
    "queue": ("queue",),
    "account": ("account",),
    "qos": ("qos",),
    "parallel_environment": ("parallel_environment",),
    "modules": ("pre_rocket",),
    "setup": ("pre_rocket",),
    "options": ("options",),
}
"""The placeholders that a setting may come to stand in."""


def _check_template(batch: BatchSettings, template: Path, text: str, used: set[str]) -> None:
    for key, places in _PLACES.items():
        if getattr(batch, key) and not used.intersection(places):
            raise SettingsError(f"batch: {key}: {template} has no place $${{{places[0]}}} for it; use options:")
    if "$${rocket_launch}" not in text:
        raise SettingsError(
            f"batch: template: {template} does not run $${{rocket_launch}}; write it where work starts"
        )


def _values(batch: BatchSettings, lead: int | None) -> dict[str, str]:
    """Return what fills the placeholders, those of FireWorks' own templates too."""
    scheduler = SCHEDULERS[batch.scheduler]
    per_node = str(batch.cores // batch.nodes)
    values = {
        "walltime": _clock(batch),
        "nodes": str(batch.nodes),
        "nnodes": str(batch.nodes),
        "ntasks": str(batch.cores),
        "ntasks_per_node": per_node,
        "ppnode": per_node,
        "ppn": per_node,
        **_memory(batch),
    }
    if lead is not None:
        values["signal"] = f"B:TERM@{lead}"
    for key in ("queue", "account", "qos", "parallel_environment"):
        if getattr(batch, key):
            values[key] = getattr(batch, key)
    if batch.options:
        values["options"] = "\n".join(f"{scheduler.directive} {option}" for option in batch.options)
    lines = ["type module >/dev/null 2>&1 || . /etc/profile"] if batch.modules else []
    lines += [*(f"module load {shlex.quote(name)}" for name in batch.modules), *batch.setup]
    return values | ({"pre_rocket": "\n".join(lines)} if lines else {})


def _clock(batch: BatchSettings) -> str:
    if batch.scheduler == "lsf":
        minutes = -(-batch.walltime // 60)
        return f"{minutes // 60}:{minutes % 60:02}"
    return f"{batch.walltime // 3600:02}:{batch.walltime // 60 % 60:02}:{batch.walltime % 60:02}"


def _memory(batch: BatchSettings) -> dict[str, str]:
    """Return the memory of a node in the words of the scheduler; PBS has it inside another directive."""
    if batch.memory is None:
        return {"memory_per_node": ""} if batch.scheduler == "pbs" else {}
    per_core = -(-batch.memory * batch.nodes // batch.cores)
    unit = {"slurm": "M", "sge": "M", "lsf": "MB"}.get(batch.scheduler, "mb")
    per_node = f":mem={batch.memory}mb" if batch.scheduler == "pbs" else f"{batch.memory}{unit}"
    whole = batch.memory * batch.nodes if batch.scheduler == "torque" else batch.memory
    return {"memory": f"{whole}{unit}", "memory_per_node": per_node, "memory_per_core": f"{per_core}{unit}"}


def submit_script(batch: BatchSettings, script: Path) -> str:
    """Submit a script from its folder and return the name of the job, ``slurm.123``.

    Raises
    ------
    ProgramNotFoundError
        If the scheduler's command is missing.
    QueueError
        With the scheduler's own words, if it refuses.
    """
    scheduler = SCHEDULERS[batch.scheduler]
    command = CommonAdapter.default_q_commands[scheduler.adapter]["submit_cmd"]
    if shutil.which(command) is None:
        raise ProgramNotFoundError(_missing(command))
    return f"{scheduler.kind}.{_Adapter(scheduler.adapter).submit_to_queue(str(script))}"


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
