"""Every failure a user can meet, as one tree.

HeterodftError
├── CampaignError (ValueError)             the campaign file: unknown key, impossible value
├── SettingsError (ValueError)             the settings file or an environment variable
├── StructureError (ValueError)            a structure that cannot be built
├── InputError (ValueError)                inputs that a DFT code would not take
│   └── PseudopotentialError               missing, altered or unusable pseudopotential
├── ProgramNotFoundError (FileNotFoundError)  pw.x, projwfc.x, mpirun … is not installed
├── StorageError (OSError)                 a folder that is full, read-only or missing
├── QueueError (RuntimeError)              the launchpad cannot be reached or is not ours
├── CalculationError (RuntimeError)        a run that ended without a usable result
│   └── InterruptedCalculation             stopped from outside; may be run again
│       └── CancelledCalculation           by the user, for whom it waits
└── ReaderError (ValueError)               an output file that cannot be read

A message says what is wrong, where (file, line, key, folder), the value, and the remedy, in one line.
Any other exception that reaches a user is a bug.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "CalculationError",
    "CampaignError",
    "CancelledCalculation",
    "HeterodftError",
    "InputError",
    "InterruptedCalculation",
    "ProgramNotFoundError",
    "PseudopotentialError",
    "QueueError",
    "ReaderError",
    "SettingsError",
    "StorageError",
    "StructureError",
    "did_you_mean",
]


class HeterodftError(Exception):
    """Base of every foreseen failure; its text is one line meant for the user."""


class CampaignError(HeterodftError, ValueError):
    """The campaign file holds an unknown key or an impossible value."""


class SettingsError(HeterodftError, ValueError):
    """The settings file or an environment variable holds an impossible value."""


class StructureError(HeterodftError, ValueError):
    """A structure cannot be built from what was asked."""


class InputError(HeterodftError, ValueError):
    """The DFT code would refuse or silently alter the input."""


class PseudopotentialError(InputError):
    """A pseudopotential is missing, altered or unusable for the request."""


class ProgramNotFoundError(HeterodftError, FileNotFoundError):
    """An external program is not installed or not on PATH."""


class StorageError(HeterodftError, OSError):
    """A file or folder cannot be written."""


class QueueError(HeterodftError, RuntimeError):
    """The launchpad cannot be opened or reached."""


class CalculationError(HeterodftError, RuntimeError):
    """A calculation ended without a usable result."""


class InterruptedCalculation(CalculationError):  # noqa: N818, an interruption is no error
    """A calculation was stopped from outside and may be run again."""


class CancelledCalculation(InterruptedCalculation):
    """The user cancelled it; it runs again only when the user says so."""


class ReaderError(HeterodftError, ValueError):
    """An output file cannot be read."""


_MOST_CHOICES = 30


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint such as ``; did you mean 'layers'?``, or the choices when nothing is near."""
    choices = sorted(set(known))
    near = get_close_matches(word, choices, n=1, cutoff=0.6)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; known: {', '.join(choices)}" if 0 < len(choices) <= _MOST_CHOICES else ""
