"""A driver: a question that takes several calculations to answer, each decided on by those before.

A driver is data: which campaign, which kind of question, the points that are known beforehand, and the rule by which
it goes on and stops. Its strategy (one a kind) is a pure function of what is finished, so that a driver that was
stopped anywhere goes on by looking at the folders again. The queue is not known here.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from heterodft.analysis.result import Result
from heterodft.errors import CalculationError, ReaderError
from heterodft.files import make_folder, read_json, write_text
from heterodft.workflows.calculation import FAILURE_FILE, REQUEST_FILE, finished_id, request_from_data
from heterodft.workflows.drivers.decisions import DRIVER_FILE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from matplotlib.figure import Figure
    from pandas import DataFrame

    from heterodft.workflows.calculation import Request

__all__ = ["Chain", "Decision", "Driver", "Finished", "Point", "Strategy", "Summary", "read_driver", "write_driver"]

_SCHEMA = 1

Chain = tuple["Request", ...]
"""The steps of one configuration, in the order they run."""


@dataclass(frozen=True)
class Point:
    """What is computed at one value.

    Attributes
    ----------
    label
        As in a table: ``60 Ry``, ``up U=2 eV``.
    value
        In eV, Å, 1/Å or a count.
    chains
        One a configuration, in the same order at every point.
    """

    label: str
    value: float
    chains: tuple[Chain, ...]


@dataclass(frozen=True)
class Driver:
    """A driver as it is kept in ``driver.json``.

    Attributes
    ----------
    kind
        Name of its strategy: ``cutoff``, ``kspacing``, ``hubbard`` …
    campaign
        Name of the campaign that it belongs to.
    points
        Those known beforehand, in the order they may be computed.
    rule
        What the strategy goes by, plain JSON data: tolerances, branches, counts.
    """

    kind: str
    campaign: str
    points: tuple[Point, ...]
    rule: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of its folder below the folder of runs, a campaign of its own: ``crn.cutoff``."""
        return f"{self.campaign}.{self.kind}"

    @cached_property
    def id(self) -> str:
        """First 12 digits of the SHA-256 of what it asks for."""
        asked = {
            "schema": _SCHEMA,
            "name": self.name,
            "rule": self.rule,
            "points": [
                [p.label, p.value, [[request.id for request in chain] for chain in p.chains]] for p in self.points
            ],
        }
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:12]

    def to_text(self) -> str:
        """Return the content of ``driver.json``."""
        points = [
            {
                "label": point.label,
                "value": point.value,
                "chains": [[json.loads(request.to_text()) for request in chain] for chain in point.chains],
            }
            for point in self.points
        ]
        data = {"schema": _SCHEMA, "id": self.id, "kind": self.kind, "campaign": self.campaign, "rule": self.rule}
        return json.dumps(data | {"points": points}, ensure_ascii=False, indent=1) + "\n"


def write_driver(driver: Driver, runs: Path) -> Path:
    """Write ``driver.json`` into the folder of a driver, which is made; return the folder."""
    folder = runs / driver.name
    make_folder(folder)
    write_text(folder / DRIVER_FILE, driver.to_text())
    return folder


def read_driver(folder: Path) -> Driver:
    """Read the driver of a folder.

    Raises
    ------
    CalculationError
        If there is none, or it was altered since it was written.
    """
    try:
        data = read_json(folder / DRIVER_FILE)
        points = tuple(
            Point(
                point["label"],
                point["value"],
                tuple(tuple(request_from_data(request) for request in chain) for chain in point["chains"]),
            )
            for point in data["points"]
        )
        driver = Driver(data["kind"], data["campaign"], points, data["rule"])
    except (ReaderError, KeyError, TypeError) as error:
        raise CalculationError(
            f"{folder}: no usable {DRIVER_FILE} ({error}); give heterodft converge again"
        ) from error
    if driver.id != data["id"]:
        raise CalculationError(f"{folder / DRIVER_FILE} was altered; give heterodft converge again")
    return driver


class Finished:
    """What is finished of the calculations of a driver, found in their folders.

    Parameters
    ----------
    runs
        Folder of all runs.

    Attributes
    ----------
    failures
        Why each calculation that was asked for and failed did so, by its path.
    """

    def __init__(self, runs: Path):
        self.runs = runs
        self.failures: dict[str, str] = {}
        self._results: dict[str, Result] = {}

    def result(self, request: Request) -> Result | None:
        """Return the result of a calculation, None as long as it has none."""
        if request.id not in self._results:
            folder = self.runs / request.path
            if finished_id(folder) != request.id:
                return None
            try:
                self._results[request.id] = Result.load(folder)
            except ReaderError:
                return None
        return self._results[request.id]

    def failure(self, request: Request) -> str | None:
        """Return why a calculation failed, None when it did not, is finished, or will be run again.

        What another request left in the same folder, as before a setting was changed, is no failure of this one.
        """
        folder = self.runs / request.path
        if self.result(request) is not None:
            return None
        try:
            data = read_json(folder / FAILURE_FILE)
            if read_json(folder / REQUEST_FILE).get("id", request.id) != request.id:
                return None
        except ReaderError:
            return None
        if data.get("interrupted"):
            return None
        self.failures[request.path] = str(data.get("reason", "it failed"))
        return self.failures[request.path]

    def chain_failure(self, chain: Chain) -> str | None:
        """Return the path and the reason of the first failed step of a chain."""
        for request in chain:
            reason = self.failure(request)
            if reason is not None:
                return f"{request.path}: {reason}"
        return None

    def is_finished(self, chain: Chain) -> bool:
        """Tell whether every step of a chain has its result."""
        return all(self.result(request) is not None for request in chain)


@dataclass(frozen=True)
class Decision:
    """What a driver does next.

    Attributes
    ----------
    chains
        To be computed before it is asked again; empty when it has ended. Finished ones may be among them.
    words
        One line for people: ``60 Ry: energy differs by 3.1 meV/atom; 70 Ry next``.
    """

    chains: tuple[Chain, ...]
    words: str

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to compute."""
        return not self.chains


@dataclass(frozen=True)
class Summary:
    """What a driver has found so far.

    Attributes
    ----------
    title
        One line.
    tables
        By the name of the CSV file they go to.
    words
        Lines for people: what is recommended and why, what is doubtful, what failed.
    data
        Plain JSON data with ``ended``, ``converged`` (None where it means nothing) and ``recommended`` at the top.
    figures
        By the name of the file they go to, which is that of the table they show.
    shown
        Narrower tables for a window, by their titles; those of `tables` where there are none.
    """

    title: str
    tables: Mapping[str, DataFrame]
    words: tuple[str, ...]
    data: dict[str, Any]
    figures: Mapping[str, Figure] = field(default_factory=dict)
    shown: Mapping[str, DataFrame] = field(default_factory=dict)


class Strategy(Protocol):
    """How drivers of one kind go on."""

    def decide(self, driver: Driver, finished: Finished) -> Decision:
        """Return what to compute next, by what is finished; the same folders give the same answer."""

    def summarize(self, driver: Driver, finished: Finished, *, figures: bool = False) -> Summary:
        """Return what was found so far; figures are drawn only when asked for."""
