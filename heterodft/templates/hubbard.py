"""Hubbard U by element, shell and layer; which version of which code takes it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from heterodft.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pymatgen.core import Structure

__all__ = [
    "HUBBARD_CARD_VERSION",
    "HubbardU",
    "SiteU",
    "StartingOccupations",
    "UChoice",
    "check_hubbard",
    "parse_hubbard",
    "resolve_hubbard",
]

_SHELL = re.compile(r"([A-Z][a-z]?)-([3-6][pdf]|2p)")

_D_ELEMENTS = "Ti V Cr Mn Fe Co Ni Cu Zn Zr Nb Mo Tc Ru Rh Pd Ag Cd Hf Ta W Re Os Ir Pt Au Hg Ga In"
_F_ELEMENTS = "Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr"
NAMELIST_SHELLS = (
    dict.fromkeys(_D_ELEMENTS.split(" "), "d")
    | dict.fromkeys(_F_ELEMENTS.split(" "), "f")
    | dict.fromkeys(("C", "N", "O", "As"), "p")
)
"""Shell that pw.x corrects for each element it knows before the HUBBARD card of 7.1 (its set_hubbard_l)."""

HUBBARD_CARD_VERSION = (7, 1)
MIXED_SHELLS_CRASH = (6, 7)
"""pw.x 6.7 was seen to corrupt its memory with U on Ti 3d and O 2p, or on Cr 3d and N 2p."""
ORBITALS_OF = {"p": 3, "d": 5, "f": 7}


@dataclass(frozen=True)
class StartingOccupations:
    """Eigenvalues of the occupation matrix to start from, lowest first; None leaves one alone.

    Attributes
    ----------
    up, down
        Each 2l + 1 values of 0 to 1, of a site whose moment points up; exchanged where it points down.
    """

    up: tuple[float | None, ...]
    down: tuple[float | None, ...]

    @property
    def label(self) -> str:
        """As in a folder name: ``n10000.00000``."""
        return "n" + ".".join("".join("x" if v is None else f"{v:g}" for v in spin) for spin in (self.up, self.down))


@dataclass(frozen=True)
class HubbardU:
    """U on one shell of one element.

    Attributes
    ----------
    element, shell
        ``Ti``, ``3d``.
    value
        eV; the effective U - J of Dudarev et al., or U itself where `j` is given. On the layers not named.
    j
        Hund's J in eV, which asks for the scheme of Liechtenstein et al.; None for that of Dudarev et al.
    layers
        eV by layer label, ``("KTaO3:1", 2.0)``.
    start
        Occupations to start from; None leaves them to the atoms.
    tracked
        Whether the occupations are computed even where U is zero, as linear response and a ramp from zero need.
    """

    element: str
    shell: str
    value: float
    j: float | None = None
    layers: tuple[tuple[str, float], ...] = ()
    start: StartingOccupations | None = None
    tracked: bool = False

    @property
    def label(self) -> str:
        """As in a folder name: ``Ti-3d-4eV``, ``Ta-5d-1eV-KTaO3.1-2eV``, ``Ti-3d-4eV-J0.6eV``."""
        parts = [f"{self.element}-{self.shell}-{self.value:g}eV"]
        parts += [f"{re.sub('[^A-Za-z0-9]+', '.', layer)}-{value:g}eV" for layer, value in self.layers]
        parts += [] if self.j is None else [f"J{self.j:g}eV"]
        parts += [] if self.start is None else [self.start.label]
        return "-".join(parts)

    @property
    def active(self) -> bool:
        """Whether any site gets a U or J, or one of zero that is to be tracked."""
        return self.tracked or bool(self.value or self.j or any(value for _, value in self.layers))

    def to_data(self) -> list[Any]:
        """Return plain JSON data; what is not given is not there."""
        more: dict[str, Any] = {} if self.j is None else {"j": round(self.j, 6)}
        if self.layers:
            more["layers"] = [[layer, round(value, 6)] for layer, value in self.layers]
        if self.start is not None:
            more["start"] = [list(self.start.up), list(self.start.down)]
        if self.tracked:
            more["tracked"] = True
        return [self.element, self.shell, round(float(self.value), 6) + 0.0, *([more] if more else [])]

    @classmethod
    def from_data(cls, data: Sequence[Any]) -> HubbardU:
        """Rebuild from `to_data`."""
        more = data[3] if len(data) > 3 else {}
        start = StartingOccupations(*(tuple(spin) for spin in more["start"])) if "start" in more else None
        layers = tuple((str(layer), float(value)) for layer, value in more.get("layers", ()))
        return cls(data[0], data[1], data[2], more.get("j"), layers, start, more.get("tracked", False))


@dataclass(frozen=True)
class UChoice:
    """What the campaign file says of one shell; see `HubbardU`."""

    value: float = 0.0
    j: float | None = None
    layers: tuple[tuple[str, float], ...] = ()
    start: StartingOccupations | None = None


@dataclass(frozen=True)
class SiteU:
    """U on one site: shell, U and J in eV, occupations to start from."""

    shell: str
    u: float
    j: float | None = None
    start: StartingOccupations | None = None


def known_shells(element: str) -> list[str]:
    """Return the shells of an element that a U may be put on.

    The d shells fill with the atomic numbers 21 to 30, 39 to 48 and 71 to 80 and stay as semicore states in the two
    groups after; the f shells with 57 to 71 and 89 to 103; the p shells are those of the valence.

    Examples
    --------
    >>> known_shells("Ti"), known_shells("La"), known_shells("O")
    (['3d'], ['5d', '4f'], ['2p'])
    """
    from pymatgen.core import Element

    if not Element.is_valid_symbol(element):
        return []
    number, group, row = Element(element).Z, Element(element).group, Element(element).row
    shells = [shell for shell, low, high in (("3d", 21, 32), ("4d", 39, 50), ("5d", 71, 82)) if low <= number <= high]
    if number == 57:
        shells.append("5d")
    shells += [shell for shell, low, high in (("4f", 57, 71), ("5f", 89, 103)) if low <= number <= high]
    return shells + ([f"{row}p"] if group >= 13 and row > 1 else [])


def parse_hubbard(values: Mapping[str, float | UChoice]) -> tuple[HubbardU, ...]:
    """Read ``{"Ti-3d": 4.0}``; zeros are kept, since they name a configuration.

    Parameters
    ----------
    values
        eV, or with J, layers or occupations, by element and shell.

    Raises
    ------
    InputError
        If a key is not ELEMENT-SHELL, an element has two shells, or a value is outside -10…20 eV.
    """
    result = []
    for key, value in sorted(values.items()):
        match = _SHELL.fullmatch(key)
        if match is None:
            raise InputError(f"hubbard: '{key}'; write an element and a shell, such as Ti-3d")
        if match[2] not in known_shells(match[1]):
            has = " and ".join(known_shells(match[1])) or "no shell for a U"
            raise InputError(f"hubbard: '{key}'; {match[1]} has {has}")
        choice = value if isinstance(value, UChoice) else UChoice(float(value))
        given = HubbardU(match[1], match[2], choice.value, choice.j, choice.layers, choice.start)
        _check_values(key, given)
        result.append(given)
    _check_one_shell_each(result)
    return tuple(result)


def _check_values(key: str, given: HubbardU) -> None:
    for value in (given.value, *(value for _, value in given.layers)):
        if not -10 <= value <= 20:
            raise InputError(f"hubbard: {key} = {value:g} eV is no effective U; give eV between -10 and 20")
    if given.j is not None and not 0 <= given.j <= 5:
        raise InputError(f"hubbard: {key}: J = {given.j:g} eV; give eV between 0 and 5")
    if given.start is None:
        return
    if not given.active:
        raise InputError(f"hubbard: {key}: occupations start nothing without a U; give U as well")
    number = ORBITALS_OF[given.shell[-1]]
    for name, spin in (("up", given.start.up), ("down", given.start.down)):
        if len(spin) != number or any(v is not None and not 0 <= v <= 1 for v in spin):
            raise InputError(
                f"hubbard: {key}: occupations {name}: {list(spin)}; give {number} eigenvalues of 0 to 1, lowest first"
            )


def _check_one_shell_each(values: Sequence[HubbardU]) -> None:
    elements = [u.element for u in values]
    for element in elements:
        if elements.count(element) > 1:
            raise InputError(
                f"hubbard: {element} has U on two shells; VASP and the namelists of pw.x take one shell an element"
            )


def resolve_hubbard(structure: Structure, hubbard: Iterable[HubbardU]) -> list[SiteU | None]:
    """Return the U of each site, None where there is none.

    Raises
    ------
    InputError
        If an element or a layer is absent.
    """
    from heterodft.structures import layer_labels

    by_element = {u.element: u for u in hubbard if u.active}
    if not by_element:
        return [None] * len(structure)
    elements = [site.species_string for site in structure]
    for element, u in by_element.items():
        if element not in elements:
            raise InputError(f"hubbard: {element}-{u.shell} on a structure without {element}; remove it")
    labels = layer_labels(structure) if any(u.layers for u in by_element.values()) else [""] * len(structure)
    for u in by_element.values():
        _check_layers(u, {label for element, label in zip(elements, labels, strict=True) if element == u.element})
    return [_on_site(by_element.get(element), label) for element, label in zip(elements, labels, strict=True)]


def _on_site(u: HubbardU | None, label: str) -> SiteU | None:
    if u is None:
        return None
    value = dict(u.layers).get(label, u.value)
    return SiteU(u.shell, value, u.j, u.start) if value or u.j or u.tracked else None


def _check_layers(u: HubbardU, present: set[str]) -> None:
    for layer, _ in u.layers:
        if layer not in present:
            hint = did_you_mean(layer, present)
            raise InputError(f"hubbard: {u.element}-{u.shell}: no layer {layer} holds {u.element}{hint}")


def check_hubbard(values: Sequence[HubbardU], elements: Iterable[str], version: tuple[int, int]) -> None:
    """Refuse what a version of pw.x would refuse or drop.

    Raises
    ------
    InputError
        If an element is absent or has two shells, the version cannot put U on that shell, or a J is asked for.
    """
    present = set(elements)
    _check_one_shell_each(values)
    kinds = {u.shell[-1] for u in values if u.active}
    if version <= MIXED_SHELLS_CRASH and len(kinds) > 1:
        *others, last = sorted(kinds)
        shells = f"{', '.join(others)} and {last}"
        raise InputError(
            f"hubbard: pw.x {version[0]}.{version[1]} crashes with U on {shells} shells together; leave one out, or "
            "use 7.1 or later"
        )
    for u in values:
        if u.element not in present:
            raise InputError(f"hubbard: {u.element}-{u.shell} on a structure without {u.element}; remove it")
        if version < HUBBARD_CARD_VERSION and NAMELIST_SHELLS.get(u.element) != u.shell[-1] and u.active:
            raise InputError(
                f"hubbard: pw.x {version[0]}.{version[1]} cannot put U on {u.element}-{u.shell}; "
                "version 7.1 or later can"
            )
        if u.j is not None:
            raise InputError(
                f"hubbard: {u.element}-{u.shell}: U and J apart (Liechtenstein) are written for VASP only; "
                "for pw.x give the effective U - J as one number"
            )
