"""Which atoms share a species: same element, Hubbard U, starting moment and shift of the potential.

Quantum ESPRESSO calls a species a kind, allows ten of them with labels of at most three characters, and carries
starting moments and U by kind. VASP carries moments by site and U by block of atoms; see `species_blocks`.
"""

from __future__ import annotations

import string
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

from heterodft.errors import InputError
from heterodft.templates.hubbard import SiteU, resolve_hubbard

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pymatgen.core import Structure

    from heterodft.templates.hubbard import HubbardU
    from heterodft.templates.shifts import PotentialShift

__all__ = ["MAXIMUM_KINDS", "Block", "Species", "SpeciesTable", "blocks_of", "build_species_table", "species_blocks",
           "table_of"]  # fmt: skip

MAXIMUM_KINDS = 10
_MARKS = string.digits[1:] + "0"
"""Digits only: with a letter, a kind of nitrogen could be called Na."""

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Species:
    """Atoms that a DFT code cannot tell apart.

    Attributes
    ----------
    label, element
        ``Ti1``, ``Ti``.
    hubbard
        U on it, or None.
    moment
        Starting moment, μB.
    direction
        Unit vector of a positive moment in a noncollinear run, otherwise None.
    alpha
        eV: shift of the potential on its Hubbard orbitals.
    """

    label: str
    element: str
    hubbard: SiteU | None
    moment: float
    direction: Vector | None = None
    alpha: float = 0.0

    @property
    def u(self) -> float:
        """U in eV, 0 without."""
        return 0.0 if self.hubbard is None else self.hubbard.u


@dataclass(frozen=True)
class SpeciesTable:
    """The species of a structure.

    Attributes
    ----------
    species
        In the order of their numbers in the input.
    site_labels
        Label of each site, in the structure's order.
    merged
        What was merged to keep to ten species, in words; empty when nothing was.
    """

    species: tuple[Species, ...]
    site_labels: tuple[str, ...]
    merged: tuple[str, ...] = ()

    @property
    def site_numbers(self) -> list[int]:
        """Number of the species of each site, from 0."""
        numbers = {species.label: number for number, species in enumerate(self.species)}
        return [numbers[label] for label in self.site_labels]


@dataclass(frozen=True)
class Block:
    """Sites that follow one another in a POSCAR: an element, its U, the indices in the builder's order."""

    element: str
    hubbard: SiteU | None
    sites: tuple[int, ...]


def species_blocks(structure: Structure, hubbard: Iterable[HubbardU]) -> list[Block]:
    """Return the blocks of a POSCAR: the sites of an element together, a block for each U.

    Examples
    --------
    >>> from heterodft.structures import build_material
    >>> [(block.element, block.sites) for block in species_blocks(build_material("SrTiO3").cell, [])]
    [('Sr', (0,)), ('Ti', (1,)), ('O', (2, 3, 4))]
    """
    return blocks_of([site.species_string for site in structure], resolve_hubbard(structure, hubbard))


def blocks_of(elements: Sequence[str], hubbard: Sequence[SiteU | None], *, shifted: int | None = None) -> list[Block]:
    """Return the blocks of a POSCAR, given what each site is made of; see `species_blocks`.

    A site that is shifted is a block of its own. The order of the sites stays as it is without: that of the density
    (CHGCAR) that the calculation starts from.
    """
    found: dict[str, dict[SiteU | None, list[int]]] = {}
    for index, (element, u) in enumerate(zip(elements, hubbard, strict=True)):
        found.setdefault(element, {}).setdefault(u, []).append(index)
    return [
        Block(element, u, part)
        for element, by_u in found.items()
        for u, sites in by_u.items()
        for part in _split(tuple(sites), shifted)
    ]


def _split(sites: tuple[int, ...], apart: int | None) -> list[tuple[int, ...]]:
    """Return the sites before one, that one, and those after it; all together where it is not among them."""
    if apart not in sites:
        return [sites]
    place = sites.index(apart)
    return [part for part in (sites[:place], (apart,), sites[place + 1 :]) if part]


def build_species_table(
    structure: Structure,
    *,
    moments: Sequence[float] | None,
    hubbard: Iterable[HubbardU],
    directions: Sequence[Vector] | None = None,
    tolerance: float = 0.0,
) -> SpeciesTable:
    """Assign each site a species.

    Parameters
    ----------
    structure
        The structure.
    moments
        Starting moment of each site in μB, or None when not spin-polarized.
    hubbard
        U by element and layer.
    directions
        Unit vector of a positive moment of each site, or None in a collinear run.
    tolerance
        μB; when more than ten species would be needed, those of one element, U and direction whose moments have one
        sign and lie this near are merged, the nearest first.

    Raises
    ------
    InputError
        If more than ten species are needed.
    """
    elements = [site.species_string for site in structure]
    return table_of(elements, resolve_hubbard(structure, hubbard), moments, directions, tolerance=tolerance)


def table_of(
    elements: Sequence[str],
    hubbard: Sequence[SiteU | None],
    moments: Sequence[float] | None,
    directions: Sequence[Vector] | None,
    *,
    tolerance: float,
    shift: PotentialShift | None = None,
) -> SpeciesTable:
    """Assign each site a species, given what it is made of; see `build_species_table`."""
    sites = [
        _kind(element, u, 0.0 if moments is None else float(moments[i]), directions, i)
        for i, (element, u) in enumerate(zip(elements, hubbard, strict=True))
    ]
    if shift is not None:
        sites[shift.site] = replace(sites[shift.site], alpha=shift.alpha)
    distinct = list(dict.fromkeys(sites))
    merged: list[str] = []
    if len(distinct) > MAXIMUM_KINDS:
        became = _merge(sites, tolerance)
        merged = _told(sites, became)
        sites = [became[site] for site in sites]
        distinct = list(dict.fromkeys(sites))
    if len(distinct) > MAXIMUM_KINDS:
        raise InputError(
            f"{_formula(elements)} needs {len(distinct)} species (element, U, moment), but Quantum ESPRESSO takes "
            f"{MAXIMUM_KINDS}; give fewer distinct moments or U, or a wider moment_tolerance in method"
        )
    labelled = _labelled(distinct)
    return SpeciesTable(tuple(labelled.values()), tuple(labelled[site].label for site in sites), tuple(merged))


def _formula(elements: Sequence[str]) -> str:
    return " ".join(f"{element}{elements.count(element)}" for element in dict.fromkeys(elements))


def _kind(element: str, u: SiteU | None, moment: float, directions: Sequence[Vector] | None, index: int) -> Species:
    """Return what tells a site from others; a moment of zero has no direction."""
    if directions is None:
        return Species("", element, u, moment)
    direction = directions[index] if moment else None
    return Species("", element, u, moment, direction)


def _labelled(distinct: Sequence[Species]) -> dict[Species, Species]:
    labelled = {}
    for kind in distinct:
        same = [other for other in distinct if other.element == kind.element]
        mark = "" if len(same) == 1 else _MARKS[same.index(kind)]
        labelled[kind] = replace(kind, label=kind.element + mark)
    return labelled


def _merge(sites: Sequence[Species], tolerance: float) -> dict[Species, Species]:
    """Join kinds whose moments lie near until ten are left; the moment of a group is the mean over its sites.

    The nearest pair goes first; where that ends with more than ten, the fewest groups that span the tolerance are
    taken. A group spans at most the tolerance, so that chains of near pairs do not join far moments.
    """
    kinds = list(dict.fromkeys(sites))
    groups = _nearest_first(kinds, tolerance)
    if len(groups) > MAXIMUM_KINDS:
        groups = _fewest(kinds, tolerance)
    became: dict[Species, Species] = {}
    for group in groups:
        members = [site for site in sites if site in group]
        mean = round(sum(site.moment for site in members) / len(members), 6)
        became |= {kind: kind if len(group) == 1 else replace(group[0], moment=mean) for kind in group}
    return became


def _nearest_first(kinds: Sequence[Species], tolerance: float) -> list[list[Species]]:
    groups = [[kind] for kind in kinds]
    while len(groups) > MAXIMUM_KINDS:
        pairs = [(_span(a, b), i, j) for (i, a), (j, b) in combinations(enumerate(groups), 2) if _alike(a[0], b[0])]
        near = [pair for pair in pairs if pair[0] <= tolerance + 1e-9]
        if not near:
            break
        _, i, j = min(near)
        groups[i] += groups.pop(j)
    return groups


def _fewest(kinds: Sequence[Species], tolerance: float) -> list[list[Species]]:
    """Cover the moments of alike kinds with the fewest intervals: each begins at the lowest that is not covered."""
    groups: list[list[Species]] = []
    for kind in sorted(kinds, key=lambda kind: kind.moment):
        fitting = (g for g in groups if _alike(g[0], kind) and _span(g, [kind]) <= tolerance + 1e-9)
        group = next(fitting, None)
        if group is None:
            groups.append([kind])
        else:
            group.append(kind)
    return groups


def _span(one: Sequence[Species], other: Sequence[Species]) -> float:
    moments = [kind.moment for kind in (*one, *other)]
    return max(moments) - min(moments)


def _alike(one: Species, other: Species) -> bool:
    """Tell whether two kinds differ only in the size of moments of one sign."""
    return replace(one, moment=0.0) == replace(other, moment=0.0) and one.moment * other.moment > 0


def _told(sites: Sequence[Species], became: dict[Species, Species]) -> list[str]:
    groups: dict[Species, list[Species]] = {}
    for kind in dict.fromkeys(sites):
        groups.setdefault(became[kind], []).append(kind)
    return [
        f"{new.element}: starting moments {', '.join(f'{k.moment:g}' for k in kinds)} μB became {new.moment:g} μB"
        for new, kinds in groups.items()
        if len(kinds) > 1
    ]
