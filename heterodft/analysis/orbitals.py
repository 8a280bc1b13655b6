"""Orbital polarization of d shells by layer, plane or site.

With n the electrons of an orbital up to the Fermi level and h its empty states above it,

    P = (n(x2−y2) − n(z2)) / (n(x2−y2) + n(z2)),    P_h = (h(z2) − h(x2−y2)) / (h(x2−y2) + h(z2)),

so that both are positive when dx2−y2 is preferred (as Wu et al., Phys. Rev. B 88, 125124 (2013), write them for
electrons and from the holes seen by X-ray linear dichroism). Where the code prints the charge of each orbital of an
orthonormal set (Löwdin), that is n, and 2 − n is h: sums over occupied states, which neither the energy grid nor the
tetrahedra of a density of states blur. Elsewhere, and in a window of energies, the density is integrated.

The orbitals are those along the bonds: where the bonds lie on the diagonals of x and y, dx2-y2 and dxy of the code
change places; at other angles nothing is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.bond_axes import D_ORBITALS, EG, T2G, common_axes, local_name
from heterodft.analysis.integrals import integrate, rule_of
from heterodft.analysis.layers import find_layering
from heterodft.analysis.layers.site_sums import group_data, plain_numbers
from heterodft.analysis.pdos import charge_channels, projected_dos, reference_energy
from heterodft.analysis.selection import groups_of, select_columns, select_sites
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure
    from numpy.typing import NDArray
    from pandas import DataFrame

    from heterodft.analysis.layers import Layering
    from heterodft.analysis.result import Result

__all__ = ["OrbitalPolarization", "SiteGroupOfElement"]

_CAPACITY = 2.0
_ALONG = 0.99
"""Cosine of the angle between the normal of the layers and z."""
_LOST = 0.15
"""Part of an orbital's two states that may be missing before it is said."""


@dataclass(frozen=True)
class SiteGroupOfElement:
    """The atoms of one element in a layer, a plane or at a site; where it begins and ends is that of the layer."""

    label: str
    formula: str
    sites: tuple[int, ...]
    height: float
    bottom: float = 0.0
    top: float = 0.0


@dataclass(frozen=True)
class OrbitalPolarization:
    """Occupation of the d orbitals of an element.

    Attributes
    ----------
    element
        Its symbol.
    groups
        From the bottom up, those that hold the element.
    electrons, holes
        Per atom, both spins, shape (group, orbital), orbitals as in `D_ORBITALS` and along the bonds.
    along
        Whether the bonds of each group lie along the ``axes`` x, y, z or on the in-plane ``diagonals``.
    window
        eV relative to the Fermi level in which electrons were counted.
    source
        ``Löwdin charges`` or ``density of states``.
    notes
        What a reader must know.
    """

    element: str
    groups: tuple[SiteGroupOfElement, ...]
    electrons: NDArray[np.float64]
    holes: NDArray[np.float64]
    along: tuple[str, ...]
    window: tuple[float, float]
    notes: tuple[str, ...] = ()
    source: str = "density of states"

    @classmethod
    def from_result(
        cls,
        result: Result,
        element: str,
        *,
        by: str = "layer",
        layering: Layering | None = None,
        low: float = -np.inf,
        high: float = np.inf,
    ) -> OrbitalPolarization:
        """Take the charges of the orbitals, or integrate the projected density of states.

        Parameters
        ----------
        result
            With a density of states projected on orbitals, and charges of orbitals where they are told.
        element
            Symbol.
        by
            ``layer``, ``plane`` or ``site``.
        layering
            By default that of `find_layering`.
        low, high
            eV relative to the Fermi level between which electrons and holes are counted; by default the whole grid.
            Electrons of antibonding states alone are had with `low` above the bonding ones.

        Raises
        ------
        ReaderError
            If there are no projections on orbitals, the element is not there, or its bonds lie along neither the axes
            nor the diagonals.
        """
        dos = projected_dos(result)
        chosen = select_sites(result.structure, elements=[element])
        layering = layering or find_layering(result.structure)
        _require_normal_along_z(result, layering)
        groups = _groups(result, chosen, by, layering)
        level, _ = reference_energy(result)
        levels = np.resize(result.fermi_levels, charge_channels(dos.total).shape[0])
        levels = levels if len(set(levels)) > 1 else np.full(len(levels), level)
        printed = _printed(result) if (low, high) == (-np.inf, np.inf) else None
        electrons, holes, along = [], [], []
        for group in groups:
            axes = common_axes(result.structure, group.sites)
            names = [local_name(orbital, axes) for orbital in D_ORBITALS]
            columns = [select_columns(tuple(dos.orbitals), orbitals=[name])[0] for name in names]
            if printed is not None:
                below = printed[np.ix_(group.sites, columns)].mean(axis=0)
                above = np.maximum(_CAPACITY - below, 0.0)
            else:
                density = charge_channels(dos.values[np.ix_(group.sites, columns)].mean(axis=0))
                below, above = _split(result, density, levels, low, high)
            electrons.append(below)
            holes.append(above)
            along.append(axes)
        source = "density of states" if printed is None else "Löwdin charges"
        found = cls(element, groups, np.array(electrons), np.array(holes), tuple(along), (low, high), source=source)
        return cls(**{**vars(found), "notes": _notes(found)})

    @classmethod
    def read(
        cls,
        folder: Path,
        element: str,
        *,
        by: str = "layer",
        layering: Layering | None = None,
        low: float = -np.inf,
        high: float = np.inf,
    ) -> OrbitalPolarization:
        """Read a finished folder; see `from_result`."""
        from heterodft.analysis.readers import read_folder

        return cls.from_result(read_folder(folder), element, by=by, layering=layering, low=low, high=high)

    @property
    def polarization(self) -> NDArray[np.float64]:
        """P of the electrons, −1…1, shape (group,); not-a-number where both orbitals are empty."""
        return _ratio(self._of(self.electrons, "dx2-y2"), self._of(self.electrons, "dz2"))

    @property
    def hole_polarization(self) -> NDArray[np.float64]:
        """P of the holes, −1…1, shape (group,); not-a-number where both orbitals are full."""
        return _ratio(self._of(self.holes, "dz2"), self._of(self.holes, "dx2-y2"))

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the series that are drawn."""
        return ("electrons", "holes")

    @property
    def values(self) -> NDArray[np.float64]:
        """Polarizations as drawn, shape (group, column)."""
        return np.stack([self.polarization, self.hole_polarization], axis=1)

    @property
    def quantity(self) -> str:
        """What is drawn."""
        return f"orbital polarization of {self.element}"

    @property
    def unit(self) -> str:
        """Of what is drawn: none."""
        return ""

    def to_frame(self) -> DataFrame:
        """Return one row a group, electrons and holes per atom."""
        from pandas import DataFrame

        data: dict[str, Any] = {"group": [group.label for group in self.groups], "bonds along": list(self.along)}
        for word, numbers in (("electrons", self.electrons), ("holes", self.holes)):
            parts = {name: self._of(numbers, name) for name in EG}
            parts |= {"dxy": self._of(numbers, "dxy")}
            parts |= {"dxz+dyz": self._of(numbers, "dxz") + self._of(numbers, "dyz")}
            parts |= {"t2g": np.sum([self._of(numbers, name) for name in T2G], axis=0)}
            parts |= {"eg": np.sum([self._of(numbers, name) for name in EG], axis=0)}
            data |= {f"{name} ({word})": values for name, values in parts.items()}
        data |= {"P (electrons)": self.polarization, "P (holes)": self.hole_polarization}
        frame = DataFrame(data)
        frame.attrs["source"] = self.source
        return frame

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data; None where there is no polarization."""
        return {
            "element": self.element,
            "groups": group_data(self.groups),
            "orbitals": list(D_ORBITALS),
            "electrons": plain_numbers(self.electrons),
            "holes": plain_numbers(self.holes),
            "polarization": plain_numbers(self.polarization),
            "hole_polarization": plain_numbers(self.hole_polarization),
            "along": list(self.along),
            "source": self.source,
            "notes": list(self.notes),
        }

    def plot(self) -> Figure:
        """Draw the polarizations along the layers."""
        from heterodft.analysis.plots import draw_profile

        return draw_profile(self)

    def _of(self, numbers: NDArray[np.float64], orbital: str) -> NDArray[np.float64]:
        return numbers[:, D_ORBITALS.index(orbital)]


def _require_normal_along_z(result: Result, layering: Layering) -> None:
    """Raise unless the layers are stacked along z, the axis of dz2."""
    stacked = "abc".index(getattr(layering, "axis", "c"))
    others = np.delete(result.structure.lattice.matrix, stacked, axis=0)
    normal = np.cross(*others)
    if abs(normal[2]) < _ALONG * np.linalg.norm(normal):
        raise ReaderError(
            "the layers are not stacked along the Cartesian z axis, to which dz2 of the code belongs, so no orbital "
            "polarization can be told; turn the cell"
        )


def _groups(result: Result, chosen: list[int], by: str, layering: Layering) -> tuple[SiteGroupOfElement, ...]:
    """Return the chosen sites by layer, plane or one by one, from the bottom up."""
    structure = result.structure
    whole = groups_of(layering, "layer" if by == "site" else by)
    found = []
    for group in whole:
        sites = tuple(site for site in group.sites if site in chosen)
        if by != "site" and sites:
            found.append(SiteGroupOfElement(group.label, group.formula, sites, group.height, group.bottom, group.top))
        elif by == "site":
            found += [
                SiteGroupOfElement(
                    f"{group.label} {structure[i].specie.symbol}{i + 1}",
                    structure[i].specie.symbol,
                    (i,),
                    group.height,
                    group.bottom,
                    group.top,
                )
                for i in sites
            ]
    return tuple(found)


def _printed(result: Result) -> NDArray[np.float64] | None:
    """Return the electrons of both spins by site and orbital that the code printed, None where it did not."""
    known = result.sites.get("Löwdin")
    return None if known is None or known.orbital_charges is None else known.orbital_charges.sum(axis=1)


def _split(
    result: Result, density: NDArray[np.float64], levels: NDArray[np.float64], low: float, high: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return electrons below and states above the Fermi level, shape (orbital,); density (orbital, spin, energy)."""
    dos, rule = projected_dos(result), rule_of(result)
    below = np.zeros(len(density))
    above = np.zeros(len(density))
    for spin, level in enumerate(levels):
        part = density[:, spin]
        below += integrate(dos.energies, part, level + low, level, rule)
        above += integrate(dos.energies, part, level, level + high, rule)
    return below, above


def _ratio(more: NDArray[np.float64], less: NDArray[np.float64]) -> NDArray[np.float64]:
    total = more + less
    return np.where(total > 1e-6, (more - less) / np.where(total > 1e-6, total, 1.0), np.nan)


def _notes(found: OrbitalPolarization) -> tuple[str, ...]:
    notes = []
    if "diagonals" in found.along:
        notes.append("bonds lie on the diagonals of x and y: dx2-y2 and dxy of the code have changed places")
    if found.window != (-np.inf, np.inf) or found.source != "density of states":
        return tuple(notes)
    eg = [D_ORBITALS.index(name) for name in EG]
    states = (found.electrons + found.holes)[:, eg]
    if states.min() < (1 - _LOST) * _CAPACITY:
        notes.append(
            f"an orbital of eg holds {states.min():.2f} of 2 states in the energy grid: projections miss the rest, "
            "or too few empty bands were computed for the holes"
        )
    return tuple(notes)
