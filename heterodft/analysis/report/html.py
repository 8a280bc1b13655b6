"""The self-contained HTML page, with every table as CSV and every figure as SVG, PDF and PNG beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from heterodft import __version__
from heterodft.analysis.plots import draw_energies, save_figure
from heterodft.analysis.report.figures import draw_figures
from heterodft.analysis.report.inline_svg import inline, thin
from heterodft.analysis.report.page_tables import defect_table, layer_table, number, structure_table
from heterodft.analysis.report.tables import compared, layers_csv, summary_csv
from heterodft.files import make_folder, write_text
from heterodft.units import RYDBERG

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from markupsafe import Markup
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from heterodft.analysis.energies import ConfigurationEnergies
    from heterodft.analysis.published.comparison import PublishedTable
    from heterodft.analysis.report.collect import ConfigurationReport

__all__ = ["write_report"]

_CODES = {"espresso": "Quantum ESPRESSO", "vasp": "VASP"}


def write_report(
    name: str, reports: Sequence[ConfigurationReport], folder: Path, *, published: PublishedTable | None = None
) -> Path:
    """Write the report of a campaign.

    Parameters
    ----------
    name
        Of the campaign.
    reports
        Of `collect`.
    folder
        Where to; made when missing.
    published
        What a paper published beside what came out.

    Returns
    -------
    Path
        The HTML page.

    Raises
    ------
    StorageError
        If the folder cannot be written.
    """
    make_folder(folder)
    pages = [_page(report, report.path.removeprefix(f"{name}/").replace("/", "_"), folder) for report in reports]
    write_text(folder / "summary.csv", summary_csv(reports))
    write_text(folder / "layers.csv", layers_csv(reports))
    if published is not None:
        write_text(folder / "published.csv", published.to_frame().to_csv(index=False, lineterminator="\n"))
    context = _context(name, reports, pages) | _energies(compared(reports), folder) | {"published": published}
    template = _environment().get_template("page.html.j2")
    return write_text(folder / "report.html", template.render(context))


def _page(report: ConfigurationReport, stem: str, folder: Path) -> dict[str, Any]:
    """Write the figures of a configuration; return what the page shows of it."""
    relaxed = report.found.relaxed
    if relaxed is not None:
        table = relaxed.to_frame().to_csv(index=False, lineterminator="\n")
        write_text(folder / f"{stem}_structure.csv", table)
    return {
        "report": report,
        "figures": [
            {
                "name": one.name,
                "caption": one.caption,
                "svg": _save(one.figure, one.frame, folder, f"{stem}_{one.name}"),
            }
            for one in draw_figures(report)
        ],
        "layers": layer_table(report),
        "defect": defect_table(report.found.defect),
        "structure": structure_table(relaxed),
    }


def _save(figure: Figure, frame: DataFrame, folder: Path, stem: str) -> Markup:
    """Write a figure, its SVG thinned out, and return it for the page."""
    save_figure(figure, frame, folder / stem)
    path = folder / f"{stem}.svg"
    svg = thin(path.read_text(encoding="utf-8"))
    write_text(path, svg)
    return inline(svg, stem)


def _energies(table: ConfigurationEnergies | None, folder: Path) -> dict[str, Any]:
    """Write the energies of the orders; a figure where at least two may be compared."""
    if table is None:
        return {"energies": None, "energies_figure": None}
    if sum(value is not None for value in table.values) > 1:
        return {
            "energies": table,
            "energies_figure": _save(draw_energies(table), table.to_frame(), folder, "energies"),
        }
    write_text(folder / "energies.csv", table.to_frame().to_csv(index=False, lineterminator="\n"))
    return {"energies": table, "energies_figure": None}


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("heterodft.analysis.report", "."), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["number"] = number
    return environment


def _context(name: str, reports: Sequence[ConfigurationReport], pages: list[dict[str, Any]]) -> dict[str, Any]:
    finished = [r for r in reports if r.static is not None]
    first = finished[0] if finished else None
    return {
        "name": name,
        "pages": pages,
        "version": __version__,
        "caveats": list(dict.fromkeys(c for r in reports for c in r.caveats if "state reached" not in c)),
        "failures": [(r, s) for r in reports for s in r.steps if s.state != "done"],
        "settings": [] if first is None else _setting_rows(first.settings),
        "code": ""
        if first is None or first.static is None
        else f"{_CODES[first.static.code]} {first.static.version}",
    }


def _setting_rows(settings: Mapping[str, Mapping[str, tuple[Any, str]]]) -> list[dict[str, str]]:
    """Return a row for each value of a setting, with the steps that have it."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for step, values in settings.items():
        for key, (value, origin) in values.items():
            if value not in ({}, None):
                found.setdefault((key, _shown(key, value), origin), []).append(step)
    rows = sorted(found.items(), key=lambda row: row[0][0])
    return [
        {"key": key, "value": value, "origin": origin, "steps": ", ".join(steps)}
        for (key, value, origin), steps in rows
    ]


def _shown(key: str, value: Any) -> str:
    if "cutoff" in key:
        return f"{value:.1f} eV ({value / RYDBERG:.1f} Ry)"
    if key == "path":
        return f"{len(value['kpoints'])} points, {'-'.join(label for _, label in value['labels'])}"
    if isinstance(value, dict):
        return ", ".join(f"{name} = {one}" for name, one in value.items())
    if isinstance(value, list):
        return " × ".join(map(str, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
