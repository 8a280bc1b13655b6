from __future__ import annotations

import json

import layered_results as layered
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from heterodft.analysis.bands import LayerBands
from heterodft.analysis.carriers import SheetCarriers
from heterodft.analysis.layers import Layering, find_layering
from heterodft.analysis.pdos import in_plane_area
from heterodft.analysis.result import ORBITALS, Bands
from heterodft.errors import ReaderError

LAYERS = ("SrTiO3:1", "SrTiO3:2", "LaAlO3:1", "LaAlO3:2")
P, D = ORBITALS.index("px"), ORBITALS.index("dxy")
AREA = 3.905**2


def gas(inside, *, spins=2, captured=1.0, valence=-3.0):
    """Conduction boxes from −1 to 1 eV: `inside` electrons of each layer are below the Fermi level at 0."""
    values = layered.empty(spins=spins)
    for layer, electrons in zip(LAYERS, inside, strict=True):
        site = layered.sites_of(layer)[0]
        for spin in range(spins):
            values[site, P, spin] = layered.box(valence - 4, valence, 18.0 / spins)
            values[site, D, spin] = layered.box(-1.0, 1.0, 2 * electrons / spins) if electrons else 0.0
    return layered.make(values * captured, total=values.sum(axis=(0, 1)))


@given(st.lists(st.floats(0.05, 2.0), min_size=4, max_size=4), st.sampled_from([1, 2]))
@settings(max_examples=25, deadline=None)
def test_a_known_number_of_electrons_is_found_layer_by_layer(inside, spins):
    found = SheetCarriers.from_result(gas(inside, spins=spins))
    np.testing.assert_allclose(found.electrons, inside, rtol=1e-9)
    assert found.total_electrons == pytest.approx(sum(inside))
    assert not found.holes.any()
    np.testing.assert_allclose(found.electrons_per_cm2, np.array(inside) * 1e16 / AREA, rtol=1e-6)
    assert found.gap.startswith("of the cell, -2.99 to -1.0")
    assert -1.02 < 2 * found.edges[0] + 2.99 < -0.98


def test_a_tenth_of_an_electron_in_a_perovskite_cell_is_some_1e13_per_cm2():
    (density, *_) = SheetCarriers.from_result(gas([0.1, 0, 0, 0])).electrons_per_cm2
    assert density == pytest.approx(6.558e13, rel=1e-3)


def test_the_total_holds_what_projections_miss():
    found = SheetCarriers.from_result(gas([1.0, 0.5, 0.2, 0.1], captured=0.8))
    assert found.electrons.sum() == pytest.approx(0.8 * 1.8)
    assert found.total_electrons == pytest.approx(1.8)
    assert "80.0 %" in found.notes[-1]


def test_a_doped_crystal_keeps_its_charge():
    """Electrons above the gap are those of the cell beyond its full valence bands."""
    made = gas([0.4, 0.3, 0.0, 0.0])
    assert SheetCarriers.from_result(made).total_electrons == pytest.approx(made.electrons - 4 * 18.0, abs=1e-6)


def test_holes_are_the_empty_states_below_a_gap():
    values = layered.empty()
    site = layered.sites_of("LaAlO3:1")[0]
    values[site, P] = layered.box(-5.0, 0.5, 5.5)
    values[site, D] = layered.box(3.0, 5.0, 4.0)
    found = SheetCarriers.from_result(layered.make(values))
    np.testing.assert_allclose(found.holes, [0, 0, 1.0, 0], atol=1e-9)
    assert (found.total_holes, found.total_electrons) == (pytest.approx(1.0), 0.0)


def test_where_the_gap_closes_by_a_shift_each_layer_has_its_own():
    """Electrons in one layer and holes in another: the polar catastrophe."""
    values = layered.empty(spins=1)
    for layer, top in zip(LAYERS, (-2.5, -2.3, -0.5, 0.2), strict=True):
        site = layered.sites_of(layer)[0]
        values[site, P, 0] = layered.box(top - 4.0, top, 20.0)
        values[site, D, 0] = layered.box(top + 2.0, top + 5.0, 6.0)
    found = SheetCarriers.from_result(layered.make(values))
    assert found.gap == "of each layer, the cell has none"
    np.testing.assert_allclose(found.electrons, [1.0, 0.6, 0, 0], atol=1e-6)
    np.testing.assert_allclose(found.holes, [0, 0, 0, 1.0], atol=1e-6)
    np.testing.assert_allclose(found.edges, [-1.5, -1.3, 0.5, 1.2], atol=0.02)


def test_a_donor_that_almost_touches_the_valence_bands_and_spreads_over_all_layers_is_counted():
    """Its tails close the gap of each layer; between it and the valence bands a tenth of an eV is empty."""
    values = layered.empty(spins=1)
    tails = (1.0, 0.2, 0.05, 0.05)
    for layer, part in zip(LAYERS, tails, strict=True):
        site = layered.sites_of(layer)[0]
        values[site, P, 0] = layered.box(-4.0, -0.6, 18.0)
        values[site, D, 0] = layered.box(-0.5, 4.0, 9.0 * part)
    found = SheetCarriers.from_result(layered.make(values))
    assert found.gap.startswith("of the cell, -0.59 to -0.51 eV")
    assert found.gap.endswith("it may lie inside the conduction bands")
    assert found.notes[-1].startswith("carriers are counted from the gap of the cell")
    np.testing.assert_allclose(found.electrons, tails, atol=1e-6)


def test_an_insulator_has_no_carriers():
    made = layered.make(gas([1, 1, 1, 1]).dos.values, bands=layered.two_level_bands(-3.0, 2.0), electrons=2.0)
    found = SheetCarriers.from_result(made)
    assert found.gap.endswith("an insulator has no carriers")
    assert not found.electrons.any()
    assert len(found.notes) == 2  # the bands have another gap than the density, whose sum is so off, and no doubt


def test_a_level_filled_at_a_single_k_point_is_carriers_when_the_edge_is_given():
    """A donor level below the Fermi level: to the bands the cell is an insulator with a gap of 0.1 eV."""
    made = gas([1.0, 0, 0, 0])
    one = Bands(np.array([[[-0.05, 0.05]]]), np.array([[[1.0, 0.0]]]), np.zeros((1, 3)), np.ones(1))
    donor = layered.make(made.dos.values, bands=one, electrons=2.0)
    with pytest.raises(ReaderError, match=r"does not resolve the gap of 0\.10 eV"):
        SheetCarriers.from_result(donor)
    found = SheetCarriers.from_result(donor, edge=-2.0)
    assert found.total_electrons == pytest.approx(1.0, abs=1e-6)
    assert not any("does not resolve" in note or "in no gap" in note for note in found.notes)


def test_the_edge_may_be_given_and_must_be_where_there_is_no_gap():
    metal = layered.empty()
    metal[:, P] = layered.box(-8.0, 8.0, 1.6)
    made = layered.make(metal)
    with pytest.raises(ReaderError, match=r"SrTiO3:1 has no gap of 0\.3 eV within 3 eV of the Fermi level, .* edge="):
        SheetCarriers.from_result(made)
    found = SheetCarriers.from_result(made, edge=-0.5)
    assert found.total_electrons == pytest.approx(20 * 2 * 0.05)
    assert (found.gap, set(found.edges)) == ("given", {-0.5})
    assert "-0.5 eV from the Fermi level, as given, is in no gap" in found.notes[-1]
    assert SheetCarriers.from_result(made, edge=0.5).total_holes == pytest.approx(2.0)
    with pytest.raises(ReaderError, match=r"^99 eV from the Fermi level is outside of the density of states, -\d"):
        SheetCarriers.from_result(made, edge=99)


def banded(occupations):
    """Two bands a k-point, −3 eV and −0.1 eV, the upper one in the first two layers by 3 : 1."""
    energies = np.array([[[-3.0, -0.1], [-3.2, 0.2]]])
    parts = np.zeros((1, 2, 2, len(layered.STRUCTURE), 1))
    parts[0, :, 0, layered.sites_of("LaAlO3:1")[0]] = 0.9
    parts[0, :, 1, layered.sites_of("SrTiO3:1")[0]] = 0.6
    parts[0, :, 1, layered.sites_of("SrTiO3:2")[0]] = 0.2
    bands = Bands(
        energies, np.array([occupations]), np.array([[0, 0, 0], [0.5, 0, 0]]), np.array([0.25, 0.75]), parts, ("s",)
    )
    return layered.make(layered.empty(spins=1), bands=bands, electrons=2.4)


def test_carriers_of_bands_are_their_occupations_shared_out():
    found = SheetCarriers.from_bands(banded([[1.0, 0.5], [0.98, 0.1]]), edge=-1.5)
    electrons, holes = 2 * (0.25 * 0.5 + 0.75 * 0.1), 2 * 0.75 * 0.02
    assert (found.total_electrons, found.total_holes) == (pytest.approx(electrons), pytest.approx(holes))
    np.testing.assert_allclose(found.electrons, electrons * np.array([0.75, 0.25, 0, 0]))
    np.testing.assert_allclose(found.holes, [0, 0, holes, 0])
    assert found.source == "bands"


def test_carriers_of_bands_need_projections_and_a_mesh():
    with pytest.raises(ReaderError, match="projections=True"):
        SheetCarriers.from_bands(gas([1, 0, 0, 0]))
    path = banded([[1.0, 0.5], [1.0, 0.1]])
    object.__setattr__(path.bands, "labels", ("Γ", "X"))
    with pytest.raises(ReaderError, match="the k-points are a path"):
        SheetCarriers.from_bands(path, edge=-1.5)


def test_the_area_is_that_across_the_normal_however_the_third_vector_leans():
    leaning = Structure(Lattice([[3.0, 0, 0], [1.5, 2.6, 0], [2.0, 1.0, 9.0]]), ["H"], [[0, 0, 0]])
    assert in_plane_area(leaning, Layering((), (), "given", 9.0)) == pytest.approx(7.8)


def test_carriers_are_a_table_that_ends_with_the_cell():
    found = SheetCarriers.from_result(gas([1.0, 0.5, 0.2, 0.1]))
    frame = found.to_frame()
    assert frame["layer"].tolist() == [*LAYERS, "cell"]
    assert frame["electrons (1/cm²)"].iloc[-1] == pytest.approx(1.8e16 / AREA)
    assert frame["electrons (1/in-plane cell)"].iloc[:-1].sum() == pytest.approx(1.8)
    assert json.loads(json.dumps(found.to_dict()))["total_electrons"] == pytest.approx(1.8)
    assert found.values.shape == (4, 2)


def test_the_magnetization_of_spinors_is_no_part_of_their_states():
    """VASP tells four sets of projections of a noncollinear run: the parts, then three signed components."""
    parts = np.zeros((4, 2, 2, len(layered.STRUCTURE), 1))
    parts[0, :, :, 0, 0], parts[0, :, :, 10, 0] = 0.6, 0.3
    parts[1:, :, 0, 0, 0], parts[1:, :, 1, 0, 0] = 0.5, -0.5
    energies = np.array([[[-2.0, 1.0], [-2.0, 1.0]]])
    held = Bands(
        energies, np.array([[[1.0, 0.5], [1.0, 0.5]]]), np.array([[0, 0, 0], [0.5, 0, 0]]), np.array([0.5, 0.5]),
        parts, ("s",),
    )  # fmt: skip
    made = layered.make(layered.empty(spins=1), bands=held, electrons=1.5, fermi=1.0, method={"noncollinear": True})
    found = SheetCarriers.from_bands(made, edge=-1.0)
    assert found.total_electrons == pytest.approx(0.5)
    assert found.electrons == pytest.approx([0.5 * 2 / 3, 0, 0.5 / 3, 0])
    bands = LayerBands.from_result(made)
    assert bands.weights is not None
    assert bands.weights.shape == (1, 2, 2, 4)
    assert len(bands.to_frame()) == 4


def test_sites_that_a_symmetry_exchanges_hold_the_same_carriers():
    """A mesh reduced by symmetry has only one of two points, whose states lie on one oxygen each."""
    structure = layered.STRUCTURE
    alike = [i for i in layered.sites_of("LaAlO3:1") if structure[i].specie.symbol == "O"]
    plane = structure.site_properties["plane"]
    one, other = next((i, j) for i in alike for j in alike if i < j and plane[i] == plane[j])
    parts = np.zeros((1, 1, 2, len(structure), 1))
    parts[..., one, 0] = 1.0
    points, weights = np.array([[0.25, 0, 0]]), np.array([1.0])
    held = Bands(np.array([[[-2.0, 1.0]]]), np.array([[[1.0, 0.5]]]), points, weights, parts, ("s",))
    made = layered.make(layered.empty(spins=1), bands=held, electrons=3.0, fermi=1.0)
    lists = [[i] for i in range(len(structure))]
    found = SheetCarriers.from_bands(made, edge=-1.0, layering=find_layering(structure, layers=lists))
    held_by = {group.sites[0]: n for group, n in zip(found.groups, found.electrons, strict=True)}
    assert (held_by[one], held_by[other]) == pytest.approx((0.5, 0.5))
