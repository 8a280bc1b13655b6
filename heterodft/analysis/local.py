"""The neighbours of a defect: who they are, their moments and their density of states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from heterodft.analysis.defect_place import DefectPlace, locate_defect
from heterodft.analysis.energy_zero import reference_energy
from heterodft.analysis.layers.site_sums import site_kinds
from heterodft.analysis.neighbour_shells import NeighbourShell, find_shells
from heterodft.analysis.result import SHELLS
from heterodft.errors import ReaderError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from heterodft.analysis.result import Result

__all__ = ["DefectNeighbours", "MomentsAround", "NeighbourShell", "NeighboursDos"]


@dataclass(frozen=True)
class NeighboursDos:
    """Density of states of each neighbour shell, ready to draw.

    Attributes
    ----------
    groups
        The shells.
    columns
        ``s``, ``p``, ``d``, ``f``.
    energies
        eV from the reference, shape (energy,).
    values
        States per eV, shape (group, column, spin, energy); spins as in `ProjectedDos`.
    reference
        eV on the scale of the code.
    reference_name
        What zero is.
    """

    groups: tuple[NeighbourShell, ...]
    columns: tuple[str, ...]
    energies: NDArray[np.float64]
    values: NDArray[np.float64]
    reference: float
    reference_name: str


@dataclass(frozen=True)
class MomentsAround:
    """Site moments added from the defect outwards, each atom once, at its nearest image.

    Attributes
    ----------
    kind
        ``sphere`` or ``Löwdin``.
    radii
        Å, shape (site,), rising.
    cumulative
        μB of all sites up to each radius, shape (site,).
    """

    kind: str
    radii: NDArray[np.float64]
    cumulative: NDArray[np.float64]
    quantity: str = "moment of the sites"
    unit: str = "μB"


@dataclass(frozen=True)
class DefectNeighbours:
    """What the atoms around a defect hold.

    Attributes
    ----------
    place
        Of the defect.
    shells
        The nearest ones, nearest first.
    kinds
        Of moments: ``sphere`` and ``Löwdin``, those there are; empty of a run without spin.
    site_moments
        μB of every site of the cell by kind, shape (site, kind); of a noncollinear run the z components.
    moments
        μB, shape (shell, kind): each shell's sum, images not counted again.
    defect_moments
        μB, shape (kind,), of the atom that is the defect; not-a-number of a vacancy.
    total
        μB of the whole cell; None when not told.
    dos
        Density of states by shell; None when the result has none.
    distances
        Å, shape (site,): of each site's nearest image from the defect.
    notes
        What is doubtful.
    """

    place: DefectPlace
    shells: tuple[NeighbourShell, ...]
    kinds: tuple[str, ...]
    site_moments: NDArray[np.float64]
    moments: NDArray[np.float64]
    defect_moments: NDArray[np.float64]
    total: float | None
    dos: NeighboursDos | None
    distances: NDArray[np.float64]
    notes: tuple[str, ...] = ()

    @classmethod
    def from_result(
        cls,
        result: Result,
        *,
        position: Sequence[float] | None = None,
        site: int | None = None,
        pristine: Structure | None = None,
        shells: int = 3,
    ) -> Self:
        """Find the neighbours of the defect of a result.

        Parameters
        ----------
        result
            Of the cell with the defect.
        position, site, pristine
            Where the defect is, see `locate_defect`; not needed for a structure of our builder.
        shells
            How many shells, the nearest first.

        Raises
        ------
        ReaderError
            If nothing tells where the defect is.
        """
        if shells < 1:
            raise ReaderError(f"shells: {shells}; give 1 or more")
        place = locate_defect(result, position=position, site=site, pristine=pristine)
        found, notes = find_shells(result.structure, place, shells)
        kinds = {k: v for k, v in site_kinds(result).items() if v.moments is not None} if result.sites else {}
        values = np.array([found_kind.moments for found_kind in kinds.values()], dtype=float)
        values = values.reshape(len(kinds), len(result.structure)).T
        moments = np.array([values[list(shell.own_sites)].sum(axis=0) for shell in found])
        own = np.full(len(kinds), np.nan) if place.site is None else values[place.site]
        fractional = result.structure.lattice.get_fractional_coords(place.position)
        distances = result.structure.lattice.get_all_distances([fractional], result.structure.frac_coords)[0]
        return cls(
            place=place,
            shells=found,
            kinds=tuple(kinds),
            site_moments=values,
            moments=moments.reshape(len(found), len(kinds)),
            defect_moments=own,
            total=result.total_moment,
            dos=_dos(result, found),
            distances=np.asarray(distances),
            notes=(*notes, *result.notes),
        )

    @classmethod
    def read(
        cls,
        folder: Path,
        *,
        position: Sequence[float] | None = None,
        site: int | None = None,
        pristine: Structure | None = None,
        shells: int = 3,
    ) -> Self:
        """Read a finished folder; see `from_result`."""
        from heterodft.analysis.readers import read_folder

        return cls.from_result(read_folder(folder), position=position, site=site, pristine=pristine, shells=shells)

    @property
    def share(self) -> NDArray[np.float64] | None:
        """Part of the cell's moment that each shell holds, shape (shell, kind).

        None where the cell's moment is not known or so near to zero (0.05 μB) that parts of it mean nothing.
        """
        if self.total is None or abs(self.total) < 0.05:
            return None
        return self.moments / self.total

    def moments_around(self, kind: str | None = None) -> MomentsAround:
        """Return the moments of sites added outwards from the defect.

        Parameters
        ----------
        kind
            ``sphere`` or ``Löwdin``; by default the first there is.

        Raises
        ------
        ReaderError
            If there are no moments of that kind.
        """
        if not self.kinds:
            raise ReaderError("the result is not spin-polarized; there are no moments")
        if kind is not None and kind not in self.kinds:
            raise ReaderError(f"no {kind} moments{did_you_mean(kind, self.kinds)}")
        used = kind or self.kinds[0]
        order = np.argsort(self.distances, kind="stable")
        values = self.site_moments[order, self.kinds.index(used)]
        return MomentsAround(used, self.distances[order], np.cumsum(values))

    def to_frame(self) -> pd.DataFrame:
        """Return a table, one row a neighbour, the nearest first; sites count from 0, as in Python."""
        import pandas as pd

        rows = [
            {"shell": number, "element": shell.element, "site": site, "distance (Å)": distance}
            | {f"{kind} moment (μB)": self.site_moments[site, k] for k, kind in enumerate(self.kinds)}
            for number, shell in enumerate(self.shells, start=1)
            for site, distance in zip(shell.sites, shell.distances, strict=True)
        ]
        frame = pd.DataFrame(rows)
        frame.attrs = {"defect": self.place.kind, "total moment (μB)": self.total}
        return frame

    def shells_frame(self) -> pd.DataFrame:
        """Return a table, one row a shell, with its summed moments and their part of the cell's moment."""
        import pandas as pd

        share = self.share
        data: dict[str, Any] = {
            "element": [shell.element for shell in self.shells],
            "neighbours": [len(shell.sites) for shell in self.shells],
            "distance (Å)": [float(np.mean(shell.distances)) for shell in self.shells],
        }
        for k, kind in enumerate(self.kinds):
            data[f"{kind} moment (μB)"] = self.moments[:, k]
            if share is not None:
                data[f"{kind} part of the cell's moment (%)"] = 100 * share[:, k]
        return pd.DataFrame(data)

    def plot(self, what: str | None = None) -> Figure:
        """Draw the density of states of the neighbours (``dos``), or the moments from the defect out (``moments``).

        Raises
        ------
        ReaderError
            If the result holds neither.
        """
        from heterodft.analysis.plots import draw_layer_dos, draw_shells

        chosen = what or ("dos" if self.dos is not None else "moments")
        if chosen not in ("dos", "moments"):
            raise ReaderError(f"what: '{chosen}'{did_you_mean(chosen, ('dos', 'moments'))}")
        if chosen == "moments":
            return draw_shells(self.moments_around())
        if self.dos is None:
            raise ReaderError("the result holds no projected density of states; run a dos step")
        return draw_layer_dos(self.dos)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the density of states as JSON data: Å, μB; sites count from 0."""
        share = self.share
        return {
            "defect": {
                "kind": self.place.kind,
                "position": list(self.place.position),
                "site": self.place.site,
                "source": self.place.source,
                "moments": None if self.place.site is None else self.defect_moments.tolist(),
            },
            "kinds": list(self.kinds),
            "total": self.total,
            "shells": [
                {
                    "element": shell.element,
                    "sites": list(shell.sites),
                    "distances": list(shell.distances),
                    "site_moments": self.site_moments[list(shell.sites)].tolist(),
                    "moments": self.moments[i].tolist(),
                    "share": None if share is None else share[i].tolist(),
                }
                for i, shell in enumerate(self.shells)
            ],
            "notes": list(self.notes),
        }


def _dos(result: Result, shells: tuple[NeighbourShell, ...]) -> NeighboursDos | None:
    if result.dos is None:
        return None
    by_shell = result.dos.by_shell()
    reference, name = reference_energy(result) if result.fermi_levels else (0.0, "zero of the code")
    values = np.array([by_shell[list(shell.own_sites)].sum(axis=0) for shell in shells])
    return NeighboursDos(shells, SHELLS, result.dos.energies - reference, values, reference, name)
