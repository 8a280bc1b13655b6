"""Drivers in the queue: detours, the same calculation once, failures, retries, a worker that dies."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace

import pytest
from stand_in import build_site, end_of

from heterodft.workflows import drivers
from heterodft.workflows.calculation import finished_id
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.chains import campaign_chains
from heterodft.workflows.drivers.driver import Decision, Driver, Point, Summary, read_driver
from heterodft.workflows.drivers.variants import as_variant, start_from
from heterodft.workflows.queue.control import cancel, retry
from heterodft.workflows.queue.driving import run_ready_drivers, submit_driver
from heterodft.workflows.queue.launchpad import open_launchpad
from heterodft.workflows.queue.pool import recover
from heterodft.workflows.queue.reservation import chain_of
from heterodft.workflows.queue.submission import submit
from heterodft.workflows.queue.summary import count_states, read_queue

pytestmark = [pytest.mark.espresso, pytest.mark.slow]


class OneAfterTheOther:
    """Computes its points in their order; a failed one is left out."""

    def decide(self, driver, finished):
        for number, point in enumerate(driver.points, start=1):
            left = [c for c in point.chains if not finished.is_finished(c) and not finished.chain_failure(c)]
            if left:
                return Decision(tuple(left), f"point {number}")
        return Decision((), "all done")

    def summarize(self, driver, finished, *, figures=False):
        return Summary("", {}, (), {})


@pytest.fixture
def site(tmp_path, canned, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(drivers, "strategy_of", lambda driver: OneAfterTheOther())
    monkeypatch.setattr("heterodft.workflows.queue.driving.strategy_of", lambda driver: OneAfterTheOther())
    built = build_site(tmp_path, canned, jobs=1, seconds=0.1)
    yield built
    assert built.programs() == []


def driver_of(site, points=3, *, ramp=False):
    chain = campaign_chains(load_campaign(site.settings.runs.parent / "k.yaml"))[0]
    found = []
    for number in range(points):
        settings = replace(chain[0].settings, scf_tolerance=chain[0].settings.scf_tolerance * (1 + 1e-3 * number))
        (request,) = as_variant([replace(chain[0], settings=settings)], "fail.cutoff", f"v{number}")
        one = start_from([request], found[-1].chains[0][0]) if ramp and found else (request,)
        found.append(Point(f"v{number}", float(number), (one,)))
    return Driver("cutoff", "fail", tuple(found))


def work(site):
    assert end_of(site.start()) == 0, site.log()


def states(site):
    return count_states(read_queue(site.settings))


def test_a_driver_computes_its_points_one_after_the_other_and_ends(site):
    driver = driver_of(site)
    assert submit_driver(driver, site.settings) == "queued"
    assert submit_driver(driver, site.settings) == "waiting"
    assert [entry.path for entry in read_queue(site.settings)][-1] == "fail.cutoff/driver"
    work(site)
    assert read_driver(site.settings.runs / "fail.cutoff") == driver
    assert states(site) == {"done": 3}, "the first is that of the campaign, shared; looks are not counted"
    for point in driver.points:
        request = point.chains[0][0]
        assert finished_id(site.settings.runs / request.path) == request.id
    assert submit_driver(driver, site.settings) == "ended"


def test_a_calculation_of_the_campaign_is_shared_and_waited_for(site):
    driver = driver_of(site, 1)
    assert submit_driver(driver, site.settings) == "queued"
    work(site)
    folder = site.settings.runs / driver.points[0].chains[0][0].path
    assert folder.is_symlink()
    assert len(read_queue(site.settings)) == 1
    (only,) = site.folders()
    assert site.events(only).count("start") == 1


def test_each_point_may_start_from_the_density_of_the_last(site):
    driver = driver_of(site, ramp=True)
    submit_driver(driver, site.settings)
    work(site)
    second = driver.points[1].chains[0][0]
    assert second.parent == driver.points[0].chains[0][0].id
    text = (site.settings.runs / second.path / "pw.in").read_text()
    assert "startingpot      = 'file'" in text
    assert states(site) == {"done": 3}


def break_program(site, folder_part):
    """Make the stand-in fail in folders of that name as long as a file is there."""
    path = site.settings.bin_dir / "pw.x"
    text = path.read_text()
    guard = f'case "$PWD" in *{folder_part}*) [ -e "{site.settings.runs.parent}/broken" ] && exit 1 ;; esac\n'
    path.write_text(text.replace("n=0\n", guard + "n=0\n"))
    (site.settings.runs.parent / "broken").touch()


def test_a_failed_point_is_told_to_the_driver_which_goes_on_and_a_retry_is_taken_in(site):
    break_program(site, ".v1")
    driver = driver_of(site)
    submit_driver(driver, site.settings)
    work(site)
    assert states(site) == {"done": 2, "failed": 1}
    assert submit_driver(driver, site.settings) == "ended"
    (site.settings.runs.parent / "broken").unlink()
    assert retry(site.settings, [driver.points[1].chains[0][0].id])
    work(site)
    assert states(site) == {"done": 3}
    looks = [
        fw["state"] for fw in open_launchpad(site.settings).fireworks.find({}) if "-" in fw["spec"]["calculation"]
    ]
    assert set(looks) == {"COMPLETED"}


def test_a_worker_that_is_killed_anywhere_leaves_a_driver_that_goes_on(site):
    driver = driver_of(site, 4)
    submit_driver(driver, site.settings)
    for seconds in (0.3, 0.5, 0.7, 0.9, 1.1):
        worker = site.start()
        time.sleep(seconds)
        os.kill(worker, signal.SIGKILL)
        os.waitpid(worker, 0)
        recover(site.settings)
    work(site)
    assert states(site) == {"done": 4}
    assert submit_driver(driver, site.settings) == "ended"
    site.wait_until(lambda: not site.programs())


def test_batch_jobs_of_one_calculation_leave_the_drivers_to_whoever_launches_them(site):
    submit_driver(driver_of(site, 2), site.settings)
    launchpad = open_launchpad(site.settings)
    run_ready_drivers(launchpad, site.settings)
    waiting = {entry.path: entry.state for entry in read_queue(site.settings)}
    assert waiting["fail.cutoff/driver"] == "waiting"
    first = launchpad.fireworks.find_one({"state": "READY"}, sort=[("fw_id", 1)])
    assert chain_of(launchpad, first["fw_id"]) == [first["fw_id"]]
    work(site)
    assert states(site) == {"done": 2}


def test_a_driver_whose_question_changed_replaces_the_older_one(site):
    first, second = driver_of(site, 2), driver_of(site, 3)
    submit_driver(first, site.settings)
    submit_driver(second, site.settings)
    work(site)
    assert read_driver(site.settings.runs / "fail.cutoff") == second
    assert states(site) == {"done": 3}


def test_a_cancelled_driver_goes_on_where_it_was(site):
    driver = driver_of(site)
    submit_driver(driver, site.settings)
    look = next(entry for entry in read_queue(site.settings) if entry.path.endswith("/driver"))
    cancel(site.settings, [look.identity])
    work(site)
    assert states(site) == {"done": 1, "cancelled": 1}
    assert submit_driver(driver, site.settings) == "queued"
    work(site)
    assert states(site) == {"done": 3}


def test_results_that_were_lost_are_computed_again(site):
    driver = driver_of(site, 2)
    submit_driver(driver, site.settings)
    work(site)
    (site.settings.runs / driver.points[1].chains[0][0].path / "result.json").unlink()
    assert submit_driver(driver, site.settings) == "queued"
    work(site)
    assert submit_driver(driver, site.settings) == "ended"


def test_the_same_calculation_wanted_by_a_campaign_and_a_driver_runs_once(site):
    driver = driver_of(site, 2)
    submit_driver(driver, site.settings)
    request = driver.points[1].chains[0][0]
    own = replace(request, about=request.about | {"campaign": "other", "variant": ""})
    submit([[own]], site.settings)
    work(site)
    assert states(site) == {"done": 2}
    assert site.settings.runs.joinpath(request.path).is_symlink()
