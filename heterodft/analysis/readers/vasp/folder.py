"""The files of a VASP folder, as many as there are, of one run and one ionic step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.readers.opening import find_file, read_text
from heterodft.analysis.readers.vasp.method import VaspSettings, parse_incar
from heterodft.analysis.readers.vasp.outcar_bands import read_outcar_bands
from heterodft.analysis.readers.vasp.source_arrays import from_vaspout, from_vasprun
from heterodft.analysis.readers.vasp.source_texts import (
    from_doscar,
    from_oszicar,
    from_outcar,
    from_poscar,
    from_procar,
)
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from heterodft.analysis.readers.vasp.source import Source

__all__ = ["OUTPUTS", "VaspFolder", "open_vasp_folder"]

OUTPUTS = ("vasprun.xml", "vaspout.h5", "OUTCAR", "OSZICAR", "DOSCAR", "PROCAR")
_SAME_ENERGY = 2e-5
_SAME_LEVEL = 2e-3
"""eV: OUTCAR and PROCAR print fewer digits."""
_SAME_PLACE = 2e-4
"""Å, of positions printed with five decimals."""


@dataclass(frozen=True)
class VaspFolder:
    """The files of one run; the first that has something to say on a matter is believed.

    Attributes
    ----------
    path
        The folder.
    main
        The file the numbers come from where it has them.
    sources
        All files that fit it, the main one first.
    structure
        The one that the numbers belong to.
    settings
        The settings of all files together.
    notes
        What is missing or was left out.
    """

    path: Path
    main: Source
    sources: tuple[Source, ...]
    structure: Source
    settings: VaspSettings
    notes: tuple[str, ...]

    def get(self, name: str) -> Source | None:
        """Return a file by its name, without regard to compression."""
        return next((source for source in self.sources if source.name.startswith(name)), None)


def open_vasp_folder(folder: Path, *, projections: bool) -> VaspFolder:
    """Read the files of a folder and put aside those of another run.

    Raises
    ------
    ReaderError
        If there is none that can be read, they are of different systems, or no structure is there.
    """
    notes: list[str] = []
    outputs = _read_outputs(folder, notes, projections=projections)
    if not outputs:
        reason = "; ".join(notes) or f"it holds no {', '.join(OUTPUTS[:-1])} or {OUTPUTS[-1]}"
        raise ReaderError(f"cannot read {folder}: {reason}")
    main = _main_of(outputs)
    fitting = [main]
    for source in outputs:
        if source is not main and (found := _fitting(folder, source, main, fitting, notes)) is not None:
            fitting.append(found)
    for source in fitting:
        notes += source.notes
    structure = _structure_of(folder, fitting, notes)
    for source in fitting:
        _require_same_system(folder, structure, source)
    return VaspFolder(folder, main, tuple(fitting), structure, _settings_of(folder, fitting), tuple(notes))


def _read_outputs(folder: Path, notes: list[str], *, projections: bool) -> list[Source]:
    incar = _read_incar(folder)
    hint = [incar.get("LNONCOLLINEAR"), incar.get("LSORBIT")]

    def doscar(path: Path) -> Source:
        return from_doscar(path, noncollinear=any(hint) if hint != [None, None] else None)

    readers: dict[str, Callable[[Path], Source]] = {
        "vasprun.xml": lambda path: from_vasprun(path, projections=projections),
        "vaspout.h5": lambda path: from_vaspout(path, projections=projections),
        "OUTCAR": from_outcar,
        "OSZICAR": from_oszicar,
        "DOSCAR": doscar,
        "PROCAR": lambda path: from_procar(path, projections=projections),
    }
    found: list[Source] = []
    for name, read in readers.items():
        path = find_file(folder, name)
        if path is None or _needless(name, found, projections=projections):
            continue
        try:
            source = read(path)
        except ReaderError as error:
            notes.append(f"{path.name} was left out: {error}")
            continue
        found.append(source)
        for tag in ("LNONCOLLINEAR", "LSORBIT"):
            if source.settings.tags.get(tag) is not None:
                hint.append(bool(source.settings.tags[tag]))
    return found


def _needless(name: str, found: list[Source], *, projections: bool) -> bool:
    """Tell whether a large file would add nothing to those that were read and are whole."""
    whole = [source for source in found if source.whole and source.energy is not None]
    if name == "vaspout.h5":
        return any(source.bands is not None for source in whole) and not projections and _have(found, "OUTCAR")
    if name == "DOSCAR":
        return any(source.dos is not None and source.dos.orbitals for source in whole)
    if name == "PROCAR":
        kept = [source.bands for source in whole if source.bands is not None]
        return any(bands.projections is not None or not projections for bands in kept)
    return False


def _have(found: list[Source], name: str) -> bool:
    return any(source.name.startswith(name) for source in found)


def _main_of(outputs: list[Source]) -> Source:
    """Return the file to believe first: one with an energy before one without, a whole one before one cut off."""
    ranked = [source for source in outputs if source.ionic_steps is not None or source.energy is not None]
    return min(
        ranked or outputs,
        key=lambda source: (source.energy is None, not source.whole, outputs.index(source)),
    )


def _fitting(folder: Path, source: Source, main: Source, others: list[Source], notes: list[str]) -> Source | None:
    """Return a file if it is of the same run and ionic step; one of another step is read again there, or left out."""
    _require_same_system(folder, main, source)
    if source.energy is not None and main.energy is not None:
        again = source if _same_energy(source, main) else _at_step(folder, source, main.ionic_steps)
        if again is None or not _same_energy(again, main):
            notes.append(
                f"{source.name} was left out: its energy is {source.energy:.6f} eV, in {main.name} {main.energy:.6f} "
                "eV; it is of another run or of another step"
            )
            return None
        return again
    if source.name.startswith("OUTCAR") and source.ionic_steps != main.ionic_steps and main.ionic_steps:
        return _at_step(folder, source, main.ionic_steps)
    for other in _with_printed_bands(folder, source, others):
        reason = _other_levels(source, other)
        if reason is not None:
            notes.append(f"{source.name} was left out: {reason}; it is of another run or of another step")
            return None
    return source


def _with_printed_bands(folder: Path, source: Source, others: list[Source]) -> list[Source]:
    """Give OUTCAR its bands, against which those of PROCAR are held where no other file has any."""
    path = find_file(folder, "OUTCAR")
    if source.bands is None or path is None or any(other.bands is not None for other in others):
        return others
    return [
        replace(other, bands=read_outcar_bands(path, step=other.ionic_steps)) if other.name == path.name else other
        for other in others
    ]


def _same_energy(source: Source, main: Source) -> bool:
    if source.energy is None or main.energy is None:
        return False
    few_digits = any(each.name.startswith("OSZICAR") for each in (source, main))
    return abs(source.energy - main.energy) <= _SAME_ENERGY + (2e-7 * abs(main.energy) if few_digits else 0)


def _at_step(folder: Path, source: Source, step: int | None) -> Source | None:
    path = find_file(folder, "OUTCAR")
    if not source.name.startswith("OUTCAR") or path is None or not step or step == source.ionic_steps:
        return None
    return from_outcar(path, step=step)


def _other_levels(source: Source, other: Source) -> str | None:
    """Return in what the bands or the Fermi level of two files differ, None if in nothing."""
    one, two = source.fermi_level, other.fermi_level
    if one is not None and two is not None and abs(one - two) > _SAME_LEVEL:
        return f"its Fermi level is {one:.4f} eV, in {other.name} {two:.4f} eV"
    if source.bands is None or other.bands is None:
        return None
    mine, theirs = source.bands.energies, other.bands.energies
    if mine.shape != theirs.shape:
        return f"it has (spin, k, band) = {mine.shape}, {other.name} {theirs.shape}"
    if np.abs(mine - theirs).max(initial=0) > _SAME_LEVEL:
        return f"its bands are not those of {other.name}"
    return None


def _require_same_system(folder: Path, one: Source, two: Source) -> None:
    """Refuse files with other atoms or electrons."""
    sites = [source.sites if source.elements is None else len(source.elements) for source in (one, two)]
    both = f"{one.name} and {two.name} of {folder} are of different runs"
    if None not in sites and sites[0] != sites[1]:
        raise ReaderError(f"{both}: {sites[0]} and {sites[1]} atoms; keep those of one")
    if one.elements is not None and two.elements is not None and one.elements != two.elements:
        raise ReaderError(f"{both}: their elements differ; keep those of one")
    electrons = [source.electrons for source in (one, two)]
    if electrons[0] is not None and electrons[1] is not None and abs(electrons[0] - electrons[1]) > 1e-3:
        raise ReaderError(f"{both}: {electrons[0]:g} and {electrons[1]:g} electrons; keep those of one")


# Structure and settings


def _structure_of(folder: Path, sources: list[Source], notes: list[str]) -> Source:
    """Return the structure that the numbers belong to, with as many digits as there are."""
    exact = next((s for s in sources if s.fractional is not None and s.elements is not None and not s.rough), None)
    if exact is not None:
        return exact
    elements = next((s.elements for s in sources if s.elements is not None), None)
    placed = [s for s in sources if s.fractional is not None]
    rough = next((s for s in placed if elements is None or len(s.fractional) == len(elements)), None)  # type: ignore[arg-type]
    for name in ("CONTCAR", "POSCAR"):
        found = _read_poscar(folder, name, notes)
        if found is None or (found.elements is None and elements is None):
            continue
        _require_same_system(folder, sources[0], found)
        found = replace(found, elements=found.elements or elements)
        if rough is None or _same_places(found, rough):
            if rough is None:
                notes.append(f"the structure is that of {found.name}, which no other file confirms")
            return found
        notes.append(f"{found.name} holds other positions than {rough.name}, and was left out")
    if rough is not None and elements is not None:
        notes.append(f"the structure is that of {rough.name}, whose positions have five decimals")
        return replace(rough, elements=elements)
    raise ReaderError(f"{folder} holds no structure with its elements; put the CONTCAR or POSCAR of the run there")


def _read_poscar(folder: Path, name: str, notes: list[str]) -> Source | None:
    path = find_file(folder, name)
    if path is None or path.stat().st_size == 0:
        return None
    try:
        return from_poscar(path)
    except ReaderError as error:
        notes.append(f"{name} was left out: {error}")
        return None


def _same_places(one: Source, two: Source) -> bool:
    if one.lattice is None or one.fractional is None or two.lattice is None or two.fractional is None:
        return False
    if one.fractional.shape != two.fractional.shape or np.abs(one.lattice - two.lattice).max() > _SAME_PLACE:
        return False
    apart = one.fractional - two.fractional
    return bool(np.abs((apart - np.round(apart)) @ two.lattice).max() <= _SAME_PLACE)


def _settings_of(folder: Path, sources: list[Source]) -> VaspSettings:
    """Join what all files say of the settings; INCAR, which is what was asked for, comes last."""
    settings = [source.settings for source in sources]
    tags = _read_incar(folder)
    for each in reversed(settings):
        tags = {**tags, **{key: value for key, value in each.tags.items() if value is not None}}

    def first(name: str) -> tuple[object, ...]:
        return next((value for each in settings if (value := getattr(each, name))), ())

    meshes = [each.mesh for each in settings]
    mesh = next((m for m in meshes if isinstance(m, tuple)), next((m for m in meshes if m is not None), None))
    if "LDAUL" in tags:
        tags.setdefault("LDAU", True)
    counted = next((s for s in settings if s.valences and s.counts), VaspSettings())
    return VaspSettings(tags, first("titles"), counted.valences, counted.counts, mesh)  # type: ignore[arg-type]


def _read_incar(folder: Path) -> dict[str, object]:
    path = find_file(folder, "INCAR")
    return parse_incar(read_text(path)) if path is not None else {}
