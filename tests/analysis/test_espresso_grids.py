"""What pp.x and average.x write: real files, and small ones whose density is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from synthetic_grids import cell, cube_file, filplot_file, wave, xsf_file

from heterodft.analysis.readers.espresso.grids import read_average, read_espresso_grid
from heterodft.analysis.readers.grid_files import find_grids, read_grid, read_grids
from heterodft.errors import ReaderError
from heterodft.units import BOHR, HARTREE, RYDBERG

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (6, 8, 10)
PP = "&inputpp\n plot_num={}, spin_component={}, filplot='tmp/{}.filplot'\n/\n&plot\n fileout='{}.cube'\n/\n"


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def ask(folder: Path, name: str, number: int, component: int = 0) -> None:
    write(folder / f"{name}.in", PP.format(number, component, name, name))


def test_real_cubes_are_told_by_the_input_beside_them(shared_data: Path) -> None:
    folder = shared_data / "qe/nio_crn_superlattice_v67"
    potential, spin = read_grid(folder, "potential"), read_grid(folder, "spin density")
    assert potential.shape == spin.shape == (30, 30, 81)
    assert potential.structure.formula == "Cr2 Ni2 N2 O2"
    assert potential.structure.lattice.abc == pytest.approx((2.938, 2.938, 8.31), abs=3e-5)
    # The cube has five digits; the number of the file that it was made from is 0.364613207134.
    assert potential.values.mean() / RYDBERG == pytest.approx(0.364613207134, abs=1e-6)
    assert spin.integrate() == pytest.approx(0.0, abs=1e-3)
    assert "plot_num 11 in pp_pot.in" in potential.source
    assert "plot_num 6 in pp_spin.in" in spin.source


@pytest.mark.parametrize("lean", [0.0, 0.8])
def test_cube_filplot_and_xsf_of_one_density_agree(tmp_path: Path, lean: float) -> None:
    structure, values = cell(lean=lean), wave(SHAPE)
    cube = read_espresso_grid(write(tmp_path / "rho.cube", cube_file(structure, values)), quantity="charge density")
    filplot = read_espresso_grid(write(tmp_path / "rho.filplot", filplot_file(structure, values, 0)))
    xsf = read_espresso_grid(write(tmp_path / "rho.xsf", xsf_file(structure, values)), quantity="charge density")
    assert filplot.values * BOHR**3 == pytest.approx(values, rel=1e-9)
    for grid, digits in ((cube, 1e-4), (xsf, 1e-5)):
        assert grid.values == pytest.approx(filplot.values, rel=digits)
        assert np.allclose(grid.structure.lattice.matrix, structure.lattice.matrix, atol=1e-4)
        assert [site.species_string for site in grid.structure] == ["Ni", "O", "Ni", "O"]
        assert np.allclose(grid.structure.frac_coords, structure.frac_coords, atol=1e-4)


def test_a_potential_is_in_ry_of_pp_and_in_hartree_of_our_own_cubes(tmp_path: Path) -> None:
    values = wave(SHAPE)
    ask(tmp_path, "v", 1)
    potential = read_espresso_grid(write(tmp_path / "v.cube", cube_file(cell(), values)))
    assert potential.unit == "eV"
    assert potential.values == pytest.approx(values * RYDBERG, rel=1e-4)
    potential.write_cube(tmp_path / "again.cube")
    again = read_espresso_grid(tmp_path / "again.cube")
    assert again.quantity == "potential"
    assert again.values == pytest.approx(potential.values, rel=1e-7)
    foreign = cube_file(cell(), values).replace("PWScf", "another")
    path = write(tmp_path / "pot.cube", foreign)
    with pytest.raises(ReaderError, match="in which unit"):
        read_espresso_grid(path)
    assert read_espresso_grid(path, unit="Ha").values == pytest.approx(values * HARTREE, rel=1e-4)


def test_where_nothing_says_it_name_and_values_are_asked(tmp_path: Path) -> None:
    structure = cell()
    electrons = wave(SHAPE) * 28 / (structure.volume / BOHR**3)
    text = cube_file(structure, electrons)
    assert "28.00 electrons" in read_espresso_grid(write(tmp_path / "x.cube", text)).source
    assert read_espresso_grid(write(tmp_path / "spin_1.cube", text)).quantity == "spin density"
    both = write(tmp_path / "y.cube", cube_file(structure, wave(SHAPE, mean=0.0)))
    with pytest.raises(ReaderError, match="quantity="):
        read_espresso_grid(both)
    assert read_espresso_grid(both, quantity="spin density").unit == "μB/Å³"


def test_the_output_of_pp_tells_too(tmp_path: Path) -> None:
    said = "     Calling punch_plot, plot_num =   6\n     Writing data to be plotted to file x.cube\n"
    write(tmp_path / "pp.out", said)
    grid = read_espresso_grid(write(tmp_path / "x.cube", cube_file(cell(), wave(SHAPE))))
    assert grid.quantity == "spin density"
    assert "in pp.out" in grid.source


def test_components_of_a_magnetization_are_put_together(tmp_path: Path) -> None:
    written = [wave(SHAPE, mean=0.1 * i, seed=i) for i in range(3)]
    for number, (axis, values) in enumerate(zip("xyz", written, strict=True), start=1):
        ask(tmp_path, f"spin_{axis}", 13, number)
        write(tmp_path / f"spin_{axis}.cube", cube_file(cell(), values))
    ask(tmp_path, "charge", 0)
    write(tmp_path / "charge.cube", cube_file(cell(), wave(SHAPE)))
    assert [grid.quantity for grid in read_grids(tmp_path)] == ["charge density", "magnetization"]
    grid = read_grid(tmp_path, "magnetization")
    assert grid.values * BOHR**3 == pytest.approx(np.stack(written), rel=1e-4)
    along_z = read_grid(tmp_path, "spin density")
    assert np.array_equal(along_z.values, grid.values[2])


def test_parts_and_other_plots_do_not_take_the_place_of_the_whole(tmp_path: Path) -> None:
    for name, number, component in (("a_up", 0, 1), ("b", 0, 0), ("elf", 8, 0)):
        ask(tmp_path, name, number, component)
        write(tmp_path / f"{name}.cube", cube_file(cell(), wave(SHAPE)))
    assert [path.name for path in find_grids(tmp_path)] == ["b.cube", "a_up.cube"]
    with pytest.raises(ReaderError, match="plot_num = 8"):
        read_espresso_grid(tmp_path / "elf.cube")


def test_a_folder_without_grids_says_which_step_makes_them(tmp_path: Path) -> None:
    assert read_grids(tmp_path) == ()
    with pytest.raises(ReaderError, match="run a step 'potential'"):
        read_grid(tmp_path, "potential")
    with pytest.raises(ReaderError, match="did you mean 'potential'"):
        read_grid(tmp_path, "potentail")  # type: ignore[arg-type]


def test_average_files_are_read_in_bohr(shared_data: Path) -> None:
    table = read_average(shared_data / "qe/nio_crn_superlattice_v67/avg_pot.dat")
    assert len(table.heights) == 1000
    assert table.heights[1] == pytest.approx(8.31 / 1000, rel=1e-6)
    assert (table.planar[0], table.macroscopic[0]) == (-0.382575752, 0.524531738)


@pytest.mark.parametrize("keep", [46000 - 1, 46000 - 20, 45 * 10, 3])
def test_a_cut_average_file_is_refused(shared_data: Path, tmp_path: Path, keep: int) -> None:
    text = (shared_data / "qe/nio_crn_superlattice_v67/avg_pot.dat").read_text()
    with pytest.raises(ReaderError, match="cut off"):
        read_average(write(tmp_path / "avg.dat", text[:keep]))
