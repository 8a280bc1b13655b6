"""One calculation, run in its folder: handed-on data, inputs, programs under Custodian, result.

A result that is already there is taken; a program that finished before its worker died is not run again. A
failure leaves ``failure.json`` with the reason in words.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from heterodft.analysis.readers import read_folder
from heterodft.analysis.result import Result
from heterodft.errors import CalculationError, HeterodftError, InputError, InterruptedCalculation
from heterodft.files import write_json, write_text
from heterodft.templates.espresso import PREFIX, PROGRAMS, input_files, program_version
from heterodft.templates.pseudopotentials import find_pseudopotentials
from heterodft.workflows.calculation import finished_id, read_request
from heterodft.workflows.chains import hand_over, has_density
from heterodft.workflows.custodians.diagnosis import diagnose
from heterodft.workflows.state import compare_moments

if TYPE_CHECKING:
    from pathlib import Path

    from heterodft.workflows.calculation import Request
    from heterodft.workflows.settings import Settings

__all__ = ["FAILURE_FILE", "prepare_inputs", "run_calculation"]

FAILURE_FILE = "failure.json"
_log = logging.getLogger(__name__)


def prepare_inputs(request: Request, settings: Settings, *, version: tuple[int, int] | None = None) -> dict[str, str]:
    """Return the text of every input file of a request, by file name.

    Parameters
    ----------
    request
        What to compute.
    settings
        Where the programs and pseudopotentials are.
    version
        Of pw.x; by default the installed one is asked.

    Raises
    ------
    HeterodftError
        If pw.x or a pseudopotential is missing or differs from the request's.
    """
    elements = set(request.pseudopotentials)
    files = find_pseudopotentials(elements, xc=request.settings.xc, folder=settings.pseudo_dir)
    for element, file in files.items():
        if file.sha256 != request.pseudopotentials[element]:
            raise InputError(f"{file.path} is not the pseudopotential this was submitted with; submit again")
    return input_files(
        request.to_structure(),
        step=request.step,
        settings=request.settings,
        pseudopotentials=files,
        moments=request.moments,
        hubbard=request.hubbard,
        version=version or program_version(settings.program("pw.x")),
    )


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
    inputs = prepare_inputs(request, settings)
    done = [_ended_well(folder, program, inputs) for program in PROGRAMS[request.step]]
    if request.step == "static" and not has_density(folder):
        done = [False]
    if not done[0]:
        hand_over(request, folder)
    for index, program in enumerate(PROGRAMS[request.step]):
        if not all(done[: index + 1]):
            _run_program(program, folder, inputs[f"{program.removesuffix('.x')}.in"], settings)
    return _record(request, folder)


def _ended_well(folder: Path, program: str, inputs: dict[str, str]) -> bool:
    """Tell whether a program already ended well here with the very same input."""
    name = program.removesuffix(".x")
    path = folder / f"{name}.in"
    same = path.is_file() and path.read_text(encoding="utf-8") == inputs[f"{name}.in"]
    return same and (folder / f"{name}.out").is_file() and diagnose(folder, program) is None


def _run_program(program: str, folder: Path, text: str, settings: Settings) -> None:
    from custodian.custodian import Custodian, CustodianError

    from heterodft.workflows.custodians.espresso import EspressoJob, EspressoValidator

    write_text(folder / f"{program.removesuffix('.x')}.in", text)
    job = EspressoJob(settings.command_for(program, settings.cores), program)
    custodian = Custodian([], [job], [EspressoValidator(program)], max_errors=1, directory=str(folder))
    try:
        custodian.run()
    except CustodianError as error:
        reason = diagnose(folder, program) or str(error)
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
    patterns = [f"{PREFIX}.wfc*", f"{PREFIX}.hub*", f"{PREFIX}.mix*", f"{PREFIX}.restart*", f"{PREFIX}.xml"]
    if request.step == "dos":
        patterns.append(f"{PREFIX}.save/wfc*")
    for path in (path for pattern in patterns for path in folder.glob(pattern)):
        with suppress(OSError):
            path.unlink()
