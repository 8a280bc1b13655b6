"""``heterodft retry``: failed or cancelled calculations back into the queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from heterodft.cli import candidates
from heterodft.cli.common import name_in_queue
from heterodft.words import number_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heterodft.workflows.queue.summary import QueueEntry

__all__ = ["command"]


@click.command("retry")
@click.argument("paths", nargs=-1, shell_complete=candidates.paths)
@click.option("--all-failed", is_flag=True, help="Every failed calculation.")
@click.option("--cancelled", is_flag=True, help="Cancelled ones, too; without PATHS, every cancelled one.")
@click.option("--campaign", metavar="NAME", shell_complete=candidates.campaigns, help="Only those of one campaign.")
def command(paths: tuple[str, ...], all_failed: bool, cancelled: bool, campaign: str | None) -> None:
    """Put failed calculations back into the queue, by PATHS (demo/sl, folders, ids, a campaign's file).

    Each goes on from its checkpoint where it left one.

    Example: heterodft retry --all-failed --campaign demo
    """
    from heterodft.errors import QueueError
    from heterodft.workflows.queue.control import retry
    from heterodft.workflows.queue.selection import select
    from heterodft.workflows.queue.summary import read_queue
    from heterodft.workflows.settings_file import load_settings

    if bool(paths) == (all_failed or (cancelled and not paths)):
        raise click.UsageError(
            "give paths of failed calculations, or --all-failed, or --cancelled; --all-failed goes without paths"
        )
    settings = load_settings()
    entries = read_queue(settings)
    paths = tuple(name_in_queue(path, settings) for path in paths)
    wanted = ["failed"] * (all_failed or bool(paths)) + ["cancelled"] * cancelled
    chosen = select(entries, [campaign], what="campaign") if campaign else entries
    if paths:
        found = _without_success(chosen, paths, wanted)
        if found:
            raise QueueError(found)
        chosen = select(chosen, paths)
    identities = [entry.identity for entry in chosen if entry.state in wanted]
    requeued = retry(settings, identities, cancelled=cancelled)
    freed = _freed(entries, read_queue(settings)) if requeued else 0
    click.echo(
        f"{number_of(len(requeued), 'calculation')} back in the queue"
        + (f"; {freed} more {'is' if freed == 1 else 'are'} blocked no longer" if freed else "")
        + ("; run them with: heterodft run" if requeued else "")
    )


def _without_success(entries: Sequence[QueueEntry], paths: Sequence[str], wanted: Sequence[str]) -> str | None:
    """Return what to say of the first path that names nothing to put back."""
    from heterodft.errors import did_you_mean
    from heterodft.workflows.queue.selection import select
    from heterodft.workflows.queue.summary import count_states

    candidates = {entry.path for entry in entries if entry.state in wanted}
    for path in paths:
        found = select(entries, [path])
        if not any(entry.state in wanted for entry in found):
            states = ", ".join(f"{count} {state}" for state, count in count_states(found).items())
            hint = (
                "; --cancelled puts cancelled ones back" if "cancelled" in states else did_you_mean(path, candidates)
            )
            return f"{path} is not a failed calculation ({states}){hint}"
    return None


def _freed(before: Sequence[QueueEntry], after: Sequence[QueueEntry]) -> int:
    blocked = {entry.identity for entry in before if entry.state == "blocked"}
    return sum(entry.identity in blocked and entry.state != "blocked" for entry in after)
