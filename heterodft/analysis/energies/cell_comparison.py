"""Whether two cells agree: atoms, vectors, charge, and whether they are relaxed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from heterodft.analysis.result import Result

__all__ = ["cell_differences", "cell_notes", "same_cell"]

_SAME_LENGTH = 2e-3
_SAME_ANGLE = 0.05


def cell_differences(
    first: Mapping[str, Any], second: Mapping[str, Any], both: tuple[Result, Result], kind: str
) -> Iterator[str]:
    """Tell what forbids to subtract; see `heterodft.analysis.energies.comparability` for the kinds."""
    a, b = (result.structure.composition for result in both)
    if kind in ("same cell", "charge states") and not a.almost_equals(b):
        yield f"atoms {a.formula} against {b.formula}"
    if kind != "formation" and not same_cell(first["cell"], second["cell"]):
        yield f"cell {_lengths(first['cell'])} against {_lengths(second['cell'])}"
    if (
        kind == "same cell"
        and first["relaxed"] != second["relaxed"]
        and None not in (first["relaxed"], second["relaxed"])
    ):
        yield f"{_relaxed(first)} against {_relaxed(second)}"
    if kind in ("same cell", "formation") and (first["charge"] or 0) != (second["charge"] or 0):
        yield f"charge {first['charge'] or 0:+g} against {second['charge'] or 0:+g}"
    if kind != "formation" and bool(first["dipole"]) != bool(second["dipole"]):
        yield f"dipole correction {_switch(first['dipole'])} against {_switch(second['dipole'])}"


def cell_notes(
    first: Mapping[str, Any], second: Mapping[str, Any], kind: str, names: tuple[str, str]
) -> Iterator[str]:
    """Tell what hinders nothing but should be known."""
    if kind in ("formation", "defect") and _unlike(first, second):
        yield f"{names[0]} is {_relaxed(first)}, {names[1]} {_relaxed(second)}"
    if kind == "same cell" and {first["relaxed"], second["relaxed"]} == {True, None}:
        moved, other = names if first["relaxed"] else names[::-1]
        yield f"{moved} was relaxed in its run; whether {other} is relaxed is not told"
    for name, one in zip(names, (first, second), strict=True):
        if one["charge"] is None and not one["ours"]:
            yield f"the charge of {name} is not told; taken as neutral"


def same_cell(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Whether two cells are the same up to a rotation of all: lengths of the vectors and the angles between them."""
    from pymatgen.core import Lattice

    first, second = Lattice(one), Lattice(other)
    lengths = np.allclose(first.abc, second.abc, rtol=0, atol=_SAME_LENGTH)
    return bool(lengths and np.allclose(first.angles, second.angles, rtol=0, atol=_SAME_ANGLE))


def _lengths(cell: NDArray[np.float64]) -> str:
    from pymatgen.core import Lattice

    lattice = Lattice(cell)
    angles = (
        ""
        if np.allclose(lattice.angles, 90, atol=_SAME_ANGLE)
        else " at " + " ".join(f"{angle:.1f}°" for angle in lattice.angles)
    )
    return "×".join(f"{length:.3f}" for length in lattice.abc) + " Å" + angles


def _unlike(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether one is relaxed and the other is not; False where that is not known."""
    return {first["relaxed"], second["relaxed"]} == {True, False}


def _relaxed(settings: Mapping[str, Any]) -> str:
    return "relaxed" if settings["relaxed"] else "not relaxed"


def _switch(value: Any) -> str:
    return "on" if value else "off"
