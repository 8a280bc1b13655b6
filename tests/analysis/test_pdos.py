from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heterodft.analysis.layers import find_planes
from heterodft.analysis.pdos import SHELLS, LayerDos, electrons_between, reference_energy, resolve_by_plane
from heterodft.analysis.result import ORBITALS, Bands, ProjectedDos, Result
from heterodft.errors import ReaderError
from heterodft.structures import Block, build_material, build_superlattice

STRUCTURE = build_superlattice([Block(build_material("SrTiO3"), 1), Block(build_material("LaAlO3"), 1)])
PLANES = find_planes(STRUCTURE)
GRID = np.linspace(-10, 10, 401)  # 0.05 eV


def layer_dos(values, energies=GRID):
    """Density (plane, shell, spin, energy) on planes of the cell."""
    return LayerDos(PLANES[: len(values)], energies, values, 0.0, "Fermi level")


def rectangle(height, spins=2, low=-8.0, high=8.0):
    values = np.zeros((1, len(SHELLS), spins, len(GRID)))
    values[0, 2] = np.where((low <= GRID) & (high >= GRID), height, 0.0)
    return layer_dos(values)


def result(values, *, tops=(-1.0, -1.0), bottoms=(2.0, 2.0), fermi=0.5, energies=GRID, structure=STRUCTURE):
    bands = np.array([[[top, bottom]] * 2 for top, bottom in zip(tops, bottoms, strict=True)])
    points = np.array([[0, 0, 0], [0.5, 0, 0]])
    return Result(
        "espresso", "6.7", "dos", structure, float((bands <= fermi).sum() / 2), None, (fermi,), None, None, {},
        None, None, None, 1.0, 1.0, Bands(bands, (bands <= fermi) * 1.0, points, np.array([0.5, 0.5])),
        None if values is None else ProjectedDos(energies, values, values.sum(axis=(0, 1))),
    )  # fmt: skip


@given(st.floats(-7.9, 0), st.floats(0.01, 7.9), st.floats(0.1, 20))
@settings(max_examples=50, deadline=None)
def test_a_rectangle_is_integrated_exactly_wherever_the_window_ends(low, high, height):
    (found,) = electrons_between(rectangle(height), low, high)
    np.testing.assert_allclose(found, height * (high - low), rtol=1e-9)


@given(st.floats(-7, -3), st.floats(-2.9, 2.9), st.floats(3, 7))
@settings(max_examples=30, deadline=None)
def test_neighbouring_windows_add_up(low, middle, high):
    values = np.random.default_rng(1).random((4, len(SHELLS), 2, len(GRID)))
    parts = electrons_between(layer_dos(values), low, middle) + electrons_between(layer_dos(values), middle, high)
    np.testing.assert_allclose(parts, electrons_between(layer_dos(values), low, high), rtol=1e-9)


def test_the_default_window_is_two_ev_below_the_reference():
    assert electrons_between(rectangle(1.5)) == pytest.approx(np.array([[3.0, 3.0]]))


def test_spins_are_kept_apart_and_shells_added():
    values = np.zeros((1, len(SHELLS), 2, len(GRID)))
    values[0, :, 0], values[0, 1, 1] = 1.0, 0.25
    assert electrons_between(layer_dos(values), -2, 0) == pytest.approx(np.array([[8.0, 0.5]]))


def test_without_spin_the_one_column_holds_both_spins():
    assert electrons_between(rectangle(3.0, spins=1), -1, 1) == pytest.approx(np.array([[6.0]]))


def test_there_are_no_states_beyond_the_grid():
    values = np.ones((1, len(SHELLS), 2, 11)) / len(SHELLS)
    assert electrons_between(layer_dos(values, np.linspace(-1, 0, 11)), -2, 0) == pytest.approx(
        np.array([[1.0, 1.0]])
    )


def test_a_window_without_states_holds_no_electrons():
    assert electrons_between(rectangle(2.0, low=3.0), -2, 0) == pytest.approx(np.zeros((1, 2)))


def test_orbitals_are_added_to_shells_and_sites_to_planes():
    values = np.zeros((10, len(ORBITALS), 2, len(GRID)))
    values[2, ORBITALS.index("dz2"), 0] = 1.0  # Ti
    values[2, ORBITALS.index("dxy"), 0] = 2.0
    values[3:5, ORBITALS.index("px"), 1] = 4.0  # both O of the plane
    values[5, ORBITALS.index("fz3"), 1] = 8.0  # La
    values[0, ORBITALS.index("s"), 0] = 16.0  # Sr
    found = resolve_by_plane(result(values))
    assert found.values.shape == (4, 4, 2, len(GRID))
    expected = np.zeros((4, 4, 2))
    expected[1, SHELLS.index("d"), 0] = 3.0
    expected[1, SHELLS.index("p"), 1] = 8.0
    expected[2, SHELLS.index("f"), 1] = 8.0
    expected[0, SHELLS.index("s"), 0] = 16.0
    assert found.values[..., 0].tolist() == expected.tolist()
    assert [p.formula for p in found.planes] == ["SrO", "TiO2", "LaO", "AlO2"]


def test_no_state_is_lost_on_the_way_to_planes():
    values = np.random.default_rng(0).random((10, len(ORBITALS), 2, len(GRID)))
    found = resolve_by_plane(result(values))
    np.testing.assert_allclose(found.values.sum(axis=(0, 1)), values.sum(axis=(0, 1)))


def test_an_insulator_is_referred_to_the_middle_of_its_gap():
    for fermi in (-0.9, 0.5, 1.9):
        assert reference_energy(result(None, fermi=fermi)) == (0.5, "middle of the gap")
    assert reference_energy(result(None, tops=(-1.0, -3.0), bottoms=(2.0, 1.0))) == (0.0, "middle of the gap")


def test_a_metal_is_referred_to_its_fermi_level():
    metal = result(None, tops=(-1.0, -3.0), bottoms=(2.0, 1.0))
    object.__setattr__(metal, "electrons", 1.5)
    assert reference_energy(metal) == (0.5, "Fermi level")


def test_energies_are_written_relative_to_the_reference():
    found = resolve_by_plane(result(np.zeros((10, len(ORBITALS), 2, len(GRID))), bottoms=(3.0, 3.0)))
    assert (found.reference, found.reference_name) == (1.0, "middle of the gap")
    np.testing.assert_allclose(found.energies, GRID - 1.0)


def test_a_result_without_projections_or_labels_is_told():
    with pytest.raises(ReaderError, match="no projected density of states; run a dos step"):
        resolve_by_plane(result(None))
    bare = STRUCTURE.copy()
    bare.remove_site_property("plane")
    with pytest.raises(ReaderError, match="sites carry no plane"):
        resolve_by_plane(result(np.zeros((10, 16, 2, len(GRID))), structure=bare))
