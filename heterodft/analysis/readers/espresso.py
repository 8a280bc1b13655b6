"""A folder in which pw.x, and perhaps projwfc.x, ran: XML files, standard outputs and projections to one Result.

The XML file is the first source. What it does not hold comes from the standard output that belongs to it: an nscf run
overwrites the XML file of its scf run, whose energy, moments and convergence then only the output of the latter tells.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from heterodft.analysis.readers.atomic_proj import find_atomic_proj, read_band_projections
from heterodft.analysis.readers.espresso_files import EspressoFiles, find_espresso_files
from heterodft.analysis.readers.espresso_output import read_pw_output, split_runs
from heterodft.analysis.readers.espresso_printout import PwPrintout, read_printout
from heterodft.analysis.readers.espresso_xml import PwXml, read_pw_xml
from heterodft.analysis.readers.opening import read_text
from heterodft.analysis.readers.projwfc import read_lowdin, read_projected_dos, read_spilling
from heterodft.analysis.result import Result, SiteValues
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from pathlib import Path

    from pymatgen.core import Structure

    from heterodft.analysis.result import ProjectedDos

__all__ = ["read_espresso"]

_STEP_OF = {"scf": "static", "nscf": "dos", "bands": "bands", "relax": "relax", "vc-relax": "relax"}
_CYCLE = ("scf", "relax", "vc-relax", "md", "vc-md")
_ERROR_BOX = re.compile(r"(?:from|Error in routine)\s+(\S+)\s*(?::\s*error #|\()\s*(-?\d+)\)?:?\s*\n\s*(.*?)\s*\n")
_SAME_ENERGY = 1e-6
"""eV; XML and standard output of one run agree to the 8 digits of a Rydberg that are printed."""
_SAME_PLACE = 1e-3
"""Å."""

Ending = Literal["finished", "stopped", "crashed", "cut off"]


@dataclass
class _Run:
    """One run of pw.x in a standard output."""

    name: str
    printed: PwPrintout


@dataclass
class _Sources:
    """What a folder told, before it is put together; `notes` grow meanwhile."""

    folder: Path
    files: EspressoFiles
    request: dict[str, Any]
    xml: PwXml | None = None
    own: _Run | None = None
    cycle: _Run | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def ours(self) -> bool:
        """Whether our runner made the folder: there, what is missing means that it has to be computed again."""
        return "request" in self.request


def read_espresso(
    folder: Path,
    request: dict[str, Any],
    *,
    projections: bool = False,
    prefix: str | None = None,
    files: EspressoFiles | None = None,
) -> Result:
    """Read what pw.x and projwfc.x left in a folder.

    Parameters
    ----------
    folder
        With an XML file of pw.x 6.1 to 7.5, its standard output, or both.
    request
        ``request.json`` of the folder; empty where there is none.
    projections
        Whether to decode ``atomic_proj.xml`` into `Bands.projections`.
    prefix
        Which run, where there are several.
    files
        What to read, when not everything that is found.

    Raises
    ------
    ReaderError
        If nothing tells the structure, the files are of several runs, or a file of a folder of ours is damaged.
    """
    sources = _Sources(folder, files or find_espresso_files(folder, prefix), request)
    _read_xml(sources)
    step = _asked(request, "step")
    if step in ("potential", "charge"):
        if sources.xml is None:
            raise ReaderError(f"{folder} holds 0 pw.x results (*.save/data-file-schema.xml); expected one")
        return _read_post_processing(sources, step, sources.xml)
    _choose_runs(sources)
    if sources.xml is None and sources.ours:
        raise ReaderError(f"{folder} holds 0 pw.x results (*.save/data-file-schema.xml); expected one")
    result = _assemble(sources)
    return _with_projections(result, sources, bands=projections)


def _asked(request: dict[str, Any], name: str) -> Any:
    return request.get("request", {}).get(name)


def _read_xml(sources: _Sources) -> None:
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
        if sources.ours or not sources.files.outputs:
            raise
        sources.notes.append(f"{error}; the standard output is read instead")


def _choose_runs(sources: _Sources) -> None:
    """Find the output that belongs to the XML file, and the one of the self-consistent cycle before it."""
    runs = []
    for path in sources.files.outputs:
        parts = split_runs(read_text(path))
        names = [path.name] if len(parts) == 1 else [f"{path.name}, run {i}" for i in range(1, len(parts) + 1)]
        runs += [_Run(name, read_printout(part)) for name, part in zip(names, parts, strict=True)]
    if not runs:
        if sources.xml is None:
            raise ReaderError(_nothing_told(sources))
        sources.notes.append("there is no standard output of pw.x: times and accuracy are missing")
        return
    sources.own = _own_run(sources, runs)
    if sources.xml is not None and sources.xml.calculation in _CYCLE:
        sources.cycle = sources.own
    elif sources.own is not None and sources.own.printed.calculation in _CYCLE:
        sources.cycle = sources.own
    else:
        sources.cycle = _cycle_before(sources, runs)
    if sources.own is None:
        sources.notes.append(
            "no standard output belongs to the XML file (" + ", ".join(run.name for run in runs) + " do not)"
        )


def _nothing_told(sources: _Sources) -> str:
    if sources.files.crash is not None:
        return f"{sources.folder}: pw.x crashed before it printed anything: {_crash_words(sources.files.crash)}"
    return f"{sources.folder} holds 0 pw.x results (*.save/data-file-schema.xml); expected one"


def _crash_words(path: Path) -> str:
    found = _ERROR_BOX.search(read_text(path))
    return f"{found[1]}: {found[3]} (CRASH)" if found else "see the file CRASH"


def _own_run(sources: _Sources, runs: list[_Run]) -> _Run | None:
    xml = sources.xml
    if xml is None:
        told = [run for run in runs if run.printed.structure is not None] or runs
        chosen = next((run for run in reversed(told) if run.printed.output.energy is not None), told[-1])
        if len(runs) > 1:
            sources.notes.append(f"of {len(runs)} outputs of pw.x, {chosen.name} was read")
        return chosen
    kind = "nscf" if xml.calculation in ("nscf", "bands") else "cycle"
    fitting = [run for run in runs if _kind(run) == kind and _same_system(run, xml)]
    if xml.energy is not None:
        exact = [run for run in fitting if _energy_gap(run, xml.energy) < _SAME_ENERGY]
        if not exact and fitting and all(run.printed.output.energy is not None for run in fitting):
            sources.notes.append(
                f"the XML file ({xml.energy:.6f} eV) and {fitting[-1].name} "
                f"({fitting[-1].printed.output.energy:.6f} eV) tell different energies: files of two runs?"
            )
        fitting = exact or fitting
    same_name = [run for run in fitting if run.printed.calculation == xml.calculation]
    return (same_name or fitting or [None])[-1]


def _kind(run: _Run) -> str:
    return "cycle" if run.printed.calculation in _CYCLE else "nscf"


def _energy_gap(run: _Run, energy: float) -> float:
    told = run.printed.output.energy
    return np.inf if told is None else abs(told - energy)


def _same_system(run: _Run, xml: PwXml) -> bool:
    """Tell whether a run is of the same atoms; one that printed too little to tell may be."""
    structure = run.printed.structure
    return structure is None or structure.composition == xml.structure.composition


def _same_places(structure: Structure | None, other: Structure) -> bool:
    if structure is None or len(structure) != len(other):
        return False
    cells = np.abs(structure.lattice.matrix - other.lattice.matrix).max()
    difference = structure.frac_coords - other.frac_coords
    moved = (difference - np.round(difference)) @ other.lattice.matrix
    return bool(cells < _SAME_PLACE and np.abs(moved).max() < _SAME_PLACE)


def _cycle_before(sources: _Sources, runs: list[_Run]) -> _Run | None:
    """Return the self-consistent run on the same structure; of several that differ in energy none."""
    structure = sources.xml.structure if sources.xml else sources.own.printed.structure if sources.own else None
    if structure is None:
        return None
    fitting = [run for run in runs if _kind(run) == "cycle" and _same_places(run.printed.structure, structure)]
    fitting = [run for run in fitting if run.printed.calculation == "scf"] or fitting
    energies = [e for run in fitting if (e := run.printed.output.energy) is not None]
    if energies and max(energies) - min(energies) > _SAME_ENERGY:
        names = ", ".join(run.name for run in fitting)
        sources.notes.append(f"energy and moments were left out: {names} are scf runs of different energies")
        return None
    if not fitting:
        return None
    sources.notes.append(f"energy, moments and convergence are of {fitting[-1].name}, before the nscf run")
    return fitting[-1]


def _assemble(sources: _Sources) -> Result:
    """Put together what XML file and outputs tell; where both do, the XML file has more digits."""
    xml, own, cycle = sources.xml, sources.own, sources.cycle
    printed = own.printed if own else None
    scf = cycle.printed if cycle else None
    structure = xml.structure if xml else printed.structure if printed else None
    if structure is None:
        raise ReaderError(_no_structure(sources))
    calculation = xml.calculation if xml else printed.calculation if printed else "scf"
    source: Any = xml or printed
    energy, converged, iterations = _cycle_values(sources)
    ended = _how_it_ended(sources)
    levels = source.fermi_levels or (printed.fermi_levels if printed else ()) or _levels_of(scf)
    if not levels:
        sources.notes.append("no Fermi level was told")
    _note_relaxation(sources, calculation)
    return Result(
        code="espresso",
        version=source.version,
        step=_asked(sources.request, "step") or _STEP_OF.get(calculation, "static"),
        structure=structure,
        electrons=source.electrons,
        energy=energy,
        fermi_levels=levels,
        total_moment=_moment(sources, "total_moment"),
        absolute_moment=_moment(sources, "absolute_moment"),
        sites=_spheres(sources, len(structure)),
        converged=converged,
        iterations=iterations,
        accuracy=scf.output.accuracy if scf else None,
        cpu_seconds=_seconds(sources, "cpu_seconds"),
        wall_seconds=_seconds(sources, "wall_seconds"),
        bands=_labelled_bands(sources, source.bands),
        request=sources.request,
        forces=_first(source.forces, scf and scf.forces),
        stress=_first(source.stress, scf and scf.stress),
        method=_method(sources),
        ended=ended,
        notes=(*sources.notes, *(() if xml or printed is None else printed.notes)),
    )


def _levels_of(scf: PwPrintout | None) -> tuple[float, ...]:
    return scf.fermi_levels if scf else ()


def _first(value: Any, other: Any) -> Any:
    return value if value is not None else other


def _no_structure(sources: _Sources) -> str:
    name = sources.own.name if sources.own else "the output"
    error = sources.own.printed.output.error if sources.own else None
    if error is None and sources.files.crash is not None:
        error = _crash_words(sources.files.crash)
    if error is not None:
        return f"{sources.folder}: pw.x crashed before it printed the structure: {error}"
    return f"{sources.folder / name} was cut off before the structure, and there is no XML file; run pw.x again"


def _cycle_values(sources: _Sources) -> tuple[float | None, bool | None, int | None]:
    """Return energy, whether the cycle converged, and its iterations."""
    xml, scf = sources.xml, sources.cycle.printed if sources.cycle else None
    output = scf.output if scf else None
    if xml is not None and xml.converged is not None:
        converged = xml.converged and (output is None or output.converged is not False)
        if output is not None and output.converged is None and not output.finished and xml.converged:
            sources.notes.append(f"{_name(sources.cycle)} does not reach the end of the cycle that the XML file holds")
        if not converged:
            sources.notes.append("the self-consistent cycle did not converge: energy and bands are those of its end")
        return xml.energy, converged, xml.iterations
    if output is None:
        return None, None, None
    if output.energy is not None and output.converged is None:
        sources.notes.append("the last cycle did not end: energy and forces are of the one before")
    if output.converged is False:
        sources.notes.append("the self-consistent cycle did not converge")
    return output.energy, bool(output.converged), output.iterations


def _name(run: _Run | None) -> str:
    return run.name if run else "the output"


def _moment(sources: _Sources, name: str) -> float | None:
    value = getattr(sources.xml, name) if sources.xml else None
    return _first(value, getattr(sources.cycle.printed.output, name) if sources.cycle else None)


def _how_it_ended(sources: _Sources) -> Ending:
    run = sources.own
    if run is None:
        return "finished"
    output = run.printed.output
    if output.error is not None or (sources.files.crash is not None and not output.finished):
        crash = output.error or _crash_words(sources.files.crash)  # type: ignore[arg-type]
        sources.notes.append(f"pw.x crashed: {crash}")
        return "crashed"
    if sources.files.crash is not None:
        sources.notes.append("the file CRASH is of another run")
    if output.stopped is not None:
        words = {"time": "max_seconds were over", "user": "it was asked to stop"}[output.stopped]
        sources.notes.append(f"pw.x ended early: {words}")
        return "stopped"
    if not output.finished:
        sources.notes.append(f"{run.name} has no end: the run was killed, still runs, or the file was cut off")
        return "cut off"
    if not output.bands_ended and output.converged is None and _ends_without_a_word(run.printed):
        sources.notes.append("pw.x ended before its cycle did: it was asked to stop")
        return "stopped"
    return "finished"


def _ends_without_a_word(printed: PwPrintout) -> bool:
    return printed.structure is not None and printed.output.energy is None


def _note_relaxation(sources: _Sources, calculation: str) -> None:
    if "relax" not in calculation:
        return
    told = sources.xml.relaxed if sources.xml else None
    if sources.own is not None and sources.own.printed.output.relaxed is not None:
        told = sources.own.printed.output.relaxed
    if told is not True:
        sources.notes.append("the relaxation did not reach its tolerance: structure and forces are of its last step")


def _spheres(sources: _Sources, count: int) -> dict[str, SiteValues]:
    """Return charges and moments in spheres, of which the XML file of newer versions has more digits."""
    output = sources.cycle.printed.output if sources.cycle else None
    if sources.xml is not None and sources.xml.sites is not None and output is None:
        return {"sphere": sources.xml.sites}
    if output is None or not output.charges:
        return {}
    if len(output.charges) != count:
        sources.notes.append(f"moments of {len(output.charges)} of {count} sites were printed, and left out")
        return {}
    if sources.xml is not None and sources.xml.converged is False and output.converged is None:
        return {}
    vectors = np.array(output.vectors) if output.vectors else None
    polarized = vectors is not None or output.absolute_moment is not None or output.total_moment is not None
    return {"sphere": SiteValues("sphere", output.charges, output.moments if polarized else None, vectors)}


def _seconds(sources: _Sources, name: str) -> float | None:
    """Return a time of a run together with those of the attempts before it, kept as ``pw.out.1`` …"""
    last = getattr(sources.own.printed.output, name) if sources.own else None
    if last is None:
        return None
    earlier = sources.folder.glob("pw.out.*") if sources.own and sources.own.name == "pw.out" else ()
    attempts = [path for path in earlier if path.suffix[1:].isdigit()]
    return float(last + sum(getattr(read_pw_output(path), name) or 0.0 for path in attempts))


def _method(sources: _Sources) -> dict[str, Any]:
    printed = sources.own.printed.method if sources.own else {}
    return sources.xml.method if sources.xml else printed


def _labelled_bands(sources: _Sources, bands: Any) -> Any:
    """Name the points of the path that a request of ours asked for."""
    path = (_asked(sources.request, "settings") or {}).get("path")
    if bands is None or not path or len(path.get("kpoints", ())) != len(bands.kpoints):
        return bands
    names = dict(map(tuple, path["labels"]))
    return replace(bands, labels=tuple(names.get(i, "") for i in range(len(bands.kpoints))))


def _with_projections(result: Result, sources: _Sources, *, bands: bool) -> Result:
    """Add what projwfc.x left; of a folder of others, what cannot be read becomes a note."""
    notes, found = list(result.notes), dict(result.sites)
    polarized = result.bands is not None and len(result.bands.energies) == 2
    output = _projection_output(sources, result)
    dos: ProjectedDos | None = None
    spilling = None
    if output is not None:
        try:
            found["Löwdin"] = read_lowdin(output, polarized=polarized, sites=len(result.structure))
            spilling = read_spilling(output)
        except ReaderError as error:
            if sources.ours:
                raise
            notes.append(f"no Löwdin charges: {error}")
    if result.step != "bands" and (output is not None or any(sources.folder.glob("*.pdos_tot"))):
        try:
            dos = read_projected_dos(sources.folder, sites=len(result.structure))
        except ReaderError as error:
            if sources.ours:
                raise
            notes.append(f"no projected density of states: {error}")
    if dos is not None and result.method.get("noncollinear"):
        notes.append("the projected density of states of this noncollinear run holds both spins together")
    projected = result.bands
    if bands and projected is not None:
        try:
            path = find_atomic_proj(sources.folder, sources.files.xml)
            projected = read_band_projections(path, output, projected, sites=len(result.structure))
        except ReaderError as error:
            notes.append(f"no projections of bands: {error}")
    if result.step == "bands":  # Löwdin charges of a path of k-points mean nothing
        found.pop("Löwdin", None)
        spilling = None
    return replace(result, sites=found, dos=dos, spilling=spilling, bands=projected, notes=tuple(notes))


def _projection_output(sources: _Sources, result: Result) -> Path | None:
    """Return the output of projwfc.x; of several the one with a table of charges."""
    found = sources.files.projections
    if len(found) > 1:
        found = tuple(path for path in found if "Lowdin Charges" in read_text(path)) or found
    return found[-1] if found else None


def _read_post_processing(sources: _Sources, step: str, xml: PwXml) -> Result:
    """Read what pp.x ran on: the structure and Fermi level of its parent, but neither its energy nor its bands."""
    printed = [read_pw_output(path) for path in sorted(sources.folder.glob("*.out"))]
    seconds = [p.cpu_seconds for p in printed if p.cpu_seconds is not None]
    walls = [p.wall_seconds for p in printed if p.wall_seconds is not None]
    return Result(
        code="espresso",
        version=xml.version,
        step=step,
        structure=xml.structure,
        electrons=xml.electrons,
        energy=None,
        fermi_levels=xml.fermi_levels,
        total_moment=None,
        absolute_moment=None,
        sites={},
        converged=None,
        iterations=None,
        accuracy=None,
        cpu_seconds=sum(seconds) if seconds else None,
        wall_seconds=sum(walls) if walls else None,
        request=sources.request,
        method=xml.method,
    )
