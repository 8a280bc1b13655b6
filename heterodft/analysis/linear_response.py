"""Hubbard U by linear response: the occupations of all sites against a shift of the potential of each.

With nᴵ the electrons in the Hubbard orbitals of site I and αᴶ a shift of the potential on those of site J,
χᴵᴶ = dnᴵ/dαᴶ of the self-consistent cell and χ₀ᴵᴶ at a potential that is held fixed but for the shift itself,
Uᴵ = (χ₀⁻¹ - χ⁻¹)ᴵᴵ (Cococcioni and de Gironcoli, PRB 71, 035105 (2005)). The matrices are those of one cell with its
periodic images, as of hp.x with one q-point: U is that of an isolated site only in a large enough cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.line_fits import LineFit, fit_line, knowing_all, linear_part
from heterodft.analysis.plain_data import plain
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.figure import Figure
    from numpy.typing import NDArray
    from pandas import DataFrame

__all__ = ["LinearResponse", "ShiftSeries"]


_SILENT = 1e-6
"""Electrons per eV: a response that is none."""


@dataclass(frozen=True)
class ShiftSeries:
    """Occupations against the shift of one site.

    Attributes
    ----------
    site
        The shifted one.
    bare
        Whether the potential of the unshifted cell was held.
    alphas
        eV, shape (shift,).
    electrons
        Of each Hubbard site of the cell, in one order for all series, shape (shift, site).
    """

    site: int
    bare: bool
    alphas: NDArray[np.float64]
    electrons: NDArray[np.float64]


@dataclass(frozen=True)
class LinearResponse:
    """The response of one cell and its U.

    Attributes
    ----------
    sites
        Indices of the Hubbard sites in the structure.
    labels
        One a site, ``Ti2``, counted from 1.
    chi0, chi
        Bare and screened response, electrons per eV, shape (site, shifted site).
    chi0_error, chi_error
        Standard errors of these.
    u, u_error
        eV, shape (site,); the error is that of the fits, carried through the inversion.
    series
        What was fitted.
    fits
        One a series and site, shape (series, site).
    used
        Which points the fit of the shifted site itself goes through, one array a series.
    notes
        Which calculations were left out, and why.
    """

    sites: tuple[int, ...]
    labels: tuple[str, ...]
    chi0: NDArray[np.float64]
    chi: NDArray[np.float64]
    chi0_error: NDArray[np.float64]
    chi_error: NDArray[np.float64]
    u: NDArray[np.float64]
    u_error: NDArray[np.float64]
    series: tuple[ShiftSeries, ...]
    fits: tuple[tuple[LineFit, ...], ...]
    used: tuple[NDArray[np.bool_], ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def from_series(
        cls,
        series: Sequence[ShiftSeries],
        sites: Sequence[int],
        *,
        labels: Sequence[str] | None = None,
        permutations: NDArray[np.int64] | None = None,
        resolution: float = 0.0,
        tolerance: float = 0.05,
    ) -> LinearResponse:
        """Fit every series and invert the matrices.

        Parameters
        ----------
        series
            A bare and a screened one for each shifted site.
        sites
            The Hubbard sites, in the order of `ShiftSeries.electrons`.
        labels
            One a site.
        permutations
            Symmetry operations of the cell with its magnetic order: entry [i, j] is the place in `sites` that
            operation i puts the j-th on. Sites that were not shifted answer as their images do.
        resolution, tolerance
            As of `heterodft.analysis.line_fits.fit_line`.

        Raises
        ------
        ReaderError
            If a site was neither shifted nor is the image of one that was, or its occupation does not answer.
        """
        number = len(sites)
        moves = np.arange(number)[None] if permutations is None else np.asarray(permutations)
        named = tuple(labels) if labels is not None else tuple(f"site {site + 1}" for site in sites)
        if not series:
            raise ReaderError("no calculation with a shifted site can be used; compute some")
        fits, used = zip(
            *(_fits(one, tuple(sites).index(one.site), resolution, tolerance) for one in series), strict=True
        )
        matrices = {}
        for bare in (True, False):
            chosen = [(one, fit) for one, fit in zip(series, fits, strict=True) if one.bare is bare]
            matrices[bare] = _Matrix.of(chosen, tuple(sites), moves, named, bare=bare)
        u = np.diag(matrices[True].inverse - matrices[False].inverse)
        error = np.sqrt(matrices[True].variance_of_u + matrices[False].variance_of_u)
        return cls(
            tuple(sites), named, matrices[True].values, matrices[False].values, matrices[True].errors,
            matrices[False].errors, u, error, tuple(series), fits, used,
        )  # fmt: skip

    @classmethod
    def read(cls, folders: Sequence[Path], *, tolerance: float = 0.05) -> LinearResponse:
        """Read calculations with shifted sites and, for the point at zero, the one they started from.

        Folders of VASP that others made are told by LDAUTYPE = 3 and ICHARG = 11 of their INCAR.

        Raises
        ------
        ReaderError
            If a folder cannot be read, or they are not of one cell.
        """
        from heterodft.analysis.shifted_results import read_shifted, response_of

        return response_of([read_shifted(folder) for folder in folders], tolerance=tolerance)

    @property
    def shifted(self) -> tuple[int, ...]:
        """The sites that were shifted; the others are their images."""
        return tuple(dict.fromkeys(one.site for one in self.series))

    @property
    def simple_u(self) -> NDArray[np.float64]:
        """1/χ₀ - 1/χ of each site by itself in eV, which leaves out how the others answer."""
        return np.asarray(1 / np.diag(self.chi0) - 1 / np.diag(self.chi))

    @property
    def doubtful(self) -> tuple[int, ...]:
        """The shifted sites whose own occupation is no straight line even for the smallest shifts."""
        own = [fits[self.sites.index(one.site)] for one, fits in zip(self.series, self.fits, strict=True)]
        return tuple(dict.fromkeys(one.site for one, fit in zip(self.series, own, strict=True) if fit.doubtful))

    def own_fit(self, site: int, *, bare: bool) -> LineFit:
        """Return the fit of the occupation of a shifted site to its own shift."""
        for one, fits in zip(self.series, self.fits, strict=True):
            if (one.site, one.bare) == (site, bare):
                return fits[self.sites.index(site)]
        raise KeyError(site)

    def to_frame(self) -> DataFrame:
        """Return a table, one row a site."""
        from pandas import DataFrame

        return DataFrame(
            [
                {
                    "site": site + 1,
                    "label": label,
                    "U (eV)": float(self.u[i]),
                    "error (eV)": float(self.u_error[i]),
                    "chi0 (1/eV)": float(self.chi0[i, i]),
                    "chi (1/eV)": float(self.chi[i, i]),
                    "1/chi0 - 1/chi (eV)": float(self.simple_u[i]),
                    "shifted": site in self.shifted,
                    **self._linearity(site),
                }
                for i, (site, label) in enumerate(zip(self.sites, self.labels, strict=True))
            ]
        )

    def _linearity(self, site: int) -> dict[str, Any]:
        if site not in self.shifted:
            return {"curvature": None, "bias": None, "linear": None}
        fits = [self.own_fit(site, bare=bare) for bare in (True, False)]
        return {
            "curvature": max(fit.curvature for fit in fits),
            "bias": max(fit.bias for fit in fits),
            "linear": not any(fit.doubtful for fit in fits),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        arrays = ("chi0", "chi", "chi0_error", "chi_error", "u", "u_error", "simple_u")
        data: dict[str, Any] = plain(
            {
                "sites": self.sites,
                "labels": self.labels,
                "shifted": self.shifted,
                "doubtful": self.doubtful,
                "notes": self.notes,
                **{name: getattr(self, name) for name in arrays},
                "series": [
                    {"site": s.site, "bare": s.bare, "alphas": s.alphas, "electrons": s.electrons, "used": used}
                    for s, used in zip(self.series, self.used, strict=True)
                ],
            }
        )
        return data

    def plot(self) -> Figure:
        """Draw the occupation of each shifted site against its shift, with the lines through them."""
        from heterodft.analysis.plots.response import draw_linear_response

        return draw_linear_response(self)


def _fits(
    series: ShiftSeries, own: int, resolution: float, tolerance: float
) -> tuple[tuple[LineFit, ...], NDArray[np.bool_]]:
    """Fit each site over the shifts in which the shifted site itself answers linearly."""
    _, used = linear_part(series.alphas, series.electrons[:, own], resolution=resolution, tolerance=tolerance)
    alphas = series.alphas[used]
    columns = series.electrons[used].T
    found = tuple(fit_line(alphas, column, resolution=resolution, tolerance=tolerance) for column in columns)
    if not used.all():
        whole = zip(found, series.electrons.T, strict=True)
        found = tuple(knowing_all(fit, series.alphas, column) for fit, column in whole)
    return found, used


@dataclass(frozen=True)
class _Matrix:
    """A response matrix made of its measured columns by symmetry."""

    values: NDArray[np.float64]
    errors: NDArray[np.float64]
    inverse: NDArray[np.float64]
    variance_of_u: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        measured: Sequence[tuple[ShiftSeries, Sequence[LineFit]]],
        sites: tuple[int, ...],
        moves: NDArray[np.int64],
        labels: Sequence[str],
        *,
        bare: bool,
    ) -> _Matrix:
        kind = "bare" if bare else "screened"
        number = len(sites)
        weights = np.zeros((number, number, len(measured), number))
        for place, (series, _) in enumerate(measured):
            shifted = sites.index(series.site)
            for move in moves:
                weights[move, move[shifted], place, np.arange(number)] += 1
        counts = weights.sum(axis=(2, 3))
        missing = [label for j, label in enumerate(labels) if not counts[:, j].any()]
        if missing:
            raise ReaderError(
                f"no {kind} response to a shift of {', '.join(missing)}; compute it, or leave the site out"
            )
        weights /= counts[:, :, None, None]
        slopes = np.array([[fit.slope for fit in fits] for _, fits in measured])
        variances = np.array([[fit.error for fit in fits] for _, fits in measured]) ** 2
        values = np.einsum("abms,ms->ab", weights, slopes)
        errors = np.sqrt(np.einsum("abms,ms->ab", weights**2, variances))
        silent = [label for i, label in enumerate(labels) if not abs(values[i, i]) > _SILENT]
        if silent or np.linalg.matrix_rank(values) < number:
            raise ReaderError(f"the occupation of {', '.join(silent or labels)} does not answer a {kind} shift: no U")
        inverse = np.linalg.inv(values)
        # d(A⁻¹) = -A⁻¹ dA A⁻¹
        gradient = np.einsum("ka,bk,abms->kms", inverse, inverse, weights)
        return cls(values, errors, inverse, np.einsum("kms,ms->k", gradient**2, variances))
