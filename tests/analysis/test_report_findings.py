"""What the report shows of the steps bands, potential, charge and relax, of defects, and of energies."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from campaign_folders import PRISTINE, Campaign, result, table
from lxml import html
from synthetic_grids import BOHR, cube_file, vasp_file

from heterodft.analysis.report import collect, write_report
from heterodft.analysis.result import Bands, SiteValues
from heterodft.files import read_json, write_json
from heterodft.structures import enumerate_defects

SHAPE = (4, 4, 48)
STEM = "sl_FM_Ti-3d-4eV"


@pytest.fixture
def campaign(tmp_path):
    return Campaign(tmp_path / "runs" / "demo")


def written(campaign, **options):
    """The page of a campaign, parsed, and the folder it is in."""
    path = write_report("demo", collect(campaign.root, **options), campaign.root.parent / "out")
    return html.fromstring(path.read_text()), path.parent


def text_of(page):
    return " ".join(page.text_content().split())


def cells(page, query):
    return [[cell.text_content().strip() for cell in row] for row in page.xpath(f"{query}/tbody/tr")]


def path_bands(top, bottom, labels=("Γ", "", "X")):
    """Two bands a spin, the lower highest where the path ends, the upper lowest where it begins.

    Projections are two thirds on the first site and a third on the last.
    """
    energies = np.array([[[-1.0, bottom], [(top - 1) / 2, 2.0], [top, 2.0]]] * 2)
    points = np.array([[0, 0, 0], [0.25, 0, 0], [0.5, 0, 0]])
    projections = np.zeros((2, 3, 2, len(PRISTINE), 16))
    projections[..., 0, 0], projections[..., -1, 0] = 2 / 3, 1 / 3
    return Bands(energies, (energies < 0) * 1.0, points, np.full(3, 1 / 3), projections, labels=labels)


def density(structure, total):
    """A density that is larger towards the bottom of the cell and adds up to a total."""
    z = np.arange(SHAPE[2]) / SHAPE[2]
    return np.broadcast_to(total / structure.volume * (1 + 0.5 * np.cos(2 * np.pi * z)), SHAPE)


def write_cube(folder, name, structure, values, plot_num):
    (folder / f"{name}.cube").write_text(cube_file(structure, values))
    (folder / f"{name}.in").write_text(f"&INPUTPP\n plot_num = {plot_num}\n/\n&PLOT\n fileout = '{name}.cube'\n/\n")


def test_bands_are_drawn_by_layer_from_the_zero_of_the_mesh(campaign):
    campaign.finish("sl", "static")
    campaign.finish("sl", "bands", changes={"bands": path_bands(-1.0, 2.0), "fermi_levels": (7.0,)})
    (report,) = collect(campaign.root)
    bands = report.read_whole().bands
    assert (bands.reference, bands.reference_name) == (0.5, "middle of the gap")
    assert bands.weights[0, 0, 0] == pytest.approx([2 / 3, 1 / 3], abs=1e-6)
    page, folder = written(campaign)
    assert "colour: the layer that holds most of a state" in text_of(page)
    rows = table(folder / f"{STEM}_bands.csv")
    assert len(rows) == 2 * 3 * 2
    assert float(rows[0]["energy (eV)"]) == -1.5


def test_bands_of_an_earlier_version_without_projections_and_labels_are_drawn_too(campaign):
    bands = replace(path_bands(-1.0, 2.0), projections=None, labels=None)
    campaign.finish("sl", "static")
    campaign.finish("sl", "bands", changes={"bands": bands})
    page, folder = written(campaign)
    assert "the folder holds no projections" in text_of(page)
    assert (folder / f"{STEM}_bands.pdf").is_file()


@pytest.mark.parametrize(
    ("top", "bottom", "said", "value"),
    [(-1.0, 2.0, "", 3.0), (-0.5, 2.0, "2.50 eV", 2.5), (0.4, 0.3, "metal", 0.0)],
)
def test_a_gap_that_is_smaller_along_the_path_is_told(campaign, top, bottom, said, value):
    campaign.finish("sl", "static")
    campaign.finish("sl", "bands", changes={"bands": path_bands(top, bottom)})
    (report,) = collect(campaign.root)
    assert (report.gap.value, report.path_gap_text) == (3.0, said)
    assert report.to_dict()["gap_on_path"] == pytest.approx(value)


def test_the_page_says_that_the_mesh_misses_a_band_edge(campaign):
    campaign.finish("sl", "static")
    campaign.finish("sl", "bands", changes={"bands": path_bands(-0.5, 2.0)})
    page, _ = written(campaign)
    assert "2.50 eV along the path of the bands, so that the mesh misses a band edge" in text_of(page)
    assert "2.50 eV on the path" in cells(page, "//table[@id='summary']")[0][8]


def test_the_potential_is_drawn_and_steps_between_thin_blocks_are_not_told(campaign):
    campaign.finish("sl", "static")
    folder = campaign.finish("sl", "potential")
    write_cube(folder, "potential", PRISTINE, density(PRISTINE, 1.0), 11)
    page, out = written(campaign)
    assert "Electrostatic potential averaged over planes" in text_of(page)
    assert "The blocks are too thin for a step between plateaus to be told." in text_of(page)
    assert len(table(out / f"{STEM}_potential.csv")) == SHAPE[2]


def test_a_step_whose_file_is_gone_says_so_in_one_line_without_paths(campaign):
    campaign.finish("sl", "static")
    campaign.finish("sl", "potential")
    (report,) = collect(campaign.root)
    (reason,) = [text for words, text in report.found.missing.items() if words == "potential"]
    assert reason.startswith("potential holds no potential on a grid")
    assert str(campaign.root.parent) not in reason
    page, _ = written(campaign)
    assert "Not told: potential – potential holds no potential on a grid" in text_of(page)


def test_what_was_not_asked_for_is_not_called_missing(campaign):
    campaign.finish("sl", "static")
    assert collect(campaign.root)[0].found.missing == {}


def test_the_spin_density_stands_beside_moments_in_spheres_and_by_lowdin(campaign):
    campaign.finish("sl", "static")
    campaign.finish("sl", "dos")
    folder = campaign.finish("sl", "charge")
    write_cube(folder, "spin", PRISTINE, density(PRISTINE, 1.5) * BOHR**3, 6)
    (report,) = collect(campaign.root)
    assert sum(row.moment_slab for row in report.layers) == pytest.approx(1.5, abs=1e-4)
    assert report.layers[0].moment_slab > report.layers[2].moment_slab > 0
    assert [(row.moment_sphere, row.moment_lowdin) for row in report.layers[:2]] == [(0, 0), (1, 1)]
    page, out = written(campaign)
    header = [cell.text_content() for cell in page.xpath("//table[@class='layers']/thead/tr/th")]
    assert header[2:5] == ["moment, sphere (μB)", "moment, Löwdin (μB)", "moment, density (μB)"]
    columns = list(table(out / f"{STEM}_moments.csv")[0])
    assert columns == ["layer", *(f"{name} moment (μB)" for name in ("sphere", "Löwdin", "density between planes"))]


def test_grids_of_vasp_are_taken_as_those_of_quantum_espresso(campaign):
    of_vasp = {"code": "vasp", "version": "6.4.1"}
    campaign.settings["cutoff"] = 520.0
    campaign.finish("sl", "static", protocol="balanced", changes=of_vasp)
    order = sorted(range(len(PRISTINE)), key=lambda i: PRISTINE[i].species_string)
    grids = [density(PRISTINE, electrons) * PRISTINE.volume for electrons in (72.0, 1.5)]
    for step, name, text in (
        ("potential", "LOCPOT", vasp_file(PRISTINE, grids[:1], paw=False)),
        ("charge", "CHGCAR", vasp_file(PRISTINE, grids)),
    ):
        folder = campaign.finish("sl", step, changes=of_vasp)
        write_json(folder / "site_order.json", {"order": order})
        (folder / name).write_text(text)
    (report,) = collect(campaign.root)
    assert report.found.missing == {}
    assert sum(row.moment_slab for row in report.layers) == pytest.approx(1.5, abs=1e-4)
    assert report.found.potential.source.startswith("LOCPOT")
    assert not [caveat for caveat in report.caveats if "cutoff" in caveat]


def test_neighbours_of_a_vacancy_are_shown_with_their_part_of_the_moment(campaign):
    vacancy = enumerate_defects(PRISTINE, "V_O")[1].structure
    about = {"structure": vacancy, "defect": vacancy.properties["defect"], "label": "V_O"}
    campaign.finish("sl-V_O_1", "static", **about)
    campaign.finish("sl-V_O_1", "dos", **about)
    page, _ = written(campaign)
    rows = cells(page, "//table[@class='defect']")
    assert rows[0] == ["2 Ti at 1.95 Å", "1.000", "1.000", "100", "100"]  # the Ti beside it, and its image
    (report,) = collect(campaign.root)
    assert report.to_dict()["defect"]["shells"][0]["element"] == "Ti"


def test_notes_from_files_are_escaped(campaign):
    vacancy = enumerate_defects(PRISTINE, "V_O")[1].structure
    campaign.finish(
        "sl", "static", structure=vacancy, defect=vacancy.properties["defect"],
        changes={"notes": ("<script>alert(1)</script>",)},
    )  # fmt: skip
    path = write_report("demo", collect(campaign.root), campaign.root.parent / "out")
    assert "<script>alert" not in path.read_text()
    assert "&lt;script&gt;alert(1)" in path.read_text()


def test_spacings_are_shown_after_a_relaxation_only(campaign):
    campaign.finish("sl", "static")
    assert cells(written(campaign)[0], "//table[@class='structure']") == []
    campaign.finish("sl", "relax")
    page, out = written(campaign)
    rows = cells(page, "//table[@class='structure']")
    assert [row[0] for row in rows] == ["LaAlO3:1 AlO2", "LaAlO3:1 LaO", "SrTiO3:1 TiO2", "SrTiO3:1 SrO"]
    assert float(rows[-1][1]) == pytest.approx(3.905 / 2, abs=0.001)  # Å from SrO to TiO2
    assert len(table(out / f"{STEM}_structure.csv")) == 4


def test_a_campaign_of_relaxations_alone_tells_their_energy_and_says_so(campaign):
    campaign.finish("sl", "relax", changes={"energy": -99.0, "converged": True})
    (report,) = collect(campaign.root)
    assert (report.energy, report.gap_steps) == (-99.0, ("relax",))
    assert "the energy is that of the relax step; no static one was asked for" in report.caveats


def orders(campaign, *, of_last=None):
    """Two orders of a cell with two magnetic sites, and a third that fell into the state of the first."""
    for order, asked, reached, energy in (
        ("FM", (1, 1), (1, 1), -10.0), ("AFM", (1, -1), (1, -1), -10.2), ("FM-2", (1, 1), (1, 1), -10.0),
    ):  # fmt: skip
        moments = [0.0] * len(PRISTINE)
        moments[2], moments[7] = reached
        sites = {"sphere": SiteValues("sphere", (1.0,) * len(PRISTINE), tuple(moments))}
        if order == "FM-2" and of_last:
            campaign.settings |= of_last
        folder = campaign.finish("sl", "static", order=order, changes={"energy": energy, "sites": sites})
        for name in ("request.json", "result.json"):
            data = read_json(folder / name)
            request = data if name == "request.json" else data["request"]
            wanted = [0.0] * len(PRISTINE)
            wanted[2], wanted[7] = asked
            request["request"]["moments"] = wanted
            write_json(folder / name, data)


def test_energies_are_ranked_by_the_state_reached_against_the_order_chosen(campaign):
    orders(campaign)
    page, out = written(campaign)
    rows = cells(page, "//table[@id='energies']")
    assert [row[1:6] for row in rows] == [
        ["AFM", "AFM", "-200.0", "-100.0", "FM"],
        ["FM", "FM", "0.0", "0.0", "FM"],
        ["FM-2", "FM", "0.0", "0.0", "FM"],
    ]
    assert "The same state as FM" in rows[2][6]
    assert (out / "energies.pdf").is_file()
    assert [row["configuration"] for row in table(out / "energies.csv")] == ["AFM", "FM", "FM-2"]
    data = {r.order: r.to_dict() for r in collect(campaign.root, reference="AFM")}
    assert data["FM"]["energy_per_formula_unit"] == pytest.approx(200.0)
    assert (data["AFM"]["energy_reference"], data["FM-2"]["same_state_as"]) == ("AFM", "FM")
    assert data["FM"]["relative_energy"] == pytest.approx(0.2)


def test_energies_that_may_not_be_subtracted_say_why(campaign):
    orders(campaign, of_last={"xc": "PBEsol"})
    page, out = written(campaign)
    (row,) = [row for row in cells(page, "//table[@id='energies']") if row[1] == "FM-2"]
    assert row[3:5] == ["–", "–"]
    assert "not compared: " in row[6]
    assert "PBEsol" in row[6]
    summary = {row["configuration"]: row for row in table(out / "summary.csv")}
    assert "PBEsol" in summary["demo/sl/FM-2/Ti-3d-4eV"]["not_comparable"]
    assert float(summary["demo/sl/AFM/Ti-3d-4eV"]["energy_meV_per_magnetic_ion"]) == pytest.approx(-100)


def test_one_configuration_a_structure_makes_no_table_of_energies(campaign):
    campaign.finish("sl", "static")
    page, out = written(campaign)
    assert page.xpath("//table[@id='energies']") == []
    assert not (out / "energies.csv").exists()


def test_the_command_takes_the_order_that_is_zero(heterodft_inside):
    campaign = Campaign(heterodft_inside.folder / "runs" / "demo")
    orders(campaign)
    said = heterodft_inside("report", "runs/demo", "--reference", "AFM-X", code=2).stderr
    assert "no configuration is AFM-X" in " ".join(said.split())
    done = heterodft_inside("report", "runs/demo", "--reference", "AFM")
    assert "Energies of the orders" in done.stdout
    data = json.loads(heterodft_inside("report", "runs/demo", "--reference", "AFM", "--json").stdout)
    energies = {c["order"]: c["energy_per_formula_unit"] for c in data["configurations"]}
    assert energies == pytest.approx({"AFM": 0.0, "FM": 200.0, "FM-2": 200.0})


def test_results_of_an_earlier_version_still_load(campaign):
    for step in ("static", "dos"):
        folder = campaign.finish("sl", step)
        data = read_json(folder / "result.json")
        for key in ("corrections", "forces", "stress", "method", "ended", "notes", "gap_detail"):
            data.pop(key)
        write_json(folder / "result.json", data)
    (report,) = collect(campaign.root)
    assert [step.state for step in report.steps] == ["done", "done"]
    assert report.layers[1].moment_sphere == 1.0


def test_spin_density_of_an_unpolarized_run_is_not_looked_for(campaign):
    sites = {"Löwdin": SiteValues("Löwdin", (6.0,) * len(PRISTINE), None)}
    changes = {"total_moment": None, "absolute_moment": None, "sites": sites}
    campaign.finish("sl", "static", changes=changes)
    campaign.finish("sl", "charge", changes=changes)
    (report,) = collect(campaign.root)
    assert report.found.missing == {}
    assert {row.moment for row in report.layers} == {None}


def test_the_plain_data_of_every_step_is_json(campaign):
    vacancy = enumerate_defects(PRISTINE, "V_O")[1].structure
    about = {"structure": vacancy, "defect": vacancy.properties["defect"]}
    for step in ("relax", "static", "dos", "charge"):
        campaign.finish("sl", step, **about)
    text = json.dumps([r.to_dict() for r in collect(campaign.root)], allow_nan=False)
    assert "incomplete_octahedra" in text
    assert result(PRISTINE, "dos").dos is not None
