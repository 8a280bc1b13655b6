"""The tables of a report as CSV, units in the names of the columns."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from heterodft.analysis.energies import ConfigurationEnergies
from heterodft.analysis.pdos import SHELLS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pandas import DataFrame

    from heterodft.analysis.layers import Layering
    from heterodft.analysis.pdos import LayerDos
    from heterodft.analysis.report.collect import ConfigurationReport

__all__ = ["compared", "dos_frame", "layers_csv", "site_frame", "summary_csv"]

_WHICH = ("configuration", "structure", "order", "hubbard")
"""What tells configurations apart, to select and to pivot by."""
_LAYER_COLUMNS = {
    "method": "kind",
    "moment_muB": "moment",
    "charge_electrons": "charge",
    "electrons_up_window": "electrons_up",
    "electrons_down_window": "electrons_down",
    "moment_sphere_muB": "moment_sphere",
    "moment_lowdin_muB": "moment_lowdin",
    "moment_slab_muB": "moment_slab",
    "valence_edge_up_eV": "valence_up",
    "valence_edge_down_eV": "valence_down",
    "conduction_edge_up_eV": "conduction_up",
    "conduction_edge_down_eV": "conduction_down",
    "electrons_per_cm2": "electrons_cm2",
    "holes_per_cm2": "holes_cm2",
    "eg_polarization": "eg_polarization",
    "stoner_product": "stoner",
    "charge_against_bulk_electrons": "transfer",
}


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return stream.getvalue()


def summary_csv(reports: Sequence[ConfigurationReport]) -> str:
    """Return one row a configuration."""
    header = [
        *_WHICH, "label", "energy_eV", "relative_energy_eV", "moment_muB", "absolute_moment_muB", "gap_eV",
        "metal", "state", "converged", "state_reached", "energy_meV_per_formula_unit", "energy_meV_per_magnetic_ion",
        "energy_reference", "not_comparable", "gap_on_path_eV", "marks",
    ]  # fmt: skip
    return _csv(
        header,
        [
            [
                *_which(r), r.label, r.energy, r.relative_energy, r.moment, r.absolute_moment,
                None if r.gap is None else r.gap.value, None if r.gap is None else r.gap.metal, r.state,
                None if r.static is None else r.static.converged, *_ranked(r),
            ]
            for r in reports
        ],
    )  # fmt: skip


def _which(report: ConfigurationReport) -> tuple[str, ...]:
    return report.path, report.name, report.order, report.setting


def _ranked(report: ConfigurationReport) -> tuple[Any, ...]:
    row = report.ranked
    told: tuple[Any, ...] = (None,) * 5
    if row is not None:
        told = (row.state, row.per_formula_unit, row.per_magnetic_ion, row.reference, row.reason)
    return (*told, report.found.path_gap, ", ".join(report.marks))


def layers_csv(reports: Sequence[ConfigurationReport]) -> str:
    """Return one row a plane of every configuration."""
    return _csv(
        [*_WHICH, "marks", "layer", "plane", "formula", *_LAYER_COLUMNS],
        [
            [
                *_which(r),
                ", ".join(r.marks),
                row.layer,
                row.plane,
                row.formula,
                *(getattr(row, name) for name in _LAYER_COLUMNS.values()),
            ]
            for r in reports
            for row in r.layers
        ],
    )  # fmt: skip


def compared(reports: Sequence[ConfigurationReport]) -> ConfigurationEnergies | None:
    """Return the energies of structures with several configurations, ranked; None where there is no such one."""
    families: dict[str, list[Any]] = {}
    for report in reports:
        if report.ranked is not None:
            families.setdefault(report.ranked.family, []).append(report.ranked)
    rows = [
        row
        for own in families.values()
        for row in sorted(own, key=lambda row: (row.relative is None, row.relative or 0.0))
        if len(own) > 1
    ]
    return ConfigurationEnergies(tuple(rows)) if rows else None


def dos_frame(layer_dos: LayerDos) -> DataFrame:
    """Return the density of states, a column a plane, shell and spin, rounded as far as it is known."""
    from pandas import DataFrame

    names = [
        f"{plane.number}_{plane.formula}_{shell}_{spin}"
        for plane in layer_dos.planes
        for shell in SHELLS
        for spin in layer_dos.spins
    ]
    columns = layer_dos.values.reshape(len(names), -1)
    energies = f"energy_eV_from_{layer_dos.reference_name.replace(' ', '_')}"
    return DataFrame(
        {energies: [f"{energy:.3f}" for energy in layer_dos.energies]}
        | {name: [f"{value:.4g}" for value in column] for name, column in zip(names, columns, strict=True)}
    )


def site_frame(structure: Any, layering: Layering) -> DataFrame:
    """Return what the side view shows: each atom, its place and its layer."""
    from pandas import DataFrame

    plane_of = {site: plane for plane in layering.planes for site in plane.sites}
    sites = sorted(plane_of)
    return DataFrame(
        {
            "site": sites,
            "element": [structure[site].specie.symbol for site in sites],
            "layer": [plane_of[site].layer for site in sites],
            "plane": [plane_of[site].number for site in sites],
            **{f"{name} (Å)": structure.cart_coords[sites][:, i] for i, name in enumerate("xyz")},
        }
    )
