"""What a driver of convergence found, in tables and words, and what it cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.words import number_of
from heterodft.workflows.convergence_spec import AXES
from heterodft.workflows.drivers.convergence_points import compared
from heterodft.workflows.drivers.driver import Summary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.figure import Figure
    from pandas import DataFrame

    from heterodft.analysis.convergence import Convergence
    from heterodft.workflows.drivers.convergence_driver import Walk
    from heterodft.workflows.drivers.driver import Chain, Driver, Finished, Point

__all__ = ["summarize_walk"]

_NO_FORCE = 1e-4
"""eV/Å."""
_HEADS = {"iterations": "SCF iterations", "cpu_seconds": "CPU time (s)"}


def summarize_walk(
    driver: Driver, walk: Walk, found: Convergence, finished: Finished, *, figures: bool = False
) -> Summary:
    """Return the summary of a driver as far as it got."""
    from pandas import DataFrame

    visited = [*zip(walk.points, walk.chains, strict=True), *((point, chains) for point, chains, _ in walk.failed)]
    visited.sort(key=lambda one: AXES[driver.kind].finer * one[0].value)
    rows = [_point_row(driver, point, chains, finished) for point, chains in visited]
    data = _data(driver, walk, found, rows)
    drawn: dict[str, Figure] = {}
    if figures and len(walk.points) > 1:
        drawn["convergence"] = found.plot()
    return Summary(
        title=f"Convergence of {driver.kind} in {driver.campaign}",
        tables={"convergence": found.to_frame(), "points": DataFrame(rows).rename(columns=_HEADS)},
        words=tuple(_words(driver, walk, found, data)),
        data=data,
        figures=drawn,
        shown=_shown(found) | {"Cost of each point": DataFrame(rows).rename(columns=_HEADS)} if rows else {},
    )


def _shown(found: Convergence) -> dict[str, DataFrame]:
    """Return a narrow table for each quantity and configuration, total energies in eV."""
    from pandas import DataFrame

    tables = {}
    for one in found.series:
        if np.isnan(one.values).all():  # the words say why
            continue
        total = one.tolerance.quantity == "energy"
        scale, unit = (1.0, f"eV/{one.tolerance.per}") if total else (one.tolerance.scale, one.tolerance.unit)
        points = range(len(found.labels))
        tables[f"{one.tolerance.quantity} of {one.name}, which may change by {one.tolerance.text}"] = DataFrame(
            {
                found.axis: found.labels,
                f">{one.tolerance.quantity} ({unit})": [_number(one.values[i] * scale, digits=7) for i in points],
                f">change ({one.tolerance.unit})": [
                    _number(one.changes[i, i - 1] * one.tolerance.scale) if i else "" for i in points
                ],
                "agrees": ["" if not i else "yes" if one.agrees(i, i - 1) else "no" for i in points],
            }
        )
    return tables


def _number(value: float, digits: int = 4) -> str:
    """Return a number without an exponent where it has few digits before the point."""
    if np.isnan(value):
        return "–"
    return f"{value:.{digits}g}" if abs(value) < 10**digits else f"{value:.0f}"


def _point_row(driver: Driver, point: Point, chains: Sequence[Chain], finished: Finished) -> dict[str, Any]:
    """Return the cost of a point: calculations, SCF iterations, CPU time, and what they started from."""
    results = [result for chain in chains for r in chain if (result := finished.result(r)) is not None]
    meshes = dict.fromkeys("x".join(map(str, compared(chain).settings.kpoints)) for chain in chains)
    seconds = [one.all_cpu_seconds for one in results if one.all_cpu_seconds is not None]
    return {
        driver.kind: point.label,
        "calculations": sum(map(len, chains)),
        "from a density": sum(chain[0].parent is not None for chain in chains),
        "iterations": sum(result.all_iterations or 0 for result in results),
        "cpu_seconds": sum(seconds) if seconds else None,
        "k-mesh": ", ".join(meshes),
    }


def _data(driver: Driver, walk: Walk, found: Convergence, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    seconds = [row["cpu_seconds"] for row in rows if row["cpu_seconds"] is not None]
    return {
        "ended": walk.pending is None,
        "converged": found.converged if walk.pending is None else None,
        "recommended": found.recommended,
        "recommended_label": None if found.first is None else found.labels[found.first],
        "key": AXES[driver.kind].key,
        "material": driver.rule["material"],
        "computed": sum(row["calculations"] for row in rows),
        "planned": sum(len(chain) for point in driver.points for chain in point.chains),
        "iterations": sum(row["iterations"] for row in rows),
        "cpu_seconds": sum(seconds) if seconds else None,
        "failed": [{"point": point.label, "reason": reason} for point, _, reason in walk.failed],
        "left_out": driver.rule["left_out"],
        "points": list(rows),
        "convergence": found.to_dict(),
    }


def _words(driver: Driver, walk: Walk, found: Convergence, data: dict[str, Any]) -> Iterator[str]:
    yield from _verdict(driver, walk, found, data)
    yield from _remaining(found)
    computed, planned = data["computed"], data["planned"]
    if data["ended"] and computed < planned:
        left = planned - computed
        were = "was" if left == 1 else "were"
        yield f"{computed} of {number_of(planned, 'calculation')} were made, {left} {were} not needed"
    yield from _starts(data["points"])
    if driver.kind == "layers":
        yield "energies are those of the added layers, (E_n - E_m) / (N_n - N_m), unless they are of the cell"
    if driver.kind == "smearing":
        yield from _mesh_of_smearing(walk)
    yield from _doubts(walk, found)
    yield from (f"{point.label} was passed over, it failed: {reason}" for point, _, reason in walk.failed)
    yield from data["left_out"]


def _mesh_of_smearing(walk: Walk) -> Iterator[str]:
    """Say that a width is converged at its mesh only: a wide one hides what a coarse mesh lacks."""
    if walk.chains:
        meshes = dict.fromkeys("x".join(map(str, compared(chain).settings.kpoints)) for chain in walk.chains[-1])
        yield (
            f"this holds for the mesh {', '.join(meshes)} alone, and a narrower width needs a denser one: converge "
            "kspacing at the smallest width in use"
        )


def _in_file(driver: Driver, key: str, label: str) -> str:
    """Return what the campaign file is to say: ``method: {cutoff: 60 Ry}``, ``layers: 4``."""
    section, _, name = key.rpartition(".")
    number = label.partition(" ")[0] if driver.kind in ("kspacing", "layers") else label
    material = f" of {driver.rule['material']}" if driver.rule["material"] else ""
    return f"{section}: {{{name}: {number}}}" if section else f"{name}: {number}{material}"


def _verdict(driver: Driver, walk: Walk, found: Convergence, data: dict[str, Any]) -> Iterator[str]:
    key, last = data["key"], len(found.values) - 1
    if found.first is not None:
        yield f"{found.labels[found.first]} is enough; write {_in_file(driver, key, found.labels[found.first])}"
        told = "; ".join(found.largest(found.first, last))
        yield f"from {found.labels[found.first]} to {found.labels[last]}: {told}"
        return
    if walk.pending is not None:
        yield f"not ended: {walk.pending[0].label} is to be computed"
    elif len(walk.failed) > 1:
        yield f"stopped without an answer: {len(walk.failed)} points failed"
    elif len(walk.points) + len(walk.failed) < len(driver.points):
        yield (
            f"stopped without an answer at {found.labels[last]}: what had no value that counts at three points would "
            f"have none at finer ones; leave it out by orders, structures or quantities of converge.{driver.kind}"
        )
    else:
        yield f"not converged at the end of the range, {driver.points[-1].label}; set stop further on"
    if last > 0:
        changes = [one for one in found.hindering(last - 1, last) if "does not count" not in one]
        yield from (f"{found.labels[last - 1]} to {found.labels[last]}: {one}" for one in changes)


def _remaining(found: Convergence) -> Iterator[str]:
    """Say how far the recommended point still is from the limit, where the changes decay regularly."""
    estimates = [(one, rest) for one in found.series if (rest := found.remaining(one)) is not None]
    if not estimates:
        return
    one, rest = max(estimates, key=lambda pair: pair[1] / pair[0].tolerance.value)
    above = ", more than asked: the changes decay slowly" if rest > one.tolerance.value else ""
    told = f"{one.tolerance.quantity} of {one.name} about {one.tolerance.show(rest)}"
    yield f"left beyond the recommended point, by the decay of the last two changes: {told}{above}"


def _starts(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Say how many iterations a calculation took from scratch and from a density."""
    cold = [row["iterations"] / row["calculations"] for row in rows if not row["from a density"]]
    warm = [row["iterations"] / row["calculations"] for row in rows if row["from a density"] == row["calculations"]]
    if cold and warm:
        yield (
            f"SCF iterations of a calculation: {np.mean(cold):.0f} from scratch, {np.mean(warm):.0f} from the "
            "density of the point before"
        )


def _doubts(walk: Walk, found: Convergence) -> Iterator[str]:
    """Say which points do not count, and quantities that symmetry makes zero."""
    told: dict[str, dict[str, None]] = {}
    for one in found.series:
        for i, (label, reason) in enumerate(zip(found.labels, one.absent, strict=True)):
            apart = one.reasons[i][i - 1] if i and not one.absent[i - 1] else ""
            if reason:
                told.setdefault(f"{one.name}: {reason}", {})[label] = None
            elif apart:
                told.setdefault(f"{one.name}: {apart}", {})[f"{found.labels[i - 1]} to {label}"] = None
    for what in [what for what in told if any(_says_no_more(what, other) for other in told)]:
        del told[what]
    yield from (f"{what} (at {', '.join(labels)})" for what, labels in told.items())
    forces = [one for one in found.series if one.tolerance.quantity == "forces"]
    if forces and all(np.nanmax(one.values, initial=0.0) < _NO_FORCE for one in forces) and walk.points:
        yield "all forces are zero by symmetry, so that their agreement says nothing"


def _says_no_more(what: str, other: str) -> bool:
    """Whether a doubt on the difference of two orders is that on one of them."""
    name, _, reason = what.partition(": ")
    own, _, same = other.partition(": ")
    structure, _, orders = name.partition(" ")
    return " - " in orders and " - " not in own and reason == same and own.startswith(f"{structure} ")
