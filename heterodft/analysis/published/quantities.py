"""The function that makes each quantity of `heterodft.analysis.published.vocabulary`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heterodft.analysis.published.cell_quantities import (
    find_energy,
    find_gap_of_cell,
    find_lowest_order,
    find_misfit,
)
from heterodft.analysis.published.layer_quantities import (
    find_carriers,
    find_charge,
    find_largest_layer,
    find_moment,
    find_orbitals,
    find_stoner,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from heterodft.analysis.published.choosing import Configurations
    from heterodft.analysis.published.figures import Ours
    from heterodft.analysis.published.found import Found
    from heterodft.analysis.report.collect import ConfigurationReport

    Finder = Callable[[ConfigurationReport, Ours, Configurations], Found]

__all__ = ["FINDERS"]

FINDERS: Mapping[str, Finder] = {
    "energy": find_energy,
    "lowest_order": find_lowest_order,
    "gap": find_gap_of_cell,
    "moment": find_moment,
    "carriers": find_carriers,
    "charge": find_charge,
    "orbital_polarization": find_orbitals,
    "stoner": find_stoner,
    "misfit": find_misfit,
    "largest_layer": find_largest_layer,
}
"""By the name of the quantity; each raises ReaderError with the reason where it cannot make it of a configuration."""
