"""Structures on the page: a table, and the data of the view that turns."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.layers import find_layering
from heterodft.analysis.plots.style import layer_colors, pretty
from heterodft.analysis.report.page_tables import PageTable, number
from heterodft.errors import HeterodftError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymatgen.core import Lattice, Structure

    from heterodft.analysis.report.collect import ConfigurationReport

__all__ = ["structures_table", "view_data"]

_LEAST_MOMENT = 0.005
"""μB; smaller ones are zero in the view."""
_RIGHT = 0.05
"""Degrees by which an angle counts as 90."""


def structures_table(reports: Sequence[ConfigurationReport]) -> PageTable | None:
    """Return one row a structure, of its first configuration that has one; None where none has."""
    counts = Counter(report.name for report in reports)
    first: dict[str, tuple[ConfigurationReport, Structure]] = {}
    for report in reports:
        if report.structure is not None:
            first.setdefault(report.name, (report, report.structure))
    if not first:
        return None
    header = ["structure", "what", "formula", "layers, bottom to top", "cell", "strain in plane (%)",
              "atoms", "a (Å)", "b (Å)", "c (Å)", "configurations"]  # fmt: skip
    rows = [_row(*first[name], counts[name]) for name in first]
    kept = [i for i in range(len(header)) if i not in {4, 5} or any(row[i] for row in rows)]
    return PageTable([header[i] for i in kept], [[row[i] for i in kept] for row in rows], len(kept) - 5)


def _row(report: ConfigurationReport, structure: Structure, count: int) -> list[str]:
    about = {} if report.static is None else report.static.request.get("about", {})
    strain = about.get("strain") or {}
    return [
        report.name,
        report.label,
        pretty(structure.composition.reduced_formula),
        _stack(report),
        _angles(structure.lattice),
        ", ".join(f"{pretty(material)}\N{NO-BREAK SPACE}{number(value, 2)}" for material, value in strain.items()),
        str(len(structure)),
        *(number(length, 3) for length in structure.lattice.abc),
        str(count),
    ]


def _stack(report: ConfigurationReport) -> str:
    """Return ``SrTiO₃ 2 / LaAlO₃ 2``: each block and its number of layers."""
    layering = report.found.layering
    if layering is None:
        return "–"
    blocks: dict[str, set[str]] = {}
    for plane in layering.planes:
        blocks.setdefault(plane.layer.partition(":")[0], set()).add(plane.layer)
    return " / ".join(f"{pretty(block)} × {len(layers)}" for block, layers in blocks.items())


def _angles(lattice: Lattice) -> str:
    if max(abs(angle - 90) for angle in lattice.angles) < _RIGHT:
        return ""
    return "α {:.1f}°, β {:.1f}°, γ {:.1f}°".format(*lattice.angles)


def view_data(reports: Sequence[ConfigurationReport]) -> dict[str, Any]:
    """Return plain data of the view: each geometry once, and a view a configuration.

    The cells stand on their layers: x along a, z along the normal, Å. Atoms are ``[element, layer, x, y, z]`` in
    fractional coordinates, where element and layer are numbers of the lists beside them.
    """
    geometries: list[dict[str, Any]] = []
    known: dict[str, int] = {}
    views, elements = [], set()
    for report in reports:
        if report.structure is None:
            continue
        geometry = _geometry(report.structure)
        number_of = known.setdefault(repr(geometry), len(geometries))
        if number_of == len(geometries):
            geometries.append(geometry)
        elements |= set(geometry["elements"])
        title = ", ".join([f"{report.name} ({report.label})", report.order, report.setting, *report.marks])
        views.append({"id": report.path, "title": title, "geometry": number_of, "moments": _moments(report)})
    return {"geometries": geometries, "views": views, "species": _species(elements)}


def _geometry(structure: Structure) -> dict[str, Any]:
    try:
        planes = find_layering(structure).planes
    except HeterodftError:
        planes = ()
    colors = layer_colors(planes) if planes else {}
    layers = list(colors)
    layer_of = {site: layers.index(plane.layer) for plane in planes for site in plane.sites}
    elements = sorted({site.specie.symbol for site in structure})
    defect = structure.properties.get("defect") or {}
    vacancy = None
    if str(defect.get("kind", "")).startswith("V_") and defect.get("position") is not None:
        vacancy = _rounded(structure.lattice.get_fractional_coords(defect["position"]), 4)
    return {
        "cell": [_rounded(vector, 4) for vector in _standing(structure.lattice.matrix)],
        "elements": elements,
        "layers": [[pretty(layer), color] for layer, color in colors.items()],
        "atoms": [
            [elements.index(site.specie.symbol), layer_of.get(i, -1), *_rounded(site.frac_coords, 4)]
            for i, site in enumerate(structure)
        ],
        "vacancy": vacancy,
    }


def _standing(matrix: Any) -> Any:
    """Turn the cell vectors so that a is along x and the normal of a and b along z."""
    x = matrix[0] / np.linalg.norm(matrix[0])
    normal = np.cross(matrix[0], matrix[1])
    z = normal / np.linalg.norm(normal)
    return matrix @ np.array([x, np.cross(z, x), z]).T


def _rounded(values: Any, digits: int) -> list[float]:
    return [round(float(value), digits) + 0.0 for value in values]


def _moments(report: ConfigurationReport) -> list[float] | None:
    """Return the moments of the sites in μB, in spheres where they are told."""
    told = {} if report.found.sites is None else report.found.sites.sites
    values = next((told[kind].moments for kind in ("sphere", "Löwdin") if kind in told), None)
    if values is None or report.structure is None or len(values) != len(report.structure):
        return None
    small = [value if abs(value) > _LEAST_MOMENT else 0.0 for value in values]
    return _rounded(small, 2) if any(small) else None


def _species(elements: set[str]) -> dict[str, list[Any]]:
    """Return radius in Å and colour of each element, as ASE has them."""
    from ase.data import atomic_numbers, covalent_radii
    from ase.data.colors import jmol_colors
    from matplotlib.colors import to_hex

    numbers = {symbol: atomic_numbers.get(symbol, 0) for symbol in sorted(elements)}
    return {
        symbol: [round(float(covalent_radii[z]), 2), to_hex(tuple(jmol_colors[z]))] for symbol, z in numbers.items()
    }
