"""vaspout.h5: the facts of a real one, and what is damaged is told."""

from __future__ import annotations

import gzip
import io

import h5py
import numpy as np
import pytest

from heterodft.analysis.readers.vasp.assembly import read_vasp
from heterodft.analysis.readers.vasp.outcar import KILOBAR
from heterodft.analysis.readers.vasp.vaspout import read_vaspout
from heterodft.errors import ReaderError


@pytest.fixture
def packed(shared_data):
    return shared_data / "vasp" / "si_h5" / "vaspout.h5.gz"


def small(spin=2, **changes):
    """Return the bytes of a vaspout.h5 of two atoms, with other or without (None) datasets."""
    tags = [b"total charge"] + [b"magnetization"] * (spin // 2 + spin // 4)
    shells = np.arange(2 * (1 + spin // 2 + spin // 4) * 2 * 3).reshape(2, -1, 2, 3) / 8
    data = {
        "version/major": 6, "version/minor": 5, "version/patch": 0,
        "input/incar/ENCUT": 520.0, "input/incar/ALGO": b"Normal", "input/incar/ISMEAR": 0,
        "results/positions/ion_types": [b"Fe_pv", b"O"], "results/positions/number_ion_types": [1, 1],
        "intermediate/ion_dynamics/energies": [[-1.0, -1.5, -1.25], [-2.0, -2.5, -2.25]],
        "intermediate/ion_dynamics/energies_tags": [b"free energy    TOTEN", b"energy without entropy",
                                                    b"energy(sigma->0)"],
        "intermediate/ion_dynamics/forces": np.arange(12.0).reshape(2, 2, 3),
        "intermediate/ion_dynamics/stress": np.arange(18.0).reshape(2, 3, 3),
        "intermediate/ion_dynamics/lattice_vectors": [np.eye(3) * 3, np.eye(3) * 4],
        "intermediate/ion_dynamics/position_ions": [np.zeros((2, 3)), [[0, 0, 0], [0.5, 0.5, 0.5]]],
        "intermediate/ion_dynamics/magnetism/moments": shells,
        "intermediate/ion_dynamics/magnetism/component_tags": tags,
        "intermediate/ion_dynamics/magnetism/orbital_tags": [b"s", b"p", b"d"],
        "results/electron_eigenvalues/eigenvalues": np.zeros((1 + (spin == 2), 3, 4)),
        "results/electron_eigenvalues/fermiweights": np.ones((1 + (spin == 2), 3, 4)),
        "results/electron_eigenvalues/kpoint_coords": np.zeros((3, 3)),
        "results/electron_eigenvalues/kpoints_symmetry_weight": [1.0, 2.0, 1.0],
        "results/electron_eigenvalues/nelectrons": 14.0,
        "results/electron_dos/efermi": 1.5,
    } | changes  # fmt: skip
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        for name, value in data.items():
            if value is not None:
                file[name] = value
    return stream.getvalue()


def test_a_real_one(packed):
    found = read_vaspout(packed, projections=True)
    assert (found.version, found.elements, found.ionic_steps) == ("6.4.1", ("Si", "Si"), 3)
    assert found.energy == pytest.approx(-17.54958326, abs=1e-8)
    assert found.fermi_level == 5.999423235473216
    assert found.titles == ("PAW_PBE Si 05Jan2001",)
    assert (len(found.columns), found.columns[8], found.columns[15]) == (16, "x2-y2", "fx3")
    assert found.projections.shape == (2, 47, 128, 2, 9)
    assert found.dos_partial.shape == (2, 9, 2, 301)
    assert found.weights.sum() == pytest.approx(1)
    assert read_vaspout(packed).projections is None


def test_plain_is_as_compressed(packed, tmp_path):
    path = tmp_path / "vaspout.h5"
    path.write_bytes(gzip.decompress(packed.read_bytes()))
    np.testing.assert_array_equal(read_vaspout(path).eigenvalues, read_vaspout(packed).eigenvalues)


@pytest.mark.parametrize("spin", [1, 2, 4])
def test_the_last_step_is_read(tmp_path, spin):
    path = tmp_path / "vaspout.h5"
    path.write_bytes(small(spin))
    found = read_vasp(tmp_path, {})
    assert (found.energy, found.electrons, found.fermi_levels) == (-2.25, 14.0, (1.5,))
    assert found.structure.lattice.a == 4
    np.testing.assert_array_equal(found.forces, np.arange(6.0, 12.0).reshape(2, 3))
    np.testing.assert_allclose(found.stress, -KILOBAR * np.arange(9.0, 18.0).reshape(3, 3))
    assert found.method["cutoff"] == 520.0
    sphere = found.sites["sphere"]
    assert sphere.shell_charges.shape == (2, 4)
    assert (sphere.moments is None) == (spin == 1)
    assert (sphere.vectors is not None) == (spin == 4)
    if spin == 4:
        assert sphere.moments == tuple(sphere.vectors[:, 2])


def test_a_run_before_its_first_step_has_its_structure(tmp_path):
    given = {
        "input/poscar/lattice_vectors": np.eye(3), "input/poscar/scale": 4.0, "input/poscar/direct_coordinates": 0,
        "input/poscar/position_ions": [[0, 0, 0], [2.0, 2.0, 2.0]],
        "intermediate/ion_dynamics/energies": None, "intermediate/ion_dynamics/magnetism/moments": None,
    }  # fmt: skip
    path = tmp_path / "vaspout.h5"
    path.write_bytes(small(**given))
    found = read_vaspout(path)
    assert (found.energy, found.ionic_steps) == (None, 0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("intermediate/ion_dynamics/forces", np.zeros((2, 3, 3))),
        ("results/electron_eigenvalues/fermiweights", np.zeros((2, 3, 5))),
        ("results/electron_eigenvalues/eigenvalues", np.full((2, 3, 4), np.nan)),
        ("intermediate/ion_dynamics/energies_tags", [b"a", b"b", b"c"]),
        ("results/positions/number_ion_types", [1, 1, 1]),
        ("version/major", None),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, name, value):
    path = tmp_path / "vaspout.h5"
    path.write_bytes(small(**{name: value}))
    with pytest.raises(ReaderError, match=r"cannot read .*vaspout.h5: .*; a damaged file\?"):
        read_vaspout(path)
