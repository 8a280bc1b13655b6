"""Files that were cut off or flipped: a Result that says what is missing, or one clear error."""

from __future__ import annotations

import gzip
import random
import shutil

import numpy as np
import pytest

from heterodft.analysis.readers import read_folder
from heterodft.errors import ReaderError

KEPT = ("energy", "fermi_levels", "total_moment", "converged", "electrons", "iterations", "spilling", "ended")


@pytest.fixture
def folder(shared_data, tmp_path):
    """A row of the manifest, its files under names of choice."""

    def place(row, **names):
        for source, name in names.items():
            data = (shared_data / "qe" / row / source.replace("__", ".")).read_bytes()
            (tmp_path / name).write_bytes(gzip.decompress(data) if source.endswith("gz") else data)
        for path in (shared_data / "qe" / row).glob("*.pdos*"):
            shutil.copyfile(path, tmp_path / path.name)
        return tmp_path

    return place


def read_or_error(folder):
    """Return the result, or None after one clear error; anything else fails the test."""
    try:
        return read_folder(folder, projections=True)
    except ReaderError as error:
        message = str(error)
    assert "\n" not in message
    assert len(message) < 800
    return None


def is_the_same(found, whole):
    """Tell whether a result says the same as that of undamaged files."""
    if any(getattr(found, name) != getattr(whole, name) for name in KEPT) or set(found.sites) != set(whole.sites):
        return False
    if (found.bands is None) != (whole.bands is None) or (found.dos is None) != (whole.dos is None):
        return False
    same = [found.bands is None or np.array_equal(found.bands.energies, whole.bands.energies)]
    same += [found.dos is None or np.array_equal(found.dos.values, whole.dos.values)]
    same += [np.array_equal(found.structure.cart_coords, whole.structure.cart_coords)]
    for name in ("forces", "stress"):
        mine, other = getattr(found, name), getattr(whole, name)
        same.append((mine is None) == (other is None) and (mine is None or np.array_equal(mine, other)))
    return all(same)


BOTH = {"aiida__out": "pw.out", "data-file-schema__xml": "data-file-schema.xml"}
PROJECTED = {"aiida__out": "projwfc.out", "data-file-schema__xml": "data-file-schema.xml"}
ROWS = [
    ("pw_two_fermi_v66", BOTH, "pw.out"),
    ("pw_two_fermi_v66", BOTH, "data-file-schema.xml"),
    ("pw_two_fermi_v66", {"data-file-schema__xml": "data-file-schema.xml"}, "data-file-schema.xml"),
    ("pw_nio_afm_u_v65", {"NiO__scf__2__out": "pw.out"}, "pw.out"),
    ("projwfc_fe2_collinear_v66", PROJECTED, "projwfc.out"),
    ("projwfc_fe2_collinear_v66", PROJECTED, "aiida.pdos_tot"),
    ("projwfc_fe2_collinear_v66", PROJECTED, "aiida.pdos_atm#2(Fe)_wfc#5(d)"),
]


@pytest.mark.parametrize(("row", "names", "name"), ROWS)
def test_a_file_cut_off_anywhere_says_what_is_missing(folder, row, names, name):
    place = folder(row, **names)
    whole, path = read_folder(place, projections=True), place / name
    data = path.read_bytes()
    for part in range(50):
        path.write_bytes(data[: len(data) * part // 50])
        found = read_or_error(place)
        assert found is None or is_the_same(found, whole) or set(found.notes) - set(whole.notes), part


@pytest.mark.parametrize(("row", "names", "name"), ROWS)
def test_bytes_that_flipped_end_in_no_traceback(folder, row, names, name):
    place = folder(row, **names)
    path = place / name
    data, numbers = path.read_bytes(), random.Random(name)  # noqa: S311
    for _ in range(40):
        flipped = bytearray(data)
        for _ in range(4):
            flipped[numbers.randrange(len(data))] = numbers.randrange(256)
        path.write_bytes(bytes(flipped))
        read_or_error(place)


def test_a_compressed_file_cut_off_is_read_as_far_as_it_goes(shared_data, tmp_path):
    data = (shared_data / "qe" / "nio_crn_superlattice_v67" / "scf.out.gz").read_bytes()
    (tmp_path / "scf.out.gz").write_bytes(data[: len(data) * 2 // 3])
    found = read_folder(tmp_path)
    assert (found.energy, found.ended) == (None, "cut off")
    assert found.structure.formula == "Cr2 Ni2 N2 O2"
