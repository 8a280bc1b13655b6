"""A driver on a server, where a worker dies between any two calls while the driver looks at its results."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace

import pytest
from fireworks import FWorker
from fireworks.core.rocket import Rocket
from test_sweep import assert_everything_ran, deaths, drain

from heterodft.analysis.result import ARRAYS_FILE
from heterodft.workflows.calculation import finished_id
from heterodft.workflows.campaign_file import load_campaign
from heterodft.workflows.chains import campaign_chains
from heterodft.workflows.drivers.driver import Decision, Driver, Point
from heterodft.workflows.drivers.variants import as_variant
from heterodft.workflows.queue import driving
from heterodft.workflows.queue.reconciliation import requeue, running_of
from heterodft.workflows.queue.submission import submit
from heterodft.workflows.queue.sweep import sweep
from heterodft.workflows.settings_file import load_settings


class OneByOne:
    def decide(self, driver, finished):
        for point in driver.points:
            ((request,),) = point.chains
            if finished_id(finished.runs / request.path) != request.id:
                return Decision(point.chains, f"{point.label} next")
        return Decision((), "all done")


class FakeResult:
    energy, converged = -1.0, True


def compute(folder, identity, _settings):
    (folder / "result.json").write_text(json.dumps({"id": identity}))
    (folder / ARRAYS_FILE).touch()
    return FakeResult()


@pytest.fixture
def driver(tiny_file):
    chain = campaign_chains(load_campaign(tiny_file))[0][:1]
    points = []
    for number in range(3):
        (request,) = as_variant(chain, "tiny.cutoff", f"v{number}")
        cutoff = request.settings.cutoff + number
        points.append(
            Point(f"v{number}", number, ((replace(request, settings=replace(request.settings, cutoff=cutoff)),),))
        )
    return Driver("cutoff", "tiny", tuple(points))


@pytest.mark.parametrize("shared", [False, True])
def test_whenever_a_worker_dies_in_a_look_the_driver_goes_on(tmp_path, driver, shared, monkeypatch):
    used = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fireworks.core.rocket.start_ping_launch", lambda *_: None)  # a thread of the dead
    for module in ("driving", "submission"):
        monkeypatch.setattr(f"heterodft.workflows.queue.{module}.open_launchpad", lambda *_, **__: used[-1])
    monkeypatch.setattr(driving, "strategy_of", lambda driver: OneByOne())
    monkeypatch.setattr("heterodft.workflows.queue.firetasks.run_calculation", compute)
    monkeypatch.setattr("heterodft.workflows.queue.launchpad.is_alive", lambda name: False)
    settings = load_settings()

    def prepare(launchpad):
        shutil.rmtree(settings.runs, ignore_errors=True)
        used.append(launchpad)
        driving.submit_driver(driver, settings)
        if shared:
            ((own,),) = driver.points[0].chains
            submit([[replace(own, about=own.about | {"campaign": "other"})]], settings)

    def look(launchpad):
        number = launchpad.fireworks.find_one({"spec._category": "driver"})["fw_id"]
        Rocket(launchpad, FWorker("first"), number).run()

    count = 0
    for launchpad in deaths(tmp_path / "queue.sqlite", prepare, look):
        used.append(launchpad)
        sweep(launchpad, patience=0)
        requeue(launchpad, running_of(launchpad, ["first"]), "RUNNING")
        drain(launchpad)
        assert driving.submit_driver(driver, settings) == "ended", count
        assert_everything_ran(launchpad)
        told = Counter(fw["spec"]["calculation"] for fw in launchpad.fireworks.find())
        assert set(told.values()) == {1}, (count, told)
        assert sweep(launchpad, patience=0) == []
        count += 1
    assert count > 5
