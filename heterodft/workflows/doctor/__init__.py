"""What is installed on this machine, what is missing for what the settings say, and how to get it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heterodft.workflows.doctor.espresso import examine_espresso
from heterodft.workflows.doctor.finding import Finding
from heterodft.workflows.doctor.machine import (
    examine_batch,
    examine_machine,
    examine_pseudopotentials,
    examine_queue,
)
from heterodft.workflows.doctor.trial import run_trial
from heterodft.workflows.doctor.vasp import examine_vasp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from heterodft.workflows.settings import Settings

__all__ = ["Finding", "examine"]


def examine(settings: Settings, *, trial: bool = False) -> Iterator[Finding]:
    """Yield what each look at the machine found, as soon as it is known.

    Parameters
    ----------
    settings
        What they ask for and is not there is a problem; what else could be there is a note.
    trial
        Run a small calculation with pw.x at the end.
    """
    for look in (
        examine_machine,
        examine_espresso,
        examine_pseudopotentials,
        examine_vasp,
        examine_queue,
        examine_batch,
    ):
        yield from look(settings)
    if trial:
        yield run_trial(settings)
