"""A VASP folder in which some files were kept: what can be told is, what is missing is named, runs are not mixed."""

from __future__ import annotations

import gzip
import re
import shutil

import numpy as np
import pytest
from synthetic_vasp import Run, outcar, read_or_fail, write_run

from heterodft.analysis.readers.vasp.assembly import read_vasp
from heterodft.analysis.result import ORBITALS, SHELLS, Result
from heterodft.errors import ReaderError


@pytest.fixture
def folder(shared_data, tmp_path):
    def copy(name, *files):
        for path in (shared_data / "vasp" / name).iterdir():
            if not files or path.name.removesuffix(".gz") in files:
                shutil.copyfile(path, tmp_path / path.name)
        return tmp_path

    return copy


def told(result, words):
    return any(words in note for note in result.notes)


FACTS = {
    "fe2o3_pbeu": ("5.2.2", "Fe4 O6", -66.6133524, 3.12362836, (2, 32, 68), True, 20.0),
    "nio_pbeu_v641": ("6.4.1", "Ni1 O1", -4.52549041, 3.8142582, (2, 6, 16), True, 2.0028),
    "v2o5_unconverged": ("5.2.11", "V4 O10", -134.33107279, 0.63706997, (2, 12, 75), False, 0.0),
    "ti_lorbit10_v660": ("6.6.0", "Ti2", -21.10777233, 8.73771247, (2, 14, 18), True, 0.0),
    "mg_gan_relax": ("6.3.0", "Mg1 Ga15 N16", -206.95793434, 4.51511859, (2, 1, 288), True, 0.989),
    "si_h5": ("6.4.1", "Si2", -17.54958326, 5.99942324, (2, 47, 128), True, 0.0),
    "o2_ncl_soc": ("6.4.1", "O2", -9.85231311, -6.62496889, (1, 1, 22), False, None),
    "ce_f_orbitals": ("5.4.4", "Ce1", 10.86141522, -22.57590312, (2, 1, 36), False, 4.0),
}


@pytest.mark.parametrize("name", FACTS)
def test_vasprun_alone(folder, name):
    version, formula, energy, level, shape, converged, moment = FACTS[name]
    found = read_vasp(folder(name, "vasprun.xml"), {})
    assert (found.version, found.structure.formula, found.energy) == (version, formula, energy)
    assert found.fermi_levels == (level,)
    assert found.bands.energies.shape == shape
    assert (found.converged, found.ended) == (converged, "finished")
    assert found.total_moment == (None if moment is None else pytest.approx(moment, abs=1e-3))
    assert found.sites == {}
    assert told(found, "no moments or charges in spheres: they are in OUTCAR, which is not there")
    assert told(found, "convergence is judged by the number of steps")
    assert found.forces.shape == (len(found.structure), 3)


def test_method_of_real_runs(folder, tmp_path):
    found = read_vasp(folder("fe2o3_pbeu"), {}).method
    assert found == {
        "xc": "PBE", "cutoff": 520.0, "kpoints": [6, 6, 6], "smearing": "tetrahedron (Blöchl)",
        "smearing_width": 0.05,
        "hubbard": {"Fe": {"shell": "d", "L": 2, "U": 5.3, "J": 0.0}}, "charge": 0.0,
        "precision": "accurate", "support_grid": False, "projectors": "real", "aspherical": False, "dipole": False,
        "noncollinear": False, "spin_orbit": False, "pseudopotentials": {"Fe": "PAW_PBE Fe_pv 06Sep2000",
        "O": "PAW_PBE O 08Apr2002"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "xc"),
    [("truncated", "HSE06 (HFSCREEN 0.207)"), ("si_h5", "r2SCAN"), ("mg_gan_relax", "PBEsol"), ("o2_ncl_soc", "PBE")],
)
def test_functionals_of_real_runs(folder, name, xc):
    assert read_vasp(folder(name, "vasprun.xml"), {}).method["xc"] == xc


def test_densities_of_states_and_projections_are_in_our_order(folder):
    found = read_vasp(folder("ce_f_orbitals"), {}, projections=True)
    assert found.dos.orbitals == ORBITALS == found.bands.orbitals
    assert found.dos.values.shape == (1, 16, 2, 301)
    assert found.bands.projections.shape == (2, 1, 36, 1, 16)


def test_shells_of_lorbit_10(folder):
    found = read_vasp(folder("ti_lorbit10_v660"), {})
    assert found.dos.orbitals == SHELLS
    assert found.bands.projections is None


def test_a_noncollinear_run(folder):
    found = read_vasp(folder("o2_ncl_soc"), {}, projections=True)
    assert found.dos.values.shape == (2, 9, 4, 3000)
    assert found.dos.total.shape == (4, 3000)
    assert found.bands.projections.shape == (4, 1, 22, 2, 9)
    assert (found.method["noncollinear"], found.method["spin_orbit"]) == (True, True)


def test_moments_with_directions(folder):
    found = read_vasp(folder("nio_soc_outcar"), {})
    sphere = found.sites["sphere"]
    assert sphere.moments == (1.671, -1.671, 0, 0)
    np.testing.assert_array_equal(sphere.vectors, [[0, 0, 1.671], [0, 0, -1.671], [0, 0, 0], [0, 0, 0]])
    np.testing.assert_allclose(sphere.shell_moments[0], [-0.001, -0.003, 1.674, 0])
    assert found.total_moment == pytest.approx(np.linalg.norm([3.52e-05, -7.54e-05, -1e-07]))
    assert found.method["hubbard"] == {"Ni": {"shell": "d", "L": 2, "U": 5.0, "J": 0.0, "type": 2}}
    assert found.structure.formula == "Ni2 O2"
    np.testing.assert_allclose(found.structure.cart_coords[1], 4.17, atol=1e-5)


def test_outcar_alone_tells_nearly_all(folder):
    alone = read_vasp(folder("mg_gan_relax", "OUTCAR"), {})
    both = read_vasp(folder("mg_gan_relax"), {})
    for name in ("energy", "electrons", "total_moment", "converged", "ended", "version", "step", "iterations"):
        assert getattr(alone, name) == getattr(both, name)
    np.testing.assert_allclose(alone.structure.cart_coords, both.structure.cart_coords, atol=1e-5)
    np.testing.assert_allclose(alone.forces, both.forces, atol=1e-6)
    np.testing.assert_allclose(alone.stress, both.stress, atol=1e-8)
    np.testing.assert_allclose(alone.bands.energies, both.bands.energies, atol=6e-5)
    assert alone.fermi_level == pytest.approx(both.fermi_level, abs=1e-7)
    free = {"smearing": 0, "support_grid": None}  # OUTCAR tells no ADDGRID
    assert alone.method | free == both.method | free
    assert alone.sites["sphere"].moments == both.sites["sphere"].moments
    assert told(alone, "positions have five decimals")
    assert told(alone, "the bands are those of OUTCAR")
    assert both.notes == ()


def test_h5_alone_agrees_with_xml_alone(folder, tmp_path):
    xml = read_vasp(folder("si_h5", "vasprun.xml"), {}, projections=True)
    (tmp_path / "vasprun.xml.gz").unlink()
    h5 = read_vasp(folder("si_h5", "vaspout.h5"), {}, projections=True)
    for name in ("energy", "version", "electrons", "step", "total_moment"):
        assert getattr(h5, name) == getattr(xml, name)
    assert h5.fermi_level == pytest.approx(xml.fermi_level, abs=1e-8) == pytest.approx(5.999423235473216)
    np.testing.assert_allclose(h5.bands.energies, xml.bands.energies, atol=5.1e-5)
    np.testing.assert_allclose(h5.bands.occupations, xml.bands.occupations, atol=5.1e-5)
    np.testing.assert_allclose(h5.bands.kpoints, xml.bands.kpoints, atol=1e-8)
    np.testing.assert_allclose(h5.bands.weights, xml.bands.weights, atol=1e-7)
    np.testing.assert_allclose(h5.bands.projections, xml.bands.projections, atol=5.1e-5)
    np.testing.assert_allclose(h5.dos.total, xml.dos.total, atol=5.1e-5)
    np.testing.assert_allclose(h5.dos.values, xml.dos.values, atol=5.1e-5)
    np.testing.assert_allclose(h5.structure.lattice.matrix, xml.structure.lattice.matrix, atol=1e-8)
    np.testing.assert_allclose(h5.structure.frac_coords, xml.structure.frac_coords, atol=1e-8)
    np.testing.assert_allclose(h5.stress, xml.stress, atol=1e-8)
    assert h5.dos.orbitals == xml.dos.orbitals == ORBITALS[:9]
    for name in ("xc", "cutoff", "smearing", "smearing_width", "pseudopotentials", "charge"):
        assert h5.method[name] == xml.method[name]
    assert h5.sites["sphere"].charges == pytest.approx([1.7066, 1.7066], abs=1e-4)
    assert h5.converged is None
    assert told(h5, "whether the run converged is not known")


def test_a_run_cut_off_in_its_xml(folder):
    found = read_vasp(folder("truncated"), {})
    assert (found.ended, found.converged, found.structure.formula) == ("cut off", False, "Li1 Fe4 P4 O16")
    assert told(found, "the file is cut off")
    assert found.fermi_levels == ()
    assert found.bands is None


@pytest.mark.parametrize("spin", [1, 2, 4])
def test_files_of_one_run_make_one_result(tmp_path, spin):
    run = Run(spin=spin)
    write_run(tmp_path, run)
    found = read_vasp(tmp_path, {}, projections=True)
    assert (found.energy, found.fermi_level, found.electrons) == (run.energies[-1, 2], 3.8143, 44.0)
    np.testing.assert_array_equal(found.forces, run.forces[-1])
    np.testing.assert_allclose(found.structure.cart_coords, run.cartesian[-1], atol=1e-10)
    np.testing.assert_array_equal(found.bands.energies, run.eigenvalues)
    np.testing.assert_array_equal(found.bands.occupations, run.occupations)
    np.testing.assert_array_equal(found.bands.projections[..., 1], run.parts[..., 2])
    np.testing.assert_array_equal(found.dos.values[:, 3], run.density[:, 1])
    sphere = found.sites["sphere"]
    np.testing.assert_array_equal(sphere.shell_charges[:, :3], run.charges[-1])
    if spin == 1:
        assert sphere.moments is None is found.total_moment
    else:
        np.testing.assert_array_equal(sphere.shell_moments[:, :3], run.moments[-1, -1])
        np.testing.assert_allclose(sphere.moments, run.moments[-1, -1].sum(axis=1), atol=1e-9)
        vector = run.total_moments[-1]
        assert found.total_moment == pytest.approx(vector[0] if spin == 2 else np.linalg.norm(vector))
    assert found.notes == ()
    assert (found.converged, found.ended, found.step) == (True, "finished", "relax")
    found.save(tmp_path)
    assert Result.load(tmp_path).energy == found.energy


def test_everything_of_a_site_comes_in_the_builders_order(tmp_path):
    run = Run(spin=4)
    write_run(tmp_path, run)
    plain = read_vasp(tmp_path, {}, projections=True)
    (tmp_path / "site_order.json").write_text('{"order": [2, 0, 3, 1]}')
    found = read_vasp(tmp_path, {}, projections=True)
    where = [1, 3, 0, 2]  # in the POSCAR, of each site of the builder
    assert [s.species_string for s in found.structure] == [plain.structure[i].species_string for i in where]
    np.testing.assert_array_equal(found.structure.frac_coords, plain.structure.frac_coords[where])
    np.testing.assert_array_equal(found.forces, plain.forces[where])
    np.testing.assert_array_equal(found.dos.values, plain.dos.values[where])
    np.testing.assert_array_equal(found.bands.projections, plain.bands.projections[:, :, :, where])
    for name in ("vectors", "shell_charges", "shell_moments"):
        np.testing.assert_array_equal(
            getattr(found.sites["sphere"], name), getattr(plain.sites["sphere"], name)[where]
        )
    assert found.sites["sphere"].moments == tuple(plain.sites["sphere"].moments[i] for i in where)


@pytest.mark.parametrize(
    ("files", "has", "missing"),
    [
        (("OUTCAR", "CONTCAR"), {"energy", "bands", "forces", "sites"}, {"dos"}),
        (("OSZICAR", "CONTCAR"), {"energy", "total_moment"}, {"dos", "bands", "forces", "sites", "electrons"}),
        (("DOSCAR", "CONTCAR"), {"dos"}, {"bands", "energy", "forces", "total_moment"}),
        (("PROCAR", "CONTCAR"), {"bands"}, {"dos", "energy", "forces", "fermi_levels"}),
        (("OSZICAR", "DOSCAR", "PROCAR", "CONTCAR"), {"energy", "bands", "dos", "total_moment"}, {"forces"}),
    ],
)
def test_whatever_was_kept_is_read_and_the_rest_is_named(tmp_path, files, has, missing):
    run = Run(spin=2)
    write_run(tmp_path, run, *files)
    found = read_vasp(tmp_path, {}, projections=True)
    values = {name: getattr(found, name) for name in has | missing}
    assert {name for name, value in values.items() if value is not None and str(value) not in ("()", "{}")} == has
    assert found.structure.formula == "Ni2 O2"
    for name, words in (("bands", "no bands"), ("energy", "no energy"), ("fermi_levels", "no Fermi level")):
        assert told(found, words) == (not getattr(found, name))
    if "OUTCAR" not in files:
        assert found.converged is None or found.converged is False
        assert told(found, "no moments or charges in spheres")


def test_outcar_and_incar_tell_of_the_columns_of_doscar(tmp_path):
    run = Run(spin=4, columns=4)
    write_run(tmp_path, run, "DOSCAR", "CONTCAR")
    with pytest.raises(ReaderError, match="keep its INCAR beside it"):
        read_vasp(tmp_path, {})
    (tmp_path / "INCAR").write_text("LSORBIT = .TRUE.  ! with spin-orbit\n")
    assert read_vasp(tmp_path, {}).dos.values.shape == (4, 4, 4, 11)
    (tmp_path / "INCAR").unlink()
    write_run(tmp_path, run, "OUTCAR")
    assert read_vasp(tmp_path, {}).dos.values.shape == (4, 4, 4, 11)


def test_files_of_another_system_are_refused(folder, shared_data, tmp_path):
    folder("nio_pbeu_v641", "vasprun.xml")
    shutil.copyfile(shared_data / "vasp" / "co_outcar" / "OUTCAR.gz", tmp_path / "OUTCAR.gz")
    with pytest.raises(ReaderError, match=r"vasprun.xml.gz and OUTCAR.gz of .* are of different runs: 2 and 4 atoms"):
        read_vasp(tmp_path, {})


def test_other_numbers_of_electrons_are_refused(folder, tmp_path):
    folder("nio_pbeu_v641")
    text = gzip.decompress((tmp_path / "OUTCAR.gz").read_bytes()).decode()
    (tmp_path / "OUTCAR.gz").unlink()
    (tmp_path / "OUTCAR").write_text(re.sub(r"NELECT =      22.0000", "NELECT =      21.0000", text))
    with pytest.raises(ReaderError, match="different runs: 22 and 21 electrons"):
        read_vasp(tmp_path, {})


def test_files_of_another_run_are_left_out_and_told(folder, tmp_path):
    folder("nio_pbeu_v641")
    text = gzip.decompress((tmp_path / "OUTCAR.gz").read_bytes()).decode()
    (tmp_path / "OUTCAR.gz").unlink()
    (tmp_path / "OUTCAR").write_text(text.replace("-4.52549041", "-4.62549041"))
    found = read_vasp(tmp_path, {})
    assert found.energy == -4.52549041
    assert found.sites == {}
    assert told(found, "OUTCAR was left out: its energy is -4.625490 eV, in vasprun.xml.gz -4.525490 eV")


@pytest.mark.parametrize("name", ["DOSCAR", "PROCAR", "OSZICAR"])
def test_text_files_of_another_run_are_left_out(tmp_path, name):
    run, other = Run(spin=2), Run(spin=2, seed=8, steps=2)
    write_run(tmp_path, run, "OUTCAR", "CONTCAR")
    write_run(tmp_path, other, name)
    if name == "DOSCAR":
        path = tmp_path / name
        path.write_text(path.read_text().replace("3.81430000", "3.71430000"))
    found = read_vasp(tmp_path, {}, projections=True)
    if name == "PROCAR":
        assert found.bands.projections is None
    assert told(found, f"{name} was left out")
    assert found.energy == run.energies[-1, 2]


def test_a_structure_of_another_step_is_not_taken(tmp_path):
    run = Run()
    write_run(tmp_path, run, "OUTCAR", "CONTCAR")
    shifted = Run()
    shifted.cartesian[-1] += 0.05
    write_run(tmp_path, shifted, "CONTCAR")
    found = read_vasp(tmp_path, {})
    np.testing.assert_allclose(found.structure.cart_coords, run.cartesian[-1], atol=1e-5)
    assert told(found, "CONTCAR holds other positions than OUTCAR")


def test_moments_are_of_the_step_of_the_energy(folder, tmp_path):
    """An OUTCAR that was copied while the run went on is behind vasprun.xml: its moments are not taken."""
    folder("mg_gan_relax")
    text = gzip.decompress((tmp_path / "OUTCAR.gz").read_bytes())
    (tmp_path / "OUTCAR.gz").unlink()
    (tmp_path / "OUTCAR").write_bytes(text[: text.index(b"Iteration      4(   1)")])
    found = read_vasp(tmp_path, {})
    assert (found.energy, found.sites, found.ended) == (-206.95793434, {}, "finished")
    assert told(found, "OUTCAR was left out: its energy is -206.94")


def test_a_killed_run_has_the_last_step_that_ended(tmp_path):
    run = Run()
    write_run(tmp_path, run, "CONTCAR")
    text = outcar(run)
    (tmp_path / "OUTCAR").write_text(text[: text.index("Iteration      3(   2)") + 60])
    found = read_vasp(tmp_path, {})
    assert (found.energy, found.ended, found.converged) == (run.energies[1, 2], "cut off", False)
    np.testing.assert_array_equal(found.forces, run.forces[1])
    np.testing.assert_allclose(found.structure.cart_coords, run.cartesian[1], atol=1e-5)
    np.testing.assert_array_equal(found.sites["sphere"].shell_moments[:, :3], run.moments[1, 0])


@pytest.mark.parametrize(
    ("said", "ended"),
    [("forrtl: severe (174): SIGSEGV, segmentation fault occurred", "crashed"), ("mpirun: killed", "cut off")],
)
def test_a_crash_is_told_from_a_kill(tmp_path, said, ended):
    run = Run()
    write_run(tmp_path, run, "CONTCAR")
    text = outcar(run)
    (tmp_path / "OUTCAR").write_text(text[: text.index("Iteration      3(   2)")])
    (tmp_path / "std_err.txt").write_text(said)
    assert read_vasp(tmp_path, {}).ended == ended


def test_a_charged_cell_is_told(folder, tmp_path):
    folder("nio_soc_outcar")
    text = gzip.decompress((tmp_path / "OUTCAR.gz").read_bytes()).decode()
    (tmp_path / "OUTCAR.gz").unlink()
    (tmp_path / "OUTCAR").write_text(text.replace("NELECT =      44.0000", "NELECT =      42.0000"))
    assert read_vasp(tmp_path, {}).method["charge"] == 2.0


def test_an_empty_folder_and_one_without_a_structure(tmp_path, shared_data):
    with pytest.raises(ReaderError, match=r"it holds no vasprun.xml, .* or PROCAR"):
        read_vasp(tmp_path, {})
    with pytest.raises(ReaderError, match="holds no structure with its elements; put the CONTCAR"):
        read_vasp(shared_data / "vasp" / "procar_544", {})


def _check(found, run, cut):
    """Whatever is told is of one of the steps, and true."""
    if found.energy is not None:
        steps = np.flatnonzero(np.abs(run.energies[:, 2] - found.energy) < 1e-9)
        assert len(steps) == 1, cut
        step = steps[0]
        if found.sites and found.sites["sphere"].moments is not None:
            np.testing.assert_array_equal(found.sites["sphere"].shell_moments[:, :3], run.moments[step, 0])
        if found.forces is not None:
            np.testing.assert_array_equal(found.forces, run.forces[step])
        if found.total_moment is not None:
            assert found.total_moment == run.total_moments[step, 0]
        np.testing.assert_allclose(found.structure.cart_coords, run.cartesian[step], atol=1e-5)


def test_an_outcar_cut_at_every_hundredth_byte(tmp_path):
    run = Run(spin=2)
    text = outcar(run)
    for cut in range(0, len(text), 100):
        (tmp_path / "OUTCAR").write_text(text[:cut])
        found = read_or_fail(read_vasp, tmp_path, {})
        if found is None:
            continue
        _check(found, run, cut)
        assert found.ended == ("finished" if "General timing" in text[:cut] else "cut off")


def test_a_real_folder_cut_anywhere(folder, tmp_path):
    """The moments, energy and forces are those of the whole file, or are not there."""
    folder("nio_pbeu_v641", "OUTCAR")
    text = gzip.decompress((tmp_path / "OUTCAR.gz").read_bytes())
    whole = read_vasp(tmp_path, {})
    (tmp_path / "OUTCAR.gz").unlink()
    for cut in range(0, len(text), 1501):
        (tmp_path / "OUTCAR").write_bytes(text[:cut])
        found = read_or_fail(read_vasp, tmp_path, {})
        if found is None:
            continue
        assert found.energy in (None, whole.energy)
        assert found.total_moment in (None, whole.total_moment)
        assert found.sites == {} or found.sites["sphere"].moments == whole.sites["sphere"].moments
        assert found.structure == whole.structure


def test_random_bytes_in_any_file_are_told_or_harmless(tmp_path):
    run = Run(spin=2, steps=2)
    write_run(tmp_path, run)
    names = ["OUTCAR", "OSZICAR", "DOSCAR", "PROCAR", "CONTCAR"]
    whole = {name: (tmp_path / name).read_bytes() for name in names}
    generator = np.random.default_rng(1)
    for _ in range(300):
        name = names[generator.integers(len(names))]
        data = bytearray(whole[name])
        data[generator.integers(len(data))] = b" *-.0179EaN\n\x00\xff"[generator.integers(13)]
        (tmp_path / name).write_bytes(bytes(data))
        found = read_or_fail(read_vasp, tmp_path, {}, projections=True)
        if found is not None:
            found.to_dict()
            assert found.energy == run.energies[-1, 2] or found.notes
        (tmp_path / name).write_bytes(whole[name])
