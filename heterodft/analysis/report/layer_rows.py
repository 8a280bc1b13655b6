"""The layer table of a configuration: what each plane holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.layers import sum_over_groups
from heterodft.analysis.pdos import electrons_between

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from heterodft.analysis.charges import LayerCharges
    from heterodft.analysis.report.findings import Findings

__all__ = ["WINDOW", "LayerRow", "layer_rows", "with_transfer"]

WINDOW = (-2.0, 0.0)
"""eV below the Fermi level in which electrons are counted."""
_KINDS = {"sphere": "moment_sphere", "Löwdin": "moment_lowdin"}


@dataclass(frozen=True)
class LayerRow:
    """One plane of a layer table; None what is not known.

    Attributes
    ----------
    layer, plane, formula
        ``SrTiO3:1``, 1, ``TiO2``.
    kind
        How moment and charge were made: ``Löwdin``, ``sphere``, or empty when the code told neither.
    moment
        μB; None when not spin-polarized. Of a noncollinear run the z component, also below.
    charge
        Valence electrons.
    electrons_up, electrons_down
        In the window below the Fermi level, which is the middle of the gap of an insulator.
    moment_sphere, moment_lowdin, moment_slab
        μB: in spheres, by Löwdin, and of the spin density integrated between planes.
    valence_up, valence_down, conduction_up, conduction_down
        eV: band edges from the zero of the density of states.
    electrons_cm2, holes_cm2
        Carriers per cm².
    eg_polarization
        (n(x2−y2) − n(z2)) / (n(x2−y2) + n(z2)) of the electrons of the plane's transition metal.
    stoner
        I·N(EF) of the plane's atoms, the largest of its elements.
    transfer
        Electrons more than the same atoms have in the pure material.
    """

    layer: str
    plane: int
    formula: str
    kind: str
    moment: float | None
    charge: float | None
    electrons_up: float | None
    electrons_down: float | None
    moment_sphere: float | None = None
    moment_lowdin: float | None = None
    moment_slab: float | None = None
    valence_up: float | None = None
    valence_down: float | None = None
    conduction_up: float | None = None
    conduction_down: float | None = None
    electrons_cm2: float | None = None
    holes_cm2: float | None = None
    eg_polarization: float | None = None
    stoner: float | None = None
    transfer: float | None = None

    @property
    def electrons(self) -> float | None:
        """Of both spins in the window."""
        if self.electrons_up is None or self.electrons_down is None:
            return None
        return self.electrons_up + self.electrons_down

    @property
    def valence(self) -> float | None:
        """Valence band edge in eV, the higher of both spins."""
        return max((v for v in (self.valence_up, self.valence_down) if v is not None), default=None)

    @property
    def conduction(self) -> float | None:
        """Conduction band edge in eV, the lower of both spins."""
        return min((v for v in (self.conduction_up, self.conduction_down) if v is not None), default=None)


def layer_rows(found: Findings) -> list[LayerRow]:
    """Return the layer table, a row a plane from the bottom up; empty where planes or what they hold are unknown."""
    if found.layering is None or found.sites is None or not (found.sites.sites or found.layer_dos):
        return []
    planes = found.layering.planes
    kind, columns = _of_sites(found)
    columns |= _of_states(found) | _of_orbitals(found)
    if found.slabs is not None and len(found.slabs.values) == len(planes):
        columns["moment_slab"] = found.slabs.values
    empty: dict[str, Any] = dict.fromkeys(("moment", "charge", "electrons_up", "electrons_down"))
    return [
        LayerRow(
            plane.layer,
            plane.number,
            plane.formula,
            kind,
            **(empty | {name: _number(values[i]) for name, values in columns.items()}),
        )
        for i, plane in enumerate(planes)
    ]


def with_transfer(rows: Sequence[LayerRow], charges: LayerCharges) -> list[LayerRow]:
    """Return the rows of a layer table with the charge of each plane against the pure material."""
    return [
        replace(row, transfer=_number(values[charges.kinds.index(row.kind)])) if row.kind in charges.kinds else row
        for row, values in zip(rows, charges.transfer, strict=True)
    ]


def _of_orbitals(found: Findings) -> dict[str, NDArray[np.float64]]:
    """Return orbital polarizations and Stoner products by plane; not-a-number where a plane has none."""
    labels = [] if found.layering is None else [plane.label for plane in found.layering.planes]
    columns: dict[str, NDArray[np.float64]] = {}
    told: dict[str, dict[str, float]] = {}
    for one in found.orbitals:
        values = dict(zip((group.label for group in one.groups), one.polarization, strict=True))
        told["eg_polarization"] = values | told.get("eg_polarization", {})
    if found.stoner is not None:
        largest = np.nanmax(found.stoner.values, axis=1)
        told["stoner"] = dict(zip((group.label for group in found.stoner.groups), largest, strict=True))
    for name, values in told.items():
        columns[name] = np.array([values.get(label, np.nan) for label in labels])
    return columns


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def _of_sites(found: Findings) -> tuple[str, dict[str, NDArray[np.float64]]]:
    """Return how charges and moments were made, and both by plane."""
    if found.layering is None or found.sites is None:
        return "", {}
    told, planes = found.sites.sites, found.layering.planes
    columns = {
        _KINDS[kind]: sum_over_groups(planes, values.moments)
        for kind, values in told.items()
        if kind in _KINDS and values.moments is not None
    }
    sites = told.get("Löwdin") or told.get("sphere")
    if sites is None:
        return "", columns
    columns["charge"] = sum_over_groups(planes, sites.charges)
    if sites.moments is not None:
        columns["moment"] = columns[_KINDS[sites.kind]]
    return sites.kind, columns


def _of_states(found: Findings) -> dict[str, NDArray[np.float64]]:
    """Return what the density of states tells by plane; without spin each spin has half of the electrons."""
    columns: dict[str, NDArray[np.float64]] = {}
    if found.layer_dos is not None:
        electrons = electrons_between(found.layer_dos, *WINDOW)
        if electrons.shape[1] == 1:
            electrons = electrons.repeat(2, axis=1) / 2
        columns["electrons_up"], columns["electrons_down"] = electrons.T
    if found.edges is not None:
        for name in ("valence", "conduction"):
            values = getattr(found.edges, name)
            columns[f"{name}_up"], columns[f"{name}_down"] = values[:, 0], values[:, -1]
    if found.carriers is not None:
        columns["electrons_cm2"] = found.carriers.electrons_per_cm2
        columns["holes_cm2"] = found.carriers.holes_per_cm2
    return columns
