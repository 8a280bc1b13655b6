"""Band gaps from all k-points and both spins.

A crystal is an insulator when an energy exists below which every k-point holds the same bands and these bands hold
the electrons of the cell. With the number of electrons known this is asked of the bands alone, so that neither
smearing tails nor where a code left the Fermi level make or hide a gap. Where no such energy exists, a spin still has
a gap (a half-metal) when the same number of its bands lies at or below the Fermi level at every k-point.

A mesh knows the bands only at its points. How far a band edge may lie beyond the sampled one is estimated from the
steps of the edge's band to the next points of the mesh, see `heterodft.analysis.mesh_errors`; a gap smaller than that
is called unresolved.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.mesh_errors import edge_error, symmetries_of
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from pandas import DataFrame

    from heterodft.analysis.result import Result

__all__ = ["Gap", "SpinGap", "electrons_per_band", "find_gap"]

_AT_FERMI_LEVEL = 1e-3
"""eV; the Fermi level of an insulator may be printed a rounding error below its highest filled band."""
_COUNT_TOLERANCE = 0.02
"""Electrons; a larger mismatch of filled bands and electrons means partly filled bands."""
_SAME_COUNT = 0.02
"""Part of the electrons by which occupations may miss them."""
_DEGENERATE = 1e-3
"""eV; levels closer than this are one level that rounding split, not a gap."""


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
    def half_metal(self) -> str:
        """The spin that has a gap while the other one is a metal, ``up`` or ``down``; else empty."""
        metals = [spin.metal for spin in self.spins]
        return "" if len(set(metals)) < 2 else ("up", "down")[metals.index(False)]

    @property
    def text(self) -> str:
        """``metal``, ``2.39 eV``, ``1.53 eV direct`` or ``0.04 eV, unresolved by the mesh``.

        Of a half-metal ``metal, spin up with a gap of 3.00 eV``.
        """
        if self.metal:
            inner = [spin.fundamental for spin in self.spins if spin.fundamental is not None]
            return (
                f"metal, spin {self.half_metal} with a gap of {inner[0]:.2f} eV"
                if self.half_metal and inner
                else "metal"
            )
        kind = " direct" if self.direct else ""
        return f"{self.value:.2f} eV{kind}{'' if self.resolved else ', unresolved by the mesh'}"

    @classmethod
    def from_result(cls, result: Result) -> Gap:
        """Find the gap of a result.

        Raises
        ------
        ReaderError
            As `find_gap`, and if no empty band was computed.
        """
        gap = find_gap(result)
        if gap is None:
            raise ReaderError(
                "no gap can be told: no empty band was computed (ask for more: NBANDS, nbnd), or the run got to no "
                "Fermi level"
            )
        return gap

    @classmethod
    def read(cls, folder: Path | str) -> Gap:
        """Find the gap of a finished folder; raises as `from_result`."""
        from heterodft.analysis.readers import read_folder

        return cls.from_result(read_folder(folder))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return asdict(self)

    def to_frame(self) -> DataFrame:
        """Return one row a spin; energies of a metal are empty."""
        from pandas import DataFrame

        names = ("both",) if len(self.spins) == 1 else ("up", "down")
        rows = [
            {
                "spin": name,
                "metal": spin.metal,
                "gap (eV)": spin.fundamental,
                "direct gap (eV)": spin.direct,
                "valence maximum (eV)": spin.valence_maximum,
                "conduction minimum (eV)": spin.conduction_minimum,
                "valence maximum at": None if spin.at is None else spin.at[0],
                "conduction minimum at": None if spin.at is None else spin.at[1],
                "mesh error (eV)": spin.mesh_error,
            }
            for name, spin in zip(names, self.spins, strict=True)
        ]
        return DataFrame(rows)


def find_gap(result: Result) -> Gap | None:
    """Find the gap of a result.

    None when none can be told: no empty band was computed, an energy is no number, or the run got to neither a Fermi
    level nor occupations nor a number of electrons.

    Raises
    ------
    ReaderError
        If the result has no bands.
    """
    bands = result.bands
    if bands is None:
        raise ReaderError("the result holds no band energies, so no gap can be told")
    told = bool(result.fermi_levels) or result.electrons is not None or bands.occupations.any()
    if not told or not np.isfinite(bands.energies).all():
        return None
    energies = np.sort(bands.energies, axis=2)
    filled = _filled_everywhere(result, energies)
    spins = tuple(
        SpinGap(metal=True) if count is None else _spin_gap(e, count, result)
        for e, count in zip(energies, filled, strict=True)
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


def electrons_per_band(result: Result) -> int:
    """Return how many electrons fill a band: 2 without spin; 1 of either spin and in a noncollinear run.

    Where the outputs do not say that a run is noncollinear, the number of electrons does, against the filled bands.
    """
    bands = result.bands
    if bands is None or bands.energies.shape[0] == 2:
        return 1
    if result.method.get("noncollinear") or result.method.get("spin_orbit"):
        return 1
    if result.method.get("noncollinear") is False or result.electrons is None:
        return 2
    below = _at_fermi_level(result, bands.energies)
    filled = below[..., None] if below is not None and not bands.occupations.any() else bands.occupations
    electrons = float(filled.sum(axis=2)[0] @ bands.weights)
    return 1 if abs(electrons - result.electrons) < _SAME_COUNT * result.electrons else 2


def _filled_everywhere(result: Result, energies: NDArray[np.float64]) -> list[int | None]:
    """Return the number of filled bands of each spin, None for a metal; energies (spin, k, band) sorted."""
    bands, per_band = result.bands, electrons_per_band(result)
    assert bands is not None  # noqa: S101
    at_level = _at_fermi_level(result, energies)
    if at_level is None:  # no level is told: the occupations stand in
        held = np.take_along_axis(bands.occupations, np.argsort(bands.energies, axis=2), axis=2)
        at_level = (held > 0.5).sum(axis=2)
    same = [int(counts[0]) if len(set(counts)) == 1 else None for counts in at_level.tolist()]
    counted = per_band * float((at_level @ bands.weights).sum())
    if result.electrons is None or (None not in same and abs(counted - result.electrons) < _COUNT_TOLERANCE):
        return same
    if len(result.fermi_levels) < 2:
        window = _insulating_filling(energies, result.electrons / per_band)
        if window is not None:
            return list(window)
    if None in same:  # a metallic spin never counts whole, so that the sum tells nothing of the other one
        return same
    own = (bands.occupations.sum(axis=2) @ bands.weights).tolist()
    whole = [n if n is not None and abs(f - n) < _COUNT_TOLERANCE else None for n, f in zip(same, own, strict=True)]
    return whole if None in whole else [None] * len(whole)


def _at_fermi_level(result: Result, energies: NDArray[np.float64]) -> NDArray[np.int64] | None:
    """Return the number of bands at or below the Fermi level, shape (spin, k)."""
    if not result.fermi_levels:
        return None
    levels = np.resize(result.fermi_levels, energies.shape[0])
    return np.asarray((energies <= levels[:, None, None] + _AT_FERMI_LEVEL).sum(axis=2))


def _insulating_filling(energies: NDArray[np.float64], total: float) -> tuple[int, ...] | None:
    """Return the filled bands of each spin below a common gap that together hold `total` electrons, else None.

    There is one such filling at most: with energy the number of bands below it only grows.
    """
    count = round(total)
    spins, _, most = energies.shape
    if abs(total - count) > _COUNT_TOLERANCE:
        return None
    edge = np.full((spins, 1), np.inf)
    tops = np.hstack([-edge, energies.max(axis=1)])  # of the first n bands
    bottoms = np.hstack([energies.min(axis=1), edge])  # of the band after them
    choices = [(count,)] if spins == 1 else [(up, count - up) for up in range(count + 1)]
    for filling in choices:
        if max(filling) > most:
            continue
        top = max(tops[spin, n] for spin, n in enumerate(filling))
        bottom = min(bottoms[spin, n] for spin, n in enumerate(filling))
        if np.isfinite(top) and np.isfinite(bottom) and bottom - top > _DEGENERATE:
            return filling
    return None


def _spin_gap(energies: NDArray[np.float64], filled: int, result: Result) -> SpinGap:
    """Gap of one spin; energies (k, band) sorted, the first `filled` bands occupied everywhere."""
    top = energies[:, filled - 1] if filled else None
    bottom = energies[:, filled] if filled < energies.shape[1] else None
    if top is None or bottom is None:
        return SpinGap(
            metal=False,
            valence_maximum=None if top is None else float(top.max()),
            conduction_minimum=None if bottom is None else float(bottom.min()),
        )
    assert result.bands is not None  # noqa: S101
    kpoints = result.bands.kpoints
    highest, lowest = int(top.argmax()), int(bottom.argmin())
    places = tuple(tuple(round(float(x), 6) + 0.0 for x in kpoints[i]) for i in (highest, lowest))
    return SpinGap(
        metal=False,
        fundamental=float(bottom.min() - top.max()),
        direct=float((bottom - top).min()),
        valence_maximum=float(top.max()),
        conduction_minimum=float(bottom.min()),
        at=(places[0], places[1]),
        mesh_error=_mesh_error(result, (top, highest), (bottom, lowest)),
    )


def _mesh_error(result: Result, *edges: tuple[NDArray[np.float64], int]) -> float | None:
    """Return by how much the gap may be smaller between the points of the mesh; edges as band (k,) and its point."""
    bands = result.bands
    assert bands is not None  # noqa: S101
    reciprocal = result.structure.lattice.reciprocal_lattice.matrix
    spinors = len(bands.energies) == 1 and electrons_per_band(result) == 1
    turns, directions = symmetries_of(result, spinors=spinors), 3 if bands.labels is None else 1
    errors = [edge_error(band, at, bands.kpoints, reciprocal, turns, directions=directions) for band, at in edges]
    known = [error for error in errors if error is not None]
    return sum(known) if len(known) == len(errors) else None
