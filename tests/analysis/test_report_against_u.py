"""Moments by plane at several U, as the page and its file show them."""

from __future__ import annotations

import pytest
from campaign_folders import PRISTINE, Campaign, table
from lxml import html

from heterodft.analysis.report import collect, write_report
from heterodft.analysis.report.against_u import find_against_u
from heterodft.analysis.result import SiteValues
from heterodft.structures import enumerate_defects

VACANCY = enumerate_defects(PRISTINE, "V_O")[1].structure


@pytest.fixture
def campaign(tmp_path):
    return Campaign(tmp_path / "runs" / "demo")


def finish(campaign, hubbard, moment, structure=PRISTINE, name="sl", **more):
    moments = tuple(moment * (site.species_string == "Ti") for site in structure)
    sites = {"sphere": SiteValues("sphere", (1.0,) * len(structure), moments)}
    campaign.finish(name, "static", structure=structure, hubbard=hubbard, changes={"sites": sites}, **more)


def test_each_plane_is_beside_itself_at_the_other_u(campaign):
    finish(campaign, "Ti-3d-0eV", 0.25)
    finish(campaign, "Ti-3d-4eV", -0.75, verdict="flipped")
    (found,) = find_against_u(collect(campaign.root))
    assert found.table().rows == [["SrTiO3:1 TiO2", "0.250", "-0.750"], ["whole cell", "1.000", "1.000"]]
    assert found.lines()[1].endswith("the state is not the one asked for: flipped")
    page = html.parse(write_report("demo", collect(campaign.root), campaign.root.parent / "out"))
    assert "Planes against U" in page.xpath("//nav")[0].text_content()
    rows = table(campaign.root.parent / "out" / "against_u_sl_FM.csv")
    assert {(row["U"], row["moment (μB)"]) for row in rows if "TiO2" in row["plane"]} == {
        ("Ti-3d-0eV", "0.25"), ("Ti-3d-4eV", "-0.75"),
    }  # fmt: skip


def test_electrons_are_beside_moments_where_there_is_a_defect(campaign):
    about = {"defect": VACANCY.properties["defect"], "label": "V_O"}
    for hubbard in ("Ti-3d-0eV", "Ti-3d-4eV"):
        finish(campaign, hubbard, 0.5, VACANCY, "sl-V_O_1", **about)
        campaign.finish("sl-V_O_1", "dos", structure=VACANCY, hubbard=hubbard, **about)
    (found,) = find_against_u(collect(campaign.root))
    header, (*planes, cell) = found.table().header, found.table().rows
    assert header[3:] == ["electrons, Ti-3d-0eV", "electrons, Ti-3d-4eV"]
    assert all(float(row[3]) > 0 for row in planes)
    assert cell[3:] == ["–", "–"]


def test_without_moments_there_is_a_table_of_gaps_and_no_figure(campaign):
    for hubbard in ("Ti-3d-0eV", "Ti-3d-4eV"):
        finish(campaign, hubbard, 0.0)
    (found,) = find_against_u(collect(campaign.root))
    assert found.figure() is None
    write_report("demo", collect(campaign.root), campaign.root.parent / "out")
    assert (campaign.root.parent / "out" / "against_u_sl_FM.csv").is_file()


def test_one_u_or_other_planes_are_not_put_beside_each_other(campaign):
    finish(campaign, "Ti-3d-0eV", 0.5)
    assert find_against_u(collect(campaign.root)) == []
    finish(campaign, "Ti-3d-4eV", 0.5, VACANCY)
    assert find_against_u(collect(campaign.root)) == []
