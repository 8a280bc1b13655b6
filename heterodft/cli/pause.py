"""``heterodft pause``: start no more of these calculations for now."""

from __future__ import annotations

import click

from heterodft.cli import candidates
from heterodft.cli.common import name_in_queue
from heterodft.words import number_of

__all__ = ["command"]


@click.command("pause")
@click.argument("paths", nargs=-1, shell_complete=candidates.paths)
def command(paths: tuple[str, ...]) -> None:
    """Start no more calculations below PATHS, or of the whole queue; what runs goes on.

    A path is a campaign or its file, a part of one such as demo/sl, a folder below that of the runs, or an id.

    Example: heterodft pause demo
    """
    from heterodft.workflows.queue.control import pause
    from heterodft.workflows.queue.selection import select
    from heterodft.workflows.queue.summary import read_queue
    from heterodft.workflows.settings_file import load_settings

    settings = load_settings()
    entries = read_queue(settings)
    chosen = select(entries, [name_in_queue(path, settings) for path in paths]) if paths else entries
    done = pause(settings, [e.identity for e in chosen if e.state in ("waiting", "ready", "blocked")])
    running = sum(entry.state == "running" for entry in chosen)
    one = running == 1
    rest = f"; {running} that run{'s' * one} go{'es' * one} on to the end" if running else ""
    click.echo(
        f"{number_of(len(done), 'calculation')} paused{rest}" + ("; go on with: heterodft resume" if done else "")
    )
