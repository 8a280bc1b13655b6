"""How results are marked that are not in the magnetic state that was asked for.

The record under ``state`` of a result's request says what was reached, see `heterodft.workflows.state.contract`. One
that the user took as a state of its own (``unreached: accept``) bears no mark, but the name of what it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from heterodft.analysis.result import Result

__all__ = [
    "OTHER",
    "STATE_FILE",
    "is_accepted",
    "is_other",
    "order_reached",
    "order_shown",
    "state_marks",
    "state_of",
    "words_of",
]

STATE_FILE = "state.json"
"""Beside the result of a calculation that is not in the state asked for, so that this is seen without reading it."""
OTHER = ("flipped", "collapsed", "other")
"""Verdicts on a state that was not asked for."""
_LEAST_MOMENT = 0.1
"""μB of a cell below which it counts as without one."""


def state_of(result: Result) -> Mapping[str, Any]:
    """Return the record of the state of a result, empty where there is none."""
    return result.request.get("state") or {}


def is_other(record: Mapping[str, Any]) -> bool:
    """Tell whether a record says that the state is not the one asked for."""
    return record.get("verdict") in OTHER


def is_accepted(record: Mapping[str, Any]) -> bool:
    """Tell whether such a state was taken as one of its own."""
    return is_other(record) and record.get("choice") == "accept"


def order_reached(record: Mapping[str, Any]) -> str:
    """Return the order that was reached, empty where not told.

    A cell may have a moment that no sphere holds: that of an electron in a vacancy, or spread over its bands.

    Examples
    --------
    >>> order_reached({"order": "NM", "total_moment": {"reached": 0.541}})
    'NM but for 0.54 μB of the cell'
    """
    order = str(record.get("order") or "")
    total = abs((record.get("total_moment") or {}).get("reached") or 0.0)
    return f"NM but for {total:.2f} μB of the cell" if order == "NM" and total >= _LEAST_MOMENT else order


def order_shown(result: Result) -> str:
    """Return the order that a result stands for: that asked for; of an accepted one ``AFM-A (asked as FM)``."""
    record = state_of(result)
    asked = str(result.request.get("about", {}).get("order", ""))
    return f"{order_reached(record) or record['verdict']} (asked as {asked})" if is_accepted(record) else asked


def words_of(record: Mapping[str, Any], asked: str) -> str:
    """Return in words that a state is not the one asked for; empty where it is.

    Examples
    --------
    >>> words_of({"verdict": "flipped", "words": "flipped at Cr3", "order": "AFM-A"}, "FM")
    'not in the state asked for (FM): flipped at Cr3, which is AFM-A'
    """
    if not is_other(record):
        return ""
    order = order_reached(record)
    seeds = record.get("seeds", 0)
    tried = f", after {seeds} other start{'s' * (seeds != 1)}" if seeds else ""
    what = record.get("words") or record["verdict"]
    which = f"{' to' if what == 'collapsed' else ', which is'} {order}" if order and order != asked else ""
    return f"not in the state asked for ({asked or 'its moments'}): {what}{which}{tried}"


def state_marks(result: Result) -> tuple[str, ...]:
    """Return what must be told beside any number of a result for the sake of its state; often nothing."""
    record = state_of(result)
    asked = str(result.request.get("about", {}).get("order", ""))
    words = "" if is_accepted(record) else words_of(record, asked)
    return (*([words] if words else []), *map(str, record.get("notes", ())))
