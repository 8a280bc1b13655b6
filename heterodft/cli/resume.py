"""``heterodft resume``: let paused calculations run again."""

from __future__ import annotations

import click

from heterodft.cli import candidates
from heterodft.cli.common import name_in_queue
from heterodft.words import number_of

__all__ = ["command"]


@click.command("resume")
@click.argument("paths", nargs=-1, shell_complete=candidates.paths)
def command(paths: tuple[str, ...]) -> None:
    """Let the paused calculations below PATHS, or of the whole queue, run again.

    A path is a campaign or its file, a part of one such as demo/sl, a folder below that of the runs, or an id.

    Example: heterodft resume demo
    """
    from heterodft.workflows.queue.control import resume
    from heterodft.workflows.queue.selection import select
    from heterodft.workflows.queue.summary import read_queue
    from heterodft.workflows.settings_file import load_settings

    settings = load_settings()
    entries = read_queue(settings)
    chosen = select(entries, [name_in_queue(path, settings) for path in paths]) if paths else entries
    done = resume(settings, [entry.identity for entry in chosen if entry.state == "paused"])
    remedy = "; run them with: heterodft run" if done else ""
    click.echo(f"{number_of(len(done), 'calculation')} may run again{remedy}")
