"""Densities integrated in spheres: around every atom, and in shells around a defect.

A sphere is integrated in reciprocal space, ``∫ ρ = Σ_G ρ_G exp(iG·r0) 4π (sin GR − GR cos GR) / G³``, which is exact
for the density that a plane-wave code wrote, at any place and radius, and takes in the periodic images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.densities import INTEGRAL_UNITS
from heterodft.analysis.readers.grid_files import read_grid
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike, NDArray

    from heterodft.analysis.grids.volume_grid import GridQuantity, VolumeGrid

__all__ = ["DefectShells", "integrate_spheres", "place_of"]


@dataclass(frozen=True)
class DefectShells:
    """Moment or charge inside spheres around a place, as they grow.

    Attributes
    ----------
    quantity, unit
        ``spin density`` in μB or ``charge density`` in e.
    center
        Fractional coordinates.
    label
        What is there: ``site 12 (Ti)`` or the coordinates.
    radii
        Å, shape (m,), increasing.
    inside
        Integral within each radius, shape (m,).
    source, notes
        Of the grid; what is doubtful.
    """

    quantity: GridQuantity
    unit: str
    center: tuple[float, float, float]
    label: str
    radii: NDArray[np.float64]
    inside: NDArray[np.float64]
    source: str = ""
    notes: tuple[str, ...] = ()

    @property
    def shells(self) -> NDArray[np.float64]:
        """Integral between each radius and the one before, the first from the center; shape (m,)."""
        return np.diff(self.inside, prepend=0.0)

    @classmethod
    def from_grid(
        cls, grid: VolumeGrid, *, center: int | Sequence[float], radii: ArrayLike | None = None
    ) -> DefectShells:
        """Integrate around a place.

        Parameters
        ----------
        grid
            A charge or spin density; of a magnetization take a `component`.
        center
            Index of a site, or fractional coordinates (of a vacancy).
        radii
            Å; without, every 0.1 Å up to half the shortest distance of the place from its own periodic image.

        Raises
        ------
        ReaderError
            If it is no density with a sign, the site does not exist, or radii do not grow from above 0.
        """
        _density(grid)
        place, label = place_of(grid, center)
        nearest = float(min(np.linalg.norm(v) for v in grid.structure.lattice.get_lll_reduced_lattice().matrix))
        given: NDArray[np.float64] = np.arange(1, int(nearest / 0.2) + 1, dtype=np.float64) / 10
        if radii is not None:
            given = np.atleast_1d(np.asarray(radii, dtype=np.float64))
        if not len(given) or not np.isfinite(given).all() or given[0] <= 0 or (np.diff(given) <= 0).any():
            raise ReaderError(f"radii {given.tolist()} Å: they must grow, from above 0")
        notes = grid.notes
        if given[-1] > nearest / 2 + 1e-9:
            notes += (f"above {nearest / 2:.2f} Å a sphere overlaps those of its periodic images",)
        inside = _grow(grid, place, given)
        unit = INTEGRAL_UNITS[grid.quantity]
        x, y, z = (float(value) for value in place)
        return cls(grid.quantity, unit, (x, y, z), label, given, inside, grid.source, notes)

    @classmethod
    def read(
        cls,
        folder: Path,
        quantity: GridQuantity = "spin density",
        *,
        center: int | Sequence[float],
        radii: ArrayLike | None = None,
    ) -> DefectShells:
        """Read CHGCAR or what pp.x left in a folder, or one such file; arguments as in `from_grid`.

        Raises
        ------
        ReaderError
            If there is no such grid, or as `from_grid`.
        """
        return cls.from_grid(read_grid(folder, quantity), center=center, radii=radii)

    def to_frame(self) -> pd.DataFrame:
        """Return one row a radius."""
        import pandas as pd

        name = "charge" if self.quantity == "charge density" else "moment"
        return pd.DataFrame(
            {
                "radius (Å)": self.radii,
                f"{name} inside ({self.unit})": self.inside,
                f"{name} of the shell ({self.unit})": self.shells,
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        words = {name: getattr(self, name) for name in ("quantity", "unit", "label", "source")}
        arrays = {name: getattr(self, name).tolist() for name in ("radii", "inside", "shells")}
        return words | arrays | {"center": list(self.center), "notes": list(self.notes)}

    def plot(self) -> Figure:
        """Draw the moment inside against the radius."""
        from heterodft.analysis.plots import draw_defect_shells

        return draw_defect_shells(self)


def integrate_spheres(
    grid: VolumeGrid, radii: float | Mapping[str, float] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Integrate a density in a sphere around every atom.

    Parameters
    ----------
    grid
        A density; of a magnetization take a `component`.
    radii
        Å; one for all, or by element. Without, half the distance to the nearest neighbour of each atom.

    Returns
    -------
    tuple
        Radii in Å and integrals, each of shape (site,).

    Raises
    ------
    ReaderError
        If it is no density, or an element has no radius.
    """
    _density(grid)
    structure = grid.structure
    if radii is None:
        distances = structure.distance_matrix.copy()
        np.fill_diagonal(distances, np.inf)
        images = min(np.linalg.norm(v) for v in structure.lattice.get_lll_reduced_lattice().matrix)
        chosen = np.minimum(distances.min(axis=1), float(images)) / 2
    elif isinstance(radii, Mapping):
        missing = {site.specie.symbol for site in structure} - set(radii)
        if missing:
            raise ReaderError(f"no radius for {', '.join(sorted(missing))}; give one for each element")
        chosen = np.array([radii[site.specie.symbol] for site in structure])
    else:
        chosen = np.full(len(structure), float(radii))
    waves, lengths, indices = _waves(grid)
    integrals = np.empty(len(structure))
    for radius in np.unique(chosen):
        weighted = waves * _sphere_factor(lengths, float(radius))
        for number in np.flatnonzero(chosen == radius):
            phases = [np.exp(2j * np.pi * k * f) for k, f in zip(indices, structure.frac_coords[number], strict=True)]
            integrals[number] = (((weighted @ phases[2]) @ phases[1]) @ phases[0]).real
    return chosen, integrals


def place_of(grid: VolumeGrid, center: int | Sequence[float]) -> tuple[NDArray[np.float64], str]:
    """Return fractional coordinates of a site or of a given place, and what to call it.

    Raises
    ------
    ReaderError
        If there is no such site, or these are no coordinates.
    """
    if isinstance(center, int | np.integer):
        if not 0 <= center < len(grid.structure):
            raise ReaderError(f"there is no site {center}; sites are 0 to {len(grid.structure) - 1}")
        site = grid.structure[int(center)]
        return np.asarray(site.frac_coords, dtype=np.float64), f"site {center} ({site.species_string})"
    place = np.asarray(center, dtype=np.float64)
    if place.shape != (3,) or not np.isfinite(place).all():
        raise ReaderError(f"'{center}' is no place: give the index of a site or three fractional coordinates")
    return place, "(" + ", ".join(f"{value:.4g}" for value in place) + ")"


def _density(grid: VolumeGrid) -> None:
    if grid.quantity == "magnetization":
        raise ReaderError(f"{grid.source}: a magnetization has three components; take grid.component('z') …")
    if grid.quantity not in INTEGRAL_UNITS:
        raise ReaderError(f"{grid.source}: a {grid.quantity} cannot be added up in spheres; take a density")


def _waves(
    grid: VolumeGrid,
) -> tuple[NDArray[np.complex128], NDArray[np.float64], tuple[NDArray[np.int64], ...]]:
    """Return c_G with ρ = Re Σ c_G exp(iG·r) over half of the G, their lengths in 1/Å, and their indices."""
    shape = grid.shape
    waves: NDArray[np.complex128] = np.fft.rfftn(grid.values) * (2 / np.prod(shape))
    waves[..., 0] /= 2
    if shape[2] % 2 == 0:
        waves[..., -1] /= 2
    first, second = (np.rint(np.fft.fftfreq(n) * n).astype(np.int64) for n in shape[:2])
    indices = (first, second, np.arange(waves.shape[2]))
    reciprocal = grid.structure.lattice.reciprocal_lattice.matrix
    parts = [k.astype(np.float64)[:, None] * vector for k, vector in zip(indices, reciprocal, strict=True)]
    vectors = parts[0][:, None, None] + parts[1][None, :, None] + parts[2][None, None, :]
    return waves, np.sqrt(np.einsum("...i,...i->...", vectors, vectors)), indices


def _sphere_factor(lengths: NDArray[np.float64], radius: float) -> NDArray[np.float64]:
    """Return ∫ exp(iG·r) over a sphere around 0, in Å³."""
    x = lengths * radius
    small = x < 1e-3
    safe = np.where(small, 1.0, x)
    ratio = np.where(small, 1 / 3 - x**2 / 30, (np.sin(safe) - safe * np.cos(safe)) / safe**3)
    factor: NDArray[np.float64] = 4 * np.pi * radius**3 * ratio
    return factor


def _grow(grid: VolumeGrid, place: NDArray[np.float64], radii: NDArray[np.float64]) -> NDArray[np.float64]:
    waves, lengths, indices = _waves(grid)
    first, second, third = (np.exp(2j * np.pi * k * f) for k, f in zip(indices, place, strict=True))
    here = (waves * first[:, None, None] * second[None, :, None] * third[None, None, :]).real
    known, where = np.unique(np.round(lengths, 9), return_inverse=True)
    sums = np.bincount(where.ravel(), weights=here.ravel(), minlength=len(known))
    return np.array([float(sums @ _sphere_factor(known, float(radius))) for radius in radii])
