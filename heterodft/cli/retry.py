"""``heterodft retry``: failed calculations back into the queue."""

from __future__ import annotations

import click

__all__ = ["command"]


@click.command("retry")
@click.argument("paths", nargs=-1)
@click.option("--all-failed", is_flag=True, help="Every failed calculation.")
def command(paths: tuple[str, ...], all_failed: bool) -> None:
    """Put failed calculations back into the queue, by their PATHS or ids as status shows them.

    Example: heterodft retry --all-failed
    """
    from heterodft.errors import QueueError, did_you_mean
    from heterodft.workflows.queue.reconciliation import retry
    from heterodft.workflows.queue.summary import read_queue
    from heterodft.workflows.settings_file import load_settings

    if bool(paths) == all_failed:
        raise click.UsageError("give paths of failed calculations, or --all-failed")
    settings = load_settings()
    failed = {entry.path: entry.identity for entry in read_queue(settings) if entry.state == "failed"}
    for path in paths:
        if path not in failed and path not in failed.values():
            raise QueueError(f"{path} is not a failed calculation{did_you_mean(path, failed)}")
    chosen = [i for p, i in failed.items() if all_failed or p in paths or i in paths]
    requeued = retry(settings, chosen)
    click.echo(
        f"{len(requeued)} calculations back in the queue" + ("; run them with: heterodft run" if requeued else "")
    )
