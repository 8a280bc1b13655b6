"""The relaxed structure layer by layer: spacings, rumpling, displacements, octahedral tilts, bonds."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from heterodft.analysis.layers import Layer
from heterodft.analysis.layers.layer_search import has_vacuum
from heterodft.analysis.layers.plane_search import anions_of, heights_along
from heterodft.analysis.layers.site_sums import group_columns, group_data, plain_numbers, use_layering
from heterodft.analysis.octahedra import find_octahedra
from heterodft.errors import ReaderError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from heterodft.analysis.layers import AtomicPlane, Layering, SiteGroup
    from heterodft.analysis.layers.plane_search import Heights
    from heterodft.analysis.octahedra import Octahedron
    from heterodft.analysis.result import Result

__all__ = ["StructureProfile"]

_SERIES = {
    "spacing": ("spacing to the next", "Å", ("spacing",)),
    "thickness": ("layer thickness", "Å", ("thickness",)),
    "rumpling": ("anions above cations", "Å", ("rumpling",)),
    "displacement": ("displacement along the normal", "Å", ("off_centre", "polar")),
    "tilt": ("octahedral rotation", "°", ("tilt", "rotation")),
    "bond angle": ("angle between octahedra", "°", ("angle_across", "angle_in_plane")),
    "bond length": ("bond length", "Å", ("shortest_bond", "bond", "longest_bond")),
}
_WORTH_SHOWING = {"displacement": 0.02, "tilt": 0.5}
"""Å and degrees: a series with less in every layer is left out of a figure beside one with more."""


@dataclass(frozen=True)
class StructureProfile:
    """Geometry of each layer or plane; not-a-number where a group has no such thing.

    Octahedra belong to the group that holds their centre. All arrays have the shape (group,).

    Attributes
    ----------
    groups
        Layers or planes from the bottom up.
    by
        ``layer`` or ``plane``.
    spacing
        Å from the mean height to that of the next group; the last one reaches into the next period, and is
        not-a-number below vacuum.
    thickness
        Å from the lowest plane of a layer to that of the next, c of this layer, in the top layer of a block with the
        interface above; not-a-number of planes and below vacuum.
    strain
        Percent by which that differs from the reference of its material.
    rumpling
        Å: mean height of the anions of a plane above that of its cations; of a layer the mean of its planes that hold
        both.
    polar
        Å: the opposite, cations above anions, which is the way of the polarization.
    off_centre, off_centre_in_plane
        Å: the cation against the centre of its six anions, along the normal (mean) and beside it (size of the mean
        vector).
    octahedra, incomplete
        Numbers of octahedra, and of those that lack an anion; these count in the angles where they can.
    tilt, rotation
        Degrees, mean sizes: turned about axes in the plane and about the normal.
    angle_across, angle_in_plane
        Degrees, mean, between the centres of two octahedra at the anion they share: pairs above one another, and
        pairs beside one another.
    shortest_bond, bond, longest_bond
        Å: cation to anion of the octahedra, the mean in the middle.
    cages
        Centres (site, from 0) of the incomplete octahedra with the number of their anions.
    notes
        What is doubtful.
    """

    groups: tuple[SiteGroup, ...]
    by: str
    spacing: NDArray[np.float64]
    thickness: NDArray[np.float64]
    strain: NDArray[np.float64]
    rumpling: NDArray[np.float64]
    polar: NDArray[np.float64]
    off_centre: NDArray[np.float64]
    off_centre_in_plane: NDArray[np.float64]
    octahedra: NDArray[np.float64]
    incomplete: NDArray[np.float64]
    tilt: NDArray[np.float64]
    rotation: NDArray[np.float64]
    angle_across: NDArray[np.float64]
    angle_in_plane: NDArray[np.float64]
    shortest_bond: NDArray[np.float64]
    bond: NDArray[np.float64]
    longest_bond: NDArray[np.float64]
    cages: tuple[tuple[int, int], ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def from_structure(
        cls,
        structure: Structure,
        *,
        layering: Layering | None = None,
        by: str = "layer",
        reference: Mapping[str, float] | None = None,
    ) -> Self:
        """Measure a structure.

        Parameters
        ----------
        structure
            Any periodic one.
        layering
            Of `find_layering`; by default found from the structure.
        by
            ``layer`` or ``plane``.
        reference
            Thickness (Å) of a layer by material, such as that of the bulk or of the strained bulk.

        Raises
        ------
        ReaderError
            If layers cannot be told or a material of the reference is not in the stack.
        """
        used = use_layering(structure, layering)
        groups = used.groups(by)
        axis = "abc".index(used.axis)
        heights = heights_along(structure, axis)
        normal = _normal(structure, axis)
        rumpling = _rumpling(structure, used, by, heights)
        found = find_octahedra(structure)
        inside = [[octahedron for octahedron in found if octahedron.centre in group.sites] for group in groups]
        slab = has_vacuum([plane.sites for plane in used.planes], heights)
        spacing, thickness = _spacings(groups, used.period, slab)
        moved = np.array([_mean([o.displacement for o in own]) for own in inside]).reshape(-1, 3)
        return cls(
            groups=groups,
            by=by,
            spacing=spacing,
            thickness=thickness,
            strain=_strain(groups, thickness, reference or {}),
            rumpling=rumpling,
            polar=-rumpling,
            off_centre=moved @ normal,
            off_centre_in_plane=np.linalg.norm(moved - np.outer(moved @ normal, normal), axis=1),
            octahedra=np.array([len(own) for own in inside], dtype=float),
            incomplete=np.array([sum(not o.complete for o in own) for own in inside], dtype=float),
            tilt=_each(inside, lambda o: [o.tilt(normal)]),
            rotation=_each(inside, lambda o: [abs(o.rotation(normal))]),
            angle_across=_each(inside, lambda o: o.bond_angles[_upright(o, normal)]),
            angle_in_plane=_each(inside, lambda o: o.bond_angles[~_upright(o, normal)]),
            shortest_bond=_each(inside, lambda o: o.bond_lengths, np.nanmin),
            bond=_each(inside, lambda o: o.bond_lengths),
            longest_bond=_each(inside, lambda o: o.bond_lengths, np.nanmax),
            cages=tuple((o.centre, len(o.corners)) for o in found if not o.complete),
            notes=used.notes,
        )

    @classmethod
    def from_result(
        cls,
        result: Result,
        *,
        layering: Layering | None = None,
        by: str = "layer",
        reference: Mapping[str, float] | None = None,
    ) -> Self:
        """Measure the final structure of a result; see `from_structure`."""
        return cls.from_structure(result.structure, layering=layering, by=by, reference=reference)

    @classmethod
    def read(
        cls,
        folder: Path,
        *,
        layering: Layering | None = None,
        by: str = "layer",
        reference: Mapping[str, float] | None = None,
    ) -> Self:
        """Read a finished folder; see `from_structure`."""
        from heterodft.analysis.readers import read_folder

        return cls.from_result(read_folder(folder), layering=layering, by=by, reference=reference)

    def to_frame(self) -> pd.DataFrame:
        """Return a table, one row a layer or plane from the bottom up."""
        import pandas as pd

        return pd.DataFrame(
            group_columns(self.groups, self.by)
            | {
                "spacing to the next (Å)": self.spacing,
                "thickness (Å)": self.thickness,
                "thickness against the reference (%)": self.strain,
                "rumpling, anions above cations (Å)": self.rumpling,
                "polar displacement (Å)": self.polar,
                "off-centring along the normal (Å)": self.off_centre,
                "off-centring in plane (Å)": self.off_centre_in_plane,
                "octahedra": self.octahedra.astype(int),
                "incomplete octahedra": self.incomplete.astype(int),
                "tilt (°)": self.tilt,
                "rotation about the normal (°)": self.rotation,
                "bond angle across layers (°)": self.angle_across,
                "bond angle in plane (°)": self.angle_in_plane,
                "shortest bond (Å)": self.shortest_bond,
                "mean bond (Å)": self.bond,
                "longest bond (Å)": self.longest_bond,
            }
        ).dropna(axis="columns", how="all")

    def plot(self, what: str | None = None) -> Figure:
        """Draw one property along the layers.

        Parameters
        ----------
        what
            ``displacement``, ``rumpling``, ``spacing``, ``thickness``, ``tilt``, ``bond angle`` or ``bond length``;
            by default displacements of 0.02 Å and more, else tilts of 0.5° and more, else the spacings.

        Raises
        ------
        ReaderError
            If it is none of these.
        """
        from heterodft.analysis.plots import draw_profile

        return draw_profile(self._telling() if what is None else self.series(what))

    def _telling(self) -> StructureSeries:
        """Return what there is to show of this cell, without columns of next to nothing."""
        for what, least in _WORTH_SHOWING.items():
            series = self.series(what)
            told = np.nan_to_num(np.abs(series.values)).max(axis=0, initial=0.0) >= least
            if told.any():
                columns = tuple(np.array(series.columns)[told].tolist())
                return replace(series, columns=columns, values=series.values[:, told])
        return self.series("spacing")

    def series(self, what: str) -> StructureSeries:
        """Return the numbers of one figure; see `plot`."""
        if what not in _SERIES:
            raise ReaderError(f"what: '{what}'{did_you_mean(what, _SERIES)}")
        quantity, unit, names = _SERIES[what]
        values = np.column_stack([getattr(self, name) for name in names])
        columns = tuple(name.replace("_", " ") for name in names)
        return StructureSeries(self.groups, columns, values, quantity, unit)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON data: Å, degrees, percent; None where a group has no such thing."""
        arrays = {
            field.name: plain_numbers(value)
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), np.ndarray)
        }
        cages = [{"site": site, "anions": number} for site, number in self.cages]
        return {
            "by": self.by,
            "groups": group_data(self.groups),
            **arrays,
            "incomplete_octahedra": cages,
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class StructureSeries:
    """Some of the numbers, for a figure: shape (group, column)."""

    groups: tuple[SiteGroup, ...]
    columns: tuple[str, ...]
    values: NDArray[np.float64]
    quantity: str
    unit: str


def _normal(structure: Structure, axis: int) -> NDArray[np.float64]:
    """Return the unit vector that heights are measured along."""
    vectors = structure.lattice.matrix
    normal = np.cross(vectors[(axis + 1) % 3], vectors[(axis + 2) % 3])
    return np.asarray(normal / np.linalg.norm(normal) * np.sign(normal @ vectors[axis]))


def _spacings(
    groups: Sequence[SiteGroup], period: float, slab: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    middles = np.array([group.height for group in groups])
    spacing = np.diff(middles, append=middles[0] + period)
    lowest = np.array([group.planes[0].height if isinstance(group, Layer) else np.nan for group in groups])
    thickness = np.diff(lowest, append=lowest[0] + period)
    if slab:
        spacing[-1] = thickness[-1] = np.nan
    return spacing, thickness


def _strain(
    groups: Sequence[SiteGroup], thickness: NDArray[np.float64], reference: Mapping[str, float]
) -> NDArray[np.float64]:
    materials = [group.label.partition(":")[0].partition("[")[0] for group in groups]
    for name, value in reference.items():
        if name not in materials:
            raise ReaderError(f"reference: {name} is not in the stack{did_you_mean(name, materials)}")
        if not value > 0:
            raise ReaderError(f"reference: {value:g} Å of {name}; give the thickness of a layer")
    return np.asarray(100 * (thickness / [reference.get(name, np.nan) for name in materials] - 1))


def _rumpling(structure: Structure, layering: Layering, by: str, heights: Heights) -> NDArray[np.float64]:
    anions = anions_of(structure)

    def of_plane(plane: AtomicPlane) -> float:
        own = heights.together(list(plane.sites))
        is_anion = np.array([structure[site].specie.symbol in anions for site in plane.sites])
        if is_anion.all() or not is_anion.any():
            return float("nan")
        return float(own[is_anion].mean() - own[~is_anion].mean())

    if by == "plane":
        return np.array([of_plane(plane) for plane in layering.planes])
    return np.array([float(_mean([of_plane(plane) for plane in layer.planes])) for layer in layering.layers])


def _upright(octahedron: Octahedron, normal: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which corners join octahedra above one another, those whose centres are more above than beside."""
    ends = octahedron.vectors + octahedron.across
    return np.asarray(np.abs(ends @ normal) > 0.5 * np.linalg.norm(ends, axis=1))


def _mean(values: Sequence[Any]) -> NDArray[np.float64]:
    """Return the mean of those that are numbers; not-a-number, of shape (3,) for want of vectors, when none is."""
    array = np.array(values, dtype=float)
    if not len(array):
        return np.full(3, np.nan)
    known = array[~np.isnan(array).reshape(len(array), -1).any(axis=1)]
    return np.asarray(known.mean(axis=0)) if len(known) else np.full(array.shape[1:], np.nan)


def _each(
    inside: Sequence[Sequence[Octahedron]],
    measure: Callable[[Octahedron], Any],
    reduce: Callable[[NDArray[np.float64]], Any] = np.mean,
) -> NDArray[np.float64]:
    """Return one number a group from those of all its octahedra."""
    results = []
    for own in inside:
        values = np.array([value for octahedron in own for value in measure(octahedron)], dtype=float)
        values = values[~np.isnan(values)]
        results.append(float(reduce(values)) if len(values) else float("nan"))
    return np.array(results)
