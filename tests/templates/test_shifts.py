"""A site whose potential is shifted: what pw.x and VASP are given for it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from pymatgen.io.vasp import Incar

from heterodft.errors import InputError
from heterodft.structures import Block, assign_moments, build_material, build_superlattice
from heterodft.templates.espresso import write_espresso
from heterodft.templates.hubbard import HubbardU
from heterodft.templates.potcars import Potcar
from heterodft.templates.protocols import resolve_settings
from heterodft.templates.pseudopotentials import Pseudopotential
from heterodft.templates.setup import Setup
from heterodft.templates.shifts import PotentialShift
from heterodft.templates.vasp import write_vasp

VALENCES = {"Ni": 18.0, "O": 6.0}
PSEUDOS = {e: Pseudopotential(e, Path(f"/pseudos/{e}.upf"), "0" * 64, v, 4) for e, v in VALENCES.items()}
POTCARS = {e: Potcar(e, e, None, None, v, None) for e, v in {"Ni": 10.0, "O": 6.0}.items()}
OXIDE = build_superlattice([Block(build_material("NiO"), 2)], supercell=(2, 1))
NICKEL = [i for i, site in enumerate(OXIDE) if site.species_string == "Ni"]
MOMENTS = assign_moments(OXIDE, "FM", {"Ni": 2.0})
TRACKED = HubbardU("Ni", "3d", 0.0, tracked=True)

BARE_ELECTRONS = """\
&ELECTRONS
   conv_thr         = 8e-08
   electron_maxstep = 1
   mixing_beta      = 1.0
   startingpot      = 'file'
   scf_must_converge = .false.
   diago_thr_init   = 1e-10
/
"""
SCREENED_ELECTRONS = """\
&ELECTRONS
   conv_thr         = 8e-08
   electron_maxstep = 100
   mixing_beta      = 0.4
   startingpot      = 'file'
/
"""


def setup_of(code, step="shift", *, u=TRACKED, shift=None, **changes):
    settings = resolve_settings(OXIDE, step, code=code, protocol="fast")
    shift = PotentialShift(NICKEL[2], 0.05) if shift is None else shift
    made = Setup(code, OXIDE, step, settings, MOMENTS, (u,) if u else (), parent="static", shift=shift)
    return replace(made, **changes)


def pw(step="shift", *, version=(6, 7), **changes):
    return write_espresso(setup_of("espresso", step, **changes), PSEUDOS, version=version).files["pw.in"]


def vasp(step="shift", **changes):
    return write_vasp(setup_of("vasp", step, **changes), POTCARS).files


def test_the_shifted_site_has_a_species_of_its_own():
    species = setup_of("espresso").species
    assert [(s.label, s.alpha) for s in species.species] == [("Ni1", 0.0), ("O", 0.0), ("Ni2", 0.05)]
    assert [species.site_labels[i] for i in NICKEL] == ["Ni1", "Ni1", "Ni2", "Ni1"]


def test_before_7_5_the_shift_is_in_the_namelist_and_every_species_is_tracked():
    text = pw()
    assert "   hubbard_u(1)     = 1e-08\n   hubbard_u(3)     = 1e-08\n   hubbard_alpha(3) = 0.05\n" in text
    assert "hub_pot_fix" not in text
    between = pw(version=(7, 2))
    assert "hubbard_alpha(3) = 0.05\n" in between
    assert "ALPHA" not in between


def test_from_7_5_on_the_shift_is_in_the_card():
    text = pw(version=(7, 5))
    assert text.endswith("HUBBARD {ortho-atomic}\nU Ni1-3d 1e-08\nU Ni2-3d 1e-08\nALPHA Ni2-3d 0.05\n")
    assert "hubbard_alpha" not in text


def test_a_bare_shift_is_one_exact_iteration_in_the_density_that_was_handed_on():
    assert BARE_ELECTRONS in pw("shift-bare")
    assert SCREENED_ELECTRONS in pw("shift")
    assert "   calculation      = 'scf'\n" in pw("shift-bare")


def test_a_u_does_not_answer_the_shift():
    u = HubbardU("Ni", "3d", 5.0, tracked=True)
    assert "   hub_pot_fix      = .true.\n" in pw("shift", u=u)
    assert "hub_pot_fix" not in pw("shift-bare", u=u)  # its one iteration has the potential of the density


def test_other_steps_are_written_as_before():
    setup = replace(setup_of("espresso", "static"), shift=None, parent=None)
    text = write_espresso(setup, PSEUDOS).files["pw.in"]
    assert not {"hubbard_alpha", "scf_must_converge", "diago_thr_init", "startingpot"} & set(text.split())


def test_a_block_of_its_own_leaves_the_sites_in_the_order_of_the_density():
    files = vasp()
    lines = files["POSCAR"].splitlines()
    assert (lines[5], lines[6]) == ("Ni Ni Ni O", f"2 1 1 {len(OXIDE) - 4}")
    before = write_vasp(replace(setup_of("vasp", "static"), shift=None, parent=None), POTCARS).files
    assert json.loads(files["site_order.json"]) == json.loads(before["site_order.json"])


@pytest.mark.parametrize(("step", "icharg"), [("shift-bare", 11), ("shift", 1)])
def test_vasp_shifts_both_spins_of_one_block(step, icharg):
    incar = Incar.from_str(vasp(step)["INCAR"])
    assert (incar["LDAU"], incar["LDAUTYPE"], incar["ICHARG"], incar["ISTART"]) == (True, 3, icharg, 0)
    assert incar["LDAUL"] == [-1, 2, -1, -1]
    assert incar["LDAUU"] == incar["LDAUJ"] == [0, 0.05, 0, 0]
    assert (incar["LMAXMIX"], incar["LORBIT"]) == (4, 11)


def test_vasp_cannot_shift_beside_a_u():
    with pytest.raises(InputError, match=r"VASP shifts a site .LDAUTYPE 3. only without U, and Ni has one"):
        vasp(u=HubbardU("Ni", "3d", 5.0))


@pytest.mark.parametrize("write", [pw, vasp])
@pytest.mark.parametrize(
    ("step", "changes", "message"),
    [
        ("shift", {"shift": PotentialShift(99, 0.05)}, "site 99 is not one of the"),
        ("shift", {"shift": PotentialShift(NICKEL[0], 0.0)}, "a shift of 0 eV; give one of up to 1 eV that is not 0"),
        ("shift", {"shift": PotentialShift(NICKEL[0], -3.0)}, "a shift of -3 eV; give one of up to 1 eV"),
        ("shift", {"u": None}, "has no Hubbard orbitals to shift; give its element a U, or track it"),
        ("static", {}, "static takes no shift of a potential; only shift-bare and shift do"),
    ],
)
def test_a_shift_that_means_nothing_is_refused_in_one_line(write, step, changes, message):
    with pytest.raises(InputError, match=message):
        write(step, **changes)


def test_a_step_for_shifts_needs_one():
    with pytest.raises(InputError, match="shift: no site is shifted; give a site and eV"):
        write_espresso(replace(setup_of("espresso"), shift=None), PSEUDOS)


def test_noncollinear_shifts_are_refused():
    with pytest.raises(InputError, match="shifts of noncollinear runs are not written"):
        pw(directions=[(0.0, 0.0, 1.0)] * len(OXIDE))
