"""The states that calculations reached: which are the same, and what to call them.

Two runs of one cell are in the same state where their moments agree (`same_state`) and, where both tell Hubbard
occupations, these agree too: the eigenvalues at each site, and the matrices as they are or carried over by a symmetry
of the cell (`heterodft.analysis.energies.occupation_states`). Where the eigenvalues agree and no symmetry makes the
matrices agree, as in cells that relaxed around their orbitals, energies within 1 meV a site with U still mean the
same state, if they may be subtracted. Without occupations the moments decide.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.energies.calculation_settings import settings_of
from heterodft.analysis.energies.comparability import compare
from heterodft.analysis.energies.occupation_states import (
    OTHER_U_TOLERANCE,
    SAME_U_TOLERANCE,
    compare_occupations,
    occupations_in_order,
)
from heterodft.analysis.energies.site_order import order_like
from heterodft.analysis.state_marks import state_marks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from heterodft.analysis.result import Result

__all__ = [
    "State",
    "asked_moments",
    "asked_order",
    "find_states",
    "reached_moments",
    "same_state",
    "state_note",
]

_NONE = 0.1
"""μB; a smaller moment counts as none."""
_LARGE = 0.3
"""Of the largest moment: a site with less carries an induced moment, unless a moment was asked for there."""
_SAME, _SAME_PART, _SAME_OF_LARGEST = 0.05, 0.15, 0.05
"""μB, part of the moment, and part of the largest one, by which moments of one state may differ."""
_CANTED = 0.1
"""Of the largest moment, beside the common axis of a state that is collinear."""
_LONGEST = 12
_SAME_ENERGY = 1e-3
"""eV a site with U, by which runs with orbitals turned against one another may differ."""


@dataclass(frozen=True)
class State:
    """A magnetic state that a calculation reached.

    Attributes
    ----------
    name
        The order it is, ``FM``, ``AFM-G``; ``NM`` without moments; else its signs, ``+ + - 0``, by magnetic site;
        ``FM (2)`` where another state of those signs lies lower, with other sizes of the moments or other occupied
        orbitals; empty where no moments are told.
    sites
        Indices of the magnetic sites in the result's own structure, in one order for all results of a cell.
    moments
        μB of these; None where the code told none.
    kind
        ``sphere`` or ``Löwdin``: what moments these are; empty where there are none.
    """

    name: str
    sites: tuple[int, ...]
    moments: tuple[float, ...] | None
    kind: str = ""


@dataclass(frozen=True)
class _Found:
    """What one run reached.

    Attributes
    ----------
    moments
        μB of the magnetic sites.
    result
        The run.
    order
        Its sites in the order of the cell that all are compared in.
    name
        Of its state, once it is known.
    """

    moments: NDArray[np.float64]
    result: Result
    order: NDArray[np.int64]
    name: str = ""

    @property
    def structure(self) -> Structure:
        """Its structure in that order."""
        from pymatgen.core import Structure

        return Structure.from_sites([self.result.structure[int(i)] for i in self.order])


def asked_order(result: Result) -> str:
    """Return the name of the order that was asked for, empty for a folder of others."""
    return str(result.request.get("about", {}).get("order", ""))


def state_note(result: Result) -> tuple[str, ...]:
    """Return a note where the state that was asked for was not reached or something else is to be known of it."""
    return state_marks(result)


def asked_moments(result: Result) -> NDArray[np.float64] | None:
    """Return the starting moments (μB) by site, None where they are not known or there are none."""
    moments = (result.request.get("request") or {}).get("moments")
    return None if moments is None else np.array(moments, dtype=np.float64)


def reached_moments(result: Result) -> tuple[NDArray[np.float64], str] | None:
    """Return the moments (μB) by site and their kind, those in spheres where there are any.

    Those of a noncollinear run are taken along the axis that they share; None where they share none.
    """
    for kind in ("sphere", "Löwdin"):
        values = result.sites.get(kind)
        if values is None or values.moments is None:
            continue
        moments = np.array(values.moments, dtype=np.float64)
        if values.vectors is None and result.method.get("noncollinear"):
            continue  # components along z, which say nothing of the state
        along = moments if values.vectors is None else _along_one_axis(np.asarray(values.vectors))
        return None if along is None else (along, kind)
    return (np.zeros(len(result.structure)), "") if _is_unpolarized(result) else None


def _is_unpolarized(result: Result) -> bool:
    """Whether a run had no spins at all, so that it is known to have no moments."""
    if result.total_moment is not None or result.method.get("noncollinear") or result.method.get("spin_orbit"):
        return False
    body = result.request.get("request") or {}
    if "moments" in body:
        return body["moments"] is None and not body.get("spin_orbit")
    return result.bands is not None and result.bands.energies.shape[0] == 1


def _along_one_axis(vectors: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return moments along the axis that all share, None where they do not."""
    axis = np.linalg.svd(vectors)[2][0]
    along = vectors @ axis
    aside = np.linalg.norm(vectors - np.outer(along, axis), axis=1).max(initial=0.0)
    return None if aside > max(_NONE, _CANTED * float(np.abs(along).max(initial=0.0))) else np.asarray(along)


def same_state(first: NDArray[np.float64], second: NDArray[np.float64]) -> bool:
    """Whether two sets of moments (μB) agree up to turning all of them over; `find_states` asks for occupations too.

    They may differ by 15 %, by 5 % of the largest one in the cell, or by 0.05 μB: a relaxation moves them a little.
    """
    sizes = np.maximum(np.abs(first), np.abs(second))
    allowed = np.maximum(_SAME_PART * sizes, max(_SAME, _SAME_OF_LARGEST * float(sizes.max(initial=0.0))))
    return any(bool((np.abs(first - sign * second) <= allowed).all()) for sign in (1, -1))


def find_states(results: Sequence[Result]) -> list[State]:
    """Return the state that each result of one cell reached.

    Parameters
    ----------
    results
        Of one cell; atoms are told by their places where files list them in another order. Those of one U and one
        geometry are told apart best: moments and occupations change a little with both.

    Returns
    -------
    list of State
        Results in the same state carry the same name, whatever was asked of them.
    """
    orders = [order_like(result.structure, results[0].structure) for result in results]
    reached = [
        None if (one := reached_moments(result)) is None else (one[0][order], one[1])
        for result, order in zip(results, orders, strict=True)
    ]
    wanted = [
        None if (asked := asked_moments(result)) is None else asked[order]
        for result, order in zip(results, orders, strict=True)
    ]
    sites = _magnetic_sites(wanted, [None if one is None else one[0] for one in reached])
    known = {
        asked_order(result): _signs(asked[sites])
        for result, asked in zip(results, wanted, strict=True)
        if asked is not None and asked_order(result)
    }
    found: list[_Found] = []
    names: dict[int, str] = {}
    lowest_first = sorted(range(len(results)), key=lambda i: _energy(results[i]))
    for i in lowest_first:
        one = reached[i]
        if one is not None:
            names[i] = _name(_Found(one[0][sites], results[i], orders[i]), known, found)
    return [
        State(names[i], _own(orders[i], sites), tuple(map(float, one[0][sites])), one[1])
        if one is not None
        else State("", _own(orders[i], sites), None)
        for i, one in enumerate(reached)
    ]


def _energy(result: Result) -> float:
    return float("inf") if result.energy is None else result.energy


def _own(order: NDArray[np.int64], sites: Sequence[int]) -> tuple[int, ...]:
    return tuple(int(i) for i in order[list(sites)])


def _magnetic_sites(
    wanted: Sequence[NDArray[np.float64] | None], reached: Sequence[NDArray[np.float64] | None]
) -> list[int]:
    """Return the sites where a moment was asked for, or where a large one is."""
    number = next((len(one) for one in (*reached, *wanted) if one is not None), 0)
    magnetic = np.zeros(number, dtype=bool)
    for asked, moments in zip(wanted, reached, strict=True):
        if asked is not None:
            magnetic |= asked != 0
        if moments is not None:
            sizes = np.abs(moments)
            magnetic |= sizes > max(_LARGE * float(sizes.max(initial=0.0)), _NONE)
    return [int(i) for i in np.flatnonzero(magnetic)]


def _signs(moments: NDArray[np.float64]) -> tuple[int, ...]:
    """Return the signs, the first of them +."""
    signs = np.where(np.abs(moments) < _NONE, 0, np.sign(moments)).astype(int)
    first = next((sign for sign in signs if sign), 1)
    return tuple(int(sign * first) for sign in signs)


def _name(one: _Found, known: dict[str, tuple[int, ...]], found: list[_Found]) -> str:
    """Return the name of a state; a new one is added to those found."""
    for other in found:
        if same_state(one.moments, other.moments) and _same_orbitals(one, other):
            return other.name
    base = _order_of(_signs(one.moments), known)
    namesakes = sum(other.name == base or other.name.startswith(f"{base} (") for other in found)
    name = f"{base} ({namesakes + 1})" if namesakes else base
    found.append(replace(one, name=name))
    return name


def _same_orbitals(one: _Found, other: _Found) -> bool:
    """Whether the occupations of two runs are those of one state; runs that tell none may be in any."""
    if one.result.code != other.result.code:  # whose projectors differ
        return True
    mine, theirs = (occupations_in_order(each.result, each.order) for each in (one, other))
    same_u = settings_of(one.result)["hubbard"] == settings_of(other.result)["hubbard"]
    tolerance = SAME_U_TOLERANCE if same_u else OTHER_U_TOLERANCE
    verdict = compare_occupations(mine, theirs, other.structure, code=one.result.code, tolerance=tolerance)
    if verdict != "turned":
        return verdict != "other"
    apart = abs(_energy(one.result) - _energy(other.result))
    return apart < _SAME_ENERGY * len(theirs) and compare(one.result, other.result).may_subtract(trust=True)


def _order_of(signs: tuple[int, ...], known: dict[str, tuple[int, ...]]) -> str:
    if not any(signs):
        return "NM"
    for order, pattern in known.items():
        if pattern == signs:
            return order
    if all(sign == 1 for sign in signs):
        return "FM"
    text = " ".join("0+-"[sign] for sign in signs[:_LONGEST])
    return text if len(signs) <= _LONGEST else f"{text} …"
