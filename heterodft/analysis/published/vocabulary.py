"""The quantities of ours that a published figure can be compared with: what each takes and answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from heterodft.analysis.published.figures import Ours

__all__ = ["QUANTITIES", "Quantity"]


@dataclass(frozen=True)
class Quantity:
    """A quantity.

    Attributes
    ----------
    words
        What it is.
    units
        Factors to the first of them, in which it is told; empty of words alone.
    takes
        The options of `Ours` that mean something to it, besides the configurations.
    needs
        Those of them that must be given.
    answers
        Words it can answer with besides a number; None for any.
    """

    words: str
    units: Mapping[str, float]
    takes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    answers: tuple[str, ...] | None = ()

    @property
    def unit(self) -> str:
        """In which it is told."""
        return next(iter(self.units), "")

    def unit_of(self, ours: Ours) -> str:
        """In which it is told with these options."""
        if ours.share:
            return "%"
        per = ours.per or ("f.u." if self.unit == "meV" else "")
        return f"{self.unit}/{per}" if per not in ("", "cell") else self.unit


_CM2 = {"1/cm²": 1.0, "1/cm2": 1.0, "cm⁻²": 1.0, "cm-2": 1.0, "1e13/cm²": 1e13}
QUANTITIES: Mapping[str, Quantity] = {
    "energy": Quantity(
        "energy less that of another configuration", {"meV": 1.0, "eV": 1000.0}, ("minus", "per"), ("minus",)
    ),
    "lowest_order": Quantity("magnetic order of lowest energy", {}, answers=None),
    "gap": Quantity(
        "band gap",
        {"eV": 1.0, "meV": 1e-3},
        ("spin", "minus"),
        answers=("metal", "insulator", "half-metal"),
    ),
    "moment": Quantity(
        "magnetic moment",
        {"μB": 1.0, "µB": 1.0, "muB": 1.0},
        ("elements", "layers", "where", "per", "share", "minus"),
    ),
    "carriers": Quantity("sheet carrier density", _CM2, ("layers", "carriers", "share", "minus")),
    "charge": Quantity("electrons gained against the bulk", {"e": 1.0}, ("layers", "elements", "bulks", "minus")),
    "orbital_polarization": Quantity(
        "orbital polarization of eg",
        {"%": 1.0, "": 100.0},
        ("elements", "layers", "carriers", "minus"),
        ("elements",),
    ),
    "stoner": Quantity(
        "Stoner product I·N(EF)", {"": 1.0}, ("elements", "layers", "parameters", "minus"), ("elements",)
    ),
    "misfit": Quantity("lattice misfit", {"%": 1.0}, ("material",), ("material",)),
    "largest_layer": Quantity("layer with the most", {}, ("largest", "elements", "carriers"), answers=None),
}
"""By name."""
