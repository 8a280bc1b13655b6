from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from heterodft.analysis.energies.charge_corrections import (
    Alignment,
    align_potentials,
    correct_charge,
    madelung_constant,
    point_charge_energy,
    shape_factor,
)
from heterodft.errors import ReaderError

SC = Lattice.cubic(10.0)
FCC = Lattice(5.0 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]))
BCC = Lattice(5.0 * np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]]))
HCP = Lattice.hexagonal(3.0, 3.0 * np.sqrt(8 / 3))
CELL = Structure(SC, ["Ti", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
WIGNER = (3 / (4 * np.pi)) ** (1 / 3)
"""Radius of the sphere of a unit volume."""


def test_the_madelung_constant_of_a_simple_cubic_lattice():
    assert madelung_constant(SC) == pytest.approx(2.837297, abs=1e-6)


@pytest.mark.parametrize(("lattice", "energy"), [(SC, 0.880059), (FCC, 0.895874), (BCC, 0.895929)])
def test_the_energies_of_wigner_lattices(lattice, energy):
    """Known to six digits, in Hartree for unit charges with r_s = 1."""
    assert madelung_constant(lattice) / 2 * WIGNER == pytest.approx(energy, abs=2e-6)


@pytest.mark.parametrize(
    ("lattice", "moment"), [(SC, 1 / 12), (FCC, 2 ** (-11 / 3)), (BCC, 19 / (192 * 2 ** (1 / 3)))]
)
def test_shape_factors_come_from_the_second_moments_of_wigner_seitz_cells(lattice, moment):
    """Conway and Sloane's normalized second moments; Lany and Zunger give 0.369, 0.343 and 0.342."""
    expected = 2 * np.pi * moment / (madelung_constant(lattice) / 2)
    assert shape_factor(lattice) == pytest.approx(expected)
    assert shape_factor(SC) == pytest.approx(0.369, abs=1e-3)


def test_makov_and_payne_in_a_cube():
    """q² α e² / (2 ε L) with e² = 14.39964 eV Å."""
    found = correct_charge(CELL, 2, dielectric=5.0, scheme="makov-payne")
    assert found.image == pytest.approx(4 * 2.837297 * 14.39964 / (2 * 5.0 * 10.0), rel=1e-5)
    assert found.energy == found.image
    assert "not aligned" in found.label


def test_lany_and_zunger_leave_about_two_thirds():
    first = correct_charge(CELL, 2, dielectric=20.0, scheme="makov-payne")
    scaled = correct_charge(CELL, 2, dielectric=20.0)
    assert scaled.image / first.image == pytest.approx(1 - 0.36908 * (1 - 1 / 20), abs=1e-4)


def test_the_alignment_is_added_with_the_charge():
    found = correct_charge(CELL, -2, dielectric=5.0, alignment=0.1)
    assert found.alignment == pytest.approx(-0.2)
    assert found.energy == pytest.approx(found.image - 0.2)


@settings(max_examples=15, deadline=None)
@given(st.floats(0.3, 3.0), st.floats(1.0, 50.0), st.integers(-3, 3))
def test_energies_scale_as_charge_squared_over_size_and_dielectric_constant(scale, dielectric, charge):
    one = point_charge_energy(FCC, 1.0)
    other = point_charge_energy(Lattice(FCC.matrix * scale), charge, dielectric)
    assert other == pytest.approx(one * charge**2 / scale / dielectric, rel=1e-5)


@settings(max_examples=10, deadline=None)
@given(st.floats(1.0, 20.0), st.floats(1.0, 20.0), st.integers(0, 1000))
def test_turning_cell_and_tensor_together_changes_nothing(x, z, seed):
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    tensor = np.diag([x, x, z])
    turned = point_charge_energy(Lattice(SC.matrix @ rotation.T), 1.0, rotation @ tensor @ rotation.T)
    assert turned == pytest.approx(point_charge_energy(SC, 1.0, tensor), rel=1e-5)


def test_an_anisotropic_dielectric_against_a_direct_ewald_sum():
    """The tensor form of Rurali and Cartoixà, summed here in real and reciprocal space."""
    tensor = np.diag([4.0, 6.0, 12.0])
    lattice = Lattice([[9, 0, 0], [1, 8, 0], [0, 2, 11]])
    assert point_charge_energy(lattice, 1.0, tensor) == pytest.approx(_direct(lattice, tensor), rel=1e-5)


def _direct(lattice, tensor, gamma=0.35):
    from math import erfc

    steps = np.array([[i, j, k] for i in range(-8, 9) for j in range(-8, 9) for k in range(-8, 9) if i or j or k])
    inverse, determinant = np.linalg.inv(tensor), np.linalg.det(tensor)
    vectors = steps @ lattice.matrix
    lengths = np.sqrt(np.einsum("ni,ij,nj->n", vectors, inverse, vectors))
    real = sum(erfc(gamma * x) / x for x in lengths) / np.sqrt(determinant)
    waves = steps @ lattice.reciprocal_lattice.matrix
    squares = np.einsum("ni,ij,nj->n", waves, tensor, waves)
    reciprocal = 4 * np.pi / lattice.volume * (np.exp(-squares / (4 * gamma**2)) / squares).sum()
    rest = 2 * gamma / np.sqrt(np.pi * determinant) + np.pi / (lattice.volume * gamma**2)
    return 14.399645 / 2 * (real + reciprocal - rest)


@pytest.mark.parametrize(
    "wrong", [-3.0, 0.0, [1.0, 2.0], np.diag([1.0, -2.0, 3.0]), [[1, 2, 0], [0, 1, 0], [0, 0, 1]]]
)
def test_a_dielectric_tensor_that_cannot_be_is_refused(wrong):
    with pytest.raises(ReaderError, match="dielectric"):
        correct_charge(CELL, 1, dielectric=wrong)


def test_potentials_are_aligned_far_from_the_defect():
    cell = Structure(Lattice.cubic(4.0), ["Ti"], [[0, 0, 0]]) * (4, 4, 4)
    distances = cell.lattice.get_all_distances(cell.frac_coords, [[0, 0, 0]])[:, 0]
    host = np.linspace(-30, -29, 64)
    shifted = host + 0.15 - np.where(distances < 7, 0.5, 0.0)
    found = align_potentials(cell, [0, 0, 0], shifted, host, beyond=8.0)
    assert (found.shift, found.deviation) == (pytest.approx(0.15), pytest.approx(0.0, abs=1e-12))
    assert found.sites == (distances > 8).sum()
    assert correct_charge(cell, 1, dielectric=5.0, alignment=found).alignment == pytest.approx(0.15)
    with pytest.raises(ReaderError, match="lower beyond"):
        align_potentials(cell, [0, 0, 0], shifted, host, beyond=100.0)
    with pytest.raises(ReaderError, match="64 sites"):
        align_potentials(cell, [0, 0, 0], shifted[:3], host)
    assert isinstance(found, Alignment)


@pytest.mark.parametrize(("lattice", "literature"), [(SC, 0.369), (FCC, 0.343), (BCC, 0.342), (HCP, 0.478)])
def test_shape_factors_of_lany_and_zunger(lattice, literature):
    """Phys. Rev. B 78, 235104 (2008), table in the text: c_sh of the four lattices."""
    assert shape_factor(lattice) == pytest.approx(literature, abs=6e-4)


@pytest.mark.parametrize("dielectric", [0.5, np.diag([3.0, 3.0, 0.2]), -1.0])
def test_a_dielectric_constant_below_that_of_vacuum_is_refused(dielectric):
    with pytest.raises(ReaderError, match="below 1"):
        correct_charge(CELL, 1, dielectric=dielectric)
