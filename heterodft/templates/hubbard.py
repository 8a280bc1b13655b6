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
