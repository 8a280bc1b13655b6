"""The page in a real browser: it sorts, filters, turns, stays off the network, and opens at once when it is long."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from campaign_folders import PRISTINE, Campaign
from chromium import Browser, find_chromium

from heterodft.analysis.report import DriverFindings, collect, write_report
from heterodft.files import write_json
from heterodft.structures import enumerate_defects

WICKED = "</script><img src=x onerror=alert(1)>\"'&{{ 7*7 }}"
MOST_BYTES, MOST_SECONDS = 12e6, 20.0
"""Of a page of 1,000 configurations; seconds of the clock, on machines that do other things too."""


@pytest.fixture(scope="module")
def browser():
    program = find_chromium()
    if program is None and os.environ.get("CI"):
        pytest.fail("chromium is missing in CI; tools/install_system.sh --tests installs it")
    if program is None:
        pytest.skip("chromium is not installed; run: tools/install_system.sh --tests")
    with Browser(program) as one:
        yield one


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Three structures in several orders, one of them with a wicked name, one that failed, and a driver."""
    from matplotlib.figure import Figure
    from pandas import DataFrame

    folder = tmp_path_factory.mktemp("page")
    campaign = Campaign(folder / "runs" / "demo")
    vacancy = enumerate_defects(PRISTINE, "V_O")[1].structure
    for i, order in enumerate(("FM", "AFM-A", "AFM-C", "AFM-G")):
        for step in ("static", "dos"):
            campaign.finish("sl", step, order=order, changes={"energy": -100.0 + 0.1 * i} if step == "static" else {})
    for name in ("sl-V_O_1", "sl-V_O_10", "sl-V_O_2"):
        about = {"structure": vacancy, "defect": vacancy.properties["defect"], "label": WICKED}
        campaign.finish(name, "static", **about)
    write_json(campaign.request("z", "static", label=WICKED) / "failure.json", {"reason": WICKED})
    frame = DataFrame({"cutoff": [WICKED, "70 Ry"], ">change": ["1.0", "0.1"]})
    drivers = [
        DriverFindings("demo.cutoff", "cutoff", WICKED, WICKED, (WICKED,), {"points": frame}, {"points": Figure()})
    ]
    return write_report("demo", collect(campaign.root), folder / "out", drivers=drivers, missing=[WICKED])


@pytest.fixture
def opened(browser, page):
    browser.complaints.clear()
    browser.requests.clear()
    browser.open(page)
    return browser


def column(browser, table, number):
    return browser.run(
        f"[...document.querySelectorAll('{table} tbody tr')].filter((row) => !row.hidden)"
        f".map((row) => row.cells[{number}].textContent)"
    )


def test_a_click_on_a_heading_sorts_by_number_and_a_second_one_turns_the_order(opened):
    opened.click("#summary th button", nth=4)
    energies = ["-100.0000", "-100.0000", "-100.0000", "-100.0000", "-99.9000", "-99.8000", "-99.7000", "–"]
    assert column(opened, "#summary", 4) == energies
    opened.click("#summary th button", nth=4)
    assert column(opened, "#summary", 4) == [*energies[:-1][::-1], "–"]
    assert opened.run("document.querySelectorAll('#summary th')[4].getAttribute('aria-sort')") == "descending"


def test_names_sort_by_the_numbers_in_them(opened):
    opened.click("#summary th button", nth=0)
    names = ["sl"] * 4 + ["sl-V_O_1", "sl-V_O_2", "sl-V_O_10", "z"]
    assert column(opened, "#summary", 0) == names


def test_the_keyboard_sorts_too(opened):
    opened.run("document.querySelectorAll('#summary th button')[2].focus()")
    opened.ask("Input.dispatchKeyEvent", type="keyDown", key="Enter", text="\r")
    assert column(opened, "#summary", 2)[0] == "AFM-A"


def test_words_filter_the_summary_and_say_how_many_are_left(opened):
    opened.click("#about ~ section input[type=search]")
    opened.type("sl afm")
    assert column(opened, "#summary", 2) == ["AFM-A", "AFM-C", "AFM-G"]
    assert opened.run("document.querySelector('#about ~ section [role=status]').textContent") == "3 of 8"


def test_the_layers_of_all_configurations_are_one_table_that_filters_and_sorts(opened):
    assert len(column(opened, "#all-layers", 0)) == 4 * 4 + 3 * 4
    opened.run("document.querySelector('#layers ~ section input').focus()")
    opened.type("TiO2 AFM-G")
    assert column(opened, "#all-layers", 3) == ["1 TiO2"]
    opened.run("document.querySelector('#layers ~ section input').select()")
    opened.type("AFM-G")
    opened.click("#all-layers th button", nth=3)
    assert column(opened, "#all-layers", 3) == ["0 SrO", "1 TiO2", "2 LaO", "3 AlO2"]


def picture_of_view(browser):
    return browser.run("document.getElementById('view').toDataURL()")


def turn(browser):
    return [float(word) for word in browser.run("document.getElementById('view').dataset.turn").split()]


def test_the_structure_turns_with_the_mouse_and_stays_a_rotation(opened):
    before, seen = turn(opened), picture_of_view(opened)
    opened.drag("#view", 120, 40)
    after = turn(opened)
    assert max(abs(a - b) for a, b in zip(before, after, strict=True)) > 0.5
    rows = [after[i : i + 3] for i in (0, 3, 6)]
    products = [[sum(x * y for x, y in zip(a, b, strict=True)) for b in rows] for a in rows]
    for i, row in enumerate(products):
        assert row == pytest.approx([float(i == j) for j in range(3)], abs=0.005)
    assert picture_of_view(opened) != seen


def test_the_structure_turns_and_grows_with_keys(opened):
    opened.click("#view")
    seen = [picture_of_view(opened)]
    for key in ("ArrowLeft", "ArrowUp", "+"):
        opened.press(key)
        seen.append(picture_of_view(opened))
    assert len(set(seen)) == 4


def test_the_view_is_coloured_by_layer_or_element_and_shows_what_is_chosen(opened):
    assert opened.run("document.getElementById('view-key').textContent") == "SrTiO₃:1LaAlO₃:1"
    seen = picture_of_view(opened)
    opened.run("(() => { const by = document.getElementById('view-color'); by.value = 'color';"
               " by.dispatchEvent(new Event('change')); })()")  # fmt: skip
    assert opened.run("document.getElementById('view-key').textContent") == "AlLaOSrTi"
    assert picture_of_view(opened) != seen
    opened.run("document.querySelectorAll('a[data-view]')[4].click()")
    assert opened.run("document.getElementById('view-choice').selectedIndex") == 4


def test_a_link_opens_the_configuration_it_leads_to(opened):
    path = "details[id='demo/sl-V_O_1/FM/Ti-3d-4eV']"
    assert opened.run(f'document.querySelector("{path}").open') is False
    opened.run("document.querySelector(\"#summary a[href='#demo/sl-V_O_1/FM/Ti-3d-4eV']\").click()")
    opened.run("new Promise((done) => setTimeout(done, 100))")
    assert opened.run(f'document.querySelector("{path}").open') is True


def test_nothing_is_asked_of_the_network_and_nothing_complained_of(opened, page):
    opened.click("button[data-open=yes]")
    opened.drag("#view", 50, 0)
    opened.run("1")
    assert opened.requests == [page.resolve().as_uri()]
    assert opened.complaints == []


def test_names_and_reasons_of_files_stay_text(opened):
    assert opened.run("document.querySelectorAll('img, iframe, object, main script:not([type])').length") == 0
    assert opened.run("document.body.textContent").count(WICKED) >= 6


def test_a_script_that_slipped_in_would_not_run(browser, page, tmp_path):
    slipped = tmp_path / "slipped.html"
    slipped.write_text(page.read_text().replace("</h1>", "</h1><script>window.slipped = 1</script>", 1))
    browser.open(slipped)
    assert browser.run("window.slipped === undefined") is True
    assert any("Content Security Policy" in text for text in browser.complaints)


def test_without_a_script_everything_but_the_view_is_there(page):
    from lxml import html

    tree = html.fromstring(page.read_text())
    assert len(tree.xpath("//table[@id='summary']/tbody/tr")) == 8
    assert len(tree.xpath("//table[@class='layers']")) == 7


def test_the_page_prints(opened, tmp_path):
    opened.paper(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.slow
def test_a_page_of_a_thousand_configurations_opens_fast(browser, tmp_path):
    campaign = Campaign(tmp_path / "runs" / "demo")
    campaign.finish("sl", "static")
    (report,) = collect(campaign.root)
    reports = []
    for i in range(1000):
        path = f"demo/sl{i // 10}/order{i % 10}/Ti-3d-4eV"
        reports.append(
            type(report)(**{**vars(report), "path": path, "name": f"sl{i // 10}", "order": f"order{i % 10}"})
        )
    page = write_report("demo", reports, tmp_path / "out", most_drawn=2)
    assert page.stat().st_size < MOST_BYTES
    start = time.monotonic()
    browser.open(page)
    assert time.monotonic() - start < MOST_SECONDS
    assert len(column(browser, "#summary", 0)) == 1000
    start = time.monotonic()
    browser.click("#summary th button", nth=2)
    assert column(browser, "#summary", 2)[999] == "order9"
    assert time.monotonic() - start < MOST_SECONDS


def test_figures_are_drawn_of_the_lowest_of_each_structure_first(tmp_path):
    campaign = Campaign(tmp_path / "runs" / "demo")
    for name in ("a", "b"):
        for i, order in enumerate(("FM", "AFM", "NM")):
            campaign.finish(name, "static", order=order, changes={"energy": -100.0 - (i == 1)})
    page = write_report("demo", collect(campaign.root), tmp_path / "out", most_drawn=3)
    drawn = {path.stem for path in Path(tmp_path / "out").glob("*side_view.svg")}
    assert drawn == {f"{stem}_Ti-3d-4eV_side_view" for stem in ("a_AFM", "b_AFM", "a_FM")}
    assert "Figures are drawn of 3 of 6 configurations" in page.read_text()
