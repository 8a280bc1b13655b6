"""Density of states resolved by plane, orbital and spin, and electrons in an energy window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.gaps import find_gap
from heterodft.analysis.layers import AtomicPlane, find_planes, sum_over_groups
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from heterodft.analysis.result import ProjectedDos, Result

__all__ = ["SHELLS", "LayerDos", "electrons_between", "reference_energy", "resolve_by_plane"]

SHELLS = ("s", "p", "d", "f")
_COLUMNS = {"s": slice(0, 1), "p": slice(1, 4), "d": slice(4, 9), "f": slice(9, 16)}


@dataclass(frozen=True)
class LayerDos:
    """Density of states by plane.

    Attributes
    ----------
    planes
        From the bottom up.
    energies
        eV relative to `reference`, shape (energy,).
    values
        States per eV, shape (plane, shell, spin, energy); shells as in `SHELLS`.
    reference
        eV; what zero is.
    reference_name
        ``Fermi level`` or, with a gap, ``middle of the gap``.
    """

    planes: list[AtomicPlane]
    energies: NDArray[np.float64]
    values: NDArray[np.float64]
    reference: float
    reference_name: str


def _dos(result: Result) -> ProjectedDos:
    if result.dos is None:
        raise ReaderError("the result holds no projected density of states; run a dos step")
    return result.dos


def reference_energy(result: Result) -> tuple[float, str]:
    """Return the Fermi level in eV and what to call it.

    With a gap it is put in the middle: codes leave it anywhere in between (that of pw.x changes with the number of
    empty bands), and an energy window below it would not be comparable.
    """
    gap = find_gap(result)
    if gap is None or gap.metal:
        return result.fermi_level, "Fermi level"
    tops = [spin.valence_maximum for spin in gap.spins if spin.valence_maximum is not None]
    bottoms = [spin.conduction_minimum for spin in gap.spins if spin.conduction_minimum is not None]
    return (max(tops) + min(bottoms)) / 2, "middle of the gap"


def resolve_by_plane(result: Result) -> LayerDos:
    """Add the projections of a labelled result over the atoms of each plane.

    Raises
    ------
    ReaderError
        If the result holds no projections or its sites carry no labels.
    """
    dos = _dos(result)
    planes = find_planes(result.structure)
    shells = np.stack([dos.values[:, _COLUMNS[shell]].sum(axis=1) for shell in SHELLS], axis=1)
    reference, name = reference_energy(result)
    return LayerDos(planes, dos.energies - reference, sum_over_groups(planes, shells), reference, name)


def electrons_between(layer_dos: LayerDos, low: float = -2.0, high: float = 0.0) -> NDArray[np.float64]:
    """Integrate the density of states of each plane over an energy window.

    Parameters
    ----------
    layer_dos
        Of `resolve_by_plane`.
    low, high
        eV relative to its reference; there are no states beyond the energy grid.

    Returns
    -------
    array
        Electrons, shape (plane, spin). Without spin the one column holds both spins.
    """
    energies = layer_dos.energies
    low, high = max(low, float(energies[0])), min(high, float(energies[-1]))
    inside = energies[(energies > low) & (energies < high)]
    grid = np.concatenate([[low], inside, [high]])
    density = layer_dos.values.sum(axis=1)
    on_grid = np.array([[np.interp(grid, energies, spin) for spin in plane] for plane in density])
    return np.asarray(np.trapezoid(on_grid, grid, axis=2))
