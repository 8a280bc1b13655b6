"""Units: eV, Å, μB and hours inside the program; everything else is converted at the edge.

The constants are those of CODATA 2018, which Quantum ESPRESSO compiles in since version 6.5, so that an
energy read here equals the one pw.x printed to its last digit.
"""

from __future__ import annotations

import math
import re
from typing import Literal

from heterodft.errors import did_you_mean

__all__ = ["BOHR", "HARTREE", "KBAR", "RYDBERG", "Dimension", "Per", "cutoff_in_words", "parse_energy_per",
           "parse_quantity", "quantity_pattern"]  # fmt: skip

HARTREE = 27.211386245988
"""eV."""
RYDBERG = HARTREE / 2
"""eV."""
BOHR = 0.529177210903
"""Å."""
KBAR = 1 / 1602.176634
"""eV/Å³."""

Dimension = Literal["energy", "length", "time", "inverse length", "force", "pressure", "volume", "moment"]
Per = Literal["atom", "f.u.", "cell"]

_UNITS: dict[Dimension, dict[str, float]] = {
    "energy": {"eV": 1.0, "meV": 1e-3, "Ry": RYDBERG, "Ha": HARTREE},
    "length": {"Å": 1.0, "A": 1.0, "Ang": 1.0, "nm": 10.0, "pm": 0.01, "bohr": BOHR},
    "time": {"h": 1.0, "min": 1 / 60, "s": 1 / 3600, "d": 24.0},
    "force": {"eV/Å": 1.0, "eV/A": 1.0, "meV/Å": 1e-3, "Ry/bohr": RYDBERG / BOHR, "Ha/bohr": HARTREE / BOHR},
    "pressure": {"kbar": 1.0, "GPa": 10.0, "eV/Å³": 1 / KBAR},
    "volume": {"Å³": 1.0, "Å^3": 1.0, "A^3": 1.0, "Ang^3": 1.0},
    "moment": {"μB": 1.0, "µB": 1.0, "muB": 1.0},
    "inverse length": {"1/Å": 1.0, "1/A": 1.0, "1/nm": 0.1, "1/bohr": 1 / BOHR},
}

_QUANTITY = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(\S.*?)?\s*")


def parse_quantity(value: object, dimension: Dimension) -> float:
    """Read a number with an optional unit.

    Parameters
    ----------
    value
        A number (taken in eV, Å, hours, 1/Å, eV/Å, kbar, Å³ or μB) or a text such as ``"60 Ry"``.
    dimension
        What kind of quantity is expected.

    Returns
    -------
    float
        The value in eV, Å, hours, 1/Å, eV/Å, kbar, Å³ or μB.

    Raises
    ------
    ValueError
        If the text is not a finite number followed by a unit of that dimension.

    Examples
    --------
    >>> parse_quantity("1.0 nm", "length")
    10.0
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"expected a number with an optional unit, got {value!r}")
    match = _QUANTITY.fullmatch(str(value))
    if match is None:
        raise ValueError(f"expected a number with an optional unit, got {value!r}")
    units = _UNITS[dimension]
    unit = match[2] or next(iter(units))
    if unit not in units:
        raise ValueError(f"unknown unit '{unit}' of {dimension}{did_you_mean(unit, units)}")
    number = float(match[1]) * units[unit]
    if not math.isfinite(number):
        raise ValueError(f"expected a finite number, got {value!r}")
    return number


def quantity_pattern(dimension: Dimension) -> str:
    """Return the regular expression of a text that `parse_quantity` reads, as JSON schemas have it.

    Examples
    --------
    >>> re.fullmatch(quantity_pattern("energy"), "60 Ry") is not None
    True
    """
    units = "|".join(re.escape(unit) for unit in _UNITS[dimension])
    return rf"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*({units})?\s*$"


_PER: dict[str, Per] = {"atom": "atom", "f.u.": "f.u.", "fu": "f.u.", "formula unit": "f.u.", "cell": "cell"}


def parse_energy_per(value: object) -> tuple[float, Per]:
    """Read an energy of an atom, a formula unit or a cell; of an atom where nothing is said.

    Returns
    -------
    energy, per
        In eV, and of what.

    Raises
    ------
    ValueError
        As `parse_quantity`.

    Examples
    --------
    >>> parse_energy_per("2 eV/f.u.")
    (2.0, 'f.u.')
    """
    if not isinstance(value, str) or "/" not in value:
        return parse_quantity(value, "energy"), "atom"
    energy, _, per = value.partition("/")
    if per.strip() not in _PER:
        raise ValueError(f"'{value}' is no energy of an atom, f.u. or cell{did_you_mean(per.strip(), _PER)}")
    return parse_quantity(energy, "energy"), _PER[per.strip()]


def cutoff_in_words(cutoff: float, code: str) -> str:
    """Return a cutoff (eV) in the unit that users of a code know it in.

    Examples
    --------
    >>> cutoff_in_words(60 * RYDBERG, "espresso"), cutoff_in_words(520.0, "vasp")
    ('60 Ry', '520 eV')
    """
    return f"{cutoff / RYDBERG:.0f} Ry" if code == "espresso" else f"{cutoff:.0f} eV"
