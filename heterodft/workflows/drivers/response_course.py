"""The course of one configuration: U on one q-mesh after the other, then round after round, by what is finished."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from heterodft.analysis.response import equivalent_sites
from heterodft.templates.hubbard import resolve_hubbard
from heterodft.words import number_of
from heterodft.workflows.drivers.variants import rebuilt, start_from

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heterodft.analysis.response import EquivalentSites
    from heterodft.analysis.result import Result
    from heterodft.templates.hubbard import HubbardU
    from heterodft.workflows.calculation import Request
    from heterodft.workflows.drivers.driver import Chain, Driver, Finished

__all__ = ["Course", "Measured", "follow", "layer_names", "next_hubbard"]

_DIGITS = 4
"""Of a U in eV that is put in again, so that the same results ask for the same calculation."""
_SANE = (-10.0, 20.0)
"""eV; a U outside is none."""
_OSCILLATES = 0.7
"""Ratio of a step to the one before, which it undoes, from which on it is halved."""
_SAME_MOMENT = 0.1
"""μB by which a site may differ between the static step and the cycle that hp.x starts from."""


@dataclass(frozen=True)
class Measured:
    """U found by one response step.

    Attributes
    ----------
    round, mesh
        Number of the round from 1, and the q-mesh.
    chain, result
        The steps that were computed for it, the response last, and what that one gave.
    sites
        U by group of equivalent sites, of the elements asked for.
    put_in
        eV by site.
    layers
        Label of the layer of each site of the structure; empty texts where it has none.
    doubt
        What is wrong with its magnetic state, in words; empty when it is the one asked for.
    """

    round: int
    mesh: tuple[int, int, int]
    chain: Chain
    result: Result
    sites: tuple[EquivalentSites, ...]
    put_in: dict[int, float]
    layers: tuple[str, ...]
    doubt: str = ""

    @property
    def request(self) -> Request:
        """The response step."""
        return self.chain[-1]

    @property
    def by_site(self) -> dict[int, float]:
        """Mean U of the group of each site, eV."""
        return {site: group.value for group in self.sites for site in group.sites}

    @property
    def residual(self) -> float:
        """Largest difference of U put in and got out, eV, of the sites of an element in a layer together.

        A U is put in by layer, so that sites within one may never agree with it by themselves.
        """
        return max(abs(u - self.put_in[sites[0]]) for sites, u in self.by_layer.values())

    @property
    def by_layer(self) -> dict[tuple[str, str], tuple[list[int], float]]:
        """Sites and mean U in eV by element and layer."""
        species: list[str] = self.request.structure["species"]
        found: dict[tuple[str, str], list[int]] = {}
        for site in sorted(self.by_site):
            found.setdefault((species[site], self.layers[site]), []).append(site)
        means = self.by_site
        return {key: (sites, sum(means[site] for site in sites) / len(sites)) for key, sites in found.items()}


@dataclass(frozen=True)
class Course:
    """Where one configuration is.

    Attributes
    ----------
    name
        ``bulk FM``.
    meshes
        What was measured with the starting U, from the coarsest mesh on.
    rounds
        What was measured on the mesh that was chosen, the first with the starting U.
    wanted
        To be computed next; None when it has ended.
    words
        One line.
    mesh_converged, self_consistent
        Whether two meshes agreed, and U in and out; None where it was not asked or not tried.
    failed
        Whether it ended for want of a result.
    """

    name: str
    meshes: tuple[Measured, ...]
    rounds: tuple[Measured, ...]
    wanted: Chain | None
    words: str
    mesh_converged: bool | None = None
    self_consistent: bool | None = None
    failed: bool = False

    @property
    def last(self) -> Measured | None:
        """What is known best: the last round, else the densest mesh."""
        found = self.rounds[1:] or self.meshes
        return found[-1] if found else None


def follow(driver: Driver, finished: Finished, number: int) -> Course:
    """Return the course of a configuration.

    Parameters
    ----------
    driver, finished
        The question, and what is there.
    number
        Of the configuration in each point.
    """
    first = driver.points[0].chains[number][-1]
    course = Course(f"{first.about['name']} {first.about['order']}", (), (), None, "")
    course = _over_meshes(driver, finished, number, course)
    if course.wanted is not None or course.failed or not driver.rule["self_consistent"]:
        return course
    return _over_rounds(driver, finished, number, course)


def _over_meshes(driver: Driver, finished: Finished, number: int, course: Course) -> Course:
    tolerance, found = driver.rule["tolerance"], list(course.meshes)
    for point in driver.points:
        chain = point.chains[number]
        measured = _measure(driver, finished, chain, 1)
        if not isinstance(measured, Measured):
            return _without(course, found, (), chain, measured)
        if found and (change := _change(found[-1], measured)) <= tolerance:
            words = (
                f"q-mesh {_text(found[-1].mesh)} is enough: U changes by {change:.3f} eV to {_text(measured.mesh)}"
            )
            return replace(course, meshes=(*found, measured), rounds=(found[-1],), words=words, mesh_converged=True)
        found.append(measured)
    words, converged = f"U on the one q-mesh {_text(found[-1].mesh)}, beside no other", None
    if len(found) > 1:
        change, converged = _change(found[-2], found[-1]), False
        words = f"not converged with the q-mesh: U still changes by {change:.3f} eV to {_text(found[-1].mesh)}"
    return replace(course, meshes=tuple(found), rounds=(found[-1],), words=words, mesh_converged=converged)


def _change(before: Measured, after: Measured) -> float:
    one, other = before.by_site, after.by_site
    return max(abs(one[site] - other[site]) for site in one)


def _without(
    course: Course, meshes: Sequence[Measured], rounds: Sequence[Measured], chain: Chain, why: str
) -> Course:
    """Return a course that waits for a chain, or ends since it failed."""
    known = replace(course, meshes=tuple(meshes), rounds=tuple(rounds))
    if why:
        return replace(known, words=why, failed=True)
    request = chain[-1]
    u = ", ".join(f"{u.element}-{u.shell} {_u_text(u)} eV" for u in request.hubbard)
    mesh = _text(request.settings.qpoints or (1, 1, 1))
    return replace(known, wanted=chain, words=f"{u} on q-mesh {mesh} next")


def _u_text(u: HubbardU) -> str:
    return " / ".join(f"{value:g}" for value in dict.fromkeys([*(value for _, value in u.layers), u.value]))


def _text(mesh: tuple[int, int, int]) -> str:
    return "x".join(map(str, mesh))


def _measure(driver: Driver, finished: Finished, chain: Chain, round_number: int) -> Measured | str:
    """Return what a chain measured, else why it failed; an empty text as long as it is not finished."""
    result = finished.result(chain[-1])
    if result is None:
        return finished.chain_failure(chain) or ""
    if result.response is None:
        return f"{chain[-1].path}: no U in its result; run it again with heterodft retry"
    request, elements = chain[-1], driver.rule["elements"]
    species = request.structure["species"]
    values = {site: u for site, u in result.response.by_site.items() if species[site] in elements}
    wrong = {site: u for site, u in values.items() if not _SANE[0] <= u <= _SANE[1]}
    if wrong or not values:
        site = min(wrong, default=0)
        told = (
            f"U = {wrong[site]:g} eV of {species[site]} {site + 1} is none" if wrong else "no site asked for has a U"
        )
        return f"{request.path}: {told}; look at the gap, the moments and the mesh of its static step"
    on_sites = resolve_hubbard(request.to_structure(), request.hubbard)
    put_in = {site: 0.0 if (u := on_sites[site]) is None else u.u for site in values}
    groups = equivalent_sites(result.structure, values, _moments(result))
    return Measured(
        round=round_number,
        mesh=request.settings.qpoints or (1, 1, 1),
        chain=chain,
        result=result,
        sites=tuple(groups),
        put_in=put_in,
        layers=layer_names(request),
        doubt=_doubt(driver, finished, chain, result),
    )


def _moments(result: Result) -> tuple[float, ...] | None:
    return result.sites["sphere"].moments if "sphere" in result.sites else None


def _doubt(driver: Driver, finished: Finished, chain: Chain, result: Result) -> str:
    """Tell a U of another magnetic state than asked for, and a cycle that left the state of the static step."""
    verdict = result.request.get("state", {}).get("verdict", "kept")
    if verdict != "kept":
        return f"another state than asked for ({verdict})"
    statics = [r for point in driver.points for c in point.chains for r in c if r.id == chain[-1].parent]
    static = next(
        (found for r in [*chain, *statics] if r.id == chain[-1].parent and (found := finished.result(r))), None
    )
    before, after = None if static is None else _moments(static), _moments(result)
    if before is None or after is None:
        return ""
    moved = [i for i, (b, a) in enumerate(zip(before, after, strict=True)) if abs(b - a) > _SAME_MOMENT]
    return f"its cycle left the state of the static step at site {moved[0] + 1}" if moved else ""


def _over_rounds(driver: Driver, finished: Finished, number: int, course: Course) -> Course:
    rule, found = driver.rule, list(course.rounds)
    for round_number in range(2, rule["max_rounds"] + 1):
        if found[-1].residual <= rule["tolerance"]:
            break
        hubbard = next_hubbard(found, rule["elements"], damping=rule["damping"], tolerance=rule["tolerance"])
        if any(hubbard == one.request.hubbard for one in found):
            words = f"U turns in a circle after {number_of(len(found), 'round')}; give a smaller damping"
            return replace(course, rounds=tuple(found), words=words, self_consistent=False)
        chain = _round(driver, number, found[0].request, hubbard)
        measured = _measure(driver, finished, chain, round_number)
        if not isinstance(measured, Measured):
            return _without(course, course.meshes, found, chain, measured)
        found.append(measured)
    done = found[-1].residual <= rule["tolerance"]
    after = f"after {number_of(len(found), 'round')}"
    words = (
        f"self-consistent {after}: U in and out differ by {found[-1].residual:.3f} eV"
        if done
        else f"not self-consistent {after}: U in and out still differ by {found[-1].residual:.3f} eV"
    )
    return replace(course, rounds=tuple(found), words=f"{course.words}; {words}", self_consistent=done)


def _round(driver: Driver, number: int, template: Request, hubbard: tuple[HubbardU, ...]) -> Chain:
    """Return static and response with another U, on the structure that the first round relaxed to."""
    whole = driver.points[0].chains[number]
    before, static = whole[:-2], whole[-2]
    label = "_".join(u.label for u in hubbard)
    renamed = {"hubbard": label, "variant": template.about["variant"]}
    response = replace(template, parent=static.id)
    chain = tuple(replace(r, about=r.about | renamed) for r in rebuilt((static, response), hubbard=hubbard))
    if before:
        chain = start_from(chain, before[-1])
    parent_folder = os.path.relpath(chain[0].path, chain[1].path)
    return chain[0], replace(chain[1], about=chain[1].about | {"parent_folder": parent_folder})


def next_hubbard(
    history: Sequence[Measured], elements: Sequence[str], *, damping: float, tolerance: float
) -> tuple[HubbardU, ...]:
    """Return the U to put in next: a step from U in towards U out, halved where the last two steps undo each other.

    Parameters
    ----------
    history
        What was measured, one a round.
    elements
        Whose U is to become self-consistent; others keep theirs.
    damping
        Part of the step that is taken, 0…1.
    tolerance
        eV; layers of an element whose U differ by more get a U of their own, others share their mean.
    """
    last = history[-1]
    fraction = damping * (0.5 if _oscillates(history) else 1.0)
    return tuple(
        _of_element(u, last, fraction, tolerance) if u.element in elements else u for u in last.request.hubbard
    )


def _oscillates(history: Sequence[Measured]) -> bool:
    if len(history) < 2:
        return False
    before, last = history[-2], history[-1]
    for site, u in last.by_site.items():
        now, then = u - last.put_in[site], before.by_site[site] - before.put_in[site]
        if now * then < 0 and abs(now) > _OSCILLATES * abs(then):
            return True
    return False


def _of_element(u: HubbardU, last: Measured, fraction: float, tolerance: float) -> HubbardU:
    stepped = {
        layer: (last.put_in[sites[0]] + fraction * (found - last.put_in[sites[0]]), len(sites))
        for (element, layer), (sites, found) in last.by_layer.items()
        if element == u.element
    }
    values = [value for value, _ in stepped.values()]
    if max(values) - min(values) > tolerance:
        rounded = {layer: round(value, _DIGITS) for layer, (value, _) in stepped.items()}
        rest = next(iter(rounded.values()))
        layers = tuple(sorted((layer, value) for layer, value in rounded.items() if value != rest))
        return replace(u, value=rest, layers=layers, tracked=not all(rounded.values()))
    mean = round(
        sum(value * sites for value, sites in stepped.values()) / sum(n for _, n in stepped.values()), _DIGITS
    )
    return replace(u, value=mean, layers=(), tracked=not mean)


def layer_names(request: Request) -> tuple[str, ...]:
    """Return the label of the layer of each site, empty texts where the structure has no layers."""
    from heterodft.structures import layer_labels

    structure = request.to_structure()
    if {"block", "material", "layer"} <= structure.site_properties.keys():
        return tuple(layer_labels(structure))
    return ("",) * len(structure)
