"""Densities and potentials on the grid of a cell."""

from heterodft.analysis.grids.volume_grid import GridQuantity, VolumeGrid, plane_normal

__all__ = ["GridQuantity", "VolumeGrid", "plane_normal"]
