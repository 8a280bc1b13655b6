"""One structure and order at several U: moment of each plane, gap and state at each, for the page."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.plots import draw_profile
from heterodft.analysis.report.marks import NOT_CONVERGED
from heterodft.analysis.report.page_tables import PageTable, number
from heterodft.analysis.state_marks import OTHER

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.figure import Figure
    from numpy.typing import NDArray
    from pandas import DataFrame

    from heterodft.analysis.report.collect import ConfigurationReport
    from heterodft.analysis.report.layer_rows import LayerRow

__all__ = ["PlanesAgainstU", "find_against_u"]

_SMALL = 0.005
"""μB or electrons: a plane with less at every U is left out of the table."""
_WHOLE = "whole cell"


@dataclass(frozen=True)
class PlanesAgainstU:
    """Configurations that differ in U alone, in the order of the campaign."""

    reports: tuple[ConfigurationReport, ...]

    @property
    def title(self) -> str:
        """``sl-V_O_1, FM``."""
        return f"{self.reports[0].name}, {_order_asked(self.reports[0])}"

    @property
    def stem(self) -> str:
        """Of its files."""
        return f"against_u_{self.reports[0].name}_{_order_asked(self.reports[0])}"

    @property
    def labels(self) -> list[str]:
        """Name of each plane, from the bottom of the cell up."""
        return [f"{row.layer} {row.formula}" for row in self.reports[0].layers]

    @property
    def moments(self) -> NDArray[np.float64]:
        """μB, shape (plane, U); not a number where not known."""
        return self._of_planes(lambda row: row.moment)

    @property
    def electrons(self) -> NDArray[np.float64]:
        """Electrons in the window below the Fermi level, shape (plane, U); not a number where not known."""
        return self._of_planes(lambda row: row.electrons)

    def table(self) -> PageTable:
        """Return moments and, of cells with a defect, electrons by plane; the last row is the cell."""
        settings = [" ".join([report.setting, *_in_brackets(report)]) for report in self.reports]
        kinds = "/".join(dict.fromkeys(row.kind for report in self.reports for row in report.layers if row.kind))
        columns, header = [self.moments], [f"{kinds} moment, {setting} (μB)".lstrip() for setting in settings]
        if self.reports[0].structure is not None and self.reports[0].structure.properties.get("defect"):
            columns.append(self.electrons)
            header += [f"electrons, {setting}" for setting in settings]
        values = np.hstack(columns)
        shown = [i for i in reversed(range(len(values))) if (np.abs(np.nan_to_num(values[i])) > _SMALL).any()]
        cell = [*(number(report.moment, 3) for report in self.reports), *("–" for _ in header[len(settings) :])]
        rows = [[self.labels[i], *(number(None if np.isnan(x) else float(x), 3) for x in values[i])] for i in shown]
        return PageTable(["plane", *header], [*rows, [_WHOLE, *cell]], 1)

    def lines(self) -> list[str]:
        """Return gap and state at each U."""
        return [f"U {report.setting}: {_in_words(report)}" for report in self.reports]

    def figure(self) -> Figure | None:
        """Draw the moments along the planes, a line for each U; None where there are none."""
        values = self.moments
        if not (np.abs(np.nan_to_num(values)) > _SMALL).any():
            return None
        groups = [SimpleNamespace(label=label) for label in self.labels]
        columns = tuple(" ".join([f"U {report.setting}", *_in_brackets(report)]) for report in self.reports)
        return draw_profile(
            SimpleNamespace(groups=groups, columns=columns, values=values, quantity="moment", unit="μB")
        )

    def to_frame(self) -> DataFrame:
        """Return one row a plane and U."""
        from pandas import DataFrame

        rows = [
            {
                "structure": report.name,
                "order": _order_asked(report),
                "state": report.order,
                "U": report.setting,
                "marks": ", ".join(report.marks),
                "plane": label,
                "moment (μB)": self.moments[i, k],
                "electrons in the window": self.electrons[i, k],
                "gap (eV)": None if report.gap is None else report.gap.value,
            }
            for k, report in enumerate(self.reports)
            for i, label in enumerate(self.labels)
        ]
        return DataFrame(rows)

    def _of_planes(self, get: Callable[[LayerRow], float | None]) -> NDArray[np.float64]:
        found = [[get(row) for row in report.layers] for report in self.reports]
        return np.array([[np.nan if value is None else value for value in column] for column in found]).T


def find_against_u(reports: Sequence[ConfigurationReport]) -> list[PlanesAgainstU]:
    """Return each structure and order that was computed at two U or more, all with the same planes."""
    families: dict[str, list[ConfigurationReport]] = {}
    for report in reports:
        if report.layers:
            families.setdefault(report.path.rpartition("/")[0], []).append(report)
    return [
        PlanesAgainstU(tuple(own))
        for own in families.values()
        if len(own) > 1 and len({tuple((row.layer, row.formula) for row in report.layers) for report in own}) == 1
    ]


def _order_asked(report: ConfigurationReport) -> str:
    return report.path.split("/")[-2]


def _in_brackets(report: ConfigurationReport) -> list[str]:
    return [f"({', '.join(report.marks)})"] if report.marks else []


def _in_words(report: ConfigurationReport) -> str:
    metal = report.gap is not None and report.gap.metal
    gap = report.gap_text if metal else f"gap {report.gap_text or 'not known'}"
    told = [NOT_CONVERGED] if NOT_CONVERGED in report.marks else []
    told += [f"the state is not the one asked for: {report.state}"] if report.state in OTHER else []
    return "; ".join([gap, *told])
