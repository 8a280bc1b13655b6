"""``heterodft converge``: drivers into the queue, and what they have found."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from heterodft.cli.common import (
    campaign_file,
    check_inputs,
    echo_json,
    json_option,
    print_table,
    read_campaign,
    settings_for,
    tell,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heterodft.workflows.campaign import Campaign
    from heterodft.workflows.drivers.driver import Driver, Summary
    from heterodft.workflows.settings import Settings

__all__ = ["command"]

_WHAT = ("cutoff", "kspacing", "smearing", "layers", "vacuum", "hubbard", "linear_response", "starts")
_STATE = {"queued": "in the queue now", "waiting": "in the queue", "ended": "finished"}


@click.command("converge")
@campaign_file
@click.option(
    "--what", "kinds", type=click.Choice(_WHAT), multiple=True,
    help="Which question; may be given again. By default all that the converge section of FILE asks.",
)  # fmt: skip
@click.option("--run", "run_now", is_flag=True, help="Run it here and now with local workers.")
@click.option(
    "-j", "--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Calculations at a time."
)
@click.option("--quiet", is_flag=True, help="No progress while it runs.")
@click.option("--dry-run", is_flag=True, help="Say what may be computed at the most; write nothing.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), help="Folder for tables (CSV) and figures."
)
@json_option
def command(  # noqa: PLR0917, click names them
    file: Path,
    kinds: tuple[str, ...],
    run_now: bool,
    jobs: int,
    quiet: bool,
    dry_run: bool,
    output: Path | None,
    as_json: bool,
) -> None:
    """Drive questions of the campaign FILE: is it converged, how does it depend on U, which state is lowest.

    Each driver computes just as many points as it takes; given again, this goes on and shows what was found.
    Example: heterodft converge campaign.yaml --what cutoff --run
    """
    from heterodft.workflows.drivers import build_driver

    campaign = _asked(read_campaign(file), kinds)
    settings = settings_for(campaign)
    notes: list[str] = []
    drivers = [
        build_driver(campaign, kind, pseudo_dir=settings.pseudo_dir, notes=notes)
        for kind in kinds or campaign.converge.asked
    ]
    tell(notes)
    for driver in drivers:
        requests = [request for point in driver.points for chain in point.chains for request in chain]
        tell(check_inputs(campaign, requests, settings))
    if dry_run:
        _preview(drivers, settings, as_json=as_json)
        return
    states = _submit(drivers, settings, campaign, told=not as_json)
    if run_now and set(states) != {"ended"}:
        from heterodft.cli.run import work_off

        work_off(settings, jobs, quiet=quiet or as_json)
    _show(campaign, drivers, settings, output=output, as_json=as_json)


def _asked(campaign: Campaign, kinds: Sequence[str]) -> Campaign:
    """Return the campaign with a section, empty where the file has none, of each kind."""
    from heterodft.workflows.converge_spec import ConvergeSpec

    if not kinds and not campaign.converge.asked:
        raise click.UsageError(
            "the file has no converge section; say what to drive: --what cutoff, kspacing, hubbard …"
        )
    given = {kind: getattr(campaign.converge, kind) for kind in campaign.converge.asked}
    missing: dict[str, Any] = {kind: {} for kind in kinds if kind not in given}
    if not missing:
        return campaign
    defaults = ConvergeSpec.model_validate(missing)
    wanted = defaults.model_copy(update=given)
    return campaign.with_converge(wanted)


def _preview(drivers: Sequence[Driver], settings: Settings, *, as_json: bool) -> None:
    from heterodft.workflows.cost import calibrate, estimate_cost

    calibration = calibrate(settings)
    found = []
    for driver in drivers:
        rows = []
        for point in driver.points:
            costs = [
                estimate_cost(request, settings, calibration=calibration)
                for chain in point.chains
                for request in chain
            ]
            rows.append((point.label, len(costs), sum(cost.core_hours for cost in costs)))
        total = sum(row[2] for row in rows)
        found.append({"driver": driver.name, "points": rows, "core_hours": total})
        if not as_json:
            print_table(
                f"{driver.name}: at the most {sum(row[1] for row in rows)} calculations known beforehand, "
                f"about {total:.3g} core-hours",
                ["point", ">calculations", ">core-hours"],
                [[label, number, f"{hours:.3g}"] for label, number, hours in rows],
            )
    if as_json:
        echo_json(found)


def _submit(drivers: Sequence[Driver], settings: Settings, campaign: Campaign, *, told: bool) -> list[str]:
    from heterodft.workflows.queue.driving import submit_driver
    from heterodft.workflows.settings_file import absolute_command

    states: list[str] = []
    for driver in drivers:
        states.append(submit_driver(driver, settings, command=absolute_command(campaign.run.command)))
        if told:
            click.echo(f"{driver.name}: {_STATE[states[-1]]}", err=True)
    return states


def _show(
    campaign: Campaign, drivers: Sequence[Driver], settings: Settings, *, output: Path | None, as_json: bool
) -> None:
    """Print what was found so far; write tables and figures where a folder is given."""
    from heterodft.workflows.drivers import strategy_of
    from heterodft.workflows.drivers.driver import Finished

    data: dict[str, Any] = {}
    open_ones, short = [], []
    for driver in drivers:
        found = strategy_of(driver).summarize(driver, Finished(settings.runs), figures=output is not None)
        costs = _cost_words(campaign, driver, found, settings)
        data[driver.kind] = found.data | ({"cost": costs} if costs else {})
        if output is not None:
            _write(found, output / driver.kind)
        if not as_json:
            _print(found, costs)
        if not found.data.get("ended"):
            open_ones.append(driver.name)
        elif found.data.get("converged") is False:
            short.append(driver.name)
    if as_json:
        echo_json(data)
    if open_ones and not as_json:
        click.echo(
            f"Not finished yet: {', '.join(open_ones)}. Run with: heterodft run, and give this again.", err=True
        )
    if short:
        click.echo(f"heterodft: not converged: {', '.join(short)}", err=True)
        sys.exit(1)


def _cost_words(campaign: Campaign, driver: Driver, found: Summary, settings: Settings) -> str:
    """Return what the campaign costs with what is recommended; empty where nothing of that kind is."""
    value = found.data.get("recommended")
    if not isinstance(value, int | float) or driver.kind in ("hubbard", "linear_response", "starts"):
        return ""
    from heterodft.workflows.drivers.recommendation import cost_of_recommendation

    words: str = cost_of_recommendation(campaign, driver.kind, value, settings).text
    return words


def _print(found: Summary, costs: str) -> None:
    click.echo(found.title)
    for frame in found.tables.values():
        columns = [f">{name}" if frame[name].dtype.kind in "if" else str(name) for name in frame.columns]
        print_table("", columns, [[_cell(value) for value in row] for row in frame.itertuples(index=False)])
    for words in filter(None, (*found.words, costs)):
        click.echo(words)


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _write(found: Summary, folder: Path) -> None:
    """Write tables and figures; a figure shows the table of its name, or else the first one."""
    from heterodft.analysis.plots import save_figure
    from heterodft.files import make_folder, write_json, write_text

    make_folder(folder)
    for name, frame in found.tables.items():
        write_text(folder / f"{name}.csv", frame.to_csv(index=False, lineterminator="\n"))
    for name, figure in found.figures.items():
        save_figure(figure, found.tables.get(name, next(iter(found.tables.values()))), folder / name)
    write_json(folder / "summary.json", {"title": found.title, "words": list(found.words), **found.data})
