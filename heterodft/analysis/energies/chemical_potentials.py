"""Limits of the chemical potentials in equilibrium with a host, from computed competing phases.

With Δμ_i the chemical potential of element i against that in its element, and ΔH the formation energy of a compound,

    Σ x_i Δμ_i  = ΔH(host),      Σ x_i Δμ_i ≤ ΔH(phase) for every other phase,      Δμ_i ≤ 0

(Zhang and Northrup, Phys. Rev. Lett. 67, 2339 (1991); Van de Walle and Neugebauer, J. Appl. Phys. 95, 3851 (2004)).
The solutions are a convex polyhedron; its corners are the limits, such as O-rich and O-poor.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.energies.comparability import compare, faults
from heterodft.analysis.energies.potential_limits import SAME_ENERGY, Limit, find_limits
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pandas import DataFrame

    from heterodft.analysis.result import Result

__all__ = ["ChemicalPotentials", "Limit"]


@dataclass(frozen=True)
class ChemicalPotentials:
    """References and limits.

    Attributes
    ----------
    host
        Formula.
    references
        eV an atom of each element.
    limits
        Corners; empty when the host is not stable.
    formation_energies
        eV per formula unit, of the host and every competing compound.
    statement
        Whether the host is stable, in words.
    notes
        What must be known beside the numbers, such as phases left out and why.
    """

    host: str
    references: dict[str, float]
    limits: tuple[Limit, ...]
    formation_energies: dict[str, float]
    statement: str
    notes: tuple[str, ...] = ()

    @classmethod
    def from_results(cls, host: Result, phases: Sequence[Result], *, trust: bool = False) -> ChemicalPotentials:
        """Find the limits.

        Parameters
        ----------
        host
            The perfect compound, any number of formula units.
        phases
            The elements, one each (the lowest energy an atom of several), and competing compounds; also of elements
            that only a defect brings.
        trust
            Take phases too whose files do not tell some setting; the notes then say which.

        Raises
        ------
        ReaderError
            If an element of the host or of a phase has no usable reference, or the host no usable energy.
        """
        if faults(host) or host.energy is None:
            raise ReaderError(f"the host {_formula(host)} {', '.join(faults(host))}; its limits cannot be told")
        usable, notes = _usable(host, phases, trust)
        references = _references(usable)
        compounds = {_formula(host): host} | {
            _formula(p): p for p in sorted(usable, key=_per_atom, reverse=True) if len(_amounts(p)) > 1
        }
        compounds[_formula(host)] = host
        missing = sorted({e for one in compounds.values() for e in _amounts(one)} - set(references))
        if missing:
            left = f" ({'; '.join(notes)})" if notes else ""
            raise ReaderError(f"no usable energy of the element {' and '.join(missing)}{left}; compute it too")
        notes += _polymorphs(host, usable)
        heats = {name: _heat(one, references) for name, one in compounds.items()}
        amounts = {name: _amounts(one) for name, one in compounds.items()}
        limits, statement = find_limits(_formula(host), amounts, heats, list(references))
        return cls(_formula(host), references, limits, heats, statement, tuple(notes))

    @classmethod
    def read(cls, host: Path, phases: Sequence[Path], *, trust: bool = False) -> ChemicalPotentials:
        """Find the limits from folders, see `from_results`.

        Raises
        ------
        ReaderError
            If a folder cannot be read, or an element has no usable reference.
        """
        from heterodft.analysis.readers import read_folder

        return cls.from_results(read_folder(host), [read_folder(folder) for folder in phases], trust=trust)

    @classmethod
    def given(cls, references: Mapping[str, float], deltas: Mapping[str, Mapping[str, float]]) -> ChemicalPotentials:
        """Take references (eV an atom) and Δμ (eV) by name of the limit as the user knows them."""
        limits = tuple(Limit(name, dict(values), ()) for name, values in deltas.items())
        return cls("", dict(references), limits, {}, "given by the user", ())

    def potential(self, element: str, limit: Limit) -> float:
        """Return μ in eV.

        Raises
        ------
        ReaderError
            If the element has no reference or no limit.
        """
        if element not in self.references or element not in limit.deltas:
            raise ReaderError(f"no chemical potential of {element} in the limit {limit.name}; give its phases too")
        return self.references[element] + limit.deltas[element]

    def to_frame(self) -> DataFrame:
        """Return a table, one row a limit."""
        from pandas import DataFrame

        return DataFrame(
            [
                {"limit": limit.name}
                | {f"Δμ({element}) (eV)": limit.deltas.get(element) for element in self.references}
                | {"in equilibrium with": ", ".join(limit.phases)}
                for limit in self.limits
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return asdict(self) | {"limits": [asdict(limit) for limit in self.limits], "notes": list(self.notes)}


def _formula(result: Result) -> str:
    return str(result.structure.composition.reduced_formula)


def _amounts(result: Result) -> dict[str, float]:
    """Return atoms by element in the reduced formula, as `Composition.reduced_formula` has it: O2, not O."""
    formula = type(result.structure.composition)(_formula(result))
    return dict(formula.get_el_amt_dict())


def _per_atom(result: Result) -> float:
    return float("inf") if result.energy is None else result.energy / len(result.structure)


def _usable(host: Result, phases: Sequence[Result], trust: bool) -> tuple[list[Result], list[str]]:
    """Return the phases whose energies may be subtracted from the host's, and what to say of them."""
    usable: list[Result] = []
    notes: list[str] = []
    for phase in phases:
        found = compare(phase, host, "formation", names=(_formula(phase), _formula(host)))
        if found.may_subtract(trust=trust):
            usable.append(phase)
            notes += found.caveats(trust=trust)
        else:
            notes.append(f"{_formula(phase)} is left out: {found.reason(trust=trust)}")
    return usable, list(dict.fromkeys(notes))


def _polymorphs(host: Result, usable: Sequence[Result]) -> list[str]:
    """Say where another structure of the host lies lower."""
    lowest = min((_per_atom(phase) for phase in usable if _formula(phase) == _formula(host)), default=np.inf)
    apart = _per_atom(host) - lowest
    return [f"another structure of {_formula(host)} lies {apart:.3f} eV an atom lower"] if apart > SAME_ENERGY else []


def _references(usable: Sequence[Result]) -> dict[str, float]:
    references: dict[str, float] = {}
    for phase in usable:
        elements = list(_amounts(phase))
        if len(elements) == 1:
            references[elements[0]] = min(references.get(elements[0], np.inf), _per_atom(phase))
    return references


def _heat(result: Result, references: Mapping[str, float]) -> float:
    amounts = _amounts(result)
    return _per_atom(result) * sum(amounts.values()) - sum(x * references[e] for e, x in amounts.items())
