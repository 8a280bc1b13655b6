"""``heterodft cancel``: stop calculations; nothing on disk is deleted."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from heterodft.cli import candidates
from heterodft.cli.common import name_in_queue
from heterodft.words import number_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heterodft.workflows.queue.summary import QueueEntry

__all__ = ["command"]

_LEFT = ("running", "ready", "waiting", "blocked", "paused")
_SHOWN = 10


@click.command("cancel")
@click.argument("paths", nargs=-1, shell_complete=candidates.paths)
@click.option(
    "--campaign",
    metavar="NAME",
    shell_complete=candidates.campaigns,
    help="Everything of one campaign that is not finished.",
)
@click.option(
    "--orphaned",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="What this campaign file no longer asks for.",
)
@click.option("--yes", is_flag=True, help="Do not ask, as where there is no terminal.")
def command(paths: tuple[str, ...], campaign: str | None, orphaned: Path | None, yes: bool) -> None:
    """Cancel the calculations below PATHS (demo/sl, folders, ids, a campaign's file) and what starts from them.

    A running one's program is ended after writing its checkpoint; nothing on disk is deleted, and
    heterodft retry --cancelled puts all of it back.

    Example: heterodft cancel demo/sl/FM
    """
    from heterodft.workflows.queue.control import cancel
    from heterodft.workflows.queue.selection import select
    from heterodft.workflows.queue.summary import read_queue
    from heterodft.workflows.settings_file import load_settings

    if (bool(paths), bool(campaign), bool(orphaned)).count(True) != 1:
        raise click.UsageError("give one of PATHS, --campaign NAME and --orphaned FILE")
    settings = load_settings()
    entries = read_queue(settings)
    if orphaned is not None:
        chosen = _orphaned(entries, orphaned)
    else:
        words = [name_in_queue(path, settings) for path in paths] or [str(campaign)]
        chosen = select(entries, words, what="campaign" if campaign else "calculation")
    chosen = [entry for entry in chosen if entry.state in _LEFT]
    if not chosen:
        click.echo("Nothing to cancel: none of these is waiting, ready or running.")
        return
    if not _is_meant(chosen, yes=yes):
        click.echo("Nothing was cancelled.")
        return
    done = cancel(settings, [entry.identity for entry in chosen])
    for path in done.running:
        click.echo(f"{path} is being ended by its worker", err=True)
    for path in done.reserved:
        click.echo(f"{path} was given to a batch job, which leaves it out, or ends it if it has begun", err=True)
    jobs = f", with the batch jobs {', '.join(done.jobs)}" if done.jobs else ""
    count = len(done.waiting) + len(done.running) + len(done.reserved)
    click.echo(
        f"{number_of(count, 'calculation')} cancelled, {len(done.running)} of them running{jobs}; "
        "put them back with: heterodft retry --cancelled"
    )


def _orphaned(entries: Sequence[QueueEntry], file: Path) -> list[QueueEntry]:
    """Return what the queue holds of a campaign and its file no longer asks for."""
    from heterodft.cli.common import read_campaign, request_chains, settings_for

    campaign = read_campaign(file)
    asked = {request.id for chain in request_chains(campaign, settings_for(campaign)) for request in chain}
    return [entry for entry in entries if entry.campaign == campaign.name and entry.identity not in asked]


def _is_meant(chosen: Sequence[QueueEntry], *, yes: bool) -> bool:
    """Ask where more than one calculation is meant; refuse where there is no terminal to ask on."""
    if yes or len(chosen) == 1:
        return True
    if not sys.stdin.isatty():
        raise click.UsageError(
            f"{len(chosen)} calculations would be cancelled and there is no terminal to ask on; add --yes"
        )
    for entry in chosen[:_SHOWN]:
        click.echo(f"  {entry.path}  {entry.state}", err=True)
    if len(chosen) > _SHOWN:
        click.echo(f"  … and {len(chosen) - _SHOWN} more", err=True)
    return click.confirm(f"Cancel these {len(chosen)} calculations?", err=True)
