"""Folders of this program: the steps of a configuration lie side by side, each with its ``request.json``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heterodft.errors import HeterodftError
from heterodft.files import read_json

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["distinct_names", "find_configurations", "find_steps", "find_steps_beside"]

_REQUEST = "request.json"
_FIRST = ("static", "relax", "dos", "bands", "potential", "charge", "response", "shift", "shift-bare")
"""The order in which steps are read and told, the one to believe first."""
_DEEPEST = 6
"""Folders below one that may hold many campaigns."""


def find_steps(folder: Path) -> dict[str, Path]:
    """Return the step folders right in a folder by the name of their step, those with an energy first.

    Empty where there are none, and for the folder of a step itself.
    """
    if not folder.is_dir() or (folder / _REQUEST).is_file():
        return {}
    found = {str(step): path.parent for path in sorted(folder.glob(f"*/{_REQUEST}")) if (step := _step(path.parent))}
    return {step: found[step] for step in sorted(found, key=_rank)}


def find_steps_beside(folder: Path) -> dict[str, Path]:
    """Return the other steps of the configuration that a step folder belongs to; empty for folders of others."""
    own = _asked(folder)
    if not own:
        return {}
    steps = find_steps(folder.resolve().parent)
    return {
        step: path
        for step, path in steps.items()
        if path != folder.resolve() and _configuration(_asked(path)) == _configuration(own)
    }


def find_configurations(paths: Sequence[Path]) -> list[Path]:
    """Return the folders to read for those a user named.

    A folder that is no calculation but has configurations of this program below it stands for these; any other is
    returned as it is.
    """
    return [found for path in paths for found in _configurations_below(path) or [path]]


def _configurations_below(folder: Path) -> list[Path]:
    if not folder.is_dir() or (folder / _REQUEST).is_file():
        return []
    found = []
    for place, inside, _ in os.walk(folder):
        here = Path(place)
        inside[:] = sorted(name for name in inside if not name.startswith(".") and not name.endswith(".save"))
        if any((here / name / _REQUEST).is_file() for name in inside):
            found.append(here)
            inside.clear()
        elif len(here.relative_to(folder).parts) >= _DEEPEST:
            inside.clear()
    return found


def _step(folder: Path) -> str | None:
    request = _asked(folder).get("request")
    return request.get("step") if isinstance(request, dict) else None


def _asked(folder: Path) -> dict[str, Any]:
    path = folder / _REQUEST
    try:
        return read_json(path) if path.is_file() else {}
    except HeterodftError:  # told when the folder is read
        return {}


def _configuration(asked: dict[str, Any]) -> tuple[Any, ...]:
    about = asked.get("about", {})
    return tuple(str(about.get(key)) for key in ("campaign", "name", "order", "hubbard"))


def _rank(step: str) -> tuple[int, str]:
    return (_FIRST.index(step) if step in _FIRST else len(_FIRST), step)


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """Return a name for each path: the parts in which they differ.

    Examples
    --------
    >>> from pathlib import Path
    >>> distinct_names([Path("/r/sl/FM/static"), Path("/r/sl/AFM-G/static")])
    ['FM', 'AFM-G']
    """
    places = [path.resolve().parent if path.is_file() else path.resolve() for path in paths]
    parts = [place.parts for place in places]
    if len(set(parts)) < 2:
        names = [place.name or "root" for place in places]
    else:
        shortest = min(map(len, parts))
        first = next((i for i in range(shortest) if len({p[i] for p in parts}) > 1), shortest - 1)
        last = next((i for i in range(1, shortest - first + 1) if len({p[-i] for p in parts}) > 1), 1)
        names = ["_".join(p[first : len(p) - last + 1]) or p[-1] for p in parts]
    return [
        name if names.index(name) == i else f"{name}-{names[: i + 1].count(name)}" for i, name in enumerate(names)
    ]
