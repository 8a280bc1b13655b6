"""The points of a scan of U: which U, which branch, which state, and what it says."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.against_u import points_of, states_at_each_u, structure_name
from heterodft.analysis.energies.calculation_settings import settings_of
from heterodft.analysis.energies.comparability import faults
from heterodft.analysis.energies.followed_states import follow_states
from heterodft.analysis.energies.states import asked_order
from heterodft.analysis.hubbard_branches import start_rank

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from heterodft.analysis.against_u import HubbardPoint
    from heterodft.analysis.gaps import Gap
    from heterodft.analysis.result import Result

__all__ = ["ScanRow", "scan_rows"]

_SAME_U = 1e-6
_EV = re.compile(r"(?:(?P<label>\S+) )?(?P<number>[-+.\de]+) eV(?: on \S+)?")
_LOWEST = 1e-4
"""eV a cell above the lowest that is still the lowest."""
_COLD = "cold"


@dataclass(frozen=True)
class ScanRow:
    """One point of one branch.

    Attributes
    ----------
    branch
        ``cold``, ``cold-0.5`` (with the starting moments times 0.5), ``up`` or ``down``.
    u, other_u
        eV: the U that is followed; in words those that differ besides and do not go with it.
    state
        The order of the state reached, the same name for the same state at every U; ``FM (2)`` is another state of
        that order.
    lowest
        Whether no comparable calculation of the structure lies lower at this U.
    shared
        Whether the row is the calculation from the atoms that a ramp begins with, told once more as its first point.
    point
        Moments, gap and energy; see `heterodft.analysis.against_u.HubbardPoint`.
    formula_units
        In the cell.
    volume
        Å³ per formula unit.
    lattice
        Å: the lengths a, b, c of the cell.
    iterations, cpu_seconds
        SCF iterations and CPU time of every step of the point; of a relaxation the iterations are not known.
    result
        Where these come from.
    """

    branch: str
    u: float
    other_u: str
    state: str
    lowest: bool
    shared: bool
    point: HubbardPoint
    formula_units: int
    volume: float
    lattice: tuple[float, float, float]
    iterations: int | None
    cpu_seconds: float
    result: Result = field(repr=False, compare=False)

    @property
    def structure(self) -> str:
        """Its name."""
        return self.point.structure

    @property
    def order(self) -> str:
        """The order asked for, whatever a state is called that was reached in its place."""
        return asked_order(self.result) or self.point.order

    @property
    def sort_energy(self) -> tuple[bool, bool, float]:
        """What to sort by for the lowest: sound runs that may be compared with others, by their energy; the rest."""
        alone = self.point.relative is None
        return bool(faults(self.result)), alone, np.inf if self.point.energy is None else self.point.energy

    @property
    def relative(self) -> float | None:
        """The energy from the lowest at this U in meV per formula unit."""
        return None if self.point.relative is None else 1000 * self.point.relative / self.formula_units


def scan_rows(
    results: Sequence[Result],
    *,
    branches: Sequence[str] | None = None,
    gaps: Sequence[Gap | None] | None = None,
    costs: Sequence[tuple[int | None, float]] | None = None,
) -> tuple[list[ScanRow], tuple[str, ...]]:
    """Return the points of a scan, and what carries the U that differs.

    Parameters
    ----------
    results, branches, gaps, costs
        As of `heterodft.analysis.hubbard_scan.HubbardScan.from_results`.
    """
    called = list(branches) if branches is not None else [_branch(result) for result in results]
    values = [_u_values(result) for result in results]
    scanned = _scanned(values)
    others = () if _go_together(values, scanned) else scanned[1:]
    followed = scanned[:1] or tuple(sorted({name for one in values for name in one}))[:1]
    u = [_value(one, followed) for one in values]
    beside = [", ".join(f"U({name}) {_value(one, (name,)):g} eV" for name in others) for one in values]
    points = points_of(results, gaps=gaps)
    names = _names(results, u, beside)
    rows = [
        _row(result, point, None if costs is None else costs[i], branch=called[i], u=u[i], other_u=beside[i],
             state=names[i])
        for i, (result, point) in enumerate(zip(results, points, strict=True))
    ]  # fmt: skip
    every = _with_beginnings(_with_lowest(rows))
    every.sort(key=lambda row: (row.structure, row.other_u, row.order, row.branch, row.u))
    return every, scanned


def _branch(result: Result) -> str:
    return str(result.request.get("about", {}).get("variant") or _COLD)


def _row(
    result: Result,
    point: HubbardPoint,
    cost: tuple[int | None, float] | None,
    *,
    branch: str,
    u: float,
    other_u: str,
    state: str,
) -> ScanRow:
    units = max(round(result.structure.composition.get_reduced_composition_and_factor()[1]), 1)
    iterations, cpu = cost if cost is not None else (_iterations(result), result.all_cpu_seconds or 0.0)
    a, b, c = result.structure.lattice.abc
    return ScanRow(
        branch=branch,
        u=u,
        other_u=other_u,
        state=state,
        lowest=False,
        shared=False,
        point=point,
        formula_units=units,
        volume=result.structure.volume / units,
        lattice=(a, b, c),
        iterations=iterations,
        cpu_seconds=cpu,
        result=result,
    )


def _iterations(result: Result) -> int | None:
    """Return the SCF iterations; of a relaxation of an earlier version only those of its last cycle are told."""
    return None if result.step.startswith("relax") and not result.spent else result.all_iterations


def _with_lowest(rows: Sequence[ScanRow]) -> list[ScanRow]:
    """Mark the lowest at each U; what stands alone there is the lowest that is known."""
    places = Counter((row.structure, row.other_u, row.u) for row in rows)
    return [
        replace(
            row,
            lowest=not faults(row.result)
            if places[row.structure, row.other_u, row.u] == 1
            else row.point.relative is not None and row.point.relative <= _LOWEST,
        )
        for row in rows
    ]


def _u_values(result: Result) -> dict[str, float]:
    """Return U in eV by element, ``Ta``, and by layer, ``Ta KTaO3:1``, where a layer has its own."""
    words: Mapping[str, str] = settings_of(result)["hubbard"] or {}
    found: dict[str, float] = {}
    for element, text in words.items():
        for part in text.split(", "):
            told = _EV.fullmatch(part)
            if told is not None and told["label"] != "J":
                found[" ".join(filter(None, (element, told["label"])))] = float(told["number"])
    return found


def _value(u: Mapping[str, float], names: Sequence[str]) -> float:
    """Return the U of the first name; that of a layer which has no own is that of its element."""
    if not names:
        return 0.0
    return u.get(names[0], u.get(names[0].partition(" ")[0], 0.0))


def _scanned(values: Sequence[Mapping[str, float]]) -> tuple[str, ...]:
    """Return the elements and layers whose U differs; elements only where it is not for their layers alone."""
    names = sorted({name for one in values for name in one})
    return tuple(name for name in names if len({round(_value(one, (name,)) / _SAME_U) for one in values}) > 1)


def _go_together(values: Sequence[Mapping[str, float]], scanned: tuple[str, ...]) -> bool:
    """Whether the first U that differs tells the others."""
    every = {tuple(round(_value(one, (name,)) / _SAME_U) for name in scanned) for one in values}
    return len(every) == len({one[:1] for one in every})


def _names(results: Sequence[Result], u: Sequence[float], other_u: Sequence[str]) -> list[str]:
    """Return the state of each result, followed along U within its structure."""
    families: dict[tuple[str, int, str], list[int]] = {}
    for i, result in enumerate(results):
        families.setdefault((structure_name(result), len(result.structure), other_u[i]), []).append(i)
    names = [""] * len(results)
    for members in families.values():
        own = [results[i] for i in members]
        found = follow_states(own, states_at_each_u(own), [u[i] for i in members])
        for i, name in zip(members, found, strict=True):
            names[i] = name
    return names


def _with_beginnings(rows: Sequence[ScanRow]) -> list[ScanRow]:
    """Add to each ramp the calculation from the atoms that it began with, as its first point."""
    found = list(rows)
    for ramp, sign in (("up", 1), ("down", -1)):
        for key in dict.fromkeys(_track(row) for row in rows if row.branch == ramp):
            first = min(sign * row.u for row in rows if row.branch == ramp and _track(row) == key)
            before = [row for row in rows if row.branch.startswith(_COLD) and _track(row) == key]
            before = [row for row in before if sign * row.u < first]
            end = min((sign * row.u for row in before), default=None)  # cold starts may lie at every U
            starts = [row for row in before if sign * row.u == end]
            if starts:
                best = min(starts, key=lambda row: start_rank(row.result))
                found.append(replace(best, branch=ramp, shared=True))
    return found


def _track(row: ScanRow) -> tuple[str, str, str]:
    return row.structure, row.order, row.other_u
