"""The slope of an occupation against a shift of the potential: its error, and whether it is a slope at all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["LineFit", "fit_line", "knowing_all", "linear_part"]

_FEWEST = 3
"""Points by which a line can be told from a curve."""
_SIGNIFICANT = 3.0
"""Standard errors."""
_EXACT = 1e-12
"""Part of a number that its sums and products lose."""


@dataclass(frozen=True)
class LineFit:
    """A straight line through occupations n(α), by least squares.

    Attributes
    ----------
    slope, intercept
        Electrons per eV, and electrons.
    error
        Standard error of the slope: by the scatter or the digits of the numbers, whichever is more,
        together with `bias` where that is significant. NaN where neither is known: of two exact points.
    curvature
        |c α_max / slope| with c of a parabola: by which part the slopes at the largest shift and at zero differ by
        half. NaN of two points.
    bias
        Part by which the slope at zero of a cubic (of three points, of a parabola) differs from that of the line.
    doubtful
        Whether curvature or bias exceeds the tolerance, and three times its own error.
    count
        Number of points.
    """

    slope: float
    intercept: float
    error: float
    curvature: float
    bias: float
    doubtful: bool
    count: int

    def at(self, alphas: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the line at shifts in eV."""
        return self.intercept + self.slope * alphas


def fit_line(
    alphas: Sequence[float] | NDArray[np.float64],
    electrons: Sequence[float] | NDArray[np.float64],
    *,
    resolution: float = 0.0,
    tolerance: float = 0.05,
) -> LineFit:
    """Fit a line and tell whether the data lie on one.

    Parameters
    ----------
    alphas
        eV, at least two different ones.
    electrons
        Occupation at each.
    resolution
        Step of the numbers: 1e-3 where three decimals were printed. Each is then off by its standard deviation,
        resolution / √12.
    tolerance
        Largest curvature and bias of a line.
    """
    x, y = np.asarray(alphas, dtype=np.float64), np.asarray(electrons, dtype=np.float64)
    rounding = max(resolution / np.sqrt(12), _EXACT * float(np.abs(y).max()))
    (intercept, slope), (_, by_digits) = _polynomial(x, y, 1, rounding)
    error = max(by_digits, _scatter(x, y, known=resolution > 0) / float(np.sqrt(np.sum((x - x.mean()) ** 2))))
    curvature, bias, doubtful = np.nan, 0.0, False
    if len(np.unique(x)) >= _FEWEST:
        curvature, own = _curvature(x, y, slope, rounding)
        doubtful = curvature > max(tolerance, _SIGNIFICANT * own)
        bias, own = _bias(x, y, slope, rounding)
        doubtful = doubtful or bias > max(tolerance, _SIGNIFICANT * own)
        error = float(np.hypot(error, bias * abs(slope))) if bias > _SIGNIFICANT * own else error
    known = resolution > 0 or len(x) > _FEWEST - 1
    return LineFit(slope, intercept, error if known else np.nan, curvature, bias, bool(doubtful), len(x))


def linear_part(
    alphas: Sequence[float] | NDArray[np.float64],
    electrons: Sequence[float] | NDArray[np.float64],
    *,
    resolution: float = 0.0,
    tolerance: float = 0.05,
) -> tuple[LineFit, NDArray[np.bool_]]:
    """Fit a line to the shifts that are small enough for one: the largest are left out as long as three remain.

    Returns
    -------
    fit, used
        Which of the points it goes through. A fit that is doubtful still has no smaller shifts to go by.
    """
    x, y = np.asarray(alphas, dtype=np.float64), np.asarray(electrons, dtype=np.float64)
    fit, used = fit_line(x, y, resolution=resolution, tolerance=tolerance), np.ones(len(x), dtype=bool)
    for largest in sorted(set(np.round(np.abs(x), 9)), reverse=True)[1:]:
        smaller = np.abs(x) <= largest + 1e-9
        if not fit.doubtful or len(np.unique(x[smaller])) < _FEWEST:
            break
        fit, used = fit_line(x[smaller], y[smaller], resolution=resolution, tolerance=tolerance), smaller
    return (fit if used.all() else knowing_all(fit, x, y)), used


def knowing_all(fit: LineFit, alphas: NDArray[np.float64], electrons: NDArray[np.float64]) -> LineFit:
    """Return the fit of the smaller shifts with the error that the larger ones, which it leaves out, tell of.

    That is how far its slope lies from the slope at zero of a cubic through all of them.
    """
    at_zero = _polynomial(alphas, electrons, min(3, len(np.unique(alphas)) - 1), 0.0)[0][1]
    return replace(fit, error=float(np.hypot(np.nan_to_num(fit.error), at_zero - fit.slope)))


def _polynomial(
    x: NDArray[np.float64], y: NDArray[np.float64], degree: int, rounding: float
) -> tuple[list[float], list[float]]:
    """Return coefficients from the constant on, and their errors by the rounding of the numbers."""
    scale = float(np.abs(x).max())
    matrix = np.vander(x / scale, degree + 1, increasing=True)
    found = np.linalg.lstsq(matrix, y, rcond=None)[0]
    errors = rounding * np.sqrt(np.diag(np.linalg.inv(matrix.T @ matrix)))
    powers = scale ** np.arange(degree + 1)
    return (found / powers).tolist(), (errors / powers).tolist()


def _scatter(x: NDArray[np.float64], y: NDArray[np.float64], *, known: bool) -> float:
    """Return the scatter about a parabola, since a curvature changes no slope at zero; of three points about a line.

    Of three points whose digits are known, those tell the error.
    """
    degree = 2 if len(np.unique(x)) > _FEWEST else 1
    left = len(x) - degree - 1
    if left <= 0 or (degree == 1 and known):
        return 0.0
    coefficients = _polynomial(x, y, degree, 0.0)[0]
    return float(np.sqrt(np.sum((y - np.polynomial.polynomial.polyval(x, coefficients)) ** 2) / left))


def _curvature(x: NDArray[np.float64], y: NDArray[np.float64], slope: float, rounding: float) -> tuple[float, float]:
    (_, _, square), (_, _, error) = _polynomial(x, y, 2, rounding)
    part = float(np.abs(x).max()) / abs(slope) if slope else np.inf
    return (abs(square) * part, error * part) if square or error else (0.0, 0.0)


def _bias(x: NDArray[np.float64], y: NDArray[np.float64], slope: float, rounding: float) -> tuple[float, float]:
    coefficients, errors = _polynomial(x, y, min(3, len(np.unique(x)) - 1), rounding)
    if not slope:
        return 0.0, 0.0
    return abs((coefficients[1] - slope) / slope), errors[1] / abs(slope)
