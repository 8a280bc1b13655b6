"""Exchange constants of the shells of bonds from a fit, what it leaves open, and the order they give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.energies.exchange_fit import in_words, mean_field_temperature

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from heterodft.analysis.energies.exchange_bonds import Bonds, Shell
    from heterodft.analysis.energies.exchange_fit import ExchangeFit

__all__ = ["MEV", "ExchangeConstant", "constants_of", "mean_field_order", "undetermined_sums"]

MEV = 1000.0


@dataclass(frozen=True)
class ExchangeConstant:
    """One shell.

    Attributes
    ----------
    name, kind, length
        ``J1``, ``Ni–Ni``, mean length in Å.
    neighbours
        Bonds of the kind a magnetic ion has on average, over all magnetic ions.
    value, error
        meV between unit moments and its standard error; the value is None where the configurations do not determine
        it, the error also where there are as many unknowns as energies.
    per_spin_squared
        meV, J / (S_i S_j).
    reason
        Why there is no value; empty where there is.
    """

    name: str
    kind: str
    length: float
    neighbours: float
    value: float | None
    error: float | None
    per_spin_squared: float | None
    reason: str


def constants_of(
    shells: Sequence[Shell], bonds: Bonds, fit: ExchangeFit, elements: Sequence[str], spins: Mapping[str, float]
) -> tuple[ExchangeConstant, ...]:
    """Return the constants of the shells; `elements` are those of the sites of the bonds, `spins` S by element."""
    constants = []
    for k, shell in enumerate(shells):
        members = shell.members[0]
        pairs = zip(bonds.first[members], bonds.second[members], strict=True)
        squares = [spins[elements[i]] * spins[elements[j]] for i, j in pairs]
        value = MEV * float(fit.values[k]) if fit.determined[k] else None
        square = float(np.mean(squares)) if squares else 0.0
        constants.append(
            ExchangeConstant(
                name=shell.name,
                kind=shell.kind,
                length=shell.length,
                neighbours=2 * float(members.sum()) / len(bonds.sites),
                value=value,
                error=None if value is None or fit.errors is None else MEV * float(fit.errors[k]),
                per_spin_squared=None if value is None or not square else value / square,
                reason="" if fit.determined[k] else "the configurations do not determine it",
            )
        )
    return tuple(constants)


def undetermined_sums(fit: ExchangeFit, shells: Sequence[Shell]) -> tuple[str, ...]:
    """Return in words what the configurations do not determine."""
    if fit.determined.all():
        return ()
    names = [shell.name for shell in shells]
    told = [
        f"{shells[k].label} is in no difference of energies: its bonds add up to the same in every configuration"
        for k in fit.same
    ]
    for coefficients, value in fit.combinations:
        sum_ = in_words(coefficients, names)
        members = [name for name, x in zip(names, coefficients, strict=True) if x]
        told.append(f"of {', '.join(members)} only {sum_} = {MEV * value:.4g} meV is determined")
    return tuple(told)


def mean_field_order(
    constants: Sequence[ExchangeConstant], shells: Sequence[Shell], bonds: Bonds
) -> tuple[float | None, tuple[int, ...]]:
    """Return the mean-field temperature in K and the signs of what orders; None where a constant is missing."""
    if any(one.value is None for one in constants):
        return None, ()
    coupling: NDArray[np.float64] = np.zeros((len(bonds.sites), len(bonds.sites)))
    for one, shell in zip(constants, shells, strict=True):
        inside = shell.members[0]
        np.add.at(coupling, (bonds.first[inside], bonds.second[inside]), (one.value or 0.0) / MEV)
        np.add.at(coupling, (bonds.second[inside], bonds.first[inside]), (one.value or 0.0) / MEV)
    temperature, pattern = mean_field_temperature(coupling)
    if temperature <= 0:
        return None, ()
    signs = np.sign(np.where(np.abs(pattern) < 1e-6, 0.0, pattern)).astype(int)
    first = next((sign for sign in signs if sign), 1)
    return temperature, tuple(int(sign * first) for sign in signs) if signs.any() else ()
