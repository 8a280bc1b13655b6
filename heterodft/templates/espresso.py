"""Input files of Quantum ESPRESSO, in the syntax of the installed version."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
import tempfile
from functools import cache
from typing import TYPE_CHECKING, Any

from heterodft.errors import InputError, ProgramNotFoundError, did_you_mean
from heterodft.templates.hubbard import HUBBARD_CARD_VERSION, check_hubbard
from heterodft.templates.species import build_species_table
from heterodft.units import RYDBERG

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymatgen.core import Structure

    from heterodft.templates.hubbard import HubbardU
    from heterodft.templates.protocols import StepName, StepSettings
    from heterodft.templates.pseudopotentials import Pseudopotential
    from heterodft.templates.species import SpeciesTable

__all__ = ["PREFIX", "PROGRAMS", "band_count", "electron_count", "input_files", "program_version"]

PREFIX = "pwscf"
"""Prefix of every run; its data is in ``pwscf.save`` in the folder of the calculation."""

PROGRAMS: dict[str, tuple[str, ...]] = {"static": ("pw.x",), "dos": ("pw.x", "projwfc.x")}
"""Programs of a step in the order they run; program ``NAME.x`` reads ``NAME.in`` and prints ``NAME.out``."""

_SMEARING = {"cold": "mv", "gaussian": "gauss", "fermi-dirac": "fd", "methfessel-paxton": "mp"}
_XC = ("PBE", "PBEsol")
_PROJECTION = "ortho-atomic"
_OURS = {
    "calculation", "prefix", "outdir", "pseudo_dir", "ibrav", "nat", "ntyp", "nspin", "ecutwfc", "ecutrho",
    "occupations", "starting_magnetization", "hubbard_u", "lda_plus_u", "u_projection_type", "input_dft",
    "noncolin", "lspinorb", "disk_io", "startingpot", "restart_mode", "wf_collect", "verbosity", "max_seconds",
}  # fmt: skip
"""Keys that the request or the runner decides; a raw setting must not contradict them."""
_NAMED = {
    "nbnd": "empty_bands", "degauss": "smearing_width", "smearing": "smearing", "conv_thr": "scf_tolerance",
    "electron_maxstep": "max_scf_steps", "mixing_beta": "mixing",
}  # fmt: skip
"""Keys that have a name of ours, and which."""


@cache
def program_version(path: str) -> tuple[int, int]:
    """Ask pw.x for its version.

    Parameters
    ----------
    path
        The program, on PATH or with its folder.

    Raises
    ------
    ProgramNotFoundError
        If it is not there or does not say.
    """
    found = shutil.which(path)
    if found is None:
        raise ProgramNotFoundError(
            f"{path} is not installed or not on PATH; install Quantum ESPRESSO "
            "(Debian: apt-get install quantum-espresso) or set ESPRESSO_BIN_DIR"
        )
    # pw.x has no --version: it prints its banner, then fails on the empty input, leaving a file behind.
    try:
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [found],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ProgramNotFoundError(f"{found} does not start: {error}; reinstall Quantum ESPRESSO") from error
    match = re.search(r"Program PWSCF v\.(\d+)\.(\d+)", done.stdout)
    if match is None:
        raise ProgramNotFoundError(f"{found} does not print a version of pw.x; check the path of the program")
    return int(match[1]), int(match[2])


def electron_count(structure: Structure, pseudopotentials: Mapping[str, Pseudopotential]) -> float:
    """Return the number of valence electrons of a cell."""
    return sum(pseudopotentials[site.species_string].valence for site in structure)


def band_count(electrons: float, empty_fraction: float, *, total_moment: float = 0.0) -> int:
    """Return the number of bands: the filled ones of the majority spin and a share of empty ones, at least 4."""
    filled = math.ceil((electrons + abs(total_moment)) / 2 - 1e-9)
    return filled + max(4, math.ceil(filled * empty_fraction))


def input_files(
    structure: Structure,
    *,
    step: StepName,
    settings: StepSettings,
    pseudopotentials: Mapping[str, Pseudopotential],
    moments: Sequence[float] | None = None,
    hubbard: Sequence[HubbardU] = (),
    version: tuple[int, int] = (6, 7),
) -> dict[str, str]:
    """Return the text of every input file of a step, by file name.

    Parameters
    ----------
    structure
        The cell.
    step
        ``static`` (an scf) or ``dos`` (an nscf on its density, then projwfc.x).
    settings
        The resolved numbers.
    pseudopotentials
        One for each element.
    moments
        Starting moment of each site in μB, or None when not spin-polarized.
    hubbard
        Effective U by element.
    version
        Of pw.x: U goes into the namelist up to 7.0 and into the HUBBARD card from 7.1.

    Raises
    ------
    InputError
        If pw.x would refuse or silently drop something.
    """
    active = [u for u in hubbard if u.value]
    check_hubbard(active, (site.species_string for site in structure), version)
    _check_projectors(step, active, pseudopotentials)
    table = build_species_table(structure, moments=moments, hubbard=hubbard)
    namelists = _namelists(structure, step, settings, pseudopotentials, moments)
    namelists["system"] |= _species_settings(table, pseudopotentials, polarized=moments is not None)
    if active and version < HUBBARD_CARD_VERSION:
        namelists["system"] |= {"lda_plus_u": True, "U_projection_type": _PROJECTION}
        namelists["system"] |= {f"Hubbard_U({n})": s.u for n, s in enumerate(table.species, 1) if s.u}
    _merge_raw(namelists, settings.raw)
    cards = [_species_card(table, pseudopotentials), _cell_card(structure), _positions_card(structure, table)]
    cards.append(_kpoints_card(settings))
    if active and version >= HUBBARD_CARD_VERSION:
        cards.append(_hubbard_card(table, active))
    files = {"pw.in": _namelist_text(namelists) + "\n".join(cards)}
    if step == "dos":
        projection = {"prefix": PREFIX, "outdir": "./", "filpdos": PREFIX, "DeltaE": settings.dos_energy_step}
        files["projwfc.in"] = _namelist_text({"projwfc": projection})
    return files


def _check_projectors(
    step: StepName, hubbard: Sequence[HubbardU], pseudopotentials: Mapping[str, Pseudopotential]
) -> None:
    wanted = set(pseudopotentials) if step == "dos" else {u.element for u in hubbard}
    without = sorted(e for e in wanted if not pseudopotentials[e].wavefunctions)
    if without:
        path = pseudopotentials[without[0]].path
        purpose = "projections" if step == "dos" else "Hubbard U"
        raise InputError(
            f"{path} has no atomic wavefunctions, which {purpose} need; use another one, such as PseudoDojo's"
        )


def _namelists(
    structure: Structure,
    step: StepName,
    settings: StepSettings,
    pseudopotentials: Mapping[str, Pseudopotential],
    moments: Sequence[float] | None,
) -> dict[str, dict[str, Any]]:
    if settings.xc not in _XC:
        raise InputError(f"method: functional {settings.xc} is not written yet{did_you_mean(settings.xc, _XC)}")
    electrons = electron_count(structure, pseudopotentials)
    folders = {str(p.path.parent) for p in pseudopotentials.values()}
    if len(folders) > 1:
        raise InputError(f"pseudopotentials in {len(folders)} folders ({', '.join(sorted(folders))}); use one")
    system: dict[str, Any] = {
        "ibrav": 0,
        "nat": len(structure),
        "ecutwfc": round(settings.cutoff / RYDBERG, 4),
        "ecutrho": round(settings.density_cutoff / RYDBERG, 4),
        "nbnd": band_count(electrons, settings.empty_bands, total_moment=sum(moments or ())),
        "nspin": 1 if moments is None else 2,
    }
    if settings.smearing == "tetrahedra":
        system["occupations"] = "tetrahedra"
    else:
        system |= {
            "occupations": "smearing",
            "smearing": _SMEARING[settings.smearing],
            "degauss": round(settings.smearing_width / RYDBERG, 6),
        }
    return {
        "control": {
            "calculation": "nscf" if step == "dos" else "scf",
            "prefix": PREFIX,
            "outdir": "./",
            "pseudo_dir": folders.pop(),
            "verbosity": "high",
        },
        "system": system,
        "electrons": {
            "conv_thr": float(f"{settings.scf_tolerance * len(structure) / RYDBERG:.3g}"),
            "electron_maxstep": settings.max_scf_steps,
            "mixing_beta": settings.mixing,
        },
    }


def _species_settings(
    table: SpeciesTable, pseudopotentials: Mapping[str, Pseudopotential], *, polarized: bool
) -> dict[str, Any]:
    """Starting moments as a fraction of the valence, which every version of pw.x reads alike below one."""
    values: dict[str, Any] = {"ntyp": len(table.species)}
    if not polarized:
        return values
    for number, species in enumerate(table.species, start=1):
        fraction = species.moment / pseudopotentials[species.element].valence
        if abs(fraction) >= 1:
            raise InputError(
                f"magnetism: {species.moment:g} μB on {species.element} exceeds its "
                f"{pseudopotentials[species.element].valence:g} valence electrons; give a smaller moment"
            )
        values[f"starting_magnetization({number})"] = round(fraction, 6)
    return values


def _merge_raw(namelists: dict[str, dict[str, Any]], raw: Mapping[str, Any]) -> None:
    """Put raw settings into the namelist that pw.x documents them in."""
    from ase.io.espresso_namelist.keys import ALL_KEYS
    from ase.io.espresso_namelist.namelist import Namelist

    known = ALL_KEYS["pw"]
    for given, value in raw.items():
        key = given.lower()  # pw.x does not mind case
        if key.split("(")[0] in _OURS:
            raise InputError(
                f"method: espresso: {given} is set by the request (structure, moments, U, cutoff, step); "
                "change it there"
            )
        if key in _NAMED:
            raise InputError(f"method: espresso: {given} is called {_NAMED[key]} in method; give it there")
        section = Namelist.search_key(key, known)  # type: ignore[no-untyped-call]
        if section is None:
            names = [name for group in known.values() for name in group]
            raise InputError(f"method: espresso: pw.x has no setting '{given}'{did_you_mean(key, names)}")
        namelists.setdefault(section, {})[key] = value


def _namelist_text(namelists: Mapping[str, Mapping[str, Any]]) -> str:
    from ase.io.espresso_namelist.namelist import Namelist

    return str(Namelist({name: dict(values) for name, values in namelists.items()}).to_string())


def _species_card(table: SpeciesTable, pseudopotentials: Mapping[str, Pseudopotential]) -> str:
    from pymatgen.core import Element

    rows = [
        f"{s.label:4} {float(Element(s.element).atomic_mass):9.4f} {pseudopotentials[s.element].path.name}"
        for s in table.species
    ]
    return "\n".join(["ATOMIC_SPECIES", *rows, ""])


def _cell_card(structure: Structure) -> str:
    rows = ["  ".join(f"{x + 0.0:16.10f}" for x in vector) for vector in structure.lattice.matrix]
    return "\n".join(["CELL_PARAMETERS angstrom", *rows, ""])


def _positions_card(structure: Structure, table: SpeciesTable) -> str:
    rows = [
        f"{label:4} " + "  ".join(f"{x + 0.0:14.10f}" for x in site.frac_coords)
        for label, site in zip(table.site_labels, structure, strict=True)
    ]
    return "\n".join(["ATOMIC_POSITIONS crystal", *rows, ""])


def _kpoints_card(settings: StepSettings) -> str:
    numbers = " ".join(map(str, (*settings.kpoints, *settings.shift)))
    return f"K_POINTS automatic\n{numbers}\n"


def _hubbard_card(table: SpeciesTable, hubbard: Sequence[HubbardU]) -> str:
    shells = {u.element: u.shell for u in hubbard}
    rows = [f"U {s.label}-{shells[s.element]} {s.u:g}" for s in table.species if s.u]
    return "\n".join([f"HUBBARD {{{_PROJECTION}}}", *rows, ""])
