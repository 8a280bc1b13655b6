"""Stacking blocks of materials into a periodic cell or a slab.

In the plane every block takes the reference lattice; out of the plane its layers keep their volume, or follow a
Poisson ratio. An interface is as wide as the mean of the spacings that the two materials would have there by
themselves, and the lateral registry goes on as the lattice below prescribes, unless said otherwise.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from heterodft.errors import StructureError
from heterodft.structures.arrangement import Block, Interfaces, Supercell, arrange
from heterodft.structures.checks import check_overlap
from heterodft.structures.matching import MatchLimits
from heterodft.structures.registries import distances_by_pair, same_crystal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from heterodft.structures.assembly import Assembly
    from heterodft.structures.materials import Material

__all__ = ["Block", "Interfaces", "build_superlattice", "enumerate_registries", "layer_labels"]

_MOST_REGISTRIES = 500


def build_superlattice(
    stack: Sequence[Block],
    *,
    normal: tuple[int, ...] | Mapping[str, tuple[int, ...]] = (0, 0, 1),
    in_plane: str | float | Material | None = None,
    supercell: Supercell = (1, 1),
    vacuum: float = 0.0,
    symmetric: bool = False,
    interfaces: Interfaces | None = None,
    poisson: Mapping[str, float] | None = None,
    match: MatchLimits | None = None,
) -> Structure:
    """Stack blocks along a normal into a periodic cell.

    Parameters
    ----------
    stack
        The blocks of one period, bottom to top; one block is a bulk cell.
    normal
        Miller indices (hkl) or (hkil) of the stacking normal, the same for all blocks or by material.
    in_plane
        Material that sets the in-plane lattice (of the stack, or a substrate, by name where known), ``"mean"``, or a
        lattice constant of the cubic or hexagonal parent of the first block in Å; by default that of the first block.
    supercell
        Repeats along the two in-plane vectors, or a matrix.
    vacuum
        Å above the stack; more than 0 makes a slab.
    symmetric
        Of a slab: the first block in the middle and the others on both of its sides.
    interfaces
        Gaps, shifts and terminations.
    poisson
        Poisson ratio by material; those left out keep their volume.
    match
        Limits for lattices that do not correspond vector by vector.

    Returns
    -------
    Structure
        Sites from the bottom plane up, with the site properties ``material``, ``block`` (1… in the stack),
        ``layer`` (1… in its block), ``plane`` (0… in the cell) and ``bulk_position`` (fractional in the
        conventional cell of its material, not folded back). ``properties`` holds ``strain`` (mean in-plane strain
        of each material in percent), ``blocks``, ``interfaces``, ``supercell``, ``vacuum`` and ``lattices``.

    Raises
    ------
    StructureError
        If the stack is empty, a number of layers or repeats is below one, the cells do not match, a material does
        not have a termination, or atoms would overlap.

    Examples
    --------
    >>> from heterodft.structures.materials import build_material
    >>> sto, lao = build_material("SrTiO3"), build_material("LaAlO3")
    >>> build_superlattice([Block(sto, 1), Block(lao, 1)], in_plane="SrTiO3").formula
    'Sr1 La1 Ti1 Al1 O6'
    """

    def arranged(mirror: int) -> Assembly:
        return arrange(
            stack,
            normal=normal,
            in_plane=in_plane,
            supercell=supercell,
            vacuum=vacuum,
            symmetric=symmetric,
            interfaces=interfaces or Interfaces(),
            poisson=poisson or {},
            match=match or MatchLimits(),
            mirror=mirror,
        )

    assembly = arranged(0)
    structure = _build_symmetric(assembly, arranged) if symmetric else assembly.build()
    check_overlap(structure, assembly.charges())
    return _with_moments(structure, stack)


def _build_symmetric(assembly: Assembly, arranged: Callable[[int], Assembly]) -> Structure:
    """Build a slab that is the same upside down, by the other way to mirror its planes where the first has none."""
    with suppress(StructureError):
        return assembly.build_symmetric()
    return arranged(1).build_symmetric()


def enumerate_registries(
    stack: Sequence[Block],
    *,
    normal: tuple[int, ...] | Mapping[str, tuple[int, ...]] = (0, 0, 1),
    in_plane: str | float | Material | None = None,
    supercell: Supercell = (1, 1),
    vacuum: float = 0.0,
    interfaces: Interfaces | None = None,
    poisson: Mapping[str, float] | None = None,
    match: MatchLimits | None = None,
) -> list[Structure]:
    """Build a stack in every inequivalent registry, the automatic one first.

    At each interface the upper block is shifted to every place where it shares a rotation axis with the lower one.
    Left out are registries in which atoms would overlap, those that need a gap 0.5 Å wider than the automatic one,
    and those whose interatomic distances are the same as in another.

    Parameters
    ----------
    stack, normal, in_plane, supercell, vacuum, interfaces, poisson, match
        As in `build_superlattice`; the shift of `interfaces` is not used.

    Returns
    -------
    list of Structure
        ``properties["interfaces"]`` holds the shifts.
    """
    assembly = arrange(
        stack,
        normal=normal,
        in_plane=in_plane,
        supercell=supercell,
        vacuum=vacuum,
        symmetric=False,
        interfaces=interfaces or Interfaces(),
        poisson=poisson or {},
        match=match or MatchLimits(),
    )
    choices = assembly.registries()
    if len(choices) > _MOST_REGISTRIES:
        raise StructureError(
            f"{len(choices)} registries of {len(stack)} blocks are beyond {_MOST_REGISTRIES}; give interfaces: shift"
        )
    kept: list[Structure] = []
    known: list[dict[tuple[str, str], NDArray[np.float64]]] = []
    for joints in choices:
        structure = assembly.build(joints)
        try:
            check_overlap(structure, assembly.charges())
        except StructureError:
            continue
        distances = distances_by_pair(structure)
        if not any(same_crystal(distances, other) for other in known):
            kept.append(_with_moments(structure, stack))
            known.append(distances)
    if not kept:
        check_overlap(assembly.build(), assembly.charges())
    return kept


def _with_moments(structure: Structure, stack: Sequence[Block]) -> Structure:
    """Add the moments that the files of the materials hold as ``magmom`` (μB), 0 elsewhere."""
    cells = {block.material.name: block.material.cell for block in stack}
    if not any("magmom" in cell.site_properties for cell in cells.values()):
        return structure
    moments = []
    for site in structure:
        cell = cells[site.properties["material"]]
        apart = np.array(cell.frac_coords) - np.array(site.properties["bulk_position"])
        nearest = int(np.linalg.norm((apart - np.round(apart)) @ cell.lattice.matrix, axis=1).argmin())
        moments.append(cell.site_properties.get("magmom", [0.0] * len(cell))[nearest])
    structure.add_site_property("magmom", moments)
    return structure


def layer_labels(structure: Structure) -> list[str]:
    """Return the label of each site's layer: ``KTaO3:2``, or ``KTaO3[1]:2`` where blocks repeat a material."""
    properties = structure.site_properties
    blocks = sorted(set(zip(properties["block"], properties["material"], strict=True)))
    totals = Counter(material for _, material in blocks)
    seen: Counter[str] = Counter()
    names: dict[int, str] = {}
    for block, material in blocks:
        seen[material] += 1
        names[block] = material if totals[material] == 1 else f"{material}[{seen[material]}]"
    return [f"{names[block]}:{layer}" for block, layer in zip(properties["block"], properties["layer"], strict=True)]
