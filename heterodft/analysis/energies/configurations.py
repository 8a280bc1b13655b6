"""Energies of configurations, subtracted only where they may be, and keyed by the state reached.

Two energies are comparable when composition, starting cell, code, pseudopotentials, U, cutoffs, k-mesh, smearing and
functional agree, both or none are relaxed, both cycles converged, and no handler touched any of these while they ran;
see `heterodft.analysis.energies.comparability`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from heterodft.analysis.energies.calculation_settings import settings_of
from heterodft.analysis.energies.configuration_rows import (
    ConfigurationEnergy,
    choose_reference,
    rank_of,
    row_of,
    told_once,
)
from heterodft.analysis.energies.states import find_states
from heterodft.analysis.state_marks import order_shown
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.figure import Figure
    from pandas import DataFrame

    from heterodft.analysis.result import Result

__all__ = ["ConfigurationEnergies", "ConfigurationEnergy"]


@dataclass(frozen=True)
class ConfigurationEnergies:
    """Configurations ranked within each structure and U, the lowest first, those without a number last."""

    rows: tuple[ConfigurationEnergy, ...]

    @classmethod
    def from_results(
        cls,
        results: Sequence[Result],
        *,
        reference: str = "FM",
        names: Sequence[str] | None = None,
        trust: bool = False,
    ) -> ConfigurationEnergies:
        """Rank configurations.

        Parameters
        ----------
        results
            Of any number of structures, U and orders.
        reference
            The state whose energy is zero, else the name of a configuration; where neither is there, the lowest
            usable energy is zero.
        names
            What to call the results; by default the order asked for.
        trust
            Subtract where the files do not tell some setting; the notes then say which the user vouches for.
        """
        called = list(names) if names is not None else [order_shown(result) for result in results]
        families: dict[str, list[int]] = {}
        for i, result in enumerate(results):
            families.setdefault(_family(result), []).append(i)
        rows: list[ConfigurationEnergy] = []
        for family, members in families.items():
            own = [(called[i] or f"configuration {i + 1}", results[i]) for i in members]
            rows += _ranked(family, own, reference, trust)
        return cls(tuple(rows))

    @classmethod
    def read(cls, folders: Sequence[Path], *, reference: str = "FM", trust: bool = False) -> ConfigurationEnergies:
        """Rank the configurations of folders; those of others are called by the name of their folder.

        Raises
        ------
        ReaderError
            If a folder cannot be read.
        """
        from heterodft.analysis.readers import read_folder

        results = [read_folder(folder) for folder in folders]
        names = [order_shown(result) or folder.name for result, folder in zip(results, folders, strict=True)]
        return cls.from_results(results, reference=reference, names=names, trust=trust)

    @property
    def _drawn(self) -> list[ConfigurationEnergy]:
        """The rows of a figure: a structure with one run has nothing to be ranked against."""
        runs = Counter(row.family for row in self.rows)
        return [row for row in self.rows if runs[row.family] > 1] or list(self.rows)

    @property
    def names(self) -> list[str]:
        """Of the configurations in a figure, with their structure and U where there are several."""
        several = len({row.family for row in self._drawn}) > 1
        return [" ".join([*([row.family] if several else []), row.name, *_arrow(row)]) for row in self._drawn]

    @property
    def values(self) -> list[float | None]:
        """In `unit`."""
        return [row.per_formula_unit for row in self._drawn]

    @property
    def reasons(self) -> list[str]:
        """Why there is no value; empty where there is one."""
        return [row.reason for row in self._drawn]

    @property
    def reference(self) -> str:
        """The configuration whose energy is zero, or ``the reference of each structure``."""
        found = {row.reference for row in self._drawn}
        return found.pop() if len(found) == 1 else "the reference of each structure"

    @property
    def unit(self) -> str:
        """Of `values`."""
        return "meV per formula unit"

    def to_frame(self) -> DataFrame:
        """Return a table, one row a configuration."""
        from pandas import DataFrame

        return DataFrame(
            [
                {
                    "structure": row.family,
                    "configuration": row.name,
                    "state reached": row.state,
                    "verdict": row.verdict,
                    "energy (eV)": row.energy,
                    "relative energy (eV)": row.relative,
                    "relative energy (meV per formula unit)": row.per_formula_unit,
                    "relative energy (meV per magnetic ion)": row.per_magnetic_ion,
                    "reference": row.reference,
                    "total moment (μB)": row.total_moment,
                    "same state as": row.same_as,
                    "no number because": row.reason,
                    "notes": "; ".join(row.notes),
                }
                for row in self.rows
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "rows": [
                asdict(row)
                | {"per_formula_unit": row.per_formula_unit, "per_magnetic_ion": row.per_magnetic_ion}
                | {"notes": list(row.notes)}
                for row in self.rows
            ]
        }

    def plot(self) -> Figure:
        """Draw the energies per formula unit as bars.

        Raises
        ------
        ReaderError
            If there are none.
        """
        from heterodft.analysis.plots import draw_energies

        if not self.rows:
            raise ReaderError("no structure has two configurations with energies; there is nothing to draw")
        return draw_energies(self)


def _arrow(row: ConfigurationEnergy) -> list[str]:
    return [f"→ {row.state}"] if row.state and row.state != row.name else []


def _family(result: Result) -> str:
    """Return structure and U in words: what is ranked among itself."""
    about = result.request.get("about", {})
    if about.get("name"):
        return " ".join(filter(None, (str(about["name"]), str(about.get("hubbard", "")))))
    u = settings_of(result)["hubbard"]
    words = [f"U({element}) {value}" for element, value in sorted((u or {}).items())]
    return " ".join([result.structure.composition.formula.replace(" ", ""), *words])


def _ranked(family: str, own: Sequence[tuple[str, Result]], reference: str, trust: bool) -> list[ConfigurationEnergy]:
    results = [result for _, result in own]
    alike = [len(result.structure) == len(results[0].structure) for result in results]
    found = iter(find_states([result for result, same in zip(results, alike, strict=True) if same]))
    states = [next(found) if same else find_states([r])[0] for r, same in zip(results, alike, strict=True)]
    zero = choose_reference([name for name, _ in own], results, states, reference)
    rows: list[ConfigurationEnergy] = []
    for one, state in zip(own, states, strict=True):
        rows.append(row_of(family, one, state, None if zero is None else (own[zero], states[zero]), trust))
    rows.sort(key=rank_of)
    seen: dict[str, ConfigurationEnergy] = {}
    return [told_once(row, seen) for row in rows]
