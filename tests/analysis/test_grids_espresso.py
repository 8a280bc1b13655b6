"""Grids of a real pw.x, pp.x and average.x: electrons, total moment and averages are those that they print."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from heterodft.analysis.densities import SlabIntegrals
from heterodft.analysis.grids.periodic import interpolate
from heterodft.analysis.potentials import PlanarAverage
from heterodft.analysis.readers.espresso.grids import read_espresso_grid
from heterodft.analysis.readers.grid_files import find_grids, read_grid, read_grids
from heterodft.units import BOHR

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.espresso, pytest.mark.slow]

CAMPAIGN = """\
name: grids
code: espresso
materials:
  CrN: {prototype: rocksalt, a: 4.15}
structures:
  bulk: {normal: [0, 0, 1], stack: [{material: CrN, layers: 1}]}
magnetism: {orders: [FM], moments: {Cr: 3.0}}
hubbard: {Cr-3d: 3.0}
method: {protocol: fast, cutoff: 20 Ry, kspacing: 1.2}
steps: [static, potential, charge]
"""
AVERAGE = "1\n{name}.pp\n1.0\n2000\n3\n{window}\n"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, heterodft_in: Any, pw: str) -> Path:
    folder = tmp_path_factory.mktemp("grids")
    (folder / "grids.yaml").write_text(CAMPAIGN)
    heterodft = heterodft_in(folder)
    heterodft("submit", "grids.yaml")
    heterodft("run", "--quiet", code=None)
    return next(folder.glob("runs/grids/bulk/FM/*"))


def run(program: str, folder: Path, text: str) -> None:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    done = subprocess.run([found], cwd=folder, input=text, capture_output=True, text=True, timeout=300, check=False)
    assert "JOB DONE" in done.stdout, done.stdout + done.stderr


def printed(folder: Path, name: str) -> float:
    return float(re.findall(rf"{name}\s*=\s*(-?[\d.]+)", (folder / "static/pw.out").read_text())[-1])


def test_charge_and_spin_add_up_to_what_pw_printed(finished: Path) -> None:
    assert [path.name for path in find_grids(finished / "charge")] == ["charge.cube", "spin.cube"]
    charge, spin = read_grids(finished / "charge")
    electrons, moment = printed(finished, "number of electrons"), printed(finished, "total magnetization")
    # Five digits in the values, six decimals in the cell.
    assert charge.integrate() == pytest.approx(electrons, rel=2e-5)
    assert abs(moment) > 0.5
    assert spin.integrate() == pytest.approx(moment, abs=0.01)
    assert "layer" in charge.structure.site_properties


def test_moments_of_slabs_add_up(finished: Path) -> None:
    slabs = SlabIntegrals.read(finished / "charge", by="plane")
    assert slabs.values.sum() == pytest.approx(float(slabs.total), abs=1e-10)
    assert slabs.unit == "μB"


def test_average_x_makes_the_same_averages(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished / "static/pwscf.save", tmp_path / "pwscf.save")
    for name, number in (("potential", 11), ("charge", 0)):
        asked = f"&inputpp prefix='pwscf', outdir='./', filplot='{name}.pp', plot_num={number} /\n&plot /\n"
        run("pp.x", tmp_path, asked)
        filplot = read_espresso_grid(tmp_path / f"{name}.pp")
        # The cell leans, and average.x counts along its third vector; a whole number of the 2000 points for a window.
        third = filplot.structure.lattice.c
        assert third > 1.1 * filplot.period()
        run("average.x", tmp_path, AVERAGE.format(name=name, window=(700.5 / 2000) * third / BOHR))
        theirs = PlanarAverage.from_average_file(tmp_path / "avg.dat", filplot.quantity, structure=filplot.structure)
        ours = PlanarAverage.from_grid(filplot, window=700 / 2000 * filplot.period())
        assert theirs.period == pytest.approx(ours.period, rel=1e-5)
        for part in ("planar", "macroscopic"):
            there = getattr(theirs, part)
            here = interpolate(getattr(ours, part), ours.period, theirs.heights)
            assert np.abs(here - there).max() < 1e-3 * np.ptp(theirs.planar), part
        cube = read_grid(finished / name, filplot.quantity)
        assert cube.values == pytest.approx(filplot.values, rel=1e-4, abs=1e-4)


def test_the_potential_step_is_averaged_by_layer(finished: Path) -> None:
    average = PlanarAverage.read(finished / "potential")
    assert average.quantity == "potential"
    assert average.window_source.startswith("thickness of a layer of CrN")
    assert [layer.label for layer in average.layers] == ["CrN:1"]
    assert average.layers[0].mean == pytest.approx(average.planar.mean(), abs=1e-9)
