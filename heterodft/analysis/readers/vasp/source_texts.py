"""OUTCAR, OSZICAR, DOSCAR, PROCAR, POSCAR and CONTCAR as a `Source`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.readers.vasp.doscar import read_doscar
from heterodft.analysis.readers.vasp.method import VaspSettings
from heterodft.analysis.readers.vasp.orbitals import shells_of
from heterodft.analysis.readers.vasp.oszicar import read_oszicar
from heterodft.analysis.readers.vasp.outcar import read_outcar
from heterodft.analysis.readers.vasp.poscar import read_poscar
from heterodft.analysis.readers.vasp.procar import read_procar
from heterodft.analysis.readers.vasp.source import Source, density_of_states, project, sphere_values
from heterodft.analysis.result import Bands, SiteValues

if TYPE_CHECKING:
    from pathlib import Path

    from heterodft.analysis.readers.vasp.outcar import ShellTable

__all__ = ["from_doscar", "from_oszicar", "from_outcar", "from_poscar", "from_procar"]


def from_outcar(path: Path, *, step: int | None = None) -> Source:
    """Read OUTCAR, of one ionic step."""
    data = read_outcar(path, step=step)
    tags = dict(data.settings)
    fractional = None
    if data.positions is not None and data.lattice is not None and abs(np.linalg.det(data.lattice)) > 1e-3:
        fractional = data.positions @ np.linalg.inv(data.lattice)
    ended = data.energy_zero if data.energy_zero is not None else data.cycle_energy
    if 3 in (len(data.moments), len(data.moment or ())):
        tags["LNONCOLLINEAR"] = True
    known = data.ionic_step is not None or data.ending.finished
    return Source(
        name=path.name,
        whole=data.ending.finished,
        version=data.version,
        settings=VaspSettings(tags, data.titles, data.valences, data.counts, data.mesh or tags.get("NKPTS")),
        elements=data.elements,
        sites=tags.get("NIONS"),
        lattice=data.lattice,
        fractional=fractional,
        rough=True,
        ionic_steps=data.ionic_step,
        energy=ended,
        iterations=data.iterations,
        accuracy=data.accuracy,
        cycle_converged=data.ending.electrons_converged if known else None,
        relaxed=data.ending.relaxed if known else None,
        ending=data.ending,
        electrons=tags.get("NELECT"),
        fermi_level=data.fermi_level,
        moment=data.moment,
        sphere=_outcar_sphere(data.charges, data.moments),
        forces=data.forces,
        stress=data.stress,
        cpu_seconds=data.cpu_seconds,
        wall_seconds=data.wall_seconds,
        occupations=data.occupations,
        notes=data.notes,
    )


def _outcar_sphere(charges: ShellTable | None, moments: tuple[ShellTable, ...]) -> SiteValues | None:
    if charges is None:
        return None
    each = [shells_of(table.values, table.shells) for table in moments]
    return sphere_values(charges.total, shells_of(charges.values, charges.shells), [t.total for t in moments], each)


def from_oszicar(path: Path) -> Source:
    """Read OSZICAR: the last ionic step that ended."""
    steps = read_oszicar(path)
    if not steps:
        return Source(path.name, whole=False, notes=(f"{path.name} holds no ionic step that ended",))
    last = steps[-1]
    accuracy = abs(last.electronic[-1].change) if last.electronic else math.nan
    return Source(
        path.name,
        ionic_steps=last.index,
        energy=last.energy_zero,
        iterations=last.electronic[-1].index if last.electronic else None,
        accuracy=accuracy if math.isfinite(accuracy) else None,
        moment=last.moment or None,
    )


def from_doscar(path: Path, *, noncollinear: bool | None) -> Source:
    """Read DOSCAR."""
    data = read_doscar(path, noncollinear=noncollinear)
    dos = density_of_states(data.energies, data.total, data.partial, data.columns, sites=data.sites)
    return Source(path.name, sites=data.sites, fermi_level=data.fermi_level, dos=dos)


def from_procar(path: Path, *, projections: bool) -> Source:
    """Read PROCAR; its sites are known once its projections are."""
    data = read_procar(path, projections=projections)
    bands = Bands(data.energies, data.occupations, data.kpoints, data.weights / data.weights.sum())
    settings = VaspSettings({"LNONCOLLINEAR": data.noncollinear})
    bands = project(bands, data.projections, data.columns)
    return Source(path.name, settings=settings, sites=data.sites, bands=bands)


def from_poscar(path: Path) -> Source:
    """Read POSCAR or CONTCAR."""
    data = read_poscar(path)
    return Source(
        path.name, sites=data.sites, elements=data.elements, lattice=data.lattice, fractional=data.fractional
    )
