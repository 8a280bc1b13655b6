"""The structures of a campaign: every stack, registry and defect."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from heterodft.errors import HeterodftError, StructureError
from heterodft.structures import (
    Block,
    Material,
    build_material,
    build_superlattice,
    cut_surface_cell,
    enumerate_defects,
    enumerate_matches,
    enumerate_registries,
    read_material,
    starting_moments,
    tilt_octahedra,
)
from heterodft.workflows.magnetism_spec import Enumerate
from heterodft.workflows.structure_spec import PLACES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pymatgen.core import Structure

    from heterodft.structures import Match, PointDefect
    from heterodft.workflows.campaign import Campaign, StructureSpec
    from heterodft.workflows.structure_spec import BlockSpec, DefectSpec

__all__ = ["BuiltStructure", "build_structures", "stack_matches"]


@dataclass(frozen=True)
class BuiltStructure:
    """A structure of a campaign.

    Attributes
    ----------
    key, name
        Its key in the campaign file, ``sl``, and its folder: ``sl``, ``sl-V_O_1`` …
    label
        For people: ``pristine`` or ``V_O@SrTiO3:1 (TiO2)``.
    structure
        With the site properties of the builder.
    spec
        What the campaign file says of it.
    host
        The structure without its defect; None of a pristine one.
    kept
        Index in the host of each site; empty of a pristine one.
    """

    key: str
    name: str
    label: str
    structure: Structure
    spec: StructureSpec
    host: Structure | None = None
    kept: tuple[int, ...] = ()


def build_structures(campaign: Campaign, *, notes: list[str] | None = None) -> list[BuiltStructure]:
    """Build every structure of a campaign, each pristine one followed by its defects.

    Parameters
    ----------
    campaign
        The campaign.
    notes
        What the user should hear of is added here, such as two thicknesses that are the same number of layers.

    Raises
    ------
    CampaignError
        If one cannot be built; the message names it and its line.
    """
    built: dict[str, BuiltStructure] = {}
    for key, spec in campaign.structures.items():
        try:
            for name, label, pristine in _pristine(campaign, key, spec):
                if name in built and notes is not None:
                    notes.append(
                        f"{name} is asked for twice, as two thicknesses round to its layers; it is built once"
                    )
                if name not in built:
                    found = _with_defects(campaign, BuiltStructure(key, name, label, pristine, spec))
                    built |= {one.name: one for one in found}
        except HeterodftError as error:
            raise campaign.error(("structures", key), str(error)) from error
    return list(built.values())


def _pristine(campaign: Campaign, key: str, spec: StructureSpec) -> Iterator[tuple[str, str, Structure]]:
    """Yield the name, the label and the cell of each pristine structure of a stack."""
    several = any(len(block.layers or block.thickness or []) > 1 for block in spec.stack)
    materials = {block.material: _material(campaign, block.material) for block in spec.stack}
    for stack in _stacks(spec.stack, materials):
        found = [tilt_octahedra(cell, spec.tilts) if spec.tilts else cell for cell in _cells(campaign, spec, stack)]
        counts = [f"{block['layers']:g}" for block in found[0].properties["blocks"]]
        name = "-".join([key, *counts]) if several else key
        if len(found) == 1:
            yield name, "pristine", found[0]
            continue
        for number, cell in enumerate(found, start=1):
            yield f"{name}-r{number}", f"registry {number} of {len(found)}", cell


def _stacks(blocks: Sequence[BlockSpec], materials: dict[str, Material]) -> Iterator[list[Block]]:
    """Yield every choice of layers and thicknesses; thickness: same goes with the first block."""
    choices = [
        [Block(materials[b.material], layers=n) for n in b.layers]
        if b.layers is not None
        else [Block(materials[b.material], thickness=t) for t in b.thickness or [0.0]]
        for b in blocks
    ]
    for chosen in product(*choices):
        yield [
            Block(materials[spec.material], thickness=chosen[0].thickness) if spec.same else block
            for spec, block in zip(blocks, chosen, strict=True)
        ]


def _cells(campaign: Campaign, spec: StructureSpec, stack: list[Block]) -> list[Structure]:
    in_plane = spec.in_plane
    if isinstance(in_plane, str) and in_plane in campaign.materials:
        stacked = {block.material.name for block in stack}
        in_plane = in_plane if in_plane in stacked else float(_material(campaign, in_plane).cell.lattice.a)
    poisson = spec.poisson
    if isinstance(poisson, float):
        poisson = {block.material.name: poisson for block in stack}
    if spec.interfaces.shift == "all":
        if spec.symmetric:
            raise StructureError(
                "shift: all of a symmetric slab is not known; give the shifts, or leave symmetric out"
            )
        return enumerate_registries(
            stack,
            normal=spec.normal,
            in_plane=in_plane,
            supercell=spec.supercell,
            vacuum=spec.vacuum,
            interfaces=spec.interfaces.resolve(),
            poisson=poisson,
            match=spec.match.resolve(),
        )
    return [
        build_superlattice(
            stack,
            normal=spec.normal,
            in_plane=in_plane,
            supercell=spec.supercell,
            vacuum=spec.vacuum,
            symmetric=spec.symmetric,
            interfaces=spec.interfaces.resolve(),
            poisson=poisson,
            match=spec.match.resolve(),
        )
    ]


def stack_matches(campaign: Campaign, spec: StructureSpec) -> list[tuple[str, str, list[Match]]]:
    """Return how each material of a stack fits on the one that sets its in-plane lattice, within its limits.

    Returns
    -------
    list of tuple
        Film, substrate and matches, of each pair whose normals or structure types differ.
    """
    materials = {block.material: _material(campaign, block.material) for block in spec.stack}
    names = list(materials)
    substrate = spec.in_plane if isinstance(spec.in_plane, str) and spec.in_plane in materials else names[0]
    cells = {
        name: cut_surface_cell(m, spec.normal[name] if isinstance(spec.normal, dict) else spec.normal)
        for name, m in materials.items()
    }
    base = cells[substrate]
    return [
        (name, substrate, enumerate_matches(cell, base, spec.match.resolve()))
        for name, cell in cells.items()
        if (cell.normal, cell.material.prototype) != (base.normal, base.material.prototype)
    ]


def _material(campaign: Campaign, name: str) -> Material:
    spec = campaign.materials[name]
    if spec.file is not None:
        return read_material(name, campaign.folder / spec.file)
    inner = spec.model_dump(include={"u", "z_cation", "x_anion"}, exclude_none=True)
    return build_material(name, prototype=spec.prototype, a=spec.a, c=spec.c, formula=spec.formula, parameters=inner)


def _with_defects(campaign: Campaign, host: BuiltStructure) -> list[BuiltStructure]:
    built, spec, pristine = [host], host.spec, host.structure
    numbers: dict[str, int] = {}
    orders = _host_orders(campaign, pristine, spec) if spec.defects else []
    for defect in spec.defects:
        for charge in defect.charge:
            for found in _defects(pristine, defect, charge, orders):
                kind = f"{found.kind}{f'{charge:+d}' if charge else ''}"
                numbers[kind] = number = numbers.get(kind, 0) + 1
                text = f"{found.label} ({found.plane})"
                built.append(
                    BuiltStructure(
                        host.key, f"{host.name}-{kind}_{number}", text, found.structure, spec, pristine, found.kept
                    )
                )
    return built


def _defects(
    pristine: Structure, defect: DefectSpec, charge: int, orders: list[tuple[float, ...]]
) -> list[PointDefect]:
    place = defect.where.material
    kind = defect.kind[0] if len(defect.kind) == 1 else defect.kind
    if place in PLACES:
        return enumerate_defects(pristine, kind, where=place, along=defect.along, charge=charge, orders=orders)
    return enumerate_defects(
        pristine, kind, material=place, layers=defect.where.layers, along=defect.along, charge=charge, orders=orders
    )


def _host_orders(campaign: Campaign, pristine: Structure, spec: StructureSpec) -> list[tuple[float, ...]]:
    """Return the moments of the orders that the host holds; sites that one of them tells apart are two defects."""
    magnetism = spec.magnetism or campaign.magnetism
    found = []
    for order in magnetism.orders:
        if isinstance(order, Enumerate) or order in ("NM", "FM"):
            continue
        try:
            values = starting_moments(pristine, order, magnetism.moments).values
        except StructureError:  # told when the configurations are made
            continue
        found.append(values or ())
    return found
