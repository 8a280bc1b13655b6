"""OUTCAR: what only it tells (moments and charges in spheres), and what it tells beside ``vasprun.xml``.

The file grows with every step of the electrons, and what is wanted stands at its end: it is mapped and searched
backwards, so that a file of any size takes milliseconds. All numbers are those of one ionic step.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.readers.file_text import find, fixed_width, mapped, number, rfind, words_to_numbers
from heterodft.analysis.readers.vasp.outcar_header import read_header
from heterodft.analysis.readers.vasp.outcar_hubbard import read_occupations
from heterodft.analysis.readers.vasp.outcar_tables import ShellTable, read_tables

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from heterodft.analysis.readers.file_text import Mapped
    from heterodft.analysis.result import HubbardOccupations

__all__ = ["KILOBAR", "Ending", "OutcarData", "ShellTable", "ending_of", "find_step", "read_ending", "read_outcar"]

KILOBAR = 1 / 1602.1766208
"""eV/Å³."""
_CYCLE_END = b"aborting loop"
_STEP_BEGINS = (b"Iteration%7d(   1)", b"Iteration%5d(   1)")
"""From VASP 5.4.4 on, and before."""
_HEADER = 1 << 22
_TAIL = 1 << 16


@dataclass(frozen=True)
class Ending:
    """How a run ended.

    Attributes
    ----------
    finished
        The times at the end were printed.
    stopped
        By STOPCAR (LSTOP, LABORT), before the structure was relaxed.
    electrons_converged
        The last self-consistent cycle reached EDIFF.
    relaxed
        The structure reached EDIFFG.
    crashed
        VASP printed an error there.
    """

    finished: bool
    stopped: bool
    electrons_converged: bool
    relaxed: bool
    crashed: bool


@dataclass(frozen=True)
class OutcarData:
    """What an OUTCAR says; None where it does not.

    Attributes
    ----------
    version
        Such as ``6.4.1``.
    settings
        Of the header: NIONS, NKPTS, NBANDS, ISPIN, LNONCOLLINEAR, LSORBIT, ENCUT, ENAUG, NELECT, ISMEAR, SIGMA, NSW,
        IBRION, ICHARG, NELM, EDIFF, LDAUTYPE, LDAUL, LDAUU, LDAUJ, GGA, METAGGA, LHFCALC, AEXX, HFSCREEN, IVDW.
    elements
        One a site.
    titles, valences
        Of the pseudopotentials, one a species: TITEL and ZVAL.
    counts
        Sites of each species.
    mesh
        Of k-points, where it was generated.
    ionic_step, iterations
        Number of the ionic step that was read and of its electronic steps.
    free_energy, energy_without_entropy, energy_zero
        eV, of that step; the last is energy(sigma→0).
    cycle_energy
        eV: energy(sigma→0) of the last electronic step, without terms outside the cycle such as dispersion.
    accuracy
        eV: the change of the free energy in its last electronic step.
    fermi_level
        eV.
    moment
        μB, of the cell: one number, or three of a noncollinear run.
    charges
        The table *total charge*.
    moments
        The tables *magnetization (x)*, of a noncollinear run also (y) and (z).
    lattice
        Å, rows, shape (3, 3).
    positions
        Å, Cartesian, five decimals, shape (sites, 3).
    forces
        eV/Å, shape (sites, 3).
    stress
        eV/Å³, shape (3, 3), positive when the cell wants to shrink.
    cpu_seconds, wall_seconds
        Printed at the end.
    ending
        See `Ending`.
    occupations
        Of each site whose onsite density matrix was printed, in the last electronic step.
    notes
        What is cut off, or does not add up.
    """

    version: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    elements: tuple[str, ...] | None = None
    titles: tuple[str, ...] = ()
    valences: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    mesh: tuple[int, int, int] | None = None
    ionic_step: int | None = None
    iterations: int | None = None
    free_energy: float | None = None
    energy_without_entropy: float | None = None
    energy_zero: float | None = None
    cycle_energy: float | None = None
    accuracy: float | None = None
    fermi_level: float | None = None
    moment: tuple[float, ...] | None = None
    charges: ShellTable | None = None
    moments: tuple[ShellTable, ...] = ()
    lattice: NDArray[np.float64] | None = None
    positions: NDArray[np.float64] | None = None
    forces: NDArray[np.float64] | None = None
    stress: NDArray[np.float64] | None = None
    cpu_seconds: float | None = None
    wall_seconds: float | None = None
    ending: Ending = field(default_factory=lambda: Ending(False, False, False, False, False))
    occupations: tuple[HubbardOccupations, ...] = ()
    notes: tuple[str, ...] = ()


def read_outcar(path: Path, *, step: int | None = None) -> OutcarData:
    """Read an OUTCAR, plain or compressed, as far as it goes.

    Parameters
    ----------
    path
        The file.
    step
        Number of the ionic step to read, from one; without it, the last that ended.

    Raises
    ------
    ReaderError
        If the file cannot be opened.
    """
    with mapped(path) as data:
        begin, middle, stop = find_step(data, step)
        notes: list[str] = []
        known = read_header(data)
        settings = known["settings"]
        found: dict[str, Any] = {}
        if middle >= 0:
            cycle, after = bytes(data[max(begin, middle - _HEADER) : middle]), bytes(data[middle:stop])
            found |= _read_cycle(data, begin, middle, cycle)
            found |= _read_after(after, settings.get("NIONS"), notes)
            _compare_energies(found, notes)
            found |= read_tables(data, (begin, stop), settings, notes)
            found |= read_occupations(data, begin, middle, settings, notes)
        elif len(data):
            notes.append("OUTCAR ends before the first self-consistent cycle does")
        if any(b"\0" in data[first:last] for first, last in ((0, min(begin, _HEADER)), (max(begin, 0), stop))):
            notes.append("OUTCAR holds zero bytes where text should be: numbers may be missing; copy or run it again")
        ending = ending_of(data)
        times = _read_times(data) if ending.finished else {}
        return OutcarData(**known, **found, **times, ending=ending, notes=tuple(notes))


def read_ending(path: Path) -> Ending:
    """Return how a run ended, from its OUTCAR.

    Raises
    ------
    ReaderError
        If the file cannot be opened.
    """
    with mapped(path) as data:
        return ending_of(data)


def ending_of(data: Mapped) -> Ending:
    """Return how a run ended, from what its OUTCAR holds."""
    last = rfind(data, _CYCLE_END)
    iteration = rfind(data, b" Iteration ", 0, last if last >= 0 else None)
    tail = bytes(data[max(iteration, len(data) - (_TAIL << 4), 0) :])
    word = bytes(data[last : last + 60]) if last >= 0 else b""
    relaxed = b"reached required accuracy - stopping structural energy" in tail
    hard = word.startswith(b"aborting loop because hard stop was set")
    said = b"soft stop encountered!  aborting job" in tail or b"hard stop encountered!  aborting job" in tail
    end = tail[-_TAIL:]
    crashed = any(text in end for text in (b"I REFUSE TO CONTINUE", b"EEEEEEE  RRRRRR", b"internal error"))
    return Ending(
        finished=b"General timing and accounting" in tail,
        stopped=(said or hard) and not relaxed,
        electrons_converged=word == b"" or word.startswith(b"aborting loop because EDIFF is reached"),
        relaxed=relaxed,
        crashed=crashed,
    )


def find_step(data: Mapped, step: int | None) -> tuple[int, int, int]:
    """Return where an ionic step begins, where its cycle ends (−1 where it does not), and where the step ends."""
    if step is not None:
        begin, middle = _begin_of(data, step)
    else:
        begin, middle = 0, rfind(data, _CYCLE_END)
        while middle >= 0 and not _is_whole(data, middle):
            earlier = rfind(data, _CYCLE_END, 0, middle)
            if earlier < 0:
                break
            middle = earlier
        begin = max(rfind(data, b"(   1)  ---", 0, middle), 0) if middle >= 0 else 0
    if middle < 0:
        return 0, -1, 0
    after = find(data, b" Iteration ", middle)
    return begin, middle, after if after >= 0 else len(data)


def _begin_of(data: Mapped, step: int) -> tuple[int, int]:
    """Return where an ionic step begins and its cycle ends; a linear response after it counts from one again."""
    begin, middle, before = -1, -1, len(data)
    while (found := max(rfind(data, form % step, 0, before) for form in _STEP_BEGINS)) >= 0:
        begin, before = found, found
        middle = find(data, _CYCLE_END, begin)
        if middle >= 0 and _is_whole(data, middle):
            break
    return begin, middle


def _is_whole(data: Mapped, middle: int) -> bool:
    """Tell whether the energy that is printed after a cycle and its forces is there."""
    after = find(data, b" Iteration ", middle)
    stop = after if after >= 0 else len(data)
    block = find(data, b"energy  without entropy", middle)
    return 0 <= block < stop and data[block : block + 200].find(b"\n") > 0


def _read_cycle(data: Mapped, begin: int, middle: int, cycle: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    at = rfind(data, b" Iteration ", 0, middle)
    match = re.match(rb" Iteration\s*(\d+)\(\s*(\d+)\)", bytes(data[at : at + 40])) if at >= 0 else None
    if match is not None:
        found |= {"ionic_step": int(match[1]), "iterations": int(match[2])}
    energies = re.findall(rb"energy\(sigma->0\) =\s*(\S+)", cycle)
    if energies:
        found["cycle_energy"] = _finite(number(energies[-1]))
    free = [number(text) for text in re.findall(rb"free energy    TOTEN  =\s*(\S+)", cycle)]
    if free:
        found["free_cycle_energy"] = _finite(free[-1])
    if len(free) > 1:
        found["accuracy"] = _finite(abs(free[-1] - free[-2]))
    moment = rfind(data, b"number of electron ", begin, middle)
    if moment >= 0:
        line = bytes(data[moment : moment + 120]).split(b"\n")[0].partition(b"magnetization")[2]
        values = tuple(words_to_numbers(line))
        if len(values) in (1, 3) and not any(map(math.isnan, values)):
            found["moment"] = values
    fermi = rfind(data, b"E-fermi :", begin, middle)
    if fermi >= 0:
        text = bytes(data[fermi : fermi + 200])
        level = number(text[9:19].split()[0]) if text[9:19].split() else math.nan
        precise = re.search(rb"\n\s*Fermi energy:\s*(\S+)\s*\n", text)
        exact = number(precise[1]) if precise is not None else math.nan
        found["fermi_level"] = _finite(exact if abs(exact - level) < 1e-4 else level)
    return found


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _read_after(after: bytes, sites: int | None, notes: list[str]) -> dict[str, Any]:
    """Read what is printed once a cycle ended: stress, lattice, positions with forces, energies."""
    found: dict[str, Any] = {}
    pressure = re.search(rb"\n\s*in kB([^\n]*)\n", after)
    if pressure is not None:
        values = fixed_width([pressure[1]], [(-72 + 12 * i, -60 + 12 * i) for i in range(6)])[0]
        xx, yy, zz, xy, yz, zx = -KILOBAR * values
        stress = np.array([[xx, xy, zx], [xy, yy, yz], [zx, yz, zz]])
        found["stress"] = stress if np.isfinite(stress).all() else None
    start = after.rfind(b"direct lattice vectors")
    if start >= 0:
        rows = after[start:].split(b"\n")[1:4]
        lattice = fixed_width(rows, [(3, 16), (16, 29), (29, 42)])
        found["lattice"] = lattice if lattice.shape == (3, 3) and np.isfinite(lattice).all() else None
    start = after.find(b"TOTAL-FORCE (eV/Angst)")
    if start >= 0:
        found |= _read_forces(after[start:], sites, notes)
    block = re.search(
        rb"free  energy   TOTEN  =\s*(\S+) eV\s*\n\s*\n\s*energy  without entropy=\s*(\S+)\s+"
        rb"energy\(sigma->0\) =\s*(\S+)[ \r]*\n",
        after,
    )
    if block is not None:
        names = ("free_energy", "energy_without_entropy", "energy_zero")
        found |= {name: _finite(number(text)) for name, text in zip(names, block.groups(), strict=True)}
    return found


def _read_forces(text: bytes, sites: int | None, notes: list[str]) -> dict[str, Any]:
    lines = text.split(b"\n")
    rows: list[bytes] = []
    for line in lines[2:]:
        if line.lstrip().startswith(b"---"):
            break
        rows.append(line)
    else:
        notes.append("the forces in OUTCAR are cut off")
        return {}
    table = fixed_width(rows, [(0, 13), (13, 26), (26, 39), (39, 56), (56, 70), (70, 84)])
    if len(rows) != (sites or len(rows) or 1) or not np.isfinite(table).all():
        notes.append(
            "the positions and forces in OUTCAR are not those of all sites, or no numbers; they are left out"
        )
        return {}
    return {"positions": table[:, :3].copy(), "forces": table[:, 3:].copy()}


def _compare_energies(found: dict[str, Any], notes: list[str]) -> None:
    """Terms outside the cycle move both energies alike; anything else tells of a damaged file."""
    free_cycle = found.pop("free_cycle_energy", None)
    cycle, free, zero = (found.get(name) for name in ("cycle_energy", "free_energy", "energy_zero"))
    if None in (free_cycle, cycle, free, zero):
        return
    if abs((free - free_cycle) - (zero - cycle)) > 1e-4:  # type: ignore[operator]
        notes.append(
            f"OUTCAR: energy(sigma->0) {zero} eV of the ionic step does not fit {cycle} eV of its cycle; damaged?"
        )


def _read_times(data: Mapped) -> dict[str, Any]:
    start = rfind(data, b"General timing and accounting")
    text = bytes(data[start : start + 2000])
    names = {
        "cpu_seconds": rb"Total CPU time used \(sec\):\s*(\S+)",
        "wall_seconds": rb"Elapsed time \(sec\):\s*(\S+)",
    }
    matches = {name: re.search(pattern, text) for name, pattern in names.items()}
    return {name: _finite(number(match[1])) for name, match in matches.items() if match is not None}
