"""One quantity of one configuration (or of two orders) at every point, and by how much it changes between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.convergence_sites import match_sites
from heterodft.analysis.energies.comparability import compare, faults
from heterodft.analysis.energies.states import find_states, reached_moments, same_state, state_note
from heterodft.analysis.gaps import find_gap
from heterodft.analysis.state_marks import state_of
from heterodft.analysis.tolerances import EXTENSIVE
from heterodft.units import KBAR

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Composition

    from heterodft.analysis.result import Result
    from heterodft.analysis.tolerances import Tolerance

__all__ = ["Named", "Series", "build_series", "order_pairs"]

_RELAXED = ("relaxed against not relaxed", "not relaxed against relaxed")
_MAGNETIC, _LARGE = 0.1, 0.3
"""μB, and part of the largest moment; the mean is that of the ions with more, which leaves induced moments out."""


@dataclass(frozen=True)
class Named:
    """What a configuration is called: its structure, order and U."""

    structure: str
    order: str
    hubbard: str = ""

    @property
    def text(self) -> str:
        """``bulk AFM-A Cr-3d-3eV``."""
        return " ".join(part for part in (self.structure, self.order, self.hubbard) if part and part != "noU")


@dataclass(frozen=True)
class Series:
    """One quantity at every point.

    Attributes
    ----------
    tolerance
        What is asked for.
    name
        The configuration, or the two orders: ``bulk AFM-A - FM``.
    values
        In the base unit of the tolerance, one a point, not-a-number where there is none. Of moments the mean size of
        those above 0.1 μB, of forces the largest component.
    changes
        Shape (point, point): value of the row's point less that of the column's; of moments, forces and lattice
        vectors the largest change of a single one, without sign. Not-a-number where the two may not be compared.
    reasons
        Shape (point, point): why not, empty where they may.
    signed
        Whether changes have a sign.
    """

    tolerance: Tolerance
    name: str
    values: NDArray[np.float64]
    changes: NDArray[np.float64]
    reasons: tuple[tuple[str, ...], ...]
    signed: bool

    def agrees(self, one: int, other: int) -> bool:
        """Whether two points agree; never where they may not be compared."""
        return bool(abs(self.changes[one, other]) <= self.tolerance.value)  # false for not-a-number

    @property
    def absent(self) -> tuple[str, ...]:
        """Why a point has no value that counts, one a point; empty where it has."""
        return tuple(self.reasons[i][i] for i in range(len(self.values)))


def build_series(
    tolerance: Tolerance, name: str, results: Sequence[Result | None], *, growing: bool = False
) -> Series | None:
    """Follow a quantity of one configuration; None where it means nothing to it: moments without spin.

    Parameters
    ----------
    tolerance
        The quantity and what it may change.
    name
        Of the configuration.
    results
        One a point; None where it was not computed.
    growing
        Whether layers are added from point to point: energies and volumes are then those of what is added,
        (E_n - E_m) / (N_n - N_m), which a thicker cell does not change any more once its interfaces no longer feel
        each other; moments are compared by their distance from the interfaces.
    """
    if tolerance.quantity == "moment" and all(r is None or _unpolarized(r) for r in results):
        return None
    absent = [_fault(tolerance.quantity, result) for result in results]
    pairs = _pair_reasons(results, absent, growing=growing)
    if tolerance.quantity in _VECTORS:
        return _vectors(tolerance, name, results, pairs, growing=growing)
    if tolerance.quantity == "gap":
        values = [np.nan if reason or r is None else _gap(r) for r, reason in zip(results, absent, strict=True)]
    elif tolerance.quantity == "pressure":
        values = [np.nan if reason or r is None else _pressure(r) for r, reason in zip(results, absent, strict=True)]
    else:
        totals = [
            np.nan if reason or r is None else _total(tolerance, r) for r, reason in zip(results, absent, strict=True)
        ]
        values = _per(tolerance, totals, results, pairs, growing=growing)
    return _scalar(tolerance, name, values, pairs)


def order_pairs(names: Sequence[Named]) -> list[tuple[int, int]]:
    """Return which configurations differ by their order alone: (another, the reference) by index.

    The reference is FM where there is one, else the first.
    """
    families: dict[tuple[str, str], list[int]] = {}
    for i, name in enumerate(names):
        families.setdefault((name.structure, name.hubbard), []).append(i)
    pairs = []
    for members in families.values():
        reference = next((i for i in members if names[i].order == "FM"), members[0])
        pairs += [(i, reference) for i in members if i != reference]
    return pairs


def difference_series(
    tolerance: Tolerance,
    names: tuple[Named, Named],
    results: tuple[Sequence[Result | None], Sequence[Result | None]],
    *,
    growing: bool = False,
) -> Series:
    """Follow the energy of one order less that of another one of the same structure.

    Arguments are those of `build_series`, the reference second.
    """
    one, other = (
        _pair_reasons(each, [_fault("energy", result) for result in each], growing=growing) for each in results
    )
    totals = []
    for point, (a, b) in enumerate(zip(*results, strict=True)):
        reason = one[point][point] or other[point][point] or _incomparable(a, b) or _one_state(a, b)
        one[point][point] = reason
        totals.append(np.nan if reason or a is None or b is None else _energy(a) - _energy(b))
    size = range(len(totals))
    pairs = [[one[i][i] or one[j][j] or one[i][j] or other[i][j] for j in size] for i in size]
    values = _per(tolerance, totals, results[0], pairs, growing=growing)
    both = Named(names[0].structure, f"{names[0].order} - {names[1].order}", names[0].hubbard)
    return _scalar(tolerance, both.text, values, pairs)


def _incomparable(a: Result | None, b: Result | None) -> str:
    if a is None or b is None:
        return "not computed"
    told = compare(a, b)
    return "; ".join(each for each in (*told.differences, *told.unknown) if each not in _RELAXED)


def _one_state(a: Result | None, b: Result | None) -> str:
    """Return that two orders ended in one state, whose difference is zero at every point; empty where not."""
    if a is None or b is None or len(a.structure) != len(b.structure):
        return ""
    one, other = find_states([a, b])
    return f"both are in one state: {one.name}" if one.name and one.name == other.name else ""


def _fault(quantity: str, result: Result | None) -> str:
    """Return why a result has no value of a quantity that counts, empty where it has."""
    if result is None:
        return "not computed"
    wrong = [*faults(result), *_own_notes(result)]
    if wrong:
        return "; ".join(wrong)
    missing = {
        "gap": result.bands is None,
        "pressure": result.stress is None,
        "forces": result.forces is None,
        "moment": reached_moments(result) is None,
    }
    if missing.get(quantity, False):
        return f"no {quantity} is told" if quantity != "gap" else "no bands are told"
    if quantity == "gap":
        gap = find_gap(result)
        if gap is None:
            return "no gap can be told: no empty band was computed"
        return "a metal, which has no gap" if gap.metal else ""
    return ""


def _own_notes(result: Result) -> list[str]:
    """Return what is to be known of a state, but not that it differs from the point whose density it started from.

    Another width, mesh or cutoff may change a moment by much; whether two points are in one state is asked of each
    pair.
    """
    handed_on = result.request.get("about", {}).get("taken_over")
    before = (state_of(result).get("before") or {}).get("differs", ()) if handed_on else ()
    return [note for note in state_note(result) if note not in before]


def _pair_reasons(results: Sequence[Result | None], absent: Sequence[str], *, growing: bool) -> list[list[str]]:
    size = range(len(results))
    found = [["" for _ in size] for _ in size]
    for i in size:
        found[i][i] = absent[i]
        for j in range(i):
            reason = absent[i] or absent[j] or ("" if growing else _other_state(results[j], results[i]))
            found[i][j] = found[j][i] = reason
    return found


def _other_state(before: Result | None, after: Result | None) -> str:
    """Return that two points are in different states, empty where they are in one or it is not known."""
    if before is None or after is None:
        return ""
    one, other = reached_moments(before), reached_moments(after)
    if one is None or other is None or len(one[0]) != len(other[0]):
        return ""
    if np.allclose(before.structure.lattice.abc, after.structure.lattice.abc, rtol=0.05):
        names = [state.name for state in find_states([before, after])]
        first, second = (name.partition(" (")[0] for name in names)
        if names[0] != names[1] and first == second:
            return f"another state: {first} with other sizes of moments or other occupied orbitals"
        return "" if names[0] == names[1] else f"another state: {names[0]}, then {names[1]}"
    return "" if same_state(one[0], other[0]) else "another state: the moments differ"


def _unpolarized(result: Result) -> bool:
    reached = reached_moments(result)
    return reached is not None and not reached[1]


def _energy(result: Result) -> float:
    return np.nan if result.energy is None else result.energy


def _total(tolerance: Tolerance, result: Result) -> float:
    return result.structure.volume if tolerance.quantity == "volume" else _energy(result)


def _gap(result: Result) -> float:
    gap = find_gap(result)
    return np.nan if gap is None else gap.value


def _pressure(result: Result) -> float:
    """Return kbar, positive when the cell wants to grow: P = -Tr σ / 3."""
    return -float(np.trace(np.asarray(result.stress))) / 3 / KBAR


def _count(composition: Composition, per: str) -> float:
    if per == "cell":
        return 1.0
    return float(composition.num_atoms if per == "atom" else composition.get_reduced_composition_and_factor()[1])


def _per(
    tolerance: Tolerance,
    totals: Sequence[float],
    results: Sequence[Result | None],
    pairs: list[list[str]],
    *,
    growing: bool,
) -> list[float]:
    """Divide by what the quantity grows with; of growing cells take what each point adds to the last one.

    `pairs` gets the reasons why there is nothing to divide by.
    """
    compositions = [None if r is None else r.structure.composition for r in results]
    if not growing or tolerance.per == "cell" or tolerance.quantity not in EXTENSIVE:
        counts = [np.nan if c is None else _count(c, tolerance.per) for c in compositions]
        return [total / count for total, count in zip(totals, counts, strict=True)]
    values, added = [np.nan] * len(totals), [""] * len(totals)
    for i in range(1, len(totals)):
        before, after = compositions[i - 1], compositions[i]
        if before is not None and after is not None and _grew(before, after):
            more = after - before
            values[i], added[i] = (totals[i] - totals[i - 1]) / _count(more, tolerance.per), more.reduced_formula
    for i in range(len(totals)):
        for j in range(len(totals)):
            if not (added[i] and added[j]):
                pairs[i][j] = pairs[i][j] or "it takes the layers added to two points"
            elif added[i] != added[j]:
                pairs[i][j] = pairs[i][j] or f"added {added[j]}, then {added[i]}"
    return values


def _grew(before: Composition, after: Composition) -> bool:
    return after != before and all(after[element] >= before[element] for element in before)


def _scalar(tolerance: Tolerance, name: str, values: Sequence[float], pairs: Sequence[Sequence[str]]) -> Series:
    array = np.array(values, dtype=np.float64)
    changes = array[:, None] - array[None, :]
    excluded = np.array([[bool(reason) for reason in row] for row in pairs], dtype=bool).reshape(changes.shape)
    changes[excluded] = np.nan
    return Series(tolerance, name, array, changes, tuple(map(tuple, pairs)), signed=True)


def _vectors(
    tolerance: Tolerance, name: str, results: Sequence[Result | None], pairs: list[list[str]], *, growing: bool
) -> Series:
    value, change = _VECTORS[tolerance.quantity]
    changes = np.full((len(results), len(results)), np.nan)
    for i, after in enumerate(results):
        for j, before in enumerate(results):
            if before is not None and after is not None and not pairs[i][j]:
                coarse, fine = (before, after) if j <= i else (after, before)
                matched = match_sites(coarse.structure, fine.structure, growing=growing)
                if len(matched):
                    changes[i, j] = change(coarse, fine, matched, growing)
                else:
                    pairs[i][j] = "no layers are told"
    values = [np.nan if r is None or pairs[i][i] else value(r) for i, r in enumerate(results)]
    return Series(tolerance, name, np.array(values), changes, tuple(map(tuple, pairs)), signed=False)


def _moments(result: Result) -> NDArray[np.float64]:
    reached = reached_moments(result)
    return np.zeros(len(result.structure)) if reached is None else reached[0]


def _mean_moment(result: Result) -> float:
    sizes = np.abs(_moments(result))
    least = max(_MAGNETIC, _LARGE * float(sizes.max(initial=0.0)))
    return float(sizes[sizes > least].mean()) if (sizes > least).any() else 0.0


def _moment_change(before: Result, after: Result, matched: NDArray[np.int64], growing: bool) -> float:
    one, other = _moments(before)[matched[:, 0]], _moments(after)[matched[:, 1]]
    if growing:  # a layer more may turn the moments above it over
        return float(np.abs(np.abs(one) - np.abs(other)).max())
    return float(min(np.abs(one - sign * other).max() for sign in (1, -1)))


def _largest_force(result: Result) -> float:
    return float(np.abs(np.asarray(result.forces)).max())


def _force_change(before: Result, after: Result, matched: NDArray[np.int64], _growing: bool) -> float:
    one, other = np.asarray(before.forces)[matched[:, 0]], np.asarray(after.forces)[matched[:, 1]]
    return float(np.abs(one - other).max())


def _longest_vector(result: Result) -> float:
    return float(max(result.structure.lattice.abc))


def _lattice_change(before: Result, after: Result, _matched: NDArray[np.int64], _growing: bool) -> float:
    return float(np.abs(np.subtract(before.structure.lattice.abc, after.structure.lattice.abc)).max())


_VECTORS: dict[str, tuple[Callable[[Result], float], Callable[[Result, Result, Any, bool], float]]] = {
    "moment": (_mean_moment, _moment_change),
    "forces": (_largest_force, _force_change),
    "lattice": (_longest_vector, _lattice_change),
}
