from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from heterodft.errors import InputError, ProgramNotFoundError
from heterodft.structures import Block, assign_moments, build_material, build_superlattice
from heterodft.templates.electrons import band_count, electron_count
from heterodft.templates.espresso import program_of, program_version, write_espresso
from heterodft.templates.hubbard import HubbardU, StartingOccupations
from heterodft.templates.protocols import resolve_settings
from heterodft.templates.pseudopotentials import Pseudopotential
from heterodft.templates.setup import Setup

VALENCES = {"Sr": 10.0, "La": 11.0, "Ti": 12.0, "Al": 3.0, "O": 6.0}
PSEUDOS = {e: Pseudopotential(e, Path(f"/pseudos/{e}.upf"), "0" * 64, v, 4) for e, v in VALENCES.items()}
STRUCTURE = build_superlattice(
    [Block(build_material("SrTiO3"), 1), Block(build_material("LaAlO3"), 1)], in_plane="SrTiO3"
)
MOMENTS = assign_moments(STRUCTURE, "FM", {"Ti": 1.0})
U = HubbardU("Ti", "3d", 4.0)

STATIC = """\
&CONTROL
   calculation      = 'scf'
   prefix           = 'pwscf'
   outdir           = './'
   pseudo_dir       = '/pseudos'
   verbosity        = 'high'
/
&SYSTEM
   ibrav            = 0
   nat              = 10
   ecutwfc          = 40.0
   ecutrho          = 160.0
   nbnd             = 45
   nspin            = 2
   occupations      = 'smearing'
   smearing         = 'mv'
   degauss          = 0.01
   ntyp             = 5
   starting_magnetization(1) = 0.0
   starting_magnetization(2) = 0.0
   starting_magnetization(3) = 0.083333
   starting_magnetization(4) = 0.0
   starting_magnetization(5) = 0.0
   lda_plus_u       = .true.
   u_projection_type = 'ortho-atomic'
   hubbard_u(3)     = 4.0
/
&ELECTRONS
   conv_thr         = 1e-07
   electron_maxstep = 100
   mixing_beta      = 0.4
/
ATOMIC_SPECIES
Sr     87.6200 Sr.upf
O      15.9994 O.upf
Ti     47.8670 Ti.upf
La    138.9055 La.upf
Al     26.9815 Al.upf

CELL_PARAMETERS angstrom
    3.9050000000      0.0000000000      0.0000000000
    0.0000000000      3.9050000000      0.0000000000
    0.0000000000      0.0000000000      7.4750603153

ATOMIC_POSITIONS crystal
Sr     0.0000000000    0.0000000000    0.0000000000
O      0.5000000000    0.5000000000    0.0000000000
Ti     0.5000000000    0.5000000000    0.2612019058
O      0.5000000000    0.0000000000    0.2612019058
O      0.0000000000    0.5000000000    0.2612019058
La     0.0000000000    0.0000000000    0.5112019058
O      0.5000000000    0.5000000000    0.5112019058
Al     0.5000000000    0.5000000000    0.7500000000
O      0.5000000000    0.0000000000    0.7500000000
O      0.0000000000    0.5000000000    0.7500000000

K_POINTS automatic
2 2 1 1 1 0
"""

DOS = (
    STATIC.replace("'scf'", "'nscf'")
    .replace("nbnd             = 45", "nbnd             = 52")
    .replace("'smearing'\n   smearing         = 'mv'\n   degauss          = 0.01\n", "'tetrahedra'\n")
    .replace("2 2 1 1 1 0", "3 3 2 0 0 0")
)

PROJWFC = """\
&PROJWFC
   prefix           = 'pwscf'
   outdir           = './'
   filpdos          = 'pwscf'
   deltae           = 0.02
/
"""


def settings(step="static", **changes):
    return resolve_settings(STRUCTURE, step, protocol="fast", given=[("campaign", changes)])


def write(
    step="static",
    *,
    structure=STRUCTURE,
    moments=MOMENTS,
    hubbard=(U,),
    version=(6, 7),
    pseudos=PSEUDOS,
    **changes,
):
    setup = Setup("espresso", structure, step, settings(step, **changes), moments, hubbard)
    return write_espresso(setup, pseudos, version=version).files


def namelists(text):
    """Values of a file by namelist and key, as text; keys in lower case."""
    found = {}
    for name, body in re.findall(r"&(\w+)\n(.*?)^/", text, re.DOTALL | re.MULTILINE):
        found[name.lower()] = {
            k.strip().lower(): v.strip() for k, v in (line.split("=") for line in body.splitlines())
        }
    return found


def test_the_inputs_of_the_demonstration_are_these():
    assert write("static") == {"pw.in": STATIC}
    assert write("dos") == {"pw.in": DOS, "projwfc.in": PROJWFC}


def test_there_is_an_input_for_every_program_of_a_step():
    programs = {"static": ["pw.x"], "dos": ["pw.x", "projwfc.x"], "bands": ["pw.x", "projwfc.x"]}
    programs |= {"potential": ["pp.x"], "charge": ["pp.x", "pp.x"], "relax": ["pw.x"], "relax-coarse": ["pw.x"]}
    for step, expected in programs.items():
        assert [program_of(name) for name in write(step)] == expected


def test_ase_reads_back_the_cell_and_the_moments(tmp_path):
    from ase.io import read

    path = tmp_path / "pw.in"
    path.write_text(write()["pw.in"])
    atoms = read(path, format="espresso-in")
    np.testing.assert_allclose(atoms.cell[:], STRUCTURE.lattice.matrix, atol=1e-9)
    np.testing.assert_allclose(atoms.positions, STRUCTURE.cart_coords, atol=1e-8)
    assert atoms.get_chemical_symbols() == [site.species_string for site in STRUCTURE]


@pytest.mark.parametrize("version", [(7, 1), (7, 2), (8, 0)])
def test_from_7_1_on_u_is_a_card(version):
    text = write(version=version)["pw.in"]
    assert text.endswith("\nHUBBARD {ortho-atomic}\nU Ti-3d 4\n")
    assert "lda_plus_u" not in text
    assert "hubbard_u(" not in text


@pytest.mark.parametrize("version", [(6, 7), (7, 0)])
def test_up_to_7_0_u_is_in_the_namelist(version):
    text = write(version=version)["pw.in"]
    assert "HUBBARD" not in text
    assert namelists(text)["system"]["hubbard_u(3)"] == "4.0"


@pytest.mark.parametrize("version", [(6, 7), (7, 2)])
@pytest.mark.parametrize("hubbard", [(), (HubbardU("Ti", "3d", 0.0),)])
def test_without_u_nothing_speaks_of_it(version, hubbard):
    assert not re.search("hubbard|lda_plus_u", write(version=version, hubbard=hubbard)["pw.in"], re.IGNORECASE)


def test_each_species_of_an_element_gets_its_u():
    pair = build_superlattice([Block(build_material("SrTiO3"), 2)])
    moments = [float(site.species_string == "Ti") * (1 if i < 5 else -1) for i, site in enumerate(pair)]
    old = write(structure=pair, moments=moments)["pw.in"]
    new = write(structure=pair, moments=moments, version=(7, 2))["pw.in"]
    system = namelists(old)["system"]
    assert {k: v for k, v in system.items() if "hubbard_u" in k} == {"hubbard_u(3)": "4.0", "hubbard_u(4)": "4.0"}
    assert (system["starting_magnetization(3)"], system["starting_magnetization(4)"]) == ("0.083333", "-0.083333")
    assert new.endswith("HUBBARD {ortho-atomic}\nU Ti1-3d 4\nU Ti2-3d 4\n")
    assert "\nTi1    47.8670 Ti.upf\nTi2    47.8670 Ti.upf\n" in old


def test_two_shells_of_one_element_are_both_written_or_refused():
    two = (U, HubbardU("Ti", "3p", 2.0))
    try:
        text = write(hubbard=two, version=(7, 2))["pw.in"]
    except InputError:
        return
    assert "U Ti-3d 4\n" in text
    assert "U Ti-3p 2\n" in text


def test_the_starting_magnetization_is_the_moment_over_the_valence():
    for moment in (0.5, 1.0, -3.0):
        moments = [moment * (site.species_string == "Ti") for site in STRUCTURE]
        value = namelists(write(moments=moments)["pw.in"])["system"]["starting_magnetization(3)"]
        assert float(value) * 12 == pytest.approx(moment, abs=1e-5)


def test_a_moment_beyond_the_valence_is_refused():
    moments = [3.0 * (site.species_string == "Al") for site in STRUCTURE]
    with pytest.raises(InputError, match="3 μB on Al exceeds its 3 valence electrons; give a smaller moment"):
        write(moments=moments)


def test_without_moments_the_run_is_not_spin_polarized():
    system = namelists(write(moments=None)["pw.in"])["system"]
    assert system["nspin"] == "1"
    assert not any("starting_magnetization" in key for key in system)


def test_electrons_are_counted_from_the_pseudopotentials():
    setup = Setup("espresso", STRUCTURE, "static", settings())
    assert electron_count(setup, PSEUDOS) == 10 + 12 + 11 + 3 + 6 * 6
    assert electron_count(replace(setup, charge=2), PSEUDOS) == 70


@pytest.mark.parametrize(
    ("electrons", "fraction", "moment", "bands"),
    [
        (72, 0.2, 0.0, 36 + 8),
        (72, 0.2, 1.0, 37 + 8),  # 36.5 bands hold the majority spin
        (72, 0.2, -1.0, 37 + 8),
        (72, 0.5, 0.0, 36 + 18),
        (8, 0.2, 0.0, 4 + 4),  # at least four
        (7, 0.0, 0.0, 4 + 4),
        (40, 1.0, 4.0, 22 + 22),
    ],
)
def test_bands_hold_the_majority_spin_and_a_share_of_empty_ones(electrons, fraction, moment, bands):
    setup = Setup("espresso", STRUCTURE, "static", replace(settings(), empty_bands=fraction), [moment])
    assert band_count(setup, electrons) == bands
    spinors = replace(setup, moments=None, spin_orbit=True)
    assert band_count(spinors, electrons) == 2 * band_count(replace(spinors, spin_orbit=False), electrons)


def test_energies_are_written_in_rydberg():
    text = write(cutoff=816.3415873796, smearing_width=0.272113862, scf_tolerance=1.3605693e-9)["pw.in"]
    found = namelists(text)
    assert (found["system"]["ecutwfc"], found["system"]["ecutrho"]) == ("60.0", "240.0")
    assert float(found["system"]["degauss"]) == pytest.approx(0.02)
    assert float(found["electrons"]["conv_thr"]) == pytest.approx(1e-9)  # 1e-10 Ry an atom, ten atoms


@pytest.mark.parametrize(
    ("kind", "name"),
    [("cold", "mv"), ("gaussian", "gauss"), ("fermi-dirac", "fd"), ("methfessel-paxton", "mp")],
)
def test_smearings_go_by_the_names_of_pw(kind, name):
    assert namelists(write(smearing=kind)["pw.in"])["system"]["smearing"] == f"'{name}'"


def test_raw_settings_go_into_the_namelist_that_documents_them():
    raw = {"nosym": True, "mixing_mode": "local-TF", "tprnfor": True, "upscale": 50}
    found = namelists(write(raw=raw)["pw.in"])
    assert found["system"]["nosym"] == ".true."
    assert found["electrons"]["mixing_mode"] == "'local-TF'"
    assert found["control"]["tprnfor"] == ".true."
    assert found["ions"]["upscale"] == "50"


def test_a_raw_setting_that_has_a_name_of_ours_says_which():
    with pytest.raises(InputError, match="espresso: conv_thr is called scf_tolerance in method"):
        write(raw={"conv_thr": 1e-9})


def test_an_unknown_raw_setting_is_told_with_a_near_match():
    with pytest.raises(
        InputError, match=r"espresso: pw.x has no setting 'mixing_betta'; did you mean 'mixing_beta'?"
    ):
        write(raw={"mixing_betta": 0.1})


@pytest.mark.parametrize("key", ["nspin", "starting_magnetization(1)", "nat", "input_dft", "tot_charge"])
def test_a_raw_setting_that_contradicts_the_request_is_refused(key):
    with pytest.raises(InputError, match=f"espresso: {re.escape(key)} = 1 contradicts the request: .*force"):
        write(raw={key: 1})


def test_a_raw_setting_that_says_what_the_request_says_is_taken():
    assert write(raw={"nspin": 2, "ecutwfc": 40.0, "smearing": "MV"}) == write()


def test_a_forced_setting_wins_over_the_request_but_not_over_the_runner():
    system = namelists(write(forced={"ecutwfc": 30, "starting_magnetization(1)": 0.2, "nbnd": 99})["pw.in"])["system"]
    assert (system["ecutwfc"], system["starting_magnetization(1)"], system["nbnd"]) == ("30", "0.2", "99")
    with pytest.raises(InputError, match="force: prefix is the program's own to write; leave it out"):
        write(forced={"prefix": "mine"})


@pytest.mark.parametrize("key", ["Hubbard_U(3)", "hubbard_u(3)", "lda_plus_u"])
def test_a_contradicting_raw_setting_is_refused_in_any_case_and_version(key):
    with pytest.raises(InputError, match=f"espresso: {re.escape(key)} = 1 contradicts the request"):
        write(raw={key: 1})


def test_a_raw_setting_may_be_spelled_as_in_the_manual_of_pw():
    assert namelists(write(raw={"Hubbard_alpha(3)": 0.05})["pw.in"])["system"]["hubbard_alpha(3)"] == "0.05"


def test_a_pseudopotential_without_wavefunctions_is_refused_for_u_and_projections():
    bare = PSEUDOS | {"Ti": replace(PSEUDOS["Ti"], wavefunctions=0)}
    with pytest.raises(InputError, match=r"/pseudos/Ti.upf has no atomic wavefunctions, which Hubbard U need"):
        write(pseudos=bare)
    with pytest.raises(InputError, match=r"/pseudos/Ti.upf has no atomic wavefunctions, which projections need"):
        write("dos", pseudos=bare, hubbard=())
    assert write(pseudos=bare, hubbard=())["pw.in"]


def test_u_that_the_version_would_drop_or_on_an_absent_element_is_refused():
    with pytest.raises(InputError, match=r"pw.x 6.7 cannot put U on Sr-4d"):
        write(hubbard=(HubbardU("Sr", "4d", 2.0),))
    with pytest.raises(InputError, match="Ta-5d on a structure without Ta"):
        write(hubbard=(HubbardU("Ta", "5d", 2.0),), version=(7, 2))


def test_an_unwritten_functional_and_scattered_pseudopotentials_are_refused():
    with pytest.raises(InputError, match="method: functional SCAN is not written yet"):
        write_espresso(Setup("espresso", STRUCTURE, "static", replace(settings(), xc="SCAN")), PSEUDOS)
    scattered = PSEUDOS | {"O": replace(PSEUDOS["O"], path=Path("/other/O.upf"))}
    with pytest.raises(InputError, match=r"pseudopotentials in 2 folders \(/other, /pseudos\); use one"):
        write(pseudos=scattered)


def test_a_small_raw_tolerance_is_not_taken_for_another_one():
    with pytest.raises(InputError, match="espresso: conv_thr is called scf_tolerance in method"):
        write(raw={"conv_thr": 1e-12})


def test_ultrasoft_pseudopotentials_need_a_density_cutoff_of_their_own():
    soft = PSEUDOS | {"O": replace(PSEUDOS["O"], kind="PAW")}
    with pytest.raises(InputError, match=r"/pseudos/O.upf is PAW: its density needs about ten times the cutoff"):
        write(pseudos=soft)
    assert write(pseudos=soft, density_cutoff=10 * 40 * 13.605693)["pw.in"]


def test_starting_occupations_follow_the_sign_of_the_moment_and_need_one():
    start = StartingOccupations((1.0, 0.0, 0.0, 0.0, 0.0), (0.0,) * 5)
    u = HubbardU("Ti", "3d", 4.0, start=start)
    up, down = (
        namelists(write(moments=[sign * m for m in MOMENTS], hubbard=(u,))["pw.in"])["system"] for sign in (1, -1)
    )
    key = "starting_ns_eigenvalue(1,{},3)"
    assert (up[key.format(1)], up[key.format(2)]) == (down[key.format(2)], down[key.format(1)]) == ("1.0", "0.0")
    with pytest.raises(InputError, match="occupations up and down need an order with moments"):
        write(moments=None, hubbard=(u,))


def test_the_height_of_a_cube_relaxes_without_its_symmetry():
    cube = build_superlattice([Block(build_material("SrTiO3"), 1)])
    for cell, expected in (("c", ".true."), ("fixed", None)):
        setup = Setup("espresso", cube, "relax", resolve_settings(cube, "relax", given=[("step", {"cell": cell})]))
        assert namelists(write_espresso(setup, PSEUDOS).files["pw.in"])["system"].get("nosym") == expected


def script(tmp_path, body):
    path = tmp_path / "pw.x"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def test_the_version_is_read_from_the_banner_of_pw_even_though_it_fails(tmp_path):
    program = script(tmp_path, "echo '     Program PWSCF v.7.3.1 starts on ...'; exit 1")
    assert program_version(program) == (7, 3)


def test_a_missing_or_other_program_is_told(tmp_path):
    with pytest.raises(ProgramNotFoundError, match=r"gone/pw.x is not installed or not on PATH; .*apt-get install"):
        program_version(str(tmp_path / "gone" / "pw.x"))
    with pytest.raises(ProgramNotFoundError, match=r"does not print a version of pw.x"):
        program_version(script(tmp_path, "echo hello"))


def test_a_program_that_only_takes_too_long_is_not_called_missing(tmp_path, monkeypatch):
    monkeypatch.setattr("heterodft.templates.espresso_version._LONGEST", 0.2)
    with pytest.raises(ProgramNotFoundError, match=r"did not answer within 0.2 s .*overloaded; try again") as caught:
        program_version(script(tmp_path, "exec sleep 20"))
    assert "reinstall" not in str(caught.value)


@pytest.mark.espresso
def test_the_real_pw_tells_its_version_and_leaves_no_file(pw, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    program_version.cache_clear()
    assert (6, 0) < program_version(pw) < (9, 0)
    assert list(tmp_path.iterdir()) == []
