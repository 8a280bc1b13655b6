"""A folder in which VASP ran, from the files that were kept, as one `Result`; sites in the builder's order.

The energy is VASP's ``energy(sigma->0)``, extrapolated to no smearing, of the last electronic step of the last cycle
that ended. The numbers come from ``vasprun.xml`` or ``vaspout.h5``, moments from OUTCAR or ``vaspout.h5``; what is
missing there from OSZICAR, DOSCAR, PROCAR and CONTCAR, if these are of the same run and the same ionic step.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from heterodft.analysis.readers.opening import find_file, read_bytes
from heterodft.analysis.readers.vasp.folder import open_vasp_folder
from heterodft.analysis.readers.vasp.kpoint_mesh import mesh_of
from heterodft.analysis.readers.vasp.method import method_of, without_cycle
from heterodft.analysis.readers.vasp.outcar import read_ending
from heterodft.analysis.readers.vasp.outcar_bands import read_outcar_bands
from heterodft.analysis.result import Result
from heterodft.errors import ReaderError
from heterodft.files import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from heterodft.analysis.readers.vasp.folder import VaspFolder
    from heterodft.analysis.readers.vasp.source import Source
    from heterodft.analysis.result import Bands, HubbardOccupations, ProjectedDos, SiteValues

__all__ = ["how_it_ended", "read_vasp"]

_FIXED_DENSITY = 10
"""ICHARG from which on the density is kept and no energy is self-consistent."""
_MOTIONS = {0: "md", 5: "vibrations", 6: "vibrations", 7: "vibrations", 8: "vibrations"}
"""What IBRION does with the atoms where it does not relax them."""
_SITE_ORDER = "site_order.json"
_SCREENS = ("vasp.out", "std_err.txt", "stdout", "vasp.err")
_CRASHES = (b"I REFUSE TO CONTINUE", b"internal error", b"forrtl: severe", b"EEEEEEE  RRRRRR", b"SIGSEGV", b"SIGABRT")
_ENDED = {
    "stopped": "VASP was stopped by STOPCAR before it was done",
    "crashed": "VASP crashed; the numbers are those of the last step that ended",
    "cut off": "VASP did not get to its end; the numbers are those of the last step that ended",
}

Ended = Literal["finished", "stopped", "crashed", "cut off"]


def read_vasp(folder: Path, request: dict[str, Any], *, projections: bool = False) -> Result:
    """Read what is there of a run of VASP.

    Parameters
    ----------
    folder
        Holds any of ``vasprun.xml``, ``vaspout.h5``, OUTCAR, OSZICAR, DOSCAR and PROCAR, each plain or compressed,
        and a structure in one of them or in CONTCAR or POSCAR. With ``site_order.json`` the sites are put into the
        builder's order; without, they stay as VASP has them.
    request
        ``request.json`` of the folder, empty where there is none.
    projections
        Whether to read the part of each state on each orbital of each site.

    Returns
    -------
    Result
        Its ``notes`` name what is missing and why. The total moment of a noncollinear run is the norm of its vector.

    Raises
    ------
    ReaderError
        If no file can be read, they are of different systems, or none holds the structure.
    """
    files = open_vasp_folder(folder, projections=projections)
    order = _builders_order(folder, len(files.structure.elements or ()))
    notes = list(files.notes)
    tags = files.settings.tags
    step = request.get("request", {}).get("step") or _step_of(tags, _first(files, "bands"))
    selfconsistent = int(tags.get("ICHARG", 2)) < _FIXED_DENSITY and not without_cycle(tags)
    bands = _bands(files, notes, projections=projections)
    electrons = _electrons(files, bands, notes)
    level = _first(files, "fermi_level")
    energy = _first(files, "energy") if selfconsistent else None
    if selfconsistent and energy is None:
        notes.append("no energy: no self-consistent cycle ended in any file")
    if without_cycle(tags):
        notes.append(f"no energy: ALGO = {tags['ALGO']} has no self-consistent cycle")
    if step == "vibrations":
        notes.append("structure, energy and forces are those of the last displacement of the atoms (IBRION > 4)")
    ended = _ended(files)
    if ended in _ENDED:
        notes.append(_ENDED[ended])
    if level is None:
        notes.append("no Fermi level: no file that is there tells it")
    return Result(
        code="vasp",
        version=_first(files, "version") or "unknown",
        step=step,
        structure=_structure(files.structure, order),
        electrons=electrons,
        energy=energy,
        fermi_levels=() if level is None else (level,),
        total_moment=_moment(files, notes) if selfconsistent else None,
        absolute_moment=None,
        sites=_sites(files, order, notes),
        converged=_converged(files, step, notes, selfconsistent=selfconsistent),
        iterations=_first(files, "iterations") if selfconsistent else None,
        accuracy=_first(files, "accuracy") if selfconsistent else None,
        cpu_seconds=_first(files, "cpu_seconds"),
        wall_seconds=_first(files, "wall_seconds"),
        bands=_ordered_bands(bands, order),
        dos=_ordered_dos(_density(files), order, notes),
        request=request,
        forces=_ordered(_of_step(files, "forces"), order),
        stress=_of_step(files, "stress"),
        method=method_of(files.settings, electrons) | mesh_of(files.settings.mesh, bands),
        ended=ended,
        notes=tuple(dict.fromkeys(notes)),
        occupations=_occupations(files, order),
    )


def how_it_ended(folder: Path) -> tuple[bool, bool, bool]:
    """Return whether OUTCAR says that VASP was stopped, the last SCF cycle converged, and the structure relaxed.

    A stop (LSTOP, LABORT) that came once the structure was relaxed is none.

    Raises
    ------
    ReaderError
        If there is no OUTCAR, or it is empty.
    """
    path = find_file(folder, "OUTCAR")
    if path is None or path.stat().st_size == 0:
        reason = "it is missing" if path is None else "it is empty"
        raise ReaderError(f"cannot read {folder / 'OUTCAR'}: {reason}; VASP did not get to its end there")
    ending = read_ending(path)
    return ending.stopped, ending.electrons_converged, ending.relaxed


def _first(files: VaspFolder, name: str) -> Any:
    return next((value for source in files.sources if (value := getattr(source, name)) is not None), None)


def _of_step(files: VaspFolder, name: str) -> Any:
    """Return what belongs to the structure: from a file that was read at the same ionic step."""
    held = [getattr(source, name) for source in files.sources if source.energy is not None]
    return next((value for value in held if value is not None), None)


def _step_of(tags: Mapping[str, Any], bands: Bands | None) -> str:
    if int(tags.get("NSW", 0)) > 1 and int(tags.get("IBRION", 0)) >= 0:
        return _MOTIONS.get(int(tags.get("IBRION", 2)), "relax")
    if int(tags.get("ICHARG", 2)) < _FIXED_DENSITY:
        return "static"
    return "bands" if bands is not None and len(bands.weights) > 1 and len(set(bands.weights)) == 1 else "dos"


def _electrons(files: VaspFolder, bands: Bands | None, notes: list[str]) -> float | None:
    found = _first(files, "electrons")
    if found is not None or bands is None:
        return None if found is None else float(found)
    notes.append("the number of electrons is that of the occupations, since no file that is there tells NELECT")
    filling = 2 if len(bands.occupations) == 1 and not _noncollinear(files) else 1
    return round(filling * float(np.einsum("skb,k->", bands.occupations, bands.weights)), 3)


# Moments


def _moment(files: VaspFolder, notes: list[str]) -> float | None:
    """Return the moment of the cell; of a noncollinear run the length of the vector."""
    if not _polarized(files):
        return None
    vector = _first(files, "moment")
    if vector is not None:
        return float(vector[0]) if len(vector) == 1 else float(np.linalg.norm(vector))
    bands = _first(files, "bands")
    if bands is not None and len(bands.occupations) == 2 and _first(files, "energy") is not None:
        notes.append("the total moment is that of the occupations, since neither OUTCAR nor OSZICAR tells it")
        up, down = np.einsum("skb,k->s", bands.occupations, bands.weights)
        return float(np.round(up - down, 4)) + 0.0
    notes.append("no total moment: neither OUTCAR nor OSZICAR tells it")
    return None


def _noncollinear(files: VaspFolder) -> bool:
    tags = files.settings.tags
    return bool(tags.get("LNONCOLLINEAR") or tags.get("LSORBIT"))


def _polarized(files: VaspFolder) -> bool:
    """Tell whether there are moments: where any were printed, or by the settings, or by the number of spins."""
    sphere = _first(files, "sphere")
    if _first(files, "moment") or (sphere is not None and sphere.moments is not None):
        return True
    if _noncollinear(files) or "ISPIN" in files.settings.tags:
        return _noncollinear(files) or int(files.settings.tags["ISPIN"]) == 2
    dos, bands = _first(files, "dos"), _first(files, "bands")
    spins = [len(bands.energies)] if bands is not None else [len(dos.total)] if dos is not None else []
    return spins == [2]


def _sites(files: VaspFolder, order: NDArray[np.int64], notes: list[str]) -> dict[str, SiteValues]:
    found = _first(files, "sphere")
    if found is None or len(found.charges) != len(order):
        reason = "is not there" if files.get("OUTCAR") is None else "has no whole table of them (was LORBIT set?)"
        notes.append(f"no moments or charges in spheres: they are in OUTCAR, which {reason}, or vaspout.h5")
        return {}
    moments = found.moments if _polarized(files) else None
    if moments is None and _polarized(files):
        notes.append("no moments in spheres: OUTCAR holds charges alone")

    def put(array: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
        return _ordered(array, order)

    return {
        "sphere": replace(
            found,
            charges=tuple(found.charges[int(i)] for i in order),
            moments=None if moments is None else tuple(moments[int(i)] for i in order),
            vectors=put(found.vectors),
            shell_charges=put(found.shell_charges),
            shell_moments=put(found.shell_moments) if moments is not None else None,
        )
    }


def _occupations(files: VaspFolder, order: NDArray[np.int64]) -> tuple[HubbardOccupations, ...]:
    """Return those of OUTCAR, which alone tells them, with the sites in the builder's order."""
    ours = {int(theirs): site for site, theirs in enumerate(order)}
    found = _of_step(files, "occupations") or ()
    return tuple(sorted((replace(one, site=ours[one.site]) for one in found), key=lambda one: one.site))


# Bands and densities of states


def _bands(files: VaspFolder, notes: list[str], *, projections: bool) -> Bands | None:
    held = [source.bands for source in files.sources if source.bands is not None] or _printed_bands(files, notes)
    if not held:
        notes.append("no bands: none of vasprun.xml, vaspout.h5, PROCAR and OUTCAR that are there holds them")
        return None
    if projections:
        with_parts = next((bands for bands in held if bands.projections is not None), None)
        if with_parts is None:
            notes.append("no projections of bands: LORBIT was not set, or their file is missing")
            return held[0]
        return replace(held[0], projections=with_parts.projections, orbitals=with_parts.orbitals)
    return held[0]


def _printed_bands(files: VaspFolder, notes: list[str]) -> list[Bands]:
    outcar, path = files.get("OUTCAR"), find_file(files.path, "OUTCAR")
    found = read_outcar_bands(path, step=outcar.ionic_steps) if outcar is not None and path is not None else None
    if found is None:
        return []
    notes.append("the bands are those of OUTCAR, which has four decimals")
    return [found]


def _density(files: VaspFolder) -> ProjectedDos | None:
    held = [source.dos for source in files.sources if source.dos is not None]
    return next((dos for dos in held if dos.orbitals), held[0] if held else None)


def _ordered(values: NDArray[np.float64] | None, order: NDArray[np.int64]) -> NDArray[np.float64] | None:
    return None if values is None else values[order]


def _ordered_bands(bands: Bands | None, order: NDArray[np.int64]) -> Bands | None:
    if bands is None or bands.projections is None:
        return bands
    return replace(bands, projections=bands.projections[:, :, :, order])


def _ordered_dos(dos: ProjectedDos | None, order: NDArray[np.int64], notes: list[str]) -> ProjectedDos | None:
    if dos is None:
        return None
    if not dos.orbitals:
        notes.append("the density of states is that of the cell alone: LORBIT was not set")
    return replace(dos, values=dos.values[order])


# How it ended


def _converged(files: VaspFolder, step: str, notes: list[str], *, selfconsistent: bool) -> bool | None:
    outcar = files.get("OUTCAR")
    if outcar is not None and outcar.cycle_converged is not None and outcar.ionic_steps is not None:
        reached, relaxed = outcar.cycle_converged, outcar.relaxed
    else:
        reached, relaxed = _first(files, "cycle_converged"), _first(files, "relaxed")
        if reached is not None:
            notes.append("convergence is judged by the number of steps, since OUTCAR, which tells it, is not there")
    if reached is None:
        if files.main.energy is None and selfconsistent:
            return False
        notes.append("whether the run converged is not known: it is told in OUTCAR and vasprun.xml alone")
        return None
    if not selfconsistent:
        return None if reached else False
    return bool(reached and (relaxed or not step.startswith("relax")))


def _ended(files: VaspFolder) -> Ended:
    outcar, run = files.get("OUTCAR"), files.get("vasprun.xml")
    ending = outcar.ending if outcar is not None else None
    if ending is not None and ending.stopped:
        return "stopped"
    if (ending is not None and ending.finished) or (run is not None and run.whole):
        return "finished"
    if ending is None and run is None:
        return "finished" if files.main.whole else "cut off"
    crashed = ending is not None and ending.crashed
    return "crashed" if crashed or _screen_tells_a_crash(files.path) else "cut off"


def _screen_tells_a_crash(folder: Path) -> bool:
    paths = [path for name in _SCREENS if (path := find_file(folder, name)) is not None]
    return any(word in read_bytes(path)[-65536:] for path in paths for word in _CRASHES)


# Structure


def _builders_order(folder: Path, sites: int) -> NDArray[np.int64]:
    """Return where each site of the builder is in the POSCAR."""
    if not (folder / _SITE_ORDER).is_file():
        return np.arange(sites)
    order = read_json(folder / _SITE_ORDER).get("order", [])
    if not isinstance(order, list) or sorted(order) != list(range(sites)):
        raise ReaderError(f"{folder / _SITE_ORDER} is not the order of {sites} sites; files of another run?")
    return np.argsort(np.array(order))


def _structure(source: Source, order: NDArray[np.int64]) -> Structure:
    from pymatgen.core import Lattice, Structure

    elements, fractional = source.elements or (), source.fractional
    try:
        if source.lattice is None or fractional is None:
            raise ValueError("no structure")
        return Structure(Lattice(source.lattice), [elements[int(i)] for i in order], fractional[order])
    except ValueError as error:
        raise ReaderError(f"{source.name}: {error}; a damaged file?") from error
