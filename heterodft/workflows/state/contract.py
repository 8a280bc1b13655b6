"""The record of the state that is written with every result, under ``state`` of its request.

``verdict``
    ``kept``, ``flipped``, ``collapsed``, ``other``; missing where nothing tells.
``words``, ``sites``
    The verdict in words, and the sites that differ.
``order``
    The order that the moments are, see `heterodft.workflows.state.naming.order_of`.
``kind``, ``moments``
    ``sphere`` or ``Löwdin``; ``[site, element, asked, reached]`` in μB of each site with a moment asked for or found.
``total_moment``
    ``asked`` (the sum of the starting moments), ``compensated``, ``reached``.
``occupations``
    ``[site, shell, electrons up, electrons down]`` of each site with a U, where they are told.
``before``
    The step it starts from, see `heterodft.workflows.state.before.Before.to_data`.
``notes``
    What must be known besides: that a structure was relaxed in another state, or a density is that of another one.
``choice``, ``seeds``
    What was to be done about another state, and how many other starts it took.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from heterodft.analysis.state_marks import STATE_FILE
from heterodft.files import write_json
from heterodft.templates.steps import RELAXATIONS
from heterodft.workflows.state.asked import asked_state
from heterodft.workflows.state.before import compare_with_parent, keeps_density
from heterodft.workflows.state.choice import unreached_of
from heterodft.workflows.state.naming import NONE, order_of, sign_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from heterodft.analysis.result import Result, SiteValues
    from heterodft.workflows.calculation import Request
    from heterodft.workflows.state.asked import AskedState, Judgement
    from heterodft.workflows.state.before import Before

__all__ = ["state_record", "write_mark"]


def state_record(request: Request, result: Result, folder: Path, *, seeds: int = 0) -> dict[str, Any]:
    """Return what to write of the state of a result.

    Parameters
    ----------
    request, result, folder
        Of the calculation, its files still there.
    seeds
        How many other starts were tried.
    """
    asked = asked_state(request)
    before = compare_with_parent(request, result, folder)
    if keeps_density(request):
        record = _carried(request, result, asked, before)
    else:
        record = _reached(request, result, asked)
        notes = _notes(before, from_scratch=seeds > 0)
        record |= {"notes": notes} if notes else {}
    if before is not None:
        record["before"] = before.to_data()
    if result.occupations:
        record["occupations"] = [_electrons(one) for one in result.occupations]
    choice = unreached_of(request)
    record |= {"choice": choice.choice} if choice.choice != "flag" else {}
    return record | ({"seeds": seeds} if seeds else {})


def _reached(request: Request, result: Result, asked: AskedState) -> dict[str, Any]:
    """Return what a step with a cycle of its own reached."""
    values = result.sites.get("sphere")
    if values is None:
        return {}
    found = asked.judge_sites(values, None if asked.directions else result.total_moment)
    if not found.along and asked.carriers:
        return {}
    return _told(found) | {"order": _order(request, asked, found)} | _moments(asked, values, found, result)


def _carried(request: Request, result: Result, asked: AskedState, before: Before | None) -> dict[str, Any]:
    """Return the state of a step that keeps a density: that of the step the density is from, if it does keep it."""
    kind = next((name for name in ("sphere", "Löwdin") if name in result.sites), "")
    values = result.sites.get(kind)
    whole = values is not None and request.step == "dos"  # on a path sums over k-points mean little
    own = asked.judge_sites(values) if values is not None and whole else None
    record: dict[str, Any] = {}
    if before is not None and before.state.get("verdict"):
        record = {key: before.state[key] for key in ("verdict", "sites", "words", "order") if key in before.state}
    elif own is not None and own.along:
        record = _told(own) | {"order": _order(request, asked, own)}
    if before is not None and before.differs:
        record |= {"verdict": "other", "words": f"other: {'; '.join(before.differs)}"}
    if own is not None and values is not None and own.along:
        record |= _moments(asked, values, own, result)
    return record


def _told(found: Judgement) -> dict[str, Any]:
    return {"verdict": found.verdict, "sites": list(found.sites), "words": found.words}


def _order(request: Request, asked: AskedState, found: Judgement) -> str:
    """Return the name of the order reached, which is the one asked for only where the state is."""
    own = str(request.about.get("order", ""))
    if found.verdict == "kept":
        return own
    carriers = set(asked.carriers) | set(found.sites)
    known: dict[str, str] = dict(request.about.get("orders") or {})
    if asked.moments is not None and own:
        known.setdefault(own, sign_text(asked.moments))
    carriers |= {i for signs in known.values() for i, sign in enumerate(signs) if sign != "0"}
    moments = [moment if i in carriers else 0.0 for i, moment in enumerate(found.along)]
    name = order_of(moments, known)
    return f"{name} (other)" if name == own else name


def _moments(asked: AskedState, values: SiteValues, found: Judgement, result: Result) -> dict[str, Any]:
    """Return the moments of the sites that count, and the total."""
    if asked.moments is None and not any(abs(moment) >= NONE for moment in found.along):
        return {}
    wanted = asked.moments or (0.0,) * len(found.along)
    rows = [
        [i, asked.elements[i], wanted[i], round(moment, 4)]
        for i, moment in enumerate(found.along)
        if wanted[i] or abs(moment) >= NONE
    ]
    total = {"asked": asked.total, "compensated": asked.compensated, "reached": result.total_moment}
    return {"kind": values.kind, "moments": rows, "total_moment": total}


def _electrons(one: Any) -> list[Any]:
    """Return site, shell, and the electrons of each spin; half of all where there is no spin."""
    traces = [float(matrix.trace()) for matrix in one.matrices]
    up, down = (traces * 2)[:2]
    return [one.site, one.shell, round(up, 3), round(down, 3)]


def _notes(before: Before | None, *, from_scratch: bool) -> list[str]:
    """Return what must be known of a step with a cycle of its own for the step it starts from."""
    if before is None:
        return []
    notes = []
    verdict = before.state.get("verdict", "kept")
    if before.step in RELAXATIONS and verdict != "kept":
        notes.append(f"the structure was relaxed in another state ({before.state.get('words', verdict)})")
    return notes if from_scratch else [*notes, *before.differs]


def write_mark(folder: Path, record: Mapping[str, Any], *, asked: str) -> None:
    """Write ``state.json`` where a state is not the one asked for; remove it where it is."""
    path = folder / STATE_FILE
    if record.get("verdict", "kept") == "kept":
        path.unlink(missing_ok=True)
        return
    keys = ("verdict", "words", "order", "total_moment", "choice", "seeds")
    write_json(path, {"asked": asked} | {key: record[key] for key in keys if key in record})
