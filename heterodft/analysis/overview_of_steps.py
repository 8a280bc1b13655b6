"""The steps of one configuration, read together: which of them tells what."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from heterodft.analysis.sections import SECTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from heterodft.analysis.bands import LayerBands
    from heterodft.analysis.gaps import Gap
    from heterodft.analysis.overview import FolderOverview

__all__ = ["join_steps", "told_elsewhere"]

_BY_ANY_STEP = ("moments", "charges", "defect")
"""Quantities that two steps tell in two ways, in spheres and by Löwdin, or with a density of states."""
_OTHER_CELLS = ("relax", "response", "shift")
"""How steps begin whose gap is that of another cell or potential, or that of the static step once more."""
_SEE = "see step"
_ELSEWHERE = {
    "moments": ("static", "relax", "dos"),
    "charges": ("static", "relax", "dos"),
    "density of states": ("dos",),
    "band edges": ("dos",),
    "sheet carriers": ("dos",),
}
"""The steps that tell a quantity, the best one first."""


def join_steps(folder: Path, read: Mapping[str, FolderOverview], problems: Mapping[str, str]) -> FolderOverview:
    """Return one overview of the steps of a configuration.

    What two steps tell is that of the first, energy and moments those of the static step. Every further k-point can
    only narrow a gap, so that it is the smallest that a mesh or a path tells.

    Parameters
    ----------
    folder
        Of the configuration.
    read
        The overview of each step that could be read, at least one.
    problems
        Why others could not, by their words.
    """
    main = next((one for one in read.values() if one.result.energy is not None), next(iter(read.values())))
    quantities, columns = dict(main.quantities), dict(main.columns)
    labels = [group.label for group in main.source.groups]
    for step, one in read.items():
        for name, quantity in one.quantities.items() if one is not main else ():
            told_anew = name in _BY_ANY_STEP and name in quantities and bool(one.result.sites)
            place = f"{name}-{step}" if told_anew else name
            quantities.setdefault(place, quantity)
        if [group.label for group in one.source.groups] == labels:
            columns |= {name: values for name, values in one.columns.items() if name not in columns}
    densest = _densest(read, main)
    if "bands" in quantities and not densest.result.on_path:
        quantities["bands"] = _bands_from(densest, read)
    return replace(
        main,
        folder=folder,
        gap=_narrowest(read, main),
        quantities=quantities,
        columns=columns,
        missing=_missing_in_all(list(read.values()), quantities) | dict(problems),
        steps=read,
        beside={},
    )


def _densest(read: Mapping[str, FolderOverview], main: FolderOverview) -> FolderOverview:
    """Return the step with a gap from the most k-points of a mesh."""
    on_mesh = [(one.gap.kpoints, one) for one in read.values() if one.gap is not None and not one.result.on_path]
    return max(on_mesh, key=lambda pair: pair[0], default=(0, main))[1]


def _narrowest(read: Mapping[str, FolderOverview], main: FolderOverview) -> Gap | None:
    """Return the smallest gap of the relaxed cell's steps, of equal ones that of the densest mesh."""
    told = [one for step, one in read.items() if one.gap is not None and not step.startswith(_OTHER_CELLS)]
    found = [(one.gap.value, one.result.on_path, -one.gap.kpoints, i) for i, one in enumerate(told) if one.gap]
    return told[min(found)[3]].gap if found else main.gap


def _bands_from(densest: FolderOverview, read: Mapping[str, FolderOverview]) -> LayerBands:
    """Return the bands along the path from the Fermi level or the middle of the gap of a mesh."""
    from heterodft.analysis.bands import LayerBands
    from heterodft.analysis.pdos import reference_energy

    own = next(one for one in read.values() if "bands" in one.quantities)
    return LayerBands.from_result(
        own.result, by=own.source.by, layering=own.source.layering, reference=reference_energy(densest.result)
    )


def _missing_in_all(overviews: Sequence[FolderOverview], made: Mapping[str, Any]) -> dict[str, str]:
    """Return what no step tells, with the reason of the step that is meant to."""
    words = {
        section.words + name.removeprefix(section.name).replace("-", " ", 1)
        for section in SECTIONS
        for name in made
        if name.startswith(section.name)
    }
    found: dict[str, str] = {}
    for overview in overviews:
        for word, reason in overview.missing.items():
            if word not in words and (word not in found or found[word].startswith(_SEE)):
                found[word] = reason
    return found


def told_elsewhere(words: str, reason: str, beside: Mapping[str, Path]) -> str:
    """Return where a quantity is that another step of the same configuration tells, else the reason."""
    step = next((step for step in _ELSEWHERE.get(words, ()) if step in beside), None)
    return reason if step is None else f"{_SEE} '{step}' beside it"
