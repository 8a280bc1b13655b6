"""What ``heterodft converge`` prints and writes of its drivers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

from heterodft.cli.common import print_table
from heterodft.words import number_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pandas import DataFrame

    from heterodft.workflows.drivers.driver import Summary

__all__ = ["print_preview", "print_summary", "write_summary"]


def print_preview(found: dict[str, Any], *, repeated: bool) -> None:
    """Print what a driver may compute, point by point; with `repeated` each point comes in several branches."""
    click.echo(
        f"{found['driver']}: {number_of(found['calculations'], 'calculation')}"
        f"{'' if found['more'] else ' at the most'}, "
        f"an estimated {_hours(found['core_hours'])} core-hours" + (f"; and {found['more']}" if found["more"] else "")
    )
    columns = ["point", ">calculations", ">core-hours"]
    if repeated:
        columns[1:] = [f"{name} of a branch" for name in columns[1:]]
    cells = [[p["label"], str(p["calculations"]), _hours(p["core_hours"])] for p in found["points"]]
    print_table("", columns, cells)


def print_summary(found: Summary, costs: dict[str, Any]) -> None:
    """Print the tables of a driver, what it says, and what it cost."""
    click.echo(found.title)
    for title, frame in (found.shown or dict.fromkeys(found.tables)).items():
        table = found.tables[title] if frame is None else frame
        if not len(table):
            continue
        if frame is not None:
            click.echo(f"\n{title}")
        _print_frame(table)
    for words in (*found.words, *_cost_words(costs)):
        click.echo(words)


def _print_frame(frame: DataFrame) -> None:
    columns = [f">{name}" if frame[name].dtype.kind in "if" else str(name) for name in frame.columns]
    print_table("", columns, [[_cell(value) for value in row] for row in frame.itertuples(index=False)])


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _hours(hours: float) -> str:
    return f"{hours:.2g}" if hours < 10 else f"{hours:.0f}"


def _cost_words(costs: dict[str, Any]) -> Iterator[str]:
    if not costs:
        return
    if costs["saved"]["calculations"]:
        done, saved = costs["computed"]["core_hours"], costs["saved"]["core_hours"]
        count = costs["saved"]["calculations"]
        yield (
            f"saved by stopping early: {count} calculation{'s' * (count != 1)}, an estimated {_hours(saved)} "
            f"core-hours beside the {_hours(done)} of those computed"
        )
    if "recommended" in costs and costs["campaign"] == costs["recommended"]:
        yield "the campaign costs the same with it"
    elif "recommended" in costs:
        now, then = costs["campaign"], costs["recommended"]
        yield (
            f"the campaign with it: an estimated {_hours(then['core_hours'])} core-hours, up to "
            f"{then['memory']:.1f} GB of memory; as it is: {_hours(now['core_hours'])} core-hours, "
            f"{now['memory']:.1f} GB"
        )


def write_summary(found: Summary, folder: Path, data: dict[str, Any]) -> None:
    """Write tables and figures; a figure shows the table of its name, or else the first one."""
    from heterodft.analysis.plots import save_figure
    from heterodft.analysis.table_digits import rounded
    from heterodft.files import make_folder, write_json, write_text

    make_folder(folder)
    tables = {name: rounded(frame) for name, frame in found.tables.items()}
    for name, frame in tables.items():
        if len(frame.columns):
            write_text(folder / f"{name}.csv", frame.to_csv(index=False, lineterminator="\n"))
    for name, figure in found.figures.items():
        save_figure(figure, tables.get(name, next(iter(tables.values()))), folder / name)
    write_json(folder / "summary.json", {"title": found.title, "words": list(found.words), **data})
