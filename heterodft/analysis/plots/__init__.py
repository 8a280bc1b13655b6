"""Figures. Drawing knows nothing of a DFT code: each function takes a quantity and returns a matplotlib figure."""

from heterodft.analysis.plots.bands import draw_bands
from heterodft.analysis.plots.density_slice import draw_density_slice
from heterodft.analysis.plots.energies import draw_against_u, draw_energies
from heterodft.analysis.plots.layer_dos import draw_layer_dos
from heterodft.analysis.plots.occupations import draw_occupations
from heterodft.analysis.plots.planar_average import draw_planar_average
from heterodft.analysis.plots.profile import draw_profile, draw_slab_integrals
from heterodft.analysis.plots.save import save_figure, to_svg
from heterodft.analysis.plots.shells import draw_defect_shells, draw_shells
from heterodft.analysis.plots.side_view import draw_side_view
from heterodft.analysis.plots.style import layer_colors

__all__ = [
    "draw_against_u",
    "draw_bands",
    "draw_defect_shells",
    "draw_density_slice",
    "draw_energies",
    "draw_layer_dos",
    "draw_occupations",
    "draw_planar_average",
    "draw_profile",
    "draw_shells",
    "draw_side_view",
    "draw_slab_integrals",
    "layer_colors",
    "save_figure",
    "to_svg",
]
