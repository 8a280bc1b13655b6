"""The programs of a Quantum ESPRESSO calculation: handed-on data, inputs, each program under Custodian.

A program that finished before its worker died is not run again; one that still runs is waited for; pw.x goes on from
where it was.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from heterodft.errors import CalculationError, InterruptedCalculation
from heterodft.files import write_text
from heterodft.templates.espresso import program_of
from heterodft.templates.espresso_version import program_version
from heterodft.templates.hubbard import HUBBARD_CARD_VERSION
from heterodft.templates.steps import RELAXATIONS
from heterodft.workflows.continuation import (
    WantedInput,
    choose_start,
    ended_well,
    next_start,
    ran_out_of_time,
    refuse_standstill,
    starting_text,
)
from heterodft.workflows.cost import estimate_cost
from heterodft.workflows.custodians.diagnosis import diagnose
from heterodft.workflows.custodians.last_structure import read_last_structure
from heterodft.workflows.handover import filled_moment, hand_over, has_density, relaxed_structure, smeared_alike
from heterodft.workflows.inputs import prepare_inputs
from heterodft.workflows.orphans import settle_orphan
from heterodft.workflows.pools import choose_pools

if TYPE_CHECKING:
    from pathlib import Path

    from heterodft.workflows.calculation import Request
    from heterodft.workflows.continuation import Start
    from heterodft.workflows.settings import Settings

__all__ = ["other_start_is_left", "run_programs"]

_log = logging.getLogger(__name__)


def run_programs(request: Request, folder: Path, settings: Settings) -> None:
    """Run every program of a calculation that has not ended well here already.

    Raises
    ------
    CalculationError
        If one ended without a usable result.
    InterruptedCalculation
        If the worker was told to stop or its time is up; the program is ended first.
    """
    structure, moment = relaxed_structure(request, folder), filled_moment(request, folder)
    deck = prepare_inputs(request, settings, structure=structure, filled_moment=moment)
    settings = replace(settings, cores=1, command=None) if deck.serial else settings
    texts = smeared_alike(request, folder, {n: text for n, text in deck.files.items() if n.endswith(".in")})
    inputs = [WantedInput(name, text) for name, text in texts.items()]
    for name in deck.files.keys() - {each.name for each in inputs}:
        write_text(folder / name, deck.files[name])
    settle_orphan(folder, [each.asked for each in inputs], settings)
    done = [ended_well(folder, each) for each in inputs]
    another = _take_other_start(request, inputs[0], folder, settings)
    if another or (request.step in (*RELAXATIONS, "static") and not has_density(folder)):
        done = [False]
    for index, each in enumerate(inputs):
        if not all(done[: index + 1]):
            _run_program(request, each, folder, settings, first=index == 0, another=another and index == 0)


def other_start_is_left(request: Request, folder: Path) -> bool:
    """Tell whether a cycle ended in another state, and its user wants a start that was not tried yet."""
    from heterodft.workflows.custodians.espresso_state import state_handler

    handler = state_handler(request, "pw.in", reseed=False)
    return handler is not None and (handler.is_chosen(folder) or handler.is_left(folder))


def _take_other_start(request: Request, each: WantedInput, folder: Path, settings: Settings) -> bool:
    """Take the next other start of a cycle whose worker died before, or that was to be left as it is then."""
    from heterodft.workflows.custodians.espresso_state import state_handler
    from heterodft.workflows.custodians.watch import note_correction

    handler = state_handler(request, each.name, reseed=settings.reseed)
    if handler is None or handler.is_chosen(folder):
        return handler is not None
    if not ended_well(folder, each):
        return False
    asked = starting_text(folder, each, "scratch")
    if not handler.is_left(folder, asked):
        return False
    write_text(folder / each.name, asked)
    note_correction(folder, handler, handler.correct(str(folder)))
    return True


def _other_start(folder: Path, each: WantedInput) -> Start:
    return "scratch" if read_last_structure(folder, each.name) is None else "positions"


def _run_program(
    request: Request, each: WantedInput, folder: Path, settings: Settings, *, first: bool, another: bool
) -> None:
    """Run one program to a valid end; where its start turns out to be unusable, from an earlier one."""
    start: Start | None = _other_start(folder, each) if another else choose_start(folder, each)
    while start is not None:
        if first and start == "scratch" and not another:
            hand_over(request, folder)
        try:
            return _attempt(request, each, folder, settings, start=start)
        except InterruptedCalculation:
            raise
        except CalculationError as error:
            start = next_start(folder, each, start)
            if start is None:
                raise
            _log.warning("%s: starting again from %s, since %s", folder, start, error)
    return None


def _crashes_in_parallel(settings: Settings) -> bool:
    """Tell whether this pw.x crashes under mpirun when it starts from given occupations."""
    return program_version(settings.program("pw.x")) < HUBBARD_CARD_VERSION


def _pools(request: Request, settings: Settings) -> int:
    """Return the number of pools of ranks for the k-points of pw.x."""
    if settings.cores == 1:
        return 1
    cost = estimate_cost(request, settings)
    return choose_pools(settings.cores, kpoints=cost.kpoints * cost.spins, memory=cost.memory)


def _attempt(request: Request, each: WantedInput, folder: Path, settings: Settings, *, start: Start) -> None:
    from heterodft.workflows.custodians.espresso import EspressoJob, EspressoValidator
    from heterodft.workflows.custodians.espresso_handlers import MAX_ERRORS, espresso_handlers
    from heterodft.workflows.custodians.watch import run_watched

    write_text(folder / each.name, starting_text(folder, each, start))
    program = program_of(each.name)
    pools = _pools(request, settings) if program == "pw.x" else 1
    job = EspressoJob(
        settings.command_for(program, settings.cores, pools=pools),
        each.name,
        asked=each.asked,
        start=start,
        deadline=settings.deadline,
        grace=settings.grace,
        alone=replace(settings, cores=1, command=None).command_for(program, 1)
        if _crashes_in_parallel(settings)
        else [],
    )
    try:
        run_watched(
            job,
            folder,
            handlers=espresso_handlers(request, each.name, physics=settings.correct_physics, reseed=settings.reseed),
            validators=[EspressoValidator(each.name)],
            max_errors=MAX_ERRORS,
            explain=lambda: diagnose(folder, each.name),
        )
    except CalculationError as error:
        if settings.deadline is not None and ran_out_of_time(folder, each):
            refuse_standstill(folder, each)
            raise InterruptedCalculation(f"{job.name} ran out of time in {folder}; it goes on from there") from error
        raise
