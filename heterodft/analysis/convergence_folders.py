"""Finished folders, whoever ran them, sorted by the one number in which they differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heterodft.analysis.convergence_series import Named
from heterodft.analysis.energies.calculation_settings import settings_of
from heterodft.analysis.energies.comparability import compare
from heterodft.analysis.energies.states import asked_order, find_states
from heterodft.analysis.readers import read_folder
from heterodft.errors import ReaderError
from heterodft.units import RYDBERG

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Any

    from heterodft.analysis.result import Result

__all__ = ["sort_folders"]

Sorted = tuple[str, str, list[tuple[float, str]], list[list["Result | None"]], list[Named]]


def sort_folders(folders: Sequence[Path]) -> Sorted:
    """Return axis, unit, points, the results by point and configuration, and the names of these.

    Raises
    ------
    ReaderError
        If they differ in none or in several of cutoff, k-mesh and smearing, or two are the same.
    """
    if len(folders) < 2:
        raise ReaderError("convergence takes two folders or more, which differ in cutoff, k-mesh or smearing alone")
    results = [read_folder(folder) for folder in folders]
    axis = _axis(results, folders)
    unit, finer, value_of = _AXES[axis]
    marks = [_mark(axis, result) for result in results]
    numbers = {mark: value_of(result) for mark, result in zip(marks, results, strict=True)}
    order = sorted(numbers, key=lambda mark: finer * numbers[mark])
    names = _names(results)
    columns = list(dict.fromkeys(names))
    if max(names.count(name) for name in columns) < 2:
        told = ", ".join(name.text for name in columns)
        raise ReaderError(f"no configuration is there twice ({told}); give folders of one that differ in {axis}")
    for name in columns:
        _check_alike(axis, [(r, f) for r, f, own in zip(results, folders, names, strict=True) if own == name])
    table: list[list[Result | None]] = [[None] * len(columns) for _ in order]
    for mark, name, result, folder in zip(marks, names, results, folders, strict=True):
        row = table[order.index(mark)]
        if row[columns.index(name)] is not None:
            raise ReaderError(f"{folder}: {name.text} at {axis} {mark} is given twice; leave one out")
        row[columns.index(name)] = result
    return axis, unit, [(numbers[mark], mark) for mark in order], table, columns


def _check_alike(axis: str, members: Sequence[tuple[Result, Path]]) -> None:
    """Refuse folders of one configuration that differ in more: of another U, cell or functional nothing converges.

    Raises
    ------
    ReaderError
        If two do.
    """
    first, place = members[0]
    for other, folder in members[1:]:
        told = [
            each
            for each in compare(first, other).differences
            if not each.startswith((*_AXIS_WORDS[axis], "A ", "B "))
        ]
        if True in (settings_of(first)["relaxed"], settings_of(other)["relaxed"]):
            told = [each for each in told if not each.startswith("cell ")]
        if told:
            raise ReaderError(f"{folder} differs from {place} in more than its {axis}: {told[0]}; leave one out")


def _axis(results: Sequence[Result], folders: Sequence[Path]) -> str:
    for result, folder in zip(results, folders, strict=True):
        if None in (settings_of(result)["cutoff"], settings_of(result)["kpoints"]):
            raise ReaderError(f"{folder}: its outputs tell no cutoff or no k-mesh; what it adds cannot be told")
    varied = [axis for axis in _AXES if len({_mark(axis, result) for result in results}) > 1]
    if len(varied) == 1:
        return varied[0]
    found = f"in {' and '.join(varied)}" if varied else f"in none of {', '.join(_AXES)}"
    raise ReaderError(f"{folders[0]} and the others differ {found}; give folders that differ in one alone")


def _mark(axis: str, result: Result) -> str:
    """Return the value as text, the same for the same value."""
    found = settings_of(result)
    if axis == "kpoints":
        mesh = found["kpoints"]
        return "×".join(map(str, mesh)) if isinstance(mesh, list) else f"{mesh} points"
    number = found["cutoff" if axis == "cutoff" else "smearing_width"] or 0.0
    return f"{number / RYDBERG:.4g} Ry" if result.code == "espresso" else f"{number:.5g} eV"


def _divisions(result: Result) -> float:
    """Return the number of k-points of the whole mesh, or of those told."""
    mesh = settings_of(result)["kpoints"]
    return float(mesh[0] * mesh[1] * mesh[2]) if isinstance(mesh, list) else float(mesh)


_AXIS_WORDS = {
    "cutoff": ("cutoff ", "density cutoff "),
    "kpoints": ("k-mesh ",),
    "smearing": ("smearing width ", "smearing "),
}
"""How differences begin that the axis makes; "A did not converge" is told at its point."""
_AXES: dict[str, tuple[str, int, Callable[[Any], float]]] = {
    "cutoff": ("eV", 1, lambda result: float(settings_of(result)["cutoff"])),
    "kpoints": ("points of the mesh", 1, _divisions),
    "smearing": ("eV", -1, lambda result: float(settings_of(result)["smearing_width"] or 0.0)),
}


def _names(results: Sequence[Result]) -> list[Named]:
    """Return what each result is called: by what was asked for, else by formula and the state reached."""
    families: dict[str, list[int]] = {}
    structures = _structures(results)
    for i, structure in enumerate(structures):
        families.setdefault(structure, []).append(i)
    states: dict[int, str] = {}
    for members in families.values():
        found = find_states([results[i] for i in members])
        states |= {i: state.name.partition(" (")[0] for i, state in zip(members, found, strict=True)}
    about = [result.request.get("about", {}) for result in results]
    return [
        Named(structures[i], asked_order(r) or states[i], str(about[i].get("hubbard", "")))
        for i, r in enumerate(results)
    ]


def _structures(results: Sequence[Result]) -> list[str]:
    """Return the name of each structure, with the number of atoms where cells of one name differ in it."""
    names = [str(r.request.get("about", {}).get("name") or r.structure.composition.reduced_formula) for r in results]
    sizes: dict[str, set[int]] = {}
    for name, result in zip(names, results, strict=True):
        sizes.setdefault(name, set()).add(len(result.structure))
    return [
        f"{name} ({len(result.structure)} atoms)" if len(sizes[name]) > 1 else name
        for name, result in zip(names, results, strict=True)
    ]
