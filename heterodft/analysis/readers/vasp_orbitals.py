"""VASP's names and order of orbitals against ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

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
_OURS = dict(
    zip(
        LM_COLUMNS,
        ("s", "py", "pz", "px", "dxy", "dyz", "dz2", "dxz", "dx2-y2", "fy(3x2-y2)", "fxyz", "fyz2", "fz3", "fxz2",
         "fz(x2-y2)", "fx(x2-3y2)"),
        strict=True,
    )
)  # fmt: skip
_OURS |= {"dx2": "dx2-y2", "dx2-y2": "dx2-y2", "fy(3x2-y2)": "fy(3x2-y2)", "fz(x2-y2)": "fz(x2-y2)"}
_OURS |= {"fx(x2-3y2)": "fx(x2-3y2)", "f-3": "fy(3x2-y2)", "f-2": "fxyz", "f-1": "fyz2", "f0": "fz3", "f1": "fxz2"}
_OURS |= {"f2": "fz(x2-y2)", "f3": "fx(x2-3y2)"}


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
    if all(name in SHELLS for name in names) and names != ["s"]:
        wanted, theirs = SHELLS, names
    else:
        unknown = [name for name in names if name not in _OURS]
        if unknown:
            raise ReaderError(f"orbital '{unknown[0]}' of VASP is unknown; known: {', '.join(_OURS)}")
        wanted, theirs = ORBITALS, [_OURS[name] for name in names]
    if len(set(theirs)) < len(theirs):
        raise ReaderError(f"VASP's orbitals {', '.join(names)} name one twice; a damaged file?")
    order = [theirs.index(name) for name in wanted if name in theirs]
    return np.take(values, order, axis=axis), tuple(name for name in wanted if name in theirs)


def shells_of(values: NDArray[np.float64], columns: Sequence[str]) -> NDArray[np.float64]:
    """Return columns s, p, d … as the four of `SHELLS`, zero where there is none; shape (sites, 4)."""
    shells = np.zeros((len(values), len(SHELLS)))
    for index, name in enumerate(columns):
        shells[:, SHELLS.index(name.strip()[0])] += values[:, index]
    return shells
