"""Band structure along a path, with the part of each state in each layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.dos_arrays import state_parts
from heterodft.analysis.gaps import find_gap
from heterodft.analysis.layers import find_layering
from heterodft.analysis.layers.site_sums import group_data, plain_numbers
from heterodft.analysis.pdos import reference_energy, spin_names
from heterodft.analysis.result import ORBITALS
from heterodft.analysis.selection import groups_of, select_columns, select_sites
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure
    from numpy.typing import NDArray
    from pandas import DataFrame
    from pymatgen.core import Structure

    from heterodft.analysis.gaps import Gap
    from heterodft.analysis.layers import Layering, SiteGroup
    from heterodft.analysis.result import Bands, Result

__all__ = ["LayerBands"]

_JUMP = 4.0
"""Steps this many times their median are a jump to another part of the zone."""
_SAME = 1e-6


@dataclass(frozen=True)
class LayerBands:
    """Bands along a path.

    Attributes
    ----------
    distances
        1/Å (with 2π) along the path, shape (k,); a jump has no length.
    energies
        eV relative to `reference`, sorted at each k-point, shape (spin, k, band).
    weights
        Part of each state in each group, 0…1, shape (spin, k, band, group); None without projections. They add up to
        less than one by what the projections miss.
    groups
        Layers or planes from the bottom up; empty without projections.
    labels
        Names of the special points by their distance, two at a jump as ``U|K``.
    breaks
        Indices of the k-points with which a new stretch begins.
    reference, reference_name
        eV; what zero is.
    kpoints
        Fractional, shape (k, 3).
    gap
        Of the k-points of the path only; None when no empty band was computed.
    projections, orbitals, structure
        What the weights were added from, shape (spin, k, band, site, orbital).
    notes
        What a reader must know.
    """

    distances: NDArray[np.float64]
    energies: NDArray[np.float64]
    weights: NDArray[np.float64] | None
    groups: tuple[SiteGroup, ...]
    labels: dict[float, str]
    breaks: tuple[int, ...]
    reference: float
    reference_name: str
    kpoints: NDArray[np.float64]
    gap: Gap | None
    projections: NDArray[np.float64] | None = None
    orbitals: tuple[str, ...] = ORBITALS
    structure: Structure | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def from_result(
        cls,
        result: Result,
        *,
        by: str = "layer",
        layering: Layering | None = None,
        reference: tuple[float, str] | None = None,
    ) -> LayerBands:
        """Take the bands of a result in the order of its k-points.

        Parameters
        ----------
        result
            Of a bands step; with projections when read with ``projections=True``.
        by
            ``layer`` or ``plane``.
        layering
            By default that of `find_layering`.
        reference
            eV and its name, as of `heterodft.analysis.pdos.reference_energy` of the static step: the Fermi level of a
            path of k-points means little.

        Raises
        ------
        ReaderError
            If there are no bands, or with projections the layers cannot be told.
        """
        bands = result.bands
        if bands is None:
            raise ReaderError("the result holds no bands; run a bands step")
        order = np.argsort(bands.energies, axis=2, kind="stable")
        notes = []
        if reference is None:
            reference = reference_energy(result)
            notes.append(f"zero is the {reference[1]} of the path's own k-points, not that of a mesh")
        projections = weights = None
        groups: tuple[SiteGroup, ...] = ()
        if bands.projections is not None:
            projections = np.take_along_axis(state_parts(bands), order[..., None, None], axis=2)
            groups = tuple(groups_of(layering or find_layering(result.structure), by))
            by_site = projections.sum(axis=4)
            weights = np.stack([by_site[..., list(group.sites)].sum(axis=-1) for group in groups], axis=-1)
        else:
            notes.append("the bands have no projections, so that states are not told by layer")
        cartesian = bands.kpoints @ result.structure.lattice.reciprocal_lattice.matrix
        breaks = _breaks(cartesian, bands.labels)
        distances = _distances(cartesian, breaks)
        return cls(
            distances,
            np.take_along_axis(bands.energies, order, axis=2) - reference[0],
            weights,
            groups,
            _labels(bands, distances),
            breaks,
            *reference,
            bands.kpoints,
            find_gap(result),
            projections,
            tuple(bands.orbitals),
            result.structure,
            tuple(notes),
        )

    @classmethod
    def read(
        cls,
        folder: Path,
        *,
        by: str = "layer",
        layering: Layering | None = None,
        reference: tuple[float, str] | None = None,
    ) -> LayerBands:
        """Read a finished folder with its projections; see `from_result`."""
        from heterodft.analysis import readers

        read: Any = readers.read_folder
        return cls.from_result(read(folder, projections=True), by=by, layering=layering, reference=reference)

    @property
    def spins(self) -> tuple[str, ...]:
        """Names along the spin axis: ``both``, or ``up`` and ``down``."""
        return spin_names(len(self.energies))

    def select(
        self,
        *,
        elements: Iterable[str] | None = None,
        layers: Iterable[str] | None = None,
        sites: Iterable[int] | None = None,
        shells: Iterable[str] | None = None,
        orbitals: Iterable[str] | None = None,
    ) -> NDArray[np.float64]:
        """Return the part of each state in everything that meets every condition given, shape (spin, k, band).

        See `heterodft.analysis.pdos.LayerDos.select` for the conditions.

        Raises
        ------
        ReaderError
            If there are no projections, a name is unknown, or nothing is left.
        """
        if self.projections is None or self.structure is None:
            raise ReaderError("the bands have no projections; read them with projections=True")
        chosen = select_sites(self.structure, self.groups, elements=elements, layers=layers, sites=sites)
        columns = select_columns(
            self.orbitals, shells=shells, orbitals=orbitals, structure=self.structure, sites=chosen
        )
        return np.asarray(self.projections[..., chosen, :][..., columns].sum(axis=(-2, -1)))

    def summary(self) -> DataFrame:
        """Return the band edges of the path, one row a spin and edge, with the layer most of the state is in.

        Of a metal (or without empty bands) the rows are the highest state below and the lowest above zero.
        """
        from pandas import DataFrame

        rows = []
        for s, spin in enumerate(self.spins):
            for name, sign in (("valence", -1), ("conduction", 1)):
                above = sign * self.energies[s]
                # Without empty bands zero is the highest filled state.
                side = np.where(above > 0 if sign > 0 else above >= -_SAME, above, np.inf)
                k, band = np.unravel_index(int(side.argmin()), side.shape)
                if not np.isfinite(side[k, band]):
                    continue
                most = None if self.weights is None else int(self.weights[s, k, band].argmax())
                rows.append(
                    {
                        "spin": spin,
                        "edge": name,
                        "energy (eV)": float(self.energies[s, k, band]),
                        "k-point": tuple(np.round(self.kpoints[k], 6).tolist()),
                        "point": self.labels.get(float(self.distances[k]), ""),
                        "band": int(band) + 1,
                        "layer": "" if most is None else self.groups[most].label,
                        "weight": None if most is None or self.weights is None else self.weights[s, k, band, most],
                    }
                )
        return DataFrame(rows)

    def to_frame(self) -> DataFrame:
        """Return one row a spin, k-point and band, with a column a group where there are projections."""
        from pandas import DataFrame

        spins, points, count = self.energies.shape
        s, k, b = (index.ravel() for index in np.indices((spins, points, count)))
        data: dict[str, Any] = {
            "spin": np.array(self.spins)[s],
            "k": k,
            "distance (1/Å)": self.distances[k],
            "band": b + 1,
            "energy (eV)": self.energies.ravel(),
        }
        if self.weights is not None:
            data |= {f"weight {group.label}": self.weights[..., i].ravel() for i, group in enumerate(self.groups)}
        frame = DataFrame(data)
        frame.attrs["zero of energy"] = self.reference_name
        return frame

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "distances": self.distances.tolist(),
            "energies": plain_numbers(self.energies),
            "weights": None if self.weights is None else plain_numbers(self.weights),
            "groups": group_data(self.groups),
            "labels": [[place, name] for place, name in self.labels.items()],
            "breaks": list(self.breaks),
            "reference": self.reference,
            "reference_name": self.reference_name,
            "kpoints": self.kpoints.tolist(),
            "gap": None if self.gap is None else self.gap.to_dict(),
            "notes": list(self.notes),
        }

    def plot(self) -> Figure:
        """Draw the bands along the path."""
        from heterodft.analysis.plots import draw_bands

        return draw_bands(self)


def _breaks(cartesian: NDArray[np.float64], labels: Sequence[str] | None) -> tuple[int, ...]:
    """Return where the path jumps.

    Two neighbouring points that both have a name, or a long step without names, are a jump; a single short step
    between two named points is a stretch.
    """
    steps = np.linalg.norm(np.diff(cartesian, axis=0), axis=1)
    moving = steps[steps > _SAME]
    if not len(moving):
        return ()
    usual = float(np.median(moving))
    named = (
        np.array([bool(label) for label in labels]) if labels is not None else np.zeros(len(cartesian), dtype=bool)
    )
    both = named[:-1] & named[1:]
    jump = (steps > _JUMP * usual) & (both if named.any() else True) | both & (steps > 1.5 * usual)
    return tuple(int(i) + 1 for i in np.flatnonzero(jump))


def _distances(cartesian: NDArray[np.float64], breaks: Sequence[int]) -> NDArray[np.float64]:
    steps = np.linalg.norm(np.diff(cartesian, axis=0), axis=1)
    steps[[i - 1 for i in breaks]] = 0.0
    return np.concatenate([[0.0], np.cumsum(steps)])


def _labels(bands: Bands, distances: NDArray[np.float64]) -> dict[float, str]:
    """Return the names by distance; what lies at one place is joined, a repeated name once."""
    found: dict[float, str] = {}
    for place, name in zip(distances.tolist(), bands.labels or (), strict=False):
        if name:
            known = next((p for p in found if abs(p - place) < _SAME), None)
            if known is None:
                found[place] = name
            elif name not in found[known].split("|"):
                found[known] += f"|{name}"
    return found
