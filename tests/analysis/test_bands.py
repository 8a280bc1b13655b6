from __future__ import annotations

import json

import layered_results as layered
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from vasprun_by_pymatgen import result_from

from heterodft.analysis.bands import LayerBands
from heterodft.analysis.layers import find_layering
from heterodft.analysis.result import ORBITALS, Bands
from heterodft.errors import ReaderError

CUBE = Structure(Lattice.cubic(4.0), ["Ti"], [[0, 0, 0]])
HALF = np.pi / 4.0  # from Γ to X of a cubic cell of 4 Å, 1/Å


def path(corners, count=11):
    """Straight stretches between corners, each with both its ends, as VASP writes them."""
    stretches = [np.linspace(a, b, count) for a, b in corners]
    return np.concatenate(stretches)


def along(points, labels=None, *, structure=CUBE, energies=None, projections=None, electrons=2.0):
    if energies is None:
        energies = np.stack([-1.0 - np.cos(points[:, 0]), 1.0 + points[:, 0]], axis=1)[None]
    weights = np.full(len(points), 1 / len(points))
    bands = Bands(energies, (energies < 0) * 1.0, points, weights, projections, ORBITALS, labels)
    return layered.make(layered.empty(structure=structure), structure=structure, bands=bands, electrons=electrons)


def named(names, count=11):
    """Labels of both ends of each stretch."""
    return tuple(name if i == 0 else (other if i == count - 1 else "") for name, other in names for i in range(count))


G, X, M, R = [0, 0, 0], [0.5, 0, 0], [0.5, 0.5, 0], [0.5, 0.5, 0.5]


def test_distances_are_lengths_in_reciprocal_space_and_jumps_have_none():
    points = path([(G, X), (X, M), (R, G)])
    found = LayerBands.from_result(along(points, named([("Γ", "X"), ("X", "M"), ("R", "Γ")])))
    assert found.breaks == (22,)
    assert found.distances[10] == pytest.approx(HALF)
    assert found.distances[21] == found.distances[22] == pytest.approx(2 * HALF)
    assert found.distances[-1] == pytest.approx((2 + np.sqrt(3)) * HALF)
    places = [0, HALF, 2 * HALF, (2 + np.sqrt(3)) * HALF]
    assert list(found.labels) == pytest.approx(places)
    assert list(found.labels.values()) == ["Γ", "X", "M|R", "Γ"]


def test_jumps_are_found_without_names_too():
    found = LayerBands.from_result(along(path([(G, X), (X, M), (R, G)])))
    assert (found.breaks, found.labels) == ((22,), {})
    assert LayerBands.from_result(along(path([(G, X), (X, M)]))).breaks == ()


def test_a_stretch_finer_than_another_is_no_jump():
    points = np.concatenate([np.linspace(G, X, 41), np.linspace(X, M, 5)[1:]])
    labels = ["Γ", *[""] * 39, "X", "", "", "", "M"]
    assert LayerBands.from_result(along(points, tuple(labels))).breaks == ()


@given(st.permutations(range(6)), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_weights_follow_their_states_when_bands_are_sorted(order, seed):
    rng = np.random.default_rng(seed)
    points = path([(G, X)], 5)
    energies = np.sort(rng.uniform(-3, 3, (2, 5, 6)), axis=2)
    parts = rng.random((2, 5, 6, 20, len(ORBITALS))) / 400
    made = along(points, structure=layered.STRUCTURE, energies=energies, projections=parts, electrons=6.0)
    mixed = along(
        points, structure=layered.STRUCTURE, energies=energies[..., order], projections=parts[:, :, order],
        electrons=6.0,
    )  # fmt: skip
    zero = (0.0, "Fermi level")
    plain, sorted_again = (LayerBands.from_result(r, reference=zero) for r in (made, mixed))
    np.testing.assert_array_equal(plain.energies, sorted_again.energies)
    np.testing.assert_array_equal(plain.weights, sorted_again.weights)
    np.testing.assert_allclose(plain.weights.sum(axis=-1), parts.sum(axis=(3, 4)))


def layered_bands():
    points = path([(G, X)], 5)
    k = points[:, 0]
    energies = np.stack([-1 - k, 1 + k], axis=1)[None]
    parts = np.zeros((1, 5, 2, 20, len(ORBITALS)))
    parts[0, :, 0, layered.sites_of("LaAlO3:2")[-1], ORBITALS.index("px")] = 0.7
    parts[0, :, 1, layered.sites_of("SrTiO3:1")[2], ORBITALS.index("dxy")] = 0.8
    return along(points, ("Γ", "", "", "", "X"), structure=layered.STRUCTURE, energies=energies, projections=parts)


def test_the_summary_says_where_the_edges_are_and_in_which_layer():
    found = LayerBands.from_result(layered_bands())
    valence, conduction = found.summary().to_dict("records")
    assert (valence["edge"], valence["layer"], valence["point"]) == ("valence", "LaAlO3:2", "Γ")
    assert (conduction["layer"], conduction["weight"], conduction["band"]) == ("SrTiO3:1", pytest.approx(0.8), 2)
    assert conduction["energy (eV)"] - valence["energy (eV)"] == pytest.approx(found.gap.value) == pytest.approx(2.0)
    assert found.reference_name == "middle of the gap"
    assert "path's own k-points" in found.notes[0]


def test_the_zero_may_be_that_of_the_mesh():
    found = LayerBands.from_result(layered_bands(), reference=(0.25, "Fermi level"))
    assert found.energies[0, 0, 0] == pytest.approx(-1.25)
    assert (found.reference_name, found.notes) == ("Fermi level", ())


def test_states_may_be_weighted_by_element_and_orbital():
    found = LayerBands.from_result(layered_bands())
    np.testing.assert_allclose(found.select(elements=("Ti",), orbitals=("t2g",))[0, :, 1], 0.8)
    np.testing.assert_allclose(found.select(shells=("p",))[0], np.tile([0.7, 0.0], (5, 1)))
    with pytest.raises(ReaderError, match="projections=True"):
        LayerBands.from_result(along(path([(G, X)]))).select(shells=("p",))


def test_bands_without_projections_are_lines_alone():
    found = LayerBands.from_result(along(path([(G, X)])))
    assert (found.weights, found.groups) == (None, ())
    assert "no projections" in found.notes[-1]
    bare = layered_bands()
    object.__setattr__(bare, "bands", None)
    with pytest.raises(ReaderError, match="run a bands step"):
        LayerBands.from_result(bare)


def test_bands_are_a_table_and_json():
    found = LayerBands.from_result(layered_bands(), by="plane")
    frame = found.to_frame()
    assert len(frame) == 10
    assert {"distance (1/Å)", "energy (eV)", "weight SrTiO3:1 TiO2"} <= set(frame.columns)
    row = frame[(frame.k == 2) & (frame.band == 1)].iloc[0]
    assert row["energy (eV)"] == pytest.approx(found.energies[0, 2, 0])
    data = json.loads(json.dumps(found.to_dict()))
    assert data["labels"][0] == [0.0, "Γ"]
    np.testing.assert_allclose(data["weights"], found.weights)


def test_projections_of_a_real_run_are_shared_out_whole(shared_data):
    run = result_from(shared_data / "vasp" / "si_h5" / "vasprun.xml.gz", projections=True)
    structure = run.structure
    for name, values in (("material", ["Si"] * 2), ("block", [0, 0]), ("layer", [1, 2]), ("plane", [0, 1])):
        structure.add_site_property(name, values)
    found = LayerBands.from_result(run, layering=find_layering(structure))
    np.testing.assert_allclose(found.weights.sum(axis=-1).sum(), run.bands.projections.sum(), rtol=1e-9)
    assert found.gap.value == pytest.approx(0.7873, abs=1e-4)
    assert found.weights.min() >= 0
    occupied = found.weights[:, :, :4].sum(axis=-1)
    assert 0.3 < occupied.min() < occupied.max() <= 1.0


def test_without_empty_bands_the_highest_filled_state_is_the_valence_edge():
    """The Fermi level of fixed occupations is that state itself, to the last digit."""
    energies = np.array([[[-2.0, -1.0], [-2.5, -1.5]]])
    held = Bands(energies, np.ones_like(energies), np.array([[0, 0, 0], [0.5, 0, 0]]), np.array([0.5, 0.5]))
    made = layered.make(layered.empty(spins=1), bands=held, electrons=4.0, fermi=-1.0)
    (row,) = LayerBands.from_result(made).summary().to_dict("records")
    assert (row["edge"], row["energy (eV)"], row["band"]) == ("valence", 0.0, 2)
