"""The program of a VASP calculation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heterodft.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from heterodft.workflows.calculation import Request
    from heterodft.workflows.settings import Settings

__all__ = ["remove_scratch", "run_programs"]


def run_programs(request: Request, folder: Path, settings: Settings) -> None:
    """Run VASP in a folder until it ended well."""
    raise InputError("code: vasp: its calculations are not run yet; write them with: heterodft inputs FILE")


def remove_scratch(request: Request, folder: Path) -> None:
    """Remove what no later step reads."""
