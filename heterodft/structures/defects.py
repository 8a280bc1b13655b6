"""Vacancies at the inequivalent sites of a labelled host, layer by layer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import spglib
from pymatgen.core import Element

from heterodft.errors import StructureError, did_you_mean
from heterodft.structures.superlattice import layer_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymatgen.core import Structure

__all__ = [
    "Vacancy",
    "enumerate_vacancies",
    "inequivalent_sites",
    "interface_planes",
    "parse_vacancy",
    "plane_formulas",
]

_SYMPREC = 1e-3
_PLACES = ("interface", "all")


@dataclass(frozen=True)
class Vacancy:
    """One vacancy of a host.

    Attributes
    ----------
    kind
        Such as ``V_O``.
    site
        Index of the removed site in the host.
    label
        Where it sits: ``V_O@SrTiO3:1``.
    plane
        Formula of the host plane it was taken from, such as ``TiO2``.
    structure
        The host without the site; ``properties["defect"]`` holds kind, label, plane and Cartesian position (Å).
    """

    kind: str
    site: int
    label: str
    plane: str
    structure: Structure


def parse_vacancy(kind: str) -> str:
    """Return the element of a vacancy name such as ``V_O``.

    Raises
    ------
    StructureError
        If the name is not that of a vacancy.
    """
    match = re.fullmatch(r"V_([A-Z][a-z]?)", kind)
    if match is None:
        raise StructureError(f"defect '{kind}': write a vacancy as V_X with an element X, such as V_O")
    return match[1]


def interface_planes(structure: Structure) -> set[int]:
    """Return the numbers of the planes next to an interface, the periodic images included."""
    blocks = dict(zip(structure.site_properties["plane"], structure.site_properties["block"], strict=True))
    if len(set(blocks.values())) == 1:
        return set()
    planes = sorted(blocks)
    neighbours = zip(planes, planes[1:] + planes[:1], strict=True)
    return {plane for pair in neighbours if blocks[pair[0]] != blocks[pair[1]] for plane in pair}


def inequivalent_sites(structure: Structure, candidates: Sequence[int]) -> list[int]:
    """Return the first site of each class of equivalent candidates, from the bottom up.

    Two sites are equivalent when an operation of the space group maps one on the other and every atom of the
    cell on an atom of the same element, material, block, layer and starting moment.

    Parameters
    ----------
    structure
        Host with the site properties of `build_superlattice`; ``magmom`` (μB) counts when present.
    candidates
        Site indices to choose from.
    """
    properties = structure.site_properties
    keys = ("material", "block", "layer", "magmom")
    columns = [properties[key] for key in keys if key in properties]
    names = [(site.species_string, *map(str, values)) for site, *values in zip(structure, *columns, strict=True)]
    numbers = {name: number for number, name in enumerate(sorted(set(names)), start=1)}
    dataset = spglib.get_symmetry_dataset(
        (structure.lattice.matrix.tolist(), structure.frac_coords.tolist(), [numbers[name] for name in names]),
        symprec=_SYMPREC,
    )
    if dataset is None:
        return sorted(candidates)
    first: dict[int, int] = {}
    for index in sorted(candidates):
        first.setdefault(int(dataset.equivalent_atoms[index]), index)
    return sorted(first.values())


def enumerate_vacancies(
    structure: Structure,
    kind: str,
    *,
    where: str = "interface",
    material: str | None = None,
    layers: Sequence[int] | None = None,
) -> list[Vacancy]:
    """Remove each inequivalent site of an element in turn.

    Parameters
    ----------
    structure
        Host with the site properties of `build_superlattice`.
    kind
        ``V_X`` with X the element removed.
    where
        ``"interface"``: sites in a plane next to an interface; ``"all"``: every site.
    material, layers
        Restrict to layers of one material; `where` is then ignored.

    Returns
    -------
    list of Vacancy
        From the bottom of the cell up.

    Raises
    ------
    StructureError
        If the host has no such site there, or `where` is neither.
    """
    element = parse_vacancy(kind)
    properties = structure.site_properties
    if where not in _PLACES:
        raise StructureError(f"defect {kind}: where: '{where}'{did_you_mean(where, _PLACES)}")
    allowed = interface_planes(structure) if where == "interface" else set(properties["plane"])
    candidates = []
    for index, site in enumerate(structure):
        inside = (
            properties["plane"][index] in allowed
            if material is None
            else properties["material"][index] == material
            and (layers is None or properties["layer"][index] in layers)
        )
        if site.species_string == element and inside:
            candidates.append(index)
    if not candidates:
        place = where if material is None else f"{material}, layers {list(layers) if layers else 'all'}"
        raise StructureError(f"defect {kind}: no {element} at {place} in {structure.formula}")
    return [_remove(structure, kind, index) for index in inequivalent_sites(structure, candidates)]


def _remove(structure: Structure, kind: str, index: int) -> Vacancy:
    label = f"{kind}@{layer_labels(structure)[index]}"
    plane = plane_formulas(structure)[structure.site_properties["plane"][index]]
    without = structure.copy()
    defect = {
        "kind": kind,
        "label": label,
        "plane": plane,
        "position": [round(float(x), 8) for x in structure[index].coords],
    }
    without.properties = {**structure.properties, "defect": defect}  # copy() shares the host's dictionary
    without.remove_sites([index])
    return Vacancy(kind, index, label, plane, without)


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
