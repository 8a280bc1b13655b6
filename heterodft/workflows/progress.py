"""Where a running calculation is, told from its folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heterodft.analysis.readers.espresso_output import read_progress

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["describe_running"]


def describe_running(folder: Path) -> str:
    """Return ``pw.x, SCF iteration 5 (accuracy 1e-03 eV)``, ``projwfc.x`` or ``starting``."""
    outputs = [path for path in (folder / "projwfc.out", folder / "pw.out") if path.is_file()]
    if not outputs:
        return "starting"
    newest = max(outputs, key=lambda path: path.stat().st_mtime)
    program = f"{newest.stem}.x"
    progress = read_progress(newest) if program == "pw.x" else None
    if progress is None:
        return program
    accuracy = "" if progress.accuracy is None else f" (accuracy {progress.accuracy:.0e} eV)"
    return f"{program}, {progress.text}{accuracy}"
