"""Defects at the inequivalent sites of a labelled host, layer by layer: vacancies, substitutions, complexes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Element

from heterodft.errors import StructureError, did_you_mean
from heterodft.structures.superlattice import layer_labels
from heterodft.structures.symmetry import equivalent_under, site_names, site_permutations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

__all__ = [
    "PointDefect",
    "enumerate_defects",
    "inequivalent_sites",
    "interface_planes",
    "parse_defect",
    "plane_formulas",
    "surface_planes",
]

_PLACES = ("interface", "surface", "all")
_NEAREST = 1.15
"""Members of a complex are no farther apart than this multiple of the shortest such distance in the host."""
_IMAGES = np.array([(i, j, k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)])
_LEAN = 10.0
"""Degrees that a pair may lean from its direction."""


@dataclass(frozen=True)
class PointDefect:
    """One point defect or complex of a host.

    Attributes
    ----------
    kind
        ``V_O``: a vacancy; ``Ti_Al``: Ti on the site of an Al, an antisite when the host holds Ti; members of a
        complex are joined: ``Ti_Al+V_Ti``.
    sites
        Indices of the sites in the host, one a member.
    label
        Where it sits: ``V_O@SrTiO3:1``.
    plane
        Formula of the host plane it sits in, such as ``TiO2``; of a complex one a member.
    structure
        The host with the defect; ``properties["defect"]`` holds kind, label, plane and Cartesian position (Å) of the
        first member, and ``members`` of a complex.
    kept
        Index in the host of each site of the structure.
    """

    kind: str
    sites: tuple[int, ...]
    label: str
    plane: str
    structure: Structure
    kept: tuple[int, ...]

    @property
    def site(self) -> int:
        """Index of the site of the first member."""
        return self.sites[0]


def parse_defect(kind: str) -> tuple[str | None, str]:
    """Return what comes in, None for a vacancy, and the element that goes out, of ``V_O`` or ``Ti_Al``.

    Vanadium on another site is written ``V1_O``, since ``V_O`` is the vacancy.

    Raises
    ------
    StructureError
        If the name is neither.

    Examples
    --------
    >>> parse_defect("V_O"), parse_defect("Ti_Al"), parse_defect("V1_Al")
    ((None, 'O'), ('Ti', 'Al'), ('V', 'Al'))
    """
    match = re.fullmatch(r"([A-Z][a-z]?)(1?)_([A-Z][a-z]?)", kind)
    if match is None or not all(Element.is_valid_symbol(name) for name in match.group(1, 3)):
        raise StructureError(f"defect '{kind}': write a vacancy as V_O, or Ti_Al for Ti on the site of an Al")
    incoming = None if match[1] == "V" and not match[2] else match[1]
    if incoming == match[3]:
        raise StructureError(f"defect '{kind}': {incoming} on its own site is none")
    return incoming, match[3]


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


def _permutations(structure: Structure, orders: Sequence[Sequence[float]]) -> NDArray[np.int64]:
    """Return the operations that keep every label and, up to turning it over, every magnetic order.

    In a bulk cell, one block without vacuum, there is nothing to count layers from: they are no label.
    """
    bulk = len(set(structure.site_properties.get("block", [1]))) == 1 and not structure.properties.get("vacuum")
    keys = ("material", "magmom") if bulk else ("material", "block", "layer", "magmom")
    permutations = site_permutations(structure, site_names(structure, keys))
    for order in orders:
        permutations = equivalent_under(permutations, np.sign(np.asarray(order)).astype(np.int64))
    return permutations


def inequivalent_sites(
    structure: Structure, candidates: Sequence[int], *, orders: Sequence[Sequence[float]] = ()
) -> list[int]:
    """Return the first site of each class of equivalent candidates, from the bottom up.

    Two sites are equivalent when an operation of the space group maps one on the other and every atom of the
    cell on an atom of the same element, material, block, layer and starting moment; in a bulk cell of one material
    the layer does not count.

    Parameters
    ----------
    structure
        Host with the site properties of `build_superlattice`; ``magmom`` (μB) counts when present.
    candidates
        Site indices to choose from.
    orders
        Moments by site of magnetic orders that the operations must keep as well, turned over or not.
    """
    chosen = [(int(i),) for i in sorted(candidates)]
    return [sites[0] for sites in _orbits(chosen, _permutations(structure, orders))]


def enumerate_defects(
    structure: Structure,
    kind: str | Sequence[str],
    *,
    where: str = "interface",
    material: str | None = None,
    layers: Sequence[int] | None = None,
    along: tuple[float, float, float] | None = None,
    charge: int = 0,
    orders: Sequence[Sequence[float]] = (),
) -> list[PointDefect]:
    """Put a defect on each inequivalent site of an element in turn.

    Parameters
    ----------
    structure
        Host with the site properties of `build_superlattice`.
    kind
        ``V_X``: X is removed; ``Y_X``: Y takes its place; a list makes a complex of its members, each next to the one
        before.
    where
        ``"interface"``: sites in a plane next to an interface; ``"surface"``: in the outermost planes of a slab;
        ``"all"``: every site. Of a complex one member must lie there.
    material, layers
        Restrict to layers of one material; `where` is then ignored.
    along
        Direction [uvw] of the conventional cell in which the members of a complex follow one another, either way.
        They are as near to one another as any such pair of the host is, within 15 %.
    charge
        Of the cell, in e; in ``properties["charge"]`` and the name.
    orders
        As in `inequivalent_sites`.

    Returns
    -------
    list of PointDefect
        From the bottom of the cell up.

    Raises
    ------
    StructureError
        If the host has no such site there, or `where` is neither.
    """
    kinds = [kind] if isinstance(kind, str) else list(kind)
    members = [parse_defect(name) for name in kinds]
    name = "+".join(kinds)
    if where not in _PLACES:
        raise StructureError(f"defect {name}: where: '{where}'{did_you_mean(where, _PLACES)}")
    allowed = _allowed(structure, where, material, layers)
    sets = _site_sets(structure, [element for _, element in members], along, name)
    chosen = [sites for sites in sets if any(allowed[site] for site in sites)]
    if not chosen:
        place = where if material is None else f"{material}, layers {list(layers) if layers else 'all'}"
        outgoing = " next to ".join(element for _, element in members)
        raise StructureError(f"defect {name}: no {outgoing} at {place} in {structure.formula}")
    labels, planes = layer_labels(structure), plane_formulas(structure)
    return [
        _place(structure, kinds, sites, charge, labels, planes)
        for sites in _orbits(chosen, _permutations(structure, orders))
    ]


def _allowed(
    structure: Structure, where: str, material: str | None, layers: Sequence[int] | None
) -> NDArray[np.bool_]:
    properties = structure.site_properties
    if material is not None:
        inside = np.array(properties["material"]) == material
        return np.asarray(inside if layers is None else inside & np.isin(properties["layer"], list(layers)))
    planes = {"interface": interface_planes, "surface": surface_planes}.get(where)
    return np.asarray(np.isin(properties["plane"], sorted(planes(structure)) if planes else properties["plane"]))


def _site_sets(
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


def _orbits(sets: Sequence[tuple[int, ...]], permutations: NDArray[np.int64]) -> list[tuple[int, ...]]:
    """Return the first of each class of tuples of sites that the operations map on one another."""
    seen: set[tuple[int, ...]] = set()
    kept = []
    for sites in sets:
        if sites not in seen:
            kept.append(sites)
            seen.update(map(tuple, permutations[:, list(sites)].tolist()))
    return kept


def _place(  # noqa: PLR0917, found once for all sites
    structure: Structure,
    kinds: list[str],
    sites: tuple[int, ...],
    charge: int,
    labels: list[str],
    planes: dict[int, str],
) -> PointDefect:
    members = [
        {
            "kind": kind,
            "label": f"{kind}@{labels[site]}",
            "plane": planes[structure.site_properties["plane"][site]],
            "position": [round(float(x), 8) for x in structure[site].coords],
        }
        for kind, site in zip(kinds, sites, strict=True)
    ]
    about: dict[str, object] = dict(members[0])
    for key in ("kind", "label", "plane"):
        about[key] = "+".join(str(member[key]) for member in members)
    if len(members) > 1:
        about["members"] = members
    if charge:
        about["label"] = f"{about['label']} ({charge:+d})"
    changed = structure.copy()
    changed.properties = {**structure.properties, "defect": about}  # copy() shares the host's dictionary
    if charge:
        changed.properties["charge"] = charge
    for kind, site in zip(kinds, sites, strict=True):
        incoming, _ = parse_defect(kind)
        if incoming is not None:
            properties = {k: None if k == "magmom" else v for k, v in structure[site].properties.items()}
            changed.replace(site, incoming, properties=properties)
    removed = [site for kind, site in zip(kinds, sites, strict=True) if parse_defect(kind)[0] is None]
    changed.remove_sites(removed)
    kept = tuple(index for index in range(len(structure)) if index not in removed)
    return PointDefect(str(about["kind"]), sites, str(about["label"]), str(about["plane"]), changed, kept)


def plane_formulas(structure: Structure) -> dict[int, str]:
    """Return the formula of each plane, cations first and per in-plane cell, such as ``{0: 'SrO', 1: 'TiO2'}``."""
    members: dict[int, list[str]] = {}
    for site, plane in zip(structure, structure.site_properties["plane"], strict=True):
        members.setdefault(int(plane), []).append(site.species_string)
    return {plane: _formula(elements) for plane, elements in sorted(members.items())}


def _formula(elements: list[str]) -> str:
    counts = {element: elements.count(element) for element in sorted(set(elements), key=lambda e: Element(e).X)}
    divisor = int(np.gcd.reduce(list(counts.values())))
    return "".join(f"{e}{n // divisor if n // divisor > 1 else ''}" for e, n in counts.items())
