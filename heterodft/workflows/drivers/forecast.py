"""How many calculations a driver may take, before it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from heterodft.words import number_of
from heterodft.workflows.drivers.hubbard_ramps import planned_points

if TYPE_CHECKING:
    from heterodft.workflows.drivers.driver import Driver

__all__ = ["Forecast", "forecast"]


@dataclass(frozen=True)
class Forecast:
    """What a driver may take.

    Attributes
    ----------
    factor
        How often the calculations of its points are made, in the mean: a scan of U goes up and down.
    more
        What comes besides and cannot be counted yet, in words; empty where the points are all there can be.
    """

    factor: float = 1.0
    more: str = ""


def forecast(driver: Driver) -> Forecast:
    """Return what a driver may take beside its points, all of which may be needed."""
    rule = driver.rule
    if driver.kind == "hubbard":
        return Forecast(planned_points(driver) / sum(len(point.chains) for point in driver.points))
    if driver.kind != "linear_response":
        return Forecast()
    if rule["method"] == "shifts":
        each = 2 * len(rule["shifts"])
        return Forecast(more=f"{each} shifts for each inequivalent site of each")
    if rule["self_consistent"]:
        rounds = rule["max_rounds"] - 1
        each = 2 * len(driver.points[-1].chains)
        most = f"up to {number_of(rounds, 'round')} of {each} calculations each"
        return Forecast(more=f"{most}, until U agrees with itself")
    return Forecast()
