from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heterodft.templates.espresso_edit import edit_namelists, read_value
from heterodft.workflows.custodians.corrections import (
    apply_actions,
    corrected_so_far,
    corrections_of,
    read_corrections,
    recorded_changes,
)

INPUT = """\
&CONTROL
   calculation      = 'relax'
/
&SYSTEM
   nat              = 2
/
&ELECTRONS
   mixing_beta      = 0.4
   startingpot      = 'file'
/
ATOMIC_SPECIES
Cr1    51.9961 Cr.upf
O      15.9994 O.upf

CELL_PARAMETERS angstrom
    3.0000000000      0.0000000000      0.0000000000
    0.0000000000      3.0000000000      0.0000000000
    0.0000000000      0.0000000000      3.0000000000

ATOMIC_POSITIONS crystal
Cr1    0.0000000000    0.0000000000    0.0000000000
O      0.5000000000    0.5000000000    0.5000000000  0  0  1

K_POINTS automatic
1 1 1 0 0 0
"""
MOVED = """\
CELL_PARAMETERS (angstrom)
   2.900000000   0.000000000   0.000000000
   0.000000000   2.900000000   0.000000000
   0.000000000   0.000000000   3.100000000

ATOMIC_POSITIONS (crystal)
Cr1           0.0000000000        0.0000000000       -0.0100000000
O             0.5000000000        0.5000000000        0.5200000000    0   0   1
End final coordinates
"""
CUT = "\nATOMIC_POSITIONS (crystal)\nCr1           0.3000000000        0.0000000000        0.1\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pw.in").write_text(INPUT)
    return tmp_path


def entry(*actions, errors=("SCF not converged",), before=None, file="pw.in"):
    data = [{"dict": file, "action": action} for action in actions] or None
    correction = {"errors": list(errors), "actions": data, "before": before or {}}
    return {"job": {"file": file}, "corrections": [correction]}


def log(folder, *entries):
    (folder / "custodian.json").write_text(json.dumps(entries))


def asked(folder, *names):
    text = (folder / "pw.in").read_text()
    return [read_value(text, name) for name in names]


def test_values_are_set_and_removed_and_what_was_there_is_told(folder):
    action = {"_set": {"electrons->mixing_beta": 0.2, "ions->trust_radius_ini": 0.1}, "_unset": ["system->nat"]}
    before = apply_actions(folder, [{"dict": "pw.in", "action": action}])
    assert before == {"electrons->mixing_beta": "0.4", "ions->trust_radius_ini": None, "system->nat": "2"}
    assert asked(folder, "electrons->mixing_beta", "ions->trust_radius_ini", "system->nat") == ["0.2", "0.1", None]


def test_a_new_namelist_stands_where_pw_reads_it():
    text = edit_namelists(INPUT, {"cell->press": 1.0, "ions->upscale": 1.0})
    names = ("&CONTROL", "&SYSTEM", "&ELECTRONS", "&IONS", "&CELL", "ATOMIC_SPECIES")
    assert [text.index(name) for name in names] == sorted(text.index(name) for name in names)
    assert (
        edit_namelists(text, {"cell->press": None, "ions->upscale": None})
        .replace("&IONS\n/\n", "")
        .replace("&CELL\n/\n", "")
        == INPUT
    )


@pytest.mark.parametrize(
    ("where", "density", "mode", "startingpot"),
    [
        ("checkpoint", True, "restart", None),
        ("scratch", True, None, None),
        ("density", True, None, "file"),
        ("density", False, None, None),
        ("positions", True, None, "file"),
        ("positions", False, None, None),
    ],
)
def test_a_run_goes_on_from_where_it_is_told(folder, where, density, mode, startingpot):
    if density:
        (folder / "pwscf.save").mkdir()
        (folder / "pwscf.save" / "charge-density.dat").touch()
    (folder / "pw.out").write_text(MOVED)
    apply_actions(folder, [{"dict": "pw.in", "action": {"_continue": where}}])
    assert asked(folder, "control->restart_mode", "electrons->startingpot") == [mode, startingpot]
    assert ("0.5200000000" in (folder / "pw.in").read_text()) == (where == "positions")


def test_the_last_structure_printed_whole_is_taken_and_labels_and_fixed_atoms_stay(folder):
    (folder / "pw.out").write_text(MOVED + CUT)
    apply_actions(folder, [{"dict": "pw.in", "action": {"_continue": "positions"}}])
    text = (folder / "pw.in").read_text()
    assert "Cr1    0.0000000000    0.0000000000   -0.0100000000\n" in text
    assert "O      0.5000000000    0.5000000000    0.5200000000  0  0  1\n" in text
    assert "3.1000000000" in text


def test_a_run_that_never_moved_starts_from_its_own_positions(folder):
    (folder / "pw.out").write_text("     iteration #  1\n")
    apply_actions(folder, [{"dict": "pw.in", "action": {"_continue": "positions"}}])
    assert (folder / "pw.in").read_text() == edit_namelists(INPUT, {"electrons->startingpot": None})


NAMES = st.sampled_from(
    [
        "control->nstep",
        "system->nbnd",
        "electrons->mixing_beta",
        "electrons->mixing_mode",
        "ions->upscale",
        "cell->press",
    ]
)
VALUES = st.one_of(
    st.booleans(),
    st.integers(-1000, 1000),
    st.floats(1e-12, 1e6, allow_nan=False),
    st.text("abcdefgh-", min_size=1, max_size=8),
)


def _other_lines(text, changed):
    keys = {name.partition("->")[2] for name in changed}
    kept = [line for line in text.splitlines() if line.partition("=")[0].strip() not in keys]
    return [line for number, line in enumerate(kept) if line not in ("&IONS", "&CELL") and not _closes(kept, number)]


def _closes(lines, number):
    """Tell whether a line closes a namelist that may have been added."""
    opened = [line for line in lines[:number] if line.startswith("&")]
    return lines[number] == "/" and bool(opened) and opened[-1] in ("&IONS", "&CELL")


@settings(max_examples=80, deadline=None)
@given(st.dictionaries(NAMES, VALUES, max_size=6))
def test_what_is_set_is_read_back_and_no_other_line_changes(tmp_path_factory, changes):
    folder = tmp_path_factory.mktemp("any")
    (folder / "pw.in").write_text(INPUT)
    apply_actions(folder, [{"dict": "pw.in", "action": {"_set": changes}}])
    text = (folder / "pw.in").read_text()
    assert _other_lines(text, changes) == _other_lines(INPUT, changes)
    for name, value in changes.items():
        written = read_value(text, name)
        if isinstance(value, bool):
            assert written == (".true." if value else ".false.")
        else:
            assert type(value)(written) == value
    assert apply_actions(folder, [{"dict": "pw.in", "action": {"_set": changes}}]) == {
        name: read_value(text, name) for name in changes
    }


def test_earlier_changes_are_kept_and_what_told_a_run_where_to_start_is_not(folder):
    log(
        folder,
        entry({"_set": {"electrons->mixing_beta": 0.32, "control->calculation": "scf"}, "_continue": "checkpoint"}),
        entry({"_set": {"electrons->mixing_beta": 0.256}, "_unset": ["control->restart_mode", "system->nosym"]}),
        entry({"_set": {"plot->iflag": 3}}, file="charge.in"),
        entry(),
        {"job": {"file": "pw.in"}, "corrections": []},
    )
    assert recorded_changes(folder, "pw.in") == {"electrons->mixing_beta": 0.256, "system->nosym": None}
    assert recorded_changes(folder, "charge.in") == {"plot->iflag": 3}
    assert len(read_corrections(folder)) == 3


def test_what_an_unfinished_calculation_was_corrected_for_is_told_once(folder):
    more = {"_set": {"electrons->electron_maxstep": 200}}
    log(folder, entry(more), entry(errors=("no cure",)))
    assert corrected_so_far(folder) == "corrected once until then: SCF not converged"
    log(folder, entry(more), entry(more, errors=("the SCF cycle oscillates",)), entry(more))
    words = "corrected 3 times until then: SCF not converged, the SCF cycle oscillates"
    assert corrected_so_far(folder) == words


def test_a_folder_without_a_history_has_no_corrections(tmp_path):
    assert corrections_of(tmp_path) == []
    assert corrected_so_far(tmp_path) == ""
    assert recorded_changes(tmp_path, "pw.in") == {}
    (tmp_path / "custodian.json").write_text('[{"job"')
    assert corrections_of(tmp_path) == []


@pytest.mark.parametrize(
    ("action", "touches"),
    [
        ({"_set": {"electrons->mixing_beta": 0.3}}, []),
        ({"_set": {"system->nbnd": 30}}, []),
        ({"_set": {"system->degauss": 0.02}}, ["smearing"]),
        ({"_set": {"system->occupations": "smearing"}}, ["smearing"]),
        ({"_set": {"system->ecutrho": 400}}, ["cutoff"]),
        ({"_set": {"system->nosym": True}}, ["symmetry"]),
        ({"_unset": ["system->noinv"]}, ["symmetry"]),
        ({"_set": {"K_POINTS": "2 2 2 0 0 0"}}, ["k-points"]),
        ({"_set": {"SIGMA": 0.1, "ISMEAR": 0}}, ["smearing"]),
        ({"_set": {"ENCUT": 600, "ISYM": 0}}, ["cutoff", "symmetry"]),
        ({"_continue": "checkpoint"}, []),
    ],
)
def test_what_makes_energies_incomparable_is_named(folder, action, touches):
    log(folder, entry(action))
    assert corrections_of(folder)[0]["touches"] == touches


def test_another_mesh_of_vasp_touches_the_k_points(folder):
    log(folder, entry({"_set": {"kpoints": [[2, 2, 2]]}}, file="KPOINTS") | {"job": {"vasp_cmd": ["vasp_std"]}})
    (correction,) = read_corrections(folder)
    assert (correction.program, correction.touches) == ("KPOINTS", ("k-points",))


def test_a_correction_keeps_the_value_before(folder):
    log(folder, entry({"_set": {"electrons->mixing_beta": 0.32}}, before={"electrons->mixing_beta": "0.4"}))
    assert corrections_of(folder) == [
        {
            "program": "pw.x",
            "errors": ["SCF not converged"],
            "changes": {"electrons->mixing_beta": [0.4, 0.32]},
            "touches": [],
        }
    ]


def test_nothing_but_the_input_is_left_behind(folder):
    apply_actions(folder, [{"dict": "pw.in", "action": {"_set": {"electrons->mixing_beta": 1.0}}}])
    assert [path.name for path in folder.iterdir()] == ["pw.in"]
