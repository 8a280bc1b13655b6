"""Which configurations of a campaign a published figure is compared with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from heterodft.analysis.energies.comparability import faults
from heterodft.analysis.report.marks import PENDING
from heterodft.analysis.state_marks import OTHER, order_reached, state_of, words_of
from heterodft.errors import ReaderError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heterodft.analysis.published.figures import Selection
    from heterodft.analysis.report.collect import ConfigurationReport

__all__ = ["Chosen", "Configurations", "asked_order", "choose", "family_of", "place_of", "the_one"]


@dataclass(frozen=True)
class Configurations:
    """The configurations of a campaign: those that were read, and the paths of all, ``demo/sl/FM/Ti-3d-4eV``."""

    reports: Sequence[ConfigurationReport]
    paths: Sequence[str]


@dataclass(frozen=True)
class Chosen:
    """One configuration, or why there is none; what to know of the choice."""

    place: str
    report: ConfigurationReport | None = None
    reason: str = ""
    notes: tuple[str, ...] = ()


def place_of(path: str) -> tuple[str, str, str]:
    """Return structure, order and U of the path of a configuration."""
    structure, order, hubbard = path.split("/")[-3:]
    return structure, order, hubbard


def asked_order(report: ConfigurationReport) -> str:
    """Return the order that was asked for."""
    return place_of(report.path)[1]


def family_of(report: ConfigurationReport, every: Configurations) -> list[ConfigurationReport]:
    """Return the configurations of the same structure and U."""
    structure, _, hubbard = place_of(report.path)
    return [one for one in every.reports if place_of(one.path)[::2] == (structure, hubbard)]


def choose(selection: Selection, every: Configurations) -> list[Chosen]:
    """Return one configuration for each structure and U that a selection names, and why one cannot be used.

    Structures that were not asked for the order named say nothing of it, as long as another one was.
    """
    families = list(dict.fromkeys((place_of(path)[0], place_of(path)[2]) for path in every.paths))
    wanted = [
        (structure, hubbard)
        for structure, hubbard in families
        if any(fnmatchcase(structure, name) for name in selection.structures)
        and fnmatchcase(hubbard, selection.hubbard)
    ]
    if not wanted:
        return [Chosen("", reason=_unknown(selection, families))]
    wanted = [family for family in wanted if _has_order(family, selection, every)] or wanted
    return [chosen for family in wanted for chosen in _of_family(family, selection, every)]


def _has_order(family: tuple[str, str], selection: Selection, every: Configurations) -> bool:
    places = [place_of(path) for path in every.paths]
    return any(fnmatchcase(order, selection.order or "*") for name, order, u in places if (name, u) == family)


def the_one(selection: Selection, like: ConfigurationReport, every: Configurations) -> ConfigurationReport:
    """Return the one configuration to subtract or to compare with.

    Structure and U that the selection leaves open are those of `like`.

    Raises
    ------
    ReaderError
        If there is none, several, or it cannot be used.
    """
    structure, _, hubbard = place_of(like.path)
    if selection.structures == ("*",):
        selection = replace(selection, structures=(structure,))
    if selection.hubbard == "*" and any(place_of(path)[2] == hubbard for path in _paths_of(selection, every)):
        selection = replace(selection, hubbard=hubbard)
    found = choose(selection, every)
    if len(found) > 1:
        raise ReaderError(f"it is to be compared with one configuration, not {', '.join(f.place for f in found)}")
    if found[0].report is None:
        raise ReaderError(f"{found[0].place}: {found[0].reason}" if found[0].place else found[0].reason)
    return found[0].report


def _paths_of(selection: Selection, every: Configurations) -> list[str]:
    return [path for path in every.paths if any(fnmatchcase(place_of(path)[0], n) for n in selection.structures)]


def _unknown(selection: Selection, families: Sequence[tuple[str, str]]) -> str:
    names = {structure for structure, _ in families}
    for wanted in selection.structures:
        if not any(fnmatchcase(name, wanted) for name in names):
            return f"no structure of this campaign is called {wanted}{did_you_mean(wanted, names)}"
    hint = did_you_mean(selection.hubbard, {hubbard for _, hubbard in families})
    return f"no U of this campaign is called {selection.hubbard}{hint}"


def _of_family(family: tuple[str, str], selection: Selection, every: Configurations) -> list[Chosen]:
    """Return the configurations of one structure and U: those of the orders named, or the lowest one."""
    paths = [path for path in every.paths if place_of(path)[::2] == family]
    members = {report.path: report for report in every.reports if report.path in paths}
    name = " ".join(family)
    if not selection.order:
        return [_lowest(name, paths, members)]
    orders = {place_of(path)[1]: path for path in paths}
    matching = [order for order in orders if fnmatchcase(order, selection.order)]
    if not matching:
        hint = did_you_mean(selection.order, orders)
        return [Chosen(name, reason=f"no order of it is called {selection.order}{hint}")]
    return [_of_order(f"{family[0]} {order} {family[1]}", members.get(orders[order])) for order in matching]


def _of_order(place: str, report: ConfigurationReport | None) -> Chosen:
    reason = _unusable(report) or _in_another_state(report)
    return Chosen(place, None if reason else report, reason)


def _lowest(name: str, paths: Sequence[str], members: dict[str, ConfigurationReport]) -> Chosen:
    """Return the lowest in energy of those that may be compared, in the state that it reached."""
    reasons = {path: _unusable(members.get(path)) for path in paths}
    usable = [members[path] for path in paths if not reasons[path]]
    ranked = [one for one in usable if one.ranked is not None and one.ranked.relative is not None]
    if len(usable) == 1:
        ranked = usable
    if not ranked:
        told = "; ".join(dict.fromkeys(reason for reason in reasons.values() if reason))
        return Chosen(name, reason=told or "none of its energies may be compared with another")
    lowest = min(ranked, key=lambda one: one.ranked.relative or 0.0 if one.ranked is not None else 0.0)
    compared = {one.path for one in ranked}
    left = [place_of(path)[1] for path in paths if path not in compared]
    notes: tuple[str, ...] = ()
    if len(paths) > 1:
        notes += (f"the lowest of {', '.join(asked_order(one) for one in ranked)}",)
    notes += (f"left out: {', '.join(left)}",) if left else ()
    if lowest.state in (*OTHER, "accepted"):
        notes += (f"asked for as {asked_order(lowest)}, it {_became(lowest)}",)
    structure, order, hubbard = place_of(lowest.path)
    return Chosen(f"{structure} {order} {hubbard}", lowest, notes=notes)


def _became(report: ConfigurationReport) -> str:
    """Return what a configuration became that is not in the state asked for."""
    record = state_of(report.static) if report.static is not None else {}
    order, words = order_reached(record), str(record.get("words", "")).partition(": ")[2]
    if report.state in ("collapsed", "flipped"):
        return f"{report.state} to {order or 'another state'}"
    return f"ended in another state: {words}" if words else f"ended as {order or 'another state'}"


def _unusable(report: ConfigurationReport | None) -> str:
    """Return why nothing can be taken from a configuration; empty where it can."""
    if report is None:
        return "not run yet"
    if report.static is None:
        states = [f"{step.step} {step.state}{f' ({step.reason})' * bool(step.reason)}" for step in report.steps]
        failed = [text for step, text in zip(report.steps, states, strict=True) if step.state not in PENDING]
        runs = any(step.state == "running" for step in report.steps)
        return ", ".join(failed) or ("running" if runs else "not run yet")
    wrong = [fault for fault in faults(report.static) if not fault.startswith("was changed by a handler")]
    return f"{report.static.step} {'; '.join(wrong)}" if wrong else ""


def _in_another_state(report: ConfigurationReport | None) -> str:
    if report is None or report.state not in (*OTHER, "accepted"):
        return ""
    record = {} if report.static is None else state_of(report.static)
    return words_of({"verdict": report.state, **record}, asked_order(report))
