"""Densities in slabs, spheres and pictures: against pp.x data and functions whose integrals are known."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from scipy.special import erf
from synthetic_grids import cell, vasp_file, wave

from heterodft.analysis.densities import SlabIntegrals, write_density_cube
from heterodft.analysis.grids import VolumeGrid
from heterodft.analysis.grids.shells import DefectShells, integrate_spheres
from heterodft.analysis.grids.slices import DensitySlice
from heterodft.analysis.layers import Layer, Layering, find_layering
from heterodft.analysis.readers.grid_files import read_grid
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from pathlib import Path

OBLIQUE = Lattice.from_parameters(6.0, 6.5, 7.0, 75, 80, 100)
SPHERE_MOMENTS = [1.5673, 0.1359, -1.5673, -0.1359, 2.5108, -0.0850, -2.5113, 0.0848]
"""Of the antiferromagnetic NiO/CrN superlattice, as pw.x printed them: Ni1 O Ni2 O Cr1 N Cr2 N."""


def spin(structure: Structure, values: np.ndarray) -> VolumeGrid:
    return VolumeGrid("spin density", "μB/Å³", values, structure, "CHGCAR (spin density)")


def gaussians(structure: Structure, widths: list[float], moments: list[float], n: int = 48) -> VolumeGrid:
    """Gaussians at the sites and their images, as Fourier series: no other components are left out than tiny ones."""
    lattice = structure.lattice
    k = np.stack(np.meshgrid(*[np.fft.fftfreq(n) * n] * 3, indexing="ij"), axis=-1)
    waves = k @ lattice.reciprocal_lattice.matrix
    total = np.zeros((n, n, n), dtype=complex)
    for site, width, moment in zip(structure, widths, moments, strict=True):
        phase = np.exp(-2j * np.pi * (k @ site.frac_coords))
        total += moment * np.exp(-((waves**2).sum(-1)) * width**2 / 2) * phase / lattice.volume
    return spin(structure, np.fft.ifftn(total).real * n**3)


def inside(radius: np.ndarray | float, width: float) -> np.ndarray:
    """Part of a normalized Gaussian inside a sphere around it."""
    x = np.asarray(radius) / width
    return erf(x / np.sqrt(2)) - np.sqrt(2 / np.pi) * x * np.exp(-(x**2) / 2)


def quarters(period: float) -> Layering:
    names = ["NiO:1", "NiO:2", "CrN:1", "CrN:2"]
    layers = []
    for i, name in enumerate(names):
        height = i * period / 4
        sites = (2 * i, 2 * i + 1)
        bottom, top = height - period / 8, height + period / 8
        layers.append(Layer(name, name[:3], name[:3], sites, height, bottom, top, ()))
    return Layering((), tuple(layers), "given", period)


def test_spin_in_slabs_is_that_of_the_layers_of_a_real_superlattice(shared_data: Path) -> None:
    grid = read_grid(shared_data / "qe/nio_crn_superlattice_v67", "spin density")
    slabs = SlabIntegrals.from_grid(grid, layering=quarters(grid.period()))
    # The values beside the data come from another way to treat a quarter of 81 points: they agree within 0.001 μB.
    assert slabs.values == pytest.approx([1.7326, -1.7311, 2.8402, -2.8420], abs=1e-3)
    # The bounds fall between points; integrated exactly the two of a material are opposite.
    assert slabs.values[0] == pytest.approx(-slabs.values[1], abs=1e-4)
    assert slabs.values[2] == pytest.approx(-slabs.values[3], abs=1e-3)
    assert slabs.values.sum() == pytest.approx(float(slabs.total), abs=1e-10)


def test_moments_of_spheres_follow_from_the_spin_density_by_layer(shared_data: Path) -> None:
    grid = read_grid(shared_data / "qe/nio_crn_superlattice_v67", "spin density")
    slabs = SlabIntegrals.from_grid(grid, layering=quarters(grid.period()))
    printed = np.array(SPHERE_MOMENTS).reshape(4, 2).sum(axis=1)
    # Spheres leave out what is between them: the slab holds as much as its spheres or up to 0.45 μB more.
    excess = (slabs.values - printed) * np.sign(printed)
    assert (excess > 0).all()
    assert (excess < 0.45).all()
    _, spheres = integrate_spheres(grid)
    assert np.sign(spheres[[0, 2, 4, 6]]).tolist() == [1, -1, 1, -1]
    assert np.abs(spheres[[0, 2, 4, 6]] - np.array(SPHERE_MOMENTS)[[0, 2, 4, 6]]).max() < 0.25


@pytest.mark.parametrize("lean", [0.0, 1.1])
@pytest.mark.parametrize("shape", [(4, 4, 10), (3, 5, 11)])
@pytest.mark.parametrize("planes", [False, True])
def test_layers_add_up_to_the_cell(lean: float, shape: tuple[int, int, int], planes: bool) -> None:
    grid = spin(cell(lean=lean), wave(shape))
    slabs = SlabIntegrals.from_grid(grid, by="plane" if planes else "layer")
    assert slabs.values.sum() == pytest.approx(grid.integrate(), rel=1e-12, abs=1e-10)
    assert slabs.notes == ()
    assert slabs.labels == (("NiO:1 NiO", "NiO:2 NiO") if planes else ("NiO:1", "NiO:2"))


def test_an_integral_between_points_is_exact() -> None:
    structure = cell()
    z = np.arange(16) / 16 * 4.0
    values = np.broadcast_to(1 + np.cos(2 * np.pi * z / 4.0 - 0.3), (2, 2, 16)).copy()
    slabs = SlabIntegrals.from_grid(spin(structure, values))
    low, high = find_layering(structure).layers[0].bottom, find_layering(structure).layers[0].top
    wavenumber = 2 * np.pi / 4.0
    exact = high - low + (np.sin(wavenumber * high - 0.3) - np.sin(wavenumber * low - 0.3)) / wavenumber
    assert slabs.values[0] == pytest.approx(exact * 3.0 * 3.2, rel=1e-12)


def test_layers_that_do_not_fill_the_cell_are_said_not_to() -> None:
    structure = cell()
    found = find_layering(structure)
    part = Layering(found.planes, found.layers[:1], "given", found.period)
    assert "do not add up" in SlabIntegrals.from_grid(spin(structure, wave((4, 4, 10))), layering=part).notes[0]


def test_a_magnetization_has_three_moments_a_layer() -> None:
    vectors = np.stack([wave((4, 4, 10), mean=0.1 * i, seed=i) for i in (1, 2, 3)])
    grid = VolumeGrid("magnetization", "μB/Å³", vectors, cell(), "x")
    slabs = SlabIntegrals.from_grid(grid)
    assert slabs.values.sum(axis=0) == pytest.approx(np.array([0.1, 0.2, 0.3]) * grid.structure.volume)
    assert list(slabs.to_frame().columns[-3:]) == ["moment x (μB)", "moment y (μB)", "moment z (μB)"]


def test_a_potential_cannot_be_added_up() -> None:
    grid = VolumeGrid("potential", "eV", wave((4, 4, 10)), cell(), "LOCPOT")
    for question in (SlabIntegrals.from_grid, integrate_spheres):
        with pytest.raises(ReaderError, match="potential cannot be added up"):
            question(grid)
    with pytest.raises(ReaderError, match="potential cannot be added up"):
        DefectShells.from_grid(grid, center=0)


def test_spheres_hold_what_a_gaussian_has_inside() -> None:
    structure = Structure(OBLIQUE, ["Ni", "O"], [[0.1, 0.2, 0.3], [0.62, 0.71, 0.83]])
    grid = gaussians(structure, [0.45, 0.5], [2.0, -0.5])
    radii, values = integrate_spheres(grid, {"Ni": 1.3, "O": 1.1})
    assert radii.tolist() == [1.3, 1.1]
    # The tail of the other Gaussian is below 1e-6.
    assert values == pytest.approx([2.0 * inside(1.3, 0.45), -0.5 * inside(1.1, 0.5)], abs=1e-5)
    default, _ = integrate_spheres(grid)
    assert default == pytest.approx([structure.get_distance(0, 1) / 2] * 2)
    with pytest.raises(ReaderError, match="no radius for O"):
        integrate_spheres(grid, {"Ni": 1.3})


def test_shells_around_a_place_grow_to_the_whole_moment() -> None:
    structure = Structure(OBLIQUE, ["Ni"], [[0.98, 0.01, 0.5]])
    grid = gaussians(structure, [0.5], [1.7])
    shells = DefectShells.from_grid(grid, center=0)
    assert shells.inside == pytest.approx(1.7 * inside(shells.radii, 0.5), abs=1e-6)
    assert shells.shells.sum() == pytest.approx(shells.inside[-1])
    assert shells.radii[-1] <= min(OBLIQUE.abc) / 2
    assert shells.label == "site 0 (Ni)"
    elsewhere = DefectShells.from_grid(grid, center=(-0.02, 1.01, 0.5), radii=[0.5, 1.0])
    assert elsewhere.inside == pytest.approx(shells.inside[[4, 9]], abs=1e-9)


def test_a_sphere_takes_in_periodic_images_and_says_so() -> None:
    structure = Structure(Lattice.cubic(4.0), ["Ni"], [[0, 0, 0]])
    grid = gaussians(structure, [0.3], [1.0], n=40)
    shells = DefectShells.from_grid(grid, center=(0, 0, 0), radii=[1.9, 4.8])
    # Within 4.8 Å of an atom are it and its six neighbours at 4 Å; twelve at 5.66 Å are out of reach.
    assert shells.inside == pytest.approx([1.0, 7.0], abs=0.05)
    assert "overlaps" in shells.notes[0]


def test_a_number_of_points_in_the_sphere_tends_to_the_same() -> None:
    structure = Structure(OBLIQUE, ["Ni", "O"], [[0.1, 0.2, 0.3], [0.62, 0.71, 0.83]])
    grid = gaussians(structure, [0.8, 0.9], [2.0, -0.5])
    place = np.array([0.4, 0.5, 0.45])
    fractions = np.stack(np.meshgrid(*[np.arange(48) / 48] * 3, indexing="ij"), axis=-1) - place
    offsets = (fractions - np.round(fractions)) @ OBLIQUE.matrix
    counted = grid.values[np.linalg.norm(offsets, axis=-1) < 2.0].sum() * grid.volume_element
    assert DefectShells.from_grid(grid, center=tuple(place), radii=2.0).inside[0] == pytest.approx(counted, rel=0.02)


@pytest.mark.parametrize(
    ("center", "radii", "told"),
    [(9, None, "no site 9"), ((0, 0), None, "no place"), (0, [1.0, 0.5], "must grow"), (0, [0.0], "above 0")],
)
def test_impossible_shells_are_refused(center: object, radii: object, told: str) -> None:
    with pytest.raises(ReaderError, match=told):
        DefectShells.from_grid(spin(cell(), wave((4, 4, 6))), center=center, radii=radii)  # type: ignore[arg-type]


def test_a_cut_along_the_stack_has_the_height_upwards() -> None:
    structure = cell(lean=1.0)
    z = np.arange(40) / 40 * 4.0
    values = np.broadcast_to(np.cos(2 * np.pi * z / 4.0), (20, 20, 40)).copy()
    cut = DensitySlice.from_grid(spin(structure, values), through=0, normal=(1.0, 0.0, 0.0))
    assert cut.values.shape == (len(cut.y), len(cut.x))
    assert cut.values == pytest.approx(np.cos(2 * np.pi * cut.y / 4.0)[:, None] * np.ones(len(cut.x)), abs=1e-4)
    assert (cut.y[0], cut.y[-1]) == pytest.approx((0.0, 4.0))
    assert cut.normal == pytest.approx((1, 0, 0))


def test_a_cut_through_points_of_the_grid_holds_their_values() -> None:
    grid = spin(Structure(Lattice.orthorhombic(3, 4, 5), ["Ni", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]), wave((6, 8, 10)))
    cut = DensitySlice.from_grid(grid, through=(1 / 6, 0, 0), normal="a", spacing=0.5)
    assert cut.values[:-1, :-1] == pytest.approx(grid.values[1].T, abs=1e-12)
    assert {round(abs(atom.distance), 6) for atom in cut.atoms} == {0.5}
    through = DensitySlice.from_grid(grid, through=1, normal="a", spacing=0.5)
    assert {atom.element for atom in through.atoms} == {"O"}
    assert through.label == "site 1 (O)"


def test_an_average_over_the_period_is_the_planar_average() -> None:
    grid = spin(Structure(Lattice.orthorhombic(3, 4, 5), ["Ni"], [[0, 0, 0]]), wave((6, 8, 10)))
    cut = DensitySlice.from_grid(grid, through=(0, 0, 0), normal="b", thickness=4.0, spacing=0.5)
    across = grid.values.mean(axis=1)
    assert cut.values[:-1, 0] == pytest.approx(across[0], abs=1e-5)


def test_atoms_of_a_picture_are_where_the_density_is() -> None:
    structure = Structure(OBLIQUE, ["Ni"], [[0.3, 0.4, 0.5]])
    grid = gaussians(structure, [0.35], [1.0])
    cut = DensitySlice.from_grid(grid, through=0, normal=(0.3, 1.0, 0.2), spacing=0.05)
    row, column = np.unravel_index(np.argmax(cut.values), cut.values.shape)
    near = [atom for atom in cut.atoms if abs(atom.distance) < 1e-6]
    assert any(abs(cut.x[column] - a.x) < 0.06 and abs(cut.y[row] - a.y) < 0.06 for a in near)
    assert cut.values.max() == pytest.approx(grid.values.max(), rel=0.05)


def test_impossible_cuts_are_refused() -> None:
    grid = spin(cell(), wave((4, 4, 6)))
    for options, told in (
        ({"normal": "d"}, "give a, b, c"),
        ({"normal": (0, 0, 0)}, "not zero"),
        ({"spacing": 0.0}, "above 0"),
        ({"spacing": 1e-5}, "larger spacing"),
    ):
        with pytest.raises(ReaderError, match=told):
            DensitySlice.from_grid(grid, through=0, **options)  # type: ignore[arg-type]


def test_every_quantity_is_read_from_a_chgcar(tmp_path: Path) -> None:
    structure = cell()
    (tmp_path / "CHGCAR").write_text(vasp_file(structure, [wave((4, 5, 6)), wave((4, 5, 6), mean=0.3, seed=5)]))
    shells = DefectShells.read(tmp_path, center=0, radii=[0.5, 1.0])
    cut = DensitySlice.read(tmp_path, through=0)
    for quantity in (shells, cut):
        assert quantity.unit in ("μB", "μB/Å³")
        assert json.loads(json.dumps(quantity.to_dict(), allow_nan=False))["quantity"] == "spin density"
    assert list(shells.to_frame().columns) == ["radius (Å)", "moment inside (μB)", "moment of the shell (μB)"]
    assert list(cut.to_frame().columns) == ["x (Å)", "y (Å)", "spin density (μB/Å³)"]
    path = write_density_cube(tmp_path, tmp_path / "spin.cube")
    assert read_grid(path, "spin density").integrate() == pytest.approx(0.3, rel=1e-6)
    labelled = VolumeGrid("charge density", "e/Å³", wave((4, 5, 6)), structure, "x")
    assert list(SlabIntegrals.from_grid(labelled).to_frame().columns)[-1] == "charge (e)"
    assert json.dumps(SlabIntegrals.from_grid(labelled).to_dict(), allow_nan=False)


def test_a_noncollinear_chgcar_gives_a_cube_of_each_component(tmp_path: Path) -> None:
    grids = [wave((4, 5, 6)), *(wave((4, 5, 6), mean=0.1 * i, seed=i) for i in (1, 2, 3))]
    (tmp_path / "CHGCAR").write_text(vasp_file(cell(), grids))
    for component, moment in (("x", 0.1), ("y", 0.2), ("z", 0.3), (None, 0.3)):
        path = write_density_cube(tmp_path, tmp_path / "m.cube", component=component)
        assert read_grid(path, "spin density").integrate() == pytest.approx(moment, rel=1e-6)


def test_layers_stacked_along_a_are_cut_across_a() -> None:
    structure = cell()
    values = wave((4, 5, 12))
    expected = SlabIntegrals.from_grid(spin(structure, values))
    lattice = structure.lattice.matrix[[2, 0, 1]]
    lying = Structure(lattice, structure.species, structure.frac_coords[:, [2, 0, 1]])
    layering = find_layering(lying, axis="a", layers="1,2;3,4")
    found = SlabIntegrals.from_grid(spin(lying, values.transpose(2, 0, 1).copy()), layering=layering)
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-9)
    assert found.notes == ()


def test_radii_by_element_are_of_the_element_whatever_its_charge() -> None:
    charged = cell().add_oxidation_state_by_element({"Ni": 2, "O": -2})
    radii, _ = integrate_spheres(spin(charged, wave((6, 6, 8))), {"Ni": 0.8, "O": 0.6})
    assert radii.tolist() == [0.8, 0.6, 0.8, 0.6]
