"""Whether the spheres in which pw.x adds charges and moments are those of another calculation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from pymatgen.core import Structure

    from heterodft.analysis.result import Result

__all__ = ["other_spheres", "sphere_radii", "uneven_spheres"]

_PART = 0.99 * 0.5 / 1.2
"""Of the distance to the nearest atom: routine make_pointlists of pw.x, which prints it as ``new r_m``."""
_ALIKE = 0.002
"""Å; in a sphere 0.028 Å smaller than in CaRuO3 a Ru had 0.4 electrons less, in (CaRuO3)1/(LaNiO3)1."""


def other_spheres(result: Result, bulk: Result) -> list[str]:
    """Return the elements whose spheres differ in size between two calculations, so that charges do not compare.

    pw.x gives each kind of atom a sphere that just leaves its neighbours out, so that one that moved a little has
    other electrons. VASP's are those of its POTCAR.

    Parameters
    ----------
    result, bulk
        The calculation, and the one that it is compared with.
    """
    if result.code != "espresso" or bulk.code != "espresso":
        return []
    here, there = sphere_radii(result.structure), sphere_radii(bulk.structure)
    return sorted(name for name in here.keys() & there.keys() if abs(here[name] - there[name]) > _ALIKE)


def sphere_radii(structure: Structure) -> Mapping[str, float]:
    """Return the radius of the spheres of each element in Å, the smallest where pw.x knows several kinds of it."""
    elements = [str(site.specie.symbol) for site in structure]
    return dict(zip(elements, _radii_of_kinds(structure, elements), strict=True))


def uneven_spheres(result: Result) -> dict[str, tuple[float, float]]:
    """Return the smallest and the largest radius in Å of those magnetic elements whose kinds have different spheres.

    Atoms of one element that start with other moments are other kinds for pw.x. Its sphere for Mn was 0.745 Å in
    (LaMnO3)1/(SrMnO3)1 with parallel moments, and 0.786 and 0.745 Å with antiparallel ones, of which one Mn so had
    0.3 electrons and 0.1 μB more.
    """
    starts = result.request.get("request", {}).get("moments") or []
    if result.code != "espresso" or len(starts) != len(result.structure) or not any(starts):
        return {}
    elements = [str(site.specie.symbol) for site in result.structure]
    kinds = [(element, round(float(start), 3)) for element, start in zip(elements, starts, strict=True)]
    radii = _radii_of_kinds(result.structure, kinds)
    magnetic = {element for element, start in zip(elements, starts, strict=True) if start}
    found = {
        element: [radius for radius, own in zip(radii, elements, strict=True) if own == element]
        for element in dict.fromkeys(elements)
        if element in magnetic
    }
    return {element: (min(own), max(own)) for element, own in found.items() if max(own) - min(own) > _ALIKE}


def _radii_of_kinds(structure: Structure, kinds: Sequence[Hashable]) -> list[float]:
    """Return the radius of the sphere of each site: that of its kind, whose closest neighbour decides."""
    distances = structure.distance_matrix + np.diag(structure.lattice.abc[0] * np.ones(len(structure)))
    nearest = np.where(distances > 0, distances, np.inf).min(axis=1)
    radii: dict[Hashable, float] = {}
    for kind, distance in zip(kinds, nearest.tolist(), strict=True):
        radii[kind] = min(radii.get(kind, np.inf), _PART * distance)
    return [radii[kind] for kind in kinds]
