"""The tables of the page: only columns that say something, every number rounded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.plots.style import pretty

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from heterodft.analysis.local import DefectNeighbours
    from heterodft.analysis.report.collect import ConfigurationReport
    from heterodft.analysis.report.layer_rows import LayerRow
    from heterodft.analysis.structure import StructureProfile

__all__ = ["PageTable", "defect_table", "layer_table", "layers_of_all", "structure_table"]

_LEAST_CARRIERS = 1e10
"""Per cm²: fewer are rounding."""
_LEAST_LENGTH, _LEAST_ANGLE = 0.001, 0.05
"""Å and degrees: a column of less is one of zeros."""


@dataclass(frozen=True)
class PageTable:
    """A table as shown: ``words`` columns of text first, then numbers; ``most`` is the row to mark, if any.

    Where text and numbers alternate, ``numbers`` names the columns of the latter.
    """

    header: list[str]
    rows: list[list[str]]
    words: int
    most: int | None = None
    numbers: frozenset[int] | None = None

    def is_number(self, column: int) -> bool:
        """Tell whether a column is set to the right."""
        return column >= self.words if self.numbers is None else column in self.numbers


_Column = tuple[str, "Callable[[LayerRow], float | None]", int]


def layer_table(report: ConfigurationReport) -> PageTable | None:
    """Return the layer table, the top of the cell first; None where there is none."""
    rows = list(reversed(report.layers))
    if not rows:
        return None
    columns = _layer_columns(rows)
    cells = [
        [row.layer, f"{row.plane} {row.formula}", *(number(get(row), digits) for _, get, digits in columns)]
        for row in rows
    ]
    defect = report.structure is not None and report.structure.properties.get("defect")
    electrons = [row.electrons for row in rows]
    most = int(np.argmax([e or 0.0 for e in electrons])) if defect and any(electrons) else None
    return PageTable(["layer", "plane", *(name for name, _, _ in columns)], cells, 2, most)


def _layer_columns(rows: Sequence[LayerRow]) -> list[_Column]:
    """Return the columns that hold a number: name, how to get it, digits."""
    columns: list[_Column] = [
        ("moment, sphere (μB)", lambda row: row.moment_sphere, 3),
        ("moment, Löwdin (μB)", lambda row: row.moment_lowdin, 3),
        ("moment, density (μB)", lambda row: row.moment_slab, 3),
        ("charge (e)", lambda row: row.charge, 3),
        ("charge − bulk (e)", lambda row: row.transfer, 3),
        ("eg polarization", lambda row: row.eg_polarization, 3),
        ("I·N(EF)", lambda row: row.stoner, 2),
        ("electrons ↑", lambda row: row.electrons_up, 3),
        ("electrons ↓", lambda row: row.electrons_down, 3),
        ("sum", lambda row: row.electrons, 3),
        ("valence edge (eV)", lambda row: row.valence, 2),
        ("conduction edge (eV)", lambda row: row.conduction, 2),
    ]
    if any((row.electrons_cm2 or 0.0) > _LEAST_CARRIERS for row in rows):
        columns.append(("electrons (10¹³/cm²)", lambda row: _e13(row.electrons_cm2), 2))
    if any((row.holes_cm2 or 0.0) > _LEAST_CARRIERS for row in rows):
        columns.append(("holes (10¹³/cm²)", lambda row: _e13(row.holes_cm2), 2))
    return [column for column in columns if any(column[1](row) is not None for row in rows)]


def _e13(value: float | None) -> float | None:
    return None if value is None else value / 1e13


def layers_of_all(pages: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return the layer tables of all configurations as one, with every column that any of them has.

    What is the same in all rows, as U often is, is told once.
    """
    told = [(page["report"], page["layers"]) for page in pages if page["layers"] is not None]
    if len(told) < 2:
        return None
    names = [
        {"structure": r.name, "order": r.order, "U": r.setting, "state": ", ".join(r.marks) or "as asked"}
        for r, _ in told
    ]
    varied = [key for key in names[0] if len({name[key] for name in names}) > 1]
    columns = list(dict.fromkeys(column for _, table in told for column in table.header))
    rows = [
        [*(name[key] for key in varied), *(cells.get(column, "–") for column in columns)]
        for name, (_, table) in zip(names, told, strict=True)
        for cells in (dict(zip(table.header, row, strict=True)) for row in table.rows)
    ]
    same = [f"{key} {names[0][key]}" for key in names[0] if key not in varied]
    return {"header": [*varied, *columns], "words": len(varied) + 2, "rows": rows, "same": same}


def defect_table(defect: DefectNeighbours | None) -> PageTable | None:
    """Return the nearest neighbours of a defect with their moments and their part of the cell's moment."""
    if defect is None:
        return None
    share = defect.share
    header = ["neighbours", *(f"moment, {kind} (μB)" for kind in defect.kinds)]
    if share is not None:
        header += [f"of the cell's, {kind} (%)" for kind in defect.kinds]
    rows = [
        [
            pretty(shell.label),
            *(number(float(value), 3) for value in defect.moments[i]),
            *(number(100 * float(value), 0) for value in ([] if share is None else share[i])),
        ]
        for i, shell in enumerate(defect.shells)
    ]
    return PageTable(header, rows, 1)


def structure_table(relaxed: StructureProfile | None) -> PageTable | None:
    """Return spacings, displacements and tilts by plane, the top of the cell first."""
    if relaxed is None:
        return None
    columns: list[tuple[str, Any, int, float]] = [
        ("to the next (Å)", relaxed.spacing, 3, 0.0),
        ("rumpling (Å)", relaxed.rumpling, 3, _LEAST_LENGTH),
        ("polar displacement (Å)", relaxed.polar, 3, _LEAST_LENGTH),
        ("off-centring (Å)", relaxed.off_centre, 3, _LEAST_LENGTH),
        ("tilt (°)", relaxed.tilt, 1, _LEAST_ANGLE),
        ("rotation (°)", relaxed.rotation, 1, _LEAST_ANGLE),
        ("bond angle across (°)", relaxed.angle_across, 1, 0.0),
        ("bond angle in plane (°)", relaxed.angle_in_plane, 1, 0.0),
        ("shortest bond (Å)", relaxed.shortest_bond, 3, 0.0),
        ("longest bond (Å)", relaxed.longest_bond, 3, 0.0),
    ]
    told = [column for column in columns if (np.abs(np.nan_to_num(column[1])) > column[3]).any()]
    rows = [
        [group.label, *(number(float(values[i]), digits) for _, values, digits, _ in told)]
        for i, group in enumerate(relaxed.groups)
    ]
    return PageTable(["plane", *(name for name, *_ in told)], rows[::-1], 1)


def number(value: float | None, digits: int = 3) -> str:
    """Return a number in so many digits, never minus zero; a dash where there is none.

    Examples
    --------
    >>> number(-0.0001, 2), number(None), number(1.5, 2)
    ('0.00', '–', '1.50')
    """
    return "–" if value is None or not np.isfinite(value) else f"{round(float(value), digits) + 0.0:.{digits}f}"
