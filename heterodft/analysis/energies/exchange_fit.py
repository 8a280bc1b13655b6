"""Least squares for exchange constants: what the energies determine, how well, and what they do not."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["ExchangeFit", "fit_exchange", "mean_field_temperature"]

BOLTZMANN = 8.617333262e-5
"""eV/K."""
_ZERO = 1e-8


@dataclass(frozen=True)
class ExchangeFit:
    """A solution of y = e0 - X J.

    Attributes
    ----------
    offset
        e0.
    values
        J, shape (constants,); those not determined are part of the shortest solution and mean nothing alone.
    errors
        Standard errors, shape (constants,); None where there are as many unknowns as energies.
    determined
        Whether each constant is, shape (constants,).
    combinations
        (coefficients, value) of the sums of constants that are determined though their members are not.
    same
        Constants whose bonds add up to the same in every configuration.
    residuals
        Fitted minus given, shape (configurations,).
    left_out
        Prediction of each configuration from all others minus its energy; not-a-number where they do not determine
        it.
    """

    offset: float
    values: NDArray[np.float64]
    errors: NDArray[np.float64] | None
    determined: NDArray[np.bool_]
    combinations: tuple[tuple[tuple[float, ...], float], ...]
    same: tuple[int, ...]
    residuals: NDArray[np.float64]
    left_out: NDArray[np.float64]


def fit_exchange(sums: NDArray[np.float64], energies: NDArray[np.float64]) -> ExchangeFit:
    """Fit E = e0 - Σ J_k X_k.

    Parameters
    ----------
    sums
        X: Σ e_i·e_j over the bonds of each constant, shape (configurations, constants).
    energies
        Shape (configurations,).
    """
    design = np.column_stack([np.ones(len(sums)), -sums])
    start = float(energies.mean())
    inverse = np.linalg.pinv(design, rcond=_ZERO)
    solution = inverse @ (energies - start)
    residuals = design @ solution - (energies - start)
    rank = int(np.linalg.matrix_rank(design, tol=_ZERO * max(1.0, np.abs(design).max())))
    free = len(energies) - rank
    variances = float(residuals @ residuals) / free * np.diag(inverse @ inverse.T) if free > 0 else None
    determined = np.isclose(np.diag(inverse @ design), 1.0, atol=1e-6)[1:]
    combinations, same = _combinations(sums, solution[1:], determined)
    return ExchangeFit(
        offset=start + float(solution[0]),
        values=solution[1:],
        errors=None if variances is None else np.sqrt(variances[1:]),
        determined=determined,
        combinations=combinations,
        same=same,
        residuals=residuals,
        left_out=_leave_one_out(design, energies - start),
    )


def _combinations(
    sums: NDArray[np.float64], values: NDArray[np.float64], determined: NDArray[np.bool_]
) -> tuple[tuple[tuple[tuple[float, ...], float], ...], tuple[int, ...]]:
    """Return the determined sums of undetermined constants, and the constants in no difference of energies."""
    rows = _reduced(sums - sums[0]) if len(sums) else np.empty((0, len(values)))
    mixed = [row for row in rows if (np.abs(row) > _ZERO).sum() > 1]
    found = tuple((tuple(map(float, row)), float(row @ values)) for row in mixed)
    touched = (np.abs(rows) > _ZERO).any(axis=0) if len(rows) else np.zeros(len(values), dtype=bool)
    return found, tuple(int(i) for i in np.flatnonzero(~touched & ~determined))


def _reduced(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rows of the reduced echelon form that are not zero."""
    left, row = matrix.astype(np.float64).copy(), 0
    for column in range(left.shape[1]):
        if row == len(left):
            break
        pivot = row + int(np.abs(left[row:, column]).argmax())
        if abs(left[pivot, column]) < 1e-6:
            continue
        left[[row, pivot]] = left[[pivot, row]]
        left[row] /= left[row, column]
        others = np.arange(len(left)) != row
        left[others] -= np.outer(left[others, column], left[row])
        row += 1
    return np.where(np.abs(left[:row]) < _ZERO, 0.0, left[:row])


def _leave_one_out(design: NDArray[np.float64], energies: NDArray[np.float64]) -> NDArray[np.float64]:
    errors = np.full(len(energies), np.nan)
    for i in range(len(energies)):
        kept = np.arange(len(energies)) != i
        inverse = np.linalg.pinv(design[kept], rcond=_ZERO)
        if np.allclose(design[i] @ inverse @ design[kept], design[i], atol=1e-6):  # the others span it
            errors[i] = float(design[i] @ inverse @ energies[kept] - energies[i])
    return errors


def in_words(coefficients: Sequence[float], names: Sequence[str]) -> str:
    """Write a sum of constants.

    Examples
    --------
    >>> in_words([1.0, 0.0, -0.5], ["J1", "J2", "J3"])
    'J1 - 1/2 J3'
    """
    text = ""
    for x, name in zip(coefficients, names, strict=True):
        if abs(x) > _ZERO:
            size = Fraction(abs(x)).limit_denominator(48)
            text += (" - " if x < 0 else " + ") + ("" if size == 1 else f"{size} ") + name
    return text.removeprefix(" + ").strip()


def mean_field_temperature(coupling: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """Return the mean-field ordering temperature in K and the pattern that orders, of classical unit moments.

    With H = -Σ J_ij e_i·e_j over pairs, each once, a moment feels Σ_j J_ij ⟨e_j⟩, and the Langevin function starts as
    x/3, so that k_B T = λ / 3 with λ the largest eigenvalue of the matrix of J_ij (P. W. Anderson, Solid State
    Physics 14, 99 (1963); the 2/3 often seen belongs to a sum that counts each pair twice).

    Parameters
    ----------
    coupling
        Σ over images of J_ij in eV, shape (sites, sites), symmetric.

    Returns
    -------
    temperature
        K; not above zero when nothing orders within the cell.
    pattern
        Eigenvector, shape (sites,); zeros when several patterns order at the same temperature.
    """
    values, vectors = np.linalg.eigh(coupling)
    several = len(values) > 1 and values[-1] - values[-2] < 1e-6 * max(1e-6, abs(values[-1]))
    pattern = np.zeros(len(values)) if several else vectors[:, -1]
    return float(values[-1] / 3 / BOLTZMANN), pattern
