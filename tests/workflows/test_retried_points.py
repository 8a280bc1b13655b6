"""A point that failed, was passed over, and is finished by a retry: what was computed behind it stays."""

from __future__ import annotations

from math import exp

import pytest
from drive_here import MadeUp
from test_convergence_driver import CRN, CUTOFF, _decaying, _driver, _made
from test_hubbard_driver import SCAN, Bistable, driver_of, u_of

from heterodft.analysis.result import SiteValues
from heterodft.units import RYDBERG
from heterodft.workflows.calculation import write_request
from heterodft.workflows.drivers import strategy_of
from heterodft.workflows.drivers.driver import Finished


class Retried(MadeUp):
    """Calculations some of which fail until they are retried."""

    def __init__(self, result_of, failing):
        self.broken = True
        super().__init__(lambda r: "the SCF cycle did not converge" if self.broken and failing(r) else result_of(r))

    def retry(self):
        self.broken = False
        self.computed = {key: found for key, found in self.computed.items() if not isinstance(found, str)}


def drive(driver, finished):
    """Go on to the end; return the requests that were computed."""
    before = set(finished.computed)
    computed = []
    for _ in range(100):
        decision = strategy_of(driver).decide(driver, finished)
        if decision.ended:
            return computed
        for chain in decision.chains:
            for request in chain:
                finished.compute(request)
                if request.id not in before:
                    computed.append(request)
                    before.add(request.id)
                if finished.failure(request) is not None:
                    break
    raise AssertionError("it never ends")


def test_points_behind_a_retried_one_are_not_computed_again(tmp_path):
    driver = _driver(tmp_path, CUTOFF)
    finished = Retried(_decaying(), lambda r: round(r.settings.cutoff / RYDBERG) == 40 and r.about["order"] == "FM")
    drive(driver, finished)
    before = strategy_of(driver).summarize(driver, finished).data
    finished.retry()
    again = drive(driver, finished)
    assert [request.path for request in again] == ["crn.cutoff/bulk/FM/Cr-3d-3eV.40Ry/static"]
    after = strategy_of(driver).summarize(driver, finished).data
    assert (before["recommended_label"], after["recommended_label"]) == ("70 Ry", "70 Ry")
    assert [len(before["failed"]), len(after["failed"])] == [1, 0]
    assert after["computed"] == len(finished.computed) == 12


def test_a_branch_behind_a_retried_point_is_not_computed_again(tmp_path):
    driver = driver_of(tmp_path)
    finished = Retried(Bistable(), lambda r: u_of(r) == 2 and r.about["variant"] == "up")
    drive(driver, finished)
    finished.retry()
    again = drive(driver, finished)
    assert [request.path for request in again] == ["crn.hubbard/bulk/FM/Cr-3d-2eV.up/static"]


def test_a_ramp_keeps_its_beginning_when_a_better_start_is_finished_later(tmp_path):
    driver = driver_of(tmp_path, SCAN + "    starts: [0.5, 1.0]\n    branches: [up]\n")
    made = Bistable()
    finished = Retried(made, lambda r: r.about["variant"] == "cold-0.5")
    drive(driver, finished)
    finished.retry()
    again = drive(driver, finished)
    assert {request.about["variant"] for request in again} == {"cold-0.5"}


def test_a_ramp_that_began_one_later_keeps_what_it_has(tmp_path):
    driver = driver_of(tmp_path, SCAN + "    branches: [up]\n")
    finished = Retried(Bistable(), lambda r: u_of(r) == 0)
    drive(driver, finished)
    finished.retry()
    again = drive(driver, finished)
    assert [request.path.split("/")[-2] for request in again] == ["Cr-3d-0eV.cold", "Cr-3d-1eV.up"]


@pytest.mark.parametrize("section", [CUTOFF, CUTOFF.replace("cutoff: {", "cutoff: {start_from: previous, ")])
def test_the_same_folders_give_the_same_decision_in_any_order(tmp_path, section):
    driver = _driver(tmp_path, section)
    finished = Retried(_decaying(), lambda r: round(r.settings.cutoff / RYDBERG) == 50)
    drive(driver, finished)
    turned = MadeUp(None)
    turned.computed = dict(reversed(finished.computed.items()))
    one, other = (strategy_of(driver).summarize(driver, each).data for each in (finished, turned))
    assert one == other


def test_a_failure_of_other_settings_is_none_of_these(tmp_path):
    texts = CRN, CRN.replace("kpoints: [4, 4, 3]", "kpoints: [4, 4, 4]")
    (first, _), (second, _) = (_driver(tmp_path, CUTOFF, text).points[0].chains for text in texts)
    assert first[0].path == second[0].path
    folder = tmp_path / "runs" / first[0].path
    write_request(first[0], folder)
    (folder / "failure.json").write_text('{"reason": "pw.x was killed", "interrupted": false}')
    finished = Finished(tmp_path / "runs")
    assert finished.failure(first[0]) == "pw.x was killed"
    assert finished.failure(second[0]) is None


def test_two_orders_that_end_in_one_state_have_no_difference_that_converges(tmp_path):
    def result_of(request):
        per_atom = 5.0 * exp(-0.12 * request.settings.cutoff / RYDBERG)
        sizes = tuple(abs(moment) for moment in request.moments)  # both end up FM, and nobody says so
        return _made(request, 4 * per_atom - 900.0, sites={"sphere": SiteValues("sphere", sizes, sizes)})

    driver = _driver(tmp_path, CUTOFF.replace("energy: 1 meV/atom", "order_energy: 1 meV/f.u."))
    finished = MadeUp(result_of)
    drive(driver, finished)
    summary = strategy_of(driver).summarize(driver, finished)
    assert summary.data["converged"] is False
    assert any("both are in one state: FM" in line for line in summary.words)
