"""Cut off or changed anywhere, a file gives its grids, a note or one clear error: no traceback, no wrong count."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from synthetic_grids import cell, chg_rows, cube_file, filplot_file, poscar, vasp_file, wave, xsf_file

from heterodft.analysis.readers.espresso.grids import read_average
from heterodft.analysis.readers.grid_files import read_grids
from heterodft.errors import ReaderError

SHAPE = (4, 5, 6)
FORMATS = ("CHGCAR", "LOCPOT", "CHG", "rho.cube", "rho.filplot", "rho.xsf")


def text_of(name: str) -> str:
    structure, first, second = cell(lean=0.4), wave(SHAPE), wave(SHAPE, seed=1)
    return {
        "CHGCAR": lambda: vasp_file(structure, [first, second]),
        "LOCPOT": lambda: vasp_file(structure, [first, first - 0.1], paw=False),
        "CHG": lambda: poscar(structure) + "    4    5    6\n" + chg_rows(first),
        "rho.cube": lambda: cube_file(structure, first),
        "rho.filplot": lambda: filplot_file(structure, first, 0),
        "rho.xsf": lambda: xsf_file(structure, first),
    }[name]()


def check(path: Path, data: bytes, whole: int) -> int:
    """Read damaged data; return how many grids came out."""
    path.write_bytes(data)
    try:
        grids = read_grids(path)
    except ReaderError as error:
        return 0 if "\n" not in str(error) and str(path) in str(error) else -1
    for grid in grids:
        assert np.isfinite(grid.values).all()
        assert grid.values.shape[-3:] == grid.shape
        assert len(grid.structure) >= 1
    if len(grids) != whole:
        assert all(grid.notes for grid in grids), "something is missing and nothing says so"
    return len(grids)


@pytest.mark.parametrize("name", FORMATS)
def test_cut_off_anywhere(tmp_path: Path, name: str) -> None:
    data = text_of(name).encode()
    path = tmp_path / name
    whole = len(read_grids(_write(path, data)))
    step = max(1, len(data) // 150)
    counts = [check(path, data[:end], whole) for end in range(0, len(data) - 2, step)]
    if name in ("CHG", "rho.cube", "rho.filplot"):
        assert not any(counts)
    assert min(counts) == 0
    assert counts == sorted(counts) or name == "LOCPOT"


def _write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", FORMATS)
def test_bytes_changed_anywhere(tmp_path: Path, name: str) -> None:
    data = text_of(name).encode()
    path = tmp_path / name
    whole = {grid.source: grid for grid in read_grids(_write(path, data))}
    chance = random.Random(7)  # noqa: S311
    for _ in range(200):
        place = chance.randrange(len(data))
        changed = data[:place] + bytes([chance.randrange(256)]) + data[place + 1 :]
        count = check(path, changed, len(whole))
        assert count >= 0
        if count == 0:
            continue
        for grid in read_grids(path):
            # A digit may have become another; none may be lost or come in from elsewhere.
            if grid.source in whole and len(grid.structure) == len(cell()):
                assert grid.shape == SHAPE


@pytest.mark.parametrize("name", ["vasp/li_chgcar_spin/CHGCAR.gz", "vasp/zns_locpot/LOCPOT.gz"])
def test_real_files_cut_off_while_compressed(shared_data: Path, tmp_path: Path, name: str) -> None:
    data = (shared_data / name).read_bytes()
    path = tmp_path / Path(name).name
    whole = len(read_grids(shared_data / name))
    counts = [check(path, data[: len(data) * part // 23], whole) for part in range(23)]
    assert counts == sorted(counts)


@pytest.mark.parametrize("name", ["pot", "spin"])
def test_real_cubes_cut_off_while_compressed(shared_data: Path, tmp_path: Path, name: str) -> None:
    data = (shared_data / f"qe/nio_crn_superlattice_v67/{name}.cube.gz").read_bytes()
    for part in range(23):
        assert check(tmp_path / f"{name}.cube.gz", data[: len(data) * part // 23], 1) == 0


def test_average_files_cut_off_or_changed(tmp_path: Path) -> None:
    rows = [f"{0.0157 * i:15.9f}{np.sin(i):15.9f}{0.1:15.9f}" for i in range(50)]
    data = ("\n".join(rows) + "\n").encode()
    path = tmp_path / "avg.dat"
    chance = random.Random(3)  # noqa: S311
    for number in range(len(data) + 300):
        place = chance.randrange(len(data))
        changed = (
            data[:number] if number < len(data) else data[:place] + bytes([chance.randrange(256)]) + data[place + 1 :]
        )
        path.write_bytes(changed)
        try:
            table = read_average(path)
        except ReaderError:
            continue
        # Whole rows at the end may be missing, which the file does not tell; its length does.
        assert len(table.heights) == changed.count(b"\n")
        assert np.isfinite(table.planar).all()
