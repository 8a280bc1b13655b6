"""What a campaign expands to: its structures, and each with one order and one U."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from heterodft.errors import HeterodftError, did_you_mean
from heterodft.templates.hubbard import parse_hubbard
from heterodft.workflows.built_structures import BuiltStructure, build_structures
from heterodft.workflows.magnetism_spec import MagnetismSpec
from heterodft.workflows.orders import host_orders, structure_orders

if TYPE_CHECKING:
    from heterodft.templates.hubbard import HubbardU
    from heterodft.workflows.campaign import Campaign, StructureSpec
    from heterodft.workflows.orders import Found

__all__ = ["Configuration", "check_elements", "expand"]


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
    notes = [] if notes is None else notes
    structures = build_structures(campaign, notes=notes) if structures is None else structures
    check_elements(campaign, structures)
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
            for order, moments in orders.items():
                for values in product(*scans.values()):
                    hubbard = parse_hubbard(dict(zip(scans, values, strict=True)))
                    chosen = tuple(u for u in hubbard if u.element in present)
                    sources = moments.summary(built.structure)
                    configurations.append(Configuration(built, order, moments.values, chosen, sources))
        except HeterodftError as error:
            raise campaign.error(("structures", built.key), f"{built.name}: {error}") from error
    return configurations


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
        for key in hubbard:
            if key.split("-")[0] not in present:
                message = f"no structure holds {key.split('-')[0]}{did_you_mean(key.split('-')[0], present)}"
                raise campaign.error((*where, "hubbard", key), message)
