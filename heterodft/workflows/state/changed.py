"""A finished calculation in another state, after its user chose otherwise what is to be done about that.

The choice is no part of the identity of a request, so that the result is found again. ``flag`` and ``accept`` only
mark it otherwise. For ``reseed``, where another start is left, and ``stop`` the result is set aside and the worker
decides: it tries the starts that are left, or fails the calculation without computing anything.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from heterodft.analysis.result import RESULT_FILE
from heterodft.analysis.state_marks import STATE_FILE, is_other
from heterodft.errors import ReaderError
from heterodft.files import read_json, write_json
from heterodft.workflows.custodians.watch import forget_attempts
from heterodft.workflows.state.choice import unreached_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from heterodft.workflows.calculation import Request

__all__ = [
    "SET_ASIDE",
    "begin_anew",
    "has_set_aside",
    "is_in_other_state",
    "is_outdated",
    "is_released",
    "mark_again",
    "set_aside",
    "what_is_to_be_done",
]

SET_ASIDE = "result-other-state.json"
_ENERGY = 1e-4
"""eV an atom by which the energy of a step that was computed twice in one state may differ."""

ToDo = Literal["nothing", "mark", "run"]


def what_is_to_be_done(request: Request, folder: Path) -> ToDo:
    """Compare the choice of a request with what was done about the state of its finished result.

    Returns
    -------
    str
        ``nothing``; ``mark``: `mark_again`; ``run``: the worker is to decide, see `set_aside`.
    """
    mark = _mark(folder)
    if not is_other(mark):
        return "nothing"
    wanted, done = unreached_of(request), mark.get("choice", "flag")
    if wanted.choice == "stop" or (wanted.reseeds > mark.get("seeds", 0) and _other_start_is_left(request, folder)):
        return "run"
    return "nothing" if wanted.choice == done else "mark"


def is_in_other_state(folder: Path) -> bool:
    """Tell whether a result is marked as one of a state that was not asked for."""
    return is_other(_mark(folder))


def _mark(folder: Path) -> Mapping[str, Any]:
    return _data(folder / STATE_FILE)


def _other_start_is_left(request: Request, folder: Path) -> bool:
    from heterodft.workflows import run_espresso, run_vasp

    engine: Any = run_vasp if request.code == "vasp" else run_espresso
    return bool(engine.other_start_is_left(request, folder))


def mark_again(request: Request, folder: Path) -> None:
    """Write another choice into a finished result and its mark; numbers stay as they are."""
    choice = unreached_of(request)
    data, mark = read_json(folder / RESULT_FILE), dict(_mark(folder))
    for record in (data["request"]["state"], mark):
        record.pop("choice", None)
        record.update({"choice": choice.choice} if choice.choice != "flag" else {})
    data["request"]["about"] = request.about
    write_json(folder / RESULT_FILE, data)
    write_json(folder / STATE_FILE, mark)


def set_aside(folder: Path) -> None:
    """Take a result out of use without losing it, for the worker to decide."""
    (folder / RESULT_FILE).replace(folder / SET_ASIDE)


def has_set_aside(request: Request, folder: Path) -> bool:
    """Tell whether the result of this request was set aside and there is nothing left to compute.

    Where another start is left, what was set aside is removed: a run that is cut off must not be taken for it.
    """
    if _data(folder / SET_ASIDE).get("id") == request.id and not _other_start_is_left(request, folder):
        return True
    (folder / SET_ASIDE).unlink(missing_ok=True)
    return False


def is_released(request: Request, folder: Path) -> bool:
    """Tell whether a calculation failed for its state alone, and its user no longer wants it to."""
    return _mark(folder).get("choice") == "stop" and unreached_of(request).choice != "stop"


def is_outdated(folder: Path) -> bool:
    """Tell whether a result starts from a step that was computed again since and ended in another state."""
    mine = _data(folder / RESULT_FILE) or _data(folder / SET_ASIDE)
    about, before = (mine.get("request") or {}).get("about") or {}, _state(mine).get("before")
    now = _data(folder / about["parent_folder"] / RESULT_FILE) if before and about.get("parent_folder") else {}
    if not before or now.get("id") != before["id"]:
        return False
    then, today, state = before.get("energy"), now.get("energy"), _state(now)
    apart = _ENERGY * len(now["structure"]["sites"])
    moved = then is not None and today is not None and abs(then - today) > apart
    other_seed = before.get("seeds", state.get("seeds", 0)) != state.get("seeds", 0)
    return bool(moved or other_seed or before.get("verdict", "") != state.get("verdict", ""))


def _data(path: Path) -> Mapping[str, Any]:
    if path.is_file():
        with suppress(ReaderError):
            return dict(read_json(path))
    return {}


def _state(data: Mapping[str, Any]) -> Mapping[str, Any]:
    return (data.get("request") or {}).get("state") or {}


def begin_anew(folder: Path) -> None:
    """Take an outdated result out of use, so that its calculation starts from what its parent has now."""
    forget_attempts(folder)
    for name in (RESULT_FILE, SET_ASIDE, STATE_FILE, "INCAR.orig"):
        (folder / name).unlink(missing_ok=True)
