"""Where in a host a defect may sit: at interfaces and surfaces, in named layers, beside members of a complex."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from heterodft.errors import StructureError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

__all__ = ["PLACES", "allowed_sites", "interface_planes", "site_sets", "surface_planes"]

PLACES = ("interface", "surface", "all")
"""Where a defect may be asked for, beside the layers of a material."""
_NEAREST = 1.15
"""Members of a complex are no farther apart than this multiple of the shortest such distance in the host."""
_IMAGES = np.array([(i, j, k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)])
_LEAN = 10.0
"""Degrees that a pair may lean from its direction."""


def interface_planes(structure: Structure) -> set[int]:
    """Return the numbers of the planes next to an interface, the periodic images included unless there is vacuum."""
    blocks = dict(zip(structure.site_properties["plane"], structure.site_properties["block"], strict=True))
    if len(set(blocks.values())) == 1:
        return set()
    planes = sorted(blocks)
    following = planes[1:] + ([] if structure.properties.get("vacuum") else planes[:1])
    neighbours = zip(planes, following, strict=False)
    return {plane for pair in neighbours if blocks[pair[0]] != blocks[pair[1]] for plane in pair}


def surface_planes(structure: Structure) -> set[int]:
    """Return the numbers of the lowest and the highest plane of a slab; none without vacuum."""
    planes = structure.site_properties["plane"]
    return {min(planes), max(planes)} if structure.properties.get("vacuum") else set()


def allowed_sites(
    structure: Structure, where: str, material: str | None, layers: Sequence[int] | None, name: str
) -> NDArray[np.bool_]:
    """Return which sites lie at a place, shape (sites,); `name` of the defect is for messages.

    Raises
    ------
    StructureError
        If a layer is named that the material does not have.
    """
    properties = structure.site_properties
    if material is not None:
        inside = np.array(properties["material"]) == material
        present = set(np.array(properties["layer"])[inside].tolist())
        for layer in layers or ():
            if layer not in present:
                raise StructureError(
                    f"defect {name}: {material} has the layers 1 to {max(present, default=0)}, not {layer}"
                )
        return np.asarray(inside if layers is None else inside & np.isin(properties["layer"], list(layers)))
    planes = {"interface": interface_planes, "surface": surface_planes}.get(where)
    return np.asarray(np.isin(properties["plane"], sorted(planes(structure)) if planes else properties["plane"]))


def site_sets(
    structure: Structure, elements: list[str], along: tuple[float, float, float] | None, name: str
) -> list[tuple[int, ...]]:
    """Return the sites that the members may take, one tuple a complex, the first member from the bottom up."""
    symbols = np.array([site.species_string for site in structure])
    sets: list[tuple[int, ...]] = [(int(i),) for i in np.flatnonzero(symbols == elements[0])]
    for element in elements[1:]:
        partners = np.flatnonzero(symbols == element)
        longer = [
            (distance, (*sites, partner))
            for sites in sets
            for partner, distance in _partners(structure, sites, partners, along, name).items()
        ]
        nearest = min((distance for distance, _ in longer), default=0.0)
        sets = [sites for distance, sites in longer if distance <= _NEAREST * nearest]
    return sets


def _partners(
    structure: Structure,
    taken: tuple[int, ...],
    candidates: NDArray[np.int64],
    along: tuple[float, float, float] | None,
    name: str,
) -> dict[int, float]:
    """Return the distance (Å) of each candidate from the last site taken, of those in a direction or its opposite."""
    candidates = candidates[~np.isin(candidates, taken)]
    start = structure.frac_coords[taken[-1]]
    apart = (structure.frac_coords[candidates] - start)[:, None, :]
    vectors = (apart - np.round(apart) + _IMAGES) @ structure.lattice.matrix
    distances = np.linalg.norm(vectors, axis=-1)
    if along is not None:
        cosines = np.abs(vectors @ _direction(structure, taken[-1], along, name)) / np.maximum(distances, 1e-9)
        distances = np.where(cosines > np.cos(np.radians(_LEAN)), distances, np.inf)
    nearest = distances.min(axis=1, initial=np.inf)
    return {int(i): float(d) for i, d in zip(candidates, nearest, strict=True) if np.isfinite(d)}


def _direction(structure: Structure, site: int, along: tuple[float, float, float], name: str) -> NDArray[np.float64]:
    """Return the Cartesian unit vector of a direction [uvw] in the material of a site."""
    if not any(along):
        raise StructureError(f"defect {name}: along: [0, 0, 0] is no direction; give [u, v, w]")
    lattices = structure.properties.get("lattices")
    axes = np.eye(3)
    if lattices is not None:
        axes = np.array(lattices[structure.site_properties["material"][site]]["axes"])
    vector = np.asarray(along, dtype=float) @ axes
    return np.asarray(vector / np.linalg.norm(vector))
