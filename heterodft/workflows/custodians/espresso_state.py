"""A cycle of pw.x that ended in a state that was not asked for is started again in other ways, a few times."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.templates.espresso_edit import read_value
from heterodft.templates.hubbard import ORBITALS_OF
from heterodft.workflows.custodians.espresso_base import EspressoHandler
from heterodft.workflows.custodians.symptoms import read_ending
from heterodft.workflows.custodians.watch import attempts_in
from heterodft.workflows.state.asked import AskedState, asked_state
from heterodft.workflows.state.choice import unreached_of
from heterodft.workflows.state.seeds import hund_occupations, ladder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from heterodft.workflows.calculation import Request
    from heterodft.workflows.custodians.espresso_base import Action
    from heterodft.workflows.custodians.symptoms import Ending
    from heterodft.workflows.state.asked import Judgement
    from heterodft.workflows.state.seeds import Seed

__all__ = ["OCCUPATIONS", "StateHandler", "state_handler"]

OCCUPATIONS = "starting_ns_eigenvalue"
_POTENTIAL, _BETA = "electrons->startingpot", "electrons->mixing_beta"
_MOMENT = re.compile(r"^\s*(starting_magnetization\(\d+\))\s*=\s*(\S+)", re.MULTILINE)
_TRACE = re.compile(r"^atom\s+(\d+)\s+Tr\[ns\(na\)\] \(up, down, total\) =\s+\S+\s+\S+\s+(\S+)", re.MULTILINE)
_LARGEST_FRACTION, _LARGEST = 0.95, 10.0
_LEAST_BETA, _DEFAULT_BETA = 0.05, 0.7


class StateHandler(EspressoHandler):
    """The state reached is not the one asked for: again from scratch with the next other start.

    The run that reaches the state asked for is the last one; where none does, the last one is kept.

    Parameters
    ----------
    file
        Input of pw.x.
    asked
        Data of the `AskedState`.
    species, orbitals
        By site: number of its species in the input, and orbitals of the shell with a U, 0 without.
    reseeds
        How many other starts may be tried.
    verdicts
        On which states.
    """

    max_num_corrections = None  # type: ignore[assignment]  # `reseeds` counts them over all attempts

    def __init__(  # noqa: PLR0917, custodian rebuilds it from its arguments
        self,
        file: str = "pw.in",
        asked: dict[str, Any] | None = None,
        species: list[int] | None = None,
        orbitals: list[int] | None = None,
        reseeds: int = 1,
        verdicts: list[str] | None = None,
    ):
        super().__init__(file)
        self.asked = asked
        self.species = species or []
        self.orbitals = orbitals or []
        self.reseeds = reseeds
        self.verdicts = verdicts or ["flipped", "collapsed", "other"]

    def concerns(self, ending: Ending, folder: Path) -> bool:
        """Return whether a cycle that ended well is in another state and another start is left."""
        found = self._judge(ending)
        return found is not None and found.verdict in self.verdicts and self._next(ending, folder) is not None

    def is_chosen(self, folder: Path) -> bool:
        """Return whether another start was chosen and not run yet: a worker died in between."""
        output = folder / f"{self.file.removesuffix('.in')}.out"
        return bool(self.tried(folder)) and (self.corrected(folder) or not output.is_file())

    def is_left(self, folder: Path, asked: str | None = None) -> bool:
        """Return whether a cycle that ended well is in another state and another start is left.

        Parameters
        ----------
        folder
            Where it ran.
        asked
            Its input as it was before a correction that was not written down; by default what is in the folder.
        """
        ending = read_ending(folder, self.file)
        if ending is None:
            return False
        return self.concerns(ending if asked is None else replace(ending, asked=asked), folder)

    def correct(self, directory: str = "./") -> dict[str, Any]:
        """Correct the input, and say which other start it is."""
        folder = Path(directory)
        ending = read_ending(folder, self.file)
        seed = None if ending is None else self._next(ending, folder)
        done = super().correct(directory)
        return done if seed is None else done | {"errors": [f"{done['errors'][0]}; again {seed.words}"]}

    def words(self, ending: Ending) -> str:
        """Return what was wrong."""
        found = self._judge(ending)
        return f"not in the state asked for: {found.words if found else 'unknown'}"

    def rung(self, ending: Ending, folder: Path) -> Action | None:
        """Return the next other start; where atoms have moved, with them where they are."""
        seed = self._next(ending, folder)
        if seed is None:
            return None
        first = self._first(folder)
        beta = float(_as_written(first, _BETA, ending) or _DEFAULT_BETA)
        changes: dict[str, Any] = self._moments(seed.moments, first, ending)
        if seed.mixing != 1.0 or _BETA in first:
            changes[_BETA] = round(max(_LEAST_BETA, seed.mixing * beta), 4)
        if seed.occupations:
            changes |= self._occupations(ending)
        elif self.orbitals:  # else they are those of the request
            changes |= dict.fromkeys(_written(ending))
        where = "positions" if ending.moved else "scratch"
        return {"_set": changes, "_continue": where, "_unset": [_POTENTIAL]}

    def _judge(self, ending: Ending) -> Judgement | None:
        """Return what became of the state of a cycle that ended well; None of others."""
        printed = ending.printed
        relaxed = ending.calculation == "scf" or bool(printed.relaxed)
        if ending.symptom or not printed.converged or not relaxed or not printed.moments or self.asked is None:
            return None
        vectors = np.array(printed.vectors) if printed.vectors else None
        total = printed.total_moment if vectors is None else None
        return AskedState.from_data(self.asked).judge(printed.moments, vectors, total)

    def _next(self, ending: Ending, folder: Path) -> Seed | None:
        """Return the next other start, None where none is left."""
        taken = len(self.tried(folder))
        start = _as_written(self._first(folder), _POTENTIAL, ending)
        given = bool(_written(ending)) and not taken
        occupations = any(self.orbitals) and not given and "Tr[ns(na)]" in ending.text
        seeds = ladder(from_density=start == "file", occupations=occupations)[: self.reseeds]
        return seeds[taken] if taken < len(seeds) and _moments_in(ending) else None

    def _first(self, folder: Path) -> Mapping[str, Any]:
        """Return what the first of these corrections found in the input."""
        entries = [entry for attempt in attempts_in(folder) for entry in attempt.get("corrections", ())]
        ours = [e for e in entries if e.get("handler", {}).get("@class") == type(self).__name__ and e.get("actions")]
        return dict(ours[0].get("before") or {}) if ours else {}

    def _moments(self, factor: float, first: Mapping[str, Any], ending: Ending) -> dict[str, float]:
        """Return starting moments so many times those asked for; fractions of the valence stay below one."""
        asked = {name: float(_as_written(first, name, ending) or 0.0) for name in _moments_in(ending)}
        if factor == 1.0 and not set(asked) & set(first):
            return {}
        limit = _LARGEST_FRACTION if all(abs(value) < 1 for value in asked.values()) else _LARGEST
        return {name: round(max(-limit, min(limit, factor * value)), 6) for name, value in asked.items()}

    def _occupations(self, ending: Ending) -> dict[str, float]:
        """Return eigenvalues to start from, of each species with U and a moment, by the electrons it has now."""
        electrons = {int(atom) - 1: float(total) for atom, total in _TRACE.findall(ending.text)}
        asked = AskedState.from_data(self.asked or {})
        found: dict[str, float] = {}
        for site in asked.carriers:
            if site not in electrons or not self.orbitals[site]:
                continue
            moment = (asked.moments or ())[site]
            spins = hund_occupations(electrons[site], moment, self.orbitals[site])
            for spin, values in enumerate(spins, start=1):
                for m, value in enumerate(values, start=1):
                    found.setdefault(f"system->{OCCUPATIONS}({m},{spin},{self.species[site]})", value)
        return found


def _moments_in(ending: Ending) -> list[str]:
    """Return the names of the starting moments of an input that are not zero."""
    return [f"system->{name}" for name, value in _MOMENT.findall(ending.asked) if abs(float(value)) > 0]


def _written(ending: Ending) -> list[str]:
    names = re.findall(rf"^\s*({OCCUPATIONS}\([\d,]+\))\s*=", ending.asked, re.MULTILINE)
    return [f"system->{name}" for name in names]


def _as_written(first: Mapping[str, Any], name: str, ending: Ending) -> str | None:
    """Return a setting as it was before the first other start."""
    return first[name] if name in first else read_value(ending.asked, name)


def state_handler(request: Request, file: str, *, reseed: bool) -> StateHandler | None:
    """Return the handler of a request; None where its user wants no other starts.

    Parameters
    ----------
    request, file
        The calculation and its input.
    reseed
        Whether the settings of this machine want one more start of states that collapsed, where the campaign says
        nothing.
    """
    chosen = unreached_of(request)
    if request.moments is None or request.step not in ("relax-coarse", "relax", "static"):
        return None
    if not chosen.reseeds and not (reseed and chosen.choice == "flag" and request.directions is None):
        return None
    setup = request.to_setup()
    orbitals = [0 if u is None else ORBITALS_OF[u.shell[-1]] for u in setup.site_hubbard]
    if request.directions is not None or any(u is not None and u.start for u in setup.site_hubbard):
        orbitals = []
    species: Sequence[int] = [number + 1 for number in setup.species.site_numbers]
    return StateHandler(
        file,
        asked_state(request).to_data(),
        list(species),
        orbitals,
        chosen.reseeds or 1,
        None if chosen.reseeds else ["collapsed"],
    )
