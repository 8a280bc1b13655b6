"""Densities and potentials on the grid of a cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Structure

__all__ = ["GridQuantity", "VolumeGrid"]

GridQuantity = Literal["charge density", "spin density", "potential", "magnetization"]


@dataclass(frozen=True)
class VolumeGrid:
    """One quantity on the regular grid of a cell.

    Attributes
    ----------
    quantity
        ``charge density``, ``spin density`` (up minus down), ``magnetization`` (three components) or ``potential``.
    unit
        ``e/Å³``, ``μB/Å³`` or ``eV``.
    values
        Shape (n1, n2, n3), or (3, n1, n2, n3) of a magnetization; point (i, j, k) lies at i/n1, j/n2, k/n3 of the
        cell vectors; the periodic end points are not repeated. A potential is that of an electron: low where
        electrons like to be.
    structure
        Its cell and atoms.
    source
        Name of the file and what it holds, for captions: ``LOCPOT (ionic and Hartree)``.
    """

    quantity: GridQuantity
    unit: str
    values: NDArray[np.float64]
    structure: Structure
    source: str = ""

    @property
    def volume_element(self) -> float:
        """Å³ a point."""
        return float(self.structure.volume / np.prod(self.values.shape[-3:]))
