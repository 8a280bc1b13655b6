"""What a recommended value costs in the campaign, and what a driver saved by stopping early."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from heterodft.workflows.chains import campaign_chains
from heterodft.workflows.cost import calibrate, estimate_cost
from heterodft.workflows.drivers.convergence_points import campaign_at

if TYPE_CHECKING:
    from collections.abc import Iterable

    from heterodft.workflows.calculation import Request
    from heterodft.workflows.campaign import Campaign
    from heterodft.workflows.cost import Calibration
    from heterodft.workflows.drivers.driver import Driver, Finished
    from heterodft.workflows.settings import Settings

__all__ = ["CampaignCost", "cost_of", "cost_of_driver", "cost_of_recommendation"]


@dataclass(frozen=True)
class CampaignCost:
    """The cost of a set of calculations.

    Attributes
    ----------
    calculations
        Their number.
    core_hours
        Of all, good to a factor of three.
    memory
        GB of the largest.
    """

    calculations: int
    core_hours: float
    memory: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return dict(vars(self))


def cost_of(requests: Iterable[Request], settings: Settings, calibration: Calibration) -> CampaignCost:
    """Return the estimated cost of some calculations together."""
    costs = [estimate_cost(request, settings, calibration=calibration) for request in requests]
    hours = sum(cost.core_hours for cost in costs)
    return CampaignCost(len(costs), hours, max((cost.memory for cost in costs), default=0.0))


def cost_of_recommendation(
    campaign: Campaign, kind: str, value: float, settings: Settings, *, material: str | None = None
) -> tuple[CampaignCost, CampaignCost]:
    """Return the cost of the whole campaign as it is, and with a recommended value.

    Parameters
    ----------
    campaign
        The campaign.
    kind, value
        ``cutoff``, ``kspacing``, ``smearing``, ``layers`` or ``vacuum``, and the value in eV, 1/Å, Å or a count.
    settings
        Of this machine; past runs in its folder of runs calibrate the estimate.
    material
        Whose layers the value is for.
    """
    calibration = calibrate(settings)
    present, changed = (
        cost_of((request for chain in campaign_chains(one, pseudo_dir=settings.pseudo_dir) for request in chain),
              settings, calibration)
        for one in (campaign, campaign_at(campaign, kind, value, material=material))
    )  # fmt: skip
    return present, changed


def cost_of_driver(driver: Driver, finished: Finished, settings: Settings) -> tuple[CampaignCost, CampaignCost]:
    """Return the estimated cost of what a driver computed, and of what it did not compute because it stopped.

    Both are those of independent calculations; started from a density they take fewer iterations.
    """
    from heterodft.workflows.drivers.convergence_driver import follow

    walk = follow(driver, finished)
    visited = {point.label for point in walk.points} | {point.label for point, _, _ in walk.failed}
    done = [r for p in driver.points if p.label in visited for chain in p.chains for r in chain]
    saved = [r for p in driver.points if p.label not in visited for chain in p.chains for r in chain]
    calibration = calibrate(settings)
    return cost_of(done, settings, calibration), cost_of(saved, settings, calibration)
