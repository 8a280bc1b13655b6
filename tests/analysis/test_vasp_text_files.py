"""OSZICAR, PROCAR, DOSCAR and POSCAR: what was written is read, real files against other programs, damage is told."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from ase.calculators.vasp import VaspDos
from pymatgen.core import Structure
from pymatgen.electronic_structure.core import Spin
from pymatgen.io.vasp.outputs import Oszicar
from pymatgen.io.vasp.outputs import Procar as TheirProcar
from synthetic_vasp import Run, contcar, doscar, oszicar, procar, read_or_fail

from heterodft.analysis.readers.vasp.doscar import read_doscar
from heterodft.analysis.readers.vasp.orbitals import in_our_order
from heterodft.analysis.readers.vasp.oszicar import read_oszicar
from heterodft.analysis.readers.vasp.poscar import read_poscar
from heterodft.analysis.readers.vasp.procar import read_procar
from heterodft.analysis.result import ORBITALS
from heterodft.errors import ReaderError


@pytest.fixture
def written(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_a_real_oszicar_is_that_of_pymatgen(shared_data):
    path = shared_data / "vasp" / "oszicar" / "OSZICAR"
    found, theirs = read_oszicar(path), Oszicar(path)
    assert len(found) == 60 == len(theirs.ionic_steps)
    last = found[-1]
    assert (last.index, last.free_energy, last.energy_zero, last.moment) == (60, -526.63928, -526.63928, (0.0,))
    assert [step.energy_zero for step in found] == [step["E0"] for step in theirs.ionic_steps]
    ours = [[each.energy for each in step.electronic] for step in found]
    assert ours == [[each["E"] for each in step] for step in theirs.electronic_steps]


@pytest.mark.parametrize("spin", [1, 2, 4])
def test_an_oszicar_that_was_written_is_read(written, spin):
    run = Run(spin=spin)
    found = read_oszicar(written("OSZICAR", oszicar(run)))
    np.testing.assert_allclose([s.energy_zero for s in found], run.energies[:, 2], atol=1e-5)
    np.testing.assert_allclose([s.moment for s in found], run.total_moments, atol=1e-4)
    assert [len(s.electronic) for s in found] == [3, 3, 3]
    assert found[0].electronic[-1].change == -1e-4


def test_lines_of_molecular_dynamics(written):
    line = (
        "     12 T=  300. E= -.19E+03 F= -.20001E+03 E0= -.20002E+03  EK= 0.1E+01 SP= 0.0E+00 SK= 0.0E+00 mag=  1.5\n"
    )
    (step,) = read_oszicar(written("OSZICAR", line))
    assert (step.index, step.free_energy, step.energy_zero, step.moment) == (12, -200.01, -200.02, (1.5,))


def test_an_oszicar_cut_anywhere_has_whole_steps_alone(written):
    run = Run()
    text = oszicar(run)
    whole = read_oszicar(written("OSZICAR", text))
    for cut in range(0, len(text), 7):
        found = read_oszicar(written("OSZICAR", text[:cut]))
        assert found == whole[: len(found)]
        assert len(found) == sum("F=" in line for line in text[:cut].split("\n")[:-1])


def test_two_runs_in_one_oszicar_are_refused(written):
    text = oszicar(Run())
    with pytest.raises(ReaderError, match="ionic step 1 follows 3; files of two runs"):
        read_oszicar(written("OSZICAR", text + text))


def test_a_real_procar_is_that_of_pymatgen(shared_data):
    path = shared_data / "vasp" / "procar_544" / "PROCAR.gz"
    found, theirs = read_procar(path), TheirProcar(path)
    assert found.projections.shape == (2, 13, 20, 4, 9)
    assert list(found.columns) == theirs.orbitals
    for index, spin in enumerate((Spin.up, Spin.down)):
        np.testing.assert_array_equal(found.projections[index], theirs.data[spin])
        np.testing.assert_array_equal(found.energies[index], theirs.eigenvalues[spin])
        np.testing.assert_array_equal(found.occupations[index], theirs.occupancies[spin])
    np.testing.assert_array_equal(found.kpoints, theirs.kpoints)
    np.testing.assert_array_equal(found.weights, theirs.weights)


@pytest.mark.parametrize("spin", [1, 2, 4])
@pytest.mark.parametrize("columns", [3, 4, 9, 16])
@pytest.mark.parametrize("phase", [False, True])
@pytest.mark.parametrize("species", [(("Ni", 2), ("O", 2)), (("Fe", 1),)])
def test_a_procar_that_was_written_is_read(written, spin, columns, phase, species):
    run = Run(spin=spin, columns=columns, species=species)
    found = read_procar(written("PROCAR", procar(run, phase=phase)))
    np.testing.assert_array_equal(found.projections, run.parts)
    np.testing.assert_array_equal(found.energies, run.eigenvalues)
    np.testing.assert_array_equal(found.occupations, run.occupations)
    np.testing.assert_array_equal(found.kpoints, run.points)
    assert found.sites == run.sites
    assert read_procar(written("PROCAR", procar(run, phase=phase)), projections=False).projections is None


@pytest.mark.parametrize("spin", [2, 4])
def test_a_damaged_procar_is_refused_or_right(written, spin):
    run = Run(spin=spin)
    text = procar(run)
    for at in range(0, len(text), 61):
        for damaged in (text[:at], text[:at] + "7" + text[at + 1 :], text[:at] + "*" + text[at + 1 :]):
            found = read_or_fail(read_procar, written("PROCAR", damaged))
            if found is None:
                continue
            assert found.projections.shape == run.parts.shape
            assert np.abs(found.projections - run.parts).max() < 0.008  # what rounding hides
            wrong = (np.abs(found.energies - run.eigenvalues) > 1e-9).sum()
            assert wrong <= 1  # a digit that became another digit, which nothing tells


@pytest.mark.parametrize("spin", [1, 2, 4])
@pytest.mark.parametrize("columns", [3, 4, 9, 16])
def test_a_doscar_that_was_written_is_read(written, spin, columns):
    run = Run(spin=spin, columns=columns)
    found = read_doscar(written("DOSCAR", doscar(run)), noncollinear=spin == 4)
    np.testing.assert_array_equal(found.partial, run.density)
    np.testing.assert_array_equal(found.energies, run.grid_energies)
    total = run.density.sum(axis=(0, 1))[: 2 if spin == 2 else 1]
    np.testing.assert_allclose(found.total, total, rtol=1e-4)
    np.testing.assert_allclose(found.integrated, total.cumsum(axis=1), rtol=1e-4)
    assert (found.fermi_level, found.sites, len(found.columns)) == (run.fermi_level, 4, columns)


def test_sixteen_columns_without_a_hint_are_refused(written):
    path = written("DOSCAR", doscar(Run(spin=4, columns=4)))
    with pytest.raises(ReaderError, match="16 columns a site, as two kinds of runs have; keep its INCAR"):
        read_doscar(path)


def test_ase_reads_the_same_densities(written):
    run = Run(spin=2, columns=9)
    path = written("DOSCAR", doscar(run))
    found = read_doscar(path)
    theirs = VaspDos(str(path))
    np.testing.assert_array_equal(found.energies, theirs.energy)
    np.testing.assert_array_equal(found.total, theirs.dos)
    for site in range(run.sites):
        for column in range(9):
            for spin in range(2):
                np.testing.assert_array_equal(
                    found.partial[site, column, spin], theirs.site_dos(site, 2 * column + spin)
                )


def test_densities_of_many_digits_and_small_exponents(written):
    text = doscar(Run(spin=1, columns=9))
    old = text.splitlines()[8].split()[1]
    found = read_doscar(written("DOSCAR", text.replace(old, "0.1234-101", 1)))
    assert found.total[0, 2] == 0.1234e-101
    with pytest.raises(ReaderError, match="lines 7 to 17 are no table of numbers"):
        read_doscar(written("DOSCAR", text.replace(old, "**********", 1)))


def test_a_doscar_cut_anywhere_is_refused(written):
    text = doscar(Run())
    for cut in range(0, len(text) - 1, 83):
        head = text[:cut]
        if head.count("\n") == 6 + 11 and head.endswith("\n"):
            continue  # as without LORBIT
        with pytest.raises(ReaderError, match=r"^(cannot read )?\S*DOSCAR"):
            read_doscar(written("DOSCAR", head))


def test_a_doscar_without_sites(written):
    text = "".join(line + "\n" for line in doscar(Run()).splitlines()[: 6 + 11])
    assert read_doscar(written("DOSCAR", text)).partial is None


@pytest.mark.parametrize("name", ["CONTCAR", "POSCAR"])
def test_structures_are_those_of_pymatgen(written, name, shared_data):
    path = written(name, contcar(Run()))
    paths = [path, shared_data / "vasp" / "nio_pbeu_v641" / "POSCAR"]
    for each in paths:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = Structure.from_str(each.read_text(), fmt="poscar")
        found = read_poscar(each)
        np.testing.assert_allclose(found.lattice, theirs.lattice.matrix, atol=1e-12)
        np.testing.assert_allclose(found.fractional, theirs.frac_coords, atol=1e-12)
        assert found.elements == tuple(site.species_string for site in theirs)


HEAD = "title\n{scale}\n1 0 0\n0 2 0\n0 0 4\n"


@pytest.mark.parametrize(
    ("text", "lattice", "place"),
    [
        ("Fe\n1\nSelective dynamics\nDirect\n.5 .5 .25 T T F\n", [2, 4, 8], [0.5, 0.5, 0.25]),
        ("Fe_pv/0a1b\n1\nCartesian\n.5 .5 .5\n", [2, 4, 8], [0.5, 0.25, 0.125]),
        ("1\nDirect\n.5 .5 .25\n", [2, 4, 8], [0.5, 0.5, 0.25]),
    ],
)
def test_forms_of_poscar(written, text, lattice, place):
    found = read_poscar(written("POSCAR", HEAD.format(scale="2.0") + text))
    np.testing.assert_allclose(np.diag(found.lattice), lattice)
    np.testing.assert_allclose(found.fractional, [place])
    assert found.elements == (("Fe",) if text.startswith("Fe") else None)


def test_a_volume_for_a_scale(written):
    found = read_poscar(written("POSCAR", HEAD.format(scale="-64.0") + "Fe\n1\nDirect\n0 0 0\n"))
    assert np.linalg.det(found.lattice) == pytest.approx(64)


def test_a_structure_cut_off_is_refused(written):
    text = contcar(Run())
    end = len("\n".join(text.split("\n")[:12]))
    for cut in range(0, end - 20, 11):
        with pytest.raises(ReaderError, match="POSCAR"):
            read_poscar(written("POSCAR", text[:cut]))


def test_orbitals_come_in_our_order():
    names = ["s", "py", "pz", "px", "dxy", "dyz", "dz2", "dxz", "dx2"]
    values, orbitals = in_our_order(np.arange(9.0), names, axis=0)
    assert orbitals == ORBITALS[:9]
    assert values.tolist() == [0, 2, 3, 1, 6, 7, 5, 8, 4]
    assert in_our_order(np.arange(4.0), ["s", "p", "d", "f"], axis=0)[1] == ("s", "p", "d", "f")
    for bad, words in ((["s", "g"], "orbital 'g'"), (["s", "s"], "one twice"), (["s", "p", "dxy"], "mix")):
        with pytest.raises(ReaderError, match=words):
            in_our_order(np.zeros(len(bad)), bad, axis=0)
