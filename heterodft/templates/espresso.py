"""Input files of Quantum ESPRESSO, in the syntax of the installed version.

A step runs each program on an ``INPUT.in`` and prints to ``INPUT.out``: relax and static pw.x; dos and bands pw.x,
then projwfc.x; potential and charge pp.x on the density of the static step; response pw.x, then hp.x. bands.x is not
run: the XML of pw.x holds the bands, and ``atomic_proj.xml`` of projwfc.x their weight on each site.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any

from heterodft.errors import InputError, did_you_mean
from heterodft.templates.espresso_cards import SHIFT_CARD_VERSION, write_cards
from heterodft.templates.espresso_namelists import NONCOLLINEAR_DUDAREV, PREFIX, write_namelists
from heterodft.templates.espresso_version import program_version
from heterodft.templates.hp import SITE_ORDER_FILE, check_response, hubbard_first, response_namelist
from heterodft.templates.hubbard import HUBBARD_CARD_VERSION, check_hubbard
from heterodft.templates.pseudopotentials import wavefunction_shells
from heterodft.templates.setup import Deck, Entry, Section, Value, merge_raw, mesh_entry
from heterodft.templates.shifts import check_shift
from heterodft.templates.steps import RELAXATIONS
from heterodft.units import RYDBERG

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from heterodft.templates.pseudopotentials import Pseudopotential
    from heterodft.templates.setup import Setup

__all__ = ["PREFIX", "PROGRAMS", "fortran", "program_of", "program_version", "write_espresso"]

PROGRAMS = ("pw.x", "projwfc.x", "pp.x")
"""Those that any campaign may need; hp.x is asked for when it is needed."""
_POTENTIAL, _CHARGE, _SPIN, _SPIN_VECTOR = 11, 0, 6, 13
"""plot_num of pp.x: V_bare + V_Hartree, charge density, spin density, noncollinear magnetization."""

_OF_SPECIES = re.compile(
    r"(?:starting_magnetization|angle[12]|Hubbard_\w+|starting_ns_eigenvalue)\((?:\d+, *)*(\d+)\)", re.IGNORECASE
)
"""Settings whose last index is the number of a species."""
_STRESS = 0.8
"""Part of the suggested cutoff below which the stress of a cell is far off: 14 % of it at 0.76, all of it at 0.55."""
_SOFT_FACTOR = 5.999
"""The least that ultrasoft and PAW pseudopotentials are published with."""
_RUNNER = ("calculation", "prefix", "outdir", "restart_mode", "max_seconds", "disk_io", "wf_collect", "startingpot")
_GUARDED = (
    dict.fromkeys(_RUNNER, "runner")
    | dict.fromkeys(("ibrav", "nat", "ntyp", "celldm", "a", "b", "c", "cosab", "cosac", "cosbc"), "structure")
    | dict.fromkeys(("nspin", "noncolin", "lspinorb", "starting_magnetization", "angle1", "angle2"), "magnetic order")
    | dict.fromkeys(
        ("lda_plus_u", "lda_plus_u_kind", "u_projection_type", "hubbard_u", "starting_ns_eigenvalue"), "hubbard"
    )
    | {"ecutwfc": "cutoff", "ecutrho": "density_cutoff", "input_dft": "functional (xc)", "pseudo_dir": "settings"}
    | {"tot_charge": "charge of the defect", "cell_dofree": "cell", "occupations": "smearing"}
    | dict.fromkeys(("tefield", "dipfield"), "dipole")
)
"""Keys that the request or the runner decides, and what does."""


def program_of(name: str) -> str:
    """Return the program that reads an input file.

    Examples
    --------
    >>> program_of("pw.in"), program_of("spin.in")
    ('pw.x', 'pp.x')
    """
    return {"pw.in": "pw.x", "projwfc.in": "projwfc.x", "hp.in": "hp.x"}.get(name, "pp.x")


def write_espresso(
    setup: Setup, pseudopotentials: Mapping[str, Pseudopotential], *, version: tuple[int, int] = (6, 7)
) -> Deck:
    """Return every input file of a step, in the order they run.

    Parameters
    ----------
    setup
        What is asked for.
    pseudopotentials
        One for each element.
    version
        Of pw.x: U goes into the namelist up to 7.0 and into the HUBBARD card from 7.1; starting moments are fractions
        of the valence up to 7.2 and, where one is 1 μB or more, Bohr magnetons from 7.3.

    Raises
    ------
    InputError
        If pw.x would refuse or silently drop something.
    """
    if setup.step in ("potential", "charge"):
        return _post_processing(setup)
    check_shift(setup.shift, setup.step, setup.site_hubbard)
    active = [u for u in setup.hubbard if u.active]
    _check_projectors(setup, pseudopotentials)
    if setup.moments is None and any(u.start for u in active):
        raise InputError("hubbard: occupations up and down need an order with moments, not NM; leave them out there")
    check_hubbard(active, setup.elements, version)
    _check_noncollinear(setup, pseudopotentials, version)
    _check_density_cutoff(setup, pseudopotentials)
    namelists = write_namelists(setup, pseudopotentials, version)
    raw = {**setup.settings.raw, **(setup.settings.forced or {})}
    guarded = _GUARDED if setup.moments is not None else _GUARDED | {"tot_magnetization": "magnetic order (NM)"}
    merge_raw(namelists, setup, place={key: _namelist_of(key) for key in raw}, guarded=guarded)
    has_card = bool(active) and version >= HUBBARD_CARD_VERSION
    in_card = version >= SHIFT_CARD_VERSION
    order = hubbard_first(setup) if setup.step == "response" else None
    cards = write_cards(setup, pseudopotentials, hubbard=has_card, shift=in_card, order=order)
    files = {"pw.in": _text(namelists) + cards}
    labels = [kind.label for kind in setup.species.species]
    entries = _entries("pw.in", namelists, labels) + _card_entries(setup, hubbard=has_card, shift=in_card)
    if setup.step in ("dos", "bands"):
        projection = {"projwfc": _projection(setup)}
        files["projwfc.in"] = _text(projection)
        entries += _entries("projwfc.in", projection)
    if order is not None:
        check_response(setup, pseudopotentials, version)
        response = {"inputhp": response_namelist(setup)}
        files |= {"hp.in": _text(response), SITE_ORDER_FILE: json.dumps({"order": order}) + "\n"}
        entries += _entries("hp.in", response)
    notes = _notes(setup, pseudopotentials)
    serial = version < HUBBARD_CARD_VERSION and any(u and u.start for u in setup.site_hubbard)
    if serial:
        notes.append(
            f"pw.x {version[0]}.{version[1]} crashes on starting occupations under mpirun; it is run without"
        )
    return Deck(files, tuple(entries), tuple(notes), serial=serial)


def _check_projectors(setup: Setup, pseudopotentials: Mapping[str, Pseudopotential]) -> None:
    projected = setup.step in ("dos", "bands")
    corrected = [u for u in setup.hubbard if u.active and u.element in pseudopotentials]
    wanted = set(pseudopotentials) if projected else {u.element for u in corrected}
    without = sorted(e for e in wanted if not pseudopotentials[e].wavefunctions)
    if without:
        path = pseudopotentials[without[0]].path
        purpose = "projections" if projected else "Hubbard U"
        raise InputError(
            f"{path} has no atomic wavefunctions, which {purpose} need; use another one, such as PseudoDojo's"
        )
    for u in corrected:
        shells = wavefunction_shells(pseudopotentials[u.element].path)
        if shells and u.shell not in shells:
            raise InputError(
                f"hubbard: {pseudopotentials[u.element].path} has no {u.shell} wavefunction to put U on, but "
                f"{', '.join(shells)}; use another pseudopotential"
            )


def _check_density_cutoff(setup: Setup, pseudopotentials: Mapping[str, Pseudopotential]) -> None:
    """Refuse the density cutoff of norm-conserving pseudopotentials for ultrasoft and PAW ones."""
    soft = sorted(e for e, p in pseudopotentials.items() if p.kind not in ("NC", "SL"))
    settings = setup.settings
    if soft and (settings.density_cutoff or 0.0) < _SOFT_FACTOR * settings.cutoff:
        first = pseudopotentials[soft[0]]
        raise InputError(
            f"method: {first.path} is {first.kind}: its density needs about ten times the cutoff; give density_cutoff"
        )


def _check_noncollinear(
    setup: Setup, pseudopotentials: Mapping[str, Pseudopotential], version: tuple[int, int]
) -> None:
    """Refuse what a noncollinear run of pw.x cannot do, or would do wrongly without a word."""
    if not setup.noncollinear:
        return
    if setup.shift is not None:
        raise InputError(
            "linear response: shifts of noncollinear runs are not written; compute U in a collinear order"
        )
    scalar = sorted(e for e, p in pseudopotentials.items() if setup.spin_orbit and p.relativistic != "full")
    if scalar:
        raise InputError(
            f"{pseudopotentials[scalar[0]].path} is scalar relativistic, which pw.x takes for spin-orbit coupling "
            "without a warning; use a fully relativistic one (heterodft pseudos list)"
        )
    if setup.spin_orbit and any(setup.site_hubbard) and version < NONCOLLINEAR_DUDAREV:
        raise InputError(
            f"hubbard: pw.x {version[0]}.{version[1]} finds no projectors for U in fully relativistic "
            "pseudopotentials; use 7.3 or later, or leave U or spin_orbit out"
        )
    if any(u and u.start for u in setup.site_hubbard):
        raise InputError("hubbard: starting occupations of noncollinear runs are not written; leave them out")
    if setup.step in RELAXATIONS and any(setup.site_hubbard) and version < NONCOLLINEAR_DUDAREV:
        raise InputError(
            f"magnetism: pw.x {version[0]}.{version[1]} has no forces for U in noncollinear runs; relax a collinear "
            "order, and run static here"
        )


@cache
def _keys() -> dict[str, list[str]]:
    from ase.io.espresso_namelist.keys import ALL_KEYS

    return dict(ALL_KEYS["pw"])


def _namelist_of(given: str) -> str:
    """Return the namelist that pw.x documents a key in; it does not mind case."""
    key = given.lower().split("(")[0]
    for section, names in _keys().items():
        if any(name.lower().split("(")[0] == key for name in names):
            return section
    if key in _GUARDED:  # of older versions
        return "system"
    known = [name for group in _keys().values() for name in group]
    raise InputError(f"method: espresso: pw.x has no setting '{given}'{did_you_mean(key, known)}")


def _text(namelists: Mapping[str, Section]) -> str:
    lines = []
    for name, section in namelists.items():
        lines += [
            f"&{name.upper()}",
            *(f"   {key.lower():16} = {fortran(v.value)}" for key, v in section.items()),
            "/",
        ]
    return "\n".join([*lines, ""])


def fortran(value: Any) -> str:
    """Return a value as a namelist has it."""
    if isinstance(value, bool):
        return ".true." if value else ".false."
    return f"'{value}'" if isinstance(value, str) else str(value)


def _entries(file: str, namelists: Mapping[str, Section], labels: Sequence[str] = ()) -> list[Entry]:
    """Return a line for each setting; one of a species, ``Hubbard_U(3)``, names the species of these `labels`."""
    return [
        Entry(file, name, key, value.value, value.origin, _species_of(key, labels))
        for name, section in namelists.items()
        for key, value in section.items()
    ]


def _species_of(key: str, labels: Sequence[str]) -> str:
    """Return the species that a key such as ``starting_ns_eigenvalue(1,2,3)`` ends with; empty of others."""
    found = _OF_SPECIES.fullmatch(key)
    return labels[int(found[1]) - 1] if found and 0 < int(found[1]) <= len(labels) else ""


def _card_entries(setup: Setup, *, hubbard: bool, shift: bool) -> list[Entry]:
    entries = [mesh_entry(setup, "pw.in", "K_POINTS")]
    if hubbard:
        entries += [
            Entry("pw.in", "HUBBARD", f"U {s.label}-{s.hubbard.shell}", s.hubbard.u, "hubbard")
            for s in setup.species.species
            if s.hubbard
        ]
    if hubbard and shift:
        entries += [
            Entry("pw.in", "HUBBARD", f"ALPHA {s.label}-{s.hubbard.shell}", s.alpha, "shift")
            for s in setup.species.species
            if s.hubbard and s.alpha
        ]
    return entries


def _projection(setup: Setup) -> Section:
    """projwfc.x: densities of states by site and orbital, or the weight of each band on them."""
    section = {"prefix": Value(PREFIX, "runner"), "outdir": Value("./", "runner"), "filpdos": Value(PREFIX, "runner")}
    if setup.step == "bands":
        return section | {"lsym": Value(False, "step"), "DeltaE": Value(0.1, "step")}
    origin = setup.settings.origin.get("dos_energy_step", "request")
    return section | {"DeltaE": Value(setup.settings.dos_energy_step, origin)}


def _post_processing(setup: Setup) -> Deck:
    """pp.x: the potential, or the charge and spin densities, as cube files."""
    if setup.step == "potential":
        wanted = {"potential": (_POTENTIAL, 0)}
    else:
        wanted = {"charge": (_CHARGE, 0)}
        if setup.noncollinear:
            wanted |= {f"spin_{axis}": (_SPIN_VECTOR, n) for n, axis in enumerate("xyz", start=1)}
        elif setup.moments is not None:
            wanted["spin"] = (_SPIN, 0)
    files, entries = {}, []
    for name, (number, component) in wanted.items():
        namelists = {
            "inputpp": {
                "prefix": Value(PREFIX, "runner"),
                "outdir": Value("./", "runner"),
                "filplot": Value(f"{name}.filplot", "runner"),
                "plot_num": Value(number, "step"),
                "spin_component": Value(component, "step"),
            },
            "plot": {
                "iflag": Value(3, "step"),
                "output_format": Value(6, "step"),
                "fileout": Value(f"{name}.cube", "runner"),
            },
        }
        files[f"{name}.in"] = _text(namelists)
        entries += _entries(f"{name}.in", namelists)
    return Deck(files, tuple(entries))


def _notes(setup: Setup, pseudopotentials: Mapping[str, Pseudopotential]) -> list[str]:
    """Say what was merged, and where the cutoff is below what the pseudopotentials were made for."""
    notes = [f"ten species: {told}" for told in setup.species.merged]
    suggested = {e: p.suggested_cutoff for e, p in pseudopotentials.items() if p.suggested_cutoff is not None}
    if suggested:
        element = max(suggested, key=lambda e: suggested[e] or 0.0)
        wanted = suggested[element] or 0.0
        if setup.step in RELAXATIONS and setup.settings.cell != "fixed" and setup.settings.cutoff < _STRESS * wanted:
            notes.append(
                f"the cell is free at {setup.settings.cutoff / RYDBERG:.0f} Ry, the pseudopotential of {element} "
                f"suggests {wanted / RYDBERG:.0f} Ry: its stress is wrong, and it shrinks; leave cutoff out of the "
                "step, or give cell: fixed"
            )
        elif setup.settings.cutoff < wanted - 1e-6:
            notes.append(
                f"a cutoff of {setup.settings.cutoff / RYDBERG:.0f} Ry is below the {wanted / RYDBERG:.0f} Ry that "
                f"the pseudopotential of {element} suggests"
            )
    return notes
