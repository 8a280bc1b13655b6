"""What is asked of a DFT code, and what is written for it: the same two shapes for VASP and Quantum ESPRESSO."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from heterodft.errors import InputError
from heterodft.templates.hubbard import SiteU, resolve_hubbard
from heterodft.templates.kpoints import irreducible_kpoints
from heterodft.templates.protocols.slabs import turns_normal
from heterodft.templates.species import blocks_of, table_of
from heterodft.templates.steps import taken_over

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymatgen.core import Structure

    from heterodft.templates.hubbard import HubbardU
    from heterodft.templates.protocols import StepSettings
    from heterodft.templates.shifts import PotentialShift
    from heterodft.templates.species import Block, SpeciesTable, Vector
    from heterodft.templates.steps import StepName, TakenOver

__all__ = ["Deck", "Entry", "Section", "Setup", "Value", "merge_raw", "mesh_entry"]


@dataclass(frozen=True)
class Setup:
    """One step of one configuration, as a DFT code is asked for it.

    Attributes
    ----------
    code
        ``espresso`` or ``vasp``.
    structure
        The cell, in the builder's order.
    step
        One of `heterodft.templates.steps.STEPS`.
    settings
        The resolved numbers.
    moments
        Starting moment of each site in μB, or None when not spin-polarized.
    hubbard
        U by element and layer.
    directions
        Unit vector of a positive moment of each site, Cartesian; None in a collinear run.
    spin_orbit
        Whether spin-orbit coupling acts, which needs directions.
    charge
        Of the cell in elementary charges; positive where electrons are missing.
    parent
        Step whose results this one starts from.
    same_basis
        Whether the parent has the same mesh, cutoff and number of bands.
    same_hubbard
        Whether it has the same U.
    title
        For people.
    shift
        Of the potential on one site, in the steps for it.
    filled_moment
        Total moment in μB of a cell that is known to have a gap and whose bands are filled one by one; None fills
        them with the smearing of the settings.
    """

    code: str
    structure: Structure
    step: StepName
    settings: StepSettings
    moments: Sequence[float] | None = None
    hubbard: Sequence[HubbardU] = ()
    directions: Sequence[Vector] | None = None
    spin_orbit: bool = False
    charge: int = 0
    parent: StepName | None = None
    same_basis: bool = True
    same_hubbard: bool = True
    title: str = ""
    shift: PotentialShift | None = None
    filled_moment: float | None = None

    @property
    def noncollinear(self) -> bool:
        """Whether moments have directions, or spin-orbit coupling mixes the spins."""
        return self.directions is not None or self.spin_orbit

    @cached_property
    def elements(self) -> tuple[str, ...]:
        """Element of each site."""
        return tuple(site.species_string for site in self.structure)

    @cached_property
    def site_hubbard(self) -> list[SiteU | None]:
        """U of each site."""
        return resolve_hubbard(self.structure, self.hubbard)

    @cached_property
    def species(self) -> SpeciesTable:
        """The kinds of Quantum ESPRESSO."""
        tolerance = self.settings.moment_tolerance
        return table_of(
            self.elements, self.site_hubbard, self.moments, self.directions, tolerance=tolerance, shift=self.shift
        )

    @cached_property
    def blocks(self) -> list[Block]:
        """The blocks of a POSCAR."""
        return blocks_of(self.elements, self.site_hubbard, shifted=None if self.shift is None else self.shift.site)

    @cached_property
    def irreducible_kpoints(self) -> int:
        """Number of k-points of the mesh that no symmetry relates.

        Directed moments and VASP's spin-orbit runs are taken to leave none, pw.x with a dipole only that of k and -k.
        """
        mesh = self.settings.kpoints
        if self.directions is not None or (self.spin_orbit and self.code == "vasp"):
            return math.prod(mesh)
        without_symmetry = self.settings.dipole or (self.settings.cell == "c" and turns_normal(self.structure))
        if without_symmetry and self.code == "espresso":
            return math.prod(mesh) // 2 + 1
        moments = self.moments or [0.0] * len(self.elements)
        shifted = [self.shift is not None and self.shift.site == i for i in range(len(self.elements))]
        return self._count_kpoints(list(zip(self.elements, self.site_hubbard, moments, shifted, strict=True)))

    @property
    def fewest_kpoints(self) -> int:
        """The same by the elements alone, so that it is one number for all orders and U of a structure."""
        return self._count_kpoints(list(self.elements))

    def _count_kpoints(self, kinds: Sequence[object]) -> int:
        numbers = {kind: number for number, kind in enumerate(dict.fromkeys(kinds))}
        mesh, shift = self.settings.kpoints, self.settings.shift
        return irreducible_kpoints(self.structure, mesh, shift, [numbers[kind] for kind in kinds])

    def value(self, value: object, key: str, name: str = "") -> Value:
        """Return a setting that follows from one of the numbers, with the origin of that number."""
        return Value(value, self.settings.origin.get(key, "request"), name)

    @property
    def takes(self) -> TakenOver:
        """What it takes from its parent."""
        return taken_over(
            self.code, self.step, self.parent, same_basis=self.same_basis, same_hubbard=self.same_hubbard
        )


@dataclass(frozen=True)
class Value:
    """A setting of a DFT code and where it comes from.

    Attributes
    ----------
    value
        As the code reads it.
    origin
        ``protocol fast``, ``campaign``, ``structure``, ``step``, ``raw``, ``forced``, or what of the request
        decides it.
    name
        Name of ours to change it by, empty when there is none.
    free
        Whether it is a way of computing that a raw setting may replace.
    """

    value: Any
    origin: str
    name: str = ""
    free: bool = False


Section = dict[str, Value]


@dataclass(frozen=True)
class Entry:
    """A line of the explanation: file, namelist (or empty), key, value, origin, and its species (or empty)."""

    file: str
    section: str
    key: str
    value: Any
    origin: str
    species: str = ""


@dataclass(frozen=True)
class Deck:
    """The input files of one calculation.

    Attributes
    ----------
    files
        Text by file name.
    entries
        Every setting with its origin.
    notes
        What the user should hear of.
    serial
        Whether the program runs only by itself, without mpirun.
    """

    files: dict[str, str]
    entries: tuple[Entry, ...] = ()
    notes: tuple[str, ...] = ()
    serial: bool = False


def mesh_entry(setup: Setup, file: str, key: str) -> Entry:
    """Return the line on the mesh or the path, which every code has."""
    settings = setup.settings
    if settings.path is not None:
        text = f"{len(settings.path.kpoints)} points, {'-'.join(label for _, label in settings.path.labels)}"
        return Entry(file, "", key, text, settings.origin.get("path", "request"))
    mesh = "x".join(map(str, settings.kpoints))
    origin = settings.origin.get("kpoints", "request")
    if not any(settings.shift):
        return Entry(file, "", key, mesh, origin)
    shifted_by = settings.origin.get("shift_mesh", origin)
    return Entry(file, "", key, f"{mesh} shifted", origin + f"; shifted by {shifted_by}" * (shifted_by != origin))


def merge_raw(
    sections: dict[str, Section],
    setup: Setup,
    *,
    place: Mapping[str, str],
    guarded: Mapping[str, str],
) -> None:
    """Put raw settings of the campaign into the sections that the code documents them in.

    Parameters
    ----------
    sections
        What is written so far, by section; changed.
    setup
        Holds the raw and the forced settings.
    place
        Section of each raw key.
    guarded
        Keys that the request decides even where it writes none, in lower case without an index, and what decides
        them; ``runner`` is never given up, also not to a forced setting.

    Raises
    ------
    InputError
        If a raw setting contradicts what the request says, or a forced one what the runner needs.
    """
    for given, raw in (setup.settings.raw or {}).items():
        _add_raw(sections, setup.code, given, Value(raw, "raw"), place[given], guarded)
    for given, raw in (setup.settings.forced or {}).items():
        if guarded.get(_bare(given)) == "runner":
            raise InputError(f"method: {setup.code}: force: {given} is the program's own to write; leave it out")
        section = sections.setdefault(place[given], {})
        section.pop(_written(section, given) or given, None)
        section[given] = Value(raw, "forced")


def _add_raw(  # noqa: PLR0917, one caller
    sections: dict[str, Section], code: str, given: str, raw: Value, place: str, guarded: Mapping[str, str]
) -> None:
    section = sections.setdefault(place, {})
    key = _written(section, given)
    if key is not None and (section[key].free or _same(section[key].value, raw.value)):
        section[key] = Value(raw.value if section[key].free else section[key].value, "raw")
        return
    if key is not None and section[key].name:
        name = section[key].name
        raise InputError(f"method: {code}: {given} is called {name} in method; give it there, or under force")
    decided_by = guarded.get(_bare(given))
    if decided_by == "runner":
        raise InputError(f"method: {code}: {given} is the program's own to write; leave it out")
    if key is not None or decided_by:
        what = f"{section[key].value} here by the {section[key].origin}" if key else f"set by the {decided_by}"
        raise InputError(
            f"method: {code}: {given} = {raw.value} contradicts the request: it is {what}; change it there, or write "
            f"{code}: {{force: {{{given}: {raw.value}}}}}"
        )
    section[given] = raw


def _written(section: Section, given: str) -> str | None:
    return next((key for key in section if key.lower() == given.lower()), None)


def _bare(key: str) -> str:
    return key.lower().split("(")[0]


def _same(ours: Any, raw: Any) -> bool:
    if isinstance(ours, bool) or isinstance(raw, bool):
        return ours is raw
    if isinstance(ours, int | float) and isinstance(raw, int | float):
        return math.isclose(ours, raw, rel_tol=1e-9)
    return str(ours).strip("'\" ").lower() == str(raw).strip("'\" ").lower()
