"""Linear response by finite shifts: for each inequivalent Hubbard site a few shifts, bare and screened, then U.

The ground state comes first, converged tightly; all shifts follow in one round, since they are known once it tells
which sites symmetry makes alike. Where a response is no straight line, a second round asks for smaller shifts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from heterodft.analysis.shifted_results import first_images, response_of, shifted_result, symmetry_of
from heterodft.errors import ReaderError
from heterodft.workflows.drivers.driver import Decision
from heterodft.workflows.drivers.shift_requests import DEFAULT_SHIFTS, ShiftsAsked, build, shift_requests

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heterodft.analysis.linear_response import LinearResponse
    from heterodft.analysis.result import Result
    from heterodft.workflows.calculation import Request
    from heterodft.workflows.drivers.driver import Chain, Driver, Finished, Summary

__all__ = [
    "DEFAULT_SHIFTS",
    "ShiftsAsked",
    "build",
    "decide",
    "requests_of",
    "responses",
    "sites_of",
    "summarize",
]

_SMALLER = 0.25
"""By which shifts of a second round are smaller."""


@dataclass(frozen=True)
class _Round:
    """The shifts of one configuration that are known to be needed, and why there are no more."""

    requests: tuple[Request, ...]
    words: str


def decide(driver: Driver, finished: Finished) -> Decision:
    """Return the ground states, then the shifts, then smaller ones where a response is no straight line."""
    chains: list[Chain] = []
    words: list[str] = []
    for point in driver.points:
        (chain,) = point.chains
        if finished.chain_failure(chain) is not None:
            continue
        if not finished.is_finished(chain):
            chains.append(chain)
            words.append(f"{point.label}: ground state")
            continue
        found = _next_round(driver, chain, finished)
        open_ones = [(r,) for r in found.requests if finished.result(r) is None and finished.failure(r) is None]
        chains += open_ones
        if open_ones:
            words.append(f"{point.label}: {found.words}")
    return Decision(tuple(chains), "; ".join(words) or "all shifts are computed")


def _next_round(driver: Driver, chain: Chain, finished: Finished) -> _Round:
    """Return all shifts of a configuration that are asked for so far."""
    static = chain[-1]
    result = finished.result(static)
    try:
        sites = sites_of(static, result) if result is not None else {}
    except ReaderError:
        return _Round((), "")
    first = shift_requests(static, sites, driver.rule["shifts"])
    if any(finished.result(r) is None and finished.failure(r) is None for r in first):
        names = ", ".join(f"{static.structure['species'][site]}{site + 1}" for site in sites)
        return _Round(first, f"{len(driver.rule['shifts'])} shifts of {names}, bare and screened")
    curved = _curved(static, first, finished)
    if not curved:
        return _Round(first, "")
    smaller = [round(shift * _SMALLER, 6) for shift in driver.rule["shifts"]]
    second = shift_requests(static, curved, smaller)
    names = ", ".join(f"{static.structure['species'][site]}{site + 1}" for site in curved)
    return _Round((*first, *second), f"the response of {names} is no straight line; smaller shifts")


def sites_of(static: Request, result: Result) -> dict[int, list[int]]:
    """Return the inequivalent sites to shift, each with its images."""
    wanted = static.about["shifted"]
    sites = [i for i, element in enumerate(static.structure["species"]) if element in wanted]
    shells = {element: shell[-1] for element, shell in wanted.items()}
    return first_images(sites, symmetry_of(result, sites, shells))


def _curved(static: Request, requests: Sequence[Request], finished: Finished) -> list[int]:
    """Return the sites whose response is no straight line even without the largest shifts."""
    response = _response(static, requests, finished)
    return [] if isinstance(response, str) else list(response.doubtful)


def _response(static: Request, requests: Sequence[Request], finished: Finished) -> LinearResponse | str:
    """Return the fits of what is finished, or why there are none, in words."""
    ground = finished.result(static)
    if ground is None:
        return "the ground state is not finished"
    found = [result for request in requests if (result := finished.result(request)) is not None]
    if not found:
        return "no shift is finished"
    try:
        return response_of([shifted_result(ground), *map(shifted_result, found)])
    except ReaderError as error:
        return str(error)


def requests_of(driver: Driver, chain: Chain, finished: Finished) -> tuple[Request, ...]:
    """Return the shifts of a configuration whose ground state is finished, as far as they are known to be needed."""
    return _next_round(driver, chain, finished).requests


def responses(driver: Driver, finished: Finished) -> dict[str, LinearResponse | str]:
    """Return the response of each configuration by its label, or why there is none yet, in words."""
    found: dict[str, LinearResponse | str] = {}
    for point in driver.points:
        (chain,) = point.chains
        failure = finished.chain_failure(chain)
        if failure is not None or not finished.is_finished(chain):
            found[point.label] = failure or "the ground state is not finished"
            continue
        found[point.label] = _response(chain[-1], requests_of(driver, chain, finished), finished)
    return found


def summarize(driver: Driver, finished: Finished, *, figures: bool = False) -> Summary:
    """Return U per inequivalent site of each configuration, and every point it comes from."""
    from heterodft.workflows.drivers.shift_summary import summary_of

    return summary_of(driver, finished, figures=figures)
