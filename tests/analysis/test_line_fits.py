from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heterodft.analysis.line_fits import fit_line, linear_part

ALPHAS = np.array([-0.1, -0.05, 0.0, 0.05, 0.1])
slopes = st.floats(0.01, 1.0).map(lambda size: -size)


@given(slopes, st.floats(0, 10))
def test_a_line_is_found_and_is_not_doubtful(slope, start):
    fit = fit_line(ALPHAS, start + slope * ALPHAS)
    assert fit.slope == pytest.approx(slope, rel=1e-6)
    assert fit.intercept == pytest.approx(start, abs=1e-9)
    assert not fit.doubtful
    assert fit.error < 1e-6


@given(slopes, st.floats(0.06, 1.0))
def test_a_parabola_is_doubtful_though_its_slope_at_zero_is_right(slope, part):
    fit = fit_line(ALPHAS, 4 + slope * ALPHAS + part * slope / 0.1 * ALPHAS**2)
    assert fit.slope == pytest.approx(slope, rel=1e-6)
    assert fit.curvature == pytest.approx(part, rel=1e-6)
    assert fit.doubtful


@given(slopes, st.floats(0.1, 1.0))
def test_a_cubic_is_doubtful_and_its_error_covers_the_slope_at_zero(slope, part):
    fit = fit_line(ALPHAS, 4 + slope * ALPHAS + part * slope / 0.01 * ALPHAS**3)
    assert fit.doubtful
    assert abs(fit.slope - slope) <= fit.error


def test_two_shifts_give_a_slope_without_a_known_error():
    fit = fit_line([-0.1, 0.1], [4.02, 3.98])
    assert fit.slope == pytest.approx(-0.2)
    assert np.isnan(fit.error)
    assert not fit.doubtful


def test_rounded_numbers_have_the_error_of_their_rounding():
    random = np.random.default_rng(3)
    true = random.uniform(-0.5, -0.1, 3000)
    found = [fit_line(ALPHAS, np.round(random.uniform(0, 10) + slope * ALPHAS, 3), resolution=1e-3) for slope in true]
    spread = np.std([fit.slope for fit in found] - true)
    least = 1e-3 / np.sqrt(12) / np.sqrt(np.sum(ALPHAS**2))
    assert spread == pytest.approx(least, rel=0.1)
    assert all(fit.error >= least * (1 - 1e-9) for fit in found)


def test_the_scatter_of_rounded_numbers_is_not_taken_for_a_curve():
    random = np.random.default_rng(4)
    doubtful = [
        fit_line(ALPHAS, np.round(n + 20 * n * ALPHAS, 3), resolution=1e-3).doubtful
        for n in random.uniform(-0.02, -0.005, 500)
    ]
    assert np.mean(doubtful) < 0.03


def test_the_largest_shifts_are_left_out_where_they_leave_the_line():
    alphas = np.array([-0.4, -0.1, -0.05, 0.0, 0.05, 0.1, 0.4])
    electrons = 4 - 0.2 * alphas
    electrons[[0, -1]] += 0.03
    fit, used = linear_part(alphas, electrons, resolution=1e-5)
    assert used.tolist() == [False, True, True, True, True, True, False]
    assert fit.slope == pytest.approx(-0.2)
    assert not fit.doubtful


def test_three_points_are_kept_even_where_they_are_curved():
    fit, used = linear_part([-0.1, 0.0, 0.1], [4.03, 4.0, 3.99])
    assert used.all()
    assert fit.doubtful


def test_an_occupation_that_does_not_answer_has_a_slope_of_zero():
    fit = fit_line(ALPHAS, np.full(5, 4.0))
    assert fit.slope == pytest.approx(0.0, abs=1e-12)
    assert not fit.doubtful


@given(slopes, st.floats(0.15, 0.6))
def test_shifts_that_are_left_out_still_tell_how_far_the_slope_may_be_off(slope, part):
    electrons = 4 + slope * ALPHAS + part * slope / 0.01 * ALPHAS**3
    fit, used = linear_part(ALPHAS, electrons)
    assert used.tolist() == [False, True, True, True, False]
    assert 0 < abs(fit.slope - slope) <= fit.error * (1 + 1e-6)
