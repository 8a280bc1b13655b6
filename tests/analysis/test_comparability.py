from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from finished import make_result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from heterodft.analysis.energies.calculation_settings import settings_of
from heterodft.analysis.energies.comparability import compare, differences, faults
from heterodft.analysis.result import Bands
from heterodft.templates.kpoints import k_mesh

NIO = Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.18), ["Ni", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
BULK = Structure.from_spacegroup("Pm-3m", Lattice.cubic(4.0), ["Ti", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])


@pytest.fixture
def result():
    return lambda structure=NIO, energy=-20.0, **options: make_result(structure, energy, **options)


def test_equal_settings_have_no_differences(result):
    assert differences(result(), result(energy=-21.0)) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cutoff": 400.0}, "cutoff 520 eV against 400 eV"),
        ({"xc": "PBEsol"}, "functional PBE against PBEsol"),
        ({"kpoints": [6, 6, 6]}, "k-mesh 4×4×4 against 6×6×6"),
        ({"shift": [1, 1, 1]}, "k-mesh 4×4×4 against 4×4×4 shifted"),
        ({"smearing": "cold"}, "smearing gaussian against cold"),
        ({"smearing_width": 0.2}, "smearing width 0.05 eV against 0.2 eV"),
        ({"hubbard": [["Ni", "3d", 6.0]]}, "U on Ni 0 eV against 6 eV"),
        (
            {"pseudopotentials": {"Ni": "PBE_54 Ni_pv", "O": "PBE_54 O"}},
            "pseudopotential of Ni PBE_54 Ni against PBE_54 Ni_pv",
        ),
        ({"precision": "normal"}, None),
        ({"raw": {"LMAXMIX": 6}}, "lmaxmix unset against 6"),
        ({"charge": 1}, "charge +0 against +1"),
        ({"parent": "abc"}, "not relaxed against relaxed"),
        ({"spin_orbit": True}, "spin-orbit coupling off against on"),
        ({"version": "5.4.4"}, "version 6.4.1 against 5.4.4"),
        ({"code": "espresso"}, "code vasp against espresso"),
        ({"converged": False}, "B did not converge"),
        ({"ended": "cut off"}, "B is cut off"),
        ({"energy": None}, "B has no energy"),
        ({"structure": BULK}, "atoms Ni4 O4 against Ti1 O1"),
        ({"structure": NIO * (1, 1, 2)}, "cell 4.180×4.180×4.180 Å against 4.180×4.180×8.360 Å"),
    ],
)
def test_what_differs_is_said_in_words(result, change, words):
    found = differences(result(), result(**change))
    assert words is None or words in found
    assert bool(found) == (words is not None)  # what is told of one only, as the precision, is no difference


def test_a_layer_with_another_u_differs(result):
    one = result(hubbard=[["Ni", "3d", 4.0, {"layers": [["NiO:1", 2.0]]}]])
    other = result(hubbard=[["Ni", "3d", 4.0]])
    assert differences(one, other) == ["U on Ni 4 eV, NiO:1 2 eV against 4 eV"]


def test_a_handler_that_widened_the_smearing_forbids_and_one_that_mixed_slower_does_not(result):
    wider = [{"errors": ["x"], "changes": {"INCAR->SIGMA": [0.05, 0.1]}, "touches": ["smearing"]}]
    slower = [{"errors": ["x"], "changes": {"INCAR->AMIX": [0.4, 0.1]}, "touches": []}]
    assert differences(result(), result(corrections=wider)) == ["B was changed by a handler: smearing was widened"]
    assert differences(result(), result(corrections=slower)) == []


@pytest.mark.parametrize("raw", [{"NCORE": 4, "KPAR": 2}, {"ALGO": "All", "NELM": 300}, {"LORBIT": 11, "NBANDS": 99}])
def test_parallel_settings_output_and_the_way_to_convergence_never_count(result, raw):
    assert differences(result(), result(raw=raw)) == []


def test_starting_occupations_of_u_and_moments_do_not_count(result):
    start = [["Ni", "3d", 4.0, {"start": [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]}]]
    one = result(hubbard=start, asked=[2, -2, 2, -2, 0, 0, 0, 0])
    assert differences(one, result(hubbard=[["Ni", "3d", 4.0]])) == []


def test_a_minor_version_is_a_note(result):
    found = compare(result(), result(version="6.3.0"))
    assert found.may_subtract()
    assert found.notes == ("version 6.4.1 against 6.3.0",)


def test_what_the_files_of_others_do_not_tell_forbids_until_the_user_vouches_for_it(result):
    theirs = [result(ours=False), result(ours=False, method={"smearing": None, "smearing_width": None})]
    found = compare(*theirs)
    assert found.unknown == ("unknown: smearing of B",)
    assert not found.may_subtract()
    assert found.may_subtract(trust=True)
    assert "trusted by the user: unknown: smearing of B" in found.caveats(trust=True)


def test_trust_never_covers_a_difference(result):
    found = compare(result(ours=False), result(ours=False, method={"cutoff": 400.0, "smearing": None}))
    assert not found.may_subtract(trust=True)
    assert found.reason(trust=True) == "cutoff 520 eV against 400 eV"


def test_a_folder_of_ours_and_one_of_others_compare_by_their_outputs(result):
    ours = result()
    object.__setattr__(ours, "method", result(ours=False).method)
    assert differences(ours, result(ours=False)) == []
    assert differences(ours, result(ours=False, method={"cutoff": 300.0})) == ["cutoff 520 eV against 300 eV"]


def test_numbers_of_points_tell_nothing_when_they_differ(result):
    """An antiferromagnet has less symmetry and more points of the same mesh."""
    first, second = result(ours=False, method={"kpoints": 10}), result(ours=False, method={"kpoints": 13})
    assert differences(first, second) == ["unknown: whether the k-meshes agree (10 points against 13 points)"]
    assert differences(first, first) == []


@pytest.mark.parametrize("u", [{"Ni": 4.0}, {"Ni1": 4.0, "Ni2": 4.0}, {"Ni-3d": 4.0}, [4.0] * 4 + [0.0] * 4])
def test_u_is_read_however_the_code_tells_it(result, u):
    structure = Structure(NIO.lattice, ["Ni"] * 4 + ["O"] * 4, NIO.frac_coords)
    one = result(structure, ours=False, method={"hubbard": u})
    assert settings_of(one)["hubbard"]["Ni"] in ("4 eV",)


class TestFormation:
    """Cells of other size: k-spacing instead of mesh."""

    @pytest.mark.parametrize(
        ("mesh", "repeats"), [((2, 2, 2), (2, 2, 2)), ((4, 4, 1), (1, 1, 4)), ((4, 4, 2), (1, 1, 3))]
    )
    def test_a_supercell_with_the_mesh_of_the_same_spacing_agrees(self, result, mesh, repeats):
        assert differences(result(NIO * repeats, kpoints=list(mesh)), result(), "formation") == []

    def test_a_coarser_mesh_does_not(self, result):
        found = differences(result(NIO * (2, 2, 2), kpoints=[1, 1, 1]), result(), "formation")
        assert found == ["k-mesh 1×1×1 (0.75 1/Å apart) against 4×4×4 (0.38 1/Å apart)"]

    @pytest.mark.parametrize("number", [1, 2, 3, 5, 6, 8])
    def test_another_mesh_of_the_same_cell_never_agrees(self, result, number):
        assert differences(result(kpoints=[number] * 3), result(), "formation")

    @settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(st.floats(2.5, 5.9), min_size=6, max_size=6), st.floats(0.1, 1.0))
    def test_meshes_made_by_one_spacing_agree_whatever_the_cells(self, result, lengths, spacing):
        cells = [Structure(Lattice.orthorhombic(*abc), ["O"], [[0, 0, 0]]) for abc in (lengths[:3], lengths[3:])]
        one, other = (result(cell, kpoints=list(k_mesh(cell, spacing))) for cell in cells)
        assert differences(one, other, "formation") == []

    def test_the_direction_of_the_vacuum_of_a_slab_is_free(self, result):
        slab = Structure(Lattice.tetragonal(4.18, 15.0), ["Ni", "O"], [[0, 0, 0], [0.5, 0.5, 0]])
        assert differences(result(slab, kpoints=[4, 4, 1]), result(), "formation") == []

    def test_u_and_pseudopotentials_count_on_shared_elements_only(self, result):
        other = result(BULK, hubbard=[["Ti", "3d", 4.0]])
        assert differences(result(), other, "formation") == []
        with_u = result(BULK, hubbard=[["O", "2p", 4.0]])
        assert differences(result(), with_u, "formation") == ["U on O 0 eV against 4 eV"]

    def test_a_relaxed_and_an_unrelaxed_cell_are_noted(self, result):
        assert compare(result(parent="x"), result(), "formation").notes == ("A is relaxed, B not relaxed",)


def test_charge_states_may_differ_in_electrons_and_mesh_and_in_nothing_else(result):
    assert differences(result(), result(charge=2, kpoints=[2, 2, 2]), "charge states") == []
    assert differences(result(), result(charge=2, cutoff=300.0), "charge states") == ["cutoff 520 eV against 300 eV"]


def test_a_defect_may_differ_from_its_host_in_atoms_and_charge_and_not_in_its_cell(result):
    vacancy = NIO.copy()
    vacancy.remove_sites([7])
    assert differences(result(vacancy, charge=2), result(), "defect") == []
    bigger = NIO * (1, 1, 2)
    assert "cell" in " ".join(differences(result(vacancy), result(bigger), "defect"))


def test_faults_are_told_of_one_result(result):
    assert faults(result()) == []
    assert faults(result(converged=None)) == ["does not tell whether it converged"]


def test_what_the_readers_of_both_codes_tell_is_understood(result):
    """VASP tells U and J by species and writes no U as empty; pw.x leaves out what is not there."""
    vasp = {
        "hubbard": {"Ni": {"shell": "d", "L": 2, "U": 5.0, "J": 0.5}},
        "smearing": "tetrahedra",
        "smearing_width": 0.2,
    }
    told = settings_of(result(ours=False, method=vasp))
    assert (told["hubbard"], told["smearing_width"]) == ({"Ni": "5 eV, J 0.5 eV on d"}, None)
    assert (
        differences(result(ours=False, method=vasp), result(ours=False, method=vasp | {"smearing_width": 0.05})) == []
    )
    espresso = result(ours=False, method={"hubbard": None, "kpoints_shift": [1, 1, 1]}, code="espresso")
    assert settings_of(espresso)["hubbard"] == {}
    assert settings_of(espresso)["shift"] == [1, 1, 1]


def test_a_dispersion_correction_counts_where_one_side_has_none(result):
    assert differences(result(ours=False), result(ours=False, method={"dispersion": "IVDW 11"})) == [
        "dispersion correction none against IVDW 11"
    ]


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ({"precision": "normal"}, "precision of the grids accurate against normal"),
        ({"support_grid": True}, "support grid (ADDGRID) off against on"),
        ({"projectors": "real"}, "projectors reciprocal against real"),
        ({"aspherical": False}, "gradient corrections inside the spheres (LASPH) on against off"),
        ({"precision": None, "projectors": None, "aspherical": None}, None),
    ],
)
def test_grids_projectors_and_spheres_of_folders_of_others_count(result, method, words):
    told = {"precision": "accurate", "support_grid": False, "projectors": "reciprocal", "aspherical": True}
    found = differences(result(ours=False, method=told), result(ours=False, method=told | method))
    assert found == ([] if words is None else [words])


def test_a_mesh_around_gamma_is_not_one_beside_it(result):
    def bands(first):
        return Bands(np.zeros((1, 2, 1)), np.ones((1, 2, 1)), np.array([[first] * 3, [0.25] * 3]), np.ones(2) / 2)

    around, beside = (result(ours=False, bands=bands(k)) for k in (0.0, 0.125))
    assert differences(around, beside) == ["k-mesh 4×4×4 with Γ against 4×4×4 without Γ"]
    assert differences(around, around) == []


def test_a_cell_that_is_turned_as_a_whole_is_the_same_cell(result):
    turn = np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1.0]])
    turned = Structure(Lattice(NIO.lattice.matrix @ turn), NIO.species, NIO.frac_coords)
    sheared = Structure(Lattice.from_parameters(4.18, 4.18, 4.18, 88, 90, 90), NIO.species, NIO.frac_coords)
    assert differences(result(), result(turned)) == []
    assert "at 88.0° 90.0° 90.0°" in differences(result(), result(sheared))[0]


def test_a_relaxation_of_others_is_told_beside_a_static_run(result):
    moved = replace(result(ours=False), step="relax")
    found = compare(moved, result(ours=False))
    assert found.differences == ()
    assert "A was relaxed in its run; whether B is relaxed is not told" in found.notes


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        ({"U": 5.0, "J": 1.0, "type": 2}, {"U": 4.0, "J": 0.0, "type": 2}, None),  # Dudarev: U - J
        ({"U": 5.0, "J": 1.0, "type": 1}, {"U": 4.0, "J": 0.0, "type": 1}, "5 eV, J 1 eV (LDAUTYPE 1) against 4 eV"),
        ({"U": 4.0, "J": 0.0, "type": 1}, {"U": 4.0, "J": 0.0, "type": 2}, "4 eV (LDAUTYPE 1) against 4 eV"),
        ({"U": 4.0, "shell": "d"}, {"U": 4.0, "shell": "p"}, "4 eV on d against 4 eV on p"),
    ],
)
def test_u_counts_with_its_shell_and_its_way(result, one, other, words):
    found = differences(
        result(ours=False, method={"hubbard": {"Ni": one}}), result(ours=False, method={"hubbard": {"Ni": other}})
    )
    assert found == [] if words is None else words in found[0]
