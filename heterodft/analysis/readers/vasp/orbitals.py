"""VASP's names and order of orbitals against ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.readers.vasp.vasprun import ORBITAL_OF
from heterodft.analysis.result import ORBITALS, SHELLS
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["LM_COLUMNS", "in_our_order", "shells_of"]

LM_COLUMNS = (
    "s", "py", "pz", "px", "dxy", "dyz", "dz2", "dxz", "x2-y2",
    "fy3x2", "fxyz", "fyz2", "fz3", "fxz2", "fzx2", "fx3",
)  # fmt: skip
"""In the order m = −l … l of VASP, where a file does not name them."""


def in_our_order(
    values: NDArray[np.float64], columns: Sequence[str], axis: int
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Put an axis of VASP's columns into the order of `ORBITALS`, or `SHELLS` of a run that tells no more.

    Returns
    -------
    values, orbitals
        With all orbitals (or shells) up to the highest that is there; and their names.

    Raises
    ------
    ReaderError
        If a column has an unknown name.
    """
    names = [name.strip() for name in columns]
    unknown = [name for name in names if name not in ORBITAL_OF]
    if unknown:
        raise ReaderError(f"orbital '{unknown[0]}' of VASP is unknown; known: {', '.join(ORBITAL_OF)}")
    theirs = [ORBITAL_OF[name] for name in names]
    wanted = SHELLS if set(theirs) <= set(SHELLS) else ORBITALS
    if len(set(theirs)) < len(theirs):
        raise ReaderError(f"VASP's orbitals {', '.join(names)} name one twice; a damaged file?")
    lost = [name for name in theirs if name not in wanted]
    if lost:
        raise ReaderError(f"VASP's orbitals {', '.join(names)} mix shells with orbitals; a damaged file?")
    order = [theirs.index(name) for name in wanted if name in theirs]
    return np.take(values, order, axis=axis), tuple(name for name in wanted if name in theirs)


def shells_of(values: NDArray[np.float64], columns: Sequence[str]) -> NDArray[np.float64]:
    """Return columns s, p, d … as the four of `SHELLS`, zero where there is none; shape (sites, 4)."""
    shells = np.zeros((len(values), len(SHELLS)))
    for index, name in enumerate(columns):
        shells[:, SHELLS.index(name.strip()[0])] += values[:, index]
    return shells
