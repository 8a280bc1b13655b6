"""The cards of a pw.x input: species, cell, positions, k-points, U."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from heterodft.templates.pseudopotentials import Pseudopotential
    from heterodft.templates.setup import Setup

__all__ = ["PROJECTION", "SHIFT_CARD_VERSION", "ZERO_U", "write_cards"]

PROJECTION = "ortho-atomic"
"""Projectors of U: orthogonal, so that no electron is counted on two sites; pw.x 6.7 has their forces and stress."""

SHIFT_CARD_VERSION = (7, 5)
"""From which on the HUBBARD card takes shifts, which are in the namelist before."""

ZERO_U = 1e-8
"""eV; pw.x computes no occupations where U is zero."""


def write_cards(
    setup: Setup,
    pseudopotentials: Mapping[str, Pseudopotential],
    *,
    hubbard: bool,
    shift: bool = False,
    order: Sequence[int] | None = None,
) -> str:
    """Return the cards.

    The HUBBARD card and the shift of a site in it only when asked for, the sites in another order where one is given.
    """
    sites = range(len(setup.structure)) if order is None else order
    cards = [_species(setup, pseudopotentials), _cell(setup), _positions(setup, sites), _kpoints(setup)]
    return "\n".join([*cards, _hubbard(setup, shift=shift)] if hubbard else cards)


@cache
def _mass(element: str) -> float:
    from pymatgen.core import Element

    return float(Element(element).atomic_mass)


def _species(setup: Setup, pseudopotentials: Mapping[str, Pseudopotential]) -> str:
    rows = [
        f"{s.label:4} {_mass(s.element):9.4f} {pseudopotentials[s.element].path.name}" for s in setup.species.species
    ]
    return "\n".join(["ATOMIC_SPECIES", *rows, ""])


def _cell(setup: Setup) -> str:
    rows = ["  ".join(f"{x + 0.0:16.10f}" for x in vector) for vector in setup.structure.lattice.matrix]
    return "\n".join(["CELL_PARAMETERS angstrom", *rows, ""])


def _positions(setup: Setup, sites: Sequence[int]) -> str:
    labels, places = setup.species.site_labels, setup.structure.frac_coords.tolist()
    rows = [
        f"{labels[i]:4} {places[i][0] + 0.0:14.10f}  {places[i][1] + 0.0:14.10f}  {places[i][2] + 0.0:14.10f}"
        for i in sites
    ]
    return "\n".join(["ATOMIC_POSITIONS crystal", *rows, ""])


def _kpoints(setup: Setup) -> str:
    path = setup.settings.path
    if path is not None:
        rows = [f"{x:14.10f} {y:14.10f} {z:14.10f} 1.0" for x, y, z in path.kpoints]
        return "\n".join(["K_POINTS crystal", str(len(rows)), *rows, ""])
    numbers = " ".join(map(str, (*setup.settings.kpoints, *setup.settings.shift)))
    return f"K_POINTS automatic\n{numbers}\n"


def _hubbard(setup: Setup, *, shift: bool) -> str:
    rows = [f"U {s.label}-{s.hubbard.shell} {s.hubbard.u or ZERO_U:g}" for s in setup.species.species if s.hubbard]
    if shift:
        rows += [
            f"ALPHA {s.label}-{s.hubbard.shell} {s.alpha:g}" for s in setup.species.species if s.hubbard and s.alpha
        ]
    return "\n".join([f"HUBBARD {{{PROJECTION}}}", *rows, ""])
