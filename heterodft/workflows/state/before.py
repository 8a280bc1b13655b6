"""Whether a step carries the state of the one it starts from.

A step that keeps the density of its static step must have exactly its state. With pw.x 6.7 an nscf or bands run and
pp.x leave ``charge-density.dat`` and ``occup.txt`` as they were handed on, byte by byte.
"""

from __future__ import annotations

import filecmp
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.energies.occupation_states import (
    OTHER_U_TOLERANCE,
    SAME_U_TOLERANCE,
    compare_occupations,
)
from heterodft.analysis.energies.states import same_state
from heterodft.analysis.result import RESULT_FILE, Result
from heterodft.analysis.state_marks import is_other, words_of
from heterodft.errors import CalculationError, ReaderError
from heterodft.files import read_json
from heterodft.templates.espresso import PREFIX
from heterodft.workflows.calculation import finished_id
from heterodft.workflows.state.asked import said
from heterodft.workflows.state.choice import unreached_of
from heterodft.workflows.state.naming import NONE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from heterodft.workflows.calculation import Request

__all__ = ["Before", "compare_with_parent", "keeps_density", "refuse_other_state"]

_FIXED = {"espresso": ("dos", "bands", "potential", "charge"), "vasp": ("dos", "bands")}
_HANDED_ON = {"charge-density.dat": "density", "occup.txt": "Hubbard occupations"}
_SIZES = 0.25
"""Part by which a moment from another mesh may differ from that of the density it is made of."""
_MOMENT = 0.3
"""μB in a sphere from which on the Löwdin moment of a site must have its sign."""


@dataclass(frozen=True)
class Before:
    """The step before, and what was compared with it.

    Attributes
    ----------
    step, identity, state
        Of that step; the state as it was recorded, empty where it was not.
    checked
        What was compared: ``density``, ``Hubbard occupations``, ``moments``.
    differs
        What is not the same, in words.
    energy
        eV, by which it is told when that step was computed again.
    """

    step: str
    identity: str
    state: dict[str, Any]
    checked: tuple[str, ...]
    differs: tuple[str, ...]
    energy: float | None = None

    def to_data(self) -> dict[str, Any]:
        """Return plain JSON data; `same` is None where nothing could be compared."""
        return {
            "step": self.step,
            "id": self.identity,
            "verdict": self.state.get("verdict", ""),
            "order": self.state.get("order", ""),
            "seeds": self.state.get("seeds", 0),
            "energy": self.energy,
            "same": None if not self.checked else not self.differs,
            "checked": list(self.checked),
            "differs": list(self.differs),
        }


def keeps_density(request: Request) -> bool:
    """Tell whether a step has no cycle of its own: its state is that of the step it starts from."""
    return request.parent is not None and request.step in _FIXED[request.code]


def compare_with_parent(request: Request, result: Result, folder: Path) -> Before | None:
    """Compare a step with the one it starts from; None where it starts from none, or that cannot be read."""
    if request.parent is None or not request.about.get("parent_folder"):
        return None
    parent = folder / request.about["parent_folder"]
    try:
        data = read_json(parent / RESULT_FILE)
    except ReaderError:
        return None
    if data.get("id") != request.parent:
        return None
    checked, differs = _moments(request, result, data)
    if checked and not differs and not keeps_density(request):
        checked, differs = _orbitals(request, result, data, parent)
    if keeps_density(request) and request.code == "espresso":
        for name, what in _HANDED_ON.items():
            same = _same_file(folder / f"{PREFIX}.save" / name, parent / f"{PREFIX}.save" / name)
            if same is not None:
                checked.append(what)
                differs += [] if same else [f"its {what} are not those of the {data['step']} step"]
    state = (data.get("request") or {}).get("state") or {}
    return Before(str(data["step"]), request.parent, state, tuple(checked), tuple(differs), energy=data.get("energy"))


def refuse_other_state(request: Request, folder: Path) -> None:
    """Let nothing start from a state that was not asked for where the user wants to stop then.

    The step before may be of another campaign, which goes on from such a state.

    Raises
    ------
    CalculationError
        If the step before is in another state.
    """
    if request.parent is None or unreached_of(request).choice != "stop":
        return
    parent = folder / request.about.get("parent_folder", "")
    if finished_id(parent) != request.parent:
        return
    data = read_json(parent / RESULT_FILE)
    state = (data.get("request") or {}).get("state") or {}
    if is_other(state):
        words = words_of(state, str(request.about.get("order", "")))
        raise CalculationError(
            f"the step before, {parent.resolve()}, is {words}; with unreached: stop nothing starts from it"
        )


def _same_file(mine: Path, theirs: Path) -> bool | None:
    """Return None where one of them is not there: it was released, or there is no U."""
    with suppress(OSError):
        return filecmp.cmp(mine, theirs, shallow=False)
    return None


def _moments(request: Request, result: Result, parent: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Return whether moments were compared, and how they differ from those in spheres of the parent."""
    theirs = _numbers(parent["sites"].get("sphere"))
    kind = "sphere" if "sphere" in result.sites else "Löwdin"
    values = result.sites.get(kind)
    mine = None if values is None else values.moments if values.vectors is None else values.vectors
    if theirs is None or mine is None or (kind == "Löwdin" and request.step != "dos"):
        return [], []
    own = np.array(mine, dtype=np.float64)
    if own.shape != theirs.shape:
        return [], []
    fixed, elements = keeps_density(request), [site.specie.symbol for site in result.structure]
    if not fixed:
        differ = _unlike(own, theirs)
        words = f"its moments are not those of the {parent['step']} step whose density it starts from"
        return ["moments"], [f"{words}: {said(differ, elements)}"] if differ else []
    sizes = kind == "sphere" and request.step == "dos"  # on a path they are sums over a few k-points
    wrong = [i for i in range(len(own)) if not _carried(own[i], theirs[i], sizes=sizes)]
    words = f"its moments are not those of its {parent['step']} step"
    return ["moments"], [f"{words}: {said(wrong, elements)}"] if wrong else []


def _orbitals(request: Request, result: Result, data: dict[str, Any], parent: Path) -> tuple[list[str], list[str]]:
    """Return whether occupations were compared too, of runs whose moments agree, and how they differ."""
    if not result.occupations or not data.get("occupations"):
        return ["moments"], []
    theirs = Result.load(parent).occupations
    first, second = ({one.site: one for one in shells} for shells in (result.occupations, theirs))
    same_u = data["request"]["request"]["hubbard"] == request.identity()["hubbard"]
    tolerance = SAME_U_TOLERANCE if same_u else OTHER_U_TOLERANCE

    def compared(sites: Iterable[int]) -> str:
        mine = {site: first[site] for site in sites}
        return compare_occupations(mine, second, result.structure, code=request.code, tolerance=tolerance)

    verdict = compared(first)
    if verdict == "unknown":
        return ["moments"], []
    whose = f"those of the {data['step']} step whose density it starts from, though the moments agree"
    told = []
    if verdict == "other":
        elements = [site.specie.symbol for site in result.structure]
        where = said([site for site in first if compared([site]) == "other"], elements)
        told = [f"its Hubbard occupations are not {whose}{f': {where}' if where else ''}"]
    elif verdict == "turned":
        told = [f"its occupied orbitals are turned against {whose}"]
    return ["moments", "Hubbard occupations"], told


def _numbers(values: dict[str, Any] | None) -> Any:
    if values is None or (values.get("vectors") is None and values.get("moments") is None):
        return None
    return np.array(values.get("vectors") or values["moments"], dtype=np.float64)


def _carried(mine: Any, theirs: Any, *, sizes: bool) -> bool:
    """Tell whether a moment, or vector, on a kept density has the sign, and with `sizes` the size, of its parent."""
    large = float(np.linalg.norm(theirs))
    if sizes and abs(float(np.linalg.norm(mine)) - large) > max(NONE, _SIZES * large):
        return False
    return large < _MOMENT or float(np.dot(mine, theirs)) > 0


def _unlike(own: Any, theirs: Any) -> list[int]:
    """Return the sites whose moments differ in a step with a cycle of its own, which may turn all of them over."""
    sign = 1.0 if float((own * theirs).sum()) >= 0 else -1.0
    if own.ndim == 1 and same_state(own, theirs):
        return []
    apart = np.abs(sign * own - theirs) if own.ndim == 1 else np.linalg.norm(sign * own - theirs, axis=1)
    large = np.abs(theirs) if own.ndim == 1 else np.linalg.norm(theirs, axis=1)
    return [int(i) for i in np.flatnonzero(apart > np.maximum(_MOMENT / 2, _SIZES * large))]
