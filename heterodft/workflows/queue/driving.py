"""Drivers in the queue: each look of a driver at its results is an entry, below which it adds what it wants next.

What it adds ends with the driver's next look, also where some of it failed. Deciding and adding are one step, so that
two drivers never add the same calculation. A look that died is made again; where it had added something already, it
adds nothing.
"""

from __future__ import annotations

import io
import logging
from contextlib import suppress
from dataclasses import replace
from os.path import normpath
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fireworks import Firework, FWorker, Workflow
from fireworks.core import rocket
from pymongo.errors import ConnectionFailure

from heterodft.errors import HeterodftError, QueueError
from heterodft.files import write_json
from heterodft.workflows.calculation import FAILURE_FILE, finished_id
from heterodft.workflows.disk import clean_driver
from heterodft.workflows.drivers import strategy_of
from heterodft.workflows.drivers.decisions import write_decision
from heterodft.workflows.drivers.driver import Finished, read_driver, write_driver
from heterodft.workflows.handover import has_density
from heterodft.workflows.queue.control import rerun
from heterodft.workflows.queue.entries import UNFINISHED, Entries, is_look
from heterodft.workflows.queue.firetasks import Drive
from heterodft.workflows.queue.identity import worker_name
from heterodft.workflows.queue.launchpad import add_workflows, exclusive, open_launchpad, queue_errors
from heterodft.workflows.queue.submission import Submission
from heterodft.workflows.queue.submitter import Submitter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fireworks.core.launchpad import LaunchPad

    from heterodft.workflows.drivers.driver import Chain, Driver
    from heterodft.workflows.queue.entries import Entry
    from heterodft.workflows.settings import Settings

__all__ = ["DriverState", "drive", "run_ready_drivers", "submit_driver"]

_log = logging.getLogger(__name__)
_NAME = "driver"
_REPLACED = "asked for otherwise since; nothing more is computed for this one"

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
        write_driver(driver, settings.runs)
        _take_out_older(launchpad, driver, entries.in_folder(folder))
        looks = _looks(driver.id, entries)
        if any(look.state in UNFINISHED for look in looks):
            return "waiting"
        decision = strategy_of(driver).decide(driver, Finished(settings.runs))
        write_decision(decision, driver, settings.runs)
        if decision.ended:
            if looks and looks[-1].state == "FIZZLED":  # what it failed for was mended without it
                launchpad.defuse_fw(looks[-1].fw_id)
            (settings.runs / driver.name / FAILURE_FILE).unlink(missing_ok=True)
            return "ended"
        if looks and looks[-1].state == "FIZZLED":
            rerun(launchpad, looks[-1].fw_id or 0)
            return "queued"
        look = _next_look(driver, folder, looks, command)
        add_workflows(launchpad, [Workflow([look], name=look.name, metadata={"campaign": driver.name})])
    return "queued"


def _take_out_older(launchpad: LaunchPad, driver: Driver, there: list[Entry]) -> None:
    """Take looks of a driver that was asked for otherwise out of the queue; what it computes runs to its end.

    One that runs finds out by itself.
    """
    for entry in there:
        if not entry.identity.startswith(f"{driver.id}-") and entry.state in (
            "WAITING",
            "READY",
            "PAUSED",
            "FIZZLED",
        ):
            launchpad.defuse_fw(entry.fw_id)


def _looks(identity: str, entries: Entries) -> list[Entry]:
    """Return the entries of a driver in the order of their numbers."""
    found = [entry for entry in entries if entry.identity.startswith(f"{identity}-")]
    return sorted(found, key=_number)


def _number(entry: Entry) -> int:
    return int(entry.identity.rpartition("-")[2])


def _next_look(driver: Driver, folder: str, looks: list[Entry], command: str | None) -> Firework:
    number = _number(looks[-1]) + 1 if looks else 1
    spec = {
        "folder": folder,
        "calculation": f"{driver.id}-{number}",
        "_allow_fizzled_parents": True,
        "_category": _NAME,
    }
    if command is not None:
        spec["command"] = command
    return Firework([Drive()], spec=spec, name=f"{driver.name}/{_NAME}", fw_id=-1)


def drive(folder: Path, identity: str, settings: Settings, *, command: str | None = None) -> str:
    """Let a driver look at its results, and add what it wants next to the queue.

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
    str
        What it decided, in words.

    Raises
    ------
    CalculationError
        If the folder holds no usable driver; ``failure.json`` then says why, as for all that goes wrong.
    QueueError
        If there is nothing left to wait for, or the queue cannot be used.
    """
    try:
        (folder / FAILURE_FILE).unlink(missing_ok=True)
        return _Look(folder, identity, settings, command).make()
    except HeterodftError as error:  # a queue that was away will be back: the look is then made again
        _write_failure(folder, str(error), interrupted=isinstance(error.__cause__, ConnectionFailure))
        raise
    except Exception as error:
        reason = f"a fault of heterodft ({type(error).__name__}: {error}); please report it with runs/workers"
        _write_failure(folder, reason)
        raise


def _write_failure(folder: Path, reason: str, *, interrupted: bool = False) -> None:
    with suppress(HeterodftError):
        write_json(folder / FAILURE_FILE, {"reason": reason, "interrupted": interrupted})


class _Look:
    """One look of a driver at its results."""

    def __init__(self, folder: Path, identity: str, settings: Settings, command: str | None):
        self.folder, self.identity, self.command = folder, identity, command
        self.settings = replace(settings, runs=folder.parent)
        self.launchpad = open_launchpad(settings, create=False)

    def make(self) -> str:
        """Decide until something is left to be computed; what another campaign has finished is there at once."""
        driver = read_driver(self.folder)
        asked: list[set[str]] = []
        while driver.id == self.identity.partition("-")[0]:
            decision = strategy_of(driver).decide(driver, Finished(self.settings.runs))
            _log.info("%s: %s", driver.name, decision.words)
            write_decision(decision, driver, self.settings.runs)
            if decision.ended:
                clean_driver(self.folder, self.settings.keep_files)
                return decision.words
            wanted = {request.id for chain in decision.chains for request in chain}
            if wanted in asked:
                raise QueueError(
                    f"{decision.words}: nothing is left to wait for; put back what failed with heterodft retry, then "
                    "give heterodft converge again"
                )
            asked.append(wanted)
            if self._take_back_without_density(decision.chains):
                asked.clear()
            elif self._add(driver, decision.chains):
                return decision.words
        return _REPLACED

    def _add(self, driver: Driver, chains: Sequence[Chain]) -> bool:
        """Add chains to the queue and the next look behind them; return whether there is something to wait for."""
        with queue_errors(self.settings), exclusive(self.launchpad):
            entries = Entries(self.launchpad)
            looks, own = _looks(driver.id, entries), entries.find(self.identity)
            if own is None or own.fw_id is None or read_driver(self.folder).id != driver.id:
                return True  # taken out of the queue, or replaced
            if any(look.state in UNFINISHED and _number(look) > _number(own) for look in looks):
                return True  # after a retry or a death: that one will see what this one saw
            last = _next_look(driver, own.folder, looks, self.command)
            submitter = Submitter(self.launchpad, self.settings, self.command, Submission())
            busy = submitter.in_the_way(chains)
            if busy is not None:  # by an older driver, or since the campaign was changed
                self.launchpad.append_wf(Workflow([last]), [busy])
                return True
            submitter.decide(chains)
            return submitter.enqueue_before(last, own.fw_id)

    def _take_back_without_density(self, chains: Sequence[Chain]) -> bool:
        """Take back the results of calculations whose density is wanted and gone; return whether there were any.

        The driver then asks for them again. They come from a campaign that keeps no densities.
        """
        gone = []
        for first in [chain[0] for chain in chains]:
            parent = first.about.get("parent_folder")
            if first.parent is None or parent is None or finished_id(self.settings.runs / first.path) == first.id:
                continue
            folder = Path(normpath(self.settings.runs / first.path / parent))
            if finished_id(folder) == first.parent and not has_density(folder):
                gone.append(folder)
        for folder in dict.fromkeys(gone):
            _log.info("%s has lost its density, from which the next point starts: it is computed again", folder)
            (folder / "result.json").replace(folder / "result-without-density.json")
        return bool(gone)


def run_ready_drivers(launchpad: LaunchPad, settings: Settings) -> None:
    """Let every driver look that is ready to, here and now: a batch job is too much for it."""
    worker = FWorker(name=worker_name(), env={"heterodft": settings.to_dict(secret=False)})
    rocket.PRINT_FW_JSON = False  # workers have this from fw_config.yaml
    while ready := _ready_looks(launchpad):
        for fw_id in ready:
            said = io.StringIO()
            rocket.Rocket(launchpad, worker, fw_id).run(err_file=said)
            if said.getvalue():
                _log.debug("%s", said.getvalue())


def _ready_looks(launchpad: LaunchPad) -> list[int]:
    wanted = {"state": "READY", "spec.calculation": {"$exists": True}}
    found = launchpad.fireworks.find(wanted, {"fw_id": 1, "spec.calculation": 1})
    return [fw["fw_id"] for fw in found if is_look(fw["spec"]["calculation"])]
