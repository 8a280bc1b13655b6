from __future__ import annotations

import json

import numpy as np
import pytest
from drive_here import MadeUp, drive_made_up

from heterodft.analysis.response import ResponseU
from heterodft.analysis.result import Result, SiteValues
from heterodft.errors import CampaignError
from heterodft.templates.hubbard import HubbardU, resolve_hubbard
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.chains import campaign_chains
from heterodft.workflows.drivers import build_driver, strategy_of
from heterodft.workflows.drivers.driver import read_driver, write_driver
from heterodft.workflows.drivers.response_driver import mesh_of

CRN = """\
name: crn
code: espresso
materials:
  CrN: {prototype: rocksalt, a: 4.15}
structures:
  bulk: {stack: [{material: CrN, layers: 2}]}
magnetism: {orders: [AFM-A], moments: {Cr: 3.0}}
hubbard: {Cr-3d: [3.0, 4.0]}
method: {protocol: fast, cutoff: 30 Ry, kspacing: 1.2}
steps: [static, dos]
converge:
  linear_response: {ASKED}
"""
LAYERS = """\
name: sl
code: espresso
materials:
  SrTiO3: {prototype: perovskite, a: 3.905}
  LaAlO3: {prototype: perovskite, a: 3.79}
structures:
  sl: {stack: [{material: SrTiO3, layers: 2}, {material: LaAlO3, layers: 1}], in_plane: SrTiO3}
magnetism: {orders: [NM]}
method: {protocol: fast, cutoff: 30 Ry, kspacing: 1.2}
steps: [STEPS]
converge:
  linear_response: {elements: [Ti], qmeshes: [1], self_consistent: true, ASKED}
"""


@pytest.fixture
def campaign(tmp_path):
    def load(asked, text=CRN, steps="static"):
        path = tmp_path / "campaign.yaml"
        path.write_text(text.replace("ASKED", asked).replace("STEPS", steps))
        return load_campaign(path)

    return load


@pytest.fixture
def driver_for(campaign):
    def build(asked, text=CRN, steps="static"):
        return build_driver(campaign(asked, text, steps), "linear_response")

    return build


def computed(of_site, *, verdict="kept", fails=None):
    """Results whose U is a function of the request, the site and the U put in."""

    def result_of(request):
        if fails is not None and fails(request):
            return "SCF not converged"
        structure = request.to_structure()
        response = None
        if request.step == "response":
            on_sites = resolve_hubbard(structure, request.hubbard)
            sites = tuple(i for i, u in enumerate(on_sites) if u)
            values = tuple(of_site(request, i, on_sites[i].u) for i in sites)
            response = ResponseU(sites, ("3d",) * len(sites), values, qpoints=request.settings.qpoints)
        return Result(
            code="espresso",
            version="6.7",
            step=request.step,
            structure=structure,
            electrons=20.0,
            energy=-1.0,
            fermi_levels=(0.0,),
            total_moment=0.0,
            absolute_moment=0.0,
            sites={"sphere": SiteValues("sphere", (1.0,) * len(structure), request.moments)},
            converged=True,
            iterations=10,
            accuracy=1e-9,
            cpu_seconds=10.0,
            wall_seconds=10.0,
            response=response,
        )

    class Told(MadeUp):
        def result(self, request):
            found = super().result(request)
            if found is not None:
                found.request["state"] = {"verdict": verdict}
            return found

    def drive(driver):
        finished = Told(result_of)
        decisions = []
        while not decisions or not decisions[-1].ended:
            assert len(decisions) < 50
            decisions.append(strategy_of(driver).decide(driver, finished))
            for chain in decisions[-1].chains:
                for request in chain:
                    finished.compute(request)
                    if finished.failure(request) is not None:
                        break
        return finished, decisions

    return drive


def by_mesh(request, site, u):
    return 4.0 + 1.0 / request.settings.qpoints[0] ** 3


def test_meshes_end_where_two_agree_and_the_denser_ones_are_not_computed(driver_for):
    driver = driver_for("qmeshes: [1, 2, 3, 4, 5], tolerance: 0.1 eV")
    finished, decisions = computed(by_mesh)(driver)
    responses = [chain[-1] for decision in decisions for chain in decision.chains]
    assert [request.settings.qpoints[0] for request in responses] == [1, 2, 3]
    summary = strategy_of(driver).summarize(driver, finished)
    assert "q-mesh 2x2x2 is enough" in summary.words[0]
    assert (summary.data["ended"], summary.data["converged"]) == (True, True)
    assert summary.data["recommended"] == {"bulk AFM-A": {"Cr-3d": 4.04}}
    assert list(summary.tables["response_U"]["U found (eV)"]) == [5.0, 4.125, 4.037]


def test_every_mesh_starts_from_one_static_step(driver_for):
    driver = driver_for("qmeshes: [1, 2, 3], tolerance: 0.001 eV")
    finished, _ = computed(by_mesh)(driver)
    steps = [request.step for point in driver.points for request in point.chains[0]]
    assert steps == ["static", "response", "response", "response"]
    static, first, *others = [request for point in driver.points for request in point.chains[0]]
    assert {first.parent, *(other.parent for other in others)} == {static.id}
    assert len(finished.computed) == 4
    assert strategy_of(driver).summarize(driver, finished).data["calculations"] == 4


def test_meshes_that_never_agree_are_said_not_to_be_converged(driver_for):
    driver = driver_for("qmeshes: [1, 2], tolerance: 0.1 eV")
    finished, _ = computed(by_mesh)(driver)
    summary = strategy_of(driver).summarize(driver, finished)
    assert "not converged with the q-mesh: U still changes by 0.875 eV to 2x2x2" in summary.words[0]
    assert summary.data["converged"] is False
    assert summary.words[-1].endswith("write hubbard: {Cr-3d: 4.12} (not converged)")


def test_one_mesh_says_nothing_of_convergence(driver_for):
    driver = driver_for("qmeshes: [2]")
    finished, _ = computed(by_mesh)(driver)
    assert strategy_of(driver).summarize(driver, finished).data["converged"] is None


def test_u_is_put_in_until_it_comes_out(driver_for):
    driver = driver_for("qmeshes: [1], self_consistent: true, tolerance: 0.05 eV")
    finished, decisions = computed(lambda request, site, u: 5.0 - 0.3 * u)(driver)
    put_in = [decision.chains[0][-1].hubbard[0].value for decision in decisions[:-1]]
    assert put_in == [3.0, 4.1, 3.77, 3.869]
    summary = strategy_of(driver).summarize(driver, finished, figures=True)
    assert "self-consistent after 4 rounds: U in and out differ by 0.030 eV" in summary.words[0]
    assert summary.words[-1].endswith("write hubbard: {Cr-3d: 3.84}")
    assert summary.data["converged"] is True
    assert set(summary.figures) == {"response_U"}
    json.dumps(summary.data)


def test_the_fixed_point_is_found_whatever_it_starts_from(driver_for):
    driver = driver_for("qmeshes: [1], self_consistent: true, tolerance: 0.001 eV, max_rounds: 20")
    finished, _ = computed(lambda request, site, u: 5.0 - 0.3 * u)(driver)
    last = strategy_of(driver).summarize(driver, finished).tables["response_U"].iloc[-1]
    assert last["U found (eV)"] == pytest.approx(5.0 / 1.3, abs=2e-3)


def test_a_loop_that_swings_to_and_fro_takes_half_steps(driver_for):
    driver = driver_for("qmeshes: [1], self_consistent: true, tolerance: 0.01 eV, max_rounds: 6")
    finished, decisions = computed(lambda request, site, u: 8.0 - u)(driver)
    assert [decision.chains[0][-1].hubbard[0].value for decision in decisions[:-1]] == [3.0, 5.0, 4.0]
    assert strategy_of(driver).summarize(driver, finished).data["converged"] is True


def test_a_loop_that_runs_away_ends_and_says_so(driver_for):
    driver = driver_for("qmeshes: [1], self_consistent: true, max_rounds: 3")
    finished, decisions = computed(lambda request, site, u: u + 1.0)(driver)
    summary = strategy_of(driver).summarize(driver, finished)
    assert "not self-consistent after 3 rounds" in summary.words[0]
    assert len(decisions) == 4
    assert summary.data["converged"] is False


def test_damping_takes_a_part_of_each_step(driver_for):
    driver = driver_for("qmeshes: [1], self_consistent: true, damping: 0.5, max_rounds: 2")
    _, decisions = computed(lambda request, site, u: 5.0)(driver)
    assert decisions[1].chains[0][-1].hubbard[0].value == 4.0


def test_layers_that_differ_get_a_u_each(driver_for):
    driver = driver_for("tolerance: 0.1 eV", LAYERS)

    def of_layer(request, site, u):
        return 4.0 + 0.5 * request.structure["site_properties"]["layer"][site]

    finished, decisions = computed(of_layer)(driver)
    assert decisions[1].chains[0][-1].hubbard == (HubbardU("Ti", "3d", 4.5, layers=(("SrTiO3:2", 5.0),)),)
    summary = strategy_of(driver).summarize(driver, finished)
    assert summary.words[-1].endswith('write hubbard: {Ti-3d: {"SrTiO3:1": 4.5, "SrTiO3:2": 5}}')
    assert list(summary.tables["response_U"]["layer"])[:2] == ["SrTiO3:1", "SrTiO3:2"]


def test_layers_that_agree_share_their_mean(driver_for):
    driver = driver_for("tolerance: 0.6 eV", LAYERS)
    _, decisions = computed(lambda r, site, u: 4.0 + 0.5 * r.structure["site_properties"]["layer"][site])(driver)
    assert decisions[1].chains[0][-1].hubbard == (HubbardU("Ti", "3d", 4.75),)


def test_what_is_recommended_is_what_a_campaign_takes(driver_for, campaign):
    driver = driver_for("tolerance: 0.1 eV", LAYERS)
    finished, _ = computed(lambda r, site, u: 4.0 + 0.5 * r.structure["site_properties"]["layer"][site])(driver)
    line = strategy_of(driver).summarize(driver, finished).words[-1].partition("write ")[2]
    text = LAYERS.replace("method:", f"{line}\nmethod:")
    values = {u.u for u in resolve_hubbard(*_first(campaign("", text))) if u}
    assert values == {4.5, 5.0}


def _first(campaign):
    request = campaign_chains(campaign)[0][0]
    return request.to_structure(), request.hubbard


def test_later_rounds_stand_on_the_structure_of_the_first_relaxation(driver_for):
    driver = driver_for("tolerance: 0.1 eV, max_rounds: 2", LAYERS, "relax, static, dos")
    _, decisions = computed(lambda request, site, u: 5.0)(driver)
    first, second = decisions[0].chains[0], decisions[1].chains[0]
    assert [r.step for r in first] == ["relax", "static", "response"]
    assert [r.step for r in second] == ["static", "response"]
    assert second[0].parent == first[0].id
    assert second[0].about["parent_folder"] == "../../Ti-3d-0eV.q1x1x1/relax"
    assert (second[1].parent, second[1].about["parent_folder"]) == (second[0].id, "../static")


def test_a_failure_ends_its_configuration_and_no_other(driver_for):
    driver = driver_for("qmeshes: [1, 2], orders: [AFM-A, FM]", CRN.replace("[AFM-A]", "[AFM-A, FM]"))
    finished, decisions = computed(by_mesh, fails=lambda r: r.about["order"] == "FM" and r.step == "static")(driver)
    assert len(decisions[1].chains) == 1
    summary = strategy_of(driver).summarize(driver, finished)
    assert any("FM" in words and "SCF not converged" in words for words in summary.words)
    assert summary.data["converged"] is False
    assert list(summary.data["recommended"]) == ["bulk AFM-A"]


def test_a_u_of_another_state_is_marked(driver_for):
    driver = driver_for("qmeshes: [1]")
    finished, _ = computed(by_mesh, verdict="flipped")(driver)
    summary = strategy_of(driver).summarize(driver, finished)
    assert "U of round 1, q-mesh 1x1x1 is of another state than asked for (flipped)" in summary.words[1]
    assert summary.words[-1].endswith("(not of the state asked for)")
    assert summary.data["configurations"][0]["measured"][0]["doubt"]


def test_a_u_that_is_none_ends_the_course(driver_for):
    driver = driver_for("qmeshes: [1, 2]")
    finished, decisions = computed(lambda request, site, u: 88.0)(driver)
    assert len(decisions) == 2
    assert "U = 88 eV of Cr 1 is none" in strategy_of(driver).summarize(driver, finished).words[0]


def test_a_static_step_with_u_is_that_of_the_campaign(driver_for, campaign):
    driver = driver_for("qmeshes: [1]")
    of_campaign = {request.id for chain in campaign_chains(campaign("qmeshes: [1]")) for request in chain}
    static, response = driver.points[0].chains[0]
    assert static.id in of_campaign
    assert response.id not in of_campaign


def test_without_a_u_occupations_are_still_computed(driver_for):
    driver = driver_for("max_rounds: 1", LAYERS)
    assert driver.points[0].chains[0][-1].hubbard == (HubbardU("Ti", "3d", 0.0, tracked=True),)


def test_a_driver_goes_on_from_the_folders_alone(driver_for, tmp_path):
    driver = driver_for("qmeshes: [1, 2], self_consistent: true")
    again = read_driver(write_driver(driver, tmp_path))
    finished, decisions = computed(lambda request, site, u: 5.0 - 0.3 * u)(driver)
    assert strategy_of(again).decide(again, finished) == decisions[-1]
    first = strategy_of(again).decide(again, MadeUp(lambda request: "")).chains
    assert [r.id for r in first[0]] == [r.id for r in decisions[0].chains[0]]


def test_equivalent_sites_share_their_mean_and_tell_their_spread(driver_for):
    driver = driver_for("qmeshes: [1]")
    finished, _ = computed(lambda request, site, u: 5.0 + 0.02 * site)(driver)
    summary = strategy_of(driver).summarize(driver, finished)
    row = summary.tables["response_U"].iloc[0]
    assert (row["sites"], row["U found (eV)"], row["spread (eV)"]) == ("Cr 1, 3", 5.02, 0.04)
    assert any("Cr 1, 3 are equivalent, their U differ by 0.040 eV" in words for words in summary.words)


def test_a_mesh_of_one_number_is_in_proportion_to_the_cell():
    assert mesh_of({"lattice": np.diag([3.0, 3.0, 6.0]).tolist()}, 3) == (3, 3, 2)
    assert mesh_of({"lattice": np.diag([3.0, 3.0, 6.0]).tolist()}, (1, 1, 2)) == (1, 1, 2)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("qmeshes: [3, 2]", "q-meshes go from coarse to dense"),
        ("qmeshes: [2, 2, 2]", "one mesh is written as"),
        ("qmeshes: [[1, 1, 2], [2, 1, 1]]", "q-meshes go from coarse to dense"),
        ("qmeshes: [0]", "no q-mesh"),
        ("qmeshes: [1, [2, 2, 2]]", "all q-meshes by one number"),
        ("tolerance: 0", "0; give more than 0"),
        ("tolerance: 0.1 Angstrom", "energy"),
        ("method: dfpt", "'hp' or 'shifts'"),
        ("elements: [N]", "'N' has no one d or f shell; write one of N-2p"),
        ("elements: [Cr-4f]", "Cr has 3d"),
        ("elements: [Xx-3d]", "no shell for a U"),
        ("elements: [Ti-3d]", "no structure holds Ti"),
        ("elements: []", "give at least one"),
        ("orders: [AFM-G]", "the campaign has no 'AFM-G'; did you mean 'AFM-A'"),
        ("structures: [bulc]", "the campaign has no 'bulc'"),
        ("max_rounds: 0", "0; give 1 or more"),
        ("damping: 0", "0; give more than 0"),
        ("qmesh: [1]", "qmesh"),
    ],
)
def test_bad_input_is_refused_in_one_line(driver_for, asked, message):
    with pytest.raises(CampaignError, match="linear_response") as error:
        driver_for(asked)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_hp_needs_quantum_espresso(campaign):
    with pytest.raises(CampaignError, match=r"hp\.x needs code: espresso, not vasp; write method: shifts"):
        build_driver(campaign("qmeshes: [1]").for_code("vasp"), "linear_response")


def test_nothing_to_compute_u_of_says_what_to_write(driver_for):
    with pytest.raises(CampaignError, match="no element with a U; write elements"):
        driver_for("qmeshes: [1]", CRN.replace("hubbard: {Cr-3d: [3.0, 4.0]}\n", ""))


def test_spin_orbit_coupling_is_refused(driver_for):
    text = CRN.replace("moments: {Cr: 3.0}", "moments: {Cr: 3.0}, axes: [[1, 0, 0]]")
    with pytest.raises(CampaignError, match="collinear moments without spin-orbit"):
        driver_for("qmeshes: [1]", text)


def test_u_and_j_apart_are_refused(driver_for):
    text = CRN.replace("[3.0, 4.0]", "{U: 4, J: 0.7}")
    with pytest.raises(CampaignError, match=r"hp\.x knows no J apart from U"):
        driver_for("qmeshes: [1]", text)


def test_a_made_up_drive_ends_as_the_driver_says(driver_for):
    driver = driver_for("qmeshes: [1]")
    _, decisions = drive_made_up(driver, lambda request: "it failed")
    assert decisions[-1].ended
