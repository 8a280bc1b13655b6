"""What one file of a VASP folder says: the same fields for every file, None where it is silent."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.readers.vasp.method import VaspSettings
from heterodft.analysis.readers.vasp.orbitals import in_our_order
from heterodft.analysis.result import Bands, HubbardOccupations, ProjectedDos, SiteValues

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from heterodft.analysis.readers.vasp.outcar import Ending

__all__ = ["Source", "density_of_states", "project", "sphere_values"]


@dataclass(frozen=True)
class Source:
    """What one file says of one ionic step, sites in VASP's order; units as in `Result`.

    Attributes
    ----------
    name
        Of the file.
    whole
        Whether it was written to its end.
    rough
        Whether its positions have few decimals.
    ionic_steps
        How many ended.
    cycle_converged
        Whether the last self-consistent cycle did; None where the file does not tell.
    relaxed
        Whether the structure reached its tolerance; None where the file does not tell.
    ending
        Of an OUTCAR.
    """

    name: str
    whole: bool = True
    version: str | None = None
    settings: VaspSettings = field(default_factory=VaspSettings)
    elements: tuple[str, ...] | None = None
    sites: int | None = None
    lattice: NDArray[np.float64] | None = None
    fractional: NDArray[np.float64] | None = None
    rough: bool = False
    ionic_steps: int | None = None
    energy: float | None = None
    iterations: int | None = None
    accuracy: float | None = None
    cycle_converged: bool | None = None
    relaxed: bool | None = None
    ending: Ending | None = None
    electrons: float | None = None
    fermi_level: float | None = None
    moment: tuple[float, ...] | None = None
    sphere: SiteValues | None = None
    forces: NDArray[np.float64] | None = None
    stress: NDArray[np.float64] | None = None
    bands: Bands | None = None
    dos: ProjectedDos | None = None
    cpu_seconds: float | None = None
    wall_seconds: float | None = None
    occupations: tuple[HubbardOccupations, ...] | None = None
    notes: tuple[str, ...] = ()


def project(bands: Bands, values: NDArray[np.float64] | None, columns: Sequence[str]) -> Bands:
    """Give bands their projections, in our order; those without stay as they are."""
    if values is None:
        return bands
    projections, orbitals = in_our_order(values, columns[: values.shape[-1]], axis=-1)
    return replace(bands, projections=projections, orbitals=orbitals)


def density_of_states(
    energies: NDArray[np.float64],
    total: NDArray[np.float64],
    partial: NDArray[np.float64] | None,
    columns: Sequence[str] | None,
    *,
    sites: int,
) -> ProjectedDos:
    """Return densities in our order; of a run without LORBIT, with no orbital at all."""
    if partial is None or not columns:
        return ProjectedDos(energies, np.zeros((sites, 0, len(total), len(energies))), total, ())
    values, orbitals = in_our_order(partial, columns, axis=1)
    return ProjectedDos(energies, values, total, orbitals)


def sphere_values(
    charges: NDArray[np.float64],
    shell_charges: NDArray[np.float64],
    moments: list[NDArray[np.float64]] | None,
    shell_moments: list[NDArray[np.float64]] | None,
) -> SiteValues:
    """Return the numbers in spheres; of a noncollinear run z is the moment, and the vectors are there too."""
    return SiteValues(
        "sphere",
        tuple(map(float, charges)),
        None if not moments else tuple(map(float, moments[-1])),
        vectors=np.stack(moments, axis=1) if moments and len(moments) == 3 else None,
        shell_charges=shell_charges,
        shell_moments=shell_moments[-1] if shell_moments else None,
    )
