"""What projwfc.x adds to a Result: Löwdin charges, projected densities of states, projections of bands."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from heterodft.analysis.readers.espresso.atomic_proj import find_atomic_proj, read_band_projections
from heterodft.analysis.readers.espresso.projwfc import read_lowdin, read_projected_dos, read_spilling
from heterodft.analysis.readers.opening import read_text
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from pathlib import Path

    from heterodft.analysis.readers.espresso.runs import Sources
    from heterodft.analysis.result import Result

__all__ = ["add_projections"]


def add_projections(result: Result, sources: Sources, *, bands: bool) -> Result:
    """Add what projwfc.x left; of a folder of others, what cannot be read becomes a note."""
    output = _projection_output(sources)
    if result.step != "bands":  # charges and densities of states of a path of k-points mean nothing
        result = _with_charges(result, sources, output)
        result = _with_dos(result, sources, output)
    if not bands or result.bands is None:
        return result
    try:
        path = find_atomic_proj(sources.folder, sources.files.xml)
        projected = read_band_projections(path, output, result.bands, sites=len(result.structure))
    except ReaderError as error:
        return _noted(result, f"no projections of bands: {error}")
    return replace(result, bands=projected)


def _noted(result: Result, words: str) -> Result:
    return replace(result, notes=(*result.notes, words))


def _with_charges(result: Result, sources: Sources, output: Path | None) -> Result:
    if output is None:
        left = any(sources.folder.glob("*.pdos_tot*"))
        return _noted(result, "there is no output of projwfc.x: Löwdin charges are missing") if left else result
    polarized = result.bands is not None and len(result.bands.energies) == 2
    try:
        charges = read_lowdin(output, polarized=polarized, sites=len(result.structure))
    except ReaderError as error:
        if sources.strict:
            raise
        return _noted(result, f"no Löwdin charges: {error}")
    return replace(result, sites={**result.sites, "Löwdin": charges}, spilling=read_spilling(output))


def _with_dos(result: Result, sources: Sources, output: Path | None) -> Result:
    if output is None and not any(sources.folder.glob("*.pdos_tot*")):
        return result
    try:
        dos = read_projected_dos(sources.folder, sites=len(result.structure))
    except ReaderError as error:
        if sources.strict:
            raise
        return _noted(result, f"no projected density of states: {error}")
    if result.method.get("noncollinear"):
        result = _noted(result, "the projected density of states of this noncollinear run holds both spins together")
    return replace(result, dos=dos)


def _projection_output(sources: Sources) -> Path | None:
    """Return the output of projwfc.x; of several the one with a table of charges."""
    found = sources.files.projections
    if len(found) > 1:
        found = tuple(path for path in found if "Lowdin Charges" in read_text(path)) or found
    return found[-1] if found else None
