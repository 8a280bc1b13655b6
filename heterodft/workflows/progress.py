"""Where a running calculation is, told from its folder."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

from heterodft.analysis.readers.espresso.output import read_progress

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["describe_running"]

_VASP_STEP = re.compile(r"^\s*(\d+) F=", re.MULTILINE)
_VASP_ITERATION = re.compile(r"^\w+:\s*(\d+)\s+\S+\s+(\S+)", re.MULTILINE)
_OUTPUTS = ("projwfc.out", "hp.out", "pw.out")
_RESPONSE = re.compile(r"atom #\s*(\d+)\s+q point #\s*(\d+)\s+iter #\s*(\d+)")
_RESPONSE_GRID = re.compile(r"The grid of q-points[^\n]*?(\d+) q-points")


def describe_running(folder: Path) -> str:
    """Return ``pw.x, SCF iteration 5 (accuracy 1e-03 eV)``, ``hp.x, site 1, …``, ``VASP, …`` or ``starting``.

    Of other programs their name.
    """
    with suppress(OSError):
        return _describe_vasp((folder / "OSZICAR").read_text(encoding="utf-8", errors="replace"))
    outputs = [path for name in _OUTPUTS if (path := folder / name).is_file()]
    if not outputs:
        return "starting"
    newest = max(outputs, key=lambda path: path.stat().st_mtime)
    program = f"{newest.stem}.x"
    if program == "hp.x":
        return _describe_response(newest.read_text(encoding="utf-8", errors="replace"))
    progress = read_progress(newest) if program == "pw.x" else None
    if progress is None:
        return program
    accuracy = "" if progress.accuracy is None else f" (accuracy {progress.accuracy:.0e} eV)"
    return f"{program}, {progress.text}{accuracy}"


def _describe_response(text: str) -> str:
    """Tell where hp.x is: the perturbed site, the wave vector and the iteration."""
    places, grid = _RESPONSE.findall(text), _RESPONSE_GRID.search(text)
    if not places:
        return "hp.x"
    atom, point, iteration = places[-1]
    return f"hp.x, site {atom}, q-point {point}{f' of {grid[1]}' if grid else ''}, iteration {iteration}"


def _describe_vasp(text: str) -> str:
    """Tell where VASP is from its OSZICAR; the accuracy is the last change of the energy."""
    step = len(_VASP_STEP.findall(text)) + 1
    iterations = _VASP_ITERATION.findall(text)
    if not iterations:
        return "VASP"
    number, change = iterations[-1]
    place = f"ionic step {step}, " if step > 1 else ""
    try:
        accuracy = f" (accuracy {abs(float(change)):.0e} eV)"
    except ValueError:
        accuracy = ""
    return f"VASP, {place}SCF iteration {number}{accuracy}"
