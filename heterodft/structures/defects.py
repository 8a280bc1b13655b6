"""Defects at the inequivalent sites of a labelled host, layer by layer: vacancies, substitutions, complexes."""

from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Element, Structure

from heterodft.errors import StructureError, did_you_mean
from heterodft.structures.defect_sites import PLACES, allowed_sites, site_sets
from heterodft.structures.superlattice import layer_labels
from heterodft.structures.symmetry import equivalent_under, site_names, site_permutations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = [
    "PointDefect",
    "enumerate_defects",
    "inequivalent_sites",
    "parse_defect",
    "plane_formulas",
]


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


def _permutations(structure: Structure, orders: Sequence[Sequence[float]]) -> NDArray[np.int64]:
    """Return the operations that keep every label and, up to turning it over, every magnetic order.

    In a bulk cell, one block without vacuum, there is nothing to count layers from: they are no label.
    """
    bulk = len(set(structure.site_properties.get("block", [1]))) == 1 and not structure.properties.get("vacuum")
    keys = ("material", "magmom") if bulk else ("material", "block", "layer", "magmom")
    permutations = site_permutations(structure, site_names(structure, keys))
    for order in orders:
        permutations = equivalent_under(permutations, np.asarray(order, dtype=float))
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
    if not kinds:
        raise StructureError("defect: an empty list; give kinds such as V_O")
    members = [parse_defect(name) for name in kinds]
    name = "+".join(kinds)
    if where not in PLACES:
        raise StructureError(f"defect {name}: where: '{where}'{did_you_mean(where, PLACES)}")
    allowed = allowed_sites(structure, where, material, layers, name)
    sets = site_sets(structure, [element for _, element in members], along, name)
    chosen = [sites for sites in sets if any(allowed[site] for site in sites)]
    if not chosen:
        place = where if material is None else f"{material}, layers {list(layers) if layers else 'all'}"
        outgoing = " next to ".join(element for _, element in members)
        raise StructureError(f"defect {name}: no {outgoing} at {place} in {structure.formula}")
    labels, planes = layer_labels(structure), plane_formulas(structure)
    return [
        _place(structure, kinds, sites, charge, labels, planes)
        for sites in _orbits(chosen, _permutations(structure, orders), kinds)
    ]


def _orbits(
    sets: Sequence[tuple[int, ...]], permutations: NDArray[np.int64], kinds: Sequence[str] = ("",)
) -> list[tuple[int, ...]]:
    """Return the first of each class of tuples of sites that the operations, or swapping like members, make equal."""
    seen: set[tuple[tuple[str, int], ...]] = set()
    kept = []
    for sites in sets:
        if tuple(sorted(zip(kinds, sites, strict=True))) not in seen:
            kept.append(sites)
            images = permutations[:, list(sites)].tolist()
            seen.update(tuple(sorted(zip(kinds, image, strict=True))) for image in images)
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
    removed = {site for kind, site in zip(kinds, sites, strict=True) if parse_defect(kind)[0] is None}
    kept = tuple(index for index in range(len(structure)) if index not in removed)
    changed = Structure.from_sites([structure[index] for index in kept])
    changed.properties = {**deepcopy(structure.properties), "defect": about}
    if charge:
        changed.properties["charge"] = charge
    for kind, site in zip(kinds, sites, strict=True):
        incoming, _ = parse_defect(kind)
        if incoming is not None:
            properties = {k: 0.0 if k == "magmom" else v for k, v in structure[site].properties.items()}
            changed.replace(kept.index(site), incoming, properties=properties)
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
