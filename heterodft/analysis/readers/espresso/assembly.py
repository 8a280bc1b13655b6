"""A folder in which pw.x, and perhaps projwfc.x, ran: XML files, standard outputs and projections to one Result.

The XML file is the first source. What it does not hold comes from the standard output that belongs to it: an nscf
run overwrites the XML file of its scf run, whose energy and moments then only the output of the latter tells.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from heterodft.analysis.readers.espresso.output import read_pw_output
from heterodft.analysis.readers.espresso.projections import add_projections
from heterodft.analysis.readers.espresso.response_step import add_response
from heterodft.analysis.readers.espresso.runs import crash_words, find_runs
from heterodft.analysis.result import Result, SiteValues
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from heterodft.analysis.readers.espresso.files import EspressoFiles
    from heterodft.analysis.readers.espresso.printout import PwPrintout
    from heterodft.analysis.readers.espresso.runs import Run, Sources
    from heterodft.analysis.readers.espresso.xml import PwXml
    from heterodft.analysis.result import HubbardOccupations

__all__ = ["read_espresso"]

_STEP_OF = {"scf": "static", "nscf": "dos", "bands": "bands"} | {
    f"{cell}{kind}": kind for cell in ("", "vc-") for kind in ("relax", "md")
}

_PRINTED = 3e-5
"""Electrons, to which a trace is printed."""

Ending = Literal["finished", "stopped", "crashed", "cut off"]


def read_espresso(
    files: EspressoFiles, request: dict[str, Any], *, projections: bool = False, strict: bool = False
) -> Result:
    """Read what pw.x and projwfc.x left in a folder.

    Parameters
    ----------
    files
        What there is: an XML file of pw.x 6.1 to 7.5, its standard output, or both.
    request
        ``request.json`` of the folder; empty where there is none.
    projections
        Whether to decode ``atomic_proj.xml`` into `Bands.projections`.
    strict
        Whether what is damaged or missing is an error instead of a note.

    Raises
    ------
    ReaderError
        If nothing tells the structure, or with `strict` a file is damaged or missing.
    """
    sources = find_runs(files, request, strict=strict)
    step = _asked(request, "step")
    if sources.xml is None and strict:
        raise ReaderError(f"{files.folder} holds 0 pw.x results (*.save/data-file-schema.xml); expected one")
    if step in ("potential", "charge") and sources.xml is not None:
        return _read_post_processing(sources, step, sources.xml)
    if sources.own is None and strict:
        raise ReaderError(f"{files.folder} holds no output of pw.x that belongs to its XML file; expected pw.out")
    result = _assemble(sources)
    result = add_projections(result, sources, bands=projections)
    return add_response(result, files.folder, request, strict=strict)


def _asked(request: dict[str, Any], name: str) -> Any:
    return request.get("request", {}).get(name)


def _assemble(sources: Sources) -> Result:
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
    occupations = _occupations(sources)
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
        accuracy=scf.cycle.accuracy if scf else None,
        cpu_seconds=_seconds(sources, "cpu_seconds"),
        wall_seconds=_seconds(sources, "wall_seconds"),
        bands=_labelled_bands(sources, source.bands),
        request=sources.request,
        forces=_first(source.forces, scf and scf.forces),
        stress=_first(source.stress, scf and scf.stress),
        method=_method(sources),
        ended=ended,
        notes=(*sources.notes, *_doubts(sources), *(() if xml or printed is None else printed.notes)),
        occupations=occupations,
    )


def _occupations(sources: Sources) -> tuple[HubbardOccupations, ...]:
    """Return those of the XML file, else as printed; of an nscf run they are those of its density, from the scf run.

    Raises
    ------
    ReaderError
        If, with ``strict``, those of the XML file are damaged.
    """
    printed = [run.printed for run in (sources.cycle, sources.own) if run is not None]
    lost = [source.lost_occupations for source in (sources.xml, *printed) if source and source.lost_occupations]
    if sources.xml is not None and sources.xml.occupations:
        last = next((one.occupations for one in printed if one.occupations), ())
        if _asked(sources.request, "step") == "shift" and _differ(sources.xml.occupations, last):
            return last
        return sources.xml.occupations
    if sources.xml is not None and sources.xml.lost_occupations and sources.strict:
        raise ReaderError(f"{sources.files.xml}: the Hubbard occupations cannot be read: {lost[0]}")
    found = next((one.occupations for one in printed if one.occupations), ())
    if found:
        sources.notes.append("the Hubbard occupations are those printed, to three decimals")
    elif lost:
        sources.notes.append(f"the Hubbard occupations were left out: {lost[0]}")
    return found


def _differ(held: tuple[HubbardOccupations, ...], last: tuple[HubbardOccupations, ...]) -> bool:
    """Tell whether a run left other occupations than it ended with: with ``hub_pot_fix`` its first."""
    found = {each.site: each.electrons for each in last}
    return any(abs(found.get(each.site, each.electrons) - each.electrons) > _PRINTED for each in held)


def _doubts(sources: Sources) -> tuple[str, ...]:
    """Return what is damaged in the output of the cycle; not of forces and stress, where the XML file holds them."""
    doubts = sources.cycle.printed.doubts if sources.cycle else ()
    held = sources.xml is not None and sources.xml.forces is not None
    return tuple(words for words in doubts if not (held and words.startswith(("the forces", "the stress"))))


def _levels_of(scf: PwPrintout | None) -> tuple[float, ...]:
    return scf.fermi_levels if scf else ()


def _first(value: Any, other: Any) -> Any:
    return value if value is not None else other


def _no_structure(sources: Sources) -> str:
    name = sources.own.name if sources.own else "the output"
    error = sources.own.printed.output.error if sources.own else None
    if error is None and sources.files.crash is not None:
        error = crash_words(sources.files.crash)
    if error is not None:
        return f"{sources.folder}: pw.x crashed before it printed the structure: {error}"
    if sources.files.xml is not None:
        return f"{sources.folder / name} tells no whole structure, and {'; '.join(sources.notes)}; run pw.x again"
    return f"{sources.folder / name} tells no whole structure, and there is no XML file; run pw.x again"


def _cycle_values(sources: Sources) -> tuple[float | None, bool | None, int | None]:
    """Return energy, whether the cycle converged, and its iterations."""
    xml, scf = sources.xml, sources.cycle.printed if sources.cycle else None
    output = scf.output if scf else None
    if xml is not None and xml.converged is not None:
        stopped = output is not None and output.stopped is not None and output.converged is None
        converged = xml.converged and not stopped and (output is None or output.converged is not False)
        if output is not None and output.converged is None and not output.finished and xml.converged:
            sources.notes.append(
                f"{_name(sources.cycle)} does not reach the end of the cycle that the XML file holds"
            )
        if not converged:
            sources.notes.append("the self-consistent cycle did not converge: energy and bands are those of its end")
        return xml.energy, converged, xml.iterations
    if scf is None or output is None:
        return None, None, None
    failed = output.converged is False
    if scf.cycle != output:
        ending = "converge" if failed else "end"
        sources.notes.append(f"the last cycle did not {ending}: energy and forces are of the one before")
    elif failed:
        sources.notes.append("the self-consistent cycle did not converge")
    elif scf.cycle.energy is None:
        sources.notes.append(f"{_name(sources.cycle)} ends before the end of a self-consistent cycle: no energy")
    return scf.cycle.energy, bool(scf.cycle.converged) and not failed, scf.cycle.iterations


def _name(run: Run | None) -> str:
    return run.name if run else "the output"


def _moment(sources: Sources, name: str) -> float | None:
    told: float | None = getattr(sources.xml, name) if sources.xml else None
    scf = sources.cycle.printed.cycle if sources.cycle else None
    if told is None and scf is not None and (scf.energy is not None or scf.converged is False):
        told = getattr(scf, name)
    return told


def _how_it_ended(sources: Sources) -> Ending:
    """Tell how the run ended, with a note when it was not by itself."""
    run, crash = sources.own, sources.files.crash
    ended: Ending
    words: str | None
    if run is None:
        completed = sources.xml is None or sources.xml.completed
        ended, words = ("finished", None) if completed else ("cut off", "the XML file says that it was not completed")
    elif run.printed.output.error is not None:
        ended, words = "crashed", f"pw.x crashed: {run.printed.output.error}"
    elif crash is not None and not run.printed.output.finished:
        ended, words = "crashed", f"pw.x crashed: {crash_words(crash)}"
    else:
        ended, words = _how_it_stopped(run)
        if crash is not None:
            sources.notes.append("the file CRASH is of another run")
    if words is not None:
        sources.notes.append(words)
    return ended


def _how_it_stopped(run: Run) -> tuple[Ending, str | None]:
    output = run.printed.output
    if output.stopped is not None:
        why = {"time": "max_seconds were over", "user": "it was asked to stop"}[output.stopped]
        return "stopped", f"pw.x ended early: {why}"
    if not output.finished:
        return "cut off", f"{run.name} has no end: the run was killed, still runs, or the file was cut off"
    if not output.bands_ended and output.converged is None and _ends_without_a_word(run.printed):
        return "stopped", "pw.x ended before its cycle did: it was asked to stop"
    return "finished", None


def _ends_without_a_word(printed: PwPrintout) -> bool:
    return printed.structure is not None and printed.output.energy is None


def _note_relaxation(sources: Sources, calculation: str) -> None:
    if "relax" not in calculation:
        return
    told = sources.xml.relaxed if sources.xml else None
    if sources.own is not None and sources.own.printed.output.relaxed is not None:
        told = sources.own.printed.output.relaxed
    if told is not True:
        sources.notes.append("the relaxation did not reach its tolerance: structure and forces are of its last step")


def _spheres(sources: Sources, count: int) -> dict[str, SiteValues]:
    """Return charges and moments in spheres, of which the XML file of newer versions has more digits."""
    output = sources.cycle.printed.cycle if sources.cycle else None
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


def _seconds(sources: Sources, name: str) -> float | None:
    """Return a time of a run together with those of the attempts before it, kept as ``pw.out.1`` …"""
    last = getattr(sources.own.printed.output, name) if sources.own else None
    if last is None:
        return None
    earlier = sources.folder.glob("pw.out.*") if sources.own and sources.own.name == "pw.out" else ()
    attempts = [path for path in earlier if path.suffix[1:].isdigit()]
    return float(last + sum(getattr(read_pw_output(path), name) or 0.0 for path in attempts))


def _method(sources: Sources) -> dict[str, Any]:
    printed = sources.own.printed.method if sources.own else {}
    return sources.xml.method if sources.xml else printed


def _labelled_bands(sources: Sources, bands: Any) -> Any:
    """Name the points of the path that a request of ours asked for."""
    path = (_asked(sources.request, "settings") or {}).get("path")
    if bands is None or not path or len(path.get("kpoints", ())) != len(bands.kpoints):
        return bands
    names = dict(map(tuple, path["labels"]))
    return replace(bands, labels=tuple(names.get(i, "") for i in range(len(bands.kpoints))))


def _read_post_processing(sources: Sources, step: str, xml: PwXml) -> Result:
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
