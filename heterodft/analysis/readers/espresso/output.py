"""What pw.x prints: convergence, moments in spheres, times, and why it stopped."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from heterodft.analysis.readers.opening import read_text
from heterodft.units import RYDBERG

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "Progress",
    "PwOutput",
    "parse_pw_output",
    "parse_seconds",
    "read_doubts",
    "read_progress",
    "read_pw_output",
    "split_runs",
]

_START = "Program PWSCF"
_FLOAT = r"[-+]?\d*\.?\d+(?:[EeDd][-+]?\d+)?"
_ENERGY = re.compile(rf"^!\s+total energy\s+=\s+({_FLOAT}) Ry", re.MULTILINE)
# A hybrid functional repeats the cycle with exchange of the last one; each repetition prints a "!", their end a "!!".
_HYBRID_ENERGY = re.compile(rf"^!!\s+total energy\s+=\s+({_FLOAT}) Ry", re.MULTILINE)
_EXCHANGE = re.compile(r"EXX: now go back to refine|Using ACE for calculation of exact exchange|^!!", re.MULTILINE)
_ACCURACY = re.compile(rf"estimated scf accuracy\s+<\s+({_FLOAT}) Ry")
_TOTAL = re.compile(rf"total magnetization\s+=\s+({_FLOAT}) Bohr")
_TOTAL_VECTOR = re.compile(rf"total magnetization\s+=\s+({_FLOAT})\s+({_FLOAT})\s+({_FLOAT}) Bohr")
_ABSOLUTE = re.compile(rf"absolute magnetization\s+=\s+({_FLOAT}) Bohr")
_VERDICT = re.compile(r"convergence (has been|NOT) achieved (?:in|after)\s+(\d+) iterations")
# up to 7.0: "atom:    1    charge:    7.5226    magn:   -0.0000"
# later:     "atom   1 (R=0.357)  charge=  7.5226  magn= -0.0000"
_SPHERE = re.compile(rf"^\s+atom:?\s+(\d+)\s+(?:\(R=.*?\)\s+)?charge[:=]\s*({_FLOAT})\s+magn[:=]\s*({_FLOAT})", re.M)
_VECTOR_SPHERE = re.compile(
    rf"atom number\s+(\d+) relative position.*\n\s+charge\s*:\s*({_FLOAT}).*\n"
    rf"\s+magnetization\s*:\s*({_FLOAT})\s+({_FLOAT})\s+({_FLOAT})[ \t]*\n"
)
_TIMES = re.compile(r"^\s+(?:PWSCF|POST-PROC|PROJWFC)\s+:\s*(.*?)\s*CPU\s+(.*?)\s*WALL", re.MULTILINE)
_ROUTINE = re.compile(r"Error in routine\s+(\S+)\s+\((-?\d+)\):\s*\n\s*(.*?)\s*\n")
_ITERATION = re.compile(r"iteration #\s*(\d+)")
# pw.x prints "bfgs converged" after it gave up as well.
_IONS_STOPPED = re.compile(
    r"The maximum number of steps has been reached|history already reset at previous step: stopping"
    r"|Maximum number of iterations reached, stopping"
)
_OUT_OF_TIME, _BY_USER = "Maximum CPU time exceeded", "Program stopped by user request"
_FINAL_CYCLE = "Final scf calculation at the relaxed structure"
_RESTARTED = re.compile(r"Calculation restarted from (.+)")
_IONS_DONE = re.compile(
    r"End of BFGS Geometry Optimization|bfgs converged in|(?:Damped Dynamics|FIRE): convergence achieved"
    r"|convergence achieved, Efinal="
)
_NEGATIVE = re.compile(rf"negative rho \(up, down\):\s+({_FLOAT})\s+({_FLOAT})")
_LOOSE_BANDS = re.compile(r"c_bands:\s+(\d+) eigenvalues not converged")
_MUCH_NEGATIVE = 0.05
"""Electrons; less than this is usual with nonlinear core corrections and harmless."""
_BAND_K = re.compile(r"Computing kpt #:\s+(\d+)\s+of\s+(\d+)")


@dataclass(frozen=True)
class PwOutput:
    """The standard output of pw.x.

    Attributes
    ----------
    energy
        eV, from the last line that starts with ``!``, of a hybrid functional with ``!!``; None when there is none.
    converged
        True or False as printed at the end of the last cycle; None when no cycle ended, or that of a hybrid
        functional was left before its exchange was self-consistent.
    iterations, accuracy
        Of the last cycle; accuracy in eV.
    total_moment, absolute_moment
        μB a cell, as last printed; of a noncollinear run the norm of the vector.
    charges, moments, vectors
        Electrons and μB in spheres, as last printed; empty when never printed. The moments of a noncollinear run are
        the z components of its vectors.
    cpu_seconds, wall_seconds
        None when the end was not reached.
    finished
        Whether "JOB DONE." was printed, which is no sign of success.
    error
        ``routine: message`` of an error box, or None.
    relaxed, ion_steps
        Whether a relaxation reached its tolerance, None where it was none or did not get to say; how many
        self-consistent cycles ended.
    bands_ended
        Whether the bands of every k-point were computed.
    stopped
        ``time`` after max_seconds, ``user`` after an EXIT file where the version says so (6.7 does not).
    restarted
        Where it went on: ``scf iteration # 5``, ``kpoint # 2``; empty from scratch.
    """

    energy: float | None
    converged: bool | None
    iterations: int | None
    accuracy: float | None
    total_moment: float | None
    absolute_moment: float | None
    charges: tuple[float, ...]
    moments: tuple[float, ...]
    cpu_seconds: float | None
    wall_seconds: float | None
    finished: bool
    error: str | None
    relaxed: bool | None = None
    ion_steps: int = 0
    bands_ended: bool = False
    stopped: Literal["time", "user"] | None = None
    restarted: tuple[str, ...] = ()
    vectors: tuple[tuple[float, float, float], ...] = ()


def read_pw_output(path: Path) -> PwOutput:
    """Read the standard output of pw.x, as far as it goes.

    Raises
    ------
    ReaderError
        If the file cannot be opened.
    """
    return parse_pw_output(read_text(path))


def split_runs(text: str) -> list[str]:
    """Return the part of each run of a file to which several runs were appended; nothing of a file without any."""
    starts = [match.start() for match in re.finditer(_START, text)]
    return [text[start:end] for start, end in zip(starts, [*starts[1:], None], strict=False)]


def parse_pw_output(text: str) -> PwOutput:
    """Read the text that pw.x prints, as far as it goes."""
    last_cycle = text.rpartition(_FINAL_CYCLE)[2]  # of a relaxed cell, on which all before says nothing
    converged, iterations = _last_verdict(last_cycle)
    ends = _HYBRID_ENERGY if _EXCHANGE.search(text) else _ENERGY
    charges, moments, vectors = _last_spheres(text)
    times = _TIMES.search(text)
    box = _ROUTINE.search(text)
    energy, accuracy = _last(ends, text), _last(_ACCURACY, text)
    return PwOutput(
        energy=None if energy is None else energy * RYDBERG,
        converged=converged,
        iterations=iterations,
        accuracy=None if accuracy is None else accuracy * RYDBERG,
        total_moment=_total_moment(text),
        absolute_moment=_last(_ABSOLUTE, text),
        charges=charges,
        moments=moments,
        cpu_seconds=parse_seconds(times[1]) if times else None,
        wall_seconds=parse_seconds(times[2]) if times else None,
        finished="JOB DONE." in text,
        error=f"{box[1]}: {box[3]}" if box else None,
        relaxed=False if _IONS_STOPPED.search(text) else True if _IONS_DONE.search(text) else None,
        ion_steps=len(ends.findall(text)),
        bands_ended="End of band structure calculation" in text or converged is True,
        restarted=tuple(" ".join(words.split()) for words in _RESTARTED.findall(text)),
        stopped="time" if _OUT_OF_TIME in text else "user" if _BY_USER in text else None,
        vectors=vectors,
    )


def _last_verdict(text: str) -> tuple[bool | None, int | None]:
    """Return whether the last cycle converged, and its iterations, of a hybrid functional those of the last part."""
    found = _VERDICT.findall(text)
    if not found:
        return None, None
    words, iterations = found[-1]
    exchange, end = list(_EXCHANGE.finditer(text)), text.rfind("\n!!")
    waits = words == "has been" and bool(exchange) and exchange[-1].start() > end + 1
    return (None if waits else words == "has been"), int(iterations)


def _last(pattern: re.Pattern[str], text: str) -> float | None:
    found = pattern.findall(text)
    return float(found[-1].replace("D", "E")) if found else None


def _total_moment(text: str) -> float | None:
    vectors = _TOTAL_VECTOR.findall(text)
    return math.hypot(*map(float, vectors[-1])) if vectors else _last(_TOTAL, text)


def _last_spheres(
    text: str,
) -> tuple[tuple[float, ...], tuple[float, ...], tuple[tuple[float, float, float], ...]]:
    """Return charges, moments and vectors of the last complete table; each table starts again at atom 1."""
    vectors = _VECTOR_SPHERE.findall(text)
    last = _last_table([tuple(map(float, row)) for row in vectors or _SPHERE.findall(text)])
    charges, moments = tuple(row[1] for row in last), tuple(row[-1] for row in last)
    return charges, moments, tuple((row[2], row[3], row[4]) for row in last) if vectors else ()


def _last_table(rows: list[tuple[float, ...]]) -> list[tuple[float, ...]]:
    """Return the last table that is as long as the longest: a shorter one was cut off."""
    tables: list[list[tuple[float, ...]]] = []
    for row in rows:
        if row[0] == 1:
            tables.append([])
        if tables and row[0] == len(tables[-1]) + 1:
            tables[-1].append(row)
    longest = max(map(len, tables), default=0)
    return next((table for table in reversed(tables) if len(table) == longest), [])


def parse_seconds(text: str) -> float:
    """Read a time such as ``1h 2m`` or ``1m23.45s`` or ``3.94s``."""
    parts = re.findall(r"([\d.]+)\s*([dhms])", text)
    return sum(float(value) * {"d": 86400, "h": 3600, "m": 60, "s": 1}[unit] for value, unit in parts)


def read_doubts(path: Path) -> list[str]:
    """Return what pw.x printed that stops no run but that a reader should know; empty without an output."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    last = text[text.rfind("iteration #") :]
    doubts = []
    negative = sum(float(x.replace("D", "E")) for x in (_NEGATIVE.findall(last) or [("0", "0")])[-1])
    if negative > _MUCH_NEGATIVE:
        doubts.append(f"a negative charge density of {negative:.2g} electrons; raise density_cutoff")
    loose = sum(map(int, _LOOSE_BANDS.findall(last)))
    if loose:
        doubts.append(f"{loose} eigenvalues did not converge in the last iteration")
    return doubts


@dataclass(frozen=True)
class Progress:
    """Where a running pw.x is: words such as ``SCF iteration 5``, and its estimated accuracy in eV."""

    text: str
    accuracy: float | None = None


def read_progress(path: Path) -> Progress | None:
    """Tell where a running pw.x is, from the last 20 kB of what it has printed; None when nothing tells."""
    try:
        with path.open("rb") as stream:
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - 20_000))
            text = stream.read().decode(errors="replace")
    except OSError:
        return None
    points = _BAND_K.findall(text)
    if points:
        return Progress(f"k-point {points[-1][0]} of {points[-1][1]}")
    iterations = _ITERATION.findall(text)
    if not iterations:
        return None
    accuracy = _last(_ACCURACY, text)
    return Progress(f"SCF iteration {iterations[-1]}", None if accuracy is None else accuracy * RYDBERG)
