"""A folder in which VASP ran: energy, structure, bands, moments; sites in the builder's order.

The energy is VASP's ``energy(sigma->0)``, extrapolated to no smearing, of the last step of the last SCF cycle: the
``e_0_energy`` of an ionic step as a whole is zero or that without entropy in older versions. The files are read with
pymatgen; what it takes for convergence (fewer steps than allowed) also holds for a run that was stopped, so that
OUTCAR is asked how the last cycle and the relaxation ended.
"""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.result import Bands, Result, SiteValues
from heterodft.errors import ReaderError
from heterodft.files import read_json

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from pymatgen.core import Structure
    from pymatgen.io.vasp.outputs import Outcar, Vasprun

__all__ = ["how_it_ended", "read_vasp"]

_FIXED_DENSITY = 10
"""ICHARG from which on the density is kept and no energy is self-consistent."""
_SITE_ORDER = "site_order.json"
_ENDS = re.compile(
    r"aborting loop (because EDIFF is reached|EDIFF was not reached|because hard stop was set)"
    r"|(soft stop encountered!  aborting job|hard stop encountered!  aborting job)"
    r"|(reached required accuracy - stopping structural energy)"
)


def read_vasp(folder: Path, request: dict[str, Any]) -> Result:
    """Read ``vasprun.xml`` and ``OUTCAR`` of a finished, collinear run.

    Parameters
    ----------
    folder
        With ``site_order.json`` the sites are put into the builder's order; without, they stay as VASP has them.
    request
        ``request.json`` of the folder, empty where there is none.

    Raises
    ------
    ReaderError
        If a file is missing or cut off, or the run is noncollinear.
    """
    run, outcar = _open(folder)
    given = run.parameters
    if given.get("LNONCOLLINEAR") or given.get("LSORBIT"):
        raise ReaderError(f"{folder}: noncollinear runs of VASP cannot be read yet")
    try:
        step = request.get("request", {}).get("step") or _step_of(run)
        return _result(folder, run, outcar, step, request)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, ReaderError):
            raise
        raise ReaderError(f"{folder / 'vasprun.xml'} cannot be read as a finished run: {error!r}") from error


def _open(folder: Path) -> tuple[Vasprun, Outcar]:
    from lxml.etree import XMLSyntaxError
    from pymatgen.io.vasp.outputs import Outcar, Vasprun

    path = folder / "vasprun.xml"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of runs that did not converge, which the result says
            run = Vasprun(path, parse_potcar_file=False)
        path = folder / "OUTCAR"
        return run, Outcar(path)
    except (OSError, XMLSyntaxError, AttributeError, IndexError, KeyError, ValueError) as error:
        reason = "it is missing" if isinstance(error, FileNotFoundError) else f"it is cut off ({error})"
        text = " ".join(reason.split())
        raise ReaderError(f"cannot read {path}: {text}; VASP did not get to its end there") from error


def how_it_ended(folder: Path) -> tuple[bool, bool, bool]:
    """Return whether OUTCAR says that VASP was stopped, the last SCF cycle converged, and the structure relaxed.

    A stop (LSTOP, LABORT) that came once the structure was relaxed is none.

    Raises
    ------
    ReaderError
        If there is no OUTCAR.
    """
    try:
        text = (folder / "OUTCAR").read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ReaderError(f"cannot read {folder / 'OUTCAR'}: {error.strerror}") from error
    cycle, stopped, relaxed = "", False, False
    for match in _ENDS.finditer(text):
        cycle = match[1] or cycle
        stopped = stopped or match[2] is not None
        relaxed = relaxed or match[3] is not None
    hard = cycle == "because hard stop was set"
    return (stopped or hard) and not relaxed, cycle in ("", "because EDIFF is reached"), relaxed


def _step_of(run: Vasprun) -> str:
    if run.parameters.get("NSW", 0) > 1:
        return "relax"
    if run.parameters.get("ICHARG", 2) < _FIXED_DENSITY:
        return "static"
    return "bands" if len(set(run.actual_kpoints_weights)) == 1 and len(run.actual_kpoints) > 1 else "dos"


def _result(folder: Path, run: Vasprun, outcar: Outcar, step: str, request: dict[str, Any]) -> Result:
    steps = run.ionic_steps[-1]["electronic_steps"]
    selfconsistent = run.parameters.get("ICHARG", 2) < _FIXED_DENSITY
    polarized = run.parameters.get("ISPIN", 1) == 2
    order = _builders_order(folder, len(run.final_structure))
    energies = [cycle["e_fr_energy"] for cycle in steps[-2:]]
    return Result(
        code="vasp",
        version=str(run.vasp_version).strip(),
        step=step,
        structure=_structure(run, order),
        electrons=float(run.parameters["NELECT"]),
        energy=_energy(run) if selfconsistent else None,
        fermi_levels=(_fermi_level(run, outcar),),
        total_moment=outcar.total_mag if polarized and selfconsistent else None,
        absolute_moment=None,
        sites=_spheres(outcar, order, polarized=polarized),
        converged=_converged(folder, run, step, selfconsistent=selfconsistent),
        iterations=len(steps) if selfconsistent else None,
        accuracy=abs(energies[1] - energies[0]) if selfconsistent and len(energies) == 2 else None,
        cpu_seconds=outcar.run_stats.get("Total CPU time used (sec)"),
        wall_seconds=outcar.run_stats.get("Elapsed time (sec)"),
        bands=_bands(run),
        request=request,
    )


def _energy(run: Vasprun) -> float:
    """Return energy(sigma->0) in eV; terms outside the cycle, as dispersion, are in the free energy of the step."""
    last = run.ionic_steps[-1]
    cycle = last["electronic_steps"][-1]
    return float(round(last.get("e_fr_energy", cycle["e_fr_energy"]) + cycle["e_0_energy"] - cycle["e_fr_energy"], 8))


def _fermi_level(run: Vasprun, outcar: Outcar) -> float:
    level = run.efermi if run.efermi is not None else outcar.efermi
    if level is None:
        raise ValueError("no Fermi level")
    return float(level)


def _converged(folder: Path, run: Vasprun, step: str, *, selfconsistent: bool) -> bool | None:
    _, cycle, relaxed = how_it_ended(folder)
    reached = bool(cycle and run.converged_electronic)
    if not selfconsistent:
        return None if reached else False
    return reached and (relaxed or not step.startswith("relax"))


def _builders_order(folder: Path, sites: int) -> NDArray[np.int64]:
    """Return where each site of the builder is in the POSCAR."""
    if not (folder / _SITE_ORDER).is_file():
        return np.arange(sites)
    order = read_json(folder / _SITE_ORDER).get("order", [])
    if sorted(order) != list(range(sites)):
        raise ReaderError(f"{folder / _SITE_ORDER} is not the order of {sites} sites; files of another run?")
    return np.argsort(np.array(order))


def _structure(run: Vasprun, order: NDArray[np.int64]) -> Structure:
    found = run.final_structure
    species = [found[int(i)].species_string for i in order]
    return type(found)(found.lattice, species, found.frac_coords[order])


def _spheres(outcar: Outcar, order: NDArray[np.int64], *, polarized: bool) -> dict[str, SiteValues]:
    if len(outcar.charge) != len(order):
        return {}
    charges = tuple(float(outcar.charge[int(i)]["tot"]) for i in order)
    moments = None
    if polarized and len(outcar.magnetization) == len(order):
        moments = tuple(float(outcar.magnetization[int(i)]["tot"]) for i in order)
    return {"sphere": SiteValues("sphere", charges, moments)}


def _bands(run: Vasprun) -> Bands:
    from pymatgen.electronic_structure.core import Spin

    if not run.eigenvalues:
        raise ValueError("no eigenvalues")
    spins = [run.eigenvalues[spin] for spin in (Spin.up, Spin.down) if spin in run.eigenvalues]
    both = np.stack([np.asarray(values, dtype=np.float64) for values in spins])
    weights = np.array(run.actual_kpoints_weights, dtype=np.float64)
    kpoints = np.array(run.actual_kpoints, dtype=np.float64).reshape(-1, 3)
    return Bands(both[..., 0], both[..., 1], kpoints, weights / weights.sum())
