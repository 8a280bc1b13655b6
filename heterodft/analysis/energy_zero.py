"""Where the zero of energy is put: at the Fermi level, or in the middle of a gap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heterodft.analysis.gaps import find_gap

if TYPE_CHECKING:
    from heterodft.analysis.result import Result

__all__ = ["filled_up_to", "reference_energy"]


def reference_energy(result: Result) -> tuple[float, str]:
    """Return the Fermi level in eV and what to call it.

    With a gap it is put in the middle: codes leave it anywhere in between (that of pw.x changes with the number of
    empty bands), and an energy window below it would not be comparable. Of two Fermi levels it is the higher one.
    """
    gap = None if result.bands is None else find_gap(result)
    if gap is None or gap.metal:
        return result.fermi_level, "Fermi level"
    tops = [spin.valence_maximum for spin in gap.spins if spin.valence_maximum is not None]
    bottoms = [spin.conduction_minimum for spin in gap.spins if spin.conduction_minimum is not None]
    return (max(tops) + min(bottoms)) / 2, "middle of the gap"


def filled_up_to(result: Result, reference: float, name: str) -> tuple[float, ...]:
    """Return up to where each spin is filled, eV relative to the reference."""
    if name != "Fermi level":
        return (0.0,)
    return tuple(float(level - reference) for level in result.fermi_levels)
