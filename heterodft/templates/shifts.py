"""A small shift of the potential on the d or f orbitals of one site, for the linear response of its occupations.

The response of the occupations to a shift gives U (Cococcioni and de Gironcoli, PRB 71, 035105 (2005)): with the
potential of the unshifted ground state held fixed (the *bare* response, step ``shift-bare``) and with the density
relaxed (the *screened* one, step ``shift``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from heterodft.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heterodft.templates.hubbard import SiteU

__all__ = ["LARGEST_SHIFT", "SHIFT_STEPS", "PotentialShift", "check_shift"]

SHIFT_STEPS = ("shift-bare", "shift")
LARGEST_SHIFT = 1.0
"""eV; far beyond what any occupation answers linearly."""


@dataclass(frozen=True)
class PotentialShift:
    """A potential added to the orbitals of one site.

    Attributes
    ----------
    site
        Its index in the structure.
    alpha
        eV; a positive one pushes electrons out.
    """

    site: int
    alpha: float

    def to_data(self) -> list[Any]:
        """Return plain JSON data."""
        return [self.site, round(self.alpha, 6)]

    @classmethod
    def from_data(cls, data: Sequence[Any]) -> PotentialShift:
        """Rebuild from `to_data`."""
        return cls(int(data[0]), float(data[1]))


def check_shift(shift: PotentialShift | None, step: str, hubbard: Sequence[SiteU | None]) -> None:
    """Refuse a shift that means nothing: without a step for it, or on a site without Hubbard orbitals.

    Raises
    ------
    InputError
        If a step for shifts has none, another step has one, or the site or the size makes no sense.
    """
    if shift is None:
        if step in SHIFT_STEPS:
            raise InputError(f"{step}: no site is shifted; give a site and eV")
        return
    if step not in SHIFT_STEPS:
        raise InputError(f"{step} takes no shift of a potential; only {' and '.join(SHIFT_STEPS)} do")
    if not 0 <= shift.site < len(hubbard):
        raise InputError(f"{step}: site {shift.site} is not one of the {len(hubbard)} sites (counted from 0)")
    if hubbard[shift.site] is None:
        raise InputError(
            f"{step}: site {shift.site} has no Hubbard orbitals to shift; give its element a U, or track it"
        )
    if not (math.isfinite(shift.alpha) and 0 < abs(shift.alpha) <= LARGEST_SHIFT):
        raise InputError(
            f"{step}: a shift of {shift.alpha:g} eV; give one of up to {LARGEST_SHIFT:g} eV that is not 0"
        )
