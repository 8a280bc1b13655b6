"""A program that outlived its worker: waited for, or ended, before anything else runs in its folder."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from heterodft.errors import CancelledCalculation, InterruptedCalculation, StorageError
from heterodft.files import write_text
from heterodft.templates.espresso import PREFIX, program_of
from heterodft.workflows.processes import (
    end_programs,
    forget_program,
    programs_in,
    read_program,
    refuse_cancelled,
)

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from heterodft.workflows.settings import Settings

__all__ = ["settle_orphan"]

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 0.5


def settle_orphan(folder: Path, asked: Collection[str], settings: Settings) -> str | None:
    """Deal with a program that an earlier worker left running in a folder.

    Parameters
    ----------
    folder
        Where it runs.
    asked
        Checksums of the inputs that are wanted; a program with another input is ended.
    settings
        Says whether to adopt or to end it, and when this worker's time is up.

    Returns
    -------
    str or None
        ``adopted`` after its end was waited for, ``ended``, or None when nothing ran here.

    Raises
    ------
    InterruptedCalculation
        If this worker has to stop, or the calculation was cancelled; the program is ended first.
    """
    record = read_program(folder)
    if record is None:
        return None
    alive = programs_in(folder)
    done = None
    if alive and settings.orphans == "adopt" and record.get("asked") in asked:
        _log.warning("adopted %s, which outlived its worker, in %s", record.get("file"), folder)
        _wait_for(folder, str(record.get("file")), settings)
        done = "adopted"
    elif alive:
        _log.warning("ended %s, which outlived its worker, in %s", record.get("file"), folder)
        if record.get("asked") in asked:
            _ask_to_stop(folder, str(record.get("file")), settings.grace)
        end_programs(folder)
        done = "ended"
    forget_program(folder)
    return done


def _ask_to_stop(folder: Path, file: str, grace: float) -> None:
    """Give a program the time to write what the next attempt goes on from."""
    if file == "INCAR":
        request, text = folder / "STOPCAR", "LABORT = .TRUE.\n"
    elif program_of(file) == "pw.x":
        request, text = folder / f"{PREFIX}.EXIT", ""
    else:
        return
    with suppress(StorageError):
        write_text(request, text)
    end = time.monotonic() + grace
    while programs_in(folder) and time.monotonic() < end:
        time.sleep(_LOOK_SECONDS)
    with suppress(OSError):
        (folder / f"{PREFIX}.EXIT").unlink(missing_ok=True)


def _wait_for(folder: Path, file: str, settings: Settings) -> None:
    """Wait until no program is left in a folder, ending it if the wait is broken off."""
    try:
        while programs_in(folder):
            refuse_cancelled(folder)
            if settings.deadline is not None and time.time() > settings.deadline - _LOOK_SECONDS:
                raise InterruptedCalculation(f"the time of this worker is up in {folder}")
            time.sleep(_LOOK_SECONDS)
    except (InterruptedCalculation, KeyboardInterrupt, SystemExit) as stop:
        _ask_to_stop(folder, file, settings.grace)
        end_programs(folder)
        if isinstance(stop, CancelledCalculation):
            raise
        raise InterruptedCalculation(f"{folder} was stopped; run again to go on") from stop
