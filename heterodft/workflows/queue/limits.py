"""What a worker looks at before it takes another calculation: its time and the disk."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from heterodft.errors import StorageError
from heterodft.workflows.disk import free_space

if TYPE_CHECKING:
    from heterodft.workflows.settings import Settings

__all__ = ["TimeLeft", "check_disk"]

_LAST_PART = 0.1
_LAST_SECONDS = 600.0
"""A worker takes nothing new in the last tenth of its time, ten minutes at most."""


class TimeLeft:
    """The time that a worker has from now to the deadline of its settings."""

    def __init__(self, settings: Settings):
        self._deadline = settings.deadline
        self._whole = 0.0 if self._deadline is None else self._deadline - time.time()

    def for_another(self) -> bool:
        """Return whether there is enough left to begin another calculation."""
        if self._deadline is None:
            return True
        return self._deadline - time.time() > min(_LAST_SECONDS, max(0.0, _LAST_PART * self._whole))


def check_disk(settings: Settings) -> None:
    """Check that the disk of the runs has the room that the settings keep free.

    Raises
    ------
    StorageError
        If it has not.
    """
    free = free_space(settings.runs)
    if free < settings.keep_free:
        raise StorageError(
            f"{free:.3g} GB are free on the disk of {settings.runs}, of which {settings.keep_free:g} are kept free; "
            "free some space or lower disk: free:"
        )
