from __future__ import annotations

import gzip
import shutil

import numpy as np
import pytest

from heterodft.analysis.readers.espresso.projwfc import read_lowdin, read_projected_dos, read_spilling
from heterodft.analysis.result import ORBITALS, SHELLS
from heterodft.errors import ReaderError

FERMI = 14.2760
SEMICORE = np.array([0, 0, 0, 0, 8, 0, 8, 0])
"""Cr 3s and 3p lie below the energy window of the files."""


@pytest.fixture
def nio_crn(shared_data, tmp_path):
    source = shared_data / "qe" / "nio_crn_superlattice_v67"
    for path in source.glob("nc.pdos*"):
        shutil.copyfile(path, tmp_path / path.name)
    (tmp_path / "projwfc.out").write_bytes(gzip.decompress((source / "projwfc.out.gz").read_bytes()))
    return tmp_path


@pytest.fixture
def synthetic(tmp_path):
    """One atom with an s and a p shell, spin-polarized; every column has a value of its own."""
    rows = np.linspace(-1, 1, 5)

    def write(name, columns, header="# E (eV)\n"):
        lines = ["".join(f"{x:11.3f}" for x in (e, *columns)) for e in rows]
        (tmp_path / name).write_text(header + "\n".join(lines) + "\n")

    write("x.pdos_tot", [20, 10, 16, 8])
    write("x.pdos_atm#1(Ti1)_wfc#1(s)", [1, 2, 1, 2])
    write("x.pdos_atm#1(Ti1)_wfc#2(p)", [12, 15, 3, 4, 4, 5, 5, 6])
    return tmp_path


def test_columns_map_onto_orbitals_and_spins(synthetic):
    dos = read_projected_dos(synthetic, sites=1)
    assert dos.energies == pytest.approx([-1, -0.5, 0, 0.5, 1])
    assert dos.values.shape == (1, len(ORBITALS), 2, 5)
    found = {o: dos.values[0, i, :, 0].tolist() for i, o in enumerate(ORBITALS) if dos.values[0, i].any()}
    assert found == {"s": [1, 2], "pz": [3, 4], "px": [4, 5], "py": [5, 6]}
    assert dos.total[:, 0].tolist() == [20, 10]


def test_shells_of_one_kind_on_one_atom_are_added(synthetic):
    shutil.copyfile(synthetic / "x.pdos_atm#1(Ti1)_wfc#1(s)", synthetic / "x.pdos_atm#1(Ti1)_wfc#3(s)")
    assert read_projected_dos(synthetic, sites=1).values[0, 0, :, 2].tolist() == [2, 4]


def test_without_spin_there_is_one_column_an_orbital(tmp_path):
    (tmp_path / "x.pdos_tot").write_text("# E\n -1.0 2.0 1.5\n 0.0 4.0 3.0\n")
    (tmp_path / "x.pdos_atm#1(Ti)_wfc#1(d)").write_text("# E\n -1.0 15 1 2 3 4 5\n 0.0 30 2 4 6 8 10\n")
    dos = read_projected_dos(tmp_path, sites=1)
    d = [ORBITALS.index(name) for name in ("dz2", "dxz", "dyz", "dx2-y2", "dxy")]
    assert dos.values.shape == (1, 16, 1, 2)
    assert dos.values[0, d, 0, 1].tolist() == [2, 4, 6, 8, 10]
    assert dos.values.sum() == 45
    assert dos.total.tolist() == [[2.0, 4.0]]


def filled(dos, values):
    """Electrons up to the Fermi level; values (…, energy)."""
    grid = np.append(dos.energies[dos.energies < FERMI], FERMI)
    return np.trapezoid(np.apply_along_axis(lambda v: np.interp(grid, dos.energies, v), -1, values), grid)


def test_integrated_projections_are_the_lowdin_charges_and_polarizations(nio_crn):
    dos = read_projected_dos(nio_crn, sites=8)
    lowdin = read_lowdin(nio_crn / "projwfc.out", polarized=True)
    up, down = filled(dos, dos.values.sum(axis=1)).T
    np.testing.assert_allclose(up + down + SEMICORE, lowdin.charges, rtol=0.02)
    np.testing.assert_allclose(up - down, lowdin.moments, atol=0.05)


def test_integrated_orbitals_are_those_that_projwfc_printed(nio_crn):
    dos = read_projected_dos(nio_crn, sites=8)
    up, down = filled(dos, dos.values[0]).T
    d = slice(ORBITALS.index("dz2"), ORBITALS.index("dxy") + 1)
    # Ni1 in projwfc.out: dz2, dxz, dyz, dx2-y2, dxy
    np.testing.assert_allclose(up[d], [0.9818, 0.9960, 0.9960, 0.9985, 0.9925], atol=0.02)
    np.testing.assert_allclose(down[d], [0.2352, 0.9982, 0.9982, 0.9982, 0.1441], atol=0.02)


def test_the_total_holds_all_electrons_of_the_window(nio_crn):
    dos = read_projected_dos(nio_crn, sites=8)
    assert filled(dos, dos.total).sum() == pytest.approx(70 - SEMICORE.sum(), abs=0.1)
    assert filled(dos, dos.values).sum() == pytest.approx(54, rel=0.01)  # all but the spilling


def test_projections_of_all_atoms_nearly_fill_the_total(nio_crn):
    dos = read_projected_dos(nio_crn, sites=8)
    below = dos.energies < FERMI
    np.testing.assert_allclose(
        dos.values.sum(axis=(0, 1))[:, below], dos.total[:, below], atol=0.05 * dos.total.max()
    )


def test_two_shells_of_s_and_p_on_iron_are_added(shared_data):
    folder = shared_data / "qe" / "projwfc_fe2_collinear_v66"
    dos = read_projected_dos(folder, sites=2)
    assert dos.values.shape == (2, 16, 2, 55)
    shells = [np.loadtxt(folder / f"aiida.pdos_atm#1(Fe)_wfc#{n}(s)") for n in (1, 2)]
    np.testing.assert_allclose(dos.values[0, 0], sum(s[:, [3, 4]] for s in shells).T)
    assert not dos.values[:, 9:].any()


def test_lowdin_charges_polarizations_and_spilling_are_those_printed(shared_data, nio_crn):
    path = shared_data / "qe" / "projwfc_fe2_collinear_v66" / "aiida.out"
    iron = read_lowdin(path, polarized=True)
    assert (iron.kind, iron.charges, iron.moments) == ("Löwdin", (15.8309, 16.0925), (2.9911, 3.1716))
    assert read_spilling(path) == 0.0024
    layers = read_lowdin(nio_crn / "projwfc.out", polarized=True)
    assert layers.moments == (1.5929, 0.1477, -1.5930, -0.1477, 3.0046, -0.1097, -3.0048, 0.1096)
    assert read_spilling(nio_crn / "projwfc.out") == 0.0057


def test_without_spin_charges_have_no_polarization(tmp_path):
    path = tmp_path / "projwfc.out"
    path.write_text(
        "Lowdin Charges: \n\n     Atom #   1: total charge =   3.9, s =  3.9, \n     Spilling Parameter:   0.01\n"
    )
    assert read_lowdin(path, polarized=False).moments is None
    with pytest.raises(ReaderError, match=r"projwfc.out holds no complete table of Löwdin charges"):
        read_lowdin(path, polarized=True)


def test_an_exponent_that_lost_its_letter_is_read_as_tiny(synthetic):
    path = synthetic / "x.pdos_atm#1(Ti1)_wfc#1(s)"
    path.write_text(path.read_text().replace("1.000      2.000", "0.123-102  2.000", 2))
    values = read_projected_dos(synthetic, sites=1).values[0, 0]
    assert values[0, 0] == pytest.approx(0, abs=1e-99)
    assert values[0, 1:].tolist() == [1.0] * 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:-14], r"cannot read .*Ti1.*; run projwfc.x again"),
        (lambda text: "\n".join(text.splitlines()[:-1]), r"another energy grid than x.pdos_tot"),
        (lambda text: text.replace("-0.500", "-0.400"), r"another energy grid than x.pdos_tot"),
        (lambda text: text.replace("2.000", "*****"), r"cannot read .*Ti1.*; run projwfc.x again"),
    ],
)
def test_a_file_that_is_cut_off_or_of_another_run_is_told(synthetic, change, message):
    path = synthetic / "x.pdos_atm#1(Ti1)_wfc#1(s)"
    path.write_text(change(path.read_text()))
    with pytest.raises(ReaderError, match=message):
        read_projected_dos(synthetic, sites=1)


@pytest.mark.parametrize("name", ["x.pdos_tot", "x.pdos_atm#1(Ti1)_wfc#1(s)"])
@pytest.mark.parametrize("text", ["", "# E (eV)\n"])
def test_a_file_without_rows_is_a_reader_error(synthetic, name, text):
    (synthetic / name).write_text(text)
    with pytest.raises(ReaderError, match=r"run projwfc.x"):
        read_projected_dos(synthetic, sites=1)


def test_missing_atoms_too_many_atoms_and_missing_files_are_told(synthetic, tmp_path):
    with pytest.raises(ReaderError, match=r"holds projections of 1 of 2 atoms; run projwfc.x again"):
        read_projected_dos(synthetic, sites=2)
    (synthetic / "x.pdos_atm#1(Ti1)_wfc#1(s)").rename(synthetic / "x.pdos_atm#2(O)_wfc#1(s)")
    with pytest.raises(ReaderError, match=r"atom 2 of a cell with 1 atoms; files of another run?"):
        read_projected_dos(synthetic, sites=1)
    (synthetic / "x.pdos_tot").unlink()
    with pytest.raises(ReaderError, match=r"holds 0 files \*.pdos_tot; run projwfc.x there once"):
        read_projected_dos(synthetic, sites=1)


def test_a_missing_or_cut_off_output_is_a_reader_error(nio_crn):
    path = nio_crn / "projwfc.out"
    text = path.read_text()
    path.write_text(text[: text.index("Lowdin Charges")])
    with pytest.raises(ReaderError, match=r"projwfc.out holds no complete table of Löwdin charges"):
        read_lowdin(path, polarized=True)
    path.write_text(text[: text.rindex("polarization")])
    with pytest.raises(ReaderError, match=r"holds no complete table"):
        read_lowdin(path, polarized=True)
    assert read_spilling(path) is None
    with pytest.raises(ReaderError, match=r"cannot read .*gone.out: No such file"):
        read_lowdin(nio_crn / "gone.out", polarized=True)


def rows(*columns):
    return "".join("".join(f"{x:11.3f}" for x in (e, *columns)) + "\n" for e in (-1.0, 0.0, 1.0))


@pytest.fixture
def spin_orbit(tmp_path):
    (tmp_path / "x.pdos_tot").write_text("# E (eV)  dos(E)    pdos(E)\n" + rows(40, 36))
    head = "# E (eV)   ldos(E)   pdos(E)_1   pdos(E)_2\n"
    for name, columns in {
        "1(s_j0.5)": (4, 1, 3),
        "2(p_j1.5)": (10, 1, 2, 3, 4),
        "3(p_j0.5)": (3, 1, 2),
        "4(d_j2.5)": (12, 2, 2, 2, 2, 2, 2),
        "5(d_j1.5)": (4, 1, 1, 1, 1),
        "6(s_j0.5)": (2, 1, 1),
    }.items():
        (tmp_path / f"x.pdos_atm#1(Fe)_wfc#{name}").write_text(head + rows(*columns))
    return tmp_path


def test_states_of_spin_orbit_coupling_are_added_to_shells(spin_orbit):
    dos = read_projected_dos(spin_orbit, sites=1)
    assert dos.orbitals == SHELLS
    assert dos.values[0, :, 0, 1].tolist() == [6, 13, 16, 0]
    assert dos.by_shell()[0, :, 0, 1].tolist() == [6, 13, 16, 0]
    assert dos.total.tolist() == [[40.0] * 3]


def test_a_shell_that_is_missing_or_does_not_add_up_is_told(spin_orbit):
    path = spin_orbit / "x.pdos_atm#1(Fe)_wfc#3(p_j0.5)"
    text = path.read_text()
    path.write_text(text.replace("3.000      1.000", "3.000      7.000", 1))
    with pytest.raises(ReaderError, match=r"p_j0.5.*: row 1 does not add up to its first columns"):
        read_projected_dos(spin_orbit, sites=1)
    path.unlink()
    with pytest.raises(ReaderError, match=r"lacks shell 3 of atom 1; run projwfc.x again"):
        read_projected_dos(spin_orbit, sites=1)
    path.write_text(text.replace("2.000", "2.000      0.000"))
    with pytest.raises(ReaderError, match=r"has 5 columns, not 4; run projwfc.x again"):
        read_projected_dos(spin_orbit, sites=1)


def test_both_spins_of_a_noncollinear_run_are_added(shared_data):
    folder = shared_data / "qe" / "projwfc_fe2_noncollinear_v66"
    dos = read_projected_dos(folder, sites=2)
    assert (dos.values.shape, dos.orbitals) == ((2, 16, 1, 50), ORBITALS)
    d = np.loadtxt(folder / "aiida.pdos_atm#2(Fe)_wfc#5(d)")
    np.testing.assert_allclose(dos.values[1, 4:9, 0], (d[:, 3::2] + d[:, 4::2]).T)
    np.testing.assert_allclose(dos.total[0], np.loadtxt(folder / "aiida.pdos_tot")[:, 1])


def test_files_resolved_by_k_point_are_refused(tmp_path):
    (tmp_path / "k.pdos_tot").write_text("# ik    E (eV)  dos(E)   pdos(E)\n    1 -1.0 2.0 1.5\n    1 0.0 4.0 3.0\n")
    with pytest.raises(ReaderError, match=r"k.pdos_tot is resolved by k-point; run projwfc.x without kresolveddos"):
        read_projected_dos(tmp_path, sites=1)


def test_of_several_runs_of_projwfc_one_can_be_chosen(synthetic):
    for path in list(synthetic.glob("x.pdos*")):
        shutil.copyfile(path, path.with_name("y" + path.name[1:]))
    with pytest.raises(ReaderError, match=r"holds 2 files \*.pdos_tot"):
        read_projected_dos(synthetic, sites=1)
    assert read_projected_dos(synthetic, sites=1, prefix="y").values[0, 0, 0, 0] == 1


TABLE = """\
Lowdin Charges:

     Atom #   1: total charge =  14.5519, s =  2.6141,
     Atom #   1: total charge =  14.5519, p =  5.9961,
     Atom #   1: total charge =  14.5519, d =  5.9417,
     Atom #   2: total charge =   4.0000, s =  1.0000,
     Atom #   2: total charge =   4.0000, p =  3.0000, pz=  1.0000, px=  1.0000, py=  1.0000,
     Spilling Parameter:   0.0905
"""


def test_a_table_with_a_line_a_shell_is_read(tmp_path):
    path = tmp_path / "projwfc.out"
    path.write_text(TABLE)
    found = read_lowdin(path, polarized=False, sites=2)
    assert (found.charges, found.moments, found.shell_moments) == ((14.5519, 4.0), None, None)
    assert found.shell_charges.tolist() == [[2.6141, 5.9961, 5.9417, 0], [1, 3, 0, 0]]


@pytest.mark.parametrize("lost", ["     Atom #   2: total charge =   4.0000, s =  1.0000,\n", "5.9961", "Spilling"])
def test_a_table_that_does_not_add_up_is_told(tmp_path, lost):
    path = tmp_path / "projwfc.out"
    path.write_text(TABLE.replace(lost, "5.1961" if lost == "5.9961" else ""))
    with pytest.raises(ReaderError, match="no complete table of Löwdin charges"):
        read_lowdin(path, polarized=False, sites=2)


def test_a_table_of_fewer_atoms_is_told(tmp_path):
    path = tmp_path / "projwfc.out"
    path.write_text(TABLE)
    with pytest.raises(ReaderError, match="no complete table"):
        read_lowdin(path, polarized=False, sites=3)


def test_shells_of_charge_and_polarization_of_iron(shared_data):
    found = read_lowdin(shared_data / "qe" / "projwfc_fe2_collinear_v66" / "aiida.out", polarized=True, sites=2)
    assert found.shell_charges.tolist() == [[2.6384, 6.7107, 6.4819, 0], [2.6712, 6.6415, 6.7798, 0]]
    assert found.shell_moments[:, 2].tolist() == [2.9571, 3.1717]
    assert found.orbital_charges is not None
    assert found.orbital_charges.shape == (2, 2, 16)
    by_spin = found.orbital_charges[:, :, 4:9].sum(axis=2)
    assert by_spin.sum(axis=1) == pytest.approx(found.shell_charges[:, 2], abs=1e-3)
    assert by_spin[:, 0] - by_spin[:, 1] == pytest.approx(found.shell_moments[:, 2], abs=1e-3)


def test_charges_of_orbitals_by_spin_are_those_printed(nio_crn):
    chromium = read_lowdin(nio_crn / "projwfc.out", polarized=True).orbital_charges[4]
    names = ("s", "pz", "dz2", "dxz", "dyz", "dx2-y2", "dxy")
    told = [[round(float(spin[ORBITALS.index(name)]), 4) for name in names] for spin in chromium]
    assert told == [
        [1.2286, 0.9994, 0.4046, 0.9745, 0.9745, 0.9914, 0.3732],
        [1.2067, 0.9992, 0.2145, 0.0825, 0.0825, 0.0811, 0.2747],
    ]


def test_orbitals_that_are_not_told_or_do_not_add_up_are_none(tmp_path):
    path = tmp_path / "projwfc.out"
    path.write_text(TABLE)  # the first atom tells its shells alone
    assert read_lowdin(path, polarized=False).orbital_charges is None
    whole = TABLE.replace("p =  5.9961,", "p =  5.9961, pz=  1.9987, px=  1.9987, py=  1.9987,").replace(
        "d =  5.9417,", "d =  5.9417, dz2=  1.1883, dxz=  1.1883, dyz=  1.1884, dx2-y2=  1.1884, dxy=  1.1883,"
    )
    path.write_text(whole)
    (first, second) = read_lowdin(path, polarized=False).orbital_charges
    assert first[0, :5].tolist() == [2.6141, 1.9987, 1.9987, 1.9987, 1.1883]
    assert second.shape == (1, 16)
    path.write_text(whole.replace("dxy=  1.1883", "dxy=  1.2883"))
    assert read_lowdin(path, polarized=False).orbital_charges is None
