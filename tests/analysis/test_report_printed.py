"""What `heterodft report` prints: bounded however long the campaign is, and with every mark."""

from __future__ import annotations

import pytest
from campaign_folders import Campaign

from heterodft.files import write_json


@pytest.fixture
def many(heterodft_inside):
    """Five finished orders, one flipped, one not converged; thirty that were never run, of which one failed."""
    campaign = Campaign(heterodft_inside.folder / "runs" / "demo")
    for order in ("AFM-A", "AFM-C", "FM"):
        campaign.finish("sl", "static", order=order)
    campaign.finish("sl", "static", order="AFM-G", verdict="flipped")
    campaign.finish("sl", "static", order="FiM", changes={"converged": False})
    for i in range(30):
        campaign.request(f"z{i:02}", "static")
    write_json(campaign.root / "z29" / "FM" / "Ti-3d-4eV" / "static" / "failure.json", {"reason": "out of memory"})
    return heterodft_inside


def test_layers_of_the_first_few_are_printed_and_one_line_says_where_the_rest_is(many):
    out = many("report", "runs/demo", "--figures", "0", code=3).stdout
    assert out.count("3 AlO2") == 3
    assert "Layers of 2 more configurations: report/layers.csv" in out
    assert not [line for line in out.splitlines() if line.endswith(" ")]


def test_the_layers_of_the_lowest_are_among_those_printed(many):
    root = many.folder / "runs" / "demo"
    Campaign(root).finish("sl", "static", order="NM", changes={"energy": -101.0})
    out = many("report", "runs/demo", "--figures", "0", code=3).stdout
    assert [line.split()[2].rstrip(",") for line in out.splitlines() if line.startswith("sl pristine, ")] == [
        "AFM-A", "AFM-C", "NM"
    ]  # fmt: skip


def test_quiet_prints_no_layers(many):
    out = many("report", "runs/demo", "--figures", "0", "--quiet", code=3).stdout
    assert "3 AlO2" not in out
    assert "Layers of 5 configurations: report/layers.csv" in out


def test_what_failed_comes_first_and_the_list_ends(many):
    lines = many("report", "runs/demo", "--figures", "0", code=3).stdout.splitlines()
    place = lines.index("Not finished:")
    assert lines[place + 1].endswith("z29/FM/Ti-3d-4eV/static: failed, out of memory")
    assert lines[place + 21] == "  … and 10 more, in the report"


def test_marks_stand_in_the_table_and_over_the_layers(many):
    lines = many("report", "runs/demo", "--figures", "0", code=3).stdout.splitlines()
    rows = {line.split()[2]: line for line in lines if line.startswith(" sl ") and "eV direct" in line}
    assert rows["AFM-G"].endswith("flipped")
    assert rows["FiM"].endswith("not converged")
    assert "not compared" in rows["FiM"]
    assert "sl pristine, AFM-G, Ti-3d-4eV: flipped; 3.00 eV direct" in " ".join(line.strip() for line in lines)
