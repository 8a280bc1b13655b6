"""What a calculation took in all, over every run of its programs."""

from __future__ import annotations

from made_up_result import made_up

from heterodft.analysis.result import Result
from heterodft.workflows.custodians.spent import note_vasp_run, spent_in


def pw_output(iterations, end):
    cycle = "".join(f"     iteration #{i:3d}     ecut=    20.00 Ry\n" for i in range(1, iterations + 1))
    ranks = "     Parallel version (MPI), running on     2 processors\n"
    return f"     Program PWSCF v.6.7MaX\n{ranks}{cycle}{end}"


def test_runs_that_were_corrected_or_cut_off_count(tmp_path):
    (tmp_path / "pw.in").write_text("")
    (tmp_path / "pw.out.1").write_text(pw_output(7, "     PWSCF        :   1m 3.50s CPU   1m10.00s WALL\n"))
    cut = "     total cpu time spent up to now is 2.5 secs\n     total cpu time spent up to now is 4.0 secs\n"
    (tmp_path / "pw.out.2").write_text(pw_output(3, cut))
    (tmp_path / "pw.out").write_text(
        pw_output(5, "     electrons    :  1.0s CPU 1.0s WALL\n     PWSCF : 2.00s CPU 3.0s WALL\n")
    )
    (tmp_path / "projwfc.in").write_text("")
    (tmp_path / "projwfc.out").write_text("     PROJWFC      :      0.50s CPU      0.60s WALL\n")
    (tmp_path / "pw.out.old").write_text(pw_output(99, ""))
    assert spent_in(tmp_path, "espresso") == {"runs": 4, "iterations": 15, "cpu_seconds": 70.0, "core_seconds": 139.5}


def test_runs_of_vasp_are_noted_before_they_are_written_over(tmp_path):
    assert spent_in(tmp_path, "vasp") == {"runs": 0, "iterations": 0, "cpu_seconds": 0, "core_seconds": 0}
    note_vasp_run(tmp_path)
    (tmp_path / "OSZICAR").write_text("       N       E\nDAV:   1   -0.5E+03\nRMM:   2   -0.5E+03\n   1 F= -.5E+03\n")
    (tmp_path / "OUTCAR").write_text("      LOOP:  cpu time    2.5: real\n      LOOP:  cpu time    1.5: real\n")
    note_vasp_run(tmp_path)
    (tmp_path / "OSZICAR").write_text("DAV:   1   -0.5E+03\n")
    (tmp_path / "OUTCAR").write_text(
        " running on    4 total cores\n      LOOP:  cpu time    2.5: real\n   Total CPU time used (sec):       10.0\n"
    )
    assert spent_in(tmp_path, "vasp") == {"runs": 2, "iterations": 3, "cpu_seconds": 14.0, "core_seconds": 44.0}


def test_a_result_carries_it_and_one_of_earlier_still_loads(tmp_path):
    result = made_up(spent={"runs": 2, "iterations": 20, "cpu_seconds": 9.0})
    result.save(tmp_path)
    again = Result.load(tmp_path)
    assert (again.all_iterations, again.all_cpu_seconds, again.iterations) == (20, 9.0, 8)
    made_up().save(tmp_path)
    old = Result.load(tmp_path)
    assert (old.spent, old.all_iterations, old.all_cpu_seconds) == ({}, 8, 5.0)
