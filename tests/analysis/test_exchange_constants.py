from __future__ import annotations

import json
from itertools import product

import numpy as np
import pytest
from finished import make_result
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from heterodft.analysis.energies.exchange_bonds import find_bonds, group_bonds
from heterodft.analysis.energies.exchange_constants import ExchangeConstants
from heterodft.analysis.energies.exchange_fit import BOLTZMANN, in_words
from heterodft.errors import ReaderError
from heterodft.structures import Block, build_material, build_superlattice

SIMPLE_CUBIC = Structure(Lattice.cubic(3.0), ["Fe"], [[0, 0, 0]])
NIO = Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.18), ["Ni", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
ROCKSALT = NIO * (2, 2, 2)


def metal_sites(structure):
    return [i for i, site in enumerate(structure) if site.specie.symbol != "O"]


def brute_energy(structure, signs, constants, offset=-10.0):
    """Return E0 - Σ J e_i·e_j by going through every pair within reach twice; constants by length in eV."""
    places = structure.frac_coords[metal_sites(structure)]
    images = np.array(list(product((-2, -1, 0, 1, 2), repeat=3)))
    apart = places[None, :, None] + images - places[:, None, None]
    lengths = np.linalg.norm(apart @ structure.lattice.matrix, axis=-1)
    pairs = np.outer(signs, signs)[:, :, None]
    bonds = {length: 0.5 * (pairs * (np.abs(lengths - length) < 0.05)).sum() for length in constants}
    return offset * len(places) - sum(value * bonds[length] for length, value in constants.items())


def configuration(structure, signs, energy, *, size=1.7, **options):
    moments = np.zeros(len(structure))
    moments[metal_sites(structure)] = size * np.asarray(signs, dtype=float)
    options.setdefault("asked", moments)
    return make_result(structure, energy, moments=moments, **options)


def patterns(structure):
    """Return FM, AFM-I (planes along z) and AFM-II (planes along [111]) of the rocksalt cell of 2 × 2 × 2."""
    places = structure.cart_coords[metal_sites(structure)] / 2.09
    return {
        "FM": np.ones(len(places)),
        "AFM-I": np.where(np.round(places[:, 2]).astype(int) % 2, -1.0, 1.0),
        "AFM-II": np.where(np.round(places.sum(axis=1) / 2).astype(int) % 2, -1.0, 1.0),
    }


def fitted(structure, signs, constants, **options):
    results = [configuration(structure, s, brute_energy(structure, s, constants)) for s in signs]
    return ExchangeConstants.from_results(results, names=[f"c{i}" for i in range(len(signs))], **options)


def test_nickel_oxide_gives_the_textbook_constants():
    """E(AFM-I) - E(FM) = 8 J1 and E(AFM-II) - E(FM) = 6 J1 + 6 J2 an ion: each pair once, unit moments."""
    orders = patterns(ROCKSALT)
    number = len(metal_sites(ROCKSALT))
    per_ion = {"FM": -10.0, "AFM-I": -9.99, "AFM-II": -10.1}
    results = [configuration(ROCKSALT, signs, number * per_ion[order]) for order, signs in orders.items()]
    found = ExchangeConstants.from_results(results, names=list(orders))
    j1, j2 = (one.value for one in found.constants)
    assert j1 == pytest.approx(1000 * (per_ion["AFM-I"] - per_ion["FM"]) / 8)
    assert j2 == pytest.approx(1000 * (per_ion["AFM-II"] - per_ion["FM"]) / 6 - j1)
    assert [(one.kind, round(one.length, 3), one.neighbours) for one in found.constants] == [
        ("Ni–Ni", 2.956, 12.0), ("Ni–Ni", 4.18, 6.0),
    ]  # fmt: skip
    assert found.constants[0].error is None  # three unknowns, three energies
    assert "no errors" in " ".join(found.notes)
    signs = np.array(found.ordering) if found.ordering else None
    assert signs is None or abs(signs.sum()) == 0  # four equivalent AFM-II domains order at one temperature
    assert found.ordering_temperature == pytest.approx(-6 * j2 / 1000 / 3 / BOLTZMANN)


def test_the_moments_may_be_divided_out():
    orders = patterns(ROCKSALT)
    results = [
        configuration(ROCKSALT, s, brute_energy(ROCKSALT, s, {2.956: 0.002, 4.18: -0.02})) for s in orders.values()
    ]
    own = ExchangeConstants.from_results(results).constants[1]
    assert own.value == pytest.approx(-20.0)
    assert own.per_spin_squared == pytest.approx(-20.0 / 0.85**2)  # S is half of 1.7 μB
    asked = ExchangeConstants.from_results(results, spins={"Ni": 1.0}).constants[1]
    assert asked.per_spin_squared == pytest.approx(-20.0)


def test_a_simple_cubic_ferromagnet_orders_at_two_j():
    """k_B T = z J / 3 with z = 6, each pair once (twice that with pairs counted twice)."""
    cell = SIMPLE_CUBIC * (2, 2, 2)
    rng = np.random.default_rng(1)
    signs = [np.ones(8), *rng.choice([-1.0, 1.0], (6, 8))]
    found = fitted(cell, signs, {3.0: 0.010}, reach=3.1)
    assert found.constants[0].value == pytest.approx(10.0)
    assert found.ordering_temperature == pytest.approx(2 * 0.010 / BOLTZMANN)
    assert found.ordering == (1,) * 8
    assert any("overestimates" in note for note in found.notes)


def test_an_antiferromagnet_orders_as_one_at_the_same_temperature():
    cell = SIMPLE_CUBIC * (2, 2, 2)
    checkerboard = (-1.0) ** np.round(cell.frac_coords * 2).sum(axis=1)
    rng = np.random.default_rng(2)
    found = fitted(cell, [np.ones(8), checkerboard, *rng.choice([-1.0, 1.0], (4, 8))], {3.0: -0.010}, reach=3.1)
    assert found.ordering_temperature == pytest.approx(2 * 0.010 / BOLTZMANN)
    assert np.array_equal(np.array(found.ordering) * found.ordering[0], checkerboard * checkerboard[0])


@settings(max_examples=15, deadline=None)
@given(st.floats(-0.05, 0.05), st.floats(-0.05, 0.05), st.integers(0, 10**6), st.floats(-100, 100))
def test_known_constants_are_recovered(j1, j2, seed, offset):
    rng = np.random.default_rng(seed)
    cell = SIMPLE_CUBIC * (2, 2, 2)
    cell.perturb(0.02, seed=seed)
    signs = rng.choice([-1.0, 1.0], (9, 8))
    bonds = find_bonds(cell, range(8), reach=4.4)
    shells = group_bonds([bonds])
    assert len(shells) == 2
    energies = [
        offset - sum(j * bonds.count(s, shell.members[0]) for j, shell in zip((j1, j2), shells, strict=True))
        for s in signs
    ]
    results = [configuration(cell, s, e) for s, e in zip(signs, energies, strict=True)]
    found = ExchangeConstants.from_results(results, reach=4.4)
    assume(not found.undetermined)
    assert [one.value for one in found.constants] == pytest.approx([1000 * j1, 1000 * j2], abs=1e-6)
    assert found.residual == pytest.approx(0.0, abs=1e-6)
    assert found.left_out == pytest.approx(0.0, abs=1e-6)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(2, 1, 1), (1, 1, 2)]))
def test_a_doubled_cell_gives_the_same_constants(seed, repeats):
    rng = np.random.default_rng(seed)
    cell = SIMPLE_CUBIC * (2, 2, 2)
    signs = rng.choice([-1.0, 1.0], (6, 8))
    small = fitted(cell, signs, {3.0: 0.01, 4.243: -0.004}, reach=4.4)
    doubled = cell * repeats
    of = [
        int(np.argmin(cell.lattice.get_all_distances(cell.frac_coords, cell.lattice.get_fractional_coords(x))))
        for x in doubled.cart_coords
    ]
    results = [configuration(doubled, s[of], 2 * brute_energy(cell, s, {3.0: 0.01, 4.243: -0.004})) for s in signs]
    large = ExchangeConstants.from_results(results, reach=4.4)
    assert [one.value for one in large.constants] == pytest.approx([one.value for one in small.constants])
    assert (
        large.ordering_temperature is None
        or small.ordering_temperature is None
        or (large.ordering_temperature >= small.ordering_temperature - 1e-6)
    )


def test_cells_of_two_sizes_fit_together():
    small, large = SIMPLE_CUBIC * (2, 2, 2), SIMPLE_CUBIC * (2, 2, 4)
    known = {3.0: 0.01, 4.243: -0.004}
    rng = np.random.default_rng(5)
    results = [
        configuration(small, s, brute_energy(small, s, known), kpoints=[4, 4, 4])
        for s in rng.choice([-1.0, 1.0], (3, 8))
    ]
    results += [
        configuration(large, s, brute_energy(large, s, known), kpoints=[4, 4, 2])
        for s in rng.choice([-1.0, 1.0], (3, 16))
    ]
    found = ExchangeConstants.from_results(results, reach=4.4)
    assert [one.value for one in found.constants] == pytest.approx([10.0, -4.0])


def test_what_the_configurations_do_not_determine_is_named():
    """FM and AFM-II alone: J1 + J2 is determined, neither by itself."""
    orders = patterns(ROCKSALT)
    known = {2.956: 0.002, 4.18: -0.02}
    results = [configuration(ROCKSALT, orders[o], brute_energy(ROCKSALT, orders[o], known)) for o in ("FM", "AFM-II")]
    found = ExchangeConstants.from_results(results)
    assert [one.value for one in found.constants] == [None, None]
    assert found.undetermined == ("of J1, J2 only J1 + J2 = -18 meV is determined",)
    assert found.ordering_temperature is None
    assert found.to_frame()["no number because"].tolist() == ["the configurations do not determine it"] * 2


def test_a_constant_in_no_difference_is_told():
    """In the cubic cell of four ions the second neighbours are an ion's own images: always parallel."""
    places = [i for i, site in enumerate(NIO) if site.specie.symbol == "Ni"]
    signs = [np.ones(len(places)), np.array([1.0, 1.0, -1.0, -1.0])]
    found = fitted(NIO, signs, {2.956: 0.002, 4.18: -0.02})
    assert found.constants[0].value == pytest.approx(2.0)
    assert found.constants[1].value is None
    assert "J2 (Ni–Ni 4.18 Å) is in no difference of energies" in found.undetermined[0]


def test_noise_gives_errors_that_hold_the_truth_and_a_residual():
    cell = SIMPLE_CUBIC * (2, 2, 2)
    rng = np.random.default_rng(3)
    signs = rng.choice([-1.0, 1.0], (25, 8))
    noise = rng.normal(0, 0.008, 25)  # 1 meV an ion
    results = [
        configuration(cell, s, brute_energy(cell, s, {3.0: 0.01}) + n) for s, n in zip(signs, noise, strict=True)
    ]
    found = ExchangeConstants.from_results(results, reach=3.1)
    one = found.constants[0]
    assert 0.5 < found.residual < 1.5
    assert 0 < one.error < 1.0
    assert abs(one.value - 10.0) < 4 * one.error
    assert found.left_out >= found.residual
    assert max(abs(c.residual) for c in found.configurations if not c.reason) <= found.left_out


def test_the_standard_errors_are_those_of_textbook_regression():
    """Against scipy, of a single constant: a straight line."""
    from scipy.stats import linregress

    cell = SIMPLE_CUBIC * (2, 2, 2)
    rng = np.random.default_rng(4)
    signs = rng.choice([-1.0, 1.0], (10, 8))
    energies = [brute_energy(cell, s, {3.0: 0.01}) + n for s, n in zip(signs, rng.normal(0, 0.008, 10), strict=True)]
    found = ExchangeConstants.from_results(
        [configuration(cell, s, e) for s, e in zip(signs, energies, strict=True)], reach=3.1
    )
    sums = [(brute_energy(cell, s, {3.0: 1.0}, 0.0)) / 8 for s in signs]
    line = linregress(sums, np.array(energies) / 8)
    assert found.constants[0].value == pytest.approx(1000 * line.slope)
    assert found.constants[0].error == pytest.approx(1000 * line.stderr)


def test_configurations_that_lost_their_state_or_differ_in_settings_are_left_out_and_say_why():
    cell = SIMPLE_CUBIC * (2, 2, 2)
    rng = np.random.default_rng(6)
    signs = rng.choice([-1.0, 1.0], (6, 8))
    energies = [brute_energy(cell, s, {3.0: 0.01}) for s in signs]
    odd = [{}, {}, {}, {"state": "flipped"}, {"cutoff": 300.0}, {"size": 0.0}]
    results = [configuration(cell, s, e, **o) for s, e, o in zip(signs, energies, odd, strict=True)]
    found = ExchangeConstants.from_results(results, names=list("abcdef"), reach=3.1)
    reasons = [one.reason for one in found.configurations]
    assert reasons == [
        "",
        "",
        "",
        "not in the state asked for: flipped",
        "cutoff 300 eV against 520 eV",
        "a moment vanished",
    ]
    assert found.constants[0].value == pytest.approx(10.0)
    taken = ExchangeConstants.from_results(results, names=list("abcdef"), reach=3.1, reached=True)
    assert [one.reason == "" for one in taken.configurations] == [True, True, True, True, False, False]


def test_one_configuration_determines_nothing_and_says_so():
    found = fitted(SIMPLE_CUBIC * (2, 2, 2), [np.ones(8)], {3.0: 0.01}, reach=3.1)
    assert found.constants[0].value is None
    assert "is in no difference of energies" in found.undetermined[0]
    assert found.ordering_temperature is None


def test_another_crystal_is_left_out():
    cell = SIMPLE_CUBIC * (2, 2, 2)
    results = [configuration(cell, s, brute_energy(cell, s, {3.0: 0.01})) for s in (np.ones(8), [1, -1] * 4)]
    results.append(configuration(NIO, np.ones(4), -50.0))
    found = ExchangeConstants.from_results(results, reach=3.1)
    assert found.configurations[2].reason == "atoms NiO against Fe"


def test_moments_of_another_size_are_noted():
    cell = SIMPLE_CUBIC * (2, 2, 2)
    rng = np.random.default_rng(7)
    results = [
        configuration(cell, s, brute_energy(cell, s, {3.0: 0.01}), size=size)
        for s, size in zip(rng.choice([-1.0, 1.0], (4, 8)), (1.7, 1.7, 1.65, 1.1), strict=True)
    ]
    found = ExchangeConstants.from_results(results, reach=3.1)
    assert [bool(one.notes) for one in found.configurations] == [False, False, False, True]
    assert "not of fixed size" in found.configurations[3].notes[0]


def test_without_a_usable_configuration_there_is_one_clear_error():
    with pytest.raises(ReaderError, match="did not converge"):
        ExchangeConstants.from_results([configuration(SIMPLE_CUBIC * (2, 2, 2), np.ones(8), -1.0, converged=False)])


def test_bonds_may_be_told_apart_by_layer():
    stack = build_superlattice(
        [Block(build_material("SrTiO3"), 2), Block(build_material("LaAlO3"), 1)], in_plane="SrTiO3"
    )
    cell = stack * (2, 2, 1)
    titanium = [i for i, site in enumerate(cell) if site.specie.symbol == "Ti"]
    kinds = {shell.kind for shell in group_bonds([find_bonds(cell, titanium, reach=4.5, by_layer=True)])}
    assert kinds == {"SrTiO3:1–SrTiO3:1", "SrTiO3:1–SrTiO3:2", "SrTiO3:2–SrTiO3:2"}
    with pytest.raises(ReaderError, match="no layers"):
        find_bonds(SIMPLE_CUBIC, [0], reach=3.1, by_layer=True)


@pytest.mark.parametrize(("reach", "neighbours"), [(3.1, [6]), (4.4, [6, 12]), (5.3, [6, 12, 8])])
def test_every_neighbour_is_counted_in_a_cell_of_one_ion(reach, neighbours):
    bonds = find_bonds(SIMPLE_CUBIC, [0], reach=reach)
    assert [2 * shell.members[0].sum() for shell in group_bonds([bonds])] == neighbours


def test_the_data_is_plain_and_states_the_convention():
    cell = SIMPLE_CUBIC * (2, 2, 2)
    found = fitted(cell, [np.ones(8), *np.random.default_rng(1).choice([-1.0, 1.0], (3, 8))], {3.0: 0.01}, reach=3.1)
    data = json.loads(json.dumps(found.to_dict()))
    assert "each pair once" in data["convention"]
    assert found.configurations_frame()["fit minus energy (meV per magnetic ion)"].notna().all()


def test_the_figure_shows_what_is_determined():
    orders = patterns(ROCKSALT)
    results = [
        configuration(ROCKSALT, s, brute_energy(ROCKSALT, s, {2.956: 0.002, 4.18: -0.02})) for s in orders.values()
    ]
    (axis,) = ExchangeConstants.from_results(results).plot().axes
    assert list(axis.containers[0][0].get_ydata()) == pytest.approx([2.0, -20.0])


def test_sums_are_written_as_people_write_them():
    assert in_words([2.0, 0.0, -1.0], ["J1", "J2", "J3"]) == "2 J1 - J3"


def test_a_state_reached_twice_counts_once():
    """The same energy twice would pretend to be a check: two unknowns and two states leave no errors."""
    cell = SIMPLE_CUBIC * (2, 2, 2)
    up = np.ones(8)
    other = np.array([1.0, 1, 1, 1, -1, -1, -1, -1])
    signs = [up, other, -other, up]
    energies = [brute_energy(cell, s, {3.0: 0.01}) + e for s, e in zip(signs, (0, 0, 1e-4, 1e-4), strict=True)]
    results = [configuration(cell, s, e) for s, e in zip(signs, energies, strict=True)]
    found = ExchangeConstants.from_results(results, names=list("abcd"), reach=3.1)
    assert [one.reason for one in found.configurations] == ["", "", "the same state as b", "the same state as a"]
    assert found.constants[0].value == pytest.approx(10.0)
    assert found.constants[0].error is None
