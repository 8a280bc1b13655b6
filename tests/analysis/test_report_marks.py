"""What is not converged, not in the state asked for, failed or not run says so wherever it is shown."""

from __future__ import annotations

import json

import pytest
from campaign_folders import Campaign, table
from lxml import html

from heterodft.analysis.report import collect, write_report
from heterodft.analysis.report.against_u import find_against_u
from heterodft.analysis.report.runs import read_runs
from heterodft.analysis.report.settings_rows import settings_table
from heterodft.analysis.report.summary import find_problems
from heterodft.files import read_json, write_json


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    """Four orders: as asked, flipped, not converged, never run; a fifth whose dos failed; the first at two U."""
    campaign = Campaign(tmp_path_factory.mktemp("marks") / "runs" / "demo")
    for step in ("static", "dos"):
        campaign.finish("sl", step)
        campaign.finish("sl", step, order="AFM-A", verdict="flipped")
        unconverged = {"converged": False} if step == "static" else {}
        campaign.finish("sl", step, order="AFM-C", changes=unconverged)
        campaign.finish("sl", step, order="AFM-C", hubbard="Ti-3d-0eV")
        campaign.request("sl", step, order="AFM-G")
    campaign.finish("sl", "static", order="FiM")
    write_json(campaign.request("sl", "dos", order="FiM") / "failure.json", {"reason": "out of memory"})
    return campaign


@pytest.fixture(scope="module")
def written(campaign):
    """Folder of the report."""
    return write_report("demo", collect(campaign.root), campaign.root.parent / "out", most_drawn=0).parent


@pytest.fixture(scope="module")
def page(written):
    return html.parse(written / "report.html")


MARKS = {
    "FM": "", "AFM-A": "flipped", "AFM-C": "not converged", "AFM-G": "not run", "FiM": "dos failed",
}  # fmt: skip


def at_four(reports):
    return [report for report in reports if report.setting == "Ti-3d-4eV"]


def test_each_configuration_has_its_marks(campaign):
    found = {report.order: ", ".join(report.marks) for report in at_four(collect(campaign.root))}
    assert found == MARKS


def test_a_step_that_runs_says_so_and_where(tmp_path):
    campaign = Campaign(tmp_path / "runs" / "demo")
    campaign.finish("sl", "static")
    write_json(campaign.request("sl", "dos") / "process.json", {"pid": 4211, "host": "node7"})
    write_json(campaign.request("sl", "static", order="AFM-A") / "process.json", {"pid": None, "host": "node7"})
    reports = {report.order: report for report in collect(campaign.root)}
    assert [(step.state, step.reason) for step in reports["FM"].steps] == [
        ("done", ""), ("running", "process 4211 on node7"),
    ]  # fmt: skip
    assert (reports["FM"].marks, reports["AFM-A"].marks) == ((), ("running",))
    (waiting,) = (
        problem for problem in find_problems(list(reports.values()), []) if problem.title == "Not finished yet"
    )
    assert sorted(waiting.lines) == [
        "sl/AFM-A/Ti-3d-4eV: static running",
        "sl/FM/Ti-3d-4eV: dos running – process 4211 on node7",
    ]
    assert not waiting.bad


def test_the_page_shows_them_in_each_place(page):
    rows = [[cell.text_content().strip() for cell in row] for row in page.xpath("//table[@id='summary']/tbody/tr")]
    assert {row[2]: row[-1] for row in rows if row[3] == "Ti-3d-4eV"} == MARKS | {"FM": "kept"}
    for order, mark in MARKS.items():
        (head,) = page.xpath(f"//details[@id='demo/sl/{order}/Ti-3d-4eV']/summary")
        assert [tag.text for tag in head.xpath(".//span[starts-with(@class, 'tag')]")] == ([mark] if mark else [])
    layers = json.loads(page.xpath("string(//script[@id='layer-data'])"))
    places = [layers["header"].index(name) for name in ("order", "U", "state")]
    shown = {tuple(row[i] for i in places) for row in layers["rows"]}
    assert {order: state for order, hubbard, state in shown if hubbard == "Ti-3d-4eV"} == {
        order: mark or "as asked" for order, mark in MARKS.items() if mark != "not run"
    }
    titles = [view["title"] for view in json.loads(page.xpath("string(//script[@id='view-data'])"))["views"]]
    assert "sl (pristine), AFM-A, Ti-3d-4eV, flipped" in titles


def test_files_carry_them(written):
    for name in ("summary.csv", "layers.csv"):
        told = {row["configuration"].split("/")[2]: row["marks"] for row in table(written / name)
                if row["configuration"].endswith("4eV")}  # fmt: skip
        assert told == {order: MARKS[order] for order in told}
        assert told["AFM-C"] == "not converged"


def test_planes_against_u_carry_them(campaign):
    (found,) = find_against_u(collect(campaign.root))
    assert found.table().header[-1] == "Löwdin moment, Ti-3d-4eV (not converged) (μB)"
    assert found.lines()[1].endswith("not converged")


def test_an_energy_that_is_not_compared_says_so_in_its_place(page):
    rows = [[cell.text_content().strip() for cell in row] for row in page.xpath("//table[@id='summary']/tbody/tr")]
    assert [row[5] for row in rows if row[-1] == "not converged"] == ["not compared"]


def test_what_is_only_waiting_is_not_called_a_failure(page):
    notes = {note.xpath("string(strong)"): note for note in page.xpath("//div[starts-with(@class, 'note')]")}
    assert notes["Not finished yet"].get("class") == "note open"
    assert [line.text for line in notes["Not finished yet"].xpath(".//li")] == [
        "sl/AFM-G/Ti-3d-4eV: static, dos not run"
    ]
    assert [line.text for line in notes["Failed"].xpath(".//li")] == ["sl/FiM/Ti-3d-4eV: dos failed – out of memory"]


def test_settings_tell_the_origin_of_raw_forced_u_and_moments(tmp_path):
    folder = Campaign(tmp_path / "demo").request("sl", "static")
    data = read_json(folder / "request.json")
    data["about"] |= {"origin": {"raw": "structure", "raw: conv_thr_init": "campaign", "forced": "step",
                                 "shift_mesh": "protocol fast", "hubbard": "structure"},
                      "moments": {"Ti": "1 (species)", "Fe": "3 (layer), 4 (default)"}}  # fmt: skip
    data["request"]["settings"] |= {"raw": {"mixing_ndim": 12, "conv_thr_init": 0.1}, "forced": {"nspin": 1}}
    data["request"]["hubbard"] = [["Ti", "3d", 4.0, {"j": 0.5, "layers": [["SrTiO3:1", 2.0]]}]]
    write_json(folder / "request.json", data)
    rows = [row[:3] for row in settings_table(read_runs([folder])).rows]
    for row in (
        ["raw: mixing_ndim", "12", "structure"],
        ["raw: conv_thr_init", "0.1", "campaign"],
        ["forced: nspin", "1", "step"],
        ["U Ti-3d", "4 eV, J 0.5 eV", "structure"],
        ["U Ti-3d in SrTiO3:1", "2 eV", "structure, by layer"],
        ["moment Ti", "1 μB", "species"],
        ["moment Fe", "3 (layer), 4 (default) μB", "–"],
        ["shift", "1 × 1 × 0", "protocol fast"],
        ["xc", "PBE", "campaign, PBE by default"],
    ):
        assert row in rows
