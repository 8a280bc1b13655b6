"""Cuts through a density or a potential, ready for a picture."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.grids.shells import place_of
from heterodft.analysis.grids.volume_grid import plane_normal
from heterodft.analysis.readers.grid_files import read_grid
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from heterodft.analysis.grids.volume_grid import GridQuantity, VolumeGrid

__all__ = ["DensitySlice", "SliceAtom"]

_NEAR = 0.5
"""Å from the plane up to which an atom is said to be in it."""
_ON_EDGE = 1e-3
"""Å by which an atom on the edge of the picture may miss it, as positions of few digits do."""
_MOST_POINTS = 4_000_000


@dataclass(frozen=True)
class SliceAtom:
    """An atom in or near the plane: index, element, place in the picture and distance from the plane in Å."""

    site: int
    element: str
    x: float
    y: float
    distance: float


@dataclass(frozen=True)
class DensitySlice:
    """Values on a plane through a point.

    The picture's upward direction is the stacking normal (that of the cell's first two vectors) as far as it lies in
    the plane, so that ``y`` is the height in the stack where the plane holds that normal. Between the points of the
    grid values are those of a periodic cubic spline.

    Attributes
    ----------
    quantity, unit
        Of the grid.
    x, y
        Å along the picture's axes, from the origin of the cell, shapes (nx,) and (ny,).
    values
        Shape (ny, nx).
    through, normal
        Å, a point of the plane; its unit normal. x, y and the normal are right-handed.
    thickness
        Å over which was averaged along the normal, half on each side; 0 of a cut.
    atoms
        Those within 0.5 Å, or half the thickness, of the plane.
    label
        What is at the point.
    source, notes
        Of the grid; what is doubtful.
    """

    quantity: GridQuantity
    unit: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    values: NDArray[np.float64]
    through: tuple[float, float, float]
    normal: tuple[float, float, float]
    thickness: float
    atoms: tuple[SliceAtom, ...]
    label: str
    source: str = ""
    notes: tuple[str, ...] = ()

    @property
    def mean(self) -> float:
        """Mean over the picture."""
        return float(self.values.mean())

    @classmethod
    def from_grid(
        cls,
        grid: VolumeGrid,
        *,
        through: int | Sequence[float],
        normal: str | Sequence[float] = "a",
        thickness: float = 0.0,
        spacing: float = 0.1,
    ) -> DensitySlice:
        """Cut a grid.

        Parameters
        ----------
        grid
            Any but a magnetization, of which take a `component`.
        through
            Index of a site, or fractional coordinates.
        normal
            ``a``, ``b`` or ``c`` for the plane of the two other cell vectors, or a Cartesian vector.
        thickness
            Å to average over along the normal.
        spacing
            Å between the points of the picture.

        Raises
        ------
        ReaderError
            If there is no such site, the normal is none, or the picture would have too many points.
        """
        if grid.quantity == "magnetization":
            raise ReaderError(f"{grid.source}: a magnetization has three components; cut grid.component('z') …")
        place, label = place_of(grid, through)
        point = place @ grid.structure.lattice.matrix
        across, right, up = _axes(grid, normal)
        if not spacing > 0 or not thickness >= 0:
            raise ReaderError(f"spacing {spacing} Å, thickness {thickness} Å: give one above 0 and one not below")
        corners = np.array(list(product((0, 1), repeat=3))) @ grid.structure.lattice.matrix
        x, y = (_points(corners @ axis, spacing) for axis in (right, up))
        if len(x) * len(y) > _MOST_POINTS:
            raise ReaderError(f"a picture of {len(x)} × {len(y)} points: give a larger spacing than {spacing} Å")
        depth = float(point @ across)
        plane = x[None, :, None] * right + y[:, None, None] * up + depth * across
        number = int(thickness / spacing) + 1 if thickness > 0 else 1
        offsets = (np.arange(number) + 0.5) * (thickness / number) - thickness / 2
        values = np.mean([_sample(grid, plane + offset * across) for offset in offsets], axis=0)
        near = max(_NEAR, thickness / 2)
        atoms = _atoms(grid, (right, up, across), (x, y), depth, near)
        return cls(
            quantity=grid.quantity,
            unit=grid.unit,
            x=x,
            y=y,
            values=values,
            through=_triple(point),
            normal=_triple(across),
            thickness=thickness,
            atoms=atoms,
            label=label,
            source=grid.source,
            notes=grid.notes,
        )

    @classmethod
    def read(
        cls,
        folder: Path,
        quantity: GridQuantity = "spin density",
        *,
        through: int | Sequence[float],
        normal: str | Sequence[float] = "a",
        thickness: float = 0.0,
        spacing: float = 0.1,
    ) -> DensitySlice:
        """Read a grid in a folder, or one file, and cut it; arguments as in `from_grid`.

        Raises
        ------
        ReaderError
            If there is no such grid, or as `from_grid`.
        """
        grid = read_grid(folder, quantity)
        return cls.from_grid(grid, through=through, normal=normal, thickness=thickness, spacing=spacing)

    def to_frame(self) -> pd.DataFrame:
        """Return one row a point."""
        import pandas as pd

        x, y = np.meshgrid(self.x, self.y)
        name = f"{self.quantity} ({self.unit})"
        return pd.DataFrame({"x (Å)": x.ravel(), "y (Å)": y.ravel(), name: self.values.ravel()})

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        data = asdict(self) | {name: getattr(self, name).tolist() for name in ("x", "y", "values")}
        return (
            data | {name: list(data[name]) for name in ("through", "normal", "atoms", "notes")} | {"mean": self.mean}
        )

    def plot(self) -> Figure:
        """Draw the picture with its atoms."""
        from heterodft.analysis.plots import draw_density_slice

        return draw_density_slice(self)


def _triple(vector: NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in vector)
    return x, y, z


def _axes(
    grid: VolumeGrid, normal: str | Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the normal of the picture, its direction to the right and that upwards."""
    lattice = grid.structure.lattice
    if isinstance(normal, str):
        if normal not in ("a", "b", "c"):
            raise ReaderError(f"normal '{normal}': give a, b, c or a Cartesian vector")
        across = plane_normal(lattice, "abc".index(normal))
    else:
        across = np.asarray(normal, dtype=np.float64)
        if across.shape != (3,) or not np.isfinite(across).all() or np.linalg.norm(across) < 1e-6:
            raise ReaderError(f"normal {normal}: give a, b, c or a Cartesian vector that is not zero")
        across = across / np.linalg.norm(across)
    stack = plane_normal(lattice, 2)
    up = stack if abs(float(stack @ across)) < 0.999 else lattice.matrix[1]
    up = up - (up @ across) * across
    up = up / np.linalg.norm(up)
    return across, np.cross(up, across), up


def _points(projections: NDArray[np.float64], spacing: float) -> NDArray[np.float64]:
    low, high = float(projections.min()), float(projections.max())
    return np.linspace(low, high, max(2, round((high - low) / spacing) + 1))


def _sample(grid: VolumeGrid, points: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.ndimage import map_coordinates

    fractional = grid.structure.lattice.get_fractional_coords(points) * np.array(grid.shape)
    values: NDArray[np.float64] = map_coordinates(
        grid.values, np.moveaxis(fractional, -1, 0), order=3, mode="grid-wrap"
    )
    return values


def _atoms(
    grid: VolumeGrid,
    axes: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    extent: tuple[NDArray[np.float64], NDArray[np.float64]],
    depth: float,
    near: float,
) -> tuple[SliceAtom, ...]:
    images = np.array(list(product(range(-2, 3), repeat=3)))
    found = []
    for number, site in enumerate(grid.structure):
        copies = (site.frac_coords + images) @ grid.structure.lattice.matrix
        for x, y, z in np.stack([copies @ axis for axis in axes], axis=1):
            inside = all(
                line[0] - _ON_EDGE <= value <= line[-1] + _ON_EDGE for value, line in zip((x, y), extent, strict=True)
            )
            if inside and abs(z - depth) <= near + 1e-6:
                found.append(SliceAtom(number, site.specie.symbol, float(x), float(y), float(z - depth)))
    return tuple(found)
