"""Which calculations a user means: paths, beginnings of paths, or ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heterodft.errors import QueueError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from heterodft.workflows.queue.summary import QueueEntry

__all__ = ["select"]


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


def _is_meant(entry: QueueEntry, word: str) -> bool:
    return word in (entry.identity, entry.path) or entry.path.startswith(f"{word}/")


def _near(entries: Iterable[QueueEntry], word: str) -> str:
    """Return a hint at the nearest path with as many parts as the word."""
    depth = word.count("/") + 1
    return did_you_mean(word, {"/".join(entry.path.split("/")[:depth]) for entry in entries})
