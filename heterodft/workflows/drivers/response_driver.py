"""Hubbard U by linear response: q-meshes until U stays, then U put in again until it comes out.

``method: hp`` is here; ``method: shifts`` is that of `heterodft.workflows.drivers.shifts`.
"""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.errors import InputError, did_you_mean
from heterodft.templates.hubbard import known_shells, parse_hubbard
from heterodft.workflows.built_structures import build_structures
from heterodft.workflows.chains import campaign_chains, refuse_plain_relaxation
from heterodft.workflows.drivers.driver import Decision, Driver, Point
from heterodft.workflows.drivers.response_course import follow
from heterodft.workflows.drivers.response_summary import summarize
from heterodft.workflows.drivers.variants import as_variant, rebuilt, start_from
from heterodft.workflows.method_spec import NumbersSpec, StepSpec

if TYPE_CHECKING:
    from pathlib import Path

    from heterodft.templates.hubbard import HubbardU
    from heterodft.workflows.calculation import Request
    from heterodft.workflows.campaign import Campaign, StructureSpec
    from heterodft.workflows.drivers.driver import Chain, Finished, Strategy, Summary
    from heterodft.workflows.response_spec import QMesh, ResponseSpec

__all__ = ["STRATEGY", "build"]

_PLACE = ("converge", "linear_response")
_BEFORE = ("relax", "static")
_OF_METHOD = {"hp": ("self_consistent", "qmeshes", "max_rounds", "damping"), "shifts": ("shifts",)}
"""Keys that mean nothing to the other method."""


def build(campaign: Campaign, kind: str, *, pseudo_dir: Path | None = None, notes: list[str] | None = None) -> Driver:
    """Return the driver that the ``linear_response`` of a campaign asks for; see `build_driver`.

    Raises
    ------
    CampaignError
        If a value does not suit the campaign.
    """
    spec = campaign.converge.linear_response
    if spec is None:
        raise campaign.error(("converge",), "no linear_response in this campaign; write what to compute there")
    notes = [] if notes is None else notes
    _refuse_unused(campaign, spec)
    if spec.method == "shifts":
        driver: Driver = _shifts().build(campaign, spec, pseudo_dir=pseudo_dir, notes=notes)
        return driver
    if campaign.code != "espresso":
        raise campaign.error(
            (*_PLACE, "method"), f"hp.x needs code: espresso, not {campaign.code}; write method: shifts"
        )
    elements = corrected_elements(campaign, spec)
    _check_presence(campaign, elements)
    asked = with_response_steps(campaign, elements)
    chains = [_tracked(chain, elements) for chain in campaign_chains(asked, pseudo_dir=pseudo_dir, notes=notes)]
    chosen = _chosen(campaign, spec, chains, elements)
    name = f"{campaign.name}.{kind}"
    points = _points(spec.qmeshes, chosen, name)
    keys = ("method", "tolerance", "self_consistent", "max_rounds", "damping")
    rule = {key: getattr(spec, key) for key in keys} | {"elements": list(elements)}
    return Driver(kind, campaign.name, points, rule)


def _refuse_unused(campaign: Campaign, spec: ResponseSpec) -> None:
    """Refuse what the other method alone goes by: it would be asked for and never done."""
    other = "hp" if spec.method == "shifts" else "shifts"
    for key in _OF_METHOD[other]:
        if key in spec.model_fields_set and getattr(spec, key) not in (False, []):
            raise campaign.error((*_PLACE, key), f"{key} belongs to method: {other}; leave it out, or write that")


def corrected_elements(campaign: Campaign, spec: ResponseSpec) -> dict[str, str]:
    """Return the shell of each element whose U is asked for.

    Raises
    ------
    CampaignError
        If none is, or one has no such shell.
    """
    given = spec.elements or list(campaign.hubbard)
    if not given:
        raise campaign.error(_PLACE, "no element with a U; write elements: [Ti-3d], or hubbard: {Ti-3d: 4}")
    found: dict[str, str] = {}
    for index, text in enumerate(given):
        try:
            (u,) = parse_hubbard({_with_shell(text): 0.0})
        except InputError as error:
            place = (*_PLACE, "elements", index) if spec.elements else ("hubbard", text)
            raise campaign.error(place, str(error).removeprefix("hubbard: ")) from error
        if found.setdefault(u.element, u.shell) != u.shell:
            raise campaign.error((*_PLACE, "elements", index), f"{u.element} is named with two shells; name one")
    return found


def _check_presence(campaign: Campaign, elements: dict[str, str]) -> None:
    present = {site.species_string for built in build_structures(campaign) for site in built.structure}
    for element in elements:
        if element not in present:
            message = f"no structure holds {element}{did_you_mean(element, present)}"
            raise campaign.error((*_PLACE, "elements"), message)


def _with_shell(text: str) -> str:
    """Name the shell of an element that has one d or f shell."""
    shells = [shell for shell in known_shells(text) if shell[-1] in "df"]
    if "-" in text:
        return text
    if not known_shells(text):
        raise InputError(f"'{text}' has no shell for a U; name an element with a d or f shell, such as Ti-3d")
    if len(shells) != 1:
        has = " and ".join(f"{text}-{shell}" for shell in known_shells(text))
        raise InputError(f"'{text}' has no one d or f shell; write one of {has}")
    return f"{text}-{shells[0]}"


def with_response_steps(campaign: Campaign, elements: dict[str, str]) -> Campaign:
    """Return the campaign with one U each and the steps of a response; its other steps are not needed."""
    refuse_plain_relaxation(campaign, "each step of a response tells the occupations of the shells")
    structures = {key: _reduced(spec, elements) for key, spec in campaign.structures.items()}
    changes = {
        "structures": structures,
        "hubbard": _one_each(campaign.hubbard, elements),
        "steps": _steps(campaign.steps),
    }
    asked = campaign.model_copy(update=changes)
    asked._path, asked._lines = campaign._path, campaign._lines
    return asked


def _reduced(spec: StructureSpec, elements: dict[str, str]) -> StructureSpec:
    changes: dict[str, Any] = {}
    if spec.hubbard is not None:
        changes["hubbard"] = _one_each(spec.hubbard, elements)
    if spec.steps is not None:
        changes["steps"] = _steps(spec.steps)
    return spec.model_copy(update=changes)


def _one_each(scans: dict[str, list[Any]], elements: dict[str, str]) -> dict[str, list[Any]]:
    """Return the first U of each scan, and zero of what has none; another shell of an element asked for gives way."""
    kept = {
        key: values[:1]
        for key, values in scans.items()
        if elements.get(key.split("-")[0]) in (None, key.split("-")[1])
    }
    return {f"{element}-{shell}": [0.0] for element, shell in elements.items()} | kept


def _steps(steps: list[StepSpec]) -> list[StepSpec]:
    kept = [step for step in steps if step.name in _BEFORE]
    if not any(step.name == "static" for step in kept):
        kept.append(StepSpec(name="static"))
    own = next((step.method for step in steps if step.name == "response"), NumbersSpec())
    return [*kept, StepSpec(name="response", method=own)]


def _tracked(chain: list[Request], elements: dict[str, str]) -> list[Request]:
    """Have pw.x compute the occupations also where U is zero."""

    def tracked(u: HubbardU) -> HubbardU:
        return replace(u, tracked=True) if u.element in elements and not u.active else u

    return list(rebuilt(chain, hubbard=tuple(tracked(u) for u in chain[0].hubbard)))


def _chosen(
    campaign: Campaign, spec: ResponseSpec, chains: list[list[Request]], elements: dict[str, str]
) -> list[list[Request]]:
    """Return the chains of the structures and orders asked for that hold one of the elements."""
    for key, about in (("structures", "key"), ("orders", "order")):
        wanted = getattr(spec, key)
        known = {str(chain[0].about[about]) for chain in chains}
        for name in wanted:
            if name not in known:
                raise campaign.error((*_PLACE, key), f"the campaign has no '{name}'{did_you_mean(name, known)}")
        if wanted:
            chains = [chain for chain in chains if chain[0].about[about] in wanted]
    chosen = [chain for chain in chains if set(elements) & set(chain[0].structure["species"])]
    if not chosen:
        raise campaign.error(_PLACE, "no structure with that order holds one of the elements; name others")
    for chain in chosen:
        if chain[0].directions is not None or chain[0].spin_orbit:
            raise campaign.error(
                _PLACE,
                f"{chain[0].about['name']}, {chain[0].about['order']}: hp.x is run for collinear moments without "
                "spin-orbit coupling; name other orders",
            )
        if any(u.j is not None for u in chain[0].hubbard):
            raise campaign.error(("hubbard",), "hp.x knows no J apart from U; give the effective U - J as one number")
    return chosen


def mesh_of(structure: dict[str, Any], mesh: QMesh) -> tuple[int, int, int]:
    """Return the divisions of each reciprocal vector; one number is that of the longest.

    Examples
    --------
    >>> mesh_of({"lattice": [[3, 0, 0], [0, 3, 0], [0, 0, 7.5]]}, 2)
    (2, 2, 1)
    """
    if not isinstance(mesh, int):
        a, b, c = mesh
        return a, b, c
    lengths = np.linalg.norm(np.linalg.inv(np.array(structure["lattice"], dtype=float)).T, axis=1)
    a, b, c = (max(1, int(np.ceil(mesh * length / lengths.max() - 1e-6))) for length in lengths)
    return a, b, c


def _points(meshes: list[QMesh], chains: list[list[Request]], name: str) -> tuple[Point, ...]:
    """Return one point a mesh: the whole chain with the first, the response alone with each other."""
    points: list[Point] = []
    for mesh in meshes:
        found: list[Chain] = []
        for number, chain in enumerate(chains):
            q = mesh_of(chain[0].structure, mesh)
            response = replace(chain[-1], settings=replace(chain[-1].settings, qpoints=q))
            own = as_variant([*chain[:-1], response], name, "q" + "x".join(map(str, q)))
            found.append(start_from(own[-1:], points[0].chains[number][-2]) if points else own)
        label = "x".join(map(str, mesh)) if isinstance(mesh, tuple) else str(mesh)
        points.append(
            Point(f"q {label}", float(np.prod(mesh)) if isinstance(mesh, tuple) else float(mesh), tuple(found))
        )
    return tuple(points)


def _shifts() -> Any:
    return importlib.import_module("heterodft.workflows.drivers.shifts")


class _ResponseStrategy:
    """Each configuration goes its own way; all that are not done are computed at once."""

    def decide(self, driver: Driver, finished: Finished) -> Decision:
        """Return the next mesh or round of each configuration."""
        if driver.rule["method"] == "shifts":
            decision: Decision = _shifts().decide(driver, finished)
            return decision
        courses = [follow(driver, finished, number) for number in range(len(driver.points[0].chains))]
        chains = tuple(course.wanted for course in courses if course.wanted is not None)
        return Decision(chains, "; ".join(f"{course.name}: {course.words}" for course in courses))

    def summarize(self, driver: Driver, finished: Finished, *, figures: bool = False) -> Summary:
        """Return U by site against the mesh and the round."""
        if driver.rule["method"] == "shifts":
            summary: Summary = _shifts().summarize(driver, finished, figures=figures)
            return summary
        return summarize(driver, finished, figures=figures)


STRATEGY: Strategy = _ResponseStrategy()
