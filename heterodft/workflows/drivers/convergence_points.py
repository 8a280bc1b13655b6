"""A campaign at each value of the number that is to converge, and which of these points are worth computing."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from heterodft.analysis.tolerances import Tolerance
from heterodft.errors import CampaignError, did_you_mean
from heterodft.templates.steps import RELAXATIONS
from heterodft.units import RYDBERG
from heterodft.workflows.built_structures import build_structures
from heterodft.workflows.chains import campaign_chains
from heterodft.workflows.convergence_spec import for_kind
from heterodft.workflows.drivers.driver import Point
from heterodft.workflows.drivers.variants import as_variant
from heterodft.workflows.method_spec import Cutoffs, NumbersSpec, RawSettings
from heterodft.workflows.mistakes import in_words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from heterodft.workflows.calculation import Request
    from heterodft.workflows.campaign import Campaign
    from heterodft.workflows.convergence_spec import ConvergenceSpec
    from heterodft.workflows.drivers.driver import Chain
    from heterodft.workflows.method_spec import StepSpec
    from heterodft.workflows.structure_spec import BlockSpec, StackSpec

__all__ = ["Range", "campaign_at", "compared", "find_range", "label_of", "wanted_spec"]

_COMPARED = (*RELAXATIONS, "static")
_SAME = 1e-9
Key = tuple[str, str, str, str, str]


@dataclass(frozen=True)
class Range:
    """The points of a driver.

    Attributes
    ----------
    points
        From coarse to fine.
    tolerances
        Of the quantities.
    left_out
        Which values are no points of their own, and why, in words.
    """

    points: tuple[Point, ...]
    tolerances: tuple[Tolerance, ...]
    left_out: tuple[str, ...]


def wanted_spec(campaign: Campaign, kind: str) -> ConvergenceSpec:
    """Return what the campaign asks of a kind, the rest by default.

    Raises
    ------
    CampaignError
        If it makes no range.
    """
    try:
        return for_kind(getattr(campaign.converge, kind), kind, campaign.code)
    except ValidationError as error:
        first = error.errors()[0]
        raise campaign.error(("converge", kind, *first["loc"]), in_words(first)) from error
    except ValueError as error:
        raise campaign.error(("converge", kind), str(error)) from error


def compared(chain: Sequence[Request]) -> Request:
    """Return the step of a chain whose result is compared: the last, static or relax."""
    return chain[-1]


def label_of(kind: str, value: float, code: str) -> str:
    """Return a value as in a table: ``60 Ry``, ``0.32 1/Å``, ``4 layers``."""
    if kind == "layers":
        return f"{value:g} layers" if value != 1 else "1 layer"
    if kind in ("kspacing", "vacuum"):
        return f"{value:.4g} {'1/Å' if kind == 'kspacing' else 'Å'}"
    rydberg = value / RYDBERG
    if code == "espresso" and abs(rydberg - round(rydberg, 4)) < _SAME * max(rydberg, 1):
        return f"{round(rydberg, 4):g} Ry"
    return f"{value:.5g} eV"


def _folder_name(kind: str, label: str) -> str:
    number, _, unit = label.partition(" ")
    if kind == "layers":
        return f"{number}layers"
    return {"cutoff": "", "kspacing": "k", "smearing": "width", "vacuum": "vacuum"}[kind] + (
        number if kind == "kspacing" else f"{number}{unit.replace('Å', 'A')}"
    )


def _exact(kind: str, value: float) -> float:
    """Return a value as the campaign file would have it in Ry, to the last digit, so that ids are the same."""
    if kind not in ("cutoff", "smearing"):
        return value
    rydberg = round(value / RYDBERG, 6)
    return rydberg * RYDBERG if abs(rydberg * RYDBERG - value) < _SAME * value else round(value, 9)


def campaign_at(campaign: Campaign, kind: str, value: float, *, material: str | None = None) -> Campaign:
    """Return the campaign with one number changed wherever it is set: for all, for a structure, for a step.

    Parameters
    ----------
    campaign
        The campaign.
    kind, value
        One of `AXES`, and its value in eV, Å, 1/Å or a count.
    material
        Whose layers are changed, by default those of all blocks that have a number of layers.
    """
    changes: dict[str, Any] = {}
    if kind in ("layers", "vacuum"):
        changes["structures"] = {
            key: _grown(spec, kind, value, material) for key, spec in campaign.structures.items()
        }
    else:
        top = _method_at(campaign.method, kind, value, campaign.code, top=True)
        changes["method"] = top
        changes["steps"] = _steps_at(campaign.steps, kind, value, campaign.code, top)
        changes["structures"] = {
            key: _structure_at(spec, kind, value, campaign.code, top) for key, spec in campaign.structures.items()
        }
    return _changed(campaign, changes)


def _changed(campaign: Campaign, changes: dict[str, Any]) -> Campaign:
    other = campaign.model_copy(update=changes)
    other._path, other._lines = campaign._path, campaign._lines
    return other


def _steps_at(steps: Sequence[StepSpec], kind: str, value: float, code: str, top: NumbersSpec) -> list[StepSpec]:
    """Return steps at a value; a relaxation is told its cutoff itself, or it would take one for a free cell."""
    found = []
    for step in steps:
        method = _method_at(step.method, kind, value, code)
        if kind == "cutoff" and step.name == "relax":
            method = method.model_copy(update={"cutoff": top.cutoff, "density_cutoff": top.density_cutoff})
        found.append(step.model_copy(update={"method": method}))
    return found


def _structure_at(spec: Any, kind: str, value: float, code: str, top: NumbersSpec) -> Any:
    changes: dict[str, Any] = {}
    if spec.method is not None:
        changes["method"] = _method_at(spec.method, kind, value, code)
    if spec.steps is not None:
        changes["steps"] = _steps_at(spec.steps, kind, value, code, top)
    return spec.model_copy(update=changes)


def _method_at(method: NumbersSpec, kind: str, value: float, code: str, *, top: bool = False) -> Any:
    """Return a method with the value at the top, and without any of its own below it."""
    if kind == "kspacing":
        return method.model_copy(update={"kspacing": value if top else None, "kpoints": None})
    if kind == "smearing":
        return method.model_copy(update={"smearing_width": value if top else None})
    changes: dict[str, Any] = {"cutoff": Cutoffs(**{code: value}) if top else None}
    own = getattr(method.cutoff, code, None)
    if method.density_cutoff is not None and own is not None:
        changes["density_cutoff"] = method.density_cutoff * value / own  # a soft pseudopotential needs the same ratio
    return method.model_copy(update=changes)


def _grown(spec: StackSpec, kind: str, value: float, material: str | None) -> Any:
    if kind == "vacuum":
        return spec.model_copy(update={"vacuum": value}) if spec.vacuum > 0 else spec
    grown = {"layers": [int(value)], "thickness": None}
    stack = [block.model_copy(update=grown) if _grows(block, material) else block for block in spec.stack]
    return spec.model_copy(update={"stack": stack})


def _grows(block: BlockSpec, material: str | None) -> bool:
    return block.layers is not None and material in (None, block.material)


def find_range(
    campaign: Campaign, kind: str, spec: ConvergenceSpec, *, pseudo_dir: Path | None, notes: list[str]
) -> Range:
    """Return the points that are worth computing, checked against what is to be compared.

    Raises
    ------
    CampaignError
        If the range or the quantities mean nothing to the structures of the campaign.
    """
    keys = _varied_structures(campaign, kind, spec)
    values, by_value, left_out = _all_chains(campaign, kind, spec, pseudo_dir=pseudo_dir, notes=notes)
    chosen = [{_key(chain): chain for chain in chains if chain[0].about["key"] in keys} for chains in by_value]
    common = [key for key in chosen[0] if all(key in one for one in chosen)]
    absent = dict.fromkeys(" ".join(key[:3:2]) for one in chosen for key in one if key not in common)
    notes += [f"{name} is not there at all points of converge.{kind}; it is left out" for name in absent]
    common = _restricted(campaign, kind, spec, common)
    rows = [tuple(tuple(one[key]) for key in common) for one in chosen]
    tolerances = _checked(campaign, kind, spec, rows[0])
    if _needs_forces(campaign, tolerances, rows[0]):
        told = _with_forces(campaign)
        return find_range(told, kind, spec, pseudo_dir=pseudo_dir, notes=notes)
    points = [
        Point(
            label := label_of(kind, value, campaign.code),
            value,
            tuple(as_variant(chain, f"{campaign.name}.{kind}", _folder_name(kind, label)) for chain in row),
        )
        for value, row in zip(values, rows, strict=True)
    ]
    return _distinct(campaign, kind, points, tolerances, left_out)


def _all_chains(
    campaign: Campaign, kind: str, spec: ConvergenceSpec, *, pseudo_dir: Path | None, notes: list[str]
) -> tuple[list[float], list[list[list[Request]]], list[str]]:
    """Return the values, the chains at each, and which values were left out: layers that an order does not fit."""
    values, chains, left_out = [], [], []
    built = None if kind in ("layers", "vacuum") else build_structures(campaign, notes=notes)
    for given in spec.points:
        value = _exact(kind, given)
        changed = campaign_at(campaign, kind, value, material=spec.material)
        same = None if built is None else [replace(one, spec=changed.structures[one.key]) for one in built]
        try:
            found = campaign_chains(changed, structures=same, pseudo_dir=pseudo_dir, notes=notes)
        except CampaignError as error:
            if kind != "layers" or spec.values is not None:
                told = f"{error} (converge.{kind} at {label_of(kind, value, campaign.code)})"
                raise CampaignError(told) from error
            left_out.append(
                f"{label_of(kind, value, campaign.code)} cannot be built: {_without_place(campaign, error)}"
            )
            continue
        values.append(value)
        chains.append([[request for request in chain if request.step in _COMPARED] for chain in found])
    if len(values) < 2:
        raise campaign.error(("converge", kind), f"fewer than two points can be built: {left_out[0]}")
    return values, chains, left_out


def _without_place(campaign: Campaign, error: CampaignError) -> str:
    """Return what is wrong without file and line, where the campaign has other layers."""
    return re.sub(rf"^{re.escape(str(campaign._path))}(:\d+)?: ", "", str(error))


def _key(chain: Sequence[Request]) -> Key:
    about = chain[0].about
    return about["name"], about["label"], about["order"], about["hubbard"], about["key"]


def _varied_structures(campaign: Campaign, kind: str, spec: ConvergenceSpec) -> set[str]:
    """Return the keys of the structures that the number means something to."""
    if kind == "vacuum":
        found = {key for key, one in campaign.structures.items() if one.vacuum > 0}
        lacking = "no structure has a vacuum; give one, vacuum: 12 Å, or leave this question out"
    elif kind == "layers":
        found = {k for k, one in campaign.structures.items() if any(_grows(b, spec.material) for b in one.stack)}
        blocks = [block for one in campaign.structures.values() for block in one.stack if block.layers is not None]
        known = dict.fromkeys(block.material for block in blocks)
        meant = did_you_mean(spec.material, known) if spec.material else ""
        lacking = f"no block{f' of {spec.material}' if spec.material else ''} has a number of layers to vary{meant}"
    else:
        return set(campaign.structures)
    if not found:
        raise campaign.error(("converge", kind), lacking)
    return found


def _restricted(campaign: Campaign, kind: str, spec: ConvergenceSpec, keys: list[Key]) -> list[Key]:
    """Return the configurations that are asked for."""
    if not keys:
        message = "no configuration has the same name at all points; give the other blocks one number of layers each"
        raise campaign.error(("converge", kind), message)
    known_structures = {key[0] for key in keys} | {key[4] for key in keys}
    for field, known in (("structures", known_structures), ("orders", {key[2] for key in keys})):
        for name in getattr(spec, field) or ():
            if name not in known:
                message = f"no configuration is called '{name}'{did_you_mean(name, known)}"
                raise campaign.error(("converge", kind, field), message)
    found = [
        key
        for key in keys
        if (spec.structures is None or {key[0], key[4]} & set(spec.structures))
        and (spec.orders is None or key[2] in spec.orders)
    ]
    if not found:
        raise campaign.error(("converge", kind), "no configuration is left; give other structures or orders")
    return found


def _checked(campaign: Campaign, kind: str, spec: ConvergenceSpec, row: Sequence[Chain]) -> tuple[Tolerance, ...]:
    """Return the tolerances, checked against what the steps give."""
    several = len({(about["name"], about["hubbard"]) for about in (c[0].about for c in row)}) < len(row)
    magnetic = any(chain[0].moments is not None for chain in row)
    if spec.tolerances is None:
        asked = {"energy": "1 meV/atom", "order_energy": "1 meV/atom", "moment": 0.01}
        given = {"energy": True, "order_energy": several, "moment": magnetic}
        return tuple(Tolerance.read(name, value) for name, value in asked.items() if given[name])
    steps = {request.step: request for chain in row for request in chain}
    free = "relax" in steps and steps["relax"].settings.cell != "fixed"
    wrong = {
        "order_energy": "every structure has a single order; give magnetism: orders: two or more" * (not several),
        "moment": "no order has moments; leave it out" * (not magnetic),
        "volume": "no step changes the cell; relax with cell: c or full, or leave it out" * (not free),
        "lattice": "no step changes the cell; relax with cell: c or full, or leave it out" * (not free),
    }
    for tolerance in spec.tolerances:
        message = wrong.get(tolerance.quantity) or _MEANINGLESS.get((kind, tolerance.quantity), "")
        if (kind, tolerance.quantity, tolerance.per) == ("layers", "energy", "cell"):
            message = "the energy of the cell grows with every layer; give meV/atom, which is that of the added ones"
        if message:
            raise campaign.error(("converge", kind, "quantities", tolerance.quantity), message)
    return spec.tolerances


_MEANINGLESS = {
    ("layers", "forces"): "forces belong to ions, of which each point has others; leave it out",
    ("layers", "lattice"): "the height of the cell grows with every layer; give volume, that of the added ones",
    ("vacuum", "pressure"): "the pressure of a slab is taken over its vacuum too; give forces",
    ("vacuum", "volume"): "the volume of a slab is that of its vacuum; leave it out",
    ("vacuum", "lattice"): "the height of a slab's cell is that of its vacuum; leave it out",
}


def _needs_forces(campaign: Campaign, tolerances: Sequence[Tolerance], row: Sequence[Chain]) -> bool:
    """Whether pw.x has to be told to compute forces and stress, which VASP does of itself."""
    asked = {tolerance.quantity for tolerance in tolerances} & {"pressure", "forces"}
    raw = campaign.method.espresso.plain
    return bool(asked) and campaign.code == "espresso" and not {"tprnfor", "tstress"} <= set(map(str.lower, raw))


def _with_forces(campaign: Campaign) -> Campaign:
    raw = campaign.method.espresso
    told = RawSettings(raw.plain | {"tprnfor": True, "tstress": True}, raw.forced)
    return _changed(campaign, {"method": campaign.method.model_copy(update={"espresso": told})})


def _distinct(
    campaign: Campaign, kind: str, points: Sequence[Point], tolerances: tuple[Tolerance, ...], left_out: list[str]
) -> Range:
    """Leave out points that would agree with the one before because nothing changed.

    A mesh must have changed along every direction that has more than one division, in every configuration.
    """
    kept: list[Point] = [points[0]]
    left_out = list(left_out)
    for point in points[1:]:
        same = [_same(kind, a, b) for a, b in zip(kept[-1].chains, point.chains, strict=True)]
        if any(same):
            left_out.append(f"{point.label} is left out: {next(filter(None, same))}")
        else:
            kept.append(point)
    if len(kept) < 2:
        raise campaign.error(
            ("converge", kind), f"all values give the same calculation ({left_out[0]}); widen the range"
        )
    return Range(tuple(kept), tolerances, tuple(left_out))


def _times(mesh: Sequence[int]) -> str:
    return "x".join(map(str, mesh))


def _same(kind: str, before: Chain, after: Chain) -> str:
    """Return in words what did not change, empty where all did."""
    one, other = compared(before), compared(after)
    name = f"{other.about['name']} {other.about['order']}"
    if kind != "kspacing":
        return f"{name} is the same calculation" if one.id == other.id else ""
    old, new = one.settings.kpoints, other.settings.kpoints
    alike = [max(a, b) > 1 and a == b for a, b in zip(old, new, strict=True)]
    if any(alike) or old == new:
        return f"the mesh of {name}, {_times(new)}, is not denser than {_times(old)} along every axis"
    return ""
