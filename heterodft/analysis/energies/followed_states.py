"""Magnetic states followed from one U to the next.

At one U the states are told apart and ranked by energy; where two energies cross, that rank passes from one state to
the other. What stays with a state is its moments and occupations, which change little from one U to the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.energies.states import reached_moments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from heterodft.analysis.energies.states import State
    from heterodft.analysis.result import Result

__all__ = ["base_name", "follow_states"]

_MOVED, _MOVED_BY_EV, _MOVED_PART = 0.3, 0.2, 0.15
"""μB, μB for each eV between two U, and part of the moment, by which the moment of a site may change on the way."""
_OTHER_ORBITAL = 0.4
"""Electrons; an element of an occupation matrix that changes by more belongs to another orbital order."""


@dataclass
class _Followed:
    """A state that is followed: its name, and what it was at the last U at which it was found."""

    name: str
    u: float
    result: Result
    moments: NDArray[np.float64]


def base_name(name: str) -> str:
    """Return the order of a state: ``FM`` of ``FM (2)``."""
    return name.partition(" (")[0]


def follow_states(results: Sequence[Result], states: Sequence[State], u: Sequence[float]) -> list[str]:
    """Name the states of one structure so that a state keeps its name at every U.

    Parameters
    ----------
    results, states
        Of one cell; the states as told apart among the results of equal U.
    u
        eV, one a result.

    Returns
    -------
    list of str
        The order of the state; a further state of the same order, met later or lying higher where both were met
        first, is ``FM (2)``. Empty where no moments are told.
    """
    known: list[_Followed] = []
    names = [""] * len(results)
    for value in sorted(set(u)):
        here: dict[str, list[int]] = {}
        for i, state in enumerate(states):
            if u[i] == value and state.name:
                here.setdefault(state.name, []).append(i)
        found = {
            name: _Followed(name, value, results[lowest], _moments(results[lowest], states[lowest]))
            for name, members in here.items()
            for lowest in [min(members, key=lambda i: _energy(results[i]))]
        }
        became = _matched(known, found)
        for name in sorted(found, key=lambda name: _energy(found[name].result)):
            if name not in became:
                became[name] = _new_name(base_name(name), known)
                known.append(_Followed(became[name], value, found[name].result, found[name].moments))
            for i in here[name]:
                names[i] = became[name]
        for one in known:
            for name, followed in found.items():
                if became[name] == one.name:
                    one.u, one.result, one.moments = value, followed.result, followed.moments
    return names


def _matched(known: Sequence[_Followed], found: dict[str, _Followed]) -> dict[str, str]:
    """Return which known state each found one is, the nearest pairs first; those that are none are left out."""
    pairs = sorted(
        (apart, one.name, name)
        for one in known
        for name, other in found.items()
        if base_name(one.name) == base_name(name) and (apart := _apart(one, other)) <= 1
    )
    became: dict[str, str] = {}
    for _, name, here in pairs:
        if here not in became and name not in became.values():
            became[here] = name
    return became


def _new_name(base: str, known: Sequence[_Followed]) -> str:
    namesakes = sum(base_name(one.name) == base for one in known)
    return f"{base} ({namesakes + 1})" if namesakes else base


def _moments(result: Result, state: State) -> NDArray[np.float64]:
    reached = reached_moments(result)
    return np.zeros(len(state.sites)) if reached is None else reached[0][list(state.sites)]


def _apart(one: _Followed, other: _Followed) -> float:
    """Return how far two states are apart, 1 being as far as one state may move; up to turning all spins over."""
    if one.moments.shape != other.moments.shape:
        return np.inf
    sizes = np.maximum(np.abs(one.moments), np.abs(other.moments))
    allowed = np.maximum(max(_MOVED, _MOVED_BY_EV * abs(other.u - one.u)), _MOVED_PART * sizes)
    return min(
        max(
            float((np.abs(one.moments - sign * other.moments) / allowed).max(initial=0.0)),
            _occupations_apart(one.result, other.result, sign) / _OTHER_ORBITAL,
        )
        for sign in (1, -1)
    )


def _occupations_apart(one: Result, other: Result, sign: int) -> float:
    """Return the largest change of an occupation, electrons; 0 where the two do not tell the same sites."""
    first, second = ({(o.site, o.matrices.shape): o.matrices for o in result.occupations} for result in (one, other))
    if set(first) != set(second):
        return 0.0
    return max((float(np.abs(first[key] - second[key][::sign]).max()) for key in first), default=0.0)


def _energy(result: Result) -> float:
    return np.inf if result.energy is None else result.energy
