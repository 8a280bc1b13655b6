"""Names of defects, from the requests of their runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heterodft.analysis.energies.calculation_settings import settings_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heterodft.analysis.result import Result

__all__ = ["name_defects"]


def name_defects(defects: Sequence[Result]) -> dict[str, Result]:
    """Return results by name and charge, ``V_O@SrTiO3:1: +2``, as their requests say."""
    named: dict[str, Result] = {}
    for number, result in enumerate(defects, start=1):
        about = result.request.get("about", {})
        charge = settings_of(result)["charge"]
        name = str(about.get("label") or about.get("name") or f"defect {number}") + (
            f": {charge:+d}" if charge else ""
        )
        named[name if name not in named else f"{name} ({number})"] = result
    return named
