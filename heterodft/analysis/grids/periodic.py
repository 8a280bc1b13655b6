"""Functions of one periodic coordinate that are known at evenly spaced points.

They are taken as the trigonometric polynomial through the points. For a density on the FFT grid of a plane-wave code
this is no approximation: it has no other Fourier components. Integrals and box averages are then exact for any
bounds and any width, also between points, and those over adjoining intervals add up to that over the period.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["box_average", "integrate_between", "interpolate"]


def _coefficients(values: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Return c_k for f(z) = Re Σ c_k exp(2πi k z / L), k ≥ 0."""
    number = values.shape[-1]
    coefficients: NDArray[np.complex128] = np.fft.rfft(values, axis=-1) * (2 / number)
    coefficients[..., 0] /= 2
    if number % 2 == 0:
        coefficients[..., -1] /= 2
    return coefficients


def interpolate(values: NDArray[np.float64], period: float, heights: ArrayLike) -> NDArray[np.float64]:
    """Return the function at any heights, shape (…, n) and (m,) → (…, m)."""
    coefficients = _coefficients(values)
    k = np.arange(coefficients.shape[-1])
    phases = np.exp(2j * np.pi / period * np.outer(k, np.asarray(heights, dtype=np.float64)))
    result: NDArray[np.float64] = (coefficients @ phases).real
    return result


def integrate_between(
    values: NDArray[np.float64], period: float, bottom: float, top: float
) -> NDArray[np.float64] | np.float64:
    """Integrate the function from bottom to top, which may lie outside of the period; shape (…, n) → (…,)."""
    coefficients = _coefficients(values)
    k = 2 * np.pi / period * np.arange(1, coefficients.shape[-1])
    factors = (np.exp(1j * k * top) - np.exp(1j * k * bottom)) / (1j * k)
    result: NDArray[np.float64] = (coefficients[..., 1:] @ factors).real + coefficients[..., 0].real * (top - bottom)
    return result


def box_average(values: NDArray[np.float64], period: float, window: float) -> NDArray[np.float64]:
    """Average over a box of that width around each point: each Fourier component times sin(k w/2) / (k w/2)."""
    number = values.shape[-1]
    coefficients = np.fft.rfft(values, axis=-1)
    damped = coefficients * np.sinc(np.arange(coefficients.shape[-1]) * (window / period))
    result: NDArray[np.float64] = np.fft.irfft(damped, number, axis=-1)
    return result
