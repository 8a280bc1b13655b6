"""Drivers without the queue: with real calculations, or with results that a test makes up."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from heterodft.workflows.calculation import write_request
from heterodft.workflows.drivers import strategy_of
from heterodft.workflows.drivers.driver import Finished
from heterodft.workflows.runner import run_calculation

if TYPE_CHECKING:
    from collections.abc import Callable

    from heterodft.analysis.result import Result
    from heterodft.workflows.calculation import Request
    from heterodft.workflows.drivers.driver import Decision, Driver
    from heterodft.workflows.settings import Settings

MOST_ROUNDS = 100


class MadeUp(Finished):
    """Results that a function gives, once they were asked to be computed."""

    def __init__(self, result_of: Callable[[Request], Result | str]):
        self.result_of = result_of
        self.computed: dict[str, Result | str] = {}

    def compute(self, request: Request) -> None:
        if request.id not in self.computed:
            self.computed[request.id] = self.result_of(request)

    def result(self, request: Request) -> Result | None:
        found = self.computed.get(request.id)
        return (
            None
            if found is None or isinstance(found, str)
            else replace(found, request=_request_data(request) | found.request)
        )

    def failure(self, request: Request) -> str | None:
        found = self.computed.get(request.id)
        return found if isinstance(found, str) else None


def _request_data(request: Request) -> dict:
    import json

    return json.loads(request.to_text())


def drive_made_up(driver: Driver, result_of: Callable[[Request], Result | str]) -> tuple[MadeUp, list[Decision]]:
    """Drive to the end with made-up results (a text is a failure); return them and every decision."""
    finished = MadeUp(result_of)
    decisions: list[Decision] = []
    while not decisions or not decisions[-1].ended:
        assert len(decisions) < MOST_ROUNDS
        decisions.append(strategy_of(driver).decide(driver, finished))
        for chain in decisions[-1].chains:
            for request in chain:
                finished.compute(request)
                if finished.failure(request) is not None:
                    break
    return finished, decisions


def drive_here(driver: Driver, settings: Settings) -> list[Decision]:
    """Drive to the end with the programs of the settings; return every decision."""
    decisions: list[Decision] = []
    while not decisions or not decisions[-1].ended:
        assert len(decisions) < MOST_ROUNDS
        decisions.append(strategy_of(driver).decide(driver, Finished(settings.runs)))
        for chain in decisions[-1].chains:
            for request in chain:
                folder = settings.runs / request.path
                write_request(request, folder)
                run_calculation(folder, request.id, settings)
    return decisions
