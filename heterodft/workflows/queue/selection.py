"""Which calculations a user means: paths, beginnings of paths, or ids."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from heterodft.errors import QueueError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from heterodft.workflows.queue.summary import QueueEntry

__all__ = ["linked_below", "select"]

_LEVELS = 5
"""Of the path of a calculation: campaign, structure, order, U, step."""


def select(entries: Sequence[QueueEntry], words: Iterable[str], *, what: str = "calculation") -> list[QueueEntry]:
    """Return the entries that words name, in the order of the queue, each once.

    Parameters
    ----------
    entries
        Of the queue.
    words
        Each an id, a path, or whole leading parts of one: ``demo``, ``demo/sl``, ``demo/sl/FM``.
    what
        What is looked for, in the error.

    Raises
    ------
    QueueError
        If a word names none; with the nearest one.
    """
    chosen: set[str] = set()
    for word in words:
        found = {e.identity for e in entries if _is_meant(e, word.rstrip("/"))}
        if not found:
            raise QueueError(f"'{word}' names no {what} of the queue{_near(entries, word.rstrip('/'))}")
        chosen |= found
    return [entry for entry in entries if entry.identity in chosen]


def linked_below(runs: Path, word: str) -> set[Path]:
    """Return the folders of other campaigns' calculations that a campaign, or a part of it, shares.

    Parameters
    ----------
    runs
        Folder of all runs.
    word
        A path as of `select`: ``demo``, ``demo/sl``.
    """
    parts = [part for part in word.split("/") if part]
    if not parts or len(parts) > _LEVELS or not all(re.fullmatch(r"\w[\w.+@-]*", part) for part in parts):
        return set()
    links = runs.glob("/".join([*parts, *["*"] * (_LEVELS - len(parts))]))
    return {Path(os.path.normpath(link.parent / link.readlink())) for link in links if link.is_symlink()}


def _is_meant(entry: QueueEntry, word: str) -> bool:
    return word in (entry.identity, entry.path) or entry.path.startswith(f"{word}/")


def _near(entries: Iterable[QueueEntry], word: str) -> str:
    """Return a hint at the nearest path with as many parts as the word."""
    depth = word.count("/") + 1
    return did_you_mean(word, {"/".join(entry.path.split("/")[:depth]) for entry in entries})
