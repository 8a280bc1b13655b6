"""One calculation, run in its folder: handed-on data, inputs, programs under Custodian, result.

A result that is already there is taken; a program that finished before its worker died is not run again. A
failure leaves ``failure.json`` with the reason in words.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from heterodft.analysis.readers import read_folder
from heterodft.analysis.result import Result
from heterodft.errors import CalculationError, HeterodftError, InterruptedCalculation
from heterodft.files import write_json, write_text
from heterodft.templates.espresso import PREFIX, program_of
from heterodft.templates.steps import RELAXATIONS
from heterodft.workflows.calculation import finished_id, read_request
from heterodft.workflows.custodians.diagnosis import diagnose
from heterodft.workflows.handover import hand_over, has_density, relaxed_structure
from heterodft.workflows.inputs import prepare_inputs
from heterodft.workflows.state import compare_moments

if TYPE_CHECKING:
    from pathlib import Path

    from heterodft.workflows.calculation import Request
    from heterodft.workflows.settings import Settings

__all__ = ["FAILURE_FILE", "run_calculation"]

FAILURE_FILE = "failure.json"
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
    InterruptedCalculation
        If the worker was told to stop; the program is ended first.
    """
    request = read_request(folder)
    if request.id != identity:
        raise CalculationError(f"{folder} now holds the request {request.id}, not {identity}; submit again")
    try:
        if finished_id(folder) == identity:
            return Result.load(folder)
        (folder / FAILURE_FILE).unlink(missing_ok=True)
        return _run_programs(request, folder, settings)
    except (InterruptedCalculation, KeyboardInterrupt, SystemExit):
        _write_failure(folder, "interrupted; it will be run again", interrupted=True)
        raise
    except HeterodftError as error:
        _write_failure(folder, str(error), interrupted=False)
        raise


def _write_failure(folder: Path, reason: str, *, interrupted: bool) -> None:
    with suppress(HeterodftError):
        write_json(folder / FAILURE_FILE, {"reason": reason, "interrupted": interrupted})


def _run_programs(request: Request, folder: Path, settings: Settings) -> Result:
    from heterodft.workflows.custodians.espresso import end_orphan

    if end_orphan(folder):
        _log.warning("ended a program that outlived its worker in %s", folder)
    deck = prepare_inputs(request, settings, structure=relaxed_structure(request, folder))
    inputs = deck.files
    settings = replace(settings, cores=1, command=None) if deck.serial else settings
    done = [_ended_well(folder, name, text) for name, text in inputs.items()]
    if request.step in (*RELAXATIONS, "static") and not has_density(folder):
        done = [False]
    if not done[0]:
        hand_over(request, folder)
    for index, (name, text) in enumerate(inputs.items()):
        if not all(done[: index + 1]):
            _run_program(name, folder, text, settings)
    return _record(request, folder)


def _ended_well(folder: Path, name: str, text: str) -> bool:
    """Tell whether a program already ended well here with the very same input."""
    path = folder / name
    same = path.is_file() and path.read_text(encoding="utf-8") == text
    return same and (folder / name.replace(".in", ".out")).is_file() and diagnose(folder, name) is None


def _run_program(name: str, folder: Path, text: str, settings: Settings) -> None:
    from custodian.custodian import Custodian, CustodianError

    from heterodft.workflows.custodians.espresso import EspressoJob, EspressoValidator

    write_text(folder / name, text)
    program = program_of(name)
    job = EspressoJob(settings.command_for(program, settings.cores), name)
    custodian = Custodian([], [job], [EspressoValidator(name)], max_errors=1, directory=str(folder))
    try:
        custodian.run()
    except CustodianError as error:
        reason = diagnose(folder, name) or str(error)
        raise CalculationError(f"{reason} [{folder}]") from error
    except OSError as error:
        raise CalculationError(f"{program} could not run in {folder}: {error.strerror or error}") from error
    except (KeyboardInterrupt, SystemExit) as stop:
        raise InterruptedCalculation(f"{program} was stopped in {folder}; run again to go on") from stop
    finally:
        job.terminate(str(folder))


def _record(request: Request, folder: Path) -> Result:
    """Read what came out and write it beside the outputs."""
    result = read_folder(folder)
    if result.converged is False:
        raise CalculationError(f"the SCF cycle did not converge; raise max_scf_steps or lower mixing [{folder}]")
    reached: dict[str, Any] = {}
    if "sphere" in result.sites:
        verdict, sites = compare_moments(request.moments, result.sites["sphere"].moments)
        reached = {"verdict": verdict, "sites": sites}
    result.request["state"] = reached
    result.save(folder)
    _remove_scratch(folder, request)
    return result


def _remove_scratch(folder: Path, request: Request) -> None:
    """Remove what no later step reads: work files of pw.x, and the wavefunctions of a step without children."""
    patterns = [
        "*.filplot",
        f"{PREFIX}.wfc*",
        f"{PREFIX}.hub*",
        f"{PREFIX}.mix*",
        f"{PREFIX}.restart*",
        f"{PREFIX}.xml",
    ]
    if request.step in ("dos", "bands"):
        patterns.append(f"{PREFIX}.save/wfc*")
    for path in (path for pattern in patterns for path in folder.glob(pattern)):
        with suppress(OSError):
            path.unlink()
