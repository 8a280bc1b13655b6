"""Which run of pw.x is which in a folder: the one of the XML file, and the self-consistent one before it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.readers.espresso.output import split_runs
from heterodft.analysis.readers.espresso.printout import PwPrintout, read_printout
from heterodft.analysis.readers.espresso.xml import PwXml, read_pw_xml
from heterodft.analysis.readers.opening import read_text
from heterodft.analysis.same_places import same_places
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from pathlib import Path

    from pymatgen.core import Structure

    from heterodft.analysis.readers.espresso.files import EspressoFiles

__all__ = ["Run", "Sources", "crash_words", "find_runs"]

_CYCLE = ("scf", "relax", "vc-relax", "md", "vc-md")
_ERROR_BOX = re.compile(r"(?:from|Error in routine)\s+(\S+)\s*(?::\s*error #|\()\s*(-?\d+)\)?:?\s*\n\s*(.*?)\s*\n")
_SAME_ENERGY = 1e-6
"""eV; XML and standard output of one run agree to the 8 digits of a Rydberg that are printed."""


@dataclass
class Run:
    """One run of pw.x in a standard output."""

    name: str
    printed: PwPrintout


@dataclass
class Sources:
    """What a folder told, before it is put together; `notes` grow meanwhile."""

    files: EspressoFiles
    request: dict[str, Any]
    xml: PwXml | None = None
    own: Run | None = None
    cycle: Run | None = None
    notes: list[str] = field(default_factory=list)
    strict: bool = False

    @property
    def folder(self) -> Path:
        """Where."""
        return self.files.folder


def find_runs(files: EspressoFiles, request: dict[str, Any], *, strict: bool = False) -> Sources:
    """Read the XML file and the standard outputs, and tell which belong together.

    Raises
    ------
    ReaderError
        If there is nothing to read, or the XML file is damaged and nothing can stand for it or, with `strict`, may.
    """
    sources = Sources(files, request, strict=strict)
    _read_xml(sources)
    _choose_runs(sources)
    return sources


def _read_xml(sources: Sources) -> None:
    path = sources.files.xml
    if path is None:
        if sources.files.old is not None:
            text = f"{sources.files.old} is of pw.x before 6.1, which cannot be read"
            if not sources.files.outputs:
                raise ReaderError(f"{text}; keep the standard output, or run a newer pw.x")
            sources.notes.append(text)
        return
    try:
        sources.xml = read_pw_xml(path)
        sources.notes += sources.xml.notes
    except ReaderError as error:
        if sources.strict or not sources.files.outputs:
            raise
        sources.notes.append(f"{error}; the standard output is read instead")


def _choose_runs(sources: Sources) -> None:
    """Find the output that belongs to the XML file, and the one of the self-consistent cycle before it."""
    runs = []
    for path in sources.files.outputs:
        parts = split_runs(read_text(path))
        names = [path.name] if len(parts) == 1 else [f"{path.name}, run {i}" for i in range(1, len(parts) + 1)]
        try:
            runs += [Run(name, read_printout(part)) for name, part in zip(names, parts, strict=True)]
        except ValueError as error:
            raise ReaderError(f"cannot read {path}: {error}; copy it again or remove it") from error
    if not runs:
        if sources.xml is None:
            raise ReaderError(_nothing_told(sources))
        sources.notes.append("there is no standard output of pw.x: times and accuracy are missing")
        return
    _leave_out_older(sources, runs)
    sources.own = _own_run(sources, runs)
    own = sources.own.printed.calculation if sources.own else None
    calculation = sources.xml.calculation if sources.xml else own
    sources.cycle = sources.own if calculation in _CYCLE else _cycle_before(sources, runs)
    if sources.own is None:
        sources.notes.append(
            "no standard output belongs to the XML file ("
            + ", ".join(run.name for run in runs)
            + f" do{'es' * (len(runs) == 1)} not)"
        )


def _leave_out_older(sources: Sources, runs: list[Run]) -> None:
    """Leave out an XML file that was there before a run began, as that of the step it starts from is.

    In a folder of others, where nothing says which of the two was asked for, only beside a run of its kind.
    """
    xml = sources.xml
    if xml is None or sources.strict or not all(_is_later(run, xml) for run in runs):
        return
    if sources.request or any(_kind(run) == _kind_of(xml.calculation) for run in runs):
        sources.xml = None
        sources.notes.append(
            f"the XML file was there before {runs[-1].name} began: it is of another run and left out"
        )


def _is_later(run: Run, xml: PwXml) -> bool:
    """Tell whether a run that has not come to its end began after an XML file was written."""
    began, written = run.printed.began, xml.written
    return not run.printed.output.finished and began is not None and written is not None and written <= began


def _nothing_told(sources: Sources) -> str:
    if sources.files.crash is not None:
        return f"{sources.folder}: pw.x crashed before it printed anything: {crash_words(sources.files.crash)}"
    return f"{sources.folder} holds 0 pw.x results (*.save/data-file-schema.xml); expected one"


def crash_words(path: Path) -> str:
    """Return what the file ``CRASH`` says, in one line."""
    found = _ERROR_BOX.search(read_text(path))
    return f"{found[1]}: {found[3]} (CRASH)" if found else "see the file CRASH"


def _own_run(sources: Sources, runs: list[Run]) -> Run | None:
    xml = sources.xml
    if xml is None:
        told = [run for run in runs if run.printed.structure is not None] or runs
        chosen = next((run for run in reversed(told) if run.printed.cycle.energy is not None), told[-1])
        if len(runs) > 1:
            sources.notes.append(f"of {len(runs)} outputs of pw.x, {chosen.name} was read")
        return chosen
    kind = _kind_of(xml.calculation)
    fitting = [run for run in runs if _kind(run) == kind and _same_system(run, xml) and not _is_later(run, xml)]
    if xml.energy is not None:
        exact = [run for run in fitting if _energy_gap(run, xml.energy) < _SAME_ENERGY]
        if not exact and fitting and all(_told_energy(run) is not None for run in fitting):
            sources.notes.append(
                f"the XML file ({xml.energy:.6f} eV) and {fitting[-1].name} "
                f"({fitting[-1].printed.cycle.energy:.6f} eV) tell different energies: files of two runs?"
            )
        fitting = exact or fitting
    same_name = [run for run in fitting if run.printed.calculation == xml.calculation]
    best = same_name or fitting
    return best[-1] if best else None


def _kind(run: Run) -> str:
    return _kind_of(run.printed.calculation)


def _kind_of(calculation: str) -> str:
    return "cycle" if calculation in _CYCLE else "nscf"


def _told_energy(run: Run) -> float | None:
    """Return the energy of the last cycle, None where that has none, though one before has."""
    return run.printed.cycle.energy if run.printed.cycle == run.printed.output else None


def _energy_gap(run: Run, energy: float) -> float:
    told = _told_energy(run)
    return np.inf if told is None else abs(told - energy)


def _same_system(run: Run, xml: PwXml) -> bool:
    """Tell whether a run is of the same atoms; one that printed too little to tell may be."""
    structure = run.printed.structure
    return structure is None or structure.composition == xml.structure.composition


def _is_of(run: Run, structure: Structure) -> bool:
    printed = run.printed.structure
    return printed is not None and same_places(printed, structure)


def _cycle_before(sources: Sources, runs: list[Run]) -> Run | None:
    """Return the self-consistent run on the same structure; of several that differ in energy none."""
    structure = sources.xml.structure if sources.xml else sources.own.printed.structure if sources.own else None
    if structure is None:
        return None
    fitting = [run for run in runs if _kind(run) == "cycle" and _is_of(run, structure)]
    fitting = [run for run in fitting if run.printed.calculation == "scf"] or fitting
    energies = [e for run in fitting if (e := run.printed.cycle.energy) is not None]
    if energies and max(energies) - min(energies) > _SAME_ENERGY:
        names = ", ".join(run.name for run in fitting)
        sources.notes.append(f"energy and moments were left out: {names} are scf runs of different energies")
        return None
    if not fitting:
        others = [run.name for run in runs if _kind(run) == "cycle"]
        if others:
            sources.notes.append(
                f"no energy: {', '.join(others)} is not of the structure of the nscf run, or cut off"
            )
        return None
    sources.notes.append(f"energy, moments and convergence are of {fitting[-1].name}, before the nscf run")
    return fitting[-1]
