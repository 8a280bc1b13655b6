"""Where a calculation with pw.x goes on, told from what is in its folder."""

from __future__ import annotations

import json

import pytest

from heterodft.errors import CalculationError
from heterodft.workflows.continuation import WantedInput, choose_start, ended_well, next_start, refuse_standstill

RELAX = "&CONTROL\n   calculation      = 'relax'\n/\n&SYSTEM\n   nat              = 1\n/\n&ELECTRONS\n/\n&IONS\n/\n"
CARDS = "CELL_PARAMETERS angstrom\n 4.0 0.0 0.0\n 0.0 4.0 0.0\n 0.0 0.0 4.0\nATOMIC_POSITIONS crystal\nO 0 0 0\n"
SCF = RELAX.replace("'relax'", "'scf'")
ENERGY = "!    total energy              =    -32.0 Ry\n     estimated scf accuracy    <       1.0E-09 Ry\n"
MOVED = "ATOMIC_POSITIONS (crystal)\nO             0.1000000000        0.0000000000        0.0000000000\n"
TIME = "     Maximum CPU time exceeded\n"
LOST = """\
     estimated scf accuracy    <       9.0 Ry
     End of self-consistent calculation
     convergence NOT achieved after 100 iterations: stopping
"""
DONE = "   JOB DONE.\n"


def wanted(folder, text):
    return WantedInput("pw.in", text + CARDS)


def attempted(folder, each, *outputs, density=True, bfgs=False):
    """Write what attempts at an input left, the newest output last."""
    (folder / "pw.in").write_text(each.text)
    jobs = [{"job": {"file": "pw.in", "asked": each.asked, "start": "scratch"}, "corrections": []}]
    (folder / "custodian.json").write_text(json.dumps(jobs))
    for number, text in enumerate(outputs[:-1], start=1):
        (folder / f"pw.out.{number}").write_text(text)
    (folder / "pw.out").write_text(outputs[-1])
    (folder / "pwscf.save").mkdir()
    if density:
        (folder / "pwscf.save" / "charge-density.dat").write_bytes(b"rho")
    if bfgs:
        (folder / "pwscf.bfgs").write_text("history")
    return each


@pytest.mark.parametrize(
    ("text", "output", "left", "start"),
    [
        (SCF, TIME + DONE, {}, "checkpoint"),
        (SCF, TIME + DONE, {"density": False}, "scratch"),
        (SCF, "     iteration #  7\n", {}, "scratch"),  # killed: pw.x leaves nothing inside a cycle
        (SCF, LOST + DONE, {}, "scratch"),
        (SCF, LOST.replace("9.0", "0.001") + DONE, {}, "checkpoint"),
        (RELAX, ENERGY + MOVED + LOST + DONE, {"bfgs": True}, "positions"),
        (RELAX, ENERGY + MOVED, {"bfgs": True}, "checkpoint"),  # killed after a step
        (RELAX, ENERGY + MOVED, {}, "positions"),
        (RELAX, ENERGY, {}, "scratch"),
        (RELAX.replace("relax", "vc-relax"), ENERGY + MOVED + TIME + DONE, {"bfgs": True}, "positions"),
        (RELAX.replace("relax", "vc-relax"), TIME + DONE, {}, "checkpoint"),
    ],
)
def test_where_it_goes_on(tmp_path, text, output, left, start):
    each = attempted(tmp_path, wanted(tmp_path, text), output, **left)
    assert choose_start(tmp_path, each) == start
    assert not ended_well(tmp_path, each)


def test_an_attempt_that_printed_nothing_leaves_nothing_to_go_on_from(tmp_path):
    each = attempted(tmp_path, wanted(tmp_path, SCF), "")
    (tmp_path / "pw.out").unlink()
    assert choose_start(tmp_path, each) == "scratch"
    assert next_start(tmp_path, each, "checkpoint") is None
    assert not ended_well(tmp_path, each)


def test_another_input_starts_from_scratch(tmp_path):
    attempted(tmp_path, wanted(tmp_path, SCF), TIME + DONE)
    assert choose_start(tmp_path, wanted(tmp_path, SCF.replace("scf", "nscf"))) == "scratch"


def test_positions_are_found_in_an_earlier_output(tmp_path):
    each = attempted(tmp_path, wanted(tmp_path, RELAX), ENERGY + MOVED, "     starts\n")
    assert choose_start(tmp_path, each) == "positions"


@pytest.mark.parametrize(
    ("text", "outputs", "start", "then"),
    [
        (SCF, [""], "checkpoint", "scratch"),
        (SCF, ["%%%\n     Error in routine read_rhog (1):\n     error reading file\n%%%\n"], "checkpoint", "scratch"),
        (SCF, [TIME + DONE], "checkpoint", None),
        (SCF, [""], "scratch", None),
        (RELAX, [ENERGY + MOVED, ""], "checkpoint", "positions"),
        (RELAX, [ENERGY + MOVED, ENERGY], "positions", None),
    ],
)
def test_a_start_that_turns_out_to_be_bad_is_followed_by_an_earlier_one(tmp_path, text, outputs, start, then):
    each = attempted(tmp_path, wanted(tmp_path, text), *outputs)
    assert next_start(tmp_path, each, start) == then


def test_a_time_that_is_too_short_for_anything_is_told(tmp_path):
    each = attempted(tmp_path, wanted(tmp_path, SCF), *[TIME + DONE] * 3)
    refuse_standstill(tmp_path, each)
    (tmp_path / "pw.out.3").write_text(TIME + DONE)
    (tmp_path / "pw.in").write_text(each.text.replace("&CONTROL\n", "&CONTROL\n   max_seconds      = 50\n"))
    with pytest.raises(CalculationError, match="gets nowhere within 50 s, 4 times now; give a longer walltime"):
        refuse_standstill(tmp_path, each)


@pytest.mark.parametrize(
    "sign", ["     Calculation restarted from kpoint #     9\n", "     estimated scf accuracy    < 1.0 Ry\n"]
)
def test_a_little_way_is_no_standstill(tmp_path, sign):
    each = attempted(tmp_path, wanted(tmp_path, SCF), TIME + DONE, TIME + DONE, TIME + DONE, sign + TIME + DONE)
    refuse_standstill(tmp_path, each)


def test_the_last_cycle_of_a_relaxed_cell_counts(tmp_path):
    """The cycles before it converged, and so did the cell, but the energy is that of this one."""
    each = wanted(tmp_path, RELAX.replace("relax", "vc-relax"))
    converged = "     convergence has been achieved in   8 iterations\n"
    output = ENERGY + converged + MOVED + "     End of BFGS Geometry Optimization\n"
    output += "     Final scf calculation at the relaxed structure.\n"
    attempted(tmp_path, each, output + TIME + DONE)
    assert not ended_well(tmp_path, each)
    (tmp_path / "pw.out").write_text(output + ENERGY + converged + DONE)
    assert ended_well(tmp_path, each)
