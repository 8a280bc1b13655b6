from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from heterodft.analysis.gaps import find_gap
from heterodft.analysis.readers.espresso_xml import read_pw_xml
from heterodft.analysis.result import Bands, Result
from heterodft.errors import ReaderError

CELL = Structure(Lattice.cubic(4.0), ["Ti"], [[0, 0, 0]])


def result(energies, electrons, fermi=0.0, *, kpoints=None, structure=CELL):
    """Bands (spin, k, band) in eV, k-points along the first reciprocal vector unless given."""
    energies = np.array(energies, dtype=float)
    count = energies.shape[1]
    points = np.array([[i / (2 * count), 0, 0] for i in range(count)]) if kpoints is None else np.array(kpoints)
    bands = Bands(energies, (energies <= 0) * 1.0, points, np.full(count, 1 / count))
    levels = tuple(np.atleast_1d(fermi).tolist())
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
    gap = find_gap(result(steep, 2))
    assert gap.spins[0].mesh_error == pytest.approx((2.0 + 2.2) / 2)
    assert not gap.resolved
    flat = [[[-0.1, 0.1], [-0.11, 0.12]]]
    assert find_gap(result(flat, 2)).resolved


def test_the_nearest_k_point_may_be_across_the_zone_boundary():
    kpoints = [[0.45, 0, 0], [0.0, 0, 0], [-0.45, 0, 0]]
    bands = [[[-1.0, 1.0], [-5.0, 5.0], [-1.1, 1.1]]]
    assert find_gap(result(bands, 2, kpoints=kpoints)).spins[0].mesh_error == pytest.approx(0.1)


def test_the_nearest_k_point_may_be_the_inverse_of_one_on_the_mesh():
    kpoints = [[0.2, 0.2, 0], [0.2, 0.1, 0], [-0.2, -0.25, 0]]
    bands = [[[-1.0, 1.0], [-5.0, 5.0], [-1.2, 1.2]]]
    assert find_gap(result(bands, 2, kpoints=kpoints)).spins[0].mesh_error == pytest.approx(0.2)


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
