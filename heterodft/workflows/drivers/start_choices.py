"""The starts of one configuration: its own, and those with other moments, another structure, other occupations."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from heterodft.errors import StructureError, did_you_mean
from heterodft.structures.local_distortions import distort_around, rattle
from heterodft.structures.symmetry import site_permutations
from heterodft.templates.hubbard import StartingOccupations, UChoice, parse_hubbard

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pymatgen.core import Structure

    from heterodft.templates.hubbard import HubbardU
    from heterodft.workflows.configurations import Configuration
    from heterodft.workflows.starts_spec import StartsSpec

__all__ = ["StartChoice", "inequivalent_signs", "start_choices"]

_SMALLEST, _LARGEST_SIZE = 0.4, 1.6
"""Between which factors random sizes lie; farther off, the first iterations forget them."""
_DRAWS = 100
_RATTLE_SEED = 1

Signs = tuple[int, ...]
Moments = tuple[float, ...]


@dataclass(frozen=True)
class StartChoice:
    """A start.

    Attributes
    ----------
    words
        What differs from the campaign's own start, one entry a change; empty of that one itself.
    configuration
        To be computed.
    random
        Whether its moments were drawn.
    distorted
        Whether its structure is not that of the campaign.
    """

    words: tuple[str, ...]
    configuration: Configuration
    random: bool = False
    distorted: bool = False

    @property
    def label(self) -> str:
        """As in a table."""
        return ", ".join(self.words) or "as the campaign starts"


def start_choices(
    configuration: Configuration, spec: StartsSpec, *, signs: Callable[[Signs], bool] | None = None
) -> list[StartChoice]:
    """Return the starts of a configuration, its own first, then those that change one thing, two things, three.

    Parameters
    ----------
    configuration
        Of the campaign.
    spec
        Which starts to try.
    signs
        Of `inequivalent_signs`, which the random starts of one structure share; None for no random starts.

    Raises
    ------
    StructureError, InputError
        If a distortion or an occupation does not suit the structure.
    """
    moments = [("", configuration.moments), *_scaled(configuration, spec)]
    drawn = [] if signs is None else _drawn(configuration, spec, signs)
    structure = configuration.built.structure
    shapes = [("", structure), *_shapes(structure, spec)]
    hubbards = [("", configuration.hubbard), *_occupied(configuration.hubbard, spec)]
    every: list[StartChoice] = []
    for (how, values), (shape, cell), (filling, hubbard) in product([*moments, *drawn], shapes, hubbards):
        changed = replace(
            configuration, moments=values, hubbard=hubbard, built=replace(configuration.built, structure=cell)
        )
        words = tuple(filter(None, (how, shape, filling)))
        every.append(StartChoice(words, changed, (how, values) in drawn, bool(shape)))
    return sorted(every, key=lambda choice: len(choice.words))


def _scaled(configuration: Configuration, spec: StartsSpec) -> list[tuple[str, Moments]]:
    """Return the starting moments times each factor but one."""
    own = configuration.moments
    if own is None:
        return []
    factors = dict.fromkeys(factor for factor in spec.moments or [] if factor != 1)
    return [(f"moments × {factor:g}", tuple(round(m * factor, 6) + 0.0 for m in own)) for factor in factors]


def _drawn(
    configuration: Configuration, spec: StartsSpec, signs: Callable[[Signs], bool]
) -> list[tuple[str, Moments | None]]:
    """Return starting moments of random signs by site and sizes by element; signs not tried before come first."""
    own = configuration.moments
    if own is None or not any(own) or spec.random is None:
        return []
    elements = [site.species_string for site in configuration.built.structure]
    found: list[tuple[str, Moments | None]] = []
    for number in range(1, spec.random.number + 1):
        random = np.random.default_rng((spec.random.seed, number))
        sizes = {e: round(float(random.uniform(_SMALLEST, _LARGEST_SIZE)), 2) for e in dict.fromkeys(elements)}
        chosen: Signs = ()
        for _ in range(_DRAWS):
            chosen = tuple(int(one) for one in random.choice([-1, 1], len(own)))
            first = next(sign for sign, moment in zip(chosen, own, strict=True) if moment)
            chosen = tuple(sign * first if moment else 0 for sign, moment in zip(chosen, own, strict=True))
            if signs(chosen):
                break
        values = [round(abs(m) * sizes[e] * s, 6) + 0.0 for m, e, s in zip(own, elements, chosen, strict=True)]
        found.append((f"random moments {number}", tuple(values)))
    return found


def inequivalent_signs(structure: Structure, tried: Sequence[Moments]) -> Callable[[Signs], bool]:
    """Return a function that says whether a pattern of signs is new, and takes it as tried from then on.

    Patterns are the same where a symmetry operation of the structure, or turning all moments over, makes them so.
    """
    permutations = site_permutations(structure, [site.species_string for site in structure])

    def canonical(pattern: Sequence[float]) -> Signs:
        images = np.sign(np.asarray(pattern, dtype=float))[permutations].astype(int)
        return max(tuple(image) for image in np.concatenate([images, -images]).tolist())

    seen = {canonical(pattern) for pattern in tried}

    def is_new(pattern: Signs) -> bool:
        told = canonical(pattern)
        new = told not in seen
        seen.add(told)
        return new

    return is_new


def _shapes(structure: Structure, spec: StartsSpec) -> list[tuple[str, Structure]]:
    """Return the structure with each bond distortion, and the same rattle seed every time it is asked."""
    found: list[tuple[str, Structure]] = []
    for number, factor in enumerate(dict.fromkeys(spec.distortions or ())):
        if factor == 0 and spec.rattle_size == 0:
            continue
        changed = distort_around(structure, factor) if factor else structure
        if spec.rattle_size:
            seed = _RATTLE_SEED if spec.random is None else spec.random.seed
            changed = rattle(changed, spec.rattle_size, seed=1000 * seed + number)
        words = f"bonds {factor:+.0%}" if factor else "rattled"
        found.append((words, changed))
    return found


def _occupied(hubbard: tuple[HubbardU, ...], spec: StartsSpec) -> list[tuple[str, tuple[HubbardU, ...]]]:
    """Return U with each set of starting occupations.

    Raises
    ------
    StructureError
        If a shell carries no U.
    InputError
        If the numbers do not suit the shell.
    """
    found: list[tuple[str, tuple[HubbardU, ...]]] = []
    shells = {f"{u.element}-{u.shell}": u for u in hubbard if u.active}
    for shell, several in spec.occupations.items():
        if shell not in shells:
            raise StructureError(f"occupations: {shell} carries no U here{did_you_mean(shell, shells)}")
        old = shells[shell]
        for number, (up, down) in enumerate(several, start=1):
            choice = UChoice(old.value, old.j, old.layers, StartingOccupations(up, down))
            new = replace(parse_hubbard({shell: choice})[0], tracked=old.tracked)
            found.append((f"occupations {number} of {shell}", tuple(new if u is old else u for u in hubbard)))
    return found
