"""With which settings a number was computed, in one line, and what makes it a demonstration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from heterodft.analysis.energies.calculation_settings import settings_of
from heterodft.analysis.report.caveats import is_low_cutoff, is_of_stress
from heterodft.units import cutoff_in_words

if TYPE_CHECKING:
    from heterodft.analysis.report.collect import ConfigurationReport
    from heterodft.analysis.result import Result

__all__ = ["doubts_of", "method_of", "settings_in_words"]

_CODES = {"espresso": "pw.x", "vasp": "VASP"}


def settings_in_words(report: ConfigurationReport, result: Result) -> str:
    """Return ``pw.x 6.7, PBE, 60 Ry, k-points 2 × 2 × 1 (static), 3 × 3 × 2 (dos), …, ideal positions, 22 atoms``."""
    told = settings_of(result)
    words = [f"{_CODES.get(result.code, result.code)} {result.version}", str(told["xc"] or "")]
    if told["cutoff"] is not None:
        words.append(cutoff_in_words(told["cutoff"], result.code))
    words.append(_meshes(report) or _mesh(told["kpoints"]))
    if told["smearing"] is not None:
        width = told["smearing_width"]
        words.append(f"{told['smearing']} smearing" + (f" {width:.3g} eV" if width is not None else ""))
    words += [f"U {element} {value}" for element, value in sorted((told["hubbard"] or {}).items())]
    words.append(_positions(report) if told.get("relaxed") else "ideal positions")
    words.append(f"{len(result.structure)} atoms")
    return ", ".join(filter(None, words))


def _meshes(report: ConfigurationReport) -> str:
    """Return the mesh of each step that has one, ``k-points 2 × 2 × 1 (static), 3 × 3 × 2 (dos)``."""
    steps: dict[str, list[str]] = {}
    for step in (one for one in ("relax", "static", "dos") if one in report.settings):
        mesh, _ = report.settings[step].get("kpoints", (None, ""))
        if mesh:
            steps.setdefault(" × ".join(map(str, mesh)), []).append(step)
    return "k-points " + ", ".join(f"{mesh} ({', '.join(of)})" for mesh, of in steps.items()) if steps else ""


def _mesh(mesh: Any) -> str:
    if mesh is None:
        return ""
    return f"{' × '.join(map(str, mesh)) if isinstance(mesh, list | tuple) else mesh} k-points"


def _positions(report: ConfigurationReport) -> str:
    """Return what was relaxed, as far as the folder tells."""
    given = report.settings.get("relax") or report.settings.get("relax-coarse") or {}
    cell, _ = given.get("cell", ("", ""))
    return {"fixed": "relaxed in a fixed cell", "c": "relaxed, height too", "full": "relaxed, cell too"}.get(
        cell, "relaxed"
    )


def method_of(result: Result) -> tuple[object, ...]:
    """Return what two cells must share for a difference of their numbers to mean something.

    Cell, mesh and U may be what is varied.
    """
    told = settings_of(result)
    return (told["code"], told["xc"], told["cutoff"], bool(told.get("relaxed")))


def doubts_of(report: ConfigurationReport) -> list[str]:
    """Return why no number of a configuration is more than a demonstration."""
    if report.static is None:
        return []
    protocol = report.static.request.get("about", {}).get("protocol")
    doubts = ["the protocol fast is a demonstration"] if protocol == "fast" else []
    doubts += ["the cutoff is not converged"] if is_low_cutoff(report.static) else []
    return doubts + ["the cell is not relaxed in its own plane waves"] * any(map(is_of_stress, report.caveats))
