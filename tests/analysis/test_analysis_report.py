from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from campaign_folders import GRID, PRISTINE, Campaign, result, table
from lxml import html

from heterodft.analysis.cell_stress import stress_left
from heterodft.analysis.report import collect, write_report
from heterodft.analysis.result import Bands, ProjectedDos, Result, SiteValues
from heterodft.errors import ReaderError
from heterodft.files import read_json, write_json
from heterodft.structures import enumerate_defects
from heterodft.units import KBAR, RYDBERG


@pytest.fixture
def campaign(tmp_path):
    return Campaign(tmp_path / "runs" / "demo")


def test_a_configuration_gathers_its_steps(campaign):
    campaign.finish("sl", "static")
    campaign.finish("sl", "dos")
    (report,) = collect(campaign.root)
    assert report.path == "demo/sl/FM/Ti-3d-4eV"
    assert (report.name, report.label, report.order, report.hubbard) == ("sl", "pristine", "FM", "Ti-3d-4eV")
    assert [(s.step, s.state, s.reason) for s in report.steps] == [("static", "done", ""), ("dos", "done", "")]
    assert (report.energy, report.moment, report.absolute_moment, report.state) == (-100.0, 1.0, 1.25, "kept")
    assert (report.gap.value, report.gap_steps, report.gap_text) == (3.0, ("dos",), "3.00 eV direct")
    assert report.relative_energy is None


def test_the_layer_table_adds_sites_and_counts_electrons_in_the_window(campaign):
    campaign.finish("sl", "static")
    campaign.finish("sl", "dos")
    rows = collect(campaign.root)[0].layers
    assert [(r.layer, r.plane, r.formula, r.moment, r.charge) for r in rows] == [
        ("SrTiO3:1", 0, "SrO", 0.0, 12.0),
        ("SrTiO3:1", 1, "TiO2", 1.0, 18.0),
        ("LaAlO3:1", 2, "LaO", 0.0, 12.0),
        ("LaAlO3:1", 3, "AlO2", 0.0, 18.0),
    ]
    # 2 eV wide: 0.5 up and 0.25 down per eV and atom
    assert [r.electrons_up for r in rows] == pytest.approx([2.0, 3.0, 2.0, 3.0])
    assert [r.electrons_down for r in rows] == pytest.approx([1.0, 1.5, 1.0, 1.5])


def test_without_spin_electrons_are_shared_and_moments_unknown(campaign):
    dos = result(PRISTINE, "dos")
    bands = Bands(dos.bands.energies[:1], dos.bands.occupations[:1], dos.bands.kpoints, dos.bands.weights)
    whole = ProjectedDos(GRID, dos.dos.values.sum(axis=2, keepdims=True), dos.dos.total.sum(axis=0, keepdims=True))
    sites = {"Löwdin": SiteValues("Löwdin", (6.0,) * 10, None)}
    campaign.finish("sl", "dos", changes={"bands": bands, "dos": whole, "sites": sites})
    rows = collect(campaign.root)[0].layers
    assert {r.moment for r in rows} == {None}
    assert [r.electrons_up for r in rows] == pytest.approx([1.5, 2.25, 1.5, 2.25])
    assert [r.electrons_down for r in rows] == [r.electrons_up for r in rows]


def test_moments_in_spheres_stand_in_for_those_of_lowdin_and_say_so(campaign):
    campaign.finish("sl", "dos", changes={"sites": {"sphere": SiteValues("sphere", (5.0,) * 10, (0.5,) * 10)}})
    rows = collect(campaign.root)[0].layers
    assert [(r.kind, r.moment, r.charge) for r in rows[:2]] == [("sphere", 1.0, 10.0), ("sphere", 1.5, 15.0)]


def test_layers_without_charges_still_count_electrons(campaign):
    campaign.finish("sl", "dos", changes={"sites": {}})
    rows = collect(campaign.root)[0].layers
    assert {(r.kind, r.moment, r.charge) for r in rows} == {("", None, None)}
    assert rows[0].electrons_up == pytest.approx(2.0)


def test_energies_of_one_structure_are_compared_and_of_another_composition_not(campaign):
    vacancy = enumerate_defects(PRISTINE, "V_O")[0].structure
    campaign.finish("sl", "static")
    campaign.finish("sl", "static", order="NM", changes={"energy": -99.5})
    campaign.finish("sl-V_O_1", "static", structure=vacancy, label="V_O", changes={"energy": -90.0})
    found = {r.path: r.relative_energy for r in collect(campaign.root)}
    assert found == {
        "demo/sl/FM/Ti-3d-4eV": 0.0,
        "demo/sl/NM/Ti-3d-4eV": 0.5,
        "demo/sl-V_O_1/FM/Ti-3d-4eV": None,
    }


def test_configurations_come_in_the_order_asked_for(campaign):
    for name in ("a", "b", "c"):
        campaign.finish(name, "static")
    paths = [f"demo/{name}/FM/Ti-3d-4eV" for name in ("c", "a", "gone")]
    assert [r.name for r in collect(campaign.root)] == ["a", "b", "c"]
    assert [r.name for r in collect(campaign.root, paths)] == ["c", "a"]


def test_failed_stale_and_waiting_steps_are_told(campaign):
    write_json(campaign.request("a", "static") / "failure.json", {"reason": "out of memory"})
    folder = campaign.finish("b", "static")
    write_json(folder / "request.json", read_json(folder / "request.json") | {"id": "another"})
    campaign.request("c", "static")
    assert [(s.state, s.reason) for r in collect(campaign.root) for s in r.steps] == [
        ("failed", "out of memory"),
        ("not run", "the result there is of another request"),
        ("not run", ""),
    ]
    assert [r.energy for r in collect(campaign.root)] == [None, None, None]


def test_folders_moved_aside_are_left_out(campaign):
    folder = campaign.finish("sl", "static")
    folder.rename(folder.with_name("static.old-1"))
    campaign.finish("sl", "static")
    assert [s.step for r in collect(campaign.root) for s in r.steps] == ["static"]


def test_a_folder_without_calculations_is_told(tmp_path):
    with pytest.raises(ReaderError, match=r"holds no calculation \(NAME/ORDER/U/STEP/request.json\); submit"):
        collect(tmp_path)


@pytest.mark.parametrize(
    ("finish", "cutoff", "caveat"),
    [
        ({}, 40, "the protocol fast shows that a campaign runs"),
        ({}, 40, "a cutoff of 40 Ry is not converged"),
        ({}, 60, "ideal, unrelaxed positions"),
        ({"changes": {"converged": False}}, 60, "did not converge; its energy means nothing"),
        ({"verdict": "flipped"}, 60, "not the FM order asked for: some moments turned over"),
        ({"verdict": "collapsed"}, 60, "not the FM order asked for: the moments asked for vanished"),
        ({"strain": {"LaAlO3": 8.48, "SrTiO3": 4.9}}, 60, "in the plane LaAlO3 is strained by +8.5 %"),
        ({"verdict": "other"}, 60, "not the FM order asked for: some of the moments asked for are missing"),
    ],
)
def test_caveats_say_what_stands_before_a_number(campaign, finish, cutoff, caveat):
    campaign.settings["cutoff"] = cutoff * RYDBERG
    campaign.finish("sl", "static", **finish)
    assert [c for c in collect(campaign.root)[0].caveats if caveat in c]


@pytest.mark.parametrize(("moment", "told"), [(0.0, False), (0.05, False), (-0.4, True), (1.0, True), (None, False)])
def test_another_moment_on_the_k_points_of_the_dos_step_is_told(campaign, moment, told):
    """Moments by Löwdin are of the dos step, whose bands hold as many electrons of either spin here."""
    campaign.settings["cutoff"] = 60 * RYDBERG
    campaign.finish("sl", "static", protocol="balanced", changes={"total_moment": moment})
    campaign.finish("sl", "dos", protocol="balanced")
    words = "the k-points of the dos step give the cell another moment: 0.00 μB, "
    assert [c for c in collect(campaign.root)[0].caveats if c.startswith(words)] == (
        [
            f"{words}{moment:.2f} in the static step; moments by Löwdin and densities of states are of the former; "
            "give the static step a smaller kspacing"
        ]
        if told
        else []
    )


def test_a_sound_calculation_carries_no_other_caveat(campaign):
    campaign.settings["cutoff"] = 60 * RYDBERG
    campaign.finish("sl", "static", protocol="balanced")
    assert collect(campaign.root)[0].caveats == ["the atoms are at their ideal, unrelaxed positions"]


@pytest.mark.parametrize(
    ("cell", "code", "stress", "told"),
    [
        ("c", "espresso", (-54.0, -30.0), "30 GPa"),  # in the plane it is that of the substrate
        ("c", "espresso", (-54.0, 0.5), ""),
        ("full", "espresso", (-54.0, 0.5), "54 GPa"),
        ("fixed", "espresso", (-54.0, -30.0), ""),
        (
            "c",
            "vasp",
            (-54.0, -30.0),
            "",
        ),  # that of the plane waves of the first cell, which the relaxation made small
    ],
)
def test_a_cell_that_is_not_relaxed_in_its_own_plane_waves_says_so(campaign, cell, code, stress, told):
    campaign.settings |= {"cutoff": 60 * RYDBERG, "cell": cell}
    tensor = np.diag([stress[0], *stress]) * 10 * KBAR
    campaign.finish("sl", "relax", protocol="balanced", changes={"stress": tensor, "code": code})
    campaign.finish("sl", "static", protocol="balanced", changes={"code": code})
    (report,) = collect(campaign.root)
    assert (
        ", ".join(c.partition(": ")[2].partition(" are left")[0] for c in report.caveats if "not relaxed" in c)
        == told
    )


def test_the_stress_of_a_static_step_counts_at_the_cutoff_of_the_relaxation_alone(campaign):
    campaign.settings |= {"cutoff": 90 * RYDBERG, "cell": "c"}
    relaxed = Result.load(campaign.finish("sl", "relax", changes={"stress": 0.3 * 10 * KBAR * np.eye(3)}))
    pressed = {"stress": -30 * 10 * KBAR * np.eye(3)}
    static = Result.load(campaign.finish("sl", "static", changes=pressed))
    assert stress_left("c", relaxed, static) == pytest.approx(30)
    campaign.settings["cutoff"] = 60 * RYDBERG
    coarse = Result.load(campaign.finish("sl", "static", changes=pressed))
    assert stress_left("c", relaxed, coarse) == pytest.approx(0.3)
    assert stress_left("c", replace(relaxed, code="vasp"), coarse) is None


def test_the_plain_data_has_the_keys_that_programs_use(campaign):
    campaign.finish("sl", "static")
    campaign.finish("sl", "dos")
    data = collect(campaign.root)[0].to_dict()
    assert (data["energy"], data["gap"], data["metal"], data["moment"], data["converged"]) == (
        -100,
        3,
        False,
        1,
        True,
    )
    assert [row["formula"] for row in data["layers"]] == ["SrO", "TiO2", "LaO", "AlO2"]


ORDER = [f"demo/{name}/FM/Ti-3d-4eV" for name in ("sl", "sl-V_O_1", "z")]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A report of a pristine cell, one vacancy with a wicked label, and a failed configuration."""
    folder = tmp_path_factory.mktemp("report")
    campaign = Campaign(folder / "runs" / "demo")
    vacancy = enumerate_defects(PRISTINE, "V_O")[1]
    defect = vacancy.structure.properties["defect"]
    for step in ("static", "dos"):
        campaign.finish("sl", step)
        campaign.finish(
            "sl-V_O_1", step, structure=vacancy.structure, label="<script>alert(1)</script>&", defect=defect,
            verdict="flipped",
        )  # fmt: skip
    write_json(campaign.request("z", "static") / "failure.json", {"reason": "pw.x <died> & left"})
    path = write_report("demo", collect(campaign.root, ORDER), folder / "out")
    assert path == folder / "out" / "report.html"
    return path


def test_text_from_files_is_escaped(written):
    text = written.read_text()
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&amp;" in text
    assert "pw.x &lt;died&gt; &amp; left" in text


def test_the_page_shows_every_configuration_and_what_failed(written):
    page = html.fromstring(written.read_text())
    rows = [[cell.text_content().strip() for cell in row] for row in page.xpath("//table[@id='summary']/tbody/tr")]
    assert [row[0] for row in rows] == ["sl", "sl-V_O_1", "z"]
    assert rows[0][2:] == ["FM", "Ti-3d-4eV", "-100.0000", "–", "1.00", "1.25", "3.00 eV direct", "kept"]
    assert rows[1][-1] == "flipped"
    assert rows[2][4:] == ["–", "–", "–", "–", "", "failed"]
    told = {note.xpath("string(strong)"): note.xpath(".//li") for note in page.xpath("//div[@class='note bad']")}
    assert {title: [line.text_content() for line in lines] for title, lines in told.items()} == {
        "Failed": ["z/FM/Ti-3d-4eV: static failed – pw.x <died> & left"],
        "Not in the magnetic state asked for": ["sl-V_O_1/FM/Ti-3d-4eV: flipped"],
    }


def test_layer_tables_have_the_top_of_the_cell_first(written):
    page = html.fromstring(written.read_text())
    first = page.xpath("//table[@class='layers']")[0]
    rows = [[cell.text_content().strip() for cell in row] for row in first.xpath("tbody/tr")]
    assert [row[:2] for row in rows] == [
        ["LaAlO3:1", "3 AlO2"],
        ["LaAlO3:1", "2 LaO"],
        ["SrTiO3:1", "1 TiO2"],
        ["SrTiO3:1", "0 SrO"],
    ]
    # moments in spheres and by Löwdin, charge, electrons up, down and both
    assert rows[2][2:8] == ["1.000", "1.000", "18.000", "3.000", "1.500", "4.500"]


def test_the_page_is_self_contained_and_its_links_lead_somewhere(written):
    text = written.read_text()
    links = {a or b for a, b in re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text)}
    assert links
    assert links <= set(re.findall(r'\bid="([^"]+)"', text))
    assert not re.findall(r'(?:src|href)="(?!#)[^"]*"', text)


def test_no_two_elements_of_the_page_have_the_same_id(written):
    ids = Counter(re.findall(r'\bid="([^"]+)"', written.read_text()))
    assert {name for name, times in ids.items() if times > 1} == set()


def test_tables_are_written_as_csv(written):
    summary = table(written.with_name("summary.csv"))
    assert list(summary[0]) == [
        "configuration", "structure", "order", "hubbard", "label", "energy_eV", "relative_energy_eV", "moment_muB",
        "absolute_moment_muB", "gap_eV", "metal", "state", "converged", "state_reached",
        "energy_meV_per_formula_unit", "energy_meV_per_magnetic_ion", "energy_reference", "not_comparable",
        "gap_on_path_eV", "marks",
    ]  # fmt: skip
    assert [row["configuration"] for row in summary] == ORDER
    assert [summary[0][key] for key in ("energy_eV", "gap_eV", "metal", "converged")] == [
        "-100.0",
        "3.0",
        "False",
        "True",
    ]
    assert set(summary[2].values()) == {"demo/z/FM/Ti-3d-4eV", "z", "FM", "Ti-3d-4eV", "pristine", "", "failed"}
    layers = table(written.with_name("layers.csv"))
    assert list(layers[0]) == [
        "configuration", "structure", "order", "hubbard", "marks", "layer", "plane", "formula", "method",
        "moment_muB", "charge_electrons",
        "electrons_up_window", "electrons_down_window", "moment_sphere_muB", "moment_lowdin_muB", "moment_slab_muB",
        "valence_edge_up_eV", "valence_edge_down_eV", "conduction_edge_up_eV", "conduction_edge_down_eV",
        "electrons_per_cm2", "holes_per_cm2", "eg_polarization", "stoner_product", "charge_against_bulk_electrons",
    ]  # fmt: skip
    assert [row["formula"] for row in layers] == ["SrO", "TiO2", "LaO", "AlO2", "SrO", "TiO", "LaO", "AlO2"]
    assert float(layers[1]["electrons_up_window"]) == pytest.approx(3.0)


def test_the_density_of_states_by_layer_is_written_as_csv_on_the_reference_of_the_figure(written):
    rows = table(written.with_name("sl_FM_Ti-3d-4eV_layer_dos.csv"))
    assert len(rows) == len(GRID)
    assert list(rows[0])[:4] == ["energy_eV_from_middle_of_the_gap", "0_SrO_s_up", "0_SrO_s_down", "0_SrO_p_up"]
    # the middle of the gap is at 0.5 eV, and every atom has 0.5 s states up per eV
    assert float(rows[0]["energy_eV_from_middle_of_the_gap"]) == pytest.approx(-10.5)
    assert (rows[0]["1_TiO2_s_up"], rows[0]["1_TiO2_p_down"], rows[0]["1_TiO2_d_up"]) == ("1.5", "0.75", "0")


def test_figures_and_their_numbers_are_written_beside_the_page(written):
    kinds = ("layer_dos", "moments", "side_view")
    stems = [f"{name}_FM_Ti-3d-4eV_{kind}" for name in ("sl-V_O_1", "sl") for kind in kinds]
    stems.insert(0, "sl-V_O_1_FM_Ti-3d-4eV_defect_dos")
    for suffix in ("svg", "pdf", "png"):
        assert sorted(path.stem for path in written.parent.glob(f"*.{suffix}")) == stems
    assert {path.stem for path in written.parent.glob("*.csv")} == {*stems, "summary", "layers", "calculations"}


def test_a_campaign_in_which_nothing_finished_still_makes_a_page(campaign, tmp_path):
    campaign.request("sl", "static")
    page = html.fromstring(write_report("demo", collect(campaign.root), tmp_path / "out").read_text())
    assert "nothing finished yet" in page.text_content()
    assert "sl/FM/Ti-3d-4eV: static not run" in page.text_content()


def test_what_handlers_changed_is_told_and_a_touched_energy_is_not_compared(campaign, tmp_path):
    wider = {"errors": ["SCF not converged"], "changes": {"system->degauss": [0.01, 0.02]}, "touches": ["smearing"]}
    campaign.finish("a", "static")
    campaign.finish("b", "static", changes={"energy": -101.0})
    campaign.finish("c", "static", changes={"energy": -105.0, "corrections": [wider]})
    reports = collect(campaign.root)
    assert [r.relative_energy for r in reports] == [1.0, 0.0, None]
    told = [
        "static corrected: degauss 0.01 → 0.02 (SCF not converged)",
        "static not comparable: smearing was widened",
    ]
    assert [r.corrections for r in reports] == [[], [], told]
    assert reports[2].to_dict()["corrections"] == told
    text = write_report("demo", reports, tmp_path / "out").read_text()
    page = html.fromstring(text)
    (details,) = (
        box for box in page.xpath("//details[@class='configuration']") if box.get("id").startswith("demo/c/")
    )
    assert [note.text_content() for note in details.xpath(".//div[@class='note']")] == told
    assert "c/FM/Ti-3d-4eV: was changed by a handler: smearing was widened" in page.text_content()
