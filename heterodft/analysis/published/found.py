"""What was found of one quantity."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Found"]


@dataclass(frozen=True)
class Found:
    """A number or a word of ours.

    Attributes
    ----------
    number, word
        In the unit of its quantity; a word for what is no number, such as ``metal``, whose number is 0.
    notes
        How it was made, in words.
    doubts
        Why it must not be called reproduced.
    """

    number: float | None = None
    word: str = ""
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
