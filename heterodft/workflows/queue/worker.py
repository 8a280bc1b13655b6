"""A worker process: takes ready calculations, one after the other, until none is left.

Started by `heterodft.workflows.queue.pool` as ``python -m heterodft.workflows.queue.worker``, with its settings as
JSON on standard input, so that no password shows in a list of processes.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from fireworks import FWorker
from fireworks.core.rocket import Rocket
from pymongo.errors import PyMongoError

from heterodft.workflows.queue.identity import worker_name
from heterodft.workflows.queue.launchpad import atomic, open_launchpad
from heterodft.workflows.queue.reconciliation import reconcile, requeue, running_of
from heterodft.workflows.settings import Settings

if TYPE_CHECKING:
    from types import FrameType

    from fireworks.core.launchpad import LaunchPad

__all__ = ["work"]

_log = logging.getLogger(__name__)
_IDLE_SECONDS = 0.5
_MOST_FAILURES = 40


def work(options: dict[str, Any]) -> None:
    """Run calculations until none is ready, running or to come.

    Parameters
    ----------
    options
        ``settings`` as of `Settings.to_dict`, and the process number of the ``parent``.
    """
    settings = Settings.from_dict(options["settings"])
    launchpad = open_launchpad(settings)
    fworker = FWorker(name=worker_name(), env={"heterodft": settings.to_dict(secret=False)})
    failures = 0
    while os.getppid() == options["parent"]:  # a worker whose parent is gone stops after its calculation
        try:
            if failures:
                _put_back_own(launchpad, fworker)  # done, but not recorded
            ran = _run_one(launchpad, fworker, settings)
            failures = 0
            if not ran and not _more_to_come(launchpad):
                return
        except PyMongoError as error:
            failures += 1
            if failures > _MOST_FAILURES:
                raise
            _log.warning("the queue did not answer (%d): %s", failures, error)
            ran = False
        if not ran:
            time.sleep(_IDLE_SECONDS)


def _run_one(launchpad: LaunchPad, fworker: FWorker, settings: Settings) -> bool:
    """Run one calculation; return whether there was one."""
    try:
        ran = bool(Rocket(launchpad, fworker, None).run(err_file=sys.stderr))
    except SystemExit:  # told to stop before or after the task itself
        _put_back_own(launchpad, fworker)
        raise
    if _STOP:
        reconcile(launchpad, settings)
        raise SystemExit(0)
    return ran


def _put_back_own(launchpad: LaunchPad, fworker: FWorker) -> None:
    """Put back what runs by our own name, since we run nothing."""
    with atomic(launchpad):
        requeue(launchpad, running_of(launchpad, [fworker.name]), "RUNNING")


def _more_to_come(launchpad: LaunchPad) -> bool:
    """Tell whether a calculation is ready, or runs elsewhere and may make others ready."""
    return launchpad.fireworks.find_one({"state": {"$in": ["READY", "RESERVED", "RUNNING"]}}) is not None


_STOP: list[int] = []


def _stop(number: int, _frame: FrameType | None) -> None:
    """Leave the running calculation: its program is ended and it goes back into the queue."""
    if not _STOP:
        _STOP.append(number)
        raise SystemExit(0)


def main() -> None:
    """Work until nothing is left; log whatever else happens.

    The process ends without waiting for FireWorks' ping thread, which may sleep for an hour.
    """
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    code = 1
    try:
        work(json.load(sys.stdin))
        code = 0
    except SystemExit:
        code = 0
    except Exception:  # noqa: BLE001, its log is all there is to find the cause
        _log.exception("the worker stopped")
    finally:
        logging.shutdown()
        os._exit(code)


if __name__ == "__main__":
    main()
