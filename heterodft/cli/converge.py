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
    from heterodft.workflows.drivers.driver import Driver, Finished, Summary
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
    """Return the campaign with a section of each kind, an empty one where the file has none."""
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
            number = sum(row[1] for row in rows)
            click.echo(
                f"{driver.name}: {number} calculations known beforehand, about {total:.3g} core-hours at the most"
            )
            cells = [[label, str(count), f"{hours:.3g}"] for label, count, hours in rows]
            print_table("", ["point", ">calculations", ">core-hours"], cells)
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
        finished = Finished(settings.runs)
        found = strategy_of(driver).summarize(driver, finished, figures=output is not None)
        costs = _costs(campaign, driver, found, finished, settings)
        data[driver.kind] = found.data | ({"costs": costs} if costs else {})
        if output is not None:
            _write(found, output / driver.kind)
        if not as_json:
            _print(found, _cost_words(costs))
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


def _costs(
    campaign: Campaign, driver: Driver, found: Summary, finished: Finished, settings: Settings
) -> dict[str, Any]:
    """Return core-hours: of what was computed and what was saved, of the campaign as it is and as recommended."""
    value = found.data.get("recommended")
    if "recommended_label" not in found.data:
        return {}
    from heterodft.workflows.drivers.recommendation import cost_of_driver, cost_of_recommendation

    computed, saved = cost_of_driver(driver, finished, settings)
    costs = {"computed": computed.to_dict(), "saved": saved.to_dict()}
    if not isinstance(value, int | float):
        return costs
    now, then = cost_of_recommendation(campaign, driver.kind, value, settings, material=found.data.get("material"))
    return costs | {"campaign": now.to_dict(), "recommended": then.to_dict()}


def _cost_words(costs: dict[str, Any]) -> list[str]:
    if not costs:
        return []
    words = []
    if costs["saved"]["calculations"]:
        done, saved = costs["computed"]["core_hours"], costs["saved"]["core_hours"]
        words.append(
            f"Saved by stopping early: {costs['saved']['calculations']} calculations, an estimated {saved:.3g} "
            f"core-hours ({done:.3g} for those computed)."
        )
    if "recommended" in costs:
        now, then = costs["campaign"], costs["recommended"]
        words.append(
            f"The campaign with it: an estimated {then['core_hours']:.3g} core-hours and up to "
            f"{then['memory']:.1f} GB (as it is: {now['core_hours']:.3g} core-hours, {now['memory']:.1f} GB)."
        )
    return words


def _print(found: Summary, costs: Sequence[str]) -> None:
    click.echo(found.title)
    for frame in found.tables.values():
        columns = [f">{name}" if frame[name].dtype.kind in "if" else str(name) for name in frame.columns]
        print_table("", columns, [[_cell(value) for value in row] for row in frame.itertuples(index=False)])
    for words in (*found.words, *costs):
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
