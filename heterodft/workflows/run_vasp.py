"""The run of a VASP calculation: handed-on data, inputs, VASP under Custodian, and going on where it was stopped.

Nothing that was reached is lost: a finished run of the same input is recorded, not repeated; a relaxation goes on
from its last structure, and every cycle from the density and wavefunctions that are in the folder.
"""

from __future__ import annotations

import hashlib
import math
import shlex
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from heterodft.errors import (
    CalculationError,
    InputError,
    InterruptedCalculation,
    ProgramNotFoundError,
    ReaderError,
    SettingsError,
)
from heterodft.files import read_json, write_text
from heterodft.templates.steps import RELAXATIONS
from heterodft.workflows.calculation import REQUEST_FILE
from heterodft.workflows.custodians.spent import note_vasp_run
from heterodft.workflows.custodians.vasp_inputs import SEED_FILE
from heterodft.workflows.handover import relaxed_structure
from heterodft.workflows.handover_vasp import hand_over
from heterodft.workflows.inputs import prepare_inputs
from heterodft.workflows.orphans import settle_orphan

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from heterodft.workflows.calculation import Request
    from heterodft.workflows.settings import Settings

__all__ = ["other_start_is_left", "run_programs", "vasp_command"]

_CORRECTED = ("INCAR", "KPOINTS", "POSCAR")
"""Inputs that handlers may change; what was asked stays beside them as ``INCAR.orig`` …"""
_OUTPUTS = (
    "CHG", "CHGCAR", "CONTCAR", "DOSCAR", "EIGENVAL", "IBZKPT", "OSZICAR", "OUTCAR", "PCDAT", "PROCAR", "REPORT",
    "STOPCAR", "WAVECAR", "XDATCAR", "std_err.txt", "vasp.out", "vasprun.xml",
)  # fmt: skip
_MOST_CORRECTIONS = 10
_FAILED = (
    "handler",
    "validator",
    "max_errors",
    "max_errors_per_job",
    "max_errors_per_handler",
    "nonzero_return_code",
)
_BAD_STRUCTURE = ("POTIM", "Positive energy")
"""Errors after which nothing that was reached is better than the start."""


def run_programs(request: Request, folder: Path, settings: Settings) -> None:
    """Run VASP in a folder until it ended well.

    Raises
    ------
    InputError
        If there are no POTCARs.
    SettingsError
        If no command is set.
    CalculationError
        If VASP ended without a usable result.
    InterruptedCalculation
        If the worker was told to stop or its time was up; VASP wrote its state where it could.
    """
    from heterodft.workflows.custodians.vasp import vasp_handlers, vasp_validators
    from heterodft.workflows.custodians.vasp_process import VaspProcess
    from heterodft.workflows.custodians.vasp_state import vasp_state_handler
    from heterodft.workflows.custodians.watch import run_watched

    files = dict(prepare_inputs(request, settings, structure=relaxed_structure(request, folder)).files)
    asked = _checksum(files)
    settle_orphan(folder, [asked], settings)
    if "POTCAR" not in files:
        symbols = " ".join(files["POTCAR.spec"].split())
        raise InputError(f"VASP needs POTCARs to run ({symbols}): set PMG_VASP_PSP_DIR to the folder of its library")
    begun = _same_inputs(folder, files)
    again = vasp_state_handler(request)
    if begun and _why_unfinished(folder) is None and not (again is not None and again.take_up(folder)):
        return
    command = vasp_command(request, settings)
    if begun and not _diverged(folder):
        _go_on(request, folder, files)
    else:
        _begin(request, folder, files)
    run_watched(
        VaspProcess(command, asked=asked, grace=settings.grace, deadline=settings.deadline),
        folder,
        handlers=[*vasp_handlers(), *([] if again is None else [again])],
        validators=vasp_validators(),
        max_errors=_MOST_CORRECTIONS,
        skip_broken_handlers=True,
        explain=lambda: _why_unfinished(folder),
    )
    _check_end(folder)


def other_start_is_left(request: Request, folder: Path) -> bool:
    """Tell whether a cycle ended in another state, and its user wants a start that was not tried yet."""
    from heterodft.workflows.custodians.vasp_state import vasp_state_handler

    again = vasp_state_handler(request)
    return again is not None and (again.is_chosen(folder) or again.check(str(folder)))


def vasp_command(request: Request, settings: Settings) -> list[str]:
    """Return the command line that starts the build of VASP for a calculation.

    The build for Γ alone is taken where it is set and the mesh is Γ, the noncollinear one for spins with directions.

    Raises
    ------
    SettingsError
        If its command is not set or not one.
    ProgramNotFoundError
        If its first word is not installed.
    """
    mesh = request.settings.path is None and math.prod(request.settings.kpoints) == 1
    only_gamma = mesh and not any(request.settings.shift)
    key, text = "command", settings.vasp_command
    if request.directions is not None or request.spin_orbit:
        key, text = "ncl_command", settings.vasp_ncl_command
    elif only_gamma and settings.vasp_gamma_command:
        key, text = "gamma_command", settings.vasp_gamma_command
    return _words(key, text, settings.cores)


def _words(key: str, text: str | None, cores: int) -> list[str]:
    variable = {"command": "VASP_CMD", "gamma_command": "VASP_GAMMA_CMD", "ncl_command": "VASP_NCL_CMD"}[key]
    if not text:
        raise SettingsError(
            f"vasp: {key} is not set; give it in heterodft.yaml as in vasp: "
            f"{{{key}: mpirun -np {{cores}} vasp_std}}, or set {variable}"
        )
    try:
        words = shlex.split(text.replace("{cores}", str(cores)))
    except ValueError as error:
        raise SettingsError(f"vasp: {key}: '{text}': {error}; balance its quotes") from error
    if not words or shutil.which(words[0]) is None:
        raise ProgramNotFoundError(
            f"{words[0] if words else text} (of vasp: {key}: '{text}') is not installed; correct it or {variable}"
        )
    return words


def _checksum(files: dict[str, str]) -> str:
    return hashlib.sha256("\0".join(files[name] for name in sorted(files)).encode()).hexdigest()[:16]


def _same_inputs(folder: Path, files: dict[str, str]) -> bool:
    """Tell whether VASP was started here with these very inputs."""
    kept = {name: f"{name}.orig" if name in _CORRECTED else name for name in files}
    return all(_text(folder / there) == files[name] for name, there in kept.items())


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _begin(request: Request, folder: Path, files: dict[str, str]) -> None:
    """Start from what is handed on; the mark of what was asked comes last, so that a kill in between is told."""
    note_vasp_run(folder)
    for name in (*_OUTPUTS, SEED_FILE, *(f"{name}.orig" for name in _CORRECTED)):
        (folder / name).unlink(missing_ok=True)
    hand_over(request, folder, request.to_setup().takes)
    for name, text in files.items():
        write_text(folder / name, text)
    for name in _CORRECTED:
        write_text(folder / f"{name}.orig", files[name])


def _go_on(request: Request, folder: Path, files: dict[str, str]) -> None:
    """Go on from what an earlier attempt left: its structure, and its corrections unless it failed with them."""
    from heterodft.workflows.custodians.vasp_inputs import continued_poscar
    from heterodft.workflows.custodians.watch import attempts_in

    attempts = attempts_in(folder)
    failed = bool(attempts) and _failed(attempts[-1])
    for name in ("INCAR", "KPOINTS"):
        if failed or not _text(folder / name):
            write_text(folder / name, files[name])
    if request.step not in RELAXATIONS:
        write_text(folder / "POSCAR", files["POSCAR"])
        return
    for name in ("CONTCAR", "POSCAR"):
        text = continued_poscar(files["POSCAR"], _text(folder / name) or "")
        if text is not None:
            write_text(folder / "POSCAR", text)
            return
    write_text(folder / "POSCAR", files["POSCAR"])


def _failed(attempt: Mapping[str, Any]) -> bool:
    return any(attempt.get(key) for key in _FAILED)


def _diverged(folder: Path) -> bool:
    """Tell whether the last attempt failed so that its structure, density and wavefunctions are worth nothing."""
    from heterodft.workflows.custodians.watch import attempts_in

    attempts = attempts_in(folder)
    if not attempts or not _failed(attempts[-1]):
        return False
    corrections = attempts[-1].get("corrections") or [{}]
    last = corrections[-1]
    return any(error in _BAD_STRUCTURE for error in last.get("errors", []))


def _check_end(folder: Path) -> None:
    """Tell a run that was stopped, and one that ended without what was asked."""
    from heterodft.analysis.readers.vasp.assembly import how_it_ended

    if how_it_ended(folder)[0]:
        raise InterruptedCalculation(f"VASP was stopped by STOPCAR in {folder}; run again to go on")
    reason = _why_unfinished(folder)
    if reason is not None:
        raise CalculationError(f"{reason} [{folder}]")


def _why_unfinished(folder: Path) -> str | None:
    """Return what is wrong with a run, in words, or None when it ended well."""
    from heterodft.analysis.readers.vasp.assembly import how_it_ended, read_vasp
    from heterodft.workflows.custodians.vasp_inputs import cell_kept

    try:
        request = read_json(folder / REQUEST_FILE)
        stopped, cycle, _ = how_it_ended(folder)
        result = read_vasp(folder, request)
        if result.ended in ("crashed", "cut off"):
            raise ReaderError(f"{folder / 'OUTCAR'} is cut off; VASP did not get to its end there")
    except ReaderError as error:
        words = _last_words(folder)
        return f"{f'VASP ended early: {words}' if words else error}"
    if stopped:
        return "VASP was stopped by STOPCAR before it was done"
    if cycle and result.converged is False and result.step in RELAXATIONS:
        return "not relaxed; raise max_ion_steps or start from better positions"
    if not cycle or result.converged is False:
        return "SCF not converged; raise max_scf_steps or lower mixing in method"
    if not cell_kept(folder, result.structure.lattice.matrix):
        return f"VASP {result.version} changed lattice vectors that were to stay; use 6.4 or later, or cell: fixed"
    return None


def _last_words(folder: Path) -> str:
    """Return the last line of VASP's error stream or screen that says something."""
    for name in ("std_err.txt", "vasp.out"):
        with suppress(OSError):
            lines = (folder / name).read_text(encoding="utf-8", errors="replace").splitlines()
            telling = [" ".join(line.strip(" |*").split()) for line in lines if any(c.isalpha() for c in line)]
            if telling:
                return telling[-1][:200]
    return ""
