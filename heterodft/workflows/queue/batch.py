"""Scripts of batch jobs through FireWorks' adapters, and their submission."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from fireworks.user_objects.queue_adapters.common_adapter import CommonAdapter

from heterodft.errors import ProgramNotFoundError, QueueError, SettingsError
from heterodft.workflows.queue.schedulers import SCHEDULERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heterodft.workflows.queue.batch_settings import BatchSettings

__all__ = ["render", "submit_script"]

_SUBMIT_SECONDS = 120


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
