from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from made_results import made_result
from pymatgen.core import Lattice, Structure

from heterodft.analysis.linear_response import LinearResponse, ShiftSeries
from heterodft.analysis.readers.espresso.hubbard import printed_occupations
from heterodft.analysis.result import HubbardOccupations
from heterodft.analysis.shifted_results import (
    ShiftedResult,
    first_images,
    response_of,
    shifted_result,
    symmetry_of,
)
from heterodft.errors import ReaderError

ALPHAS = np.array([-0.1, -0.05, 0.0, 0.05, 0.1])
CHI0 = np.array([[-0.40, 0.03], [0.03, -0.25]])
CHI = np.array([[-0.13, 0.01], [0.01, -0.11]])


def series_of(chi0, chi, shifted, *, noise=None, alphas=ALPHAS):
    found = []
    for site in shifted:
        for bare, matrix in ((True, chi0), (False, chi)):
            electrons = 5.0 + alphas[:, None] * matrix[:, site]
            if noise is not None:
                electrons = electrons + noise(electrons.shape)
            found.append(ShiftSeries(site, bare, alphas, electrons))
    return found


def symmetric(values):
    matrix = np.array(values).reshape(3, 3)
    return (matrix + matrix.T) / 2


offsets = arrays(np.float64, 9, elements=st.floats(-0.03, 0.03)).map(symmetric)


@given(offsets, offsets)
def test_u_is_the_difference_of_the_inverse_matrices(one, other):
    chi0, chi = -0.3 * np.eye(3) + one, -0.12 * np.eye(3) + other / 3
    response = LinearResponse.from_series(series_of(chi0, chi, (0, 1, 2)), (0, 1, 2))
    np.testing.assert_allclose(response.chi0, chi0, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(response.u, np.diag(np.linalg.inv(chi0) - np.linalg.inv(chi)), rtol=1e-6)


def test_of_one_site_u_is_the_difference_of_the_reciprocals():
    response = LinearResponse.from_series(series_of(CHI0[:1, :1], CHI[:1, :1], (0,)), (0,), labels=["Ti3"])
    np.testing.assert_allclose(response.u, 1 / -0.40 + 1 / 0.13)
    np.testing.assert_allclose(response.simple_u, response.u)
    assert response.doubtful == ()
    assert response.to_frame()["label"].tolist() == ["Ti3"]


def test_a_site_that_is_the_image_of_a_shifted_one_answers_as_that_one_does():
    chi0 = np.array([[-0.3, 0.02], [0.02, -0.3]])
    chi = np.array([[-0.1, 0.01], [0.01, -0.1]])
    whole = LinearResponse.from_series(series_of(chi0, chi, (0, 1)), (0, 1))
    half = LinearResponse.from_series(series_of(chi0, chi, (0,)), (0, 1), permutations=np.array([[0, 1], [1, 0]]))
    np.testing.assert_allclose(half.chi0, chi0, atol=1e-12)
    np.testing.assert_allclose(half.u, whole.u)
    assert half.shifted == (0,)
    assert half.to_frame()["shifted"].tolist() == [True, False]


def test_a_site_that_was_not_shifted_and_is_no_image_is_named():
    with pytest.raises(ReaderError, match="no bare response to a shift of Ti5"):
        LinearResponse.from_series(series_of(CHI0, CHI, (0,)), (0, 1), labels=["Ti2", "Ti5"])


def test_an_occupation_that_does_not_answer_gives_no_u():
    silent = np.array([[0.0]])
    with pytest.raises(ReaderError, match="Ti1 does not answer a bare shift"):
        LinearResponse.from_series(series_of(silent, CHI[:1, :1], (0,)), (0,), labels=["Ti1"])


def test_the_error_of_u_is_the_spread_of_u_over_noisy_occupations():
    random, size = np.random.default_rng(7), 2e-4

    def noise(shape):
        return random.normal(0, size, shape)

    step = size * np.sqrt(12)
    found = [
        LinearResponse.from_series(series_of(CHI0, CHI, (0, 1), noise=noise), (0, 1), resolution=step, tolerance=1.0)
        for _ in range(600)
    ]
    known = LinearResponse.from_series(series_of(CHI0, CHI, (0, 1)), (0, 1), resolution=step)
    spread = np.std([response.u for response in found], axis=0)
    np.testing.assert_allclose(known.u_error, spread, rtol=0.12)


def test_images_share_their_noise_so_that_the_error_of_u_does_not_shrink():
    random, size = np.random.default_rng(8), 2e-4
    chi0, chi = np.array([[-0.3, 0.02], [0.02, -0.3]]), np.array([[-0.1, 0.01], [0.01, -0.1]])
    swap = np.array([[0, 1], [1, 0]])
    found = [
        LinearResponse.from_series(
            series_of(chi0, chi, (0,), noise=lambda s: random.normal(0, size, s)),
            (0, 1),
            permutations=swap,
            tolerance=1.0,
        ).u
        for _ in range(600)
    ]
    known = LinearResponse.from_series(
        series_of(chi0, chi, (0,)), (0, 1), permutations=swap, resolution=size * np.sqrt(12)
    )
    np.testing.assert_allclose(known.u_error, np.std(found, axis=0), rtol=0.12)


def test_a_curved_response_is_told():
    series = series_of(CHI0[:1, :1], CHI[:1, :1], (0,))
    bent = ShiftSeries(0, False, ALPHAS, series[1].electrons + 0.5 * ALPHAS[:, None] ** 2)
    response = LinearResponse.from_series([series[0], bent], (0,))
    assert response.doubtful == (0,)
    assert response.to_frame()["linear"].tolist() == [False]


def test_its_data_are_plain_json_and_its_figure_is_drawn():
    response = LinearResponse.from_series(series_of(CHI0, CHI, (0, 1), alphas=ALPHAS[[0, -1]]), (0, 1))
    assert json.loads(json.dumps(response.to_dict()))["u_error"] == [None, None]
    figure = response.plot()
    assert [axis.get_title() for axis in figure.axes] == [
        f"site {i + 1}: U = {u:.2f} eV" for i, u in enumerate(response.u)
    ]


# From results

CHAIN = Structure(
    Lattice.tetragonal(4, 8), ["Cr", "Cr", "N", "N"], [[0, 0, 0], [0, 0, 0.5], [0.5, 0.5, 0], [0.5, 0.5, 0.5]]
)


def result_of(electrons, moments=(3.0, -3.0, 0.0, 0.0), shift=None, step="static", **values):
    spins = [
        np.eye(5) * np.array([n + m, n - m])[:, None, None] / 10 for n, m in zip(electrons, moments[:2], strict=True)
    ]
    occupations = tuple(HubbardOccupations(i, "3d", matrices) for i, matrices in enumerate(spins))
    body = {"hubbard": [["Cr", "3d", 0.0]], "moments": [3.0, -3.0, 0.0, 0.0]} | ({"shift": shift} if shift else {})
    return made_result(
        CHAIN, moments=list(moments), step=step, occupations=occupations, request={"request": body}, **values
    )


def shifts_of(chi0, chi, *, alphas=(-0.1, 0.1), **changes):
    yield ShiftedResult(result_of((4.5, 4.5)))
    for alpha in alphas:
        for step, matrix in (("shift-bare", chi0), ("shift", chi)):
            electrons = 4.5 + alpha * np.array(matrix)[:, 0]
            yield shifted_result(result_of(electrons, shift=[0, alpha], step=step, **changes))


def test_the_two_spins_of_an_antiferromagnet_are_shifted_once():
    response = response_of(list(shifts_of([[-0.3], [0.02]], [[-0.1], [0.01]])))
    assert (response.sites, response.labels, response.shifted) == ((0, 1), ("Cr1", "Cr2"), (0,))
    np.testing.assert_allclose(response.chi0, [[-0.3, 0.02], [0.02, -0.3]], atol=1e-9)
    assert response.u[0] == pytest.approx(response.u[1])


@pytest.mark.parametrize(
    ("electrons", "moments", "alike"),
    [
        ((4.5, 4.5), (3.0, -3.0, 0.0, 0.0), {0: [0, 1]}),
        ((4.5, 4.5), (3.0, 3.0, 0.0, 0.0), {0: [0, 1]}),
        ((4.5, 4.5), (3.0, 2.5, 0.0, 0.0), {0: [0], 1: [1]}),
        ((4.5, 4.6), (3.0, -3.0, 0.0, 0.0), {0: [0], 1: [1]}),
    ],
)
def test_sites_are_alike_with_the_same_moment_and_occupation(electrons, moments, alike):
    result = result_of(electrons, moments)
    assert first_images([0, 1], symmetry_of(result, [0, 1], {"Cr": "d"})) == alike


def test_a_shift_that_ended_in_another_magnetic_state_is_left_out_and_said():
    usual = list(shifts_of([[-0.3], [0.02]], [[-0.1], [0.01]], alphas=(-0.1, -0.05, 0.05)))
    lost = shifted_result(result_of((4.9, 4.4), (1.0, -3.0, 0.0, 0.0), shift=[0, 0.1], step="shift"))
    response = response_of([*usual, lost])
    assert response.notes == ("site 1, +0.1 eV, screened: left out, it ended in another magnetic state",)
    assert response.chi[0, 0] == pytest.approx(-0.1)


def test_the_unshifted_cell_is_needed():
    with pytest.raises(ReaderError, match="needs the unshifted cell"):
        response_of(list(shifts_of([[-0.3], [0.02]], [[-0.1], [0.01]]))[1:])


def test_a_result_without_occupations_is_named():
    without = ShiftedResult(made_result(CHAIN, moments=[3.0, -3.0, 0.0, 0.0]))
    with pytest.raises(ReaderError, match="tells no Hubbard occupation of site 1"):
        response_of([without, *list(shifts_of([[-0.3], [0.02]], [[-0.1], [0.01]]))[1:]])


PRINTED = """\
 --- enter write_ns ---
LDA+U parameters:
atom    1   Tr[ns(na)] (up, down, total) =   3.30967  1.41850  4.72817
   spin  1
    occupation matrix ns (before diag.):
  0.662  0.000  0.000  0.000  0.000
  0.000  0.662  0.000  0.000  0.000
  0.000  0.000  0.662  0.000  0.000
  0.000  0.000  0.000  0.662  0.000
  0.000  0.000  0.000  0.000  0.662
   spin  2
    occupation matrix ns (before diag.):
  0.284  0.000  0.000  0.000  0.000
  0.000  0.284  0.000  0.000  0.000
  0.000  0.000  0.284  0.000  0.000
  0.000  0.000  0.000  0.284  0.000
  0.000  0.000  0.000  0.000  0.284
"""


def test_printed_occupations_have_the_five_decimals_of_their_trace():

    [found] = printed_occupations(PRINTED)
    assert found.electrons == pytest.approx(4.72817, abs=1e-9)
    assert found.moment == pytest.approx(3.30967 - 1.41850, abs=1e-9)
