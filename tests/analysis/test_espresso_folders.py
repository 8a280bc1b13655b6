"""Folders of Quantum ESPRESSO as others leave them: any name, any subset of files."""

from __future__ import annotations

import gzip
import re
import shutil

import numpy as np
import pytest

from heterodft.analysis.readers import read_folder
from heterodft.analysis.result import Result
from heterodft.errors import ReaderError
from heterodft.files import write_json
from heterodft.units import HARTREE, RYDBERG

SCHEMA = "data-file-schema.xml"


@pytest.fixture
def qe(shared_data):
    return shared_data / "qe"


@pytest.fixture
def copy(qe, tmp_path):
    """Copy files of a row of the manifest into one folder, under names of choice."""

    def place(row, **names):
        for source, name in names.items() if names else {f.name: f.name for f in (qe / row).iterdir()}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(qe / row / {"xml": SCHEMA, "out": "aiida.out"}.get(source, source), path)
        return tmp_path

    return place


def told(result, words):
    return any(words in note for note in result.notes)


def test_two_fermi_levels_of_a_fixed_moment(qe):
    found = read_folder(qe / "pw_two_fermi_v66")
    assert found.energy / RYDBERG == pytest.approx(-22.80554665, abs=1e-8)
    assert np.array(found.fermi_levels) / HARTREE == pytest.approx([0.2482970754441729, 0.2065524454763539])
    assert (found.total_moment, found.converged, found.ended, found.notes) == (
        pytest.approx(1.0),
        True,
        "finished",
        (),
    )
    assert found.method["smearing_width"] == pytest.approx(0.2 * RYDBERG)


def test_a_spin_polarized_run_of_the_newest_version(qe):
    found = read_folder(qe / "pw_lsda_v75")
    assert (found.version, found.bands.energies.shape) == ("7.5", (2, 126, 21))
    assert found.energy / HARTREE == pytest.approx(-234.8575554023765, abs=1e-9)
    assert found.fermi_level / HARTREE == pytest.approx(0.2219154845151907)
    assert found.sites["sphere"].moments == (0.0001, -0.0, -0.0)
    assert found.method["kpoints"] == [13, 13, 7]
    assert found.stress is not None


def test_hubbard_u_is_in_ev_whatever_unit_the_version_writes(qe):
    assert read_folder(qe / "pw_hubbard_v72").method["hubbard"] == {"Co": 5.0}
    layers = read_folder(qe / "nio_crn_superlattice_v67")
    assert layers.method["hubbard"] == {"Ni1": 5.0, "Ni2": 5.0, "Cr1": 3.0, "Cr2": 3.0}
    assert read_folder(qe / "pw_nio_afm_u_v65").method["hubbard"] == {"Ni1": 3.0, "Ni2": 3.0}


def test_an_output_alone_is_read(qe):
    found = read_folder(qe / "pw_nio_afm_u_v65")
    assert (found.step, found.version, found.structure.formula) == ("static", "6.5", "Ni2 O2")
    assert found.energy / RYDBERG == pytest.approx(-266.72816092)
    assert (found.fermi_level, found.absolute_moment) == (10.906, 2.94)
    assert found.sites["sphere"].moments == (1.3319, -1.3319, 0.0, 0.0)
    assert found.bands.energies[0, 3, 15:17].tolist() == [10.9060, 12.8433]
    assert found.bands.occupations.sum(axis=2).tolist() == [[16.0] * 4] * 2
    assert told(found, "occupations were not printed")


def test_a_compressed_folder_reads_as_a_plain_one(qe, tmp_path):
    source = qe / "nio_crn_superlattice_v67"
    packed = read_folder(source)
    for name in (SCHEMA, "scf.out", "projwfc.out"):
        (tmp_path / name).write_bytes(gzip.decompress((source / f"{name}.gz").read_bytes()))
    for path in source.glob("nc.pdos*"):
        shutil.copyfile(path, tmp_path / path.name)
    plain = read_folder(tmp_path)
    assert packed.to_dict() == plain.to_dict()
    assert (plain.converged, plain.iterations, plain.sites["Löwdin"].moments[4]) == (True, 27, 3.0046)
    np.testing.assert_array_equal(plain.dos.values, packed.dos.values)


@pytest.mark.parametrize(
    "names",
    [
        {"xml": "aiida.save/data-file-schema.xml", "out": "scf.log"},
        {"xml": "out/aiida.save/data-file-schema.xml", "out": "slurm-1.out"},
        {"xml": "data-file-schema.xml", "out": "pw"},
        {"xml": "aiida.xml", "out": "aiida.out"},
    ],
)
def test_files_may_have_any_name(copy, names):
    found = read_folder(copy("pw_hubbard_v72", **names))
    assert (found.energy, found.cpu_seconds) == (pytest.approx(-396.09758618 * RYDBERG), 39.08)


def test_an_xml_file_alone_lacks_only_what_it_does_not_hold(copy):
    found = read_folder(copy("pw_lsda_v75", xml="x.xml"))
    assert (found.converged, found.iterations, found.cpu_seconds) == (True, 18, None)
    assert found.sites["sphere"].moments[0] == pytest.approx(6.2436e-05, rel=1e-4)
    assert told(found, "no standard output")


def test_output_and_xml_tell_the_same(copy, qe):
    folder = copy("pw_lsda_v75", out="pw.out")
    printed, whole = read_folder(folder), read_folder(qe / "pw_lsda_v75")
    assert printed.energy == pytest.approx(whole.energy, abs=1e-6)
    np.testing.assert_allclose(printed.bands.energies, whole.bands.energies, atol=1e-4)
    np.testing.assert_allclose(printed.bands.occupations, whole.bands.occupations, atol=1e-4)
    np.testing.assert_allclose(printed.bands.weights, whole.bands.weights, atol=1e-6)
    np.testing.assert_allclose(printed.bands.kpoints, whole.bands.kpoints, atol=1e-5)
    np.testing.assert_allclose(printed.forces, whole.forces, atol=1e-6)
    np.testing.assert_allclose(printed.stress, whole.stress, atol=1e-5)
    assert {k: printed.method[k] for k in ("cutoff", "density_cutoff", "smearing", "smearing_width")} == {
        k: pytest.approx(whole.method[k]) if k != "smearing" else whole.method[k]
        for k in ("cutoff", "density_cutoff", "smearing", "smearing_width")
    }


def test_a_cycle_that_did_not_converge_says_so(qe):
    found = read_folder(qe / "pw_not_converged_v66")
    assert (found.converged, found.iterations, found.ended) == (False, 2, "finished")
    assert told(found, "did not converge")


def test_a_crash_is_told_in_one_line(qe):
    with pytest.raises(
        ReaderError, match=r"crashed before it printed anything: cdiaghg: problems computing cholesky"
    ):
        read_folder(qe / "pw_crash")


def test_a_run_that_was_killed_is_cut_off(copy):
    folder = copy("pw_two_fermi_v66", out="scf.out", xml="x.save/data-file-schema.xml")
    path = folder / "scf.out"
    path.write_text(path.read_text().partition("iteration #  3")[0])
    found = read_folder(folder)
    assert found.ended == "cut off"
    assert told(found, "has no end")
    (folder / "x.save" / SCHEMA).unlink()
    alone = read_folder(folder)
    assert (alone.energy, alone.converged, alone.ended) == (None, False, "cut off")
    assert (alone.total_moment, alone.sites, alone.fermi_levels) == (None, {}, ())
    assert told(alone, "no energy")


def test_an_error_box_or_a_crash_file_means_crashed(copy):
    folder = copy("pw_two_fermi_v66", out="scf.out", xml="x.save/data-file-schema.xml")
    path = folder / "scf.out"
    text = path.read_text()
    box = "     Error in routine cdiaghg (123):\n     eigenvectors failed to converge\n"
    path.write_text(text.partition("iteration #  3")[0] + box)
    assert read_folder(folder).ended == "crashed"
    assert told(read_folder(folder), "cdiaghg: eigenvectors failed to converge")
    path.write_text(text)
    (folder / "CRASH").write_text("     from readpp : error #         1\n     file x.UPF not found\n")
    assert read_folder(folder).ended == "finished"
    assert told(read_folder(folder), "CRASH is of another run")


def test_a_run_out_of_time_was_stopped(copy):
    folder = copy("pw_two_fermi_v66", out="scf.out", xml="x.save/data-file-schema.xml")
    path = folder / "scf.out"
    end = "\n     Maximum CPU time exceeded\n     max_seconds     =       1.00\n   JOB DONE.\n"
    path.write_text(path.read_text().partition("iteration #  3")[0] + end)
    found = read_folder(folder)
    assert found.ended == "stopped"
    assert told(found, "max_seconds were over")


def test_energies_of_two_runs_are_told_apart(copy):
    folder = copy("pw_two_fermi_v66", out="scf.out", xml="x.save/data-file-schema.xml")
    path = folder / "scf.out"
    path.write_text(path.read_text().replace("-22.80554665", "-22.81554665"))
    assert told(read_folder(folder), "tell different energies: files of two runs?")


@pytest.mark.parametrize(
    ("ours", "calculation", "energy"),
    [(True, "scf", None), (True, "nscf", None), (False, "scf", None), (False, "nscf", -22.8)],
)
def test_a_run_that_has_just_begun_does_not_tell_what_the_one_before_left(copy, ours, calculation, energy):
    """Its folder holds the XML file of the step it starts from, written in the same second."""
    folder = copy("pw_two_fermi_v66", out="pw.out", xml="x.save/data-file-schema.xml")
    xml, out = folder / "x.save" / SCHEMA, folder / "pw.out"
    whole = out.read_text()
    began = re.search(r"starts on +(\w+) at +([\d: ]+?) *\n", whole)
    text = re.sub(
        r'<created DATE="[^"]*" TIME="[^"]*"', f'<created DATE="{began[1]}" TIME="{began[2]}"', xml.read_text()
    )
    xml.write_text(text)
    begun = whole[: whole.index("Self-consistent Calculation")]
    bands = "Band Structure Calculation\n     Computing kpt #:     1  of     6 on this pool\n"
    out.write_text(begun + ("Self-consistent Calculation\n\n     iteration #  1" if calculation == "scf" else bands))
    if ours:
        write_json(folder / "request.json", {"request": {"step": "static" if calculation == "scf" else "dos"}})
    found = read_folder(folder)
    assert found.energy == (None if energy is None else pytest.approx(energy * RYDBERG, abs=0.1))
    assert told(
        found, "is of another run and left out" if energy is None else "belongs to the XML file (pw.out does not)"
    )
    assert (found.ended == "cut off", found.bands is None) == (energy is None, energy is None)
    out.write_text(whole)
    assert read_folder(folder).energy == pytest.approx(-22.80554665 * RYDBERG, abs=1e-6), (
        "a run that ended is compared"
    )


def test_several_runs_are_named_and_one_can_be_chosen(copy):
    copy("pw_two_fermi_v66", xml="si.save/data-file-schema.xml")
    folder = copy("pw_hubbard_v72", xml="co.save/data-file-schema.xml", out="co.out")
    with pytest.raises(ReaderError, match=r"holds 2 pw.x results \(co.save/.*, si.save/.*\); expected one"):
        read_folder(folder)
    assert read_folder(folder, prefix="co").structure.formula == "Li1 Co1 O2"
    assert read_folder(folder, prefix="co").cpu_seconds == 39.08
    silicon = read_folder(folder / "si.save" / SCHEMA)
    assert silicon.structure.formula == "Si2"
    assert told(silicon, "no standard output belongs to the XML file (co.out does not)")
    with pytest.raises(ReaderError, match=r"no pw.x result of prefix 'fe'"):
        read_folder(folder, prefix="fe")


def test_a_path_of_one_output_reads_that_file_alone(copy):
    folder = copy("pw_two_fermi_v66", out="si.out", xml="si.save/data-file-schema.xml")
    assert told(read_folder(folder / "si.out"), "the bands are those printed")
    (folder / "notes.txt").write_text("nothing")
    with pytest.raises(ReaderError, match=r"notes.txt is neither an output of VASP nor of pw.x"):
        read_folder(folder / "notes.txt")


def test_what_is_no_run_is_told(tmp_path, shared_data):
    with pytest.raises(ReaderError, match=r"holds nothing of VASP \(vasprun.xml, OUTCAR, .*\) nor of pw.x"):
        read_folder(tmp_path)
    with pytest.raises(ReaderError, match=r"gone does not exist"):
        read_folder(tmp_path / "gone")
    (tmp_path / "x.save").mkdir()
    (tmp_path / "x.save" / "data-file.xml").write_text("<Root/>")
    with pytest.raises(ReaderError, match=r"data-file.xml is of pw.x before 6.1, which cannot be read"):
        read_folder(tmp_path)


def test_a_folder_of_vasp_goes_to_its_reader(tmp_path):
    (tmp_path / "OUTCAR.gz").write_bytes(gzip.compress(b" vasp.6.4.1\n"))
    with pytest.raises(ReaderError, match="put the CONTCAR or POSCAR of the run there"):
        read_folder(tmp_path)


def test_a_damaged_xml_file_is_replaced_by_the_output_unless_it_must_be_whole(copy):
    folder = copy("pw_two_fermi_v66", out="pw.out", xml="pwscf.save/data-file-schema.xml")
    path = folder / "pwscf.save" / SCHEMA
    path.write_text(path.read_text()[:20_000])
    found = read_folder(folder)
    assert found.energy / RYDBERG == pytest.approx(-22.80554665)
    assert told(found, "the standard output is read instead")
    write_json(folder / "request.json", {"id": "x", "request": {"code": "espresso", "step": "static"}})
    assert read_folder(folder).energy == found.energy
    with pytest.raises(ReaderError, match=r"cannot read .*data-file-schema.xml"):
        read_folder(folder, strict=True)


def test_labels_of_a_path_come_from_the_request(copy):
    folder = copy("pw_two_fermi_v66", out="pw.out", xml="pwscf.save/data-file-schema.xml")
    path = {"kpoints": [[0, 0, 0]] * 3, "labels": [[0, "Γ"], [2, "X"]]}
    write_json(folder / "request.json", {"id": "x", "request": {"step": "bands", "settings": {"path": path}}})
    found = read_folder(folder)
    assert found.bands.labels == ("Γ", "", "X")
    found.save(folder)
    assert Result.load(folder).bands.labels == ("Γ", "", "X")


def test_box_densities_leave_a_note_instead_of_charges(qe):
    found = read_folder(qe / "projwfc_ldos_boxes_v72")
    assert (found.sites, found.dos) == ({}, None)
    assert told(found, "no Löwdin charges")


@pytest.mark.parametrize("row", ["projwfc_fe2_collinear_v66", "projwfc_fe2_noncollinear_v66"])
def test_an_nscf_xml_alone_has_no_energy(qe, row):
    found = read_folder(qe / row)
    assert (found.step, found.energy, found.converged, found.total_moment) == ("dos", None, None, None)
    assert found.dos.values.shape[:3] == (2, 16, 2 if row.endswith("_collinear_v66") else 1)
