"""What one look at the machine found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "note", "problem", "well"]


@dataclass(frozen=True)
class Finding:
    """What one look at the machine found.

    Attributes
    ----------
    part, name
        What was looked at: ``Quantum ESPRESSO``, ``pw.x``.
    state
        ``ok``; ``note``, worth knowing but nothing the settings ask for; ``problem``, without which runs fail.
    told
        What was found.
    remedy
        What to do, in one line; empty where there is nothing.
    """

    part: str
    name: str
    state: Literal["ok", "note", "problem"]
    told: str
    remedy: str = ""


def well(part: str, name: str, told: str) -> Finding:
    """Return what is as it should be."""
    return Finding(part, name, "ok", told)


def note(part: str, name: str, told: str, remedy: str = "") -> Finding:
    """Return what is worth knowing."""
    return Finding(part, name, "note", told, remedy)


def problem(part: str, name: str, told: str, remedy: str = "") -> Finding:
    """Return what must be mended; a message of ours, ``what is wrong; what to do``, is its own remedy."""
    what, _, cure = (told, "", remedy) if remedy else told.rpartition("; ")
    return Finding(part, name, "problem", what or told, cure if what else "")
