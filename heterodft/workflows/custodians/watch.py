"""One program under Custodian, its history kept: ``custodian.json`` holds every attempt in a folder and what was
corrected in each, written before the attempt starts, so that a killed worker leaves a trace too.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from custodian.custodian import Custodian, CustodianError
from monty.json import MontyEncoder

from heterodft.errors import CalculationError, InterruptedCalculation, StorageError
from heterodft.files import write_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from custodian.custodian import ErrorHandler, Job, Validator

__all__ = ["LOG_FILE", "attempts_in", "forget_attempts", "note_correction", "run_watched"]

LOG_FILE = "custodian.json"
_COPY_FILE = ".custodian.json"
_POLL_SECONDS = 0.05
"""Between looks whether the program ended; short, since a chain may have many short programs."""
_MONITOR_SECONDS = 30.0
"""Between looks at what a running program has printed."""


def attempts_in(folder: Path) -> list[dict[str, Any]]:
    """Return every attempt that a folder has seen, oldest first, each with ``job`` and ``corrections``.

    Custodian does not write its file in one go; where a kill cut it off, our copy from before counts.
    """
    for name in (LOG_FILE, _COPY_FILE):
        with suppress(OSError, ValueError):
            found = json.loads((folder / name).read_text(encoding="utf-8"))
            return [entry for entry in found if isinstance(entry, dict)]
    return []


def forget_attempts(folder: Path) -> None:
    """Remove the history of a folder, so that the next attempt begins anew."""
    for name in (LOG_FILE, _COPY_FILE):
        (folder / name).unlink(missing_ok=True)


def note_correction(folder: Path, handler: ErrorHandler, done: Mapping[str, Any]) -> None:
    """Add to the last attempt a correction that was made between two runs, as Custodian does after one."""
    attempts = attempts_in(folder)
    attempts[-1].setdefault("corrections", []).append(dict(done) | {"handler": handler})
    _write_attempts(folder, attempts)


def _write_attempts(folder: Path, attempts: Sequence[Mapping[str, Any]]) -> None:
    for name in (_COPY_FILE, LOG_FILE):
        write_text(folder / name, json.dumps(attempts, indent=4, cls=MontyEncoder) + "\n")


def _keep_copy(folder: Path) -> None:
    with suppress(OSError, StorageError):
        write_text(folder / _COPY_FILE, (folder / LOG_FILE).read_text(encoding="utf-8"))


def run_watched(
    job: Job,
    folder: Path,
    *,
    handlers: Sequence[ErrorHandler] = (),
    validators: Sequence[Validator] = (),
    max_errors: int = 10,
    skip_broken_handlers: bool = False,
    explain: Callable[[], str | None] = lambda: None,
) -> None:
    """Run a job to a valid end, corrected where a handler knows how.

    Parameters
    ----------
    job
        Its ``run`` starts a process, its ``terminate`` ends the whole process group.
    folder
        Where it runs.
    handlers, validators
        In Custodian's order of priority.
    max_errors
        Of corrections in this attempt.
    skip_broken_handlers
        Go on without a handler that raises, as custodian's own do on half-written files; it is noted in the history.
    explain
        Says in words why a run failed, where it can.

    Raises
    ------
    CalculationError
        If it ended without a usable result.
    InterruptedCalculation
        If the worker was told to stop; the program is ended first.
    StorageError
        If the folder cannot be written.
    """
    earlier = attempts_in(folder)
    _write_attempts(folder, [*earlier, {"job": job.as_dict(), "corrections": []}])
    custodian = Custodian(
        list(handlers),
        [job],
        list(validators),
        max_errors=max_errors,
        skip_over_errors=skip_broken_handlers,
        polling_time_step=_POLL_SECONDS,
        monitor_freq=int(_MONITOR_SECONDS / _POLL_SECONDS),
        directory=str(folder),
    )
    custodian.run_log = earlier
    try:
        custodian.run()
    except CustodianError as error:
        raise CalculationError(f"{explain() or error} [{folder}]") from error
    except OSError as error:
        if error.filename in (None, str(folder)) or str(error.filename).startswith(str(folder)):
            raise StorageError(f"cannot write {folder}: {error.strerror or error}; free some space") from error
        raise CalculationError(f"{job.name} could not run in {folder}: {error.strerror or error}") from error
    except (KeyboardInterrupt, SystemExit) as stop:
        raise InterruptedCalculation(f"{job.name} was stopped in {folder}; run again to go on") from stop
    finally:
        job.terminate(str(folder))
        _keep_copy(folder)
