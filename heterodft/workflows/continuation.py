"""Where a calculation with pw.x goes on: what an interrupted attempt left, and the input that starts from there.

Measured with 6.7: a stop by ``max_seconds`` or by the EXIT file goes on inside the k-points of the same iteration, a
relaxation at fixed cell even after kill -9 from its last finished step; a killed SCF cycle starts again. With a cell
that moves, pw.x crashes some steps after such a restart: there the last structure printed is the new start.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from heterodft.analysis.readers.espresso.output import read_pw_output
from heterodft.errors import CalculationError, ReaderError
from heterodft.templates.espresso import PREFIX, program_of
from heterodft.templates.espresso_edit import edit_namelists, read_value, replace_structure
from heterodft.workflows.custodians.corrections import recorded_changes
from heterodft.workflows.custodians.diagnosis import diagnose
from heterodft.workflows.custodians.last_structure import outputs_of, read_last_structure
from heterodft.workflows.custodians.watch import attempts_in
from heterodft.workflows.handover import has_density
from heterodft.workflows.state.seeds import seeds_taken

if TYPE_CHECKING:
    from pathlib import Path

    from heterodft.analysis.readers.espresso.output import PwOutput

__all__ = [
    "Start",
    "WantedInput",
    "choose_start",
    "ended_well",
    "next_start",
    "ran_out_of_time",
    "refuse_standstill",
    "starting_text",
]

Start = Literal["scratch", "checkpoint", "positions"]
_DIVERGED = 1.0
"""eV: estimated accuracy of a density that is worth nothing."""
_STANDSTILL = 4
"""Attempts that get nowhere before a calculation is given up."""


@dataclass(frozen=True)
class WantedInput:
    """One input file of a calculation: its name, and its text as the request has it."""

    name: str
    text: str

    @property
    def asked(self) -> str:
        """Checksum of the text, by which attempts at it are known."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]

    @property
    def moves_cell(self) -> bool:
        """Whether it relaxes the cell."""
        return read_value(self.text, "control->calculation") == "vc-relax"


def _last_attempt(folder: Path, wanted: WantedInput) -> dict[str, Any] | None:
    """Return the last attempt at an input when it was this very input."""
    jobs = [entry["job"] for entry in attempts_in(folder) if entry.get("job", {}).get("file") == wanted.name]
    return jobs[-1] if jobs and jobs[-1].get("asked") == wanted.asked else None


def _last_output(folder: Path, wanted: WantedInput) -> PwOutput | None:
    """Return what the last attempt printed, None when it did not get so far."""
    with suppress(ReaderError, IndexError):
        return read_pw_output(outputs_of(folder, wanted.name)[0])
    return None


def ended_well(folder: Path, wanted: WantedInput) -> bool:
    """Tell whether a program already ended well here with the very same input."""
    return _last_attempt(folder, wanted) is not None and diagnose(folder, wanted.name) is None


def choose_start(folder: Path, wanted: WantedInput) -> Start:
    """Return what pw.x left here to go on from."""
    if program_of(wanted.name) != "pw.x" or _last_attempt(folder, wanted) is None:
        return "scratch"
    moved = read_last_structure(folder, wanted.name) is not None
    if wanted.moves_cell and moved:
        return "positions"
    printed = _last_output(folder, wanted)
    if printed is not None:
        diverged = printed.converged is False and (printed.accuracy is None or printed.accuracy > _DIVERGED)
        stopped_in_order = printed.finished and not printed.error and not diverged
        relaxing = (folder / f"{PREFIX}.bfgs").is_file() and not printed.error and not diverged
        if (stopped_in_order or relaxing) and has_density(folder):
            return "checkpoint"
    return "positions" if moved else "scratch"


def next_start(folder: Path, wanted: WantedInput, start: Start) -> Start | None:
    """Return where to start instead, when pw.x crashed or could not read what it started from; None of other ends."""
    if start == "scratch":
        return None
    printed = _last_output(folder, wanted)
    if printed is None:
        return None
    crashed = not printed.finished and (start == "checkpoint" or printed.accuracy is None)
    if not crashed:
        return None
    if start == "checkpoint" and read_last_structure(folder, wanted.name) is not None:
        return "positions"
    return "scratch" if printed.ion_steps == 0 else None


def starting_text(folder: Path, wanted: WantedInput, start: Start) -> str:
    """Return the input with what earlier attempts learnt, that starts where it should."""
    if program_of(wanted.name) != "pw.x":
        return wanted.text
    text = edit_namelists(wanted.text, recorded_changes(folder, wanted.name))
    other_state = seeds_taken(folder) > 0  # whose density is not to be started from again
    if other_state:
        text = edit_namelists(text, {"electrons->startingpot": None})
    structure = read_last_structure(folder, wanted.name) if start == "positions" else None
    if structure is not None:
        last = _last_output(folder, wanted)
        whole = last is not None and last.finished and has_density(folder) and not other_state  # else half-written
        text = edit_namelists(
            replace_structure(text, structure), {"electrons->startingpot": "file" if whole else None}
        )
    return edit_namelists(text, {"control->restart_mode": "restart" if start == "checkpoint" else None})


def ran_out_of_time(folder: Path, wanted: WantedInput) -> bool:
    """Tell whether the program stopped for its time limit."""
    printed = _last_output(folder, wanted)
    return printed is not None and printed.stopped == "time"


def refuse_standstill(folder: Path, wanted: WantedInput) -> None:
    """Stop a calculation that got nowhere in several times of the same length.

    Raises
    ------
    CalculationError
        If the last attempts all ran out of time where they began.
    """
    paths = outputs_of(folder, wanted.name)[:_STANDSTILL]
    outputs = [read_pw_output(path) for path in paths]
    moved = any(o.stopped != "time" or o.energy is not None or o.accuracy is not None for o in outputs)
    if len(outputs) == _STANDSTILL and not moved and len({o.restarted for o in outputs}) == 1:
        seconds = read_value((folder / wanted.name).read_text(encoding="utf-8"), "control->max_seconds")
        raise CalculationError(
            f"pw.x gets nowhere within {seconds} s, {_STANDSTILL} times now; give a longer walltime or more cores "
            f"[{folder}]"
        )
