"""What the shell offers for an argument: paths of the queue, its campaigns, templates, families."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import click
    from click.shell_completion import CompletionItem

__all__ = ["below", "campaigns", "families", "paths", "paths_or_files", "templates"]


def paths(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Offer the calculations of the queue, one part of their paths after the other."""
    return below(_queued(), incomplete)


def paths_or_files(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the calculations of the queue, and files."""
    from click.shell_completion import CompletionItem

    offered = [CompletionItem(path) for path in paths(context, parameter, incomplete)]
    return [*offered, CompletionItem(incomplete, type="file")]


def campaigns(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Offer the campaigns of the queue."""
    return _beginning(dict.fromkeys(path.partition("/")[0] for path in _queued()), incomplete)


def templates(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Offer the templates of ``heterodft init``."""
    from heterodft.workflows.starters import known_starters

    return _beginning(known_starters(), incomplete)


def families(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Offer the pseudopotential families."""
    from heterodft.templates.pseudopotentials import known_families

    return _beginning(known_families(), incomplete)


def below(paths: Iterable[str], incomplete: str) -> list[str]:
    """Return the paths down to the part that is being typed, and the next ones of a single one.

    With those, a shell puts no space behind a path that goes on.

    Examples
    --------
    >>> below(["demo/sl/FM", "demo/sl/NM", "other/sl/FM"], "d")
    ['demo', 'demo/sl']
    >>> below(["demo/sl/FM", "demo/sl/NM", "other/sl/FM"], "demo/sl/")
    ['demo/sl/FM', 'demo/sl/NM']
    """
    parts = [path.split("/") for path in paths]

    def cut(depth: int) -> list[str]:
        return _beginning(dict.fromkeys("/".join(one[:depth]) for one in parts if len(one) >= depth), incomplete)

    depth = incomplete.count("/") + 1
    offered = cut(depth)
    return offered + cut(depth + 1) if len(offered) == 1 else offered


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _queued() -> list[str]:
    """Return the paths of the queue; none where it cannot be read, since nobody asked for an error."""
    from heterodft.errors import HeterodftError
    from heterodft.workflows.queue.summary import read_queue
    from heterodft.workflows.settings_file import load_settings

    try:
        return [entry.path for entry in read_queue(load_settings())]
    except HeterodftError:
        return []
