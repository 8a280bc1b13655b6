"""Whether the spheres in which pw.x adds charges and moments are those of another calculation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pymatgen.core import Structure

    from heterodft.analysis.result import Result

__all__ = ["other_spheres", "sphere_radii"]

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
    distances = structure.distance_matrix + np.diag(structure.lattice.abc[0] * np.ones(len(structure)))
    nearest = np.where(distances > 0, distances, np.inf).min(axis=1)
    radii: dict[str, float] = {}
    for site, distance in zip(structure, nearest, strict=True):
        symbol = str(site.specie.symbol)
        radii[symbol] = min(radii.get(symbol, np.inf), _PART * float(distance))
    return radii
