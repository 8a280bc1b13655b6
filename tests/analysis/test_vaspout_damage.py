"""vaspout.h5 cut off or with bytes that changed: HDF5 itself may crash then, the user sees one error."""

from __future__ import annotations

import gzip
import subprocess
import sys

import h5py
import numpy as np
import pytest
from test_vaspout import small

from heterodft.analysis.readers import read_folder
from heterodft.analysis.readers.vasp.vaspout import read_vaspout
from heterodft.errors import ReaderError

FLIPS, CUTS = 500, 100
READ_ALL = """
import resource, signal, sys
from pathlib import Path
from heterodft.analysis.readers.vasp.vaspout import read_here
from heterodft.errors import ReaderError

resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
for path in sys.argv[1:]:
    signal.alarm(20)  # one that takes longer ends this process
    try:
        read_here(Path(path), True)
        print("read", flush=True)
    except ReaderError as error:
        print(error, flush=True)
"""


@pytest.fixture(scope="module")
def whole():
    return small()


def read_each(paths):
    """What becomes of each file, read in the fast way in processes of its own: ``died`` where one ended there."""
    outcomes = []
    while len(outcomes) < len(paths):
        rest = [str(path) for path in paths[len(outcomes) :]]
        done = subprocess.run([sys.executable, "-c", READ_ALL, *rest], check=False, capture_output=True, text=True)
        outcomes += done.stdout.splitlines()
        if done.returncode < 0:
            outcomes.append("died")
        else:
            assert done.returncode == 0, done.stderr
    return outcomes


def write_all(folder, contents):
    paths = [folder / f"{number}.h5" for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return paths


def check_outcomes(paths, outcomes):
    """Each is read or refused in one line; where HDF5 crashes, `read_vaspout` still refuses."""
    for path, outcome in zip(paths, outcomes, strict=True):
        if outcome == "died":
            with pytest.raises(ReaderError, match=rf"cannot read .*{path.name}: .*; a damaged file\?"):
                read_vaspout(path, projections=True)
        elif outcome != "read":
            assert outcome.startswith(f"cannot read {path}: ")
            assert outcome.endswith("; a damaged file?")


def flipped(content, seed):
    random = np.random.default_rng(seed)
    damaged = bytearray(content)
    for at in random.integers(len(content), size=random.integers(1, 5)):
        damaged[at] ^= random.integers(1, 256)
    return bytes(damaged)


def test_bytes_that_changed_are_read_or_refused(whole, tmp_path):
    paths = write_all(tmp_path, [flipped(whole, seed) for seed in range(FLIPS)])
    outcomes = read_each(paths)
    print(f"HDF5 crashed at {outcomes.count('died')} of {FLIPS}")  # noqa: T201, shown with -s
    check_outcomes(paths, outcomes)
    assert 20 < outcomes.count("read") < FLIPS


def test_one_that_is_cut_off_is_refused(whole, tmp_path):
    paths = write_all(tmp_path, [whole[: len(whole) * part // CUTS] for part in range(CUTS)])
    outcomes = read_each(paths)
    check_outcomes(paths, outcomes)
    assert "read" not in outcomes


def test_a_real_one_with_bytes_that_changed(shared_data, tmp_path):
    content = gzip.decompress((shared_data / "vasp" / "si_h5" / "vaspout.h5.gz").read_bytes())
    head = 1 << 15  # the tables of HDF5; what follows is mostly numbers
    paths = write_all(tmp_path, [flipped(content[:head], seed) + content[head:] for seed in range(60)])
    check_outcomes(paths, read_each(paths))


@pytest.mark.parametrize("count", [2**31 - 1, -1, 0])
def test_an_absurd_number_of_atoms_is_refused(tmp_path, count):
    path = tmp_path / "vaspout.h5"
    path.write_bytes(small(**{"results/positions/number_ion_types": [1, count]}))
    with pytest.raises(ReaderError, match="number_ion_types reads"):
        read_vaspout(path)


def test_a_dataset_larger_than_its_file_is_refused(tmp_path):
    path = tmp_path / "vaspout.h5"
    path.write_bytes(small(**{"intermediate/ion_dynamics/forces": None}))
    with h5py.File(path, "a") as file:
        file.create_dataset("intermediate/ion_dynamics/forces", shape=(1 << 40, 2, 3), dtype="f8", chunks=(1, 2, 3))
    with pytest.raises(ReaderError, match="forces says that it is larger than the file could hold"):
        read_vaspout(path)


def test_a_folder_with_a_damaged_one_says_so(tmp_path, whole):
    (tmp_path / "vaspout.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ReaderError, match=r"vaspout\.h5 was left out: cannot read"):
        read_folder(tmp_path)
