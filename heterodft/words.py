"""Words of messages."""

from __future__ import annotations

__all__ = ["number_of"]


def number_of(count: int, noun: str) -> str:
    """Return ``1 calculation`` or ``3 calculations``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
