from __future__ import annotations

import shutil

import pytest

from heterodft.workflows.custodians.diagnosis import diagnose


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pw.in").write_text("&CONTROL\n   calculation      = 'scf'\n/\n")
    return tmp_path


def test_job_done_is_no_sign_of_success(folder, shared_data):
    shutil.copy(shared_data / "qe" / "pw_not_converged_v66" / "aiida.out", folder / "pw.out")
    assert "JOB DONE." in (folder / "pw.out").read_text()
    reason = diagnose(folder, "pw.in")
    assert reason is not None
    assert reason.startswith(
        "SCF not converged after 2 iterations (estimated accuracy 0.084 eV); raise max_scf_steps"
    )


def test_a_converged_run_is_fine(folder, shared_data):
    shutil.copy(shared_data / "qe" / "pw_lsda_v75" / "aiida.out", folder / "pw.out")
    assert diagnose(folder, "pw.in") is None


def test_a_run_that_never_started_says_so(folder):
    assert diagnose(folder, "pw.in") == "pw.x did not start"


def test_an_output_that_breaks_off_shows_the_last_words_of_the_error_stream(folder):
    (folder / "pw.out").write_text("     Program PWSCF v.6.7 starts\n     iteration #  3\n")
    (folder / "pw.err").write_text("mpirun noticed that process rank 1 was killed\n------\n")
    assert diagnose(folder, "pw.in") == "pw.x ended before it was done: mpirun noticed that process rank 1 was killed"


ABORT = """\
--------------------------------------------------------------------------
MPI_ABORT was invoked on rank 1 in communicator MPI_COMM_WORLD
with errorcode 202.

NOTE: invoking MPI_ABORT causes Open MPI to kill all MPI processes.
You may or may not see output from other processes, depending on
exactly when Open MPI kills them.
--------------------------------------------------------------------------
"""


def test_of_an_abort_the_rank_is_told_and_not_the_advice_of_the_library(folder):
    (folder / "pw.out").write_text(
        "     Program PWSCF v.6.7 starts\n     Computing kpt #:     1  of    45 on this pool\n"
    )
    (folder / "pw.err").write_text(ABORT)
    assert diagnose(folder, "pw.in") == (
        "pw.x ended before it was done: rank 1 stopped with error 202, and only those of the first pool print why"
    )


def test_a_stop_inside_the_cycle_is_not_success_although_the_job_is_done(folder):
    (folder / "pw.out").write_text("     iteration #  3\n     Maximum CPU time exceeded\n   JOB DONE.\n")
    assert diagnose(folder, "pw.in") == "pw.x was stopped inside the SCF cycle (time limit or EXIT file)"


def test_the_error_box_is_quoted(folder):
    (folder / "pw.out").write_text(
        " %%%%\n     Error in routine set_hubbard_l (1):\n     pseudopotential not yet inserted\n %%%%\n"
    )
    reason = diagnose(folder, "pw.in")
    assert reason.startswith("pw.x stopped in set_hubbard_l: pseudopotential not yet inserted; this version of pw.x")


CYCLE = "!    total energy              =    -280.0 Ry\n     convergence has been achieved in   9 iterations\n"


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ("     bfgs converged in   5 scf cycles and   4 bfgs steps\n     End of BFGS Geometry Optimization\n", None),
        (
            "     Message from routine bfgs:\n     history already reset at previous step: stopping\n"
            "     bfgs converged in   5 scf cycles and   4 bfgs steps\n     End of BFGS Geometry Optimization\n",
            "not relaxed after 1 steps; raise max_ion_steps or start from better positions",
        ),
        ("     The maximum number of steps has been reached.\n", "not relaxed after 1 steps; raise max_ion_steps"),
        ("", "pw.x was stopped before the structure was relaxed"),
    ],
)
def test_a_relaxation_is_done_when_it_says_so_and_did_not_give_up(folder, end, reason):
    (folder / "pw.in").write_text("&CONTROL\n   calculation      = 'vc-relax'\n/\n")
    (folder / "pw.out").write_text(f"{CYCLE}{end}   JOB DONE.\n")
    found = diagnose(folder, "pw.in")
    assert found is None if reason is None else found.startswith(reason)
