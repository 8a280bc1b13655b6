"""Planes and layers of any structure: our labels, what heights and compositions tell, or the user's list."""

from heterodft.analysis.layers.layering import (
    AtomicPlane,
    Layer,
    Layering,
    SiteGroup,
    find_layering,
    find_planes,
    sum_over_groups,
)

__all__ = ["AtomicPlane", "Layer", "Layering", "SiteGroup", "find_layering", "find_planes", "sum_over_groups"]
