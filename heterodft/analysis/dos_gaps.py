"""Which gap of a density of states is that of the material when the Fermi level is in a band."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.dos_arrays import charge_channels
from heterodft.analysis.integrals import find_dos_gaps
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from heterodft.analysis.pdos import LayerDos

__all__ = ["energy_inside", "nearest_gap", "notes_on"]

_EMPTY = 5e-4
"""States per eV and Å² of the in-plane cell below which a density counts as empty, whatever the thickness.

A hundredth of one two-dimensional band of free electrons, m/(π ħ²) = 0.0418, so that no such band is missed.
"""
_USUAL_AREA = 15.0
"""Å², of a perovskite cell."""


def energy_inside(dos: LayerDos, energy: float) -> float:
    """Return an energy inside the gap that the user gave, eV from the reference.

    Raises
    ------
    ReaderError
        If the density of states does not reach it.
    """
    low, high = float(dos.energies[0]), float(dos.energies[-1])
    if not low < energy < high:
        raise ReaderError(
            f"{energy:g} eV from the {dos.reference_name} is outside of the density of states, {low:.1f} to "
            f"{high:.1f} eV; give an energy inside the gap"
        )
    return energy


def notes_on(dos: LayerDos, energy: float) -> list[str]:
    """Return that an energy the user gave is in no gap; nothing where it is in one."""
    area = dos.area if dos.area is not None else _USUAL_AREA
    states = float(np.interp(energy, dos.energies, _density(dos, None)))
    if states <= _EMPTY * area:
        return []
    return [
        f"{energy:g} eV from the {dos.reference_name}, as given, is in no gap: the cell has {states:.2g} states/eV "
        "there, and edges and carriers counted from it tell nothing"
    ]


def nearest_gap(
    dos: LayerDos, group: int | None = None, *, width: float = 0.3, reach: float = 3.0
) -> tuple[float, float]:
    """Return the gap of a density of states that is nearest to the Fermi level, eV relative to the reference.

    Parameters
    ----------
    dos
        Of `LayerDos.from_result`.
    group
        Index of a layer or plane; by default the whole cell.
    width
        eV; narrower ones are passed over.
    reach
        eV between the Fermi level and the gap at most.

    Raises
    ------
    ReaderError
        If there is none.
    """
    density = _density(dos, group)
    area = dos.area if dos.area is not None else _USUAL_AREA
    gaps = find_dos_gaps(dos.energies, density, floor=_EMPTY * area, width=width, rule=dos.rule)
    near = [(max(low, -high, 0.0), low, high) for low, high in gaps if max(low, -high) < reach]
    if not near:
        name = "the cell" if group is None else dos.groups[group].label
        raise ReaderError(
            f"the density of states of {name} has no gap of {width:g} eV within {reach:g} eV of the "
            f"{dos.reference_name}, so valence and conduction bands cannot be told apart; "
            "give the energy inside the gap yourself: analyze --edge, in Python start= or edge="
        )
    _, low, high = min(near)
    return low, high


def _density(dos: LayerDos, group: int | None) -> NDArray[np.float64]:
    if group is not None:
        return np.asarray(dos.values[group].sum(axis=(0, 1)))
    if dos.total is None:
        return np.asarray(dos.values.sum(axis=(0, 1, 2)))
    return np.asarray(charge_channels(dos.total).sum(axis=0))
