"""The namelists of a pw.x input, each value with its origin."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from heterodft.errors import InputError, did_you_mean
from heterodft.structures.vacuum import widest_gap
from heterodft.templates.electrons import band_count, electron_count
from heterodft.templates.espresso_cards import PROJECTION, SHIFT_CARD_VERSION, ZERO_U
from heterodft.templates.hubbard import HUBBARD_CARD_VERSION
from heterodft.templates.protocols.slabs import turns_normal
from heterodft.templates.setup import Section, Setup, Value
from heterodft.templates.shifts import SHIFT_STEPS
from heterodft.templates.steps import RELAXATIONS
from heterodft.units import BOHR, RYDBERG

if TYPE_CHECKING:
    from collections.abc import Mapping

    from heterodft.templates.pseudopotentials import Pseudopotential
    from heterodft.templates.species import Species

__all__ = ["NONCOLLINEAR_DUDAREV", "PREFIX", "write_namelists"]

PREFIX = "pwscf"
"""Prefix of every run; its data is in ``pwscf.save`` in the folder of the calculation."""

MOMENTS_IN_BOHR_MAGNETONS = (7, 3)
NONCOLLINEAR_DUDAREV = (7, 3)
_SMEARING = {"cold": "mv", "gaussian": "gauss", "fermi-dirac": "fd", "methfessel-paxton": "mp"}
_XC = ("PBE", "PBEsol")
_BARE_ACCURACY = 1e-10
"""Ry, of eigenvalues; occupations are then good to 1e-5 electrons, a thousandth of what a shift changes."""
_CALCULATION = dict.fromkeys(("static", "shift-bare", "shift", "response"), "scf") | {"dos": "nscf", "bands": "bands"}


def write_namelists(
    setup: Setup, pseudopotentials: Mapping[str, Pseudopotential], version: tuple[int, int]
) -> dict[str, Section]:
    """Return the namelists of a pw.x input.

    Parameters
    ----------
    setup
        What is asked for.
    pseudopotentials
        One for each element.
    version
        Of pw.x.

    Raises
    ------
    InputError
        If pw.x would refuse or silently drop something.
    """
    sections = {
        "control": _control(setup, pseudopotentials),
        "system": _system(setup, pseudopotentials),
        "electrons": _electrons(setup),
    }
    sections["system"] |= _moments(setup, pseudopotentials, version) | _hubbard(setup, version)
    if setup.charge:
        sections["system"]["tot_charge"] = Value(setup.charge, "charge of the cell")
    if setup.settings.dipole:
        sections["control"] |= dict.fromkeys(("tefield", "dipfield"), setup.value(True, "dipole", "dipole"))
        sections["system"] |= _dipole(setup)
    if setup.step in RELAXATIONS and setup.settings.cell == "c" and turns_normal(setup.structure):
        sections["system"]["nosym"] = Value(True, "cell")  # pw.x stops once the height breaks its symmetry
    if setup.step in RELAXATIONS:
        sections |= _relaxation(setup, sections["control"])
    return sections


def _control(setup: Setup, pseudopotentials: Mapping[str, Pseudopotential]) -> Section:
    xc = setup.settings.xc
    if xc not in _XC:
        raise InputError(f"method: functional {xc} is not written yet{did_you_mean(xc, _XC)}")
    folders = {str(p.path.parent) for p in pseudopotentials.values()}
    if len(folders) > 1:
        raise InputError(f"pseudopotentials in {len(folders)} folders ({', '.join(sorted(folders))}); use one")
    changing = "relax" if setup.settings.cell == "fixed" else "vc-relax"
    return {
        "calculation": Value(_CALCULATION.get(setup.step, changing), "step"),
        "prefix": Value(PREFIX, "runner"),
        "outdir": Value("./", "runner"),
        "pseudo_dir": Value(folders.pop(), "pseudopotentials"),
        "verbosity": Value("high", "runner"),
    }


def _system(setup: Setup, pseudopotentials: Mapping[str, Pseudopotential]) -> Section:
    settings = setup.settings
    bands = band_count(setup, electron_count(setup, pseudopotentials))
    cutoffs = {"ecutwfc": ("cutoff", settings.cutoff), "ecutrho": ("density_cutoff", settings.density_cutoff or 0.0)}
    section = {"ibrav": Value(0, "structure"), "nat": Value(len(setup.structure), "structure")}
    section |= {key: setup.value(round(v / RYDBERG, 4), name, name) for key, (name, v) in cutoffs.items()}
    section["nbnd"] = setup.value(bands, "empty_bands", "empty_bands")
    if setup.noncollinear:
        section["noncolin"] = Value(True, "magnetism")
        section |= {"lspinorb": Value(True, "magnetism")} if setup.spin_orbit else {}
    else:
        section["nspin"] = Value(1 if setup.moments is None else 2, "magnetism")
    if setup.filled_moment is not None:
        return section | _filled(setup, setup.filled_moment)
    if settings.smearing == "tetrahedra":
        return section | {"occupations": setup.value("tetrahedra", "smearing")}
    return section | {
        "occupations": setup.value("smearing", "smearing"),
        "smearing": setup.value(_SMEARING[settings.smearing], "smearing", "smearing"),
        "degauss": setup.value(round(settings.smearing_width / RYDBERG, 6), "smearing_width", "smearing_width"),
    }


def _filled(setup: Setup, moment: float) -> Section:
    """Fill the bands of an insulator one by one, each spin its own number."""
    section = {"occupations": Value("fixed", f"gap of {setup.parent}")}
    if setup.moments is None:
        return section
    if moment < 0:
        raise InputError(
            f"magnetism: pw.x takes no negative total moment ({moment:g} μB) with fixed occupations; "
            "turn all starting moments around"
        )
    return section | {"tot_magnetization": Value(moment, f"moment of {setup.parent}")}


def _electrons(setup: Setup) -> Section:
    settings = setup.settings
    tolerance = float(f"{settings.scf_tolerance * len(setup.structure) / RYDBERG:.3g}")
    section = {
        "conv_thr": setup.value(tolerance, "scf_tolerance", "scf_tolerance"),
        "electron_maxstep": setup.value(settings.max_scf_steps, "max_scf_steps", "max_scf_steps"),
        "mixing_beta": setup.value(settings.mixing, "mixing", "mixing"),
    }
    if settings.screening == "local":
        section["mixing_mode"] = setup.value("local-TF", "screening", "screening")
    if setup.takes.density and setup.step in ("relax", "static", "response", *SHIFT_STEPS):
        section["startingpot"] = Value("file", f"handed on by {setup.parent}")
    return section | (_one_iteration() if setup.step == "shift-bare" else {})


def _one_iteration() -> Section:
    """One diagonalization in the potential that was handed on: the occupations before anything answers.

    pw.x then writes them with all their digits, and takes the cycle for converged. They are not mixed with those
    that were handed on, and the cycle is not left early for an accuracy that one iteration may have by chance.
    """
    values = {"electron_maxstep": 1, "scf_must_converge": False, "mixing_beta": 1.0}
    section = {key: Value(value, "step") for key, value in values.items()}
    return section | {"diago_thr_init": Value(_BARE_ACCURACY, "step", free=True)}


def _moments(setup: Setup, pseudopotentials: Mapping[str, Pseudopotential], version: tuple[int, int]) -> Section:
    section = {"ntyp": Value(len(setup.species.species), "structure")}
    if setup.moments is None:
        return section
    # From 7.3 on, one value of 1 or more makes pw.x take all of them for moments in Bohr magnetons.
    as_moments = version >= MOMENTS_IN_BOHR_MAGNETONS and any(abs(s.moment) >= 1 for s in setup.species.species)
    for number, species in enumerate(setup.species.species, start=1):
        moment = abs(species.moment) if setup.noncollinear else species.moment
        fraction = _fraction(species.element, moment, pseudopotentials[species.element].valence)
        section[f"starting_magnetization({number})"] = Value(moment if as_moments else fraction, "magnetism")
        if species.direction is not None:
            section |= _angles(number, species)
    return section


def _fraction(element: str, moment: float, valence: float) -> float:
    """Return a moment as a fraction of the valence electrons, of which there must be enough."""
    fraction = moment / valence
    if abs(fraction) >= 1:
        raise InputError(
            f"magnetism: {moment:g} μB on {element} exceeds its {valence:g} valence electrons; give a smaller moment"
        )
    return round(fraction, 6)


def _angles(number: int, species: Species) -> Section:
    """Polar and azimuthal angle in degrees; the sign of the moment is in them."""
    x, y, z = np.array(species.direction) * (1 if species.moment > 0 else -1)
    polar, azimuth = math.degrees(math.acos(max(-1.0, min(1.0, z)))), math.degrees(math.atan2(y, x))
    return {
        f"angle1({number})": Value(round(polar, 4) + 0.0, "magnetism"),
        f"angle2({number})": Value(round(azimuth, 4) + 0.0, "magnetism"),
    }


def _hubbard(setup: Setup, version: tuple[int, int]) -> Section:
    """U in the namelist up to 7.0; starting occupations there in every version."""
    kinds = list(enumerate(setup.species.species, start=1))
    if not any(kind.hubbard for _, kind in kinds):
        return {}
    if setup.noncollinear and HUBBARD_CARD_VERSION <= version < NONCOLLINEAR_DUDAREV:
        raise InputError(
            f"hubbard: pw.x {version[0]}.{version[1]} has no effective U for noncollinear runs; "
            "7.3 or later has, and by another form 6.7"
        )
    section: Section = {}
    if version < HUBBARD_CARD_VERSION:
        section = {"lda_plus_u": Value(True, "hubbard"), "U_projection_type": Value(PROJECTION, "hubbard")}
        if setup.noncollinear:  # the simplified form is not there; the full one with J = 0 is the same energy
            section["lda_plus_u_kind"] = Value(1, "hubbard")
        section |= {f"Hubbard_U({n})": Value(kind.u or ZERO_U, "hubbard") for n, kind in kinds if kind.hubbard}
    for number, kind in kinds:
        section |= _starting_occupations(number, kind)
    return section | _shift(setup, version)


def _shift(setup: Setup, version: tuple[int, int]) -> Section:
    """The shift of a site, whose U does not answer it: U is the curvature that the functional has without its U."""
    section: Section = {}
    if version < SHIFT_CARD_VERSION:
        kinds = enumerate(setup.species.species, start=1)
        section = {f"Hubbard_alpha({n})": Value(kind.alpha, "shift") for n, kind in kinds if kind.alpha}
    if setup.step == "shift" and any(site and site.u for site in setup.site_hubbard):
        section["hub_pot_fix"] = Value(True, "step")
    return section


def _starting_occupations(number: int, kind: Species) -> Section:
    """Eigenvalues by spin; those of a site whose moment points down are exchanged."""
    if kind.hubbard is None or kind.hubbard.start is None:
        return {}
    spins = (kind.hubbard.start.up, kind.hubbard.start.down)
    return {
        f"starting_ns_eigenvalue({m},{spin},{number})": Value(value, "hubbard")
        for spin, values in enumerate(spins if kind.moment >= 0 else spins[::-1], start=1)
        for m, value in enumerate(values, start=1)
        if value is not None
    }


def _dipole(setup: Setup) -> Section:
    """The sawtooth falls in the middle of the vacuum, over a third of it and at most a tenth of the cell."""
    middle, width = widest_gap(setup.structure)
    fall = min(0.1, width / 3)
    top = (middle - fall / 2) % 1
    values = {"edir": 3, "emaxpos": round(top, 6), "eopreg": round(fall, 6), "eamp": 0.0}
    return {key: setup.value(value, "dipole") for key, value in values.items()}


def _relaxation(setup: Setup, control: Section) -> dict[str, Section]:
    settings = setup.settings
    force = float(f"{(settings.force_tolerance or 0.0) * BOHR / RYDBERG:.4g}")
    control["forc_conv_thr"] = setup.value(force, "force_tolerance", "force_tolerance")
    control["nstep"] = setup.value(settings.max_ion_steps, "max_ion_steps", "max_ion_steps")
    ions: Section = {"ion_dynamics": Value("bfgs", "step", free=True)}
    if settings.cell == "fixed":
        return {"ions": ions}
    freedom = {"c": "z", "full": "all"}[settings.cell or "c"]
    return {"ions": ions, "cell": {"cell_dofree": setup.value(freedom, "cell", "cell")}}
