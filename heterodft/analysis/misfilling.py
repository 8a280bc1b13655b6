"""Insulators whose smeared occupations are not those of an insulator.

Cold smearing and that of Methfessel and Paxton do not rise monotonically: the electrons of an insulator can be
counted right not only with the Fermi level in the gap but also with it among the bands, some of them filled to more
than one and others to less. pw.x up to 6.7 takes the first such level that its bisection meets; later versions look
for it in the gap (F. J. dos Santos and N. Marzari, Phys. Rev. B 107, 195122 (2023)).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.gaps import electrons_per_band, find_gap

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from heterodft.analysis.gaps import Gap
    from heterodft.analysis.result import Bands, Result

__all__ = ["WIDE", "Misfilling", "find_misfilling"]

_FEWEST, _LEAST = 0.01, 1e-3
"""Electrons and eV a cell that are told."""
WIDE = 7.0
"""Widths of smearing; across a wider gap Gaussian tails carry nothing, and the energy is that without smearing.

Across 4.5 widths, at Γ of SrTiO3 at 20 Ry, they still doubled the response of the Ti 3d occupation to a shift.
"""
_COLD = ("cold", "mv", "m-v", "marzari-vanderbilt")


@dataclass(frozen=True)
class Misfilling:
    """What smearing does to the occupations of an insulator.

    Attributes
    ----------
    electrons
        A cell, by which filled bands are not full, or more than that, and empty ones not empty, all counted positive.
    energy
        eV a cell, by how much the free energy is above that of the insulator, of first order in the occupations;
        None where it was not made with cold smearing.
    gap, width
        eV, of the cell and of the smearing; the latter None where it is not known.
    """

    electrons: float
    energy: float | None
    gap: float
    width: float | None

    @property
    def is_wide(self) -> bool:
        """Whether the gap is so wide that another smearing would fill full and empty bands."""
        return self.width is not None and self.gap > WIDE * self.width

    @property
    def text(self) -> str:
        """It in words: ``0.38 electrons across 2.33 eV, the energy 37.5 meV a cell too high; give …``."""
        high, narrower = "", "" if self.is_wide else " and a narrower smearing_width"
        if self.energy is not None:
            high = f", the energy {1000 * abs(self.energy):.1f} meV a cell too {'high' if self.energy > 0 else 'low'}"
        electrons = f"{self.electrons:.2f}" if self.electrons >= 0.01 else f"{self.electrons:.1g}"
        return f"{electrons} electrons across {self.gap:.2f} eV{high}; give smearing: gaussian{narrower}"


def find_misfilling(result: Result) -> Misfilling | None:
    """Return how far the occupations of an insulator are from full and empty bands; None where they are those.

    Parameters
    ----------
    result
        Of a self-consistent step with its bands; of a metal there is nothing to find.

    Raises
    ------
    ReaderError
        As `heterodft.analysis.gaps.find_gap`.
    """
    bands = result.bands
    gap = None if bands is None else find_gap(result)
    if bands is None or gap is None or gap.metal or not bands.occupations.any():
        return None
    full = _full(bands, gap)
    share = electrons_per_band(result) * bands.weights[None, :, None]
    electrons = float((share * np.abs(bands.occupations - full)).sum())
    energy = _energy(result, bands, full, share)
    if electrons < _FEWEST and abs(energy or 0.0) < _LEAST:
        return None
    return Misfilling(electrons, energy, gap.value, result.method.get("smearing_width"))


def _full(bands: Bands, gap: Gap) -> NDArray[np.float64]:
    """Return 1 for each state below the gap of its spin and 0 above, shape (spin, k, band)."""
    tops = [-np.inf if spin.valence_maximum is None else spin.valence_maximum for spin in gap.spins]
    below: NDArray[np.bool_] = bands.energies <= np.array(tops)[:, None, None]
    return below.astype(np.float64)


def _energy(result: Result, bands: Bands, full: NDArray[np.float64], share: NDArray[np.float64]) -> float | None:
    """Return the change of the free energy with fixed band energies: that of their sum, and −TS.

    −TS of N. Marzari and others, Phys. Rev. Lett. 82, 3296 (1999): σ (x − 1/√2) exp(−(x − 1/√2)²) / √(2π) a state.
    """
    width = result.method.get("smearing_width")
    if str(result.method.get("smearing")).lower() not in _COLD or not width or not result.fermi_levels:
        return None
    levels = np.resize(result.fermi_levels, len(bands.energies))[:, None, None]
    x = (levels - bands.energies) / width - np.sqrt(0.5)
    minus_ts = width * x * np.exp(-np.minimum(x**2, 200.0)) / np.sqrt(2 * np.pi)
    return float((share * ((bands.occupations - full) * (bands.energies - levels) + minus_ts)).sum())
