"""``heterodft launch``: batch jobs for what is in the queue."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from heterodft.workflows.queue.batch_settings import BatchSettings
    from heterodft.workflows.queue.launching import Launch, Mode
    from heterodft.workflows.settings import Settings

__all__ = ["command"]

_MOST_EARLY = 3
"""Jobs that end early, with nothing done in between, before watching gives up."""


@click.command("launch")
@click.option("-n", "--number", type=click.IntRange(min=1), help="Submit this many jobs at most.")
@click.option("-j", "--per-job", type=click.IntRange(min=1), help="Calculations at a time in one job.")
@click.option("--walltime", metavar="TIME", help="Of one job, as 4h.")
@click.option("--max-jobs", type=click.IntRange(min=1), help="Jobs that wait and run at most.")
@click.option("--reserve", "mode", flag_value="reserve", help="One job for each calculation.")
@click.option("--offline", "mode", flag_value="offline", help="For nodes that cannot reach the queue.")
@click.option("--watch", is_flag=True, help="Stay and submit further jobs until all is done.")
@click.option("--every", type=click.FloatRange(min=1), default=30.0, show_default=True, help="Seconds between looks.")
@click.option("--dry-run", is_flag=True, help="Print the script of a job; submit nothing.")
def command(  # noqa: PLR0917, click names them
    number: int | None,
    per_job: int | None,
    walltime: str | None,
    max_jobs: int | None,
    mode: Mode | None,
    watch: bool,
    every: float,
    dry_run: bool,
) -> None:
    """Run what is in the queue in jobs of a batch system: Slurm, PBS, Torque, SGE or LSF.

    The jobs are described by batch: in heterodft.yaml. By default each job takes whatever is ready until nothing is
    left or its time is almost up.

    Example: heterodft launch --walltime 4h --max-jobs 10 --watch
    """
    from heterodft.workflows.queue.batch_settings import read_batch_settings
    from heterodft.workflows.queue.launching import launch, preview
    from heterodft.workflows.settings_file import load_settings

    if mode == "reserve" and per_job is not None and per_job > 1:
        raise click.UsageError("--reserve runs one calculation a job; leave out -j, or --reserve")
    if watch and number is not None:
        raise click.UsageError("-n counts the jobs of one call; with --watch give --max-jobs")
    settings = load_settings()
    batch = read_batch_settings(settings, per_job=per_job, walltime=walltime, max_jobs=max_jobs)
    if dry_run:
        click.echo(preview(settings, batch))
        return
    if mode != "offline" and settings.queue_file is not None:
        click.echo(f"note: {settings.queue_file} serves this host only; for other nodes give --offline", err=True)
    if watch:
        _watch(settings, batch, mode or "pilot", every=every)
        return
    _tell(launch(settings, batch, mode=mode or "pilot", jobs=number), batch)


def _watch(settings: Settings, batch: BatchSettings, mode: Mode, *, every: float) -> None:
    """Submit jobs as there is work, until nothing is left."""
    from heterodft.errors import QueueError
    from heterodft.workflows.queue.launching import launch
    from heterodft.workflows.queue.summary import count_states, read_queue

    early: list[str] = []
    last = None
    finished = 0
    while True:
        done = launch(settings, batch, mode=mode)
        counts = count_states(read_queue(settings))
        text = ", ".join(f"{count} {state}" for state, count in counts.items())
        progress = counts.get("done", 0) > finished
        finished = counts.get("done", 0)
        early = [] if progress else early + [reason for _, reason in done.ended if reason]
        line = (text, done.active)
        if line != last or done.submitted or done.put_back or done.ended:
            _tell(done, batch)
            click.echo(f"In the queue: {text}.", err=True)
            last = line
        if not done.active and not done.left:
            break
        if len(early) >= _MOST_EARLY:
            raise QueueError(f"{len(early)} jobs ended early with nothing done, the last one since: {early[-1]}")
        time.sleep(every)
    if counts.get("failed"):
        click.echo("heterodft: some calculations failed; heterodft status says why", err=True)
        sys.exit(3)


def _tell(done: Launch, batch: BatchSettings) -> None:
    for name, reason in done.ended:
        if reason:
            click.echo(f"heterodft: {name} ended early: {reason}", err=True)
    if done.put_back:
        click.echo(f"Put back into the queue: {', '.join(done.put_back)}", err=True)
    if done.submitted:
        click.echo(f"Submitted {', '.join(done.submitted)}")
    elif not done.left:
        click.echo("Nothing is left to run.")
    full = f", the most that max_jobs: {batch.max_jobs} allows" if done.active >= batch.max_jobs else ""
    click.echo(f"{done.active} jobs wait or run{full}.")
