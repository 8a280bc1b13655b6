"""What a campaign expands to: its structures, and each with one order and one U."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from heterodft.errors import HeterodftError, StructureError, did_you_mean
from heterodft.structures import StartingMoments, enumerate_orders, order_label, starting_moments
from heterodft.structures.moments import moment_sizes
from heterodft.templates.hubbard import parse_hubbard
from heterodft.workflows.built_structures import BuiltStructure, build_structures
from heterodft.workflows.magnetism_spec import Enumerate, MagnetismSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from heterodft.templates.hubbard import HubbardU
    from heterodft.workflows.campaign import Campaign, StructureSpec

__all__ = ["Configuration", "expand"]


@dataclass(frozen=True)
class Configuration:
    """One structure with one order (starting moments in μB by site) and one U.

    `sources` says for each element with a moment its size and where that came from.
    """

    built: BuiltStructure
    order: str
    moments: tuple[float, ...] | None
    hubbard: tuple[HubbardU, ...]
    sources: dict[str, str]

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
    structures = build_structures(campaign, notes=notes) if structures is None else structures
    _check_elements(campaign, structures)
    for built in structures:
        scans = built.spec.hubbard if built.spec.hubbard is not None else campaign.hubbard
        present = {site.species_string for site in built.structure}
        try:
            for order, moments in _orders(built, built.spec.magnetism or campaign.magnetism, notes):
                for values in product(*scans.values()):
                    hubbard = parse_hubbard(dict(zip(scans, values, strict=True)))
                    kept = tuple(u for u in hubbard if u.element in present)
                    sources = moments.summary(built.structure)
                    configurations.append(Configuration(built, order, moments.values, kept, sources))
        except HeterodftError as error:
            raise campaign.error(("structures", built.key), f"{built.name}: {error}") from error
    return configurations


def _orders(
    built: BuiltStructure, magnetism: MagnetismSpec, notes: list[str] | None
) -> Iterator[tuple[str, StartingMoments]]:
    """Yield the name and the moments of each order of a structure."""
    listed: list[StartingMoments] = []
    for order in magnetism.orders:
        name = "enumerate" if isinstance(order, Enumerate) else order_label(order)
        try:
            if isinstance(order, Enumerate):
                found = _enumerated(built, magnetism, order, listed)
            else:
                listed.append(starting_moments(built.structure, order, magnetism.moments))
                found = [(name, listed[-1])]
        except StructureError as error:
            if magnetism.unfit == "stop":
                raise
            if notes is not None:
                notes.append(f"{built.name}: order {name} skipped: {error}")
            continue
        yield from found


def _enumerated(
    built: BuiltStructure, magnetism: MagnetismSpec, order: Enumerate, listed: list[StartingMoments]
) -> list[tuple[str, StartingMoments]]:
    """Return the simplest orders of the host that are not listed yet, on the sites of the structure."""
    host = built.host if built.host is not None else built.structure
    sizes, _ = moment_sizes(host, magnetism.moments)
    known = [_signs_in_host(built, len(host), moments) for moments in listed if moments.values is not None]
    found = enumerate_orders(host, [s > 0 for s in sizes], up_to=order.up_to, sizes=sizes, besides=known)
    kept = built.kept or tuple(range(len(host)))
    own, sources = moment_sizes(built.structure, magnetism.moments)
    return [
        (
            f"order-{number}",
            StartingMoments(tuple(size * (one.signs[i] or 1) for size, i in zip(own, kept, strict=True)), sources),
        )
        for number, one in enumerate(found, start=1)
    ]


def _signs_in_host(built: BuiltStructure, sites: int, moments: StartingMoments) -> list[int]:
    """Return the signs of an order by site of the host; a removed site counts as 1."""
    signs = [1] * sites
    values = moments.values or ()
    for site, value in zip(built.kept or range(sites), values, strict=True):
        signs[site] = -1 if value < 0 else 1
    return signs


def _check_elements(campaign: Campaign, structures: list[BuiltStructure]) -> None:
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
        for key in hubbard:
            if key.split("-")[0] not in present:
                message = f"no structure holds {key.split('-')[0]}{did_you_mean(key.split('-')[0], present)}"
                raise campaign.error((*where, "hubbard", key), message)
