"""Runs of pw.x, dos.x, bands.x and projwfc.x made here: spinors, nscf after scf, relaxations."""

from __future__ import annotations

import shutil
import subprocess

import ase.io
import numpy as np
import pytest

from heterodft.analysis.readers import read_folder
from heterodft.analysis.readers.espresso.bands import read_band_file, read_dos_file
from heterodft.analysis.readers.espresso.projwfc import read_projected_dos
from heterodft.analysis.result import ORBITALS, SHELLS
from heterodft.errors import PseudopotentialError, ReaderError
from heterodft.templates.pseudopotentials import find_pseudopotentials

CONTROL = "&control\n calculation='{}', prefix='x', outdir='./', pseudo_dir='{}', tprnfor=.true., tstress={}\n/\n"
IRON = """\
&system
 ibrav=3, celldm(1)=5.4, nat=1, ntyp=1, ecutwfc=30, occupations='smearing', smearing='mv', degauss=0.02,
 starting_magnetization(1)=0.4, {}
/
&electrons
 conv_thr=1e-6
/
ATOMIC_SPECIES
Fe 55.845 Fe.upf
ATOMIC_POSITIONS alat
Fe 0 0 0
"""
MESH = "K_POINTS automatic\n2 2 2 0 0 0\n"
PATH = "K_POINTS crystal_b\n2\n 0 0 0 4 !G\n 0.5 -0.5 0.5 1 !H\n"
SILICON = """\
&system
 ibrav=2, celldm(1)=10.4, nat=2, ntyp=1, ecutwfc=12, nbnd=8
/
&electrons
 conv_thr=1e-6
/
&ions
/
&cell
/
ATOMIC_SPECIES
Si 28 Si.upf
ATOMIC_POSITIONS crystal
Si 0 0 0
Si 0.27 0.25 0.24
"""
PROJECTION = "&projwfc\n prefix='x', outdir='./', DeltaE=0.1, degauss=0.02, ngauss=0, filpdos='x'\n/\n"
NONCOLLINEAR = "nbnd=24, noncolin=.true., angle1(1)=30, angle2(1)=60"
SPIN_ORBIT = "nbnd=24, noncolin=.true., lspinorb=.true., angle1(1)=90"


@pytest.fixture
def run(pw, tmp_path):
    """Run a program on an input in the folder of the test."""

    def call(name, program, text, code=0):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
        (tmp_path / f"{name}.in").write_text(text)
        with (tmp_path / f"{name}.out").open("wb") as out:
            command = [program, "-in", f"{name}.in"]
            done = subprocess.run(command, cwd=tmp_path, stdout=out, stderr=subprocess.PIPE, check=False, timeout=120)
        assert done.returncode == code
        return tmp_path

    return call


def pseudos(kind):
    relativistic = {"sr": "scalar", "fr": "full"}[kind]
    try:
        found = find_pseudopotentials(["Fe", "Si"], xc="PBE", relativistic=relativistic)
    except PseudopotentialError as error:
        pytest.skip(str(error))
    return found["Fe"].path.parent


def charges(result):
    """Löwdin charges by site and shell from the projections of the bands."""
    bands = result.bands
    filled = np.einsum("skb,k,skbio->io", bands.occupations, bands.weights, bands.projections)
    return np.array([[row[[o[0] == s for o in bands.orbitals]].sum() for s in SHELLS] for row in filled])


@pytest.mark.espresso
@pytest.mark.parametrize(("kind", "spin", "orbitals"), [("sr", NONCOLLINEAR, ORBITALS), ("fr", SPIN_ORBIT, SHELLS)])
def test_spinors_are_read_from_all_files(run, kind, spin, orbitals):
    run("scf", "pw.x", CONTROL.format("scf", pseudos(kind), ".true.") + IRON.format(spin) + MESH)
    folder = run("projwfc", "projwfc.x", PROJECTION)
    found = read_folder(folder, projections=True)
    moment = found.sites["sphere"].vectors[0]
    expected = [1 / 4, np.sqrt(3) / 4, np.sqrt(3) / 2] if kind == "sr" else [1, 0, 0]  # 30° and 60°; 90° and 0°
    np.testing.assert_allclose(moment / np.linalg.norm(moment), expected, atol=2e-3)
    assert found.total_moment == pytest.approx(found.absolute_moment, abs=0.02)
    assert found.bands.energies.shape[0] == 1
    assert (found.bands.occupations * found.bands.weights[:, None]).sum() == pytest.approx(16, abs=1e-4)
    assert (found.dos.orbitals, found.dos.values.shape[2], found.method["spin_orbit"]) == (orbitals, 1, kind == "fr")
    np.testing.assert_allclose(charges(found), found.sites["Löwdin"].shell_charges, atol=1e-4)
    below = found.dos.energies < found.fermi_level - 1
    states = np.trapezoid(found.dos.total[0, below], found.dos.energies[below])
    projected = np.trapezoid(found.dos.values.sum(axis=(0, 1, 2))[below], found.dos.energies[below])
    assert projected == pytest.approx(states, rel=0.08)
    assert any("both spins together" in note for note in found.notes)


@pytest.mark.espresso
def test_an_nscf_run_and_its_scf_run_are_joined(run):
    spin = "nbnd=14, nspin=2"
    control = CONTROL.format("scf", pseudos("sr"), ".true.")
    folder = run("scf", "pw.x", control + IRON.format(spin) + MESH)
    scf = read_folder(folder)
    run("nscf", "pw.x", CONTROL.format("nscf", pseudos("sr"), ".false.") + IRON.format(spin) + MESH)
    run("projwfc", "projwfc.x", PROJECTION)
    run("dos", "dos.x", "&dos\n prefix='x', outdir='./', DeltaE=0.1, fildos='x.dos'\n/\n")
    found = read_folder(folder, projections=True)
    assert (found.step, scf.step) == ("dos", "static")
    assert found.energy == pytest.approx(scf.energy, abs=1e-6)
    assert (found.total_moment, found.converged) == (pytest.approx(scf.total_moment, abs=0.01), True)
    assert found.sites["sphere"].moments == scf.sites["sphere"].moments
    np.testing.assert_allclose(charges(found), found.sites["Löwdin"].shell_charges, atol=1e-4)
    assert any("are of scf.out, before the nscf run" in note for note in found.notes)
    total = read_dos_file(folder / "x.dos")
    assert (total.values.shape[0], total.fermi_levels[0]) == (2, pytest.approx(found.fermi_level, abs=1e-3))


@pytest.mark.espresso
def test_k_points_are_fractional_whatever_alat_is(run):
    """Of ibrav 3, alat is the edge of the cube and no vector of the cell."""
    spin = "nbnd=14, nspin=2"
    for name, k in (("scf", MESH), ("bands", PATH)):
        run(name, "pw.x", CONTROL.format(name, pseudos("sr"), ".false.") + IRON.format(spin) + k)
    for spin_component, name in ((1, "up"), (2, "down")):
        wanted = (
            f"&bands\n prefix='x', outdir='./', filband='{name}', spin_component={spin_component}, lsym=.false.\n/\n"
        )
        folder = run(f"bands-{name}", "bands.x", wanted)
    found = read_folder(folder)
    assert (found.step, found.bands.energies.shape) == ("bands", (2, 5, 14))
    np.testing.assert_allclose(found.bands.kpoints[-1], [0.5, -0.5, 0.5], atol=1e-9)
    read = read_band_file(
        folder / "up", found.structure, fermi_level=found.fermi_level, down=folder / "down", alat=5.4 * 0.529177210903
    )
    np.testing.assert_allclose(read.kpoints, found.bands.kpoints, atol=1e-5)
    np.testing.assert_allclose(read.energies, found.bands.energies, atol=6e-4)


@pytest.mark.espresso
@pytest.mark.parametrize("kind", ["relax", "vc-relax"])
def test_a_relaxation_reads_the_same_from_xml_output_and_ase(run, kind):
    folder = run("pw", "pw.x", CONTROL.format(kind, pseudos("sr"), ".true.") + SILICON + MESH)
    whole, printed = read_folder(folder), read_folder(folder / "pw.out")
    atoms = ase.io.read(folder / "pw.out", format="espresso-out")
    for found in (whole, printed):
        assert (found.step, found.converged, found.ended) == ("relax", True, "finished")
        np.testing.assert_allclose(found.structure.cart_coords, atoms.positions, atol=1e-4)
        np.testing.assert_allclose(found.structure.lattice.matrix, atoms.cell[:], atol=1e-4)
        np.testing.assert_allclose(found.forces, atoms.get_forces(), atol=1e-5)
        np.testing.assert_allclose(found.stress[[0, 1], [0, 2]], atoms.get_stress()[[0, 3]], atol=1e-5)
    assert not any("did not reach" in note for note in whole.notes)


@pytest.mark.espresso
def test_a_relaxation_out_of_steps_says_so(run):
    control = CONTROL.format("relax", pseudos("sr"), ".true.").replace("tprnfor", "nstep=1, tprnfor")
    folder = run("pw", "pw.x", control + SILICON + MESH, code=3)
    found, printed = read_folder(folder), read_folder(folder / "pw.out")
    assert any("the relaxation did not reach its tolerance" in note for note in found.notes)
    assert (found.converged, printed.energy) == (True, pytest.approx(found.energy, abs=1e-6))
    moved = ase.io.read(folder / "pw.out", format="espresso-out").positions - found.structure.cart_coords
    assert np.abs(moved).max() < 1e-4  # the output part of the XML file is one step ahead of energy and forces
    np.testing.assert_allclose(printed.structure.cart_coords, found.structure.cart_coords, atol=1e-4)


@pytest.mark.espresso
def test_projections_by_k_point_are_refused_but_need_not_be_read(run):
    run("scf", "pw.x", CONTROL.format("scf", pseudos("sr"), ".false.") + IRON.format("nbnd=14, nspin=2") + MESH)
    folder = run("k", "projwfc.x", PROJECTION.replace("filpdos='x'", "filpdos='k', kresolveddos=.true."))
    with pytest.raises(ReaderError, match=r"is resolved by k-point; run projwfc.x without kresolveddos"):
        read_projected_dos(folder, sites=1)
    run("projwfc", "projwfc.x", PROJECTION)
    assert read_projected_dos(folder, sites=1).values.shape[:3] == (1, 16, 2)
