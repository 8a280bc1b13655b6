"""Drivers in the queue: each look of a driver at its results is an entry, which makes a detour of what it wants next.

The calculations of a detour end with the driver's next look, also where some of them failed. A look that died is
made again like a calculation; it changes nothing until its detour is recorded.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from fireworks import Firework, FWorker, Workflow
from fireworks.core.rocket import Rocket

from heterodft.errors import CalculationError, HeterodftError, QueueError
from heterodft.files import write_json
from heterodft.workflows.calculation import FAILURE_FILE
from heterodft.workflows.drivers import strategy_of
from heterodft.workflows.drivers.driver import Finished, read_driver, write_driver
from heterodft.workflows.queue.control import rerun
from heterodft.workflows.queue.entries import Entries, is_look
from heterodft.workflows.queue.firetasks import Drive
from heterodft.workflows.queue.identity import worker_name
from heterodft.workflows.queue.launchpad import add_workflows, exclusive, open_launchpad, queue_errors
from heterodft.workflows.queue.submission import Submitter

if TYPE_CHECKING:
    from pathlib import Path

    from fireworks.core.launchpad import LaunchPad

    from heterodft.workflows.drivers.driver import Driver
    from heterodft.workflows.queue.entries import Entry
    from heterodft.workflows.settings import Settings

__all__ = ["DriverState", "drive", "run_ready_drivers", "submit_driver"]

_log = logging.getLogger(__name__)
_LIVE = ("WAITING", "READY", "RESERVED", "RUNNING", "PAUSED")
_NAME = "driver"

DriverState = Literal["queued", "waiting", "ended"]


def submit_driver(driver: Driver, settings: Settings, *, command: str | None = None) -> DriverState:
    """Put a driver into the queue; nothing changes where it is there or has ended.

    Parameters
    ----------
    driver
        The driver.
    settings
        Launchpad and folder of the runs.
    command
        How to start pw.x for its calculations, instead of the settings of the worker.

    Returns
    -------
    str
        ``queued``; ``waiting`` when it was there already; ``ended`` when its question is answered.

    Raises
    ------
    StorageError
        If its folder cannot be written.
    QueueError
        If the queue cannot be used.
    """
    launchpad = open_launchpad(settings)
    with queue_errors(settings), exclusive(launchpad):
        entries = Entries(launchpad)
        folder = settings.stored(settings.runs / driver.name)
        _take_out_older(launchpad, driver, entries.in_folder(folder))
        write_driver(driver, settings.runs)
        looks = _looks(driver.id, entries)
        if any(look.state in _LIVE for look in looks):
            return "waiting"
        if strategy_of(driver).decide(driver, Finished(settings.runs)).ended:
            return "ended"
        if looks and looks[-1].state == "FIZZLED":
            rerun(launchpad, looks[-1].fw_id or 0)
            return "queued"
        look = _next_look(driver, folder, looks, command)
        add_workflows(launchpad, [Workflow([look], name=look.name, metadata={"campaign": driver.name})])
    return "queued"


def _take_out_older(launchpad: LaunchPad, driver: Driver, there: list[Entry]) -> None:
    """Take looks of a driver that was asked for otherwise out of the queue; what it computes runs to its end."""
    for entry in there:
        if not entry.identity.startswith(f"{driver.id}-") and entry.state in (*_LIVE, "FIZZLED"):
            launchpad.defuse_fw(entry.fw_id)


def _looks(identity: str, entries: Entries) -> list[Entry]:
    """Return the entries of a driver in the order of their numbers."""
    found = [entry for entry in entries if entry.identity.startswith(f"{identity}-")]
    return sorted(found, key=_number)


def _number(entry: Entry) -> int:
    return int(entry.identity.rpartition("-")[2])


def _next_look(driver: Driver, folder: str, looks: list[Entry], command: str | None) -> Firework:
    number = _number(looks[-1]) + 1 if looks else 1
    spec = {"folder": folder, "calculation": f"{driver.id}-{number}", "_allow_fizzled_parents": True}
    if command is not None:
        spec["command"] = command
    return Firework([Drive()], spec=spec, name=f"{driver.name}/{_NAME}", fw_id=-1)


def drive(
    folder: Path, identity: str, settings: Settings, *, command: str | None = None
) -> tuple[str, Workflow | None]:
    """Let a driver look at its results.

    Parameters
    ----------
    folder
        Holds ``driver.json``.
    identity
        Of the entry: that of the driver and the number of the look.
    settings, command
        As in `submit_driver`.

    Returns
    -------
    words
        What it decided.
    detour
        What it wants computed, ending with its next look; None when it has ended, or waits elsewhere.

    Raises
    ------
    CalculationError
        If the folder holds another driver; ``failure.json`` then says why.
    """
    try:
        (folder / FAILURE_FILE).unlink(missing_ok=True)
        driver = read_driver(folder)
        if driver.id != identity.partition("-")[0]:
            raise CalculationError(f"{folder} now holds another driver; this one is not needed any more")
        settings = replace(settings, runs=folder.parent)
        return _look(driver, int(identity.rpartition("-")[2]), settings, command)
    except HeterodftError as error:
        with suppress(HeterodftError):
            write_json(folder / FAILURE_FILE, {"reason": str(error), "interrupted": False})
        raise


def _look(driver: Driver, number: int, settings: Settings, command: str | None) -> tuple[str, Workflow | None]:
    """Decide until something is left to be computed; what another campaign has finished is there at once."""
    launchpad = open_launchpad(settings, create=False)
    folder = settings.stored(settings.runs / driver.name)
    told: list[str] = []
    while True:
        decision = strategy_of(driver).decide(driver, Finished(settings.runs))
        _log.info("%s: %s", driver.name, decision.words)
        if decision.ended:
            return decision.words, None
        if decision.words in told:
            raise QueueError(f"{decision.words}: nothing is left to wait for; put back what failed: heterodft retry")
        told.append(decision.words)
        with queue_errors(settings), exclusive(launchpad):
            looks = _looks(driver.id, Entries(launchpad))
            if any(look.state in _LIVE and _number(look) > number for look in looks):
                return decision.words, None  # after a retry: that one will see what this one saw
            submitter = Submitter(launchpad, settings, command)
            submitter.decide(decision.chains)
            if submitter.is_waiting:
                return decision.words, submitter.before(_next_look(driver, folder, looks, command))


def run_ready_drivers(launchpad: LaunchPad, settings: Settings) -> None:
    """Let every driver look that is ready to, here and now: a batch job is too much for it."""
    worker = FWorker(name=worker_name(), env={"heterodft": settings.to_dict(secret=False)})
    while ready := _ready_looks(launchpad):
        for fw_id in ready:
            Rocket(launchpad, worker, fw_id).run()


def _ready_looks(launchpad: LaunchPad) -> list[int]:
    wanted = {"state": "READY", "spec.calculation": {"$exists": True}}
    found = launchpad.fireworks.find(wanted, {"fw_id": 1, "spec.calculation": 1})
    return [fw["fw_id"] for fw in found if is_look(fw["spec"]["calculation"])]
