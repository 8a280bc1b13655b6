"""States told apart by the orbitals that are occupied."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_results import made_result
from pymatgen.core import Lattice, Structure
from scipy.spatial.transform import Rotation

from heterodft.analysis.energies.occupation_states import (
    SAME_U_TOLERANCE,
    compare_occupations,
    harmonic_rotation,
)
from heterodft.analysis.energies.states import find_states
from heterodft.analysis.readers import read_folder
from heterodft.analysis.result import ORBITALS, HubbardOccupations

D = [name for name in ORBITALS if name[0] == "d"]
CUBIC = Structure(Lattice.cubic(4.0), ["V", "O", "O", "O"], [[0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]])
TETRAGONAL = Structure(Lattice.tetragonal(4.0, 4.3), CUBIC.species, CUBIC.frac_coords)
DOUBLE = TETRAGONAL * (2, 1, 1)
VANADIUM = [site for site, one in enumerate(DOUBLE) if one.specie.symbol == "V"]


def one_electron(orbital, *, site=0, others=0.1, down=0.05):
    """A d shell with one electron of spin up in one orbital."""
    up = np.full(5, others)
    up[D.index(orbital)] = 0.95
    return HubbardOccupations(site, "3d", np.stack([np.diag(up), np.eye(5) * down]))


def run(*shells, structure=CUBIC, energy=-1.0, moments=None, **values):
    sizes = np.zeros(len(structure))
    for one in shells:
        sizes[one.site] = one.moment
    return made_result(
        structure, moments=sizes if moments is None else moments, energy=energy, occupations=tuple(shells), **values
    )


def names(*results):
    return [state.name for state in find_states(results)]


def test_same_moments_and_other_orbitals_are_two_states():
    assert names(
        run(one_electron("dxy"), structure=TETRAGONAL), run(one_electron("dxz"), structure=TETRAGONAL, energy=-0.9)
    ) == ["FM", "FM (2)"]


def test_orbitals_that_a_symmetry_of_the_cell_exchanges_are_one_state():
    results = [run(one_electron(name), energy=-1.0 + 0.1 * i) for i, name in enumerate(("dxy", "dxz", "dyz"))]
    assert names(*results) == ["FM"] * 3
    assert names(run(one_electron("dxz"), structure=TETRAGONAL), run(one_electron("dyz"), structure=TETRAGONAL)) == [
        "FM", "FM",
    ]  # fmt: skip


def test_an_orbital_order_is_another_state_than_its_ferro_order_but_the_same_as_its_image():
    first, second = VANADIUM
    same, other = [
        [
            run(one_electron(a, site=first), one_electron(b, site=second), structure=DOUBLE, energy=energy)
            for a, b, energy in pairs
        ]
        for pairs in (
            [("dxz", "dyz", -1.0), ("dyz", "dxz", -1.2)],
            [("dxz", "dyz", -1.0), ("dxz", "dxz", -1.2)],
        )
    ]
    assert names(*same) == ["FM", "FM"]
    assert names(*other) == ["FM (2)", "FM"]


def test_occupations_of_both_spins_are_compared_as_the_moments_are():
    up = one_electron("dxy")
    down = replace(up, matrices=up.matrices[::-1])
    assert names(run(up, structure=TETRAGONAL), run(down, structure=TETRAGONAL)) == ["FM", "FM"]


def test_other_eigenvalues_are_another_state_whatever_the_energy():
    low = HubbardOccupations(0, "3d", np.stack([np.diag([0.95, 0.05, 0.05, 0.05, 0.05]), np.zeros((5, 5))]))
    spread = HubbardOccupations(0, "3d", np.stack([np.eye(5) * 0.23, np.zeros((5, 5))]))
    assert low.moment == pytest.approx(spread.moment)
    assert names(run(low), run(spread)) == ["FM", "FM (2)"]


@pytest.mark.parametrize(("apart", "second"), [(0.0005, "FM"), (0.01, "FM (2)")])
def test_equal_energies_tell_that_turned_orbitals_are_one_state(apart, second):
    """Where a cell relaxed around its orbitals it has no symmetry left that exchanges them."""
    crooked = Structure(Lattice.from_parameters(3.9, 4.0, 4.1, 90, 90, 90), CUBIC.species, CUBIC.frac_coords + 0.0)
    method = {"xc": "PBE", "cutoff": 400.0, "kpoints": (2, 2, 2), "smearing": "fixed"}
    results = [
        run(one_electron("dxy"), structure=crooked, energy=-1.0, method=method),
        run(one_electron("dxz"), structure=crooked, energy=-1.0 + apart, method=method),
    ]
    assert names(*results) == ["FM", second]


def test_a_run_that_tells_no_occupations_goes_by_its_moments():
    silent = run(one_electron("dxz"), structure=TETRAGONAL)
    silent = replace(silent, occupations=(), energy=-0.8)
    assert names(run(one_electron("dxy"), structure=TETRAGONAL), silent) == ["FM", "FM"]


def test_atoms_in_another_order_are_compared_by_their_places():
    order = [2, 3, 1, 0]
    turned = Structure.from_sites([TETRAGONAL[i] for i in order])
    same, other = (run(one_electron(name, site=3), structure=turned, energy=-0.9) for name in ("dxy", "dxz"))
    assert names(run(one_electron("dxy"), structure=TETRAGONAL), same) == ["FM", "FM"]
    assert names(run(one_electron("dxy"), structure=TETRAGONAL), other) == ["FM", "FM (2)"]


def test_small_differences_are_one_state_and_at_two_u_larger_ones():
    shell = one_electron("dxy")
    for change, u, second in ((0.05, "4 eV", "FM"), (0.2, "4 eV", "FM (2)"), (0.2, "5 eV", "FM")):
        levels = shell.matrices.copy()
        levels[0, 4, 4] -= change
        levels[0, 0, 0] += change
        result = run(shell, structure=TETRAGONAL, method={"hubbard": {"V": "4 eV"}})
        moved = run(replace(shell, matrices=levels), structure=TETRAGONAL, energy=-0.9, method={"hubbard": {"V": u}})
        assert names(result, moved) == ["FM", second], (change, u)


def test_noncollinear_runs_are_compared_by_eigenvalues():
    def spinor(levels):
        blocks = np.zeros((4, 5, 5), dtype=complex)
        blocks[0], blocks[3] = np.diag(levels), np.eye(5) * 0.1
        return {0: HubbardOccupations(0, "3d", blocks)}

    turned = spinor([0.9, 0.1, 0.1, 0.1, 0.1])
    swapped = {0: replace(turned[0], matrices=turned[0].matrices[::-1])}
    assert compare_occupations(turned, swapped, CUBIC, code="espresso") == "same"
    assert compare_occupations(turned, spinor([0.5, 0.5, 0.1, 0.1, 0.1]), CUBIC, code="espresso") == "other"
    assert compare_occupations(turned, {}, CUBIC, code="espresso") == "unknown"


# Turning orbitals


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 3), st.integers(0, 1000), st.booleans(), st.sampled_from(["espresso", "vasp"]))
def test_rotations_of_orbitals_are_orthogonal_and_follow_one_another(degree, seed, mirrored, code):
    first, second = Rotation.random(2, random_state=seed).as_matrix()
    first = -first if mirrored else first
    one, two = (harmonic_rotation(each, degree, code) for each in (first, second))
    np.testing.assert_allclose(one @ one.T, np.eye(2 * degree + 1), atol=1e-10)
    np.testing.assert_allclose(harmonic_rotation(first @ second, degree, code), one @ two, atol=1e-9)


def test_p_orbitals_turn_as_vectors():
    rotation = Rotation.random(random_state=5).as_matrix()
    order = [2, 0, 1]  # z, x, y
    np.testing.assert_allclose(harmonic_rotation(rotation, 1), rotation[np.ix_(order, order)], atol=1e-10)


@pytest.mark.parametrize(
    ("folder", "code", "wrong"),
    [("vasp/nio_pbeu_v641", "vasp", "espresso"), ("qe/pw_nio_afm_u_v65", "espresso", "vasp")],
)
def test_matrices_of_real_runs_have_the_symmetry_of_their_crystal(shared_data, folder, code, wrong):
    """With the other code's signs of the orbitals they have not."""
    from heterodft.analysis.energies.occupation_states import _carried_over, _operations

    found = read_folder(shared_data / folder)
    matrices = {one.site: one.matrices for one in found.occupations}

    def worst(signs):
        apart = []
        for rotation, images in _operations(found.structure):
            carried = _carried_over(matrices, rotation, images, signs)
            apart.append(
                min(max(np.abs(carried[s][::flip] - matrices[s]).max() for s in matrices) for flip in (1, -1))
            )
        assert len(apart) > 12
        return max(apart)

    assert worst(code) < 0.001
    assert worst(wrong) > 5 * worst(code)
    assert worst(code) < SAME_U_TOLERANCE / 50
