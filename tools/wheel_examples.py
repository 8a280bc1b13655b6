"""Put the campaign files of the examples into the wheel, where `heterodft init` finds them; run by hatchling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ExamplesHook(BuildHookInterface):
    """Add examples/NAME/*.yaml as heterodft/examples/NAME/*.yaml; an editable install has them beside the package."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "standard":
            root = Path(self.root)
            for path in sorted(root.glob("examples/*/*.yaml")):
                build_data["force_include"][str(path)] = f"heterodft/{path.relative_to(root)}"
