"""Integrals of a density of states given on an energy grid, its broadening, and the gaps in it.

What a number on the grid means differs. projwfc.x, and VASP with tetrahedra, give the density at that energy
(``points``): it is integrated by trapezoids, which a coarse grid makes wrong by what lies between its points. VASP
with smearing gives the states since the grid point before, divided by the step (``bins``): their sum is exact
whatever the step (``DOSCAR`` in the VASP manual: n(E_i) = (N(E_i) − N(E_i−1)) / ΔE).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from heterodft.analysis.result import Result

__all__ = ["Rule", "broaden", "cumulate", "find_dos_gaps", "has_tetrahedra", "integrate", "rule_of", "states_below"]

Rule = Literal["points", "bins"]
_TETRAHEDRA = ("tetra", "blöchl", "bloechl", "blochl", "-4", "-5", "-14", "-15")


def rule_of(result: Result) -> Rule:
    """Return what the numbers on the grid of a result's density of states mean."""
    return "bins" if result.code == "vasp" and not has_tetrahedra(result) else "points"


def has_tetrahedra(result: Result) -> bool:
    """Tell whether the method says that a density of states is by tetrahedra."""
    smearing = str(result.method.get("smearing", "")).lower()
    return any(word in smearing for word in _TETRAHEDRA)


def states_below(energies: NDArray[np.float64], values: ArrayLike, at: float, rule: Rule) -> NDArray[np.float64]:
    """Integrate a density of states from the beginning of its grid.

    Parameters
    ----------
    energies
        eV, ascending, shape (energy,).
    values
        States per eV, shape (…, energy).
    at
        eV; there are no states beyond the grid.
    rule
        What the values mean, see the head of this module.

    Returns
    -------
    array
        States, shape (…).
    """
    density = np.asarray(values, dtype=np.float64)
    if at < energies[0]:
        return np.zeros(density.shape[:-1])
    at = min(float(at), float(energies[-1]))
    below = int(np.searchsorted(energies, at, side="right")) - 1  # last grid point at or below
    steps = np.diff(energies[: below + 1])
    rest = at - energies[below]
    after = density[..., min(below + 1, len(energies) - 1)]
    if rule == "bins":
        first = density[..., 0] * (energies[1] - energies[0]) if len(energies) > 1 else 0.0
        return np.asarray(first + density[..., 1 : below + 1] @ steps + rest * after)
    last = density[..., below]
    if rest > 0:
        after = last + (after - last) * rest / (energies[below + 1] - energies[below])
    whole = (density[..., 1 : below + 1] + density[..., :below]) @ steps / 2
    return np.asarray(whole + rest * (last + after) / 2)


def cumulate(energies: NDArray[np.float64], values: ArrayLike, rule: Rule) -> NDArray[np.float64]:
    """Return the states below each point of the grid, shape (…, energy)."""
    density, steps = np.asarray(values, dtype=np.float64), np.diff(energies)
    if rule == "bins":
        return np.cumsum(density * np.append(steps[:1], steps), axis=-1)
    parts = (density[..., 1:] + density[..., :-1]) / 2 * steps
    return np.concatenate([np.zeros((*density.shape[:-1], 1)), np.cumsum(parts, axis=-1)], axis=-1)


def integrate(
    energies: NDArray[np.float64], values: ArrayLike, low: float, high: float, rule: Rule
) -> NDArray[np.float64]:
    """Integrate a density of states (…, energy) between two energies in eV; shape (…)."""
    return states_below(energies, values, high, rule) - states_below(energies, values, low, rule)


def broaden(energies: NDArray[np.float64], values: ArrayLike, sigma: float) -> NDArray[np.float64]:
    """Broaden a density of states (…, energy) by Gaussians of the standard deviation `sigma` in eV.

    Raises
    ------
    ReaderError
        If the grid is not uniform, or `sigma` is below its step, so that nothing would change.
    """
    from scipy.ndimage import gaussian_filter1d

    steps = np.diff(energies)
    step = float(steps.mean())
    if np.abs(steps - step).max() > 0.05 * step + 2e-3:  # energies are printed with three digits
        raise ReaderError("the energy grid is not uniform, so the density of states cannot be broadened")
    if sigma < step:
        raise ReaderError(f"a broadening of {sigma:g} eV is below the step of the energy grid, {step:.3g} eV")
    smooth = gaussian_filter1d(np.asarray(values, dtype=np.float64), sigma / step, mode="constant", truncate=6.0)
    return np.asarray(smooth)


def find_dos_gaps(
    energies: NDArray[np.float64], density: NDArray[np.float64], *, floor: float, width: float, rule: Rule = "points"
) -> list[tuple[float, float]]:
    """Find where a density of states is empty between states.

    Parameters
    ----------
    energies
        eV, shape (energy,).
    density
        States per eV, shape (energy,).
    floor
        States per eV below which it counts as empty.
    width
        eV; narrower gaps are left out.

    Returns
    -------
    list
        Lower and upper end in eV, from the bottom up. What lies below the first and above the last state is none.
    """
    full = np.flatnonzero(density > floor)
    if len(full) < 2:
        return []
    below, above = full[:-1], full[1:]
    apart = above - below > 1
    low = energies[below[apart]] if rule == "bins" else energies[below[apart] + 1]
    high = energies[above[apart] - 1]
    return [(float(a), float(b)) for a, b in zip(low, high, strict=True) if b - a >= width]
