"""Charges against the bulk, orbitals, Stoner products, segregation and neighbours of a defect in reports."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from campaign_folders import GRID, PRISTINE, Campaign, result, table
from lxml import html

from heterodft.analysis.report import collect, write_report
from heterodft.analysis.result import ORBITALS, Bands, ProjectedDos, SiteValues
from heterodft.structures import Block, build_material, build_superlattice, enumerate_defects

BULK = build_superlattice([Block(build_material("SrTiO3"), 2)], in_plane="SrTiO3")


@pytest.fixture
def campaign(tmp_path):
    return Campaign(tmp_path / "runs" / "demo")


def charged(structure, electrons):
    """Charges of a structure, electrons of an atom of Ti as given and six of all others, in VASP's spheres."""
    charges = tuple(electrons if site.species_string == "Ti" else 6.0 for site in structure)
    return {"code": "vasp", "sites": {"sphere": SiteValues("sphere", charges, (0.0,) * len(structure))}}


def with_bulk(campaign, strain=0.0, **settings):
    strains = {"SrTiO3": 0.0, "LaAlO3": 3.0}
    campaign.finish("sl", "static", changes=charged(PRISTINE, 6.3), strain=strains)
    campaign.settings |= settings
    campaign.finish("bulk", "static", structure=BULK, changes=charged(BULK, 6.1), strain={"SrTiO3": strain})
    return {report.name: report for report in collect(campaign.root)}


def test_layers_are_compared_with_the_pure_material_of_the_same_campaign(campaign, tmp_path):
    reports = with_bulk(campaign)
    found = {row.formula: row.transfer for row in reports["sl"].layers}
    assert found["TiO2"] == pytest.approx(0.2)
    assert found["SrO"] == pytest.approx(0.0)
    assert found["AlO2"] is None
    assert all(row.transfer is None for row in reports["bulk"].layers)
    assert reports["sl"].found.bulks == ("SrTiO3: bulk/FM/Ti-3d-4eV, strained alike (+0.00 %)",)
    page = write_report("demo", list(reports.values()), tmp_path / "out")
    rows = [row for row in table(tmp_path / "out" / "layers.csv") if row["formula"] == "TiO2"]
    assert float(next(r for r in rows if "/sl/" in r["configuration"])["charge_against_bulk_electrons"]) == (
        pytest.approx(0.2)
    )
    assert "SrTiO3: bulk/FM/Ti-3d-4eV, strained alike" in html.fromstring(page.read_text()).text_content()
    assert (tmp_path / "out" / "sl_FM_Ti-3d-4eV_charge_transfer.csv").is_file()


def test_a_bulk_of_another_strain_is_told(campaign):
    (words,) = with_bulk(campaign, strain=-1.5)["sl"].found.bulks
    assert words == "SrTiO3: bulk/FM/Ti-3d-4eV, strained by -1.50 %, in the stack by +0.00 %"


def test_a_bulk_of_another_cutoff_is_not_compared_with_and_that_is_told(campaign):
    report = with_bulk(campaign, cutoff=500.0)["sl"]
    assert report.found.charges is None
    assert "cutoff" in report.found.missing["charge against bulk SrTiO3"]
    assert all(row.transfer is None for row in report.layers)


def test_charges_in_spheres_of_other_sizes_are_not_compared_and_that_is_told(campaign):
    for name, structure in (("sl", PRISTINE), ("bulk", BULK)):
        campaign.finish(name, "static", structure=structure, changes=charged(structure, 6.3) | {"code": "espresso"})
    (report,) = (report for report in collect(campaign.root) if report.name == "sl")
    assert report.found.charges is None
    assert "in spheres are not compared with the bulk" in report.found.missing["charge against the bulk"]


def test_another_mesh_does_not_hinder(campaign):
    assert with_bulk(campaign, kpoints=[4, 4, 2])["sl"].found.charges is not None


def metal(structure, spins):
    """A metal whose Ti holds more of x2-y2 than of z2, half of each filled."""
    values = np.zeros((len(structure), len(ORBITALS), spins, len(GRID)))
    titanium = [i for i, site in enumerate(structure) if site.species_string == "Ti"]
    values[titanium, ORBITALS.index("dx2-y2")] = 0.15
    values[titanium, ORBITALS.index("dz2")] = 0.05
    energies = np.array([[[-1.0, -0.5], [-0.5, 0.5]]] * spins)
    bands = Bands(energies, (energies < 0) * 1.0, np.array([[0, 0, 0], [0.5, 0, 0]]), np.array([0.5, 0.5]))
    none = {"sites": {}, "total_moment": None, "absolute_moment": None} if spins == 1 else {}
    return {"dos": ProjectedDos(GRID, values, values.sum(axis=(0, 1))), "bands": bands, **none}


def test_orbital_polarization_is_told_by_plane_where_the_cell_is_a_metal(campaign, tmp_path):
    campaign.finish("sl", "static")
    campaign.finish("sl", "dos", changes=metal(PRISTINE, 2))
    (report,) = collect(campaign.root)
    found = {row.formula: row.eg_polarization for row in report.layers}
    assert found["TiO2"] == pytest.approx(0.5, abs=1e-6)
    assert found["SrO"] is None
    page = write_report("demo", [report], tmp_path / "out")
    assert "eg polarization" in html.fromstring(page.read_text()).text_content()
    assert (tmp_path / "out" / "sl_FM_Ti-3d-4eV_orbitals_Ti.csv").is_file()


def test_an_insulator_without_moments_has_no_column_of_orbitals(campaign):
    unmagnetic = {"sites": {"Löwdin": SiteValues("Löwdin", (6.0,) * len(PRISTINE), (0.0,) * len(PRISTINE))}}
    campaign.finish("sl", "dos", changes=unmagnetic)
    (report,) = collect(campaign.root)
    assert not report.gap.metal
    assert report.found.orbitals == ()


def test_the_stoner_product_of_a_given_parameter_is_told_by_plane(campaign):
    campaign.finish("sl", "static", changes={"sites": {}, "total_moment": None, "absolute_moment": None})
    campaign.finish("sl", "dos", changes=metal(PRISTINE, 1))
    (report,) = collect(campaign.root, stoner={"Ti": 0.8})
    found = {row.formula: row.stoner for row in report.layers}
    assert found["TiO2"] == pytest.approx(0.8 * 0.2 / 2)
    assert found["AlO2"] is None
    (without,) = collect(campaign.root)
    assert "no Stoner parameter is known" in without.found.missing["Stoner product"]


def defects(campaign, energies):
    stack = build_superlattice(
        [Block(build_material("SrTiO3"), 3), Block(build_material("LaAlO3"), 1)], in_plane="SrTiO3"
    )
    found = [d for d in enumerate_defects(stack, "V_O", material="SrTiO3") if d.plane == "TiO2"]
    for number, (one, energy) in enumerate(zip(found, energies, strict=False), start=1):
        structure, told = one.structure, one.structure.properties["defect"]
        more = {"structure": structure, "label": one.label, "defect": told}
        campaign.finish(f"sl-V_O_{number}", "static", changes={"energy": energy}, **more)
    return found


def test_a_defect_in_several_layers_is_a_table_and_a_figure(campaign, tmp_path):
    found = defects(campaign, (-100.0, -100.3, -100.2))
    assert len(found) >= 2
    page = html.fromstring(write_report("demo", collect(campaign.root), tmp_path / "out").read_text())
    assert "V_O in sl, U Ti-3d-4eV" in page.text_content()
    rows = table(tmp_path / "out" / "segregation_sl_V_O_Ti-3d-4eV.csv")
    relative = [float(row["segregation energy (eV)"]) for row in rows]
    energies = [float(row["energy (eV)"]) for row in rows]
    assert np.ptp(relative) == pytest.approx(np.ptp(energies))
    assert 0.0 in relative
    assert (tmp_path / "out" / "segregation_sl_V_O_Ti-3d-4eV.svg").is_file()


def test_one_defect_in_one_layer_is_no_question_of_layers(campaign, tmp_path):
    defects(campaign, (-100.0,))
    page = write_report("demo", collect(campaign.root), tmp_path / "out")
    assert 'id="segregation"' not in page.read_text()


def test_the_states_of_the_neighbours_of_a_defect_are_drawn(campaign, tmp_path):
    (one, *_) = defects(campaign, (-100.0,))
    told = one.structure.properties["defect"]
    campaign.finish("sl-V_O_1", "dos", structure=one.structure, label=one.label, defect=told)
    reports = collect(campaign.root)
    write_report("demo", reports, tmp_path / "out")
    rows = table(tmp_path / "out" / "sl-V_O_1_FM_Ti-3d-4eV_defect_dos.csv")
    assert len(rows) == len(GRID)
    whole = result(one.structure, "dos")
    shell = reports[0].read_whole().defect.dos
    (first, *_) = shell.groups
    name = f"{first.label} s up (1/eV)"
    expected = replace(whole.dos).by_shell()[list(first.own_sites), 0, 0, 0].sum()
    assert float(rows[0][name]) == pytest.approx(expected, rel=1e-3)
