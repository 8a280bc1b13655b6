from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import figure_quantities as given
import numpy as np
import pytest
from matplotlib.collections import LineCollection

from heterodft.analysis import plots
from heterodft.analysis.plots.style import COLUMN, PAGE, SMALL, block_runs, legend_columns
from heterodft.errors import ReaderError

SIZES = (2, 24)


def texts_in_pixels(figure):
    """Boxes of every text that is drawn, with what it says."""
    figure.draw_without_rendering()
    found = []
    for axis in figure.axes:
        shown = [*axis.texts, axis.xaxis.label, axis.yaxis.label, axis.title]
        for part, limits in ((axis.xaxis, axis.get_xlim()), (axis.yaxis, axis.get_ylim())):
            ticks = part.get_major_ticks()
            shown += [tick.label1 for tick in ticks if min(limits) <= tick.get_loc() <= max(limits)]
            shown += [tick.label2 for tick in ticks if tick.label2.get_visible()]
        found += [(text.get_text(), text.get_window_extent()) for text in shown if text.get_text()]
    for legend in figure.legends:
        found += [(text.get_text(), text.get_window_extent()) for text in legend.get_texts()]
    return found


def overlaps(figure):
    boxes = texts_in_pixels(figure)
    return [
        (first, second)
        for i, (first, one) in enumerate(boxes)
        for second, other in boxes[i + 1 :]
        if min(one.x1, other.x1) - max(one.x0, other.x0) > 1.5 and min(one.y1, other.y1) - max(one.y0, other.y0) > 1.5
    ]


def outside(figure):
    width, height = figure.get_size_inches() * figure.dpi
    return [
        text
        for text, box in texts_in_pixels(figure)
        if box.x0 < -1 or box.y0 < -1 or box.x1 > width + 1 or box.y1 > height + 1
    ]


def all_figures():
    for layers in SIZES:
        for by in ("layers", "planes"):
            for spins in (1, 2) if (layers, by) == (2, "layers") else (2,):  # dozens of panels take seconds
                if layers == 2 or by == "layers":
                    yield f"dos {layers} {by} {spins}", plots.draw_layer_dos(given.dos(layers, by, spins))
            yield f"profile {layers} {by}", plots.draw_profile(given.profile(layers, by))
            yield f"bars {layers} {by}", plots.draw_profile(given.profile(layers, by, columns=("sphere",)))
        for spins in (1, 2):
            yield f"bands {layers} {spins}", plots.draw_bands(given.bands(layers, spins))
        yield f"average {layers}", plots.draw_planar_average(given.average(layers))
        yield f"cell {layers}", plots.draw_side_view(given.cell(layers, 2 if layers > 8 else 1))
    yield "lines", plots.draw_bands(given.bands(weighted=False))
    yield "energies", plots.draw_energies(given.energies())
    yield "against U", plots.draw_against_u(given.against_u())
    yield "slice", plots.draw_density_slice(given.density())
    yield "shells", plots.draw_shells(given.shells())


@pytest.fixture(scope="module")
def figures():
    return dict(all_figures())


def test_figures_fit_one_column_or_the_page(figures):
    for name, figure in figures.items():
        width, height = figure.get_size_inches()
        assert width <= COLUMN + 1e-6 or (width == PAGE and "24 planes" in name), name
        assert height < 10, name


def test_no_text_runs_into_another_or_out_of_the_figure(figures):
    found = {name: (overlaps(figure), outside(figure)) for name, figure in figures.items()}
    assert {name: problems for name, problems in found.items() if any(problems)} == {}


def test_no_text_is_smaller_than_six_points(figures):
    for name, figure in figures.items():
        sizes = [text.get_fontsize() for axis in figure.axes for text in (*axis.texts, *axis.get_xticklabels())]
        assert min(sizes, default=SMALL) >= SMALL, name


def test_orbitals_are_named_with_raised_powers():
    columns = ("dz2", "dx2-y2", "t2g")
    figure = plots.draw_layer_dos(given.dos(columns=columns))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["dx²−y²", "t₂g"]  # the first has no states


def test_of_a_noncollinear_density_of_states_the_sum_of_both_spins_is_drawn():
    figure = plots.draw_layer_dos(given.dos(spins=4))
    assert figure.axes[0].get_ylim()[0] == 0


def test_one_series_is_bars_and_several_are_lines():
    one, two = given.profile(columns=("sphere",)), given.profile()
    bars = plots.draw_profile(one).axes[0].patches
    assert [bar.get_height() for bar in bars[: len(one.groups)]] == one.values[:, 0].tolist()
    lines = [line for line in plots.draw_profile(two).axes[0].lines if len(line.get_xdata()) == len(two.groups) > 1]
    assert np.array_equal([line.get_ydata() for line in lines[:2]], two.values.T)


def test_blocks_are_named_above_a_profile():
    labels = [group.label for group in given.groups(24)]
    assert [(name, last - first + 1) for name, first, last in block_runs(labels)] == [
        ("SrTiO3[1]", 6), ("LaAlO3[1]", 6), ("SrTiO3[2]", 6), ("LaAlO3[2]", 6),
    ]  # fmt: skip
    written = [text.get_text() for text in plots.draw_profile(given.profile(24)).axes[0].texts]
    assert written == ["SrTiO₃[1]", "LaAlO₃[1]", "SrTiO₃[2]", "LaAlO₃[2]"]


@pytest.mark.parametrize("noise", [0.0, 4e-16])
def test_a_profile_of_zeros_has_an_axis_that_shows_zeros(noise):
    profile = given.profile()
    profile.values = profile.values * noise
    assert plots.draw_profile(profile).axes[0].get_ylim() == pytest.approx((0.0, 1.08))


def test_a_profile_without_numbers_says_that_there_is_nothing_to_draw():
    profile = given.profile()
    profile.values[:] = np.nan
    with pytest.raises(ReaderError, match="moment of no layer is known"):
        plots.draw_profile(profile)


def test_layers_without_a_number_are_left_out_of_a_profile():
    profile = given.profile()
    profile.values[0] = np.nan
    plots.draw_profile(profile).draw_without_rendering()


def test_charges_far_from_zero_are_shown_over_their_own_range():
    profile = given.profile()
    profile.values = 12 + 0.01 * profile.values
    low, high = plots.draw_profile(profile).axes[0].get_ylim()
    assert low > 11.9
    assert high < 12.1


def test_a_state_has_the_colour_of_its_layer_and_a_width_by_its_part():
    figure = plots.draw_bands(given.bands(spins=1))
    (first, second) = [c for c in figure.axes[0].collections if isinstance(c, LineCollection)]
    assert len(first.get_segments()) + len(second.get_segments()) == 5 * (len(given.PATH) - 2)
    assert len({tuple(color) for color in first.get_colors()}) == 2
    assert set(np.round(first.get_linewidths(), 6)) == {round(0.8 * 2.4, 6)}


def test_bands_are_not_joined_across_a_break():
    figure = plots.draw_bands(given.bands(weighted=False, spins=1))
    lines = [line.get_xdata() for line in figure.axes[0].lines if len(line.get_xdata()) > 2]
    assert {len(x) for x in lines} == {12, len(given.PATH) - 12}


def test_special_points_are_written_as_they_are_in_papers():
    figure = plots.draw_bands(given.bands())
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["Γ", "X", "M|R", "Γ", "S₀"]


def test_energies_that_may_not_be_subtracted_say_why():
    axis = plots.draw_energies(given.energies()).axes[0]
    assert [bar.get_width() for bar in axis.patches] == [0.0, -12.55, 0.0, 103.0]
    written = [text.get_text() for text in axis.texts]
    assert written[:2] == ["0.0", "−12.6"]
    assert written[2].startswith("other cutoffs")
    assert axis.get_yticklabels()[3].get_text() == "{x}_v67"


def test_lines_against_u_are_sorted_and_a_metal_is_an_open_mark():
    moments, gaps = plots.draw_against_u(given.against_u()).axes
    assert moments.lines[0].get_xdata().tolist() == [0, 2, 4]
    assert moments.lines[0].get_ydata().tolist() == [0.0, 0.1, 0.8]
    (metals,) = [line for line in gaps.lines[:2] if line.get_markerfacecolor() == "white"]
    assert metals.get_xdata().tolist() == [0, 2]


@pytest.mark.parametrize(("quantity", "symmetric"), [("spin density", True), ("charge density", False)])
def test_colours_of_a_spin_density_diverge_at_zero(quantity, symmetric):
    density = given.density(quantity)
    (image,) = plots.draw_density_slice(density).axes[0].images
    assert np.array_equal(image.get_array(), density.values)
    low, high = image.get_clim()
    assert (low == -high) is symmetric


def test_layers_are_shaded_through_the_ends_of_the_cell():
    figure = plots.draw_planar_average(given.average())
    left, right = figure.axes[0].get_xlim()
    covered = sorted((max(p.get_x(), left), min(p.get_x() + p.get_width(), right)) for p in figure.axes[0].patches)
    assert covered[0][0] == pytest.approx(left)
    assert covered[-1][1] == pytest.approx(right)
    assert all(one[1] == pytest.approx(other[0]) for one, other in pairwise(covered))


def test_a_legend_has_as_many_columns_as_fit():
    assert legend_columns(["s", "p", "d"]) == 3
    assert legend_columns(["valence, spin down", "conduction, spin down"] * 2) == 2
    assert legend_columns(["x" * 200]) == 1


def test_slabs_are_drawn_as_a_profile():
    labels = [group.label for group in given.groups(8)]
    slabs = SimpleNamespace(labels=labels, values=np.arange(8.0), quantity="spin density", unit="μB")
    axis = plots.draw_slab_integrals(slabs).axes[0]
    assert [bar.get_height() for bar in axis.patches[:8]] == slabs.values.tolist()
    assert axis.get_ylabel() == "moment, integral of the\ndensity (μB)"
    slabs.values = np.arange(24.0).reshape(8, 3)
    assert [text.get_text() for text in plots.draw_slab_integrals(slabs).legends[0].get_texts()] == ["x", "y", "z"]


def test_shells_of_a_density_and_of_sites_are_drawn_alike():
    sites, density = given.shells(), given.shells()
    density.inside = density.__dict__.pop("cumulative")
    density.quantity = "spin density"
    for shells in (plots.draw_shells(sites), plots.draw_defect_shells(density)):
        assert np.array_equal(shells.axes[0].lines[0].get_ydata(), sites.cumulative)
        assert shells.axes[0].get_ylabel() == "moment inside (μB)"
