"""Other starts for a cycle that ended in a state that was not asked for, one after the other.

The signs are always those asked for. What is tried, in this order: the starting moments as asked, from scratch, where
the cycle had started from a density, which decides the state alone; larger ones; with U on ions with moments, the
occupations that belong to the moments, mixed with more care (pw.x only); smaller moments, mixed with more care.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["HANDLERS", "Seed", "hund_occupations", "ladder", "seeds_taken"]

HANDLERS = ("StateHandler", "VaspStateHandler")
"""Custodian's names of what tries them."""


@dataclass(frozen=True)
class Seed:
    """One other start: factors of the starting moments and of the mixing asked for, and whether with occupations."""

    words: str
    moments: float = 1.0
    mixing: float = 1.0
    occupations: bool = False


def ladder(*, from_density: bool, occupations: bool) -> list[Seed]:
    """Return the other starts in the order they are tried.

    Parameters
    ----------
    from_density
        Whether the cycle started from a density that was handed on.
    occupations
        Whether it may start from Hubbard occupations.
    """
    first = [Seed("from scratch")] if from_density else []
    filled = [Seed("from the occupations of its moments", mixing=0.5, occupations=True)] if occupations else []
    larger, smaller = Seed("with larger moments", 1.5), Seed("with smaller moments", 0.5, 0.5)
    return [*first, larger, *filled, smaller]


def seeds_taken(folder: Path) -> int:
    """Return how many other starts were tried in a folder."""
    from heterodft.workflows.custodians.watch import attempts_in

    return sum(
        entry.get("handler", {}).get("@class") in HANDLERS and bool(entry.get("actions"))
        for entry in _entries(attempts_in(folder))
    )


def _entries(attempts: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [entry for attempt in attempts for entry in attempt.get("corrections", ())]


def hund_occupations(electrons: float, moment: float, orbitals: int) -> tuple[list[float], list[float]]:
    """Return eigenvalues of both spins, lowest first, of a shell with its electrons and a moment, as full as can be.

    Examples
    --------
    >>> hund_occupations(4.4, 3.0, 5)
    ([0.0, 0.7, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0, 0.7])
    """
    up = min((electrons + min(abs(moment), electrons)) / 2, float(orbitals))
    major, minor = _filled(up, orbitals), _filled(min(max(electrons - up, 0.0), float(orbitals)), orbitals)
    return (major, minor) if moment >= 0 else (minor, major)


def _filled(electrons: float, orbitals: int) -> list[float]:
    whole = math.floor(electrons + 1e-9)
    rest = [round(electrons - whole, 4)] if whole < orbitals else []
    return [0.0] * (orbitals - whole - len(rest)) + [value + 0.0 for value in rest] + [1.0] * whole
