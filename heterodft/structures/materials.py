"""Bulk end members: a prototype with lattice constants of known source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pymatgen.core import Composition, Lattice, Structure

from heterodft.errors import StructureError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PROTOTYPES", "Material", "build_material"]


@dataclass(frozen=True)
class Material:
    """A bulk end member.

    Attributes
    ----------
    name
        How the campaign calls it, usually its formula.
    prototype
        Crystal structure type, a key of `PROTOTYPES`.
    cell
        Unit cell in the orientation that Miller indices refer to.
    source
        Where the lattice constants come from.
    """

    name: str
    prototype: str
    cell: Structure
    source: str


REFERENCE_LATTICES: dict[str, tuple[float, str]] = {
    # pseudo-cubic a in Å at room temperature
    "SrTiO3": (3.905, "cubic, Okazaki & Kawaminami, Mater. Res. Bull. 8, 545 (1973)"),
    "LaAlO3": (3.790, "pseudo-cubic, Hayward et al., Phys. Rev. B 72, 054110 (2005)"),
    "KTaO3": (3.989, "cubic, Zhurova et al., Acta Cryst. B 56, 594 (2000)"),
}


def _perovskite(formula: str, a: float) -> Structure:
    """ABX3, cubic, space group 221: A at the corner, B at the centre, X at the face centres."""
    amounts = Composition(formula).get_el_amt_dict()
    cations = [element for element, amount in amounts.items() if amount == 1]
    anions = [element for element, amount in amounts.items() if amount == 3]
    if len(cations) != 2 or len(anions) != 1:
        raise StructureError(f"material {formula}: a perovskite is written ABX3, A first, such as SrTiO3")
    a_site, b_site, anion = *cations, anions[0]
    return Structure(
        Lattice.cubic(a),
        [a_site, b_site, anion, anion, anion],
        [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]],
    )


PROTOTYPES: dict[str, Callable[[str, float], Structure]] = {"perovskite": _perovskite}


def build_material(
    name: str,
    *,
    prototype: str = "perovskite",
    a: float | None = None,
    formula: str | None = None,
) -> Material:
    """Build a bulk end member from its prototype.

    Parameters
    ----------
    name
        Name of the material; also its formula unless `formula` is given.
    prototype
        A key of `PROTOTYPES`.
    a
        Cubic (or pseudo-cubic) lattice constant in Å; by default the reference value of the formula.
    formula
        Chemical formula.

    Raises
    ------
    StructureError
        If the prototype is unknown, the formula does not fit it, or no lattice constant is known.

    Examples
    --------
    >>> build_material("SrTiO3", a=3.905).cell.composition.reduced_formula
    'SrTiO3'
    """
    formula = formula or name
    if prototype not in PROTOTYPES:
        raise StructureError(
            f"material {name}: unknown prototype '{prototype}'{did_you_mean(prototype, PROTOTYPES)}"
        )
    try:
        Composition(formula)
    except ValueError as error:
        raise StructureError(
            f"material {name}: '{formula}' is no chemical formula; give one with formula:"
        ) from error
    if a is None:
        if formula not in REFERENCE_LATTICES:
            raise StructureError(f"material {name}: no reference lattice constant; give a: in Å")
        a, source = REFERENCE_LATTICES[formula]
    else:
        source = "given"
    if not 1.0 < a < 20.0:
        raise StructureError(f"material {name}: a = {a:g} Å is no lattice constant of a crystal; give a: in Å")
    return Material(name, prototype, PROTOTYPES[prototype](formula, a), source)
