from __future__ import annotations

import json

import numpy as np
import pytest
from made_results import made_result

from heterodft.analysis.readers.espresso.hp import read_hp_output, read_hp_parameters
from heterodft.analysis.readers.espresso.response_step import add_response
from heterodft.analysis.response import equivalent_sites
from heterodft.analysis.result import Result
from heterodft.errors import ReaderError
from heterodft.structures import build_material

TABLE = """\

  =-------------------------------------------------------------------=

                           Hubbard U parameters:

       site n.  type  label  spin  new_type  new_label  Hubbard U (eV)
         1        1    Cr1     1      1         Cr1        5.1000
         2        3    Cr2    -1      4         Cr24       5.3000

  =-------------------------------------------------------------------=

"""
NEWER = """\

  =-------------------------------------------------------------------------------=

                                 Hubbard U parameters:

       site n.  type  label  spin  new_type  new_label  manifold  Hubbard U (eV)
         1        1    Mn      0      1         Mn         3d       -0.2500

  =-------------------------------------------------------------------------------=

"""
PRINTED = """\
     Program HP v.6.7MaX starts on 21Nov2026 at 18:27: 7
     Input Hubbard parameters (in eV):
       U ( 1)                     =   3.00000E+00
       U ( 3)                     =   1.00000E-08
                          PERTURBED ATOM #    1
     The grid of q-points ( 2, 2, 1)  (  3 q-points ) :
      atom #  1   q point #   1   iter #   1
      atom #  1   q point #   1   iter #   2
     HP           :      0.20s CPU      0.30s WALL
                          PERTURBED ATOM #    2
      atom #  2   q point #   1   iter #   1
     Post-processing calculation of Hubbard parameters ...
     HP           :     1m 2.50s CPU     1m10.00s WALL
   JOB DONE.
"""


def matrix(name, values):
    """A matrix as hp.x prints it: eight numbers a line, an empty line after each row."""
    lines = [f"\n{'':10}{name} matrix :"]
    for row in values:
        texts = [f" {x:11.6f}" for x in row]
        lines += ["".join(texts[i : i + 8]) for i in range(0, len(texts), 8)] + [" "]
    return "\n".join(lines) + "\n"


@pytest.fixture
def parameters(tmp_path):
    def write(text):
        path = tmp_path / "pwscf.Hubbard_parameters.dat"
        path.write_text(text)
        return path

    return write


def test_a_row_a_site_tells_u_species_and_spin(parameters):
    table = read_hp_parameters(parameters(TABLE))
    assert (table.sites, table.values) == ((0, 1), (5.1, 5.3))
    assert (table.kinds, table.groups, table.spins) == ((1, 3), (1, 4), (1, -1))
    assert table.shells == ("", "")
    assert table.chi is None


def test_newer_versions_name_the_shell_and_u_may_be_negative(parameters):
    table = read_hp_parameters(parameters(NEWER))
    assert (table.values, table.shells) == ((-0.25,), ("3d",))


def test_rows_of_matrices_are_broken_after_eight_numbers(parameters):
    chi0, chi = np.round(np.random.default_rng(1).normal(size=(2, 10, 10)), 6)
    text = TABLE + matrix("chi0", chi0) + matrix("chi", chi) + matrix("chi0^{-1}", chi0) + matrix("Hubbard", chi)
    table = read_hp_parameters(parameters(text))
    assert np.array_equal(table.chi0, chi0)
    assert np.array_equal(table.chi, chi)


def test_u_is_the_difference_of_the_inverse_responses(parameters):
    """The equation, on what hp.x 6.7 printed for CrN: the matrices of one file belong together."""
    chi0, chi = [[-0.458139, 0.252322], [0.252322, -0.454509]], [[-0.124988, 0.01945], [0.01945, -0.123527]]
    table = read_hp_parameters(parameters(TABLE + matrix("chi0", chi0) + matrix("chi", chi)))
    u = np.linalg.inv(table.chi0) - np.linalg.inv(table.chi)
    assert np.diag(u) == pytest.approx([5.0577, 5.1296], abs=1e-3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nothing\n", "holds no Hubbard U"),
        (TABLE.replace("   5.3000", "**********"), "a U that is no number"),
        (TABLE + matrix("chi0", np.ones((3, 2))), "not square"),
        (TABLE + matrix("chi0", np.ones((2, 2))).replace("1.000000", "********", 1), "holds no numbers"),
    ],
)
def test_a_damaged_table_says_what_is_wrong(parameters, text, message):
    with pytest.raises(ReaderError, match=message):
        read_hp_parameters(parameters(text))


@pytest.fixture
def output(tmp_path):
    def write(text):
        path = tmp_path / "hp.out"
        path.write_text(text)
        return path

    return write


def test_the_output_tells_mesh_iterations_and_times(output):
    printed = read_hp_output(output(PRINTED))
    assert (printed.version, printed.finished, printed.stopped) == ("6.7", True, None)
    assert (printed.qpoints, printed.inequivalent_qpoints) == ((2, 2, 1), 3)
    assert (printed.perturbed, printed.iterations) == (2, 3)
    assert printed.started_from == {1: 3.0, 3: 1e-8}
    assert (printed.cpu_seconds, printed.wall_seconds) == (62.5, 70.0)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("WARNING! All Hubbard atoms must be listed first in the ATOMIC_POSITIONS card of PWscf", "not the first"),
        ("WARNING: The Fermi energy shift is too big!", "fixed occupations"),
        ("WARNING: The Fermi energy shift is zero or too big!", "fixed occupations"),
        ("Convergence has not been reached after 100 iterations!", "lower mixing"),
        ("This q-mesh breaks symmetry!", "another mesh"),
    ],
)
def test_job_done_is_no_success_where_it_stopped(output, line, words):
    printed = read_hp_output(output(PRINTED + line + "\n"))
    assert not printed.finished
    assert words in (printed.stopped or "")


def test_job_done_without_the_last_part_is_no_success(output):
    assert not read_hp_output(output(PRINTED.replace("Post-processing", "Pre-processing"))).finished


@pytest.fixture
def folder(tmp_path, parameters, output):
    """A response step of SrTiO3 whose third site, of the builder, was the first of the input."""
    parameters(TABLE.replace("         2        3    Cr2    -1      4         Cr24       5.3000\n", ""))
    output(PRINTED)
    (tmp_path / "site_order.json").write_text(json.dumps({"order": [1, 0, 2, 3, 4]}))
    return tmp_path


REQUEST = {"request": {"step": "response", "hubbard": [["Ti", "3d", 3.0]], "settings": {"qpoints": [1, 1, 1]}}}


def test_sites_come_back_as_the_builder_had_them(folder):
    built = build_material("SrTiO3").cell
    order = [1, 0, 2, 3, 4]
    written = type(built).from_sites([built[i] for i in order])
    result = add_response(made_result(written, moments=[5.0, 1.0, 2.0, 3.0, 4.0]), folder, REQUEST)
    assert [site.species_string for site in result.structure] == [site.species_string for site in built]
    assert result.sites["sphere"].moments == (1.0, 5.0, 2.0, 3.0, 4.0)
    assert (result.response.sites, result.response.shells) == ((1,), ("3d",))
    assert (result.response.values, result.response.started_from) == ((5.1,), (3.0,))
    assert result.response.qpoints == (2, 2, 1)
    assert result.cpu_seconds == 62.5


def test_a_response_survives_being_stored(folder, parameters):
    parameters(TABLE + matrix("chi0", np.eye(4)) + matrix("chi", 2 * np.eye(4)))
    result = add_response(made_result(build_material("SrTiO3").cell), folder, {})
    result.save(folder)
    again = Result.load(folder).response
    assert again.to_data() == result.response.to_data()
    assert np.array_equal(again.chi, result.response.chi)
    assert again.chi.shape == (2, 4)


def test_a_result_without_a_response_is_stored_as_before(tmp_path):
    result = made_result(build_material("SrTiO3").cell)
    assert "response" not in result.to_dict()
    result.save(tmp_path)
    assert Result.load(tmp_path).response is None


def test_a_response_step_without_u_is_refused_where_it_was_just_computed(folder):
    (folder / "pwscf.Hubbard_parameters.dat").unlink()
    result = made_result(build_material("SrTiO3").cell)
    with pytest.raises(ReaderError, match=r"expected one of hp\.x"):
        add_response(result, folder, REQUEST, strict=True)
    assert add_response(result, folder, REQUEST).response is None


def test_a_damaged_table_of_others_is_noted(folder, parameters):
    parameters("nothing\n")
    result = add_response(made_result(build_material("SrTiO3").cell), folder, {})
    assert "holds no Hubbard U" in result.notes[-1]


def test_an_order_of_another_structure_is_refused(folder):
    (folder / "site_order.json").write_text(json.dumps({"order": [0, 1]}))
    with pytest.raises(ReaderError, match="not the order of 5 sites"):
        add_response(made_result(build_material("SrTiO3").cell), folder, REQUEST)


def test_sites_of_other_moments_are_not_equivalent_but_those_of_other_signs_are():
    cell = build_material("SrTiO3").cell
    oxygens = [i for i, site in enumerate(cell) if site.species_string == "O"]
    moments = [0.0] * len(cell)
    moments[oxygens[0]], moments[oxygens[1]], moments[oxygens[2]] = 1.0, -1.0, 0.2
    groups = equivalent_sites(cell, dict.fromkeys(oxygens, 8.0), moments)
    assert [group.sites for group in groups] == [tuple(oxygens[:2]), (oxygens[2],)]
