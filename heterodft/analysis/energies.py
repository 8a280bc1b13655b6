"""Energies of configurations, subtracted only where they may be.

Two energies are comparable when composition, starting cell, code, pseudopotentials, U, cutoffs, k-mesh, smearing and
functional agree, both or none are relaxed, neither is charged, both cycles converged, and no handler touched any of
these while they ran.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from heterodft.analysis.corrections import incomparable_reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heterodft.analysis.result import Result

__all__ = ["comparison_key", "relative_energies"]

_SETTINGS = (
    "xc",
    "cutoff",
    "density_cutoff",
    "kpoints",
    "shift",
    "smearing",
    "smearing_width",
    "raw",
    "forced",
    "dipole",
)


def comparison_key(result: Result) -> str | None:
    """Return a text, equal for results whose energies may be subtracted; None of unknown settings, of charges
    and where a correction changed what must agree.
    """
    request = result.request.get("request")
    if request is None or request.get("charge") or incomparable_reason(result.corrections):
        return None
    settings = request.get("settings", {})
    cell = request.get("structure", {}).get("lattice", result.structure.lattice.matrix.tolist())
    parts = [
        result.structure.composition.formula,
        result.code,
        result.version,
        [[round(x, 3) for x in vector] for vector in cell],
        request.get("pseudopotentials"),
        request.get("hubbard"),
        [settings.get(name) for name in _SETTINGS],
        request.get("spin_orbit", False),
        "directions" in request,
        request.get("parent") is not None,  # relaxed or not
    ]
    return json.dumps(parts, sort_keys=True)


def relative_energies(results: Sequence[Result | None]) -> list[float | None]:
    """Return each energy relative to the lowest comparable one.

    Returns
    -------
    list of float or None
        eV a cell; None where there is no energy, no convergence, or nothing to compare with.
    """
    groups: dict[str, list[float]] = {}
    keys = [comparison_key(r) if r is not None and r.energy is not None and r.converged else None for r in results]
    for key, result in zip(keys, results, strict=True):
        if key is not None and result is not None and result.energy is not None:
            groups.setdefault(key, []).append(result.energy)
    return [
        result.energy - min(groups[key])
        if key is not None and result is not None and result.energy is not None and len(groups[key]) > 1
        else None
        for key, result in zip(keys, results, strict=True)
    ]
