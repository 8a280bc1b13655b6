"""Keys that tell in one go which of many energies may be subtracted, as the report of a campaign needs it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from heterodft.analysis.corrections import incomparable_reason
from heterodft.analysis.energies.calculation_settings import settings_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heterodft.analysis.result import Result

__all__ = ["comparison_key", "relative_energies"]


def comparison_key(result: Result) -> str | None:
    """Return a text, equal for results whose energies may be subtracted; None of unknown settings, of charges
    and where a correction changed what must agree.
    """
    request = result.request.get("request")
    if request is None or request.get("charge") or incomparable_reason(result.corrections):
        return None
    told = settings_of(result, ours=True)
    cell = [[round(float(x), 3) + 0.0 for x in vector] for vector in told.pop("cell")]
    version = str(told.pop("version")).split(".")[0]
    return json.dumps([result.structure.composition.formula, version, cell, told], sort_keys=True)


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
