"""What a campaign expands to: its structures, and each with one order and one U."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from heterodft.errors import HeterodftError, did_you_mean
from heterodft.structures import (
    Block,
    Material,
    assign_moments,
    build_material,
    build_superlattice,
    enumerate_defects,
    read_material,
)
from heterodft.templates.hubbard import parse_hubbard
from heterodft.workflows.campaign import MagnetismSpec

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from heterodft.templates.hubbard import HubbardU
    from heterodft.workflows.campaign import Campaign, StructureSpec

__all__ = ["BuiltStructure", "Configuration", "build_structures", "expand"]


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
    """

    key: str
    name: str
    label: str
    structure: Structure
    spec: StructureSpec


@dataclass(frozen=True)
class Configuration:
    """One structure with one order (starting moments in μB by site) and one U."""

    built: BuiltStructure
    order: str
    moments: tuple[float, ...] | None
    hubbard: tuple[HubbardU, ...]

    @property
    def hubbard_label(self) -> str:
        """Folder name of the U: ``Ti-3d-4eV``, or ``noU``."""
        return "_".join(u.label for u in self.hubbard) or "noU"


def build_structures(campaign: Campaign) -> list[BuiltStructure]:
    """Build every structure of a campaign, each pristine one followed by its defects.

    Raises
    ------
    CampaignError
        If one cannot be built; the message names it and its line.
    """
    built = []
    for key, spec in campaign.structures.items():
        try:
            for counts in product(*(block.layers for block in spec.stack)):
                several = any(len(block.layers) > 1 for block in spec.stack)
                name = "-".join([key, *map(str, counts)]) if several else key
                built += _with_defects(key, name, _build(campaign, spec, counts), spec)
        except HeterodftError as error:
            raise campaign.error(("structures", key), str(error)) from error
    return built


def _build(campaign: Campaign, spec: StructureSpec, counts: tuple[int, ...]) -> Structure:
    materials = {block.material: _material(campaign, block.material) for block in spec.stack}
    stack = [Block(materials[block.material], layers) for block, layers in zip(spec.stack, counts, strict=True)]
    return build_superlattice(stack, normal=spec.normal, in_plane=spec.in_plane, supercell=spec.supercell)


def _material(campaign: Campaign, name: str) -> Material:
    spec = campaign.materials[name]
    if spec.file is not None:
        return read_material(name, campaign.folder / spec.file)
    inner = spec.model_dump(include={"u", "z_cation", "x_anion"}, exclude_none=True)
    return build_material(name, prototype=spec.prototype, a=spec.a, c=spec.c, formula=spec.formula, parameters=inner)


def _with_defects(key: str, name: str, pristine: Structure, spec: StructureSpec) -> list[BuiltStructure]:
    built = [BuiltStructure(key, name, "pristine", pristine, spec)]
    numbers: dict[str, int] = {}
    for defect in spec.defects:
        place = defect.where.material
        if place in ("interface", "all"):
            found = enumerate_defects(pristine, defect.kind, where=place)
        else:
            found = enumerate_defects(pristine, defect.kind, material=place, layers=defect.where.layers)
        for vacancy in found:
            numbers[defect.kind] = number = numbers.get(defect.kind, 0) + 1
            label = f"{vacancy.label} ({vacancy.plane})"
            built.append(BuiltStructure(key, f"{name}-{defect.kind}_{number}", label, vacancy.structure, spec))
    return built


def expand(campaign: Campaign, structures: list[BuiltStructure] | None = None) -> list[Configuration]:
    """Return every configuration: structures × orders × U.

    Parameters
    ----------
    campaign
        The campaign.
    structures
        Its structures, when they are built already.

    Raises
    ------
    CampaignError
        If an order or a U does not suit a structure.
    """
    configurations = []
    structures = build_structures(campaign) if structures is None else structures
    _check_elements(campaign, structures)
    for built in structures:
        magnetism = built.spec.magnetism or campaign.magnetism
        scans = built.spec.hubbard if built.spec.hubbard is not None else campaign.hubbard
        present = {site.species_string for site in built.structure}
        try:
            for order in magnetism.orders:
                moments = assign_moments(built.structure, order, magnetism.moments)
                for values in product(*scans.values()):
                    hubbard = parse_hubbard(dict(zip(scans, values, strict=True)))
                    kept = tuple(u for u in hubbard if u.element in present)
                    site_moments = None if moments is None else tuple(moments)
                    configurations.append(Configuration(built, order, site_moments, kept))
        except HeterodftError as error:
            raise campaign.error(("structures", built.key), str(error)) from error
    return configurations


def _check_elements(campaign: Campaign, structures: list[BuiltStructure]) -> None:
    """Refuse moments and U of elements that no structure has: most likely a slip of the pen."""
    present = {site.species_string for built in structures for site in built.structure}
    places: list[tuple[tuple[str, ...], Campaign | StructureSpec]] = [((), campaign)]
    places += [(("structures", key), spec) for key, spec in campaign.structures.items()]
    for where, spec in places:
        magnetism, hubbard = spec.magnetism or MagnetismSpec(), spec.hubbard or {}
        for element in magnetism.moments:
            if element not in present:
                message = f"no structure holds {element}{did_you_mean(element, present)}"
                raise campaign.error((*where, "magnetism", "moments", element), message)
        for key in hubbard:
            if key.split("-")[0] not in present:
                message = f"no structure holds {key.split('-')[0]}{did_you_mean(key.split('-')[0], present)}"
                raise campaign.error((*where, "hubbard", key), message)
