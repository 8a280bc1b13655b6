"""The state of the queue in lines of text: a table by configuration and step, what runs where, why what failed."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING

import click

from heterodft.words import number_of
from heterodft.workflows.queue.summary import STATES, another_state, count_states, failure_reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from heterodft.workflows.queue.running import Running
    from heterodft.workflows.queue.summary import QueueEntry

__all__ = ["counts_text", "progress_of", "since_text", "status_lines"]

_FEW = 20
"""Calculations that are told a line each."""
_SHOWN = 40
"""Rows of each part without ``--all``."""
_SHORT = {
    "waiting": "wait",
    "ready": "ready",
    "running": "RUN",
    "done": "done",
    "failed": "FAIL",
    "blocked": "block",
    "paused": "pause",
    "cancelled": "cancel",
}
_COLOURS = {
    "running": "cyan",
    "done": "green",
    "failed": "red",
    "blocked": "yellow",
    "paused": "magenta",
    "cancelled": "magenta",
}
_URGENT = ("failed", "running", "blocked", "ready", "waiting", "paused", "cancelled", "done")


def status_lines(
    entries: Sequence[QueueEntry], running: Mapping[str, Running], *, show_all: bool = False
) -> list[str]:
    """Return what a user wants to know of calculations.

    Parameters
    ----------
    entries
        In the order of the queue.
    running
        Where running ones are, by identity.
    show_all
        Leave nothing out.
    """
    if len(entries) <= _FEW:
        return [*_one_by_one(entries, running), counts_text(entries)]
    most = len(entries) if show_all else _SHOWN
    lines = _table(entries, most)
    for title, state in (("Running", "running"), ("Failed", "failed")):
        found = [entry for entry in entries if entry.state == state]
        if found:
            lines += ["", f"{title}:"]
            for entry in found[:most]:
                lines += [f"  {entry.path}", f"    {_detail(entry, running)}"]
            lines += _more(len(found), most, f"{state} ones")
    others = {entry.path: words for entry in entries if (words := another_state(entry))}
    if others:
        lines += ["", "In another state than asked for:"]
        lines += [f"  {path}: {words}" for path, words in list(others.items())[:most]]
        lines += _more(len(others), most, "of these")
    blocked = Counter(entry.blocked_by for entry in entries if entry.state == "blocked")
    if blocked:
        lines += ["", "Blocked:"]
        lines += [f"  {count} by {path}" for path, count in blocked.most_common(most)]
        lines += _more(len(blocked), most, "steps that block others")
    return [*lines, "", counts_text(entries)]


def counts_text(entries: Sequence[QueueEntry]) -> str:
    """Return ``8 calculations: 2 ready, 6 done``."""
    counts = ", ".join(f"{count} {state}" for state, count in count_states(entries).items())
    others = sum(bool(another_state(entry)) for entry in entries)
    marked = f" ({others} in another state than asked for)" if others else ""
    return f"{number_of(len(entries), 'calculation')}: {counts}{marked}"


def progress_of(entry: QueueEntry, place: Running | None) -> str:
    """Return where in its program a running calculation is; empty while its batch job waits."""
    from heterodft.workflows.progress import describe_running

    return "" if place is not None and not place.worker else describe_running(entry.folder)


def since_text(place: Running) -> str:
    """Return ``since 14:03 (12 min)`` in local time."""
    if place.since is None:
        return ""
    start, now = place.since.astimezone(), datetime.now().astimezone()
    minutes = max(int((now - start).total_seconds() // 60), 0)
    hours, rest = divmod(minutes, 60)
    clock = f"{start:%H:%M}" if start.date() == now.date() else f"{start:%Y-%m-%d %H:%M}"
    return f"since {clock} ({f'{hours} h {rest:02} min' if hours else f'{minutes} min'})"


def _one_by_one(entries: Sequence[QueueEntry], running: Mapping[str, Running]) -> list[str]:
    width = max((len(entry.path) for entry in entries), default=0)
    longest = max(map(len, STATES))
    lines = []
    for entry in entries:
        detail = _detail(entry, running)
        space = " " * (longest - len(entry.state) + 2) if detail else ""
        lines.append(f"{entry.path:{width}}  {_styled(entry.state, entry.state)}{space}{detail}")
    return lines


def _detail(entry: QueueEntry, running: Mapping[str, Running]) -> str:
    if entry.state == "running":
        place = running.get(entry.identity)
        words = [progress_of(entry, place), *([place.text, since_text(place)] if place else [])]
        return "; ".join(word for word in words if word)
    if entry.state == "failed":
        reason, folder = failure_reason(entry.folder), str(entry.folder)
        return reason if folder in reason else f"{reason} [{folder}]"
    return f"by {entry.blocked_by}" if entry.blocked_by else another_state(entry)


def _table(entries: Sequence[QueueEntry], most: int) -> list[str]:
    """Return a row for each configuration, a column for each step; those that ask for attention where not all fit."""
    rows: dict[str, dict[str, str]] = {}
    for entry in entries:
        rows.setdefault(entry.configuration, {})[entry.step] = entry.state
    steps = _in_order({step for row in rows.values() for step in row})
    shown = list(rows)
    if len(rows) > most:
        urgency = {name: min(map(_URGENT.index, row.values())) for name, row in rows.items()}
        shown = sorted(rows, key=lambda name: urgency[name])[:most]
    width = max(len(name) for name in shown)
    widths = {step: max(len(step), 6) for step in steps}
    lines = [f"{'':{width}}  " + "  ".join(f"{step:{widths[step]}}" for step in steps).rstrip()]
    for name in shown:
        cells = (_cell(rows[name].get(step), widths[step]) for step in steps)
        lines.append(f"{name:{width}}  {'  '.join(cells)}")
    return lines + _more(len(rows), most, "configurations")


def _cell(state: str | None, width: int) -> str:
    return " " * width if state is None else _styled(f"{_SHORT[state]:{width}}", state)


def _in_order(steps: set[str]) -> list[str]:
    from heterodft.templates.steps import STEPS

    order = {str(step): number for number, step in enumerate(STEPS)}
    return sorted(steps, key=lambda step: (order.get(step, len(order)), step))


def _more(count: int, most: int, what: str) -> list[str]:
    return [f"… and {count - most} more {what} (--all shows them)"] if count > most else []


def _styled(text: str, state: str) -> str:
    return click.style(text, fg=_COLOURS[state]) if state in _COLOURS else text
