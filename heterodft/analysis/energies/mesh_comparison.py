"""Whether two meshes of k-points agree: the same mesh, or meshes that one spacing makes in cells of other size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.structures.vacuum import has_vacuum

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pymatgen.core import Structure

    from heterodft.analysis.result import Result

__all__ = ["compare_meshes"]

_ROUNDING = 1e-4


def compare_meshes(
    first: Mapping[str, Any],
    second: Mapping[str, Any],
    both: tuple[Result, Result],
    kind: str,
    names: tuple[str, str],
) -> tuple[list[str], list[str], list[str]]:
    """Return what differs, what is unknown and what is only told of the k-points.

    Parameters
    ----------
    first, second
        Of `settings_of`.
    both
        The results.
    kind
        What is subtracted, see `heterodft.analysis.energies.comparability`.
    names
        What to call the two.
    """
    one, other = first["kpoints"], second["kpoints"]
    if one is None or other is None:
        return [], [], []
    numbers = [name for name, mesh in zip(names, (one, other), strict=True) if isinstance(mesh, int)]
    if kind == "formation":
        if numbers:
            return [], [f"unknown: k-mesh of {name} (only the number of its points is told)" for name in numbers], []
        told = _spacings(one, other, (both[0].structure, both[1].structure))
        shifted = [name for name, each in zip(names, (first, second), strict=True) if any(each["shift"] or ())]
        return told, [], [f"the k-mesh of {shifted[0]} alone is shifted"] if len(shifted) == 1 else []
    told = _differing(first, second)
    if numbers and told:  # orders of other symmetry need other numbers of one mesh
        return [], [f"unknown: whether the k-meshes agree ({_mesh(one, None)} against {_mesh(other, None)})"], []
    return ([], [], told) if kind == "charge states" else (told, [], [])


def _differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    one, other = (_mesh(each["kpoints"], each["shift"]) for each in (first, second))
    gammas = [each["gamma"] for each in (first, second)]
    if one == other and isinstance(first["kpoints"], list) and set(gammas) == {True, False}:
        one, other = (f"{one} {'with' if gamma else 'without'} Γ" for gamma in gammas)
    same_shift = list(first["shift"] or (0, 0, 0)) == list(second["shift"] or (0, 0, 0))
    return [] if one == other and same_shift else [f"k-mesh {one} against {other}"]


def _mesh(mesh: Any, shift: Any) -> str:
    if isinstance(mesh, int):
        return f"{mesh} points"
    return "×".join(map(str, mesh)) + (" shifted" if shift is not None and any(shift) else "")


def _spacings(one: Any, other: Any, structures: tuple[Structure, Structure]) -> list[str]:
    """Return how two meshes differ that no one k-spacing s makes, N = ceil(|b| / s); vacuum is free."""
    low, high = [], []
    for mesh, structure in zip((one, other), structures, strict=True):
        lengths = np.array(structure.lattice.reciprocal_lattice.abc)
        for axis, (length, number) in enumerate(zip(lengths, mesh, strict=True)):
            if not has_vacuum(structure, axis):
                low.append(length / number)
                high.append(length / (number - 1) if number > 1 else np.inf)
    if not low or max(low) < min(high) * (1 - _ROUNDING):
        return []
    return [f"k-mesh {_dense(one, structures[0])} against {_dense(other, structures[1])}"]


def _dense(mesh: Any, structure: Structure) -> str:
    lengths = structure.lattice.reciprocal_lattice.abc
    widest = max((lengths[i] / mesh[i] for i in range(3) if not has_vacuum(structure, i)), default=0.0)
    return f"{_mesh(mesh, None)} ({widest:.2f} 1/Å apart)"
