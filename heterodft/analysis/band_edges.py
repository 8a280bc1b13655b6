"""Band edges by layer and the band offsets between blocks.

From the density of states, the edge of a layer is where the states counted from inside the gap outwards reach a
stated number. The tail of a broadened density holds few states and so moves it little, while it would move an edge
defined by a value of the density. Counting puts the edge a little into the band, the more so the lighter the
carriers: layers of one material have that shift in common, offsets between materials keep the difference.

From the projections of bands, it is the extreme of the states of which more than a stated part is in the layer.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.dos_arrays import state_parts
from heterodft.analysis.dos_gaps import energy_inside, nearest_gap, notes_on
from heterodft.analysis.gaps import find_gap
from heterodft.analysis.integrals import cumulate, integrate, states_below
from heterodft.analysis.layers import find_layering, sum_over_groups
from heterodft.analysis.layers.site_sums import block_of, group_data, kind_of
from heterodft.analysis.pdos import LayerDos, spin_names
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

__all__ = ["BandEdges", "BandOffset"]

_COARSE = 0.1
"""eV; an energy grid with larger steps does not tell edges."""
_NEAR_FERMI = 0.05
"""eV on either side of the Fermi level in which states make a layer a metal."""


@dataclass(frozen=True)
class BandOffset:
    """How far the band edges of one block lie above those of the one below it, in eV; None where an edge is unknown.

    The edges of a block are the mean of its innermost layer or two.
    """

    lower: str
    upper: str
    spin: str
    valence: float | None
    conduction: float | None


@dataclass(frozen=True)
class BandEdges:
    """Band edges by layer or plane.

    Attributes
    ----------
    groups
        From the bottom up.
    spins
        ``both``, or ``up`` and ``down``.
    valence, conduction
        eV relative to `reference`, shape (group, spin); not-a-number where there is none.
    metallic
        Whether the layer has states at the Fermi level, shape (group, spin).
    reference, reference_name
        eV; what zero is.
    method
        How the edges were found, with the threshold.
    notes
        What a reader must know.
    """

    groups: tuple[SiteGroup, ...]
    spins: tuple[str, ...]
    valence: NDArray[np.float64]
    conduction: NDArray[np.float64]
    metallic: NDArray[np.bool_]
    reference: float
    reference_name: str
    method: str
    notes: tuple[str, ...] = ()

    @classmethod
    def from_result(
        cls,
        result: Result,
        *,
        by: str = "layer",
        layering: Layering | None = None,
        states: float = 0.005,
        start: float | None = None,
    ) -> BandEdges:
        """Find the edges in the projected density of states.

        Parameters
        ----------
        result
            With a projected density of states.
        by
            ``layer`` or ``plane``.
        layering
            By default that of `find_layering`.
        states
            States per atom of the layer, of both spins together, after which an edge is reached.
        start
            eV relative to the Fermi level or middle of the gap (`reference`) from which states are counted up and
            down; by default the middle of the gap, of a metal that of the gap of its density of states nearest to the
            Fermi level.

        Raises
        ------
        ReaderError
            If there are no projections, of a metal no gap within 3 eV of the Fermi level, or `start` is beyond the
            energies.
        """
        dos = LayerDos.from_result(result, by=by, layering=layering)
        notes = list(dos.notes)
        notes += [] if start is None else notes_on(dos, start)
        start = _start(dos, notes) if start is None else energy_inside(dos, start)
        step = float(np.diff(dos.energies).mean())
        if step > _COARSE:
            notes.append(f"the energy grid has steps of {step:.2g} eV, too coarse for edges; use more points")
        density = dos.values.sum(axis=1)
        spins = density.shape[1]
        limits = np.array([states * len(group.sites) / spins for group in dos.groups])
        edges = np.array(
            [
                [_edges(dos, spin_density, start, limit) for spin_density in group]
                for group, limit in zip(density, limits, strict=True)
            ]
        )
        metallic = _at_level(dos, density) > limits[:, None]
        return cls(
            tuple(dos.groups),
            dos.spins,
            edges[..., 0],
            edges[..., 1],
            metallic if dos.reference_name == "Fermi level" else np.zeros_like(metallic),
            dos.reference,
            dos.reference_name,
            f"density of states: {states:g} states per atom counted from {start:.2f} eV outwards",
            tuple(notes),
        )

    @classmethod
    def from_projections(
        cls, result: Result, *, by: str = "layer", layering: Layering | None = None, share: float = 0.5
    ) -> BandEdges:
        """Find the edges in the projections of the bands of an insulator.

        Parameters
        ----------
        result
            With bands and their projections.
        by, layering
            As in `from_result`.
        share
            A state belongs to a layer when the layer's part of it is more than this many times the layer's part of
            all atoms; a state spread evenly over the cell has 1.

        Raises
        ------
        ReaderError
            If there are no projections, or the crystal is a metal.
        """
        bands = result.bands
        if bands is None:
            raise ReaderError("the result holds no projections of its bands; read it with projections=True")
        by_site = state_parts(bands).sum(axis=4)
        gap = find_gap(result)
        if gap is None or gap.metal:
            raise ReaderError("the crystal is no insulator with empty bands, so its bands have no edges by layer")
        tops = [spin.valence_maximum for spin in gap.spins if spin.valence_maximum is not None]
        bottoms = [spin.conduction_minimum for spin in gap.spins if spin.conduction_minimum is not None]
        middle = (max(tops) + min(bottoms)) / 2
        groups = groups_of(layering or find_layering(result.structure), by)
        parts = sum_over_groups(groups, np.moveaxis(by_site, 3, 0))
        parts = parts / np.maximum(by_site.sum(axis=3), 1e-12)
        least = np.array([share * len(group.sites) / len(result.structure) for group in groups])
        inside = parts > least[:, None, None, None]
        below = bands.energies <= middle
        valence = np.where(inside & below, bands.energies, -np.inf).max(axis=(2, 3)) - middle
        conduction = np.where(inside & ~below, bands.energies, np.inf).min(axis=(2, 3)) - middle
        return cls(
            tuple(groups),
            spin_names(len(bands.energies)),
            np.where(np.isfinite(valence), valence, np.nan),
            np.where(np.isfinite(conduction), conduction, np.nan),
            np.zeros(valence.shape, dtype=bool),
            middle,
            "middle of the gap",
            f"projections: states with more than {share:g} times the layer's part of the atoms",
            () if gap.resolved else ("the mesh does not resolve the gap",),
        )

    @classmethod
    def read(
        cls,
        folder: Path,
        *,
        by: str = "layer",
        layering: Layering | None = None,
        states: float = 0.005,
        start: float | None = None,
    ) -> BandEdges:
        """Read a finished folder; see `from_result`."""
        from heterodft.analysis.readers import read_folder

        return cls.from_result(read_folder(folder), by=by, layering=layering, states=states, start=start)

    @property
    def by(self) -> str:
        """``layer`` or ``plane``."""
        return kind_of(self.groups)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the series that are drawn."""
        words = [""] if self.spins == ("both",) else [f", spin {spin}" for spin in self.spins]
        return tuple(f"{edge}{word}" for word in words for edge in ("valence", "conduction"))

    @property
    def values(self) -> NDArray[np.float64]:
        """The edges as drawn, shape (group, column)."""
        return np.stack([self.valence, self.conduction], axis=2).reshape(len(self.groups), -1)

    @property
    def quantity(self) -> str:
        """What is drawn."""
        return f"band edge from the {self.reference_name}"

    @property
    def unit(self) -> str:
        """Of what is drawn."""
        return "eV"

    def offsets(self) -> tuple[BandOffset, ...]:
        """Return the band offset at each interface from the bottom up, one a spin.

        The edges of a layer are the outermost ones of its planes, of which one alone may have none near the gap.
        """
        layers: dict[str, list[int]] = {}
        for i, group in enumerate(self.groups):
            layers.setdefault(group.label.partition(" ")[0], []).append(i)
        valence = np.array([np.fmax.reduce(self.valence[own]) for own in layers.values()])
        conduction = np.array([np.fmin.reduce(self.conduction[own]) for own in layers.values()])
        blocks: dict[str, list[int]] = {}
        for i, label in enumerate(layers):
            blocks.setdefault(block_of(label), []).append(i)
        inner = {name: _innermost(members) for name, members in blocks.items()}
        return tuple(
            BandOffset(
                lower,
                upper,
                spin,
                _difference(valence[inner[lower], s], valence[inner[upper], s]),
                _difference(conduction[inner[lower], s], conduction[inner[upper], s]),
            )
            for lower, upper in zip(list(blocks)[:-1], list(blocks)[1:], strict=True)
            for s, spin in enumerate(self.spins)
        )

    def to_frame(self) -> DataFrame:
        """Return one row a group and spin."""
        from pandas import DataFrame

        frame = DataFrame(
            [
                {
                    self.by: group.label,
                    "spin": spin,
                    "valence edge (eV)": self.valence[i, s],
                    "conduction edge (eV)": self.conduction[i, s],
                    "metallic": bool(self.metallic[i, s]),
                }
                for i, group in enumerate(self.groups)
                for s, spin in enumerate(self.spins)
            ]
        )
        frame.attrs |= {"zero of energy": self.reference_name, "method": self.method}
        return frame

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data; None where there is no edge."""
        rows = self.to_frame().astype(object)
        return {
            "by": self.by,
            "groups": group_data(self.groups),
            "edges": rows.where(rows.notna(), None).to_dict("records"),
            "offsets": [asdict(offset) for offset in self.offsets()],
            "reference": self.reference,
            "reference_name": self.reference_name,
            "method": self.method,
            "notes": list(self.notes),
        }

    def plot(self) -> Figure:
        """Draw the edges along the layers."""
        from heterodft.analysis.plots import draw_profile

        return draw_profile(self)


def _start(dos: LayerDos, notes: list[str]) -> float:
    """Return where counting begins, relative to the reference: inside a gap."""
    if dos.reference_name != "Fermi level":
        return 0.0
    low, high = nearest_gap(dos)
    notes.append(
        f"the cell is a metal; edges are those around the gap of its density of states "
        f"from {low:.2f} to {high:.2f} eV"
    )
    return (low + high) / 2


def _edges(dos: LayerDos, density: NDArray[np.float64], start: float, limit: float) -> tuple[float, float]:
    """Return where `limit` states are reached downwards and upwards from `start`."""
    counted = cumulate(dos.energies, density, dos.rule)
    here = float(states_below(dos.energies, density, start, dos.rule))
    return _where(dos.energies, counted, here - limit, last=True), _where(
        dos.energies, counted, here + limit, last=False
    )


def _where(energies: NDArray[np.float64], counted: NDArray[np.float64], target: float, *, last: bool) -> float:
    """Return the energy at which the states counted from the bottom are `target`; not-a-number if never."""
    if target < counted[0] or target > counted[-1]:
        return float("nan")
    if last:
        i = int(np.searchsorted(counted, target, side="right")) - 1
        j = min(i + 1, len(energies) - 1)
    else:
        j = int(np.searchsorted(counted, target, side="left"))
        i = max(j - 1, 0)
    rise = counted[j] - counted[i]
    part = (target - counted[i]) / rise if rise > 0 else 0.0
    return float(energies[i] + part * (energies[j] - energies[i]))


def _at_level(dos: LayerDos, density: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the states near the Fermi level of each spin, shape (group, spin)."""
    step = float(np.diff(dos.energies).mean())
    near = max(_NEAR_FERMI, step)
    levels = np.resize(dos.levels, density.shape[1])
    parts = [integrate(dos.energies, density[:, s], e - near, e + near, dos.rule) for s, e in enumerate(levels)]
    return np.stack(parts, axis=1)


def _innermost(members: Sequence[int]) -> list[int]:
    count = len(members)
    return list(members[(count - 1) // 2 : count // 2 + 1])


def _difference(lower: NDArray[np.float64], upper: NDArray[np.float64]) -> float | None:
    value = float(upper.mean() - lower.mean())
    return value if np.isfinite(value) else None
