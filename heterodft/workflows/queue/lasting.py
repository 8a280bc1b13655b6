"""A launchpad that outlasts times in which its store does not answer."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from pymongo.errors import ConnectionFailure, PyMongoError

if TYPE_CHECKING:
    from collections.abc import Callable

    from fireworks.core.launchpad import LaunchPad

__all__ = ["LastingLaunchPad"]

_log = logging.getLogger(__name__)
_LONGEST_WAIT = 10.0


class LastingLaunchPad:
    """What FireWorks' Rocket asks of a launchpad while it holds a calculation.

    An error in a ping would end FireWorks' ping thread, so that a live calculation counts as lost after some hours;
    an error when the end is recorded would make a good calculation a failed one.

    Parameters
    ----------
    launchpad
        The one that everything is asked of.
    patience
        Seconds for which recording an end is tried again.
    stopped
        Whether this worker was told to stop; nothing is tried again then.
    """

    def __init__(self, launchpad: LaunchPad, *, patience: float, stopped: Callable[[], bool] = lambda: False):
        self._launchpad = launchpad
        self._patience = patience
        self._stopped = stopped
        self._gone: PyMongoError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._launchpad, name)

    def ping_launch(self, launch_id: int, ptime: Any = None, checkpoint: Any = None) -> None:
        """Tell that a launch lives, if the store listens."""
        try:
            self._launchpad.ping_launch(launch_id, ptime, checkpoint)
        except PyMongoError as error:
            _log.warning("the queue was not told that launch %d lives: %s", launch_id, error)

    def complete_launch(self, launch_id: int, action: Any = None, state: str = "COMPLETED") -> Any:
        """Record the end of a launch, as soon as the store answers."""
        end, wait = time.monotonic() + self._patience, 0.25
        while True:
            try:
                return self._launchpad.complete_launch(launch_id, action, state)
            except ConnectionFailure as error:
                if self._stopped() or time.monotonic() > end:
                    self._gone = error
                    raise
                _log.warning("the end of launch %d is not recorded yet: %s", launch_id, error)
            time.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)

    def restore_backup_data(self, launch_id: int, fw_id: int) -> None:
        """Undo what a broken action did; where the store is gone, Rocket would go on to record a failure."""
        if self._gone is not None:
            raise self._gone
        self._launchpad.restore_backup_data(launch_id, fw_id)
