"""The one Firetask: run the calculation of a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fireworks import FiretaskBase, FWAction
from fireworks.utilities.fw_utilities import explicit_serialize

from heterodft.workflows.runner import run_calculation
from heterodft.workflows.settings import load_settings

__all__ = ["RunCalculation"]


@explicit_serialize
class RunCalculation(FiretaskBase):
    """Run the calculation that the spec names with ``folder`` and ``calculation``.

    The worker's environment gives cores, command and folders; without one, as under ``rlaunch``, the settings do.
    """

    def run_task(self, fw_spec: dict[str, Any]) -> FWAction:
        """Run it and store its energy and convergence."""
        settings = load_settings(**fw_spec.get("_fw_env", {}).get("heterodft", {}))
        result = run_calculation(Path(fw_spec["folder"]), fw_spec["calculation"], settings)
        return FWAction(stored_data={"energy": result.energy, "converged": result.converged})
