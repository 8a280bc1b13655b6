"""The programs of a Quantum ESPRESSO calculation: handed-on data, inputs, each program under Custodian.

A program that finished before its worker died is not run again.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from heterodft.files import write_text
from heterodft.templates.espresso import PREFIX, program_of
from heterodft.templates.steps import RELAXATIONS
from heterodft.workflows.custodians.diagnosis import diagnose
from heterodft.workflows.handover import hand_over, has_density, relaxed_structure
from heterodft.workflows.inputs import prepare_inputs

if TYPE_CHECKING:
    from pathlib import Path

    from heterodft.workflows.calculation import Request
    from heterodft.workflows.settings import Settings

__all__ = ["remove_scratch", "run_programs"]

_log = logging.getLogger(__name__)


def run_programs(request: Request, folder: Path, settings: Settings) -> None:
    """Run every program of a calculation that has not ended well here already.

    Raises
    ------
    CalculationError
        If one ended without a usable result.
    InterruptedCalculation
        If the worker was told to stop; the program is ended first.
    """
    from heterodft.workflows.custodians.espresso import end_orphan

    if end_orphan(folder):
        _log.warning("ended a program that outlived its worker in %s", folder)
    deck = prepare_inputs(request, settings, structure=relaxed_structure(request, folder))
    settings = replace(settings, cores=1, command=None) if deck.serial else settings
    done = [_ended_well(folder, name, text) for name, text in deck.files.items()]
    if request.step in (*RELAXATIONS, "static") and not has_density(folder):
        done = [False]
    if not done[0]:
        hand_over(request, folder)
    for index, (name, text) in enumerate(deck.files.items()):
        if not all(done[: index + 1]):
            _run_program(request, name, folder, text, settings)


def _ended_well(folder: Path, name: str, text: str) -> bool:
    """Tell whether a program already ended well here with the very same input."""
    path = folder / name
    same = path.is_file() and path.read_text(encoding="utf-8") == text
    return same and (folder / name.replace(".in", ".out")).is_file() and diagnose(folder, name) is None


def _run_program(request: Request, name: str, folder: Path, text: str, settings: Settings) -> None:
    from heterodft.workflows.custodians.espresso import EspressoJob, EspressoValidator
    from heterodft.workflows.custodians.espresso_handlers import MAX_ERRORS, espresso_handlers
    from heterodft.workflows.custodians.watch import run_watched

    write_text(folder / name, text)
    job = EspressoJob(settings.command_for(program_of(name), settings.cores), name)
    run_watched(
        job,
        folder,
        handlers=espresso_handlers(request, name),
        validators=[EspressoValidator(name)],
        max_errors=MAX_ERRORS,
        explain=lambda: diagnose(folder, name),
    )


def remove_scratch(request: Request, folder: Path) -> None:
    """Remove what no later step reads: work files of pw.x, and the wavefunctions of a step without children."""
    patterns = [
        "*.filplot",
        f"{PREFIX}.wfc*",
        f"{PREFIX}.hub*",
        f"{PREFIX}.mix*",
        f"{PREFIX}.restart*",
        f"{PREFIX}.xml",
    ]
    if request.step in ("dos", "bands"):
        patterns.append(f"{PREFIX}.save/wfc*")
    for path in (path for pattern in patterns for path in folder.glob(pattern)):
        with suppress(OSError):
            path.unlink()
