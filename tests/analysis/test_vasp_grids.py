"""CHGCAR, LOCPOT and their like: real ones with known values, and small ones written as VASP writes them."""

from __future__ import annotations

import gzip
import lzma
from typing import TYPE_CHECKING

import numpy as np
import pytest
from synthetic_grids import augmentation, cell, chg_rows, poscar, vasp_file, wave

from heterodft.analysis.readers.grid_files import find_grids, read_grid, read_grids
from heterodft.analysis.readers.vasp.grids import read_vasp_grids
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (6, 7, 9)


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_real_spin_polarized_chgcar_holds_its_electrons(shared_data: Path) -> None:
    charge, spin = read_vasp_grids(shared_data / "vasp/li_chgcar_spin/CHGCAR.gz")
    volume = charge.structure.volume
    assert charge.structure.formula == "Li1"
    assert volume == pytest.approx(20.148362761266316, rel=1e-12)
    assert charge.integrate() == pytest.approx(1.000000001241776, rel=1e-12)
    assert spin.integrate() == pytest.approx(-0.02028912735073626, rel=1e-12)
    assert spin.values.min() * volume == pytest.approx(-0.023001837756, rel=1e-12)
    assert spin.values.max() * volume == pytest.approx(-0.0027330404989, rel=1e-12)
    assert charge.planar_average()[1][:2] * volume == pytest.approx(
        [0.9225245364779252, 0.923166841035725], rel=1e-12
    )
    assert (charge.quantity, charge.unit, spin.quantity, spin.unit) == (
        "charge density",
        "e/Å³",
        "spin density",
        "μB/Å³",
    )
    assert charge.notes == spin.notes == ()


def test_a_real_locpot_agrees_with_pymatgen(shared_data: Path) -> None:
    from pymatgen.io.vasp.outputs import Locpot

    path = shared_data / "vasp/zns_locpot/LOCPOT.gz"
    (potential,) = read_vasp_grids(path)
    reference = Locpot.from_file(path)
    assert np.array_equal(potential.values, reference.data["total"])
    assert potential.structure.volume == pytest.approx(40.47567311569866, rel=1e-12)
    for axis in range(3):
        assert potential.planar_average(axis)[1] == pytest.approx(reference.get_average_along_axis(axis), abs=1e-12)
    assert potential.planar_average()[1][[0, 1, -1]] == pytest.approx(
        [0.14555564845033997, 0.737717039787493, -0.8729069584391083], rel=1e-12
    )


@pytest.mark.parametrize("grids", [1, 2, 4])
def test_every_number_of_spins_is_read(tmp_path: Path, grids: int) -> None:
    structure = cell(lean=0.7)
    written = [wave(SHAPE, seed=i) for i in range(grids)]
    found = read_vasp_grids(write(tmp_path / "CHGCAR", vasp_file(structure, written)))
    names = {1: ["charge density"], 2: ["charge density", "spin density"], 4: ["charge density", "magnetization"]}
    assert [grid.quantity for grid in found] == names[grids]
    assert found[0].values * structure.volume == pytest.approx(written[0], rel=1e-10)
    if grids == 4:
        assert found[1].values * structure.volume == pytest.approx(np.stack(written[1:]), rel=1e-10)
        assert np.array_equal(found[1].component("y").values, found[1].values[1])
    assert all(grid.notes == () for grid in found)
    assert found[0].structure.formula == "Ni2 O2"


def test_what_pymatgen_reads_of_a_leaning_cell_is_what_is_read(tmp_path: Path) -> None:
    from pymatgen.io.vasp.outputs import Chgcar

    path = write(tmp_path / "CHGCAR", vasp_file(cell(lean=0.7), [wave(SHAPE), wave(SHAPE, seed=1)], selective=True))
    charge, spin = read_vasp_grids(path)
    reference = Chgcar.from_file(path)
    assert np.allclose(charge.structure.frac_coords, reference.structure.frac_coords)
    assert charge.structure.lattice == reference.structure.lattice
    assert np.allclose(charge.values * charge.structure.volume, reference.data["total"], rtol=1e-14)
    assert np.allclose(spin.values * charge.structure.volume, reference.data["diff"], rtol=1e-14)


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
def test_compressed_files_are_read(tmp_path: Path, suffix: str) -> None:
    data = vasp_file(cell(), [wave(SHAPE)]).encode()
    path = tmp_path / f"CHGCAR{suffix}"
    path.write_bytes(gzip.compress(data) if suffix == ".gz" else lzma.compress(data))
    assert read_grid(tmp_path, "charge density").integrate() == pytest.approx(wave(SHAPE).mean(), rel=1e-10)


def test_wide_rows_of_chg_are_read(tmp_path: Path) -> None:
    values = wave(SHAPE)
    text = poscar(cell()) + "".join(f"{n:5d}" for n in SHAPE) + "\n" + chg_rows(values)
    (charge,) = read_vasp_grids(write(tmp_path / "CHG", text))
    assert charge.values * charge.structure.volume == pytest.approx(values, abs=1e-4)


def test_a_head_without_names_takes_those_of_the_poscar(tmp_path: Path) -> None:
    path = write(tmp_path / "LOCPOT", vasp_file(cell(), [wave(SHAPE)], paw=False, names=False))
    (nameless,) = read_vasp_grids(path)
    assert [site.specie.symbol for site in nameless.structure] == ["Xa", "Xa", "Xb", "Xb"]
    write(tmp_path / "POSCAR", poscar(cell()))
    (named,) = read_vasp_grids(path)
    assert named.structure.formula == "Ni2 O2"
    assert np.array_equal(named.values, nameless.values)


def test_locpot_of_two_spins_is_their_mean(tmp_path: Path) -> None:
    up, down = 10 * wave(SHAPE), 10 * wave(SHAPE) - 0.3
    write(tmp_path / "LOCPOT", vasp_file(cell(), [up, down], paw=False))
    grids = read_grids(tmp_path, "potential")
    assert len(grids) == 3
    for grid, expected in zip(grids, [(up + down) / 2, up, down], strict=True):
        assert grid.values == pytest.approx(expected, rel=1e-9)


def test_the_whole_charge_comes_before_that_of_chosen_bands(tmp_path: Path) -> None:
    for name, mean in (
        ("PARCHG.0012.0001", 0.1),
        ("PARCHG.0013.ALLK", 0.2),
        ("CHGCAR", 1.0),
        ("AECCAR0", 5.0),
        ("CHG", 9.0),
    ):
        write(tmp_path / name, vasp_file(cell(), [wave(SHAPE, mean=mean)], paw=name == "CHGCAR"))
    write(tmp_path / "LOCPOT", vasp_file(cell(), [wave(SHAPE)], paw=False))
    names = [path.name for path in find_grids(tmp_path)]
    assert names == ["LOCPOT", "CHGCAR", "AECCAR0", "PARCHG.0012.0001", "PARCHG.0013.ALLK"]
    charges = read_grids(tmp_path, "charge density")
    assert [round(float(grid.integrate()), 1) for grid in charges] == [1.0, 5.0, 0.1, 0.2]
    assert "PARCHG.0012.0001" in charges[2].source
    with pytest.raises(ReaderError, match="holds no spin density"):
        read_grid(tmp_path, "spin density")


def test_a_file_cut_off_in_its_second_grid_gives_the_first_with_a_note(tmp_path: Path) -> None:
    text = vasp_file(cell(), [wave(SHAPE), wave(SHAPE, seed=1)])
    (charge,) = read_vasp_grids(write(tmp_path / "CHGCAR", text[: int(len(text) * 0.8)]))
    assert charge.integrate() == pytest.approx(1.0, rel=1e-9)
    assert "of 378 numbers of a grid are there" in charge.notes[0]


def test_a_file_cut_off_in_its_first_grid_says_how_much_there_is(tmp_path: Path) -> None:
    text = vasp_file(cell(), [wave(SHAPE)])
    begin = text.index("    6    7    9\n") + len("    6    7    9\n")
    with pytest.raises(ReaderError, match="100 of 378 numbers"):
        read_vasp_grids(write(tmp_path / "CHGCAR", text[: begin + 20 * 91]))


def test_wrong_dimensions_never_pass(tmp_path: Path) -> None:
    text = vasp_file(cell(), [wave(SHAPE)])
    for wrong in ("    6    7    8\n", "    6    7   10\n", "    1    7    9\n"):
        with pytest.raises(ReaderError):
            read_vasp_grids(write(tmp_path / "CHGCAR", text.replace("    6    7    9\n", wrong)))


def test_stars_are_refused_with_their_place(tmp_path: Path) -> None:
    text = vasp_file(cell(), [wave(SHAPE)], paw=False)
    row = text.index("    6    7    9\n") + len("    6    7    9\n")
    with pytest.raises(ReaderError, match=r"number 2 of 378 .*too large"):
        read_vasp_grids(write(tmp_path / "LOCPOT", text[: row + 19] + "*" * 17 + text[row + 36 :]))


def test_damage_behind_the_grid_is_a_note(tmp_path: Path) -> None:
    text = vasp_file(cell(), [wave(SHAPE)])
    (charge,) = read_vasp_grids(write(tmp_path / "CHGCAR", text[: -len(augmentation(1)) - 5]))
    assert "may be missing" in charge.notes[0]


def test_atoms_come_in_the_builders_order_with_its_labels(tmp_path: Path) -> None:
    import json

    structure = cell()
    order = sorted(range(4), key=lambda i: structure[i].species_string)
    write(tmp_path / "LOCPOT", vasp_file(structure, [wave(SHAPE)], paw=False))
    write(tmp_path / "site_order.json", json.dumps({"order": order}))
    asked = {"species": ["Ni", "O", "Ni", "O"], "site_properties": structure.site_properties}
    write(tmp_path / "request.json", json.dumps({"request": {"structure": asked}}))
    found = read_grid(tmp_path, "potential").structure
    assert [site.species_string for site in found] == ["Ni", "O", "Ni", "O"]
    assert np.allclose(found.frac_coords, structure.frac_coords)
    assert found.site_properties["layer"] == [1, 1, 2, 2]
