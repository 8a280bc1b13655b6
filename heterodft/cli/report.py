"""``heterodft report``: tables, figures and one HTML page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from heterodft.cli.common import (
    echo_json,
    json_option,
    print_table,
    read_campaign,
    request_chains,
    settings_for,
)
from heterodft.cli.progress import is_quiet, quiet_option, working

if TYPE_CHECKING:
    from heterodft.analysis.published.comparison import PublishedTable
    from heterodft.analysis.report import ConfigurationReport
    from heterodft.workflows.published_spec import PublishedSpec

__all__ = ["command"]

_MOST_NOTES = 20
_LEAST_MISSED = ("polarization", "charge", "electrons")
"""In the names of columns that a narrow window does without, the first ones first."""
_MOST_TABLES = 3
"""Configurations whose layers are printed; those of all are on the page."""


@click.command("report")
@click.argument("source", metavar="FILE", type=click.Path(path_type=Path, exists=True))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("report"),
    show_default=True,
    help="Folder for the page, tables and figures.",
)
@click.option(
    "--reference",
    metavar="ORDER",
    default="FM",
    show_default=True,
    help="The order whose energy is zero, if reached.",
)
@click.option(
    "--runs",
    metavar="DIR",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Where the runs are, or were kept; by default as in the settings.",
)
@click.option(
    "--keep",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Copy there what a report can be written from again, without the rest of the runs.",
)
@click.option(
    "--figures",
    metavar="N",
    type=click.IntRange(min=0),
    help="Of how many configurations figures are drawn, the lowest of each structure first; 40 by default.",
)
@click.option(
    "--stoner",
    "parameters",
    metavar="ELEMENT=EV",
    multiple=True,
    help="I of the Stoner product for N(EF) of one spin; else that of the elemental metal, where it is known.",
)
@quiet_option
@json_option
def command(
    *,
    source: Path,
    output: Path,
    reference: str,
    runs: Path | None,
    keep: Path | None,
    figures: int | None,
    parameters: tuple[str, ...],
    as_json: bool,
) -> None:
    """Report on the campaign FILE, or on the folder of its runs; the folders alone are read, not the queue.

    The page, its tables (CSV) and figures (PDF, SVG, PNG, and CSV with their numbers) are written into a folder. What
    the questions of `heterodft converge` found is shown too. Layers of the first few configurations are printed, with
    --quiet of none.

    Example: heterodft report campaign.yaml -o report
    """
    from heterodft.analysis.report import collect, write_report
    from heterodft.analysis.report.html import MOST_DRAWN
    from heterodft.analysis.report.marks import PENDING
    from heterodft.cli.analyze import read_parameters
    from heterodft.cli.report_drivers import driver_findings, pseudopotential_families
    from heterodft.workflows.campaign_results import asked_for

    published, stoner = None, read_parameters(parameters)
    if source.is_dir():
        root, order, expected = source.resolve(), None, None
    else:
        campaign = read_campaign(source)
        settings = settings_for(campaign)
        root = (settings.runs if runs is None else runs.resolve()) / campaign.name
        order, expected = asked_for(campaign, lambda: request_chains(campaign, settings))
        published = campaign.published
    with working("report:") as tell_step:
        tell_step("reading the folders")
        drivers = driver_findings(root)
        reports = []
        if root.is_dir() or not drivers:
            reports = collect(root, order, expected=expected, reference=reference, stoner=stoner)
        table = _published_table(published, reports, order, root.name)
        missing = [path for path in order or [] if path not in {report.path for report in reports}]
        page = write_report(
            root.name,
            reports,
            output,
            published=table,
            drivers=drivers,
            missing=missing,
            families=pseudopotential_families(),
            most_drawn=MOST_DRAWN if figures is None else figures,
            progress=lambda count, total: tell_step(f"drawing {count} of {total}"),
        )
    unfinished = [step for report in reports for step in report.steps if step.state != "done"]
    if as_json:
        answers = {driver.kind: {"state": driver.state, "words": list(driver.words)} for driver in drivers}
        told = {"configurations": [r.to_dict() for r in reports], "missing": missing, "drivers": answers}
        told |= {} if table is None else {"published": table.to_dict()}
        echo_json(told | {"page": str(page)})
    else:
        if reports:
            _print(root.name, reports, output)
        for driver in drivers:
            click.echo(f"{driver.title} ({driver.state}){''.join(f'{chr(10)}  - {line}' for line in driver.words)}")
        if table is not None:
            _print_published(table)
        _print_list("Not submitted", missing)
        unfinished.sort(key=lambda step: step.state in PENDING)  # what failed comes first
        _print_list(
            "Not finished",
            [f"{step.folder}: {step.state}{f', {step.reason}' if step.reason else ''}" for step in unfinished],
        )
        click.echo(f"Report: {page.resolve()}")
    if keep is not None:
        _keep(root, keep, order)
    if any(step.state == "failed" for step in unfinished):
        sys.exit(3)


def _published_table(
    published: PublishedSpec | None, reports: list[ConfigurationReport], order: list[str] | None, name: str
) -> PublishedTable | None:
    """Put what a paper published beside what came out."""
    if published is None:
        return None
    from heterodft.analysis.published.comparison import compare_published

    return compare_published(published.to_published(), reports, paths=order, campaign=name)


def _keep(root: Path, folder: Path, paths: list[str] | None) -> None:
    """Keep the results of the configurations reported on, and say what they take."""
    from heterodft.analysis.keeping import keep_results

    kept = keep_results(root, folder, paths=paths)
    click.echo(
        f"Kept {kept.calculations} calculations, {kept.finished} of them finished, in {folder / root.name}: "
        f"{kept.bytes / 1e6:.2f} MB",
        err=True,
    )


def _print(name: str, reports: list[ConfigurationReport], output: Path) -> None:
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
    _print_list(
        "Before quoting a number", list(dict.fromkeys(caveat for report in reports for caveat in report.caveats))
    )
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
    """Print the layers of the first configurations that have some, and say where those of the others are."""
    told = [report for report in reports if report.layers]
    shown = [] if is_quiet() else told[:_MOST_TABLES]
    for report in shown:
        _print_layers(report)
    if len(told) > len(shown):
        rest = len(told) - len(shown)
        more = (
            f"{rest} more configuration{'s' * (rest != 1)}" if shown else f"{rest} configuration{'s' * (rest != 1)}"
        )
        click.echo(f"Layers of {more}: {output / 'layers.csv'}, and on the page")


def _gap(report: ConfigurationReport) -> str:
    return report.gap_text + (f" ({report.path_gap_text} on the path)" if report.path_gap_text else "")


def _print_energies(reports: list[ConfigurationReport]) -> None:
    """Print the ranked energies of structures with several orders."""
    from heterodft.analysis.report import compared

    table = compared(reports)
    if table is None:
        return
    print_table(
        "Energies of the orders, by the state reached",
        ["structure and U", "order", "reached", ">meV/f.u.", ">meV/magnetic ion", "from", "not compared because"],
        [
            [
                row.family, row.name, row.state, _number(row.per_formula_unit, 1), _number(row.per_magnetic_ion, 1),
                row.reference, row.reason,
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
