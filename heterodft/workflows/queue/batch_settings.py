"""The ``batch:`` section of the settings file: what a batch job of `heterodft launch` asks for.

batch:
scheduler: slurm               # or pbs, torque, sge, lsf
walltime: 4 h
cores: 16                      # of one job, over all its nodes
per_job: 4                     # calculations at a time in one job; they share its cores
memory: 32 GB                  # of one node
queue: normal                  # or partition:
account: abc123
modules: [quantum-espresso/7.2]
setup: ["ulimit -s unlimited"]
options: ["--exclusive"]       # further directives, as they are
max_jobs: 10                   # waiting and running at most
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, ValidationError, model_validator

from heterodft.errors import SettingsError, did_you_mean
from heterodft.units import parse_quantity
from heterodft.workflows.fields import Spec, as_list
from heterodft.workflows.mistakes import in_words

if TYPE_CHECKING:
    from heterodft.workflows.settings import Settings

__all__ = ["BatchSettings", "read_batch_settings"]

_MEMORY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(MB|GB|TB|M|G|T)\s*")
_MEGABYTES = {"M": 1, "G": 1024, "T": 1024**2}


def _seconds(value: Any) -> int:
    seconds = round(3600 * parse_quantity(value, "time"))
    if seconds < 60:
        raise ValueError(f"{value!r}; a job takes at least one minute")
    return seconds


def _megabytes(value: Any) -> int:
    match = _MEMORY.fullmatch(str(value))
    if match is None:
        raise ValueError(f"{value!r} is no amount of memory; write it as 32 GB")
    return max(1, round(float(match[1]) * _MEGABYTES[match[2][0]]))


def _one_line(text: str) -> str:
    if not text.strip() or any(c in text for c in "\n\r\0") or "$$" in text:
        raise ValueError(f"{text!r}; give one line each, without $$")
    return text


Token = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.,:/@+=-]*$")]
"""What may stand in a directive or be a module's name: nothing that a shell would read as more."""
Line = Annotated[str, AfterValidator(_one_line)]
Count = Annotated[int, Field(ge=1, strict=True)]


class BatchSettings(Spec):
    """What a batch job asks for, times in seconds and memory in MB.

    Attributes
    ----------
    scheduler
        Of this machine.
    walltime
        Of a job.
    nodes, cores
        Of a job; its cores are those of all its nodes, by default ``cores:`` of the settings.
    memory
        Of one node.
    queue, account, qos
        Names that the scheduler knows; ``partition`` is another word for ``queue``.
    parallel_environment
        Of SGE, which needs one for more than one core.
    modules, setup
        Modules to load and shell lines to run before the work.
    options
        Further directives.
    template
        A script of the user's own with FireWorks' placeholders, such as ``$${walltime}``.
    max_jobs
        How many jobs may wait and run at a time.
    per_job
        Calculations at a time in one job.
    """

    scheduler: Literal["slurm", "pbs", "torque", "sge", "lsf"]
    walltime: Annotated[int, BeforeValidator(_seconds)]
    nodes: Count = 1
    cores: Count = 1
    memory: Annotated[int, BeforeValidator(_megabytes)] | None = None
    queue: Token | None = Field(default=None, validation_alias=AliasChoices("queue", "partition"))
    account: Token | None = None
    qos: Token | None = None
    parallel_environment: Token | None = None
    modules: Annotated[list[Token], BeforeValidator(as_list)] = Field(default_factory=list)
    setup: Annotated[list[Line], BeforeValidator(as_list)] = Field(default_factory=list)
    options: Annotated[list[Line], BeforeValidator(as_list)] = Field(default_factory=list)
    template: Path | None = None
    max_jobs: Count = 10
    per_job: Count = 1

    @model_validator(mode="after")
    def _fit(self) -> BatchSettings:
        if self.cores % self.nodes:
            raise ValueError(f"{self.cores} cores on {self.nodes} nodes; give a multiple of the nodes")
        if self.per_job > self.cores:
            raise ValueError(f"per_job: {self.per_job} calculations on {self.cores} cores; give at most one a core")
        if self.per_job > 1 and self.nodes > 1:
            raise ValueError("per_job: several calculations share one node; write nodes: 1")
        if self.scheduler == "sge" and self.cores > 1 and self.parallel_environment is None:
            raise ValueError("parallel_environment: SGE needs one for several cores; qconf -spl lists them")
        return self


_KEYS = {"partition", *BatchSettings.model_fields}
_CHARACTERS = "only letters, digits and . , : / @ + = - _ are possible"
_EXAMPLES = {"scheduler": "slurm", "walltime": "4 h"}


def read_batch_settings(settings: Settings, **changes: Any) -> BatchSettings:
    """Return the ``batch:`` section of the settings.

    Parameters
    ----------
    settings
        Of this machine.
    **changes
        Values that win over those of the section; None leaves one alone.

    Raises
    ------
    SettingsError
        On an unknown key or an impossible value.
    """
    given = {"cores": settings.cores, **settings.batch, **{k: v for k, v in changes.items() if v is not None}}
    for key in given:
        if key not in _KEYS:
            raise SettingsError(f"batch: unknown key '{key}'{did_you_mean(str(key), _KEYS)}")
    try:
        return BatchSettings.model_validate(given)
    except ValidationError as error:
        raise SettingsError(_in_words(error.errors()[0])) from error


def _in_words(mistake: Any) -> str:
    where = [str(part) for part in mistake["loc"] if isinstance(part, str)]
    key = where[0] if where else ""
    place = f"batch: {key}: " if key else "batch: "
    if mistake["type"] == "missing":
        return f"{place}is missing; give it in the settings file (heterodft.yaml), as in {key}: {_EXAMPLES[key]}"
    if mistake["type"] == "value_error":
        return f"{place}{mistake['ctx']['error']}"
    if mistake["type"] == "extra_forbidden":
        return "batch: give queue: or partition:, not both"
    if mistake["type"] == "literal_error":
        return f"{place}{mistake['input']!r}; known: {mistake['ctx']['expected']}"
    if mistake["type"] == "string_pattern_mismatch":
        return f"{place}{mistake['input']!r}; {_CHARACTERS}"
    return f"{place}{in_words(mistake)}"
