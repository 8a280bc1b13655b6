"""The programs of a Quantum ESPRESSO calculation: handed-on data, inputs, each program under Custodian.

A program that finished before its worker died is not run again; one that still runs is waited for; pw.x goes on from
its checkpoint. Measured with 6.7: a stop by ``max_seconds`` or by the EXIT file goes on inside the k-points of the
same iteration, a relaxation even after kill -9 from its last finished step, a killed SCF cycle starts again.
"""

from __future__ import annotations

import hashlib
import logging
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from heterodft.analysis.readers.espresso_output import read_pw_output
from heterodft.errors import CalculationError, InterruptedCalculation, ReaderError
from heterodft.files import write_text
from heterodft.templates.espresso import PREFIX, program_of
from heterodft.templates.espresso_edit import edit_namelists
from heterodft.templates.steps import RELAXATIONS
from heterodft.workflows.custodians.diagnosis import diagnose
from heterodft.workflows.handover import hand_over, has_density, relaxed_structure
from heterodft.workflows.inputs import prepare_inputs
from heterodft.workflows.orphans import settle_orphan

if TYPE_CHECKING:
    from pathlib import Path

    from heterodft.workflows.calculation import Request
    from heterodft.workflows.settings import Settings

__all__ = ["remove_scratch", "run_programs", "seconds_for"]

_STANDSTILL = 4
"""Attempts that get nowhere before a calculation is given up."""
_log = logging.getLogger(__name__)
Start = Literal["scratch", "checkpoint"]


@dataclass(frozen=True)
class _Input:
    """One input file of a calculation: its name, and its text as the request has it."""

    name: str
    text: str

    @property
    def asked(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]


def run_programs(request: Request, folder: Path, settings: Settings) -> None:
    """Run every program of a calculation that has not ended well here already.

    Raises
    ------
    CalculationError
        If one ended without a usable result.
    InterruptedCalculation
        If the worker was told to stop or its time is up; the program is ended first.
    """
    deck = prepare_inputs(request, settings, structure=relaxed_structure(request, folder))
    settings = replace(settings, cores=1, command=None) if deck.serial else settings
    inputs = [_Input(name, text) for name, text in deck.files.items()]
    settle_orphan(folder, [i.asked for i in inputs], settings)
    done = [_ended_well(folder, each) for each in inputs]
    if request.step in (*RELAXATIONS, "static") and not has_density(folder):
        done = [False]
    start = _choose_start(folder, inputs[0])
    if not done[0] and start == "scratch":
        hand_over(request, folder)
    for index, each in enumerate(inputs):
        if not all(done[: index + 1]):
            _run_program(request, each, folder, settings, start=start if index == 0 else "scratch")


def _last_attempt(folder: Path, each: _Input) -> dict[str, Any] | None:
    """Return the last attempt at an input when it was this very input."""
    from heterodft.workflows.custodians.watch import attempts_in

    jobs = [entry["job"] for entry in attempts_in(folder) if entry.get("job", {}).get("file") == each.name]
    return jobs[-1] if jobs and jobs[-1].get("asked") == each.asked else None


def _ended_well(folder: Path, each: _Input) -> bool:
    """Tell whether a program already ended well here with the very same input."""
    return _last_attempt(folder, each) is not None and diagnose(folder, each.name) is None


def _choose_start(folder: Path, each: _Input) -> Start:
    """Return whether pw.x left something here to go on from."""
    if program_of(each.name) != "pw.x" or _last_attempt(folder, each) is None:
        return "scratch"
    with suppress(ReaderError):
        printed = read_pw_output(folder / each.name.replace(".in", ".out"))
        stopped_in_order = printed.finished and not printed.error
        relaxing = (folder / f"{PREFIX}.bfgs").is_file() and not printed.error
        if (stopped_in_order or relaxing) and has_density(folder):
            return "checkpoint"
    return "scratch"


def seconds_for(settings: Settings) -> int | None:
    """Return how long a program may take, with time left to write its checkpoint; None without a time limit.

    Raises
    ------
    InterruptedCalculation
        If nothing is left of the worker's time.
    """
    if settings.deadline is None:
        return None
    left = settings.deadline - time.time()
    reserve = min(max(0.1 * left, 10.0), 900.0)
    if left - reserve < 1.0:
        raise InterruptedCalculation("the time of this worker is up; the calculation goes on in the next one")
    return int(left - reserve)


def _run_program(request: Request, each: _Input, folder: Path, settings: Settings, *, start: Start) -> None:
    """Run one program to a valid end; from scratch where its checkpoint turns out to be unusable."""
    try:
        _attempt(request, each, folder, settings, start=start)
    except CalculationError as error:
        if isinstance(error, InterruptedCalculation) or start == "scratch" or not _checkpoint_is_bad(folder, each):
            raise
        _log.warning("%s: the checkpoint cannot be read (%s); starting again", folder, error)
        hand_over(request, folder)
        _attempt(request, each, folder, settings, start="scratch")


def _checkpoint_is_bad(folder: Path, each: _Input) -> bool:
    """Tell whether pw.x stopped with an error before its first iteration."""
    printed = read_pw_output(folder / each.name.replace(".in", ".out"))
    return printed.energy is None and printed.accuracy is None and not printed.stopped


def _attempt(request: Request, each: _Input, folder: Path, settings: Settings, *, start: Start) -> None:
    from heterodft.workflows.custodians.espresso import EspressoJob, EspressoValidator
    from heterodft.workflows.custodians.watch import run_watched

    program = program_of(each.name)
    text, limit = each.text, seconds_for(settings)
    if program == "pw.x":
        run_control = {
            "control->max_seconds": limit,
            "control->restart_mode": "restart" * (start != "scratch") or None,
        }
        text = edit_namelists(text, run_control)
    write_text(folder / each.name, text)
    job = EspressoJob(
        settings.command_for(program, settings.cores), each.name, asked=each.asked, start=start, grace=settings.grace
    )
    try:
        run_watched(
            job,
            folder,
            handlers=[],
            validators=[EspressoValidator(each.name)],
            explain=lambda: diagnose(folder, each.name),
        )
    except CalculationError as error:
        if limit is not None and _ran_out_of_time(folder, each):
            _refuse_standstill(folder, each, limit)
            raise InterruptedCalculation(f"{program} ran out of time in {folder}; it goes on from there") from error
        raise


def _ran_out_of_time(folder: Path, each: _Input) -> bool:
    with suppress(ReaderError):
        return read_pw_output(folder / each.name.replace(".in", ".out")).stopped == "time"
    return False


def _refuse_standstill(folder: Path, each: _Input, limit: int) -> None:
    """Stop a calculation that got nowhere in several times of this length.

    Raises
    ------
    CalculationError
        If the last attempts all ended where they began.
    """
    name = each.name.replace(".in", ".out")
    number = len(list(folder.glob(f"{name}.*")))
    paths = [folder / name, *(folder / f"{name}.{n}" for n in range(number, number - _STANDSTILL + 1, -1))]
    if not all(path.is_file() for path in paths):
        return
    outputs = [read_pw_output(path) for path in paths]
    moved = any(o.stopped != "time" or o.energy is not None or o.accuracy is not None for o in outputs)
    if not moved and len({o.restarted for o in outputs}) == 1:
        raise CalculationError(
            f"pw.x gets nowhere within {limit} s, {len(outputs)} times now; give a longer walltime or more cores [{folder}]"
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
