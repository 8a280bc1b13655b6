"""A density of states by tetrahedra holds as many states as its bands, whatever its grid has seen of them."""

from __future__ import annotations

import numpy as np
import pytest
from layered_results import box, empty, make, sites_of

from heterodft.analysis.counted_states import count_states
from heterodft.analysis.integrals import states_below
from heterodft.analysis.pdos import LayerDos
from heterodft.analysis.result import Bands

TETRAHEDRA = {"smearing": "tetrahedra"}
POINTS, WEIGHTS = np.array([[0, 0, 0], [0.5, 0, 0]]), np.array([0.5, 0.5])


def of_bands(energies, occupations):
    """Bands at two k-points of both spins, both alike."""
    energies, occupations = (np.array([np.array(x, dtype=float).T] * 2) for x in (energies, occupations))
    return Bands(energies, occupations, POINTS, WEIGHTS)


def held(dos, at=0.0):
    return sum(float(states_below(dos.energies, dos.total[s], at, "points")) for s in range(2))


def seen(parts):
    """A density of states of boxes (site, low, high, states), both spins alike."""
    values = empty()
    for site, low, high, states in parts:
        values[site, 0] += box(low, high, states)
    return values


def test_each_set_of_bands_holds_its_states_and_keeps_its_shape():
    first, second = sites_of("SrTiO3:1")[0], sites_of("LaAlO3:1")[0]
    values = seen([(first, -2, -1, 0.6), (second, -2, -1, 0.3), (first, 2, 3, 1.3)])
    bands = of_bands([[-2, -1], [2, 3]], [[1, 1], [0, 0]])
    result = make(values, bands=bands, electrons=2.0, method=TETRAHEDRA)
    found = count_states(result.dos, result)
    assert held(found.dos) == pytest.approx(2.0, rel=1e-6)
    assert held(found.dos, 9.0) == pytest.approx(4.0, rel=1e-6)
    assert found.factor == pytest.approx(1.3, rel=1e-6)
    by_layer = LayerDos.from_result(result).electrons(-6).sum(axis=(1, 2))
    labels = [group.label for group in LayerDos.from_result(result).groups]
    assert by_layer[labels.index("SrTiO3:1")] == pytest.approx(2 * by_layer[labels.index("LaAlO3:1")])


def test_below_the_fermi_level_of_a_metal_are_its_occupations():
    site = sites_of("SrTiO3:1")[0]
    bands = of_bands([[-1, 1], [-1, 3]], [[1, 0.5], [1, 0]])
    result = make(seen([(site, -1, 3, 2.6)]), bands=bands, electrons=2.5, method=TETRAHEDRA)
    found = count_states(result.dos, result)
    assert held(found.dos) == pytest.approx(2.5, rel=1e-3)
    assert held(found.dos, 9.0) == pytest.approx(4.0, rel=5e-3)  # half a step of the grid at the Fermi level


def test_what_the_grid_has_not_seen_is_left_out_and_told():
    site = sites_of("SrTiO3:1")[0]
    bands = of_bands([[-8.001, -8], [-2, -1]], [[1, 1], [1, 1]])
    result = make(seen([(site, -2, -1, 1.02)]), bands=bands, electrons=4.0, method=TETRAHEDRA)
    found = count_states(result.dos, result)
    assert (found.missing, found.highest) == (2.0, -8.0)
    assert held(found.dos) == pytest.approx(2.0, rel=1e-6)
    notes = LayerDos.from_result(result).notes
    assert any(note.startswith("2 electrons of bands narrower than a step") for note in notes)
    assert not any("too coarse" in note for note in notes)


@pytest.mark.parametrize("method", [{}, {"smearing": "gaussian"}])
def test_without_tetrahedra_nothing_is_changed(method):
    values = seen([(0, -5, -4, 0.6)])
    result = make(values, bands=of_bands([[-5, -4]], [[1, 1]]), electrons=2.0, method=method)
    assert count_states(result.dos, result).dos is result.dos


def test_a_large_change_near_the_fermi_level_is_told():
    for at, told in ((-2, True), (-5, False)):
        values = seen([(0, at, at + 1, 0.7)])
        bands = of_bands([[at, at + 1], [4, 4]], [[1, 1], [0, 0]])
        notes = LayerDos.from_result(make(values, bands=bands, electrons=2.0, method=TETRAHEDRA)).notes
        assert told == any("scaled by up to 1.43" in note and "too coarse" in note for note in notes)
