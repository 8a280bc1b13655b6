"""The magnetic orders of a structure: what the campaign names, and what it leaves to be enumerated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heterodft.errors import StructureError
from heterodft.structures import BlockOrder, StartingMoments, enumerate_orders, facing_moments, order_label
from heterodft.structures import starting_moments as order_moments
from heterodft.structures.moments import moment_sizes, no_moment
from heterodft.workflows.magnetism_spec import Enumerate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymatgen.core import Structure

    from heterodft.workflows.magnetism_spec import MagnetismSpec

__all__ = ["host_orders", "structure_orders"]

Found = dict[str, "StartingMoments | StructureError"]


def host_orders(host: Structure, magnetism: MagnetismSpec) -> Found:
    """Return every order of a pristine structure by name, in the order of the file; an error where it does not fit.

    Enumerated orders are called ``order-1``, ``order-2`` …; those that are named anywhere in the file are left out.
    """
    named = {
        order_label(order): _moments(host, magnetism, order)
        for order in magnetism.orders
        if not isinstance(order, Enumerate)
    }
    listed = [_signs(found) for found in named.values() if isinstance(found, StartingMoments) and found.values]
    found: Found = {}
    number = 0
    for order in magnetism.orders:
        if not isinstance(order, Enumerate):
            name = order_label(order)
            found[name] = named[name]
            continue
        try:
            more = _enumerated(host, magnetism, order.up_to, listed)
        except StructureError as error:
            found["enumerate"] = error
            continue
        for moments in more:
            number += 1
            found[f"order-{number}"] = moments
            listed.append(_signs(moments))
    return found


def _moments(host: Structure, magnetism: MagnetismSpec, order: object) -> StartingMoments | StructureError:
    try:
        return order_moments(host, order, magnetism.moments, needed=False)  # type: ignore[arg-type]
    except StructureError as error:
        return error


def _signs(moments: StartingMoments) -> list[int]:
    """Return 1 or -1 by site, also where there is no moment but an incoming ion may bring one."""
    return [-1 if sign < 0 else 1 for sign in moments.signs]


def _enumerated(
    host: Structure, magnetism: MagnetismSpec, up_to: int, listed: list[list[int]]
) -> list[StartingMoments]:
    sizes, sources = moment_sizes(host, magnetism.moments)
    found = enumerate_orders(host, [s > 0 for s in sizes], up_to=up_to, sizes=sizes, besides=listed)
    return [
        StartingMoments(
            tuple(size * sign + 0.0 for size, sign in zip(sizes, one.signs, strict=True)), sources, one.signs
        )
        for one in found
    ]


def structure_orders(  # noqa: PLR0917, two of them only speak
    structure: Structure, kept: Sequence[int], orders: Found, magnetism: MagnetismSpec, notes: list[str], name: str
) -> dict[str, StartingMoments]:
    """Return the orders of a structure with those of its host, which it may be itself.

    Each site keeps the sign that its place has in the host; the size is that of the ion that is there.

    Parameters
    ----------
    structure, kept
        The structure and the index of each of its sites in the host.
    orders
        Of `host_orders`.
    magnetism
        Sizes, and what becomes of orders that do not fit.
    notes
        What the user should hear of is added here.
    name
        Of the structure, for notes.

    Raises
    ------
    StructureError
        If an order does not fit and is not to be skipped.
    """
    sizes, sources = moment_sizes(structure, magnetism.moments.on(kept))
    wanted = {
        order_label(o): o.interface if o.wished else None for o in magnetism.orders if isinstance(o, BlockOrder)
    }
    found: dict[str, StartingMoments] = {}
    fitting = [label for label, moments in orders.items() if isinstance(moments, StartingMoments)]
    for label, moments in orders.items():
        try:
            signs = _signs_for(structure, label, moments, sizes)
        except StructureError as error:
            # Of an order by block a cell may hold the pattern of one material and not of the other.
            tolerated = label in wanted and bool(fitting)
            if magnetism.unfit == "stop" or (magnetism.unfit == "auto" and not tolerated):
                raise
            notes.append(f"{name}: order {label} skipped: {error}")
            continue
        if signs is None:
            found[label] = StartingMoments(None, ("none",) * len(structure))
            continue
        values = tuple(size * signs[i] + 0.0 for size, i in zip(sizes, kept, strict=True))
        found[label] = StartingMoments(values, sources, tuple(signs[i] for i in kept))
        _tell_facing(structure, values, wanted.get(label), notes, f"{name}: {label}")
    return found


def _signs_for(
    structure: Structure, label: str, moments: StartingMoments | StructureError, sizes: Sequence[float]
) -> list[int] | None:
    """Return the signs of the host's places, None where the order is not spin-polarized.

    Raises
    ------
    StructureError
        If the order does not fit the host, or no site of the structure has a moment.
    """
    if isinstance(moments, StructureError):
        raise moments
    if moments.values is None:
        return None
    if not any(sizes):
        raise no_moment(structure, label)
    return _signs(moments)


def _tell_facing(
    structure: Structure, values: Sequence[float], wanted: str | None, notes: list[str], name: str
) -> None:
    """Note interfaces whose moments do not face each other as an order by block asks for."""
    if wanted is None:
        return
    faces = facing_moments(structure, values)
    if any(face not in (wanted, "none") for face in faces):
        notes.append(
            f"{name}: its interfaces, from the bottom up, are {', '.join(faces)}; the patterns allow no other"
        )
