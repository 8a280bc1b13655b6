"""Moment and gap against the Hubbard U, for each structure and magnetic order."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.energies.calculation_settings import settings_of
from heterodft.analysis.energies.comparability import compare
from heterodft.analysis.energies.states import asked_order, find_states, reached_moments
from heterodft.analysis.gaps import find_gap
from heterodft.analysis.state_marks import is_accepted, order_shown, state_marks, state_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure
    from pandas import DataFrame

    from heterodft.analysis.energies.states import State
    from heterodft.analysis.gaps import Gap
    from heterodft.analysis.result import Result

__all__ = ["AgainstHubbard", "HubbardPoint", "points_of", "states_at_each_u", "structure_name", "u_in_words"]

_SAME_U = 1e-6
"""eV."""


@dataclass(frozen=True)
class HubbardPoint:
    """One calculation.

    Attributes
    ----------
    structure
        Name of the structure, or its formula for a folder of others.
    order, state
        The order asked for (else the name of the folder), and that of the state reached; empty where not known.
    u
        eV by element, the values that were used; None of an element that has a U per layer.
    moment, moment_kind
        μB: mean size of the moments of the magnetic ions in their spheres (or by Löwdin), and which it is; None
        where none is told. Ions are magnetic where a moment was asked for or a large one is at any U, so that a
        moment that collapses is counted as what is left of it.
    by_element
        μB, the same for the magnetic ions of each element.
    gap, metal
        eV, 0 of a metal; None where not known.
    energy, relative
        eV a cell; the latter from the lowest of the same structure and U that may be compared.
    notes
        What must be known: that the state is not the one asked for, that a run did not converge.
    """

    structure: str
    order: str
    state: str
    u: Mapping[str, float | None]
    moment: float | None
    moment_kind: str
    by_element: Mapping[str, float]
    gap: float | None
    metal: bool | None
    energy: float | None
    relative: float | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class AgainstHubbard:
    """Moment and gap of the same configurations at several U, sorted by structure, order and U.

    Attributes
    ----------
    points
        One a calculation.
    scanned
        The elements whose U differs between calculations of one structure.
    """

    points: tuple[HubbardPoint, ...]
    scanned: tuple[str, ...]

    @classmethod
    def from_results(
        cls,
        results: Sequence[Result],
        *,
        names: Sequence[str] | None = None,
        gaps: Sequence[Gap | None] | None = None,
    ) -> AgainstHubbard:
        """Collect the results of a scan.

        Parameters
        ----------
        results
            Of any structures, orders and U; U is that of the request, else what the outputs say.
        names
            What to call results without an order.
        gaps
            Known from a denser mesh than that of the result; by default that of the result's own bands.
        """
        points = points_of(results, names=names, gaps=gaps)
        variants = [str(result.request.get("about", {}).get("variant") or "") for result in results]
        points = [
            replace(point, order=f"{point.order} {variant}") if variant else point
            for point, variant in zip(points, variants, strict=True)
        ]
        scanned: set[str] = set()
        for members in _families(results).values():
            scanned |= _differing([_hubbard(results[i]) for i in members])
        chosen = tuple(sorted(scanned))
        points.sort(key=lambda point: (point.structure, point.order, [_or_zero(point.u.get(e)) for e in chosen]))
        return cls(tuple(points), chosen)

    @classmethod
    def read(cls, folders: Sequence[Path]) -> AgainstHubbard:
        """Read the folders of a scan; those of others are called by the name of their folder.

        Raises
        ------
        ReaderError
            If a folder cannot be read.
        """
        from heterodft.analysis.readers import read_folder

        return cls.from_results([read_folder(folder) for folder in folders], names=[f.name for f in folders])

    @property
    def scans(self) -> bool:
        """Whether any U differs."""
        return bool(self.scanned)

    @property
    def u(self) -> list[float]:
        """The U of the first scanned element in eV, one a calculation; not-a-number where it is one per layer."""
        element = self.scanned[0] if self.scanned else ""
        return [np.nan if (value := point.u.get(element, 0.0)) is None else value for point in self.points]

    @property
    def axis(self) -> str:
        """What `u` is: ``U of Ni`` or, where others go with it, ``U of Ni, Cr``."""
        return f"U of {', '.join(self.scanned)}" if self.scanned else "U"

    @property
    def moments(self) -> list[float | None]:
        """Mean moment of a magnetic ion in μB."""
        return [point.moment for point in self.points]

    @property
    def gaps(self) -> list[float | None]:
        """eV; 0 of a metal."""
        return [point.gap for point in self.points]

    @property
    def metals(self) -> list[bool | None]:
        """Whether it is a metal."""
        return [point.metal for point in self.points]

    @property
    def labels(self) -> list[str]:
        """The line each calculation is on: the order, with the structure and the other U where there are several."""
        several = len({point.structure for point in self.points}) > 1
        return [
            " ".join(filter(None, ((point.structure if several else ""), point.order, self._other_u(point))))
            for point in self.points
        ]

    def _other_u(self, point: HubbardPoint) -> str:
        """Return the U of further scanned elements where they do not simply go with the first."""
        others = self.scanned[1:]
        pairs = {tuple(_or_zero(p.u.get(e)) for e in self.scanned) for p in self.points}
        if not others or len(pairs) == len({pair[0] for pair in pairs}):
            return ""
        return ", ".join(f"U({element}) {_or_zero(point.u.get(element)):g} eV" for element in others)

    def to_frame(self) -> DataFrame:
        """Return a table, one row a calculation."""
        from pandas import DataFrame

        elements = list(dict.fromkeys(element for point in self.points for element in point.u))
        magnetic = list(dict.fromkeys(element for point in self.points for element in point.by_element))
        return DataFrame(
            [
                {
                    "structure": point.structure,
                    "order": point.order,
                    "state reached": point.state,
                    **{f"U({element}) (eV)": point.u.get(element, 0.0) for element in elements},
                    "moment per magnetic ion (μB)": point.moment,
                    **{f"moment per {element} (μB)": point.by_element.get(element) for element in magnetic},
                    "moment is": point.moment_kind,
                    "gap (eV)": point.gap,
                    "metal": point.metal,
                    "energy (eV)": point.energy,
                    "energy from the lowest at this U (eV)": point.relative,
                    "notes": "; ".join(point.notes),
                }
                for point in self.points
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        rows = [asdict(point) | {"notes": list(point.notes)} for point in self.points]
        return {"scanned": list(self.scanned), "rows": rows}

    def plot(self) -> Figure:
        """Draw moment and gap against U."""
        from heterodft.analysis.plots import draw_against_u

        return draw_against_u(self)


def points_of(
    results: Sequence[Result], *, names: Sequence[str] | None = None, gaps: Sequence[Gap | None] | None = None
) -> list[HubbardPoint]:
    """Return one point for each result, in their order; see `AgainstHubbard.from_results`."""
    points: dict[int, HubbardPoint] = {}
    for family, members in _families(results).items():
        own = [results[i] for i in members]
        for i, state in zip(members, states_at_each_u(own), strict=True):
            points[i] = _point(
                family,
                order_shown(results[i]) or (names[i] if names else ""),
                results[i],
                state=state,
                lowest=_lowest_beside(results[i], own),
                known=None if gaps is None else gaps[i],
            )
    return [points[i] for i in range(len(results))]


def _families(results: Sequence[Result]) -> dict[str, list[int]]:
    """Return the indices of the results of each structure."""
    families: dict[str, list[int]] = {}
    for i, result in enumerate(results):
        families.setdefault(structure_name(result), []).append(i)
    return families


def _or_zero(value: float | None) -> float:
    return 0.0 if value is None else value


def structure_name(result: Result) -> str:
    """Return the name of the structure, or its formula for a folder of others."""
    return str(result.request.get("about", {}).get("name") or result.structure.composition.reduced_formula)


def _hubbard(result: Result) -> dict[str, float | None]:
    """Return U in eV by element; None where an element has several."""
    words: Mapping[str, str] = settings_of(result)["hubbard"] or {}
    return {element: _one_number(text) for element, text in words.items()}


def u_in_words(result: Result) -> str:
    """Return every U of a result, the same text for the same U."""
    return str(sorted((settings_of(result)["hubbard"] or {}).items()))


def _one_number(text: str) -> float | None:
    """Return the U of words such as ``5 eV`` or ``5 eV, J 0.9 eV``; None where there is one per layer or site."""
    number, _, unit = text.partition(", J ")[0].partition(" ")
    try:
        return float(number) if unit == "eV" else None
    except ValueError:
        return None


def _differing(values: Sequence[Mapping[str, float | None]]) -> set[str]:
    """Return the elements whose U is not the same in all."""
    elements = {element for one in values for element in one}
    return {
        element
        for element in elements
        if len({None if (u := one.get(element, 0.0)) is None else round(u / _SAME_U) for one in values}) > 1
    }


def states_at_each_u(results: Sequence[Result]) -> list[State]:
    """Return the states, told apart among cells of equal size and equal U, which alone changes moments a little.

    Sites count as magnetic when they are so at any U.
    """
    groups: dict[Any, list[int]] = {}
    for i, result in enumerate(results):
        groups.setdefault((len(result.structure), u_in_words(result)), []).append(i)
    found: dict[int, State] = {}
    for members in groups.values():
        found |= zip(members, find_states([results[i] for i in members]), strict=True)
    sites = {size: set[int]() for size, _ in groups}
    for i, state in found.items():
        sites[len(results[i].structure)] |= set(state.sites)
    return [replace(found[i], sites=tuple(sorted(sites[len(r.structure)]))) for i, r in enumerate(results)]


def _lowest_beside(result: Result, results: Sequence[Result]) -> float | None:
    """Return the lowest energy among those that may be subtracted from that of a result, itself included."""
    if result.energy is None:
        return None
    energies = [
        other.energy
        for other in results
        if other.energy is not None and (other is result or compare(result, other).may_subtract())
    ]
    return min(energies) if len(energies) > 1 else None


def _point(
    family: str, name: str, result: Result, *, state: State, lowest: float | None, known: Gap | None
) -> HubbardPoint:
    gap = known or (find_gap(result) if result.bands is not None else None)
    moments, kind = _ion_moments(result, state)
    sizes = [size for _, size in moments]
    elements = dict.fromkeys(element for element, _ in moments)
    return HubbardPoint(
        structure=family,
        order=name,
        state=state.name,
        u=_hubbard(result),
        moment=float(np.mean(sizes)) if sizes else (0.0 if state.name == "NM" else None),
        moment_kind=kind,
        by_element={e: float(np.mean([size for element, size in moments if element == e])) for e in elements},
        gap=None if gap is None else gap.value,
        metal=None if gap is None else gap.metal,
        energy=result.energy,
        relative=None if lowest is None or result.energy is None else result.energy - lowest,
        notes=_notes(result, state),
    )


def _ion_moments(result: Result, state: State) -> tuple[list[tuple[str, float]], str]:
    """Return element and size of the moment of each magnetic ion, and what moments these are."""
    reached = reached_moments(result)
    if reached is None:
        return [], ""
    moments, kind = reached
    return [(result.structure[site].specie.symbol, abs(float(moments[site]))) for site in state.sites], kind


def _notes(result: Result, state: State) -> tuple[str, ...]:
    asked = asked_order(result)
    notes = []
    if asked and state.name and state.name.partition(" (")[0] != asked and not is_accepted(state_of(result)):
        notes.append(f"reached {state.name}, not {asked}")
    if not notes:
        notes += state_marks(result)
    if result.converged is False:
        notes.append("did not converge")
    return tuple(notes)
