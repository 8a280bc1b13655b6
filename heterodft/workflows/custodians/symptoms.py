"""What a run of pw.x, or of hp.x, died of: one symptom a run, so that one handler corrects it.

A run that was stopped by its time limit or by an EXIT file has no symptom: there is nothing to correct in it.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from heterodft.analysis.readers.espresso.hp import NOT_CONVERGED
from heterodft.analysis.readers.espresso.output import PwOutput, read_pw_output
from heterodft.errors import ReaderError
from heterodft.templates.espresso_edit import read_value

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["BOXES", "Ending", "read_ending", "remedy_of"]

_SMALLER = "use more nodes, or a smaller cutoff or cell"
_TOO_LARGE = f"not enough memory: {_SMALLER}"

BOXES: tuple[tuple[str, str, str], ...] = (
    ("bands", r"too few (?:spin \w+ )?bands|cannot bracket Ef", "give more empty_bands"),
    (
        "diagonalization",
        r"S matrix not positive definite|problems computing cholesky|Cholesky failed|too many bands are not converged"
        r"|eigenvectors failed to converge|diagonalization \(\w+\) failed|\bdiagonalization failed",
        "look for atoms that are too close, or raise cutoff",
    ),
    ("charge", r"charge is wrong(?!: smearing)", "give more empty_bands or start from better moments"),
    ("radial-fft", r"Not enough space allocated for radial FFT", "start from a smaller cell"),
    ("symmetry", r"not orthogonal operation|lone vector|some of the original symmetry operations not satisfied",
     "start from the last structure, or give espresso: {nosym: true} if its cost is bearable"),
    ("tetrahedra", r"cannot remap grid on k-point list",
     "the mesh has not the symmetry of the crystal: give the step another, or espresso: {nosym: true}"),
    ("bfgs", r"dE0s is positive|step-length unreasonably short|error in Bunch-Kaufman",
     "start from better positions or tighten scf_tolerance"),
    ("unrecoverable", r"smearing is needed|fixed occupations and lsda|the system is metallic",
     "the cell is a metal or has an odd number of electrons: give a smearing"),
    ("unrecoverable", r"too many species|ntyp too large|ntyp.*out of range|[Ww]rong ntyp|too many atomic types",
     "pw.x allows 10 species: raise moment_tolerance or ask for fewer different U"),
    ("unrecoverable", r"atoms #.*(?:overlap|differ by lattice vector)|too close",
     "two atoms sit in the same place: look at the structure (heterodft build)"),
    ("unrecoverable", r"pseudopotential not yet inserted",
     "this version of pw.x takes no U on that element: leave it out, or use 7.1 or later"),
    ("unrecoverable", r"too few plane waves|smooth grid|FFT dimensions|wrong fft|fft order too large|nr[123]s? .*too",
     "no FFT grid fits: change density_cutoff a little, and leave out nr1, nr2, nr3 in raw settings"),
    ("unrecoverable", r"too many k.?points", "coarsen kspacing"),
    ("unrecoverable", r"file .*\.upf.* not found|error opening.*UPF|readpp|read_upf",
     "a pseudopotential is missing or cut off: heterodft pseudos list"),
    ("unrecoverable", r"cannot allocate|[Aa]llocat\w+ .*(?:fail|exceed)|insufficient virtual memory|out of memory",
     _TOO_LARGE),
    ("unrecoverable", r"No space left|error (?:writing|while writing)|cannot (?:open|write)|davcio",
     "a file could not be written or read back: free some space and look at the disk, then heterodft retry"),
    ("unrecoverable", r"some nodes have no|too many processors|Too few bands for required ndiag|no planes|pools",
     "too many ranks for so small a cell: set fewer cores"),
    ("unrecoverable", r"bad line in namelist|Unknown card|could not find namelist", "correct the raw settings"),
)  # fmt: skip
"""Symptom, pattern of the message in an error box or in the last words of a dead program, and the remedy in words."""

_MEMORY = re.compile(r"out of memory|oom.kill|cannot allocate|std::bad_alloc|exceeded .*memory", re.IGNORECASE)
_KILLED = re.compile(r"signal 9|SIGKILL")
_DEAD = re.compile(
    r"MPI_ABORT|ORTE_ERROR_LOG|segmentation|SIGSEGV|signal 11|Bus error|Floating.point exception|SIGFPE", re.I
)
_ABORTED = re.compile(r"MPI_ABORT|ORTE_ERROR_LOG")
_DIAGONALIZING = re.compile(r"(?:[Dd]iagonalization|Computing kpt #|ethr =)[^\n]*\s*\Z")
"""The end of an output: pools other than the first print nothing, not even the message that they stop with."""
_STOPPED = re.compile(r"Maximum CPU time exceeded|Program stopped by user request|Signal Received, stopping")
_HISTORY = re.compile(r"history already reset at previous step: stopping")
_RESPONSE = re.compile(NOT_CONVERGED)
_STEPS = re.compile(r"The maximum number of steps has been reached")
_FINAL = "Final scf calculation at the relaxed structure"
_UNCONVERGED = re.compile(r"c_bands:\s+(\d+) eigenvalues not converged")
_BANDS, _POINTS = r"number of Kohn-Sham states=\s*(\d+)", r"number of k points=\s*(\d+)"
_FEW = 0.02
"""Share of the eigenvalues that may stay loose."""
_ITERATION = re.compile(r"iteration #\s*\d+")
RELAXING = ("relax", "vc-relax")


@dataclass(frozen=True)
class Ending:
    """How a run of pw.x came to its end.

    Attributes
    ----------
    symptom
        One word that handlers look for; empty for a run that ended well or was told to stop.
    words
        What was wrong.
    printed
        What the output says.
    text, asked
        The output and the input.
    """

    symptom: str
    words: str
    printed: PwOutput
    text: str
    asked: str

    @property
    def calculation(self) -> str:
        """``scf``, ``relax``, …"""
        return read_value(self.asked, "control->calculation") or "scf"

    @property
    def moved(self) -> bool:
        """Whether a relaxation has made a step that another run can go on from."""
        return self.calculation in RELAXING and "ATOMIC_POSITIONS" in self.text


def read_ending(folder: Path, file: str) -> Ending | None:
    """Return how a run ended, None when it left no output."""
    name = file.removesuffix(".in")
    try:
        printed = read_pw_output(folder / f"{name}.out")
        text = (folder / f"{name}.out").read_text(encoding="utf-8", errors="replace")
        asked = (folder / file).read_text(encoding="utf-8")
    except (ReaderError, OSError):
        return None
    errors = ""
    with suppress(OSError):
        errors = (folder / f"{name}.err").read_text(encoding="utf-8", errors="replace")[-4000:]
    calculation = read_value(asked, "control->calculation") or "scf"
    symptom, words = _symptom(printed, text, errors, calculation)
    return Ending(symptom, words, printed, text, asked)


def _symptom(printed: PwOutput, text: str, errors: str, calculation: str) -> tuple[str, str]:
    if printed.error:
        return _of_box(printed.error), printed.error
    if _RESPONSE.search(text):
        return "response", "the response did not converge"
    if not printed.finished:
        return _of_death(text, errors, relaxing=calculation in RELAXING)
    if _STOPPED.search(text):
        return "", ""
    if printed.converged is False:
        return _of_cycle(text)
    return _of_ions(text) or _of_bands(text, calculation)


def _of_ions(text: str) -> tuple[str, str] | None:
    if _HISTORY.search(text):
        return "bfgs", "BFGS gave up"
    return ("ion-steps", "not relaxed within the ionic steps") if _STEPS.search(text) else None


def _of_bands(text: str, calculation: str) -> tuple[str, str]:
    """Return the symptom of bands of which more than a few stayed loose.

    The threshold is 1e-10 Ry or so; a few of the highest bands, off by a thousandth of a meV, are not worth another
    run, and are told with the result.
    """
    if calculation not in ("nscf", "bands"):
        return "", ""
    loose = sum(int(found) for found in _UNCONVERGED.findall(text))
    bands, points = (re.search(pattern, text) for pattern in (_BANDS, _POINTS))
    if loose > _FEW * int(bands[1] if bands else 1) * int(points[1] if points else 1):
        return "loose-bands", "eigenvalues not converged"
    return "", ""


def _of_box(message: str) -> str:
    return next((kind for kind, pattern, _ in BOXES if re.search(pattern, message)), "unknown")


def _of_death(text: str, errors: str, *, relaxing: bool) -> tuple[str, str]:
    """Return the symptom of an output that breaks off."""
    if _MEMORY.search(errors):
        return "unrecoverable", "out of memory"
    if _ABORTED.search(errors) and not _KILLED.search(errors) and _DIAGONALIZING.search(text):
        return "diagonalization", "stopped in the diagonalization of a pool that prints no message"
    if relaxing and "ATOMIC_POSITIONS" in text:
        return "interrupted", "the relaxation was interrupted"
    if _KILLED.search(errors):
        return "unrecoverable", "killed from outside"
    found = _DEAD.search(errors)
    return ("unrecoverable", f"pw.x died ({found[0]})") if found else ("", "")


def _of_cycle(text: str) -> tuple[str, str]:
    if _FINAL in text:
        return "final-scf", "relaxed, but the final SCF did not converge"
    last = text.rpartition("Self-consistent Calculation")[2]
    if len(_UNCONVERGED.findall(last)) > len(_ITERATION.findall(last)) / 2:
        return "diagonalization", "eigenvalues not converged in most iterations"
    return "scf", "SCF not converged"


def remedy_of(message: str) -> str | None:
    """Return what to do about a message of pw.x or of the system, None where nothing is known.

    Examples
    --------
    >>> remedy_of("setup: too few bands")
    'give more empty_bands'
    """
    known = [(re.compile(pattern), remedy) for _, pattern, remedy in BOXES]
    known += [(_MEMORY, _TOO_LARGE), (_KILLED, f"killed from outside, most often for lack of memory: {_SMALLER}")]
    return next((remedy for pattern, remedy in known if pattern.search(message)), None)
