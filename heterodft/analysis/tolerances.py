"""What may be asked to converge, and how well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from heterodft.errors import did_you_mean
from heterodft.units import parse_energy_per, parse_quantity

if TYPE_CHECKING:
    from heterodft.units import Dimension, Per

__all__ = ["EXTENSIVE", "NEEDS_A_FREE_CELL", "QUANTITIES", "Tolerance"]

QUANTITIES: dict[str, tuple[Dimension, str]] = {
    "energy": ("energy", "eV"),
    "order_energy": ("energy", "eV"),
    "moment": ("moment", "μB"),
    "gap": ("energy", "eV"),
    "pressure": ("pressure", "kbar"),
    "forces": ("force", "eV/Å"),
    "volume": ("volume", "Å³/atom"),
    "lattice": ("length", "Å"),
}
"""Dimension and unit of each quantity; energies are those of an atom, a formula unit or a cell besides."""
EXTENSIVE = ("energy", "order_energy", "volume")
"""These grow with the cell."""
NEEDS_A_FREE_CELL = ("volume", "lattice")
"""These change only where the cell is relaxed."""
_SHOWN_IN_MEV = 0.1
"""eV; a smaller tolerance is shown in meV."""


@dataclass(frozen=True)
class Tolerance:
    """How much a quantity may change from one point to the next.

    Attributes
    ----------
    quantity
        One of `QUANTITIES`.
    value
        eV (of what `per` says), μB, kbar, eV/Å, Å³ an atom or Å.
    per
        Of energies and volumes.
    """

    quantity: str
    value: float
    per: Per = "atom"

    @classmethod
    def read(cls, quantity: str, value: object) -> Tolerance:
        """Read a tolerance with its unit: ``1 meV/atom``, ``2 meV/f.u.``, ``1 kbar``, ``0.01``.

        Raises
        ------
        ValueError
            If there is no such quantity, the unit is none of it, or the tolerance is not above zero.
        """
        if quantity not in QUANTITIES:
            raise ValueError(f"unknown quantity '{quantity}'{did_you_mean(quantity, QUANTITIES)}")
        per: Per = "atom"
        if quantity in ("energy", "order_energy"):
            number, per = parse_energy_per(value)
        else:
            text = value.removesuffix("/atom") if quantity == "volume" and isinstance(value, str) else value
            number = parse_quantity(text, QUANTITIES[quantity][0])
        if not number > 0:
            raise ValueError(f"{quantity}: a tolerance of {value}; nothing agrees to that, give one above 0")
        return cls(quantity, number, per)

    @property
    def unit(self) -> str:
        """Of numbers as they are shown: ``meV/f.u.``, ``μB``."""
        if self.quantity in ("energy", "order_energy"):
            return f"{'meV' if self._small else 'eV'}/{self.per}"
        if self.quantity == "gap":
            return "meV" if self._small else "eV"
        return QUANTITIES[self.quantity][1]

    @property
    def scale(self) -> float:
        """By which a value is multiplied for `unit`."""
        return 1000.0 if self.unit.startswith("meV") else 1.0

    @property
    def _small(self) -> bool:
        return self.value < _SHOWN_IN_MEV

    @property
    def text(self) -> str:
        """``1 meV/atom``."""
        return self.show(self.value)

    def show(self, value: float) -> str:
        """Return a value as it is shown, with its unit."""
        number = value * self.scale
        return f"{number:.0f} {self.unit}" if 1000 <= abs(number) < 1e7 else f"{number:.3g} {self.unit}"

    def to_data(self) -> list[Any]:
        """Return plain JSON data."""
        return [self.quantity, self.value, self.per]
