"""Formation energies of the charges of a defect, and where the stable charge changes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


__all__ = ["DefectRow", "TransitionLevel", "crossing", "stable_charges"]

_CHARGE = re.compile(r"(: [+-]?\d+)?( \(\d+\))?$")


@dataclass(frozen=True)
class DefectRow:
    """One charge of one defect in one limit.

    Attributes
    ----------
    defect
        Name.
    charge
        e.
    limit
        Name of the limit of the chemical potentials.
    energy
        eV with the Fermi level at the valence band maximum; None where it may not be computed.
    exchanged
        Atoms that came in (positive) or went out by element.
    correction
        eV that are in the energy; 0 where there are none.
    corrected
        How: ``none needed`` of a neutral one, ``uncorrected``, or the scheme.
    reason
        Why there is no number; empty where there is.
    notes
        What must be known beside the number.
    """

    defect: str
    charge: int
    limit: str
    energy: float | None
    exchanged: dict[str, int]
    correction: float
    corrected: str
    reason: str
    notes: tuple[str, ...]

    @property
    def family(self) -> str:
        """The defect without its charge and number: ``V_O@SrTiO3:1`` of ``V_O@SrTiO3:1: +2 (2)``."""
        return _CHARGE.sub("", self.defect)

    def at(self, fermi_level: float) -> float | None:
        """Return the formation energy in eV with the Fermi level (eV) above the valence band maximum."""
        return None if self.energy is None else self.energy + self.charge * fermi_level


@dataclass(frozen=True)
class TransitionLevel:
    """Where the stable charge of a defect changes from `upper` to `lower` as the Fermi level rises: eV above the
    valence band maximum, the same in every limit; how the two energies were corrected, and whether the level lies
    in the gap (None of an unknown gap).
    """

    defect: str
    upper: int
    lower: int
    level: float
    corrected: str
    in_gap: bool | None


def crossing(upper: DefectRow, lower: DefectRow) -> float:
    """Return the Fermi level (eV) at which two charges cost the same."""
    return float(((upper.energy or 0.0) - (lower.energy or 0.0)) / (lower.charge - upper.charge))


def stable_charges(rows: Sequence[DefectRow]) -> list[DefectRow]:
    """Return the charges that are stable somewhere, the most positive first: the lower envelope of the lines."""
    lowest: dict[int, DefectRow] = {}
    for row in rows:
        kept = lowest.get(row.charge)
        if kept is None or (row.energy or 0.0) < (kept.energy or 0.0):
            lowest[row.charge] = row
    kept_rows: list[DefectRow] = []
    for row in sorted(lowest.values(), key=lambda one: -one.charge):
        while len(kept_rows) > 1 and crossing(kept_rows[-1], row) <= crossing(kept_rows[-2], kept_rows[-1]):
            kept_rows.pop()
        kept_rows.append(row)
    return kept_rows
