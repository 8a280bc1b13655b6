"""``heterodft status``: what is waiting, running, done, failed and why."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from heterodft.cli import candidates
from heterodft.cli.common import console, echo_json, json_option, name_in_queue
from heterodft.cli.status_text import counts_text, progress_of, status_lines
from heterodft.workflows.queue.entries import is_look
from heterodft.workflows.queue.selection import linked_below, select
from heterodft.workflows.queue.summary import another_state, count_states, decisions, failure_reason, read_queue
from heterodft.workflows.settings_file import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heterodft.workflows.queue.running import Running
    from heterodft.workflows.queue.summary import QueueEntry
    from heterodft.workflows.settings import Settings

__all__ = ["command"]

_WATCH_SECONDS = 2.0
_TO_COME = ("waiting", "ready", "running")


@click.command("status")
@click.argument("path", required=False, shell_complete=candidates.paths_or_files)
@click.option("--all", "show_all", is_flag=True, help="Leave nothing out, however long.")
@click.option("--failed", "only_failed", is_flag=True, help="Only what failed, and why.")
@click.option(
    "--watch",
    type=click.FloatRange(min=0.1),
    is_flag=False,
    flag_value=_WATCH_SECONDS,
    metavar="[SECONDS]",
    help="Look again every so often until nothing is left to run.",
)
@json_option
def command(path: str | None, show_all: bool, only_failed: bool, watch: float | None, as_json: bool) -> None:
    """Show the calculations of the queue, or those below one PATH: a campaign or its file, demo/sl, a folder, an id.

    What a campaign shares with another one is shown under its path in that one.

    On a pipe, --watch prints a line for each change.

    Example: heterodft status demo/sl --failed
    """
    if watch is not None and as_json:
        raise click.UsageError("give --watch or --json, not both")
    settings = load_settings()
    path = None if path is None else name_in_queue(path, settings)
    if watch is not None:
        _watch(settings, path, show_all, watch)
        return
    entries = _entries(settings, path, only_failed=only_failed)
    running = _places(settings, entries)
    if as_json:
        calculations = [_data(entry, running.get(entry.identity)) for entry in entries]
        drivers = [
            {"name": name, "words": words, "ended": ended}
            for name, (words, ended) in decisions(settings, path).items()
        ]
        echo_json({"counts": count_states(entries), "calculations": calculations, "drivers": drivers})
    elif not entries:
        where = f" of {path}" if path else ""
        click.echo(f"Nothing{where} failed." if only_failed and read_queue(settings) else _nothing(path))
    else:
        told = {} if only_failed else decisions(settings, path)
        lines = [f"{name}: {words}{_cancelled(name, entries)}" for name, (words, _) in told.items()]
        click.echo("\n".join([*lines, *status_lines(entries, running, show_all=show_all)]))


def _cancelled(name: str, entries: Sequence[QueueEntry]) -> str:
    """Return how a driver goes on that was cancelled; empty where it was not."""
    looks = [entry for entry in entries if is_look(entry.identity) and entry.campaign == name]
    gone = any(entry.state == "cancelled" for entry in looks)
    return " (cancelled; heterodft converge with its file goes on)" if gone else ""


def _nothing(path: str | None) -> str:
    return f"The queue holds no calculation{f' of {path}' if path else ''}; submit one with: heterodft submit FILE"


def _entries(settings: Settings, path: str | None, *, only_failed: bool = False) -> list[QueueEntry]:
    entries = read_queue(settings)
    if path is not None and entries:
        linked = linked_below(settings.runs, path)
        shared = [entry for entry in entries if entry.folder in linked]
        own = select(entries, [path]) if not shared or _has_own(entries, path) else []
        entries = own + [entry for entry in shared if entry not in own]
    return [entry for entry in entries if entry.state == "failed"] if only_failed else entries


def _has_own(entries: Sequence[QueueEntry], path: str) -> bool:
    return any(f"{entry.path}/".startswith(f"{path.rstrip('/')}/") for entry in entries)


def _places(settings: Settings, entries: Sequence[QueueEntry]) -> dict[str, Running]:
    if not any(entry.state == "running" for entry in entries):
        return {}
    from heterodft.workflows.queue.running import read_running

    return read_running(settings)


def _data(entry: QueueEntry, place: Running | None) -> dict[str, Any]:
    names = dict(zip(("campaign", "structure", "order", "hubbard", "step"), entry.path.split("/"), strict=False))
    running = entry.state == "running"
    return {
        "id": entry.identity,
        "path": entry.path,
        "state": entry.state,
        "folder": str(entry.folder),
        "state_reached": another_state(entry) or None,
        "reason": failure_reason(entry.folder) if entry.state == "failed" else None,
        **names,
        "blocked_by": entry.blocked_by,
        "progress": progress_of(entry, place) or None if running else None,
        "worker": place.worker or None if running and place else None,
        "host": place.host or None if running and place else None,
        "job": place.job if running and place else None,
        "since": place.since.isoformat() if running and place and place.since else None,
    }


def _watch(settings: Settings, path: str | None, show_all: bool, seconds: float) -> None:
    """Show the queue again and again; the end is that nothing is left to run, or Ctrl-C."""
    entries = _entries(settings, path)
    if not entries:
        click.echo(_nothing(path))
        return
    try:
        if sys.stdout.isatty():
            entries = _watch_live(settings, path, show_all, seconds)
            click.echo("\n".join(status_lines(entries, _places(settings, entries), show_all=show_all)))
        else:
            _watch_lines(settings, path, seconds)
    except KeyboardInterrupt:
        return


def _is_over(entries: Sequence[QueueEntry]) -> bool:
    return not any(entry.state in _TO_COME for entry in entries)


def _watch_live(settings: Settings, path: str | None, show_all: bool, seconds: float) -> list[QueueEntry]:
    from rich.live import Live
    from rich.text import Text

    screen = console()
    with Live(console=screen, refresh_per_second=4, transient=True) as live:
        while True:
            entries = _entries(settings, path)
            *lines, counts = status_lines(entries, _places(settings, entries), show_all=show_all)
            shown = [counts, "", *lines][: max(screen.height - 1, 1)]  # what does not fit would push the counts out
            live.update(Text.from_ansi("\n".join(shown)))
            if _is_over(entries):
                return entries
            time.sleep(seconds)


def _watch_lines(settings: Settings, path: str | None, seconds: float) -> None:
    states: dict[str, str] = {}
    while True:
        entries = _entries(settings, path)
        changed = [entry for entry in entries if states.get(entry.identity, entry.state) != entry.state]
        for entry in changed:
            reason = f": {failure_reason(entry.folder)}" if entry.state == "failed" else ""
            click.echo(f"{time.strftime('%H:%M:%S')} {entry.state} {entry.path}{reason}")
        if changed or not states:
            click.echo(f"{time.strftime('%H:%M:%S')} {counts_text(entries)}")
        states = {entry.identity: entry.state for entry in entries}
        sys.stdout.flush()
        if _is_over(entries):
            return
        time.sleep(seconds)
