"""Scans of U: from the atoms at each U, and ramps that hand density, occupations and structure from U to U.

A ramp follows one state as long as it exists, whatever lies lower; that is what it is for. Both ramps begin from the
atoms at their own end of the range. The downward one does not begin where the upward one ended: it would follow the
same state back, and find nothing new. It cannot be left out either: one ramp alone, or one start at each U, shows a
single state and cannot tell whether it is the lowest. Where the ends of the range have several starts, a ramp begins
with the best of them: in the state asked for, then lowest in energy.

A point that fails is left out: its branch goes on from the last one that is finished.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from heterodft.analysis.gaps import find_gap
from heterodft.analysis.hubbard_branches import start_rank
from heterodft.analysis.hubbard_scan import HubbardScan
from heterodft.workflows.drivers.driver import Decision, Driver, Summary
from heterodft.workflows.drivers.hubbard_chains import asked_scan, scan_points
from heterodft.workflows.drivers.variants import as_variant, start_from

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from heterodft.analysis.gaps import Gap
    from heterodft.analysis.result import Result
    from heterodft.workflows.calculation import Request
    from heterodft.workflows.campaign import Campaign
    from heterodft.workflows.drivers.driver import Chain, Finished

__all__ = ["STRATEGY", "build"]

_ENERGY_STEPS = ("static", "relax")
"""The steps that a point is judged by and that the next one starts from, the better first."""
_GAP_STEPS = ("dos", "static", "relax")


def build(
    campaign: Campaign, kind: str = "hubbard", *, pseudo_dir: Path | None = None, notes: list[str] | None = None
) -> Driver:
    """Return the driver of a scan of U.

    Parameters
    ----------
    campaign, kind, pseudo_dir, notes
        As in `heterodft.workflows.drivers.build_driver`.

    Raises
    ------
    CampaignError
        If the campaign names no U, or what is to be scanned is not there.
    """
    spec, _ = asked_scan(campaign)
    points = scan_points(campaign, pseudo_dir=pseudo_dir, notes=notes)
    for step in (request.step for request in points[0].chains[0]):
        if step in _ENERGY_STEPS:
            break
    else:
        raise campaign.error(("steps",), "a scan of U needs the energies of a static step; write [static]")
    return Driver(kind, campaign.name, points, {"branches": list(spec.branches), "tolerance": spec.tolerance})


@dataclass(frozen=True)
class _Branch:
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


class _Scan:
    """The strategy of scans of U."""

    def decide(self, driver: Driver, finished: Finished) -> Decision:
        """Return the next point of every branch."""
        branches = _branches(driver, finished)
        wanted = _each_once([chain for branch in branches for chain in branch.wanted])
        done, planned = _each_once([c for b in branches for c in b.finished]), _planned(driver)
        failed = {_path(chain) for branch in branches for chain, _ in branch.failed}
        words = f"{len(done)} of {planned} points" + (f", {len(failed)} failed" if failed else "")
        if not wanted:
            return Decision((), f"{words}: every branch has ended")
        following = ", ".join(dict.fromkeys(_label(chain) for chain in wanted))
        return Decision(wanted, f"{words}; next {following}")

    def summarize(self, driver: Driver, finished: Finished, *, figures: bool = False) -> Summary:
        """Return tables of the points, of hysteresis, transitions, energies of orders and costs."""
        branches = _branches(driver, finished)
        chains = _each_once([chain for branch in branches for chain in branch.finished])
        scan = _scan(driver, chains, finished)
        failed = {_path(chain): reason for branch in branches for chain, reason in branch.failed}
        ended = not any(branch.wanted for branch in branches)
        words = [f"{path} failed, its branch goes on without it: {reason}" for path, reason in failed.items()]
        words += [*_differing_states(scan), *scan.notes]
        computed = sum(len(chain) for chain in chains)
        data: dict[str, Any] = {
            "ended": ended, "converged": None, "recommended": None, "planned": _planned(driver),
            "computed": len(chains), "calculations": computed, "failed": failed,
        }  # fmt: skip
        tables = {
            "hubbard_scan": scan.to_frame(),
            "hysteresis": scan.hysteresis_frame(),
            "transitions": scan.transitions_frame(),
            "order_energies": scan.order_energies_frame(),
            "branch_costs": scan.costs_frame(),
        }
        several = len(scan.structures) > 1
        drawn = {f"hubbard_scan_{name}" if several else "hubbard_scan": name for name in scan.structures}
        return Summary(
            title=_title(driver, scan, len(chains), ended=ended),
            tables=tables,
            words=tuple(words),
            data=data | scan.to_dict(),
            figures={file: scan.plot(name) for file, name in drawn.items()} if figures else {},
        )


STRATEGY = _Scan()


def _branches(driver: Driver, finished: Finished) -> list[_Branch]:
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
    """Return what each chain of a point belongs to; those of one U and order follow each other, the first start first.

    Where other U differ besides, the same structure and order come several times.
    """
    found, seen = [], dict[tuple[str, ...], int]()
    for chain in chains:
        about = chain[0].about
        start = (str(about["name"]), str(about["order"]), str(about["variant"]))
        seen[start] = seen.get(start, 0) + 1
        found.append(((*start[:2], str(seen[start])), chain))
    return found


def _cold(starts: Sequence[Sequence[Chain]], finished: Finished, *, one_by_one: bool) -> _Branch:
    """Return the starts from the atoms; beside ramps one U at a time, so that no ramp waits for all of them."""
    done, failed, wanted = _sorted_out([chain for at_u in starts for chain in at_u], finished)
    if one_by_one and wanted:
        first = next(at_u for at_u in starts if any(chain in wanted for chain in at_u))
        wanted = tuple(chain for chain in wanted if chain in first)
    return _Branch("cold", done, failed, wanted)


def _ramp(name: str, starts: Sequence[Sequence[Chain]], driver: Driver, finished: Finished) -> _Branch:
    """Follow a ramp to the point that is to be computed next."""
    done: list[Chain] = []
    failed: list[tuple[Chain, str]] = []
    before: Chain | None = None
    for at_u in starts:
        chains = list(at_u) if before is None else [_ramped(at_u, _last(before), driver.name, name)]
        here, lost, wanted = _sorted_out(chains, finished)
        done += here
        failed += lost
        if wanted:
            return _Branch(name, tuple(done), tuple(failed), wanted)
        if here:
            before = min(here, key=lambda chain: start_rank(_result(chain, finished)))
    return _Branch(name, tuple(done), tuple(failed), ())


def _ramped(at_u: Sequence[Chain], before: Request, campaign: str, name: str) -> Chain:
    """Return the chain of a U that starts from the structure, density and occupations of another."""
    own = at_u[0]
    if any(request.step == "relax" for request in own):  # the structure is close already
        own = tuple(request for request in own if request.step != "relax-coarse")
    hubbard = tuple(replace(u, start=None) for u in own[0].hubbard)  # the occupations are those handed on
    own = tuple(replace(request, hubbard=hubbard) for request in own)
    return start_from(as_variant(own, campaign, name), before)


def _last(chain: Chain) -> Request:
    """Return the step of a chain that says its energy and holds its density."""
    by_step = {request.step: request for request in chain}
    return next(by_step[step] for step in _ENERGY_STEPS if step in by_step)


def _result(chain: Chain, finished: Finished) -> Result:
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


def _each_once(chains: Sequence[Chain]) -> tuple[Chain, ...]:
    return tuple({_path(chain): chain for chain in chains}.values())


def _path(chain: Chain) -> str:
    return chain[0].path.rpartition("/")[0]


def _label(chain: Chain) -> str:
    about = chain[0].about
    return " ".join(str(about[key]) for key in ("name", "order", "hubbard", "variant"))


def _planned(driver: Driver) -> int:
    """Return the number of points there are when nothing fails: a ramp shares its first with the starts there."""
    total = 0
    for starts in _tracks(driver):
        names = driver.rule["branches"]
        ramps = [name for name in names if name != "cold"]
        ends = {0 if name == "up" else len(starts) - 1 for name in ramps}
        from_atoms = range(len(starts)) if "cold" in names else ends
        total += sum(len(starts[i]) for i in from_atoms) + len(ramps) * (len(starts) - 1)
    return total


def _scan(driver: Driver, chains: Sequence[Chain], finished: Finished) -> HubbardScan:
    return HubbardScan.from_results(
        [_result(chain, finished) for chain in chains],
        branches=[str(chain[0].about["variant"]) for chain in chains],
        gaps=[_gap(chain, finished) for chain in chains],
        costs=[_cost(chain, finished) for chain in chains],
        tolerance=float(driver.rule["tolerance"]),
    )


def _gap(chain: Chain, finished: Finished) -> Gap | None:
    """Return the gap from the densest mesh that was computed."""
    for step in _GAP_STEPS:
        for request in chain:
            result = finished.result(request) if request.step == step else None
            gap = find_gap(result) if result is not None and result.bands is not None else None
            if gap is not None:
                return gap
    return None


def _cost(chain: Chain, finished: Finished) -> tuple[int, float]:
    results = [result for request in chain if (result := finished.result(request)) is not None]
    return sum(one.iterations or 0 for one in results), sum(one.cpu_seconds or 0.0 for one in results)


def _differing_states(scan: HubbardScan) -> list[str]:
    """Return a line for each point that ended in another order than the one asked for."""
    return [
        f"{row.structure} {row.order}, {row.branch}, U = {row.u:g} eV: {note}"
        for row in scan.rows
        if not row.shared
        for note in row.point.notes
    ]


def _title(driver: Driver, scan: HubbardScan, computed: int, *, ended: bool) -> str:
    first, last = driver.points[0].value, driver.points[-1].value
    branches = ", ".join(driver.rule["branches"])
    state = "" if ended else f", {computed} of {_planned(driver)} points so far"
    return f"{scan.axis if scan.scanned else 'U'} {first:g} to {last:g} eV ({branches}){state}"
