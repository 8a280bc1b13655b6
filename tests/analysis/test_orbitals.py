from __future__ import annotations

import gzip
import json
import re
from dataclasses import replace
from pathlib import Path

import layered_results as layered
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core.operations import SymmOp
from real_espresso import read_nio_crn

from heterodft.analysis.bond_axes import D_ORBITALS
from heterodft.analysis.orbitals import OrbitalPolarization
from heterodft.analysis.overview import FolderOverview
from heterodft.analysis.result import ORBITALS, SHELLS
from heterodft.errors import ReaderError
from heterodft.structures import Block, build_material, build_superlattice

TI = [i for i, site in enumerate(layered.STRUCTURE) if site.specie.symbol == "Ti"]


def filled(electrons, *, site=TI[0], structure=layered.STRUCTURE, values=None, spins=2):
    """Each orbital has 2 states, `electrons` of them below the Fermi level."""
    values = layered.empty(spins=spins, structure=structure) if values is None else values
    for name, count in electrons.items():
        for spin in range(spins):
            below = layered.box(-4.0, -2.0, count / spins)
            values[site, ORBITALS.index(name), spin] = below + layered.box(1.0, 3.0, (2 - count) / spins)
    return values


def even(n_x2y2, n_z2):
    return {"dx2-y2": n_x2y2, "dz2": n_z2, "dxy": 0.3, "dxz": 0.4, "dyz": 0.5}


@given(st.floats(0.01, 1.99), st.floats(0.01, 1.99), st.sampled_from([1, 2]))
@settings(max_examples=25, deadline=None)
def test_the_polarization_is_that_of_its_equation(n_x2y2, n_z2, spins):
    found = OrbitalPolarization.from_result(layered.make(filled(even(n_x2y2, n_z2), spins=spins)), "Ti")
    assert found.polarization[0] == pytest.approx((n_x2y2 - n_z2) / (n_x2y2 + n_z2))
    h_x2y2, h_z2 = 2 - n_x2y2, 2 - n_z2
    assert found.hole_polarization[0] == pytest.approx((h_z2 - h_x2y2) / (h_z2 + h_x2y2))
    assert np.isnan(found.polarization[1])  # the other Ti holds nothing


def test_the_table_of_layers_shows_the_polarization():
    run = layered.make(filled(even(0.6, 0.4)))
    table = FolderOverview.from_result(run, folder=Path("run")).to_frame().set_index("layer")
    assert table["eg polarization, Ti"].dropna().to_dict()["SrTiO3:1"] == pytest.approx(0.2)


def test_layers_and_sites_are_told_apart():
    values = filled(even(1.2, 0.8), site=TI[1], values=filled(even(0.5, 1.5)))
    made = layered.make(values)
    layers = OrbitalPolarization.from_result(made, "Ti")
    assert [group.label for group in layers.groups] == ["SrTiO3:1", "SrTiO3:2"]
    np.testing.assert_allclose(layers.polarization, [-0.5, 0.2])
    sites = OrbitalPolarization.from_result(made, "Ti", by="site")
    assert [group.label for group in sites.groups] == [f"SrTiO3:{i + 1} Ti{site + 1}" for i, site in enumerate(TI)]
    np.testing.assert_allclose(sites.polarization, layers.polarization)
    planes = OrbitalPolarization.from_result(made, "Ti", by="plane")
    assert [group.label for group in planes.groups] == ["SrTiO3:1 TiO2", "SrTiO3:2 TiO2"]


def test_t2g_and_eg_are_sums_of_the_table():
    (row, _) = (
        OrbitalPolarization.from_result(layered.make(filled(even(1.2, 0.8))), "Ti").to_frame().to_dict("records")
    )
    assert row["t2g (electrons)"] == pytest.approx(1.2)
    assert row["eg (electrons)"] == pytest.approx(2.0)
    assert row["dxz+dyz (electrons)"] == pytest.approx(0.9)
    assert row["t2g (holes)"] == pytest.approx(4.8)
    assert row["P (electrons)"] == pytest.approx(0.2)


def rotated_cell(angle):
    structure = build_superlattice([Block(build_material("SrTiO3"), 1)])
    structure.make_supercell([[1, 1, 0], [-1, 1, 0], [0, 0, 1]])
    structure.apply_operation(SymmOp.from_axis_angle_and_translation([0, 0, 1], angle))
    return structure


def test_in_a_cell_turned_by_45_degrees_two_orbitals_change_places():
    structure = rotated_cell(-45)
    site = next(i for i, s in enumerate(structure) if s.specie.symbol == "Ti")
    seen = {"dxy": 1.2, "dz2": 0.8, "dx2-y2": 0.3, "dxz": 0.4, "dyz": 0.5}  # along the bonds even(1.2, 0.8)
    made = layered.make(filled(seen, site=site, structure=structure), structure=structure)
    found = OrbitalPolarization.from_result(made, "Ti", by="site")
    assert found.along == ("diagonals", "diagonals")
    assert found.polarization[0] == pytest.approx(0.2)
    assert "have changed places" in found.notes[0]
    with pytest.raises(ReaderError, match=r"in-plane bonds of Ti\d lie at -?2\d° to x"):
        OrbitalPolarization.from_result(layered.make(made.dos.values, structure=rotated_cell(-22.5)), "Ti")


def test_layers_that_are_not_stacked_along_z_are_refused():
    structure = layered.STRUCTURE.copy()
    structure.apply_operation(SymmOp.from_axis_angle_and_translation([1, 0, 0], 90))
    made = layered.make(filled(even(1.0, 1.0)), structure=structure)
    with pytest.raises(ReaderError, match="not stacked along the Cartesian z axis"):
        OrbitalPolarization.from_result(made, "Ti")


def test_a_window_leaves_the_bonding_states_out():
    values = filled(even(1.0, 1.0))
    values[TI[0], ORBITALS.index("dx2-y2")] += layered.box(-8.0, -6.0, 0.4)
    made = layered.make(values)
    assert OrbitalPolarization.from_result(made, "Ti").polarization[0] == pytest.approx(0.8 / 2.8)
    assert OrbitalPolarization.from_result(made, "Ti", low=-5.0).polarization[0] == pytest.approx(0.0, abs=1e-9)


def test_missing_states_missing_elements_and_missing_orbitals_are_told():
    values = filled(even(1.0, 1.0), site=TI[1], values=filled(even(1.0, 1.0)))
    assert OrbitalPolarization.from_result(layered.make(values), "Ti").notes == ()
    assert "holds 1.40 of 2 states" in OrbitalPolarization.from_result(layered.make(0.7 * values), "Ti").notes[0]
    with pytest.raises(ReaderError, match="there is no element 'Ni'"):
        OrbitalPolarization.from_result(layered.make(values), "Ni")
    shells = layered.make(layered.empty(orbitals=SHELLS), orbitals=SHELLS)
    with pytest.raises(ReaderError, match="resolved shells only"):
        OrbitalPolarization.from_result(shells, "Ti")


def test_json_holds_no_nan():
    found = OrbitalPolarization.from_result(layered.make(filled(even(1.2, 0.8))), "Ti")
    data = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert data["polarization"] == [pytest.approx(0.2), None]


def lowdin_of_orbitals(path, atom):
    """Löwdin charges of the d orbitals of an atom, both spins, as projwfc.x prints them."""
    text = gzip.decompress(path.read_bytes()).decode()
    (block,) = re.findall(rf"Atom #\s*{atom}: (.*?)polarization", text, re.S)
    return {name: sum(map(float, re.findall(rf"{name}=\s*([\d.]+)", block))) for name in D_ORBITALS}


def test_a_window_of_a_real_superlattice_is_integrated_and_the_whole_grid_nearly_holds_the_charges(
    shared_data, tmp_path
):
    run = read_nio_crn(shared_data, tmp_path)
    charges = OrbitalPolarization.from_result(run, "Ni")
    integrated = OrbitalPolarization.from_result(run, "Ni", low=-100.0, high=100.0)
    assert integrated.source == "density of states"
    np.testing.assert_allclose(integrated.electrons, charges.electrons, atol=0.02)


def test_without_charges_of_orbitals_the_density_is_integrated(shared_data, tmp_path):
    run = read_nio_crn(shared_data, tmp_path)
    older = replace(run, sites={"Löwdin": replace(run.sites["Löwdin"], orbital_charges=None)})
    found = OrbitalPolarization.from_result(older, "Ni")
    assert found.source == found.to_dict()["source"] == "density of states"
    assert found.polarization == pytest.approx(OrbitalPolarization.from_result(run, "Ni").polarization, abs=0.005)


def test_orbitals_of_a_real_superlattice_are_its_lowdin_charges_along_the_bonds(shared_data, tmp_path):
    """Rocksalt in its primitive in-plane cell: Ni-O bonds lie on the diagonals of x and y."""
    found = OrbitalPolarization.from_result(read_nio_crn(shared_data, tmp_path), "Ni")
    assert found.along == ("diagonals", "diagonals")
    printed = lowdin_of_orbitals(shared_data / "qe" / "nio_crn_superlattice_v67" / "projwfc.out.gz", 1)
    expected = {**printed, "dx2-y2": printed["dxy"], "dxy": printed["dx2-y2"]}
    assert found.source == "Löwdin charges"
    np.testing.assert_allclose(found.electrons[0], [expected[name] for name in D_ORBITALS], atol=1e-9)
    np.testing.assert_allclose(found.holes[0], [2 - expected[name] for name in D_ORBITALS], atol=1e-9)
    polarization = (printed["dxy"] - printed["dz2"]) / (printed["dxy"] + printed["dz2"])
    assert found.polarization[0] == pytest.approx(polarization, abs=1e-9)
    assert found.polarization[1] == pytest.approx(polarization, abs=1e-3)  # the other spin of an antiferromagnet
    t2g = found.electrons[0][[D_ORBITALS.index(name) for name in ("dxy", "dxz", "dyz")]]
    assert t2g.min() > 1.9  # Ni2+: t2g full, eg half
    assert found.electrons[0][:2].max() < 1.3
