"""OSZICAR: the energy of each electronic and ionic step, and the moment of the cell."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from heterodft.analysis.readers.file_text import number, words_to_numbers
from heterodft.analysis.readers.opening import read_bytes
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ElectronicStep", "OszicarStep", "read_oszicar"]

_VALUE = rb"\s*([-+.\d*]\S*)"
_IONIC = re.compile(rb"\s*(\d+)\s+(?:T=" + _VALUE + rb"\s+E=" + _VALUE + rb"\s+)?F=" + _VALUE + rb"\s+E0=" + _VALUE)
_ELECTRONIC = re.compile(rb"\s*([A-Z]{3,4}):\s*(\d+)\s+([-+.\d*]\S*?)\s+([-+.\d*]\S*?)\s")


@dataclass(frozen=True)
class ElectronicStep:
    """One line of the self-consistent cycle: the algorithm (``DAV``), its number, energy and change in eV."""

    algorithm: str
    index: int
    energy: float
    change: float


@dataclass(frozen=True)
class OszicarStep:
    """One ionic step.

    Attributes
    ----------
    index
        From one.
    free_energy, energy_zero
        F and E0 = energy(sigma→0) in eV.
    moment
        μB: one number, three of a noncollinear run, none without spin.
    electronic
        Its electronic steps.
    """

    index: int
    free_energy: float
    energy_zero: float
    moment: tuple[float, ...]
    electronic: tuple[ElectronicStep, ...]


def read_oszicar(path: Path) -> tuple[OszicarStep, ...]:
    """Read the ionic steps that ended; lines that are cut off or damaged are no steps.

    Raises
    ------
    ReaderError
        If the file cannot be opened, or steps are missing in between.
    """
    *lines, _ = read_bytes(path).split(b"\n")  # the last is empty, or was not written to its end
    steps: list[OszicarStep] = []
    electronic: list[ElectronicStep] = []
    for line in lines:
        match = _ELECTRONIC.match(line + b" ")
        if match is not None:
            if int(match[2]) == 1:
                electronic = []
            electronic.append(ElectronicStep(match[1].decode(), int(match[2]), number(match[3]), number(match[4])))
        elif (step := _ionic_step(line, electronic)) is not None:
            if steps and step.index <= steps[-1].index:
                raise ReaderError(f"{path}: ionic step {step.index} follows {steps[-1].index}; files of two runs?")
            steps.append(step)
            electronic = []
    return tuple(steps)


def _ionic_step(line: bytes, electronic: list[ElectronicStep]) -> OszicarStep | None:
    match = _IONIC.match(line)
    if match is None:
        return None
    free, zero = number(match[4]), number(match[5])
    moment = tuple(words_to_numbers(line.partition(b"mag=")[2]))
    bad = not (math.isfinite(free) and math.isfinite(zero)) or any(map(math.isnan, moment))
    return None if bad else OszicarStep(int(match[1]), free, zero, moment, tuple(electronic))
