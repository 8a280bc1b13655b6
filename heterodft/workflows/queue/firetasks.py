"""The Firetasks: run the calculation of a folder; let a driver decide what comes next."""

from __future__ import annotations

import time
from typing import Any

from fireworks import FiretaskBase, FWAction
from fireworks.utilities.fw_utilities import explicit_serialize

from heterodft.errors import CancelledCalculation, InterruptedCalculation, ProgramNotFoundError, StorageError
from heterodft.workflows.runner import run_calculation
from heterodft.workflows.settings import Settings
from heterodft.workflows.settings_file import load_settings

__all__ = ["Drive", "RunCalculation", "interrupted", "machine_failures"]

_SOON_SECONDS = 20.0

machine_failures: list[tuple[str, str]] = []
"""Identity and reason of the last calculations in a row that this machine, not they themselves, made fail at once."""
interrupted: list[str] = []
"""Identities of calculations that were stopped from outside or for their time."""


@explicit_serialize
class RunCalculation(FiretaskBase):
    """Run the calculation that the spec names with ``folder`` and ``calculation``.

    The worker's environment holds its settings; without one, as under ``rlaunch``, they are read from the files.
    """

    def run_task(self, fw_spec: dict[str, Any]) -> FWAction:
        """Run it and store its energy and convergence."""
        settings = _settings(fw_spec).with_command(fw_spec.get("command"))
        started = time.monotonic()
        try:
            result = run_calculation(settings.resolved(fw_spec["folder"]), fw_spec["calculation"], settings)
        except (ProgramNotFoundError, StorageError) as error:
            if time.monotonic() - started > _SOON_SECONDS:
                machine_failures.clear()
            else:
                machine_failures.append((fw_spec["calculation"], str(error)))
            raise
        except CancelledCalculation:
            raise
        except InterruptedCalculation:
            interrupted.append(fw_spec["calculation"])
            raise
        except Exception:
            machine_failures.clear()
            raise
        machine_failures.clear()
        return FWAction(stored_data={"energy": result.energy, "converged": result.converged})


@explicit_serialize
class Drive(FiretaskBase):
    """Let the driver of the spec's ``folder`` decide; what it wants is added to the queue, with its next look."""

    def run_task(self, fw_spec: dict[str, Any]) -> FWAction:
        """Ask it once."""
        from heterodft.workflows.queue.driving import drive

        settings = _settings(fw_spec)
        folder, identity = settings.resolved(fw_spec["folder"]), fw_spec["calculation"]
        return FWAction(stored_data={"words": drive(folder, identity, settings, command=fw_spec.get("command"))})


def _settings(fw_spec: dict[str, Any]) -> Settings:
    local = fw_spec.get("_fw_env", {}).get("heterodft")
    return load_settings() if local is None else Settings.from_dict(local)
