"""Planar and macroscopic averages against average.x, pymatgen and functions whose averages are known."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from synthetic_grids import cell, wave

from heterodft.analysis.grids import VolumeGrid
from heterodft.analysis.grids.periodic import box_average, integrate_between, interpolate
from heterodft.analysis.layers import find_layering
from heterodft.analysis.potentials import PlanarAverage, band_offset
from heterodft.analysis.readers.grid_files import read_grid
from heterodft.errors import ReaderError
from heterodft.units import BOHR, RYDBERG

if TYPE_CHECKING:
    from pathlib import Path

LEVELS = (0.4, -0.6)


def stack(
    layers: tuple[int, int] = (4, 4), thickness: tuple[float, float] = (2.0, 2.0), vacuum: float = 0.0
) -> Structure:
    """A superlattice of two elements, one plane a layer, with the labels of the builder."""
    heights, labels = [], []
    for block, (number, width) in enumerate(zip(layers, thickness, strict=True)):
        for layer in range(number):
            before = layers[0] * thickness[0] if block else 0.0
            heights.append(before + (layer + 0.5) * width)
            labels.append((("Ni", "Cr")[block], block + 1, layer + 1))
    period = layers[0] * thickness[0] + layers[1] * thickness[1] + vacuum
    lattice = Lattice([[3, 0, 0], [0, 3, 0], [0.9, 0.3, period]])
    structure = Structure(lattice, [label[0] for label in labels], [[0, 0, z / period] for z in heights])
    structure.add_site_property("material", [label[0] for label in labels])
    structure.add_site_property("block", [label[1] for label in labels])
    structure.add_site_property("layer", [label[2] for label in labels])
    structure.add_site_property("plane", list(range(len(labels))))
    return structure


def along(structure: Structure, values: np.ndarray, quantity: str = "potential") -> VolumeGrid:
    grid = np.broadcast_to(values, (2, 3, len(values))).copy()
    return VolumeGrid(quantity, "eV" if quantity == "potential" else "μB/Å³", grid, structure, "test")  # type: ignore[arg-type]


@pytest.mark.parametrize(("quantity", "file"), [("potential", "avg_pot.dat"), ("spin density", "avg_spin.dat")])
def test_averages_agree_with_average_x(shared_data: Path, tmp_path: Path, quantity: str, file: str) -> None:
    folder = shared_data / "qe/nio_crn_superlattice_v67"
    # average.x takes a whole number of its 1000 points for the window of 4.15 bohr: 264 of 0.0157 bohr.
    window = 264 * 8.31 / 1000
    grid = read_grid(folder, quantity)  # type: ignore[arg-type]
    ours = PlanarAverage.from_grid(grid, window=window)
    theirs = PlanarAverage.from_average_file(folder / file, quantity, structure=grid.structure)  # type: ignore[arg-type]
    planar = interpolate(ours.planar, ours.period, theirs.heights)
    macroscopic = interpolate(ours.macroscopic, ours.period, theirs.heights)
    # The cube has five digits, and average.x interpolates linearly between the points of the grid.
    assert np.abs(planar - theirs.planar).max() < 2e-5 * np.ptp(theirs.planar)
    assert np.abs(macroscopic - theirs.macroscopic).max() < 1e-3 * np.ptp(theirs.macroscopic)
    assert ours.unit == theirs.unit
    assert ours.windows == (window,)
    assert ours.window_source == "given"
    rows = (folder / file).read_text().splitlines(keepends=True)
    (tmp_path / file).write_text("".join(rows[:900]))
    with pytest.raises(ReaderError, match="it is cut off"):
        PlanarAverage.from_average_file(tmp_path / file, "potential", structure=grid.structure)


def test_mean_potential_is_that_of_the_cell(shared_data: Path) -> None:
    folder = shared_data / "qe/nio_crn_superlattice_v67"
    average = PlanarAverage.read(folder, window=4.15 * BOHR)
    for values in (average.planar, average.macroscopic):
        assert values.mean() / RYDBERG == pytest.approx(0.364613207134, abs=1e-6)


@given(st.integers(3, 24), st.floats(0.05, 3.9), st.integers(0, 99))
def test_a_window_of_any_width_averages_the_function_through_the_points(
    number: int, window: float, seed: int
) -> None:
    values = np.random.default_rng(seed).normal(size=number)
    period = 4.0
    points = np.arange(number) * period / number
    averaged = box_average(values, period, window)
    direct = [float(integrate_between(values, period, z - window / 2, z + window / 2)) / window for z in points]
    assert averaged == pytest.approx(direct, abs=1e-10)
    fine = np.linspace(points[1] - window / 2, points[1] + window / 2, 4001)
    assert averaged[1] == pytest.approx(np.trapezoid(interpolate(values, period, fine), fine) / window, abs=1e-4)
    assert interpolate(values, period, points) == pytest.approx(values, abs=1e-10)
    assert averaged.mean() == pytest.approx(values.mean(), abs=1e-12)


def test_a_window_of_one_period_leaves_nothing_of_the_wiggles() -> None:
    structure = stack()
    n = 160
    z = np.arange(n) / n * 16.0
    grid = along(structure, 1.5 + 5 * np.cos(2 * np.pi * z / 2.0))
    average = PlanarAverage.from_grid(grid)
    assert average.windows == pytest.approx((2.0,))
    assert average.window_source == "thickness of a layer of Ni"
    assert average.macroscopic == pytest.approx(np.full(n, 1.5), abs=1e-12)
    assert [layer.label for layer in average.layers] == [f"{m}:{i}" for m in ("Ni", "Cr") for i in range(1, 5)]


def test_two_materials_of_different_layers_take_two_windows() -> None:
    average = PlanarAverage.from_grid(along(stack(thickness=(2.0, 2.5)), np.zeros(90)))
    assert average.windows == pytest.approx((2.0, 2.5))
    assert average.window_source == "thickness of a layer of Ni and of Cr"


def test_single_layers_have_a_window_too() -> None:
    average = PlanarAverage.from_grid(along(stack(layers=(1, 1)), np.zeros(40)))
    assert average.windows == pytest.approx((2.0,))


def smooth_step(z: np.ndarray, slope: float = 0.0) -> np.ndarray:
    """LEVELS below and above z = 8 of 16 Å, with the wiggles of layers of 2 Å; the slope is undone in between."""
    inside = np.where(z < 8, z - 4, 12 - z)
    return np.where(z < 8, LEVELS[0], LEVELS[1]) + slope * inside + 3 * np.cos(np.pi * z)


def test_steps_and_plateaus_are_those_put_in() -> None:
    structure = stack()
    z = (np.arange(640) + 0.0) / 640 * 16.0
    average = PlanarAverage.from_grid(along(structure, smooth_step(z)))
    below, above = average.steps
    assert (below.below, below.above, above.below, above.above) == ("Ni", "Cr", "Cr", "Ni")
    assert below.height == pytest.approx(8.0)
    assert below.value == pytest.approx(LEVELS[1] - LEVELS[0], abs=5e-3)
    assert above.value == pytest.approx(LEVELS[0] - LEVELS[1], abs=5e-3)
    assert [block.reached for block in average.blocks] == [True, True]
    inner = average.layers[1]
    assert inner.mean == pytest.approx(LEVELS[0], abs=5e-3)
    assert inner.spread < 0.02
    assert average.layers[0].spread > 0.3


def test_a_field_is_the_slope_within_a_block() -> None:
    z = np.arange(640) / 640 * 16.0
    average = PlanarAverage.from_grid(along(stack(), smooth_step(z, slope=0.1)))
    assert [block.slope for block in average.blocks] == pytest.approx([0.1, -0.1], abs=2e-3)
    # Extrapolated to the interface at 8 Å both lines are 4 Å from their middle.
    assert average.steps[0].value == pytest.approx(LEVELS[1] + 0.4 - (LEVELS[0] + 0.4), abs=0.02)
    assert average.layers[2].slope == pytest.approx(0.1, abs=5e-3)


def test_a_block_that_is_too_thin_is_said_to_be() -> None:
    average = PlanarAverage.from_grid(along(stack(layers=(1, 6)), np.zeros(70)))
    assert [block.reached for block in average.blocks] == [False, True]
    assert any("plateau is not reached" in note for note in average.notes)


def slab_potential(z: np.ndarray, period: float, left: float, right: float) -> np.ndarray:
    """A slab from 0 to 16 Å with other levels below and above it, the step of a dipole correction in the middle."""
    middle = (16 + period) / 2
    return np.where(z < 16, -8.0, np.where(z < middle, right, left))


def test_a_slab_has_a_vacuum_level_on_each_side() -> None:
    structure = stack(vacuum=14.0)
    z = np.arange(900) / 900 * 30.0
    average = PlanarAverage.from_grid(along(structure, slab_potential(z, 30.0, 4.0, 5.0)), fermi_level=-1.0)
    assert {v.side: round(v.level, 2) for v in average.vacuum} == {"above": 5.0, "below": 4.0}
    works = average.work_functions()
    assert works == pytest.approx({"above": 6.0, "below": 5.0}, abs=0.01)
    assert len(average.steps) == 1
    assert average.layers[-1].top == pytest.approx(15.0)
    assert average.blocks[1].mean == pytest.approx(-8.0, abs=0.05)


def test_a_vacuum_with_a_field_is_said_to_be_doubtful() -> None:
    z = np.arange(900) / 900 * 30.0
    sloped = np.where(z < 16, -8.0, 4.0 + 0.1 * (z - 16))
    average = PlanarAverage.from_grid(along(stack(vacuum=14.0), sloped))
    assert any("dipole correction" in note for note in average.notes)
    with pytest.raises(ReaderError, match="fermi_level="):
        average.work_functions()


def test_a_bulk_cell_has_neither_steps_nor_a_vacuum() -> None:
    average = PlanarAverage.from_grid(VolumeGrid("potential", "eV", wave((4, 4, 12)), cell(lean=0.5), "x"))
    assert average.steps == average.vacuum == ()
    assert average.blocks[0].reached
    with pytest.raises(ReaderError, match="no vacuum"):
        average.work_functions(1.0)


def test_the_layers_of_a_leaning_cell_are_along_its_normal() -> None:
    structure = cell(lean=1.5)
    grid = VolumeGrid("spin density", "μB/Å³", wave((4, 4, 12), mean=0.2), structure, "x")
    average = PlanarAverage.from_grid(grid)
    assert average.period == pytest.approx(4.0)
    assert average.windows == pytest.approx((2.0,))
    means = [layer.mean for layer in average.layers]
    assert np.mean(means) == pytest.approx(0.2, abs=1e-12)


def test_frames_and_plain_data_carry_units() -> None:
    average = PlanarAverage.from_grid(along(stack(), np.cos(np.arange(64))))
    assert list(average.to_frame().columns) == ["height (Å)", "planar average (eV)", "macroscopic average (eV)"]
    assert "mean (eV)" in average.layers_frame().columns
    data = json.loads(json.dumps(average.to_dict(), allow_nan=False))
    assert data["layers"][0]["label"] == "Ni:1"
    assert data["planar"] == average.planar.tolist()


@pytest.mark.parametrize("window", [0.0, -1.0, 17.0, float("nan"), [1.0, 2.0, 3.0]])
def test_impossible_windows_are_refused(window: float) -> None:
    with pytest.raises(ReaderError, match="window"):
        PlanarAverage.from_grid(along(stack(), np.zeros(64)), window=window)


def test_without_layers_a_window_must_be_given() -> None:
    structure = stack()
    layering = find_layering(structure)
    assert layering.period == pytest.approx(16.0)
    vectors = VolumeGrid("magnetization", "μB/Å³", np.zeros((3, 2, 2, 8)), structure, "x")
    with pytest.raises(ReaderError, match="component"):
        PlanarAverage.from_grid(vectors)
    untold = Structure(structure.lattice, [{"Ni": 0.5, "Cr": 0.5}], [[0, 0, 0]])
    with pytest.raises(ReaderError, match="say window="):
        PlanarAverage.from_grid(along(untold, np.zeros(64)))


def test_layers_along_another_axis_are_averaged_along_it() -> None:
    upright = stack((2, 2))
    upright.remove_site_property("plane")
    lying = Structure(upright.lattice.matrix[[2, 0, 1]], upright.species, upright.frac_coords[:, [2, 0, 1]])
    values = np.broadcast_to(np.cos(np.arange(64) / 5.0), (2, 3, 64)).copy()
    expected = PlanarAverage.from_grid(VolumeGrid("potential", "eV", values, upright, "x"))
    turned = VolumeGrid("potential", "eV", values.transpose(2, 0, 1).copy(), lying, "x")
    given = find_layering(lying, axis="a", layers="composition")
    for found in (PlanarAverage.from_grid(turned, axis=0), PlanarAverage.from_grid(turned, layering=given)):
        np.testing.assert_allclose(found.macroscopic, expected.macroscopic, atol=1e-12)
        assert [layer.mean for layer in found.layers] == pytest.approx([layer.mean for layer in expected.layers])
    with pytest.raises(ReaderError, match="the layers are stacked along a; leave axis out"):
        PlanarAverage.from_grid(turned, layering=given, axis=2)


@pytest.mark.parametrize("direction", ["w", "", [0, 0, 0], [1, 0]])
def test_a_component_along_no_direction_is_refused(direction: object) -> None:
    vectors = VolumeGrid("magnetization", "μB/Å³", np.zeros((3, 2, 2, 8)), stack(), "x")
    with pytest.raises(ReaderError, match="give x, y, z or a Cartesian vector"):
        vectors.component(direction)  # type: ignore[arg-type]


def test_band_offsets_change_sign_with_the_direction() -> None:
    ab = band_offset(valence_edge_a=5.0, potential_a=1.2, valence_edge_b=6.1, potential_b=0.7, step=-0.35)
    ba = band_offset(valence_edge_a=6.1, potential_a=0.7, valence_edge_b=5.0, potential_b=1.2, step=0.35)
    assert ab == pytest.approx(1.25)
    assert ba == pytest.approx(-ab)
    # A constant added to the potential and levels of one bulk run changes nothing.
    assert band_offset(valence_edge_a=8.0, potential_a=4.2, valence_edge_b=6.1, potential_b=0.7, step=-0.35) == ab
