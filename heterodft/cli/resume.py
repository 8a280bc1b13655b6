"""``heterodft resume``: let paused calculations run again."""

from __future__ import annotations

import click

from heterodft.cli import candidates

__all__ = ["command"]


@click.command("resume")
@click.argument("paths", nargs=-1, shell_complete=candidates.paths)
def command(paths: tuple[str, ...]) -> None:
    """Let the paused calculations below PATHS (campaigns, demo/sl, ids), or of the whole queue, run again.

    Example: heterodft resume demo
    """
    from heterodft.workflows.queue.control import resume
    from heterodft.workflows.queue.selection import select
    from heterodft.workflows.queue.summary import read_queue
    from heterodft.workflows.settings_file import load_settings

    settings = load_settings()
    entries = read_queue(settings)
    chosen = select(entries, paths) if paths else entries
    done = resume(settings, [entry.identity for entry in chosen if entry.state == "paused"])
    click.echo(f"{len(done)} calculations may run again" + ("; run them with: heterodft run" if done else ""))
