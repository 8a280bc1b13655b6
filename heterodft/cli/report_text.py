"""What ``heterodft report`` prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from heterodft.cli.common import print_table
from heterodft.cli.progress import is_quiet

if TYPE_CHECKING:
    from pathlib import Path

    from heterodft.analysis.published.comparison import PublishedTable
    from heterodft.analysis.report import ConfigurationReport
    from heterodft.analysis.report.collect import StepReport
    from heterodft.analysis.report.drivers import DriverFindings

__all__ = ["Answers", "print_answers"]

_MOST_NOTES = 20
_LEAST_MISSED = ("polarization", "charge", "electrons")
"""In the names of columns that a narrow window does without, the first ones first."""
_MOST_TABLES = 3
"""Configurations whose layers are printed; those of all are on the page."""


@dataclass(frozen=True)
class Answers:
    """What a report tells: of which folder and which configurations, and where its page is.

    Attributes
    ----------
    root
        Folder of the runs of the campaign.
    asked
        Paths of the configurations of the campaign; None of a folder alone.
    reports, drivers, published
        What came out of each configuration, of each question of ``converge``, and beside what was published.
    missing
        Configurations that have no folder.
    page
        The HTML page.
    """

    root: Path
    asked: list[str] | None
    reports: list[ConfigurationReport]
    drivers: list[DriverFindings]
    published: PublishedTable | None
    missing: list[str]
    page: Path

    @property
    def unfinished(self) -> list[StepReport]:
        """Steps that have no result; what failed comes first."""
        from heterodft.analysis.report.marks import PENDING

        found = [step for report in self.reports for step in report.steps if step.state != "done"]
        return sorted(found, key=lambda step: step.state in PENDING)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        answers = {driver.kind: {"state": driver.state, "words": list(driver.words)} for driver in self.drivers}
        told = {
            "configurations": [report.to_dict() for report in self.reports],
            "missing": self.missing,
            "drivers": answers,
        }
        told |= {} if self.published is None else {"published": self.published.to_dict()}
        return told | {"page": str(self.page)}


def print_answers(answers: Answers, output: Path) -> None:
    """Print tables of layers, configurations, energies and published figures, and what is not finished."""
    if answers.reports:
        _print(answers.root.name, answers.reports, answers.drivers, output)
    for driver in answers.drivers:
        click.echo(f"{driver.title} ({driver.state}){''.join(f'{chr(10)}  - {line}' for line in driver.words)}")
    if answers.published is not None:
        _print_published(answers.published)
    _print_list("Not submitted", answers.missing)
    _print_list(
        "Not finished",
        [f"{step.folder}: {step.state}{f', {step.reason}' if step.reason else ''}" for step in answers.unfinished],
    )
    click.echo(f"Report: {answers.page.resolve()}")


def _print(name: str, reports: list[ConfigurationReport], drivers: list[DriverFindings], output: Path) -> None:
    from heterodft.analysis.report.summary import counted, counted_states

    _print_first_layers(reports, output)
    rows = [
        [
            r.name, r.label, r.order, r.hubbard, _number(r.energy, 4), _relative(r),
            _number(r.moment, 2), _number(r.absolute_moment, 2), _gap(r), ", ".join(r.marks) or r.state,
        ]
        for r in reports
    ]  # fmt: skip
    names = ("structure", "what", "order", "U")
    alike = [names[i] for i in (1, 3, 2) if len({row[i] for row in rows}) == 1]
    print_table(
        f"{name}: energy E, total and absolute moment M and |M| of the cell; ΔE to the lowest comparable",
        [*names, ">E (eV)", ">ΔE (eV)", ">M (μB)", ">|M| (μB)", "gap", "state"],
        rows,
        spare=("|M| (μB)", *alike[:2], "E (eV)" if len(rows) > 1 else "ΔE (eV)", *alike[2:]),
    )
    _print_energies(reports)
    _print_list("Before quoting a number", [*counted(reports, drivers), *counted_states(reports)])
    _print_list(
        "Told while running", [f"{r.name} {r.order} {r.hubbard} {note}" for r in reports for note in r.corrections]
    )


def _print_list(title: str, lines: list[str]) -> None:
    """Print lines under a title; of many the first, and how many more the report has."""
    if not lines:
        return
    click.echo(f"{title}:")
    for line in lines[:_MOST_NOTES]:
        click.echo(f"  - {line}")
    if len(lines) > _MOST_NOTES:
        click.echo(f"  … and {len(lines) - _MOST_NOTES} more, in the report")


def _relative(report: ConfigurationReport) -> str:
    if report.relative_energy is None and report.ranked is not None and report.ranked.reason:
        return "not compared"
    return _number(report.relative_energy, 3)


def _print_first_layers(reports: list[ConfigurationReport], output: Path) -> None:
    """Print the layers of the first configurations, the lowest before others, and say where the rest are."""
    told = [report for report in reports if report.layers]
    lowest = _lowest(told)
    first = sorted(range(len(told)), key=lambda i: told[i].path not in lowest)[:_MOST_TABLES]
    shown = [] if is_quiet() else [told[i] for i in sorted(first)]
    for report in shown:
        _print_layers(report)
    if len(told) > len(shown):
        rest = len(told) - len(shown)
        more = (
            f"{rest} more configuration{'s' * (rest != 1)}" if shown else f"{rest} configuration{'s' * (rest != 1)}"
        )
        click.echo(f"Layers of {more}: {output / 'layers.csv'}, and on the page")


def _lowest(reports: list[ConfigurationReport]) -> set[str]:
    """Return the paths of the lowest configuration of each structure and U; one that is not compared is behind."""
    found: dict[tuple[str, str], tuple[tuple[bool, float], str]] = {}
    for report in reports:
        rank = (report.relative_energy is None, report.relative_energy or 0.0)
        key = (report.name, report.hubbard)
        found[key] = min(found.get(key, (rank, report.path)), (rank, report.path), key=lambda one: one[0])
    return {path for _, path in found.values()}


def _gap(report: ConfigurationReport) -> str:
    return report.gap_text + (f" ({report.path_gap_text} on the path)" if report.path_gap_text else "")


def _print_energies(reports: list[ConfigurationReport]) -> None:
    """Print the ranked energies of structures with several orders."""
    from heterodft.analysis.report import compared

    table = compared(reports)
    if table is None:
        return
    units = dict.fromkeys(f"{row.family.split()[0]}: {row.formula}" for row in table.rows)
    because = any(row.reason for row in table.rows)
    print_table(
        f"Energies of the orders, by the state reached; formula unit of {', '.join(units)}",
        ["structure and U", "order", "reached", ">meV/f.u.", ">meV/magnetic ion", "from",
         *["not compared because"] * because],
        [
            [
                row.family, row.name, row.state, _number(row.per_formula_unit, 1), _number(row.per_magnetic_ion, 1),
                row.reference, *[row.reason] * because,
            ]
            for row in table.rows
        ],
    )  # fmt: skip


def _print_layers(report: ConfigurationReport) -> None:
    from heterodft.analysis.report import layer_table

    table = layer_table(report)
    if table is None:
        return
    about = f"{report.name} {report.label}, {report.order}, {report.hubbard}: "
    about += "; ".join([*report.marks, _gap(report) or "gap not known", "moments M in μB"])
    if report.found.dos_zero:
        about += f"; electrons from 2 eV below the {report.found.dos_zero}"
    kind = report.layers[0].kind
    shown = [i for i, name in enumerate(table.header) if "edge" not in name]  # for these there is no room
    names = [table.header[i].replace("moment, ", "M ").replace(" (μB)", "") for i in shown]
    header = [name if i < table.words else f">{name}" for i, name in zip(shown, names, strict=True)]
    rows = [[row[i] for i in shown] for row in table.rows]
    groups = (tuple(name for name in names if word in name) for word in _LEAST_MISSED)
    spare = [group for group in groups if group]
    print_table(about + (f"; charge: {kind}" if kind else ""), header, rows, spare=spare)


def _print_published(table: PublishedTable) -> None:
    """Print what was published beside what came out."""
    counts = ", ".join(f"{count} {verdict}" for verdict, count in table.counts.items())
    print_table(
        f"Published ({table.source}) and ours: {counts}",
        ["figure", "published", ">ours", ">difference", "verdict", "of", "why"],
        [
            [row.what, row.theirs, row.ours, row.difference_text, row.verdict, row.configuration, row.why]
            for row in table.rows
        ],
    )


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{round(value, digits) + 0.0:.{digits}f}"
