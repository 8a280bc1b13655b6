"""A chain of every step with a real pw.x: what one step leaves is what the next one starts from."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from heterodft.analysis.readers.espresso.output import read_pw_output
from heterodft.analysis.result import Result

CAMPAIGN = """\
name: chain
materials:
  SrTiO3: {prototype: perovskite, a: 3.905}
structures:
  strained: {stack: [{material: SrTiO3, layers: 1}], in_plane: 3.85}
magnetism: {orders: [FM], moments: {Ti: 1.0}}
hubbard: {Ti-3d: 4.0}
method: {protocol: fast, cutoff: 25 Ry, kspacing: 1.7, coarse_first: true, cell: c, force_tolerance: 0.5 eV/Å,
         path_spacing: 0.5}
steps: [{relax: {cutoff: 35 Ry}}, static, {dos: {kspacing: 0.9}}, bands, potential, charge]
"""
STEPS = ("relax-coarse", "relax", "static", "dos", "bands", "potential", "charge")

pytestmark = [pytest.mark.espresso, pytest.mark.slow]


@pytest.fixture(scope="module")
def folder(pw, heterodft_in, tmp_path_factory):
    folder = tmp_path_factory.mktemp("chain")
    (folder / "c.yaml").write_text(CAMPAIGN)
    program = heterodft_in(folder)
    program("submit", "c.yaml")
    program("run", "--quiet")
    return folder


@pytest.fixture(scope="module")
def steps(folder):
    return {step: folder / "runs/chain/strained/FM/Ti-3d-4eV" / step for step in STEPS}


@pytest.fixture(scope="module")
def results(steps):
    return {step: Result.load(path) for step, path in steps.items()}


def test_the_height_relaxes_and_the_plane_stays(results):
    start, end = 3.905**3 / 3.85**2, results["relax"].structure.lattice
    np.testing.assert_allclose(end.matrix[:2], [[3.85, 0, 0], [0, 3.85, 0]], atol=1e-6)
    assert abs(end.c - start) > 1e-3
    np.testing.assert_allclose(end.angles, 90, atol=1e-6)


@pytest.mark.parametrize("step", ["static", "dos", "bands", "potential", "charge"])
def test_every_step_after_has_the_relaxed_structure_and_its_labels(results, step):
    relaxed, found = results["relax"].structure, results[step].structure
    np.testing.assert_allclose(found.lattice.matrix, relaxed.lattice.matrix, atol=1e-6)
    np.testing.assert_allclose(found.frac_coords, relaxed.frac_coords, atol=1e-6)
    assert found.site_properties["layer"] == relaxed.site_properties["layer"] == [1] * 5


def test_the_fine_relaxation_goes_on_from_the_coarse_one(steps, results):
    first = (steps["relax"] / "pw.in").read_text().split("CELL_PARAMETERS angstrom\n")[1].splitlines()[:3]
    coarse = results["relax-coarse"].structure.lattice.matrix
    np.testing.assert_allclose([[float(x) for x in row.split()] for row in first], coarse, atol=1e-6)
    assert "startingpot      = 'file'" in (steps["relax"] / "pw.in").read_text()


def test_the_static_step_starts_from_the_density_of_the_relaxation(steps):
    assert "The initial density is read from file" in (steps["static"] / "pw.out").read_text()
    cycles = re.findall(r"convergence has been achieved in\s+(\d+)", (steps["relax-coarse"] / "pw.out").read_text())
    assert read_pw_output(steps["static"] / "pw.out").iterations < int(cycles[0])


def test_dos_and_bands_carry_the_fermi_level_of_their_own_and_no_energy(results):
    assert results["dos"].energy is None
    assert results["bands"].energy is None
    assert results["bands"].bands.energies.shape[1] == len(
        results["bands"].request["request"]["settings"]["path"]["kpoints"]
    )


def test_bands_at_gamma_are_those_of_the_density_of_states(results):
    bands, dos = results["bands"].bands, results["dos"].bands
    at = [int(np.flatnonzero((np.abs(b.kpoints) < 1e-6).all(axis=1))[0]) for b in (bands, dos)]
    filled = 16
    np.testing.assert_allclose(bands.energies[:, at[0], :filled], dos.energies[:, at[1], :filled], atol=5e-3)


def test_the_charge_integrates_to_the_electrons_and_the_spin_to_the_moment(steps, results):
    from ase.io.cube import read_cube_data

    from heterodft.units import BOHR

    for name, expected in (("charge", results["static"].electrons), ("spin", results["static"].total_moment)):
        grid, atoms = read_cube_data(str(steps["charge"] / f"{name}.cube"))
        volume = abs(np.linalg.det(atoms.cell[:])) / BOHR**3
        assert grid.mean() * volume == pytest.approx(expected, abs=2e-3)
    potential, _ = read_cube_data(str(steps["potential"] / "potential.cube"))
    assert potential.max() - potential.min() > 1


def test_the_steps_are_told_and_the_report_is_made(folder, heterodft_in):
    program = heterodft_in(folder)
    assert program("status").stdout.count("done") >= len(STEPS)
    report = program("report", "c.yaml", "-o", "report").stdout
    assert "unrelaxed" not in report
    plan = json.loads(program("plan", "c.yaml", "--json").stdout)
    assert plan["totals"]["finished"] == len(STEPS)
    assert plan["totals"]["calibrated_by"] == 5  # the runs of pw.x
    assert plan["totals"]["core_hours"] == 0


def test_the_same_campaign_again_queues_nothing(folder, heterodft_in):
    assert "7 finished already" in heterodft_in(folder)("submit", "c.yaml").stdout


ANTIFERROMAGNET = """\
name: afm
materials:
  MnO: {prototype: rocksalt, a: 4.445}
structures:
  bulk: {stack: [{material: MnO, layers: 2}], normal: [0, 0, 1]}
magnetism: {orders: [{layers: {MnO: +-}}], moments: {Mn: 4.5}}
hubbard: {Mn-3d: 3.0}
method: {protocol: fast, cutoff: 30 Ry, kspacing: 1.2, coarse_first: true, cell: fixed}
steps: [relax, static, {dos: {kspacing: 1.2}}]
"""


def test_an_antiferromagnetic_order_is_the_same_in_every_step(pw, heterodft):
    (heterodft.folder / "c.yaml").write_text(ANTIFERROMAGNET)
    heterodft("submit", "c.yaml")
    heterodft("run", "--quiet")
    chain = heterodft.folder / "runs/afm/bulk/MnO-ud/Mn-3d-3eV"
    for step, kind in (("relax-coarse", "sphere"), ("relax", "sphere"), ("static", "sphere"), ("dos", "Löwdin")):
        moments = Result.load(chain / step).sites[kind].moments
        assert moments[0] > 1
        assert moments[2] == pytest.approx(-moments[0], abs=0.05)
        assert abs(moments[1]) < 0.5 > abs(moments[3])
    static = Result.load(chain / "static")
    assert static.request["state"]["verdict"] == "kept"
    assert static.iterations <= 5  # the density handed on is that of the order, not a new start from its moments
