"""The self-contained HTML page, with every table as CSV and every figure as SVG beside it."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from heterodft import __version__
from heterodft.analysis.pdos import SHELLS
from heterodft.analysis.plots import draw_layer_dos, draw_side_view, to_svg
from heterodft.files import make_folder, write_text
from heterodft.units import RYDBERG

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from heterodft.analysis.pdos import LayerDos
    from heterodft.analysis.report.collect import ConfigurationReport

__all__ = ["write_report"]

_CODES = {"espresso": "Quantum ESPRESSO", "vasp": "VASP"}


def write_report(name: str, reports: Sequence[ConfigurationReport], folder: Path) -> Path:
    """Write the report of a campaign.

    Parameters
    ----------
    name
        Of the campaign.
    reports
        Of `collect`.
    folder
        Where to; made when missing.

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
    pages = []
    for report in reports:
        figures = _figures(report)
        stem = report.path.removeprefix(f"{name}/").replace("/", "_")
        for kind, svg in figures.items():
            write_text(folder / f"{stem}_{kind}.svg", svg)
        if report.layer_dos is not None:
            write_text(folder / f"{stem}_layer_dos.csv", _dos_csv(report.layer_dos))
        # Markup: our own figures, drawn above; every text in them is escaped by matplotlib.
        inline = {kind: Markup(_unique_ids(svg, f"{stem}_{kind}")) for kind, svg in figures.items()}  # noqa: S704
        pages.append({"report": report, **inline})
    write_text(folder / "summary.csv", _summary_csv(reports))
    write_text(folder / "layers.csv", _layers_csv(reports))
    template = _environment().get_template("page.html.j2")
    return write_text(folder / "report.html", template.render(_context(name, reports, pages)))


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("heterodft.analysis.report", "."), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["number"] = _number
    return environment


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{round(value, digits) + 0.0:.{digits}f}"


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


def _code(report: ConfigurationReport | None) -> str:
    if report is None or report.static is None:
        return ""
    return f"{_CODES[report.static.code]} {report.static.version}"


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


def _unique_ids(svg: str, stem: str) -> str:
    """Prefix the ids of a figure, so that several figures can share a page."""
    mark = "".join(c if c.isalnum() else "-" for c in stem)
    for before in ('id="', 'xlink:href="#', "url(#"):
        svg = svg.replace(before, f"{before}{mark}-")
    return svg


def _figures(report: ConfigurationReport) -> dict[str, str]:
    figures = {}
    if report.structure is not None:
        figures["side_view"] = to_svg(draw_side_view(report.structure))
    if report.layer_dos is not None:
        figures["layer_dos"] = to_svg(draw_layer_dos(report.layer_dos))
    return figures


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return stream.getvalue()


def _summary_csv(reports: Sequence[ConfigurationReport]) -> str:
    header = ["configuration", "label", "energy_eV", "relative_energy_eV", "moment_muB", "absolute_moment_muB"]
    return _csv(
        [*header, "gap_eV", "metal", "state", "converged"],
        [
            [
                r.path, r.label, r.energy, r.relative_energy, r.moment, r.absolute_moment,
                None if r.gap is None else r.gap.value, None if r.gap is None else r.gap.metal, r.state,
                None if r.static is None else r.static.converged,
            ]
            for r in reports
        ],
    )  # fmt: skip


def _layers_csv(reports: Sequence[ConfigurationReport]) -> str:
    header = ["configuration", "layer", "plane", "formula", "method", "moment_muB", "charge_electrons"]
    return _csv(
        [*header, "electrons_up_window", "electrons_down_window"],
        [
            [r.path, w.layer, w.plane, w.formula, w.kind, w.moment, w.charge, w.electrons_up, w.electrons_down]
            for r in reports
            for w in r.layers
        ],
    )


def _dos_csv(layer_dos: LayerDos) -> str:
    spins = ("up", "down") if layer_dos.values.shape[2] == 2 else ("both",)
    names = [f"{p.number}_{p.formula}_{shell}_{spin}" for p in layer_dos.planes for shell in SHELLS for spin in spins]
    columns = layer_dos.values.reshape(len(names), -1)
    rows = (
        [f"{e:.3f}", *(f"{v:.4g}" for v in column)] for e, column in zip(layer_dos.energies, columns.T, strict=True)
    )
    return _csv([f"energy_eV_from_{layer_dos.reference_name.replace(' ', '_')}", *names], rows)
