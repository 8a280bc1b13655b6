"""Drivers: questions that take several calculations to answer, with just as many as they take."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from heterodft.workflows.campaign import Campaign
    from heterodft.workflows.drivers.driver import Driver, Strategy

__all__ = ["KINDS", "build_driver", "strategy_of"]

_CONVERGENCE = "convergence_driver"
KINDS: dict[str, str] = {
    **dict.fromkeys(("cutoff", "kspacing", "smearing", "layers", "vacuum"), _CONVERGENCE),
    "hubbard": "hubbard_driver",
    "linear_response": "response_driver",
    "starts": "starts_driver",
}
"""Module of each kind: its ``build`` makes the driver, its ``STRATEGY`` says how it goes on."""


def _module(kind: str) -> Any:
    return importlib.import_module(f"{__name__}.{KINDS[kind]}")


def build_driver(
    campaign: Campaign, kind: str, *, pseudo_dir: Path | None = None, notes: list[str] | None = None
) -> Driver:
    """Return the driver of a kind, as the ``converge`` section of a campaign asks for it.

    Parameters
    ----------
    campaign
        With that kind in its ``converge`` section.
    kind
        One of `KINDS`.
    pseudo_dir
        Folder of UPF files; by default the installed family of the functional.
    notes
        What the user should hear of is added here.

    Raises
    ------
    CampaignError
        If the campaign cannot answer the question.
    """
    driver: Driver = _module(kind).build(campaign, kind, pseudo_dir=pseudo_dir, notes=notes)
    return driver


def strategy_of(driver: Driver) -> Strategy:
    """Return how a driver goes on."""
    strategy: Strategy = _module(driver.kind).STRATEGY
    return strategy
