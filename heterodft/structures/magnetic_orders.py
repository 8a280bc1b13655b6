"""Collinear magnetic orders: which starting moment each site is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heterodft.errors import StructureError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pymatgen.core import Structure

__all__ = ["ORDERS", "assign_moments"]

ORDERS = ("NM", "FM")
"""Named orders: not spin-polarized, and all moments parallel."""


def assign_moments(structure: Structure, order: str, moments: Mapping[str, float]) -> list[float] | None:
    """Return the starting moment of each site.

    Parameters
    ----------
    structure
        The structure; only its elements matter to the orders known so far.
    order
        One of `ORDERS`.
    moments
        Starting moment in μB by element; those left out start at zero, those the structure lacks are ignored.

    Returns
    -------
    list of float or None
        μB, shape (sites,); None for ``NM``: not spin-polarized.

    Raises
    ------
    StructureError
        If the order is unknown or no site would carry a moment.

    Examples
    --------
    >>> from heterodft.structures.materials import build_material
    >>> assign_moments(build_material("SrTiO3").cell, "FM", {"Ti": 1.0})
    [0.0, 1.0, 0.0, 0.0, 0.0]
    """
    if order not in ORDERS:
        raise StructureError(f"magnetism: unknown order '{order}'{did_you_mean(order, ORDERS)}")
    if order == "NM":
        return None
    starting = [abs(float(moments.get(site.species_string, 0.0))) for site in structure]
    if not any(starting):
        raise StructureError(
            f"magnetism: order {order} on {structure.formula} has no moment to order; "
            f"give magnetism: {{moments: {{ELEMENT: μB}}}} for one of its elements"
        )
    return starting
