from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heterodft.errors import StructureError
from heterodft.structures import Block, build_material, build_superlattice, enumerate_defects
from heterodft.structures.local_distortions import defect_centres, distort_around, nearest_neighbours, rattle


def _host():
    materials = [build_material("SrTiO3"), build_material("LaAlO3")]
    return build_superlattice([Block(m, layers=2) for m in materials], supercell=(2, 2))


HOST = _host()
DEFECTS = {
    "V_O": enumerate_defects(HOST, "V_O")[0].structure,
    "V_Ti": enumerate_defects(HOST, "V_Ti")[0].structure,
    "Ti_Al": enumerate_defects(HOST, "Ti_Al")[0].structure,
    "Nb_Ti": enumerate_defects(HOST, "Nb_Ti")[0].structure,
    "Ti_Al+V_O": enumerate_defects(HOST, ["Ti_Al", "V_O"])[0].structure,
}
factors = st.floats(-0.4, 0.4).filter(lambda x: abs(x) > 1e-3)


@given(name=st.sampled_from(sorted(DEFECTS)), factor=factors)
@settings(max_examples=40, deadline=None)
def test_the_distances_of_the_neighbours_scale_and_nothing_else_moves(name, factor):
    structure = DEFECTS[name]
    centres = defect_centres(structure)
    neighbours = nearest_neighbours(structure, centres)
    changed = distort_around(structure, factor, closest=0.1)
    moved = {neighbour.site for neighbour in neighbours}
    for one in neighbours:
        before = np.array(centres[one.centre].position)
        apart = changed[one.site].coords - before
        shift = apart - (1 + factor) * np.array(one.vector)
        cells = changed.lattice.get_fractional_coords(shift)  # the atom may be listed in another cell than its image
        assert np.allclose(cells, np.round(cells), atol=1e-9)
    for index in set(range(len(structure))) - moved:
        assert np.array_equal(changed[index].frac_coords, structure[index].frac_coords)
    assert changed.formula == structure.formula
    assert [s.species_string for s in changed] == [s.species_string for s in structure]
    assert changed.site_properties == structure.site_properties
    assert changed.properties == structure.properties


@pytest.mark.parametrize(
    ("name", "expected"),
    [("V_O", {"Ti": 1, "Al": 1}), ("V_Ti", {"O": 6}), ("Ti_Al", {"O": 6}), ("Nb_Ti", {"O": 6})],
)
def test_the_neighbours_of_a_defect_are_those_of_its_site(name, expected):
    structure = DEFECTS[name]
    found = [structure[n.site].species_string for n in nearest_neighbours(structure, defect_centres(structure))]
    assert {element: found.count(element) for element in found} == expected


def test_members_of_a_complex_stay_and_each_has_its_own_neighbours():
    structure = DEFECTS["Ti_Al+V_O"]
    centres = defect_centres(structure)
    assert [centre.name for centre in centres] == ["Ti_Al", "V_O"]
    assert centres[1].site is None
    assert structure[centres[0].site].species_string == "Ti"
    neighbours = nearest_neighbours(structure, centres)
    assert centres[0].site not in [n.site for n in neighbours]
    assert {n.centre for n in neighbours} == {0, 1}
    assert len({n.site for n in neighbours}) == len(neighbours)


def test_a_defect_at_the_border_of_the_cell_finds_its_neighbours_across_it():
    structure = DEFECTS["V_Ti"].copy()
    moved = DEFECTS["V_Ti"].copy()
    shift = -np.array(moved.lattice.get_fractional_coords(defect_centres(moved)[0].position))
    moved.translate_sites(list(range(len(moved))), shift, to_unit_cell=True)
    moved.properties = {"defect": {"kind": "V_Ti", "position": [0.0, 0.0, 0.0]}}
    one, other = (nearest_neighbours(s, defect_centres(s)) for s in (structure, moved))
    assert [n.site for n in one] == [n.site for n in other]
    assert np.allclose([n.vector for n in one], [n.vector for n in other], atol=1e-6)


def test_around_a_site_of_a_pristine_cell():
    ti = next(i for i, site in enumerate(HOST) if site.species_string == "Ti")
    changed = distort_around(HOST, 0.1, site=ti)
    before, after = (sorted(s.get_distance(ti, i) for i in range(len(s)) if i != ti)[:6] for s in (HOST, changed))
    assert np.allclose(after, np.array(before) * 1.1, atol=0.01)


def test_so_many_neighbours_as_are_asked_for():
    changed = distort_around(DEFECTS["V_Ti"], -0.2, neighbours=2)
    moves = np.linalg.norm(changed.cart_coords - DEFECTS["V_Ti"].cart_coords, axis=1)
    assert (moves > 1e-6).sum() == 2


@given(seed=st.integers(0, 10**6), size=st.floats(0.01, 0.2))
@settings(max_examples=20, deadline=None)
def test_a_rattle_is_the_same_by_its_seed_and_keeps_atoms_apart(seed, size):
    structure = DEFECTS["V_O"]
    first, second = rattle(structure, size, seed=seed), rattle(structure, size, seed=seed)
    assert np.array_equal(first.frac_coords, second.frac_coords)
    assert not np.array_equal(first.frac_coords, rattle(structure, size, seed=seed + 1).frac_coords)
    shortest = _shortest(structure)
    assert _shortest(first) >= 0.8 * shortest - 1e-9
    assert first.site_properties == structure.site_properties
    assert first.formula == structure.formula


def test_a_rattle_has_the_size_asked_for():
    moves = rattle(HOST, 0.05, seed=3).cart_coords - HOST.cart_coords
    assert moves.std() == pytest.approx(0.05, rel=0.15)


def _shortest(structure):
    distances = structure.distance_matrix + np.diag(np.full(len(structure), np.inf))
    return distances.min()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: distort_around(HOST, 0.1), "has no defect to distort around"),
        (lambda: distort_around(DEFECTS["V_O"], -0.95), "a bond distortion of -0.95; give -0.9 to 1"),
        (lambda: distort_around(DEFECTS["V_O"], 0.9), r"would bring \w+ \d+ and \w+ \d+ to 0\.\d+ Å; give a smaller"),
        (lambda: distort_around(HOST, 0.1, site=1000), "site 1000: .* has the sites 0 to"),
        (lambda: rattle(HOST, -0.1, seed=1), "a rattle of -0.1 Å; give 0 to"),
        (lambda: rattle(HOST, 1.0, seed=1), "a rattle of 1 Å; give 0 to"),
    ],
)
def test_what_cannot_be_distorted_says_why(call, message):
    with pytest.raises(StructureError, match=message):
        call()


def test_a_cell_one_unit_cell_wide_has_no_way_to_go():
    host = build_superlattice([Block(build_material("SrTiO3"), layers=1), Block(build_material("LaAlO3"), layers=1)])
    in_plane = [d for d in enumerate_defects(host, "V_O") if d.plane == "TiO2"]
    with pytest.raises(StructureError, match=r"no neighbour of V_O can be moved .* make the supercell larger"):
        distort_around(in_plane[0].structure, 0.1)


@pytest.mark.parametrize("name", ["V_O", "V_Ti", "Ti_Al", "Nb_Ti"])
@pytest.mark.parametrize("factor", [-0.4, -0.1, 0.2, 0.4])
def test_it_is_the_distortion_of_shakenbreak(name, factor):
    distortions = pytest.importorskip("shakenbreak.distortions")
    structure = DEFECTS[name]
    (centre,) = defect_centres(structure)
    ours = distort_around(structure, factor, closest=0.1)
    count = len(nearest_neighbours(structure, [centre]))
    plain = structure.copy()
    plain.properties = {}
    for key in list(plain.site_properties):
        plain.remove_site_property(key)
    place = {"frac_coords": structure.lattice.get_fractional_coords(centre.position)}
    where = place if centre.site is None else {"site_index": centre.site}
    theirs = distortions.distort(plain, count, 1 + factor, **where)["distorted_structure"]
    apart = ours.frac_coords - theirs.frac_coords
    assert np.abs(apart - np.round(apart)).max() < 1e-6
