"""Where the bonds of a transition-metal ion point, which says what its d orbitals are.

Codes project on real harmonics along the Cartesian axes. They are the orbitals of crystal-field theory only where the
bonds lie along these axes. With a √2 × √2 cell in the plane the bonds lie at 45°, and dx2-y2 and dxy change places;
dxz and dyz mix among themselves. At any other angle the densities of single orbitals do not suffice to turn them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pymatgen.core import Structure

__all__ = ["D_ORBITALS", "EG", "T2G", "BondAxes", "common_axes", "find_bond_axes", "local_name"]

D_ORBITALS = ("dz2", "dx2-y2", "dxy", "dxz", "dyz")
T2G, EG = ("dxy", "dxz", "dyz"), ("dz2", "dx2-y2")
_REACH = 3.2
"""Å within which the bonded anions are."""
_LONGEST = 1.35
"""Bonds are at most this many times the shortest one."""
_TILT = 20.0
"""Degrees by which tilts and rotations of octahedra may turn a bond."""

_SQUARE = 0.7
"""Mean of exp(4iφ) of the in-plane bonds: 1 where they lie at right angles, 0 of a trigonal bipyramid."""


@dataclass(frozen=True)
class BondAxes:
    """How the bonds of a site lie.

    Attributes
    ----------
    along
        ``axes``: along x, y and z; ``diagonals``: along z and the diagonals of x and y; None: neither.
    angle
        Degrees from x to the nearest in-plane bond, −45…45; None where there is none.
    bonds
        Number of bonded anions.
    reason
        Why `along` is None, else empty.
    """

    along: Literal["axes", "diagonals"] | None
    angle: float | None
    bonds: int
    reason: str = ""


def find_bond_axes(structure: Structure, site: int) -> BondAxes:
    """Tell how the bonds of a site to the anions around it lie against the Cartesian axes."""
    near = [n for n in structure.get_neighbors(structure[site], _REACH) if not _is_metal(n)]
    shortest = min((n.nn_distance for n in near), default=0.0)
    bonds = np.array([n.coords - structure[site].coords for n in near if n.nn_distance <= _LONGEST * shortest])
    name = f"{structure[site].species_string}{site + 1}"
    if len(bonds) < 4:
        return BondAxes(None, None, len(bonds), f"{name} has {len(bonds)} bonded anions, fewer than 4")
    bonds /= np.linalg.norm(bonds, axis=1)[:, None]
    tilts = np.degrees(np.arcsin(np.clip(np.abs(bonds[:, 2]), 0, 1)))
    upright, flat = tilts > 90 - _TILT, tilts < _TILT
    if not (upright | flat).all() or not flat.any():
        worst = float(tilts[~(upright | flat)][0]) if not (upright | flat).all() else 90.0
        return BondAxes(None, None, len(bonds), f"a bond of {name} lies {worst:.0f}° out of the plane of x and y")
    azimuths = np.arctan2(bonds[flat, 1], bonds[flat, 0])
    # Bonds repeat every 90°, so that fourfold angles are averaged.
    fourfold = np.exp(4j * azimuths).mean()
    if abs(fourfold) < _SQUARE:
        return BondAxes(None, None, len(bonds), f"the in-plane bonds of {name} are not at right angles")
    angle = float(np.degrees(np.angle(fourfold)) / 4)
    if abs(angle) < _TILT:
        return BondAxes("axes", angle, len(bonds))
    if abs(angle) > 45 - _TILT:
        return BondAxes("diagonals", angle, len(bonds))
    return BondAxes(None, angle, len(bonds), f"the in-plane bonds of {name} lie at {angle:.0f}° to x")


def _is_metal(site: object) -> bool:
    return bool(site.specie.is_metal or site.specie.is_metalloid)  # type: ignore[attr-defined]


def common_axes(structure: Structure, sites: Iterable[int]) -> Literal["axes", "diagonals"]:
    """Return how the bonds of several sites lie, all alike.

    Raises
    ------
    ReaderError
        If they differ, or lie along neither the axes nor the diagonals, so that t2g and eg cannot be told.
    """
    found = [find_bond_axes(structure, int(site)) for site in sites]
    for bonds in found:
        if bonds.along is None:
            raise ReaderError(
                f"{bonds.reason}, so orbitals along x, y, z are not those along the bonds; "
                "ask for single orbitals of the Cartesian axes, or choose other sites"
            )
    alike = {bonds.along for bonds in found}
    if len(alike) != 1:
        raise ReaderError("the bonds of these sites lie along different axes; choose sites of one kind")
    return "diagonals" if "diagonals" in alike else "axes"


def local_name(orbital: str, along: Literal["axes", "diagonals"]) -> str:
    """Return the Cartesian orbital that is `orbital` along the bonds; at 45° dx2-y2 and dxy change places."""
    swapped = {"dx2-y2": "dxy", "dxy": "dx2-y2"}
    return swapped.get(orbital, orbital) if along == "diagonals" else orbital
