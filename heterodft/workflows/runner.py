"""One calculation, run in its folder by the programs of its code, and its result.

A result that is already there is taken. A failure leaves ``failure.json`` with the reason in words.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from heterodft.analysis.readers import read_folder
from heterodft.analysis.result import Result
from heterodft.analysis.state_marks import is_other, words_of
from heterodft.errors import CalculationError, HeterodftError, InterruptedCalculation, ReaderError, StorageError
from heterodft.files import write_json
from heterodft.workflows import run_espresso, run_vasp
from heterodft.workflows.calculation import FAILURE_FILE, finished_id, read_request
from heterodft.workflows.custodians.corrections import corrected_so_far
from heterodft.workflows.custodians.spent import spent_in
from heterodft.workflows.disk import clean, enough_space
from heterodft.workflows.processes import exclusive, refuse_cancelled
from heterodft.workflows.state.before import refuse_other_state
from heterodft.workflows.state.changed import (
    SET_ASIDE,
    begin_anew,
    has_set_aside,
    is_outdated,
    set_aside,
    what_is_to_be_done,
)
from heterodft.workflows.state.contract import state_record, write_mark
from heterodft.workflows.state.seeds import seeds_taken

if TYPE_CHECKING:
    from pathlib import Path

    from heterodft.workflows.calculation import Request
    from heterodft.workflows.settings import Settings

__all__ = ["run_calculation"]

_log = logging.getLogger(__name__)


def run_calculation(folder: Path, identity: str, settings: Settings) -> Result:
    """Run the calculation of a folder, or take its finished result.

    Parameters
    ----------
    folder
        Holds ``request.json``.
    identity
        Which request it must be.
    settings
        Programs, cores, pseudopotentials.

    Raises
    ------
    CalculationError
        If it ended without a usable result; ``failure.json`` then says why.
    StorageError
        If its folder cannot be used.
    InterruptedCalculation
        If the worker was told to stop; the program is ended first.
    """
    request = _read_request(folder)
    if request.id != identity:
        raise CalculationError(f"{folder} now holds the request {request.id}, not {identity}; submit again")
    try:
        with exclusive(folder):
            if is_outdated(folder):
                _log.info("%s: the step before ended in another state since; computed again", folder)
                begin_anew(folder)
            found = _finished(folder, identity)
            if found is not None and what_is_to_be_done(request, folder) != "run":
                return found
            if found is not None:
                set_aside(folder)
            refuse_cancelled(folder)
            (folder / FAILURE_FILE).unlink(missing_ok=True)
            return _run_programs(request, folder, settings)
    except (KeyboardInterrupt, SystemExit):
        _write_failure(folder, "interrupted; it will be run again", interrupted=True)
        raise
    except InterruptedCalculation as stop:
        so_far = corrected_so_far(folder)  # a cycle that never converged is ended by its user or its walltime
        _write_failure(folder, f"{stop}{so_far and f' ({so_far})'}", interrupted=True)
        raise
    except HeterodftError as error:
        _write_failure(folder, str(error), interrupted=False)
        raise
    except OSError as error:
        failure = StorageError(
            f"cannot use {error.filename or folder}: {error.strerror or error}; make it writable or free some space"
        )
        _write_failure(folder, str(failure), interrupted=False)
        raise failure from error
    except Exception as error:
        reason = f"a fault of heterodft ({type(error).__name__}: {error}); please report it with runs/workers"
        _write_failure(folder, reason, interrupted=False)
        raise


def _read_request(folder: Path) -> Request:
    try:
        return read_request(folder)
    except CalculationError as error:
        _write_failure(folder, str(error), interrupted=False)
        raise


def _finished(folder: Path, identity: str) -> Result | None:
    """Return the finished result; None where there is none or its files are damaged."""
    if finished_id(folder) == identity:
        try:
            return Result.load(folder)
        except ReaderError as error:
            _log.warning("%s; the calculation is looked at again", error)
    return None


def _write_failure(folder: Path, reason: str, *, interrupted: bool) -> None:
    with suppress(HeterodftError):
        write_json(folder / FAILURE_FILE, {"reason": reason, "interrupted": interrupted})


def _run_programs(request: Request, folder: Path, settings: Settings) -> Result:
    refuse_other_state(request, folder)
    if not has_set_aside(request, folder):
        lack = enough_space(request, settings)
        if lack is not None:
            raise StorageError(lack)
        engine: Any = run_vasp if request.code == "vasp" else run_espresso
        engine.run_programs(request, folder, settings)
    result = _record(request, folder)
    (folder / SET_ASIDE).unlink(missing_ok=True)
    with suppress(OSError):  # the result is there
        clean(request, folder, settings.keep_files)
    return result


def _record(request: Request, folder: Path) -> Result:
    """Read what came out and write it beside the outputs."""
    from heterodft.workflows.custodians.watch import forget_attempts

    try:
        result = read_folder(folder, strict=True)
    except ReaderError as error:  # cut off: without its history, the next attempt computes it again
        forget_attempts(folder)
        raise CalculationError(f"{error}; heterodft retry computes it again") from error
    if result.converged is False:
        raise CalculationError(f"the SCF cycle did not converge; raise max_scf_steps or lower mixing [{folder}]")
    corrections = _corrections(request, folder)
    record = state_record(request, result, folder, seeds=seeds_taken(folder))
    result.request["state"] = record
    write_mark(folder, record, asked=str(request.about.get("order", "")))
    if record.get("choice") == "stop" and is_other(record):
        raise CalculationError(
            f"{words_of(record, str(request.about.get('order', '')))}; with unreached: stop nothing starts from it: "
            f"give other starting moments, or unreached: reseed, flag or accept [{folder}]"
        )
    result = replace(result, corrections=corrections, spent=spent_in(folder, request.code))
    result.save(folder)
    return result


def _corrections(request: Request, folder: Path) -> list[dict[str, Any]]:
    if request.code == "vasp":
        from heterodft.workflows.custodians.vasp import vasp_corrections

        return vasp_corrections(folder)
    from heterodft.workflows.custodians.corrections import corrections_of

    return corrections_of(folder)
