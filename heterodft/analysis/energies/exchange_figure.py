"""Exchange constants against the length of the bond, drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heterodft.analysis.plots.figure import Figure

if TYPE_CHECKING:
    from heterodft.analysis.energies.exchange_constants import ExchangeConstants

__all__ = ["draw_exchange_constants"]

_COLUMN = 3.4
"""Inches, a column of a journal."""


def draw_exchange_constants(exchange: ExchangeConstants) -> Figure:
    """Draw the constants that are determined with their standard errors, a colour for each kind of bond."""
    figure = Figure(figsize=(_COLUMN, 2.4), layout="constrained")
    axis = figure.subplots()
    for kind in dict.fromkeys(one.kind for one in exchange.constants):
        known = [one for one in exchange.constants if one.kind == kind and one.value is not None]
        if known:
            lengths, values = [one.length for one in known], [one.value or 0.0 for one in known]
            errors = [one.error or 0.0 for one in known]
            axis.errorbar(lengths, values, yerr=errors, marker="o", markersize=3.5, linewidth=0.8, label=kind)
    axis.axhline(0, color="black", linewidth=0.5)
    axis.set_xlabel("bond length (Å)", fontsize=8)
    axis.set_ylabel("J (meV), ferromagnetic > 0", fontsize=8)
    axis.tick_params(labelsize=7)
    if axis.containers:
        axis.legend(fontsize=7, frameon=False)
    return figure
