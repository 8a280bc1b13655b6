"""The polyhedron of the chemical potentials that make a host: its corners and their names."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray


__all__ = ["SAME_ENERGY", "Limit", "find_limits"]

_TOLERANCE = 1e-7
SAME_ENERGY = 1e-5


@dataclass(frozen=True)
class Limit:
    """One corner of what is allowed.

    Attributes
    ----------
    name
        ``O-rich``, ``O-poor``, or the phases that the host is in equilibrium with.
    deltas
        Δμ in eV by element, zero in the element.
    phases
        Phases in equilibrium with the host there.
    """

    name: str
    deltas: dict[str, float]
    phases: tuple[str, ...]


def find_limits(
    host: str, amounts: Mapping[str, Mapping[str, float]], heats: Mapping[str, float], elements: Sequence[str]
) -> tuple[tuple[Limit, ...], str]:
    """Return the corners of the polyhedron and whether it is one."""
    above = _above_hull(host, amounts, heats)
    if above[0] > _TOLERANCE:
        return (), f"{host} is not stable: {above[0]:.3f} eV per formula unit above {above[1]}"
    inside = [element for element in elements if element in amounts[host]]
    bounds = {element: ({element: 1.0}, 0.0) for element in inside}
    bounds |= {
        name: (dict(amounts[name]), heats[name])
        for name in heats
        if name != host and set(amounts[name]) <= set(inside)
    }
    corners = _corners(inside, (amounts[host], heats[host]), bounds)
    told = [(deltas | _impurities(deltas, elements, amounts, heats), met) for deltas, met in corners]
    named = _names(inside, told)
    return named, f"{host} is stable"


def _above_hull(
    host: str, amounts: Mapping[str, Mapping[str, float]], heats: Mapping[str, float]
) -> tuple[float, str]:
    """Return how far (eV per formula unit) the host lies above the best mixture of other phases, and that mixture."""
    from scipy.optimize import linprog

    elements = list(amounts[host])
    others = [name for name in heats if name != host and set(amounts[name]) <= set(elements)]
    names = [*others, *elements]
    parts = [amounts[name] for name in others] + [{element: 1.0} for element in elements]
    matrix = np.array([[part.get(element, 0.0) for part in parts] for element in elements])
    cost = [*(heats[name] for name in others), *(0.0 for _ in elements)]
    found = linprog(cost, A_eq=matrix, b_eq=[amounts[host][element] for element in elements])
    mixture = " + ".join(f"{x:.3g} {name}" for x, name in zip(found.x, names, strict=True) if x > _TOLERANCE)
    return float(heats[host] - found.fun), mixture


def _corners(
    elements: Sequence[str],
    host: tuple[Mapping[str, float], float],
    bounds: Mapping[str, tuple[Mapping[str, float], float]],
) -> list[tuple[dict[str, float], tuple[str, ...]]]:
    """Return the corners, from every choice of n - 1 bounds that hold exactly beside the host's equation."""
    rows = {name: np.array([part.get(e, 0.0) for e in elements]) for name, (part, _) in bounds.items()}
    equation = np.array([host[0].get(e, 0.0) for e in elements])
    corners: list[NDArray[np.float64]] = []
    for chosen in combinations(bounds, len(elements) - 1):
        matrix = np.array([equation, *(rows[name] for name in chosen)])
        if abs(np.linalg.det(matrix)) < _TOLERANCE:
            continue
        point = np.linalg.solve(matrix, [host[1], *(bounds[name][1] for name in chosen)])
        allowed = all(rows[name] @ point <= bounds[name][1] + _TOLERANCE for name in bounds)
        if allowed and not any(np.allclose(point, other, atol=SAME_ENERGY) for other in corners):
            corners.append(point)
    return [
        (
            {e: float(x) + 0.0 for e, x in zip(elements, point, strict=True)},
            tuple(name for name in bounds if abs(rows[name] @ point - bounds[name][1]) < SAME_ENERGY),
        )
        for point in corners
    ]


def _impurities(
    deltas: Mapping[str, float],
    elements: Sequence[str],
    amounts: Mapping[str, Mapping[str, float]],
    heats: Mapping[str, float],
) -> dict[str, float]:
    """Return the highest Δμ of each element that is not in the host: where its first phase begins to form."""
    found: dict[str, float] = {}
    for element in elements:
        if element in deltas:
            continue
        highest = 0.0
        for name, part in amounts.items():
            if element in part and set(part) <= {element, *deltas}:
                rest = sum(x * deltas[e] for e, x in part.items() if e != element)
                highest = min(highest, (heats[name] - rest) / part[element])
        found[element] = highest
    return found


def _names(elements: Sequence[str], corners: Sequence[tuple[dict[str, float], tuple[str, ...]]]) -> tuple[Limit, ...]:
    """Name each corner by the anion where it is highest or lowest, and by the phases where that is not unique."""
    anion = next((e for e in ("O", "N", "F", "S", "Cl") if e in elements), elements[-1])
    levels = [deltas[anion] for deltas, _ in corners]
    limits = []
    for (deltas, phases), level in zip(corners, levels, strict=True):
        rank = (
            "rich"
            if abs(level - max(levels)) < SAME_ENERGY
            else "poor"
            if abs(level - min(levels)) < SAME_ENERGY
            else ""
        )
        alike = sum(abs(level - other) < SAME_ENERGY for other in levels)
        where = f" ({' + '.join(phases)})" if alike > 1 else ""
        limits.append(Limit(f"{anion}-{rank}{where}" if rank else " + ".join(phases), deltas, phases))
    return tuple(sorted(limits, key=lambda limit: -limit.deltas[anion]))
