"""Progress of what takes longer than a blink: one line on stderr that keeps itself up to date, on a terminal only."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["is_quiet", "quiet_option", "working"]

_QUIET = "heterodft.quiet"


def _be_quiet(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    context.meta[_QUIET] = value


quiet_option = click.option(
    "-q", "--quiet", is_flag=True, expose_value=False, callback=_be_quiet, help="Show no progress."
)


def is_quiet() -> bool:
    """Whether the command that runs was told to be quiet."""
    context = click.get_current_context(silent=True)
    return bool(context is not None and context.meta.get(_QUIET))


@contextmanager
def working(words: str, total: int | None = None) -> Iterator[Callable[[str], None]]:
    """Show what is being done; the function that is yielded counts one more and names it."""
    if not sys.stderr.isatty() or is_quiet():
        yield lambda _name: None
        return
    from heterodft.cli.common import console

    count, screen = 0, console(stderr=True)
    with screen.status(f"{words} …") as status:

        def step(name: str) -> None:
            nonlocal count
            count += 1
            of_all = "" if total is None else f" of {total}"
            status.update(_fitting(f"{words} {count}{of_all}: {name}", screen.width - 4))

        yield step


def _fitting(text: str, width: int) -> str:
    from rich.markup import escape

    return escape(text if len(text) <= width else f"{text[: max(width - 1, 0)]}…")
