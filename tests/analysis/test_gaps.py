from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from vasprun_by_pymatgen import result_from

from heterodft.analysis.gaps import Gap, electrons_per_band, find_gap
from heterodft.analysis.readers.espresso.xml import read_pw_xml
from heterodft.analysis.result import Bands, Result
from heterodft.errors import ReaderError

CELL = Structure(Lattice.cubic(4.0), ["Ti"], [[0, 0, 0]])


def result(energies, electrons, fermi=0.0, *, kpoints=None, structure=CELL):
    """Bands (spin, k, band) in eV, k-points along the first reciprocal vector unless given."""
    energies = np.array(energies, dtype=float)
    count = energies.shape[1]
    points = np.array([[i / (2 * count), 0, 0] for i in range(count)]) if kpoints is None else np.array(kpoints)
    levels = tuple(np.atleast_1d(fermi).tolist())
    filled = energies <= np.resize(levels, len(energies))[:, None, None]
    bands = Bands(energies, filled * 1.0, points, np.full(count, 1 / count))
    return Result(
        "espresso", "6.7", "static", structure, electrons, -1.0, levels, None, None, {}, True, 5, 0.0, 1.0, 1.0,
        bands,
    )  # fmt: skip


def test_an_indirect_gap_is_between_different_k_points():
    gap = find_gap(result([[[-1.0, 2.5], [-1.5, 1.0], [-2.0, 1.2]]], 2))
    assert gap.value == pytest.approx(2.0)
    assert (gap.metal, gap.direct, gap.kpoints) == (False, False, 3)
    (spin,) = gap.spins
    assert (spin.valence_maximum, spin.conduction_minimum) == (-1.0, 1.0)
    assert (spin.fundamental, spin.direct) == pytest.approx((2.0, 2.5))
    assert spin.at == ((0.0, 0.0, 0.0), (0.166667, 0.0, 0.0))
    assert gap.text == "2.00 eV"


def test_a_direct_gap_is_called_direct():
    gap = find_gap(result([[[-1.0, 1.5], [-1.5, 2.0]]], 2))
    assert gap.direct
    assert gap.text == "2.50 eV direct"


def test_bands_need_not_be_sorted():
    ordered = [[[-2.0, -1.0, 1.5, 4.0], [-2.5, -1.5, 2.0, 3.0]]]
    mixed = [[[-1.0, 4.0, -2.0, 1.5], [3.0, -1.5, 2.0, -2.5]]]
    assert find_gap(result(mixed, 4)) == find_gap(result(ordered, 4))


def test_the_gap_of_a_magnet_may_be_between_different_spins():
    up, down = [[-1.0, 2.0], [-1.2, 2.4]], [[-3.0, 0.5], [-3.2, 0.7]]
    gap = find_gap(result([up, down], 2))
    assert gap.value == pytest.approx(1.5)
    assert not gap.direct
    assert [s.fundamental for s in gap.spins] == pytest.approx([3.0, 3.5])


def test_a_band_that_crosses_the_fermi_level_makes_a_metal():
    gap = find_gap(result([[[-1.0, 2.0], [0.1, 2.0], [-0.2, 3.0]]], 4 / 3))
    assert (gap.value, gap.metal, gap.direct, gap.resolved, gap.text) == (0.0, True, False, True, "metal")
    assert gap.spins[0].valence_maximum is None


def test_a_partly_filled_band_is_a_metal_even_if_it_does_not_cross_on_the_mesh():
    bands = [[[-1.0, 2.0], [-1.2, 2.4]]]
    assert not find_gap(result(bands, 2.0)).metal
    assert find_gap(result(bands, 1.9)).metal
    assert find_gap(result(bands, 3.0)).metal


def test_overlapping_bands_of_different_spins_are_a_metal():
    up, down = [[-1.0, 2.0], [-1.2, 2.4]], [[-3.0, 0.5], [-3.2, 0.7]]
    up_filled = [[0.4, 2.0], [0.3, 2.4]]
    assert not find_gap(result([up, down], 2)).metal
    gap = find_gap(result([up_filled, down], 2, fermi=(0.45, 0.35)))
    assert gap.value == pytest.approx(0.1)
    assert find_gap(result([up_filled, [[-3.0, 0.38], [-3.2, 0.7]]], 2, fermi=(0.45, 0.3))).metal


def test_a_half_metal_has_a_gap_in_one_spin():
    up, down = [[-2.0, 2.0], [-1.0, 3.0]], [[-0.1, 3.0], [0.1, 4.0]]
    gap = find_gap(result([up, down], 1.5))
    assert gap.metal
    assert [s.metal for s in gap.spins] == [False, True]
    assert gap.spins[0].fundamental == pytest.approx(3.0)


def test_a_half_metal_on_a_coarse_mesh_keeps_the_gap_of_its_insulating_spin():
    up = [[-2.0, 2.0], [-1.0, 3.0]] * 2
    down = [[-0.1, 3.0], [0.1, 4.0], [0.2, 4.0], [0.3, 4.0]]  # 1/4 filled here, 1/3 in truth
    gap = find_gap(result([up, down], 1 + 1 / 3))
    assert [s.metal for s in gap.spins] == [False, True]


def test_a_fixed_moment_has_a_fermi_level_a_spin():
    up, down = [[-1.0, 1.0, 4.0], [-1.2, 1.1, 4.5]], [[-1.0, 2.0, 5.0], [-1.2, 2.1, 5.5]]
    gap = find_gap(result([up, down], 3, fermi=(2.5, 0.5)))
    assert [s.valence_maximum for s in gap.spins] == [1.1, -1.0]
    assert gap.value == pytest.approx(2.0 - 1.1)


def test_a_level_a_rounding_error_below_the_highest_band_does_not_empty_it():
    assert find_gap(result([[[-1.0, 2.0], [-1.2, 2.4]]], 2, fermi=-1.0005)).value == pytest.approx(3.0)


def test_a_single_k_point_never_resolves_a_gap():
    gap = find_gap(result([[[-1.0, 2.0]]], 2))
    assert gap.value == pytest.approx(3.0)
    assert (gap.resolved, gap.spins[0].mesh_error) == (False, None)
    assert gap.text == "3.00 eV direct, unresolved by the mesh"


def test_a_gap_below_the_step_of_its_bands_is_unresolved():
    steep = [[[-0.1, 0.1], [-2.1, 2.3]]]
    away_from_symmetry = [[0.25, 0, 0], [0, 0, 0]]
    gap = find_gap(result(steep, 2, kpoints=away_from_symmetry))
    assert gap.spins[0].mesh_error == pytest.approx(2.0 + 2.2)
    assert not gap.resolved
    flat = [[[-0.1, 0.1], [-0.11, 0.12]]]
    assert find_gap(result(flat, 2, kpoints=away_from_symmetry)).resolved


def test_the_nearest_k_point_may_be_across_the_zone_boundary():
    kpoints = [[0.45, 0, 0], [0.0, 0, 0], [-0.44, 0, 0]]
    bands = [[[-1.0, 1.0], [-5.0, 5.0], [-1.1, 1.1]]]
    assert find_gap(result(bands, 2, kpoints=kpoints)).spins[0].mesh_error == pytest.approx(0.1 + 0.1)


def test_the_nearest_k_point_may_be_the_inverse_of_one_on_the_mesh():
    kpoints = [[0.2, 0.2, 0], [0.2, 0.1, 0], [-0.2, -0.25, 0]]
    bands = [[[-1.0, 1.0], [-5.0, 5.0], [-1.2, 1.2]]]
    assert find_gap(result(bands, 2, kpoints=kpoints)).spins[0].mesh_error == pytest.approx(0.2 + 0.2)


def superlattice(valence, *, points=3):
    """A tetragonal cell, long along c, on a mesh without inversion images; valence(kx, ky), flat along kz."""
    cell = Structure(Lattice.tetragonal(4.0, 16.0), ["Ti"], [[0, 0, 0]])
    mesh = [[x / points, y / points, z / 2] for x in range(points // 2 + 1) for y in range(x + 1) for z in range(2)]
    bands = [[[valence(x, y) + 0.01 * z, 3.0 - 0.01 * z] for x, y, z in mesh]]
    return result(bands, 2, fermi=2.0, kpoints=mesh, structure=cell)


def test_a_band_flat_along_the_stack_may_still_reach_the_gap_in_the_plane():
    """The nearest point lies along c, where nothing happens; the top of the band is between points of the plane."""
    tall = find_gap(superlattice(lambda x, y: -2.2 * (np.cos(2 * np.pi * x) + np.cos(2 * np.pi * y)) - 0.5))
    assert tall.value > 1.0
    assert not tall.resolved  # at (1/2, 1/2), which the mesh of three leaves out, the band is above 3 eV


def test_an_edge_at_a_point_of_symmetry_is_met_exactly():
    gap = find_gap(superlattice(lambda x, y: 1.2 * (np.cos(2 * np.pi * x) + np.cos(2 * np.pi * y))))
    assert gap.spins[0].mesh_error == pytest.approx(0.0)
    assert gap.resolved


def test_an_energy_that_is_no_number_leaves_the_gap_untold():
    assert find_gap(result([[[-1.0, 2.5], [-1.5, np.nan]]], 2)) is None


def test_a_point_and_its_inverse_are_one_point_of_the_mesh():
    """On a mesh without symmetry both are there, with the same energies."""
    kpoints = [[0.2, 0.2, 0], [-0.2, -0.2, 0], [0.2, 0.1, 0], [-0.2, -0.1, 1.0]]
    bands = [[[-1.0, 1.0], [-1.0, 1.0], [-1.4, 1.5], [-1.4, 1.5]]]
    assert find_gap(result(bands, 2, kpoints=kpoints)).spins[0].mesh_error == pytest.approx(0.4 + 0.5)
    assert find_gap(result([bands[0][:2]], 2, kpoints=kpoints[:2])).spins[0].mesh_error is None


def test_without_empty_bands_or_without_bands_no_gap_is_told():
    assert find_gap(result([[[-1.0], [-2.0]]], 2)) is None
    bare = result([[[-1.0]]], 2)
    object.__setattr__(bare, "bands", None)
    with pytest.raises(ReaderError, match="no band energies"):
        find_gap(bare)


@given(st.lists(st.floats(-5, -0.1), min_size=2, max_size=5), st.floats(0.1, 3), st.floats(-3, 3))
@settings(max_examples=30, deadline=None)
def test_a_common_shift_of_all_energies_changes_no_gap(tops, width, shift):
    bands = np.array([[[top, width - top] for top in tops]])
    plain, shifted = find_gap(result(bands, 2)), find_gap(result(bands + shift, 2, fermi=shift))
    assert plain.value == pytest.approx(width - 2 * max(tops), abs=1e-9)
    assert shifted.value == pytest.approx(plain.value, abs=1e-9)
    assert plain.metal is shifted.metal is False


def from_xml(path):
    xml = read_pw_xml(path)
    return xml, Result(
        "espresso", xml.version, "static", xml.structure, xml.electrons, xml.energy, xml.fermi_levels, None, None,
        {}, True, 1, 0.0, 1.0, 1.0, xml.bands,
    )  # fmt: skip


def test_the_gap_of_a_real_insulator_is_that_of_its_occupations(shared_data):
    xml, zni2 = from_xml(shared_data / "qe" / "pw_lsda_v75" / "data-file-schema.xml")
    energies, filled = xml.bands.energies, xml.bands.occupations > 0.5
    gap = find_gap(zni2)
    assert (gap.metal, gap.kpoints) == (False, 126)
    assert gap.value == pytest.approx(energies[~filled].min() - energies[filled].max())


def test_a_real_run_without_empty_bands_tells_no_gap(shared_data):
    xml, lco = from_xml(shared_data / "qe" / "pw_hubbard_v72" / "data-file-schema.xml")
    assert 2 * xml.bands.energies.shape[2] == xml.electrons
    assert find_gap(lco) is None


def test_both_spins_of_a_nonmagnetic_insulator_have_the_same_gap(shared_data):
    _, zni2 = from_xml(shared_data / "qe" / "pw_lsda_v75" / "data-file-schema.xml")
    up, down = find_gap(zni2).spins
    assert up.fundamental == pytest.approx(down.fundamental, abs=1e-3)


def test_iron_is_a_metal(shared_data):
    _, iron = from_xml(shared_data / "qe" / "projwfc_fe2_collinear_v66" / "data-file-schema.xml")
    assert find_gap(iron).text == "metal"


def noncollinear(energies, electrons, **method):
    return replace(result(energies, electrons), method=method)


def test_a_band_of_a_noncollinear_run_holds_one_electron():
    spinors = [[[-2.0, -1.0, 1.5, 2.5], [-2.1, -1.2, 2.1, 2.4]]]
    told = find_gap(noncollinear(spinors, 2, noncollinear=True))
    assert (told.metal, told.value) == (False, pytest.approx(2.5))
    assert electrons_per_band(noncollinear(spinors, 2, spin_orbit=True)) == 1
    assert find_gap(noncollinear(spinors, 2)) == told  # by the number of electrons
    assert find_gap(noncollinear(spinors, 2.5, noncollinear=True)).metal
    assert electrons_per_band(noncollinear(spinors, 4)) == 2
    assert electrons_per_band(noncollinear(spinors, 2, noncollinear=False)) == 2
    assert electrons_per_band(noncollinear(spinors, 2, noncollinear=None)) == 1


def test_without_the_number_of_electrons_the_fermi_level_tells_the_gap():
    assert find_gap(result([[[-1.0, 2.5], [-1.5, 1.0]]], None)).value == pytest.approx(2.0)
    assert find_gap(result([[[-1.0, 2.0], [0.1, 2.0]]], None)).metal


def without_level(energies, electrons, occupations):
    plain = result(energies, electrons)
    return replace(plain, fermi_levels=(), bands=replace(plain.bands, occupations=np.array(occupations, dtype=float)))


def test_without_a_fermi_level_electrons_or_occupations_tell_the_gap():
    bands = [[[1.0, 4.0], [4.5, 0.5]]]
    assert find_gap(without_level(bands, 2, np.zeros((1, 2, 2)))).value == pytest.approx(3.0)
    assert find_gap(without_level(bands, None, [[[1, 0], [0, 1]]])).value == pytest.approx(3.0)
    assert find_gap(without_level(bands, None, [[[1, 0], [0, 0]]])).metal
    assert find_gap(without_level(bands, None, np.zeros((1, 2, 2)))) is None


@pytest.mark.parametrize("fermi", [-1.3, -1.0, -1.0011, 0.5, 1.0, 1.0005, 1.4])
def test_a_fermi_level_in_a_band_edge_hides_no_gap(fermi):
    """Wide smearing of a narrow gap, and old VASP, put it there."""
    gap = find_gap(result([[[-1.0, 2.5], [-1.5, 1.0], [-2.0, 1.2]]], 2, fermi=fermi))
    assert (gap.metal, gap.value) == (False, pytest.approx(2.0))
    up, down = [[-1.0, 2.0], [-1.2, 2.4]], [[-3.0, 1.5], [-3.2, 1.7]]
    assert find_gap(result([up, down], 2, fermi=fermi)).value == pytest.approx(2.5)


def test_degenerate_levels_that_rounding_splits_are_no_gap():
    half_filled = [[[-3.0, 0.0, 0.0002], [-3.1, 0.1, 0.1003]]]
    assert find_gap(result(half_filled, 4, fermi=0.05)).metal


def test_a_half_metal_is_called_one_with_its_gap():
    up, down = [[-2.0, 2.0], [-1.0, 3.0]], [[-0.1, 3.0], [0.1, 4.0]]
    gap = find_gap(result([up, down], 1.5))
    assert (gap.half_metal, gap.text) == ("up", "metal, spin up with a gap of 3.00 eV")
    assert find_gap(result([down, up], 1.5)).half_metal == "down"
    both = find_gap(result([[[-0.1, 3.0], [0.1, 4.0]]] * 2, 1.0))
    assert (both.half_metal, both.text) == ("", "metal")


def test_a_fractional_charge_leaves_the_gap_of_the_full_spin():
    """One k-point: 1.9 electrons, the last level of spin down filled to 0.9."""
    plain = result([[[-1.0, 3.0]], [[0.0, 4.0]]], 1.9)
    gap = find_gap(replace(plain, bands=replace(plain.bands, occupations=np.array([[[1.0, 0.0]], [[0.9, 0.0]]]))))
    assert [spin.metal for spin in gap.spins] == [False, True]


INSULATORS = st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 2), st.floats(0.05, 4.0))
"""Filled bands a spin, k-points, spins, gap."""


@given(INSULATORS, st.floats(0.01, 0.4), st.floats(0, 1), st.integers(0, 2**31))
@settings(max_examples=80, deadline=None)
def test_neither_order_of_bands_nor_smearing_nor_the_level_moves_a_gap(insulator, sigma, where, seed):
    filled, points, spins, width = insulator
    rng = np.random.default_rng(seed)
    below = -rng.uniform(0, 5, (spins, points, filled))
    above = width + rng.uniform(0, 5, (spins, points, filled + 1))
    below[-1, rng.integers(points), 0], above[0, rng.integers(points), 0] = 0.0, width
    energies = np.concatenate([below, above], axis=2)
    order = rng.permuted(np.broadcast_to(np.arange(energies.shape[2]), energies.shape), axis=2)
    energies = np.take_along_axis(energies, order, axis=2)
    fermi = where * width
    made = replace(result(energies, float(2 * filled), fermi=fermi), method={"noncollinear": False})
    tails = 1 / (1 + np.exp(np.clip((energies - fermi) / sigma, -50, 50)))
    gap = find_gap(replace(made, bands=replace(made.bands, occupations=tails)))
    assert not gap.metal
    assert gap.value == pytest.approx(width, abs=1e-9)
    assert find_gap(replace(made, bands=replace(made.bands, occupations=tails), electrons=2.0 * filled - 0.5)).metal


@given(st.integers(1, 3), st.integers(2, 6), st.floats(0.01, 3.0), st.integers(0, 2**31))
@settings(max_examples=50, deadline=None)
def test_overlapping_bands_are_never_given_a_gap(filled, points, overlap, seed):
    rng = np.random.default_rng(seed)
    below, above = -rng.uniform(overlap, 5, (1, points, filled)), rng.uniform(overlap, 5, (1, points, 2))
    below[0, 0, 0], above[0, 1, 0] = overlap, -overlap  # a semimetal: an electron and a hole pocket
    above[0, 0] = np.maximum(above[0, 0], overlap + 1)
    energies = np.concatenate([below, above], axis=2)
    assert find_gap(result(energies, 2.0 * filled, fermi=0.0)).metal


FACTS = [  # folder, gap, spin up, spin down: of the manifest of the shared data
    ("fe2o3_pbeu", (1.5590, 2.9882, 4.5472), (4.0199, 2.9882, 7.0081), (2.1923, 2.3549, 4.5472)),
    ("v2o5_unconverged", (3.7611, 0.5779, 4.3390), (3.7611, 0.5779, 4.3390), (3.7611, 0.5779, 4.3390)),
    ("mg_gan_relax", (0.1596, 4.4322, 4.5918), (3.8892, 4.4253, 8.3145), (0.1596, 4.4322, 4.5918)),
    ("si_h5", (0.7873, 5.6886, 6.4759), (0.7873, 5.6886, 6.4759), (0.7873, 5.6886, 6.4759)),
    ("o2_ncl_soc", (2.2244, -6.8589, -4.6345), (2.2244, -6.8589, -4.6345), None),
]


@pytest.mark.parametrize(("folder", "cell", "up", "down"), FACTS)
def test_gaps_of_real_insulators(shared_data, folder, cell, up, down):
    run = result_from(shared_data / "vasp" / folder / "vasprun.xml.gz")
    for made in (run, replace(run, electrons=None), replace(run, fermi_levels=())):
        gap = find_gap(made)
        edges = (max(s.valence_maximum for s in gap.spins), min(s.conduction_minimum for s in gap.spins))
        assert (gap.metal, gap.value, *edges) == (False, *[pytest.approx(x, abs=1e-4) for x in cell])
        for spin, (width, top, bottom) in zip(gap.spins, [s for s in (up, down) if s], strict=True):
            found = (spin.fundamental, spin.valence_maximum, spin.conduction_minimum)
            assert found == pytest.approx((width, top, bottom), abs=1e-4)


def test_the_indirect_gaps_of_real_insulators_are_told_from_direct_ones(shared_data):
    found = {f: find_gap(result_from(shared_data / "vasp" / f / "vasprun.xml.gz")) for f, *_ in FACTS}
    assert {f: gap.direct for f, gap in found.items()} == {
        "fe2o3_pbeu": False, "v2o5_unconverged": False, "mg_gan_relax": True, "si_h5": False, "o2_ncl_soc": True,
    }  # fmt: skip
    up = found["fe2o3_pbeu"].spins[0]
    assert up.direct == pytest.approx(up.fundamental)


@pytest.mark.parametrize("folder", ["nio_pbeu_v641", "ti_lorbit10_v660"])
def test_tetrahedra_make_no_gap_in_a_real_metal(shared_data, folder):
    run = result_from(shared_data / "vasp" / folder / "vasprun.xml.gz")
    assert run.bands.occupations.min() < 0  # what makes others find one
    gap = find_gap(run)
    assert (gap.text, [spin.metal for spin in gap.spins]) == ("metal", [True, True])


def test_two_fermi_levels_of_a_real_run_fill_each_spin_to_its_own(shared_data):
    _, run = from_xml(shared_data / "qe" / "pw_two_fermi_v66" / "data-file-schema.xml")
    up, down = run.fermi_levels
    assert (up, down) == pytest.approx((6.7565, 5.6206), abs=1e-3)
    filled = [(e <= level).sum(axis=1) for e, level in zip(run.bands.energies, run.fermi_levels, strict=True)]
    gap = find_gap(run)
    assert [spin.metal for spin in gap.spins] == [len(set(counts)) > 1 for counts in filled]


def test_a_gap_is_a_table_with_a_row_a_spin():
    up, down = [[-1.0, 2.0], [-1.2, 2.4]], [[-3.0, 0.5], [-3.2, 0.7]]
    frame = Gap.from_result(result([up, down], 2)).to_frame()
    assert frame["spin"].tolist() == ["up", "down"]
    assert frame["gap (eV)"].tolist() == pytest.approx([3.0, 3.5])
    with pytest.raises(ReaderError, match="no empty band was computed"):
        Gap.from_result(result([[[-1.0], [-2.0]]], 2))
