"""First-principles workflow manager for heterostructures.

>>> from heterodft import Campaign
>>> campaign = Campaign.from_file("campaign.yaml")    # doctest: +SKIP
>>> campaign.results().layers()                       # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from heterodft.workflows.campaign import Campaign

__version__ = "0.1.0"
__all__ = ["Campaign", "__version__"]


def __getattr__(name: str) -> Any:
    """Import the campaign only where it is used, so that the command line starts at once."""
    if name == "Campaign":
        from importlib import import_module

        return import_module("heterodft.workflows.campaign").Campaign
    raise AttributeError(f"module 'heterodft' has no attribute '{name}'")
