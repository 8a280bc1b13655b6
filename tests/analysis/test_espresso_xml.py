from __future__ import annotations

import gzip
import re

import numpy as np
import pytest
from ase.io import read

from heterodft.analysis.readers.espresso.xml import _element, read_pw_xml
from heterodft.errors import ReaderError
from heterodft.units import BOHR, HARTREE, RYDBERG

COLLINEAR = [
    "pw_lsda_v75",
    "pw_hubbard_v72",
    "pw_two_fermi_v66",
    "pw_not_converged_v66",
    "projwfc_fe2_collinear_v66",
    "projwfc_ldos_boxes_v72",
]


@pytest.fixture
def qe(shared_data):
    return lambda name: shared_data / "qe" / name / "data-file-schema.xml"


@pytest.fixture
def nio_crn(shared_data, tmp_path):
    source = shared_data / "qe" / "nio_crn_superlattice_v67"
    for name in ("data-file-schema.xml", "scf.out"):
        (tmp_path / name).write_bytes(gzip.decompress((source / f"{name}.gz").read_bytes()))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "energy", "levels", "shape"),
    [
        ("pw_lsda_v75", -234.8575554023765, (0.2219154845151907,), (2, 126, 21)),
        ("pw_hubbard_v72", -198.0487930903449, (9.09217 / HARTREE,), (1, 13, 16)),
        ("pw_two_fermi_v66", -22.80554665 / 2, (0.2482970754441729, 0.2065524454763539), (2, 3, 9)),
    ],
)
def test_energies_are_converted_from_hartree(qe, name, energy, levels, shape):
    found = read_pw_xml(qe(name))
    assert (found.version, found.calculation, found.converged) == (f"{name[-2]}.{name[-1]}", "scf", True)
    assert found.energy / HARTREE == pytest.approx(energy, abs=1e-8)
    assert np.array(found.fermi_levels) / HARTREE == pytest.approx(levels, abs=1e-6)
    assert found.bands.energies.shape == found.bands.occupations.shape == shape


@pytest.mark.parametrize("name", COLLINEAR)
def test_the_occupations_of_all_bands_add_up_to_the_electrons(qe, name):
    found = read_pw_xml(qe(name))
    spins = len(found.bands.energies)
    per_band = {1: 2, 2: 1}[spins]
    counted = per_band * (found.bands.occupations * found.bands.weights[None, :, None]).sum()
    assert counted == pytest.approx(found.electrons, abs=1e-5)
    assert found.bands.weights.sum() == pytest.approx(1.0)


def test_a_band_of_a_noncollinear_run_holds_one_electron(qe):
    found = read_pw_xml(qe("projwfc_fe2_noncollinear_v66"))
    counted = (found.bands.occupations * found.bands.weights[None, :, None]).sum()
    assert counted == pytest.approx(found.electrons)
    assert (found.noncollinear, found.bands.energies.shape, found.notes) == (True, (1, 2, 40), ())


def test_up_and_down_bands_are_told_apart_by_the_moment(qe):
    found = read_pw_xml(qe("pw_two_fermi_v66"))
    up, down = (found.bands.occupations * found.bands.weights[None, :, None]).sum(axis=(1, 2))
    assert (up - down, found.total_moment) == pytest.approx((1.0, 1.0), abs=1e-6)
    assert found.fermi_levels[0] > found.fermi_levels[1]


@pytest.mark.parametrize("name", ["pw_lsda_v75", "pw_hubbard_v72", "pw_two_fermi_v66"])
def test_ase_reads_the_same_structure_and_fermi_level_from_the_output(qe, name):
    path = qe(name)
    found, atoms = read_pw_xml(path), read(path.with_name("aiida.out"), format="espresso-out")
    assert [site.species_string for site in found.structure] == atoms.get_chemical_symbols()
    np.testing.assert_allclose(found.structure.lattice.matrix, atoms.cell[:], atol=2e-5)
    np.testing.assert_allclose(found.structure.cart_coords, atoms.positions, atol=2e-5)
    if name != "pw_two_fermi_v66":
        assert found.fermi_levels[0] == pytest.approx(atoms.calc.get_fermi_level(), abs=5e-5)
    assert found.energy == pytest.approx(atoms.get_potential_energy(), rel=5e-7)


def test_k_points_are_fractional_as_pw_prints_them(nio_crn):
    found = read_pw_xml(nio_crn / "data-file-schema.xml")
    text = (nio_crn / "scf.out").read_text()
    block = re.search(r"cryst\. coord\.\n((?: +k\( +\d+\).*\n)+)", text)[1]
    printed = np.array([[float(x) for x in re.findall(r"-?\d\.\d+", line)] for line in block.splitlines()])
    points = len(found.bands.weights)  # pw.x lists them once more for spin down
    np.testing.assert_allclose(found.bands.kpoints, printed[:points, :3], atol=1e-6)
    np.testing.assert_allclose(found.bands.weights, printed[:points, 3] / printed[:points, 3].sum(), atol=1e-6)


@pytest.mark.parametrize(("name", "mesh"), [("pw_two_fermi_v66", (2, 2, 2)), ("pw_hubbard_v72", (4, 4, 4))])
def test_k_points_of_an_oblique_cell_lie_on_the_mesh(qe, name, mesh):
    points = read_pw_xml(qe(name)).bands.kpoints * mesh
    np.testing.assert_allclose(points, np.round(points), atol=1e-6)
    assert len(np.unique(np.round(points), axis=0)) == len(points)


def test_the_superlattice_is_read_in_the_order_of_its_input(nio_crn):
    found = read_pw_xml(nio_crn / "data-file-schema.xml")
    assert [site.species_string for site in found.structure] == ["Ni", "O", "Ni", "O", "Cr", "N", "Cr", "N"]
    assert found.structure.lattice.abc == pytest.approx((2.938, 2.938, 8.31), abs=1e-6)
    assert found.structure.frac_coords[:, 2] == pytest.approx([0, 0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75], abs=1e-6)
    assert found.energy / RYDBERG == pytest.approx(-771.97554371, abs=1e-8)
    assert found.fermi_levels == pytest.approx((14.2760,), abs=5e-5)
    assert found.total_moment == pytest.approx(0.0, abs=1e-3)
    assert found.absolute_moment == pytest.approx(9.74, abs=5e-3)
    assert found.bands.energies.shape == (2, 12, 52)


def test_with_fixed_occupations_the_level_is_that_of_the_highest_filled_band(qe):
    found = read_pw_xml(qe("pw_hubbard_v72"))
    assert found.fermi_levels == pytest.approx((9.0922,), abs=5e-5)
    assert found.fermi_levels == pytest.approx((found.bands.energies.max(),))


def test_an_nscf_has_bands_but_neither_energy_nor_convergence(qe):
    found = read_pw_xml(qe("projwfc_fe2_collinear_v66"))
    assert found.calculation == "nscf"
    assert (found.energy, found.converged, found.iterations, found.total_moment) == (None, None, None, None)
    assert found.fermi_levels == pytest.approx((0.6936257632541607 * HARTREE,))


def test_an_unpolarized_run_has_no_moment_and_an_unconverged_one_says_so(qe):
    assert read_pw_xml(qe("pw_hubbard_v72")).total_moment is None
    assert read_pw_xml(qe("pw_not_converged_v66")).converged is False


def test_a_file_cut_off_is_a_reader_error_with_its_path(nio_crn):
    path = nio_crn / "data-file-schema.xml"
    whole = path.read_bytes()
    for share in (0.0, 0.1, 0.5, 0.99):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(ReaderError, match=r"cannot read .*data-file-schema.xml: "):
            read_pw_xml(path)


def test_a_missing_file_is_a_reader_error(tmp_path):
    with pytest.raises(ReaderError, match=r"cannot read .*gone.xml: "):
        read_pw_xml(tmp_path / "gone.xml")


def test_a_file_without_output_or_with_parts_missing_is_told(nio_crn):
    path = nio_crn / "data-file-schema.xml"
    text = path.read_text()
    for tag in ("nelec", "cell", "eigenvalues", "k_point", "scf_conv"):
        path.write_text(re.sub(rf"(</?){tag}(?=[\s>])", r"\1renamed", text))
        with pytest.raises(ReaderError, match=r"data-file-schema.xml cannot be read as a pw.x XML file"):
            read_pw_xml(path)
    path.write_text(re.sub(r"<output>.*</output>", "", text, flags=re.DOTALL))
    with pytest.raises(ReaderError, match=r"has no output; the run did not get that far"):
        read_pw_xml(path)


@pytest.mark.parametrize(
    ("kind", "element"),
    [("Ti", "Ti"), ("Ti1", "Ti"), ("O", "O"), ("O2", "O"), ("Oa", "O"), ("ti3", "Ti"), ("K_1", "K")],
)
def test_the_element_is_read_from_a_kind(kind, element):
    assert _element(kind) == element


def changed(qe, tmp_path, row, *changes):
    text = qe(row).read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = tmp_path / "changed.xml"
    path.write_text(text)
    return path


def test_moments_of_the_newest_files_are_read(qe):
    found = read_pw_xml(qe("pw_lsda_v75")).sites
    assert (found.kind, found.vectors) == ("sphere", None)
    assert found.charges == pytest.approx((18.7882, 4.3837, 4.3837), abs=1e-4)
    assert found.moments[0] == 6.243605079605752e-05


def test_vectors_of_the_newest_noncollinear_files_are_read(qe, tmp_path):
    output = qe("pw_lsda_v75").read_text().partition("<output>")[2]
    old = output[output.index("<total>-9") : output.index("</magnetization>")]
    sites = "".join(
        f'<SiteMagnetization species="X" atom="{i}" charge="{i}.5">0.{i} 0.0 -0.{i}</SiteMagnetization>'
        for i in (1, 2, 3)
    )
    new = "<total_vec>3.0 4.0 12.0</total_vec><absolute>13.5</absolute>"
    new += f'<Site_Magnetizations nat="3">{sites}</Site_Magnetizations>'
    text = qe("pw_lsda_v75").read_text().replace(old, new)
    head, _, tail = text.partition("<output>")
    path = tmp_path / "ncl.xml"
    tail = tail.replace("<lsda>true</lsda>", "<lsda>false</lsda>").replace("<noncolin>false", "<noncolin>true")
    path.write_text(f"{head}<output>{tail}")
    found = read_pw_xml(path)
    assert (found.total_moment, found.absolute_moment, found.bands.energies.shape) == (13.0, 13.5, (1, 126, 42))
    assert found.sites.vectors.tolist() == [[0.1, 0, -0.1], [0.2, 0, -0.2], [0.3, 0, -0.3]]
    assert (found.sites.moments, found.sites.charges) == ((-0.1, -0.2, -0.3), (1.5, 2.5, 3.5))


def test_files_without_count_smearing_or_moment_are_read(qe, tmp_path):
    path = changed(
        qe,
        tmp_path,
        "pw_two_fermi_v66",
        ("<nks>3</nks>", ""),
        ("<total>1.000000000091455e0</total>", ""),
        ("<do_magnetization>false</do_magnetization>", ""),
    )
    found = read_pw_xml(path)
    assert (found.total_moment, found.absolute_moment) == (None, pytest.approx(1.0))
    assert found.bands.energies.shape == (2, 3, 9)


def test_a_highest_occupied_level_is_the_fermi_level_and_none_is_none(qe, tmp_path):
    line = "<fermi_energy>3.341310716080565E-01</fermi_energy>"
    other = "<highestOccupiedLevel>3.341310716080565E-01</highestOccupiedLevel>"
    assert read_pw_xml(changed(qe, tmp_path, "pw_hubbard_v72", (line, ""))).fermi_levels == (
        pytest.approx(9.0922, abs=1e-4),
    )
    assert read_pw_xml(changed(qe, tmp_path, "pw_hubbard_v72", (line, ""), (other, ""))).fermi_levels == ()


@pytest.mark.parametrize(
    "change",
    [
        ("<nks>3</nks>", "<nks>4</nks>"),
        ('<eigenvalues size="18">', '<eigenvalues size="17">'),
        ("<convergence_achieved>true", "<convergence_achieved>trve"),
        ('nat="2" alat="7.255773130579e0">', 'nat="3" alat="7.255773130579e0">'),
        ("<two_fermi_energies>2.482970754441729e-1 ", "<two_fermi_energies>2.48297075444*729e-1 "),
        ("<nelec>8.000000000000000e0", "<nelec>nan8"),
        ("<etot>-1.140277332746554e1", "<etot>NaN"),
    ],
)
def test_a_damaged_file_is_refused(qe, tmp_path, change):
    text = qe("pw_two_fermi_v66").read_text()
    head, middle, tail = text.partition("<output>")
    assert change[0] in tail
    path = tmp_path / "damaged.xml"
    path.write_text(head + middle + tail.replace(*change))
    with pytest.raises(ReaderError, match=r"damaged.xml cannot be read as a pw.x XML file"):
        read_pw_xml(path)


def test_occupations_that_miss_electrons_are_noted(qe, tmp_path):
    found = read_pw_xml(changed(qe, tmp_path, "pw_two_fermi_v66", ("<nelec>8.0", "<nelec>9.0")))
    assert found.notes == ("the occupations of the XML file hold 8.000 of 9 electrons",)


def test_u_of_a_file_that_writes_hartree_in_its_output_is_in_ev(nio_crn):
    path = nio_crn / "data-file-schema.xml"
    head, _, tail = path.read_text().partition("<output>")
    for written in ("3.674932217565494e-1", "2.204959330539297e-1"):  # Rydberg in 6.7
        tail = tail.replace(written, f"{float(written) / 2:.15e}")
    assert read_pw_xml(path).method["hubbard"] == {"Ni1": 5.0, "Ni2": 5.0, "Cr1": 3.0, "Cr2": 3.0}
    path.write_text(f"{head}<output>{tail}")
    assert read_pw_xml(path).method["hubbard"] == {"Ni1": 5.0, "Ni2": 5.0, "Cr1": 3.0, "Cr2": 3.0}


def test_a_file_of_a_run_that_was_not_completed_says_so(qe, tmp_path):
    assert read_pw_xml(qe("pw_two_fermi_v66")).completed
    assert not read_pw_xml(changed(qe, tmp_path, "pw_two_fermi_v66", ("<status>0<", "<status>255<"))).completed


def test_a_spin_orbit_run_without_magnetization_has_no_moment(qe, tmp_path):
    def as_scf(*more):
        scf = ("<calculation>nscf", "<calculation>scf")
        return read_pw_xml(changed(qe, tmp_path, "projwfc_fe2_noncollinear_v66", scf, *more))

    assert as_scf().absolute_moment == 0.0
    off = ("<do_magnetization>true", "<do_magnetization>false")
    assert (as_scf(off).absolute_moment, as_scf(off).total_moment) == (None, None)


STEP = """<step n_step="1"><atomic_structure nat="2" alat="7.255773130579e0"><atomic_positions>
<atom name="Fe" index="1">0 0 0</atom><atom name="Fe" index="2">2.0 2.5 2.6</atom></atomic_positions>
<cell><a1>0 5.13 5.13</a1><a2>5.13 0 5.13</a2><a3>5.13 5.13 0</a3></cell></atomic_structure>
<total_energy><etot>{}</etot></total_energy></step>"""


@pytest.mark.parametrize(("energy", "own"), [("-1.140277332746554e1", True), ("-1.14e1", False)])
def test_atoms_that_were_moved_after_the_last_energy_are_taken_from_its_step(qe, tmp_path, energy, own):
    text = qe("pw_two_fermi_v66").read_text().replace("<output>", STEP.format(energy) + "<output>")
    path = tmp_path / "moved.xml"
    path.write_text(text)
    found, before = read_pw_xml(path), read_pw_xml(qe("pw_two_fermi_v66"))
    assert found.structure[1].coords[0] / BOHR == pytest.approx(2.0 if own else 2.565303191880715)
    assert (found.structure == before.structure) is not own
    np.testing.assert_array_equal(found.bands.kpoints, before.bands.kpoints)


def test_before_6_4_the_accuracy_tells_whether_the_cycle_converged(qe, tmp_path):
    def found(error):
        verdict = "<convergence_achieved>true</convergence_achieved>"
        path = changed(qe, tmp_path, "pw_two_fermi_v66", (verdict, ""))
        text = path.read_text()
        start, end = text.index("<scf_error>") + len("<scf_error>"), text.index("</scf_error>")
        path.write_text(text[:start] + error + text[end:])
        return read_pw_xml(path).converged

    assert (found("1e-12"), found("1e-2")) == (True, False)


def test_a_file_of_another_program_or_cut_before_its_bands_is_told(qe, tmp_path):
    text = qe("pw_two_fermi_v66").read_text()
    path = tmp_path / "x.xml"
    path.write_text(text.replace('creator NAME="PWSCF"', 'creator NAME="CP"'))
    with pytest.raises(ReaderError, match=r"x.xml is of cp.x, which cannot be read; give a run of pw.x"):
        read_pw_xml(path)
    path.write_text(text.replace("<nelec>8.000000000000000e0</nelec>", ""))
    with pytest.raises(ReaderError, match=r"it has no band_structure/nelec; the run did not get that far"):
        read_pw_xml(path)
