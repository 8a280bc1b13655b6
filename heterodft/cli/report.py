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

if TYPE_CHECKING:
    from heterodft.analysis.report import ConfigurationReport
    from heterodft.workflows.campaign import Campaign
    from heterodft.workflows.settings import Settings

__all__ = ["command"]

_MOST_NOTES = 20


@click.command("report")
@click.argument("source", metavar="FILE", type=click.Path(path_type=Path, exists=True))
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("report"), show_default=True)
@json_option
def command(source: Path, output: Path, as_json: bool) -> None:
    """Report on the campaign FILE, or on the folder of its runs; the folders alone are read, not the queue.

    Example: heterodft report campaign.yaml -o report
    """
    from heterodft.analysis.report import collect, write_report

    if source.is_dir():
        root, order, expected = source.resolve(), None, None
    else:
        campaign = read_campaign(source)
        settings = settings_for(campaign)
        root = settings.runs / campaign.name
        order, expected = _expected(campaign, settings)
    reports = collect(root, order, expected=expected)
    page = write_report(root.name, reports, output)
    missing = [path for path in order or [] if path not in {report.path for report in reports}]
    unfinished = [step for report in reports for step in report.steps if step.state != "done"]
    if as_json:
        echo_json({"configurations": [r.to_dict() for r in reports], "missing": missing, "page": str(page)})
    else:
        _print(root.name, reports)
        for path in missing:
            click.echo(f"Not submitted: {path}")
        for step in unfinished:
            click.echo(f"{step.folder}: {step.state}{f', {step.reason}' if step.reason else ''}")
        click.echo(f"Report: {page.resolve()}")
    if any(step.state == "failed" for step in unfinished):
        sys.exit(3)


def _expected(campaign: Campaign, settings: Settings) -> tuple[list[str], dict[str, str] | None]:
    """Return the configurations of a campaign and the identities of its calculations.

    Without the pseudopotentials, whose checksums are part of them, the identities are not known and not compared.
    """
    from heterodft.errors import CampaignError, PseudopotentialError
    from heterodft.workflows.configurations import expand

    try:
        chains = request_chains(campaign, settings)
    except CampaignError as error:
        if not isinstance(error.__cause__, PseudopotentialError):
            raise
        names = [f"{campaign.name}/{c.built.name}/{c.order}/{c.hubbard_label}" for c in expand(campaign)]
        return list(dict.fromkeys(names)), None
    identities = {request.path: request.id for chain in chains for request in chain}
    return [chain[0].path.rpartition("/")[0] for chain in chains], identities


def _print(name: str, reports: list[ConfigurationReport]) -> None:
    for report in reports:
        _print_layers(report)
    print_table(
        f"{name}: energy E, total and absolute moment M and |M| of the cell; ΔE to the lowest comparable",
        [*["structure", "what", "order", "U"], ">E (eV)", ">ΔE (eV)", ">M (μB)", ">|M| (μB)", "gap", "state"],
        [
            [
                r.name, r.label, r.order, r.hubbard, _number(r.energy, 4), _number(r.relative_energy, 3),
                _number(r.moment, 2), _number(r.absolute_moment, 2), r.gap_text, r.state,
            ]
            for r in reports
        ],
    )  # fmt: skip
    caveats = list(dict.fromkeys(caveat for report in reports for caveat in report.caveats))
    if caveats:
        click.echo("Before quoting a number:")
        for caveat in caveats:
            click.echo(f"  - {caveat}")
    notes = [f"{r.name} {r.order} {r.hubbard} {note}" for r in reports for note in r.corrections]
    if notes:
        click.echo("Told while running:")
        for note in notes[:_MOST_NOTES]:
            click.echo(f"  - {note}")
        if len(notes) > _MOST_NOTES:
            click.echo(f"  … and {len(notes) - _MOST_NOTES} more, in the report")


def _print_layers(report: ConfigurationReport) -> None:
    if not report.layers or report.layer_dos is None:
        return
    reference, kind = report.layer_dos.reference_name, report.layers[0].kind
    print_table(
        f"{report.name} {report.label}, {report.order}, {report.hubbard}: {report.gap_text}; "
        f"electrons from 2 eV below the {reference}" + (f"; moment and charge: {kind}" if kind else ""),
        ["layer", ">plane", "formula", ">moment (μB)", ">charge (e)", ">electrons up", ">electrons down", ">sum"],
        [
            [
                row.layer, row.plane, row.formula, _number(row.moment, 3), _number(row.charge, 3),
                f"{row.electrons_up:.3f}", f"{row.electrons_down:.3f}",
                f"{row.electrons_up + row.electrons_down:.3f}",
            ]
            for row in reversed(report.layers)
        ],
    )  # fmt: skip


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{round(value, digits) + 0.0:.{digits}f}"
