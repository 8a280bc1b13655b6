"""Why a program of Quantum ESPRESSO ended without a usable result, in words.

"JOB DONE." is printed after unconverged and interrupted runs too and is no sign of success.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from heterodft.analysis.readers.espresso.hp import PARAMETERS_FILE, read_hp_output
from heterodft.analysis.readers.espresso.output import read_pw_output
from heterodft.errors import ReaderError
from heterodft.templates.espresso import PREFIX, program_of
from heterodft.workflows.custodians.symptoms import remedy_of

if TYPE_CHECKING:
    from pathlib import Path

    from heterodft.analysis.readers.espresso.output import PwOutput

__all__ = ["diagnose"]


_CALCULATION = re.compile(r"calculation\s*=\s*'([\w-]+)'")
_ABORT = re.compile(r"MPI_ABORT was invoked on rank (\d+).*?errorcode (-?\d+)", re.DOTALL)
_SELF_CONSISTENT = ("scf", "relax", "vc-relax")


def diagnose(folder: Path, file: str) -> str | None:
    """Return what is wrong with a finished run of a program, or None when it succeeded.

    Parameters
    ----------
    folder
        Where it ran, with ``NAME.out`` and ``NAME.err`` of ``NAME.in``.
    file
        Input of the program: ``pw.in``, ``projwfc.in``, ``charge.in`` …
    """
    name, program = file.removesuffix(".in"), program_of(file)
    try:
        printed = read_pw_output(folder / f"{name}.out")
    except ReaderError:
        return f"{program} did not start"
    if not printed.finished and not printed.error:
        words = _last_words(folder / f"{name}.err")
        return _with_remedy(f"{program} ended before it was done{f': {words}' if words else ''}")
    if program == "hp.x" and not printed.error:
        return _response_failure(folder)
    asked = _CALCULATION.search((folder / "pw.in").read_text(encoding="utf-8")) if program == "pw.x" else None
    return _failure(printed, program, asked[1] if asked else "")


def _failure(printed: PwOutput, program: str, calculation: str) -> str | None:
    """Return what a run of a kind of calculation that came to an end says against itself."""
    if printed.error:
        return _with_remedy(f"{program} stopped in {printed.error}")
    if printed.converged is False:
        return _not_converged(printed)
    if printed.relaxed is False:
        return f"not relaxed after {printed.ion_steps} steps; raise max_ion_steps or start from better positions"
    stopped = _stopped_before(printed, calculation)
    return f"{program} was stopped {stopped} (time limit or EXIT file)" if stopped else None


def _response_failure(folder: Path) -> str | None:
    """Return what hp.x says against itself: "JOB DONE." is printed after it stopped for want of something, too."""
    printed = read_hp_output(folder / "hp.out")
    if printed.stopped is not None:
        return f"hp.x stopped: {printed.stopped}"
    if not (printed.finished and (folder / f"{PREFIX}{PARAMETERS_FILE}").is_file()):
        return "hp.x ended without Hubbard parameters; run it again with heterodft retry"
    return None


def _stopped_before(printed: PwOutput, calculation: str) -> str | None:
    """Return what a run that ended in order had not reached."""
    if calculation in _SELF_CONSISTENT and not printed.converged:
        return "inside the SCF cycle"
    if calculation in ("relax", "vc-relax") and not printed.relaxed:
        return "before the structure was relaxed"
    if calculation in ("nscf", "bands") and not printed.bands_ended:
        return "before the bands of every k-point were computed"
    return None


def _with_remedy(reason: str) -> str:
    remedy = remedy_of(reason)
    return reason if remedy is None else f"{reason}; {remedy}"


def _not_converged(printed: PwOutput) -> str:
    accuracy = "unknown" if printed.accuracy is None else f"{printed.accuracy:.2g} eV"
    return (
        f"SCF not converged after {printed.iterations} iterations (estimated accuracy {accuracy}); raise "
        "max_scf_steps or lower mixing in method"
    )


def _last_words(path: Path) -> str:
    """Return the last line of an error stream that says something."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    telling = [line.strip() for line in lines if any(c.isalpha() for c in line)]
    aborted = _ABORT.search("\n".join(telling))
    if aborted is not None:  # what Open MPI has to say after it tells nothing
        return f"rank {aborted[1]} stopped with error {aborted[2]}, and only those of the first pool print why"
    return telling[-1][:200] if telling else ""
