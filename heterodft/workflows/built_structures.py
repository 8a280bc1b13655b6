"""The structures of a campaign: every stack, registry and defect."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from heterodft.errors import HeterodftError, StructureError
from heterodft.structures import (
    Block,
    Material,
    StartingMoments,
    build_material,
    build_superlattice,
    enumerate_defects,
    enumerate_matches,
    enumerate_registries,
    read_material,
    tilt_octahedra,
)
from heterodft.structures.arrangement import cut_all
from heterodft.structures.defect_sites import PLACES
from heterodft.workflows.orders import host_orders

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pymatgen.core import Structure

    from heterodft.structures import Match, PointDefect
    from heterodft.workflows.campaign import Campaign, StructureSpec
    from heterodft.workflows.structure_spec import BlockSpec, DefectSpec

__all__ = ["BuiltStructure", "build_structures", "stack_matches", "stacked_materials"]


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


def build_structures(
    campaign: Campaign, *, notes: list[str] | None = None, on_each: Callable[[str], None] | None = None
) -> list[BuiltStructure]:
    """Build every structure of a campaign, each pristine one followed by its defects.

    Parameters
    ----------
    campaign
        The campaign.
    notes
        What the user should hear of is added here, such as two thicknesses that are the same number of layers.
    on_each
        Called with the name of each structure when it is built, to show progress.

    Raises
    ------
    CampaignError
        If one cannot be built; the message names it and its line.
    """
    built: dict[str, BuiltStructure] = {}
    notes = [] if notes is None else notes
    for key, spec in campaign.structures.items():
        try:
            for name, label, pristine in _pristine(campaign, key, spec):
                if name in built and built[name].key == key:
                    notes.append(f"{name} is asked for twice, by numbers of layers or thicknesses that round to them")
                    continue
                _note_faults(name, pristine, notes)
                for one in _with_defects(campaign, BuiltStructure(key, name, label, pristine, spec), notes):
                    if one.name in built:
                        other = built[one.name].key
                        raise StructureError(f"{one.name} is also the name of a structure of {other}; rename one key")
                    built[one.name] = one
                    if on_each is not None:
                        on_each(one.name)
        except HeterodftError as error:
            raise campaign.error(campaign.place_of(key, str(error)), str(error)) from error
    return list(built.values())


def _note_faults(name: str, pristine: Structure, notes: list[str]) -> None:
    for meeting in pristine.properties["interfaces"]:
        if meeting["joint"] == "fault":
            notes.append(
                f"{name}: {meeting['below']}/{meeting['above']} is a stacking fault: one lattice, but its planes "
                f"{meeting['planes']} do not go on there; another number of layers or termination would"
            )


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
    in_plane: str | float | Material | None = spec.in_plane
    if isinstance(in_plane, str) and in_plane in campaign.materials:
        stacked = {block.material.name for block in stack}
        in_plane = in_plane if in_plane in stacked else _material(campaign, in_plane)
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
    cells = cut_all([Block(material, 1) for material in materials.values()], spec.normal)
    base = cells[substrate]
    return [
        (name, substrate, enumerate_matches(cell, base, spec.match.resolve()))
        for name, cell in cells.items()
        if (cell.normal, cell.material.prototype) != (base.normal, base.material.prototype)
    ]


def stacked_materials(campaign: Campaign) -> list[Material]:
    """Return the materials of the stacks, each once."""
    names = dict.fromkeys(block.material for spec in campaign.structures.values() for block in spec.stack)
    return [_material(campaign, name) for name in names]


def _material(campaign: Campaign, name: str) -> Material:
    spec = campaign.materials[name]
    if spec.file is not None:
        return read_material(name, campaign.folder / spec.file)
    inner = spec.model_dump(include={"u", "z_cation", "x_anion"}, exclude_none=True)
    return build_material(name, prototype=spec.prototype, a=spec.a, c=spec.c, formula=spec.formula, parameters=inner)


def _with_defects(campaign: Campaign, host: BuiltStructure, notes: list[str]) -> list[BuiltStructure]:
    """Return a pristine structure, unless it is not wanted, and its defects, each once."""
    built, spec, pristine = [host], host.spec, host.structure
    numbers: dict[str, int] = {}
    seen: set[tuple[str, tuple[int, ...], int]] = set()
    orders = _moments_of_orders(campaign, host) if spec.defects else []
    for defect in spec.defects:
        for charge in defect.charge:
            for found in _defects(pristine, defect, charge, orders):
                if (found.kind, found.sites, charge) in seen:
                    notes.append(f"{host.name}: {found.label} is asked for twice; it is built once")
                    continue
                seen.add((found.kind, found.sites, charge))
                kind = f"{found.kind}{f'{charge:+d}' if charge else ''}"
                numbers[kind] = number = numbers.get(kind, 0) + 1
                name, text = f"{host.name}-{kind}_{number}", f"{found.label} ({found.plane})"
                built.append(BuiltStructure(host.key, name, text, found.structure, spec, pristine, found.kept))
    return built if spec.pristine else built[1:]


def _moments_of_orders(campaign: Campaign, host: BuiltStructure) -> list[tuple[float, ...]]:
    """Return the moments of the orders that the host holds; sites that one of them tells apart are two defects."""
    found = host_orders(host.structure, host.spec.magnetism or campaign.magnetism).values()
    return [moments.values for moments in found if isinstance(moments, StartingMoments) and moments.values]


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
