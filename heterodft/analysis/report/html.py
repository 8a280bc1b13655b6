"""The self-contained HTML page, with every table as CSV and every figure as SVG, PDF and PNG beside it."""

from __future__ import annotations

import base64
import hashlib
from datetime import date
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from heterodft import __version__
from heterodft.analysis.plots import draw_energies, save_figure
from heterodft.analysis.report import provenance, summary
from heterodft.analysis.report.against_u import find_against_u
from heterodft.analysis.report.caveats import is_of_state
from heterodft.analysis.report.citations import find_citations, to_bibtex
from heterodft.analysis.report.drivers import driver_page
from heterodft.analysis.report.earlier_files import replacing
from heterodft.analysis.report.electron_caveats import is_of_electrons
from heterodft.analysis.report.figures import draw_figures
from heterodft.analysis.report.inline_svg import inline, thin
from heterodft.analysis.report.page_tables import defect_table, layer_table, layers_of_all, number, structure_table
from heterodft.analysis.report.runs import read_runs
from heterodft.analysis.report.segregation import find_segregation
from heterodft.analysis.report.settings_rows import settings_table
from heterodft.analysis.report.structure_views import structures_table, view_data
from heterodft.analysis.report.tables import compared, layers_csv, summary_csv
from heterodft.files import make_folder, write_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from matplotlib.figure import Figure
    from pandas import DataFrame

    from heterodft.analysis.energies import ConfigurationEnergies
    from heterodft.analysis.published.comparison import PublishedTable
    from heterodft.analysis.report.collect import ConfigurationReport
    from heterodft.analysis.report.drivers import DriverFindings
    from heterodft.analysis.report.runs import Run

__all__ = ["MOST_DRAWN", "write_report"]

MOST_DRAWN = 40
"""Configurations with figures where no number is asked for: some seconds each, and a page that opens at once."""
_TESTS = {"cutoff": "cutoff", "kspacing": "k-mesh"}


def write_report(
    name: str,
    reports: Sequence[ConfigurationReport],
    folder: Path,
    *,
    published: PublishedTable | None = None,
    drivers: Sequence[DriverFindings] = (),
    missing: Sequence[str] = (),
    families: Mapping[str, str] | None = None,
    most_drawn: int = MOST_DRAWN,
    progress: Callable[[int, int], None] | None = None,
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
    drivers
        What its drivers found.
    missing
        Paths of the configurations asked for that have no folder.
    families
        Name of the published set that a pseudopotential belongs to, by checksum.
    most_drawn
        Of how many configurations figures are drawn; the lowest of each structure come first.
    progress
        Called with how many configurations are written, of how many.

    Returns
    -------
    Path
        The HTML page.

    Raises
    ------
    StorageError
        If the folder cannot be written.
    """
    with replacing(make_folder(folder)):
        chosen = _drawn(reports, most_drawn)
        pages = []
        for count, report in enumerate(reports, start=1):
            stem = report.path.removeprefix(f"{name}/").replace("/", "_")
            pages.append(_page(report, stem, folder, draw=report.path in chosen))
            if progress is not None:
                progress(count, len(reports))
        write_text(folder / "summary.csv", summary_csv(reports))
        write_text(folder / "layers.csv", layers_csv(reports))
        if published is not None:
            write_text(folder / "published.csv", published.to_frame().to_csv(index=False, lineterminator="\n"))
        own = read_runs(Path(step.folder) for report in reports for step in report.steps)
        runs = own + read_runs(path for driver in drivers for path in driver.folders)
        write_text(folder / "calculations.csv", provenance.runs_frame(runs).to_csv(index=False, lineterminator="\n"))
        context = _context(name, reports, pages) | _energies(compared(reports), folder)
        context |= {"drawn": len(chosen), "published": published}
        context |= _of_drivers(drivers, folder) | _of_runs(own, runs, families or {}, drivers, folder)
        context |= _segregation(reports, folder) | _against_u(reports, folder)
        context |= _told(reports, drivers, own or runs, missing)
        context["contents"] = _contents(context)
        page = _environment().get_template("page.html.j2").render(context | _code())
        return write_text(folder / "report.html", page)


def _drawn(reports: Sequence[ConfigurationReport], most: int) -> set[str]:
    """Return the paths of the configurations to draw: first the lowest of each structure, then as they come."""
    lowest: dict[str, ConfigurationReport] = {}
    for report in reports:
        best = lowest.get(report.name)
        if best is None or _energy(report) < _energy(best):
            lowest[report.name] = report
    wanted = dict.fromkeys([*(r.path for r in lowest.values()), *(r.path for r in reports)])
    return set(list(wanted)[:most])


def _energy(report: ConfigurationReport) -> float:
    return float("inf") if report.energy is None else report.energy


def _page(report: ConfigurationReport, stem: str, folder: Path, *, draw: bool) -> dict[str, Any]:
    """Write the figures of a configuration; return what the page shows of it."""
    relaxed = report.found.relaxed
    if relaxed is not None:
        table = relaxed.to_frame().to_csv(index=False, lineterminator="\n")
        write_text(folder / f"{stem}_structure.csv", table)
    figures = [
        {"name": one.name, "caption": one.caption, "svg": _save(one.figure, one.frame, folder, f"{stem}_{one.name}")}
        for one in (draw_figures(report) if draw else ())
    ]
    return {
        "report": report,
        "side_views": [figure for figure in figures if figure["name"] == "side_view"],
        "figures": [figure for figure in figures if figure["name"] != "side_view"],
        "layers": layer_table(report),
        "defect": defect_table(report.found.defect),
        "structure": structure_table(relaxed),
        "caveats": [one for one in report.caveats if is_of_state(one) or is_of_electrons(one)],
    }


def _save(figure: Figure, frame: DataFrame, folder: Path, stem: str) -> Markup:
    """Write a figure, its SVG thinned out, and return it for the page."""
    save_figure(figure, frame, folder / stem)
    path = folder / f"{stem}.svg"
    svg = thin(path.read_text(encoding="utf-8"))
    write_text(path, svg)
    return inline(svg, stem)


def _energies(table: ConfigurationEnergies | None, folder: Path) -> dict[str, Any]:
    """Write the energies of the orders, and a figure of each structure and U with two that may be compared."""
    if table is None:
        return {"energies": None, "energy_figures": []}
    write_text(folder / "energies.csv", table.to_frame().to_csv(index=False, lineterminator="\n"))
    families = list(dict.fromkeys(row.family for row in table.rows))
    figures = []
    for family in families[:MOST_DRAWN]:
        own = type(table)(tuple(row for row in table.rows if row.family == family))
        if sum(value is not None for value in own.values) > 1:
            stem = "energies" if len(families) == 1 else f"energies_{family.replace(' ', '_')}"
            figure = _save(draw_energies(own), own.to_frame(), folder, stem)
            figures.append({"family": family, "reference": own.reference, "svg": figure})
    return {"energies": table, "energy_figures": figures}


def _segregation(reports: Sequence[ConfigurationReport], folder: Path) -> dict[str, Any]:
    """Write the energies of defects over the layers; return what the page shows of them."""
    shown = []
    for found in find_segregation(reports):
        frame, figure = found.energies.to_frame(), None
        if found.is_drawn:
            figure = _save(found.energies.plot(), frame, folder, found.stem)
        else:
            write_text(folder / f"{found.stem}.csv", frame.to_csv(index=False, lineterminator="\n"))
        shown.append({"found": found, "figure": figure})
    return {"segregation": shown}


def _against_u(reports: Sequence[ConfigurationReport], folder: Path) -> dict[str, Any]:
    """Write what planes hold at each U; return what the page shows of it."""
    shown = []
    for found in find_against_u(reports)[:MOST_DRAWN]:
        frame, figure = found.to_frame(), found.figure()
        if figure is None:
            write_text(folder / f"{found.stem}.csv", frame.to_csv(index=False, lineterminator="\n"))
        drawn = None if figure is None else _save(figure, frame, folder, found.stem)
        shown.append({"found": found, "table": found.table(), "figure": drawn})
    return {"against_u": shown}


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("heterodft.analysis.report", "."), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["number"] = number
    return environment


def _context(name: str, reports: Sequence[ConfigurationReport], pages: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the page shows of configurations."""
    shown: dict[str, Any] = {}
    computed = {report.name for report in reports if report.structure is not None}
    for page in pages:
        for figure in page["side_views"]:
            shown.setdefault(page["report"].name, figure | {"name": page["report"].name})
    return {
        "name": name,
        "pages": pages,
        "version": __version__,
        "date": date.today().isoformat(),
        "structures": structures_table(reports),
        "not_built": [name for name in dict.fromkeys(r.name for r in reports) if name not in computed],
        "side_views": list(shown.values()),
        "view_data": view_data(reports),
        "layer_data": layers_of_all(pages),
    }


def _of_drivers(drivers: Sequence[DriverFindings], folder: Path) -> dict[str, Any]:
    kinds = {driver.kind for driver in drivers}
    untested = [words for kind, words in _TESTS.items() if kind not in kinds]
    return {
        "drivers": [driver_page(driver, folder) for driver in drivers],
        "tested": not untested,
        "untested": " and the ".join(untested),
    }


def _of_runs(
    own: Sequence[Run],
    runs: Sequence[Run],
    families: Mapping[str, str],
    drivers: Sequence[DriverFindings],
    folder: Path,
) -> dict[str, Any]:
    """Return what the page shows of calculations, and write the BibTeX file."""
    citations = find_citations(runs, families=families, distorted=any(driver.distorted for driver in drivers))
    if citations:
        write_text(folder / "references.bib", to_bibtex(citations))
    codes = dict.fromkeys(
        f"{summary.CODES.get(run.code, run.code)} {run.result.get('version') or ''}".strip()
        for run in runs
        if run.result
    )
    return {
        "code": ", ".join(codes),
        "settings": settings_table(own or runs),
        "run_table": provenance.run_table(runs),
        "versions": provenance.versions_table(runs),
        "pseudopotentials": provenance.pseudopotential_table(runs, families),
        "costs": provenance.cost_table(runs),
        "citations": citations,
        "bibtex": to_bibtex(citations),
    }


def _told(
    reports: Sequence[ConfigurationReport],
    drivers: Sequence[DriverFindings],
    runs: Sequence[Run],
    missing: Sequence[str],
) -> dict[str, Any]:
    return {
        "asked": summary.words_asked(reports, drivers, runs),
        "found": summary.words_found(reports, drivers),
        "problems": summary.find_problems(reports, drivers, missing),
        "caveats": summary.counted(reports, drivers),
    }


def _contents(context: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the parts of the page for its head: where they begin and what they are called."""
    parts = [
        ("about", "Summary", True),
        ("published", "Published and ours", context["published"]),
        ("structures", "Structures", context["structures"]),
        ("layers", "Layers", context["layer_data"]),
        ("configurations", "Configurations", context["pages"]),
        ("convergence", "Convergence", True),
        ("energies-of-orders", "Energies", context["energies"]),
        ("against-u", "Planes against U", context["against_u"]),
        ("segregation", "Defects", context["segregation"]),
        ("settings", "Settings", context["settings"]),
        ("provenance", "Provenance", True),
        ("citations", "Citations", context["citations"]),
    ]
    return [(place, title) for place, title, there in parts if there]


def _code() -> dict[str, Any]:
    """Return style and script of the page, and the policy by which a browser runs this script and loads nothing."""
    parts = resources.files("heterodft.analysis.report") / "parts"
    style, *scripts = ((parts / name).read_text(encoding="utf-8") for name in ("page.css", "tables.js", "view.js"))
    script = "\n" + "".join(scripts)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return {"style": Markup(style), "script": Markup(script), "policy": policy}  # noqa: S704, our own files
