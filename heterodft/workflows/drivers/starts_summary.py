"""What the starts of a driver found: tables, words, and the start to be recommended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from heterodft.analysis.starts import Starts
from heterodft.workflows.drivers.driver import Summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from heterodft.workflows.drivers.driver import Driver, Finished

__all__ = ["found_states", "summarize_starts"]


def found_states(driver: Driver, family: str, finished: Finished, *, count: int | None = None) -> Starts:
    """Return the states that the first starts of a structure and U ended in, those that are over.

    Parameters
    ----------
    driver, finished
        The driver, and what is finished of it.
    family
        Structure and U, as in its rule.
    count
        How many starts; by default all.
    """
    told = [
        (start, point.chains[0])
        for start, point in zip(driver.rule["starts"], driver.points, strict=True)
        if start["family"] == family
    ][:count]
    over = [(start, chain, finished.chain_failure(chain)) for start, chain in told]
    over = [one for one in over if one[2] is not None or finished.is_finished(one[1])]
    return Starts.from_results(
        [None if reason is not None else finished.result(chain[-1]) for _, chain, reason in over],
        names=[start["name"] for start, _, _ in over],
        own=[i for i, (start, _, _) in enumerate(over) if start["own"]],
        reasons=[reason or "" for _, _, reason in over],
        tolerance=driver.rule["energy_tolerance"],
    )


def summarize_starts(driver: Driver, finished: Finished, *, ended: bool, figures: bool = False) -> Summary:
    """Return what the starts of a driver found so far."""
    tables: dict[str, DataFrame] = {}
    shown: dict[str, DataFrame] = {}
    drawn: dict[str, Figure] = {}
    words: list[str] = []
    data: dict[str, Any] = {}
    recommended: dict[str, Any] = {}
    for family in dict.fromkeys(start["family"] for start in driver.rule["starts"]):
        found = found_states(driver, family, finished)
        name = family.replace(" ", "-")
        tables |= {f"states-{name}": found.to_frame(), f"starts-{name}": found.starts_frame()}
        states, starts = found.narrow_frames()
        shown |= {f"States of {family} (energies of the cell)": states, f"Starts of {family}": starts}
        data[family] = found.to_dict()
        words += [f"{family}: {line}" for line in found.words]
        if found.states:
            recommended[family] = _recommended(driver, family, found)
            words += _lines(family, recommended[family])
        if figures and found.states:
            drawn[f"starts-{name}"] = found.plot()
    return Summary(
        title=f"{driver.name}: states reached from several starts",
        tables=tables,
        words=tuple(words),
        data={
            "ended": ended,
            "converged": _is_converged(data) if ended else False,
            "recommended": recommended,
            "structures": data,
        },
        figures=drawn,
        shown=shown,
    )


def _is_converged(data: dict[str, Any]) -> bool:
    """Whether the lowest state of every structure and U was reached more than once."""
    return all(found["states"] and found["states"][0]["count"] > 1 for found in data.values())


def _recommended(driver: Driver, family: str, found: Starts) -> dict[str, Any]:
    """Return the first start that reached the lowest state, the campaign's own where it did."""
    reached = found.states[0].starts
    candidates = [
        (start, point)
        for start, point in zip(driver.rule["starts"], driver.points, strict=True)
        if start["family"] == family and start["name"] in reached
    ]
    start, point = min(candidates, key=lambda one: (not one[0]["own"], len(one[0]["lines"])))
    return {
        "start": start["name"],
        "own": start["own"],
        "lines": start["lines"],
        "remark": start["remark"],
        "folder": point.chains[0][-1].path,
    }


def _lines(family: str, recommended: dict[str, Any]) -> list[str]:
    if recommended["own"]:
        return [f"{family}: the campaign starts well; nothing needs to be changed"]
    told = [f"{family}: start as {recommended['start']}, which reached the lowest state"]
    if recommended["lines"]:
        told.append(f"{family}: in the campaign file: {_one_line(recommended['lines'])}")
    if recommended["remark"]:
        told.append(f"{family}: {recommended['remark']} ({recommended['folder']})")
    return told


def _one_line(lines: list[str]) -> str:
    """Return the lines as one, which YAML reads alike."""
    _, key, *inner = (line.strip() for line in lines)
    return f"structures: {{{key} {{{', '.join(inner)}}}}}"
