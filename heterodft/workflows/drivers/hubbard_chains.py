"""The calculations of a scan of U that are known beforehand: every structure and order at every U from the atoms."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

from heterodft.errors import did_you_mean
from heterodft.structures import layer_labels
from heterodft.workflows.built_structures import build_structures
from heterodft.workflows.chains import build_chain, refuse_plain_relaxation
from heterodft.workflows.configurations import expand
from heterodft.workflows.drivers.driver import Point
from heterodft.workflows.drivers.variants import as_variant, rebuilt
from heterodft.workflows.hubbard_scan_spec import HubbardScanSpec, UScan

if TYPE_CHECKING:
    from pathlib import Path

    from heterodft.templates.hubbard import HubbardU, UChoice
    from heterodft.workflows.built_structures import BuiltStructure
    from heterodft.workflows.campaign import Campaign
    from heterodft.workflows.configurations import Configuration
    from heterodft.workflows.drivers.driver import Chain

__all__ = ["asked_scan", "cold_variant", "scan_points"]

_WHERE = ("converge", "hubbard")
_DEFAULT = UScan(tuple(float(u) for u in range(7)))
"""0 to 6 eV, where a campaign has a U but no scan."""


@dataclass(frozen=True)
class _Track:
    """What is followed along U: a structure, an order, and the U that stay."""

    structure: str
    order: str
    others: tuple[HubbardU, ...]


def cold_variant(factor: float) -> str:
    """Return the name of the starts from the atoms with the moments times a factor."""
    return "cold" if factor == 1 else f"cold-{factor:g}"


def asked_scan(campaign: Campaign) -> tuple[HubbardScanSpec, dict[str, UScan]]:
    """Return what the campaign asks for, and the values of U by element and shell.

    Without a scan of its own, the elements of the campaign's ``hubbard`` are scanned from 0 to 6 eV.

    Raises
    ------
    CampaignError
        If the campaign names no U at all.
    """
    spec = campaign.converge.hubbard or HubbardScanSpec()
    if spec.scans:
        return spec, spec.scans
    named = [campaign.hubbard, *(s.hubbard or {} for s in campaign.structures.values())]
    shells = dict.fromkeys(key for one in named for key in one)
    if not shells:
        where = _WHERE if campaign.converge.hubbard is not None else ()
        raise campaign.error(
            where,
            "no U to scan; write converge: {hubbard: {Cr-3d: {start: 0, stop: 5, step: 1}}}, or a hubbard section",
        )
    return spec, dict.fromkeys(shells, _DEFAULT)


def scan_points(
    campaign: Campaign, *, pseudo_dir: Path | None = None, notes: list[str] | None = None
) -> tuple[Point, ...]:
    """Return one point for each U that is followed, with every structure, order and start from the atoms.

    Parameters
    ----------
    campaign, pseudo_dir, notes
        As in `heterodft.workflows.drivers.build_driver`.

    Raises
    ------
    CampaignError
        If an element, a layer, a structure or an order is not there.
    """
    refuse_plain_relaxation(campaign, "a scan relaxes at each U, or not at all")
    spec, scans = asked_scan(campaign)
    notes = [] if notes is None else notes
    chosen = _only_structures(campaign, spec)
    structures = _named(campaign, spec, build_structures(chosen, notes=notes))
    structures = _with_shells(campaign, scans, structures, notes)
    tracks: dict[_Track, dict[tuple[float, ...], Configuration]] = {}
    for configuration in expand(_scanned(chosen, scans), structures, notes=notes):
        here = tuple(_value_of(configuration, key, scan) for key, scan in scans.items())
        others = tuple(u for u in configuration.hubbard if f"{u.element}-{u.shell}" not in scans)
        track = _Track(configuration.built.name, configuration.order, others)
        tracks.setdefault(track, {})[here] = configuration
    _check_orders(campaign, spec, {track.order for track in tracks})
    kept = {track: found for track, found in tracks.items() if spec.orders is None or track.order in spec.orders}
    ways = _ways(spec, scans)
    ramped = spec.branches != ["cold"]
    points = []
    for step in range(len(ways[0])):
        chains: list[Chain] = []
        for found in kept.values():
            for way in ways:
                configuration = _tracked(found[way[step]], scans, ramped)
                chain = build_chain(chosen, configuration, pseudo_dir=pseudo_dir, notes=notes)
                chains += _starts(chain, f"{campaign.name}.hubbard", spec.starts)
        value = ways[0][step][0]
        points.append(Point(f"U={value:g} eV", value, tuple(chains)))
    notes[:] = list(dict.fromkeys(notes))
    return tuple(points)


def _ways(spec: HubbardScanSpec, scans: dict[str, UScan]) -> list[list[tuple[float, ...]]]:
    """Return the paths of U: one where all step together, else one for each value of the shells after the first."""
    values = [scan.values for scan in scans.values()]
    if spec.together:
        return [list(zip(*values, strict=True))]
    return [[(first, *rest) for first in values[0]] for rest in product(*values[1:])]


def _starts(chain: Any, name: str, factors: list[float]) -> list[Chain]:
    """Return a chain with its starting moments times each factor; without moments there is one start only."""
    moments = chain[0].moments
    if moments is None or not any(moments):
        return [as_variant(chain, name, cold_variant(1))]
    return [
        as_variant(
            chain if factor == 1 else rebuilt(chain, moments=tuple(round(m * factor, 6) for m in moments)),
            name,
            cold_variant(factor),
        )
        for factor in factors
    ]


def _tracked(configuration: Configuration, scans: dict[str, UScan], ramped: bool) -> Configuration:
    """Return a configuration whose occupations are computed at U = 0 too, for a ramp to hand on."""
    if not ramped:
        return configuration
    zero = {key for key, scan in scans.items() if not _value_of(configuration, key, scan)}
    hubbard = tuple(
        replace(u, tracked=True) if f"{u.element}-{u.shell}" in zero else u for u in configuration.hubbard
    )
    return replace(configuration, hubbard=hubbard)


def _value_of(configuration: Configuration, key: str, scan: UScan) -> float:
    u = next(u for u in configuration.hubbard if f"{u.element}-{u.shell}" == key)
    return dict(u.layers)[scan.layers[0]] if scan.layers else u.value


def _scanned(campaign: Campaign, scans: dict[str, UScan]) -> Campaign:
    """Return a campaign whose ``hubbard`` holds the values of the scan beside the U that stay."""
    choices: dict[str, list[float | UChoice]] = {
        key: [scan.choice(value) for value in scan.values] for key, scan in scans.items()
    }
    own = {
        key: spec.model_copy(update={"hubbard": _beside(spec.hubbard, choices)})
        for key, spec in campaign.structures.items()
        if spec.hubbard is not None
    }
    return _changed(campaign, hubbard=_beside(campaign.hubbard, choices), structures=dict(campaign.structures) | own)


def _beside(given: Any, choices: dict[str, list[float | UChoice]]) -> dict[str, Any]:
    elements = {key.partition("-")[0] for key in choices}
    return {key: value for key, value in given.items() if key.partition("-")[0] not in elements} | choices


def _changed(campaign: Campaign, **changes: Any) -> Campaign:
    other = campaign.model_copy(update=changes)
    other._path, other._lines = campaign._path, campaign._lines
    return other


def _only_structures(campaign: Campaign, spec: HubbardScanSpec) -> Campaign:
    """Return a campaign with the structures that are scanned; one of a defect needs that it belongs to."""
    if spec.structures is None:
        return campaign
    keys = [key for key in campaign.structures if any(n == key or n.startswith(f"{key}-") for n in spec.structures)]
    for i, name in enumerate(spec.structures):
        if not any(name == key or name.startswith(f"{key}-") for key in keys):
            hint = did_you_mean(name, campaign.structures)
            raise campaign.error((*_WHERE, "structures", i), f"no structure '{name}'{hint}")
    return _changed(campaign, structures={key: campaign.structures[key] for key in keys})


def _named(campaign: Campaign, spec: HubbardScanSpec, structures: list[BuiltStructure]) -> list[BuiltStructure]:
    """Return the structures of the names that are given; the key of several stands for all of them."""
    if spec.structures is None:
        return structures
    for i, name in enumerate(spec.structures):
        if not any(name in (built.key, built.name) for built in structures):
            hint = did_you_mean(name, [built.name for built in structures])
            raise campaign.error((*_WHERE, "structures", i), f"no structure '{name}' to scan{hint}")
    return [built for built in structures if {built.key, built.name} & set(spec.structures)]


def _with_shells(
    campaign: Campaign, scans: dict[str, UScan], structures: list[BuiltStructure], notes: list[str]
) -> list[BuiltStructure]:
    """Return the structures that hold every element and layer that is scanned; say which are left out."""
    kept = []
    missing: dict[str, list[str]] = {key: [] for key in scans}
    for built in structures:
        lacks = {key: what for key, scan in scans.items() if (what := _lacks(built, key, scan))}
        for key, what in lacks.items():
            missing[key].append(what)
            notes.append(f"{built.name} is not scanned: it holds no {what}")
        if not lacks:
            kept.append(built)
    for key, whats in missing.items():
        if len(whats) == len(structures):
            raise campaign.error((*_WHERE, key), f"no structure holds {whats[0]}")
    if not kept:
        raise campaign.error(_WHERE, f"no structure holds {' and '.join(scans)} together; scan one at a time")
    return kept


def _lacks(built: BuiltStructure, key: str, scan: UScan) -> str:
    """Return what a structure lacks for the scan of a shell, in words; empty where it lacks nothing."""
    element = key.partition("-")[0]
    present = [site.species_string for site in built.structure]
    if element not in present:
        return f"{element}{did_you_mean(element, present)}"
    labels = {
        label for label, symbol in zip(layer_labels(built.structure), present, strict=True) if symbol == element
    }
    absent = [layer for layer in scan.layers if layer not in labels]
    return f"{element} in a layer {absent[0]}{did_you_mean(absent[0], labels)}" if absent else ""


def _check_orders(campaign: Campaign, spec: HubbardScanSpec, found: set[str]) -> None:
    for i, order in enumerate(spec.orders or []):
        if order not in found:
            raise campaign.error((*_WHERE, "orders", i), f"no order '{order}' here{did_you_mean(order, found)}")
