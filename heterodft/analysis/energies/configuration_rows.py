"""One configuration after another: its energy from the reference, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from heterodft.analysis.energies.comparability import compare, faults
from heterodft.analysis.energies.states import asked_order
from heterodft.analysis.state_marks import is_accepted, is_other, state_marks, state_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heterodft.analysis.energies.states import State
    from heterodft.analysis.result import Result

__all__ = ["ConfigurationEnergy", "choose_reference", "rank_of", "row_of", "told_once"]

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
    formula, formula_units
        The reduced formula of the cell, ``LaSrMn2O6``, and how many of it the cell holds.
    magnetic_ions
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
    formula: str
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


def rank_of(row: ConfigurationEnergy) -> tuple[float, float]:
    """Sort by relative energy; without one to the end, by energy."""
    infinite = float("inf")
    energy = infinite if row.energy is None else row.energy
    return (infinite if row.relative is None else row.relative, energy)


def told_once(row: ConfigurationEnergy, seen: dict[str, ConfigurationEnergy]) -> ConfigurationEnergy:
    """Return a row, noting the row further up that reached the same state; those seen are added."""
    if not row.state or row.relative is None or row.state not in seen:
        if row.relative is not None:
            seen.setdefault(row.state, row)
        return row
    other = seen[row.state]
    apart = 1000 * (row.relative - other.relative) / row.formula_units if other.relative is not None else 0.0
    more = (f"the same moments as {other.name}, {apart:.1f} meV per formula unit apart",) if apart > _APART else ()
    return replace(row, same_as=other.name, notes=row.notes + more)


def choose_reference(
    names: Sequence[str], results: Sequence[Result], states: Sequence[State], wanted: str
) -> int | None:
    """Return which result is zero: of the state wanted, else of that name, else the lowest; only what is sound."""
    usable = [i for i, result in enumerate(results) if not faults(result)]
    for chosen in (
        [i for i in usable if states[i].name == wanted],
        [i for i in usable if names[i] == wanted and not _is_another(wanted, results[i], states[i])],
        usable,
    ):
        if chosen:
            return min(chosen, key=lambda i: (results[i].energy or 0.0, i))
    return None


def row_of(
    family: str,
    own: tuple[str, Result],
    state: State,
    zero: tuple[tuple[str, Result], State] | None,
    trust: bool,
) -> ConfigurationEnergy:
    """Return the row of one (name, result) against the one that is zero."""
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
    formula, units = result.structure.composition.get_reduced_formula_and_factor()
    return ConfigurationEnergy(
        family=family,
        name=name,
        state=state.name,
        verdict=str(result.request.get("state", {}).get("verdict", "")),
        energy=result.energy,
        relative=relative,
        reference=reference,
        formula=formula,
        formula_units=round(units),
        magnetic_ions=len(state.sites),
        total_moment=result.total_moment,
        same_as="",
        reason=reason,
        notes=(*notes, *_marks(name, result, state), *result.notes),
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


def _marks(name: str, result: Result, state: State) -> tuple[str, ...]:
    """Return what to say of a state, once."""
    marks = state_marks(result)
    named = is_other(state_of(result)) and state_of(result).get("order")
    return marks if named else (*marks, *_about_state(name, asked_order(result), state))


def _about_state(name: str, asked: str, state: State) -> tuple[str, ...]:
    if not state.name:
        return ("the state reached is not known: no collinear moments are told",)
    return (f"reached {state.name}, not {name}",) if _says_other(name, asked, state) else ()


def _is_another(name: str, result: Result, state: State) -> bool:
    """Whether a result is known not to be in the state that its name says."""
    record = state_of(result)
    return (is_other(record) and not is_accepted(record)) or _says_other(name, asked_order(result), state)


def _says_other(name: str, asked: str, state: State) -> bool:
    """Whether a name is that of an order, and the state reached is known to be another."""
    return bool(state.name) and state.name != name and (name == asked or name in ("FM", "NM"))
