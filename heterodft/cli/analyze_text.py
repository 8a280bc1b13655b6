"""What ``heterodft analyze`` prints."""

from __future__ import annotations

import math
import shutil
from textwrap import wrap
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from heterodft.cli.common import print_table

if TYPE_CHECKING:
    from heterodft.analysis.gaps import Gap, SpinGap
    from heterodft.analysis.overview import FolderOverview
    from heterodft.analysis.result import Result

__all__ = ["print_energies", "print_overview"]

_Columns: TypeAlias = dict[str, list[str]]
_WIDTH, _HEADER = 120, 16
"""Letters: of a table where there is no window, and of a line of a column's name."""
_CODES = {"vasp": "VASP", "espresso": "Quantum ESPRESSO"}


def print_overview(overview: FolderOverview) -> None:
    """Print what one folder says: the run, the cell, the layers, and what could not be told."""
    result = overview.result
    click.echo(f"{overview.folder}")
    click.echo(f"  {_run(result)}")
    for line in _cell(result, overview.gap):
        click.echo(f"  {line}")
    for note in overview.notes:
        click.echo(f"  Note: {note}")
    if overview.source.layering is not None and overview.source.groups:
        _print_layers(overview)
    for words, reason in overview.missing.items():
        click.echo(f"  No {words}: {reason}")
    click.echo()


def _run(result: Result) -> str:
    """Say which program ran on what and how it ended."""
    structure = result.structure
    state = {
        True: "converged",
        False: "NOT CONVERGED",
        None: "" if result.step in ("dos", "bands", "potential", "charge") else "convergence unknown",
    }[result.converged]
    steps = f" in {result.iterations} iterations" if result.converged and result.iterations else ""
    ended = result.ended if result.ended == "finished" else result.ended.upper()
    program = f"{_CODES.get(result.code, result.code)} {result.version}".strip()
    parts = [program, result.step, f"{structure.composition.formula} ({len(structure)} atoms)", ended, state + steps]
    return ", ".join(part for part in parts if part)


def _cell(result: Result, gap: Gap | None) -> list[str]:
    """Say what holds for the whole cell."""
    lines = []
    if result.energy is not None:
        per_atom = result.energy / len(result.structure)
        lines.append(f"Energy: {result.energy:.6f} eV ({per_atom:.6f} eV an atom)")
    if gap is not None:
        lines.append(f"Gap: {gap.text}{_spins(gap)}")
    if result.fermi_levels:
        names = ("up ", "down ") if len(result.fermi_levels) == 2 else ("",)
        lines.append(
            "Fermi level: " + ", ".join(f"{n}{e:.4f} eV" for n, e in zip(names, result.fermi_levels, strict=True))
        )
    if result.total_moment is not None:
        absolute = (
            "" if result.absolute_moment is None else f"; of its absolute value {result.absolute_moment:.3f} μB"
        )
        lines.append(f"Moment of the cell (integral): {_number(result.total_moment, 3)} μB{absolute}")
    for kind, values in result.sites.items():
        if values.moments is not None:
            lines.append(f"Moments of the sites, {kind}: sum {_number(sum(values.moments), 3)} μB")
    return lines


def _spins(gap: Gap) -> str:
    if len(gap.spins) < 2:
        return ""
    return f" (up {_spin(gap.spins[0])}, down {_spin(gap.spins[1])})"


def _spin(spin: SpinGap) -> str:
    if spin.metal:
        return "metal"
    if spin.fundamental is None or spin.direct is None:
        return "unknown"
    return f"{spin.fundamental:.3f} eV" + (" direct" if abs(spin.direct - spin.fundamental) < 1e-6 else "")


def _print_layers(overview: FolderOverview) -> None:
    """Print the layer table, the top of the cell on top, in as many pieces as the window needs."""
    groups, layering = overview.source.groups, overview.source.layering
    how = {"labels": "as built", "composition": "found from the structure", "given": "as given"}
    found = how.get(layering.source, layering.source) if layering is not None else ""
    zero = next((q.reference_name for q in overview.quantities.values() if hasattr(q, "reference_name")), "")
    energies = f"; energies from the {zero}" if zero else ""
    click.echo(f"  {len(groups)} {overview.source.by}s, {found}; the top of the cell on top{energies}")
    first = {
        overview.source.by: [group.label for group in groups],
        "formula": [group.formula for group in groups],
        ">height (Å)": [f"{group.height:.2f}" for group in groups],
    }
    rest = {_header(name): [_number(v, 3) for v in values] for name, values in overview.columns.items()}
    for columns in _pieces(first, rest):
        print_table("", list(columns), list(zip(*columns.values(), strict=True))[::-1])


def _header(name: str) -> str:
    return ">" + "\n".join(wrap(name, _HEADER))


def _pieces(first: _Columns, rest: _Columns) -> list[_Columns]:
    """Share columns out among tables that fit the window, each with the same first columns."""
    room = shutil.get_terminal_size((_WIDTH, 24)).columns - sum(_width(*column) for column in first.items())
    pieces, left = [dict(first)], room
    for name, cells in rest.items():
        width = _width(name, cells)
        if width > left and len(pieces[-1]) > len(first):
            pieces.append(dict(list(first.items())[:1]))
            left = room
        pieces[-1][name] = cells
        left -= width
    return pieces


def _width(name: str, cells: list[str]) -> int:
    return 2 + max(map(len, [*name.lstrip(">").split("\n"), *cells]))


def print_energies(energies: Any) -> None:
    """Print the energies of several folders, and why some may not be subtracted."""
    unit = energies.unit
    rows = [
        [name, "–" if value is None else _number(value, 2), reason]
        for name, value, reason in zip(energies.names, energies.values, energies.reasons, strict=True)
    ]
    print_table(f"Energies from {energies.reference}", ["configuration", f">ΔE ({unit})", "no number because"], rows)


def _number(value: float, digits: int) -> str:
    if not math.isfinite(value):
        return "–"
    if abs(value) >= 1e6:
        return f"{value:.2e}"
    return f"{round(value, digits) + 0.0:.{digits}f}"
