"""Potentials and densities along the stack: planar and macroscopic averages, layer by layer."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.grids import plane_normal
from heterodft.analysis.grids.periodic import box_average
from heterodft.analysis.grids.plateaus import (
    BlockAverage,
    LayerAverage,
    Step,
    VacuumLevel,
    average_blocks,
    average_layers,
    find_vacuum,
    steps_between,
    vacuum_levels,
    window_of,
)
from heterodft.analysis.layers import find_layering
from heterodft.analysis.readers import read_folder
from heterodft.analysis.readers.espresso.grids import read_average
from heterodft.analysis.readers.grid_files import read_grid
from heterodft.errors import ReaderError
from heterodft.units import BOHR, RYDBERG

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from heterodft.analysis.grids import GridQuantity, VolumeGrid
    from heterodft.analysis.layers import Layering

__all__ = ["PlanarAverage", "band_offset"]


@dataclass(frozen=True)
class PlanarAverage:
    """A potential or density along the stack.

    The planar average is that over planes parallel to the two other cell vectors, f(z) = 1/S ∫ f(x, y, z) dx dy; the
    macroscopic average is that of the planar one over a window, F(z) = 1/w ∫ f(z') dz' from z − w/2 to z + w/2, and
    once more over a second window where the two materials have different periods (Baldereschi, Baroni and Resta,
    Phys. Rev. Lett. 61, 734 (1988)). The windows may have any width; what is averaged is the trigonometric
    polynomial through the points.

    Attributes
    ----------
    quantity, unit
        Of the grid: ``potential`` in eV, a density in e/Å³ or μB/Å³.
    heights
        Å along the normal of the planes, shape (n,), from 0, without the end of the period.
    planar, macroscopic
        Shape (n,).
    windows
        Å; one, or two.
    window_source
        Where they are from: ``given``, or of which layers they are the thickness.
    period
        Å along the normal.
    layers
        Of each layer, see `LayerAverage`; empty where the layers cannot be told.
    blocks, steps
        Straight lines through the blocks, and the steps between them, see `BlockAverage` and `Step`.
    vacuum
        Levels below and above a slab, see `VacuumLevel`; empty without a vacuum, or of a density.
    fermi_level
        eV; None where it was not read.
    source, notes
        Of the grid; what is doubtful.
    """

    quantity: GridQuantity
    unit: str
    heights: NDArray[np.float64]
    planar: NDArray[np.float64]
    macroscopic: NDArray[np.float64]
    windows: tuple[float, ...]
    window_source: str
    period: float
    layers: tuple[LayerAverage, ...] = ()
    blocks: tuple[BlockAverage, ...] = ()
    steps: tuple[Step, ...] = ()
    vacuum: tuple[VacuumLevel, ...] = ()
    fermi_level: float | None = None
    source: str = ""
    notes: tuple[str, ...] = ()

    @classmethod
    def from_grid(
        cls,
        grid: VolumeGrid,
        *,
        layering: Layering | None = None,
        window: float | Sequence[float] | None = None,
        axis: int | None = None,
        fermi_level: float | None = None,
    ) -> PlanarAverage:
        """Average a grid.

        Parameters
        ----------
        grid
            A potential or a density; of a magnetization take a `component`.
        layering
            The layers; found in the structure without.
        window
            Å; one or two. Without, the thickness of a layer, of both materials where these differ by more than 1 %.
        axis
            0, 1 or 2: along which cell vector the planes follow each other; by default that of the layers.
        fermi_level
            eV, for the work function.

        Raises
        ------
        ReaderError
            If the grid has components, no window is given and no layers can be told, or the layers are stacked along
            another axis.
        """
        if grid.quantity == "magnetization":
            raise ReaderError(f"{grid.source}: a magnetization has three components; average grid.component('z') …")
        layering, notes = _layering(grid, layering, axis)
        axis = axis if axis is not None else 2 if layering is None else "abc".index(layering.axis)
        heights, planar = grid.planar_average(axis)
        period = grid.period(axis)
        windows, window_source = _windows(window, layering, period, grid.source)
        macroscopic = planar
        for width in windows:
            macroscopic = box_average(macroscopic, period, width)
        gap = find_vacuum(grid.structure, axis)
        own = layering.layers if layering is not None else ()
        blocks, doubts = average_blocks(own, macroscopic, period, windows, gap)
        levels = vacuum_levels(planar, period, gap) if gap and grid.quantity == "potential" else ()
        doubts += tuple(level.doubt for level in levels if level.doubt)
        return cls(
            quantity=grid.quantity,
            unit=grid.unit,
            heights=heights,
            planar=planar,
            macroscopic=macroscopic,
            windows=windows,
            window_source=window_source,
            period=period,
            layers=average_layers(own, macroscopic, period, gap),
            blocks=blocks,
            steps=steps_between(blocks, period, gap),
            vacuum=levels,
            fermi_level=fermi_level,
            source=grid.source,
            notes=grid.notes + notes + doubts,
        )

    @classmethod
    def read(
        cls,
        folder: Path,
        quantity: GridQuantity = "potential",
        *,
        layering: Layering | None = None,
        window: float | Sequence[float] | None = None,
        axis: int | None = None,
    ) -> PlanarAverage:
        """Read LOCPOT, CHGCAR or what pp.x left in a folder, or one such file; arguments as in `from_grid`.

        Raises
        ------
        ReaderError
            If there is no such grid, or as `from_grid`.
        """
        grid = read_grid(folder, quantity)
        average = cls.from_grid(grid, layering=layering, window=window, axis=axis)
        if not average.vacuum:
            return average
        return replace(average, fermi_level=_fermi_level(folder))

    @classmethod
    def from_average_file(
        cls, path: Path, quantity: GridQuantity, *, structure: Structure | None = None, axis: int = 2
    ) -> PlanarAverage:
        """Read what average.x wrote of a file of pp.x; its window is not in the file.

        average.x counts along the cell vector, and so does its window. Where that vector leans, the structure is
        needed to turn this into heights along the normal.

        Parameters
        ----------
        path, quantity
            ``avg.dat``, and what was averaged.
        structure
            The cell, against which the number of rows is checked; without, one at right angles is supposed.
        axis
            Along which cell vector it was averaged.

        Raises
        ------
        ReaderError
            If it cannot be read, or has other rows than fill the cell.
        """
        table = read_average(path)
        rows = len(table.heights)
        length = float(table.heights[-1] - table.heights[0]) * rows / (rows - 1)
        upright = 1.0
        notes: tuple[str, ...] = ("the number of rows of average.x was not checked, without a structure",)
        if structure is not None:
            vector, notes = structure.lattice.matrix[axis], ()
            along = float(np.linalg.norm(vector))
            upright = float(vector @ plane_normal(structure.lattice, axis)) / along
            if abs(length - along) > 1e-4 * along:
                raise ReaderError(f"{path} spans {length:.4f} Å of {along:.4f} Å: it is cut off; copy it again")
        factor = RYDBERG if quantity == "potential" else BOHR**-3
        unit = {"potential": "eV", "charge density": "e/Å³"}.get(quantity, "μB/Å³")
        return cls(
            quantity=quantity,
            unit=unit,
            heights=table.heights * upright,
            planar=table.planar * factor,
            macroscopic=table.macroscopic * factor,
            windows=(),
            window_source="average.x, which does not tell it",
            period=length * upright,
            source=path.name,
            notes=notes,
        )

    def work_functions(self, fermi_level: float | None = None) -> dict[str, float]:
        """Return the vacuum level minus the Fermi level in eV, ``below`` and ``above`` the slab.

        Raises
        ------
        ReaderError
            Without a vacuum or a Fermi level.
        """
        level = self.fermi_level if fermi_level is None else fermi_level
        if not self.vacuum:
            raise ReaderError(f"{self.source}: there is no vacuum of a potential here, hence no work function")
        if level is None:
            raise ReaderError(f"{self.source}: the Fermi level is not known; say fermi_level=")
        return {vacuum.side: vacuum.level - level for vacuum in self.vacuum}

    def to_frame(self) -> pd.DataFrame:
        """Return one row a point."""
        import pandas as pd

        return pd.DataFrame(
            {
                "height (Å)": self.heights,
                f"planar average ({self.unit})": self.planar,
                f"macroscopic average ({self.unit})": self.macroscopic,
            }
        )

    def layers_frame(self) -> pd.DataFrame:
        """Return one row a layer."""
        import pandas as pd

        rows = [
            {
                "layer": layer.label,
                "height (Å)": layer.height,
                "bottom (Å)": layer.bottom,
                "top (Å)": layer.top,
                f"mean ({self.unit})": layer.mean,
                f"spread ({self.unit})": layer.spread,
                f"slope ({self.unit}/Å)": layer.slope,
            }
            for layer in self.layers
        ]
        return pd.DataFrame(rows)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        data = asdict(self)
        arrays = {name: getattr(self, name).tolist() for name in ("heights", "planar", "macroscopic")}
        parts = ("layers", "blocks", "steps", "vacuum", "windows", "notes")
        return data | arrays | {name: list(data[name]) for name in parts}

    def plot(self) -> Figure:
        """Draw both averages."""
        from heterodft.analysis.plots import draw_planar_average

        return draw_planar_average(self)


def band_offset(
    *, valence_edge_a: float, potential_a: float, valence_edge_b: float, potential_b: float, step: float
) -> float:
    """Return the valence band offset E_v(b) − E_v(a) in eV at an interface of a and b.

    ``E_v(b) − E_v(a) = (E_v,b − V_b) − (E_v,a − V_a) + ΔV``: the valence band edges are taken relative to the mean
    potential in a bulk cell of each, strained as in the superlattice, and put on one scale by the step of the
    macroscopic average of the potential across the interface, ΔV = V(b) − V(a). The same with conduction band edges.

    Parameters
    ----------
    valence_edge_a, potential_a
        eV, both of the same bulk calculation of a: the valence band maximum, and the mean of its potential.
    valence_edge_b, potential_b
        Likewise of b.
    step
        eV; of the superlattice, macroscopic average in b minus that in a (`PlanarAverage.steps`).

    References
    ----------
    Van de Walle and Martin, Phys. Rev. B 35, 8154 (1987); Baldereschi, Baroni and Resta, Phys. Rev. Lett. 61, 734
    (1988).

    Examples
    --------
    >>> band_offset(valence_edge_a=5.0, potential_a=1.0, valence_edge_b=5.5, potential_b=1.0, step=-0.2)
    0.3
    """
    return round((valence_edge_b - potential_b) - (valence_edge_a - potential_a) + step, 12)


def _layering(grid: VolumeGrid, given: Layering | None, axis: int | None) -> tuple[Layering | None, tuple[str, ...]]:
    if axis not in (None, 0, 1, 2):
        raise ReaderError(f"axis {axis}: give 0, 1 or 2")
    name = None if axis is None else "abc"[axis]
    if given is not None and name not in (None, given.axis):
        raise ReaderError(f"axis {axis}: the layers are stacked along {given.axis}; leave axis out, or the layers")
    if given is not None:
        return given, ()
    try:
        # Labels of the builder are of its own stacking, along c.
        return find_layering(grid.structure, axis=name, layers=None if name in (None, "c") else "composition"), ()
    except ReaderError as error:
        return None, (str(error),)


def _windows(
    given: float | Sequence[float] | None, layering: Layering | None, period: float, source: str
) -> tuple[tuple[float, ...], str]:
    if given is None and layering is None:
        raise ReaderError(
            f"{source}: the layers cannot be told, hence no window of the macroscopic average; say window="
        )
    if given is None and layering is not None:
        return window_of(layering)
    widths = tuple(float(width) for width in np.atleast_1d(np.asarray(given, dtype=np.float64)))
    if not 1 <= len(widths) <= 2 or not all(0 < width <= period for width in widths):
        raise ReaderError(
            f"a window of {given} Å: give one or two, each above 0 and up to the period of {period:.3f} Å"
        )
    return widths, "given"


def _fermi_level(folder: Path) -> float | None:
    """Return the Fermi level of a folder, the higher of two; None where its results cannot be read."""
    try:
        return max(read_folder(folder).fermi_levels, default=None) if folder.is_dir() else None
    except ReaderError:
        return None
