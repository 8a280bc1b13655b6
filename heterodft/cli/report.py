"""``heterodft report``: tables, figures and one HTML page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from heterodft.cli.common import echo_json, json_option, read_campaign, request_chains, settings_for
from heterodft.cli.progress import quiet_option, working
from heterodft.errors import ReaderError
from heterodft.words import number_of

if TYPE_CHECKING:
    from heterodft.analysis.published.comparison import PublishedTable
    from heterodft.analysis.report import ConfigurationReport
    from heterodft.cli.report_text import Answers
    from heterodft.workflows.published_spec import PublishedSpec

__all__ = ["command"]


@click.command("report")
@click.argument("source", metavar="FILE", type=click.Path(path_type=Path))
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
    help="The order whose energy is zero, if reached; FM where nothing is said.",
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
    reference: str | None,
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
    from heterodft.cli.analyze import read_parameters
    from heterodft.cli.report_text import print_answers

    told = _collect(
        source, runs, reference=reference, stoner=read_parameters(parameters), output=output, most=figures
    )
    if as_json:
        echo_json(told.to_dict())
    else:
        print_answers(told, output)
    if keep is not None:
        _keep(told.root, keep, told.asked)
    if any(step.state == "failed" for step in told.unfinished):
        sys.exit(3)


def _collect(
    source: Path,
    runs: Path | None,
    *,
    output: Path,
    most: int | None,
    reference: str | None,
    stoner: dict[str, float],
) -> Answers:
    """Read the folders and write the page."""
    from heterodft.analysis.report import collect, write_report
    from heterodft.analysis.report.html import MOST_DRAWN
    from heterodft.cli.report_drivers import driver_findings, pseudopotential_families
    from heterodft.cli.report_text import Answers
    from heterodft.templates.families import suggested_cutoffs

    root, order, expected, published = _asked(source, runs)
    with working("report:") as tell_step:
        tell_step("reading the folders")
        drivers = driver_findings(root)
        reports = []
        if root.is_dir() or not drivers:
            reports = collect(
                root,
                order,
                expected=expected,
                reference=reference or "FM",
                stoner=stoner,
                suggested=suggested_cutoffs(),
            )
            _check_reference(reference, reports)
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
            most_drawn=MOST_DRAWN if most is None else most,
            progress=lambda count, total: tell_step(f"drawing {count} of {total}"),
        )
    return Answers(root, order, reports, drivers, table, missing, page)


def _check_reference(reference: str | None, reports: list[ConfigurationReport]) -> None:
    """Refuse an order that no configuration was asked for or reached."""
    from heterodft.errors import did_you_mean

    known = list(dict.fromkeys(name for one in reports for name in (one.path.split("/")[-2], one.order) if name))
    if reference is not None and known and reference not in known:
        raise click.BadParameter(
            f"no configuration is {reference}{did_you_mean(reference, known)} (known: {', '.join(known)})",
            param_hint="--reference",
        )


def _asked(
    source: Path, runs: Path | None
) -> tuple[Path, list[str] | None, dict[str, str] | None, PublishedSpec | None]:
    """Return the folder of a campaign's runs, its configurations, their identities and what was published."""
    from heterodft.workflows.campaign_results import asked_for

    if source.is_dir():
        return source.resolve(), None, None, None
    if not source.exists() and source.suffix not in (".yaml", ".yml"):
        raise ReaderError(f"{source} does not exist; give a campaign file or the folder of its runs")
    campaign = read_campaign(source)
    settings = settings_for(campaign)
    root = (settings.runs if runs is None else runs.resolve()) / campaign.name
    order, expected = asked_for(campaign, lambda: request_chains(campaign, settings))
    return root, order, expected, campaign.published


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
        f"Kept {number_of(kept.calculations, 'calculation')}, {kept.finished} of them finished, "
        f"in {folder / root.name}: {kept.bytes / 1e6:.2f} MB",
        err=True,
    )
