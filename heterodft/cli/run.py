"""``heterodft run``: local workers until nothing is left, with progress."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TYPE_CHECKING

import click

from heterodft.cli.common import console
from heterodft.words import number_of

if TYPE_CHECKING:
    from rich.console import RenderableType

    from heterodft.workflows.calculation import Request
    from heterodft.workflows.queue.pool import WorkerPool
    from heterodft.workflows.queue.summary import QueueEntry
    from heterodft.workflows.settings import Settings

__all__ = ["command", "work_off"]

_LOOK_SECONDS = 0.5
_LINE_SECONDS = 15.0
_BAR = 50
"""Characters of the bar where there is room."""
_NO_SPACE = 10_000_000


@click.command("run")
@click.option(
    "-j", "--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Calculations at a time."
)
@click.option("--cores", type=click.IntRange(min=1), help="Cores to share among them; by default all.")
@click.option("-q", "--quiet", is_flag=True, help="No progress, only the summary.")
@click.argument("file", required=False, metavar="")
def command(jobs: int, cores: int | None, quiet: bool, file: str | None) -> None:
    """Run everything in the queue on this machine, until nothing is left.

    Stop with Ctrl-C: what runs goes back into the queue.

    Example: heterodft run -j 2
    """
    from heterodft.workflows.settings_file import load_settings

    if file is not None:
        raise click.UsageError(
            f"run takes no file: it runs all that is queued; queue '{file}' first with: heterodft submit {file}"
        )
    code = work_off(load_settings(cores=cores), jobs, quiet=quiet)
    if code is None:
        click.echo("The queue is empty; submit a campaign with: heterodft submit FILE")
    elif code:
        sys.exit(code)


def work_off(settings: Settings, jobs: int, *, quiet: bool = False, err: bool = False) -> int | None:
    """Run what is in the queue and tell how it ended; return the exit code, None where nothing was there.

    What is told goes to stderr with `err`, where the result is something else.
    """
    from heterodft.workflows.queue.pool import recover, running_workers
    from heterodft.workflows.queue.summary import read_queue

    entries = read_queue(settings)
    if not entries:
        return None
    _check_programs(entries, settings)
    recovered = recover(settings)
    if recovered:
        click.echo(f"Put back into the queue, since their worker is gone: {', '.join(recovered)}", err=True)
    before = read_queue(settings)
    elsewhere = [entry.path for entry in before if entry.state == "running"]
    if elsewhere:
        click.echo(f"Running elsewhere already, and waited for: {', '.join(elsewhere)}", err=True)
    if not any(entry.state in ("ready", "running") for entry in before):
        return _finish(before, ran=0, seconds=0.0, err=err)
    started = time.monotonic()
    with running_workers(settings, jobs) as pool:
        (_watch_quietly if quiet else _watch_live if sys.stderr.isatty() else _watch_lines)(pool, settings)
        codes = pool.exit_codes()
    if any(codes):
        full = shutil.disk_usage(settings.runs).free < _NO_SPACE
        reasons = [f"a worker ended early; the disk of {settings.runs} is full"] if full else pool.reasons()
        click.echo(f"heterodft: {'; '.join(reasons)}", err=True)
        recover(settings)
    after = read_queue(settings)
    own = pool.ended()
    ran = sum(entry.state in ("done", "failed") and entry.identity in own for entry in after)
    return _finish(after, ran=ran, seconds=time.monotonic() - started, err=err)


def _check_programs(entries: list[QueueEntry], settings: Settings) -> None:
    """Tell now which program is missing for what is left in the queue; a campaign has one code."""
    from heterodft.errors import CalculationError, ProgramNotFoundError, SettingsError
    from heterodft.templates.espresso import PROGRAMS, program_version
    from heterodft.workflows.run_vasp import vasp_command

    codes = set()
    for entry in {e.campaign: e for e in entries if e.state in ("ready", "running", "waiting")}.values():
        try:
            request = _request_of(entry)
        except CalculationError:  # told when it runs
            continue
        codes.add(request.code)
        if request.code == "vasp":
            try:
                vasp_command(request, settings)
            except (SettingsError, ProgramNotFoundError) as error:
                remedy = f"or leave {entry.campaign} out: heterodft pause {entry.campaign}"
                raise type(error)(f"{error}; {remedy}") from error
    if codes <= {"vasp"}:
        return
    for program in PROGRAMS:
        settings.command_for(program, settings.cores)
    program_version(settings.program("pw.x"))


def _request_of(entry: QueueEntry) -> Request:
    """Return the request of an entry; of a driver, one of those that it may ask for."""
    from heterodft.workflows.calculation import read_request
    from heterodft.workflows.drivers.decisions import DRIVER_FILE
    from heterodft.workflows.drivers.driver import read_driver

    if (entry.folder / DRIVER_FILE).is_file():
        return read_driver(entry.folder).points[0].chains[0][0]
    return read_request(entry.folder)


def _finish(entries: list[QueueEntry], *, ran: int, seconds: float, err: bool) -> int:
    """Print what became of the queue; return the exit code, 3 with failed calculations."""
    from heterodft.workflows.queue.summary import another_state, count_states, failure_reason

    counts = ", ".join(f"{count} {state}" for state, count in count_states(entries).items())
    what = number_of(ran, "calculation")
    click.echo(f"Ran {what} in {_clock(seconds)}. In the queue: {counts}.", err=err)
    if any(entry.state == "paused" for entry in entries):
        click.echo("Paused ones are not run; let them with: heterodft resume", err=err)
    others = len({entry.configuration for entry in entries if another_state(entry)})
    if others:
        click.echo(
            f"{number_of(others, 'configuration')} ended in another state than asked for; see: heterodft status",
            err=err,
        )
    failed = [entry for entry in entries if entry.state == "failed"]
    for entry in failed:
        click.echo(f"heterodft: {entry.path} failed: {failure_reason(entry.folder)}", err=True)
    if failed:
        return 3
    if any(entry.state == "ready" for entry in entries):
        click.echo(
            "heterodft: calculations are left in the queue; see the logs in runs/workers, then run again", err=True
        )
        return 1
    return 0


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{seconds:.0f} s"


def _read_again(settings: Settings, before: list[QueueEntry]) -> list[QueueEntry]:
    """Return what is in the queue; what was there before as long as it cannot be read."""
    from heterodft.errors import QueueError
    from heterodft.workflows.queue.summary import read_queue

    try:
        return read_queue(settings) or before
    except QueueError:
        return before


def _watch_quietly(pool: WorkerPool, _settings: Settings) -> None:
    while pool.alive():
        time.sleep(_LOOK_SECONDS)


def _watch_lines(pool: WorkerPool, settings: Settings) -> None:
    """Plain lines: each start and end, and where the running ones are, at most four times a minute."""
    from heterodft.workflows.progress import describe_running
    from heterodft.workflows.queue.summary import read_queue

    entries = read_queue(settings)
    states = {entry.identity: entry.state for entry in entries}
    since: dict[str, float] = {}
    told: dict[str, str] = {}
    next_line = time.monotonic() + _LINE_SECONDS
    last_look = False
    while not last_look:
        last_look = not pool.alive()
        entries = _read_again(settings, entries)
        count = f"[{sum(e.state == 'done' for e in entries)}/{len(entries)}]"
        for entry in entries:
            if entry.state == states.get(entry.identity):
                continue
            states[entry.identity] = entry.state
            start = since.pop(entry.identity, None)
            took = "" if start is None else f" after {_clock(time.monotonic() - start)}"
            if entry.state == "running":
                since[entry.identity] = time.monotonic()
            if entry.state in ("running", "done", "failed"):
                click.echo(f"{count} {entry.state} {entry.path}{took}", err=True)
        if time.monotonic() > next_line:
            next_line = time.monotonic() + _LINE_SECONDS
            for entry in entries:
                where = describe_running(entry.folder) if entry.state == "running" else ""
                if where and told.get(entry.identity) != where:
                    told[entry.identity] = where
                    start = since.get(entry.identity)  # None of what another process had begun
                    elapsed = "" if start is None else f", {_clock(time.monotonic() - start)}"
                    click.echo(f"{count} {entry.path}: {where}{elapsed}", err=True)
        if not last_look:
            time.sleep(_LOOK_SECONDS)


def _watch_live(pool: WorkerPool, settings: Settings) -> None:
    """A few lines that keep themselves up to date."""
    from rich.live import Live

    from heterodft.workflows.queue.summary import read_queue

    started = time.monotonic()
    since: dict[str, float] = {}
    entries = read_queue(settings)
    with Live(console=console(stderr=True), refresh_per_second=4, transient=True) as live:
        while pool.alive():
            entries = _read_again(settings, entries)
            live.update(_screen(entries, since, started, live.console.width))
            time.sleep(_LOOK_SECONDS)


def _screen(entries: list[QueueEntry], since: dict[str, float], started: float, width: int) -> RenderableType:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    from heterodft.workflows.progress import describe_running

    now = time.monotonic()
    done = sum(entry.state in ("done", "failed") for entry in entries)
    failed = sum(entry.state == "failed" for entry in entries)
    table = Table.grid(padding=(0, 2))
    for entry in entries:
        if entry.state == "running":
            elapsed = _clock(now - since.setdefault(entry.identity, now))
            table.add_row(
                Text(entry.path, style="bold", overflow="fold"), Text(describe_running(entry.folder)), Text(elapsed)
            )
        else:
            since.pop(entry.identity, None)
    text = f" {done} of {len(entries)} finished{f', {failed} failed' if failed else ''}, {_clock(now - started)}"
    bar = min(_BAR, max(width - len(text), 1))
    return Group(table, ProgressBar(total=len(entries), completed=done, width=bar), Text(text))
