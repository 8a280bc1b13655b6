"""Moments along the layers by every method there is, as the report draws them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from heterodft.analysis.equal_layers import EQUAL_LAYERS
from heterodft.analysis.layers import sum_over_groups
from heterodft.analysis.moments import LayerMoments
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from heterodft.analysis.densities import SlabIntegrals
    from heterodft.analysis.layers import Layering, SiteGroup
    from heterodft.analysis.result import Result

__all__ = ["MomentProfile", "groups_to_draw", "moment_profile"]

By = Literal["layer", "plane"]
_SMALL = 0.02
"""μB; where no layer has more, there is nothing to draw."""
_MOMENT = 0.1
"""μB; a plane with more counts where moments cancel."""
_FEW_LAYERS = 4
"""Stacks of fewer are shown by plane."""


@dataclass(frozen=True)
class MomentProfile:
    """Moments along the layers, from each method there is: shape (group, column), μB."""

    groups: tuple[SiteGroup, ...]
    columns: tuple[str, ...]
    values: NDArray[np.float64]
    quantity: str = "moment"
    unit: str = "μB"
    notes: tuple[str, ...] = ()


def groups_to_draw(sites: Result, layering: Layering) -> By:
    """Return ``layer``; of thin stacks, and where moments within a layer cancel, ``plane``."""
    return "plane" if len(layering.layers) < _FEW_LAYERS or _cancel(sites, layering) else "layer"


def _cancel(sites: Result, layering: Layering) -> bool:
    """Tell whether moments of planes of one layer cancel, as in corundum + − + −: by layer nothing would be seen."""
    values = next(iter(sites.sites.values())).moments
    if values is None:
        return False
    by_plane = sum_over_groups(layering.planes, values)
    for layer in layering.layers:
        own = [value for plane, value in zip(layering.planes, by_plane, strict=True) if plane.layer == layer.label]
        if max(map(abs, own), default=0.0) > max(_MOMENT, 2 * abs(sum(own))):
            return True
    return False


def moment_profile(sites: Result, layering: Layering, by: By, slabs: SlabIntegrals | None) -> MomentProfile:
    """Return the moments by layer or plane, each method a column; that of the spin density where it is there."""
    moments = LayerMoments.from_result(sites, layering=layering, by=by)
    columns, values = moments.columns, moments.values
    if slabs is not None and slabs.labels == tuple(group.label for group in moments.groups):
        columns = (*columns, "density between planes")
        values = np.column_stack([values, slabs.values])
    if np.abs(values).max(initial=0.0) < _SMALL:
        raise ReaderError(f"no {by} holds {_SMALL:g} μB")
    notes = tuple(note for note in moments.notes if EQUAL_LAYERS in note)
    return MomentProfile(moments.groups, columns, values, notes=notes)
