"""Batch jobs for the queue: how many, what each is given, and what became of them.

Every job has a folder ``workers/job-…`` below that of the runs, with its script, its orders (``job.json``), what it
printed (``job.out``) and the logs of its workers. ``job.id`` holds its name once it is submitted and registered; a
job that does not find its own name there does nothing.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fireworks import FWorker

from heterodft.errors import ReaderError, StorageError
from heterodft.files import make_folder, read_json, write_json, write_text
from heterodft.workflows.calculation import FAILURE_FILE
from heterodft.workflows.queue.batch import render, submit_script
from heterodft.workflows.queue.driving import run_ready_drivers
from heterodft.workflows.queue.identity import job_of, worker_name
from heterodft.workflows.queue.launchpad import open_launchpad, queue_errors
from heterodft.workflows.queue.pool import recover
from heterodft.workflows.queue.reservation import chain_of
from heterodft.workflows.queue.schedulers import jobs_there

if TYPE_CHECKING:
    from fireworks.core.launchpad import LaunchPad

    from heterodft.workflows.queue.batch_settings import BatchSettings
    from heterodft.workflows.settings import Settings

__all__ = ["ENDED_FILE", "ID_FILE", "JOB_FILE", "Launch", "Mode", "launch", "lead_seconds", "preview"]

Mode = Literal["pilot", "reserve", "offline"]
JOB_FILE, ID_FILE, ENDED_FILE = "job.json", "job.id", "ended.json"
_CLOSED_FILE = "closed"
_HOME = ("HETERODFT_SETTINGS", "XDG_CONFIG_HOME", "HOME")
"""With the working folder, what says where the files of settings are."""
_SIGNALLED_SECONDS = 600
_JOB_NAME = "heterodft"
"""Short, since some PBS take 15 letters; nothing of a campaign, since this goes into a script."""


@dataclass
class Launch:
    """What one look at the batch system and the queue led to.

    Attributes
    ----------
    submitted
        Names of new jobs, ``slurm.123``.
    active
        How many jobs wait or run now, the new ones too.
    put_back
        Paths of calculations whose job or worker is gone.
    ended
        Of each job that is over since the last look, its name and why it ended early; None when all went well.
    left
        Calculations that are ready, reserved or running.
    """

    submitted: list[str] = field(default_factory=list)
    active: int = 0
    put_back: list[str] = field(default_factory=list)
    ended: list[tuple[str, str | None]] = field(default_factory=list)
    left: int = 0


@dataclass(frozen=True)
class _Job:
    folder: Path
    name: str
    mode: str


def lead_seconds(batch: BatchSettings, settings: Settings) -> int:
    """Return how long before its end a job stops its programs.

    Their grace, ten seconds and a fiftieth of the job's time, two minutes of this at most.
    """
    return round(min(batch.walltime / 2, settings.grace + 10 + min(120, batch.walltime / 50)))


def preview(settings: Settings, batch: BatchSettings) -> str:
    """Return the script that a job would have."""
    return _script(settings, batch, settings.runs / "workers" / "job-EXAMPLE")


def launch(settings: Settings, batch: BatchSettings, *, mode: Mode = "pilot", jobs: int | None = None) -> Launch:
    """Settle what earlier jobs left and submit the jobs that there is work for.

    Parameters
    ----------
    settings
        Of this machine.
    batch
        What a job asks for.
    mode
        ``pilot`` jobs take what is ready, ``reserve`` gives each job one calculation, ``offline`` jobs run theirs
        without reaching the queue.
    jobs
        How many to submit at most.

    Raises
    ------
    QueueError
        If the queue cannot be used or the scheduler refuses a job; nothing stays reserved for it.
    ProgramNotFoundError
        If the scheduler's command is missing.
    """
    done = Launch()
    running = _close_ended(settings, done)
    done.put_back = recover(settings)
    launchpad = open_launchpad(settings)
    with queue_errors(settings):
        run_ready_drivers(launchpad, settings)
        room = max(0, batch.max_jobs - len(running))
        if mode == "pilot":
            pilots = sum(job.mode == "pilot" for job in running)
            room = min(room, _pilots_wanted(launchpad, batch) - pilots)
        for _ in range(room if jobs is None else min(room, jobs)):
            name = _submit(launchpad, settings, batch, mode)
            if name is None:
                break
            done.submitted.append(name)
        done.left = launchpad.fireworks.count_documents({"state": {"$in": ["READY", "RESERVED", "RUNNING"]}})
    done.active = len(running) + len(done.submitted)
    return done


def _pilots_wanted(launchpad: LaunchPad, batch: BatchSettings) -> int:
    """Return how many jobs have work: one calculation is ready or running for each of their places."""
    ready: int = launchpad.fireworks.count_documents({"state": "READY"})
    names = [name for name in launchpad.launches.distinct("fworker.name", {"state": "RUNNING"}) if job_of(name)]
    return -(-(ready + len(names)) // batch.per_job)


def _close_ended(settings: Settings, done: Launch) -> list[_Job]:
    """Return the jobs that wait or run, and note those that are over."""
    jobs = [job for folder in _open_folders(settings) if (job := _read_job(folder)) is not None]
    there = jobs_there([job.name for job in jobs]) if jobs else {}
    running = []
    for job in jobs:
        if there[job.name] is False:
            done.ended.append((job.name, _why_early(job.folder)))
            write_text(job.folder / _CLOSED_FILE, "")
        else:
            running.append(job)
    return running


def _open_folders(settings: Settings) -> list[Path]:
    folders = sorted((settings.runs / "workers").glob("job-*"))
    return [folder for folder in folders if not (folder / _CLOSED_FILE).exists()]


def _read_job(folder: Path) -> _Job | None:
    """Return the job of a folder; None for one that was never submitted."""
    try:
        name = (folder / ID_FILE).read_text(encoding="utf-8").strip()
        job = _Job(folder, name, str(read_json(folder / JOB_FILE)["mode"]))
    except (OSError, UnicodeDecodeError, ReaderError, KeyError):
        return None
    return job if job_of(name) else None


def _why_early(folder: Path) -> str | None:
    try:
        reasons = read_json(folder / ENDED_FILE)["reasons"]
    except (ReaderError, KeyError):
        if not (folder / "job.out").exists():
            return "it never began: it was cancelled, or the batch system dropped it"
        return f"it ended without a word; see {folder / 'job.out'}"
    return "; ".join(reasons) or None


def _submit(launchpad: LaunchPad, settings: Settings, batch: BatchSettings, mode: Mode) -> str | None:
    """Submit one job with its work; None when there is none to reserve."""
    folder = _new_folder(settings)
    launches: list[int] = []
    try:
        tasks = _reserve(launchpad, settings, batch, mode, launches)
        if tasks is None:
            _remove(folder)
            return None
        script = write_text(folder / "job.sh", _script(settings, batch, folder))
        write_json(folder / JOB_FILE, _orders(settings, batch, mode, tasks))
        name = submit_script(batch, script)
    except BaseException:
        for launch_id in launches:
            launchpad.cancel_reservation(launch_id)
        _remove(folder)
        raise
    for launch_id in launches:
        launchpad.set_reservation_id(launch_id, name)
    write_text(folder / ID_FILE, name)  # last: without it the job does nothing
    return name


def _new_folder(settings: Settings) -> Path:
    """Make the folder of a job, for its owner only."""
    parent = make_folder(settings.runs / "workers")
    stamp = f"job-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{os.getpid()}"
    for number in range(1, 100_000):
        folder = parent / f"{stamp}-{number}"
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            continue
        except OSError as error:
            raise StorageError(f"cannot make {folder}: {error.strerror}; free some space") from error
        return folder
    raise StorageError(f"{parent} holds too many folders of jobs; remove old ones")


def _remove(folder: Path) -> None:
    """Keep the script of a job that was refused, for looking at it, but no empty folder."""
    (folder / JOB_FILE).unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()
    else:
        write_text(folder / _CLOSED_FILE, "")


def _script(settings: Settings, batch: BatchSettings, folder: Path) -> str:
    command = [sys.executable, "-m", "heterodft.workflows.queue.batch_job", JOB_FILE]
    # A job stops by its own clock; the signal, up to a minute early, is for limits that were changed later.
    lead = round(settings.grace) + 10 if batch.walltime >= _SIGNALLED_SECONDS else None
    return render(batch, name=_JOB_NAME, folder=folder, command=command, lead=lead)


def _orders(settings: Settings, batch: BatchSettings, mode: Mode, tasks: list[dict[str, Any]]) -> dict[str, Any]:
    own = replace(settings, cores=batch.cores, batch={})
    return {
        "mode": mode,
        "settings": own.to_dict(secret=False),
        "home": {"folder": str(Path.cwd()), **{key: os.environ[key] for key in _HOME if key in os.environ}},
        "walltime": batch.walltime,
        "lead": lead_seconds(batch, settings),
        "per_job": batch.per_job if mode == "pilot" else len(tasks),
        "tasks": tasks,
        "host": os.uname().nodename,
    }


def _reserve(
    launchpad: LaunchPad, settings: Settings, batch: BatchSettings, mode: Mode, launches: list[int]
) -> list[dict[str, Any]] | None:
    """Reserve the calculations of a job and return what its workers are told; None when none is ready.

    The numbers of the launches are added to a list as they are made, so that they can be undone.
    """
    if mode == "pilot":
        return []
    tasks: list[dict[str, Any]] = []
    for _ in range(batch.per_job if mode == "offline" else 1):
        own = FWorker(name=worker_name(), category="__none__")  # no look of a driver that became ready just now
        firework, launch_id = launchpad.reserve_fw(own, str(settings.runs))
        if firework is None:
            break
        launches.append(launch_id)
        _forget_failures(launchpad, settings, firework.fw_id)
        if mode == "reserve":
            tasks.append({"fw_id": firework.fw_id, "launch_id": launch_id})
        else:
            tasks.append({"chain": _chain(launchpad, settings, firework.fw_id)})
    return tasks or None


def _forget_failures(launchpad: LaunchPad, settings: Settings, first: int) -> None:
    """Remove the failures of earlier attempts, which a job that never begins would seem to have left."""
    query = {"fw_id": {"$in": chain_of(launchpad, first)}, "state": {"$ne": "FIZZLED"}}
    for fw in launchpad.fireworks.find(query, {"spec.folder": 1}):
        (settings.resolved(fw["spec"]["folder"]) / FAILURE_FILE).unlink(missing_ok=True)


def _chain(launchpad: LaunchPad, settings: Settings, first: int) -> list[dict[str, Any]]:
    """Return what an offline job must know of a calculation and of those that wait for it."""
    ids = chain_of(launchpad, first)
    found = {fw["fw_id"]: fw for fw in launchpad.fireworks.find({"fw_id": {"$in": ids}}, {"fw_id": 1, "spec": 1})}
    links = launchpad.workflows.find_one({"nodes": first}, {"links": 1})["links"]
    parents = {child: int(parent) for parent, children in links.items() for child in children}
    chain = []
    for fw_id in ids:
        spec = found[fw_id]["spec"]
        folder = settings.resolved(spec["folder"])
        parent = found.get(parents.get(fw_id, 0))
        chain.append(
            {
                "folder": str(folder),
                "identity": spec["calculation"],
                "command": spec.get("command"),
                "parent": None if parent is None else parent["spec"]["calculation"],
            }
        )
    return chain
