"""The INCAR of a step, each tag with its origin."""

from __future__ import annotations

import json
import math
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.errors import InputError, did_you_mean
from heterodft.structures.vacuum import widest_gap
from heterodft.templates.electrons import band_count, electron_count
from heterodft.templates.incar_magnetism import hubbard_tags, magnetism_tags
from heterodft.templates.setup import Section, Value, merge_raw
from heterodft.templates.shifts import check_shift
from heterodft.templates.steps import RELAXATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from heterodft.templates.potcars import Potcar
    from heterodft.templates.setup import Setup

__all__ = ["LATTICE_CONSTRAINTS_VERSION", "incar_text", "write_incar"]

LATTICE_CONSTRAINTS_VERSION = (6, 4)
_SMEARING = {"gaussian": 0, "methfessel-paxton": 1, "fermi-dirac": -1, "tetrahedra": -5}
_DOS_RANGE = 60.0
"""eV that VASP's own range of energies spans at most with semicore states; it divides it by NEDOS."""
_FEWEST_TETRAHEDRA = 4
_DOS_SMEARING = 0.05
"""eV."""
_GUARDED = (
    dict.fromkeys(("istart", "icharg"), "runner")
    | dict.fromkeys(("gga", "metagga", "lhfcalc"), "functional (xc)")
    | dict.fromkeys(("kspacing", "kgamma"), "mesh (kspacing, kpoints)")
    | dict.fromkeys(("magmom", "ispin", "lnoncollinear", "lsorbit", "saxis"), "magnetic order")
    | dict.fromkeys(("ldau", "ldautype", "ldaul", "ldauu", "ldauj"), "hubbard")
    | {"nelect": "charge of the defect", "lattice_constraints": "cell", "isif": "cell"}
    | dict.fromkeys(("ldipol", "idipol", "dipol"), "dipole")
)
"""Tags that the request or the runner decides, and what does."""


def write_incar(setup: Setup, potcars: Mapping[str, Potcar], notes: list[str]) -> Section:
    """Return the tags of a step.

    Parameters
    ----------
    setup
        What is asked for.
    potcars
        One for each element.
    notes
        What the user should hear of is added here.

    Raises
    ------
    InputError
        If VASP would refuse or silently drop something.
    """
    check_shift(setup.shift, setup.step, setup.site_hubbard)
    section: Section = {"SYSTEM": Value(setup.title or setup.structure.composition.reduced_formula, "request")}
    section |= _start(setup) | _basis(setup) | _cycle(setup) | _smearing(setup, notes)
    section |= _electrons(setup, potcars, notes) | magnetism_tags(setup) | hubbard_tags(setup) | _ions(setup)
    section |= _output(setup)
    if setup.settings.dipole:
        section |= _dipole(setup)
    sections = {"INCAR": section}
    raw = {**setup.settings.raw, **(setup.settings.forced or {})}
    guarded = _GUARDED if setup.moments is not None else _GUARDED | {"nupdown": "magnetic order (NM)"}
    merge_raw(sections, setup, place={key: _known_tag(key) for key in raw}, guarded=guarded)
    return {key.upper(): value for key, value in sections["INCAR"].items()}


@cache
def _tags() -> frozenset[str]:
    text = (resources.files("pymatgen.io.vasp") / "incar_parameters.json").read_text(encoding="utf-8")
    return frozenset(json.loads(text))


def _known_tag(given: str) -> str:
    if given.upper() not in _tags():
        raise InputError(f"method: vasp: VASP has no tag '{given}'{did_you_mean(given.upper(), _tags())}")
    return "INCAR"


def _start(setup: Setup) -> Section:
    """Where the cycle starts: ICHARG = 11 keeps the density that was handed on."""
    takes = setup.takes
    origin = f"handed on by {setup.parent}" if setup.parent else "step"
    if not takes.density:
        return {"ISTART": Value(0, origin), "ICHARG": Value(2, origin)}
    fixed = setup.step in ("dos", "bands", "shift-bare")
    return {"ISTART": Value(int(takes.wavefunctions), origin), "ICHARG": Value(11 if fixed else 1, origin)}


def _basis(setup: Setup) -> Section:
    settings = setup.settings
    section = {
        "ENCUT": setup.value(round(settings.cutoff, 3), "cutoff", "cutoff"),
        "PREC": setup.value("Normal" if settings.precision == "normal" else "Accurate", "precision", "precision"),
        "LREAL": setup.value("Auto" if settings.projectors == "real" else False, "projectors", "projectors"),
        "LASPH": Value(True, "step"),  # the gradient inside the spheres is not spherical with d or f electrons
    }
    if settings.xc == "PBEsol":
        section["GGA"] = setup.value("PS", "xc", "xc")
    elif settings.xc != "PBE":
        hint = did_you_mean(settings.xc, ("PBE", "PBEsol"))
        raise InputError(f"method: functional {settings.xc} is not written yet{hint}")
    return section


def _cycle(setup: Setup) -> Section:
    settings = setup.settings
    tolerance = float(f"{settings.scf_tolerance * len(setup.structure):.3g}")
    section = {
        "ALGO": Value("Normal", "step", free=True),
        "EDIFF": setup.value(tolerance, "scf_tolerance", "scf_tolerance"),
        "NELM": setup.value(settings.max_scf_steps, "max_scf_steps", "max_scf_steps"),
    }
    if setup.moments is not None:
        section["AMIX"] = setup.value(settings.mixing, "mixing", "mixing")
        section["AMIX_MAG"] = setup.value(settings.spin_mixing, "spin_mixing", "spin_mixing")
        # Linear mixing, but of the charge of a slab, whose sloshing AMIN is to damp.
        linear = ("BMIX_MAG",) if settings.screening == "local" else ("BMIX", "BMIX_MAG")
        section |= dict.fromkeys(linear, setup.value(1e-4, "spin_mixing"))
    if settings.screening == "local":
        section["AMIN"] = setup.value(0.01, "screening", "screening")
    return section


def _smearing(setup: Setup, notes: list[str]) -> Section:
    """Tetrahedra need four k-points in VASP; with fewer the density of states is smeared, and that is said."""
    settings = setup.settings
    if settings.smearing == "cold":
        raise InputError("method: VASP has no cold smearing; give gaussian, methfessel-paxton or fermi-dirac")
    kind, width = settings.smearing, settings.smearing_width
    if kind == "tetrahedra" and (number := setup.fewest_kpoints) < _FEWEST_TETRAHEDRA:
        kind, width = "gaussian", _DOS_SMEARING
        notes.append(
            f"{number} irreducible k-points are too few for VASP's tetrahedra; the density of states is smeared by "
            f"{width:g} eV; give dos a smaller kspacing"
        )
        origin = "too few k-points for tetrahedra"
        return {"ISMEAR": Value(_SMEARING[kind], origin), "SIGMA": Value(width, origin)}
    section = {"ISMEAR": setup.value(_SMEARING[kind], "smearing", "smearing")}
    return (
        section
        if kind == "tetrahedra"
        else section | {"SIGMA": setup.value(width, "smearing_width", "smearing_width")}
    )


def _electrons(setup: Setup, potcars: Mapping[str, Potcar], notes: list[str]) -> Section:
    """Bands, and of a charged cell the number of electrons, which only the POTCARs know for certain."""
    estimated = sorted({p.symbol for p in potcars.values() if p.is_estimate})
    electrons = electron_count(setup, potcars)
    if estimated:
        if setup.charge:
            raise InputError(
                f"the number of electrons of a charged cell needs the POTCARs ({', '.join(estimated)}), which are "
                "not here; set PMG_VASP_PSP_DIR, or leave the charge out"
            )
        notes.append(
            "no POTCAR library: valence electrons are taken from the names of the POTCARs; set PMG_VASP_PSP_DIR"
        )
    section = {"NBANDS": setup.value(band_count(setup, electrons), "empty_bands", "empty_bands")}
    return section | ({"NELECT": Value(electrons, "charge of the cell")} if setup.charge else {})


def _ions(setup: Setup) -> Section:
    settings = setup.settings
    if setup.step not in RELAXATIONS:
        return {"IBRION": Value(-1, "step"), "NSW": Value(0, "step")}
    section = {
        "IBRION": Value(2, "step"),
        "NSW": setup.value(settings.max_ion_steps, "max_ion_steps", "max_ion_steps"),
        "EDIFFG": setup.value(-round(settings.force_tolerance or 0.0, 6), "force_tolerance", "force_tolerance"),
        "ISIF": setup.value(2 if settings.cell == "fixed" else 3, "cell", "cell"),
    }
    if settings.cell == "c":
        _check_upright(setup)
        section["LATTICE_CONSTRAINTS"] = setup.value(".FALSE. .FALSE. .TRUE.", "cell", "cell")
    return section


def _check_upright(setup: Setup) -> None:
    """LATTICE_CONSTRAINTS leaves the zz component of the stress; a and b must lie in the xy plane."""
    if np.abs(setup.structure.lattice.matrix[:2, 2]).max() > 1e-6:
        raise InputError("method: cell: c needs the first two lattice vectors in the xy plane; turn the structure")


def _output(setup: Setup) -> Section:
    kept = setup.step in (*RELAXATIONS, "static")
    section = {"LORBIT": Value(11, "step", free=True), "LCHARG": Value(kept or setup.step == "charge", "step")}
    section["LWAVE"] = Value(kept, "step", free=True)
    if setup.step == "dos":
        number = math.ceil(_DOS_RANGE / setup.settings.dos_energy_step) + 1
        section["NEDOS"] = setup.value(number, "dos_energy_step", "dos_energy_step")
    if setup.step == "potential":
        section["LVHAR"] = Value(True, "step")
    if setup.step == "charge":
        section["LAECHG"] = Value(True, "step")
    return section


def _dipole(setup: Setup) -> Section:
    """DIPOL is the middle of the matter, opposite the middle of the vacuum."""
    middle = (widest_gap(setup.structure)[0] + 0.5) % 1
    values = {"LDIPOL": True, "IDIPOL": 3, "DIPOL": f"0.5 0.5 {middle:.6g}"}
    return {key: setup.value(value, "dipole") for key, value in values.items()}


def incar_text(section: Section) -> str:
    """Return the text of an INCAR."""
    return "".join(f"{key} = {_written(value.value)}\n" for key, value in section.items())


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return ".TRUE." if value else ".FALSE."
    return f"{value:g}" if isinstance(value, float) and abs(value) < 1e-3 else str(value)
