"""What a calculation will take, before it runs: electrons, bands, plane waves, k-points, core-hours."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import pi, sqrt
from typing import TYPE_CHECKING, Any

import spglib

from heterodft.templates.espresso import band_count, electron_count
from heterodft.templates.pseudopotentials import find_pseudopotentials
from heterodft.templates.species import build_species_table
from heterodft.units import BOHR, RYDBERG

if TYPE_CHECKING:
    from pathlib import Path

    from heterodft.workflows.calculation import Request

__all__ = ["Cost", "estimate_cost", "irreducible_kpoints"]

_SECONDS = 3.8e-8
"""Core-seconds of pw.x 6.7 for one band, band, plane wave, k-point, spin and iteration; measured on the ten-atom
(LaAlO3)1/(SrTiO3)1 cell: 6.1 core-seconds for 45 bands, 3300 plane waves, 2 spins, 12 iterations."""
_ITERATIONS = {"static": 14, "dos": 8}
"""Iterations of an SCF cycle; an nscf diagonalisation takes as long as about eight of them."""


@dataclass(frozen=True)
class Cost:
    """Size and estimated cost of one calculation; the cost is good to a factor of three."""

    atoms: int
    electrons: float
    species: int
    bands: int
    plane_waves: int
    kpoints: int
    spins: int
    core_hours: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return asdict(self)


def irreducible_kpoints(request: Request) -> int:
    """Return the number of k-points of the mesh that no symmetry of the cell relates."""
    structure = request.to_structure()
    table = build_species_table(structure, moments=request.moments, hubbard=request.hubbard)
    kinds = [list(dict.fromkeys(table.site_labels)).index(label) for label in table.site_labels]
    cell = (structure.lattice.matrix.tolist(), structure.frac_coords.tolist(), kinds)
    settings = request.settings
    mapping, _ = spglib.get_ir_reciprocal_mesh(settings.kpoints, cell, is_shift=settings.shift, symprec=1e-5)
    return len(set(mapping.tolist()))


def estimate_cost(request: Request, *, pseudo_dir: Path | None = None) -> Cost:
    """Estimate the size and cost of a calculation.

    Plane waves: N = V k³ / 6π² with k² = E_cut in Rydberg atomic units.
    """
    structure = request.to_structure()
    settings = request.settings
    files = find_pseudopotentials(request.pseudopotentials, xc=settings.xc, folder=pseudo_dir)
    electrons = electron_count(structure, files)
    bands = band_count(electrons, settings.empty_bands, total_moment=sum(request.moments or ()))
    waves = structure.volume / BOHR**3 * sqrt(settings.cutoff / RYDBERG) ** 3 / (6 * pi**2)
    spins = 1 if request.moments is None else 2
    kpoints = irreducible_kpoints(request)
    seconds = _SECONDS * bands**2 * waves * kpoints * spins * _ITERATIONS[request.step]
    table = build_species_table(structure, moments=request.moments, hubbard=request.hubbard)
    return Cost(len(structure), electrons, len(table.species), bands, round(waves), kpoints, spins, seconds / 3600)
