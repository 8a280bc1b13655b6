"""Occupations against the shift of a site, bare and screened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.plots.figure import Figure
from heterodft.analysis.plots.style import COLUMN, PALETTE, style

if TYPE_CHECKING:
    from heterodft.analysis.linear_response import LinearResponse

__all__ = ["draw_linear_response"]


def draw_linear_response(response: LinearResponse) -> Figure:
    """Draw the change of the occupation of each shifted site; shifts beyond the linear part are open."""
    shifted = response.shifted
    with style():
        figure = Figure(figsize=(COLUMN, 0.4 + 1.5 * len(shifted)), layout="constrained")
        axes = figure.subplots(len(shifted), 1, sharex=True, squeeze=False)[:, 0]
        for axis, site in zip(axes, shifted, strict=True):
            place = response.sites.index(site)
            for series, fits, used in zip(response.series, response.fits, response.used, strict=True):
                if series.site != site:
                    continue
                color, fit = PALETTE[int(series.bare)], fits[place]
                change = series.electrons[:, place] - fit.intercept
                ends = np.array([series.alphas.min(), series.alphas.max()])
                name = f"{'bare' if series.bare else 'screened'}: {fit.slope:.4f}/eV"
                axis.plot(ends, fit.slope * ends, color=color, linewidth=0.8, label=name)
                axis.plot(series.alphas[used], change[used], "o", color=color, markersize=3)
                axis.plot(
                    series.alphas[~used], change[~used], "o", color=color, markersize=3, markerfacecolor="white"
                )
            error = response.u_error[place]
            known = f" ± {error:.2f}" if np.isfinite(error) else ""
            axis.set_title(f"{response.labels[place]}: U = {response.u[place]:.2f}{known} eV")
            axis.set_ylabel("change of electrons")
            axis.axhline(0, color="#999999", linewidth=0.4, zorder=0)
            axis.legend()
        axes[-1].set_xlabel("shift of the potential (eV)")
    return figure
