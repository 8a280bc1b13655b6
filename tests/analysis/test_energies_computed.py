"""Energies of real runs: a supercell of a bulk costs nothing against it, and orders that are one state agree."""

from __future__ import annotations

import json

import pytest

from heterodft.analysis.energies import ConfigurationEnergies
from heterodft.analysis.energies.chemical_potentials import ChemicalPotentials
from heterodft.analysis.energies.defects import DefectFormation
from heterodft.analysis.energies.formation import SuperlatticeFormation
from heterodft.analysis.readers import read_folder

pytestmark = [pytest.mark.espresso, pytest.mark.slow]

CAMPAIGN = """\
name: sums
code: espresso
materials: {SrTiO3: {prototype: perovskite, a: 3.905}}
structures:
  one: {stack: [{material: SrTiO3, layers: 1}]}
  two: {stack: [{material: SrTiO3, layers: 2}]}
  coarse: {stack: [{material: SrTiO3, layers: 2}], method: {kspacing: 1.7}}
magnetism: {orders: [NM]}
method: {protocol: fast, cutoff: 20 Ry, kspacing: 0.9, shift_mesh: false}
steps: [static]
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory, pw, heterodft_in):
    folder = tmp_path_factory.mktemp("sums")
    (folder / "sums.yaml").write_text(CAMPAIGN)
    program = heterodft_in(folder)
    program("submit", "sums.yaml")
    program("run", "--quiet", "-j", "2")
    found = folder.glob("runs/sums/*/*/*/static")
    return {json.loads((f / "request.json").read_text())["about"]["name"]: f for f in found}


def test_two_cells_of_a_bulk_are_twice_one(folders):
    """The mesh 2 × 2 × 1 of two layers is that of 2 × 2 × 2 of one, folded.

    The grids of pw.x are not: 45 points along two layers, 24 along one, which at 20 Ry is 4 meV.
    """
    found = SuperlatticeFormation.read(folders["two"], {"SrTiO3": folders["one"]})
    assert found.reason == ""
    assert found.formula_units == 2
    assert found.per_formula_unit == pytest.approx(0.0, abs=0.01)


def test_a_coarser_mesh_is_not_subtracted_and_its_energy_would_have_been_wrong(folders):
    found = SuperlatticeFormation.read(folders["coarse"], {"SrTiO3": folders["one"]})
    assert found.energy is None
    assert found.reason.startswith("k-mesh 1×1×1")
    results = {name: read_folder(folder) for name, folder in folders.items()}
    assert abs(results["coarse"].energy - 2 * results["one"].energy) > 0.1


def test_a_cell_against_itself_has_a_formation_energy_of_nothing(folders):
    """A defect that is none: no atoms exchanged, no charge."""
    potentials = ChemicalPotentials.given({}, {"any": {}})
    (row,) = DefectFormation.read([folders["one"]], folders["one"], potentials).rows
    assert (row.energy, row.exchanged, row.corrected) == (0.0, {}, "none needed")


def test_configurations_of_different_cells_are_tables_of_their_own(folders):
    rows = ConfigurationEnergies.read(list(folders.values())).rows
    assert len({row.family for row in rows}) == 3
    assert {row.state for row in rows} == {"NM"}
    assert {row.relative for row in rows} == {0.0}
