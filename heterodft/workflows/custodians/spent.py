"""What a calculation took in all: every run of its programs, also those that were corrected, continued or cut off.

Each run of a program of Quantum ESPRESSO keeps its output (``pw.out``, ``pw.out.1`` …). VASP writes over its own, so
that what a run took is noted in ``spent.json`` before the next one starts.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from heterodft.analysis.readers.espresso.output import parse_seconds
from heterodft.errors import ReaderError
from heterodft.files import read_json, write_json
from heterodft.workflows.custodians.last_structure import outputs_of

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["note_vasp_run", "spent_in"]

SPENT_FILE = "spent.json"
_ESPRESSO_ITERATION = re.compile(r"^\s+iteration #\s*\d+", re.MULTILINE)
_ESPRESSO_TIME = re.compile(r"^\s+[A-Z][A-Z-]+\s+:\s*(\S.*?)\s*CPU\s+\S.*?WALL", re.MULTILINE)
_UP_TO_NOW = re.compile(r"total cpu time spent up to now is\s+([\d.]+) secs")
_VASP_ITERATION = re.compile(r"^(?:DAV|RMM|CG|SDA|EIG|CGA|DIA|NONE):\s+\d+", re.MULTILINE)
_VASP_TIME = re.compile(r"Total CPU time used \(sec\):\s+([\d.]+)")
_VASP_LOOP = re.compile(r"LOOP:\s+cpu time\s*([\d.]+)")
_RANKS = re.compile(r"running on\s+(\d+) (?:processor|total cores)")


def spent_in(folder: Path, code: str) -> dict[str, Any]:
    """Return what all runs in a folder took.

    Returns
    -------
    dict
        ``runs``, ``iterations`` of all SCF cycles, ``cpu_seconds`` of one rank, ``core_seconds`` of all ranks; of a
        run that was cut off up to what it printed last.
    """
    runs = [*_noted(folder), *_vasp_run(folder)] if code == "vasp" else _espresso_runs(folder)
    return {
        "runs": len(runs),
        "iterations": sum(one["iterations"] for one in runs),
        "cpu_seconds": round(sum(one["cpu_seconds"] for one in runs), 2),
        "core_seconds": round(sum(one["cpu_seconds"] * one.get("ranks", 1) for one in runs), 2),
    }


def note_vasp_run(folder: Path) -> None:
    """Note what the last run of VASP took, before its outputs are written over."""
    last = _vasp_run(folder)
    if last:
        write_json(folder / SPENT_FILE, {"runs": [*_noted(folder), *last]})


def _noted(folder: Path) -> list[dict[str, Any]]:
    if (folder / SPENT_FILE).is_file():
        with suppress(ReaderError, KeyError):
            return list(read_json(folder / SPENT_FILE)["runs"])
    return []


def _vasp_run(folder: Path) -> list[dict[str, Any]]:
    cycles, text = _text(folder / "OSZICAR"), _text(folder / "OUTCAR")
    if not text:
        return []
    ends = _VASP_TIME.findall(text)
    seconds = float(ends[-1]) if ends else sum(map(float, _VASP_LOOP.findall(text)))
    return [{"iterations": len(_VASP_ITERATION.findall(cycles)), "cpu_seconds": seconds, "ranks": _ranks(text)}]


def _espresso_runs(folder: Path) -> list[dict[str, Any]]:
    texts = [_text(path) for file in sorted(folder.glob("*.in")) for path in outputs_of(folder, file.name)]
    return [
        {
            "iterations": len(_ESPRESSO_ITERATION.findall(text)),
            "cpu_seconds": _espresso_seconds(text),
            "ranks": _ranks(text),
        }
        for text in texts
    ]


def _ranks(text: str) -> int:
    found = _RANKS.search(text)
    return int(found[1]) if found else 1


def _espresso_seconds(text: str) -> float:
    ends = _ESPRESSO_TIME.findall(text)
    if ends:
        return parse_seconds(ends[-1])
    return max(map(float, _UP_TO_NOW.findall(text)), default=0.0)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
