"""Which configurations exchange constants may be fitted to, and the signs of their moments."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.energies.calculation_settings import settings_of
from heterodft.analysis.energies.cell_comparison import same_cell
from heterodft.analysis.energies.comparability import compare, faults
from heterodft.analysis.energies.states import find_states, same_state
from heterodft.analysis.state_marks import is_accepted, is_other, order_shown, state_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heterodft.analysis.energies.states import State
    from heterodft.analysis.result import Result

__all__ = ["Configuration", "gather"]

_CHANGED = 0.2
_NONE = 0.1


@dataclass(frozen=True)
class Configuration:
    """One configuration of a fit.

    Attributes
    ----------
    name
        The order asked for, or what the user calls it.
    energy
        eV a magnetic ion; None where there is none.
    cell
        Number of the cell, configurations of one cell share it.
    sites
        Indices of the magnetic sites.
    signs, moments
        1 or -1, and μB, of these; empty where they are not known.
    residual
        Fit minus energy in meV a magnetic ion; None where it is not in the fit.
    reason
        Why it is not in the fit; empty where it is.
    notes
        What must be known of it.
    """

    name: str
    energy: float | None
    cell: int
    sites: tuple[int, ...]
    signs: tuple[int, ...]
    moments: tuple[float, ...]
    residual: float | None
    reason: str
    notes: tuple[str, ...]

    def with_residual(self, residual: float) -> Configuration:
        """Return it with what the fit leaves, meV a magnetic ion."""
        return replace(self, residual=residual)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


def gather(
    results: Sequence[Result], *, names: Sequence[str] | None, reached: bool, trust: bool
) -> tuple[list[Configuration], list[int]]:
    """Return all configurations, and the numbers of those that may be fitted.

    Parameters
    ----------
    results
        Of one or several cells.
    names
        What to call them.
    reached
        Whether to take those that are not in the state asked for, with the signs they have.
    trust
        Whether to compare where the files do not tell some setting.
    """
    cells = _cells(results)
    states: dict[int, State] = {}
    for cell in set(cells):
        members = [i for i, one in enumerate(cells) if one == cell]
        states |= dict(zip(members, find_states([results[i] for i in members]), strict=True))
    called = list(names) if names is not None else [order_shown(result) for result in results]
    zero = next((i for i, result in enumerate(results) if not _refused(result, states[i], reached)), None)
    configurations = []
    for i, result in enumerate(results):
        state, name = states[i], called[i] or f"configuration {i + 1}"
        reason, notes = _refused(result, state, reached), result.notes
        if not reason and zero is not None and i != zero:
            kind = "same cell" if cells[i] == cells[zero] else "formation"
            found = compare(result, results[zero], kind, names=(name, called[zero] or "the first"))  # type: ignore[arg-type]
            reason = _other_crystal(result, results[zero]) or found.reason(trust=trust)
            notes = found.caveats(trust=trust) + notes
        energy = None if result.energy is None or not state.sites else result.energy / len(state.sites)
        moments = state.moments or ()
        signs = tuple(1 if moment > 0 else -1 for moment in moments)
        configurations.append(Configuration(name, energy, cells[i], state.sites, signs, moments, None, reason, notes))
    configurations = _each_state_once(configurations)
    usable = [i for i, one in enumerate(configurations) if not one.reason]
    return _with_sizes(configurations, usable, results), usable


def _each_state_once(configurations: Sequence[Configuration]) -> list[Configuration]:
    """Leave out all but the lowest of those that reached one state: the same energy again is no check of a fit."""
    told = list(configurations)
    rising = sorted((i for i, one in enumerate(told) if not one.reason), key=lambda i: told[i].energy or 0.0)
    for place, i in enumerate(rising):
        mine = np.array(told[i].moments)
        for j in rising[:place]:
            again = (
                not told[j].reason and told[j].cell == told[i].cell and same_state(mine, np.array(told[j].moments))
            )
            if again and told[i].signs in (told[j].signs, tuple(-sign for sign in told[j].signs)):
                told[i] = replace(told[i], reason=f"the same state as {told[j].name}")
                break
    return told


def _other_crystal(result: Result, zero: Result) -> str:
    """Return how the atoms of two cells differ that should be cells of one crystal; empty where they do not."""
    one, other = (each.structure.composition.reduced_formula for each in (result, zero))
    return f"atoms {one} against {other}" if one != other else ""


def _cells(results: Sequence[Result]) -> list[int]:
    """Return the number of each result's cell."""
    known: list[tuple[str, Any]] = []
    numbers = []
    for result in results:
        cell, species = settings_of(result)["cell"], " ".join(site.species_string for site in result.structure)
        for number, (other, matrix) in enumerate(known):
            if other == species and same_cell(cell, matrix):
                numbers.append(number)
                break
        else:
            numbers.append(len(known))
            known.append((species, cell))
    return numbers


def _refused(result: Result, state: State, reached: bool) -> str:
    """Return why a configuration cannot be fitted by itself."""
    wrong = faults(result)
    record = state_of(result)
    if wrong:
        return "; ".join(wrong)
    if result.method.get("noncollinear") or any(values.vectors is not None for values in result.sites.values()):
        return "its moments are not collinear"
    if state.moments is None:
        return "the state reached is not known: no collinear moments are told"
    if not state.sites or any(abs(moment) < _NONE for moment in state.moments):
        return "a moment vanished" if state.sites else "it has no moments"
    unasked = is_other(record) and not is_accepted(record) and not reached
    return f"not in the state asked for: {record['verdict']}" if unasked else ""


def _with_sizes(
    configurations: Sequence[Configuration], usable: Sequence[int], results: Sequence[Result]
) -> list[Configuration]:
    """Note where the moments of an element differ by more than 20 % from those of all configurations."""
    sizes: dict[str, list[float]] = {}
    own: dict[int, dict[str, float]] = {}
    for i in usable:
        here: dict[str, list[float]] = {}
        for site, moment in zip(configurations[i].sites, configurations[i].moments, strict=True):
            here.setdefault(results[i].structure[site].specie.symbol, []).append(abs(moment))
        own[i] = {element: float(np.mean(values)) for element, values in here.items()}
        for element, size in own[i].items():
            sizes.setdefault(element, []).append(size)
    told = list(configurations)
    for i, found in own.items():
        for element, size in found.items():
            mean = float(np.median(sizes[element]))
            if abs(size - mean) > _CHANGED * mean:
                note = f"moments of {element} are {size:.2f} μB, {mean:.2f} μB elsewhere: not of fixed size"
                told[i] = replace(told[i], notes=(*told[i].notes, note))
    return told
