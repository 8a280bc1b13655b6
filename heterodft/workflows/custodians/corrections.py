"""Corrections as data: applying them to an input, and reading from ``custodian.json`` what was corrected.

An action is ``{"dict": "pw.in", "action": {...}}`` with

- ``_set``: values by ``namelist->key``; ``_unset``: keys to remove;
- ``_continue``: where the next run starts: ``checkpoint`` (where pw.x stopped), ``density`` (a new cycle from the
  density on disk), ``positions`` (a new relaxation from the last structure printed), ``scratch`` (from atoms);
- ``_keeps``: what it touches in a way that leaves the energy the one asked for.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from heterodft.files import write_text
from heterodft.templates.espresso import PREFIX, program_of
from heterodft.templates.espresso_edit import edit_namelists, read_value, replace_structure
from heterodft.workflows.custodians.last_structure import read_last_structure
from heterodft.workflows.custodians.watch import attempts_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = [
    "Correction",
    "apply_actions",
    "corrected_so_far",
    "corrections_of",
    "read_corrections",
    "recorded_changes",
]

_MODE, _DENSITY, _WAVEFUNCTIONS = "control->restart_mode", "electrons->startingpot", "electrons->startingwfc"
RUN_CONTROL = (_MODE, _DENSITY, _WAVEFUNCTIONS, "control->max_seconds", "control->calculation")
"""How and from where one run starts; of no meaning for the next one."""

_TOUCHES = {
    "smearing": ("degauss", "smearing", "occupations", "ismear", "sigma"),
    "k-points": ("k_points", "kpoints", "kspacing", "kgamma", "nk1", "nk2", "nk3"),
    "cutoff": ("ecutwfc", "ecutrho", "encut", "enaug", "prec"),
    "symmetry": ("nosym", "nosym_evc", "noinv", "no_t_rev", "isym", "symprec"),
}


@dataclass(frozen=True)
class Correction:
    """One correction between two runs of a program.

    Attributes
    ----------
    program
        ``pw.x``, or the file that was changed in VASP.
    errors
        What was wrong, in words.
    changes
        By setting, its value before (None where it was not there) and after (None where it was removed).
    touches
        Which of ``smearing``, ``k-points``, ``cutoff``, ``symmetry`` it changed; energies are then not comparable.
    """

    program: str
    errors: tuple[str, ...]
    changes: dict[str, tuple[Any, Any]]
    touches: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        data = asdict(self)
        changes = {name: list(pair) for name, pair in self.changes.items()}
        return data | {"errors": list(self.errors), "changes": changes, "touches": list(self.touches)}


def apply_actions(folder: Path, actions: Sequence[Mapping[str, Any]]) -> dict[str, str | None]:
    """Apply actions to the inputs of a folder, each input written whole.

    Returns
    -------
    dict
        What each setting that was set or removed was before, None where it was not there.
    """
    before: dict[str, str | None] = {}
    for entry in actions:
        path, action = folder / entry["dict"], entry["action"]
        text = path.read_text(encoding="utf-8")
        changes = {**dict(action.get("_set", {})), **dict.fromkeys(action.get("_unset", ()))}
        before |= {name: read_value(text, name) for name in changes}
        if "_continue" in action:
            text = _start_from(text, folder, path.name, action["_continue"])
        write_text(path, edit_namelists(text, changes))
    return before


def _start_from(text: str, folder: Path, file: str, where: str) -> str:
    """Return an input that starts from what an earlier run left."""
    if where == "checkpoint":
        return edit_namelists(text, {_MODE: "restart", _DENSITY: None, _WAVEFUNCTIONS: None})
    fresh = {_MODE: None, _DENSITY: None, _WAVEFUNCTIONS: None}
    if where in ("positions", "density") and (folder / f"{PREFIX}.save" / "charge-density.dat").is_file():
        fresh[_DENSITY] = "file"  # type: ignore[assignment]
    if where == "positions":
        structure = read_last_structure(folder, file)
        text = text if structure is None else replace_structure(text, structure)
    return edit_namelists(text, fresh)


def read_corrections(folder: Path) -> list[Correction]:
    """Return every correction that was applied in a folder, oldest first."""
    return [
        _correction(attempt, entry)
        for attempt in attempts_in(folder)
        for entry in attempt.get("corrections", ())
        if entry.get("actions")
    ]


def corrections_of(folder: Path) -> list[dict[str, Any]]:
    """Return the corrections of a folder as plain data, for its result."""
    return [correction.to_dict() for correction in read_corrections(folder)]


def corrected_so_far(folder: Path) -> str:
    """Return how often a calculation that is not finished was corrected, and why; empty where it was not."""
    found = read_corrections(folder)
    why = ", ".join(dict.fromkeys(error for correction in found for error in correction.errors))
    return f"corrected {'once' if len(found) == 1 else f'{len(found)} times'} until then: {why}" if found else ""


def recorded_changes(folder: Path, file: str) -> dict[str, Any]:
    """Return the settings that earlier attempts ended up with, so that a calculation that goes on keeps them.

    Parameters
    ----------
    folder, file
        Where it runs, and which input: ``pw.in``.

    Returns
    -------
    dict
        By ``namelist->key``, None where a setting was removed; without what only told a run where to start.
    """
    found: dict[str, Any] = {}
    for attempt in attempts_in(folder):
        for entry in attempt.get("corrections", ()):
            for name, value in _changes(entry, file):
                found[name] = value
    return {name: value for name, value in found.items() if name not in RUN_CONTROL}


def _changes(entry: Mapping[str, Any], file: str | None = None) -> Iterator[tuple[str, Any]]:
    for one in entry.get("actions") or ():
        if file is None or one.get("dict") == file:
            action = one.get("action", {})
            yield from action.get("_set", {}).items()
            yield from dict.fromkeys(action.get("_unset", ())).items()


def _correction(attempt: Mapping[str, Any], entry: Mapping[str, Any]) -> Correction:
    before = entry.get("before", {})
    changes = {name: (_value(before.get(name)), value) for name, value in _changes(entry) if name not in RUN_CONTROL}
    files = [str(one.get("dict") or one.get("file") or "") for one in entry["actions"]]
    file = str(attempt.get("job", {}).get("file", ""))
    program = program_of(file) if file else files[0]
    keys = {re.split(r"->|\(", name)[1 if "->" in name else 0].strip().lower() for name in (*changes, *files)}
    kept = {kind for one in entry["actions"] for kind in one.get("action", {}).get("_keeps", ())}
    touches = tuple(kind for kind, names in _TOUCHES.items() if keys & set(names) and kind not in kept)
    return Correction(program, tuple(map(str, entry.get("errors", ()))), changes, touches)


def _value(written: Any) -> Any:
    """Return a value as it is in an input as a number or a truth value where it is one."""
    if not isinstance(written, str):
        return written
    if written.lower() in (".true.", ".false."):
        return written.lower() == ".true."
    for kind in (int, float):
        try:
            return kind(written.lower().replace("d", "e"))
        except ValueError:
            continue
    return written
