"""Hubbard U by linear response, site by site: what one calculation says, and which sites ought to agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

__all__ = ["EquivalentSites", "ResponseU", "equivalent_sites"]

_SAME_MOMENT = 0.1
"""μB; sites that symmetry relates and whose moments differ by less in size are one site."""


@dataclass(frozen=True)
class ResponseU:
    """Hubbard U by linear response, U = (χ0⁻¹ - χ⁻¹) of the site itself (Cococcioni and de Gironcoli, 2005).

    Attributes
    ----------
    sites
        Indices in the structure of the sites with a U, in the order of all that follows.
    shells
        ``3d`` by site; empty texts where the outputs and the request tell none.
    values
        U in eV by site.
    started_from
        U in eV that the ground state was computed with, by site; empty where it is not told.
    groups
        Number by site; sites of one number were perturbed once, as one.
    qpoints
        Mesh of wave vectors, None where it is not told.
    chi0, chi
        Bare and self-consistent response of the occupations, 1/eV, shape (sites, sites of the supercell that the
        q-points stand for): the first of the latter are the sites themselves. None where they are not told.
    """

    sites: tuple[int, ...]
    shells: tuple[str, ...]
    values: tuple[float, ...]
    started_from: tuple[float, ...] = ()
    groups: tuple[int, ...] = ()
    qpoints: tuple[int, int, int] | None = None
    chi0: NDArray[np.float64] | None = None
    chi: NDArray[np.float64] | None = None

    @property
    def by_site(self) -> dict[int, float]:
        """U in eV by index of the site."""
        return dict(zip(self.sites, self.values, strict=True))

    def to_data(self) -> dict[str, Any]:
        """Return plain JSON data, without the matrices."""
        return {
            "sites": list(self.sites),
            "shells": list(self.shells),
            "values": list(self.values),
            "started_from": list(self.started_from),
            "groups": list(self.groups),
            "qpoints": None if self.qpoints is None else list(self.qpoints),
        }

    @classmethod
    def from_data(cls, data: dict[str, Any], arrays: dict[str, Any]) -> ResponseU:
        """Rebuild from `to_data` and the matrices, where there are any."""
        lists: dict[str, Any] = {key: tuple(data[key]) for key in data if key != "qpoints"}
        mesh = data["qpoints"]
        return cls(**lists, qpoints=None if mesh is None else tuple(mesh), **arrays)


@dataclass(frozen=True)
class EquivalentSites:
    """Sites that symmetry makes one, up to the sign of their moments.

    Attributes
    ----------
    sites
        Indices in the structure.
    value
        Mean of what was found for them.
    spread
        Largest difference within them: zero but for grids that are not as symmetric as the crystal.
    """

    sites: tuple[int, ...]
    value: float
    spread: float


def equivalent_sites(
    structure: Structure, values: dict[int, float], moments: Sequence[float] | None = None
) -> list[EquivalentSites]:
    """Group sites that symmetry makes one and average over each group.

    Parameters
    ----------
    structure
        The structure.
    values
        By index of the site; other sites are left out.
    moments
        μB by site; sites that the crystal relates but whose moments differ in size (not in sign) stay apart.

    Examples
    --------
    >>> from heterodft.structures import build_material
    >>> found = equivalent_sites(build_material("SrTiO3").cell, {2: 8.0, 3: 8.2, 4: 8.1})
    >>> [(group.sites, round(group.value, 6), round(group.spread, 6)) for group in found]
    [((2, 3, 4), 8.1, 0.2)]
    """
    from heterodft.structures.symmetry import plain_symmetry

    dataset = plain_symmetry(structure)
    orbits = range(len(structure)) if dataset is None else dataset.equivalent_atoms
    groups: list[list[int]] = []
    for site in sorted(values):
        fitting = (group for group in groups if _same(group[0], site, orbits, moments))
        group = next(fitting, None)
        if group is None:
            groups.append([site])
        else:
            group.append(site)
    return [_averaged(group, values) for group in groups]


def _same(one: int, other: int, orbits: Sequence[int], moments: Sequence[float] | None) -> bool:
    if orbits[one] != orbits[other]:
        return False
    return moments is None or abs(abs(moments[one]) - abs(moments[other])) < _SAME_MOMENT


def _averaged(group: list[int], values: dict[int, float]) -> EquivalentSites:
    found = [values[site] for site in group]
    return EquivalentSites(tuple(group), float(np.mean(found)), max(found) - min(found))
