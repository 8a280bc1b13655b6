"""``heterodft submit``: calculations into the queue, each once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from heterodft.cli.common import (
    campaign_file,
    check_inputs,
    echo_json,
    json_option,
    read_campaign,
    request_chains,
    settings_for,
    tell,
)
from heterodft.cli.progress import quiet_option
from heterodft.words import number_of

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["command"]

_SHOWN = 5
_WORDS = {
    "queued": "queued",
    "waiting": "in the queue already",
    "done": "finished already",
    "failed": "failed earlier (heterodft retry puts them back)",
    "shared": "shared with another calculation of the same content",
    "replaced": "older ones with other settings moved aside",
}


@click.command("submit")
@campaign_file
@quiet_option
@json_option
def command(file: Path, as_json: bool) -> None:
    """Put the calculations of the campaign FILE into the queue; the same one is never queued twice.

    Example: heterodft submit campaign.yaml
    """
    campaign = read_campaign(file)
    settings = settings_for(campaign)
    chains = request_chains(campaign, settings)
    notes = check_inputs(campaign, [request for chain in chains for request in chain], settings)
    if campaign.code == "vasp":
        tell(notes)
    from heterodft.workflows.queue.submission import submit
    from heterodft.workflows.settings_file import absolute_command

    report = submit(chains, settings, command=absolute_command(campaign.run.command))
    if as_json:
        echo_json(vars(report))
        return
    counts = [f"{len(getattr(report, key))} {words}" for key, words in _WORDS.items() if getattr(report, key)]
    click.echo(f"{campaign.name}: {', '.join(counts)}")
    if report.queued:
        click.echo(f"Run them with: heterodft {'launch' if settings.batch else 'run'}")
    tell(report.notes)
    if report.orphaned:
        click.echo(_orphans(report.orphaned, file), err=True)


def _orphans(paths: list[str], file: Path) -> str:
    """Say which calculations are left over, and how to take them out."""
    named = ", ".join(paths[:_SHOWN]) + f" and {len(paths) - _SHOWN} more" * (len(paths) > _SHOWN)
    are = "is" if len(paths) == 1 else "are"
    return (
        f"note: {number_of(len(paths), 'calculation')} {are} in the queue or finished, but no longer asked for "
        f"by {file}: {named}; cancel those in the queue with: heterodft cancel --orphaned {file}"
    )
