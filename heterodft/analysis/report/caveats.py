"""What stands between the numbers of a calculation and a result one may quote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from heterodft.analysis.cell_stress import MOST_STRESS, stress_left
from heterodft.analysis.sphere_radii import uneven_spheres
from heterodft.analysis.state_marks import order_reached, state_of
from heterodft.structures.fitting import MOST_STRAIN
from heterodft.structures.symmetry import can_relax
from heterodft.units import RYDBERG, cutoff_in_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from heterodft.analysis.result import Result

__all__ = ["find_caveats", "is_low_cutoff", "is_of_state", "is_of_stress"]

_LEAST_CUTOFF = {"espresso": 59.9 * RYDBERG, "vasp": 399.0}
"""eV; below it oxides and nitrides are not converged, with the pseudopotentials each code is used with."""
_STRESSED = "the cell is not relaxed"


def find_caveats(
    static: Result | None,
    about: Mapping[str, Any],
    *,
    state: str,
    steps: Iterable[str],
    relaxed: Result | None = None,
    suggested: Mapping[str, float] | None = None,
) -> list[str]:
    """Return what a reader must know before quoting a number.

    Parameters
    ----------
    static
        What the energy is from; None where that is not done.
    about
        Of its request: ``protocol``, ``order``, and ``strain`` in % by material.
    state
        Verdict on the magnetic state.
    steps
        Names of the steps of the configuration, done or not.
    relaxed
        Result of the last relaxation; None where there is none.
    suggested
        eV: the cutoff that the authors of a pseudopotential suggest, by its checksum.
    """
    caveats = []
    if about.get("protocol") == "fast":
        caveats.append("the protocol fast shows that a campaign runs; its numbers are a demonstration, not a result")
    if static is not None:
        caveats += _of_settings(static, suggested or {})
        if static.step != "static":
            caveats.append(f"the energy is that of the {static.step} step; no static one was asked for")
    if not any(step.startswith("relax") for step in steps) and (static is None or can_relax(static.structure)):
        caveats.append("the atoms are at their ideal, unrelaxed positions")
    strained = {
        material: value for material, value in (about.get("strain") or {}).items() if abs(value) > MOST_STRAIN
    }
    caveats += [f"in the plane {material} is strained by {value:+.1f} %" for material, value in strained.items()]
    caveats += _of_spheres(static)
    caveats += _of_stress(static, relaxed)
    if relaxed is not None and static is not None and _has_hubbard(static) and not _has_hubbard(relaxed):
        caveats.append(f"the atoms were relaxed without U, where it is {about.get('hubbard')}")
    if state in ("collapsed", "flipped", "other"):
        words = {"collapsed": "the moments asked for vanished", "flipped": "some moments turned over"}
        said = words.get(state, "some of the moments asked for are missing")
        caveats.append(f"the state reached is not the {about.get('order')} order asked for: {said}{_details(static)}")
    return caveats


def _has_hubbard(result: Result) -> bool:
    return bool(result.request.get("request", {}).get("hubbard"))


def is_of_state(caveat: str) -> bool:
    """Tell whether a caveat says that another magnetic state was reached, which stands with each configuration."""
    return "state reached" in caveat


def _of_spheres(static: Result | None) -> list[str]:
    """Return which moments in spheres do not compare with one another."""
    return [
        f"moments and charges of {element} in spheres do not compare, with one another or with another order: their "
        f"radii are {least:.3f} and {most:.3f} Å; take those by Löwdin"
        for element, (least, most) in ({} if static is None else uneven_spheres(static)).items()
    ]


def is_of_stress(caveat: str) -> bool:
    """Tell whether a caveat says that a cell has not relaxed."""
    return caveat.startswith(_STRESSED)


def _of_stress(static: Result | None, relaxed: Result | None) -> list[str]:
    """Return that a cell has not relaxed, where its own plane waves tell so."""
    settings = {} if relaxed is None else relaxed.request.get("request", {}).get("settings", {})
    left = stress_left(settings.get("cell"), relaxed, static)
    if left is None or left < MOST_STRESS:
        return []
    return [
        f"{_STRESSED}: {left:.0f} GPa are left in the plane waves of its last shape; the cutoff is too "
        "low for its stress: give the relaxation a higher one, or cell: fixed"
    ]


def _details(static: Result | None) -> str:
    """Return where a state differs and which it is, where the record tells."""
    record = {} if static is None else state_of(static)
    order = order_reached(record)
    words = [record.get("words", ""), f"it is {order}" if order else ""]
    return f" ({', '.join(filter(None, words))})" if any(words) else ""


def is_low_cutoff(static: Result) -> bool:
    """Tell whether a cutoff is too low for oxides and nitrides."""
    cutoff = static.request.get("request", {}).get("settings", {}).get("cutoff")
    return cutoff is not None and cutoff < _LEAST_CUTOFF.get(static.code, 0.0)


def _of_cutoff(static: Result, suggested: Mapping[str, float]) -> list[str]:
    """Return that a cutoff is low by experience, or below what the authors of a pseudopotential suggest."""
    body = static.request.get("request", {})
    cutoff = body.get("settings", {}).get("cutoff")
    wanted = {element: suggested.get(name, 0.0) for element, name in (body.get("pseudopotentials") or {}).items()}
    element = max(wanted, key=lambda e: wanted[e], default="")
    more = cutoff is not None and wanted.get(element, 0.0) > cutoff + 1e-6
    if not (is_low_cutoff(static) or more):
        return []
    said = f"a cutoff of {cutoff_in_words(cutoff, static.code)}"
    advice = f"{cutoff_in_words(wanted[element], static.code)} that the pseudopotential of {element}" if more else ""
    if is_low_cutoff(static):
        return [f"{said} is not converged for these elements" + f", and below the {advice} suggests" * more]
    return [f"{said} is below the {advice} suggests; what it changes: heterodft converge --what cutoff"]


def _of_settings(static: Result, suggested: Mapping[str, float]) -> list[str]:
    body = static.request.get("request", {})
    settings = body.get("settings", {})
    caveats = _of_cutoff(static, suggested)
    if static.bands is not None and len(static.bands.weights) == 1:
        caveats.append("the density rests on one k-point")
    if static.converged is False:
        caveats.append("the SCF cycle did not converge; its energy means nothing")
    if body.get("charge"):
        caveats.append("the cell is charged and its energy lacks the correction for its periodic images")
    if settings.get("forced"):
        caveats.append(f"raw settings were forced against the request: {', '.join(settings['forced'])}")
    return caveats
