"""Density of states by layer or plane, orbital, element and spin, and electrons in an energy window."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.drawing import draw
from heterodft.analysis.gaps import find_gap
from heterodft.analysis.integrals import Rule, broaden, integrate, rule_of, states_below
from heterodft.analysis.layers import AtomicPlane, Layer, find_layering, find_planes, sum_over_groups
from heterodft.analysis.result import ORBITALS, SHELLS, ProjectedDos
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

_SUM_TOLERANCE = 0.01
"""Part of the electrons that an integral may miss before it is said."""
_CHARGE_TOLERANCE = 0.05
"""Electrons by which a site's integral may differ from its printed charge before it is said."""


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
        dos = projected_dos(result)
        layering = layering or find_layering(result.structure)
        groups = groups_of(layering, by)
        columns = tuple(columns)
        kept = None if elements is None else select_sites(result.structure, elements=elements)
        values = _resolve(dos, result.structure, groups, columns, kept)
        reference, name = reference_energy(result)
        found = cls(
            [] if by == "layer" else list(layering.planes),
            dos.energies - reference,
            values,
            reference,
            name,
            layers=layering.layers if by == "layer" else (),
            columns=columns,
            levels=_filled_up_to(result, reference, name),
            total=dos.total,
            site_values=dos.values,
            orbitals=tuple(dos.orbitals),
            structure=result.structure,
            area=in_plane_area(result.structure, layering),
            rule=rule_of(result),
        )
        found = replace(found, notes=_check(found, result))
        return found.broadened(broadening) if broadening else found

    @classmethod
    def read(
        cls,
        folder: Path,
        *,
        by: str = "layer",
        columns: Sequence[str] = SHELLS,
        elements: Iterable[str] | None = None,
        broadening: float = 0.0,
    ) -> LayerDos:
        """Read a finished folder; see `from_result`."""
        from heterodft.analysis.readers import read_folder

        return cls.from_result(read_folder(folder), by=by, columns=columns, elements=elements, broadening=broadening)

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

        kind = "layer" if self.layers else "plane"
        frames = [
            DataFrame(
                {
                    kind: group.label,
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
            "groups": [group.label for group in self.groups],
            "columns": list(self.columns),
            "spins": list(self.spins),
            "energies": self.energies.tolist(),
            "values": self.values.tolist(),
            "total": None if self.total is None else self.total.tolist(),
            "reference": self.reference,
            "reference_name": self.reference_name,
            "levels": list(self.levels),
            "notes": list(self.notes),
        }

    def plot(self) -> Figure:
        """Draw one panel a group."""
        return draw("draw_layer_dos", self)

    def _sites(self) -> tuple[NDArray[np.float64], Structure]:
        if self.site_values is None or self.structure is None:
            raise ReaderError("this density of states was made without its sites; make it with LayerDos.from_result")
        return self.site_values, self.structure


def spin_names(count: int) -> tuple[str, ...]:
    """Return what the entries of a spin axis are."""
    return {1: ("both",), 2: ("up", "down")}.get(count, ("both", "x", "y", "z"))


def charge_channels(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the entries of the second-last axis (spin) that add up to all states, without the magnetization."""
    return values if values.shape[-2] != 4 else values[..., :1, :]


def in_plane_area(structure: Structure, layering: Layering) -> float:
    """Return the area in Å² of the cell across the normal of its layers."""
    return float(structure.volume / abs(layering.period))


def projected_dos(result: Result) -> ProjectedDos:
    """Return the projected density of states of a result.

    Raises
    ------
    ReaderError
        If it holds none, or one that was cut off.
    """
    if result.dos is None:
        raise ReaderError("the result holds no projected density of states; run a dos step")
    if len(result.dos.energies) < 2:
        raise ReaderError(
            "the projected density of states has no energy grid; the file was cut off, run the dos step again"
        )
    return result.dos


def reference_energy(result: Result) -> tuple[float, str]:
    """Return the Fermi level in eV and what to call it.

    With a gap it is put in the middle: codes leave it anywhere in between (that of pw.x changes with the number of
    empty bands), and an energy window below it would not be comparable. Of two Fermi levels it is the higher one.
    """
    gap = None if result.bands is None else find_gap(result)
    if gap is None or gap.metal:
        return result.fermi_level, "Fermi level"
    tops = [spin.valence_maximum for spin in gap.spins if spin.valence_maximum is not None]
    bottoms = [spin.conduction_minimum for spin in gap.spins if spin.conduction_minimum is not None]
    return (max(tops) + min(bottoms)) / 2, "middle of the gap"


def resolve_by_plane(result: Result) -> LayerDos:
    """Add the projections of a labelled result over the atoms of each plane.

    Raises
    ------
    ReaderError
        If the result holds no projections or its sites carry no labels.
    """
    dos = projected_dos(result)
    planes = find_planes(result.structure)
    reference, name = reference_energy(result)
    return LayerDos(
        planes,
        dos.energies - reference,
        _resolve(dos, result.structure, planes, SHELLS, None),
        reference,
        name,
        levels=_filled_up_to(result, reference, name),
        total=dos.total,
        site_values=dos.values,
        orbitals=tuple(dos.orbitals),
        structure=result.structure,
        rule=rule_of(result),
    )


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


def _resolve(
    dos: ProjectedDos,
    structure: Structure,
    groups: Sequence[SiteGroup],
    columns: tuple[str, ...],
    kept: list[int] | None,
) -> NDArray[np.float64]:
    """Return the densities by group and column, shape (group, column, spin, energy); both spins if noncollinear."""
    values = charge_channels(dos.values)
    if kept is not None:
        mask = np.zeros(len(structure))
        mask[kept] = 1.0
        values = values * mask[:, None, None, None]
    if columns == SHELLS:
        by_site = ProjectedDos(dos.energies, values, dos.total, dos.orbitals).by_shell()
    else:
        by_site = np.stack([_column(dos, structure, name, values, kept) for name in columns], axis=1)
    return sum_over_groups(groups, by_site)


def _column(
    dos: ProjectedDos, structure: Structure, name: str, values: NDArray[np.float64], kept: list[int] | None
) -> NDArray[np.float64]:
    """Return the density of one column by site, shape (site, spin, energy)."""
    names = tuple(dos.orbitals)
    if name in SHELLS:
        places = [i for i, orbital in enumerate(names) if orbital[0] == name]
        return np.asarray(values[:, places].sum(axis=1))
    if name not in ("t2g", "eg"):
        return np.asarray(values[:, select_columns(names, orbitals=[name])].sum(axis=1))
    found = np.zeros((len(values), *values.shape[2:]))
    for site in _octahedral(structure, kept):
        columns = select_columns(names, orbitals=[name], structure=structure, sites=[site])
        found[site] = values[site, columns].sum(axis=0)
    return found


def _octahedral(structure: Structure, kept: list[int] | None) -> list[int]:
    """Return the sites that t2g and eg are told of; scandium, yttrium and lanthanum only when asked for."""
    elements = [site.specie for site in structure]
    if kept is not None:
        return [i for i in kept if elements[i].is_transition_metal]
    return [i for i, own in enumerate(elements) if own.is_transition_metal and not own.is_rare_earth]


def _filled_up_to(result: Result, reference: float, name: str) -> tuple[float, ...]:
    """Return up to where each spin is filled, eV relative to the reference."""
    if name != "Fermi level":
        return (0.0,)
    return tuple(float(level - reference) for level in result.fermi_levels)


def _check(layer_dos: LayerDos, result: Result) -> tuple[str, ...]:
    """Compare integrals up to the Fermi level with the electrons and the charges of the sites."""
    dos, notes = projected_dos(result), []
    lost = int((~np.isfinite(dos.values)).sum())
    if lost:
        notes.append(
            f"{lost} numbers of the density of states could not be printed by the code; sums over them are none"
        )
    if len(set(result.fermi_levels)) > 1 and layer_dos.reference_name == "Fermi level":
        notes.append("the spins have Fermi levels of their own; zero is the higher one")
    levels = np.resize(layer_dos.levels, dos.total.shape[0]) + layer_dos.reference

    def filled(values: NDArray[np.float64]) -> NDArray[np.float64]:
        parts = [states_below(dos.energies, values[..., s, :], levels[s], layer_dos.rule) for s in _spins(values)]
        return np.asarray(sum(parts))

    whole, sites = float(filled(charge_channels(dos.total))), filled(charge_channels(dos.values).sum(axis=1))
    step = float(np.diff(dos.energies).mean())
    if result.electrons is not None and abs(whole - result.electrons) > _SUM_TOLERANCE * result.electrons:
        notes.append(
            f"the total density of states holds {whole:.2f} of {result.electrons:g} electrons up to the "
            f"{layer_dos.reference_name}: its grid ({step:.3g} eV from {dos.energies[0]:.1f} eV on) is too coarse or "
            "begins too high; use more points (VASP: NEDOS, EMIN; projwfc.x: DeltaE, Emin)"
        )
    if whole > 0:
        part = float(sites.sum()) / whole
        where = "between the spheres" if result.code == "vasp" else "outside the atomic wavefunctions"
        notes.append(f"the layers hold {100 * part:.1f} % of the electrons; the rest is {where}")
    return (*notes, *_against_charges(result, sites))


def _spins(values: NDArray[np.float64]) -> range:
    return range(values.shape[-2])


def _against_charges(result: Result, sites: NDArray[np.float64]) -> list[str]:
    """Say where integrals by site are not the charges that the code printed for the same projection."""
    known = result.sites.get("sphere" if result.code == "vasp" else "Löwdin")
    if known is None or len(known.charges) != len(sites):
        return []
    apart = np.abs(sites - np.array(known.charges))
    worst = int(apart.argmax())
    if apart[worst] < _CHARGE_TOLERANCE:
        return []
    return [
        f"integrated to the Fermi level, {result.structure[worst].species_string}{worst + 1} holds "
        f"{sites[worst]:.3f} electrons, but its {known.kind} charge is {known.charges[worst]:.3f}: "
        "the energy grid is too coarse or does not hold all states"
    ]
