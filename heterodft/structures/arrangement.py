"""From what is asked for to what is stacked: layers, in-plane lattice, terminations, gaps and shifts of blocks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.errors import StructureError, did_you_mean
from heterodft.structures.assembly import Assembly
from heterodft.structures.fitting import fit_cells
from heterodft.structures.materials import Material
from heterodft.structures.reference_lattices import REFERENCES
from heterodft.structures.stacking import Run, choose_run, count_on, mirror_stack, split_termination
from heterodft.structures.surface_cells import SurfaceCell, cut_surface_cell, three_indices

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from heterodft.structures.fitting import FittedCell
    from heterodft.structures.matching import MatchLimits

__all__ = ["Block", "Interfaces", "Supercell", "arrange", "cut_all"]

_MOST_ATOMS = 5000
_WIDEST_GAP = 20.0
_WIDEST_VACUUM = 1000.0
_THICKEST = 10000.0

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


def arrange(
    stack: Sequence[Block],
    *,
    normal: tuple[int, ...] | Mapping[str, tuple[int, ...]],
    in_plane: str | float | Material | None,
    supercell: Supercell,
    vacuum: float,
    symmetric: bool,
    interfaces: Interfaces,
    poisson: Mapping[str, float],
    match: MatchLimits,
    mirror: int = 0,
) -> Assembly:
    """Settle everything that decides a structure: see `build_superlattice` for the parameters.

    `mirror` chooses among the ways in which the planes of a symmetric slab read the same from above.

    Raises
    ------
    StructureError
        If it contradicts itself or the materials do not fit on one another.
    """
    multiples = _multiples(supercell)
    _check_stack(stack, vacuum, symmetric)
    _check_names(stack, normal, poisson)
    _check_numbers(interfaces)
    cells = cut_all(stack, normal)
    fitted = _fit(cells, stack[0].material.name, in_plane, poisson, match)
    layers = [_layers(block, fitted[block.material.name]) for block in stack]
    _check_size(layers, [fitted[block.material.name] for block in stack], multiples)
    surfaces = _surfaces(interfaces, vacuum > 0, symmetric)
    runs = _runs([fitted[block.material.name] for block in stack], layers, interfaces.termination, surfaces)
    if symmetric:
        runs = mirror_stack(runs, mirror)
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


def _check_stack(stack: Sequence[Block], vacuum: float, symmetric: bool) -> None:
    if not stack:
        raise StructureError("the stack is empty; give at least one block")
    materials = {block.material.name: block.material for block in stack}
    for block in stack:
        name = block.material.name
        if (block.layers is None) == (block.thickness is None):
            raise StructureError(f"block {name}: give either layers or a thickness")
        if block.thickness is not None and not 0 < block.thickness < _THICKEST:
            raise StructureError(f"{block.thickness:g} Å of {name}; give a thickness of up to {_THICKEST:g} Å")
        if block.layers is not None and (block.layers < 1 or block.layers != int(block.layers)):
            raise StructureError(f"{block.layers} layers of {name}; give at least 1, and whole ones")
        if block.material != materials[name]:
            raise StructureError(f"two materials are both called {name}; give them different names")
    if not 0 <= vacuum < _WIDEST_VACUUM:
        raise StructureError(f"vacuum of {vacuum:g} Å; give 0 for a superlattice, more for a slab")
    if symmetric and not vacuum:
        raise StructureError("symmetric is about a slab; give vacuum: in Å as well")


def _check_names(
    stack: Sequence[Block], normal: tuple[int, ...] | Mapping[str, tuple[int, ...]], poisson: Mapping[str, float]
) -> None:
    """Check that normals and Poisson ratios are given for materials of the stack."""
    names = {block.material.name for block in stack}
    normals = {} if isinstance(normal, tuple | list) else normal
    for key, given in (("normal", normals), ("poisson", poisson)):
        for name in given:
            if name not in names:
                raise StructureError(f"{key}: {name} is not in the stack{did_you_mean(name, names)}")
    for name, ratio in poisson.items():
        if not -1 < ratio <= 0.5:
            raise StructureError(f"poisson: {ratio:g} of {name} is no Poisson ratio; give a number of 0 to 0.5")


def cut_all(
    stack: Sequence[Block], normal: tuple[int, ...] | Mapping[str, tuple[int, ...]]
) -> dict[str, SurfaceCell]:
    """Cut every material; those of one structure type and normal along the same lattice vectors."""
    cells: dict[str, SurfaceCell] = {}
    for block in stack:
        material = block.material
        indices = _normal_of(material, normal)
        like = next(
            (
                cell
                for cell in cells.values()
                if cell.material.prototype == material.prototype != "file"
                and cell.normal == three_indices(material, indices)
            ),
            None,
        )
        cells[material.name] = cut_surface_cell(material, indices, like=like)
    return cells


def _normal_of(material: Material, normal: tuple[int, ...] | Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    if isinstance(normal, tuple | list):
        return tuple(normal)
    if material.name not in normal:
        raise StructureError(f"normal: none for {material.name}; give Miller indices for each material of the stack")
    return tuple(normal[material.name])


def _fit(
    cells: dict[str, SurfaceCell],
    first: str,
    in_plane: str | float | Material | None,
    poisson: Mapping[str, float],
    match: MatchLimits,
) -> dict[str, FittedCell]:
    reference = first
    vectors = cells[first].in_plane
    if isinstance(in_plane, str) and in_plane in cells:
        reference, vectors = in_plane, cells[in_plane].in_plane
    elif isinstance(in_plane, str) and in_plane in REFERENCES:
        known = REFERENCES[in_plane]
        in_plane = _substrate(in_plane, "c" in known.constants, known.constants["a"], cells[first].material)
    elif isinstance(in_plane, Material):
        lattice = in_plane.cell.lattice
        in_plane = _substrate(in_plane.name, lattice.is_hexagonal(), lattice.a, cells[first].material)
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


def _substrate(name: str, hexagonal: bool, a: float, first: Material) -> float:
    """Return the lattice constant of a substrate, which has to be of the kind of the first block."""
    if hexagonal != first.cell.lattice.is_hexagonal():
        raise StructureError(
            f"in_plane: {name} and {first.name} are not both cubic or both hexagonal; put {name} in the stack, or "
            f"give the lattice constant that {first.name} should take"
        )
    return a


def _layers(block: Block, fitted: FittedCell) -> int:
    if block.layers is not None:
        return int(block.layers)
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


def _surfaces(interfaces: Interfaces, slab: bool, symmetric: bool) -> tuple[str | None, str | None] | None:
    """Return the planes asked for at the bottom and the top of a slab, None of a superlattice."""
    bottom, top = interfaces.surfaces
    if not slab:
        if bottom or top:
            raise StructureError("surfaces are those of a slab; give vacuum: in Å as well")
        return None
    if symmetric and bottom and top and bottom != top:
        raise StructureError(f"surfaces: {bottom} and {top} of a symmetric slab; both are the same")
    return (None, top or bottom) if symmetric else (bottom, top)


def _runs(
    fitted: list[FittedCell],
    layers: list[int],
    given: tuple[str | None, ...],
    surfaces: tuple[str | None, str | None] | None,
) -> list[Run]:
    """Choose the planes of each block."""
    number = len(fitted)
    meetings = number if surfaces is None else number - 1
    if len(given) > meetings:
        raise StructureError(f"{len(given)} terminations for {meetings} interfaces; give at most one each")
    tops: list[str | None] = [None] * number
    bottoms: list[str | None] = [None] * number
    for i, text in enumerate(given):
        above = (i + 1) % number
        tops[i], bottoms[above] = split_termination(text, fitted[i], fitted[above])
    if surfaces is not None:
        bottoms[0], tops[-1] = surfaces
    first = 0 if surfaces is not None or any(given) else _first_block(fitted, layers)
    runs: dict[int, Run] = {}
    for i in [*range(first, number), *range(first)]:
        below = runs.get((i - 1) % number)
        after = below.end if below is not None and fitted[i].continues(below.fitted) else None
        runs[i] = choose_run(fitted[i], layers[i], bottom=bottoms[i], top=tops[i], after=after)
    lowest = runs[0].start % len(runs[0].fitted.cell.planes)
    return count_on([replace(runs[0], start=lowest), *(runs[i] for i in range(1, number))])


def _first_block(fitted: list[FittedCell], layers: list[int]) -> int:
    """Return the block that planes are counted from.

    Where one lattice goes on throughout but its glide does not close, as in an odd number of corundum layers, the
    fault lies below this block; so that A/B and B/A are the same crystal, it does not depend on the order written.
    """
    period = len(fitted[0].cell.planes)
    whole = sum(n * period // fitted[0].cell.layers for n in layers)
    if whole % period == 0 or not all(cell.continues(fitted[0]) for cell in fitted):
        return 0
    names = [(cell.cell.material.name, n) for cell, n in zip(fitted, layers, strict=True)]
    return max(range(len(names)), key=lambda i: names[i:] + names[:i])


def _check_numbers(interfaces: Interfaces) -> None:
    """Refuse gaps and shifts that are no numbers."""
    gaps = interfaces.gap if isinstance(interfaces.gap, tuple) else (interfaces.gap,)
    for gap in gaps:
        if gap is not None and not (isinstance(gap, int | float) and 0 < gap < _WIDEST_GAP):
            raise StructureError(f"gap of {gap} Å; give a number of Å below {_WIDEST_GAP:g}, or a tuple of them")
    shifts: Any = interfaces.shift if _one_each(interfaces.shift) else (interfaces.shift,)
    for shift in shifts:
        if shift is not None and not (len(shift) == 2 and np.isfinite(shift).all()):
            raise StructureError(f"shift {shift}; give two numbers, fractions of the in-plane cell")


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
