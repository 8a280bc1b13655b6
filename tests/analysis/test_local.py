from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_results import made_result
from pymatgen.core import Structure

from heterodft.analysis.defect_place import compare_with_pristine
from heterodft.analysis.local import DefectNeighbours
from heterodft.errors import ReaderError
from heterodft.structures import Block, build_material, build_superlattice, enumerate_defects

LAO, STO = build_material("LaAlO3"), build_material("SrTiO3")
HOST = build_superlattice([Block(LAO, 2)], supercell=(2, 2))
A = 3.79


def defect(kind, host=HOST):
    return enumerate_defects(host, kind, where="all")[0].structure


def bare(structure):
    return Structure(structure.lattice, structure.species, structure.frac_coords)


def place(structure):
    return structure.properties["defect"]["position"]


def moments_on(structure, sites, value):
    return [value if i in sites else 0.0 for i in range(len(structure))]


def test_the_six_oxygen_atoms_next_to_an_aluminium_vacancy_are_its_nearest_shell():
    structure = defect("V_Al")
    found = DefectNeighbours.from_result(made_result(structure))
    nearest = found.shells[0]
    assert (nearest.element, len(nearest.sites), len(nearest.own_sites)) == ("O", 6, 6)
    assert nearest.distances == pytest.approx([A / 2] * 6)
    assert nearest.label == "6 O at 1.89 Å"
    assert [shell.element for shell in found.shells] == ["O", "La", "Al"]
    assert (found.place.kind, found.place.site, found.place.source) == ("V_Al", None, "builder")


@given(st.lists(st.floats(-0.2, 0.2), min_size=6, max_size=6))
@settings(max_examples=20, deadline=None)
def test_a_distorted_shell_stays_one_shell(moves):
    structure = defect("V_Al")
    nearest = DefectNeighbours.from_result(made_result(structure)).shells[0].sites
    for site, move in zip(nearest, moves, strict=True):
        way = structure[site].coords - place(structure)
        way -= structure.lattice.get_cartesian_coords(np.round(structure.lattice.get_fractional_coords(way)))
        structure.translate_sites([site], move * way / np.linalg.norm(way), frac_coords=False, to_unit_cell=True)
    found = DefectNeighbours.from_result(made_result(structure)).shells[0]
    assert set(found.sites) == set(nearest)


def test_moments_of_the_shell_are_summed_and_compared_with_the_cell():
    structure = defect("V_Al")
    six = DefectNeighbours.from_result(made_result(structure)).shells[0].sites
    result = made_result(structure, moments=moments_on(structure, six, 0.1), total_moment=0.87)
    found = DefectNeighbours.from_result(result)
    assert found.moments[0, 0] == pytest.approx(0.6)
    assert found.share[0, 0] == pytest.approx(0.6 / 0.87)
    assert found.moments[1:] == pytest.approx(np.zeros((2, 1)))
    assert np.isnan(found.defect_moments).all()
    frame = found.shells_frame()
    assert frame["sphere part of the cell's moment (%)"][0] == pytest.approx(100 * 0.6 / 0.87)
    assert found.to_frame()["sphere moment (μB)"][:6].tolist() == [0.1] * 6
    assert DefectNeighbours.from_result(made_result(structure, total_moment=0.0)).share is None


def test_moments_outwards_end_at_the_sum_of_all_sites():
    structure = defect("V_Al")
    result = made_result(structure)
    around = DefectNeighbours.from_result(result).moments_around()
    assert (np.diff(around.radii) >= 0).all()
    assert around.cumulative[-1] == pytest.approx(sum(result.sites["sphere"].moments))
    inside = around.radii < 2.0
    assert inside.sum() == 6
    six = DefectNeighbours.from_result(result).moments[0, 0]
    assert around.cumulative[inside][-1] == pytest.approx(six)


def test_the_density_of_states_of_a_shell_is_the_sum_of_its_sites():
    structure = defect("V_Al")
    result = made_result(structure, dos=True)
    found = DefectNeighbours.from_result(result)
    six = list(found.shells[0].own_sites)
    assert found.dos.values.shape == (3, 4, 2, 11)
    assert found.dos.values[0, 1, 0] == pytest.approx(np.full(11, 3.0 * sum(six)))  # three p orbitals
    assert found.dos.energies[0] == pytest.approx(-7)
    assert found.dos.reference_name == "Fermi level"
    assert DefectNeighbours.from_result(made_result(structure)).dos is None


def test_a_substituted_atom_is_the_defect_and_not_its_own_neighbour():
    structure = defect("Ti_Al")
    found = DefectNeighbours.from_result(made_result(structure, moments=moments_on(structure, range(40), 0.2)))
    assert structure[found.place.site].specie.symbol == "Ti"
    assert found.defect_moments == pytest.approx([0.2])
    assert all(found.place.site not in shell.sites for shell in found.shells)
    assert len(found.shells[0].sites) == 6


@pytest.mark.parametrize("kind", ["V_O", "V_Al", "V_La", "Ti_Al"])
def test_the_pristine_cell_tells_where_the_defect_is(kind):
    structure = defect(kind)
    rng = np.random.default_rng(3)
    relaxed = Structure(
        structure.lattice,
        structure.species,
        structure.cart_coords + rng.uniform(-0.1, 0.1, (len(structure), 3)),
        coords_are_cartesian=True,
        to_unit_cell=True,
    )
    order = rng.permutation(len(relaxed))
    relaxed = Structure.from_sites([relaxed[int(i)] for i in order])
    found = DefectNeighbours.from_result(made_result(relaxed), pristine=HOST)
    built = DefectNeighbours.from_result(made_result(structure))
    assert found.place.kind == kind
    assert found.place.source == "pristine"
    assert found.place.position == pytest.approx(place(structure), abs=0.2)
    assert {int(order[i]) for i in found.shells[0].sites} == set(built.shells[0].sites)


def test_complexes_and_interstitials_are_told_by_comparison():
    structure = bare(HOST)
    aluminium = [i for i, site in enumerate(structure) if site.specie.symbol == "Al"]
    structure.replace(aluminium[0], "Ti")
    structure.remove_sites([aluminium[1]])
    assert [found.kind for found in compare_with_pristine(structure, HOST)] == ["V_Al", "Ti_Al"]
    structure = bare(HOST)
    structure.append("H", [0.25, 0.25, 0.13])
    assert [found.kind for found in compare_with_pristine(structure, HOST)] == ["H_i"]


def test_a_position_or_a_site_may_be_given():
    structure = bare(defect("V_Al"))
    at = place(defect("V_Al"))
    assert len(DefectNeighbours.from_result(made_result(structure), position=at).shells[0].sites) == 6
    found = DefectNeighbours.from_result(made_result(structure), site=0, shells=1)
    assert found.place.kind == f"{structure[0].specie.symbol} 0"
    assert len(found.shells) == 1


def test_the_request_of_a_run_tells_where_the_defect_is():
    structure = defect("V_O")
    noted = {"about": {"defect": structure.properties["defect"]}}
    found = DefectNeighbours.from_result(made_result(bare(structure), request=noted))
    assert found.place.kind == "V_O"
    assert [len(shell.sites) for shell in found.shells if shell.element == "Al"] == [2]


def test_images_of_a_small_cell_are_counted_once_and_told():
    structure = defect("V_Al", build_superlattice([Block(LAO, 1)]))
    result = made_result(structure, moments=[0.1] * 4)
    found = DefectNeighbours.from_result(result)
    assert len(found.shells[0].sites) == 6
    assert len(found.shells[0].own_sites) == 3
    assert found.moments[0, 0] == pytest.approx(0.3)
    assert any("the cell is so small that images count as neighbours" in note for note in found.notes)


def test_a_run_without_spin_has_neighbours_but_no_moments():
    found = DefectNeighbours.from_result(made_result(defect("V_Al"), moments=False))
    assert found.kinds == ()
    assert found.moments.shape == (3, 0)
    assert list(found.shells_frame()) == ["element", "neighbours", "distance (Å)"]
    with pytest.raises(ReaderError, match="not spin-polarized"):
        found.moments_around()


def test_everything_is_json_data():
    data = json.loads(
        json.dumps(DefectNeighbours.from_result(made_result(defect("V_Al"))).to_dict(), allow_nan=False)
    )
    assert data["defect"]["kind"] == "V_Al"
    assert len(data["shells"][0]["sites"]) == 6


def test_what_cannot_be_told_is_told():
    structure = bare(defect("V_Al"))
    with pytest.raises(ReaderError, match="nothing tells where the defect is; give its position, a site or the pris"):
        DefectNeighbours.from_result(made_result(structure))
    with pytest.raises(ReaderError, match=r"the pristine cell .* is another one"):
        DefectNeighbours.from_result(made_result(structure), pristine=build_superlattice([Block(LAO, 1)]))
    with pytest.raises(ReaderError, match="holds the same atoms as the pristine one"):
        DefectNeighbours.from_result(made_result(HOST), pristine=HOST)
    with pytest.raises(ReaderError, match="site 99 is not in the structure, which has the sites 0 to 38"):
        DefectNeighbours.from_result(made_result(structure), site=99)
    with pytest.raises(ReaderError, match=r"position: \(1, 2\); give x, y, z in Å"):
        DefectNeighbours.from_result(made_result(structure), position=(1, 2))
    with pytest.raises(ReaderError, match="shells: 0; give 1 or more"):
        DefectNeighbours.from_result(made_result(structure), site=0, shells=0)
    slab = build_superlattice([Block(STO, 1)], vacuum=40)
    with pytest.raises(ReaderError, match="no atoms within 6 Å of position"):
        DefectNeighbours.from_result(made_result(slab), position=(0, 0, 40))


def test_figures_are_drawn():
    found = DefectNeighbours.from_result(made_result(defect("V_Al"), dos=True))
    assert len(found.plot().axes) == 3
    assert found.plot("moments").axes
    with pytest.raises(ReaderError, match="no projected density of states"):
        DefectNeighbours.from_result(made_result(defect("V_Al"))).plot("dos")
    with pytest.raises(ReaderError, match="what: 'do'; did you mean 'dos'"):
        found.plot("do")


def test_a_crystal_of_many_bond_lengths_has_shells_that_end():
    places = [[0, 0, 0], *([x, 0, 0] for x in (0.10, 0.125, 0.15, 0.175, 0.20))]
    chain = Structure(np.diag([20.0, 20.0, 20.0]), ["V", *["O"] * 5], places)
    shells = DefectNeighbours.from_result(made_result(chain), site=0).shells
    assert [len(shell.sites) for shell in shells] == [2, 3]  # 2.0 and 2.5 Å, 3.0 to 4.0 Å
