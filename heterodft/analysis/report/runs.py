"""The calculations behind a report as their folders have them: request, result, what they cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from heterodft.analysis.result import RESULT_FILE
from heterodft.errors import ReaderError
from heterodft.files import read_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

__all__ = ["Run", "read_runs"]


@dataclass(frozen=True)
class Run:
    """One calculation.

    Attributes
    ----------
    folder
        Where it is.
    id
        Its identity.
    about, request
        Both parts of ``request.json``.
    result
        Data of ``result.json``; empty where it has none of this request.
    watched
        Whether Custodian watched it.
    """

    folder: Path
    id: str
    about: Mapping[str, Any] = field(repr=False)
    request: Mapping[str, Any] = field(repr=False)
    result: Mapping[str, Any] = field(repr=False)
    watched: bool = False

    @property
    def step(self) -> str:
        """``static``, ``dos`` …"""
        return str(self.request.get("step", ""))

    @property
    def code(self) -> str:
        """``espresso`` or ``vasp``; empty where neither request nor result tells."""
        return str(self.result.get("code") or self.request.get("code") or "")

    @property
    def settings(self) -> Mapping[str, Any]:
        """The resolved numbers of the request."""
        return self.request.get("settings") or {}

    @property
    def core_seconds(self) -> float:
        """CPU time of all ranks, in all runs of the programs; that of one rank where no more is told."""
        spent = self.result.get("spent") or {}
        return float(spent.get("core_seconds") or spent.get("cpu_seconds") or self.result.get("cpu_seconds") or 0.0)

    @property
    def wall_seconds(self) -> float:
        """Of the last run of the program."""
        return float(self.result.get("wall_seconds") or 0.0)


def read_runs(folders: Iterable[Path]) -> list[Run]:
    """Read request and result of each folder; those without a readable request are left out."""
    runs = []
    for folder in folders:
        try:
            data = read_json(folder / "request.json")
        except ReaderError:
            continue
        identity = str(data.get("id", ""))
        result = _result(folder, identity)
        watched = (folder / "custodian.json").is_file()
        runs.append(Run(folder, identity, data.get("about") or {}, data.get("request") or {}, result, watched))
    return runs


def _result(folder: Path, identity: str) -> Mapping[str, Any]:
    try:
        data = read_json(folder / RESULT_FILE)
    except ReaderError:
        return {}
    return data if data.get("id") in (None, identity) else {}
