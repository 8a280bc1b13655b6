"""A scan of the Hubbard U from the atoms, upwards and downwards: what each state does, and where branches part.

Energies at different U are never subtracted: the Hubbard term is another functional at each U.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from heterodft.analysis.hubbard_branches import (
    BranchCost,
    Hysteresis,
    OrderEnergy,
    Transition,
    costs_of,
    find_hysteresis,
    find_transitions,
    hysteresis_words,
    order_energies,
)
from heterodft.analysis.hubbard_rows import ScanRow, scan_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.figure import Figure
    from pandas import DataFrame

    from heterodft.analysis.gaps import Gap
    from heterodft.analysis.result import Result

__all__ = ["HubbardScan"]


_VOLUME = ">volume (Å³/f.u.)"


@dataclass(frozen=True)
class HubbardScan:
    """The points of a scan, sorted by structure, order, branch and U.

    Attributes
    ----------
    rows
        One a point and branch.
    scanned
        What carries the U that differs: ``Cr``, or ``Ta KTaO3:1`` of a layer.
    hysteresis, transitions, order_energies, costs
        What the branches say together.
    """

    rows: tuple[ScanRow, ...]
    scanned: tuple[str, ...]
    hysteresis: tuple[Hysteresis, ...]
    transitions: tuple[Transition, ...]
    order_energies: tuple[OrderEnergy, ...]
    costs: tuple[BranchCost, ...]

    @classmethod
    def from_results(
        cls,
        results: Sequence[Result],
        *,
        branches: Sequence[str] | None = None,
        gaps: Sequence[Gap | None] | None = None,
        costs: Sequence[tuple[int | None, float]] | None = None,
        tolerance: float = 1e-3,
    ) -> HubbardScan:
        """Collect the results of a scan.

        Parameters
        ----------
        results
            Of any structures, orders and U.
        branches
            One a result; by default what its request says, ``cold`` where it says nothing.
        gaps
            Known from a denser mesh than that of the result; by default that of the result's own bands.
        costs
            SCF iterations (None where they are not all known) and CPU seconds of every step of each point; by default
            those of the result.
        tolerance
            eV per formula unit by which two branches in one state may differ.
        """
        rows, scanned = scan_rows(results, branches=branches, gaps=gaps, costs=costs)
        return cls(
            tuple(rows),
            scanned,
            tuple(find_hysteresis(rows, tolerance)),
            tuple(find_transitions(rows)),
            tuple(order_energies(rows)),
            tuple(costs_of(rows)),
        )

    @classmethod
    def read(cls, folders: Sequence[Path], *, tolerance: float = 1e-3) -> HubbardScan:
        """Read the folders of a scan.

        Raises
        ------
        ReaderError
            If a folder cannot be read.
        """
        from heterodft.analysis.readers import read_folder

        return cls.from_results([read_folder(folder) for folder in folders], tolerance=tolerance)

    @property
    def axis(self) -> str:
        """What `ScanRow.u` is: ``U of Cr``, ``U of Ta (KTaO3:1)``."""
        words = [f"{name.partition(' ')[0]} ({name.partition(' ')[2]})" if " " in name else name for name in
                 self.scanned]  # fmt: skip
        return f"U of {', '.join(words)}" if words else "U"

    @property
    def structures(self) -> list[str]:
        """Names of the structures."""
        return list(dict.fromkeys(row.structure for row in self.rows))

    @property
    def notes(self) -> list[str]:
        """Lines for people: where branches part, where states change, what was saved."""
        return [
            *hysteresis_words(self.hysteresis),
            *(one.text for one in self.transitions),
            *(one.text for one in self.costs),
        ]

    def to_frame(self) -> DataFrame:
        """Return a table, one row a point and branch."""
        from pandas import DataFrame

        magnetic = list(dict.fromkeys(element for row in self.rows for element in row.point.by_element))
        return DataFrame([_frame_row(row, self.axis, magnetic) for row in self.rows])

    def narrow_frames(self) -> dict[str, DataFrame]:
        """Return by their titles tables that fit a window: the points of each structure, the energies of orders."""
        from pandas import DataFrame

        frames = {
            f"{name} against {self.axis}": DataFrame([_narrow_row(row) for row in self.rows if row.structure == name])
            for name in self.structures
        }
        for name, frame in frames.items():
            if frame[_VOLUME].nunique() == 1:
                frames[name] = frame.drop(columns=_VOLUME)
        energies = [_narrow_energy(one) for one in self.order_energies]
        return frames | ({"Energies of orders at the same U": DataFrame(energies)} if energies else {})

    def hysteresis_frame(self) -> DataFrame:
        """Return a table of the branches that ended differently."""
        from pandas import DataFrame

        columns = {"u": "U (eV)", "other_u": "other U", "lowest": "lowest branch", "lowest_state": "lowest state",
                   "difference": "energy above the lowest branch (meV per formula unit)",
                   "reason": "no number because", "swelling": "volume above it (%)"}  # fmt: skip
        return DataFrame([asdict(one) for one in self.hysteresis], columns=_names_of(Hysteresis)).rename(
            columns=columns
        )

    def transitions_frame(self) -> DataFrame:
        """Return a table of the changes of state along the branches."""
        from pandas import DataFrame

        columns = {"other_u": "other U", "from_u": "from U (eV)", "to_u": "to U (eV)", "from_state": "from state",
                   "to_state": "to state"}  # fmt: skip
        return DataFrame([asdict(one) for one in self.transitions], columns=_names_of(Transition)).rename(
            columns=columns
        )

    def order_energies_frame(self) -> DataFrame:
        """Return a table of the energies of the orders against U."""
        from pandas import DataFrame

        columns = {"u": "U (eV)", "other_u": "other U", "value": "energy from the reference (meV per formula unit)",
                   "reason": "no number because"}  # fmt: skip
        return DataFrame([asdict(one) for one in self.order_energies], columns=_names_of(OrderEnergy)).rename(
            columns=columns
        )

    def costs_frame(self) -> DataFrame:
        """Return a table of what each branch cost."""
        from pandas import DataFrame

        columns = {"cpu_seconds": "CPU time (s)", "compared": "points beside a cold start in the same state",
                   "own_iterations": "iterations there", "cold_iterations": "iterations of the cold starts",
                   "own_cpu": "CPU time there (s)", "cold_cpu": "CPU time of the cold starts (s)"}  # fmt: skip
        return DataFrame([asdict(one) for one in self.costs], columns=_names_of(BranchCost)).rename(columns=columns)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "scanned": list(self.scanned),
            "rows": [_row_data(row) for row in self.rows],
            "hysteresis": [asdict(one) | {"same_state": one.same_state} for one in self.hysteresis],
            "transitions": [asdict(one) for one in self.transitions],
            "order_energies": [asdict(one) for one in self.order_energies],
            "costs": [asdict(one) | {"saved": one.saved, "saved_cpu": one.saved_cpu} for one in self.costs],
        }

    def plot(self, structure: str | None = None) -> Figure:
        """Draw moment, gap, energies and volume against U, a line for each state.

        Parameters
        ----------
        structure
            By default the first.
        """
        from heterodft.analysis.plots.hubbard_scan import draw_hubbard_scan

        return draw_hubbard_scan(self, structure or next(iter(self.structures), ""))


def _names_of(kind: type) -> list[str]:
    return [one.name for one in fields(kind)]


def _frame_row(row: ScanRow, axis: str, magnetic: Sequence[str]) -> dict[str, Any]:
    point = row.point
    return {
        "structure": row.structure,
        "order": row.order,
        "branch": row.branch,
        f"{axis} (eV)": row.u,
        "other U": row.other_u,
        "state reached": row.state,
        "lowest": row.lowest,
        "energy (eV)": point.energy,
        "energy from the lowest at this U (meV per formula unit)": row.relative,
        "moment per magnetic ion (μB)": point.moment,
        **{f"moment per {element} (μB)": point.by_element.get(element) for element in magnetic},
        "moment is": point.moment_kind,
        "gap (eV)": point.gap,
        "metal": point.metal,
        "volume per formula unit (Å³)": row.volume,
        **{f"{name} (Å)": length for name, length in zip("abc", row.lattice, strict=True)},
        "SCF iterations": row.iterations,
        "CPU time (s)": row.cpu_seconds,
        "first point of its branch, from the atoms": row.shared,
        "notes": "; ".join(point.notes),
    }


def _narrow_row(row: ScanRow) -> dict[str, Any]:
    point = row.point
    beside = {"other U": row.other_u} if row.other_u else {}
    return {
        "order": row.order,
        "branch": row.branch,
        "U (eV)": row.u,
        **beside,
        "state": row.state,
        ">above lowest (meV/f.u.)": "lowest" if row.lowest else _rounded(row.relative, 2),
        ">moment (μB)": _rounded(point.moment, 3),
        ">gap (eV)": "metal" if point.metal else _rounded(point.gap, 3),
        _VOLUME: _rounded(row.volume, 3),
    }


def _narrow_energy(one: OrderEnergy) -> dict[str, Any]:
    beside = {"other U": one.other_u} if one.other_u else {}
    names = {"structure": one.structure, "U (eV)": one.u, **beside, "of": one.order, "from": one.reference}
    return names | {">energy (meV/f.u.)": _rounded(one.value, 2), "no number because": one.reason}


def _rounded(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _row_data(row: ScanRow) -> dict[str, Any]:
    own = {one.name: getattr(row, one.name) for one in fields(row) if one.name not in ("result", "point", "u")}
    point = asdict(row.point) | {"notes": list(row.point.notes)}
    more = {"u_followed": row.u, "lattice": list(row.lattice), "relative_per_formula_unit": row.relative}
    return point | own | more
