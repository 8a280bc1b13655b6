"""Point defects at the inequivalent sites of a labelled host, layer by layer: vacancies and substitutions."""

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
    "PointDefect",
    "enumerate_defects",
    "inequivalent_sites",
    "interface_planes",
    "parse_defect",
    "plane_formulas",
]

_SYMPREC = 1e-3
_PLACES = ("interface", "all")


@dataclass(frozen=True)
class PointDefect:
    """One point defect of a host.

    Attributes
    ----------
    kind
        ``V_O``: a vacancy; ``Ti_Al``: Ti on the site of an Al, an antisite when the host holds Ti.
    site
        Index of the site in the host.
    label
        Where it sits: ``V_O@SrTiO3:1``.
    plane
        Formula of the host plane it sits in, such as ``TiO2``.
    structure
        The host with the defect; ``properties["defect"]`` holds kind, label, plane and Cartesian position (Å).
    """

    kind: str
    site: int
    label: str
    plane: str
    structure: Structure


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


def enumerate_defects(
    structure: Structure,
    kind: str,
    *,
    where: str = "interface",
    material: str | None = None,
    layers: Sequence[int] | None = None,
) -> list[PointDefect]:
    """Put a defect on each inequivalent site of an element in turn.

    Parameters
    ----------
    structure
        Host with the site properties of `build_superlattice`.
    kind
        ``V_X``: X is removed; ``Y_X``: Y takes its place.
    where
        ``"interface"``: sites in a plane next to an interface; ``"all"``: every site.
    material, layers
        Restrict to layers of one material; `where` is then ignored.

    Returns
    -------
    list of PointDefect
        From the bottom of the cell up.

    Raises
    ------
    StructureError
        If the host has no such site there, or `where` is neither.
    """
    incoming, element = parse_defect(kind)
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
    return [_place(structure, kind, incoming, index) for index in inequivalent_sites(structure, candidates)]


def _place(structure: Structure, kind: str, incoming: str | None, index: int) -> PointDefect:
    label = f"{kind}@{layer_labels(structure)[index]}"
    plane = plane_formulas(structure)[structure.site_properties["plane"][index]]
    changed = structure.copy()
    defect = {
        "kind": kind,
        "label": label,
        "plane": plane,
        "position": [round(float(x), 8) for x in structure[index].coords],
    }
    changed.properties = {**structure.properties, "defect": defect}  # copy() shares the host's dictionary
    if incoming is None:
        changed.remove_sites([index])
    else:
        changed.replace(index, incoming, properties=structure[index].properties)
    return PointDefect(kind, index, label, plane, changed)


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
