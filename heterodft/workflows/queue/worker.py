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
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from fireworks import FWorker
from fireworks.core.rocket import Rocket
from pymongo.errors import PyMongoError

from heterodft.errors import HeterodftError, QueueError
from heterodft.workflows.queue.control import retry
from heterodft.workflows.queue.firetasks import interrupted, machine_failures
from heterodft.workflows.queue.identity import current_job, job_of, worker_name
from heterodft.workflows.queue.lasting import LastingLaunchPad
from heterodft.workflows.queue.launchpad import atomic, open_launchpad
from heterodft.workflows.queue.limits import TimeLeft, check_disk
from heterodft.workflows.queue.offline import run_chain
from heterodft.workflows.queue.reconciliation import reconcile, requeue, running_of
from heterodft.workflows.queue.reservation import settle_reservations
from heterodft.workflows.settings import Settings

if TYPE_CHECKING:
    from types import FrameType

    from fireworks.core.launchpad import LaunchPad

__all__ = ["work"]

_log = logging.getLogger(__name__)
_IDLE_SECONDS = 0.5
_LOOK_SECONDS = 10.0
_PATIENCE_SECONDS = 600.0
"""For a queue that does not answer."""
_MOST_MACHINE_FAILURES = 3


def work(options: dict[str, Any]) -> None:
    """Run calculations until none is ready, running or to come, or the time is up.

    Parameters
    ----------
    options
        ``settings`` as of `Settings.to_dict`, and the process number of the ``parent``; for a batch job that runs one
        reserved calculation, its ``fw_id`` and ``launch_id``.

    Raises
    ------
    StorageError
        If the disk of the runs is almost full.
    QueueError
        If one calculation after the other failed for a reason of this machine; they are put back first.
    """
    settings = Settings.from_dict(options["settings"])
    launchpad = open_launchpad(settings, create=False)
    fworker = FWorker(name=worker_name(), env={"heterodft": settings.to_dict(secret=False)})
    if "fw_id" in options:
        check_disk(settings)
        if _is_reserved(launchpad, options["launch_id"]):
            _run_one(launchpad, fworker, settings, options["fw_id"])
        return
    _drain(launchpad, fworker, settings, options["parent"])


def _drain(launchpad: LaunchPad, fworker: FWorker, settings: Settings, parent: int) -> None:
    """Run one calculation after the other; a worker whose parent is gone stops after its calculation."""
    time_left = TimeLeft(settings)
    away_since, last_look = None, time.monotonic()
    while os.getppid() == parent and time_left.for_another():
        check_disk(settings)
        ran = False
        try:
            if away_since is not None:
                _put_back_own(launchpad, fworker)  # done, but not recorded
            ran = _run_one(launchpad, fworker, settings)
            away_since = None
            if not ran and not _more_to_come(launchpad):
                return
            if not ran and time.monotonic() - last_look > _LOOK_SECONDS:  # what this one waits for may be dead
                settle_reservations(launchpad, settings)
                reconcile(launchpad, settings)
                last_look = time.monotonic()
        except PyMongoError as error:
            away_since = time.monotonic() if away_since is None else away_since
            _refuse_silence(time.monotonic() - away_since, error)
        _check_machine(settings)
        if not ran:
            time.sleep(_IDLE_SECONDS)


def _refuse_silence(seconds: float, error: PyMongoError) -> None:
    """Stop when the queue has not answered for too long; what was computed is on disk."""
    said = " ".join(str(error).split())[:200]
    if seconds > _PATIENCE_SECONDS:
        raise QueueError(f"no queue for {seconds:.0f} s: {said}; results are on disk, heterodft run records them")
    _log.warning("the queue does not answer, for %.0f s: %s", seconds, said)


def _is_reserved(launchpad: LaunchPad, launch_id: int) -> bool:
    """Tell whether a reservation still stands; one whose job seemed lost was put back."""
    return launchpad.launches.find_one({"launch_id": launch_id, "state": "RESERVED"}) is not None


def _check_machine(settings: Settings) -> None:
    """Stop rather than burn the whole queue on a machine where nothing can run."""
    if len(machine_failures) >= _MOST_MACHINE_FAILURES:
        retry(settings, [identity for identity, _ in machine_failures])
        raise QueueError(
            f"{len(machine_failures)} calculations in a row could not run on this machine; {machine_failures[-1][1]}"
        )


def _run_one(launchpad: LaunchPad, fworker: FWorker, settings: Settings, fw_id: int | None = None) -> bool:
    """Run one calculation, any ready one or a certain one; return whether there was one."""
    try:
        lasting: Any = LastingLaunchPad(launchpad, patience=_PATIENCE_SECONDS, stopped=lambda: bool(_STOP))
        ran = bool(Rocket(lasting, fworker, fw_id).run(err_file=sys.stderr))
    except SystemExit:  # told to stop before or after the task itself
        with suppress(PyMongoError):  # the next look at the queue finds it
            _put_back_own(launchpad, fworker)
        raise
    except PyMongoError:
        if _STOP:
            raise SystemExit(0) from None
        raise
    if _STOP or interrupted:
        with suppress(PyMongoError):
            if _STOP:
                _put_back_last(launchpad, fworker)
            reconcile(launchpad, settings)
        raise SystemExit(0)
    return ran


def _put_back_own(launchpad: LaunchPad, fworker: FWorker) -> None:
    """Put back what runs by our own name, since we run nothing."""
    with atomic(launchpad):
        requeue(launchpad, running_of(launchpad, [fworker.name]), "RUNNING")


def _put_back_last(launchpad: LaunchPad, fworker: FWorker) -> None:
    """Put back what we ran when told to stop; it may have ended before it could leave word of that in its folder."""
    wanted = {"fw_id": 1, "state": 1}
    last = launchpad.launches.find_one({"fworker.name": fworker.name}, wanted, sort=[("launch_id", -1)])
    if last is not None and last["state"] == "FIZZLED":
        requeue(launchpad, [last["fw_id"]], "FIZZLED")


def _more_to_come(launchpad: LaunchPad) -> bool:
    """Tell whether a calculation is ready, or runs elsewhere and may make others ready.

    A batch job does not wait for what other jobs run or will run: the next job takes what follows.
    """
    job = current_job()
    if job is None:
        return launchpad.fireworks.find_one({"state": {"$in": ["READY", "RESERVED", "RUNNING"]}}) is not None
    if launchpad.fireworks.find_one({"state": "READY"}) is not None:
        return True
    return any(job_of(name) == job for name in launchpad.launches.distinct("fworker.name", {"state": "RUNNING"}))


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
        options = json.load(sys.stdin)
        run_chain(options) if "chain" in options else work(options)
        code = 0
    except SystemExit:
        code = 0
    except (HeterodftError, PyMongoError) as error:
        _log.error("the worker stops: %s", " ".join(str(error).split()))
    except Exception:  # noqa: BLE001, its log is all there is to find the cause
        _log.exception("the worker stopped")
    finally:
        logging.shutdown()
        os._exit(code)


if __name__ == "__main__":
    main()
