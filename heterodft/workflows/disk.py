"""Disk space: what a calculation will take, whether there is room for it, and what may go once it is done.

What a step is kept for (``disk: keep:`` of the settings):

``results``
    What was printed and read. The density goes with the last step that starts from it; a step that is submitted later
    finds it gone, and the step that makes it runs again.
``densities``
    That, and the charge density of each step that others may start from. The default.
``all``
    That, and the wavefunctions of every step.

What a driver has computed keeps its densities until the driver has ended, since later points start from them.
"""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from math import pi
from os import scandir
from typing import TYPE_CHECKING, NamedTuple

from heterodft.errors import HeterodftError
from heterodft.files import read_json, write_json
from heterodft.templates.espresso import PREFIX
from heterodft.templates.steps import RELAXATIONS
from heterodft.workflows.calculation import finished_id, read_request
from heterodft.workflows.cost import estimate_cost
from heterodft.workflows.drivers.decisions import is_open
from heterodft.workflows.inputs import find_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from heterodft.workflows.calculation import Request
    from heterodft.workflows.cost import Cost
    from heterodft.workflows.settings import Settings

__all__ = [
    "KEEP",
    "Disk",
    "clean",
    "clean_driver",
    "disk_warnings",
    "enough_space",
    "estimate_disk",
    "free_space",
    "used_space",
]

KEEP = ("densities", "all", "results")
_USAGE_FILE = ".disk-usage.json"
_USAGE_SECONDS = 60.0
_GB = 1e9
_COMPLEX, _MILLER = 16, 12
"""Bytes of a double-precision complex number, and of the three integers of a plane wave."""
_TEXTS = 1.5e5
"""Bytes of what is printed, of the input files and of the result, whatever the cell."""
_DOS_WIDTH = 75.0
"""eV from the semicore states to the empty ones, over which projwfc.x writes a density of states."""
_NUMBER = 11
"""Characters of a number there."""
_PROJECTION, _BAND = 56, 170
"""Bytes of a projection in ``atomic_proj.xml``, and of a band in ``projwfc.out``."""
_ORBITALS = 2.1
"""Of a shell of a pseudopotential, from s to d."""
_RESPONSE_WAVES = 8
"""Sets of wavefunctions that hp.x keeps beside those of pw.x, at most."""
_CUBE, _FILPLOT = 14, 18
"""Bytes of a grid point in the text files of pp.x."""
_DEPTH = 3
"""Folders between that of a calculation and that of its campaign."""
_UPF = 2.5e5
"""Bytes of a pseudopotential, which pw.x copies beside its density."""


class _Parts(NamedTuple):
    """Bytes of a calculation at the most, by what becomes of them."""

    scratch: float
    waves: float
    density: float
    results: float


@dataclass(frozen=True)
class Disk:
    """Disk space of one calculation, in GB.

    Attributes
    ----------
    peak
        While it runs, and until it is cleaned.
    kept
        Afterwards, before the steps that start from it are done.
    """

    peak: float
    kept: float


def estimate_disk(request: Request, settings: Settings, *, cost: Cost | None = None) -> Disk:
    """Estimate the disk space of a calculation, good to a factor of 1.5 for pw.x.

    Parameters
    ----------
    request, settings
        The calculation; the pseudopotentials and what is kept.
    cost
        Its size, where it was estimated before.
    """
    cost = estimate_cost(request, settings) if cost is None else cost
    parts = _vasp_parts(request, cost) if request.code == "vasp" else _espresso_parts(request, cost, settings)
    kept = parts.results
    if settings.keep_files == "all" or _has_children(request):
        kept += parts.density
    if settings.keep_files == "all":
        kept += parts.waves
    return Disk(sum(parts) / _GB, kept / _GB)


def _espresso_parts(request: Request, cost: Cost, settings: Settings) -> _Parts:
    """Wavefunctions hold bands on the sphere of plane waves of each k-point and spin; the density, a larger sphere.

    A run with a fixed density keeps a second copy of its wavefunctions on disk, and U the orbitals it acts on.
    """
    spinors = 2 if request.directions is not None else 1
    points = cost.kpoints * cost.spins
    cutoff = request.settings.cutoff
    sphere = cost.plane_waves * ((request.settings.density_cutoff or 4 * cutoff) / cutoff) ** 1.5
    components = 4 if request.directions is not None else cost.spins
    density = sphere * (_MILLER + _COMPLEX * components) + _UPF * len(request.pseudopotentials)
    if request.step in ("potential", "charge"):
        grid = sphere * 6 / pi * (2 if request.step == "charge" and request.moments is not None else 1)
        return _Parts(_FILPLOT * grid, 0.0, density, _TEXTS / 2 + _CUBE * grid)
    waves = points * cost.plane_waves * (_MILLER + _COMPLEX * spinors * cost.bands)
    setup = request.to_setup()
    corrected = sum(2 * "spdf".index(u.shell[-1]) + 1 for u in setup.site_hubbard if u)
    scratch = points * cost.plane_waves * _COMPLEX * spinors * corrected
    results = _TEXTS + points * cost.bands * _BAND
    if request.step == "response":  # at k and k + q, with little symmetry
        scratch += _RESPONSE_WAVES * waves
    if request.step in ("dos", "bands"):
        scratch += waves
        files = find_files(request, settings)
        shells = sum(getattr(files[element], "wavefunctions", 0) for element in setup.elements)
        results += points * cost.bands * shells * _ORBITALS * _PROJECTION
        if request.step == "dos":
            columns = 2 + cost.spins * (1 + _ORBITALS)
            results += _DOS_WIDTH / request.settings.dos_energy_step * shells * columns * _NUMBER
    return _Parts(scratch, waves, density, results)


def _vasp_parts(request: Request, cost: Cost) -> _Parts:
    """WAVECAR in single precision; CHGCAR and CHG as text on the fine grid; vasprun.xml and OUTCAR."""
    spinors = 2 if request.directions is not None or request.spin_orbit else 1
    points = cost.kpoints * cost.spins
    waves = 8.0 * cost.plane_waves * spinors * cost.bands * points if _has_children(request) else 0.0
    grid = cost.plane_waves * 8 * 6 / pi * (4 if spinors == 2 else cost.spins)
    printed = points * cost.bands * (60 + 12 * 9 * cost.atoms) + cost.atoms * 1e4
    return _Parts(12 * grid, waves, 18 * grid, printed + _TEXTS)


def _has_children(request: Request) -> bool:
    """Tell whether other steps may start from this one."""
    return request.step in (*RELAXATIONS, "static")


def enough_space(request: Request, settings: Settings) -> str | None:
    """Return why there is no room to run a calculation, None when there is.

    What other running calculations are still going to write is not counted.
    """
    peak = estimate_disk(request, settings).peak
    free = free_space(settings.runs)
    if free < peak + settings.keep_free:
        return (
            f"the disk of {settings.runs} has {free:.3g} GB free; {request.path} takes up to {peak:.3g} GB, and "
            f"{settings.keep_free:g} GB are to be left; free some space or lower disk: free"
        )
    if settings.disk_budget is not None:
        used = used_space(settings)
        if used + peak > settings.disk_budget:
            return (
                f"{settings.runs} takes {used:.3g} GB of its budget of {settings.disk_budget:g} GB; {request.path} "
                f"takes up to {peak:.3g} GB more; free some space, raise disk: budget, or set disk: keep: results"
            )
    return None


def free_space(folder: Path) -> float:
    """Return the GB that are free on the disk of a folder, which need not exist yet."""
    place = next(each for each in (folder, *folder.parents) if each.is_dir())
    return shutil.disk_usage(place).free / _GB


def disk_warnings(kept: float, peak: float, settings: Settings) -> list[str]:
    """Return what to say where calculations to come, in GB as of `Disk`, will not fit.

    Nothing is written, not even what `used_space` remembers.
    """
    found = []
    runs = settings.runs
    free = free_space(runs) - settings.keep_free
    if peak > free:
        found.append(
            f"up to {peak:.3g} GB are needed on the disk of {runs}, where {max(free, 0):.3g} GB are free beside the "
            f"{settings.keep_free:g} GB of disk: free"
        )
    if settings.disk_budget is not None:
        used = _tree_bytes(runs) / _GB
        if used + peak > settings.disk_budget:
            found.append(
                f"up to {peak:.3g} GB are needed beside the {used:.3g} GB that {runs} takes already, more than the "
                f"{settings.disk_budget:g} GB of disk: budget; workers will stop there"
            )
    return found


def used_space(settings: Settings) -> float:
    """Return the GB that the folder of runs takes, looked at once a minute by all workers together."""
    file = settings.runs / _USAGE_FILE
    with suppress(HeterodftError, OSError, KeyError, TypeError, ValueError):
        if 0 <= time.time() - file.stat().st_mtime < _USAGE_SECONDS:
            return float(read_json(file)["gigabytes"])
    used = _tree_bytes(settings.runs) / _GB
    with suppress(HeterodftError):
        write_json(file, {"gigabytes": used})
    return used


def _tree_bytes(folder: str | Path) -> int:
    """Return the bytes that a folder takes on disk; links are not followed."""
    total = 0
    with suppress(OSError), scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):  # gone meanwhile
                if entry.is_dir(follow_symlinks=False):
                    total += _tree_bytes(entry.path)
                else:
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
    return total


_SCRATCH = {
    "espresso": (
        *("*.filplot", "HP/*.save/*", "HP/*wfc*", "HP/*.hub*", "HP/*.mix*"),
        *(f"{PREFIX}.{end}" for end in ("wfc*", "hub*", "mix*", "restart*", "xml")),
    ),
    "vasp": ("TMPCAR", "CHG", "PROCAR.tmp"),
}
"""Work files that no step reads."""
_WAVES = {"espresso": (f"{PREFIX}.save/wfc*",), "vasp": ("WAVECAR",)}
_DENSITY = {
    "espresso": (f"{PREFIX}.save/charge-density.dat", f"{PREFIX}.save/*.upf", f"{PREFIX}.save/*.UPF"),
    "vasp": ("CHGCAR",),
}


def clean(request: Request, folder: Path, keep: str) -> None:
    """Remove what no step needs any longer, here and in the folder that this step started from.

    Parameters
    ----------
    request, folder
        A calculation whose result is recorded, and where it is.
    keep
        One of `KEEP`.
    """
    _remove(folder, _SCRATCH[request.code])
    if keep == "all":
        return
    _release(request, folder, keep)
    if request.parent is not None and "parent_folder" in request.about:
        parent = (folder / request.about["parent_folder"]).resolve()
        with suppress(HeterodftError):
            before = read_request(parent)
            if before.id == request.parent == finished_id(parent):
                _release(before, parent, keep)


def clean_driver(folder: Path, keep: str) -> None:
    """Remove the densities that a driver kept for its later points, now that it has ended.

    Parameters
    ----------
    folder
        Of the driver, below the folder of all runs.
    keep
        One of `KEEP`.
    """
    if keep != "results":
        return
    for step in folder.glob("*/*/*/*"):
        with suppress(HeterodftError, OSError):
            place = step.resolve()
            request = read_request(place)
            if finished_id(place) == request.id:
                _release(request, place, keep)


def _release(request: Request, folder: Path, keep: str) -> None:
    """Remove the wavefunctions and the density of a finished step that no other one is going to read."""
    if not _has_children(request):
        _remove(folder, _WAVES[request.code])
        if (request.code, request.step) != ("vasp", "charge"):  # whose result it is
            _remove(folder, _DENSITY[request.code])
        return
    if request.code == "espresso":  # no step of pw.x starts from wavefunctions
        _remove(folder, _WAVES[request.code])
        if keep != "results":
            return
    places = _places(request, folder)
    if not any(_waiting_children(request, places)):
        _remove(folder, _WAVES[request.code])
        if keep == "results" and not any(
            len(place.parents) > _DEPTH and is_open(place.parents[_DEPTH]) for place in places
        ):
            _remove(folder, _DENSITY[request.code])


def _places(request: Request, folder: Path) -> list[Path]:
    """Return the folder of a calculation and the links to it of campaigns and drivers that share it."""
    runs = folder.parents[4] if folder.as_posix().endswith(f"/{request.path}") else folder.parent
    links = [link for link in runs.glob(f"*/*/*/*/{request.step}") if link.is_symlink()]
    return [folder, *(link for link in links if link.resolve() == folder.resolve())]


def _waiting_children(request: Request, places: Sequence[Path]) -> Iterator[Request]:
    """Yield the unfinished steps that start from a calculation, also those of campaigns that share it."""
    for place in places:
        for other in place.parent.iterdir():
            if other.name in (place.name, "") or not other.is_dir():
                continue
            with suppress(HeterodftError):
                child = read_request(other)
                if child.parent == request.id and child.step == other.name and finished_id(other) != child.id:
                    yield child


def _remove(folder: Path, patterns: tuple[str, ...]) -> None:
    for path in [path for pattern in patterns for path in folder.glob(pattern)]:
        with suppress(OSError):
            path.unlink()
