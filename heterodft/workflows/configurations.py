"""What a campaign expands to: its structures, and each with one order and one U."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING

from heterodft.errors import HeterodftError, StructureError, did_you_mean
from heterodft.structures.moments import DEFAULT_MOMENTS
from heterodft.templates.hubbard import parse_hubbard
from heterodft.workflows.built_structures import BuiltStructure, build_structures
from heterodft.workflows.magnetism_spec import MagnetismSpec
from heterodft.workflows.orders import host_orders, structure_orders
from heterodft.workflows.state.naming import sign_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymatgen.core import Structure

    from heterodft.structures import StartingMoments
    from heterodft.templates.hubbard import HubbardU
    from heterodft.templates.species import Vector
    from heterodft.workflows.campaign import Campaign, StructureSpec
    from heterodft.workflows.magnetism_spec import Axis
    from heterodft.workflows.orders import Found

__all__ = ["Configuration", "check_elements", "expand"]

_CORRELATED = ("V", "Cr", "Mn", "Fe", "Co", "Ni")
"""In whose oxides a U on 3d is usual."""


@dataclass(frozen=True)
class Configuration:
    """One structure with one order (starting moments in μB by site) and one U.

    `sources` says for each element with a moment its size and where that came from; `directions` are unit vectors of
    positive moments by site, of a noncollinear run; `orders` holds the signs by site of every order, by name.
    """

    built: BuiltStructure
    order: str
    moments: tuple[float, ...] | None
    hubbard: tuple[HubbardU, ...]
    sources: dict[str, str]
    directions: tuple[Vector, ...] | None = None
    spin_orbit: bool = False
    orders: Mapping[str, str] = field(default_factory=dict)

    @property
    def hubbard_label(self) -> str:
        """Folder name of the U: ``Ti-3d-4eV``, or ``noU``."""
        return "_".join(u.label for u in self.hubbard) or "noU"


def expand(
    campaign: Campaign, structures: list[BuiltStructure] | None = None, *, notes: list[str] | None = None
) -> list[Configuration]:
    """Return every configuration: structures × orders × U.

    Parameters
    ----------
    campaign
        The campaign.
    structures
        Its structures, when they are built already.
    notes
        What the user should hear of is added here, such as orders that were skipped.

    Raises
    ------
    CampaignError
        If an order or a U does not suit a structure.
    """
    configurations = []
    notes = [] if notes is None else notes
    structures = build_structures(campaign, notes=notes) if structures is None else structures
    check_elements(campaign, structures)
    notes += _forgotten(campaign, structures)
    known: dict[int, Found] = {}
    for built in structures:
        scans = built.spec.hubbard if built.spec.hubbard is not None else campaign.hubbard
        present = {site.species_string for site in built.structure}
        magnetism = built.spec.magnetism or campaign.magnetism
        host = built.structure if built.host is None else built.host
        try:
            if id(host) not in known:
                known[id(host)] = host_orders(host, magnetism)
            kept = built.kept or range(len(host))
            told = notes if built.host is None else []  # the same holds for its defects
            orders = structure_orders(built.structure, kept, known[id(host)], magnetism, told, built.name)
            signs = {order: sign_text(m.values) for order, m in orders.items() if m.values is not None}
            for order, moments in orders.items():
                sources = moments.summary(built.structure)
                if order == "NM" and magnetism.axes and not magnetism.spin_orbit:
                    told.append(f"{built.name}: axes mean nothing to NM without spin_orbit")
                for name, directions in _directed(built.structure, order, moments, magnetism):
                    named = {f"{other}{name.removeprefix(order)}": text for other, text in signs.items()}
                    for values in product(*scans.values()):
                        hubbard = parse_hubbard(dict(zip(scans, values, strict=True)))
                        chosen = tuple(u for u in hubbard if u.element in present)
                        configurations.append(
                            Configuration(
                                built, name, moments.values, chosen, sources, directions, magnetism.spin_orbit, named
                            )
                        )
            told += _same_orders(built.name, orders)
        except HeterodftError as error:
            raise campaign.error_of(built.key, built.name, error) from error
    notes += _negative(configurations)
    return configurations


def _forgotten(campaign: Campaign, structures: Sequence[BuiltStructure]) -> list[str]:
    """Tell of moments and U that nothing in the file speaks of although the elements usually need them."""
    notes = []
    for built in structures:
        if built.host is not None:  # the same holds for its defects
            continue
        present = {site.species_string for site in built.structure}
        magnetic = [element for element in DEFAULT_MOMENTS if element in present]
        orders = (built.spec.magnetism or campaign.magnetism).model_fields_set
        if magnetic and "orders" not in orders:
            notes.append(
                f"{built.name}: {magnetic[0]} mostly carries a moment, but no order is asked for, so it gets none; "
                "write magnetism: {orders: [FM]}, or orders: [NM] where that is meant"
            )
        given = "hubbard" in campaign.model_fields_set or built.spec.hubbard is not None
        correlated = [element for element in magnetic if element in _CORRELATED]
        if correlated and "O" in present and not given:
            notes.append(
                f"{built.name}: there is no Hubbard U on {correlated[0]} 3d; write hubbard: "
                f"{{{correlated[0]}-3d: 4.0}} (eV), or hubbard: {{}} where that is meant"
            )
    return notes


def _negative(configurations: Sequence[Configuration]) -> list[str]:
    """Tell of each negative U, which is seldom meant."""
    chosen = [u for configuration in configurations for u in configuration.hubbard]
    below = [u.label for u in chosen if min(u.value, *(value for _, value in u.layers), 0.0) < 0]
    return [
        f"{label}: a negative U favours shells that are partly filled; leave out the minus unless that is meant"
        for label in dict.fromkeys(below)
    ]


def _same_orders(name: str, orders: Mapping[str, StartingMoments]) -> list[str]:
    """Tell of orders that are one and the same in a cell, as AFM-A and FM are with a single layer."""
    first: dict[tuple[float, ...], str] = {}
    found = []
    for order, moments in orders.items():
        if moments.values is not None and first.setdefault(moments.values, order) != order:
            found.append(
                f"{name}: {order} is the same as {first[moments.values]} in this cell; leave one of them out"
            )
    return found


def _directed(
    structure: Structure, order: str, moments: StartingMoments, magnetism: MagnetismSpec
) -> list[tuple[str, tuple[Vector, ...] | None]]:
    """Return an order along each axis: its name, and the direction of a positive moment of each site."""
    mark = "soc" if magnetism.spin_orbit else "ncl"
    found: list[tuple[str, tuple[Vector, ...] | None]] = []
    for axis in magnetism.directions:
        if axis is None or (moments.values is None and not magnetism.spin_orbit):
            found.append((order, None))
        elif moments.values is None:
            found.append((f"{order}-{mark}", None))
        else:
            directions = _site_directions(structure, axis)
            moved = tuple(d if m else (0.0, 0.0, 0.0) for d, m in zip(directions, moments.values, strict=True))
            found.append((f"{order}-{mark}-{axis.label}", moved))
    return list(dict(found).items())


def _site_directions(structure: Structure, axis: Axis) -> tuple[Vector, ...]:
    """Return the unit vector of each site: that of its material, or of all."""
    vectors = dict(axis.vectors)
    materials = structure.site_properties.get("material", [""] * len(structure))
    for name in vectors:
        if name and name not in materials:
            raise StructureError(f"magnetism: axes: no material {name}{did_you_mean(name, set(materials))}")
    missing = {name for name in materials if name not in vectors} if "" not in vectors else set()
    if missing:
        raise StructureError(f"magnetism: axes: no direction of {min(missing)}; give one of each material")
    units = {name: tuple(round(x / math.hypot(*v), 6) + 0.0 for x in v) for name, v in vectors.items()}
    return tuple(units.get(name, units.get("")) for name in materials)  # type: ignore[misc]


def check_elements(campaign: Campaign, structures: list[BuiltStructure]) -> None:
    """Refuse moments and U of elements that no structure has: most likely a slip of the pen."""
    present = {site.species_string for built in structures for site in built.structure}
    places: list[tuple[tuple[str, ...], Campaign | StructureSpec]] = [((), campaign)]
    places += [(("structures", key), spec) for key, spec in campaign.structures.items()]
    for where, spec in places:
        magnetism, hubbard = spec.magnetism or MagnetismSpec(), spec.hubbard or {}
        for element in magnetism.elements:
            if element not in present:
                message = f"no structure holds {element}{did_you_mean(element, present)}"
                raise campaign.error((*where, "magnetism", "moments", element), message)
        for element in () if spec.method is None else spec.method.potcars:
            if element not in present:
                message = f"no structure holds {element}{did_you_mean(element, present)}"
                raise campaign.error((*where, "method", "potcars", element), message)
        for key in hubbard:
            if key.split("-")[0] not in present:
                message = f"no structure holds {key.split('-')[0]}{did_you_mean(key.split('-')[0], present)}"
                raise campaign.error((*where, "hubbard", key), message)
