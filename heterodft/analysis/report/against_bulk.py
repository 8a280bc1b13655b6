"""Charges of layers against the pure materials, where a campaign computes these in the same setting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.charges import LayerCharges
from heterodft.analysis.energies.comparability import compare
from heterodft.analysis.layers.plane_contents import has_vacuum
from heterodft.analysis.layers.plane_search import heights_along
from heterodft.analysis.report.layer_rows import with_transfer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heterodft.analysis.report.collect import ConfigurationReport
    from heterodft.analysis.result import Result

__all__ = ["compare_with_bulks"]

_SAME_STRAIN = 0.05
"""Percent."""


def compare_with_bulks(reports: Sequence[ConfigurationReport]) -> None:
    """Compare the charges of each plane with those of the pure materials among the configurations themselves.

    A configuration of one material without vacuum and defect is such a bulk. It is used where code, functional,
    pseudopotentials, U, cutoffs and smearing agree; how it is strained is told. The k-mesh may differ.
    """
    bulks: dict[str, list[ConfigurationReport]] = {}
    for report in reports:
        materials = _materials(report)
        if len(materials) == 1 and _is_bulk(report):
            bulks.setdefault(materials[0], []).append(report)
    for report in reports:
        materials = _materials(report)
        if len(materials) > 1 and any(name in bulks for name in materials):
            _compare(report, {name: bulks[name] for name in materials if name in bulks})


def _materials(report: ConfigurationReport) -> list[str]:
    """Return the materials of a configuration with charges by site; none where these are not known."""
    found = report.found
    if found.sites is None or found.layering is None or report.static is None or not found.sites.sites:
        return []
    return list(dict.fromkeys(layer.material for layer in found.layering.layers))


def _is_bulk(report: ConfigurationReport) -> bool:
    sites, layering = report.found.sites, report.found.layering
    if sites is None or layering is None or sites.request.get("about", {}).get("defect"):
        return False
    planes = [plane.sites for plane in layering.planes]
    return not has_vacuum(planes, heights_along(sites.structure, "abc".index(layering.axis)))


def _compare(report: ConfigurationReport, bulks: dict[str, list[ConfigurationReport]]) -> None:
    """Take of each material the bulk that may be compared with and is most alike; tell which, and why none."""
    found, words = report.found, list[str]()
    chosen: dict[str, Result] = {}
    for material, candidates in bulks.items():
        reasons = [_hindrance(report, bulk) for bulk in candidates]
        usable = [bulk for bulk, reason in zip(candidates, reasons, strict=True) if not reason]
        if not usable:
            found.missing[f"charge against bulk {material}"] = reasons[0]
            continue
        bulk = min(usable, key=lambda one: _distance(report, one, material))
        if bulk.found.sites is not None:
            chosen[material] = bulk.found.sites
        words.append(_words(report, bulk, material))
    sites, layering = found.sites, found.layering
    if not chosen or sites is None or layering is None:
        return
    by_layer, by_plane = (
        LayerCharges.from_result(sites, layering=layering, by=by, reference=chosen) for by in ("layer", "plane")
    )
    if np.isnan(by_layer.transfer).all():
        spheres = [note for note in by_layer.notes if note.startswith("charges of ")]
        reason = spheres or ["the steps that are done tell charges of other kinds"]
        found.missing["charge against the bulk"] = "; ".join(reason)
        return
    found.charges, found.bulks = by_layer, tuple(words)
    report.layers = with_transfer(report.layers, by_plane)


def _hindrance(report: ConfigurationReport, bulk: ConfigurationReport) -> str:
    """Return why charges may not be compared; the k-mesh may differ, of which cells of other shape have others."""
    if report.static is None or bulk.static is None:
        return "not run yet"
    found = compare(report.static, bulk.static, "formation", names=("the stack", bulk.name))
    return "; ".join(reason for reason in (*found.differences, *found.unknown) if "k-mesh" not in reason)


def _distance(report: ConfigurationReport, bulk: ConfigurationReport, material: str) -> tuple[float, bool, float]:
    """Return how unlike a bulk is: another strain, another order, a higher energy."""
    strains = [_strain(one.static, material) for one in (report, bulk)]
    apart = abs((strains[0] or 0.0) - (strains[1] or 0.0))
    another = bulk.path.split("/")[-2] != report.path.split("/")[-2]
    return (round(apart / _SAME_STRAIN), another, 0.0 if bulk.energy is None else bulk.energy)


def _strain(result: Result | None, material: str) -> float | None:
    """Return by how many % a material is stretched in the plane."""
    value = {} if result is None else result.request.get("about", {}).get("strain") or {}
    return None if value.get(material) is None else float(value[material])


def _words(report: ConfigurationReport, bulk: ConfigurationReport, material: str) -> str:
    """Return which bulk it is and how it is strained."""
    own, other = _strain(report.static, material), _strain(bulk.static, material)
    told = f"{material}: {'/'.join(bulk.path.split('/')[-3:])}"
    if bulk.state and bulk.state not in ("kept", "accepted"):
        told += f" ({bulk.state})"
    if own is None or other is None:
        return f"{told}, strain not told"
    if abs(own - other) < _SAME_STRAIN:
        return f"{told}, strained alike ({own:+.2f} %)"
    return f"{told}, strained by {other:+.2f} %, in the stack by {own:+.2f} %"
