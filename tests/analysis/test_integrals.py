from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vasprun_by_pymatgen import result_from

from heterodft.analysis.integrals import broaden, cumulate, find_dos_gaps, integrate, rule_of, states_below
from heterodft.errors import ReaderError

GRID = np.linspace(-5, 5, 201)


@given(st.floats(-5, 5), st.sampled_from(["points", "bins"]), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_what_lies_below_and_above_an_energy_adds_up(at, rule, seed):
    density = np.random.default_rng(seed).random((2, 3, len(GRID)))
    below = states_below(GRID, density, at, rule)
    above = integrate(GRID, density, at, np.inf, rule)
    np.testing.assert_allclose(below + above, states_below(GRID, density, np.inf, rule), rtol=1e-12)
    index = int(np.searchsorted(GRID, at))
    np.testing.assert_allclose(
        states_below(GRID, density, GRID[index], rule),
        cumulate(GRID, density, rule)[..., index],
        rtol=1e-9,
        atol=1e-12,
    )


@given(st.lists(st.floats(-4.5, 4.5), min_size=1, max_size=9), st.integers(20, 200))
@settings(max_examples=50, deadline=None)
def test_levels_counted_into_bins_are_counted_exactly_on_any_grid(levels, count):
    """As VASP writes a smeared density: what came since the point before, divided by the step."""
    grid = np.linspace(-5, 5, count)
    below = np.array([sum(level <= e for level in levels) for e in grid], dtype=float)
    density = np.diff(below, prepend=0) / (grid[1] - grid[0])
    np.testing.assert_allclose(cumulate(grid, density, "bins"), below, atol=1e-9)
    for e, n in zip(grid, below, strict=True):
        assert states_below(grid, density, e, "bins") == pytest.approx(n, abs=1e-9)


def test_broadening_keeps_the_states_and_widens_them():
    density = np.zeros(len(GRID))
    density[100] = 20.0  # one state
    wide = broaden(GRID, density, 0.4)
    assert states_below(GRID, wide, np.inf, "points") == pytest.approx(1.0)
    assert (wide * GRID**2).sum() * 0.05 == pytest.approx(0.16, rel=1e-3)
    with pytest.raises(ReaderError, match=r"below the step of the energy grid, 0\.05 eV"):
        broaden(GRID, density, 0.01)
    with pytest.raises(ReaderError, match="not uniform"):
        broaden(GRID**3, density, 5.0)


def test_gaps_are_between_states_and_wide_enough():
    density = np.where((GRID < -2.999) | (np.abs(GRID) < 0.501) | (GRID > 0.71), 1.0, 0.0)
    gaps = find_dos_gaps(GRID, density, floor=0.1, width=0.3)
    assert gaps == [pytest.approx((-2.95, -0.55))]
    assert len(find_dos_gaps(GRID, density, floor=0.1, width=0.1)) == 2
    assert find_dos_gaps(GRID, np.zeros(len(GRID)), floor=0.1, width=0.3) == []
    lone = np.where(np.abs(GRID) < 1, 1.0, 0.0)  # nothing is known beyond the states
    assert find_dos_gaps(GRID, lone, floor=0.1, width=0.3) == []


def test_real_smeared_densities_are_bins_and_hold_every_electron(shared_data):
    """288 bands of 301 grid points: trapezoids miss by electrons what bins hold."""
    run = result_from(shared_data / "vasp" / "mg_gan_relax" / "vasprun.xml.gz", dos=True)
    dos, level = run.dos, run.fermi_level
    assert rule_of(run) == "bins"
    occupied = (run.bands.occupations.sum(axis=2) @ run.bands.weights).sum()
    assert occupied == pytest.approx(277, abs=1e-3)
    with_hole = states_below(dos.energies, dos.total, level + 2, "bins").sum()
    assert with_hole == pytest.approx(278, abs=0.02)  # numbers are printed with four digits
    for spin, energies in enumerate(run.bands.energies):
        counted = cumulate(dos.energies, dos.total[spin], "bins")
        exact = np.array([(energies <= e).sum() for e in dos.energies])
        smeared = np.abs(energies.ravel()[None] - dos.energies[:, None]).min(axis=1) < 0.25  # 5 σ
        np.testing.assert_allclose(counted[~smeared], exact[~smeared], atol=0.01)


def test_real_densities_of_tetrahedra_are_points(shared_data):
    run = result_from(shared_data / "vasp" / "ti_lorbit10_v660" / "vasprun.xml.gz", dos=True)
    assert rule_of(run) == "points"
