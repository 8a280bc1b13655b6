"""What files of other people's runs of VASP taught: each case is a small synthetic file."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic_grids import cell, vasp_file, wave
from synthetic_vasp import Run, outcar, shell_table

from heterodft.analysis.readers.grid_files import read_grids
from heterodft.analysis.readers.vasp.assembly import read_vasp
from heterodft.analysis.readers.vasp.grids import read_vasp_grids
from heterodft.analysis.readers.vasp.kpoint_mesh import mesh_of
from heterodft.analysis.readers.vasp.method import VaspSettings, method_of, without_cycle
from heterodft.analysis.readers.vasp.outcar import read_outcar
from heterodft.analysis.readers.vasp.poscar import read_poscar
from heterodft.analysis.result import Bands, Result
from heterodft.errors import ReaderError

sys.path.insert(0, str(Path(__file__).parents[1]))
from synthetic_vasprun import make_run, write_vasprun


def told(result, words):
    return any(words in note for note in result.notes)


def written(folder, text, name="OUTCAR"):
    (folder / name).write_text(text)
    return folder / name


def older(text):
    """The iterations as VASP up to 5.4.1 counts them, in a narrower column."""
    return re.sub(r"Iteration ( *)(\d+)\(", lambda found: f"Iteration{int(found[2]):5d}(", text)


# OUTCAR


def test_a_step_of_an_older_outcar_is_found(tmp_path):
    run = Run()
    path = written(tmp_path, older(outcar(run)))
    assert read_outcar(path, step=2).energy_zero == run.energies[1][2]
    assert read_vasp(tmp_path, {}).bands.energies.shape == (2, run.kpoints, run.bands)


def test_cycles_of_linear_response_are_no_ionic_steps(tmp_path):
    run = Run(steps=1)
    response = (
        "\n----------------------------------------- Iteration      1(   1)  -----------------------\n"
        "------------------------ aborting loop because EDIFF is reached -------------------------\n"
    )
    before, end = outcar(run).split("     LOOP+:", 1)
    written(tmp_path, f"{before}{response}     LOOP+:{end}")
    found = read_vasp(tmp_path, {})
    assert (found.energy, found.iterations) == (run.energies[0][2], 3)
    np.testing.assert_allclose(found.bands.energies, run.eigenvalues, atol=5e-5)


def test_a_single_site_has_no_sums_below_its_table(tmp_path):
    run = Run(species=(("Ni", 1),), steps=1)
    text = re.sub(r"\n-{50}\ntot [^\n]*\n", "\n \n \n", outcar(run))
    assert "\ntot " not in text
    written(tmp_path, text)
    sphere = read_vasp(tmp_path, {}).sites["sphere"]
    np.testing.assert_allclose(sphere.charges, run.charges[0].sum(axis=1), atol=1e-3)
    np.testing.assert_allclose(sphere.moments, run.moments[0][0].sum(axis=1), atol=1e-3)


def test_a_table_of_several_sites_without_its_sums_is_cut_off(tmp_path):
    run = Run(steps=1)
    text = outcar(run, table_again=False)
    table = shell_table("total charge", run.charges[0])
    cut = re.sub(r"\n-{50}\ntot [^\n]*\n", "\n\n", table)
    written(tmp_path, text.replace(table, cut))
    assert read_vasp(tmp_path, {}).sites == {}


def test_an_outcar_without_its_potcars_still_tells_elements_and_charge(tmp_path):
    run = Run(steps=1)
    text = re.sub(r"   VRHFIN[^\n]*\n   TITEL[^\n]*\n   POMASS[^\n]*\n", "", outcar(run))
    summary = "".join(
        f"  PAW_PBE {name} 06Sep2000                  :\n energy of atom  1       EATOM= -149.9515\n"
        for name in ("Ni_pv", "O")
    )
    summary += "  Ionic Valenz\n   ZVAL   =   10.00  6.00\n  Atomic Wigner-Seitz radii\n"
    written(tmp_path, text.replace("\n k-points in reciprocal", f"\n{summary} k-points in reciprocal", 1))
    found = read_vasp(tmp_path, {})
    assert found.structure.formula == "Ni2 O2"
    assert found.method["pseudopotentials"] == {"Ni": "PAW_PBE Ni_pv 06Sep2000", "O": "PAW_PBE O 06Sep2000"}
    assert found.method["charge"] == 32 - run.electrons


# vasprun.xml


def motion(text, ibrion, steps=10):
    tags = f'  <i type="int" name="IBRION">{ibrion:6d}</i>\n  <i type="int" name="NSW">{steps:6d}</i>\n'
    return text.replace(" </incar>", f"{tags} </incar>", 1)


def test_molecular_dynamics_is_read_as_such(tmp_path):
    run = make_run(steps=2)
    path = write_vasprun(run, tmp_path / "vasprun.xml")
    thermostat = '   <i name="kinetic">  10.04579505 </i>\n   <i name="lattice kinetic">  0.00000000 </i>\n'
    text = re.sub(r"\n  </energy>", f"\n{thermostat}  </energy>", path.read_text())
    assert "lattice kinetic" in text
    path.write_text(motion(text, 0))
    found = read_vasp(tmp_path, {})
    assert (found.step, found.energy) == ("md", pytest.approx(run.scf[-1, -1, 2]))
    assert found.converged is True
    assert found.forces is not None


def test_steps_of_a_force_field_outside_the_calculations_are_told(tmp_path):
    run = make_run(steps=1)
    path = write_vasprun(run, tmp_path / "vasprun.xml")
    learned = ' <energy>\n  <i name="e_fr_energy">  -1.0 </i>\n </energy>\n'
    path.write_text(
        path.read_text().replace(' <structure name="finalpos"', f'{learned * 3} <structure name="finalpos"')
    )
    found = read_vasp(tmp_path, {})
    assert found.energy == pytest.approx(run.scf[-1, -1, 2])
    assert told(found, "3 steps of vasprun.xml were made by a machine-learned force field alone")


def test_displacements_are_told(tmp_path):
    path = write_vasprun(make_run(), tmp_path / "vasprun.xml")
    path.write_text(motion(path.read_text(), 6))
    found = read_vasp(tmp_path, {})
    assert found.step == "vibrations"
    assert told(found, "those of the last displacement")


def test_a_many_body_run_has_bands_and_no_energy(tmp_path):
    run = make_run(steps=1)
    path = write_vasprun(run, tmp_path / "vasprun.xml")
    text = path.read_text().replace(" </incar>", '  <i type="string" name="ALGO">GW0</i>\n </incar>', 1)
    start, end = text.index("  <scstep>"), text.index("  <eigenvalues>")
    path.write_text(text[:start] + text[end:])
    found = read_vasp(tmp_path, {})
    np.testing.assert_array_equal(found.bands.energies, run.energies)
    assert (found.energy, found.converged) == (None, None)
    assert told(found, "ALGO = GW0 has no self-consistent cycle")


@pytest.mark.parametrize(("algo", "without"), [("EVGW0", True), ("BSE", True), ("Normal", False), ("All", False)])
def test_which_runs_have_no_cycle(algo, without):
    assert without_cycle({"ALGO": algo}) is without


@pytest.mark.parametrize("word", ["Auto", "Monk", "Gamma", "Monkhorst-Pack"])
def test_every_way_to_make_a_mesh_is_one(tmp_path, word):
    path = write_vasprun(make_run(), tmp_path / "vasprun.xml")
    length = '<i name="subdivisionlength">  25.0 </i>\n' if word == "Auto" else ""
    path.write_text(path.read_text().replace('<generation param="Gamma">', f'<generation param="{word}">{length}'))
    found = read_vasp(tmp_path, {})
    assert isinstance(found.method["kpoints"], list)
    assert not told(found, "mesh")


def test_a_result_without_orbitals_comes_back_without(tmp_path):
    write_vasprun(make_run(), tmp_path / "vasprun.xml")
    found = read_vasp(tmp_path, {})
    bare = replace(found, dos=replace(found.dos, values=found.dos.values[:, :0], orbitals=()))
    bare.save(tmp_path)
    back = Result.load(tmp_path).dos
    assert back.orbitals == ()
    assert back.values.shape == bare.dos.values.shape


# k-points


def mesh_bands(points):
    points = np.array(points, dtype=float)
    none = np.zeros((1, len(points), 0))
    return Bands(none, none, points, np.full(len(points), 1 / len(points)))


def product(n, shift):
    return [[(i + shift) / n, (j + shift) / n, (k + shift) / n] for i in range(n) for j in range(n) for k in range(n)]


@pytest.mark.parametrize(
    ("told", "points", "expected"),
    [
        ((2, 2, 2), product(2, 0)[:4], {"kpoints": [2, 2, 2]}),
        ((2, 2, 2), product(2, 0.5)[:1], {"kpoints": [2, 2, 2], "kpoints_shift": [1, 1, 1]}),
        (27, product(3, 0), {"kpoints": [3, 3, 3]}),
        (8, product(2, -0.5), {"kpoints": [2, 2, 2], "kpoints_shift": [1, 1, 1]}),
        (1, [[0.25, 0.25, 0.25]], {"kpoints": [1, 1, 1], "kpoints_shift": [0.5, 0.5, 0.5]}),
        (5, [[0.1 * i, 0, 0] for i in range(5)], {"kpoints": 5}),
        (7, product(2, 0)[:7], {"kpoints": 7}),
    ],
)
def test_the_mesh_and_its_shift_follow_from_the_points(told, points, expected):
    assert mesh_of(told, mesh_bands(points)) == expected


# What decides an energy


@pytest.mark.parametrize(
    ("tags", "name", "value"),
    [
        ({"LUSE_VDW": True, "BPARAM": 15.7}, "dispersion", "nonlocal van der Waals BPARAM 15.7"),
        ({"IVDW": 12}, "dispersion", "IVDW 12"),
        ({"PREC": "accura"}, "precision", "accurate"),
        ({"LREAL": False}, "projectors", "reciprocal"),
        ({"LASPH": True}, "aspherical", True),
        ({"LHFCALC": True, "HFSCREEN": 0.208, "GGA": "PE"}, "xc", "HSE06 (HFSCREEN 0.208)"),
    ],
)
def test_settings_that_move_energies_are_told(tags, name, value):
    assert method_of(VaspSettings(tags), None)[name] == value


# Structures and grids


def test_a_poscar_of_many_species_has_several_lines_of_them(tmp_path):
    head = "alloy\n1.0\n9 0 0\n0 9 0\n0 0 9\n"
    rows = "".join(f"0.{i} 0 0\n" for i in range(1, 6))
    found = read_poscar(written(tmp_path, f"{head}Fe Cr\nFe\n1 2\n2\nDirect\n{rows}", "POSCAR"))
    assert found.elements == ("Fe", "Cr", "Cr", "Fe", "Fe")
    assert found.fractional[-1] == pytest.approx([0.5, 0, 0])


def test_a_grid_of_many_species_has_several_lines_of_them(tmp_path):
    text = vasp_file(cell(), [wave((6, 7, 9))])
    names, counts = text.split("\n")[5:7]
    assert len(names.split()) > 1
    text = text.replace(f"{names}\n{counts}\n", "\n".join([*names.split(), *counts.split()]) + "\n", 1)
    (found,) = read_vasp_grids(written(tmp_path, text, "CHGCAR"))
    assert found.structure.formula == cell().formula


def test_a_last_row_filled_up_with_zeros_is_whole(tmp_path):
    values = wave((6, 7, 9))
    text = vasp_file(cell(), [values], paw=False)
    padded = f"{text.rstrip()} .00000000000E+00 0.00000000000E+00\n"
    assert values.size % 5 == 3
    (found,) = read_vasp_grids(written(tmp_path, padded, "CHGCAR"))
    assert found.values * cell().volume == pytest.approx(values, rel=1e-10)
    with pytest.raises(ReaderError, match="more than the 378 numbers"):
        read_vasp_grids(written(tmp_path, padded.replace("0.00000000000E+00\n", "0.10000000000E+00\n"), "CHGCAR"))


def test_elfcar_is_no_density(tmp_path):
    path = written(tmp_path, vasp_file(cell(), [wave((6, 7, 9))], paw=False), "ELFCAR")
    with pytest.raises(ReaderError, match="localization of electrons"):
        read_grids(path)
