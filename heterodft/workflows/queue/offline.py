"""Calculations without the queue, for nodes that cannot reach it: their folders alone say what became of them."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from heterodft.errors import HeterodftError, InterruptedCalculation, StorageError
from heterodft.files import write_json
from heterodft.workflows.calculation import FAILURE_FILE
from heterodft.workflows.queue.limits import TimeLeft, check_disk
from heterodft.workflows.runner import run_calculation
from heterodft.workflows.settings import Settings

__all__ = ["run_chain"]

_log = logging.getLogger(__name__)


def run_chain(options: dict[str, Any]) -> None:
    """Run the calculations of one chain in their order.

    What follows from one that failed or was interrupted is left alone. Whoever has the queue records the folders
    when the job is over.

    Parameters
    ----------
    options
        ``settings`` as of `Settings.to_dict`, and the ``chain``: ``folder``, ``identity`` and ``command`` of each
        calculation and the identity of its ``parent``.

    Raises
    ------
    StorageError
        If the disk of the runs is almost full.
    """
    settings = Settings.from_dict(options["settings"])
    time_left = TimeLeft(settings)
    missing: set[str] = set()
    for entry in options["chain"]:
        if os.getppid() != options["parent"] or not time_left.for_another():
            return
        check_disk(settings)
        if entry["parent"] in missing:
            missing.add(entry["identity"])
            continue
        _log.info("running %s", entry["folder"])
        try:
            run_calculation(Path(entry["folder"]), entry["identity"], settings.with_command(entry["command"]))
        except InterruptedCalculation:
            return
        except StorageError:
            raise
        except HeterodftError as error:
            _log.warning("failed: %s", error)
            missing.add(entry["identity"])
        except Exception as error:  # noqa: BLE001, a fault of ours; without a record it would be put back for ever
            _log.exception("failed")
            write_json(Path(entry["folder"]) / FAILURE_FILE, {"reason": repr(error), "interrupted": False})
            missing.add(entry["identity"])
