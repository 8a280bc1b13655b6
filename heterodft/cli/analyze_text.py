"""What ``heterodft analyze`` prints."""

from __future__ import annotations

import math
import shutil
from collections import Counter
from textwrap import wrap
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from heterodft.analysis.state_marks import order_shown, state_marks, state_of
from heterodft.cli.common import print_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from heterodft.analysis.against_u import AgainstHubbard
    from heterodft.analysis.energies.configurations import ConfigurationEnergies
    from heterodft.analysis.energies.segregation import SegregationEnergies
    from heterodft.analysis.gaps import Gap, SpinGap
    from heterodft.analysis.overview import FolderOverview

__all__ = ["print_comparisons", "print_overview"]

_Columns: TypeAlias = dict[str, list[str]]
_WIDTH, _HEADER = 120, 14
"""Letters: of a table where there is no window, and of a line of a column's name."""
_CODES = {"vasp": "VASP", "espresso": "Quantum ESPRESSO"}
_OF_ENERGIES = (
    "not in the state",
    "its moments",
    "the structure was relaxed",
    "reached",
    "the same moments",
    "the state reached",
    "unknown",
    "trusted",
)
"""How notes begin that are about a comparison; others are told with their folder."""
_WITHOUT_ENERGY = ("dos", "bands", "potential", "charge", "response", "shift", "shift-bare")


def print_overview(overview: FolderOverview) -> None:
    """Print what one folder says: the run, the cell, the layers, and what could not be told."""
    click.echo(f"{overview.folder}")
    for line in (_run(overview), *_cell(overview)):
        click.echo(f"  {line}")
    for line in _states(overview):
        click.echo(f"  {line}")
    for note in overview.notes:
        click.echo(f"  Note: {note}")
    if overview.source.layering is not None and overview.source.groups:
        _print_layers(overview)
    for line in _missing(overview):
        click.echo(f"  {line}")
    click.echo()


def _run(overview: FolderOverview) -> str:
    """Say which program ran on what and how it ended."""
    result = overview.result
    structure = result.structure
    alone = overview.source.grids_alone
    none = alone or result.step in _WITHOUT_ENERGY
    state = {True: "converged", False: "NOT CONVERGED", None: "" if none else "convergence unknown"}[result.converged]
    steps = f" in {result.iterations} iterations" if result.converged and result.iterations else ""
    ended = result.ended if result.ended == "finished" else result.ended.upper()
    program = f"{_CODES.get(result.code, result.code)} {result.version}".strip()
    atoms = f"{len(structure)} atom{'s' * (len(structure) != 1)}"
    what = "grids" if alone else f"steps {', '.join(overview.steps)}" if overview.steps else result.step
    parts = [program, what, f"{structure.composition.formula} ({atoms})", "" if alone else ended, state + steps]
    return ", ".join(part for part in parts if part)


def _cell(overview: FolderOverview) -> list[str]:
    """Say what holds for the whole cell."""
    result, gap = overview.result, overview.gap
    lines = []
    if result.energy is not None:
        per_atom = result.energy / len(result.structure)
        lines.append(f"Energy: {result.energy:.6f} eV ({per_atom:.6f} eV an atom)")
    elif told := [step for step in ("static", "relax") if step in overview.beside]:
        lines.append(f"Energy: see step '{told[0]}' beside it")
    if gap is not None:
        lines.append(f"Gap: {gap.text}{_spins(gap)}{_other_gaps(overview)}")
    if result.fermi_levels:
        names = ("up ", "down ") if len(result.fermi_levels) == 2 else ("",)
        lines.append(
            "Fermi level: " + ", ".join(f"{n}{e:.4f} eV" for n, e in zip(names, result.fermi_levels, strict=True))
        )
    moments = [(result.total_moment, "in the cell"), (result.absolute_moment, "of absolute value")]
    for kind, values in result.sites.items():
        if values.moments is not None:
            where = {"sphere": "in the spheres"}.get(kind, f"by {kind}")
            moments.append((sum(values.moments), where))
    said = [f"{_number(moment, 3)} μB {words}" for moment, words in moments if moment is not None]
    lines += [f"Moment: {', '.join(said)}"] if said else []
    occupations = overview.quantities.get("occupations")
    return lines + ([f"Hubbard U: {occupations.summary()}"] if occupations is not None else [])


def _states(overview: FolderOverview) -> list[str]:
    """Say which order was reached, and where it is not the one asked for; the same of several steps once."""
    results = [one.result for one in overview.steps.values()] or [overview.result]
    lines: list[str] = []
    for result in results:
        record = state_of(result)
        words = state_marks(result) or (
            (f"{order_shown(result)}, {record['verdict']}",) if record.get("verdict") else ()
        )
        lines += [f"State: {one}" for one in words]
    return list(dict.fromkeys(lines))


def _spins(gap: Gap) -> str:
    if len(gap.spins) < 2 or all(spin.metal for spin in gap.spins):
        return ""
    return f" (up {_spin(gap.spins[0])}, down {_spin(gap.spins[1])})"


def _spin(spin: SpinGap) -> str:
    if spin.metal:
        return "metal"
    if spin.fundamental is None or spin.direct is None:
        return "unknown"
    return f"{spin.fundamental:.3f} eV" + (" direct" if abs(spin.direct - spin.fundamental) < 1e-6 else "")


def _other_gaps(overview: FolderOverview) -> str:
    """Say which step the gap is from, and what other steps say."""
    if not overview.gap_step:
        return ""
    others = [
        f"{step}: {one.gap.text}"
        for step, one in overview.steps.items()
        if one.gap is not None and one.gap is not overview.gap
    ]
    return f" in step '{overview.gap_step}'" + (f"; {', '.join(others)}" if others else "")


def _missing(overview: FolderOverview) -> list[str]:
    """Say what could not be told, what has the same reason in one line."""
    reasons: dict[str, list[str]] = {}
    for words, reason in overview.missing.items():
        reasons.setdefault(reason, []).append(words)
    return [f"No {', '.join(words)}: {reason}" for reason, words in reasons.items()]


def _print_layers(overview: FolderOverview) -> None:
    """Print the layer table, the top of the cell on top, in as many pieces as the window needs."""
    groups, layering, by = overview.source.groups, overview.source.layering, overview.source.by
    how = {"labels": "as built", "composition": "found from the structure", "given": "as given"}
    found = how.get(layering.source, layering.source) if layering is not None else ""
    zero = next((q.reference_name for q in overview.quantities.values() if hasattr(q, "reference_name")), "")
    energies = f"; energies from the {zero}" if zero else ""
    click.echo(f"  {len(groups)} {by}{'s' * (len(groups) != 1)}, {found}; the top of the cell on top{energies}")
    first = {
        by: [group.label for group in groups],
        "formula": [group.formula for group in groups],
        ">height (Å)": [f"{group.height:.2f}" for group in groups],
    }
    told = {name: [_number(v, 3) for v in values] for name, values in overview.columns.items()}
    zeros = [name for name, cells in told.items() if set(cells) <= {"0.000", "–"}]
    rest = _pairs({name: cells for name, cells in told.items() if name not in zeros})
    for columns in _pieces(first, {_header(name): cells for name, cells in rest.items()}):
        print_table("", list(columns), list(zip(*columns.values(), strict=True))[::-1])
    if zeros:
        click.echo(f"  Zero in every {by}: {', '.join(zeros)}")


def _pairs(columns: _Columns) -> _Columns:
    """Write both spins into one column."""
    paired: _Columns = {}
    for name, cells in columns.items():
        base = name.removesuffix(", down")
        if name.endswith(", up") and f"{name.removesuffix('up')}down" in columns:
            down = columns[f"{name.removesuffix('up')}down"]
            wide = max(map(len, down))
            paired[f"{name}/down"] = [f"{up} / {cell:>{wide}}" for up, cell in zip(cells, down, strict=True)]
        elif base == name or f"{base}, up" not in columns:
            paired[name] = cells
    return paired


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


def print_comparisons(compared: Mapping[str, Any]) -> None:
    """Print what several folders say together."""
    if "energies" in compared:
        _print_energies(compared["energies"])
    if "segregation" in compared:
        _print_segregation(compared["segregation"])
    if "against_u" in compared:
        _print_against_u(compared["against_u"])


def _print_energies(energies: ConfigurationEnergies) -> None:
    """Print each structure and U of which there are several configurations; the others have nothing to compare."""
    sizes = Counter(row.family for row in energies.rows)
    for family in [family for family, size in sizes.items() if size > 1]:
        rows = [
            [
                row.name,
                row.state or "–",
                _optional(row.per_formula_unit, 2),
                _optional(row.per_magnetic_ion, 2),
                _optional(row.total_moment, 3),
                "; ".join(filter(None, [row.reason, *(n for n in row.notes if n.startswith(_OF_ENERGIES))])),
            ]
            for row in energies.rows
            if row.family == family
        ]
        zero = next((row.reference for row in energies.rows if row.family == family), "")
        columns = ["configuration", "state", ">ΔE (meV\nper formula unit)", ">ΔE (meV per\nmagnetic ion)"]
        click.echo(f"{family}: energies from {zero or 'none'}")
        print_table("", [*columns, ">moment\n(μB a cell)", "remarks"], rows)
    alone = [row.family for row in energies.rows if sizes[row.family] == 1]
    if alone:
        click.echo(f"Energies are ranked among runs of one structure and U; just one of: {', '.join(alone)}")
        click.echo()


def _print_segregation(energies: SegregationEnergies) -> None:
    rows = [
        [row.defect, name, _optional(None if row.relative is None else 1000 * row.relative, 1), row.reason]
        for name, row in zip(energies.names, energies.rows, strict=True)
    ]
    click.echo(f"Energy of the defect by place, from {energies.reference}")
    print_table("", ["defect", "layer", ">ΔE (meV)", "remarks"], rows)


def _print_against_u(against: AgainstHubbard) -> None:
    rows = []
    for point, label in zip(against.points, against.labels, strict=True):
        u = ", ".join(f"{element} {_u(point.u.get(element, 0.0))}" for element in against.scanned)
        gap = "metal" if point.metal else _optional(point.gap, 3)
        rows.append([label, u, _optional(point.moment, 3), gap, "; ".join(point.notes)])
    click.echo("Against U")
    kinds = "/".join(dict.fromkeys(point.moment_kind for point in against.points if point.moment_kind))
    moment = f">{kinds} moment\n(μB an ion)".replace("> ", ">")
    print_table("", ["configuration", "U (eV)", moment, ">gap (eV)", "remarks"], rows)


def _u(value: float | None) -> str:
    return "per layer" if value is None else f"{value:g}"


def _optional(value: float | None, digits: int) -> str:
    return "–" if value is None else _number(value, digits)


def _number(value: float, digits: int) -> str:
    if not math.isfinite(value):
        return "–"
    if abs(value) >= 1e6:
        return f"{value:.2e}"
    return f"{round(value, digits) + 0.0:.{digits}f}"
