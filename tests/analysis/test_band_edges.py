from __future__ import annotations

import json

import layered_results as layered
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heterodft.analysis.band_edges import BandEdges
from heterodft.analysis.dos_gaps import nearest_gap
from heterodft.analysis.integrals import broaden
from heterodft.analysis.pdos import LayerDos
from heterodft.analysis.result import ORBITALS, Bands
from heterodft.errors import ReaderError

LAYERS = ("SrTiO3:1", "SrTiO3:2", "LaAlO3:1", "LaAlO3:2")
P, D = ORBITALS.index("px"), ORBITALS.index("dxy")


def insulator(tops, bottoms, *, per_atom=6.0, spins=2, electrons=2.0, bands=None):
    """Boxes 4 eV wide below `tops` and above `bottoms` of each layer, on the first atom of each, in each spin."""
    values = layered.empty(spins=spins)
    for layer, top, bottom in zip(LAYERS, tops, bottoms, strict=True):
        sites = layered.sites_of(layer)
        for spin in range(spins):
            states = per_atom * len(sites) / spins
            values[sites[0], P, spin] = layered.box(top - 4, top, states)
            values[sites[0], D, spin] = layered.box(bottom, bottom + 4, states)
    gap = layered.two_level_bands(max(tops), min(bottoms), spins=spins) if bands is None else bands
    return layered.make(values, bands=gap, electrons=electrons)


EDGES = ((-1.0, -1.2, -2.0, -2.1), (1.5, 1.4, 3.0, 3.2))


def test_edges_of_layers_are_where_their_states_begin():
    edges = BandEdges.from_result(insulator(*EDGES))
    middle = (-1.0 + 1.4) / 2
    shift = 0.005 / 6.0 * 4.0  # where a box of 6 states an atom in 4 eV has held 0.005 states an atom
    expected_v, expected_c = np.array(EDGES) - middle + np.array([[-shift], [shift]])
    assert (edges.reference_name, edges.reference) == ("middle of the gap", pytest.approx(middle))
    for spin in (0, 1):
        np.testing.assert_allclose(edges.valence[:, spin], expected_v, atol=5e-3)  # half a step of the grid
        np.testing.assert_allclose(edges.conduction[:, spin], expected_c, atol=5e-3)
    assert not edges.metallic.any()


def test_offsets_between_blocks_are_those_of_their_inner_layers():
    (up, down) = BandEdges.from_result(insulator(*EDGES)).offsets()
    assert (up.lower, up.upper, up.spin, down.spin) == ("SrTiO3", "LaAlO3", "up", "down")
    assert up.valence == pytest.approx(-2.05 + 1.1, abs=1e-6)
    assert up.conduction == pytest.approx(3.1 - 1.45, abs=1e-6)


@given(st.floats(0.02, 0.15))
@settings(max_examples=15, deadline=None)
def test_the_tails_of_broadening_move_edges_by_less_than_their_width(sigma):
    sharp = insulator(*EDGES)
    values = broaden(layered.GRID, sharp.dos.values, sigma)
    wide = layered.make(values, bands=sharp.bands, electrons=2.0)
    before, after = BandEdges.from_result(sharp, states=0.02), BandEdges.from_result(wide, states=0.02)
    assert np.abs(after.valence - before.valence).max() < 1.2 * sigma
    assert after.offsets()[0].valence == pytest.approx(before.offsets()[0].valence, abs=1e-3)
    # A bare threshold on the density follows the tail three times as far.
    middle = layered.sites_of("SrTiO3:1")[0]
    bare = [layered.GRID[(layered.GRID < 0.2) & (r.dos.values[middle, P, 0] > 0.01)].max() for r in (sharp, wide)]
    assert bare[1] - bare[0] > 2.2 * sigma


def test_a_spin_without_states_has_no_edge():
    made = insulator(*EDGES)
    made.dos.values[layered.sites_of("LaAlO3:2")[0], :, 1] = 0
    edges = BandEdges.from_result(made)
    assert np.isnan(edges.valence[3, 1])
    assert not np.isnan(edges.valence[3, 0])
    assert edges.offsets()[1].valence is None
    assert json.loads(json.dumps(edges.to_dict()))["edges"][-1]["valence edge (eV)"] is None


def metal():
    """The first layer's conduction states reach 0.3 eV below the Fermi level."""
    bands = layered.two_level_bands(-3.0, -0.3, spins=2)
    return insulator((-3.0, -3.1, -4.0, -4.2), (-0.3, 0.4, 1.5, 1.6), bands=bands, electrons=2.5)


def test_of_a_metal_the_edges_are_those_around_the_gap_below_and_the_metallic_layer_is_named():
    edges = BandEdges.from_result(metal())
    assert edges.reference_name == "Fermi level"
    assert edges.metallic[:, 0].tolist() == [True, False, False, False]
    np.testing.assert_allclose(edges.conduction[:, 0], np.array([-0.3, 0.4, 1.5, 1.6]) + 0.0033, atol=5e-3)
    np.testing.assert_allclose(edges.valence[:, 0], np.array([-3.0, -3.1, -4.0, -4.2]) - 0.0033, atol=5e-3)
    assert (
        "the cell is a metal; edges are those around the gap of its density of states from -2.99" in edges.notes[-1]
    )
    assert BandEdges.from_result(metal(), start=-1.0).valence == pytest.approx(edges.valence)


def test_a_metal_without_a_gap_nearby_has_no_edges():
    full = layered.empty()
    full[0, P] = layered.box(-8.0, 8.0, 20.0)
    with pytest.raises(ReaderError, match=r"no gap of 0\.3 eV within 3 eV of the Fermi level"):
        BandEdges.from_result(layered.make(full))


def test_the_gap_nearest_to_the_fermi_level_is_taken():
    values = layered.empty()
    for low, high in ((-9, -6), (-5, -1), (-0.5, 2), (2.5, 4)):
        values[0, P] += layered.box(low, high, 4.0)
    low, high = nearest_gap(LayerDos.from_result(layered.make(values)))
    assert (low, high) == pytest.approx((-1.0, -0.5), abs=0.02)


def test_a_coarse_grid_is_told(monkeypatch):
    made = insulator(*EDGES)
    coarse = layered.make(made.dos.values[..., ::20], bands=made.bands, electrons=2.0)
    object.__setattr__(coarse.dos, "energies", layered.GRID[::20])
    object.__setattr__(coarse.dos, "total", made.dos.total[:, ::20])
    assert any("steps of 0.2 eV, too coarse for edges" in note for note in BandEdges.from_result(coarse).notes)


def projected_bands():
    """Four bands a layer pair: two full, two empty, each in one layer but one that is spread over all."""
    tops, bottoms = EDGES
    energies = np.array([[[*tops, *bottoms, 1.2], [*(t - 0.3 for t in tops), *(b + 0.3 for b in bottoms), 1.7]]])
    parts = np.zeros((1, 2, 9, len(layered.STRUCTURE), 1))
    for band in range(8):
        parts[0, :, band, layered.sites_of(LAYERS[band % 4])] = 0.16  # 0.8 in all: the rest is missed
    parts[0, :, 8] = 0.8 / 20
    points, weights = np.array([[0, 0, 0], [0.5, 0, 0]]), np.array([0.5, 0.5])
    bands = Bands(energies, (energies < 0) * 1.0, points, weights, parts, ("s",))
    return layered.make(layered.empty(), bands=bands, electrons=8.0)


def test_edges_from_projections_are_extremes_of_the_states_in_the_layer():
    edges = BandEdges.from_projections(projected_bands())
    middle = (-1.0 + 1.2) / 2
    np.testing.assert_allclose(edges.valence[:, 0], np.array(EDGES[0]) - middle, atol=1e-9)
    np.testing.assert_allclose(edges.conduction[:, 0], 1.2 - middle, atol=1e-9)  # the state that is everywhere
    only = BandEdges.from_projections(projected_bands(), share=1.5)
    np.testing.assert_allclose(only.conduction[:, 0], np.array(EDGES[1]) - middle, atol=1e-9)


def test_edges_from_projections_need_projections_and_an_insulator():
    with pytest.raises(ReaderError, match="projections=True"):
        BandEdges.from_projections(insulator(*EDGES))
    partly = projected_bands()
    object.__setattr__(partly, "electrons", 7.5)
    with pytest.raises(ReaderError, match="no insulator"):
        BandEdges.from_projections(partly)


def test_edges_are_a_table_and_a_profile():
    edges = BandEdges.from_result(insulator(*EDGES))
    frame = edges.to_frame()
    assert list(frame.columns) == ["layer", "spin", "valence edge (eV)", "conduction edge (eV)", "metallic"]
    assert len(frame) == 8
    assert edges.values.shape == (4, len(edges.columns))
    np.testing.assert_allclose(edges.values[:, 0], edges.valence[:, 0])
    np.testing.assert_allclose(edges.values[:, 3], edges.conduction[:, 1])


def test_offsets_by_plane_are_those_by_layer():
    """SrO has its states far from the gap; the edges of a layer are those of TiO2."""
    made = insulator(*EDGES)
    (up, _) = BandEdges.from_result(made).offsets()
    edges = BandEdges.from_result(made, by="plane")
    assert edges.by == "plane"
    assert np.isnan(edges.valence).any()  # of the planes without states
    (by_plane, _) = edges.offsets()
    assert by_plane.valence == pytest.approx(up.valence, abs=5e-3)
    assert by_plane.conduction == pytest.approx(up.conduction, abs=5e-3)
    assert next(iter(edges.to_frame())) == "plane"
    assert json.dumps(edges.to_dict(), allow_nan=False)
