"""Hubbard U by element and shell."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from heterodft.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["HubbardU", "check_hubbard", "parse_hubbard"]

_SHELL = re.compile(r"([A-Z][a-z]?)-([3-6][pdf]|2p)")

_D_ELEMENTS = "Ti V Cr Mn Fe Co Ni Cu Zn Zr Nb Mo Ru Rh Ta W Ir Re Os Hf Ga In"
NAMELIST_SHELLS = dict.fromkeys(_D_ELEMENTS.split(" "), "d") | {"N": "p", "O": "p"}
"""Shell that pw.x corrects for each element it knows before the HUBBARD card of 7.1."""

HUBBARD_CARD_VERSION = (7, 1)


@dataclass(frozen=True)
class HubbardU:
    """Effective U (eV, Dudarev) on one shell of one element."""

    element: str
    shell: str
    value: float

    @property
    def label(self) -> str:
        """As in a folder name: ``Ti-3d-4eV``."""
        return f"{self.element}-{self.shell}-{self.value:g}eV"


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


def parse_hubbard(values: Mapping[str, float]) -> tuple[HubbardU, ...]:
    """Read ``{"Ti-3d": 4.0}``; zeros are kept, since they name a configuration.

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
        if not -10 <= value <= 20:
            raise InputError(f"hubbard: {key} = {value:g} eV is no effective U; give eV between -10 and 20")
        result.append(HubbardU(match[1], match[2], float(value)))
    _check_one_shell_each(result)
    return tuple(result)


def _check_one_shell_each(values: Sequence[HubbardU]) -> None:
    elements = [u.element for u in values]
    for element in elements:
        if elements.count(element) > 1:
            raise InputError(f"hubbard: {element} has U on two shells; only one shell an element is written yet")


def check_hubbard(values: Sequence[HubbardU], elements: Iterable[str], version: tuple[int, int]) -> None:
    """Refuse what a version of pw.x would refuse or drop.

    Raises
    ------
    InputError
        If an element is absent or has two shells, or the version cannot put U on that shell.
    """
    present = set(elements)
    _check_one_shell_each(values)
    for u in values:
        if u.element not in present:
            raise InputError(f"hubbard: {u.element}-{u.shell} on a structure without {u.element}; remove it")
        if version < HUBBARD_CARD_VERSION and NAMELIST_SHELLS.get(u.element) != u.shell[-1] and u.value:
            raise InputError(
                f"hubbard: pw.x {version[0]}.{version[1]} cannot put U on {u.element}-{u.shell}; "
                "version 7.1 or later can"
            )
