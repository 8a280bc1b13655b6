"""A folder in which hp.x ran after pw.x: its U by site of the structure, and the sites as the builder had them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.readers.espresso.hp import PARAMETERS_FILE, read_hp_output, read_hp_parameters
from heterodft.analysis.readers.opening import read_head
from heterodft.analysis.response import ResponseU
from heterodft.errors import ReaderError
from heterodft.files import read_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from heterodft.analysis.readers.espresso.hp import HpOutput, HpTable
    from heterodft.analysis.result import HubbardOccupations, Result, SiteValues

__all__ = ["add_response"]

_SITE_ORDER = "site_order.json"
_HEAD = 4096


def add_response(result: Result, folder: Path, request: dict[str, Any], *, strict: bool = False) -> Result:
    """Add the U of hp.x where a folder has one, and undo how the sites of a response step were sorted.

    Raises
    ------
    ReaderError
        If its files are damaged or, with `strict`, not there for a response step.
    """
    asked = request.get("request", {})
    if asked.get("step") == "response":
        result = _in_builders_order(result, _site_order(folder, len(result.structure)))
    paths = sorted(folder.glob(f"*{PARAMETERS_FILE}"))
    if not paths:
        if strict and asked.get("step") == "response":
            raise ReaderError(f"{folder} holds no *{PARAMETERS_FILE}; expected one of hp.x")
        return result
    try:
        return _with_response(result, folder, paths[0], asked)
    except ReaderError as error:
        if strict:
            raise
        return replace(result, notes=(*result.notes, str(error)))


def _site_order(folder: Path, sites: int) -> list[int]:
    """Return which site of the structure each site of the input of pw.x is."""
    if not (folder / _SITE_ORDER).is_file():
        return list(range(sites))
    order = read_json(folder / _SITE_ORDER).get("order", [])
    if not isinstance(order, list) or sorted(order) != list(range(sites)):
        raise ReaderError(f"{folder / _SITE_ORDER} is not the order of {sites} sites; files of another run?")
    return order


def _in_builders_order(result: Result, order: Sequence[int]) -> Result:
    back = np.argsort(order)
    structure = type(result.structure).from_sites([result.structure[int(i)] for i in back])
    return replace(
        result,
        structure=structure,
        sites={kind: _sorted_values(values, back) for kind, values in result.sites.items()},
        forces=None if result.forces is None else result.forces[back],
        occupations=_sorted_occupations(result.occupations, order),
    )


def _sorted_values(values: SiteValues, back: NDArray[np.int64]) -> SiteValues:
    def of_sites(array: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
        return None if array is None else array[back]

    return replace(
        values,
        charges=tuple(values.charges[i] for i in back),
        moments=None if values.moments is None else tuple(values.moments[i] for i in back),
        vectors=of_sites(values.vectors),
        shell_charges=of_sites(values.shell_charges),
        shell_moments=of_sites(values.shell_moments),
    )


def _sorted_occupations(
    occupations: Sequence[HubbardOccupations], order: Sequence[int]
) -> tuple[HubbardOccupations, ...]:
    moved = [replace(each, site=order[each.site]) for each in occupations]
    return tuple(sorted(moved, key=lambda each: each.site))


def _with_response(result: Result, folder: Path, path: Path, asked: dict[str, Any]) -> Result:
    table, printed = read_hp_parameters(path), _printed(folder)
    order = _site_order(folder, len(result.structure))
    if max(table.sites) >= len(order):
        raise ReaderError(f"{path} has a site {max(table.sites) + 1} of {len(order)}; files of another run?")
    response = _response(table, printed, order, asked)
    elements = [site.species_string for site in result.structure]
    given = {u[0]: str(u[1]) for u in asked.get("hubbard", ())}
    shells = tuple(
        shell or given.get(elements[site], "") for site, shell in zip(response.sites, response.shells, strict=True)
    )
    return replace(
        result,
        response=replace(response, shells=shells),
        cpu_seconds=_sum(result.cpu_seconds, printed.cpu_seconds if printed else None),
        wall_seconds=_sum(result.wall_seconds, printed.wall_seconds if printed else None),
        notes=(*result.notes, *table.doubts),
    )


def _response(table: HpTable, printed: HpOutput | None, order: Sequence[int], asked: dict[str, Any]) -> ResponseU:
    """Put the sites into the order of the structure; of a matrix the rows of the sites themselves are kept."""
    mesh = asked.get("settings", {}).get("qpoints")
    told = printed.qpoints if printed else None
    started = printed.started_from if printed else {}
    rows = sorted(range(len(table.sites)), key=lambda row: order[table.sites[row]])
    chi0, chi = (
        None if matrix is None else matrix[np.ix_(rows, [*rows, *range(len(rows), len(matrix))])]
        for matrix in (table.chi0, table.chi)
    )
    known = all(table.kinds[row] in started for row in rows)
    return ResponseU(
        sites=tuple(order[table.sites[row]] for row in rows),
        shells=tuple(table.shells[row] for row in rows),
        values=tuple(table.values[row] for row in rows),
        started_from=tuple(round(started[table.kinds[row]], 6) for row in rows) if known else (),
        groups=tuple(table.groups[row] for row in rows),
        qpoints=told or (tuple(mesh) if mesh else None),
        chi0=chi0,
        chi=chi,
    )


def _printed(folder: Path) -> HpOutput | None:
    """Return what hp.x printed, under any name; the last one of several."""
    for path in sorted(folder.glob("*.out"), reverse=True):
        if b"Program HP v" in read_head(path, _HEAD):
            return read_hp_output(path)
    return None


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None and other is None else (one or 0.0) + (other or 0.0)
