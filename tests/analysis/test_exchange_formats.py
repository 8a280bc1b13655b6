from __future__ import annotations

import gzip
import warnings

import numpy as np
import pytest
from pymatgen.electronic_structure.core import Orbital, OrbitalType, Spin

from heterodft.analysis.exchange_formats import to_ase, to_pymatgen_bands, to_pymatgen_dos
from heterodft.analysis.readers import read_folder
from heterodft.analysis.result import ORBITALS, SHELLS, Bands, ProjectedDos, Result, SiteValues
from heterodft.errors import ReaderError
from heterodft.structures import build_material

DX2 = next(name for name in Orbital.__members__ if name.startswith("dx2"))  # changed its name
MOMENTS = SiteValues("sphere", (10.0,) * 5, (1.0, -1.0, 0.0, 0.0, 0.0))


def result(**changes):
    cell = build_material("SrTiO3").cell
    given = {
        "code": "vasp", "version": "6.4", "step": "static", "structure": cell, "electrons": 4.0, "energy": -12.5,
        "fermi_levels": (1.0,), "total_moment": 0.5, "absolute_moment": None, "sites": {"sphere": MOMENTS},
        "converged": True, "iterations": 3, "accuracy": 0.0, "cpu_seconds": 1.0, "wall_seconds": 1.0,
    }  # fmt: skip
    return Result(**given | changes)


def numbered_dos(orbitals=ORBITALS, spins=2):
    """Every orbital of every site has a number of its own."""
    energies = np.linspace(-2, 2, 5)
    values = np.arange(5 * len(orbitals) * spins * 5, dtype=float).reshape(5, len(orbitals), spins, 5)
    return ProjectedDos(energies, values, values.sum(axis=(0, 1)), orbitals)


def test_each_orbital_of_a_site_arrives_under_the_name_pymatgen_has_for_it():
    told = result(dos=numbered_dos())
    dos = to_pymatgen_dos(told)
    names = ["s", "pz", "px", "py", "dz2", "dxz", "dyz", DX2, "dxy", "f0", "f1", "f_1", "f2", "f_2", "f3", "f_3"]
    for column, name in enumerate(names):
        for spin, axis in ((Spin.up, 0), (Spin.down, 1)):
            density = dos.pdos[told.structure[1]][Orbital[name]][spin]
            assert np.array_equal(density, told.dos.values[1, column, axis]), name
    assert dos.efermi == 1.0
    assert np.array_equal(dos.densities[Spin.down], told.dos.total[1])


def test_a_density_of_states_by_shell_stays_one():
    told = result(dos=numbered_dos(SHELLS, spins=1))
    dos = to_pymatgen_dos(told)
    by_shell = dos.get_spd_dos()
    assert set(by_shell) == {OrbitalType.s, OrbitalType.p, OrbitalType.d, OrbitalType.f}
    assert np.allclose(by_shell[OrbitalType.d].densities[Spin.up], told.dos.values[:, 2, 0].sum(axis=0))


def test_of_a_noncollinear_run_both_spins_are_spin_up():
    dos = to_pymatgen_dos(result(dos=numbered_dos(spins=4)))
    assert set(dos.densities) == {Spin.up}


def bands(**changes):
    energies = np.arange(2 * 3 * 4, dtype=float).reshape(2, 3, 4)
    kpoints = np.array([[0, 0, 0], [0.25, 0, 0], [0.5, 0, 0]])
    return Bands(energies, energies < 6, kpoints, np.ones(3) / 3, **changes)


def test_bands_arrive_with_band_before_k_and_their_projections_in_pymatgens_order():
    parts = np.arange(2 * 3 * 4 * 5 * 16, dtype=float).reshape(2, 3, 4, 5, 16)
    found = to_pymatgen_bands(result(bands=bands(projections=parts)))
    assert found.bands[Spin.down][2, 1] == 1 * 12 + 1 * 4 + 2
    assert found.projections[Spin.down].shape == (4, 3, 16, 5)
    column = ORBITALS.index("dx2-y2")
    assert found.projections[Spin.down][2, 1, Orbital[DX2].value, 3] == parts[1, 1, 2, 3, column]
    assert np.allclose([k.frac_coords for k in found.kpoints], bands().kpoints)


def test_a_path_becomes_symmetry_lines():
    from pymatgen.electronic_structure.bandstructure import BandStructureSymmLine

    found = to_pymatgen_bands(result(bands=bands(labels=("Γ", "", "X"))))
    assert isinstance(found, BandStructureSymmLine)
    assert [branch["name"] for branch in found.branches] == ["Γ-X"]


def test_what_is_not_there_cannot_be_handed_over():
    with pytest.raises(ReaderError, match="no projected density of states"):
        to_pymatgen_dos(result())
    with pytest.raises(ReaderError, match="no band energies"):
        to_pymatgen_bands(result())


def test_atoms_know_energy_forces_stress_and_moments():
    stress = np.array([[1.0, 6.0, 5.0], [6.0, 2.0, 4.0], [5.0, 4.0, 3.0]])
    told = result(forces=np.arange(15.0).reshape(5, 3), stress=stress)
    atoms = to_ase(told)
    assert atoms.get_chemical_symbols() == [site.specie.symbol for site in told.structure]
    assert np.allclose(atoms.cell, told.structure.lattice.matrix)
    assert np.allclose(atoms.get_scaled_positions(wrap=False), told.structure.frac_coords)
    assert atoms.get_potential_energy() == -12.5
    assert np.array_equal(atoms.get_forces(), told.forces)
    assert atoms.get_stress().tolist() == [1, 2, 3, 4, 5, 6]
    assert atoms.get_magnetic_moments().tolist() == [1, -1, 0, 0, 0]
    assert atoms.get_magnetic_moment() == 0.5
    assert atoms.info == {"moments": "sphere", "converged": True}


def test_atoms_do_not_claim_what_is_not_known():
    from ase.calculators.calculator import PropertyNotImplementedError

    atoms = to_ase(result(energy=None, total_moment=None, sites={}))
    with pytest.raises(PropertyNotImplementedError):
        atoms.get_potential_energy()
    assert "moments" not in atoms.info


@pytest.fixture(scope="module")
def real(shared_data, tmp_path_factory):
    """The real run, what pymatgen makes of it, and where its file is."""
    from pymatgen.io.vasp import Vasprun

    folder = tmp_path_factory.mktemp("fe2o3")
    packed = shared_data / "vasp" / "fe2o3_pbeu" / "vasprun.xml.gz"
    (folder / "vasprun.xml").write_bytes(gzip.decompress(packed.read_bytes()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen's, of the missing POTCAR
        run = Vasprun(folder / "vasprun.xml", parse_potcar_file=False)
    try:
        told = read_folder(folder)
    except ReaderError as error:
        pytest.skip(f"this version cannot read a vasprun.xml alone: {error}")
    if told.dos is None:
        pytest.skip("this version does not read the density of states of VASP")
    return told, run, folder


def test_the_density_of_states_of_a_real_run_is_what_pymatgen_reads(real):
    told, run, _ = real
    mine, theirs = to_pymatgen_dos(told), run.complete_dos
    assert mine.efermi == pytest.approx(theirs.efermi, abs=1e-8)
    for spin, density in theirs.densities.items():
        assert np.allclose(mine.densities[spin], density, atol=1e-4)
    for mine_at, site in zip(told.structure, run.final_structure, strict=True):
        assert mine_at.distance(site) < 1e-4
        for orbital, by_spin in theirs.pdos[site].items():
            for spin, density in by_spin.items():
                assert np.allclose(mine.pdos[mine_at][orbital][spin], density, atol=1e-6), orbital


def test_the_bands_of_a_real_run_are_what_pymatgen_reads(real):
    told, run, _ = real
    mine = to_pymatgen_bands(told)
    for spin, energies in run.eigenvalues.items():
        assert np.allclose(np.sort(mine.bands[spin].T, axis=1), np.sort(energies[:, :, 0], axis=1), atol=1e-6)
    assert np.allclose([k.frac_coords for k in mine.kpoints], run.actual_kpoints, atol=1e-6)
    assert mine.get_band_gap()["energy"] == pytest.approx(1.5590, abs=2e-4)


def test_the_atoms_of_a_real_run_are_what_ase_reads(real):
    from ase.io import read

    told, run, folder = real
    mine = to_ase(told)
    theirs = read(folder / "vasprun.xml")
    assert mine.get_chemical_symbols() == theirs.get_chemical_symbols()
    assert np.allclose(mine.get_scaled_positions(), theirs.get_scaled_positions(), atol=1e-6)
    assert np.allclose(mine.get_forces(), run.ionic_steps[-1]["forces"], atol=1e-6)
    assert np.allclose(mine.get_stress(), theirs.get_stress(), atol=1e-6)
