"""``heterodft converge``: drivers into the queue, and what they have found."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from heterodft.cli.common import (
    campaign_file,
    check_inputs,
    echo_json,
    json_option,
    read_campaign,
    settings_for,
    tell,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from heterodft.workflows.campaign import Campaign
    from heterodft.workflows.drivers.driver import Driver, Finished
    from heterodft.workflows.settings import Settings

__all__ = ["command"]

_WHAT = ("cutoff", "kspacing", "smearing", "layers", "vacuum", "hubbard", "linear_response", "starts")
_STATE = {"queued": "put into the queue", "waiting": "in the queue already", "ended": "finished"}
_SHORT = {"starts": "its lowest state was not reached twice"}
_LOW_CUTOFF = re.compile(r"a cutoff of (\d+ Ry) is (below the .*? suggests)")


@click.command("converge")
@campaign_file
@click.option(
    "--what", "kinds", type=click.Choice(_WHAT), multiple=True,
    help="Which question; may be given again. By default all in the converge section of FILE.",
)  # fmt: skip
@click.option(
    "--run", "run_now", is_flag=True, help="Run it here and now with local workers, with all else in the queue."
)
@click.option(
    "-j", "--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Calculations at a time."
)
@click.option("--quiet", is_flag=True, help="No progress while it runs.")
@click.option("--dry-run", is_flag=True, help="Say what may be computed, and what it costs; write nothing.")
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
    """Answer questions on the campaign FILE: is it converged, how does it depend on U, which state is lowest.

    Each question takes just as many calculations as it needs. Given again, this goes on and shows what was found.

    \b
      heterodft converge campaign.yaml --what cutoff --dry-run
      heterodft converge campaign.yaml --what cutoff --run -o convergence

    What is asked may be said in FILE; what is left out has a default:

    \b
      converge:
        cutoff: {start: 40 Ry, stop: 90 Ry, step: 10 Ry,
                 quantities: {energy: 1 meV/atom, order_energy: 1 meV/f.u.}}
        kspacing: {start: 0.5, factor: 0.8, stop: 0.1}
        hubbard: {Cr-3d: {start: 0, stop: 5, step: 1}, branches: [up, down]}
        linear_response: {method: hp, elements: [Cr-3d], qmeshes: [1, 2, 3]}
        starts: {moments: [0.5, 1, 2], random: {number: 4}}

    Exit codes: 0 done or in the queue, 1 an error or not converged, 2 wrong usage, 3 with failed calculations.
    """  # noqa: D301, the backspace tells click to keep the lines
    from heterodft.workflows.drivers import build_driver

    if dry_run and (run_now or output is not None):
        raise click.UsageError(f"--dry-run writes nothing; leave out {'--run' if run_now else '--output'}")
    kinds = tuple(dict.fromkeys(kinds))
    campaign = _asked(read_campaign(file), kinds)
    settings = settings_for(campaign)
    notes: list[str] = []
    drivers = [
        build_driver(campaign, kind, pseudo_dir=settings.pseudo_dir, notes=notes)
        for kind in kinds or campaign.converge.asked
    ]
    for driver in drivers:
        requests = [request for point in driver.points for chain in point.chains for request in chain]
        notes += _fewer(check_inputs(campaign, requests, settings), driver.kind)
    tell(notes)
    if dry_run:
        _preview(drivers, settings, as_json=as_json)
        return
    states = _submit(drivers, settings, campaign)
    code = 0
    if run_now and set(states) != {"ended"}:
        from heterodft.cli.run import work_off

        code = work_off(settings, jobs, quiet=quiet or as_json, err=True) or 0
    sys.exit(max(code, _show(campaign, drivers, settings, output=output, as_json=as_json)))


def _asked(campaign: Campaign, kinds: Sequence[str]) -> Campaign:
    """Return the campaign with a section of each kind, an empty one where the file has none."""
    from heterodft.workflows.converge_spec import ConvergeSpec

    if not kinds and not campaign.converge.asked:
        raise click.UsageError(
            "the file has no converge section; say what is asked: --what cutoff, --what hubbard … "
            "(all: heterodft converge -h)"
        )
    given = {kind: getattr(campaign.converge, kind) for kind in campaign.converge.asked}
    missing: dict[str, Any] = {kind: {} for kind in kinds if kind not in given}
    if not missing:
        return campaign
    defaults = ConvergeSpec.model_validate(missing)
    wanted = defaults.model_copy(update=given)
    return campaign.with_converge(wanted)


def _fewer(notes: Iterable[str], kind: str) -> list[str]:
    """Say once that a range of cutoffs begins below the suggested one, as it should."""
    if kind != "cutoff":
        return list(notes)
    found: dict[str, list[str]] = {}
    others = []
    for note in notes:
        low = _LOW_CUTOFF.match(note)
        if low:
            found.setdefault(low[2], []).append(low[1])
        else:
            others.append(note)
    told = (
        f"cutoffs of {cutoffs[0]} to {cutoffs[-1]} are {words}"
        if len(cutoffs) > 1
        else f"a cutoff of {cutoffs[0]} is {words}"
        for words, cutoffs in found.items()
    )
    return [*told, *others]


def _preview(drivers: Sequence[Driver], settings: Settings, *, as_json: bool) -> None:
    from heterodft.cli.converge_text import print_preview
    from heterodft.workflows.cost import calibrate
    from heterodft.workflows.drivers.forecast import forecast
    from heterodft.workflows.drivers.recommendation import cost_of

    calibration = calibrate(settings)
    found: dict[str, Any] = {}
    for driver in drivers:
        points: list[dict[str, Any]] = []
        for point in driver.points:
            cost = cost_of((request for chain in point.chains for request in chain), settings, calibration)
            points.append({"label": point.label, "calculations": cost.calculations, "core_hours": cost.core_hours})
        expected = forecast(driver)
        found[driver.kind] = {
            "driver": driver.name,
            "calculations": round(expected.factor * sum(point["calculations"] for point in points)),
            "core_hours": expected.factor * sum(point["core_hours"] for point in points),
            "more": expected.more,
            "points": points,
        }
        if not as_json:
            print_preview(found[driver.kind], repeated=expected.factor != 1)
    if as_json:
        echo_json(found)


def _submit(drivers: Sequence[Driver], settings: Settings, campaign: Campaign) -> list[str]:
    from heterodft.workflows.queue.driving import submit_driver
    from heterodft.workflows.settings_file import absolute_command

    states: list[str] = []
    for driver in drivers:
        states.append(submit_driver(driver, settings, command=absolute_command(campaign.run.command)))
        click.echo(f"{driver.name}: {_STATE[states[-1]]}", err=True)
    return states


def _show(
    campaign: Campaign, drivers: Sequence[Driver], settings: Settings, *, output: Path | None, as_json: bool
) -> int:
    """Print what was found so far; write tables and figures where a folder is given; return the exit code."""
    from heterodft.cli.converge_text import print_summary, write_summary
    from heterodft.workflows.drivers import strategy_of
    from heterodft.workflows.drivers.driver import Finished

    data: dict[str, Any] = {}
    open_ones, short = [], []
    failures: dict[str, str] = {}
    for driver in drivers:
        finished = Finished(settings.runs)
        found = strategy_of(driver).summarize(driver, finished, figures=output is not None)
        costs = _costs(campaign, driver, found.data, finished, settings)
        failed = _failures(driver, finished)
        failures |= failed
        data[driver.kind] = found.data | {"driver": driver.name, "failures": failed}
        data[driver.kind] |= {"costs": costs} if costs else {}
        if output is not None:
            write_summary(found, output / driver.kind, data[driver.kind])
        if not as_json:
            print_summary(found, costs)
        if not found.data.get("ended"):
            open_ones.append(driver.name)
        elif found.data.get("converged") is False:
            short.append(f"{driver.name} ({_SHORT.get(driver.kind, 'not converged')})")
    if as_json:
        echo_json(data)
    return _tell_end(open_ones, short, failures)


def _failures(driver: Driver, finished: Finished) -> dict[str, str]:
    """Return why what failed of a driver did so, by path; its own looks at the results are under its name."""
    from heterodft.errors import ReaderError
    from heterodft.files import read_json
    from heterodft.workflows.calculation import FAILURE_FILE

    try:
        own = read_json(finished.runs / driver.name / FAILURE_FILE)
    except ReaderError:
        return dict(finished.failures)
    return {driver.name: str(own.get("reason", "it failed")), **finished.failures}


def _tell_end(open_ones: Sequence[str], short: Sequence[str], failures: dict[str, str]) -> int:
    """Say what is not as it should be, a line each; return the exit code."""
    for path, reason in failures.items():
        click.echo(f"heterodft: {path} failed: {reason.splitlines()[0] if reason else ''}", err=True)
    if open_ones:
        click.echo(
            f"Not finished yet: {', '.join(open_ones)}. Run with: heterodft run; then give this command again.",
            err=True,
        )
    if short:
        click.echo(f"heterodft: without a sure answer: {', '.join(short)}", err=True)
    return 3 if failures else 1 if short else 0


def _costs(
    campaign: Campaign, driver: Driver, data: dict[str, Any], finished: Finished, settings: Settings
) -> dict[str, Any]:
    """Return core-hours: of what was computed and what was saved, of the campaign as it is and as recommended.

    Nothing is saved by a driver that has not ended, or ended without an answer.
    """
    value = data.get("recommended")
    if "recommended_label" not in data or not data.get("converged"):
        return {}
    from heterodft.workflows.drivers.recommendation import cost_of_driver, cost_of_recommendation

    computed, saved = cost_of_driver(driver, finished, settings)
    costs = {"computed": computed.to_dict(), "saved": saved.to_dict()}
    if not isinstance(value, int | float):
        return costs
    now, then = cost_of_recommendation(campaign, driver.kind, value, settings, material=data.get("material"))
    return costs | {"campaign": now.to_dict(), "recommended": then.to_dict()}
