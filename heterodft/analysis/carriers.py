"""Sheet carrier densities by layer: electrons in the conduction bands and holes in the valence bands.

Electrons are the occupied states above a gap, holes the empty states below one. The gap must be found first, since a
metal has none at its Fermi level: it is that of the cell's total density of states nearest to the Fermi level, or the
energy inside it that the user gives. Where the layers' bands are shifted so far that the cell has no gap left
(electrons in one layer, holes in another), each layer has its own.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.dos_arrays import state_parts
from heterodft.analysis.dos_gaps import energy_inside, nearest_gap, notes_on
from heterodft.analysis.gaps import electrons_per_band, find_gap
from heterodft.analysis.integrals import integrate
from heterodft.analysis.layers import find_layering, sum_over_groups
from heterodft.analysis.layers.site_sums import group_data, kind_of, plain_numbers
from heterodft.analysis.mesh_errors import equivalent_sites
from heterodft.analysis.pdos import LayerDos, charge_channels, in_plane_area, reference_energy
from heterodft.analysis.selection import groups_of
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.figure import Figure
    from numpy.typing import NDArray
    from pandas import DataFrame

    from heterodft.analysis.layers import Layering, SiteGroup
    from heterodft.analysis.result import Result

__all__ = ["SheetCarriers"]

_ANGSTROM2_PER_CM2 = 1e16
_LEAST_GAP = 0.3
"""eV; narrower gaps of a density of states are not taken for that of the material,"""
_NARROW_GAP = 0.05
"""but where a layer has none: fields may shift the filled levels of a donor until they almost touch valence bands."""
_DOUBT = "so narrow that it may lie inside the conduction bands"
_REACH = 3.0
"""eV between the Fermi level and the gap at most."""


@dataclass(frozen=True)
class SheetCarriers:
    """Carriers by layer or plane.

    Attributes
    ----------
    groups
        From the bottom up.
    electrons, holes
        Per in-plane cell, shape (group,).
    total_electrons, total_holes
        Per in-plane cell, of the whole cell; more than the sum over the groups by what the projections miss.
    area
        Å², of the in-plane cell.
    edges
        eV relative to the Fermi level, shape (group,): the energy inside the gap above which electrons and below
        which holes are counted.
    source
        ``density of states`` or ``bands``.
    gap
        In words: which gap was taken.
    notes
        What a reader must know.
    """

    groups: tuple[SiteGroup, ...]
    electrons: NDArray[np.float64]
    holes: NDArray[np.float64]
    total_electrons: float
    total_holes: float
    area: float
    edges: NDArray[np.float64]
    source: str
    gap: str
    notes: tuple[str, ...] = ()

    @classmethod
    def from_result(
        cls, result: Result, *, by: str = "layer", layering: Layering | None = None, edge: float | None = None
    ) -> SheetCarriers:
        """Count carriers in the projected density of states, integrated without temperature.

        Parameters
        ----------
        result
            With a projected density of states.
        by
            ``layer`` or ``plane``.
        layering
            By default that of `find_layering`.
        edge
            eV relative to the Fermi level (of an insulator to the middle of its gap): an energy inside the gap.
            Occupied states above it are electrons, empty ones below it holes.

        Raises
        ------
        ReaderError
            If there are no projections, no gap is found, or the mesh does not resolve it.
        """
        if edge is None:
            _refuse_unresolved(result)
        layering = layering or find_layering(result.structure)
        dos = LayerDos.from_result(result, by=by, layering=layering)
        density = dos.values.sum(axis=1)
        edges, gap = _edges(dos, edge)
        carriers = np.array([_count(dos, group, e) for group, e in zip(density, edges, strict=True)])
        if dos.total is not None and len(set(edges.tolist())) == 1:
            total = _count(dos, charge_channels(dos.total), float(edges[0]))
        else:
            total = carriers.sum(axis=0)
        return cls(
            tuple(dos.groups),
            carriers[:, 0],
            carriers[:, 1],
            float(total[0]),
            float(total[1]),
            in_plane_area(result.structure, layering),
            edges,
            "density of states",
            gap,
            (*dos.notes, *_notes(dos, edge, gap)),
        )

    @classmethod
    def from_bands(
        cls, result: Result, *, edge: float | None = None, by: str = "layer", layering: Layering | None = None
    ) -> SheetCarriers:
        """Count carriers in the occupations of the bands, each state shared out by its projections.

        Parameters
        ----------
        result
            With bands on a mesh, occupations and projections. Each state's projections are scaled to add up to one,
            so that the groups hold all carriers.
        edge
            eV as in `from_result`; by default that of the density of states,
            which must then be there.
        by, layering
            As in `from_result`.

        Raises
        ------
        ReaderError
            If there are no projections, the k-points are a path, no gap is found, or the mesh does not resolve it.
        """
        bands = result.bands
        if bands is None:
            raise ReaderError("the result holds no projections of its bands; read it with projections=True")
        by_site = state_parts(bands).sum(axis=4)
        if result.on_path:
            raise ReaderError("the k-points are a path, on which carriers cannot be counted; take those of a mesh")
        layering = layering or find_layering(result.structure)
        groups = groups_of(layering, by)
        gap = "given"
        if edge is None:
            _refuse_unresolved(result)
            edges, gap = _edges_of_cell(LayerDos.from_result(result, by=by, layering=layering), _LEAST_GAP)
            edge = float(edges[0])
        parts = by_site / np.maximum(by_site.sum(axis=3, keepdims=True), 1e-12)
        weights = electrons_per_band(result) * bands.weights[None, :, None]
        above = bands.energies > reference_energy(result)[0] + edge
        electrons = np.where(above, bands.occupations, 0.0) * weights
        holes = np.where(above, 0.0, 1.0 - bands.occupations) * weights
        # A mesh reduced by symmetry has one of several equivalent points, whose states favour one of the alike sites.
        kinds = equivalent_sites(result)
        alike = (kinds[:, None] == kinds) / (kinds[:, None] == kinds).sum(axis=1)
        filled, empty = (alike @ np.einsum("skbi,skb->i", parts, carriers) for carriers in (electrons, holes))
        return cls(
            tuple(groups),
            sum_over_groups(groups, filled),
            sum_over_groups(groups, empty),
            float(electrons.sum()),
            float(holes.sum()),
            in_plane_area(result.structure, layering),
            np.full(len(groups), edge),
            "bands",
            gap,
            ("each state is shared out by its projections, scaled to add up to one",),
        )

    @classmethod
    def read(
        cls, folder: Path, *, by: str = "layer", layering: Layering | None = None, edge: float | None = None
    ) -> SheetCarriers:
        """Read a finished folder; see `from_result`."""
        from heterodft.analysis.readers import read_folder

        return cls.from_result(read_folder(folder), by=by, layering=layering, edge=edge)

    @property
    def by(self) -> str:
        """``layer`` or ``plane``."""
        return kind_of(self.groups)

    @property
    def electrons_per_cm2(self) -> NDArray[np.float64]:
        """Electrons per cm², shape (group,)."""
        return self.electrons * _ANGSTROM2_PER_CM2 / self.area

    @property
    def holes_per_cm2(self) -> NDArray[np.float64]:
        """Holes per cm², shape (group,)."""
        return self.holes * _ANGSTROM2_PER_CM2 / self.area

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the series that are drawn."""
        return ("electrons", "holes")

    @property
    def values(self) -> NDArray[np.float64]:
        """Carriers as drawn in 10¹³ per cm², shape (group, column)."""
        return np.stack([self.electrons_per_cm2, self.holes_per_cm2], axis=1) / 1e13

    @property
    def quantity(self) -> str:
        """What is drawn."""
        return "sheet carrier density"

    @property
    def unit(self) -> str:
        """Of what is drawn."""
        return "10¹³/cm²"

    def to_frame(self) -> DataFrame:
        """Return one row a group, then one of the whole cell."""
        from pandas import DataFrame

        electrons = np.append(self.electrons, self.total_electrons)
        holes = np.append(self.holes, self.total_holes)
        frame = DataFrame(
            {
                self.by: [*(group.label for group in self.groups), "cell"],
                "electrons (1/in-plane cell)": electrons,
                "holes (1/in-plane cell)": holes,
                "electrons (1/cm²)": electrons * _ANGSTROM2_PER_CM2 / self.area,
                "holes (1/cm²)": holes * _ANGSTROM2_PER_CM2 / self.area,
                "counted from (eV)": np.append(self.edges, np.nan),
            }
        )
        frame.attrs |= {"source": self.source, "gap": self.gap, "in-plane area (Å²)": self.area}
        return frame

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "by": self.by,
            "groups": group_data(self.groups),
            "electrons": plain_numbers(self.electrons),
            "holes": plain_numbers(self.holes),
            "electrons_per_cm2": plain_numbers(self.electrons_per_cm2),
            "holes_per_cm2": plain_numbers(self.holes_per_cm2),
            "total_electrons": plain_numbers(np.array(self.total_electrons)),
            "total_holes": plain_numbers(np.array(self.total_holes)),
            "area": self.area,
            "edges": self.edges.tolist(),
            "source": self.source,
            "gap": self.gap,
            "notes": list(self.notes),
        }

    def plot(self) -> Figure:
        """Draw the carriers along the layers."""
        from heterodft.analysis.plots import draw_profile

        return draw_profile(self)


def _refuse_unresolved(result: Result) -> None:
    """Refuse an insulator by its mesh that may be none: filled levels of a donor below a gap count as its valence."""
    gap = None if result.bands is None else find_gap(result)
    if gap is not None and not gap.metal and not gap.resolved:
        raise ReaderError(
            f"the mesh does not resolve the gap of {gap.value:.2f} eV, so carriers cannot be counted; "
            "take a denser mesh, or give an energy inside the gap of the material: analyze --edge, in Python edge="
        )


def _notes(dos: LayerDos, edge: float | None, gap: str) -> list[str]:
    """Return what is doubtful about the energy that carriers are counted from."""
    if edge is not None:
        return notes_on(dos, edge)
    return [f"carriers are counted from the gap {gap}"] if gap.endswith(_DOUBT) else []


def _edges(dos: LayerDos, edge: float | None) -> tuple[NDArray[np.float64], str]:
    """Return the energy inside the gap of each group, relative to the reference, and which gap it is."""
    count = len(dos.groups)
    if edge is not None:
        return np.full(count, energy_inside(dos, edge)), "given"
    if dos.reference_name != "Fermi level":
        return np.zeros(count), "of the cell, at the Fermi level: an insulator has no carriers"
    with suppress(ReaderError):
        return _edges_of_cell(dos, _LEAST_GAP)
    try:
        own = [sum(nearest_gap(dos, i, width=_LEAST_GAP, reach=_REACH)) / 2 for i in range(count)]
    except ReaderError:
        with suppress(ReaderError):
            edges, gap = _edges_of_cell(dos, _NARROW_GAP)
            return edges, f"{gap}, {_DOUBT}"
        raise
    return np.array(own), "of each layer, the cell has none"


def _edges_of_cell(dos: LayerDos, width: float) -> tuple[NDArray[np.float64], str]:
    """Return the middle of the gap of the cell for each group, and the gap in words."""
    low, high = nearest_gap(dos, width=width, reach=_REACH)
    return np.full(len(dos.groups), (low + high) / 2), f"of the cell, {low:.2f} to {high:.2f} eV from the Fermi level"


def _count(dos: LayerDos, density: NDArray[np.float64], edge: float) -> tuple[float, float]:
    """Return electrons above and holes below an edge; density (spin, energy)."""
    levels: Sequence[float] = np.resize(dos.levels, len(density)).tolist()
    electrons = holes = 0.0
    for spin, level in zip(density, levels, strict=True):
        between = float(integrate(dos.energies, spin, min(edge, level), max(edge, level), dos.rule))
        if level > edge:
            electrons += between
        else:
            holes += between
    return electrons, holes
