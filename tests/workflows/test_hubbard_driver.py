from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from drive_here import drive_made_up

from heterodft.analysis.result import Result, SiteValues
from heterodft.errors import CampaignError
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.chains import campaign_chains
from heterodft.workflows.drivers import build_driver, strategy_of
from heterodft.workflows.drivers.driver import Finished, read_driver, write_driver

CAMPAIGN = """\
name: crn
code: espresso
materials:
  CrN: {prototype: rocksalt, a: 4.15}
structures:
  bulk: {stack: [{material: CrN, layers: 2}]}
magnetism: {orders: [FM], moments: {Cr: 3.0}}
hubbard: {Cr-3d: 2.0}
method: {protocol: fast, cutoff: 30 Ry, kpoints: [2, 2, 2]}
steps: [static]
converge:
  hubbard:
"""
SCAN = "    Cr-3d: {start: 0, stop: 5, step: 1}\n"


def campaign_of(tmp_path, scan=SCAN, text=CAMPAIGN):
    path = tmp_path / "c.yaml"
    path.write_text(text + scan)
    return load_campaign(path)


def driver_of(tmp_path, scan=SCAN, text=CAMPAIGN):
    return build_driver(campaign_of(tmp_path, scan, text), "hubbard")


def u_of(request):
    return next(u.value for u in request.hubbard if u.element == "Cr")


class Bistable:
    """Two states, A lower below U = 2.5 eV and B above; a ramp stays in its state, B is lost below 1 eV."""

    def __init__(self, *, failing=()):
        self.states = {}
        self.failing = failing
        self.volumes = {}

    def __call__(self, request):
        u, order = u_of(request), request.about["order"]
        if (u, request.about["variant"]) in self.failing:
            return "the SCF cycle did not converge"
        state = self.states.get(request.parent) or ("A" if u < 3.5 else "B")
        if state == "B" and u < 1:
            state = "A"
        self.states[request.id] = state
        size = 2.0 + 0.1 * u if state == "A" else 3.0 + 0.05 * u
        energy = {"A": 0.2 * u, "B": 0.5}[state] - 100.0 - u + (0.1 if order == "AFM-A" else 0.0)
        structure = request.to_structure()
        signs = np.sign(request.moments)
        if request.step == "relax" or request.parent in self.volumes:
            strain = 1.001 ** (u + (state == "B"))
            structure.scale_lattice(structure.volume * strain)
            self.volumes[request.id] = structure.volume
        moments = tuple(size * signs)
        iterations = 20 if request.parent is None else 12
        return Result(
            "espresso", "6.7", request.step, structure, 20.0, energy, (0.0,), float(sum(moments)), None,
            {"sphere": SiteValues("sphere", moments, moments)}, True, iterations, 1e-9, 2.0 * iterations, 30.0,
            method={},
        )  # fmt: skip


def summary_of(driver, finished):
    return strategy_of(driver).summarize(driver, finished)


def test_up_and_down_follow_their_states_and_the_lowest_is_marked(tmp_path):
    driver = driver_of(tmp_path)
    finished, decisions = drive_made_up(driver, Bistable())
    assert decisions[-1].ended
    summary = summary_of(driver, finished)
    frame = summary.tables["hubbard_scan"]
    reached = {
        (row["branch"], row["U of Cr (eV)"]): (row["state reached"], row["lowest"]) for _, row in frame.iterrows()
    }
    assert [reached["up", u][0] for u in range(6)] == ["FM"] * 6
    assert [reached["down", u][0] for u in range(6)] == ["FM"] + ["FM (2)"] * 5
    assert [u for u in range(6) if reached["up", u][1]] == [0, 1, 2]
    assert [u for u in range(6) if reached["down", u][1]] == [0, 3, 4, 5]


def test_where_branches_part_is_told_with_the_energy_between_them(tmp_path):
    driver = driver_of(tmp_path)
    finished, _ = drive_made_up(driver, Bistable())
    frame = summary_of(driver, finished).tables["hysteresis"]
    apart = dict(zip(frame["U (eV)"], frame["energy above the lowest branch (meV per formula unit)"], strict=True))
    assert apart == pytest.approx({u: 500 * abs(0.5 - 0.2 * u) for u in range(1, 6)})  # two formula units
    assert dict(zip(frame["U (eV)"], frame["branch"], strict=True)) == {
        1: "down",
        2: "down",
        3: "up",
        4: "up",
        5: "up",
    }


def test_a_state_that_is_lost_on_the_way_and_a_crossing_of_the_lowest_are_told(tmp_path):
    driver = driver_of(tmp_path)
    finished, _ = drive_made_up(driver, Bistable())
    found = [
        (one["branch"], one["from_u"], one["to_u"], one["from_state"], one["to_state"])
        for one in summary_of(driver, finished).data["transitions"]
    ]
    assert ("down", 1.0, 0.0, "FM (2)", "FM") in found
    assert ("lowest", 2.0, 3.0, "FM", "FM (2)") in found
    assert not [one for one in found if one[0] == "up"]


def test_a_ramp_starts_from_the_point_before_it_and_both_begin_from_the_atoms(tmp_path):
    driver = driver_of(tmp_path)
    finished, decisions = drive_made_up(driver, Bistable())
    asked = {request.path: request for one in decisions for chain in one.chains for request in chain}
    assert len(asked) == 12  # two from the atoms, five more on each way
    up = asked["crn.hubbard/bulk/FM/Cr-3d-2eV.up/static"]
    before = asked["crn.hubbard/bulk/FM/Cr-3d-1eV.up/static"]
    assert (up.parent, up.about["parent_folder"]) == (before.id, "../../Cr-3d-1eV.up/static")
    assert before.parent == asked["crn.hubbard/bulk/FM/Cr-3d-0eV.cold/static"].id
    assert (
        asked["crn.hubbard/bulk/FM/Cr-3d-4eV.down/static"].parent
        == asked["crn.hubbard/bulk/FM/Cr-3d-5eV.cold/static"].id
    )
    assert summary_of(driver, finished).data["computed"] == summary_of(driver, finished).data["planned"] == 12


def test_branches_run_beside_each_other(tmp_path):
    _, decisions = drive_made_up(driver_of(tmp_path), Bistable())
    assert len(decisions) == 7  # six points on each way, then the end
    assert {chain[0].about["variant"] for chain in decisions[1].chains} == {"up", "down"}


def test_a_ramp_hands_on_occupations_from_zero_and_a_start_from_the_atoms_is_that_of_the_campaign(tmp_path):
    ramped = driver_of(tmp_path)
    assert [point.chains[0][0].hubbard[0].tracked for point in ramped.points] == [True] + [False] * 5
    cold = driver_of(tmp_path, SCAN + "    branches: cold\n")
    own = campaign_chains(campaign_of(tmp_path))[0][0]
    assert own.id == cold.points[2].chains[0][0].id == ramped.points[2].chains[0][0].id
    assert not cold.points[0].chains[0][0].hubbard[0].tracked
    assert len(strategy_of(cold).decide(cold, Finished(tmp_path)).chains) == 6


def test_no_branch_is_run_that_was_not_asked_for(tmp_path):
    _, decisions = drive_made_up(driver_of(tmp_path, SCAN + "    branches: [up]\n"), Bistable())
    variants = [chain[0].about["variant"] for one in decisions for chain in one.chains]
    assert variants == ["cold"] + ["up"] * 5


def test_a_branch_goes_on_from_its_last_good_point_and_says_so(tmp_path):
    driver = driver_of(tmp_path)
    finished, decisions = drive_made_up(driver, Bistable(failing=[(2.0, "up"), (5.0, "cold")]))
    asked = {request.path: request for one in decisions for chain in one.chains for request in chain}
    assert (
        asked["crn.hubbard/bulk/FM/Cr-3d-3eV.up/static"].parent == asked["crn.hubbard/bulk/FM/Cr-3d-1eV.up/static"].id
    )
    assert "crn.hubbard/bulk/FM/Cr-3d-4eV.cold/static" in asked  # the way down begins one lower
    summary = summary_of(driver, finished)
    assert sorted(summary.data["failed"]) == [
        "crn.hubbard/bulk/FM/Cr-3d-2eV.up", "crn.hubbard/bulk/FM/Cr-3d-5eV.cold",
    ]  # fmt: skip
    assert "Cr-3d-2eV.up failed, its branch goes on without it" in summary.words[0] + summary.words[1]
    assert decisions[-1].words == "10 of 12 points, 2 failed: every branch has ended"


def test_everything_failing_ends_with_empty_tables(tmp_path):
    driver = driver_of(tmp_path, "    Cr-3d: [0, 1]\n")
    finished, decisions = drive_made_up(driver, lambda request: "no such program")
    assert decisions[-1].ended
    summary = strategy_of(driver).summarize(driver, finished, figures=True)
    assert (summary.data["computed"], len(summary.data["failed"]), summary.figures) == (0, 2, {})


def test_several_starting_moments_are_starts_of_their_own_and_the_best_begins_the_ramp(tmp_path):
    driver = driver_of(tmp_path, "    Cr-3d: [0, 4]\n    starts: [0.5, 1.0, 1.5]\n")
    assert [chain[0].moments[0] for chain in driver.points[0].chains] == [1.5, 3.0, 4.5]
    made = Bistable()

    def result_of(request):
        found = made(request)
        higher = {"cold-0.5": 0.3, "cold": 0.2}.get(request.about["variant"], 0.0)
        return replace(found, energy=found.energy + higher)

    finished, decisions = drive_made_up(driver, result_of)
    up = next(chain[0] for chain in decisions[1].chains if chain[0].about["variant"] == "up")
    assert up.about["parent_folder"] == "../../Cr-3d-0eV.cold-1.5/static"
    assert up.moments[0] == 1.5  # what it was asked for; the density decides
    branches = set(summary_of(driver, finished).tables["hubbard_scan"]["branch"])
    assert branches == {"cold-0.5", "cold", "cold-1.5", "up", "down"}


def test_relaxed_structures_are_handed_along_a_ramp(tmp_path):
    text = CAMPAIGN.replace("[static]", "[{relax: {cell: full, coarse_first: true}}, static]")
    driver = driver_of(tmp_path, "    Cr-3d: [0, 1, 2]\n    branches: [up]\n", text)
    finished, decisions = drive_made_up(driver, Bistable())
    cold, first, second = (one.chains[0] for one in decisions[:3])
    assert [r.step for r in cold] == ["relax-coarse", "relax", "static"]
    assert [r.step for r in first] == ["relax", "static"]
    assert first[0].parent == cold[-1].id
    assert (first[1].parent, second[0].parent) == (first[0].id, first[1].id)
    frame = summary_of(driver, finished).tables["hubbard_scan"]
    volumes = frame["volume per formula unit (Å³)"]
    assert volumes.iloc[2] / volumes.iloc[1] == pytest.approx(1.001)
    assert all(np.isfinite(frame[["a (Å)", "b (Å)", "c (Å)"]].to_numpy().ravel()))


@pytest.mark.parametrize(("cell", "told"), [("full", True), ("fixed", False)])
def test_pressure_left_by_a_small_basis_is_told(tmp_path, cell, told):
    text = CAMPAIGN.replace("[static]", f"[{{relax: {{cell: {cell}, coarse_first: false}}}}, static]")
    driver = driver_of(tmp_path, "    Cr-3d: [0, 1]\n    branches: [up]\n", text)
    made = Bistable()
    pressed = np.diag([0.18, 0.18, 0.18])  # eV/Å³

    finished, _ = drive_made_up(driver, lambda request: replace(made(request), stress=pressed))
    words = [line for line in summary_of(driver, finished).words if line.startswith("cells are not relaxed")]
    assert bool(words) == told
    assert not told or "up to 28.8 GPa are left" in words[0]


def test_ramped_points_without_relaxation_may_be_compared_with_those_from_the_atoms(tmp_path):
    driver = driver_of(tmp_path, "    Cr-3d: [0, 1, 2]\n    branches: [cold, up]\n")
    finished, _ = drive_made_up(driver, Bistable())
    data = summary_of(driver, finished).data
    assert data["hysteresis"] == []
    assert [row["relative_per_formula_unit"] for row in data["rows"] if row["branch"] == "up"][1:] == [0.0, 0.0]


def test_a_ramp_is_compared_with_starts_from_the_atoms_at_the_same_points(tmp_path):
    driver = driver_of(tmp_path, SCAN + "    branches: [cold, up]\n")
    finished, _ = drive_made_up(driver, Bistable())
    costs = {one["branch"]: one for one in summary_of(driver, finished).data["costs"]}
    assert (costs["cold"]["calculations"], costs["cold"]["iterations"]) == (6, 120)
    assert (costs["up"]["calculations"], costs["up"]["iterations"]) == (5, 60)
    assert costs["up"]["compared"] == 3  # above 3 eV the starts from the atoms end in the other state
    assert costs["up"]["saved"] == pytest.approx(0.4)


def test_energies_of_orders_are_those_of_their_lowest_states_at_the_same_u(tmp_path):
    text = CAMPAIGN.replace("[FM]", "[FM, AFM-A]")
    driver = driver_of(tmp_path, SCAN, text)
    finished, _ = drive_made_up(driver, Bistable())
    found = summary_of(driver, finished).data["order_energies"]
    assert [(one["order"], one["reference"], one["u"]) for one in found] == [("AFM-A", "FM", u) for u in range(6)]
    assert [one["value"] for one in found] == pytest.approx([50.0] * 6)  # 0.1 eV for two formula units


def test_the_same_results_give_the_same_requests_and_the_file_gives_the_driver_back(tmp_path):
    driver = driver_of(tmp_path)
    again = read_driver(write_driver(driver, tmp_path))
    (_, one), (_, other) = drive_made_up(driver, Bistable()), drive_made_up(again, Bistable())
    assert again.id == driver.id
    assert [[r.id for c in d.chains for r in c] for d in one] == [[r.id for c in d.chains for r in c] for d in other]


def test_the_summary_is_plain_data_and_has_a_figure_that_can_be_saved(tmp_path):
    driver = driver_of(tmp_path)
    finished, decisions = drive_made_up(driver, Bistable())
    summary = strategy_of(driver).summarize(driver, finished, figures=True)
    assert {"ended": True, "converged": None, "recommended": None}.items() <= summary.data.items()
    json.dumps(summary.data, allow_nan=False)
    assert list(summary.figures) == ["hubbard_scan"]
    assert summary.title == "U of Cr 0 to 5 eV (up, down)"
    assert decisions[0].words.startswith("0 of 12 points; next bulk FM Cr-3d-0eV cold")


def test_two_shells_go_together_or_each_value_with_each(tmp_path):
    text = CAMPAIGN.replace("CrN: {prototype: rocksalt, a: 4.15}",
                            "CrN: {prototype: rocksalt, a: 4.15}\n  TiN: {prototype: rocksalt, a: 4.15}").replace(
        "layers: 2}", "layers: 1}, {material: TiN, layers: 1}")  # fmt: skip
    two = "    Cr-3d: [0, 2]\n    Ti-3d: [1, 3]\n"
    together = driver_of(tmp_path, two, text)
    assert [[u.value for u in p.chains[0][0].hubbard] for p in together.points] == [[0, 1], [2, 3]]
    grid = driver_of(tmp_path, two + "    together: false\n", text)
    assert [[[u.value for u in c[0].hubbard] for c in p.chains] for p in grid.points] == [
        [[0, 1], [0, 3]], [[2, 1], [2, 3]],
    ]  # fmt: skip
    finished, _ = drive_made_up(grid, Bistable())
    assert set(summary_of(grid, finished).tables["hubbard_scan"]["other U"]) == {"U(Ti) 1 eV", "U(Ti) 3 eV"}


def test_one_layer_is_scanned_and_the_rest_stays(tmp_path):
    driver = driver_of(tmp_path, '    Cr-3d: {"CrN:1": [0, 2], rest: 1.0}\n')
    requests = [point.chains[0][0] for point in driver.points]
    assert [(r.hubbard[0].value, r.hubbard[0].layers) for r in requests] == [
        (1.0, (("CrN:1", 0.0),)), (1.0, (("CrN:1", 2.0),)),
    ]  # fmt: skip
    finished, _ = drive_made_up(driver, Bistable())
    assert "U of Cr (CrN:1) (eV)" in summary_of(driver, finished).tables["hubbard_scan"]


def test_without_a_section_the_elements_of_the_campaign_are_scanned_to_six_ev(tmp_path):
    text = CAMPAIGN.replace("converge:\n  hubbard:\n", "")
    driver = driver_of(tmp_path, "", text)
    assert [point.value for point in driver.points] == [0, 1, 2, 3, 4, 5, 6]
    with pytest.raises(CampaignError, match=r"c\.yaml: no U to scan; write converge: \{hubbard: \{Cr-3d"):
        driver_of(tmp_path, "", text.replace("hubbard: {Cr-3d: 2.0}\n", ""))


@pytest.mark.parametrize(
    ("scan", "message"),
    [
        ("    Ti-3d: [0, 1]\n", r"c\.yaml:13: converge\.hubbard\.Ti-3d: no structure holds Ti; known: Cr, N$"),
        ('    Cr-3d: {"CrN:3": [0, 1]}\n', r"c\.yaml:13: .*no structure holds Cr in a layer CrN:3; did you mean"),
        (SCAN + "    structures: [blk]\n", r"c\.yaml:14: .*structures\.0: no structure 'blk'; did you mean 'bulk'\?"),
        (SCAN + "    structures: [bulk-V_N_1]\n", r"c\.yaml:14: .*no structure 'bulk-V_N_1' to scan"),
        (SCAN + "    orders: [AFM-G]\n", r"c\.yaml:14: .*orders\.0: no order 'AFM-G' here; did you mean 'AFM-A'"),
    ],
)
def test_what_is_not_there_is_told_in_one_line(tmp_path, scan, message):
    with pytest.raises(CampaignError, match=message) as told:
        driver_of(tmp_path, scan, CAMPAIGN.replace("[FM]", "[FM, AFM-A]"))
    assert "\n" not in str(told.value)
