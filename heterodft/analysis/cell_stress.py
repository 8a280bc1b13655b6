"""By how much a cell that was to relax has not: its stress in the plane waves of its last shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from heterodft.units import KBAR

if TYPE_CHECKING:
    from heterodft.analysis.result import Result

__all__ = ["MOST_STRESS", "stress_left"]

MOST_STRESS = 1.0
"""GPa that may be left in a relaxed cell: some 0.3 % of the length of a stiff oxide."""
_GIGAPASCAL = 10 * KBAR


def stress_left(cell: str | None, relaxed: Result | None, static: Result | None) -> float | None:
    """Return the stress that a relaxation should have removed.

    A relaxation keeps the plane waves of the cell that it begins with, and where it ends with a low cutoff depends on
    that cell (P. Gomes Dacosta et al., J. Phys. C 19, 3163 (1986)). What is left in those of the last cell tells: of
    a static step of the same cutoff, else of the last cycle of pw.x, which starts anew; VASP's relaxation ends with
    the basis that it began with, in which nothing is left to be seen.

    Parameters
    ----------
    cell
        What was free: ``c``, ``full``; None or ``fixed`` for nothing.
    relaxed, static
        Results of the relaxation and of the static step after it; None where there is none.

    Returns
    -------
    float or None
        GPa, its size along the normal of the layers for ``c``, of the largest component for ``full``; None where
        nothing was free or no stress is told.
    """
    if relaxed is not None and static is not None and _cutoff(static) != _cutoff(relaxed):
        static = None  # the stress of other plane waves
    if relaxed is not None and relaxed.code == "vasp":
        relaxed = None
    told = next((result for result in (static, relaxed) if result is not None and result.stress is not None), None)
    if cell in (None, "fixed") or told is None or told.stress is None:
        return None
    if cell == "full":
        return float(np.abs(told.stress).max()) / _GIGAPASCAL
    normal = np.linalg.inv(told.structure.lattice.matrix)[:, 2]
    normal /= np.linalg.norm(normal)
    return abs(float(normal @ told.stress @ normal)) / _GIGAPASCAL


def _cutoff(result: Result) -> float | None:
    cutoff: float | None = result.request.get("request", {}).get("settings", {}).get("cutoff")
    return cutoff
