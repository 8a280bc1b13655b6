"""Antiferromagnetic patterns of structure types: the sign of a moment as a function of its place in the bulk cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.errors import StructureError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["Pattern", "find_pattern", "has_pattern"]

Pattern = Callable[[Any], Any]
"""Signs, shape (sites,), of fractional coordinates in the conventional cell, shape (sites, 3)."""


def _even(number: NDArray[np.float64]) -> NDArray[np.int64]:
    """+1 for even, -1 for odd whole numbers."""
    return np.where(np.mod(np.rint(number), 2) == 0, 1, -1)


def _unit(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.floor(x + 1e-3))


_PATTERNS: dict[str, dict[str, Pattern]] = {
    "perovskite": {
        "AFM-A": lambda x: _even(_unit(x)[:, 2]),
        "AFM-C": lambda x: _even(_unit(x)[:, :2].sum(axis=1)),
        "AFM-G": lambda x: _even(_unit(x).sum(axis=1)),
    },
    # cations at (0 0 0) + fcc; of an incoming ion on an anion site the nearest lower cation place counts
    "fcc": {
        "AFM-A": lambda x: _even(np.floor(2 * x[:, 2] + 1e-3)),
        "AFM-II": lambda x: _even(_unit(x.sum(axis=1))),
        "AFM-110": lambda x: _even(np.floor(x[:, :2].sum(axis=1) + 1e-3)),
    },
    # O planes lie at z = 1/12 + k/6; of the two cations between a pair of them one is below, one above the middle
    "corundum": {
        "AFM": lambda x: np.where(np.mod(x[:, 2] * 6 - 0.5, 1.0) < 0.5, 1, -1),
        "AFM-2": lambda x: _even(np.floor(x[:, 2] * 6 - 0.5 + 1e-3)),
    },
    "spinel": {"AFM": lambda x: np.where(_on_tetrahedral_site(x), 1, -1)},
    "wurtzite": {"AFM-A": lambda x: _even(np.floor(2 * x[:, 2] + 1e-3))},
}
"""By structure type: sign as a function of fractional coordinates in the conventional cell, shape (sites, 3).

Perovskite A, C, G: Wollan & Koehler, Phys. Rev. 100, 545 (1955). AFM-II: (111) planes alternate, as in NiO. AFM-110:
pairs of (110) planes alternate, as in CrN, Corliss et al., Phys. Rev. 117, 929 (1960). Corundum AFM: + - + - along c,
as in Cr2O3, Brockhouse, J. Chem. Phys. 21, 961 (1953); AFM-2: + - - +, as in Fe2O3. Spinel AFM: the two sublattices
of Néel.
"""
_SAME_AS = {"rocksalt": "fcc", "zincblende": "fcc", "fluorite": "fcc"}
_DEFAULT_AFM = {"perovskite": "AFM-G", "rocksalt": "AFM-II", "zincblende": "AFM-A", "fluorite": "AFM-A",
                "wurtzite": "AFM-A"}  # fmt: skip


def _on_tetrahedral_site(x: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether a spinel cation is one of the eight at (0 0 0), (1/4 1/4 1/4) + fcc."""
    quarters = np.rint(4 * x)
    on_grid = (np.abs(4 * x - quarters) < 0.1).all(axis=1)
    parity = np.mod(quarters, 2)
    alike = (parity == parity[:, :1]).all(axis=1)
    sums = np.mod(quarters.sum(axis=1), 4)
    return np.asarray(on_grid & alike & np.where(parity[:, 0] == 0, sums == 0, sums == 3))


def has_pattern(lattice: Mapping[str, Any], order: str) -> bool:
    """Return whether the structure type of a material, of ``properties["lattices"]``, has an order."""
    try:
        find_pattern("", lattice["prototype"], order)
    except StructureError:
        return False
    return True


def find_pattern(material: str, prototype: str, order: str) -> Pattern:
    """Return the pattern of an order in a material.

    Parameters
    ----------
    material
        Its name, for messages.
    prototype
        Its structure type.
    order
        ``FM``, ``AFM`` (the usual one of the structure type) or the name of a pattern.

    Raises
    ------
    StructureError
        If the structure type has no such pattern.
    """
    if order == "FM":
        return lambda x: np.ones(len(x), dtype=np.int64)
    known = _PATTERNS.get(_SAME_AS.get(prototype, prototype), {})
    name = _DEFAULT_AFM.get(prototype, order) if order == "AFM" else order
    if name not in known:
        names = ["FM", *(["AFM"] if prototype in _DEFAULT_AFM else []), *known]
        raise StructureError(
            f"magnetism: order {order} is not known for {material} ({prototype}); known: {', '.join(names)}"
        )
    return known[name]
