"""Named collinear magnetic orders: the sign of the moment of each site.

An order is a pattern of signs over the conventional cell of a material, so that it says the same of a block of any
orientation and thickness. A site keeps the sign of its place whatever happens beside it: the spin next to a vacancy
or a swapped ion is that of the host, and an incoming ion takes the sign of the place it takes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from heterodft.errors import StructureError, did_you_mean
from heterodft.structures.fitting import translations
from heterodft.structures.magnetic_interfaces import check_ring, face_blocks
from heterodft.structures.magnetic_patterns import find_pattern, has_pattern
from heterodft.structures.superlattice import layer_labels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from heterodft.structures.magnetic_patterns import Pattern

__all__ = ["ORDERS", "BlockOrder", "LayerOrder", "Order", "fitting_orders", "order_label", "order_signs"]

ORDERS = ("NM", "FM", "AFM", "AFM-A", "AFM-C", "AFM-G", "AFM-II", "AFM-110", "AFM-2")
"""Names: not spin-polarized, all parallel, and antiferromagnetic; AFM is the usual one of the structure type."""


@dataclass(frozen=True)
class BlockOrder:
    """An order for each material, and how the moments face each other at the interfaces.

    Attributes
    ----------
    blocks
        (material, name of the order) pairs.
    interface
        Whether moments on the two sides of an interface are parallel or antiparallel.
    wished
        Whether somebody asked for that, or it is what is tried first.
    """

    blocks: tuple[tuple[str, str], ...]
    interface: Literal["parallel", "antiparallel"] = "parallel"
    wished: bool = True


@dataclass(frozen=True)
class LayerOrder:
    """A sign by layer: ferrimagnets, layered antiferromagnets.

    Attributes
    ----------
    layers
        (label, signs) pairs; a label is a layer ``CrN:2``, whose sign is ``+``, ``-`` or ``0``, or a material, whose
        layers take the signs in turn: ``+-``. Layers that are not named are ``+``.
    """

    layers: tuple[tuple[str, str], ...]


Order = str | BlockOrder | LayerOrder


def order_label(order: Order) -> str:
    """Return the name of an order, which is also that of its folder.

    Examples
    --------
    >>> order_label(BlockOrder((("Cr2O3", "AFM"), ("CrN", "AFM-110")), "antiparallel"))
    'Cr2O3-AFM_CrN-AFM-110_antiparallel'
    >>> order_label(LayerOrder((("CrN:2", "-"), ("Cr2O3", "+-"))))
    'CrN.2-d_Cr2O3-ud'
    """
    if isinstance(order, str):
        return order
    if isinstance(order, BlockOrder):
        return "_".join([*(f"{_plain(material)}-{name}" for material, name in order.blocks), order.interface])
    words = {"+": "u", "-": "d", "0": "n"}
    return "_".join(
        f"{_plain(label)}-{''.join(words.get(sign, '') for sign in signs)}" for label, signs in order.layers
    )


def _plain(label: str) -> str:
    """Return a label that may be a part of the name of a folder."""
    return re.sub(r"[^A-Za-z0-9]+", ".", label).strip(".")


def order_signs(structure: Structure, order: Order, magnetic: Sequence[bool]) -> NDArray[np.int64]:
    """Return the sign of each site's moment.

    Parameters
    ----------
    structure
        With the site properties and lattices of `build_superlattice`.
    order
        A name of `ORDERS` but NM, an order by block, or signs by layer.
    magnetic
        Which sites carry a moment.

    Returns
    -------
    array of shape (sites,)
        1, -1 or 0.

    Raises
    ------
    StructureError
        If the order is unknown to a material, or does not fit the cell: the message names a supercell that holds it.
    """
    if isinstance(order, LayerOrder):
        return _layer_signs(structure, order)
    if isinstance(order, BlockOrder):
        return _block_signs(structure, order, np.asarray(magnetic))
    if order not in ORDERS or order == "NM":
        raise StructureError(f"magnetism: unknown order '{order}'{did_you_mean(order, ORDERS)}")
    if order == "FM":
        return np.ones(len(structure), dtype=np.int64)
    sites = np.asarray(magnetic)
    materials = dict.fromkeys(_materials(structure, sites), order)
    others = [name for name in structure.properties["lattices"] if name not in materials]
    places = {name: order for name in others if has_pattern(structure.properties["lattices"][name], order)}
    signs = _pattern_signs(structure, materials | places, sites)
    if {interface["joint"] for interface in structure.properties["interfaces"]} - {"continued", "fault"}:
        return face_blocks(structure, signs, sites, -1)
    _check_period(structure, materials, sites)
    return signs


def fitting_orders(structure: Structure, magnetic: Sequence[bool]) -> list[str]:
    """Return the names of the antiferromagnetic orders that the cell holds, for its magnetic sites."""
    found: dict[str, list[int]] = {}
    for name in ORDERS[2:]:
        try:
            signs = order_signs(structure, name, magnetic)[np.asarray(magnetic)].tolist()
        except StructureError:
            continue
        if len(set(signs)) > 1:
            found[name] = signs
    if "AFM" in found and list(found.values()).count(found["AFM"]) > 1:
        del found["AFM"]  # another name for one of the others
    return list(found)


def _materials(structure: Structure, magnetic: NDArray[np.bool_]) -> list[str]:
    if "bulk_position" not in structure.site_properties:
        raise StructureError(
            "magnetism: a named antiferromagnetic order needs a structure of build_superlattice, which one material "
            "makes too; or enumerate the orders"
        )
    materials = np.array(structure.site_properties["material"])
    return [str(name) for name in dict.fromkeys(materials[magnetic])]


def _pattern(structure: Structure, material: str, order: str) -> Pattern:
    return find_pattern(material, structure.properties["lattices"][material]["prototype"], order)


def _pattern_signs(structure: Structure, orders: Mapping[str, str], magnetic: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the signs of each material's pattern, checked against the in-plane vectors of the cell."""
    positions = np.array(structure.site_properties["bulk_position"], dtype=float)
    materials = np.array(structure.site_properties["material"])
    signs = np.ones(len(structure), dtype=np.int64)
    for material, order in orders.items():
        pattern = _pattern(structure, material, order)
        inside = materials == material
        signs[inside] = pattern(positions[inside])
        if order != "FM":
            _check_sublattice(structure, material, order, inside & magnetic)
        _check_in_plane(structure, material, order, pattern, positions[inside & magnetic])
    return signs


def _check_sublattice(structure: Structure, material: str, order: str, magnetic: NDArray[np.bool_]) -> None:
    """Refuse moments on anions, of which the patterns say nothing."""
    anion = structure.properties["lattices"][material]["anion"]
    if any(structure[int(index)].species_string == anion for index in np.flatnonzero(magnetic)):
        raise StructureError(
            f"magnetism: order {order} of {material} says nothing of {anion}; leave its moment out, or set it to 0"
        )


def _check_in_plane(
    structure: Structure, material: str, order: str, pattern: Pattern, positions: NDArray[np.float64]
) -> None:
    vectors = np.array(structure.properties["lattices"][material]["in_plane"])
    if _unchanged(pattern, positions, np.array(structure.properties["supercell"]) @ vectors):
        return
    fits = next((s for s in _SUPERCELLS if _unchanged(pattern, positions, np.array(s) @ vectors)), None)
    remedy = f"supercell: {[list(row) for row in fits]} holds it" if fits else "no supercell up to 4 cells holds it"
    period = structure.properties["lattices"][material]["period"]
    if fits and period is not None:
        closing = np.array(period) + translations(fits) @ vectors
        if not any(_unchanged(pattern, positions, one[None]) for one in closing):
            remedy += ", with the stack repeated twice"
    raise StructureError(
        f"magnetism: order {order} of {material} does not fit the supercell {structure.properties['supercell']}; "
        f"{remedy}"
    )


def _unchanged(pattern: Pattern, positions: NDArray[np.float64], vectors: NDArray[np.float64]) -> bool:
    signs = pattern(positions)
    return all(bool(np.array_equal(pattern(positions + vector), signs)) for vector in vectors)


_SUPERCELLS = sorted(
    (
        ((a, b), (c, d))
        for a in (1, 2, 3, 4) for b in (-1, 0, 1) for c in (-1, 0, 1) for d in (1, 2, 3, 4)
        if 1 <= a * d - b * c <= 4
    ),
    key=lambda m: (len(translations(m)), sum(x * x for row in m for x in row), m),
)  # fmt: skip
"""In-plane supercells to suggest, the smallest first."""


def _check_period(structure: Structure, orders: Mapping[str, str], magnetic: NDArray[np.bool_]) -> None:
    """Check that a pattern that goes on through the whole stack closes across the cell boundary."""
    positions = np.array(structure.site_properties["bulk_position"], dtype=float)
    materials = np.array(structure.site_properties["material"])
    for material, order in orders.items():
        period = structure.properties["lattices"][material]["period"]
        pattern = _pattern(structure, material, order)
        inside = magnetic & (materials == material)
        if period is None or _unchanged(pattern, positions[inside], np.array([period])):
            continue
        raise StructureError(
            f"magnetism: order {order} does not close across the cell boundary of {structure.formula}: one period "
            "shifts it by half of its own; repeat the stack twice, or add or remove a layer"
        )


def _block_signs(structure: Structure, order: BlockOrder, magnetic: NDArray[np.bool_]) -> NDArray[np.int64]:
    present = set(structure.site_properties["material"])
    names = dict(order.blocks)
    for material in names:
        if material not in present:
            raise StructureError(f"magnetism: block {material} is not in the stack{did_you_mean(material, present)}")
    for material in _materials(structure, magnetic):
        if material not in names:
            raise StructureError(f"magnetism: the order by block lacks {material}, which carries moments; add it")
    if order.interface not in _FACES:
        raise StructureError(f"magnetism: interface: {order.interface}{did_you_mean(order.interface, _FACES)}")
    wanted = _FACES[order.interface]
    signs = face_blocks(structure, _pattern_signs(structure, names, magnetic), magnetic, wanted)
    if len(structure.properties["blocks"]) == 1:
        _check_period(structure, names, magnetic)
    if set(names.values()) == {"FM"}:
        check_ring(structure, signs, magnetic, wanted)
    return signs


_FACES = {"parallel": 1, "antiparallel": -1}


def _layer_signs(structure: Structure, order: LayerOrder) -> NDArray[np.int64]:
    labels = layer_labels(structure)
    known = dict.fromkeys(labels)
    materials = dict.fromkeys(label.rpartition(":")[0] for label in known)
    values = {"+": 1, "-": -1, "0": 0}
    signs = np.ones(len(structure), dtype=np.int64)
    for name, word in order.layers:
        if not word or set(word) - set(values):
            raise StructureError(f"magnetism: signs '{word}' of {name}; write +, - or 0 for each layer, such as +-")
        if name in known and len(word) > 1:
            raise StructureError(f"magnetism: {len(word)} signs '{word}' for the one layer {name}; write +, - or 0")
        if name not in known and name not in materials:
            choices = [*materials, *known]
            raise StructureError(f"magnetism: no layer or material {name}{did_you_mean(name, choices)}")
    given = dict(order.layers)
    for index, label in enumerate(labels):
        material, _, layer = label.rpartition(":")
        if label in given:
            signs[index] = values[given[label][0]]
        elif material in given:
            signs[index] = values[given[material][(int(layer) - 1) % len(given[material])]]
    return signs
