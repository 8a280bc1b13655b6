"""Several starts of a configuration, with results that are made up and with a real pw.x."""

from __future__ import annotations

import numpy as np
import pytest
from drive_here import drive_here, drive_made_up

from heterodft.analysis.result import Result, SiteValues
from heterodft.errors import CampaignError
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.drivers import build_driver, strategy_of
from heterodft.workflows.drivers.driver import Finished, read_driver, write_driver
from heterodft.workflows.settings import Settings

CRN = """\
name: crn
materials: {CrN: {prototype: rocksalt, a: 4.14}}
structures: {bulk: {normal: [0, 0, 1], stack: [{material: CrN, layers: 2}]}}
magnetism: {orders: [FM], moments: {Cr: 3.0}}
method: {protocol: fast, cutoff: 30 Ry, kspacing: 1.0}
steps: [static]
"""
DEFECT = """\
name: sto
materials:
  SrTiO3: {prototype: perovskite, a: 3.905}
structures:
  sl: {stack: [{material: SrTiO3, layers: 2}], supercell: [2, 1], defects: [{kind: V_O, where: all}]}
magnetism: {orders: [FM], moments: {Ti: 1.0}}
hubbard: {Ti-3d: 4.0}
method: {protocol: fast, cutoff: 20 Ry, kspacing: 1.7, cell: fixed}
steps: [relax, static]
"""


@pytest.fixture
def campaign(tmp_path):
    def load(text, section=""):
        path = tmp_path / "c.yaml"
        path.write_text(text + section)
        return load_campaign(path)

    return load


def made(request, *, energy, moments):
    """A result of a request that ended with these moments and energy (eV)."""
    moments = tuple(map(float, moments))
    return Result(
        code="espresso", version="6.7", step=request.step, structure=request.to_structure(), electrons=10.0,
        energy=energy, fermi_levels=(1.0,), total_moment=float(sum(moments)), absolute_moment=None,
        sites={"sphere": SiteValues("sphere", (5.0,) * len(moments), moments)}, converged=True, iterations=10,
        accuracy=1e-9, cpu_seconds=1.0, wall_seconds=1.0,
    )  # fmt: skip


def by_signs(request):
    """The start's signs decide: antiparallel Cr is lower; half the moments end in a low-spin state above."""
    first, second = (request.moments[i] for i in (0, 2))
    if first * second < 0:
        return made(request, energy=-10.3, moments=[2.6, 0, -2.6, 0])
    size = 1.0 if abs(first) < 2 else 2.8
    return made(request, energy=-10.0 if size > 2 else -9.9, moments=[size, 0, size, 0])


def starts(**given):
    words = ", ".join(f"{key}: {value}" for key, value in given.items())
    return f"converge: {{starts: {{{words}}}}}\n"


def test_random_signs_find_the_lower_state_that_the_campaign_misses(campaign):
    driver = build_driver(campaign(CRN, starts(moments="[0.5, 2]", random="{number: 2}", patience=9)), "starts")
    finished, decisions = drive_made_up(driver, by_signs)
    summary = strategy_of(driver).summarize(driver, finished, figures=True)
    found = summary.data["structures"]["bulk noU"]
    assert [state["count"] for state in found["states"]] == [1, 3, 1]
    assert [round(state["relative"], 3) for state in found["states"]] == [0, 0.3, 0.4]
    assert [state["name"] for state in found["states"]] == ["+ -", "FM", "FM (2)"]
    text = "\n".join(summary.words)
    assert "did not reach the lowest state but FM, 300.0 meV higher" in text
    assert "reached only once: more starts may find lower ones" in text
    assert decisions[-1].ended
    assert summary.data["converged"] is False
    assert set(summary.figures) == {"starts-bulk-noU"}
    assert list(summary.tables["states-bulk-noU"]["reached"]) == [1, 3, 1]


def test_a_drawn_start_does_not_lend_its_signs_to_the_order_it_is_listed_at(campaign):
    driver = build_driver(campaign(CRN, starts(random="{number: 3, seed: 4}", patience=9)), "starts")
    last = driver.points[-1].chains[0][0]
    assert last.about["order"] == "FM"
    assert last.moments[0] * last.moments[2] < 0
    finished, _ = drive_made_up(driver, by_signs)
    states = strategy_of(driver).summarize(driver, finished).data["structures"]["bulk noU"]["states"]
    assert [(state["name"], state["count"]) for state in states] == [("+ -", 2), ("FM", 2)]


def test_the_same_campaign_gives_the_same_starts_and_they_can_be_read_back(campaign, tmp_path):
    text = CRN + starts(random="{number: 3, seed: 7}")
    first, second = (build_driver(campaign(text), "starts") for _ in range(2))
    assert first.id == second.id
    assert read_driver(write_driver(first, tmp_path)).id == first.id
    assert build_driver(campaign(CRN + starts(random="{number: 3, seed: 8}")), "starts").id != first.id


def test_the_first_random_start_has_other_signs_than_the_campaign(campaign):
    for seed in range(5):
        driver = build_driver(campaign(CRN, starts(random=f"{{number: 1, seed: {seed}}}")), "starts")
        own, other = (point.chains[0][0].moments for point in driver.points)
        assert own[0] * own[2] > 0 > other[0] * other[2]


def test_the_own_start_is_that_of_the_campaign_and_costs_nothing_again(campaign):
    from heterodft.workflows.chains import campaign_chains

    loaded = campaign(CRN, starts(moments="[0.5]"))  # and every start may end in any state
    driver = build_driver(loaded, "starts")
    assert driver.points[0].chains[0][0].id == campaign_chains(loaded)[0][0].id
    assert all(point.chains[0][0].about["unreached"] == {"choice": "accept"} for point in driver.points)


def test_starts_that_find_nothing_new_are_the_last(campaign):
    section = starts(moments="[0.9, 1.1, 1.2, 1.3, 1.4, 1.6, 1.8]", patience=3)
    driver = build_driver(campaign(CRN, section), "starts")
    finished, decisions = drive_made_up(driver, lambda r: made(r, energy=-1.0, moments=[2.8, 0, 2.8, 0]))
    assert len(finished.computed) == 4  # one that found the state, and three that did not find another
    assert [len(decision.chains) for decision in decisions] == [4, 0]
    assert "the last 3 found nothing new" in decisions[-1].words
    summary = strategy_of(driver).summarize(driver, finished)
    assert summary.data["converged"] is True
    assert "nothing needs to be changed" in summary.words[-1]


def test_no_start_is_computed_that_one_by_one_would_not_have_been(campaign):
    section = starts(moments="[0.5, 1.1, 0.6, 1.2, 1.3, 0.7, 1.4]", patience=2)
    driver = build_driver(campaign(CRN, section), "starts")
    finished, _ = drive_made_up(driver, by_signs)
    streak, needed, seen = 0, 0, set()
    for point in driver.points:
        needed += 1
        energy = by_signs(point.chains[0][0]).energy
        streak = streak + 1 if energy in seen else 0
        seen.add(energy)
        if streak == 2:
            break
    assert len(finished.computed) == needed == 4


def test_there_are_never_more_than_the_limit(campaign):
    section = starts(random="{number: 30}", limit=5, patience=50)
    driver = build_driver(campaign(CRN, section), "starts")
    finished, decisions = drive_made_up(driver, by_signs)
    assert len(driver.points) == len(finished.computed) == 5
    assert "there are no more" in decisions[-1].words


def test_a_failed_start_is_told_and_the_others_go_on(campaign):
    def fails_small(request):
        return "the SCF cycle did not converge" if abs(request.moments[0]) < 2 else by_signs(request)

    driver = build_driver(campaign(CRN, starts(moments="[0.5, 1.5, 2.0]", patience=2)), "starts")
    finished, _ = drive_made_up(driver, fails_small)
    summary = strategy_of(driver).summarize(driver, finished, figures=True)
    found = summary.data["structures"]["bulk noU"]
    assert [start["state"] for start in found["starts"]] == [1, None, 1, 1]
    assert any("moments × 0.5 counts for nothing" in line and "did not converge" in line for line in summary.words)


def test_when_all_fail_it_ends_and_says_so(campaign):
    driver = build_driver(campaign(CRN, starts(moments="[0.5, 2]")), "starts")
    finished, decisions = drive_made_up(driver, lambda _: "pw.x is missing")
    assert decisions[-1].ended
    summary = strategy_of(driver).summarize(driver, finished, figures=True)
    assert "bulk noU: no start ended in a state" in summary.words
    assert (summary.data["recommended"], summary.data["converged"]) == ({}, False)


def test_the_lines_that_are_recommended_make_the_campaign_start_so(campaign):
    from heterodft.workflows.chains import campaign_chains

    driver = build_driver(campaign(CRN, starts(moments="[0.5]")), "starts")

    def small_is_low(request):
        low = abs(request.moments[0]) < 2
        size = 1.0 if low else 2.8
        return made(request, energy=-5.0 if low else -4.0, moments=[size, 0, size, 0])

    finished, _ = drive_made_up(driver, small_is_low)
    recommended = strategy_of(driver).summarize(driver, finished).data["recommended"]["bulk noU"]
    assert recommended["start"] == "start-1 (FM): moments × 0.5"
    assert recommended["lines"] == ["structures:", "  bulk:", "    magnetism: {orders: [FM], moments: {Cr: 1.5}}"]
    changed = CRN.replace(
        "material: CrN, layers: 2}]", "material: CrN, layers: 2}], " + recommended["lines"][2].strip()
    )
    assert campaign_chains(campaign(changed))[0][0].id == driver.points[1].chains[0][0].id


def test_orders_share_the_states_found(campaign):
    text = CRN.replace("orders: [FM]", 'orders: [FM, {layers: {CrN: "+-"}}]')
    driver = build_driver(campaign(text, starts(moments="[1.5]", patience=9)), "starts")
    assert [point.label for point in driver.points] == [
        "bulk noU FM start-0", "bulk noU CrN-ud start-1", "bulk noU FM start-2", "bulk noU CrN-ud start-3",
    ]  # fmt: skip
    finished, _ = drive_made_up(driver, by_signs)
    summary = strategy_of(driver).summarize(driver, finished)
    assert [s["count"] for s in summary.data["structures"]["bulk noU"]["states"]] == [2, 2]
    assert "bulk noU: the campaign's own start reached the lowest state" in summary.words


def test_distorted_starts_relax_from_other_structures_with_the_same_atoms(campaign):
    section = starts(structures="[sl-V_O_1]", distortions="[-0.2, 0.0, 0.2]", rattle="0.03 Å", limit=4)
    driver = build_driver(campaign(DEFECT, section), "starts")
    chains = [point.chains[0] for point in driver.points]
    assert [[r.step for r in chain] for chain in chains] == [["relax", "static"]] * 4
    assert len({chain[0].id for chain in chains}) == 4
    own = chains[0][0].to_structure()
    for chain in chains[1:]:
        other = chain[0].to_structure()
        assert [s.species_string for s in other] == [s.species_string for s in own]
        assert other.site_properties == own.site_properties
        assert chain[1].parent == chain[0].id
        assert np.abs(other.cart_coords - own.cart_coords).max() > 0.02


def test_without_a_section_the_usual_starts_are_tried(campaign):
    driver = build_driver(campaign(DEFECT), "starts")
    names = [start["name"].partition(": ")[2] for start in driver.rule["starts"] if "V_O_1" in start["family"]]
    assert {"as the campaign starts", "moments × 0.5", "moments × 2", "bonds -20%", "bonds +20%"} <= set(names)
    assert sum(name.startswith("random moments") and "," not in name for name in names) == 2
    assert len(names) == 12
    assert all("V_O" in start["family"] for start in driver.rule["starts"])


def test_states_with_the_same_moments_are_told_apart_by_structure(campaign):
    section = starts(structures="[sl-V_O_1]", distortions="[-0.2, 0.2]", rattle=0, limit=3)
    driver = build_driver(campaign(DEFECT, section), "starts")
    moments = np.zeros(len(driver.points[0].chains[0][0].moments))
    finished, _ = drive_made_up(driver, lambda r: made(r, energy=-1.0, moments=moments))  # each stays where it began
    states = strategy_of(driver).summarize(driver, finished).data["structures"]["sl-V_O_1 Ti-3d-4eV"]["states"]
    assert [state["count"] for state in states] == [1, 1, 1]
    assert "within 1 meV of state 1" in states[1]["notes"][0]


def test_starting_occupations_go_into_the_request(campaign):
    given = '{"Ti-3d": [[[0, 0, 0, 0, 1], [0, 0, 0, 0, 0]], [[0, 0, 0, 0, 0.5], [0, 0, 0, 0, 0]]]}'
    driver = build_driver(campaign(DEFECT, starts(structures="[sl-V_O_1]", occupations=given)), "starts")
    chosen = [point.chains[0][0].hubbard[0].start for point in driver.points]
    assert chosen[0] is None
    assert [start.up[-1] for start in chosen[1:]] == [1, 0.5]
    assert "U: 4, occupations: {up: [0, 0, 0, 0, 1]" in driver.rule["starts"][1]["lines"][-1]


NM = CRN.replace("orders: [FM]", "orders: [NM]")
STATIC = DEFECT.replace("steps: [relax, static]", "steps: [static]")
PRISTINE = DEFECT.replace(", defects: [{kind: V_O, where: all}]", "")


@pytest.mark.parametrize(
    ("text", "section", "message"),
    [
        (
            CRN,
            "moments: [0]",
            r"0 is no factor on starting moments \(without moments it is the order NM\); give more",
        ),
        (CRN, "moments: [-1]", r"-1 is no factor on starting moments \(another sign for all is the same state\)"),
        (CRN, "moments: [true]", "True is no factor on starting moments; give more than 0, up to 10"),
        (CRN, "moments: [1.0]", "there is no start besides the campaign's own; give moments"),
        (CRN, "random: {number: 0}", r"converge.starts.random.number: 0; give 1 or more"),
        (CRN, "limit: 1", "1; give 2 or more"),
        (CRN, "patience: 0", "0; give 1 or more"),
        (CRN, "energy_tolerance: 0", "0; give more than 0"),
        (CRN, "momnets: [2]", "unknown key 'momnets'; did you mean 'moments'"),
        (DEFECT, "distortions: [-0.95]", "-0.95 is no bond distortion; give -0.9 to 1"),
        (DEFECT, "{moments: [2], rattle: 0.05}", "rattle moves the atoms of distorted starts; give distortions"),
        (DEFECT, "{distortions: [0.1], rattle: 3 Å}", "give 0.5 or less"),
        (DEFECT, "{structures: [sl-V_0_1], moments: [2]}", "no structure 'sl-V_0_1'; did you mean 'sl-V_O_1'"),
        (DEFECT, "{orders: [AFM], moments: [2]}", r"no order 'AFM'"),
        (STATIC, "distortions: [0.1]", r"sl-V_O_1 is not relaxed, .*write steps: \[relax, static\]"),
        (PRISTINE, "distortions: [0.1]", "sl has no defect to distort around; name structures that have one"),
        (CRN, 'occupations: {"Cr-3d": [[0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]}', "occupations: Cr-3d carries no U here"),
        (DEFECT, 'occupations: {"Ti-3d": [[0, 1], [0, 0]]}', "give 5 eigenvalues of 0 to 1, lowest first"),
        (
            DEFECT,
            'occupations: {"Ti-3d": [[0, 2], [0, 0]]}',
            "are no starting occupations; give those of the spin up",
        ),
        (NM, 'occupations: {"Cr-3d": [[0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]}', "need an order with moments, not NM"),
        (NM, "moments: [2]", "there is no start besides the campaign's own; give an order with moments"),
        (
            DEFECT.replace("name: sto", "name: sto\ncode: vasp"),
            'occupations: {"Ti-3d": [[0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]}',
            "vasp takes no starting occupations",
        ),
    ],
)
def test_what_cannot_be_started_is_one_line(campaign, text, section, message):
    section = section if section.startswith("{") else f"{{{section}}}"
    with pytest.raises(CampaignError, match=message) as error:
        build_driver(campaign(text, f"converge: {{starts: {section}}}\n"), "starts")
    assert "\n" not in str(error.value)
    assert "starts" in str(error.value)


@pytest.mark.espresso
@pytest.mark.slow
def test_pw_finds_both_orders_of_chromium_nitride(campaign, pw, tmp_path):
    text = CRN.replace("cutoff: 30 Ry, kspacing: 1.0", "cutoff: 25 Ry, kspacing: 1.8, smearing_width: 0.3 eV")
    text = text.replace("smearing_width", "smearing: gaussian, smearing_width") + "hubbard: {Cr-3d: 4.0}\n"
    section = starts(random="{number: 2, seed: 4}", patience=3)  # + +, + -, + +
    driver = build_driver(campaign(text, section), "starts")
    settings = Settings("", "", tmp_path / "runs", 2)
    decisions = drive_here(driver, settings)
    assert decisions[-1].ended
    finished = Finished(settings.runs)
    summary = strategy_of(driver).summarize(driver, finished)
    results = [finished.result(point.chains[0][0]) for point in driver.points]
    moments = [[result.sites["sphere"].moments[i] for i in (0, 2)] for result in results]
    assert [bool(first * second > 0) for first, second in moments] == [True, False, True]
    low, high = summary.data["structures"]["bulk Cr-3d-4eV"]["states"]
    assert (low["count"], high["count"], low["own"], high["own"]) == (1, 2, False, True)
    assert high["energy"] - low["energy"] == pytest.approx(results[0].energy - results[1].energy, abs=1e-5)
    assert results[0].energy == pytest.approx(results[2].energy, abs=1e-5)
    assert "orders: [AFM-A]" in summary.data["recommended"]["bulk Cr-3d-4eV"]["lines"][-1]
