"""VASP's files made by others, read to the numbers that pymatgen reads; and what cannot be read is told."""

from __future__ import annotations

import gzip
import json
import re
import warnings

import numpy as np
import pytest
from pymatgen.electronic_structure.core import Spin
from pymatgen.io.vasp.outputs import Outcar, Vasprun

from heterodft.analysis.readers import read_folder
from heterodft.analysis.readers.vasp.assembly import how_it_ended
from heterodft.analysis.result import Result
from heterodft.errors import ReaderError


@pytest.fixture
def unpacked(shared_data, tmp_path):
    def unpack(name, *files):
        for path in (shared_data / "vasp" / name).iterdir():
            data = path.read_bytes()
            file = path.name.removesuffix(".gz")
            if not files or file in files:
                (tmp_path / file).write_bytes(gzip.decompress(data) if path.suffix == ".gz" else data)
        return tmp_path

    return unpack


def vasprun(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Vasprun(folder / "vasprun.xml", parse_potcar_file=False)


def last_energy(folder):
    """energy(sigma->0) of the last SCF step, by its text alone."""
    steps = re.findall(r"<scstep>.*?</scstep>", (folder / "vasprun.xml").read_text(), flags=re.DOTALL)
    return float(re.findall(r'name="e_0_energy">\s*(\S+)', steps[-1])[-1])


@pytest.mark.parametrize(
    ("name", "step", "numbers", "bands"),
    [
        ("nio_pbeu_v641", "static", (-4.52549041, 3.8142582, 2.0028793), (2, 6, 16)),
        ("mg_gan_relax", "relax", (-206.95793434, 4.51511859, 0.9888948), (2, 1, 288)),
    ],
)
def test_real_runs_have_the_numbers_of_pymatgen(unpacked, name, step, numbers, bands):
    energy, fermi_level, moment = numbers
    folder = unpacked(name)
    found, run, outcar = read_folder(folder), vasprun(folder), Outcar(folder / "OUTCAR")
    assert (found.step, found.code, found.converged) == (step, "vasp", True)
    assert found.energy == pytest.approx(energy, abs=1e-8) == float(run.final_energy)
    assert found.energy == last_energy(folder)
    assert found.fermi_level == pytest.approx(fermi_level) == run.efermi
    assert found.total_moment == pytest.approx(moment) == outcar.total_mag
    assert found.bands.energies.shape == bands
    for spin, energies, occupations in zip(Spin, found.bands.energies, found.bands.occupations, strict=True):
        np.testing.assert_array_equal(energies, run.eigenvalues[spin][..., 0])
        np.testing.assert_array_equal(occupations, run.eigenvalues[spin][..., 1])
    np.testing.assert_array_equal(found.bands.kpoints, run.actual_kpoints)
    assert found.bands.weights.sum() == pytest.approx(1)
    assert found.sites["sphere"].moments == tuple(site["tot"] for site in outcar.magnetization)
    assert found.sites["sphere"].charges == tuple(site["tot"] for site in outcar.charge)
    assert found.structure == run.final_structure
    assert found.electrons == run.parameters["NELECT"]
    assert (found.cpu_seconds, found.wall_seconds) == (
        outcar.run_stats["Total CPU time used (sec)"],
        outcar.run_stats["Elapsed time (sec)"],
    )
    assert found.iterations == len(run.ionic_steps[-1]["electronic_steps"])


def test_the_result_is_stored_and_loaded(unpacked):
    folder = unpacked("nio_pbeu_v641")
    read_folder(folder).save(folder)
    found = Result.load(folder)
    assert (found.energy, found.version) == (-4.52549041, "6.4.1")
    assert json.loads((folder / "result.json").read_text())["gap"] == 0.0


@pytest.mark.parametrize("name", ["fe2o3_pbeu", "v2o5_unconverged", "ti_lorbit10_v660", "si_h5", "mg_gan_relax"])
def test_the_energy_is_that_of_the_last_scf_step_in_every_version(unpacked, name):
    folder = unpacked(name, "vasprun.xml")
    assert read_folder(folder).energy == pytest.approx(last_energy(folder), abs=1e-8)


def test_sites_come_back_in_the_builders_order(unpacked):
    folder = unpacked("nio_pbeu_v641")
    (folder / "site_order.json").write_text('{"order": [1, 0]}')
    found = read_folder(folder)
    assert [site.species_string for site in found.structure] == ["O", "Ni"]
    assert found.sites["sphere"].moments == (0.903, 1.122)
    (folder / "site_order.json").write_text('{"order": [1, 1]}')
    with pytest.raises(ReaderError, match=r"site_order.json is not the order of 2 sites"):
        read_folder(folder)


def test_labels_of_the_request_are_taken_over_and_other_atoms_refused(unpacked):
    folder = unpacked("nio_pbeu_v641")
    asked = {"species": ["Ni", "O"], "site_properties": {"layer": [1, 2]}}
    (folder / "request.json").write_text(json.dumps({"request": {"step": "static", "structure": asked}}))
    assert read_folder(folder).structure.site_properties["layer"] == [1, 2]
    asked["species"] = ["O", "Ni"]
    (folder / "request.json").write_text(json.dumps({"request": {"step": "static", "structure": asked}}))
    with pytest.raises(ReaderError, match="other atoms than its request"):
        read_folder(folder)


def test_a_cut_off_file_is_read_as_far_as_it_goes(unpacked):
    found = read_folder(unpacked("truncated"))
    assert (found.ended, found.converged, found.iterations) == ("cut off", False, 49)
    assert any("cut off" in note for note in found.notes)


def test_what_is_missing_without_outcar_is_told(unpacked):
    found = read_folder(unpacked("nio_pbeu_v641", "vasprun.xml"))
    assert found.sites == {}
    assert any("OUTCAR, which is not there" in note for note in found.notes)


@pytest.mark.parametrize("text", [None, ""])
def test_how_a_run_ended_needs_its_outcar(tmp_path, text):
    if text is not None:
        (tmp_path / "OUTCAR").write_text(text)
    with pytest.raises(ReaderError, match=r"cannot read .*OUTCAR: it is (missing|empty)"):
        how_it_ended(tmp_path)


def test_files_of_two_systems_are_refused(unpacked, shared_data):
    folder = unpacked("o2_ncl_soc")
    (folder / "OUTCAR").write_bytes(
        gzip.decompress((shared_data / "vasp" / "nio_pbeu_v641" / "OUTCAR.gz").read_bytes())
    )
    with pytest.raises(
        ReaderError, match=r"vasprun.xml and OUTCAR of .* are of different runs: their elements differ"
    ):
        read_folder(folder)


@pytest.mark.parametrize(
    ("said", "ended"),
    [
        ("aborting loop because EDIFF is reached", (False, True, False)),
        ("aborting loop EDIFF was not reached (unconverged)", (False, False, False)),
        ("aborting loop because hard stop was set", (True, False, False)),
        ("aborting loop because EDIFF is reached -\n soft stop encountered!  aborting job ...", (True, True, False)),
        ("aborting loop because EDIFF is reached -\n reached required accuracy - stopping structural energy "
         "minimisation\n soft stop encountered!  aborting job ...", (False, True, True)),
    ],
)  # fmt: skip
def test_how_a_run_ended_is_told_from_outcar(tmp_path, said, ended):
    (tmp_path / "OUTCAR").write_text(f"------ aborting loop because EDIFF is reached ----\n------ {said} -----\n")
    assert how_it_ended(tmp_path) == ended


def test_a_stopped_relaxation_is_not_converged(unpacked):
    """pymatgen calls it converged, since it took fewer steps than allowed."""
    folder = unpacked("mg_gan_relax")
    text = (
        (folder / "OUTCAR")
        .read_text()
        .replace(
            "reached required accuracy - stopping structural energy minimisation",
            "soft stop encountered!  aborting job ...",
        )
    )
    (folder / "OUTCAR").write_text(text)
    assert vasprun(folder).converged
    assert read_folder(folder).converged is False
