"""What the branches of a scan of U say together: hysteresis, transitions, energies of orders, what each cost."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

from heterodft.analysis.energies.comparability import compare, faults
from heterodft.analysis.energies.followed_states import base_name
from heterodft.words import number_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from heterodft.analysis.hubbard_rows import ScanRow
    from heterodft.analysis.result import Result

__all__ = ["BranchCost", "Hysteresis", "OrderEnergy", "Transition", "costs_of", "find_hysteresis",
           "find_transitions", "hysteresis_words", "order_energies", "start_rank"]  # fmt: skip

_One = TypeVar("_One")
_OTHER_CELL = 0.5
"""Percent of the volume."""
_SAME_START = 4
"""Digits of eV; starts whose energies agree so far are as good as each other."""


@dataclass(frozen=True)
class Hysteresis:
    """Two branches that ended differently at one U.

    Attributes
    ----------
    structure, order, u, other_u
        As in `ScanRow`.
    lowest, lowest_state
        The branch that ended lowest, and its state.
    branch, state
        The other one.
    difference
        meV per formula unit by which it lies higher; None where the two may not be subtracted.
    reason
        Why not; empty where they may.
    swelling
        Percent by which its volume is larger: of a relaxation that ended elsewhere, in whatever state.
    """

    structure: str
    order: str
    u: float
    other_u: str
    lowest: str
    lowest_state: str
    branch: str
    state: str
    difference: float | None
    reason: str = ""
    swelling: float = 0.0

    @property
    def same_state(self) -> bool:
        """Whether the two have the same moments and occupations, so that only the energy tells them apart."""
        return self.state == self.lowest_state


@dataclass(frozen=True)
class Transition:
    """A change of state from one point of a branch to the next, in the direction of the branch.

    The branch ``lowest`` is made of the lowest state at each U.
    """

    structure: str
    order: str
    branch: str
    other_u: str
    from_u: float
    to_u: float
    from_state: str
    to_state: str

    @property
    def text(self) -> str:
        """One line for people."""
        where = f"between U = {self.from_u:g} and {self.to_u:g} eV"
        if self.branch == "lowest":
            return f"{self.structure}: the lowest state changes {where}: {self.from_state} → {self.to_state}"
        return f"{self.structure} {self.order}, {self.branch}: {self.from_state} → {self.to_state} {where}"


@dataclass(frozen=True)
class OrderEnergy:
    """Energy of the lowest state of an order from that of a reference order, at the same U.

    Attributes
    ----------
    structure, u, other_u
        As in `ScanRow`.
    order, reference
        Orders that were reached.
    value
        meV per formula unit, positive where the reference lies lower; None where the two may not be subtracted.
    reason
        Why not; empty where they may.
    """

    structure: str
    u: float
    other_u: str
    order: str
    reference: str
    value: float | None
    reason: str = ""


@dataclass(frozen=True)
class BranchCost:
    """What a branch cost, beside cold starts at the same points where these were computed.

    Attributes
    ----------
    branch
        Its name.
    calculations, iterations, cpu_seconds
        Finished points, each once; SCF iterations and CPU time of all their steps. Iterations are None where a
        structure was relaxed, since of a relaxation only those of its last cycle are told.
    compared
        Points of the branch at which a cold start is known that ended in the same state.
    own_iterations, cold_iterations, own_cpu, cold_cpu
        Sums over these.
    """

    branch: str
    calculations: int
    iterations: int | None
    cpu_seconds: float
    compared: int
    own_iterations: int | None
    cold_iterations: int | None
    own_cpu: float
    cold_cpu: float

    @property
    def saved(self) -> float | None:
        """Part of the iterations that the branch saved against cold starts; None where it is not known."""
        if self.own_iterations is None or not self.cold_iterations:
            return None
        return 1 - self.own_iterations / self.cold_iterations

    @property
    def saved_cpu(self) -> float | None:
        """Part of the CPU time that the branch saved against cold starts; None where nothing was compared."""
        return 1 - self.own_cpu / self.cold_cpu if self.cold_cpu else None

    @property
    def text(self) -> str:
        """One line for people."""
        iterations = "" if self.iterations is None else f"{self.iterations} SCF iterations, "
        points = number_of(self.calculations, "point")
        told = f"{self.branch}: {points}, {iterations}{self.cpu_seconds:.0f} s of CPU time"
        if self.saved is not None:
            against = f"{self.own_iterations} iterations against {self.cold_iterations}"
            saved = self.saved
        elif self.saved_cpu is not None:
            against, saved = f"{self.own_cpu:.0f} s against {self.cold_cpu:.0f} s", self.saved_cpu
        else:
            return told
        where = f"where a cold start ended in the same state ({number_of(self.compared, 'point')})"
        return f"{told}; {against} {where}: {-100 * saved:+.0f} %"


def start_rank(result: Result) -> tuple[bool, bool, float]:
    """Sort calculations from the atoms by how good a beginning of a ramp they are, the best first.

    Those in the state asked for come first, then the lowest in energy.
    """
    verdict = result.request.get("state", {}).get("verdict", "kept")
    energy = float("inf") if result.energy is None else round(result.energy, _SAME_START)
    return bool(faults(result)), verdict != "kept", energy


def find_hysteresis(rows: Sequence[ScanRow], tolerance: float) -> list[Hysteresis]:
    """Return where branches of one order ended differently; `tolerance` in eV per formula unit."""
    found = []
    for members in _grouped(rows, lambda row: (row.structure, row.order, row.other_u, row.u)):
        lowest = min(members, key=lambda row: row.sort_energy)
        for row in members:
            if row.result is lowest.result:
                continue
            apart, reason = _difference(row, lowest)
            if row.state == lowest.state and apart is not None and abs(apart) <= 1000 * tolerance:
                continue
            found.append(
                Hysteresis(
                    row.structure, row.order, row.u, row.other_u, lowest.branch, lowest.state, row.branch, row.state,
                    apart, reason, 100 * (row.volume / lowest.volume - 1),
                )
            )  # fmt: skip
    return found


def hysteresis_words(found: Sequence[Hysteresis]) -> list[str]:
    """Return a line for each branch that ended higher, and in which state, with the U where it did."""
    words = []
    for one in _grouped(found, lambda h: (h.structure, h.order, h.other_u, h.branch, h.state, h.lowest_state)):
        first = one[0]
        where = " ".join(filter(None, (first.structure, first.order, first.other_u)))
        u = ", ".join(f"{h.u:g}" for h in one)
        apart = [h.difference for h in one if h.difference is not None]
        low, high = (f"{number:.1f}" for number in (min(apart, default=0.0), max(apart, default=0.0)))
        above = f"{low if low == high else f'{low} to {high}'} meV/f.u. above"
        told = above if apart else f"not comparable ({first.reason}) with"
        other = "another end in the same state" if first.same_state else first.lowest_state
        cells = _cells([h.swelling for h in one])
        words.append(f"{where}, {first.branch}, U = {u} eV: ends in {first.state}, {told} {other}{cells}")
    return words


def _cells(swelling: Sequence[float]) -> str:
    """Say that relaxations ended in different cells, whose energy is part of the difference."""
    largest = max(swelling, key=abs)
    if abs(largest) < _OTHER_CELL:
        return ""
    size = f"{abs(largest):.1f} % {'larger' if largest > 0 else 'smaller'}"
    return f"; its cell is {size}, which is part of that: see whether both are free of pressure"


def _difference(row: ScanRow, lowest: ScanRow) -> tuple[float | None, str]:
    """Return an energy from another in meV per formula unit, or why there is none."""
    found = compare(row.result, lowest.result, names=(row.branch, lowest.branch))
    if not found.may_subtract() or row.result.energy is None or lowest.result.energy is None:
        return None, found.reason()
    return 1000 * (row.result.energy - lowest.result.energy) / row.formula_units, ""


def find_transitions(rows: Sequence[ScanRow]) -> list[Transition]:
    """Return the changes of state along each branch, and those of the lowest state."""
    found = []
    for members in _grouped(rows, lambda row: (row.structure, row.order, row.other_u, row.branch)):
        way = sorted(members, key=lambda row: row.u, reverse=members[0].branch == "down")
        found += [_transition(one, other) for one, other in pairwise(way) if one.state != other.state]
    for members in _grouped([row for row in rows if row.lowest], lambda row: (row.structure, row.other_u)):
        way = sorted({row.u: row for row in members}.values(), key=lambda row: row.u)
        found += [_transition(one, other, "lowest") for one, other in pairwise(way) if one.state != other.state]
    return found


def _transition(one: ScanRow, other: ScanRow, branch: str | None = None) -> Transition:
    return Transition(
        one.structure, "" if branch else one.order, branch or one.branch, one.other_u, one.u, other.u, one.state,
        other.state,
    )  # fmt: skip


def order_energies(rows: Sequence[ScanRow]) -> list[OrderEnergy]:
    """Return the energy of each order that was reached from FM, else from the first, at each U."""
    found = []
    for members in _grouped(rows, lambda row: (row.structure, row.other_u)):
        orders = list(dict.fromkeys(base_name(row.state) for row in members if row.state))
        if len(orders) < 2:
            continue
        reference = "FM" if "FM" in orders else orders[0]
        for at_u in _grouped(sorted(members, key=lambda row: row.u), lambda row: row.u):
            lowest = {
                order: min(own, key=lambda row: row.sort_energy)
                for order in orders
                if (own := [row for row in at_u if base_name(row.state) == order])
            }
            for order, row in lowest.items():
                if order != reference and reference in lowest:
                    value, reason = _difference(row, lowest[reference])
                    found.append(OrderEnergy(row.structure, row.u, row.other_u, order, reference, value, reason))
    return found


def costs_of(rows: Sequence[ScanRow]) -> list[BranchCost]:
    """Return what each branch cost; what a ramp begins from is counted with the branch that computed it."""
    own = [row for row in rows if not row.shared]
    cold = {(row.structure, row.order, row.other_u, row.u): row for row in own if row.branch == "cold"}
    costs = []
    for members in _grouped(own, lambda row: row.branch):
        branch = members[0].branch
        pairs = [
            (row, beside)
            for row in members
            if not branch.startswith("cold")
            and (beside := cold.get((row.structure, row.order, row.other_u, row.u))) is not None
            and beside.state == row.state
        ]
        ramped, beside_them = [row for row, _ in pairs], [beside for _, beside in pairs]
        costs.append(
            BranchCost(
                branch,
                calculations=len(members),
                iterations=_iterations(members),
                cpu_seconds=sum(row.cpu_seconds for row in members),
                compared=len(pairs),
                own_iterations=_iterations(ramped),
                cold_iterations=_iterations(beside_them),
                own_cpu=sum(row.cpu_seconds for row in ramped),
                cold_cpu=sum(row.cpu_seconds for row in beside_them),
            )
        )
    return costs


def _iterations(rows: Sequence[ScanRow]) -> int | None:
    """Return all iterations of the points, None where one does not tell all of its own."""
    numbers = [row.iterations for row in rows if row.iterations is not None]
    return sum(numbers) if len(numbers) == len(rows) else None


def _grouped(rows: Iterable[_One], key: Callable[[_One], object]) -> list[list[_One]]:
    groups: dict[object, list[_One]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return list(groups.values())
