"""Scans of U: from the atoms at each U, and ramps that hand density, occupations and structure from U to U.

A ramp follows one state as long as it exists, whatever lies lower; that is what it is for. Both ramps begin from the
atoms at their own end of the range. The downward one does not begin where the upward one ended: it would follow the
same state back, and find nothing new. It cannot be left out either: one ramp alone, or one start at each U, shows a
single state and cannot tell whether it is the lowest. Where the ends of the range have several starts, a ramp begins
with the best of them: in the state asked for, then lowest in energy.

A point that fails is left out: its branch goes on from the last one that is finished.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from heterodft.analysis.cell_stress import MOST_STRESS, stress_left
from heterodft.analysis.gaps import find_gap
from heterodft.analysis.hubbard_scan import HubbardScan
from heterodft.templates.steps import RELAXATIONS
from heterodft.workflows.drivers.driver import Decision, Driver, Summary
from heterodft.workflows.drivers.hubbard_chains import asked_scan, scan_points
from heterodft.workflows.drivers.hubbard_ramps import (
    ENERGY_STEPS,
    branches_of,
    chain_path,
    each_once,
    planned_points,
    result_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from heterodft.analysis.gaps import Gap
    from heterodft.workflows.campaign import Campaign
    from heterodft.workflows.drivers.driver import Chain, Finished

__all__ = ["STRATEGY", "build"]

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
        if step in ENERGY_STEPS:
            break
    else:
        raise campaign.error(("steps",), "a scan of U needs the energies of a static step; write [static]")
    return Driver(kind, campaign.name, points, {"branches": list(spec.branches), "tolerance": spec.tolerance})


class _Scan:
    """The strategy of scans of U."""

    def decide(self, driver: Driver, finished: Finished) -> Decision:
        """Return the next point of every branch."""
        branches = branches_of(driver, finished)
        wanted = each_once([chain for branch in branches for chain in branch.wanted])
        done, planned = each_once([c for b in branches for c in b.finished]), planned_points(driver)
        failed = {chain_path(chain) for branch in branches for chain, _ in branch.failed}
        words = f"{len(done)} of {planned} points" + (f", {len(failed)} failed" if failed else "")
        if not wanted:
            return Decision((), f"{words}: every branch has ended")
        following = ", ".join(dict.fromkeys(_label(chain) for chain in wanted))
        return Decision(wanted, f"{words}; next {following}")

    def summarize(self, driver: Driver, finished: Finished, *, figures: bool = False) -> Summary:
        """Return tables of the points, of hysteresis, transitions, energies of orders and costs."""
        branches = branches_of(driver, finished)
        chains = each_once([chain for branch in branches for chain in branch.finished])
        scan = _scan(driver, chains, finished)
        failed = {chain_path(chain): reason for branch in branches for chain, reason in branch.failed}
        ended = not any(branch.wanted for branch in branches)
        words = [f"{path} failed, its branch goes on without it: {reason}" for path, reason in failed.items()]
        words += [*_stress_left(chains, finished), *_differing_states(scan), *scan.notes]
        computed = sum(len(chain) for chain in chains)
        data: dict[str, Any] = {
            "ended": ended, "converged": None, "recommended": None, "planned": planned_points(driver),
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
        drawn = [(f"hubbard_scan_{name}" if several else "hubbard_scan", name) for name in scan.structures]
        if several:  # a figure goes with the table of its name
            every = tables["hubbard_scan"]
            tables |= {file: every[every["structure"] == name] for file, name in drawn}
        return Summary(
            title=_title(driver, scan, len(chains), ended=ended),
            tables=tables,
            words=tuple(words),
            data=data | scan.to_dict(),
            figures={file: scan.plot(name) for file, name in drawn} if figures else {},
            shown=scan.narrow_frames(),
        )


STRATEGY = _Scan()


def _label(chain: Chain) -> str:
    about = chain[0].about
    return " ".join(str(about[key]) for key in ("name", "order", "hubbard", "variant"))


def _scan(driver: Driver, chains: Sequence[Chain], finished: Finished) -> HubbardScan:
    return HubbardScan.from_results(
        [result_of(chain, finished) for chain in chains],
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


def _cost(chain: Chain, finished: Finished) -> tuple[int | None, float]:
    """Return SCF iterations and CPU seconds of all runs; the iterations of a relaxation are not always told."""
    results = [result for request in chain if (result := finished.result(request)) is not None]
    told = all(one.spent or one.step not in RELAXATIONS for one in results)
    iterations = sum(one.all_iterations or 0 for one in results) if told else None
    return iterations, sum(one.all_cpu_seconds or 0.0 for one in results)


def _stress_left(chains: Sequence[Chain], finished: Finished) -> list[str]:
    """Return a line where relaxed cells are under stress again in their own plane waves: a ramp hands them on."""
    found = []
    for chain in chains:
        steps = {request.step: request for request in chain}
        relax, static = (steps.get(name) for name in ("relax", "static"))
        if relax is not None:
            results = [None if one is None else finished.result(one) for one in (relax, static)]
            found.append(stress_left(relax.settings.cell, *results) or 0.0)
    if max(found, default=0.0) < MOST_STRESS:
        return []
    return [
        f"cells are not relaxed: up to {max(found):.1f} GPa are left at the cutoff of their own cell, so that "
        "lattice constants and energies depend on the cell they began with; raise the cutoff of relax"
    ]


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
    state = "" if ended else f", {computed} of {planned_points(driver)} points so far"
    return f"{scan.axis if scan.scanned else 'U'} {first:g} to {last:g} eV ({branches}){state}"
