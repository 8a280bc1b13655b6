"""OUTCAR: the last tables that are whole, of the last ionic step that ended; real files against pymatgen."""

from __future__ import annotations

import gzip
import time

import numpy as np
import pytest
from pymatgen.io.vasp.outputs import Outcar
from synthetic_vasp import Run, header, ionic_step, outcar

from heterodft.analysis.readers.file_text import number
from heterodft.analysis.readers.vasp.outcar import KILOBAR, read_outcar
from heterodft.analysis.readers.vasp.outcar_bands import read_outcar_bands
from heterodft.errors import ReaderError

REAL = ["nio_pbeu_v641", "co_outcar", "nio_soc_outcar", "mg_gan_relax"]


@pytest.fixture(params=REAL)
def real(request, shared_data):
    return shared_data / "vasp" / request.param / "OUTCAR.gz"


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "OUTCAR"
        path.write_text(text)
        return path

    return write


def test_moments_and_charges_are_those_of_pymatgen(real):
    found, theirs = read_outcar(real), Outcar(real)
    for shell in found.charges.shells:
        column = found.charges.shells.index(shell)
        assert found.charges.values[:, column].tolist() == [site[shell] for site in theirs.charge]
    assert found.charges.total.tolist() == [site["tot"] for site in theirs.charge]
    totals = np.stack([table.total for table in found.moments], axis=-1)
    expected = [getattr(site["tot"], "moment", site["tot"]) for site in theirs.magnetization]
    np.testing.assert_array_equal(totals.squeeze(), np.array(expected))


def test_energies_levels_and_times_are_those_of_pymatgen(real):
    found, theirs = read_outcar(real), Outcar(real)
    assert found.energy_zero == theirs.final_energy
    assert found.free_energy == theirs.final_fr_energy
    assert found.fermi_level == pytest.approx(theirs.efermi, abs=5e-5)
    assert found.moment[0] == theirs.total_mag
    assert found.settings["NELECT"] == pytest.approx(theirs.nelect, abs=0.1)
    assert found.cpu_seconds == theirs.run_stats["Total CPU time used (sec)"]
    assert found.wall_seconds == theirs.run_stats["Elapsed time (sec)"]
    assert found.ending.finished
    assert found.ending.electrons_converged
    assert found.notes == ()
    theirs.read_table_pattern(
        header_pattern=r"\sPOSITION\s+TOTAL-FORCE \(eV/Angst\)\n\s-+",
        row_pattern=r"\s+" + r"\s+".join([r"([+-]?\d+\.\d+)"] * 6),
        footer_pattern=r"\s--+",
        postprocess=float,
        last_one_only=True,
        attribute_name="table",
    )
    np.testing.assert_array_equal(np.hstack([found.positions, found.forces]), theirs.data["table"])


@pytest.mark.parametrize(
    ("name", "facts", "ldau"),
    [
        ("nio_pbeu_v641", ("6.4.1", 1, ("Ni", "O")), ([2, 0], [6.2, 0.0], [0.0, 0.0])),
        ("co_outcar", ("5.4.4", 1, ("Co",) * 4), None),
        ("nio_soc_outcar", ("5.4.1", 1, ("Ni", "Ni", "O", "O")), ([2, -1], [5.0, 0.0], [0.0, 0.0])),
        ("mg_gan_relax", ("6.3.0", 5, ("Mg",) + 15 * ("Ga",) + 16 * ("N",)), None),
    ],
)
def test_the_header_tells_the_run(shared_data, name, facts, ldau):
    found = read_outcar(shared_data / "vasp" / name / "OUTCAR.gz")
    assert (found.version, found.ionic_step, found.elements) == facts
    names = ("LDAUL", "LDAUU", "LDAUJ")
    assert (None if ldau is None else tuple(found.settings[key] for key in names)) == ldau


def test_facts_of_real_files(shared_data):
    """As the manifest of the shared data has them."""
    folder = shared_data / "vasp"
    nio = read_outcar(folder / "nio_pbeu_v641" / "OUTCAR.gz")
    assert (nio.moments[0].total.tolist(), nio.moment, nio.energy_zero) == ([1.122, 0.903], (2.0028793,), -4.52549041)
    assert nio.charges.total.tolist() == [14.495, 4.683]
    co = read_outcar(folder / "co_outcar" / "OUTCAR.gz")
    assert (co.moments[0].total.tolist(), co.moment) == ([1.621, 1.619, 1.64, 1.64], (6.4424922,))
    assert (co.energy_zero, co.fermi_level) == (-28.41720662, 5.4373)
    soc = read_outcar(folder / "nio_soc_outcar" / "OUTCAR.gz")
    vectors = np.stack([table.total for table in soc.moments], axis=-1)
    np.testing.assert_array_equal(vectors, [[0, 0, 1.671], [0, 0, -1.671], [0, 0, 0], [0, 0, 0]])
    assert (soc.energy_zero, soc.fermi_level, soc.moment[0]) == (-19.60512351, 5.9075, 3.52e-05)
    mg = read_outcar(folder / "mg_gan_relax" / "OUTCAR.gz")
    assert (mg.moment, len(mg.moments[0].total), mg.moments[0].total[0]) == ((0.9888948,), 32, 0.01)


@pytest.mark.parametrize("spin", [1, 2, 4])
def test_what_was_written_is_read(written, spin):
    run = Run(spin=spin)
    found = read_outcar(written(outcar(run)))
    np.testing.assert_array_equal(found.charges.values, run.charges[-1])
    assert len(found.moments) == len(run.moments[-1])
    for table, values in zip(found.moments, run.moments[-1], strict=True):
        np.testing.assert_array_equal(table.values, values)
    assert (found.free_energy, found.energy_without_entropy, found.energy_zero) == tuple(run.energies[-1])
    np.testing.assert_array_equal(found.forces, run.forces[-1])
    np.testing.assert_array_equal(found.positions, run.cartesian[-1])
    np.testing.assert_allclose(found.lattice, run.lattice, atol=1e-9)
    np.testing.assert_allclose(np.diag(found.stress), [10 * KILOBAR, 20 * KILOBAR, 30 * KILOBAR])
    assert found.stress[0, 1] == pytest.approx(-KILOBAR)
    assert found.stress[0, 2] == pytest.approx(-3 * KILOBAR)
    assert found.ionic_step == 3
    assert found.iterations == 3
    assert found.ending.relaxed
    assert found.notes == ()
    assert (found.moment or ()) == tuple(run.total_moments[-1])


def test_an_earlier_step_is_read_when_asked_for(written):
    run = Run()
    found = read_outcar(written(outcar(run)), step=2)
    np.testing.assert_array_equal(found.moments[0].values, run.moments[1, 0])
    np.testing.assert_array_equal(found.forces, run.forces[1])
    assert found.energy_zero == run.energies[1, 2]
    assert read_outcar(written(outcar(run)), step=9).energy_zero is None


def test_a_step_that_did_not_end_is_passed_over(written):
    run = Run()
    last = ionic_step(run, 2)
    for cut in range(10, last.index("  energy  without entropy="), 97):
        found = read_outcar(written(header(run) + ionic_step(run, 0) + ionic_step(run, 1) + last[:cut]))
        assert (found.ionic_step, found.energy_zero) == (2, run.energies[1, 2])
        np.testing.assert_array_equal(found.moments[0].values, run.moments[1, 0])
        np.testing.assert_array_equal(found.forces, run.forces[1])
        assert not found.ending.finished


def test_a_table_cut_off_in_the_middle_gives_the_whole_one_before_it(written):
    run = Run()
    text = outcar(run)
    cut = text.rindex("magnetization (x)") + 150
    found = read_outcar(written(text[:cut]))
    np.testing.assert_array_equal(found.moments[0].values, run.moments[-1, 0])
    assert found.notes == ("the last tables of charges and moments in OUTCAR are cut off; those before were taken",)


def test_tables_of_a_noncollinear_run_are_of_one_time(written):
    run = Run(spin=4)
    text = outcar(run)
    found = read_outcar(written(text[: text.rindex("magnetization (z)")]))
    for table, values in zip(found.moments, run.moments[-1], strict=True):
        np.testing.assert_array_equal(table.values, values)
    assert "those before were taken" in found.notes[0]


def test_numbers_that_run_together_are_told_apart(written):
    run = Run(steps=1)
    run.charges[0, 0] = [-100.5, 200.25, -300.125]
    run.charges[0, 1] = [-222.333, -111.125, -333.5]
    text = outcar(run)
    assert "-222.333-111.125-333.500-666.958" in text
    np.testing.assert_array_equal(read_outcar(written(text)).charges.values, run.charges[0])


@pytest.mark.parametrize(("old", "new"), [("0", "*"), (".", "x"), ("1", "7")])
def test_a_damaged_number_in_a_table_is_noticed(written, old, new):
    run = Run(steps=1)
    text = outcar(run, table_again=False)
    start = text.index("magnetization (x)\n\n#") + 120
    at = text.index(old, start)
    found = read_outcar(written(text[:at] + new + text[at + 1 :]))
    assert found.moments == () or np.abs(found.moments[0].values - run.moments[0, 0]).max() < 0.008
    if not found.moments:
        assert "left out" in found.notes[0]


def test_energies_that_do_not_fit_each_other_are_told(written):
    run = Run(steps=1)
    text = outcar(run)
    at = text.rindex("energy(sigma->0) =") + 25
    found = read_outcar(written(text[:at] + "9" + text[at + 1 :]))
    assert "does not fit" in found.notes[0]


def test_dispersion_outside_the_cycle_is_part_of_the_energy(written):
    run = Run(steps=1, spin=1)
    text = outcar(run)
    at = text.index("  FREE ENERGIE")
    shifted = text[at:]
    for value in run.energies[0]:
        shifted = shifted.replace(f"{value:18.8f}", f"{value - 1.5:18.8f}")
    found = read_outcar(written(text[:at] + shifted))
    assert found.energy_zero == run.energies[0, 2] - 1.5
    assert found.cycle_energy == run.energies[0, 2]
    assert found.notes == ()


@pytest.mark.parametrize("name", ["nio_pbeu_v641", "mg_gan_relax"])
def test_bands_are_those_of_vasprun_xml(shared_data, name):
    from heterodft.analysis.readers.vasp.vasprun import Vasprun

    folder = shared_data / "vasp" / name
    found, run = read_outcar_bands(folder / "OUTCAR.gz"), Vasprun.open(folder / "vasprun.xml.gz")
    energies, occupations = run.eigenvalues()
    np.testing.assert_allclose(found.energies, energies, atol=6e-5)
    np.testing.assert_allclose(found.occupations, occupations, atol=6e-5)
    np.testing.assert_allclose(found.kpoints, run.kpoints, atol=1e-7)
    np.testing.assert_allclose(found.weights, run.weights, atol=1e-7)


def test_bands_of_the_irreducible_points_hold_all_electrons(shared_data):
    for name, electrons in (("co_outcar", 36), ("nio_soc_outcar", 44)):
        found = read_outcar_bands(shared_data / "vasp" / name / "OUTCAR.gz")
        assert np.einsum("skb,k->", found.occupations, found.weights) == pytest.approx(electrons, abs=1e-4)


@pytest.mark.parametrize("spin", [1, 2, 4])
def test_bands_that_were_written_are_read(written, spin):
    run = Run(spin=spin)
    text = outcar(run)
    found = read_outcar_bands(written(text))
    np.testing.assert_array_equal(found.energies, run.eigenvalues)
    np.testing.assert_array_equal(found.occupations, run.occupations)
    np.testing.assert_allclose(found.kpoints, run.points, atol=1e-8)
    start = text.rindex("band No.")
    assert read_outcar_bands(written(text[:start] + text[start + 60 :])) is None


def test_an_empty_file_and_a_missing_one(written, tmp_path):
    found = read_outcar(written(""))
    assert (found.energy_zero, found.ending.finished, found.moments) == (None, False, ())
    with pytest.raises(ReaderError, match=r"cannot read .*OUTCAR\.other: No such file"):
        read_outcar(tmp_path / "OUTCAR.other")


def test_compressed_is_as_plain(written, tmp_path):
    run = Run()
    path = tmp_path / "OUTCAR.gz"
    path.write_bytes(gzip.compress(outcar(run).encode()))
    np.testing.assert_array_equal(read_outcar(path).moments[0].values, run.moments[-1, 0])


@pytest.mark.parametrize(
    ("text", "value"),
    [(b"-.52663928E+03", -526.63928), (b"1.5", 1.5), (b"0.1-101", 1e-102), (b" 3.D0 ", 3.0), (b"-.5", -0.5)],
)
def test_numbers_of_fortran(text, value):
    assert number(text) == value


@pytest.mark.parametrize("text", [b"****", b"", b"1.2.3", b"nan", b"0x1", b"1_0", b"1,5"])
def test_what_is_no_number(text):
    assert np.isnan(number(text))


def test_moments_of_a_large_file_take_less_than_a_twentieth_of_a_second(written):
    run = Run(species=(("Ni", 60), ("O", 60)), steps=4, kpoints=20, bands=40)
    filler = "  0.8518  0.0000  0.0000  0.0000  0.0000\n" * 58_000
    path = written(outcar(run, filler=filler))
    assert path.stat().st_size > 28e6
    took = []
    for _ in range(5):
        start = time.perf_counter()
        found = read_outcar(path)
        took.append(time.perf_counter() - start)
    np.testing.assert_array_equal(found.moments[0].values, run.moments[-1, 0])
    assert min(took) < 0.05
