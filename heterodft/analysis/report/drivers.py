"""What the drivers of a campaign found, as the page shows it: convergence, U scans, U by linear response, starts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from heterodft.analysis.plots import save_figure
from heterodft.analysis.report.inline_svg import inline, thin
from heterodft.analysis.report.page_tables import PageTable
from heterodft.files import make_folder, write_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure
    from pandas import DataFrame

__all__ = ["UNSURE", "DriverFindings", "driver_page"]

UNSURE = "without a sure answer"
"""State of a driver that ended without what it was asked for."""


@dataclass(frozen=True)
class DriverFindings:
    """What one driver found so far.

    Attributes
    ----------
    name, kind
        ``crn.cutoff`` and ``cutoff``.
    title
        One line.
    state
        ``finished``, ``not finished yet``, or why its answer is not sure.
    words
        Lines for people: what is recommended and why, what is doubtful.
    tables
        By the name of the CSV file they go to.
    figures
        By the name of the file they go to, which is that of the table they show.
    shown
        Narrower tables for the page, by their titles; those of `tables` where there are none.
    failures
        Why what failed did so, by path.
    folders
        Of its calculations.
    distorted
        Whether some started from a structure distorted around a defect.
    """

    name: str
    kind: str
    title: str
    state: str
    words: tuple[str, ...]
    tables: Mapping[str, DataFrame]
    figures: Mapping[str, Figure] = field(default_factory=dict)
    shown: Mapping[str, DataFrame] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    folders: Sequence[Path] = ()
    distorted: bool = False


def driver_page(driver: DriverFindings, folder: Path) -> dict[str, Any]:
    """Write tables and figures of a driver into a folder of its own below the report's; return what is shown."""
    own = make_folder(folder / driver.kind)
    for name, frame in driver.tables.items():
        if len(frame.columns):
            write_text(own / f"{name}.csv", frame.to_csv(index=False, lineterminator="\n"))
    figures = []
    for name, figure in driver.figures.items():
        save_figure(figure, driver.tables.get(name, next(iter(driver.tables.values()))), own / name)
        svg = thin((own / f"{name}.svg").read_text(encoding="utf-8"))
        write_text(own / f"{name}.svg", svg)
        figures.append({"name": name, "svg": inline(svg, f"{driver.kind}-{name}")})
    shown = driver.shown or {name.replace("_", " "): frame for name, frame in driver.tables.items()}
    tables = [{"title": title, "grid": _grid(frame)} for title, frame in shown.items() if len(frame)]
    return {"driver": driver, "figures": figures, "tables": tables}


def _grid(frame: DataFrame) -> PageTable:
    """Return a table whose numbers are set to the right: by their type, or by ``>`` before the name of the column."""
    names = [str(name) for name in frame.columns]
    kinds = [frame.iloc[:, i].dtype.kind for i in range(len(names))]
    numbers = {i for i, name in enumerate(names) if name.startswith(">") or kinds[i] in "if"}
    rows = [[_cell(value) for value in row] for row in frame.itertuples(index=False)]
    return PageTable([name.removeprefix(">") for name in names], rows, 0, numbers=frozenset(numbers))


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
