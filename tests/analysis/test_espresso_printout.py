"""What pw.x prints, against ASE's reader of the same text."""

from __future__ import annotations

import io

import numpy as np
import pytest
from ase.io import read

from heterodft.analysis.readers import read_folder
from heterodft.analysis.readers.espresso.output import split_runs
from heterodft.analysis.readers.espresso.printout import read_printout
from heterodft.analysis.readers.opening import read_text
from heterodft.units import RYDBERG

OUTPUTS = [
    "pw_lsda_v75/aiida.out",
    "pw_hubbard_v72/aiida.out",
    "pw_two_fermi_v66/aiida.out",
    "pw_nio_afm_u_v65/NiO.scf.2.out",
    "nio_crn_superlattice_v67/scf.out.gz",
]
VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
RELAXATION = """\
     Program PWSCF v.6.7MaX starts on 21Nov2026 at 15: 5:50
     lattice parameter (alat)  =      10.0000  a.u.
     number of atoms/cell      =            2
     number of electrons       =         8.00
     crystal axes: (cart. coord. in units of alat)
               a(1) = (   1.000000   0.000000   0.000000 )
               a(2) = (   0.000000   1.000000   0.000000 )
               a(3) = (   0.000000   0.000000   1.000000 )
     site n.     atom                  positions (alat units)
         1           Si1 tau(   1) = (   0.0000000   0.0000000   0.0000000  )
         2           O   tau(   2) = (   0.5000000   0.5000000   0.5000000  )
     number of k points=     1
        k(    1) = (   0.5000000   0.0000000   0.0000000), wk =   2.0000000
     Self-consistent Calculation
     End of self-consistent calculation
!    total energy              =     -10.00000000 Ry
     convergence has been achieved in   5 iterations
     Forces acting on atoms (cartesian axes, Ry/au):

     atom    1 type  1   force =     0.10000000    0.00000000    0.00000000
     atom    2 type  1   force =    -0.10000000    0.00000000    0.00000000

     Total force =     0.141421     Total SCF correction =     0.000016
     BFGS Geometry Optimization
     new unit-cell volume =   1331.0 a.u.^3
CELL_PARAMETERS (alat= 10.00000000)
   1.100000000   0.000000000   0.000000000
   0.000000000   1.100000000   0.000000000
   0.000000000   0.000000000   1.100000000

ATOMIC_POSITIONS (crystal)
Si1           0.0100000000        0.0000000000        0.0000000000
O             0.4900000000        0.5000000000        0.5000000000

"""
SECOND = """\
     Self-consistent Calculation
     iteration #  1     ecut=    12.00 Ry     beta= 0.70
     End of self-consistent calculation
!    total energy              =     -11.00000000 Ry
     convergence has been achieved in   4 iterations
"""
BOHR = 0.529177210903


@pytest.mark.parametrize("name", OUTPUTS)
def test_structure_forces_and_stress_are_those_that_ase_reads(shared_data, name):
    text = read_text(shared_data / "qe" / name)
    found, atoms = read_printout(text), read(io.StringIO(text), format="espresso-out")
    np.testing.assert_allclose(found.structure.lattice.matrix, atoms.cell[:], atol=4e-5)
    np.testing.assert_allclose(found.structure.cart_coords, atoms.positions, atol=4e-5)
    if found.forces is not None:
        np.testing.assert_allclose(found.forces, atoms.get_forces(), atol=1e-6)
    if found.stress is not None:  # both positive when the cell wants to shrink
        np.testing.assert_allclose([found.stress[i] for i in VOIGT], atoms.get_stress(), atol=2e-6)
    assert found.doubts == ()


def test_a_relaxation_that_was_cut_off_keeps_the_structure_of_its_last_energy():
    found = read_printout(RELAXATION)
    assert found.calculation == "vc-relax"
    assert found.structure.lattice.a == pytest.approx(10 * BOHR)
    assert found.structure.frac_coords[1].tolist() == [0.5, 0.5, 0.5]
    assert found.forces[0, 0] == pytest.approx(0.1 * 13.605693 / BOHR)
    running = read_printout(RELAXATION + SECOND.partition("End of self")[0])
    assert running.cycle.energy == found.cycle.energy
    assert running.structure == found.structure
    assert running.output.ion_steps == 1
    np.testing.assert_array_equal(running.forces, found.forces)


def test_the_next_energy_belongs_to_the_new_cell_and_has_no_forces_yet():
    found = read_printout(RELAXATION + SECOND)
    assert found.structure.lattice.a == pytest.approx(11 * BOHR)
    assert found.structure.frac_coords[:, 0] == pytest.approx([0.01, 0.49])
    assert (found.forces, found.structure[0].species_string) == (None, "Si")


@pytest.mark.parametrize(
    ("unit", "row", "expected"),
    [("alat", "0.5", 5 * BOHR), ("bohr", "3.0", 3 * BOHR), ("angstrom", "2.0", 2.0), ("crystal", "0.5", 5.5 * BOHR)],
)
def test_positions_come_in_four_units(unit, row, expected):
    card = f"ATOMIC_POSITIONS ({unit})\nSi1  0.0 0.0 0.0\nO  {row} 0.0 0.0\n\n"
    text = RELAXATION.partition("ATOMIC_POSITIONS")[0] + card + SECOND
    assert read_printout(text).structure.cart_coords[1, 0] == pytest.approx(expected)


def test_forces_that_do_not_add_up_are_doubted():
    text = RELAXATION.replace("force =     0.10000000", "force =     0.70000000")
    assert "the forces add up to 0.707107 Ry/bohr, not 0.141421" in read_printout(text).doubts[0]


def test_k_points_of_a_relaxed_cell_are_fractional_in_the_cell_they_were_printed_with():
    block = "     k = 0.5000 0.0000 0.0000 (   10 PWs)   bands (ev):\n\n    -1.0000   1.0000\n\n"
    level = "     highest occupied level (ev):    -1.0000\n\n"
    text = (RELAXATION + SECOND).replace(
        "End of self-consistent calculation\n", f"End of self-consistent calculation\n\n{block}{level}"
    )
    found = read_printout(text)
    assert found.structure.lattice.a == pytest.approx(11 * BOHR)
    assert found.bands.kpoints.tolist() == [[0.5, 0.0, 0.0]]
    # one band of two electrons, eight are there
    assert "the occupations hold 2.000 of 8 electrons: a degenerate level is filled in part" in found.notes


FAILED = "     Self-consistent Calculation\n     convergence NOT achieved after  100 iterations: stopping\n"


def test_a_last_cycle_that_failed_is_not_hidden_by_the_one_before(tmp_path):
    path = tmp_path / "pw.out"
    path.write_text(RELAXATION + FAILED + "   JOB DONE.\n")
    found = read_folder(path)
    assert (found.converged, found.energy) == (False, pytest.approx(-10 * RYDBERG))
    assert "the last cycle did not converge: energy and forces are of the one before" in found.notes


@pytest.mark.parametrize(
    ("words", "calculation", "relaxed"),
    [
        ("     Minimization using the FIRE algorithm\n     FIRE: convergence achieved in   8 steps\n", "relax", True),
        ("     Damped Dynamics Calculation\n     The maximum number of steps has been reached.\n", "relax", False),
        (
            "     Wentzcovitch Damped Cell Dynamics Minimization:\n     new unit-cell volume =  1.0\n"
            "     Maximum number of iterations reached, stopping\n",
            "vc-relax",
            False,
        ),
        ("     Molecular Dynamics Calculation\n     Entering Dynamics:    iteration =     1\n", "md", None),
        (
            "     force convergence thresh. =      0.0E+00\n     press convergence thresh. =      0.0E+00\n",
            "vc-md",
            None,
        ),
        (
            "     force convergence thresh. =      1.0E-03\n     nstep                     =           50\n",
            "relax",
            None,
        ),
        ("     nstep                     =           50\n", "relax", None),
        ("     Band Structure Calculation\n", "nscf", None),
        ("", "scf", None),
    ],
)
def test_what_moves_the_atoms_is_told(words, calculation, relaxed):
    found = read_printout(RELAXATION.partition("     BFGS Geometry")[0] + words)
    assert (found.calculation, found.output.relaxed) == (calculation, relaxed)


def test_the_version_may_have_a_revision_and_alat_more_digits():
    old = RELAXATION.replace("v.6.7MaX starts", "v.6.1 (svn rev. 13369) starts")
    assert read_printout(old).version == "6.1"
    more = RELAXATION.replace(
        "     crystal axes", "     celldm(1)=  10.000049  celldm(2)=   0.000000\n     crystal axes"
    )
    assert read_printout(more).structure.lattice.a == pytest.approx(10.000049 * BOHR, abs=1e-8)
    other = more.replace("10.000049", "9.000000")  # of the input; the cell came from a file
    assert read_printout(other).structure.lattice.a == pytest.approx(10 * BOHR)


HYBRID = """\
     Self-consistent Calculation
     iteration #  1     ecut=    12.00 Ry     beta= 0.70
     End of self-consistent calculation
!    total energy              =     -12.00000000 Ry
     convergence has been achieved in   4 iterations
     Using ACE for calculation of exact exchange
     EXX: now go back to refine exchange calculation
     Self-consistent Calculation
     End of self-consistent calculation
!    total energy              =     -12.50000000 Ry
     convergence has been achieved in   2 iterations
"""
SELF_CONSISTENT = """\
     Using ACE for calculation of exact exchange
!!   total energy              =     -12.50001000 Ry
     EXX self-consistency reached
"""


def test_the_energy_of_a_hybrid_is_that_of_self_consistent_exchange():
    found = read_printout(HYBRID + SELF_CONSISTENT)
    assert (found.cycle.converged, found.output.ion_steps, found.doubts) == (True, 1, ())
    assert found.cycle.energy == pytest.approx(-12.50001 * RYDBERG)


@pytest.mark.parametrize("end", ["", "     Using ACE for calculation of exact exchange\n"])
def test_a_hybrid_that_was_left_before_has_no_energy(end):
    found = read_printout(HYBRID + end)
    assert (found.cycle.converged, found.cycle.energy, found.output.ion_steps) == (None, None, 0)


def test_the_next_step_of_a_hybrid_relaxation_does_not_count_until_it_ends():
    found = read_printout(RELAXATION.partition("     Self-consistent")[0] + HYBRID + SELF_CONSISTENT + HYBRID)
    assert found.cycle.energy == pytest.approx(-12.50001 * RYDBERG)
    assert (found.cycle.converged, found.output.converged, found.output.ion_steps) == (True, None, 1)


@pytest.mark.parametrize("lost", ["?    total energy = -11", "!    total energy              =     NaN"])
def test_an_energy_line_that_was_lost_is_noticed(lost):
    text = (RELAXATION + SECOND).replace("!    total energy              =     -11", lost)
    assert "1 energies of 2 converged cycles" in read_printout(text).doubts[0]


def test_runs_appended_to_one_file_are_told_apart():
    assert [part.count("force =") for part in split_runs("noise\n" + RELAXATION + RELAXATION + SECOND)] == [3, 3]
    assert split_runs("nothing") == []


SPINORS = """\
     Program PWSCF v.6.7MaX starts on 21Nov2026 at 15: 5:50
     Noncollinear calculation with spin-orbit

 ==============================================================================
     atom number    1 relative position :    0.0000   0.0000   0.0000
     charge :    13.956388
     magnetization :          0.300000    0.400000    1.200000
     magnetization/charge:    0.038912    0.067400    0.134797
     polar coord.: r, theta, phi [deg] :     1.300000   30.000228   60.001059

 ==============================================================================
     atom number    2 relative position :    0.5000   0.5000   0.5000
     charge :     5.000000  (integrated on a sphere of radius 0.357)
     magnetization :         -0.300000   -0.400000   -1.200000
     magnetization/charge:    0.038912    0.067400    0.134797

     total magnetization       =     3.00     4.00    12.00 Bohr mag/cell
     absolute magnetization    =    13.10 Bohr mag/cell
"""


def test_moments_of_a_noncollinear_run_are_vectors():
    found = read_printout(SPINORS)
    assert found.output.vectors == ((0.3, 0.4, 1.2), (-0.3, -0.4, -1.2))
    assert (found.output.charges, found.output.moments) == ((13.956388, 5.0), (1.2, -1.2))
    assert (found.output.total_moment, found.output.absolute_moment) == (13.0, 13.1)
    assert (found.method["noncollinear"], found.method["spin_orbit"]) == (True, True)


def test_the_last_whole_table_of_moments_is_taken():
    table = SPINORS.partition("     total mag")[0]
    cut = table.replace("0.300000", "0.900000").rpartition("     atom number    2")[0]
    assert read_printout(table + cut).output.vectors[0] == (0.3, 0.4, 1.2)
    assert read_printout(table + table.replace("0.300000", "0.900000")).output.vectors[0] == (0.9, 0.4, 1.2)
