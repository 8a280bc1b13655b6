"""Formal charges and ionic radii: what the polar discontinuity and the check for overlapping atoms rest on."""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Composition, Element, Species

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pymatgen.core import Structure

__all__ = ["anion", "closest_pairs", "formal_charges", "ionic_radius"]


@lru_cache(maxsize=512)
def _charges(formula: str) -> tuple[tuple[str, float], ...]:
    guesses = Composition(Composition(formula).reduced_formula).oxi_state_guesses()
    return tuple(sorted(guesses[0].items())) if guesses else ()


def formal_charges(formula: str) -> dict[str, float]:
    """Return the most common oxidation states that make a formula neutral, in e by element.

    Parameters
    ----------
    formula
        Of a bulk material, reduced or not.

    Returns
    -------
    dict
        Empty where no set of common states is neutral, as in an alloy.

    Examples
    --------
    >>> formal_charges("LaAlO3")
    {'Al': 3.0, 'La': 3.0, 'O': -2.0}
    """
    return dict(_charges(formula))


@lru_cache(maxsize=512)
def anion(formula: str) -> str:
    """Return the most electronegative element of a formula.

    Examples
    --------
    >>> anion("SrTiO3"), anion("CrN")
    ('O', 'N')
    """
    return max((element.symbol for element in Composition(formula)), key=lambda symbol: Element(symbol).X)


@lru_cache(maxsize=512)
def ionic_radius(element: str, charge: float) -> float:
    """Return an ionic radius in Å, six-fold coordinated where tabulated.

    Shannon, Acta Cryst. A 32, 751 (1976), as tabulated in pymatgen; the average ionic radius, or half the atomic one
    (a core that nothing enters), where Shannon has none.
    """
    if charge and float(charge).is_integer():
        species = Species(element, int(charge))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # other spin states or coordinations, when the usual one is not tabulated
            try:
                return float(species.get_shannon_radius("VI"))
            except KeyError:
                pass
            radius = species.ionic_radius
        if radius:
            return float(radius)
    return float(Element(element).atomic_radius or 1.0) / 2


def closest_pairs(
    structure: Structure, charges: Mapping[str, Mapping[str, float]], *, reach: float = 1.2
) -> dict[tuple[str, str], tuple[float, float]]:
    """Return the shortest distance of each pair of elements beside the sum of their ionic radii.

    Parameters
    ----------
    structure
        With the site property ``material``.
    charges
        `formal_charges` of each material; the atoms of a material without take atomic radii.
    reach
        Pairs farther apart than this multiple of the largest sum of radii are left out.

    Returns
    -------
    dict
        (element, element), sorted: (distance, sum of radii), both in Å; closest in relation to its radii first.
    """
    materials = structure.site_properties["material"]
    symbols = [site.species_string for site in structure]
    radii = np.array(
        [
            ionic_radius(symbol, charges.get(material, {}).get(symbol, 0.0))
            for symbol, material in zip(symbols, materials, strict=True)
        ]
    )
    first, second, _, distances = structure.get_neighbor_list(reach * 2 * float(radii.max()))
    sums = radii[first] + radii[second]
    near = distances <= reach * sums
    found: dict[tuple[str, str], tuple[float, float]] = {}
    order = np.argsort(distances[near] / sums[near], kind="stable")
    for i, j, distance, total in zip(
        first[near][order], second[near][order], distances[near][order], sums[near][order], strict=True
    ):
        low, high = sorted((symbols[int(i)], symbols[int(j)]))
        found.setdefault((low, high), (float(distance), float(total)))
    return found
