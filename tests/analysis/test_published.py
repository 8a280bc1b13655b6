"""Published figures beside what came out."""

from __future__ import annotations

import numpy as np
import pytest
from campaign_folders import GRID, PRISTINE, Campaign

from heterodft.analysis.published.comparison import compare_published
from heterodft.analysis.published.figures import Limit, Ours, Published, PublishedFigure, Selection
from heterodft.analysis.published.quantities import FINDERS
from heterodft.analysis.published.statements import Statement, Tolerance, judge, parse_statement
from heterodft.analysis.published.vocabulary import QUANTITIES
from heterodft.analysis.report import collect, write_report
from heterodft.analysis.result import ORBITALS, Bands, ProjectedDos, SiteValues
from heterodft.structures import enumerate_defects
from heterodft.units import KBAR, RYDBERG

EV = {"eV": 1.0, "meV": 1e-3}


def verdict(theirs, number, word="", tolerance=None):
    return judge(parse_statement(theirs, EV, ("metal", "insulator")), number, word, tolerance).verdict


@pytest.mark.parametrize(
    ("theirs", "number", "expected"),
    [
        ("3 eV", 3.29, "reproduced"),
        ("3 eV", 3.31, "trend only"),
        ("3 eV", 5.9, "trend only"),
        ("3 eV", 6.1, "not reached"),
        ("3 eV", -3.0, "not reached"),
        ("-0.2 eV", -0.15, "trend only"),
        ("0 eV", 0.1, "not reached"),
        ([1.0, 2.0], 1.5, "reproduced"),
        ([1.0, 2.0], 2.1, "reproduced"),
        ([1.0, 2.0], 0.6, "trend only"),
        ("> 0", 0.001, "reproduced"),
        ("> 0", -0.001, "not reached"),
        ("< 100 meV", 0.09, "reproduced"),
        ("> 0", 0.0, "not reached"),
        (">= 0", 0.0, "reproduced"),
    ],
)
def test_numbers_ranges_and_signs_have_their_verdicts(theirs, number, expected):
    assert verdict(theirs, number) == expected


def test_a_sign_is_not_told_within_the_tolerance():
    judged = judge(parse_statement("> 0", EV), 0.5, "", Tolerance(absolute=1.0))
    assert (judged.verdict, judged.why) == ("not reached", "within 1 of the bound, which tells nothing")


def test_words_agree_or_do_not():
    assert verdict("metal", 0.0, "half-metal") == "reproduced"
    assert verdict("insulator", 0.0, "metal") == "not reached"
    layer = parse_statement("KTaO3:*", {"": 1.0}, None)
    assert judge(layer, None, "KTaO3:3", None).verdict == "reproduced"


def test_every_quantity_has_a_function():
    assert set(FINDERS) == set(QUANTITIES)


@pytest.fixture
def campaign(tmp_path):
    made = Campaign(tmp_path / "runs" / "demo")
    made.settings["cutoff"] = 60 * RYDBERG
    return made


def ask(campaign, theirs, paths=None, limit=None, **ours):
    quantity = QUANTITIES[ours["quantity"]]
    statement = parse_statement(theirs, {"%": 1.0} if ours.get("share") else dict(quantity.units), quantity.answers)
    figure = PublishedFigure("a figure", statement, Ours(**ours), limit=limit)
    table = compare_published(
        Published("a paper", (figure,)), collect(campaign.root), paths=paths, campaign=campaign.root.name
    )
    return table.rows


def sound(campaign, name="sl", **more):
    for step in ("static", "dos"):
        campaign.finish(name, step, protocol="balanced", **more)


def test_a_gap_is_compared_with_its_settings_and_the_difference(campaign):
    sound(campaign)
    (row,) = ask(campaign, "2.5 eV", quantity="gap")
    assert (row.value, row.ours, row.configuration) == (3.0, "3.000 eV", "sl FM Ti-3d-4eV")
    assert row.difference == pytest.approx(0.5)
    assert row.settings == (
        "pw.x 6.7, PBE, 60 Ry, k-points 2 × 2 × 1 (static, dos), cold smearing 0.1 eV, ideal positions, 10 atoms"
    )


def test_a_gap_that_the_mesh_does_not_resolve_is_the_trend_at_most(campaign):
    sound(campaign)
    coarse = Bands(np.array([[[-1.0, 2.0]]]), np.array([[[1.0, 0.0]]]), np.zeros((1, 3)), np.ones(1))
    for step in ("static", "dos"):
        campaign.finish("slab", step, protocol="balanced", changes={"bands": coarse})
    fine, unresolved = ask(campaign, "3.0 eV", quantity="gap", of=Selection(("sl", "slab")))
    assert (fine.value, fine.verdict) == (3.0, "reproduced")
    assert (unresolved.value, unresolved.verdict) == (3.0, "trend only")
    assert "the mesh does not resolve the gap" in unresolved.why
    fine, unresolved = ask(campaign, "insulator", quantity="gap", of=Selection(("sl", "slab")))
    assert (fine.verdict, unresolved.verdict) == ("reproduced", "not reached")
    assert unresolved.ours == "3.000 eV"


def test_orders_whose_states_are_not_told_are_the_trend_at_most(campaign):
    for order, energy in (("FM", -100.0), ("AFM-G", -99.9)):
        campaign.finish("sl", "static", order=order, protocol="balanced", changes={"energy": energy, "sites": {}})
    (row,) = ask(campaign, "FM", quantity="lowest_order")
    assert (row.ours, row.verdict) == ("FM", "trend only")
    assert "the state reached is not known" in row.why
    assert "below AFM-G, the next of 2 states" in row.why


def test_the_order_of_lowest_energy_is_that_of_the_state_reached(campaign):
    down = tuple(-0.5 * (i % 2) for i in range(len(PRISTINE)))
    sites = {"sphere": SiteValues("sphere", (1.0,) * len(PRISTINE), down)}
    campaign.finish("sl", "static", order="FM", protocol="balanced")
    campaign.finish(
        "sl", "static", order="NM", protocol="balanced", changes={"energy": -100.2, "sites": sites}, verdict="other"
    )
    (row,) = ask(campaign, "FM", quantity="lowest_order")
    assert row.ours != "FM"
    assert row.verdict == "not reached"


def test_charges_against_a_bulk_of_other_settings_are_the_trend_at_most(campaign):
    one = {"quantity": "charge", "elements": ("Ti",), "layers": ("SrTiO3:*",), "bulks": {"SrTiO3": "bulk"}}
    more = tuple(1.0 + 0.5 * (site.species_string == "Ti") for site in PRISTINE)
    sites = {"sphere": SiteValues("sphere", more, (0.0,) * len(PRISTINE))}
    campaign.finish("sl", "static", protocol="balanced", changes={"sites": sites})
    campaign.finish("bulk", "static", protocol="balanced")
    (row,) = ask(campaign, "> 0", of=Selection(("sl",)), **one)
    assert (row.value, row.verdict) == (pytest.approx(0.5), "reproduced")
    campaign.settings["cutoff"] = 50 * RYDBERG
    campaign.finish("bulk", "static", protocol="balanced")
    (row,) = ask(campaign, "> 0", of=Selection(("sl",)), **one)
    assert (row.value, row.verdict) == (pytest.approx(0.5), "trend only")
    assert "against bulk bulk: cutoff" in row.why or "against bulk SrTiO3: cutoff" in row.why


def test_a_demonstration_reproduces_nothing(campaign):
    for step in ("static", "dos"):
        campaign.finish("sl", step, protocol="fast")
    (row,) = ask(campaign, "1.0 μB", quantity="moment")
    assert (row.verdict, row.difference) == ("trend only", 0.0)
    assert "the protocol fast is a demonstration" in row.why


@pytest.mark.parametrize(
    ("cell", "left", "words", "verdict"),
    [
        ("fixed", 30.0, "relaxed in a fixed cell", "reproduced"),
        ("c", 0.2, "relaxed, height too", "reproduced"),
        ("c", 30.0, "relaxed, height too", "trend only"),
    ],
)
def test_what_was_relaxed_is_told_and_a_cell_that_was_not_is_the_trend_at_most(campaign, cell, left, words, verdict):
    campaign.settings["cell"] = cell
    stress = -left * 10 * KBAR * np.eye(3)
    campaign.finish("sl", "relax", protocol="balanced", changes={"stress": stress})
    for step in ("static", "dos"):
        campaign.finish("sl", step, protocol="balanced", relaxed=True)
    (row,) = ask(campaign, "3.0 eV", quantity="gap")
    assert words in row.settings
    assert row.verdict == verdict


def test_a_limit_lowers_a_verdict_and_never_raises_it(campaign):
    sound(campaign)
    limit = Limit("trend only", "the cell is small", "demo")
    assert [r.verdict for r in ask(campaign, "1.0", quantity="moment")] == ["reproduced"]
    (row,) = ask(campaign, "1.0", limit=limit, quantity="moment")
    assert (row.verdict, row.why.split("; ")[0]) == ("trend only", "the cell is small")
    assert ask(campaign, "1.0", limit=Limit("put in", "so"), quantity="moment")[0].verdict == "put in"
    (worse,) = ask(campaign, "9.0", limit=limit, quantity="moment")
    assert worse.verdict == "not reached"
    assert "the cell is small" not in worse.why, "it is not what made the verdict"
    of_another = Limit("trend only", "the cell is small", "*-small")
    assert ask(campaign, "1.0", limit=of_another, quantity="moment")[0].verdict == "reproduced"


def test_a_named_order_must_be_in_its_state_and_without_one_the_state_reached_is_told(campaign):
    sound(campaign, verdict="collapsed")
    (named,) = ask(campaign, "1.0", quantity="moment", of=Selection(order="FM"))
    assert (named.value, named.verdict) == (None, "not reached")
    assert named.why.startswith("not in the state asked for (FM)")
    (any_state,) = ask(campaign, "1.0", quantity="moment")
    assert any_state.value == 1.0
    assert "asked for as FM, it collapsed" in any_state.why


@pytest.mark.parametrize(
    ("verdict", "state", "told"),
    [
        ("collapsed", {"order": "NM"}, "it collapsed to NM"),
        (
            "collapsed",
            {"order": "NM", "total_moment": {"reached": 0.54}},
            "it collapsed to NM but for 0.54 μB of the cell",
        ),
        ("flipped", {"order": "AFM-A", "words": "flipped at Ti3"}, "it flipped to AFM-A"),
        (
            "other",
            {"order": "+ 0", "words": "other: no moment at Ti3"},
            "it ended in another state: no moment at Ti3",
        ),
        ("other", {}, "it ended as another state"),
    ],
)
def test_what_became_of_the_order_asked_for_stands_beside_a_number(campaign, verdict, state, told):
    sound(campaign, verdict=verdict, state=state)
    (row,) = ask(campaign, "1.0", quantity="moment")
    assert row.why.endswith(f"asked for as FM, {told}")


def test_energies_are_subtracted_only_where_they_may_be(campaign):
    sound(campaign)
    campaign.finish("sl", "static", order="AFM-G", protocol="balanced", changes={"energy": -99.8})
    selection = {"of": Selection(order="AFM*"), "minus": Selection(order="FM")}
    (row,) = ask(campaign, "> 0", quantity="energy", per="cell", **selection)
    assert (row.value, row.verdict, row.unit) == (pytest.approx(200), "reproduced", "meV")
    campaign.settings["smearing_width"] = 0.2
    campaign.finish("sl", "static", order="AFM-G", protocol="balanced", changes={"energy": -99.8})
    (row,) = ask(campaign, "> 0", quantity="energy", per="cell", **selection)
    assert row.value is None
    assert row.why.startswith("not comparable: smearing width")


def test_what_was_not_run_or_is_not_there_is_told(campaign):
    sound(campaign)
    rows = ask(campaign, "metal", ["demo/sl/FM/Ti-3d-4eV", "demo/slab/FM/noU"], quantity="gap")
    assert [(row.configuration, row.verdict) for row in rows] == [
        ("sl FM Ti-3d-4eV", "not reached"),
        ("slab noU", "not reached"),
    ]
    assert rows[1].why == "not run yet"
    (row,) = ask(campaign, "metal", quantity="gap", of=Selection(("slb",)))
    assert row.why == "no structure of this campaign is called slb; did you mean 'sl'?"


def test_an_unconverged_run_gives_no_number(campaign):
    sound(campaign, changes={"converged": False})
    (row,) = ask(campaign, "1.0", quantity="moment")
    assert (row.value, row.why) == (None, "static did not converge")


def test_moments_are_those_of_the_sites_asked_for_along_the_moment_of_the_cell(campaign):
    moments = tuple(-0.4 if site.species_string == "Ti" else -0.05 for site in PRISTINE)
    sites = {"sphere": SiteValues("sphere", (1.0,) * len(PRISTINE), moments)}
    campaign.finish("sl", "static", protocol="balanced", changes={"sites": sites, "total_moment": -1.0})
    one = {"quantity": "moment", "elements": ("Ti",)}
    assert ask(campaign, "0.4", **one)[0].value == pytest.approx(0.4)
    assert ask(campaign, "40 %", share=True, **one)[0].value == pytest.approx(40)
    oxygen = ask(campaign, "0.05", quantity="moment", elements=("O",), per="O", layers=("LaAlO3:*",))
    assert oxygen[0].value == pytest.approx(0.05)
    assert ask(campaign, "1.0", quantity="moment", per="Ti")[0].value == pytest.approx(1.0)


def test_the_neighbours_of_a_defect_are_its_nearest_shell(campaign):
    vacancy = enumerate_defects(PRISTINE, "V_O")[1].structure
    defect = vacancy.properties["defect"]
    campaign.finish("sl-V_O_2", "static", structure=vacancy, defect=defect, protocol="balanced")
    near = ask(campaign, "1.0", quantity="moment", elements=("Ti",), where="neighbours", per="Ti")
    assert near[0].value == pytest.approx(1.0)
    at = ask(campaign, "1.0", quantity="moment", where="defect")
    assert (at[0].value, at[0].why) == (None, "V_O is no atom")


def test_a_difference_of_two_structures_names_what_was_subtracted(campaign):
    sound(campaign)
    sound(campaign, "sl2", changes={"total_moment": 3.0})
    of = {"of": Selection(("sl2",)), "minus": Selection(("sl",))}
    (row,) = ask(campaign, "> 0", quantity="moment", **of)
    assert row.value == pytest.approx(2.0)
    assert "3.000 less 1.000 of sl FM Ti-3d-4eV" in row.why


def test_structures_that_were_not_asked_for_an_order_are_no_row_of_it(campaign):
    sound(campaign)
    sound(campaign, "sl2", order="AFM-A")
    rows = ask(campaign, "1.0", quantity="moment", of=Selection(order="AFM-*"))
    assert [row.configuration for row in rows] == ["sl2 AFM-A Ti-3d-4eV"]
    rows = ask(campaign, "1.0", quantity="moment", of=Selection(order="AFM-G"))
    assert {row.verdict for row in rows} == {"not reached"}


def test_the_misfit_is_that_of_the_lattice_constants(campaign):
    campaign.finish("sl", "static", protocol="balanced", strain={"LaAlO3": 100 * (3.989 / 4.012 - 1)})
    (row,) = ask(campaign, "0.58 %", quantity="misfit", material="LaAlO3")
    assert row.value == pytest.approx(100 * (4.012 / 3.989 - 1))


def test_the_page_the_table_and_the_data_hold_every_figure_escaped(campaign, tmp_path):
    sound(campaign)
    figures = (
        PublishedFigure("gap <b>", parse_statement("3 eV", EV), Ours("gap")),
        PublishedFigure("Curie temperature", Statement("325 K"), because="not computed"),
    )
    reports = collect(campaign.root)
    table = compare_published(Published("A & B (2024)", figures, doi="10.1/x"), reports)
    page = write_report("demo", reports, tmp_path / "out", published=table).read_text()
    assert "gap &lt;b&gt;" in page
    assert "A &amp; B (2024), doi:10.1/x" in page
    frame = table.to_frame()
    assert list(frame["why"])[1] == "not computed"
    assert (tmp_path / "out" / "published.csv").read_text().count("\n") == 3
    data = table.to_dict()
    assert sum(data["verdicts"].values()) == len(data["figures"]) == 2
    assert np.isfinite(data["figures"][0]["value"])


def test_carriers_are_those_of_a_period_with_all_its_interfaces(campaign):
    values = np.zeros((len(PRISTINE), len(ORBITALS), 2, len(GRID)))
    for site, atom in enumerate(PRISTINE):
        if atom.species_string == "O":
            values[site, 1, :, (GRID > -6) & (GRID < -2)] = 0.5
        if atom.species_string == "Ti":
            values[site, 4, :, (GRID > -0.5) & (GRID < 3)] = 0.4
    changes = {"dos": ProjectedDos(GRID, values, values.sum(axis=(0, 1))), "bands": None}
    campaign.finish("sl", "static", protocol="balanced")
    campaign.finish("sl", "dos", protocol="balanced", changes=changes)
    (row,) = ask(campaign, "> 0", quantity="carriers")
    area = PRISTINE.lattice.a * PRISTINE.lattice.b * 1e-16  # cm²
    assert row.value == pytest.approx(2 * 0.4 * 0.5 / area, rel=0.06)  # half a step of the grid
    assert "of a whole period, which holds 2 interfaces" in row.why
    (part,) = ask(campaign, "> 50 %", quantity="carriers", layers=("SrTiO3:*",), share=True)
    assert part.value == pytest.approx(100)
    (most,) = ask(campaign, "SrTiO3:1", quantity="largest_layer", largest="carriers")
    assert most.verdict == "reproduced"
