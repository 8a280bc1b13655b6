"""The first thing on the page: what was asked, what came out in words, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from heterodft.analysis.plots.style import pretty
from heterodft.analysis.report.caveats import is_of_state
from heterodft.analysis.report.drivers import UNSURE
from heterodft.analysis.report.marks import NOT_CONVERGED, PENDING
from heterodft.analysis.report.page_tables import number
from heterodft.analysis.state_marks import OTHER
from heterodft.words import number_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from heterodft.analysis.report.collect import ConfigurationReport
    from heterodft.analysis.report.drivers import DriverFindings
    from heterodft.analysis.report.runs import Run

__all__ = ["Problem", "counted", "counted_states", "find_problems", "words_asked", "words_found"]

CODES = {"espresso": "Quantum ESPRESSO", "vasp": "VASP"}
_FEW, _MANY = 4, 12
_LEAST_MOMENT = 0.05
"""μB of a plane below which it counts as without one."""
_TOLD = 3
"""Configurations that a caveat is told of with its details."""


@dataclass(frozen=True)
class Problem:
    """What is wrong with some configurations, each in a line; not ``bad``: what is merely still to come."""

    title: str
    lines: tuple[str, ...]
    bad: bool = True


def words_asked(
    reports: Sequence[ConfigurationReport], drivers: Sequence[DriverFindings], runs: Sequence[Run]
) -> list[str]:
    """Return in sentences what was asked for, and how far it is."""
    names = list(dict.fromkeys(report.name for report in reports))
    told = []
    if reports:
        parts = [
            f"{len(reports)} configuration{_s(reports)} of {len(names)} structure{_s(names)}: {_listed(names)}",
            f"magnetic order {_listed(_each(run.about.get('order') for run in runs))}",
            f"Hubbard U {_listed(_each(run.about.get('hubbard') for run in runs))}",
            f"steps {_listed(_each(step.step for report in reports for step in report.steps))}",
        ]
        told.append("; ".join(parts) + ".")
    if drivers:
        told.append(f"Questions: {_listed([driver.kind.replace('_', ' ') for driver in drivers])}.")
    codes = _each(_code(run) for run in runs if run.result)
    functionals = _each(run.settings.get("xc") for run in runs)
    protocols = _each(run.about.get("protocol") for run in runs)
    if codes:
        told.append(f"{_listed(codes)}, functional {_listed(functionals)}, protocol {_listed(protocols)}.")
    done = sum(bool(run.result) for run in runs)
    finished = f"{done} of {number_of(len(runs), 'calculation')} {'is' if done == 1 else 'are'} finished."
    told.append(finished if runs else "No calculation was found.")
    return told


def _code(run: Run) -> str:
    return f"{CODES.get(run.code, run.code)} {run.result.get('version') or ''}".strip()


def _each(values: Iterable[object]) -> list[str]:
    return list(dict.fromkeys(str(value) for value in values if value))


def _listed(names: Sequence[str]) -> str:
    """Return names one after another, of many the first and their number."""
    if len(names) > 2 * _FEW:
        return f"{', '.join(names[:_FEW])} … and {len(names) - _FEW} more"
    return ", ".join(names) or "–"


def _s(items: Sequence[object]) -> str:
    return "s" * (len(items) != 1)


def words_found(reports: Sequence[ConfigurationReport], drivers: Sequence[DriverFindings]) -> list[str]:
    """Return what came out: of each driver its answer, then a sentence a structure and U; of many only the first."""
    told = [f"{driver.title}: {driver.words[0] if driver.words else driver.state}" for driver in drivers]
    families: dict[tuple[str, str], list[ConfigurationReport]] = {}
    for report in reports:
        if report.static is not None:
            families.setdefault((report.name, report.hubbard), []).append(report)
    sentences = [_family(members) for members in families.values()]
    told += sentences[:_MANY]
    if len(sentences) > _MANY:
        told.append(f"… and {len(sentences) - _MANY} more structures or values of U, in the table below.")
    return told


def _family(members: Sequence[ConfigurationReport]) -> str:
    """Return what came out of one structure and U: the lowest configuration, and how far the others are above it."""
    compared = sorted((r for r in members if _above(r) is not None), key=lambda r: _above(r) or 0.0)
    lowest = compared[0] if compared else members[0]
    head = f"{lowest.name} ({lowest.label}), U {lowest.hubbard}: "
    told = [f"{_distance(lowest, r)} {_order(r)}" for r in compared[1:] if r.ranked and not r.ranked.same_as]
    if told:
        more = f" and {len(told) - _FEW} more" if len(told) > _FEW else ""
        return (
            head
            + f"lowest is {_order(lowest)}, then, in meV per {_formula(lowest)}, {', '.join(told[:_FEW])}{more}; "
            + _sentence(lowest)
        )
    if len(members) > 1:
        head += f"{_order(lowest)}, "
    return head + _sentence(lowest)


def _formula(report: ConfigurationReport) -> str:
    return "formula unit" if report.ranked is None else report.ranked.formula


def _sentence(report: ConfigurationReport) -> str:
    return "; ".join(_properties(report)) + "."


def _above(report: ConfigurationReport) -> float | None:
    return None if report.ranked is None else report.ranked.per_formula_unit


def _distance(lowest: ConfigurationReport, report: ConfigurationReport) -> str:
    return f"{(_above(report) or 0.0) - (_above(lowest) or 0.0):+.1f}"


def _order(report: ConfigurationReport) -> str:
    """Return the order asked for, and the one reached where it is another."""
    reached = "" if report.ranked is None else report.ranked.state
    return f"{report.order} (reached: {reached or report.state})" if report.state in OTHER else report.order


def _properties(report: ConfigurationReport) -> Iterator[str]:
    """Return gap, moment and the plane that carries most of it; what makes them doubtful comes last."""
    if report.gap is not None:
        gap = report.gap_text if report.gap.metal else f"gap {report.gap_text}"
        yield gap + (f" ({report.path_gap_text} on the path of the bands)" if report.path_gap_text else "")
    if report.moment is not None:
        yield f"moment of the cell {number(report.moment, 2)} μB" + "".join(_largest_moment(report))
    if report.static is not None and report.static.converged is False:
        yield "the SCF cycle did not converge, so that these numbers mean nothing"
    if report.state in OTHER:
        yield f"not in the state asked for ({report.state})"


def _largest_moment(report: ConfigurationReport) -> Iterator[str]:
    rows = [row for row in report.layers if row.moment_sphere is not None or row.moment_lowdin is not None]
    if not rows:
        return
    kind = "Löwdin" if all(row.moment_lowdin is not None for row in rows) else "sphere"
    values = [row.moment_sphere if kind == "sphere" else row.moment_lowdin for row in rows]
    largest, row = max(zip(values, rows, strict=True), key=lambda pair: abs(pair[0] or 0.0))
    if largest is not None and abs(largest) >= _LEAST_MOMENT:
        plane = f"{pretty(row.layer)} {pretty(row.formula)}"
        yield f", the largest of a plane {number(largest, 2)} μB ({kind}) in {plane}"


def find_problems(
    reports: Sequence[ConfigurationReport], drivers: Sequence[DriverFindings], missing: Sequence[str] = ()
) -> list[Problem]:
    """Return what failed, is not converged, not in the state asked for, or not comparable; only what there is."""
    states = [{step.state for step in r.steps} for r in reports]
    failed = [_unfinished(r) for r, own in zip(reports, states, strict=True) if own - {"done", *PENDING}]
    failed += [f"{path}: failed – {reason}" for driver in drivers for path, reason in driver.failures.items()]
    waiting = [
        _unfinished(r)
        for r, own in zip(reports, states, strict=True)
        if own & {*PENDING} and own <= {"done", *PENDING}
    ]
    open_ones = [f"{driver.name}: {driver.state}" for driver in drivers if driver.state != "finished"]
    not_converged = [_place(r) for r in reports if NOT_CONVERGED in r.marks]
    others = [f"{_place(r)}: {r.state}" for r in reports if r.state in OTHER]
    alone = [f"{_place(r)}: {r.ranked.reason}" for r in reports if r.ranked is not None and r.ranked.reason]
    touched = [
        f"{_place(r)}: {note}"
        for r in reports
        for note in r.corrections
        if "not comparable" in note and not (r.ranked is not None and r.ranked.reason)
    ]
    found = [
        Problem("Failed", tuple(failed)),
        Problem("Questions without a sure answer", tuple(open_ones)),
        Problem("SCF cycle not converged: no number of these means anything", tuple(not_converged)),
        Problem("Not in the magnetic state asked for", tuple(others)),
        Problem("Energies that are not compared", tuple(dict.fromkeys([*alone, *touched]))),
        Problem("Not finished yet", tuple(waiting), bad=False),
        Problem("Not submitted", tuple(missing), bad=False),
    ]
    return [problem for problem in found if problem.lines]


def _place(report: ConfigurationReport) -> str:
    """Return a configuration as its folder below that of the campaign is called."""
    return report.path.partition("/")[2]


def _unfinished(report: ConfigurationReport) -> str:
    """Return the steps of a configuration that are not done, those in the same condition together."""
    groups: dict[str, list[str]] = {}
    for step in report.steps:
        if step.state != "done":
            groups.setdefault(f"{step.state}{f' – {step.reason}' if step.reason else ''}", []).append(step.step)
    return f"{_place(report)}: " + "; ".join(f"{', '.join(steps)} {words}" for words, steps in groups.items())


def counted(reports: Sequence[ConfigurationReport], drivers: Sequence[DriverFindings] = ()) -> list[str]:
    """Return each caveat but those of the magnetic state once, with the configurations it is of unless it is of all.

    Of caveats that differ behind their colon only, the first few are told with the configurations they are of. The
    last are the questions whose answer is not sure: the numbers of the same campaign rest on it.
    """
    unsure = [one for one in drivers if one.state == UNSURE and any(report.static is not None for report in reports)]
    return _caveats(reports, of_state=False) + [
        f"what heterodft converge found of {one.kind} is not sure{f': {one.words[0]}' if one.words else ''}"
        for one in unsure
    ]


def counted_states(reports: Sequence[ConfigurationReport]) -> list[str]:
    """Return each caveat of the magnetic state once, with the configurations it is of unless it is of all."""
    return _caveats(reports, of_state=True)


def _caveats(reports: Sequence[ConfigurationReport], *, of_state: bool) -> list[str]:
    done = [report for report in reports if report.static is not None]
    found: dict[str, list[tuple[str, str]]] = {}
    for report in done:
        for caveat in dict.fromkeys(c for c in report.caveats if is_of_state(c) == of_state):
            head, _, detail = caveat.partition(": ")
            found.setdefault(head, []).append((_place(report), detail))
    return [_in_words(head, places, len(done)) for head, places in found.items()]


def _in_words(head: str, places: Sequence[tuple[str, str]], number: int) -> str:
    """Return a caveat of some configurations, given as their places and what is told of each."""
    count = f"{len(places)} of {number_of(number, 'configuration')}"
    is_of_all = len(places) == number
    if len({detail for _, detail in places}) == 1:
        told = ": ".join(filter(None, (head, places[0][1])))
        return told if is_of_all else f"{told} ({count}: {_first([place for place, _ in places], ', ')})"
    remedies = {detail.rpartition("; ")[2] for _, detail in places}
    remedy = f"; {remedies.pop()}" if len(remedies) == 1 else ""  # of all alike, told once
    told = _first([f"{place} {detail.removesuffix(remedy)}" for place, detail in places])
    return f"{head}{'' if is_of_all else f' ({count})'}: {told}{remedy}"


def _first(told: Sequence[str], separator: str = "; ") -> str:
    more = len(told) - _TOLD
    return separator.join([*told[:_TOLD], *([f"and {more} more"] if more > 0 else [])])
