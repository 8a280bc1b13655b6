"""Linear response by shifts: which calculations, in which rounds, and what is said of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from drive_here import MadeUp

from heterodft.analysis.result import HubbardOccupations, Result, SiteValues
from heterodft.errors import CampaignError
from heterodft.workflows.calculation import read_request, request_from_data, write_request
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.drivers import build_driver, shifts
from heterodft.workflows.drivers.driver import read_driver, write_driver

CAMPAIGN = """\
name: resp
code: espresso
materials:
  SrTiO3: {prototype: perovskite, a: 3.905}
  LaAlO3: {prototype: perovskite, a: 3.79}
  CrN: {prototype: rocksalt, a: 4.15}
structures:
  bulk: {stack: [{material: SrTiO3, layers: 1}]}
  sl: {stack: [{material: SrTiO3, layers: 3}, {material: LaAlO3, layers: 2}], in_plane: SrTiO3}
  crn: {stack: [{material: CrN, layers: 2}], magnetism: {orders: [AFM-A], moments: {Cr: 3.0}}, hubbard: {Cr-3d: 3.0}}
magnetism: {orders: [NM]}
method: {protocol: fast, cutoff: 20 Ry, kspacing: 1.7}
steps: [relax, static, dos]
"""


@dataclass(frozen=True)
class Asked:
    elements: tuple[str, ...] = ("Ti",)
    shifts: tuple[float, ...] = ()
    structures: tuple[str, ...] = ("bulk",)
    orders: tuple[str, ...] = ()


@pytest.fixture
def campaign(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(CAMPAIGN)
    return load_campaign(path)


def build(campaign, **asked: Any):
    return shifts.build(campaign, Asked(**asked), notes=[])


CHI0, CHI = -0.27, -0.13


def answers(request, *, curved=0.0, occupation=lambda element, site: 2.0):
    """A cell whose Hubbard sites answer only their own shift; `curved` in electrons per eV²."""
    structure = request.to_structure()
    moments = request.moments
    occupations = []
    for i, site in enumerate(structure):
        if site.species_string in ("Ti", "Cr"):
            n = occupation(site.species_string, site)
            if request.shift is not None and request.shift.site == i:
                alpha = request.shift.alpha
                n += (CHI0 if request.step == "shift-bare" else CHI) * alpha + curved * alpha**2
            m = 0.0 if moments is None else moments[i]
            occupations.append(HubbardOccupations(i, "3d", np.stack([np.eye(5) * (n + s * m) / 10 for s in (1, -1)])))
    spheres = {"sphere": SiteValues("sphere", (5.0,) * len(structure), moments)}
    return Result(
        "espresso", "6.7", request.step, structure, 10.0, -100.0, (0.0,), None if moments is None else 0.0, None,
        spheres, True, 5, 1e-9, 1.0, 1.0, occupations=tuple(occupations),
    )  # fmt: skip


def drive(driver, result_of=answers):
    finished, decisions = MadeUp(result_of), []
    while not decisions or not decisions[-1].ended:
        assert len(decisions) < 10
        decisions.append(shifts.decide(driver, finished))
        for chain in decisions[-1].chains:
            for request in chain:
                finished.compute(request)
                if finished.failure(request) is not None:
                    break
    return finished, decisions


def test_the_ground_state_comes_first_then_every_shift_in_one_round(campaign):
    driver = build(campaign)
    _, decisions = drive(driver)
    assert [[r.step for r in chain] for chain in decisions[0].chains] == [["relax", "static"]]
    asked = [(r.step, r.shift.site, r.shift.alpha) for (r,) in decisions[1].chains]
    titanium = 2
    assert asked == [
        (step, titanium, alpha) for alpha in (-0.1, -0.05, 0.05, 0.1) for step in ("shift-bare", "shift")
    ]
    assert decisions[2].ended
    assert decisions[1].words == "bulk NM noU: 4 shifts of Ti3, bare and screened"


def test_u_is_found_and_told(campaign):
    driver = build(campaign)
    finished, _ = drive(driver)
    summary = shifts.summarize(driver, finished, figures=True)
    [row] = summary.data["recommended"]
    assert row["U (eV)"] == pytest.approx(1 / CHI0 - 1 / CHI, abs=1e-4)
    assert (row["element"], row["shell"], row["site"], row["sites alike"], row["points"]) == ("Ti", "3d", 3, 1, 5)
    assert summary.words[0].startswith("bulk NM noU: U(Ti3 in SrTiO3:1-3d) = 3.99 ± ")
    assert json.loads(json.dumps(summary.data))["ended"] is True
    assert list(summary.figures) == ["bulk-NM-noU"]
    assert len(summary.tables["u"]) == 1


def test_the_ground_state_is_tight_tracked_and_in_a_folder_of_its_own(campaign):
    [point] = build(campaign).points
    static = point.chains[0][-1]
    assert static.path == "resp.linear_response/bulk/NM/noU.alpha/static"
    assert [(u.element, u.value, u.tracked) for u in static.hubbard] == [("Ti", 0.0, True)]
    assert static.settings.scf_tolerance == pytest.approx(1e-11 * 13.6057, rel=1e-4)
    assert static.settings.origin["scf_tolerance"] == "linear response"


def test_a_shift_starts_from_the_ground_state_beside_it(campaign, tmp_path):
    driver = build(campaign)
    _, decisions = drive(driver)
    static = driver.points[0].chains[0][-1]
    (shift,) = decisions[1].chains[0]
    assert shift.parent == static.id
    folder = tmp_path / shift.path
    assert (folder / shift.about["parent_folder"]).resolve() == (tmp_path / static.path).resolve()
    assert shift.to_setup().takes.text == "structure, density"
    write_request(shift, folder)
    assert read_request(folder) == shift
    assert request_from_data(json.loads(shift.to_text())).id == shift.id


def test_every_shift_has_an_identity_and_a_folder_of_its_own(campaign):
    _, decisions = drive(build(campaign))
    requests = [r for (r,) in decisions[1].chains]
    assert len({r.id for r in requests}) == len({r.path for r in requests}) == 8
    assert "shift" not in replace(requests[0], shift=None).identity()


def test_the_driver_goes_on_after_it_was_read_back(campaign, tmp_path):
    driver = build(campaign)
    finished, _ = drive(driver)
    again = read_driver(write_driver(driver, tmp_path))
    assert again == driver
    assert shifts.decide(again, finished).ended


def test_only_inequivalent_sites_are_shifted_and_an_interface_differs_from_the_bulk(campaign):
    """Of three TiO2 planes between LaAlO3 the outer two are alike here; by occupation the middle differs."""
    driver = build(campaign, structures=("sl",))

    def occupation(_element, site):
        return 2.1 if site.properties["layer"] == 2 else 2.0

    finished, decisions = drive(driver, lambda request: answers(request, occupation=occupation))
    rows = shifts.summarize(driver, finished).data["recommended"]
    assert len(decisions[1].chains) == 8 * len(rows)
    assert sum(row["sites alike"] for row in rows) == 3
    assert {row["layer"] for row in rows} >= {"SrTiO3:1", "SrTiO3:2"}


def test_the_two_spins_of_an_antiferromagnet_are_shifted_once(campaign):
    driver = build(campaign, elements=("Cr",), structures=("crn",))
    finished, decisions = drive(driver)
    assert {r.shift.site for (r,) in decisions[1].chains} == {0}
    [row] = shifts.summarize(driver, finished).data["recommended"]
    assert (row["sites alike"], row["U given (eV)"]) == (2, 3.0)


def test_a_curved_response_asks_once_for_smaller_shifts(campaign):
    driver = build(campaign)
    finished, decisions = drive(driver, lambda request: answers(request, curved=0.4))
    assert [len(decision.chains) for decision in decisions] == [1, 8, 8, 0]
    assert decisions[2].words == "bulk NM noU: the response of Ti3 is no straight line; smaller shifts"
    assert {r.shift.alpha for (r,) in decisions[2].chains} == {-0.025, -0.0125, 0.0125, 0.025}
    summary = shifts.summarize(driver, finished)
    assert summary.data["recommended"][0]["U (eV)"] == pytest.approx(1 / CHI0 - 1 / CHI, rel=1e-3)
    assert any("lie beyond the straight line" in words for words in summary.words)


def test_a_response_that_stays_curved_is_said_and_not_asked_for_again(campaign):
    driver = build(campaign)
    finished, decisions = drive(driver, lambda request: answers(request, curved=20.0))
    assert len(decisions) == 4
    summary = shifts.summarize(driver, finished)
    assert summary.data["recommended"][0]["linear"] is False
    assert any("is no straight line even for the smallest shifts" in words for words in summary.words)


def test_a_state_that_a_shift_changed_is_left_out_and_said(campaign):
    def flips(request):
        result = answers(request)
        if request.shift is not None and request.shift.alpha == 0.1:
            spheres = SiteValues("sphere", (5.0,) * len(result.structure), (0.0,) * len(result.structure))
            return replace(result, sites={"sphere": spheres})
        return result

    driver = build(campaign, elements=("Cr",), structures=("crn",))
    finished, _ = drive(driver, flips)
    summary = shifts.summarize(driver, finished)
    assert summary.data["recommended"][0]["points"] == 4
    assert sum("left out, it ended in another magnetic state" in words for words in summary.words) == 2


def test_shifts_that_failed_are_left_out_and_said(campaign):
    def fails(request):
        return "SCF not converged" if request.shift and request.shift.alpha == 0.1 else answers(request)

    driver = build(campaign)
    finished, decisions = drive(driver, fails)
    assert decisions[-1].ended
    summary = shifts.summarize(driver, finished)
    assert summary.data["recommended"][0]["points"] == 4
    assert sum("failed and is left out: SCF not converged" in words for words in summary.words) == 2


def test_a_ground_state_that_failed_ends_its_configuration(campaign):
    driver = build(campaign)
    finished, decisions = drive(driver, lambda _request: "pw.x died")
    assert [decision.ended for decision in decisions] == [False, True]
    assert shifts.summarize(driver, finished).words == (
        "bulk NM noU: resp.linear_response/bulk/NM/noU.alpha/relax: pw.x died",
    )


def test_a_ground_state_in_another_state_is_said(campaign):
    driver = build(campaign, elements=("Cr",), structures=("crn",))

    class Flipped(MadeUp):
        def result(self, request):
            found = super().result(request)
            if found is not None:
                found.request["state"] = {"verdict": "flipped", "sites": [0]}
            return found

    finished = Flipped(answers)
    for request in driver.points[0].chains[0]:
        finished.compute(request)
    words = shifts.summarize(driver, finished).words
    assert "crn AFM-A Cr-3d-3eV: the ground state is not the one asked for (flipped)" in words[0]


def test_by_default_the_elements_with_a_u_are_shifted(campaign):
    driver = build(campaign, elements=(), structures=())
    assert [point.label for point in driver.points] == ["crn AFM-A Cr-3d-3eV"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"shifts": (0.05, 0.1)}, "a slope at zero needs shifts of both signs"),
        ({"shifts": (0.0, 0.1)}, "a shift of 0 eV"),
        ({"shifts": (-5.0, 5.0)}, "a shift of -5 eV; give some of up to 1 eV"),
        ({"shifts": (-0.1, 0.1, 0.1)}, "names a shift twice"),
        ({"elements": ("O",)}, "O has no d or f shell"),
        ({"elements": ("Ti-4f",)}, "Ti has no 4f but 3d"),
        ({"elements": ("Ni",)}, "no configuration holds Ni"),
        ({"structures": ("bluk",)}, "no structure is called 'bluk'; did you mean 'bulk'?"),
    ],
)
def test_bad_requests_are_one_line(campaign, asked, message):
    with pytest.raises(CampaignError) as error:
        build(campaign, **asked)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_vasp_is_refused_beside_a_u(campaign):
    with pytest.raises(CampaignError, match=r"VASP shifts a site .LDAUTYPE 3. only without U, and Cr has one"):
        build(campaign.for_code("vasp"), elements=("Cr",), structures=("crn",))


def test_a_site_that_answers_the_wrong_way_has_no_u(campaign):
    def result_of(request):
        turned = None if request.shift is None else replace(request.shift, alpha=-request.shift.alpha)
        return answers(request if request.step == "shift-bare" else replace(request, shift=turned))

    driver = build(campaign)
    finished, _ = drive(driver, result_of)
    words = shifts.summarize(driver, finished).words
    assert any("Ti3 in SrTiO3:1: electrons go where the potential is raised" in line for line in words)


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("{method: shifts, elements: [Ti], self_consistent: true}", "self_consistent"),
        ("{method: shifts, elements: [Ti], qmeshes: [1, 2]}", "qmeshes"),
        ("{elements: [Ti], shifts: [-0.1, 0.1]}", "shifts"),
    ],
)
def test_what_belongs_to_the_other_method_is_refused(tmp_path, section, key):
    path = tmp_path / "c.yaml"
    path.write_text(CAMPAIGN + f"converge:\n  linear_response: {section}\n")
    with pytest.raises(CampaignError, match=f"{key} belongs to method: "):
        build_driver(load_campaign(path), "linear_response")
