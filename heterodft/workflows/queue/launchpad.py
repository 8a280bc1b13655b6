"""FireWorks' LaunchPad on one file, or on a MongoDB server when the settings name one."""

from __future__ import annotations

import os
import time
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stderr
from datetime import UTC, datetime
from functools import wraps
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import finalize

from fireworks.core.launchpad import LaunchPad
from fireworks.utilities.fw_utilities import get_fw_logger
from pymongo.errors import DuplicateKeyError, PyMongoError

from heterodft.errors import QueueError
from heterodft.files import make_folder
from heterodft.workflows.queue.filesystems import refuse_network_filesystem
from heterodft.workflows.queue.identity import is_alive, worker_name
from heterodft.workflows.queue.server import launchpad_data
from heterodft.workflows.queue.store import SqliteClient
from heterodft.workflows.settings_table import without_password

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from fireworks.core.firework import Workflow

    from heterodft.workflows.settings import Settings

__all__ = ["EmbeddedLaunchPad", "add_workflows", "atomic", "exclusive", "open_launchpad", "queue_errors"]

_TURN_SECONDS = 600


def _atomic(name: str) -> Callable[..., Any]:
    """Return a LaunchPad method as one transaction.

    FireWorks' workflow lock is then taken and released unseen, and a worker that dies inside leaves nothing.
    """
    method: Callable[..., Any] = getattr(LaunchPad, name)

    @wraps(method)
    def call(self: EmbeddedLaunchPad, *arguments: Any, **options: Any) -> Any:
        with self.connection.transaction():
            return method(self, *arguments, **options)

    return call


class EmbeddedLaunchPad(LaunchPad):
    """A LaunchPad whose database is one SQLite file and whose methods are atomic.

    Parameters
    ----------
    path
        The queue file.
    name
        Name of the database in the file.
    create
        Make the file when it is missing.
    """

    def __init__(self, path: Path, name: str = "heterodft", *, create: bool = True):
        # LaunchPad.__init__ would connect to a MongoDB server; these are the attributes it sets.
        self.host, self.port, self.name = f"sqlite://{path}", None, name
        self.username = self.password = self.logdir = None
        self.authsource, self.uri_mode = name, False
        self.mongoclient_kwargs: dict[str, Any] = {}
        self.strm_lvl = "ERROR"
        self.m_logger = get_fw_logger("launchpad", l_dir=None, stream_level=self.strm_lvl)
        self.user_indices: list[str] = []
        self.wf_user_indices: list[str] = []
        self.connection = SqliteClient(path, create=create)
        self.db = self.connection[name]
        self.fireworks, self.launches, self.workflows = self.db.fireworks, self.db.launches, self.db.workflows
        self.offline_runs, self.fw_id_assigner = self.db.offline_runs, self.db.fw_id_assigner
        self.gridfs_fallback = None
        self.backup_launch_data: dict[int, Any] = {}
        self.backup_fw_data: dict[int, Any] = {}

    @classmethod
    def from_dict(cls, d: dict[str, Any]) -> EmbeddedLaunchPad:
        """Rebuild a launchpad from `to_dict`."""
        return cls(Path(d["host"].removeprefix("sqlite://")), d["name"])

    add_wf = _atomic("add_wf")
    append_wf = _atomic("append_wf")
    archive_wf = _atomic("archive_wf")
    bulk_add_wfs = _atomic("bulk_add_wfs")
    cancel_reservation = _atomic("cancel_reservation")
    change_launch_dir = _atomic("change_launch_dir")
    checkout_fw = _atomic("checkout_fw")
    complete_launch = _atomic("complete_launch")
    defuse_fw = _atomic("defuse_fw")
    delete_fws = _atomic("delete_fws")
    delete_wf = _atomic("delete_wf")
    pause_fw = _atomic("pause_fw")
    ping_launch = _atomic("ping_launch")
    recover_offline = _atomic("recover_offline")
    reignite_fw = _atomic("reignite_fw")
    rerun_fw = _atomic("rerun_fw")
    reset = _atomic("reset")
    restore_backup_data = _atomic("restore_backup_data")
    resume_fw = _atomic("resume_fw")
    set_reservation_id = _atomic("set_reservation_id")
    _refresh_wf = _atomic("_refresh_wf")


def open_launchpad(settings: Settings, *, create: bool = True) -> LaunchPad:
    """Open the launchpad of the settings, making it ready for use; hold it, for its connection closes with it.

    Parameters
    ----------
    settings
        They name it.
    create
        Make the file when it is missing. A worker does not: its file was there and may come back.

    Raises
    ------
    QueueError
        If the file cannot be used or the server does not answer.
    """
    path = settings.queue_file
    with queue_errors(settings):
        if path is not None:
            refuse_network_filesystem(path)
            if create:
                make_folder(path.parent)
            launchpad = EmbeddedLaunchPad(path, settings.database, create=create)
            if launchpad.fw_id_assigner.find_one() is None:
                with launchpad.connection.transaction():
                    _initialize(launchpad)
            return launchpad
        launchpad = LaunchPad.from_dict(launchpad_data(settings))
        try:
            _initialize(launchpad)
            launchpad.fireworks.create_index("spec.calculation", unique=True, sparse=True)
        except PyMongoError:
            launchpad.connection.close()
            raise
        finalize(launchpad, launchpad.connection.close)
        return launchpad


def atomic(launchpad: LaunchPad) -> AbstractContextManager[Any]:
    """Return a block that is one transaction on the embedded file; a server has none for whole methods."""
    return launchpad.connection.transaction() if isinstance(launchpad, EmbeddedLaunchPad) else nullcontext()


@contextmanager
def exclusive(launchpad: LaunchPad) -> Iterator[None]:
    """Run a block while nobody else does: one transaction on the embedded file, a turn at a time on a server.

    Raises
    ------
    QueueError
        If another one has its turn on the server and does not end it.
    """
    if isinstance(launchpad, EmbeddedLaunchPad):
        with launchpad.connection.transaction():
            yield
        return
    turns, name = launchpad.db["heterodft_turns"], worker_name()
    started = time.monotonic()
    while not _take_turn(turns, name, waited=time.monotonic() - started):
        if time.monotonic() - started > 2 * _TURN_SECONDS:
            raise QueueError(f"another submission to {launchpad.name} does not end; try again when it has")
        time.sleep(0.2)
    try:
        yield
    finally:
        turns.delete_one({"_id": "submission", "by": name})


def _take_turn(turns: Any, name: str, *, waited: float) -> bool:
    """Take the turn, or end that of somebody who died or was waited for too long, to take it the next time.

    Clocks of other hosts may differ from ours: how long somebody has had the turn is not told from its time.
    """
    try:
        turns.insert_one({"_id": "submission", "by": name, "since": datetime.now(UTC).timestamp()})
    except DuplicateKeyError:
        held = turns.find_one({"_id": "submission"})
        if held is not None and (is_alive(held["by"]) is False or waited > _TURN_SECONDS):
            turns.delete_one({"_id": "submission", "by": held["by"], "since": held["since"]})
        return False
    return True


def add_workflows(launchpad: LaunchPad, workflows: Sequence[Workflow]) -> None:
    """Add many workflows at once, without the progress bar that FireWorks draws."""
    if workflows:
        with redirect_stderr(StringIO()):
            launchpad.bulk_add_wfs(workflows)


@contextmanager
def queue_errors(settings: Settings) -> Iterator[None]:
    """Turn what the database says into one line for the user.

    Raises
    ------
    QueueError
        With the place of the queue, without its password, and the remedy.
    """
    try:
        yield
    except PyMongoError as error:
        said = " ".join(str(error).split())[:200]
        remedy = "check launchpad: host: or file: in the settings (heterodft.yaml)"
        if "malformed" in said or "not a database" in said:
            remedy = "delete it and submit again; finished results are kept"
        path = settings.queue_file
        if "full" in said or (path is not None and not os.access(path.parent, os.W_OK)):
            remedy = "free some space or make it writable; nothing that was queued is lost"
        place = path or settings.launchpad_file or without_password(settings.host)
        raise QueueError(f"cannot use the queue {place}: {said}; {remedy}") from error


def _initialize(launchpad: LaunchPad) -> None:
    if launchpad.fw_id_assigner.find_one() is None:
        launchpad.reset("", require_password=False, max_reset_wo_password=0)
