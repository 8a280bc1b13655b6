from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from heterodft.analysis.readers.espresso.bands import (
    read_band_file,
    read_band_symmetries,
    read_dos_file,
    read_gnu,
    read_ldos_boxes,
)
from heterodft.errors import ReaderError

BANDS = """\
 &plot nbnd=   3, nks=     2 /
            0.000000  0.000000  0.000000
   -5.567    5.770    6.233
           -0.500000  0.500000  0.500000
 -112.302-1004.721    5.329
"""
CELL = Structure(Lattice([[-2.0, 0, 2.0], [0, 2.0, 2.0], [-2.0, 2.0, 0]]), ["Si"], [[0, 0, 0]])


@pytest.fixture
def write(tmp_path):
    def place(name, text):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return place


def test_bands_of_both_spins_are_joined(write):
    up, down = write("up.dat", BANDS), write("down.dat", BANDS.replace("5.770", "6.770"))
    found = read_band_file(up, CELL, fermi_level=6.0, down=down, alat=4.0)
    assert found.energies.shape == (2, 2, 3)
    assert found.energies[:, 0, 1].tolist() == [5.770, 6.770]
    assert found.energies[0, 1].tolist() == [-112.302, -1004.721, 5.329]
    assert found.occupations[:, 0].tolist() == [[1, 1, 0], [1, 0, 0]]
    assert found.kpoints[1].tolist() == [0.5, 0.5, 0.5]


@pytest.mark.parametrize("damage", [lambda t: t[:-12], lambda t: t.replace("5.770", "*****"), lambda t: t[10:]])
def test_a_band_file_that_is_cut_off_is_told(write, damage):
    with pytest.raises(ReaderError, match=r"bands.x"):
        read_band_file(write("x.dat", damage(BANDS)), CELL, fermi_level=0.0)


def test_bands_of_another_path_are_refused(write):
    other = write("b.dat", BANDS.replace("-0.500000  0.5", "-0.500000  0.4"))
    with pytest.raises(ReaderError, match="different paths"):
        read_band_file(write("a.dat", BANDS), CELL, fermi_level=0.0, down=other)


def test_symmetries_and_the_plain_table_are_read(write):
    rap = " &plot_rap nbnd_rap=   3, nks_rap=   2 /\n  0.0 0.0 0.0    T\n  1  1  2\n  0.5 0.5 0.5   F\n  2  1  1\n"
    assert read_band_symmetries(write("x.rap", rap)).tolist() == [[1, 1, 2], [2, 1, 1]]
    with pytest.raises(ReaderError, match="cut off"):
        read_band_symmetries(write("x.rap", rap[:-4]))
    length, energies = read_gnu(write("x.gnu", " 0.0  -5.5\n 0.2  -5.3\n\n 0.0  1.5\n 0.2  1.3\n\n"))
    assert (length.tolist(), energies.tolist()) == ([0.0, 0.2], [[-5.5, -5.3], [1.5, 1.3]])
    with pytest.raises(ReaderError, match="differ in length"):
        read_gnu(write("x.gnu", " 0.0  -5.5\n 0.2  -5.3\n\n 0.0  1.5\n"))


def test_the_total_density_of_states_is_read(write):
    header = "#  E (eV)   dosup(E)     dosdw(E)   Int dos(E) EFermi =   19.569 eV\n"
    text = header + " -1.0 0.4E+01 0.8342-102 0.4\n 0.0 1 2 3\n"
    found = read_dos_file(write("x.dos", text))
    assert found.values.tolist() == [[4.0, 1.0], [pytest.approx(0, abs=1e-99), 2.0]]
    assert (found.integrated.tolist(), found.fermi_levels) == ([0.4, 3.0], (19.569,))
    one = read_dos_file(write("y.dos", "# E dos Int dos(E) EFermi =  1.0 eV\n -1.0 0.4 0.5\n 0.0 1 2\n"))
    assert one.values.shape == (1, 2)
    with pytest.raises(ReaderError, match=r"cannot read .*z.dos"):
        read_dos_file(write("z.dos", text[:-4]))


def test_boxes_of_a_slab_are_read(shared_data):
    found = read_ldos_boxes(shared_data / "qe" / "projwfc_ldos_boxes_v72" / "aiida.ldos_boxes")
    assert (found.values.shape, found.total.shape) == ((5, 2, 22), (2, 22))
    assert found.energies[[0, -1]].tolist() == [-9.242, 1.258]
    row = found.energies.tolist().index(-1.742)
    assert found.values[:, 0, row].tolist() == [0.206, 0.0717, 0.00411, 0.000208, 0.0000111]
    # the sum over boxes is the third pair of columns
    np.testing.assert_allclose(found.values[:, 0, row].sum(), 0.282, atol=5e-4)


def test_boxes_of_other_columns_are_told(write, shared_data):
    text = (shared_data / "qe" / "projwfc_ldos_boxes_v72" / "aiida.ldos_boxes").read_text()
    with pytest.raises(ReaderError, match="which its header does not explain"):
        read_ldos_boxes(write("x.ldos_boxes", text.replace("#  5 up(E)", "").replace("#  5 dw(E)", "")))
    with pytest.raises(ReaderError, match=r"run projwfc.x again"):
        read_ldos_boxes(write("x.ldos_boxes", text[:-20]))
