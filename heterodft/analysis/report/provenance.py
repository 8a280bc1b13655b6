"""Where the numbers come from: convergence and states, versions, files, time."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from heterodft import __version__
from heterodft.analysis.report.page_tables import PageTable
from heterodft.analysis.report.summary import CODES
from heterodft.words import number_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from heterodft.analysis.report.runs import Run

__all__ = ["cost_table", "pseudopotential_table", "run_table", "runs_frame", "versions_table"]

_DETAILS = 6
"""The column that is left out where it is empty."""
_LIBRARIES = ("pymatgen", "ase", "spglib", "numpy", "scipy", "fireworks", "custodian", "matplotlib")


def run_table(runs: Sequence[Run]) -> PageTable | None:
    """Return convergence and state of each finished calculation with an SCF cycle of its own."""
    rows = [_run_row(run) for run in runs if run.result and run.result.get("converged") is not None]
    header = ["structure", "order asked for", "U", "step", "SCF", "state", "where and which",
              "iterations", "accuracy (eV)", "corrections"]  # fmt: skip
    if not rows:
        return None
    kept = [i for i in range(len(header)) if i != _DETAILS or any(row[i] != "–" for row in rows)]
    words = sum(i <= _DETAILS for i in kept)
    return PageTable([header[i] for i in kept], [[row[i] for i in kept] for row in rows], words)


def _run_row(run: Run) -> list[str]:
    about, result = run.about, run.result
    state = (result.get("request") or {}).get("state") or {}
    told = (str(state.get(key) or "") for key in ("words", "order"))
    details = ", ".join(words for words in told if words not in {"", "kept", about.get("order")})
    accuracy = result.get("accuracy")
    return [
        str(about.get("name", "")),
        str(about.get("order", "")),
        ".".join(str(about[key]) for key in ("hubbard", "variant") if about.get(key)),
        run.step,
        "converged" if result["converged"] else "NOT converged",
        f"{state.get('verdict') or '–'}{' (accepted)' if state.get('choice') == 'accept' else ''}",
        details or "–",
        str(result.get("iterations") or "–"),
        "–" if accuracy is None else f"{accuracy:.0e}",
        str(len(result.get("corrections") or ()) or "–"),
    ]


def pseudopotential_table(runs: Sequence[Run], families: Mapping[str, str]) -> PageTable | None:
    """Return each pseudopotential with its checksum, the published set it belongs to, and how often it was used."""
    found: dict[tuple[str, str], int] = {}
    for run in runs:
        for element, name in (run.request.get("pseudopotentials") or {}).items():
            found[element, str(name)] = found.get((element, str(name)), 0) + 1
    rows = [
        [element, families.get(name, "–"), name, f"{count} of {len(runs)}"]
        for (element, name), count in sorted(found.items())
    ]
    return PageTable(["element", "set", "SHA-256, or POTCAR", "calculations"], rows, 4) if rows else None


def versions_table(runs: Sequence[Run]) -> PageTable:
    """Return the versions of the codes that ran, as their outputs say, and of what reads them now."""
    counts: dict[tuple[str, str], int] = {}
    for run in runs:
        if run.result:
            key = CODES.get(run.code, run.code), str(run.result.get("version") or "not told")
            counts[key] = counts.get(key, 0) + 1
    rows = [
        [name, number, f"{number_of(count, 'calculation')}, as printed"]
        for (name, number), count in sorted(counts.items())
    ]
    rows += [["heterodft", __version__, "this report"], ["Python", platform.python_version(), "this report"]]
    rows += [[name, _version(name), "this report"] for name in _LIBRARIES]
    return PageTable(["program", "version", "of"], rows, 3)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def cost_table(runs: Sequence[Run]) -> PageTable | None:
    """Return the time of the finished calculations by step, as the programs print it."""
    done = [run for run in runs if run.result]
    steps = list(dict.fromkeys(run.step for run in done))
    groups = [(step, [run for run in done if run.step == step]) for step in steps]
    if len(groups) > 1:
        groups.append(("all", done))
    rows = [
        [
            step, str(len(own)), _hours(sum(run.core_seconds for run in own)),
            _hours(sum(run.wall_seconds for run in own)),
        ]
        for step, own in groups
    ]  # fmt: skip
    return PageTable(["step", "calculations", "CPU time (h)", "wall time (h)"], rows, 1) if rows else None


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.3f}"


def runs_frame(runs: Sequence[Run]) -> Any:
    """Return one row a calculation: where it is, what names it, what became of it."""
    from pandas import DataFrame

    return DataFrame(
        [
            {
                "calculation": "/".join(run.folder.parts[-5:]),
                "id": run.id,
                "code": run.code,
                "version": run.result.get("version"),
                "finished": bool(run.result),
                "converged": run.result.get("converged"),
                "iterations": run.result.get("iterations"),
                "accuracy_eV": run.result.get("accuracy"),
                "core_seconds": run.core_seconds if run.result else None,
                "wall_seconds": run.wall_seconds if run.result else None,
            }
            for run in runs
        ]
    )
