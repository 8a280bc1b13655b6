from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from lxml import etree
from matplotlib.patches import Circle

from heterodft.analysis.layers import find_planes
from heterodft.analysis.pdos import SHELLS, LayerDos
from heterodft.analysis.plots import draw_layer_dos, draw_side_view, layer_colors, to_svg
from heterodft.analysis.plots.style import pretty
from heterodft.structures import Block, build_material, build_superlattice, enumerate_defects

STO, LAO = build_material("SrTiO3"), build_material("LaAlO3")
GRID = np.linspace(-10, 10, 201)


def stack(normal=(0, 0, 1), sto=1):
    return build_superlattice([Block(STO, sto), Block(LAO, 1)], normal=normal, in_plane="SrTiO3")


def layer_dos(spins=2):
    planes = find_planes(stack())
    values = np.zeros((len(planes), len(SHELLS), spins, len(GRID)))
    values[:, 1], values[1, 2] = np.exp(-((GRID + 3) ** 2)), np.exp(-((GRID - 1) ** 2))
    return LayerDos(planes, GRID, values, 5.0, "middle of the gap")


def texts(svg):
    root = etree.fromstring(svg.encode())
    assert etree.QName(root).localname == "svg"
    return ["".join(node.itertext()).strip() for node in root.iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("spins", [1, 2])
def test_a_layer_dos_is_valid_svg_with_a_panel_a_plane_top_plane_first(spins):
    figure = draw_layer_dos(layer_dos(spins))
    labels = [axis.texts[0].get_text() for axis in figure.axes]
    assert labels == ["AlO₂   LaAlO₃:1", "LaO   LaAlO₃:1", "TiO₂   SrTiO₃:1", "SrO   SrTiO₃:1"]
    written = texts(to_svg(figure))
    assert set(labels) <= set(written)
    assert "energy from the middle of the gap (eV)" in written
    assert "d" in written
    assert "f" not in written


def drawn_heights(figure, panel):
    """Largest and lowest value of the filled curves of a panel."""
    points = np.vstack([path.vertices for area in figure.axes[panel].collections for path in area.get_paths()])
    return points[:, 1].max(), points[:, 1].min()


def test_spin_up_points_up_and_spin_down_down():
    dos = layer_dos()
    dos.values[2, 1, 0] *= 3
    assert drawn_heights(draw_layer_dos(dos), 1) == pytest.approx((3.0, -1.0))


def test_a_spike_of_a_flat_band_runs_out_of_its_panel_and_a_peak_does_not():
    """A tenth of the states of a broad band, in one point of the grid."""
    dos = layer_dos()
    dos.values[2, 2, 1, 120] = 20.0
    cut, whole = (draw_layer_dos(dos).axes[panel] for panel in (1, 0))
    assert -20.0 < cut.get_ylim()[0] < -1.0
    (mark,) = (line for line in cut.lines if line.get_marker() == "v")
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (pytest.approx(GRID[120]), pytest.approx(cut.get_ylim()[0]))
    assert whole.get_ylim()[1] == pytest.approx(1.1, rel=0.01)
    assert all(line.get_marker() not in ("^", "v") for line in whole.lines)
    assert drawn_heights(draw_layer_dos(dos), 1)[1] == pytest.approx(-20.0)  # the curve itself is not changed


def test_without_spin_there_is_one_side_and_no_word_of_spin():
    figure = draw_layer_dos(layer_dos(spins=1))
    assert drawn_heights(figure, 1) == pytest.approx((1.0, 0.0))
    assert figure.axes[1].get_ylim()[0] == 0
    assert not any("spin" in text for text in texts(to_svg(figure)))


@pytest.mark.parametrize("normal", [(0, 0, 1), (1, 1, 0), (1, 1, 1)])
def test_a_side_view_is_valid_svg_that_names_planes_and_layers(normal):
    structure = stack(normal, sto=2)
    written = texts(to_svg(draw_side_view(structure)))
    for plane in find_planes(structure):
        assert pretty(plane.formula) in written
        assert pretty(plane.layer) in written
    assert "V" not in written


def circles(figure):
    return [patch for patch in figure.axes[0].patches if isinstance(patch, Circle)]


def test_every_atom_is_drawn_inside_the_picture():
    for normal in ((0, 0, 1), (1, 1, 1)):
        structure = stack(normal)
        figure = draw_side_view(structure)
        (left, right), (low, high) = figure.axes[0].get_xlim(), figure.axes[0].get_ylim()
        assert len(circles(figure)) >= len(structure)
        for circle in circles(figure):
            x, y = circle.center
            assert left < x - circle.radius < x + circle.radius < right
            assert low < y - circle.radius < y + circle.radius < high


def test_a_vacancy_is_a_dashed_circle_where_the_atom_was():
    host = stack()
    vacancy = enumerate_defects(host, "V_O")[1]
    figure = draw_side_view(vacancy.structure)
    dashed = [c for c in circles(figure) if c.get_linestyle() == "--"]
    places = {tuple(np.round(c.center, 6)) for c in circles(draw_side_view(host))}
    assert dashed
    assert {tuple(np.round(c.center, 6)) for c in dashed} <= places
    assert "V" in texts(to_svg(figure))


def test_layers_have_colours_of_their_own():
    planes = find_planes(stack(sto=3))
    colors = layer_colors(planes)
    assert list(colors) == ["SrTiO3:1", "SrTiO3:2", "SrTiO3:3", "LaAlO3:1"]
    assert len(set(colors.values())) == 4


def test_the_same_figure_gives_the_same_bytes_and_leaves_the_users_style_alone():
    before = dict(mpl.rcParams)
    assert to_svg(draw_layer_dos(layer_dos())) == to_svg(draw_layer_dos(layer_dos()))
    assert dict(mpl.rcParams) == before


def test_names_that_look_like_markup_are_escaped():
    structure = stack()
    structure.add_site_property("material", ["<b>&"] * len(structure))
    assert any("<b>&" in text for text in texts(to_svg(draw_side_view(structure))))
