"""Bulk end members: a prototype with its parameters, or any structure file."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import permutations, product
from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.core import Composition, Lattice, Structure

from heterodft.errors import StructureError, did_you_mean
from heterodft.structures.reference_lattices import REFERENCES

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["PROTOTYPES", "Material", "Prototype", "build_material", "read_material"]


@dataclass(frozen=True)
class Material:
    """A bulk end member.

    Attributes
    ----------
    name
        How the campaign calls it, usually its formula.
    prototype
        Crystal structure type, a key of `PROTOTYPES`, or ``file``.
    cell
        Conventional cell, which Miller indices refer to.
    source
        Where the lattice constants come from.
    """

    name: str
    prototype: str
    cell: Structure
    source: str


@dataclass(frozen=True)
class Prototype:
    """A crystal structure type.

    Attributes
    ----------
    space_group
        International number.
    hexagonal
        Whether the cell is hexagonal, with c beside a; otherwise cubic.
    amounts
        Atoms of each element in a formula unit, in the order of `sites`.
    sites
        Coordinates of each element; a text names a parameter.
    parameters
        Internal parameters with their ideal or typical values.
    example
        A formula, for messages.
    """

    space_group: int
    hexagonal: bool
    amounts: tuple[int, ...]
    sites: tuple[tuple[float | str, float | str, float | str], ...]
    parameters: dict[str, float]
    example: str


PROTOTYPES: dict[str, Prototype] = {
    "perovskite": Prototype(221, False, (1, 1, 3), ((0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0)), {}, "SrTiO3"),
    "rocksalt": Prototype(225, False, (1, 1), ((0, 0, 0), (0.5, 0.5, 0.5)), {}, "MgO"),
    "zincblende": Prototype(216, False, (1, 1), ((0, 0, 0), (0.25, 0.25, 0.25)), {}, "GaAs"),
    "fluorite": Prototype(225, False, (1, 2), ((0, 0, 0), (0.25, 0.25, 0.25)), {}, "CaF2"),
    # A on the tetrahedral site at the origin (-43m), B on the octahedral one; u = 3/8 is ideal
    "spinel": Prototype(
        227, False, (1, 2, 4), ((0, 0, 0), (0.625, 0.625, 0.625), ("u", "u", "u")), {"u": 0.3875}, "MgAl2O4"
    ),
    "wurtzite": Prototype(186, True, (1, 1), ((1 / 3, 2 / 3, 0), (1 / 3, 2 / 3, "u")), {"u": 0.375}, "GaN"),
    "corundum": Prototype(
        167, True, (2, 3), ((0, 0, "z_cation"), ("x_anion", 0, 0.25)), {"z_cation": 0.352, "x_anion": 0.306}, "Al2O3"
    ),
}  # fmt: skip


_SAME_SITE = 0.06
"""Of an edge; internal parameters of one prototype differ by less."""
_SUBSTRATES_ONLY = ("LSAT",)
_LARGEST = {"a": 20.0, "c": 60.0}
"""Å."""


def build_material(
    name: str,
    *,
    prototype: str | None = None,
    a: float | None = None,
    c: float | None = None,
    formula: str | None = None,
    parameters: dict[str, float] | None = None,
) -> Material:
    """Build a bulk end member from its prototype.

    Parameters
    ----------
    name
        Name of the material; also its formula unless `formula` is given.
    prototype
        A key of `PROTOTYPES`; by default that of the reference, else perovskite.
    a, c
        Lattice constants in Å of the cubic (or pseudo-cubic) or hexagonal cell; by default the reference values.
    formula
        Chemical formula, cations first.
    parameters
        Internal parameters of the prototype, such as ``u``, or ``z_cation`` and ``x_anion``.

    Raises
    ------
    StructureError
        If the prototype is unknown, the formula does not fit it, or no lattice constant is known.

    Examples
    --------
    >>> build_material("SrTiO3", a=3.905).cell.composition.reduced_formula
    'SrTiO3'
    >>> len(build_material("Cr2O3").cell)
    30
    """
    formula = formula or name
    reference = REFERENCES.get(formula)
    prototype = prototype or (reference.prototype if reference else "perovskite")
    if prototype not in PROTOTYPES:
        raise StructureError(f"material {name}: unknown prototype '{prototype}'{did_you_mean(prototype, PROTOTYPES)}")
    if formula in _SUBSTRATES_ONLY:
        raise StructureError(
            f"material {name}: {formula} is a solid solution; it can set in_plane, and a cell of it needs a file:"
        )
    kind = PROTOTYPES[prototype]
    known: dict[str, float] = {}
    if reference is not None and reference.prototype == prototype:
        known = reference.constants
    given = {key: value for key, value in {"a": a, "c": c, **(parameters or {})}.items() if value is not None}
    values = kind.parameters | known | given
    _check_constants(name, kind, values)
    lattice = Lattice.hexagonal(values["a"], values["c"]) if kind.hexagonal else Lattice.cubic(values["a"])
    sites = [[values[x] if isinstance(x, str) else x for x in site] for site in kind.sites]
    cell = Structure.from_spacegroup(kind.space_group, lattice, _elements(name, formula, prototype), sites)
    source = "given" if "a" in given or reference is None else reference.source
    return Material(name, prototype, cell, source)


def _elements(name: str, formula: str, prototype: str) -> list[str]:
    """Return the elements of a formula in the order of the prototype's sites."""
    kind = PROTOTYPES[prototype]
    try:
        composition = Composition(formula)
    except ValueError as error:
        raise StructureError(
            f"material {name}: '{formula}' is no chemical formula; give one with formula:"
        ) from error
    amounts = composition.get_el_amt_dict()
    if sorted(amounts.values()) != sorted(kind.amounts):
        raise StructureError(
            f"material {name}: {formula} is not a {prototype} formula, which is written cations first, such as "
            f"{kind.example}"
        )
    left = list(amounts.items())
    elements = []
    for amount in kind.amounts:
        match = next(pair for pair in left if pair[1] == amount)
        left.remove(match)
        elements.append(match[0])
    return elements


def _check_constants(name: str, kind: Prototype, values: dict[str, float]) -> None:
    wanted = ("a", "c") if kind.hexagonal else ("a",)
    for key in wanted:
        if key not in values:
            raise StructureError(f"material {name}: no reference lattice constant; give {key}: in Å")
        if not 1.0 < values[key] < _LARGEST[key]:
            raise StructureError(
                f"material {name}: {key} = {values[key]:g} Å is no lattice constant of a crystal; give {key}: in Å"
            )
    for key in values:
        if key not in (*wanted, *kind.parameters):
            raise StructureError(
                f"material {name}: this prototype has no '{key}'{did_you_mean(key, [*wanted, *kind.parameters])}"
            )


def read_material(name: str, path: Path) -> Material:
    """Read a bulk end member from any structure file that pymatgen reads.

    Parameters
    ----------
    name
        How the campaign calls it.
    path
        CIF, POSCAR, JSON …; Miller indices refer to the cell of the file, whose ``magmom`` are kept. The conventional
        cell of a prototype is recognised, with its origin anywhere among halves of the edges.

    Raises
    ------
    StructureError
        If the file cannot be read or has partial occupations.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # CIF files are seldom without some remark
            cell: Any = Structure.from_file(path)
    except Exception as error:
        raise StructureError(f"material {name}: cannot read {path}: {' '.join(str(error).split())[:150]}") from error
    if not cell.is_ordered:
        raise StructureError(f"material {name}: {path} has partly occupied sites; give an ordered cell")
    cell.remove_oxidation_states()
    try:
        moments = [float(m or 0.0) for m in cell.site_properties.get("magmom", [])]
    except (TypeError, ValueError) as error:
        raise StructureError(f"material {name}: the moments in {path} are not collinear; remove them") from error
    kept = {"magmom": moments} if moments else None
    plain = Structure(cell.lattice, [site.specie.symbol for site in cell], cell.frac_coords, site_properties=kept)
    prototype, shift = _recognise(plain)
    plain.translate_sites(range(len(plain)), shift, to_unit_cell=True)
    return Material(name, prototype, plain, path.name)


def _recognise(cell: Structure) -> tuple[str, tuple[float, float, float]]:
    """Return the prototype whose conventional cell a cell is, else ``file``, and the shift to its origin.

    Only what looks the same site by site, within 0.06 of the edges, is recognised: another origin by halves, not
    another choice of axes.
    """
    a, b, c = cell.lattice.abc
    hexagonal = cell.lattice.is_hexagonal()
    cubic = max(a, b, c) - min(a, b, c) < 1e-3 and cell.lattice.is_orthogonal
    elements = [element.symbol for element in cell.composition]
    for name, kind in PROTOTYPES.items():
        if not (hexagonal if kind.hexagonal else cubic) or len(kind.amounts) != len(elements):
            continue
        for order in permutations(elements):
            sites = [[kind.parameters[x] if isinstance(x, str) else x for x in site] for site in kind.sites]
            ideal = Structure.from_spacegroup(kind.space_group, cell.lattice, list(order), sites)
            if ideal.composition == cell.composition:
                shift = _shift_onto(cell, ideal)
                if shift is not None:
                    return name, shift
    return "file", (0.0, 0.0, 0.0)


def _shift_onto(cell: Structure, ideal: Structure) -> tuple[float, float, float] | None:
    """Return the shift, of halves of the edges, that puts every atom of a cell near one of its kind of another."""
    same = np.array([[a.specie == b.specie for b in ideal] for a in cell])
    for x, y, z in product((0.0, 0.5), repeat=3):
        shift = (x, y, z)
        apart = (cell.frac_coords + shift)[:, None, :] - ideal.frac_coords[None, :, :]
        near = (np.abs(apart - np.round(apart)) < _SAME_SITE).all(axis=2) & same
        if (near.sum(axis=1) == 1).all() and (near.sum(axis=0) == 1).all():
            return shift
    return None
