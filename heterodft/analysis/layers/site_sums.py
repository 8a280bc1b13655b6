"""What the profiles of site values share: the groups they add over, and the first columns of their tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.layers.layering import find_layering
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from heterodft.analysis.layers.layering import Layering, SiteGroup
    from heterodft.analysis.result import Result, SiteValues

__all__ = [
    "block_of",
    "elements_of",
    "group_columns",
    "group_data",
    "kind_of",
    "plain_numbers",
    "site_kinds",
    "sum_by_element",
    "use_layering",
]


def use_layering(structure: Structure, layering: Layering | None) -> Layering:
    """Return the layering given, if it fits the structure, or the one found.

    Raises
    ------
    ReaderError
        If it is of another structure, or none can be told.
    """
    if layering is None:
        return find_layering(structure)
    sites = sorted(site for layer in layering.layers for site in layer.sites)
    if sites != list(range(len(structure))):
        raise ReaderError(f"the layers hold {len(sites)} sites, the result {len(structure)}; find its own layers")
    return layering


def site_kinds(result: Result) -> dict[str, SiteValues]:
    """Return charges and moments by kind, sphere first.

    Raises
    ------
    ReaderError
        If there are none, or not one for each site.
    """
    if not result.sites:
        raise ReaderError("the result holds no charges or moments of sites; set LORBIT = 11 (VASP) or run projwfc.x")
    for kind, values in result.sites.items():
        if len(values.charges) != len(result.structure):
            raise ReaderError(
                f"{len(values.charges)} {kind} charges of {len(result.structure)} sites; read the folder again"
            )
    return dict(sorted(result.sites.items(), key=lambda pair: pair[0] != "sphere"))


def elements_of(structure: Structure) -> tuple[str, ...]:
    """Return the elements in the order in which they first occur."""
    return tuple(dict.fromkeys(site.specie.symbol for site in structure))


def sum_by_element(
    structure: Structure, groups: Sequence[SiteGroup], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Add site values over groups and elements, shape (group, element); not-a-number where a group holds none."""
    elements = elements_of(structure)
    sums = np.full((len(groups), len(elements)), np.nan)
    for row, group in enumerate(groups):
        for column, element in enumerate(elements):
            own = [site for site in group.sites if structure[site].specie.symbol == element]
            if own:
                sums[row, column] = values[own].sum()
    return sums


def block_of(label: str) -> str:
    """Return the block of a layer or plane: ``SrTiO3[1]`` of ``SrTiO3[1]:2 TiO2``."""
    return label.split(" ", maxsplit=1)[0].rpartition(":")[0]


def kind_of(groups: Sequence[SiteGroup]) -> str:
    """Return ``plane`` where the groups are planes, which know their layer, else ``layer``."""
    return "plane" if groups and all(hasattr(group, "layer") for group in groups) else "layer"


def group_columns(groups: Sequence[SiteGroup], by: str) -> dict[str, list[Any]]:
    """Return the first columns of a table by layer or plane."""
    return {
        by: [group.label for group in groups],
        "formula": [group.formula for group in groups],
        "height (Å)": [group.height for group in groups],
    }


def group_data(groups: Sequence[SiteGroup]) -> list[dict[str, Any]]:
    """Return the groups as JSON data; sites count from 0."""
    return [
        {"label": group.label, "formula": group.formula, "height": group.height, "sites": list(group.sites)}
        for group in groups
    ]


def plain_numbers(values: NDArray[np.float64]) -> Any:
    """Return an array as nested lists with None for not-a-number, as JSON has none."""
    plain = values.astype(object)
    plain[~np.isfinite(values)] = None
    return plain.tolist()
