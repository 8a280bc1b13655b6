"""The state that a request asks for, and whether moments are it.

Starting moments are guesses of sizes, so that their signs count and not their sizes. Sizes count among sites that
the symmetry of the crystal without moments relates, which carry equal ones in any order of equal ions: one of them
that has less than half of the others' moment is another state, such as a charge disproportionation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.workflows.state.comparison import compare_moments, compare_vectors
from heterodft.workflows.state.naming import NONE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from heterodft.analysis.result import SiteValues
    from heterodft.workflows.calculation import Request
    from heterodft.workflows.state.comparison import Verdict

__all__ = ["AskedState", "Judgement", "asked_state", "said"]

_COMPARABLE = 0.5
"""Of the largest moment where one was asked for: what is induced on ligands is less."""
_HALF, _APART = 0.5, 0.3
"""Part of the moment of its equals, and μB below it, at which a site is in another state."""
_UNCOMPENSATED = 0.05
"""Of the sum of all sizes: a total moment above it is none of rounding or of a few electrons of smearing."""
_SYMMETRY = 0.01
"""Å."""
_MOST_SITES = 6


@dataclass(frozen=True)
class Judgement:
    """What became of a state.

    Attributes
    ----------
    verdict
        ``kept``, ``flipped``, ``collapsed`` or ``other``.
    sites
        Indices of the sites that differ.
    words
        The verdict in words, as in ``flipped at Cr3``; there sites count from 1.
    along
        μB by site; of a noncollinear run along the directions asked for.
    """

    verdict: Verdict
    sites: tuple[int, ...]
    words: str
    along: tuple[float, ...]


@dataclass(frozen=True)
class AskedState:
    """The state a request asks for.

    Attributes
    ----------
    elements
        By site.
    moments
        Starting moments in μB by site; None when not spin-polarized.
    directions
        Unit vector of a positive moment by site, of a noncollinear run.
    equals
        Number by site that sites share which the crystal without moments makes equal.
    """

    elements: tuple[str, ...]
    moments: tuple[float, ...] | None
    directions: tuple[tuple[float, float, float], ...] | None
    equals: tuple[int, ...]

    def to_data(self) -> dict[str, Any]:
        """Return plain JSON data."""
        directions = None if self.directions is None else [list(vector) for vector in self.directions]
        moments = None if self.moments is None else list(self.moments)
        return {
            "elements": list(self.elements),
            "moments": moments,
            "directions": directions,
            "equals": list(self.equals),
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> AskedState:
        """Rebuild from `to_data`, also from lists."""
        directions = data["directions"]
        return cls(
            tuple(data["elements"]),
            None if data["moments"] is None else tuple(data["moments"]),
            None if directions is None else tuple((x, y, z) for x, y, z in directions),
            tuple(data["equals"]),
        )

    @property
    def carriers(self) -> list[int]:
        """The sites that a moment is asked for on."""
        return [i for i, moment in enumerate(self.moments or ()) if moment]

    @property
    def total(self) -> float | None:
        """Sum of the starting moments, μB; None when not spin-polarized or with directions of several kinds."""
        return None if self.moments is None or self._directed else float(sum(self.moments))

    @property
    def compensated(self) -> bool:
        """Whether equal sites cancel, so that the total moment must vanish."""
        if not self.carriers or self._directed or self.moments is None:
            return False
        sums: dict[tuple[int, float], float] = {}
        for i in self.carriers:
            key = self.equals[i], abs(self.moments[i])
            sums[key] = sums.get(key, 0.0) + self.moments[i]
        return all(abs(value) < NONE for value in sums.values())

    @property
    def _directed(self) -> bool:
        return len({d for d in self.directions or () if any(d)}) > 1

    def judge(
        self,
        moments: Sequence[float] | None,
        vectors: NDArray[np.float64] | None = None,
        total: float | None = None,
    ) -> Judgement:
        """Compare what a run ended with.

        Parameters
        ----------
        moments
            μB in spheres by site; None when not told.
        vectors
            μB, shape (site, 3), of a noncollinear run.
        total
            μB of the cell, None where it is not told.
        """
        along = self._along(moments, vectors)
        if along is None:
            return Judgement("kept", (), "kept", ())
        verdict, sites = self._compare(along, vectors)
        extra = self._extra(along)
        if verdict != "kept" and not (extra and verdict == "collapsed"):
            lost = [i for i in sites if abs(along[i]) < NONE]
            what = {"other": "no moment" if lost == sites else "other moments"}.get(verdict, "")
            return self._judgement(verdict, sites, along, what)
        if extra:
            return self._judgement("other", extra, along, "a moment that was not asked for")
        odd = self._odd(along)
        if odd:
            return self._judgement("other", odd, along, "another moment than its equals")
        return self._compensation(along, total) or Judgement("kept", (), "kept", along)

    def _compensation(self, along: tuple[float, ...], total: float | None) -> Judgement | None:
        sizes = sum(abs(moment) for moment in along)
        if total is None or not self.compensated or abs(total) <= max(NONE, _UNCOMPENSATED * sizes):
            return None
        return Judgement("other", (), f"other: total moment {total:.2f} μB of a compensated order", along)

    def judge_sites(self, values: SiteValues, total: float | None = None) -> Judgement:
        """Compare the moments of a result."""
        return self.judge(values.moments, values.vectors, total)

    def _along(
        self, moments: Sequence[float] | None, vectors: NDArray[np.float64] | None
    ) -> tuple[float, ...] | None:
        """Return signed sizes by site."""
        if vectors is None:
            return None if moments is None else tuple(map(float, moments))
        sizes = np.linalg.norm(vectors, axis=1)
        if self.directions is None:
            return tuple(map(float, sizes))
        along = np.einsum("ij,ij->i", np.array(self.directions, dtype=float), vectors)
        return tuple(map(float, np.copysign(sizes, along)))

    def _compare(self, along: tuple[float, ...], vectors: NDArray[np.float64] | None) -> tuple[Verdict, list[int]]:
        if vectors is None or self.directions is None or self.moments is None:
            return compare_moments(self.moments, along)
        return compare_vectors(self.moments, self.directions, vectors)

    def _extra(self, along: Sequence[float]) -> list[int]:
        """Return the sites with a moment as large as those asked for, where none was."""
        carriers = self.carriers
        if self.moments is None:
            return [i for i, moment in enumerate(along) if abs(moment) >= NONE]
        if not carriers:
            return []
        largest = max(abs(along[i]) for i in carriers)
        if largest < NONE:
            largest = max(abs(self.moments[i]) for i in carriers)
        others = set(range(len(along))) - set(carriers)
        return sorted(i for i in others if abs(along[i]) >= max(NONE, _COMPARABLE * largest))

    def _odd(self, along: Sequence[float]) -> list[int]:
        """Return the sites that differ in size from those that should be equal to them: the fewer ones of a set."""
        sets: dict[tuple[int, float], list[int]] = {}
        for i in self.carriers:
            sets.setdefault((self.equals[i], abs((self.moments or ())[i])), []).append(i)
        found: list[int] = []
        for members in sets.values():
            largest = max(abs(along[i]) for i in members)
            small = [i for i in members if abs(along[i]) < min(_HALF * largest, largest - _APART)]
            large = [i for i in members if i not in small]
            found += (small if len(small) <= len(large) else large) if small else []
        return sorted(found)

    def _judgement(self, verdict: Verdict, sites: Sequence[int], along: tuple[float, ...], what: str) -> Judgement:
        where = "" if verdict == "collapsed" else f" at {said(sites, self.elements)}"
        return Judgement(verdict, tuple(sites), f"{verdict}{': ' * bool(what)}{what}{where}", along)


def said(sites: Sequence[int], elements: Sequence[str]) -> str:
    """Return sites in words, counted from 1 as in other messages: ``Cr1, Cr3``; of many the first ones."""
    shown = [f"{elements[i]}{i + 1}" for i in sites[:_MOST_SITES]]
    more = len(sites) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def asked_state(request: Request) -> AskedState:
    """Return the state that a request asks for."""
    return AskedState(tuple(request.structure["species"]), request.moments, request.directions, _equal_sites(request))


def _equal_sites(request: Request) -> tuple[int, ...]:
    """Return the number of the set of each site that symmetry without moments, but with each U, makes equal."""
    if request.moments is None or not any(request.moments):
        return tuple(range(len(request.structure["species"])))
    import spglib

    structure = request.to_structure()
    kinds = list(zip(request.structure["species"], request.to_setup().site_hubbard, strict=True))
    numbers = {kind: number for number, kind in enumerate(dict.fromkeys(kinds), start=1)}
    cell = structure.lattice.matrix.tolist(), structure.frac_coords.tolist(), [numbers[kind] for kind in kinds]
    found = spglib.get_symmetry_dataset(cell, symprec=_SYMMETRY)
    if found is None:
        return tuple(range(len(kinds)))
    return tuple(map(int, found.equivalent_atoms))
