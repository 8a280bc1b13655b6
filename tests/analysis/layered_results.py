"""Results of a two-block superlattice whose density of states and bands are written by hand."""

from __future__ import annotations

import numpy as np

from heterodft.analysis.result import ORBITALS, Bands, ProjectedDos, Result
from heterodft.structures import Block, build_material, build_superlattice

STRUCTURE = build_superlattice([Block(build_material("SrTiO3"), 2), Block(build_material("LaAlO3"), 2)])
GRID = np.linspace(-10, 10, 2001)  # 0.01 eV


def box(low, high, states):
    """A rectangle that holds `states` in all, its sides halved on the grid so that trapezoids are exact."""
    inside = (low + 1e-9 < GRID) & (high - 1e-9 > GRID)
    ends = (np.abs(GRID - low) < 1e-9) | (np.abs(GRID - high) < 1e-9)
    return (inside + 0.5 * ends) * states / (high - low)


def sites_of(layer):
    """Indices of the atoms of ``SrTiO3:1`` …"""
    properties = STRUCTURE.site_properties
    return [i for i in range(len(STRUCTURE)) if f"{properties['material'][i]}:{properties['layer'][i]}" == layer]


def empty(spins=2, orbitals=ORBITALS, structure=STRUCTURE):
    return np.zeros((len(structure), len(orbitals), spins, len(GRID)))


def make(
    values, *, fermi=0.0, electrons=None, bands=None, orbitals=ORBITALS, total=None, structure=STRUCTURE, **more
):
    """A result with that projected density of states (site, orbital, spin, energy)."""
    total = values.sum(axis=(0, 1)) if total is None else total
    if electrons is None:
        electrons = float(np.trapezoid(total[:, fermi >= GRID].sum(axis=0), dx=GRID[1] - GRID[0]))
    given = {
        "code": "espresso", "version": "7.2", "step": "dos", "structure": structure, "electrons": electrons,
        "energy": None, "fermi_levels": tuple(np.atleast_1d(fermi).tolist()), "total_moment": None,
        "absolute_moment": None, "sites": {}, "converged": None, "iterations": None, "accuracy": None,
        "cpu_seconds": None, "wall_seconds": None, "bands": bands,
        "dos": ProjectedDos(GRID, values, total, orbitals),
    }  # fmt: skip
    return Result(**(given | more))


def two_level_bands(top, bottom, electrons=2, spins=1):
    """Flat bands, half the mesh at (½, 0, 0)."""
    bands = np.array([[[top, bottom]] * 2] * spins)
    points = np.array([[0, 0, 0], [0.5, 0, 0]])
    return Bands(bands, (bands <= top) * 1.0, points, np.array([0.5, 0.5]))
