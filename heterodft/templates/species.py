"""Which atoms share a species: same element, Hubbard U and starting moment.

Quantum ESPRESSO calls a species a kind, allows ten of them with labels of at most three characters, and carries
starting moments and U by kind.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import TYPE_CHECKING

from heterodft.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pymatgen.core import Structure

    from heterodft.templates.hubbard import HubbardU

__all__ = ["MAXIMUM_KINDS", "Species", "SpeciesTable", "build_species_table"]

MAXIMUM_KINDS = 10
_MARKS = string.digits[1:] + "0"
"""Digits only: with a letter, a kind of nitrogen could be called Na."""


@dataclass(frozen=True)
class Species:
    """Atoms that a DFT code cannot tell apart: label, element, effective U (eV), starting moment (μB)."""

    label: str
    element: str
    u: float
    moment: float


@dataclass(frozen=True)
class SpeciesTable:
    """The species of a structure.

    Attributes
    ----------
    species
        In the order of their numbers in the input.
    site_labels
        Label of each site, in the structure's order.
    """

    species: tuple[Species, ...]
    site_labels: tuple[str, ...]


def build_species_table(
    structure: Structure, *, moments: Sequence[float] | None, hubbard: Iterable[HubbardU]
) -> SpeciesTable:
    """Assign each site a species.

    Parameters
    ----------
    structure
        The structure.
    moments
        Starting moment of each site in μB, or None when not spin-polarized.
    hubbard
        Effective U by element.

    Raises
    ------
    InputError
        If more than ten species are needed.
    """
    u_of = {u.element: u.value for u in hubbard}
    sites = [
        (site.species_string, u_of.get(site.species_string, 0.0), 0.0 if moments is None else float(moments[i]))
        for i, site in enumerate(structure)
    ]
    distinct = list(dict.fromkeys(sites))
    if len(distinct) > MAXIMUM_KINDS:
        raise InputError(
            f"{structure.formula} needs {len(distinct)} species (element, U, moment), but Quantum ESPRESSO takes "
            f"{MAXIMUM_KINDS}; give fewer distinct moments or U"
        )
    labels: dict[tuple[str, float, float], str] = {}
    for key in distinct:
        same = [other for other in distinct if other[0] == key[0]]
        labels[key] = key[0] if len(same) == 1 else key[0] + _MARKS[same.index(key)]
    return SpeciesTable(tuple(Species(labels[key], *key) for key in distinct), tuple(labels[site] for site in sites))
