"""One defect in several layers of one stack: which of them it prefers, for the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from heterodft.analysis.energies.segregation import SegregationEnergies

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heterodft.analysis.report.collect import ConfigurationReport

__all__ = ["Segregation", "find_segregation"]


@dataclass(frozen=True)
class Segregation:
    """The energies of one kind of defect over the layers of a stack, at one U."""

    stack: str
    kind: str
    hubbard: str
    energies: SegregationEnergies

    @property
    def title(self) -> str:
        """``V_O in sl, U Ti-3d-4eV``."""
        return f"{self.kind} in {self.stack}, U {self.hubbard}"

    @property
    def stem(self) -> str:
        """Of its files."""
        return f"segregation_{self.stack}_{self.kind}_{self.hubbard}"

    @property
    def is_drawn(self) -> bool:
        """Whether there are two energies to compare."""
        return sum(value is not None for value in self.energies.values) > 1


def find_segregation(reports: Sequence[ConfigurationReport]) -> list[Segregation]:
    """Return each kind of defect that sits in at least two planes of one stack, with one charge and one U."""
    families: dict[tuple[str, str, str], list[ConfigurationReport]] = {}
    for report in reports:
        defect = {} if report.static is None else report.static.request.get("about", {}).get("defect") or {}
        if "@" not in str(defect.get("label", "")):
            continue
        stack, _, kind = report.name.rpartition("-")  # sl-V_O_1, of a charged one sl-V_O+1_1
        families.setdefault((stack, kind.rpartition("_")[0], report.setting), []).append(report)
    return [
        Segregation(*place, SegregationEnergies.from_results([r.static for r in own if r.static is not None]))
        for place, own in families.items()
        if len({report.label for report in own}) > 1
    ]
