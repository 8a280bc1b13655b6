from __future__ import annotations

import gzip

import pytest
from ase.io import read

from heterodft.analysis.readers.espresso.output import read_doubts, read_progress, read_pw_output
from heterodft.errors import ReaderError
from heterodft.units import RYDBERG

ALL = ["pw_lsda_v75", "pw_hubbard_v72", "pw_two_fermi_v66"]


@pytest.fixture
def nio_crn(shared_data, tmp_path):
    path = tmp_path / "pw.out"
    path.write_bytes(gzip.decompress((shared_data / "qe" / "nio_crn_superlattice_v67" / "scf.out.gz").read_bytes()))
    return path


@pytest.mark.parametrize(
    ("name", "energy", "iterations", "total"),
    [
        ("pw_lsda_v75/aiida.out", -469.71511080, 18, 0.0),
        ("pw_hubbard_v72/aiida.out", -396.09758618, 25, None),
        ("pw_two_fermi_v66/aiida.out", -22.80554665, 4, 1.0),
        ("pw_nio_afm_u_v65/NiO.scf.2.out", -266.72816092, 9, 0.0),
    ],
)
def test_energy_iterations_and_moment_are_those_printed(shared_data, name, energy, iterations, total):
    found = read_pw_output(shared_data / "qe" / name)
    assert found.energy / RYDBERG == pytest.approx(energy, abs=1e-9)
    assert (found.converged, found.finished, found.error) == (True, True, None)
    assert (found.iterations, found.total_moment) == (iterations, total)


@pytest.mark.parametrize("name", ALL)
def test_ase_reads_the_same_energy(shared_data, name):
    path = shared_data / "qe" / name / "aiida.out"
    # ASE converts with constants of CODATA 2006
    assert read_pw_output(path).energy == pytest.approx(
        read(path, format="espresso-out").get_potential_energy(), rel=5e-7
    )


def test_the_accuracy_of_the_last_iteration_is_in_ev(shared_data):
    found = read_pw_output(shared_data / "qe" / "pw_lsda_v75" / "aiida.out")
    assert found.accuracy == pytest.approx(4.2e-9 * 13.605693)


def test_ase_reads_the_same_moments_of_the_newer_format(shared_data):
    path = shared_data / "qe" / "pw_lsda_v75" / "aiida.out"
    found = read_pw_output(path)
    assert found.moments == pytest.approx(read(path, format="espresso-out").get_magnetic_moments())
    assert found.charges == (18.7882, 4.3837, 4.3837)


def test_moments_of_the_older_format_are_read(shared_data):
    found = read_pw_output(shared_data / "qe" / "pw_nio_afm_u_v65" / "NiO.scf.2.out")
    assert found.moments == (1.3319, -1.3319, 0.0, 0.0)
    assert found.charges == (7.7972, 7.7963, 5.6253, 5.6253)
    assert found.absolute_moment == 2.94


def test_the_superlattice_alternates_layer_by_layer(nio_crn):
    found = read_pw_output(nio_crn)
    assert found.energy / RYDBERG == pytest.approx(-771.97554371, abs=1e-9)
    assert found.moments == (1.5673, 0.1359, -1.5673, -0.1359, 2.5108, -0.0850, -2.5113, 0.0848)
    assert (found.total_moment, found.absolute_moment) == (0.0, 9.74)


def test_times_are_in_seconds(shared_data, nio_crn):
    def times(path):
        found = read_pw_output(path)
        return found.cpu_seconds, found.wall_seconds

    assert times(shared_data / "qe" / "pw_hubbard_v72" / "aiida.out") == pytest.approx((39.08, 100.44))
    assert times(nio_crn) == pytest.approx((306.10, 623.96))  # 5m 6.10s CPU 10m23.96s WALL


def test_hours_and_days_are_read(tmp_path):
    path = tmp_path / "pw.out"
    path.write_text("     PWSCF        :   1d 2h 3m CPU      1h 2m WALL\n")
    found = read_pw_output(path)
    assert (found.cpu_seconds, found.wall_seconds) == (86400 + 2 * 3600 + 180, 3720)


def test_a_cycle_that_did_not_converge_says_so_though_the_job_is_done(shared_data):
    found = read_pw_output(shared_data / "qe" / "pw_not_converged_v66" / "aiida.out")
    assert (found.converged, found.finished, found.energy, found.iterations) == (False, True, None, 2)


def test_an_empty_output_says_nothing(shared_data):
    found = read_pw_output(shared_data / "qe" / "pw_crash" / "aiida.out")
    assert (found.converged, found.finished, found.energy, found.moments, found.error) == (
        None,
        False,
        None,
        (),
        None,
    )


def test_an_error_box_is_told_in_one_line(shared_data):
    found = read_pw_output(shared_data / "qe" / "pw_crash" / "CRASH")
    assert found.error == "cdiaghg: problems computing cholesky"


def test_an_output_cut_off_in_the_middle_is_read_as_far_as_it_goes(nio_crn):
    text = nio_crn.read_text()
    nio_crn.write_text(text[: text.index("iteration # 12")])
    found = read_pw_output(nio_crn)
    assert (found.energy, found.converged, found.finished, found.cpu_seconds) == (None, None, False, None)
    assert found.accuracy > 0


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ReaderError, match=r"cannot read .*pw.out: No such file"):
        read_pw_output(tmp_path / "pw.out")


def test_progress_counts_iterations_of_a_running_cycle(nio_crn):
    text = nio_crn.read_text()
    cut = text.index("iteration # 12")
    nio_crn.write_text(text[: cut + 60])
    progress = read_progress(nio_crn)
    accuracy = float(text[:cut].rpartition("estimated scf accuracy    <")[2].split()[0])
    assert progress.text == "SCF iteration 12"
    assert progress.accuracy == pytest.approx(accuracy * RYDBERG)


def test_progress_counts_k_points_of_a_band_calculation(tmp_path):
    path = tmp_path / "pw.out"
    path.write_text(
        "     Computing kpt #:     3  of    11\n     total cpu time\n     Computing kpt #:     4  of    11\n"
    )
    assert read_progress(path).text == "k-point 4 of 11"


def test_there_is_no_progress_before_the_first_iteration_or_without_output(tmp_path):
    path = tmp_path / "pw.out"
    assert read_progress(path) is None
    path.write_text("     Program PWSCF v.6.7MaX starts\n")
    assert read_progress(path) is None


def test_what_stops_no_run_but_should_be_known_is_read_of_the_last_iteration(tmp_path):
    path = tmp_path / "pw.out"
    assert read_doubts(path) == []
    quiet = "     iteration #  2\n     negative rho (up, down):  1.700E-04 0.000E+00\n"
    loud = "     iteration #  1\n     negative rho (up, down):  1.500E-01 1.000E-01\n"
    loud += "     c_bands:  2 eigenvalues not converged\n"
    path.write_text(loud + quiet)
    assert read_doubts(path) == []
    path.write_text(quiet + loud)
    assert read_doubts(path) == [
        "a negative charge density of 0.25 electrons; raise density_cutoff",
        "2 eigenvalues did not converge in the last iteration",
    ]
