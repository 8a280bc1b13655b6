"""Density of states by layer or plane, orbital, element and spin, and electrons in an energy window."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.dos_arrays import (
    charge_channels,
    counted_dos,
    in_plane_area,
    projected_dos,
    resolve_columns,
    sampled_dos,
    spin_names,
)
from heterodft.analysis.dos_checks import check_dos
from heterodft.analysis.energy_zero import filled_up_to, reference_energy
from heterodft.analysis.gap_levels import levels_in_gap
from heterodft.analysis.integrals import Rule, broaden, integrate, rule_of
from heterodft.analysis.layers import AtomicPlane, Layer, find_layering, sum_over_groups
from heterodft.analysis.layers.site_sums import group_data, plain_numbers
from heterodft.analysis.result import ORBITALS, SHELLS
from heterodft.analysis.selection import groups_of, select_columns, select_sites
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure
    from numpy.typing import NDArray
    from pandas import DataFrame
    from pymatgen.core import Structure

    from heterodft.analysis.layers import Layering, SiteGroup
    from heterodft.analysis.result import Result

__all__ = [
    "SHELLS",
    "LayerDos",
    "charge_channels",
    "electrons_between",
    "in_plane_area",
    "projected_dos",
    "reference_energy",
    "resolve_by_plane",
    "spin_names",
]


@dataclass(frozen=True)
class LayerDos:
    """Density of states by layer or plane.

    Attributes
    ----------
    planes
        From the bottom up; empty when resolved by layer.
    energies
        eV relative to `reference`, shape (energy,).
    values
        States per eV, shape (group, column, spin, energy): one spin (both), or up and down. Of a noncollinear run
        both together; see `magnetization`.
    reference
        eV; what zero is.
    reference_name
        ``Fermi level`` or, with a gap, ``middle of the gap``.
    layers
        From the bottom up; empty when resolved by plane.
    columns
        Names along the second axis of `values`.
    levels
        eV relative to `reference`, one a spin: up to where states are filled.
    total
        States per eV of the whole cell, shape (spin, energy); None when not known.
    site_values, orbitals, structure
        What all was added from: shape (site, orbital, spin, energy), names of its orbitals, and the atoms.
    area
        Å², of the in-plane cell; None when not known.
    rule
        What a number on the energy grid means, see `heterodft.analysis.integrals`.
    notes
        What a reader must know: what the projections miss, a grid that is too coarse.
    """

    planes: list[AtomicPlane]
    energies: NDArray[np.float64]
    values: NDArray[np.float64]
    reference: float
    reference_name: str
    layers: tuple[Layer, ...] = ()
    columns: tuple[str, ...] = SHELLS
    levels: tuple[float, ...] = (0.0,)
    total: NDArray[np.float64] | None = None
    site_values: NDArray[np.float64] | None = None
    orbitals: tuple[str, ...] = ORBITALS
    structure: Structure | None = None
    area: float | None = None
    rule: Rule = "points"
    notes: tuple[str, ...] = ()

    @classmethod
    def from_result(
        cls,
        result: Result,
        *,
        by: str = "layer",
        layering: Layering | None = None,
        columns: Sequence[str] = SHELLS,
        elements: Iterable[str] | None = None,
        broadening: float = 0.0,
    ) -> LayerDos:
        """Add the projections of a result over the atoms of each layer or plane.

        Parameters
        ----------
        result
            With a projected density of states.
        by
            ``layer`` or ``plane``.
        layering
            By default that of `find_layering`.
        columns
            Shells, orbitals, sums of them (``dxz+dyz``), ``t2g`` and ``eg``. The last two are of transition metals,
            of Sc, Y and La only when these are the `elements`, and need bonds along the Cartesian axes or their
            in-plane diagonals.
        elements
            Only atoms of these.
        broadening
            Standard deviation in eV of Gaussians to broaden with.

        Raises
        ------
        ReaderError
            If there are no projections, the layers cannot be told, or a name is unknown.
        """
        counted = counted_dos(result)
        dos = counted.dos
        layering = layering or find_layering(result.structure)
        groups = groups_of(layering, by)
        columns = tuple(columns)
        kept = None if elements is None else select_sites(result.structure, elements=elements)
        values = resolve_columns(dos, result.structure, groups, columns, kept)
        reference, name = reference_energy(result)
        found = cls(
            [] if by == "layer" else list(layering.planes),
            dos.energies - reference,
            values,
            reference,
            name,
            layers=layering.layers if by == "layer" else (),
            columns=columns,
            levels=filled_up_to(result, reference, name),
            total=dos.total,
            site_values=dos.values,
            orbitals=tuple(dos.orbitals),
            structure=result.structure,
            area=in_plane_area(result.structure, layering),
            rule=rule_of(result),
        )
        found = replace(found, notes=(*check_dos(found, result, counted), *levels_in_gap(result)))
        return found.broadened(broadening) if broadening else found

    @classmethod
    def read(
        cls,
        folder: Path,
        *,
        by: str = "layer",
        layering: Layering | None = None,
        columns: Sequence[str] = SHELLS,
        elements: Iterable[str] | None = None,
        broadening: float = 0.0,
    ) -> LayerDos:
        """Read a finished folder; see `from_result`."""
        from heterodft.analysis.readers import read_folder

        return cls.from_result(
            read_folder(folder),
            by=by,
            layering=layering,
            columns=columns,
            elements=elements,
            broadening=broadening,
        )

    @property
    def by(self) -> str:
        """``layer`` or ``plane``."""
        return "layer" if self.layers else "plane"

    @property
    def groups(self) -> Sequence[SiteGroup]:
        """The layers or planes along the first axis of `values`."""
        return self.layers or self.planes

    @property
    def spins(self) -> tuple[str, ...]:
        """Names along the spin axis: ``both``, or ``up`` and ``down``."""
        return spin_names(self.values.shape[2])

    def select(
        self,
        *,
        elements: Iterable[str] | None = None,
        layers: Iterable[str] | None = None,
        sites: Iterable[int] | None = None,
        shells: Iterable[str] | None = None,
        orbitals: Iterable[str] | None = None,
    ) -> NDArray[np.float64]:
        """Add the density of states over everything that meets every condition given.

        Parameters
        ----------
        elements
            Symbols: ``("Ta",)``.
        layers
            Labels of layers or planes: ``("KTaO3:1",)``.
        sites
            Indices.
        shells
            ``s``, ``p``, ``d``, ``f``.
        orbitals
            ``dxy``, ``dxz+dyz``, ``t2g``, ``eg``.

        Returns
        -------
        array
            States per eV, shape (spin, energy); of a noncollinear run both spins, then the three components of the
            magnetization.

        Raises
        ------
        ReaderError
            If a name is unknown, nothing is left, or the run did not resolve it.
        """
        values, structure = self._sites()
        chosen = select_sites(structure, self.groups, elements=elements, layers=layers, sites=sites)
        columns = select_columns(self.orbitals, shells=shells, orbitals=orbitals, structure=structure, sites=chosen)
        return np.asarray(values[np.ix_(chosen, columns)].sum(axis=(0, 1)))

    def magnetization(self) -> NDArray[np.float64]:
        """Return the x, y and z components of the magnetization of a noncollinear run, shape (group, 3, energy).

        Raises
        ------
        ReaderError
            If the result holds none.
        """
        values, _ = self._sites()
        if values.shape[2] != 4:
            raise ReaderError("the density of states is not that of a noncollinear run that tells its magnetization")
        return sum_over_groups(self.groups, values[:, :, 1:].sum(axis=1))

    def electrons(self, low: float = -np.inf, high: float | None = None) -> NDArray[np.float64]:
        """Integrate over a window of energies.

        Parameters
        ----------
        low, high
            eV relative to `reference`; by default all that is filled.

        Returns
        -------
        array
            Electrons, shape (group, column, spin).
        """
        ends = [level if high is None else high for level in np.resize(self.levels, self.values.shape[2])]
        parts = [
            integrate(self.energies, self.values[:, :, spin], low, end, self.rule) for spin, end in enumerate(ends)
        ]
        return np.stack(parts, axis=2)

    def broadened(self, sigma: float) -> LayerDos:
        """Return it broadened by Gaussians of the standard deviation `sigma` in eV.

        Raises
        ------
        ReaderError
            If the grid is not uniform or coarser than `sigma`.
        """
        return replace(
            self,
            values=broaden(self.energies, self.values, sigma),
            total=None if self.total is None else broaden(self.energies, self.total, sigma),
            site_values=None if self.site_values is None else broaden(self.energies, self.site_values, sigma),
            notes=(*self.notes, f"broadened by Gaussians of {sigma:g} eV"),
        )

    def to_frame(self) -> DataFrame:
        """Return one row an energy, group, column and spin; columns without states are left out."""
        from pandas import DataFrame, concat

        frames = [
            DataFrame(
                {
                    self.by: group.label,
                    "formula": group.formula,
                    "orbital": column,
                    "spin": spin,
                    "energy (eV)": self.energies,
                    "density of states (1/eV)": self.values[i, j, k],
                }
            )
            for i, group in enumerate(self.groups)
            for j, column in enumerate(self.columns)
            for k, spin in enumerate(self.spins)
            if self.values[:, j].any()
        ]
        frame = concat(frames, ignore_index=True) if frames else DataFrame()
        frame.attrs["zero of energy"] = self.reference_name
        return frame

    def to_wide_frame(self) -> DataFrame:
        """Return one row an energy and a column for the cell and each group, column and spin, to plot from.

        Six decimals; what has no states is left out.
        """
        from pandas import DataFrame

        said = {"both": ""} | {spin: f" {spin}" for spin in self.spins if spin != "both"}
        names = [f"cell{said[spin]} (1/eV)" for spin in self.spins] if self.total is not None else []
        data = dict(zip(names, () if self.total is None else np.round(self.total, 6), strict=False))
        for i, group in enumerate(self.groups):
            for j, column in enumerate(self.columns):
                for k, spin in enumerate(self.spins if self.values[i, j].any() else ()):
                    data[f"{group.label} {column}{said[spin]} (1/eV)"] = np.round(self.values[i, j, k], 6)
        return DataFrame({f"energy from the {self.reference_name} (eV)": np.round(self.energies, 6), **data})

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data; densities of shape (group, column, spin, energy)."""
        return {
            "by": self.by,
            "groups": group_data(self.groups),
            "columns": list(self.columns),
            "spins": list(self.spins),
            "energies": self.energies.tolist(),
            "values": plain_numbers(self.values),
            "total": None if self.total is None else plain_numbers(self.total),
            "reference": self.reference,
            "reference_name": self.reference_name,
            "levels": list(self.levels),
            "notes": list(self.notes),
        }

    def plot(self) -> Figure:
        """Draw one panel a group."""
        from heterodft.analysis.plots import draw_layer_dos

        return draw_layer_dos(self)

    def _sites(self) -> tuple[NDArray[np.float64], Structure]:
        if self.site_values is None or self.structure is None:
            raise ReaderError("this density of states was made without its sites; make it with LayerDos.from_result")
        return self.site_values, self.structure


def resolve_by_plane(result: Result) -> LayerDos:
    """Add the projections of a labelled result over the atoms of each plane.

    Raises
    ------
    ReaderError
        If the result holds no projections or its sites carry no labels.
    """
    sampled_dos(result)
    return LayerDos.from_result(result, by="plane", layering=find_layering(result.structure, layers="labels"))


def electrons_between(layer_dos: LayerDos, low: float = -2.0, high: float = 0.0) -> NDArray[np.float64]:
    """Integrate the density of states of each plane over an energy window.

    Parameters
    ----------
    layer_dos
        Of `resolve_by_plane`.
    low, high
        eV relative to its reference; there are no states beyond the energy grid.

    Returns
    -------
    array
        Electrons, shape (plane, spin). Without spin the one column holds both spins.
    """
    return integrate(layer_dos.energies, layer_dos.values.sum(axis=1), low, high, layer_dos.rule)
