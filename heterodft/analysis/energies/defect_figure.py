"""Formation energies of defects against the Fermi level, drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.plots.figure import Figure
from heterodft.errors import ReaderError, did_you_mean

if TYPE_CHECKING:
    from heterodft.analysis.energies.defects import DefectFormation, DefectRow

__all__ = ["draw_defect_formation"]

_COLUMN = 3.4
"""Inches, a column of a journal."""
_RANGE = 3.0
"""eV of Fermi level where the gap is not known."""


def draw_defect_formation(formation: DefectFormation, *, limit: str | None = None) -> Figure:
    """Draw the lowest formation energy of each defect against the Fermi level, in one limit.

    Parameters
    ----------
    formation
        Any defects.
    limit
        Name of the limit, by default the first.

    Raises
    ------
    ReaderError
        If no limit has that name.
    """
    limits = list(dict.fromkeys(row.limit for row in formation.rows))
    if not limits or (limit is not None and limit not in limits):
        raise ReaderError(f"no defect was computed in the limit {limit}{did_you_mean(str(limit), limits)}")
    chosen = limits[0] if limit is None else limit
    levels = np.linspace(0.0, formation.gap or _RANGE, 400)
    figure = Figure(figsize=(_COLUMN, 2.8), layout="constrained")
    axis = figure.subplots()
    for defect, rows in _by_defect(formation, chosen).items():
        lines = np.array([[(row.energy or 0.0) + row.charge * level for level in levels] for row in rows])
        uncorrected = any(row.corrected == "uncorrected" for row in rows)
        axis.plot(levels, lines.min(axis=0), label=defect + (" (uncorrected)" if uncorrected else ""), linewidth=1.2)
    axis.set_xlim(levels[0], levels[-1])
    axis.set_xlabel("Fermi level above the valence band maximum (eV)", fontsize=8)
    axis.set_ylabel(f"formation energy, {chosen} (eV)", fontsize=8)
    axis.tick_params(labelsize=7)
    if axis.lines:
        axis.legend(fontsize=7, frameon=False)
    return figure


def _by_defect(formation: DefectFormation, limit: str) -> dict[str, list[DefectRow]]:
    found: dict[str, list[DefectRow]] = {}
    for row in formation.rows:
        if row.limit == limit and row.energy is not None:
            found.setdefault(row.family, []).append(row)
    return found
