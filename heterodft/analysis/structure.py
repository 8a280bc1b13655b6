"""The relaxed structure layer by layer: spacings, rumpling, displacements, octahedral tilts, bonds."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from heterodft.analysis.layers.plane_contents import has_vacuum
from heterodft.analysis.layers.plane_search import heights_along
from heterodft.analysis.layers.site_sums import group_columns, group_data, plain_numbers, use_layering
from heterodft.analysis.octahedra import find_octahedra
from heterodft.analysis.structure_measures import (
    StructureSeries,
    each_group,
    layer_normal,
    mean_of_known,
    measure_rumpling,
    measure_spacings,
    measure_strain,
    upright_corners,
)
from heterodft.errors import ReaderError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from heterodft.analysis.layers import Layering, SiteGroup
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
        normal = layer_normal(structure, axis)
        rumpling = measure_rumpling(structure, used, by, heights)
        found = find_octahedra(structure)
        inside = [[octahedron for octahedron in found if octahedron.centre in group.sites] for group in groups]
        slab = has_vacuum([plane.sites for plane in used.planes], heights)
        spacing, thickness = measure_spacings(groups, used.period, slab)
        moved = np.array([mean_of_known([o.displacement for o in own]) for own in inside]).reshape(-1, 3)
        return cls(
            groups=groups,
            by=by,
            spacing=spacing,
            thickness=thickness,
            strain=measure_strain(groups, thickness, reference or {}),
            rumpling=rumpling,
            polar=-rumpling,
            off_centre=moved @ normal,
            off_centre_in_plane=np.linalg.norm(moved - np.outer(moved @ normal, normal), axis=1),
            octahedra=np.array([len(own) for own in inside], dtype=float),
            incomplete=np.array([sum(not o.complete for o in own) for own in inside], dtype=float),
            tilt=each_group(inside, lambda o: [o.tilt(normal)]),
            rotation=each_group(inside, lambda o: [abs(o.rotation(normal))]),
            angle_across=each_group(inside, lambda o: o.bond_angles[upright_corners(o, normal)]),
            angle_in_plane=each_group(inside, lambda o: o.bond_angles[~upright_corners(o, normal)]),
            shortest_bond=each_group(inside, lambda o: o.bond_lengths, np.nanmin),
            bond=each_group(inside, lambda o: o.bond_lengths),
            longest_bond=each_group(inside, lambda o: o.bond_lengths, np.nanmax),
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
