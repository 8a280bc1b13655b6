"""Band gaps from all k-points and both spins.

A band is filled at a k-point when its energy is at or below the Fermi level. A spin has a gap when the same
number of bands is filled at every k-point and their electrons add up to those of the cell; otherwise it is a
metal. Smearing tails therefore neither make nor hide a gap.

A mesh knows the bands only at its points. How far a band edge may lie beyond the sampled one is estimated from the
step of the edge's band to the nearest point of the mesh; a gap smaller than that is called unresolved.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from heterodft.analysis.result import Result

__all__ = ["Gap", "SpinGap", "find_gap"]

_AT_FERMI_LEVEL = 1e-3
"""eV; the Fermi level of an insulator may be printed a rounding error below its highest filled band."""
_COUNT_TOLERANCE = 0.02
"""Electrons; a larger mismatch of filled bands and electrons means partly filled bands."""


@dataclass(frozen=True)
class SpinGap:
    """The gap of one spin.

    Attributes
    ----------
    metal
        Whether bands cross the Fermi level.
    fundamental, direct
        eV; None for a metal or when no empty band was computed.
    valence_maximum, conduction_minimum
        eV; None for a metal.
    at
        Fractional k-points of the two.
    mesh_error
        eV by which the gap between mesh points may be smaller; None when a single k-point tells nothing of it.
    """

    metal: bool
    fundamental: float | None = None
    direct: float | None = None
    valence_maximum: float | None = None
    conduction_minimum: float | None = None
    at: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    mesh_error: float | None = None


@dataclass(frozen=True)
class Gap:
    """The gap of a cell.

    Attributes
    ----------
    value
        Fundamental gap over both spins in eV; 0 for a metal.
    metal
        Whether any spin is one.
    direct
        Whether the fundamental gap is at one k-point within one spin.
    spins
        One entry, or up and down.
    kpoints
        Number of k-points it rests on.
    resolved
        Whether the gap is larger than what the mesh may hide; never from a single k-point. True for a metal.
    """

    value: float
    metal: bool
    direct: bool
    spins: tuple[SpinGap, ...]
    kpoints: int
    resolved: bool = True

    @property
    def text(self) -> str:
        """``metal``, ``2.39 eV``, ``1.53 eV direct`` or ``0.04 eV, unresolved by the mesh``."""
        if self.metal:
            return "metal"
        kind = " direct" if self.direct else ""
        return f"{self.value:.2f} eV{kind}{'' if self.resolved else ', unresolved by the mesh'}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return asdict(self)


def find_gap(result: Result) -> Gap | None:
    """Find the gap of a result; None when no empty band was computed, so that none can be told.

    Raises
    ------
    ReaderError
        If the result has no bands.
    """
    bands = result.bands
    if bands is None:
        raise ReaderError("the result holds no band energies, so no gap can be told")
    energies = np.sort(bands.energies, axis=2)
    levels = np.resize(result.fermi_levels, energies.shape[0])
    filled = (energies <= levels[:, None, None] + _AT_FERMI_LEVEL).sum(axis=2)
    per_band = 3 - energies.shape[0]  # electrons in a filled band: 2 without spin, else 1
    counted = per_band * float((filled @ bands.weights).sum())
    crossing = [len(set(counts)) > 1 for counts in filled.tolist()]
    # A metallic spin never counts whole, so that the sum tells nothing of the other one.
    partly = not any(crossing) and abs(counted - result.electrons) > _COUNT_TOLERANCE
    steps = _nearest_points(bands.kpoints, result.structure.lattice.reciprocal_lattice.matrix)
    spins = tuple(
        SpinGap(metal=True) if partly or crosses else _spin_gap(e, int(counts[0]), bands.kpoints, steps)
        for e, counts, crosses in zip(energies, filled, crossing, strict=True)
    )
    if any(spin.metal for spin in spins):
        return Gap(0.0, metal=True, direct=False, spins=spins, kpoints=energies.shape[1])
    top = max((s.valence_maximum for s in spins if s.valence_maximum is not None), default=-np.inf)
    bottom = min((s.conduction_minimum for s in spins if s.conduction_minimum is not None), default=np.inf)
    value = float(bottom - top)
    if not np.isfinite(value):
        return None
    direct = any(s.direct is not None and abs(s.direct - value) < 1e-6 for s in spins)
    resolved = value > 0 and all(s.mesh_error is not None and value > s.mesh_error for s in spins)
    return Gap(max(value, 0.0), value <= 0, direct, spins, energies.shape[1], resolved or value <= 0)


def _nearest_points(kpoints: NDArray[np.float64], reciprocal: NDArray[np.float64]) -> NDArray[np.int64] | None:
    """Index of the nearest other k-point of each, shape (k,), inversion and periodicity counted; None for one."""
    if len(kpoints) < 2:
        return None
    distance = np.full((len(kpoints), len(kpoints)), np.inf)
    for sign in (1, -1):
        apart = kpoints[:, None] - sign * kpoints[None]
        distance = np.minimum(distance, np.linalg.norm((apart - np.round(apart)) @ reciprocal, axis=2))
    np.fill_diagonal(distance, np.inf)
    return np.asarray(distance.argmin(axis=1))


def _spin_gap(
    energies: NDArray[np.float64], filled: int, kpoints: NDArray[np.float64], nearest: NDArray[np.int64] | None
) -> SpinGap:
    """Gap of one spin; energies (k, band) sorted, the first `filled` bands occupied everywhere."""
    top = energies[:, filled - 1] if filled else None
    bottom = energies[:, filled] if filled < energies.shape[1] else None
    if top is None or bottom is None:
        return SpinGap(
            metal=False,
            valence_maximum=None if top is None else float(top.max()),
            conduction_minimum=None if bottom is None else float(bottom.min()),
        )
    highest, lowest = int(top.argmax()), int(bottom.argmin())
    places = tuple(tuple(round(float(x), 6) + 0.0 for x in kpoints[i]) for i in (highest, lowest))
    return SpinGap(
        metal=False,
        fundamental=float(bottom.min() - top.max()),
        direct=float((bottom - top).min()),
        valence_maximum=float(top.max()),
        conduction_minimum=float(bottom.min()),
        at=(places[0], places[1]),
        mesh_error=None
        if nearest is None
        else float(top[highest] - top[nearest[highest]] + bottom[nearest[lowest]] - bottom[lowest]) / 2,
    )
