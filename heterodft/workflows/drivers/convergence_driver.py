"""Cutoff, k-mesh, smearing, layers or vacuum, from coarse to fine, until successive points agree.

All configurations of a point run at once, the points one after the other, each from the density of the same
configuration at the last point as long as that helps. A configuration that missed its magnetic state is started
anew at the next point. The driver ends when the points agree; at the end of the range; when a quantity has had no
value that counts at three points in a row (a metal has no gap, an order that does not exist no energy), since more
points would not change that; and when two points failed. One failed point is passed over: a coarse point may fail
where a finer one does not, and the points beside it are farther apart, so that they agree the less easily.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from heterodft.analysis.convergence import Convergence, Named
from heterodft.analysis.tolerances import Tolerance
from heterodft.workflows.convergence_spec import AXES
from heterodft.workflows.drivers.convergence_points import compared, find_range, wanted_spec
from heterodft.workflows.drivers.convergence_summary import summarize_walk
from heterodft.workflows.drivers.driver import Decision, Driver
from heterodft.workflows.drivers.variants import computed_before, start_from

if TYPE_CHECKING:
    from pathlib import Path

    from heterodft.analysis.result import Result
    from heterodft.workflows.calculation import Request
    from heterodft.workflows.campaign import Campaign
    from heterodft.workflows.drivers.driver import Chain, Finished, Point, Summary

__all__ = ["STRATEGY", "Walk", "build", "follow"]

_MOST_FAILED = 2
"""Points; one may fail by itself, two are more than chance."""
_MOST_WITHOUT = 3
"""Points in a row without a value that counts."""
_KEPT = ("", "kept")
_NONE = 0
"""Iterations that a start from a density may take where it did not help."""


def build(campaign: Campaign, kind: str, *, pseudo_dir: Path | None = None, notes: list[str] | None = None) -> Driver:
    """Return the driver of a range, see `heterodft.workflows.drivers.build_driver`."""
    notes = [] if notes is None else notes
    spec = wanted_spec(campaign, kind)
    found = find_range(campaign, kind, spec, pseudo_dir=pseudo_dir, notes=notes)
    notes[:] = [*dict.fromkeys(notes), *found.left_out]
    rule = {
        "tolerances": [tolerance.to_data() for tolerance in found.tolerances],
        "agree": spec.agree,
        "start_from": spec.start_from or _default_start(kind, campaign.code),
        "left_out": list(found.left_out),
        "material": spec.material,
    }
    return Driver(kind, campaign.name, found.points, rule)


def _default_start(kind: str, code: str) -> str:
    """Return what each point starts from.

    Measured with pw.x 6.7: the density of the point before saves 30 to 35 % of the iterations of cutoffs and meshes
    of CrN at the same energy, but doubles those of cutoffs of SrTiO3 (36 against 16 at 30 Ry). So it is tried, and
    given up for a configuration that takes more iterations with it than it took from scratch. VASP reads no density
    of another cutoff's grid; other cells share none.
    """
    if kind in ("layers", "vacuum") or (kind, code) == ("cutoff", "vasp"):
        return "scratch"
    return "if it helps"


@dataclass
class Walk:
    """How far a driver got.

    Attributes
    ----------
    points, chains, results
        Of the points at which all configurations are finished; results are those compared.
    failed
        Points at which a configuration failed, with its path and the reason.
    pending
        The point to be computed next with its chains; None when the driver has ended.
    """

    points: list[Point] = field(default_factory=list)
    chains: list[tuple[Chain, ...]] = field(default_factory=list)
    results: list[list[Result]] = field(default_factory=list)
    failed: list[tuple[Point, tuple[Chain, ...], str]] = field(default_factory=list)
    pending: tuple[Point, tuple[Chain, ...]] | None = None


def follow(driver: Driver, finished: Finished) -> Walk:
    """Go through the points as far as they are finished, with each started as it was."""
    walk = Walk()
    last: list[Request | None] = [None] * len(driver.points[0].chains)
    fewest: list[int | None] = [None] * len(last)
    for point in driver.points:
        chains = tuple(
            _started(walk, finished, number, chain, before)
            for number, (chain, before) in enumerate(zip(point.chains, last, strict=True))
        )
        reasons = [finished.chain_failure(chain) for chain in chains]
        over = [
            reason is not None or finished.is_finished(chain) for chain, reason in zip(chains, reasons, strict=True)
        ]
        if not all(over):
            walk.pending = (point, chains)
            return walk
        if driver.rule["start_from"] != "scratch":
            last = [_next_start(finished, chain, before) for chain, before in zip(chains, last, strict=True)]
        if driver.rule["start_from"] == "if it helps":
            fewest = [_allowed(finished, chain, known) for chain, known in zip(chains, fewest, strict=True)]
            last = [None if allowed == _NONE else one for one, allowed in zip(last, fewest, strict=True)]
        failure = next((reason for reason in reasons if reason is not None), None)
        if failure is None:
            walk.points.append(point)
            walk.chains.append(chains)
            walk.results.append([_result(finished, chain) for chain in chains])
        else:
            walk.failed.append((point, chains, failure))
        if _is_over(driver, walk):
            return walk
    return walk


def _started(walk: Walk, finished: Finished, number: int, chain: Chain, before: Request | None) -> Chain:
    """Return the chain of a configuration at a point from what it starts from, or from what it was started from."""
    visited = [*walk.chains, *(chains for _, chains, _ in walk.failed)]
    known = [compared(chains[number]) for chains in visited]
    others = (chain if one is None else start_from(chain, one) for one in (*known, None) if one is not before)
    return computed_before(chain if before is None else start_from(chain, before), others, finished)


def _next_start(finished: Finished, chain: Chain, before: Request | None) -> Request | None:
    """Return what the next point of a configuration starts from: a missed state is not handed on."""
    result = finished.result(compared(chain))
    if result is None:
        return before
    return compared(chain) if result.request.get("state", {}).get("verdict", "") in _KEPT else None


def _allowed(finished: Finished, chain: Chain, known: int | None) -> int | None:
    """Return how many iterations a start from a density may take: as many as the last one from scratch; or none."""
    result = finished.result(chain[0])
    if result is None or known == _NONE:
        return known
    if chain[0].parent is None:
        return result.iterations
    slow = result.iterations is not None and known is not None and result.iterations > known
    return _NONE if slow or result.corrections else known


def _result(finished: Finished, chain: Chain) -> Result:
    result = finished.result(compared(chain))
    assert result is not None  # noqa: S101, the chain is finished
    return result


def _is_over(driver: Driver, walk: Walk) -> bool:
    if len(walk.failed) >= _MOST_FAILED:
        return True
    found = convergence_of(driver, walk)
    return found.converged or bool(found.missing(_MOST_WITHOUT))


def convergence_of(driver: Driver, walk: Walk) -> Convergence:
    """Compare the points that are finished."""
    abouts = [chain[0].about for chain in driver.points[0].chains]
    return Convergence.from_results(
        [(point.value, point.label) for point in walk.points],
        walk.results,
        [Named(about["name"], about["order"], about["hubbard"]) for about in abouts],
        [Tolerance(*data) for data in driver.rule["tolerances"]],
        axis=driver.kind,
        unit={"energy": "eV", "length": "Å", "inverse length": "1/Å"}.get(str(AXES[driver.kind].dimension), ""),
        agree=driver.rule["agree"],
        growing=driver.kind == "layers",
    )


class _Strategy:
    """See `heterodft.workflows.drivers.driver.Strategy`."""

    def decide(self, driver: Driver, finished: Finished) -> Decision:
        """Return the next point, or that it has ended."""
        walk = follow(driver, finished)
        found = convergence_of(driver, walk)
        told = _last_words(found)
        if walk.pending is not None:
            point, chains = walk.pending
            return Decision(chains, f"{told}{point.label} next" if told else f"{point.label} first")
        if found.converged:
            return Decision((), f"{told}converged, {found.labels[found.first or 0]} is enough")
        return Decision((), f"{told}not converged")

    def summarize(self, driver: Driver, finished: Finished, *, figures: bool = False) -> Summary:
        """Return what was found so far."""
        walk = follow(driver, finished)
        return summarize_walk(driver, walk, convergence_of(driver, walk), finished, figures=figures)


def _last_words(found: Convergence) -> str:
    """Return what the last point says: what hinders, with the others counted."""
    last = len(found.values) - 1
    if last < 1:
        return f"{found.labels[0]} is finished; " if found.labels else ""
    hindering = found.hindering(last - 1, last)
    if not hindering:
        return f"{found.labels[last]} agrees with {found.labels[last - 1]}; "
    more = f" and {len(hindering) - 1} more" if len(hindering) > 1 else ""
    return f"{found.labels[last]}: {hindering[0]}{more}; "


STRATEGY = _Strategy()
