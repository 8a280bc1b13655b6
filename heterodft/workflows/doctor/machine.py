"""The machine: Python, cores, memory, disk, pseudopotentials, queue and batch system."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from heterodft.errors import HeterodftError
from heterodft.templates.pseudopotentials import family_for
from heterodft.workflows.doctor.espresso import is_asked_for
from heterodft.workflows.doctor.finding import Finding, note, problem, well

if TYPE_CHECKING:
    from pathlib import Path

    from heterodft.workflows.settings import Settings

__all__ = ["examine_batch", "examine_machine", "examine_pseudopotentials", "examine_queue"]

_LIBRARIES = ("heterodft", "numpy", "pymatgen", "ase", "spglib", "fireworks", "custodian", "pydantic", "matplotlib")
_SUBMIT = {"slurm": "sbatch", "pbs": "qsub", "torque": "qsub", "sge": "qsub", "lsf": "bsub"}


def examine_machine(settings: Settings) -> list[Finding]:
    """Look at Python and libraries, cores and memory, and the disk of the runs."""
    import psutil

    versions, absent = [], []
    for name in _LIBRARIES:
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            absent.append(name)
    told = f"{sys.version.split()[0]}, {sys.executable}"
    found = [well("Python", "Python", told), well("Python", "libraries", ", ".join(versions))]
    if absent:
        found.append(
            note("Python", "libraries", f"no version is known of {', '.join(absent)}", "pip install heterodft")
        )
    cores = len(os.sched_getaffinity(0))
    memory = psutil.virtual_memory().total / 1e9
    many = f"{settings.cores} of {cores} cores, {memory:.0f} GB of memory"
    if settings.cores > cores:
        remedy = f"give cores: {cores} in the settings"
        found.append(note("machine", "cores", f"{many}: more than there are", remedy))
    else:
        found.append(well("machine", "cores", many))
    return [*found, _disk(settings)]


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest above it that is there."""
    return next(path for path in (folder, *folder.parents) if path.is_dir())


def _disk(settings: Settings) -> Finding:
    folder = _existing(settings.runs)
    free = shutil.disk_usage(folder).free / 1e9
    told = f"{free:.0f} GB free for {settings.runs}"
    if not os.access(folder, os.W_OK):
        return problem("machine", "disk", f"{folder} cannot be written to", "make it writable, or give another runs:")
    if free < settings.keep_free:
        remedy = "free some space, or give disk: {free: …} or another runs: in the settings"
        return problem("machine", "disk", f"{told}, less than the {settings.keep_free:g} GB to be left", remedy)
    return well("machine", "disk", told)


def examine_pseudopotentials(settings: Settings) -> list[Finding]:
    """Look for UPF files: those of the folder in the settings, or the installed family of PBE."""
    missing = problem if is_asked_for(settings) else note
    folder = settings.pseudo_dir
    if folder is not None:
        number = sum(path.suffix.lower() == ".upf" for path in folder.iterdir()) if folder.is_dir() else 0
        if number:
            return [well("pseudopotentials", "UPF", f"{number} files in {folder}")]
        remedy = "correct espresso: pseudo_dir: or ESPRESSO_PSEUDO, or unset it to use the installed family"
        return [missing("pseudopotentials", "UPF", f"no UPF file in {folder}", remedy)]
    family = family_for("PBE")
    absent = [entry for entry in family.files.values() if not (family.folder / entry["file"]).is_file()]
    if absent:
        what = "is not installed" if len(absent) == len(family.files) else f"lacks {len(absent)} files"
        remedy = f"heterodft pseudos install {family.name}"
        return [missing("pseudopotentials", "UPF", f"{family.name} {what}", remedy)]
    return [well("pseudopotentials", "UPF", f"{family.name}, {len(family.files)} elements, {family.folder}")]


def examine_queue(settings: Settings) -> list[Finding]:
    """Look whether the launchpad can be reached and written to; nothing is left there."""
    from heterodft.workflows.queue.visit import visit_launchpad

    try:
        return [well("queue", "launchpad", visit_launchpad(settings))]
    except HeterodftError as error:
        return [problem("queue", "launchpad", str(error))]


def examine_batch(settings: Settings) -> list[Finding]:
    """Look for a batch system, and whether the ``batch:`` section is right."""
    here = sorted({command for command in _SUBMIT.values() if shutil.which(command)})
    if not settings.batch:
        if not here:
            return [well("batch system", "none", "no batch: section, and no sbatch, qsub or bsub here")]
        remedy = "to use it with heterodft launch: batch: {scheduler: …, walltime: 4 h} in the settings"
        return [note("batch system", "none", f"{', '.join(here)} is here, but there is no batch: section", remedy)]
    from heterodft.workflows.queue.batch_settings import read_batch_settings

    try:
        batch = read_batch_settings(settings)
    except HeterodftError as error:
        return [problem("batch system", "section", str(error))]
    command = _SUBMIT[batch.scheduler]
    if command not in here:
        remedy = "run this on a host that submits jobs, or correct batch: scheduler:"
        return [problem("batch system", batch.scheduler, f"{command} is not on PATH", remedy)]
    return [well("batch system", batch.scheduler, f"{shutil.which(command)}, jobs of {batch.cores} cores")]
