"""Stacking blocks of materials into a periodic cell or a slab.

In the plane every block takes the reference lattice; out of the plane its layers keep their volume, or follow a
Poisson ratio. An interface is as wide as the mean of the spacings that the two materials would have there by
themselves, and the lateral registry goes on as the lattice below prescribes, unless said otherwise.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from heterodft.errors import StructureError, did_you_mean
from heterodft.structures.assembly import Assembly, check_overlap
from heterodft.structures.fitting import fit_cells
from heterodft.structures.matching import MatchLimits
from heterodft.structures.reference_lattices import REFERENCES
from heterodft.structures.registries import distances_by_pair, same_crystal
from heterodft.structures.stacking import Run, choose_run, mirror_stack, split_termination
from heterodft.structures.surface_cells import SurfaceCell, cut_surface_cell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from heterodft.structures.fitting import FittedCell
    from heterodft.structures.materials import Material

__all__ = ["Block", "Interfaces", "build_superlattice", "enumerate_registries", "layer_labels"]

_MOST_ATOMS = 5000
_MOST_REGISTRIES = 500

Supercell = tuple[int, int] | tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True)
class Block:
    """A run of one material: so many `layers`, or the number nearest to a `thickness` in Å."""

    material: Material
    layers: int | None = None
    thickness: float | None = None


@dataclass(frozen=True)
class Interfaces:
    """How blocks meet, interface by interface from the bottom up; the last one of a superlattice closes the period.

    Attributes
    ----------
    gap
        Å between the facing planes, one for all or one each; None is the mean of the two materials' own spacings.
    shift
        Lateral shift of the upper block, in fractions of the common in-plane cell, beyond where the lattice below
        goes on (for two different lattices: beyond the origin of one conventional cell above that of the other);
        one for all or one each; None is automatic.
    termination
        Facing planes, ``TiO2/LaO``, one each; a single formula chooses one of the two; None goes on from below.
    surfaces
        Lowest and highest plane of a slab.
    """

    gap: float | tuple[float | None, ...] | None = None
    shift: tuple[float, float] | tuple[tuple[float, float] | None, ...] | None = None
    termination: tuple[str | None, ...] = ()
    surfaces: tuple[str | None, str | None] = (None, None)


def build_superlattice(
    stack: Sequence[Block],
    *,
    normal: tuple[int, ...] | Mapping[str, tuple[int, ...]] = (0, 0, 1),
    in_plane: str | float | None = None,
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
        Material that sets the in-plane lattice (of the stack, or a known substrate), ``"mean"``, or a lattice
        constant of the cubic or hexagonal parent of the first block in Å; by default the first block's material.
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
    assembly = _assemble(
        stack,
        normal=normal,
        in_plane=in_plane,
        supercell=supercell,
        vacuum=vacuum,
        symmetric=symmetric,
        interfaces=interfaces or Interfaces(),
        poisson=poisson or {},
        match=match or MatchLimits(),
    )
    structure = assembly.build()
    check_overlap(structure, assembly.charges())
    return structure


def enumerate_registries(
    stack: Sequence[Block],
    *,
    normal: tuple[int, ...] | Mapping[str, tuple[int, ...]] = (0, 0, 1),
    in_plane: str | float | None = None,
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
    assembly = _assemble(
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
            kept.append(structure)
            known.append(distances)
    if not kept:
        check_overlap(assembly.build(), assembly.charges())
    return kept


def _assemble(
    stack: Sequence[Block],
    *,
    normal: tuple[int, ...] | Mapping[str, tuple[int, ...]],
    in_plane: str | float | None,
    supercell: Supercell,
    vacuum: float,
    symmetric: bool,
    interfaces: Interfaces,
    poisson: Mapping[str, float],
    match: MatchLimits,
) -> Assembly:
    multiples = _multiples(supercell)
    _check_stack(stack, vacuum, symmetric, poisson)
    cells = {
        block.material.name: cut_surface_cell(block.material, _normal_of(block.material, normal)) for block in stack
    }
    fitted = _fit(cells, stack[0].material.name, in_plane, poisson, match)
    layers = [_layers(block, fitted[block.material.name]) for block in stack]
    _check_size(layers, [fitted[block.material.name] for block in stack], multiples)
    runs = _runs([fitted[block.material.name] for block in stack], layers, interfaces, slab=vacuum > 0)
    if symmetric:
        runs = mirror_stack(runs)
    meetings = len(runs) - 1 if vacuum else len(runs)
    return Assembly(
        runs=tuple(runs),
        supercell=multiples,
        vacuum=vacuum,
        gaps=_each(interfaces.gap, isinstance(interfaces.gap, tuple), meetings, "gap"),
        shifts=_each(interfaces.shift, _one_each(interfaces.shift), meetings, "shift"),
        asked=tuple(block.thickness for block in stack) if not symmetric else (None,) * len(runs),
    )


def _multiples(supercell: Supercell) -> tuple[tuple[int, int], tuple[int, int]]:
    first, second = supercell
    if isinstance(first, int) and isinstance(second, int):
        if min(first, second) < 1:
            raise StructureError(f"supercell {[first, second]}; give two repeats of at least 1")
        return (first, 0), (0, second)
    ((a, b), (c, d)) = supercell  # type: ignore[misc]
    if a * d - b * c < 1:
        raise StructureError(
            f"supercell [[{a}, {b}], [{c}, {d}]] has the determinant {a * d - b * c}; give a right-handed matrix, "
            "its determinant 1 or more"
        )
    return (a, b), (c, d)


def _check_stack(stack: Sequence[Block], vacuum: float, symmetric: bool, poisson: Mapping[str, float]) -> None:
    if not stack:
        raise StructureError("the stack is empty; give at least one block")
    materials = {block.material.name: block.material for block in stack}
    for block in stack:
        name = block.material.name
        if (block.layers is None) == (block.thickness is None):
            raise StructureError(f"block {name}: give either layers or a thickness")
        if block.layers is not None and block.layers < 1:
            raise StructureError(f"{block.layers} layers of {name}; give at least 1")
        if block.material != materials[name]:
            raise StructureError(f"two materials are both called {name}; give them different names")
    if vacuum < 0:
        raise StructureError(f"vacuum of {vacuum:g} Å; give 0 for a superlattice, more for a slab")
    if symmetric and not vacuum:
        raise StructureError("symmetric is about a slab; give vacuum: in Å as well")
    for name, ratio in poisson.items():
        if name not in materials:
            raise StructureError(f"poisson: {name} is not in the stack{did_you_mean(name, materials)}")
        if not -1 < ratio <= 0.5:
            raise StructureError(f"poisson: {ratio:g} of {name} is no Poisson ratio; give a number of 0 to 0.5")


def _normal_of(material: Material, normal: tuple[int, ...] | Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    if isinstance(normal, tuple | list):
        return tuple(normal)
    if material.name not in normal:
        raise StructureError(f"normal: none for {material.name}; give Miller indices for each material of the stack")
    return tuple(normal[material.name])


def _fit(
    cells: dict[str, SurfaceCell],
    first: str,
    in_plane: str | float | None,
    poisson: Mapping[str, float],
    match: MatchLimits,
) -> dict[str, FittedCell]:
    reference = first
    vectors = cells[first].in_plane
    if isinstance(in_plane, str) and in_plane in cells:
        reference, vectors = in_plane, cells[in_plane].in_plane
    elif isinstance(in_plane, str) and in_plane in REFERENCES:
        in_plane = REFERENCES[in_plane].constants["a"]
    elif isinstance(in_plane, str) and in_plane != "mean":
        raise StructureError(
            f"in_plane: {in_plane} is not in the stack; name one of {', '.join(cells)}, a substrate with a known "
            "lattice, mean, or give Å"
        )
    if isinstance(in_plane, int | float):
        if not in_plane > 0:
            raise StructureError(f"in_plane: {in_plane:g} Å is no lattice constant; give one in Å")
        vectors = vectors * (in_plane / cells[first].material.cell.lattice.a)
    return fit_cells(cells, reference, vectors, mean=in_plane == "mean", poisson=poisson, limits=match)


def _layers(block: Block, fitted: FittedCell) -> int:
    if block.layers is not None:
        return block.layers
    one, thickness = fitted.layer_thickness, block.thickness or 0.0
    if thickness < one * 0.99:
        raise StructureError(
            f"{thickness:g} Å of {block.material.name} are less than one layer, which is {one:.3f} Å thick; give more"
        )
    return round(thickness / one)


def _check_size(
    layers: list[int], fitted: list[FittedCell], supercell: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    (a, b), (c, d) = supercell
    atoms = (a * d - b * c) * sum(number * cell.atoms_per_layer for number, cell in zip(layers, fitted, strict=True))
    if atoms > _MOST_ATOMS:
        raise StructureError(f"a cell of {atoms:.0f} atoms is beyond {_MOST_ATOMS}; give fewer layers or repeats")


def _runs(fitted: list[FittedCell], layers: list[int], interfaces: Interfaces, *, slab: bool) -> list[Run]:
    """Choose the planes of each block."""
    number = len(fitted)
    given = interfaces.termination
    meetings = number - 1 if slab else number
    if len(given) > meetings:
        raise StructureError(f"{len(given)} terminations for {meetings} interfaces; give at most one each")
    if any(interfaces.surfaces) and not slab:
        raise StructureError("surfaces are those of a slab; give vacuum: in Å as well")
    tops: list[str | None] = [None] * number
    bottoms: list[str | None] = [None] * number
    for i, text in enumerate(given):
        above = (i + 1) % number
        tops[i], bottoms[above] = split_termination(text, fitted[i], fitted[above])
    if slab:
        bottoms[0], tops[-1] = interfaces.surfaces
    runs: list[Run] = []
    for i, cell in enumerate(fitted):
        after = runs[-1].end if runs and cell.continues(fitted[i - 1]) else None
        runs.append(choose_run(cell, layers[i], bottom=bottoms[i], top=tops[i], after=after))
    return runs


def _one_each(shift: object) -> bool:
    """Whether shifts are given interface by interface, rather than one pair of numbers."""
    return isinstance(shift, tuple) and not (len(shift) == 2 and all(isinstance(x, int | float) for x in shift))


def _each(given: Any, one_each: bool, meetings: int, what: str) -> tuple[Any, ...]:
    """Return one value an interface of what was given once or one by one."""
    if not one_each:
        return (given,) * meetings
    if len(given) != meetings:
        raise StructureError(
            f"{len(given)} values of {what} for {meetings} interfaces; give one each, or one for all"
        )
    return tuple(given)


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
