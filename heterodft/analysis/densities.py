"""Charge, spin and magnetization density integrated layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.grids.periodic import integrate_between
from heterodft.analysis.layers import find_layering
from heterodft.analysis.readers.grid_files import read_grid
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from heterodft.analysis.grids import GridQuantity, VolumeGrid
    from heterodft.analysis.layers import Layering

__all__ = ["INTEGRAL_UNITS", "SlabIntegrals", "write_density_cube"]

INTEGRAL_UNITS = {"charge density": "e", "spin density": "μB", "magnetization": "μB"}
"""Of a density once it is integrated."""


@dataclass(frozen=True)
class SlabIntegrals:
    """A density integrated between the bottom and the top of each layer or plane.

    ``N_i = S ∫ ρ(z) dz`` from bottom to top of layer i, with ρ(z) the planar average and S the area of the cell. The
    planar average is taken as the trigonometric polynomial through its points, which it is in a plane-wave code, so
    that bounds between points need no rounding, and the layers add up to the cell.

    In a pseudopotential code these are electrons of the density that the code wrote, which follows from no choice of
    radii or projections; they depend on where the bounds are, half way between neighbouring planes.

    Attributes
    ----------
    quantity, unit
        ``charge density`` in e, ``spin density`` or ``magnetization`` in μB.
    by
        ``layer`` or ``plane``.
    labels, formulas
        Of each.
    heights, bottoms, tops
        Å along the normal, shape (group,).
    values
        Shape (group,), or (group, 3) of a magnetization.
    total
        Of the cell, shape () or (3,).
    source, notes
        Of the grid; what is doubtful.
    """

    quantity: GridQuantity
    unit: str
    by: str
    labels: tuple[str, ...]
    formulas: tuple[str, ...]
    heights: NDArray[np.float64]
    bottoms: NDArray[np.float64]
    tops: NDArray[np.float64]
    values: NDArray[np.float64]
    total: NDArray[np.float64]
    source: str = ""
    notes: tuple[str, ...] = ()

    @classmethod
    def from_grid(cls, grid: VolumeGrid, *, layering: Layering | None = None, by: str = "layer") -> SlabIntegrals:
        """Integrate a density.

        Parameters
        ----------
        grid
            Of a density.
        layering
            The layers; found in the structure without. They may be stacked along any of the cell vectors.
        by
            ``layer`` or ``plane``.

        Raises
        ------
        ReaderError
            If it is a potential, or the layers cannot be told.
        """
        if grid.quantity not in INTEGRAL_UNITS:
            raise ReaderError(f"{grid.source}: a {grid.quantity} cannot be added up by layer; see PlanarAverage")
        layering = find_layering(grid.structure) if layering is None else layering
        groups = layering.groups(by)
        axis = "abc".index(layering.axis)
        _, planar = grid.planar_average(axis)
        period = grid.period(axis)
        area = grid.structure.volume / period
        values = np.array([integrate_between(planar, period, group.bottom, group.top) for group in groups]) * area
        total = np.asarray(grid.integrate())
        notes = grid.notes
        if not np.allclose(values.sum(axis=0), total, atol=1e-6 * (1 + np.abs(values).sum())):
            notes += ("the layers do not fill the cell exactly once, so that they do not add up to it",)
        return cls(
            quantity=grid.quantity,
            unit=INTEGRAL_UNITS[grid.quantity],
            by=by,
            labels=tuple(group.label for group in groups),
            formulas=tuple(group.formula for group in groups),
            heights=np.array([group.height for group in groups]),
            bottoms=np.array([group.bottom for group in groups]),
            tops=np.array([group.top for group in groups]),
            values=values,
            total=total,
            source=grid.source,
            notes=notes,
        )

    @classmethod
    def read(
        cls,
        folder: Path,
        quantity: GridQuantity = "spin density",
        *,
        layering: Layering | None = None,
        by: str = "layer",
    ) -> SlabIntegrals:
        """Read CHGCAR or what pp.x left in a folder, or one such file; arguments as in `from_grid`.

        Raises
        ------
        ReaderError
            If there is no such grid, or as `from_grid`.
        """
        return cls.from_grid(read_grid(folder, quantity), layering=layering, by=by)

    def to_frame(self) -> pd.DataFrame:
        """Return one row a layer."""
        import pandas as pd

        frame = pd.DataFrame(
            {
                self.by: self.labels,
                "formula": self.formulas,
                "height (Å)": self.heights,
                "bottom (Å)": self.bottoms,
                "top (Å)": self.tops,
            }
        )
        name = "charge" if self.quantity == "charge density" else "moment"
        if self.values.ndim == 1:
            frame[f"{name} ({self.unit})"] = self.values
        else:
            for axis, column in zip("xyz", self.values.T, strict=True):
                frame[f"{name} {axis} ({self.unit})"] = column
        return frame

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        arrays = ("heights", "bottoms", "tops", "values", "total")
        words = ("quantity", "unit", "by", "source")
        data = {name: getattr(self, name) for name in words} | {name: getattr(self, name).tolist() for name in arrays}
        return data | {name: list(getattr(self, name)) for name in ("labels", "formulas", "notes")}

    def plot(self) -> Figure:
        """Draw a profile against height."""
        from heterodft.analysis.plots import draw_slab_integrals

        return draw_slab_integrals(self)


def write_density_cube(
    folder: Path, path: Path, quantity: GridQuantity = "spin density", *, component: str | None = None
) -> Path:
    """Write a density of a finished calculation as a cube file for isosurfaces.

    Parameters
    ----------
    folder
        With CHGCAR or what pp.x left, or one such file.
    path
        To write to.
    quantity
        Which density; of a noncollinear run the spin density is that along z, the magnetization its absolute value.
    component
        ``x``, ``y`` or ``z`` of a magnetization.

    Raises
    ------
    ReaderError
        If there is no such grid.
    """
    grid = read_grid(folder, "magnetization" if component else quantity)
    return (grid.component(component) if component else grid).write_cube(path)
