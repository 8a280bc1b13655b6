"""Workers, commands and failures with a queue on a server: every word crosses a socket in MongoDB's wire protocol."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from stand_in import assert_done_once, build_site

pytestmark = [pytest.mark.espresso, pytest.mark.slow]


@pytest.fixture
def site_of(tmp_path, canned, monkeypatch, wire):
    """Build a site whose settings the command line finds in its folder."""
    monkeypatch.chdir(tmp_path)
    built = []

    def build(jobs, seconds):
        site = build_site(tmp_path, canned, jobs=jobs, seconds=seconds, host=wire.address)
        own = f"launchpad: {{host: '{wire.address}'}}\nespresso: {{bin_dir: {site.settings.bin_dir}}}\ncores: 1\n"
        (tmp_path / "heterodft.yaml").write_text(own)
        built.append(site)
        return site

    yield build
    for site in built:
        assert site.programs() == []


def start_run():
    return subprocess.Popen([sys.executable, "-m", "heterodft", "run", "--quiet"], stderr=subprocess.PIPE, text=True)


def end_of(process):
    said = process.communicate(timeout=120)[1]
    assert "Traceback" not in said, said
    return process.returncode


def test_two_runs_share_a_server_and_nothing_runs_twice(site_of):
    site = site_of(jobs=8, seconds=0.5)
    assert [end_of(process) for process in [start_run(), start_run()]] == [0, 0]
    assert_done_once(site)


@pytest.mark.parametrize("away", [0.5, 6.0])
def test_a_server_that_is_away_for_a_while_hears_of_the_results_later(site_of, wire, away):
    site = site_of(jobs=3, seconds=2.0)
    process = start_run()
    site.wait_until(lambda: any(site.starts()))
    wire.stop()
    time.sleep(away)
    wire.start()
    assert end_of(process) == 0
    assert_done_once(site)


def test_what_a_killed_run_left_is_taken_up_by_the_next(site_of):
    site = site_of(jobs=3, seconds=1.0)
    process = start_run()
    site.wait_until(lambda: any(site.starts()))
    process.kill()
    process.communicate()
    assert end_of(start_run()) == 0
    assert site.counts() == {"done": 3}


def test_ctrl_c_puts_back_what_ran(site_of):
    site = site_of(jobs=2, seconds=20)
    process = start_run()
    site.wait_until(lambda: any(site.starts()))
    os.kill(process.pid, signal.SIGINT)
    assert end_of(process) == 130
    assert site.counts() == {"ready": 2}
    assert site.programs() == []


def test_every_command_works_on_a_server(site_of, heterodft, wire):
    site = site_of(jobs=2, seconds=0.2)
    said = heterodft("doctor", code=None).stdout
    assert "MongoDB 6.0.0, database heterodft, readable and writable, 2 calculations" in " ".join(said.split())
    assert "2 calculations paused" in heterodft("pause", "fail").stdout
    assert "2 calculations may run again" in heterodft("resume").stdout
    assert heterodft("lpad", "get_fws", "-s", "READY", "-d", "count").stdout.strip() == "2"
    first = site.folders()[0]
    path = str(first.relative_to(site.settings.runs))
    heterodft("cancel", path)
    assert site.counts() == {"cancelled": 1, "ready": 1}
    heterodft("run", "--quiet")
    heterodft("retry", path, "--cancelled")
    heterodft("run", "--quiet")
    assert site.counts() == {"done": 2}
    told = json.loads(heterodft("status", "--json").stdout)
    assert {entry["state"] for entry in told["calculations"]} == {"done"}
    assert {"findAndModify", "insert", "update", "find"} <= wire.seen
