"""Hubbard occupations of real pw.x: against what it prints, and against projwfc.x."""

from __future__ import annotations

import re
import shutil
import subprocess

import numpy as np
import pytest

from heterodft.analysis.energies.states import find_states, same_state
from heterodft.analysis.readers import read_folder
from heterodft.analysis.readers.espresso.hubbard import printed_occupations
from heterodft.errors import PseudopotentialError
from heterodft.templates.pseudopotentials import find_pseudopotentials

pytestmark = pytest.mark.espresso

CELL = """\
&control
 calculation='{calculation}', prefix='x', outdir='./', pseudo_dir='{pseudo}', verbosity='high'
/
&system
 ibrav=6, celldm(1)={a}, celldm(3)=1.41421356, nat=4, ntyp=3, ecutwfc=30, occupations='smearing', smearing='mv',
 degauss=0.01, lda_plus_u=.true., Hubbard_U(1)={u}, Hubbard_U(3)={u}, {more}
/
&electrons
 conv_thr=1e-6, mixing_beta=0.4
/
ATOMIC_SPECIES
{metal}1 50 {metal}.upf
{anion} 15 {anion}.upf
{metal}2 50 {metal}.upf
ATOMIC_POSITIONS crystal
{metal}1 0 0 0
{anion} 0.5 0.5 0
{metal}2 0.5 0.5 0.5
{anion} 0 0 0.5
K_POINTS automatic
{mesh} 0 0 0
"""
"""Two metal layers of a rocksalt crystal along [001], at 30 Ry: for arithmetic, not for physics."""
NITRIDE = {"metal": "Cr", "anion": "N", "a": 5.5327, "u": 3, "mesh": "3 3 2"}
OXIDE = {"metal": "Fe", "anion": "O", "a": 5.78, "u": 4.5, "mesh": "3 3 2"}
AFM = "nspin=2, starting_magnetization(1)=0.4, starting_magnetization(3)=-0.4, "
TRACES = r"Tr\[ns\S* (?:\(up, down, total\) )?= +(.*)"
PROJECTION = "&projwfc\n prefix='x', outdir='./', DeltaE=0.1, degauss=0.02, ngauss=0, filpdos='x'\n/\n"


@pytest.fixture
def run(pw, tmp_path):
    """Run pw.x or another program in a folder below that of the test."""

    def call(text, *, name="scf", program="pw.x", folder="run"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
        here = tmp_path / folder
        here.mkdir(exist_ok=True)
        (here / f"{name}.in").write_text(text)
        with (here / f"{name}.out").open("wb") as out:
            command = [program, "-in", f"{name}.in"]
            done = subprocess.run(command, cwd=here, stdout=out, stderr=subprocess.PIPE, check=False, timeout=300)
        assert done.returncode == 0
        return here

    return call


def cell(kind, more, calculation="scf", mesh=None):
    try:
        files = find_pseudopotentials([kind["metal"], kind["anion"]], xc="PBE")
    except PseudopotentialError as error:
        pytest.skip(str(error))
    pseudo = files[kind["metal"]].path.parent
    return CELL.format(**(kind | {"mesh": mesh or kind["mesh"]}), pseudo=pseudo, more=more, calculation=calculation)


def traces(folder, name="scf"):
    """What pw.x printed last of each of two sites."""
    return np.array(
        [
            [float(word) for word in line.split()]
            for line in re.findall(TRACES, (folder / f"{name}.out").read_text())[-2:]
        ]
    )


def test_occupations_are_those_printed_and_the_electrons_those_of_projwfc(run):
    more = f"{AFM} U_projection_type='ortho-atomic'"
    folder = run(cell(NITRIDE, more))
    run(PROJECTION, name="projwfc", program="projwfc.x")
    found = read_folder(folder)
    first, second = found.occupations
    assert [(one.site, one.shell) for one in (first, second)] == [(0, "3d"), (2, "3d")]
    told = [[*np.trace(one.matrices, axis1=1, axis2=2), one.electrons] for one in (first, second)]
    np.testing.assert_allclose(told, traces(folder), atol=6e-6)
    for one in (first, second):
        spheres, projected = found.sites["sphere"], found.sites["Löwdin"]
        assert one.electrons == pytest.approx(projected.shell_charges[one.site, 2], abs=1e-3)
        assert one.moment == pytest.approx(projected.shell_moments[one.site, 2], abs=1e-3)
        assert one.moment == pytest.approx(spheres.moments[one.site], rel=0.35)
    assert first.moment > 2 > -2 > second.moment


def test_an_nscf_run_tells_the_occupations_of_its_density(run):
    folder = run(cell(NITRIDE, AFM))
    before = read_folder(folder)
    shutil.copytree(folder, folder.parent / "dos")
    after = read_folder(run(cell(NITRIDE, AFM, "nscf", "2 2 2"), name="nscf", folder="dos"))
    assert after.step == "dos"
    for one, other in zip(before.occupations, after.occupations, strict=True):
        np.testing.assert_allclose(one.matrices, other.matrices, atol=1e-12)


def test_without_spin_the_electrons_are_those_printed(run):
    folder = run(cell(NITRIDE, ""))
    found = read_folder(folder)
    np.testing.assert_allclose([[one.electrons] for one in found.occupations], traces(folder), atol=6e-6)
    assert [one.moment for one in found.occupations] == [0.0, 0.0]


@pytest.mark.slow
def test_those_of_a_noncollinear_run_have_the_eigenvalues_printed(run):
    angles = "angle1(1)=60, angle1(3)=60, angle2(1)=30, angle2(3)=30"
    starts = AFM.replace("nspin=2", "noncolin=.true., lda_plus_u_kind=1")
    folder = run(cell(NITRIDE, starts + angles))
    found, text = read_folder(folder), (folder / "scf.out").read_text()
    assert len(found.occupations) == 2
    moments = re.findall(r"atomic mx, my, mz = +(\S+) +(\S+) +(\S+)", text)[-2:]
    levels = re.findall(r" eigenvalues: \n(.*)\n", text)[-2:]
    for one, moment, printed in zip(found.occupations, moments, levels, strict=True):
        np.testing.assert_allclose(one.eigenvalues[0], [float(word) for word in printed.split()], atol=6e-4)
        assert one.size == pytest.approx(np.linalg.norm([float(word) for word in moment]), abs=1e-4)
        assert one.moment == pytest.approx(float(moment[2]), abs=1e-4)
    assert printed_occupations(text) == ()


def starts(site, spin, values):
    return "".join(f" starting_ns_eigenvalue({m},{spin},{site})={value}," for m, value in enumerate(values, 1))


@pytest.mark.slow
def test_two_orbital_orders_of_iron_with_the_same_moments_are_two_states(run):
    """The electron of spin down of Fe2+ in one orbital, or shared by dxz and dyz."""
    results = []
    for name, down in (("one", [0, 0, 0, 0, 1]), ("shared", [0, 0.5, 0.5, 0, 0])):
        given = starts(1, 1, [1] * 5) + starts(1, 2, down) + starts(3, 1, down) + starts(3, 2, [1] * 5)
        results.append(read_folder(run(cell(OXIDE, AFM + given), folder=name)))
    one, shared = results
    assert same_state(np.array(one.sites["sphere"].moments), np.array(shared.sites["sphere"].moments))
    assert abs(one.energy - shared.energy) > 0.5
    assert one.occupations[0].eigenvalues[1][-1] > 0.85
    np.testing.assert_allclose(shared.occupations[0].eigenvalues[1][-2:], 0.5, atol=0.05)
    states = find_states([shared, one, one])
    assert [state.name for state in states] == ["+ - (2)", "+ -", "+ -"]
