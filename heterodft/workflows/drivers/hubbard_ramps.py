"""The branches of a scan of U, each as far as it is, and the point it computes next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from heterodft.analysis.hubbard_branches import start_rank
from heterodft.workflows.drivers.variants import as_variant, computed_before, start_from

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heterodft.analysis.result import Result
    from heterodft.workflows.calculation import Request
    from heterodft.workflows.drivers.driver import Chain, Driver, Finished

__all__ = ["ENERGY_STEPS", "Branch", "branches_of", "chain_path", "each_once", "planned_points", "result_of"]

ENERGY_STEPS = ("static", "relax")
"""The steps that a point is judged by and that the next one starts from, the better first."""


@dataclass(frozen=True)
class Branch:
    """One branch of one structure and order, as far as it is.

    Attributes
    ----------
    name
        ``cold``, ``up`` or ``down``.
    finished, failed
        Chains, and of the latter with the reason.
    wanted
        To be computed now; empty when the branch has ended.
    """

    name: str
    finished: tuple[Chain, ...]
    failed: tuple[tuple[Chain, str], ...]
    wanted: tuple[Chain, ...]


def branches_of(driver: Driver, finished: Finished) -> list[Branch]:
    """Return every branch of every structure and order as far as it is."""
    names = driver.rule["branches"]
    found = []
    for starts in _tracks(driver):
        for name in names:
            if name == "cold":
                found.append(_cold(starts, finished, one_by_one=len(names) > 1))
            else:
                found.append(_ramp(name, starts if name == "up" else starts[::-1], driver, finished))
    return found


def _tracks(driver: Driver) -> list[list[list[Chain]]]:
    """Return for each structure and order its starts from the atoms, by U and then by factor."""
    tracks: dict[tuple[str, ...], list[list[Chain]]] = {}
    for i, point in enumerate(driver.points):
        for place, chain in _places(point.chains):
            steps = tracks.setdefault(place, [])
            steps += [[] for _ in range(i + 1 - len(steps))]
            steps[i].append(chain)
    return list(tracks.values())


def _places(chains: Sequence[Chain]) -> list[tuple[tuple[str, ...], Chain]]:
    """Return what each chain of a point belongs to: structure, order, and a number where other U differ besides."""
    found: list[tuple[tuple[str, ...], Chain]] = []
    seen: dict[tuple[str, ...], int] = {}
    for chain in chains:
        about = chain[0].about
        start = (str(about["name"]), str(about["order"]), str(about["variant"]))
        seen[start] = seen.get(start, 0) + 1
        found.append(((*start[:2], str(seen[start])), chain))
    return found


def _cold(starts: Sequence[Sequence[Chain]], finished: Finished, *, one_by_one: bool) -> Branch:
    """Return the starts from the atoms; beside ramps one U at a time, so that no ramp waits for all of them."""
    done, failed, wanted = _sorted_out([chain for at_u in starts for chain in at_u], finished)
    if one_by_one and wanted:
        first = next(at_u for at_u in starts if any(chain in wanted for chain in at_u))
        wanted = tuple(chain for chain in wanted if chain in first)
    return Branch("cold", done, failed, wanted)


def _ramp(name: str, starts: Sequence[Sequence[Chain]], driver: Driver, finished: Finished) -> Branch:
    """Follow a ramp to the point that is to be computed next."""
    done: list[Chain] = []
    failed: list[tuple[Chain, str]] = []
    before: Chain | None = None
    known: list[Chain] = []
    for at_u in starts:
        chains = list(at_u)
        if before is not None:
            others = (_ramped(at_u, _last(one), driver.name, name) for one in known)
            chains = [computed_before(_ramped(at_u, _last(before), driver.name, name), others, finished)]
        here, lost, wanted = _sorted_out(chains, finished)
        known += [*here, *(chain for chain in at_u if finished.is_finished(chain))]
        done += here
        failed += lost
        if wanted:
            return Branch(name, tuple(done), tuple(failed), wanted)
        if here:
            before = min(here, key=lambda chain: start_rank(result_of(chain, finished)))
    return Branch(name, tuple(done), tuple(failed), ())


def _ramped(at_u: Sequence[Chain], before: Request, campaign: str, name: str) -> Chain:
    """Return the chain of a U that starts from the structure, density and occupations of another."""
    own = at_u[0]
    if any(request.step == "relax" for request in own):  # the structure is close already
        own = tuple(request for request in own if request.step != "relax-coarse")
    hubbard = tuple(replace(u, start=None) for u in own[0].hubbard)  # the occupations are those handed on
    # Nothing is started again: a state that was not asked for is what a ramp may find.
    plain = {"unreached": None}
    own = tuple(replace(request, hubbard=hubbard, about=request.about | plain) for request in own)
    return start_from(as_variant(own, campaign, name), before)


def _last(chain: Chain) -> Request:
    """Return the step of a chain that says its energy and holds its density."""
    by_step = {request.step: request for request in chain}
    return next(by_step[step] for step in ENERGY_STEPS if step in by_step)


def result_of(chain: Chain, finished: Finished) -> Result:
    """Return the result that says the energy of a finished chain."""
    result = finished.result(_last(chain))
    assert result is not None  # noqa: S101
    return result


def _sorted_out(
    chains: Sequence[Chain], finished: Finished
) -> tuple[tuple[Chain, ...], tuple[tuple[Chain, str], ...], tuple[Chain, ...]]:
    """Return which chains are finished, which failed and why, and which are to be computed."""
    done, failed, wanted = [], [], []
    for chain in chains:
        if finished.is_finished(chain):
            done.append(chain)
        elif (reason := finished.chain_failure(chain)) is not None:
            failed.append((chain, reason))
        else:
            wanted.append(chain)
    return tuple(done), tuple(failed), tuple(wanted)


def each_once(chains: Sequence[Chain]) -> tuple[Chain, ...]:
    """Return chains without those that several branches share."""
    return tuple({chain_path(chain): chain for chain in chains}.values())


def chain_path(chain: Chain) -> str:
    """Return the folder of a chain below the folder of runs."""
    return chain[0].path.rpartition("/")[0]


def planned_points(driver: Driver) -> int:
    """Return the number of points there are when nothing fails: a ramp shares its first with the starts there."""
    total = 0
    for starts in _tracks(driver):
        names = driver.rule["branches"]
        ramps = [name for name in names if name != "cold"]
        ends = {0 if name == "up" else len(starts) - 1 for name in ramps}
        from_atoms = range(len(starts)) if "cold" in names else ends
        total += sum(len(starts[i]) for i in from_atoms) + len(ramps) * (len(starts) - 1)
    return total
