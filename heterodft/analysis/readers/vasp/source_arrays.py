"""vasprun.xml and vaspout.h5 as a `Source`."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.readers.vasp.method import VaspSettings, without_cycle
from heterodft.analysis.readers.vasp.orbitals import shells_of
from heterodft.analysis.readers.vasp.outcar import KILOBAR
from heterodft.analysis.readers.vasp.source import Source, density_of_states, project, sphere_values
from heterodft.analysis.readers.vasp.vaspout import read_vaspout
from heterodft.analysis.readers.vasp.vasprun import Vasprun
from heterodft.analysis.result import Bands, ProjectedDos, SiteValues
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from heterodft.analysis.readers.vasp.vasprun import IonicStep, Structure

__all__ = ["from_vaspout", "from_vasprun"]


def from_vasprun(path: Path, *, projections: bool) -> Source:
    """Read ``vasprun.xml`` as far as it goes: the last ionic step whose energy was written."""
    run = Vasprun.open(path)
    tags = _tags_of(run)
    ended = [step for step in run.ionic_steps if "e_fr_energy" in step.block_energy and len(step.free_energies)]
    last = ended[-1] if ended else None
    structure = _structure_of(run, last)
    found: dict[str, Any] = {}
    if last is not None:
        found = _cycle(last, int(tags.get("NELM", 0)))
        found |= {"forces": last.forces, "stress": None if last.stress is None else -KILOBAR * last.stress}
        found |= {"relaxed": _seems_relaxed(tags, len(ended), last.forces, whole=run.complete)}
    if last is not None or without_cycle(tags):
        found |= _arrays(path, run, projections=projections)
        found["fermi_level"] = run.fermi_level
    if run.force_field_steps:
        found["notes"] = (
            *found.pop("notes", ()),
            f"{run.force_field_steps} steps of {path.name} were made by a machine-learned force field alone; all "
            f"numbers are those of the last of its {len(ended)} DFT steps",
        )
    counts = tuple(run.species.count(kind) for kind in range(len(run.pseudopotentials)))
    mesh = run.mesh if run.mesh is not None else None if run.kpoints is None else len(run.kpoints)
    return Source(
        name=path.name,
        whole=run.complete,
        version=_version(run.version),
        settings=VaspSettings(tags, run.pseudopotentials, run.valences, counts, mesh),
        elements=run.elements,
        lattice=structure.lattice,
        fractional=structure.fractional,
        ionic_steps=last.number if last is not None else 0,
        electrons=_maybe_float(tags.get("NELECT")),
        notes=(*run.notes, *found.pop("notes", ())),
        **found,
    )


def _structure_of(run: Vasprun, last: IonicStep | None) -> Structure:
    """Return the structure of the step, or what the run began with; some files of linear response lack this."""
    found = last.structure() if last is not None else None
    if found is not None:
        return found
    try:
        return run.initial_structure()
    except ReaderError:
        return run.final_structure()


def _tags_of(run: Vasprun) -> dict[str, Any]:
    """Return all settings; U and J from those given, which have them of all species."""
    given: dict[str, Any] = {name: run.incar[name] for name in ("LDAUL", "LDAUU", "LDAUJ") if name in run.incar}
    return {**run.incar, **run.parameters, **given}


def _version(text: str) -> str:
    match = re.match(r"\d+\.\d+(?:\.\d+)?", text.strip())
    return match[0] if match is not None else text.strip()


def _maybe_float(value: Any) -> float | None:
    return None if value is None else float(value)


def _cycle(step: IonicStep, most: int) -> dict[str, Any]:
    """Return the energy and the end of a cycle.

    The energy is that of its last electronic step, moved by what was added outside the cycle (dispersion): in older
    versions the energy(sigma→0) of the ionic step as a whole is zero, or that without entropy.
    """
    free, zero = float(step.free_energies[-1]), float(step.energies_zero[-1])
    energy = zero + step.block_energy["e_fr_energy"] - free
    found: dict[str, Any] = {"iterations": len(step.free_energies)}
    if math.isfinite(energy):
        found["energy"] = round(energy, 8)
    if len(step.free_energies) > 1 and math.isfinite(change := abs(free - float(step.free_energies[-2]))):
        found["accuracy"] = change
    if most:
        found["cycle_converged"] = len(step.free_energies) < most
    return found


def _seems_relaxed(
    tags: dict[str, Any], steps: int, forces: NDArray[np.float64] | None, *, whole: bool
) -> bool | None:
    """Tell whether a relaxation ended before its last step, or with small forces; None of other runs."""
    most, tolerance = int(tags.get("NSW", 0)), float(tags.get("EDIFFG", 0))
    if most <= 1:
        return None
    if tolerance < 0 and forces is not None and np.linalg.norm(forces, axis=1).max(initial=0) <= -tolerance:
        return whole
    return whole and steps < most


def _arrays(path: Path, run: Vasprun, *, projections: bool) -> dict[str, Any]:
    """Read bands and densities of states; what is damaged is left out and told."""
    found: dict[str, Any] = {}
    notes: list[str] = []
    try:
        found["bands"] = _xml_bands(run, projections=projections)
    except ReaderError as error:
        notes.append(f"the bands of {path.name} were left out: {error}")
    try:
        found["dos"] = _xml_dos(run)
    except ReaderError as error:
        notes.append(f"the density of states of {path.name} was left out: {error}")
    return {**found, "notes": notes}


def _xml_bands(run: Vasprun, *, projections: bool) -> Bands | None:
    eigenvalues = run.eigenvalues()
    if eigenvalues is None or run.kpoints is None or run.weights is None or not run.weights.sum() > 0:
        return None
    if not all(np.isfinite(values).all() for values in eigenvalues):
        raise ReaderError("some are no numbers")
    bands = Bands(*eigenvalues, np.asarray(run.kpoints), np.asarray(run.weights) / np.sum(run.weights))
    return project(bands, *(run.projections() or (None, ()))) if projections else bands


def _xml_dos(run: Vasprun) -> ProjectedDos | None:
    found = run.dos()
    if found is None:
        return None
    return density_of_states(found.energies, found.total, found.partial, found.columns, sites=len(run.elements))


def from_vaspout(path: Path, *, projections: bool) -> Source:
    """Read ``vaspout.h5``."""
    data = read_vaspout(path, projections=projections)
    tags, bands, dos = dict(data.incar), None, None
    arrays = (data.eigenvalues, data.occupations, data.kpoints, data.weights)
    if not any(array is None for array in arrays):
        bands = project(Bands(*arrays), data.projections, data.columns)  # type: ignore[arg-type]
        tags.setdefault("ISPIN", len(bands.energies))
    if data.dos is not None and data.dos_energies is not None:
        names = data.columns[: data.dos_partial.shape[1]] if data.dos_partial is not None else ()
        dos = density_of_states(data.dos_energies, data.dos, data.dos_partial, names, sites=len(data.elements or ()))
    if data.moments is not None and len(data.moments) == 3:
        tags.setdefault("LNONCOLLINEAR", True)
    most = tags.get("NSW", 0)
    return Source(
        name=path.name,
        version=data.version,
        settings=VaspSettings(
            tags, data.titles, data.valences, data.counts, None if data.kpoints is None else len(data.kpoints)
        ),
        elements=data.elements,
        lattice=data.lattice,
        fractional=data.fractional,
        ionic_steps=data.ionic_steps,
        energy=None if data.energy is None else round(data.energy, 8),
        relaxed=_seems_relaxed(tags, data.ionic_steps, data.forces, whole=True) if most else None,
        electrons=data.electrons,
        fermi_level=data.fermi_level,
        sphere=_vaspout_sphere(data.shells, data.charges, data.moments),
        forces=data.forces,
        stress=data.stress,
        bands=bands,
        dos=dos,
    )


def _vaspout_sphere(
    shells: tuple[str, ...], charges: NDArray[np.float64] | None, moments: NDArray[np.float64] | None
) -> SiteValues | None:
    if charges is None:
        return None
    totals = None if moments is None else [component.sum(axis=1) for component in moments]
    each = None if moments is None else [shells_of(component, shells) for component in moments]
    return sphere_values(charges.sum(axis=1), shells_of(charges, shells), totals, each)
