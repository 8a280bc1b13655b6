"""Drivers in the queue when something goes wrong: others' failures, changes under way, lost files, two at once."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest
from stand_in import build_site, end_of
from test_driving import OneAfterTheOther, break_program, driver_of, states, work

from heterodft.units import RYDBERG
from heterodft.workflows.calculation import finished_id
from heterodft.workflows.drivers.decisions import is_open, read_decision
from heterodft.workflows.drivers.driver import Driver, Point
from heterodft.workflows.drivers.variants import start_from
from heterodft.workflows.handover import has_density
from heterodft.workflows.queue import driving
from heterodft.workflows.queue.control import cancel, pause, resume, retry
from heterodft.workflows.queue.driving import run_ready_drivers, submit_driver
from heterodft.workflows.queue.launchpad import open_launchpad
from heterodft.workflows.queue.submission import submit
from heterodft.workflows.queue.summary import failure_reason, read_queue

pytestmark = [pytest.mark.espresso, pytest.mark.slow]


@pytest.fixture
def site(tmp_path, canned, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("heterodft.workflows.queue.driving.strategy_of", lambda driver: OneAfterTheOther())
    built = build_site(tmp_path, canned, jobs=1, seconds=0.1)
    yield built
    assert built.programs() == []


def renamed(request, campaign):
    return replace(request, about=request.about | {"campaign": campaign})


def looks(site):
    found = open_launchpad(site.settings).fireworks.find({}, {"state": 1, "spec.calculation": 1})
    return {fw["spec"]["calculation"]: fw["state"] for fw in found if "-" in fw["spec"]["calculation"]}


def folder_of(site, driver):
    return site.settings.runs / driver.name


def test_two_drivers_that_want_the_same_at_the_same_moment_compute_it_once(site):
    first = driver_of(site, 3)
    second = Driver("kspacing", first.campaign, first.points)
    moved = [replace(p, chains=tuple((renamed(*c, second.name),) for c in p.chains)) for p in first.points]
    second = replace(second, points=tuple(moved))
    for driver in (first, second):
        assert submit_driver(driver, site.settings) == "queued"
    workers = [site.start(), site.start()]
    assert [end_of(worker) for worker in workers] == [0, 0], site.log()
    assert states(site) == {"done": 3}
    assert submit_driver(first, site.settings) == submit_driver(second, site.settings) == "ended"


def test_a_driver_that_is_given_twice_at_the_same_moment_is_queued_once(site):
    driver = driver_of(site, 2)
    children = []
    for _ in range(3):
        children.append(os.fork())
        if not children[-1]:
            try:
                submit_driver(driver, site.settings)
                os._exit(0)
            finally:
                os._exit(1)
    assert [end_of(child) for child in children] == [0, 0, 0]
    assert looks(site) == {f"{driver.id}-1": "READY"}


def two_steps(site):
    """Return a calculation and one that starts from it, as a campaign has them."""
    first = replace(driver_of(site, 2).points[1].chains[0][0])
    second = driver_of(site, 3).points[2].chains[0]
    return (first, *start_from(second, first))


def test_what_waits_for_a_failed_step_of_another_campaign_is_not_waited_for(site):
    chain = two_steps(site)
    other = [renamed(chain[0], "other"), renamed(chain[1], "other")]
    break_program(site, ".v1")
    submit([other], site.settings)
    work(site)
    assert states(site) == {"done": 1, "failed": 1, "waiting": 1}
    driver = Driver("cutoff", "fail", (Point("one", 1.0, (chain,)),))
    assert submit_driver(driver, site.settings) == "queued"
    work(site)
    assert set(looks(site).values()) == {"COMPLETED"}
    assert submit_driver(driver, site.settings) == "ended"
    assert not is_open(folder_of(site, driver))


def test_a_new_step_below_a_failed_one_of_another_campaign_is_told_to_the_driver(site):
    chain = two_steps(site)
    break_program(site, ".v1")
    submit([[renamed(chain[0], "other")]], site.settings)
    work(site)
    driver = Driver("cutoff", "fail", (Point("one", 1.0, (chain,)),))
    submit_driver(driver, site.settings)
    work(site)
    assert submit_driver(driver, site.settings) == "ended"
    (site.settings.runs.parent / "broken").unlink()
    assert retry(site.settings, [request.id for request in chain])
    work(site)
    assert states(site) == {"done": 3}


def test_what_another_campaign_has_cancelled_is_taken_over_and_what_it_paused_is_waited_for(site):
    driver = driver_of(site, 3)
    second, third = (point.chains[0][0] for point in driver.points[1:])
    submit([[renamed(second, "other")], [renamed(third, "other")]], site.settings)
    cancel(site.settings, [second.id])
    pause(site.settings, [third.id])
    submit_driver(driver, site.settings)
    work(site)
    assert finished_id(site.settings.runs / second.path) == second.id
    assert states(site) == {"waiting": 1, "done": 2, "paused": 1}
    resume(site.settings, [third.id])
    work(site)
    assert submit_driver(driver, site.settings) == "ended"


def with_cutoff(point, cutoff):
    """Return a point of other calculations in the same folders."""
    chains = [[replace(r, settings=replace(r.settings, cutoff=cutoff)) for r in chain] for chain in point.chains]
    return replace(point, chains=tuple(map(tuple, chains)))


def test_a_driver_that_was_changed_waits_for_what_the_older_one_runs_in_the_same_folder(site):
    program = site.settings.bin_dir / "pw.x"
    program.write_text(program.read_text().replace("-lt 2", "-lt 30"))
    older = driver_of(site, 3)
    newer = replace(older, points=tuple(with_cutoff(point, 21 * RYDBERG) for point in older.points))
    submit_driver(older, site.settings)
    worker = site.start()
    folder = site.settings.runs / older.points[1].chains[0][0].path
    site.wait_until(lambda: site.events(folder) == ["start"], 60)
    assert submit_driver(newer, site.settings) == "queued"
    run_ready_drivers(open_launchpad(site.settings), site.settings)
    assert end_of(worker) == 0, site.log()
    assert submit_driver(newer, site.settings) == "ended"
    for point in newer.points:
        request = point.chains[0][0]
        assert finished_id(site.settings.runs / request.path) == request.id
    assert not (folder_of(site, newer) / "failure.json").exists()


def test_a_fault_in_a_strategy_is_told_and_mended_by_giving_the_driver_again(site, monkeypatch):
    class Faulty(OneAfterTheOther):
        def decide(self, driver, finished):
            return {}[driver]

    driver = driver_of(site, 2)
    submit_driver(driver, site.settings)
    with monkeypatch.context() as patch:
        patch.setattr(driving, "strategy_of", lambda driver: Faulty())
        work(site)
    (failed,) = [entry for entry in read_queue(site.settings) if entry.state == "failed"]
    assert failed.path == "fail.cutoff/driver"
    reason = failure_reason(failed.folder)
    assert reason.startswith("a fault of heterodft (TypeError")
    assert "please report" in reason
    assert submit_driver(driver, site.settings) == "queued"
    work(site)
    assert states(site) == {"done": 2}
    assert not (failed.folder / "failure.json").exists()


def test_a_damaged_driver_is_told_and_written_again(site, capfd):
    driver = driver_of(site, 2)
    submit_driver(driver, site.settings)
    (folder_of(site, driver) / "driver.json").write_text("{")
    run_ready_drivers(open_launchpad(site.settings), site.settings)
    assert "Traceback" not in "".join(capfd.readouterr())
    assert not (site.settings.runs.parent / "FW.json").exists()
    assert "give heterodft converge again" in failure_reason(folder_of(site, driver))
    assert states(site) == {"ready": 1, "failed": 1}
    assert submit_driver(driver, site.settings) == "queued"
    work(site)
    assert states(site) == {"done": 2}


def test_a_look_of_a_driver_that_was_replaced_ends_quietly(site):
    older, newer = driver_of(site, 2), driver_of(site, 3)
    submit_driver(older, site.settings)
    launchpad = open_launchpad(site.settings)
    look = launchpad.fireworks.find_one({"spec.calculation": f"{older.id}-1"})["fw_id"]
    submit_driver(newer, site.settings)
    launchpad.fireworks.update_one({"fw_id": look}, {"$set": {"state": "READY"}})
    work(site)
    assert set(looks(site).values()) == {"COMPLETED"}
    assert states(site) == {"done": 3}


def test_a_cancelled_campaign_of_a_driver_goes_on_when_it_is_given_again(site, heterodft_inside):
    (site.settings.runs.parent / "heterodft.yaml").write_text(f"launchpad: {{host: '{site.settings.host}'}}\n")
    program = site.settings.bin_dir / "pw.x"
    program.write_text(program.read_text().replace("-lt 2", "-lt 40"))
    driver = driver_of(site, 3)
    submit_driver(driver, site.settings)
    worker = site.start()
    folder = site.settings.runs / driver.points[1].chains[0][0].path
    site.wait_until(lambda: site.events(folder) == ["start"], 60)
    ours = [entry.identity for entry in read_queue(site.settings) if entry.campaign == "fail.cutoff"]
    cancelled = cancel(site.settings, ours)
    assert (len(cancelled.running), len(cancelled.waiting)) == (1, 1)
    assert end_of(worker) == 0, site.log()
    assert states(site) == {"done": 1, "cancelled": 2}, "the calculation, and the look behind it"
    told = heterodft_inside("status").stdout
    assert "fail.cutoff: point 2 (cancelled; heterodft converge with its file goes on)" in told
    assert [line.split()[1] for line in told.splitlines() if "fail.cutoff/driver" in line] == ["cancelled"]
    program.write_text(program.read_text().replace("-lt 40", "-lt 2"))
    assert submit_driver(driver, site.settings) == "queued"
    work(site)
    assert submit_driver(driver, site.settings) == "ended"
    assert states(site) == {"done": 3}


def test_without_its_queue_a_driver_goes_on_from_the_folders(site):
    driver = driver_of(site, 3)
    submit_driver(driver, site.settings)
    work(site)
    starts = [site.events(site.settings.runs / p.chains[0][0].path).count("start") for p in driver.points]
    (site.settings.runs / driver.points[2].chains[0][0].path / "result.json").unlink()
    for path in site.queue.parent.glob("queue.sqlite*"):
        path.unlink()
    assert submit_driver(driver, site.settings) == "queued"
    work(site)
    assert submit_driver(driver, site.settings) == "ended"
    again = [site.events(site.settings.runs / p.chains[0][0].path).count("start") for p in driver.points]
    assert again[:2] == starts[:2] == [1, 1]


def test_a_density_stays_as_long_as_a_driver_may_start_from_it(site):
    settings = replace(site.settings, keep_files="results")
    driver = driver_of(site, 3, ramp=True)
    submit_driver(driver, settings)
    assert end_of(site.start(keep_files="results")) == 0, site.log()
    assert states(site) == {"done": 3}
    folders = [site.settings.runs / point.chains[0][0].path for point in driver.points]
    assert [finished_id(folder) for folder in folders] == [point.chains[0][0].id for point in driver.points]
    assert not any(map(has_density, folders)), "they go when it has ended"


def test_a_point_whose_density_a_campaign_did_not_keep_is_computed_again(site):
    assert end_of(site.start(keep_files="results")) == 0, site.log()
    driver = driver_of(site, 2, ramp=True)
    submit_driver(driver, replace(site.settings, keep_files="results"))
    (folder,) = site.folders()
    assert finished_id(folder)
    assert not has_density(folder)
    assert end_of(site.start(keep_files="results")) == 0, site.log()
    assert states(site) == {"done": 2}
    assert site.events(folder).count("start") == 2


def test_status_says_what_a_driver_decided_last(site, heterodft_inside):
    driver = driver_of(site, 2)
    submit_driver(driver, site.settings)
    assert read_decision(folder_of(site, driver)) == ("point 1", False)
    (site.settings.runs.parent / "heterodft.yaml").write_text(f"launchpad: {{host: '{site.settings.host}'}}\n")
    assert "fail.cutoff: point 1" in heterodft_inside("status").stdout
    work(site)
    assert "fail.cutoff: all done" in heterodft_inside("status").stdout
    assert "fail.cutoff" not in heterodft_inside("status", "fail/job-000").stdout
    told = json.loads(heterodft_inside("status", "fail.cutoff", "--json").stdout)
    assert told["drivers"] == [{"name": "fail.cutoff", "words": "all done", "ended": True}]
