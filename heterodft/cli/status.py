"""``heterodft status``: what is waiting, running, done, failed and why."""

from __future__ import annotations

import click

from heterodft.cli.common import echo_json, json_option
from heterodft.workflows.queue.summary import count_states, failure_reason, read_queue
from heterodft.workflows.settings_file import load_settings

__all__ = ["command"]

_SHOWN = 40


@click.command("status")
@click.argument("campaign", required=False)
@click.option("--all", "show_all", is_flag=True, help="Show every calculation, not the first 40.")
@json_option
def command(campaign: str | None, show_all: bool, as_json: bool) -> None:
    """Show the calculations of the queue, or of one CAMPAIGN (its name).

    Example: heterodft status demo
    """
    settings = load_settings()
    entries = [entry for entry in read_queue(settings) if campaign in (None, entry.campaign)]
    if as_json:
        echo_json(
            {
                "counts": count_states(entries),
                "calculations": [
                    {
                        "id": e.identity,
                        "path": e.path,
                        "state": e.state,
                        "folder": str(e.folder),
                        "reason": failure_reason(e.folder) if e.state == "failed" else None,
                    }
                    for e in entries
                ],
            }
        )
        return
    if not entries:
        where = f"campaign {campaign}" if campaign else "any campaign"
        click.echo(f"The queue holds no calculation of {where}; submit one with: heterodft submit FILE")
        return
    shown = entries if show_all else entries[:_SHOWN]
    width = max(len(entry.path) for entry in shown)
    for entry in shown:
        line = f"{entry.path:{width}}  {entry.state:9}"
        if entry.state == "failed":
            line += f"  {failure_reason(entry.folder)}"
        elif entry.state == "running":
            line += f"  {_progress(entry.folder)}"
        click.echo(line.rstrip())
    if len(shown) < len(entries):
        click.echo(f"… and {len(entries) - len(shown)} more (--all shows them)")
    counts = count_states(entries)
    click.echo(f"{len(entries)} calculations: " + ", ".join(f"{count} {state}" for state, count in counts.items()))


def _progress(folder: object) -> str:
    from pathlib import Path

    from heterodft.workflows.progress import describe_running

    return describe_running(Path(str(folder)))
