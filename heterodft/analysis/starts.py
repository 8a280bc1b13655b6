"""What several starts ended in: the distinct states, their energies, how often each was reached."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from heterodft.analysis.energies.comparability import compare, faults
from heterodft.analysis.energies.states import find_states
from heterodft.analysis.gaps import find_gap
from heterodft.analysis.plain_data import plain
from heterodft.analysis.state_groups import group_states
from heterodft.errors import ReaderError
from heterodft.words import number_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure
    from pandas import DataFrame

    from heterodft.analysis.result import Result

__all__ = ["FoundState", "Start", "Starts"]

_TOLERANCE = 0.005
"""eV of the cell."""
_DEGENERATE = 1e-3
"""eV of the cell."""


@dataclass(frozen=True)
class Start:
    """One start.

    Attributes
    ----------
    name
        ``start-2: moments × 0.5``.
    state
        Number of the state it ended in, 1 for the lowest; None where it ended in none.
    energy, relative
        eV of the cell, and from the lowest state; None where it may not be subtracted.
    iterations
        Of the last step; None where not told.
    reason
        Why it has no state or no relative energy; empty where it has both.
    """

    name: str
    state: int | None
    energy: float | None
    relative: float | None
    iterations: int | None
    reason: str = ""


@dataclass(frozen=True)
class FoundState:
    """A state that one or more starts ended in.

    Attributes
    ----------
    number
        1 for the lowest.
    name
        Of its magnetic order, see `heterodft.analysis.energies.states`.
    energy, relative
        eV of the cell, the lowest of those that reached it, and from the lowest state.
    starts
        Names of the starts that reached it.
    own
        Whether the campaign's own start is among them.
    moments
        μB by magnetic site; None where none are told.
    total_moment
        μB a cell.
    gap, metal
        eV, 0 of a metal; None where there are no bands.
    notes
        What is doubtful.
    """

    number: int
    name: str
    energy: float
    relative: float
    starts: tuple[str, ...]
    own: bool
    moments: tuple[float, ...] | None
    total_moment: float | None
    gap: float | None
    metal: bool | None
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How often it was reached."""
        return len(self.starts)


@dataclass(frozen=True)
class Starts:
    """The starts of one structure with one U in the order they were made, and the states found, the lowest first."""

    starts: tuple[Start, ...]
    states: tuple[FoundState, ...]

    @classmethod
    def from_results(
        cls,
        results: Sequence[Result | None],
        *,
        names: Sequence[str] | None = None,
        own: Collection[int] = (0,),
        reasons: Sequence[str] = (),
        tolerance: float = _TOLERANCE,
    ) -> Self:
        """Tell the states apart that starts ended in.

        Parameters
        ----------
        results
            Of the last step of each start; None where it failed.
        names
            What to call the starts; by default ``start 1`` …
        own
            Indices of the starts that are the campaign's own.
        reasons
            Why each failed; empty where it did not.
        tolerance
            eV of the cell: states with the same moments and structure that are farther apart are two.

        Raises
        ------
        ReaderError
            If the results are of cells of different composition.
        """
        called = list(names) if names is not None else [f"start {i + 1}" for i in range(len(results))]
        why = [*reasons, *[""] * (len(results) - len(reasons))]
        alike = _alike(results, called, own, why)
        numbers: dict[int, int] = {}
        states: tuple[FoundState, ...] = ()
        if alike:
            found = group_states([result for _, result in alike], tolerance=tolerance)
            numbers = {i: number for (i, _), number in zip(alike, found, strict=True)}
            states = _states(alike, found, called, own)
        starts = []
        for i, (name, result) in enumerate(zip(called, results, strict=True)):
            energy, iterations = (None, None) if result is None else (result.energy, result.all_iterations)
            relative = energy - states[0].energy if energy is not None and i in numbers else None
            starts.append(Start(name, numbers.get(i), energy, relative, iterations, why[i]))
        return cls(tuple(starts), states)

    @classmethod
    def read(cls, folders: Sequence[Path], *, tolerance: float = _TOLERANCE) -> Starts:
        """Read the folders of starts, called by their names; the first counts as the campaign's own.

        Raises
        ------
        ReaderError
            If a folder cannot be read, or they are of different cells.
        """
        from heterodft.analysis.readers import read_folder

        return cls.from_results(
            [read_folder(f) for f in folders], names=[str(f) for f in folders], tolerance=tolerance
        )

    @property
    def new(self) -> list[bool | None]:
        """Whether each start was the first to end in its state; None where it ended in none."""
        seen: set[int] = set()
        told: list[bool | None] = []
        for start in self.starts:
            told.append(None if start.state is None else start.state not in seen)
            seen |= set() if start.state is None else {start.state}
        return told

    @property
    def names(self) -> list[str]:
        """Of the starts."""
        return [start.name for start in self.starts]

    @property
    def energies(self) -> list[float | None]:
        """Energies in meV of the cell from the lowest state."""
        return [None if start.relative is None else 1000 * start.relative for start in self.starts]

    @property
    def reached(self) -> list[int | None]:
        """Number of the state that each start ended in."""
        return [start.state for start in self.starts]

    @property
    def state_names(self) -> list[str]:
        """Of the states, the lowest first."""
        return [state.name or f"state {state.number}" for state in self.states]

    @property
    def words(self) -> tuple[str, ...]:
        """What was found, one line each."""
        failed = [start for start in self.starts if start.state is None]
        told = [f"{start.name} counts for nothing: {start.reason}" for start in failed]
        if not self.states:
            return ("no start ended in a state", *told)
        lowest, finished = self.states[0], len(self.starts) - len(failed)
        lines = [
            f"{number_of(len(self.states), 'state')} found by {number_of(finished, 'start')}; the lowest, "
            f"{lowest.name or 'state 1'}, was reached {_times(lowest.count)}"
        ]
        if lowest.count == 1:
            lines.append("the lowest state was reached only once: more starts may find lower ones")
        own = next((state for state in self.states if state.own), None)
        if own is lowest:
            lines.append("the campaign's own start reached the lowest state")
        elif own is not None:
            lines.append(
                f"the campaign's own start did not reach the lowest state but {own.name or f'state {own.number}'}, "
                f"{1000 * own.relative:.1f} meV higher"
            )
        else:
            lines.append("the campaign's own start ended in no state")
        return (*lines, *told)

    def to_frame(self) -> DataFrame:
        """Return a table, one row a state."""
        from pandas import DataFrame

        return DataFrame(
            [
                {
                    "state": state.number,
                    "name": state.name,
                    "energy (eV)": state.energy,
                    "energy from the lowest (meV)": 1000 * state.relative,
                    "reached": state.count,
                    "by the campaign's own start": state.own,
                    "starts": "; ".join(state.starts),
                    "total moment (μB)": state.total_moment,
                    "moments (μB)": " ".join(f"{moment:+.2f}" for moment in state.moments or ()),
                    "gap (eV)": state.gap,
                    "metal": state.metal,
                    "notes": "; ".join(state.notes),
                }
                for state in self.states
            ]
        )

    def narrow_frames(self) -> tuple[DataFrame, DataFrame]:
        """Return the tables of the states and of the starts with what fits a window."""
        from pandas import DataFrame

        states = [
            {
                "state": state.number,
                "name": state.name,
                ">above lowest (meV)": f"{1000 * state.relative:.2f}",
                "reached": state.count,
                ">moment (μB)": "" if state.total_moment is None else f"{state.total_moment:.3f}",
                ">gap (eV)": "metal" if state.metal else "" if state.gap is None else f"{state.gap:.3f}",
            }
            for state in self.states
        ]
        starts = [
            {
                "start": start.name,
                "state": "–" if start.state is None else str(start.state),
                ">above lowest (meV)": "" if start.relative is None else f"{1000 * start.relative:.2f}",
                ">SCF iterations": "" if start.iterations is None else str(start.iterations),
            }
            for start in self.starts
        ]
        return DataFrame(states), DataFrame(starts)

    def starts_frame(self) -> DataFrame:
        """Return a table, one row a start."""
        from pandas import DataFrame

        return DataFrame(
            [
                {
                    "start": start.name,
                    "state": start.state,
                    "new": new,
                    "energy (eV)": start.energy,
                    "energy from the lowest (meV)": None if start.relative is None else 1000 * start.relative,
                    "SCF iterations": start.iterations,
                    "notes": start.reason,
                }
                for start, new in zip(self.starts, self.new, strict=True)
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        states = [asdict(state) | {"count": state.count} for state in self.states]
        data: dict[str, Any] = plain({"states": states, "starts": [asdict(start) for start in self.starts]})
        return data

    def plot(self) -> Figure:
        """Draw the energy that each start ended with, by state."""
        from heterodft.analysis.plots.starts import draw_starts

        return draw_starts(self)


def _alike(
    results: Sequence[Result | None], called: Sequence[str], own: Collection[int], why: list[str]
) -> list[tuple[int, Result]]:
    """Return those results whose energies may be subtracted; why the others may not goes into `why`.

    They are compared with the campaign's own start, or with the first where that failed.
    """
    usable: dict[int, Result] = {}
    for i, result in enumerate(results):
        wrong = [] if result is None else faults(result)
        if result is None or wrong:
            why[i] = "; ".join(wrong) or why[i] or "it failed"
        else:
            usable[i] = result
    if not usable:
        return []
    zero = next((i for i in own if i in usable), next(iter(usable)))
    for i, result in usable.items():
        ours, first = result.structure.composition, usable[zero].structure.composition
        if ours != first:
            raise ReaderError(f"starts of one cell are compared; one is {ours.formula}, another {first.formula}")
        if i != zero and (reason := compare(usable[zero], result, names=(called[zero], called[i])).reason()):
            why[i] = f"not comparable with {called[zero]}: {reason}"
    return [(i, result if i in own else _without_order(result)) for i, result in usable.items() if not why[i]]


def _without_order(result: Result) -> Result:
    """Return a result that claims no order: drawn moments are not those of the order they are listed at."""
    about = {key: value for key, value in result.request.get("about", {}).items() if key != "order"}
    return replace(result, request={**result.request, "about": about})


def _states(
    alike: Sequence[tuple[int, Result]], numbers: Sequence[int], called: Sequence[str], own: Collection[int]
) -> tuple[FoundState, ...]:
    named = find_states([result for _, result in alike])
    found: list[FoundState] = []
    for number in range(1, max(numbers) + 1):
        members = [k for k, one in enumerate(numbers) if one == number]
        best = min(members, key=lambda k: _energy(alike[k][1]))
        result, state = alike[best][1], named[best]
        gap = find_gap(result) if result.bands is not None else None
        energy = _energy(result)
        found.append(
            FoundState(
                number=number,
                name=state.name,
                energy=energy,
                relative=energy - (found[0].energy if found else energy),
                starts=tuple(called[alike[k][0]] for k in members),
                own=any(alike[k][0] in own for k in members),
                moments=state.moments,
                total_moment=result.total_moment,
                gap=None if gap is None else gap.value,
                metal=None if gap is None else gap.metal,
                notes=_degenerate(energy, found),
            )
        )
    return tuple(found)


def _energy(result: Result) -> float:
    return float("inf") if result.energy is None else result.energy


def _degenerate(energy: float, lower: Sequence[FoundState]) -> tuple[str, ...]:
    same = [state.number for state in lower if abs(state.energy - energy) < _DEGENERATE]
    return (f"within 1 meV of state {same[0]}; perhaps the same by symmetry",) if same else ()


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
