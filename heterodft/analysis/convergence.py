"""Whether quantities change any more from one point to the next: of the cutoff, the k-mesh, the layers …

Two points agree when no quantity of any configuration changed by more than its tolerance between them. What may not
be compared, such as a point at which a configuration reached another magnetic state, never agrees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.convergence_series import Named, Series, build_series, difference_series, order_pairs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.figure import Figure
    from pandas import DataFrame

    from heterodft.analysis.result import Result
    from heterodft.analysis.tolerances import Tolerance

__all__ = ["Convergence", "Named"]

_FALLS = 0.8
"""A change of more than this part of the one before is no sign of a decay."""


@dataclass(frozen=True)
class Convergence:
    """Quantities at several values of one number, from coarse to fine.

    Attributes
    ----------
    axis, unit
        What is varied, and its unit: ``cutoff``, ``Ry``.
    values
        Of it, in that unit.
    labels
        As in a table: ``60 Ry``.
    series
        One for each quantity and configuration.
    agree
        Number of successive points that must agree.
    """

    axis: str
    unit: str
    values: tuple[float, ...]
    labels: tuple[str, ...]
    series: tuple[Series, ...]
    agree: int = 2

    @classmethod
    def from_results(
        cls,
        points: Sequence[tuple[float, str]],
        results: Sequence[Sequence[Result | None]],
        names: Sequence[Named],
        tolerances: Sequence[Tolerance],
        *,
        axis: str,
        unit: str = "",
        agree: int = 2,
        growing: bool = False,
    ) -> Convergence:
        """Compare the results of several points.

        Parameters
        ----------
        points
            Value and label of each, from coarse to fine.
        results
            For each point one a configuration, in the order of `names`; None where there is none.
        names
            Of the configurations.
        tolerances
            Of the quantities.
        axis, unit, agree
            See the class.
        growing
            Whether layers are added from point to point, see `heterodft.analysis.convergence_series.build_series`.
        """
        columns = [[row[i] for row in results] for i in range(len(names))]
        found: list[Series] = []
        for tolerance in tolerances:
            if tolerance.quantity == "order_energy":
                found += [
                    difference_series(tolerance, (names[i], names[j]), (columns[i], columns[j]), growing=growing)
                    for i, j in order_pairs(names)
                ]
                continue
            each = (build_series(tolerance, n.text, c, growing=growing) for n, c in zip(names, columns, strict=True))
            found += [one for one in each if one is not None]
        values, labels = zip(*points, strict=True) if points else ((), ())
        return cls(axis, unit, tuple(values), tuple(labels), tuple(found), agree)

    @classmethod
    def read(cls, folders: Sequence[Path], tolerances: Sequence[Tolerance], *, agree: int = 2) -> Convergence:
        """Compare finished folders of either code that differ in their cutoff, their k-mesh or their smearing alone.

        Raises
        ------
        ReaderError
            If a folder cannot be read, or they differ in none or in several of these.
        """
        from heterodft.analysis.convergence_folders import sort_folders

        axis, unit, points, results, names = sort_folders(folders)
        return cls.from_results(points, results, names, tolerances, axis=axis, unit=unit, agree=agree)

    def agreeing(self, one: int, other: int) -> bool:
        """Whether two points agree for all quantities and configurations."""
        return bool(self.series) and all(series.agrees(one, other) for series in self.series)

    @property
    def first(self) -> int | None:
        """Index of the first point from which on all agree with each other, None where too few do."""
        last = len(self.values)
        start = last
        while start > 0 and all(self.agreeing(start - 1, other) for other in range(start, last)):
            start -= 1
        return start if last - start >= self.agree else None

    @property
    def converged(self) -> bool:
        """Whether enough points at the fine end agree."""
        return self.first is not None

    @property
    def recommended(self) -> float | None:
        """The coarsest value that agrees with all finer ones, None without convergence."""
        return None if self.first is None else self.values[self.first]

    def hindering(self, one: int, other: int) -> list[str]:
        """Return in words what does not agree between two points, the coarser one first."""
        return [_words(series, one, other) for series in self.series if not series.agrees(other, one)]

    def largest(self, one: int, other: int) -> list[str]:
        """Return in words the largest change of each quantity between two points, the coarser one first."""
        worst: dict[str, Series] = {}
        for series in self.series:
            key = series.tolerance.quantity
            if key not in worst or abs(series.changes[other, one]) > abs(worst[key].changes[other, one]):
                worst[key] = series
        return [_words(series, one, other) for series in worst.values()]

    def remaining(self, series: Series) -> float | None:
        """Estimate how far the recommended point is from the limit, by a geometric decay of the last two changes.

        With changes d₁, d₂ of one sign and r = d₂/d₁ it is d₂/(1 - r), in the base unit of the tolerance; None where
        they do not decay like that, so that nothing honest can be said. It holds for points at equal steps (or
        factors).
        """
        if self.first is None or self.first < 1 or self.first + 1 >= len(self.values) or not series.signed:
            return None
        before = series.changes[self.first, self.first - 1]
        after = series.changes[self.first + 1, self.first]
        if not (np.isfinite(before) and np.isfinite(after)) or before == 0:
            return None
        ratio = after / before
        return abs(float(after)) / (1 - ratio) if 0 < ratio < _FALLS else None

    def missing(self, points: int) -> list[tuple[Series, str]]:
        """Return the series that have had no value that counts at each of the last points, and why."""
        if len(self.values) < points:
            return []
        return [(one, one.absent[-1]) for one in self.series if all(one.absent[-points:])]

    def to_frame(self) -> DataFrame:
        """Return a table, one row for each point, quantity and configuration, in the units of the tolerances."""
        from pandas import DataFrame

        return DataFrame([self._row(series, i) for series in self.series for i in range(len(self.values))])

    def _row(self, series: Series, i: int) -> dict[str, Any]:
        scale = series.tolerance.scale
        value, change = series.values[i], series.changes[i, i - 1] if i else np.nan
        return {
            self.axis: self.labels[i],
            f"{self.axis} ({self.unit})" if self.unit else f"{self.axis} value": self.values[i],
            "quantity": series.tolerance.quantity,
            "configuration": series.name,
            "value": None if np.isnan(value) else float(value) * scale,
            "change": None if np.isnan(change) else float(change) * scale,
            "tolerance": series.tolerance.value * scale,
            "unit": series.tolerance.unit,
            "agrees": series.agrees(i, i - 1) if i else None,
            "why not": (series.reasons[i][i - 1] if i else "") or series.absent[i],
        }

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data, energies in eV."""
        return {
            "axis": self.axis,
            "unit": self.unit,
            "values": list(self.values),
            "labels": list(self.labels),
            "agree": self.agree,
            "converged": self.converged,
            "recommended": self.recommended,
            "quantities": [
                {
                    "quantity": one.tolerance.quantity,
                    "configuration": one.name,
                    "tolerance": one.tolerance.value,
                    "per": one.tolerance.per,
                    "values": _plain(one.values),
                    "changes": _plain(np.diagonal(one.changes, -1)),
                    "why_not": [one.reasons[i + 1][i] for i in range(len(self.values) - 1)],
                    "remaining": self.remaining(one),
                }
                for one in self.series
            ],
        }

    def plot(self) -> Figure:
        """Draw how far each quantity is from the last point, with its tolerance."""
        from heterodft.analysis.plots.convergence import draw_convergence

        return draw_convergence(self)


def _plain(values: Any) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]


def _words(series: Series, one: int, other: int) -> str:
    reason = series.reasons[other][one]
    what = f"{series.tolerance.quantity} of {series.name}"
    if reason or np.isnan(series.changes[other, one]):
        return f"{what} does not count: {reason or 'no value'}"
    change = series.tolerance.show(abs(series.changes[other, one]))
    return f"{what} changed by {change} ({series.tolerance.text} asked)"
