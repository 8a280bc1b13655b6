"""Grids of a cell: averages along any vector of an oblique cell, cubes that other programs read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from synthetic_grids import cell, wave

from heterodft.analysis.grids import VolumeGrid
from heterodft.analysis.readers.espresso.grids import read_espresso_grid
from heterodft.errors import ReaderError
from heterodft.units import BOHR, HARTREE

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (4, 5, 6)
TRICLINIC = Structure(Lattice.from_parameters(4.0, 5.0, 6.0, 75, 80, 100), ["Ni", "O"], [[0, 0, 0], [0.3, 0.4, 0.5]])


def density(structure: Structure = TRICLINIC) -> VolumeGrid:
    return VolumeGrid("charge density", "e/Å³", wave(SHAPE), structure, "CHGCAR (valence charge)")


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_planes_of_an_oblique_cell_follow_each_other_along_their_normal(axis: int) -> None:
    # A function of the height alone must come back as it is.
    grid = density()
    lattice = TRICLINIC.lattice
    height = lattice.volume / np.linalg.norm(np.cross(lattice.matrix[axis - 2], lattice.matrix[axis - 1]))
    normal = lattice.reciprocal_lattice.matrix[axis] / np.linalg.norm(lattice.reciprocal_lattice.matrix[axis])
    points = np.stack(np.meshgrid(*(np.arange(n) / n for n in SHAPE), indexing="ij"), axis=-1) @ lattice.matrix
    values = np.cos(2 * np.pi * (points @ normal) / height)
    heights, average = VolumeGrid("potential", "eV", values, TRICLINIC).planar_average(axis)
    assert grid.period(axis) == pytest.approx(height)
    assert heights == pytest.approx(np.arange(SHAPE[axis]) * height / SHAPE[axis])
    assert average == pytest.approx(np.cos(2 * np.pi * heights / height), abs=1e-12)


def test_the_integral_is_that_of_the_averages_times_the_area() -> None:
    grid = density()
    for axis in range(3):
        _, average = grid.planar_average(axis)
        assert average.mean() * TRICLINIC.volume == pytest.approx(grid.integrate(), rel=1e-12)


def test_ase_reads_the_cube_that_was_written(tmp_path: Path) -> None:
    from ase.io.cube import read_cube_data

    grid = density()
    values, atoms = read_cube_data(str(grid.write_cube(tmp_path / "rho.cube")))
    assert values == pytest.approx(grid.values * BOHR**3, rel=1e-8)
    assert atoms.get_chemical_symbols() == ["Ni", "O"]
    assert np.allclose(atoms.cell.array, TRICLINIC.lattice.matrix, atol=1e-6)
    assert np.allclose(atoms.positions, TRICLINIC.cart_coords, atol=1e-6)


@pytest.mark.parametrize("quantity", ["charge density", "spin density", "potential"])
def test_what_was_written_is_read_back_with_its_quantity(tmp_path: Path, quantity: str) -> None:
    unit = {"charge density": "e/Å³", "spin density": "μB/Å³"}.get(quantity, "eV")
    grid = VolumeGrid(quantity, unit, wave(SHAPE) - 1.0, cell(lean=1.0), "μ source")  # type: ignore[arg-type]
    again = read_espresso_grid(grid.write_cube(tmp_path / "x.cube"))
    assert (again.quantity, again.unit) == (quantity, unit)
    assert again.values == pytest.approx(grid.values, rel=1e-7, abs=1e-9)


def test_a_cube_is_in_atomic_units(tmp_path: Path) -> None:
    grid = VolumeGrid("potential", "eV", np.full(SHAPE, HARTREE), TRICLINIC)
    lines = grid.write_cube(tmp_path / "v.cube").read_text().splitlines()
    assert "hartree" in lines[0]
    first = [float(word) for word in lines[3].split()[1:]]
    assert np.linalg.norm(first) == pytest.approx(4.0 / 4 / BOHR, rel=1e-6)
    assert lines[8].split()[:2] == ["1.00000000E+00", "1.00000000E+00"]


def test_components_of_a_magnetization_are_projections() -> None:
    vectors = np.stack([wave(SHAPE, seed=i) for i in range(3)])
    grid = VolumeGrid("magnetization", "μB/Å³", vectors, TRICLINIC)
    assert grid.component(np.array([0, 3.0, 4.0])).values == pytest.approx(0.6 * vectors[1] + 0.8 * vectors[2])
    assert np.asarray(grid.integrate()) == pytest.approx(vectors.mean(axis=(1, 2, 3)) * TRICLINIC.volume)
    with pytest.raises(ReaderError, match="only a magnetization"):
        density().component("x")


def test_pymatgen_and_ase_get_their_objects() -> None:
    grid = density()
    volumetric = grid.to_pymatgen()
    assert volumetric.data["total"].mean() == pytest.approx(grid.integrate())
    assert volumetric.get_average_along_axis(2) == pytest.approx(grid.planar_average()[1] * TRICLINIC.volume)
    atoms, values = grid.to_ase()
    assert len(atoms) == 2
    assert values is grid.values
