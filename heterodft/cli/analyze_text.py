"""What ``heterodft analyze`` prints."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

from heterodft.cli.common import print_table

if TYPE_CHECKING:
    from heterodft.analysis.gaps import Gap, SpinGap
    from heterodft.analysis.overview import FolderOverview
    from heterodft.analysis.result import Result

__all__ = ["print_energies", "print_overview"]

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
    """Print the layer table, the top of the cell on top."""
    groups, layering, columns = overview.source.groups, overview.source.layering, overview.columns
    how = {"labels": "as built", "composition": "found from the structure", "given": "as given"}
    found = how.get(layering.source, layering.source) if layering is not None else ""
    rows = [
        [group.label, group.formula, f"{group.height:.2f}", *(_number(values[i], 3) for values in columns.values())]
        for i, group in enumerate(groups)
    ]
    names = [overview.source.by, "formula", ">height (Å)", *(f">{name}" for name in columns)]
    print_table(f"{len(groups)} {overview.source.by}s, {found}; from the top down", names, rows[::-1])


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
