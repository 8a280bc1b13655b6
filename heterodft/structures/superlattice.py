"""Stacking blocks of materials into one periodic cell.

In the plane every block takes the reference lattice; out of the plane its layers keep their volume, so that a
stretched block becomes thinner. An interface is as wide as the mean of the spacings that the two materials
would have there by themselves, and the lateral registry goes on as the lattice below prescribes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Lattice, Structure

from heterodft.errors import StructureError
from heterodft.structures.surface_cells import Plane, SurfaceCell, cut_surface_cell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from heterodft.structures.materials import Material

__all__ = ["Block", "build_superlattice", "layer_labels"]

_MAXIMUM_STRAIN = 0.15
_MOST_ATOMS = 5000


@dataclass(frozen=True)
class Block:
    """A run of `layers` layers of one material."""

    material: Material
    layers: int


@dataclass(frozen=True)
class _StrainedCell:
    """A surface cell on the reference in-plane lattice."""

    cell: SurfaceCell
    strain: float
    stretch: float
    """Factor on every height, from constant volume."""

    def place(self, index: int) -> tuple[int, int, Plane, float]:
        """Return what the plane of a number, counted from the bottom of a block, is.

        Returns
        -------
        layer, repeat
            Both from 0.
        plane
            Of the cell.
        height
            Å above the bottom of the block.
        """
        planes = self.cell.planes
        repeat, inside = divmod(index, len(planes))
        layer = index * self.cell.layers // len(planes)
        height = (repeat * self.cell.thickness + planes[inside].height) * self.stretch
        return layer, repeat, planes[inside], height

    def plane_count(self, layers: int) -> int:
        """Return the number of planes of a block."""
        return layers * len(self.cell.planes) // self.cell.layers

    def spacing_above(self, index: int) -> float:
        """Å from a plane to the next one in the bulk."""
        return self.place(index + 1)[3] - self.place(index)[3]


def build_superlattice(
    stack: Sequence[Block],
    *,
    normal: tuple[int, ...] = (0, 0, 1),
    in_plane: str | float | None = None,
    supercell: tuple[int, int] = (1, 1),
) -> Structure:
    """Stack blocks along a normal into a periodic cell.

    Parameters
    ----------
    stack
        The blocks of one period, bottom to top.
    normal
        Miller indices (hkl) or (hkil) of the stacking normal, the same for all blocks.
    in_plane
        Name of the material that sets the in-plane lattice, ``"mean"``, or a lattice constant of the cubic
        parent in Å; by default the first block's material.
    supercell
        Repeats along the two in-plane vectors.

    Returns
    -------
    Structure
        Sites from the bottom plane up, with the site properties ``material``, ``block`` (1… in the stack),
        ``layer`` (1… in its block) and ``plane`` (0… in the cell). ``properties["strain"]`` holds the in-plane
        strain of each material in percent.

    Raises
    ------
    StructureError
        If the stack is empty, a number of layers or repeats is below one, or the cells do not match.

    Examples
    --------
    >>> from heterodft.structures.materials import build_material
    >>> sto, lao = build_material("SrTiO3"), build_material("LaAlO3")
    >>> build_superlattice([Block(sto, 1), Block(lao, 1)], in_plane="SrTiO3").formula
    'Sr1 La1 Ti1 Al1 O6'
    """
    _check_counts(stack, supercell)
    cells = {block.material.name: cut_surface_cell(block.material, normal) for block in stack}
    reference = _reference_lattice(cells, in_plane, stack[0].material.name)
    strained = {name: _strain_to(cell, reference) for name, cell in cells.items()}

    _check_size(stack, cells, supercell)
    sites, height, origin = _stack_up(stack, strained, reference)
    lean = (origin - np.round(origin)) @ reference
    structure = Structure(
        Lattice([[*reference[0], 0.0], [*reference[1], 0.0], [*lean, height]]),
        [site.element for site in sites],
        [site.position for site in sites],
        coords_are_cartesian=True,
        to_unit_cell=False,
        site_properties={key: [getattr(site, key) for site in sites] for key in _LABELS},
        properties={"strain": {name: round(100 * part.strain, 6) for name, part in strained.items()}},
    )
    return _repeat(structure, supercell)


_LABELS = ("material", "block", "layer", "plane")


@dataclass(frozen=True)
class _Site:
    element: str
    position: NDArray[np.float64]
    material: str
    block: int
    layer: int
    plane: int


def _stack_up(
    stack: Sequence[Block], strained: dict[str, _StrainedCell], reference: NDArray[np.float64]
) -> tuple[list[_Site], float, NDArray[np.float64]]:
    """Put the planes of all blocks above one another.

    Returns the sites from the bottom up, the height of the period in Å, and how far it leans, in in-plane vectors.
    """
    sites: list[_Site] = []
    height, origin, number_of_plane = 0.0, np.zeros(2), 0
    for number, block in enumerate(stack, start=1):
        part = strained[block.material.name]
        count = part.plane_count(block.layers)
        for index in range(count):
            layer, repeat, plane, z = part.place(index)
            for (element, u, v), offset in zip(plane.atoms, plane.offsets, strict=True):
                lateral = (np.array([u, v]) + origin + repeat * part.cell.shift) @ reference
                position = np.array([*lateral, height + z + offset * part.stretch])
                sites.append(_Site(element, position, block.material.name, number, layer + 1, number_of_plane))
            number_of_plane += 1
        above = strained[stack[number % len(stack)].material.name]
        # What the block above would have below its first plane: the space that closes its own repeat.
        below_next = above.spacing_above(len(above.cell.planes) - 1)
        height += part.place(count - 1)[3] + (part.spacing_above(count - 1) + below_next) / 2
        origin = origin + block.layers // part.cell.layers * part.cell.shift
    return sites, height, origin


def _check_counts(stack: Sequence[Block], supercell: tuple[int, int]) -> None:
    if not stack:
        raise StructureError("the stack is empty; give at least one block")
    materials = {block.material.name: block.material for block in stack}
    for block in stack:
        if block.layers < 1:
            raise StructureError(f"{block.layers} layers of {block.material.name}; give at least 1")
        if block.material != materials[block.material.name]:
            raise StructureError(f"two materials are both called {block.material.name}; give them different names")
    if min(supercell) < 1:
        raise StructureError(f"supercell {list(supercell)}; give two repeats of at least 1")


def _check_size(stack: Sequence[Block], cells: dict[str, SurfaceCell], supercell: tuple[int, int]) -> None:
    atoms = 0
    for block in stack:
        cell = cells[block.material.name]
        atoms += block.layers * sum(len(plane.atoms) for plane in cell.planes) // cell.layers
    atoms *= supercell[0] * supercell[1]
    if atoms > _MOST_ATOMS:
        raise StructureError(f"a cell of {atoms} atoms is beyond {_MOST_ATOMS}; give fewer layers or repeats")


def _reference_lattice(
    cells: dict[str, SurfaceCell], in_plane: str | float | None, first: str
) -> NDArray[np.float64]:
    """In-plane vectors (2, 2) in Å that every block takes."""
    if in_plane is None:
        in_plane = first
    if isinstance(in_plane, str):
        if in_plane == "mean":
            lengths = [np.linalg.norm(cell.in_plane[0]) for cell in cells.values()]
            cell = cells[first]
            return cell.in_plane * float(np.mean(lengths) / np.linalg.norm(cell.in_plane[0]))
        if in_plane not in cells:
            raise StructureError(
                f"in_plane: {in_plane} is not in the stack; name one of {', '.join(cells)}, mean, or give Å"
            )
        return cells[in_plane].in_plane
    cell = cells[first]
    return cell.in_plane * (in_plane / cell.material.cell.lattice.a)


def _strain_to(cell: SurfaceCell, reference: NDArray[np.float64]) -> _StrainedCell:
    """Put a surface cell on the reference lattice, keeping its volume.

    The height factor is the ratio of the in-plane areas, own over reference.
    """
    scale = float(np.linalg.norm(reference[0]) / np.linalg.norm(cell.in_plane[0]))
    name = cell.material.name
    if not np.allclose(cell.in_plane * scale, reference, rtol=0, atol=1e-3 * np.linalg.norm(reference[0])):
        raise StructureError(f"{name}: its in-plane cell has another shape than the reference lattice")
    if abs(scale - 1) > _MAXIMUM_STRAIN:
        raise StructureError(
            f"{name}: an in-plane strain of {100 * (scale - 1):+.1f} % is beyond "
            f"{100 * _MAXIMUM_STRAIN:.0f} %; check its lattice constant and in_plane"
        )
    return _StrainedCell(cell, scale - 1, 1 / scale**2)


def _repeat(structure: Structure, supercell: tuple[int, int]) -> Structure:
    """Repeat in the plane, keeping the sites ordered from the bottom plane up."""
    if supercell == (1, 1):
        return structure
    repeated = structure.make_supercell([*supercell, 1], to_unit_cell=False, in_place=False)
    order = np.argsort(repeated.site_properties["plane"], kind="stable")
    ordered = Structure.from_sites([repeated[i] for i in order])
    ordered.properties = dict(structure.properties)
    return ordered


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
