"""The one Firetask: run the calculation of a folder."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fireworks import FiretaskBase, FWAction
from fireworks.utilities.fw_utilities import explicit_serialize

from heterodft.workflows.runner import run_calculation
from heterodft.workflows.settings import Settings
from heterodft.workflows.settings_file import load_settings

__all__ = ["RunCalculation"]


@explicit_serialize
class RunCalculation(FiretaskBase):
    """Run the calculation that the spec names with ``folder`` and ``calculation``.

    The worker's environment holds its settings; without one, as under ``rlaunch``, they are read from the files.
    """

    def run_task(self, fw_spec: dict[str, Any]) -> FWAction:
        """Run it and store its energy and convergence."""
        local = fw_spec.get("_fw_env", {}).get("heterodft")
        settings = load_settings() if local is None else Settings.from_dict(local)
        if "command" in fw_spec:
            given = fw_spec["command"]
            settings = replace(settings, command=given, vasp_command=given, vasp_gamma_command=None)
        result = run_calculation(settings.resolved(fw_spec["folder"]), fw_spec["calculation"], settings)
        return FWAction(stored_data={"energy": result.energy, "converged": result.converged})
