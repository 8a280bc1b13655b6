"""Energies of configurations, subtracted only where they may be, and keyed by the state reached.

Two energies are comparable when composition, starting cell, code, pseudopotentials, U, cutoffs, k-mesh, smearing and
functional agree, both or none are relaxed, both cycles converged, and no handler touched any of these while they ran;
see `heterodft.analysis.energies.comparability`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from heterodft.analysis.drawing import draw
from heterodft.analysis.energies.calculation_settings import settings_of
from heterodft.analysis.energies.comparability import compare, faults
from heterodft.analysis.energies.states import asked_order, find_states

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.figure import Figure
    from pandas import DataFrame

    from heterodft.analysis.energies.states import State
    from heterodft.analysis.result import Result

__all__ = ["ConfigurationEnergies", "ConfigurationEnergy"]


_APART = 1.0
"""meV per formula unit by which two runs in one state may differ without a word."""


@dataclass(frozen=True)
class ConfigurationEnergy:
    """One configuration.

    Attributes
    ----------
    family
        Structure and U, within which energies are ranked.
    name
        The order asked for, or what the user calls it.
    state
        The order of the state reached, see `heterodft.analysis.energies.states`; empty where no moments are told.
    verdict
        What became of the order asked for: ``kept``, ``flipped``, ``collapsed``, ``other``; empty where not told.
    energy
        eV a cell; None where there is none.
    relative
        eV a cell from the reference; None where it may not be subtracted.
    reference
        Name of the configuration that is zero.
    formula_units, magnetic_ions
        In the cell.
    total_moment
        μB a cell.
    same_as
        Name of a configuration further up that reached the same state.
    reason
        Why `relative` is missing; empty where it is not.
    notes
        What must be known beside the number.
    """

    family: str
    name: str
    state: str
    verdict: str
    energy: float | None
    relative: float | None
    reference: str
    formula_units: int
    magnetic_ions: int
    total_moment: float | None
    same_as: str
    reason: str
    notes: tuple[str, ...]

    @property
    def per_formula_unit(self) -> float | None:
        """Energy from the reference in meV per formula unit."""
        return None if self.relative is None else 1000 * self.relative / self.formula_units

    @property
    def per_magnetic_ion(self) -> float | None:
        """Energy from the reference in meV per magnetic ion; None where the cell has none."""
        return None if self.relative is None or not self.magnetic_ions else 1000 * self.relative / self.magnetic_ions


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
        called = list(names) if names is not None else [asked_order(result) for result in results]
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
        names = [asked_order(result) or folder.name for result, folder in zip(results, folders, strict=True)]
        return cls.from_results(results, reference=reference, names=names, trust=trust)

    @property
    def names(self) -> list[str]:
        """Of the configurations, with their structure and U where there are several."""
        several = len({row.family for row in self.rows}) > 1
        return [" ".join([*([row.family] if several else []), row.name, *_arrow(row)]) for row in self.rows]

    @property
    def values(self) -> list[float | None]:
        """In `unit`."""
        return [row.per_formula_unit for row in self.rows]

    @property
    def reasons(self) -> list[str]:
        """Why there is no value; empty where there is one."""
        return [row.reason for row in self.rows]

    @property
    def reference(self) -> str:
        """The configuration whose energy is zero, or ``the reference of each structure``."""
        found = {row.reference for row in self.rows}
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
        """Draw the energies per formula unit as bars."""
        return draw("draw_energies", self)


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
    zero = _reference([name for name, _ in own], results, states, reference)
    rows: list[ConfigurationEnergy] = []
    for one, state in zip(own, states, strict=True):
        rows.append(_row(family, one, state, None if zero is None else (own[zero], states[zero]), trust))
    rows.sort(key=_rank)
    seen: dict[str, ConfigurationEnergy] = {}
    return [_told_once(row, seen) for row in rows]


def _rank(row: ConfigurationEnergy) -> tuple[float, float]:
    """Sort by relative energy; without one to the end, by energy."""
    infinite = float("inf")
    energy = infinite if row.energy is None else row.energy
    return (infinite if row.relative is None else row.relative, energy)


def _told_once(row: ConfigurationEnergy, seen: dict[str, ConfigurationEnergy]) -> ConfigurationEnergy:
    if not row.state or row.relative is None or row.state not in seen:
        if row.relative is not None:
            seen.setdefault(row.state, row)
        return row
    other = seen[row.state]
    apart = 1000 * (row.relative - other.relative) / row.formula_units if other.relative is not None else 0.0
    more = (f"the same moments as {other.name}, {apart:.1f} meV per formula unit apart",) if apart > _APART else ()
    return replace(row, same_as=other.name, notes=row.notes + more)


def _reference(names: Sequence[str], results: Sequence[Result], states: Sequence[State], wanted: str) -> int | None:
    """Return which result is zero: of the state wanted, else of that name, else the lowest; only what is sound."""
    usable = [i for i, result in enumerate(results) if not faults(result)]
    for chosen in (
        [i for i in usable if states[i].name == wanted],
        [i for i in usable if names[i] == wanted and not _says_other(wanted, asked_order(results[i]), states[i])],
        usable,
    ):
        if chosen:
            return min(chosen, key=lambda i: (results[i].energy or 0.0, i))
    return None


def _row(
    family: str,
    own: tuple[str, Result],
    state: State,
    zero: tuple[tuple[str, Result], State] | None,
    trust: bool,
) -> ConfigurationEnergy:
    name, result = own
    reference = ""
    told: tuple[float | None, str, tuple[str, ...]] = (
        None,
        "; ".join(faults(result)) or "nothing to compare with",
        (),
    )
    if zero is not None:
        (zero_name, zero_result), zero_state = zero
        reference = zero_name if zero_state.name in ("", zero_name) else f"{zero_name} → {zero_state.name}"
        told = _difference(result, zero_result, (name, zero_name), trust)
    relative, reason, notes = told
    units = result.structure.composition.get_reduced_composition_and_factor()[1]
    return ConfigurationEnergy(
        family=family,
        name=name,
        state=state.name,
        verdict=str(result.request.get("state", {}).get("verdict", "")),
        energy=result.energy,
        relative=relative,
        reference=reference,
        formula_units=round(units),
        magnetic_ions=len(state.sites),
        total_moment=result.total_moment,
        same_as="",
        reason=reason,
        notes=(*notes, *_about_state(name, asked_order(result), state), *result.notes),
    )


def _difference(
    result: Result, zero: Result, names: tuple[str, str], trust: bool
) -> tuple[float | None, str, tuple[str, ...]]:
    if result is zero:
        return 0.0, "", ()
    found = compare(result, zero, names=names)
    if not found.may_subtract(trust=trust) or result.energy is None or zero.energy is None:
        return None, found.reason(trust=trust), found.notes
    return result.energy - zero.energy, "", found.caveats(trust=trust)


def _about_state(name: str, asked: str, state: State) -> tuple[str, ...]:
    if not state.name:
        return ("the state reached is not known: no collinear moments are told",)
    return (f"reached {state.name}, not {name}",) if _says_other(name, asked, state) else ()


def _says_other(name: str, asked: str, state: State) -> bool:
    """Whether a name is that of an order, and the state reached is known to be another."""
    return bool(state.name) and state.name != name and (name == asked or name in ("FM", "NM"))
