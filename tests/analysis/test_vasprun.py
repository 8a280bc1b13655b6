"""vasprun.xml of all versions: the numbers of pymatgen where it is right, and those of synthetic files."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pymatgen.electronic_structure.core import Spin
from pymatgen.io.vasp.outputs import Vasprun as PymatgenVasprun

from heterodft.analysis.readers.vasp.vasprun import ORBITAL_OF, Vasprun
from heterodft.analysis.result import ORBITALS, SHELLS
from heterodft.errors import ReaderError

sys.path.insert(0, str(Path(__file__).parents[1]))
from synthetic_vasprun import make_run, write_vasprun

REAL = ["fe2o3_pbeu", "nio_pbeu_v641", "v2o5_unconverged", "o2_ncl_soc", "ti_lorbit10_v660", "mg_gan_relax", "si_h5",
        "ce_f_orbitals"]  # fmt: skip


@pytest.fixture(scope="module", params=REAL)
def both(request, shared_data, tmp_path_factory):
    """A real file, read by us and by pymatgen."""
    packed = shared_data / "vasp" / request.param / "vasprun.xml.gz"
    path = tmp_path_factory.mktemp(request.param) / "vasprun.xml"
    path.write_bytes(gzip.decompress(packed.read_bytes()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = PymatgenVasprun(path, parse_projected_eigen=True, parse_potcar_file=False)
    return Vasprun.open(path), other


def spins_of(by_spin):
    return [by_spin[spin] for spin in (Spin.up, Spin.down) if spin in by_spin]


def test_the_head_is_that_of_pymatgen(both):
    ours, other = both
    assert ours.complete
    assert ours.version.lower() == other.vasp_version.strip().lower()
    assert list(ours.elements) == other.atomic_symbols
    assert list(ours.pseudopotentials) == [spec.strip() for spec in other.potcar_symbols]
    np.testing.assert_array_equal(ours.kpoints, other.actual_kpoints)
    np.testing.assert_array_equal(ours.weights, other.actual_kpoints_weights)
    assert ours.mesh is None or ours.mesh == tuple(other.kpoints.kpts[0])
    assert ours.notes == ()


def test_settings_are_those_of_pymatgen(both):
    ours, other = both
    for mine, theirs in ((ours.parameters, other.parameters), (ours.incar, other.incar)):
        assert len(mine) > 3
        for name, value in theirs.items():
            if name in ("SYSTEM", "PREC", "ALGO", "LREAL", "MAGMOM", "GGA", "METAGGA", "SAXIS"):
                continue  # pymatgen rewrites these
            if isinstance(value, (list, tuple)):
                assert mine[name] == list(value), name
            else:
                assert str(mine[name]).lower() == str(value).lower().strip() or mine[name] == value, name
    assert ours.parameters["NELM"] > 1


def test_structures_are_those_of_pymatgen(both):
    ours, other = both
    for mine, theirs in (
        (ours.initial_structure(), other.initial_structure),
        (ours.final_structure(), other.final_structure),
    ):
        np.testing.assert_array_equal(mine.lattice, theirs.lattice.matrix)
        np.testing.assert_array_equal(mine.fractional, theirs.frac_coords)


def test_ionic_steps_are_those_of_pymatgen(both):
    ours, other = both
    assert len(ours.ionic_steps) == len(other.ionic_steps)
    for mine, theirs in zip(ours.ionic_steps, other.ionic_steps, strict=True):
        cycle = theirs["electronic_steps"]
        assert mine.complete
        assert mine.free_energies.tolist() == [step["e_fr_energy"] for step in cycle]
        assert mine.energies_without_entropy.tolist() == [step["e_wo_entrp"] for step in cycle]
        assert mine.energies_zero.tolist() == [step["e_0_energy"] for step in cycle]
        assert mine.block_energy == {name: theirs[name] for name in mine.block_energy}
        np.testing.assert_array_equal(mine.forces, theirs["forces"])
        np.testing.assert_array_equal(mine.stress, theirs["stress"])
        np.testing.assert_array_equal(mine.structure().lattice, theirs["structure"].lattice.matrix)


def test_eigenvalues_are_those_of_pymatgen(both):
    ours, other = both
    energies, occupations = ours.eigenvalues()
    expected = np.stack(spins_of(other.eigenvalues))
    np.testing.assert_array_equal(energies, expected[..., 0])
    if ours.version.startswith("5.4.4"):
        # The SCF cycle was stopped; occupations were computed anew for the projections, and pymatgen returns those.
        assert occupations[0, 0, 7:10].tolist() == [0.7225, 0.1553, 0.1222]
        assert expected[0, 0, 7:10, 1].tolist() == [0.4787, 0.002, 0.0003]
    else:
        np.testing.assert_array_equal(occupations, expected[..., 1])


def test_densities_of_states_are_those_of_pymatgen(both):
    ours, other = both
    dos = ours.dos()
    assert ours.fermi_level == dos.fermi_level == other.efermi
    np.testing.assert_array_equal(dos.energies, other.tdos.energies)
    spins = len(spins_of(other.tdos.densities))  # pymatgen takes two of the four of a noncollinear run
    np.testing.assert_array_equal(dos.total[:spins], spins_of(other.tdos.densities))
    np.testing.assert_array_equal(dos.integrated[:spins], spins_of(other.idos.densities))
    assert [ORBITAL_OF[name] for name in dos.columns]
    for mine, theirs in zip(dos.partial, other.pdos, strict=True):
        assert len(mine) == len(theirs)
        for column, by_spin in zip(mine, theirs.values(), strict=True):
            found = spins_of(by_spin)
            np.testing.assert_array_equal(column[: len(found)], found)


def test_projections_are_those_of_pymatgen(both):
    ours, other = both
    values, columns = ours.projections()
    assert len(columns) == values.shape[-1]
    spins = spins_of(other.projected_eigenvalues)
    np.testing.assert_array_equal(values[: len(spins)], np.stack(spins))
    if other.projected_magnetization is not None:
        np.testing.assert_array_equal(np.moveaxis(values[1:], 0, -1), other.projected_magnetization)
    assert ours.notes == ()


def test_optional_kpoints_are_kept_apart(shared_data):
    run = Vasprun.open(shared_data / "vasp" / "ti_lorbit10_v660" / "vasprun.xml.gz")
    found = run.optional(projections=True)
    assert (run.fermi_level, found.dos.fermi_level) == (8.73771247, 8.73881616)
    assert found.energies.shape == (2, 24, 18)
    assert found.kpoints.shape == (24, 3)
    assert found.energies[0, 0, 0] == -47.8415
    assert found.projections[0].shape == (2, 24, 18, 2, 4)
    assert run.eigenvalues()[0].shape == (2, 14, 18)
    assert found.dos.partial is None
    assert run.notes == ()


def test_a_run_without_optional_kpoints_has_none(shared_data):
    assert Vasprun.open(shared_data / "vasp" / "nio_pbeu_v641" / "vasprun.xml.gz").optional() is None


def test_a_file_that_ends_early_is_read_to_there(shared_data):
    run = Vasprun.open(shared_data / "vasp" / "truncated" / "vasprun.xml")
    assert not run.complete
    assert len(run.elements) == 25
    assert len(run.ionic_steps[0].free_energies) == 49
    assert run.ionic_steps[0].forces.shape == (25, 3)
    assert run.eigenvalues() is run.dos() is run.projections() is run.fermi_level is None
    np.testing.assert_array_equal(run.final_structure().lattice, run.ionic_steps[0].structure().lattice)
    assert run.notes[0].startswith("vasprun.xml: the file is cut off: VASP did not finish")
    assert run.notes[1:] == ("vasprun.xml: no final structure; that of ionic step 1 is taken",)


@pytest.mark.parametrize("spins", [1, 2, 4])
@pytest.mark.parametrize("columns", ["l", "lm", "lmf"])
@pytest.mark.parametrize("width", [9, 11])
def test_a_synthetic_file_gives_back_what_it_was_written_from(tmp_path, spins, columns, width):
    run = make_run(atoms=3, spins=spins, kpoints=12, bands=11, columns=columns, steps=2, seed=spins)
    check(Vasprun.open(write_vasprun(run, tmp_path / "vasprun.xml", width=width)), run)


def check(found, run):
    energies, occupations = found.eigenvalues()
    dos, (projections, columns) = found.dos(), found.projections()
    for mine, expected in (
        (energies, run.energies), (occupations, run.occupations), (found.kpoints, run.kpoints),
        (found.weights, run.weights), (dos.energies, run.grid), (dos.total, run.total),
        (dos.integrated, run.integrated), (dos.partial, run.partial), (projections, run.projections),
        (found.final_structure().fractional, run.positions), (found.ionic_steps[-1].forces, run.forces[-1]),
        (found.ionic_steps[0].stress, run.stress[0]), (found.ionic_steps[0].free_energies, run.scf[0, :, 0]),
        (found.ionic_steps[-1].energies_zero, run.scf[-1, :, 2]),
    ):  # fmt: skip
        np.testing.assert_array_equal(mine, expected)
    assert columns == dos.columns == run.columns
    assert found.parameters["NELM"] == 60
    assert found.incar["SYSTEM"] == "a run that never was"
    assert found.notes == ()


def test_a_file_that_was_indented_anew_is_read(tmp_path):
    run = make_run()
    path = write_vasprun(run, tmp_path / "vasprun.xml")
    lines = path.read_text().splitlines()
    path.write_text("\n".join(" ".join(line.split()) for line in lines) + "\n")
    check(Vasprun.open(path), run)


def test_line_ends_of_windows_are_read(tmp_path):
    run = make_run()
    path = write_vasprun(run, tmp_path / "vasprun.xml")
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    check(Vasprun.open(path), run)


@pytest.mark.parametrize("packer", [gzip, bz2, lzma])
def test_compressed_files_are_read(tmp_path, packer):
    run = make_run()
    path = write_vasprun(run, tmp_path / "vasprun.xml")
    packed = path.with_suffix({gzip: ".xml.gz", bz2: ".xml.bz2", lzma: ".xml.xz"}[packer])
    packed.write_bytes(packer.compress(path.read_bytes()))
    check(Vasprun.open(packed), run)


def test_blocks_larger_than_a_batch_are_read(tmp_path):
    run = make_run(atoms=70, kpoints=2, bands=130, grid=3001)
    check(Vasprun.open(write_vasprun(run, tmp_path / "vasprun.xml")), run)


def test_stars_are_told_and_not_a_number(tmp_path):
    run = make_run()
    path = write_vasprun(run, tmp_path / "vasprun.xml")
    text = path.read_text()
    shown = f"{run.energies[0, 0, 0]:10.4f}"
    path.write_text(text.replace(shown, "*" * 10, 1))
    found = Vasprun.open(path)
    energies, _ = found.eigenvalues()
    assert np.isnan(energies[0, 0, 0])
    assert np.isfinite(energies.ravel()[1:]).all()
    assert any("1 of the eigenvalues do not fit into VASP's columns" in note for note in found.notes)


def test_partial_densities_are_left_out_unless_asked_for(tmp_path):
    run = make_run()
    dos = Vasprun.open(write_vasprun(run, tmp_path / "vasprun.xml")).dos(partial=False)
    assert dos.partial is None
    np.testing.assert_array_equal(dos.total, run.total)


def test_ionic_steps_of_a_force_field_have_no_eigenvalues(tmp_path):
    """Those without SCF steps after one with: the bands are of an earlier step, which is told."""
    run = make_run(steps=1)
    path = write_vasprun(run, tmp_path / "vasprun.xml")
    text = path.read_text()
    step = text[text.index(" <calculation>") : text.index(" </calculation>")]
    learned = step[: step.index("  <scstep>")] + step[step.index("  <structure>") : step.index("  <eigenvalues>")]
    path.write_text(text.replace(" </calculation>\n", f" </calculation>\n{learned} </calculation>\n" * 1))
    found = Vasprun.open(path)
    assert [len(step.free_energies) for step in found.ionic_steps] == [3, 0]
    assert found.ionic_steps[1].block_energy["e_fr_energy"] == run.scf[0, -1, 0]
    np.testing.assert_array_equal(found.eigenvalues()[0], run.energies)
    assert "vasprun.xml: the eigenvalues are those of ionic step 1 of 2" in found.notes


def test_selective_dynamics_do_not_disturb(tmp_path):
    run = make_run()
    path = write_vasprun(run, tmp_path / "vasprun.xml")
    marks = '<varray name="selective" >\n' + 2 * '   <v type="logical" > T  F  T </v>\n' + "  </varray>\n"
    path.write_text(path.read_text().replace(" </structure>", f"  {marks} </structure>"))
    check(Vasprun.open(path), run)


def test_thousands_of_ionic_steps_are_walked_through(tmp_path):
    run = make_run(steps=2000, cycle=2)
    found = Vasprun.open(write_vasprun(run, tmp_path / "vasprun.xml"))
    assert len(found.ionic_steps) == 2000
    np.testing.assert_array_equal(np.stack([step.free_energies for step in found.ionic_steps]), run.scf[..., 0])
    np.testing.assert_array_equal(found.ionic_steps[1234].forces, run.forces[1234])


def test_occupations_that_are_not_the_number_of_electrons_are_told(tmp_path):
    run = make_run()
    path = write_vasprun(replace(run, occupations=run.occupations * 0.5), tmp_path / "vasprun.xml")
    path.write_text(path.read_text().replace(f"{run.electrons / 2:16.8f}", f"{run.electrons:16.8f}"))
    found = Vasprun.open(path)
    assert found.eigenvalues() is not None
    assert any("the occupations add up to" in note for note in found.notes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; VASP did not begin"),
        (b"<html>no</html>", "does not begin as VASP's vasprun.xml"),
        (b"\0" * 5000, "does not begin as VASP's vasprun.xml"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path, content, message):
    (tmp_path / "vasprun.xml").write_bytes(content)
    with pytest.raises(ReaderError, match=re.escape(message)) as told:
        Vasprun.open(tmp_path / "vasprun.xml")
    assert "\n" not in str(told.value)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(ReaderError, match=r"cannot read .*vasprun.xml: it is missing"):
        Vasprun.open(tmp_path / "vasprun.xml")


def test_every_column_has_an_orbital():
    assert set(ORBITAL_OF.values()) == {*ORBITALS, *SHELLS}


def test_the_reader_is_imported_without_pymatgen():
    code = "import sys, heterodft.analysis.readers.vasp.vasprun_sets, heterodft.analysis.readers.numbers; print([m for m in ('pymatgen', 'ase', 'pandas', 'scipy', 'matplotlib') if m in sys.modules])"  # noqa: E501
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
