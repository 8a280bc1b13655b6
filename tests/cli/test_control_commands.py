"""Status, cancel, pause, resume and retry as a user types them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from fireworks import FWAction, FWorker

from heterodft.workflows.queue.launchpad import open_launchpad
from heterodft.workflows.settings_file import load_settings

FM = "tiny/bulk/FM/Ti-3d-4eV"
NM = "tiny/bulk/NM/Ti-3d-4eV"


@pytest.fixture
def queued(heterodft_inside, tiny_file):
    """The command line beside a queue of four calculations."""
    heterodft_inside("submit", str(tiny_file))
    return heterodft_inside


def queue_of(folder):
    return open_launchpad(load_settings(host=f"sqlite://{folder}/runs/queue.sqlite"))


def counts(program, *words):
    return json.loads(program("status", *words, "--json").stdout)["counts"]


def test_status_of_a_campaign_that_shares_everything_shows_what_it_shares(queued, tiny_file):
    twin = tiny_file.with_name("twin.yaml")
    twin.write_text(tiny_file.read_text().replace("name: tiny", "name: twin"))
    queued("submit", str(twin))
    assert counts(queued, "twin") == counts(queued, "tiny") == {"waiting": 2, "ready": 2}
    assert counts(queued, "twin/bulk/FM") == {"waiting": 1, "ready": 1}
    assert "names no calculation" in queued("status", "twine", code=1).stderr


def start(queued, name="node7:42:1.00"):
    launchpad = queue_of(queued.folder)
    return launchpad, launchpad.checkout_fw(FWorker(name), ".")[1]


def fail(queued, reason):
    launchpad, launch = start(queued)
    folder = queued.folder / "runs" / NM / "static"
    (folder / "failure.json").write_text(json.dumps({"reason": reason, "interrupted": False}))
    launchpad.complete_launch(launch, FWAction(), "FIZZLED")


def many(queued, tiny_file, count=12):
    """A queue that is too long to be told a line each."""
    orders = "[{material: SrTiO3, layers: [" + ", ".join(str(n) for n in range(1, count + 1)) + "]}]"
    tiny_file.write_text(tiny_file.read_text().replace("[{material: SrTiO3, layers: 1}]", orders))
    queued("submit", str(tiny_file))


def test_status_says_where_a_running_one_is_and_what_a_failure_blocks(queued):
    fail(queued, "SCF not converged")
    start(queued)
    text = queued("status").stdout
    assert f"{NM}/static  failed     SCF not converged [{queued.folder}/runs/{NM}/static]" in text
    assert f"{NM}/dos     blocked    by {NM}/static" in text
    assert f"{FM}/static  running    starting; node7, process 42; since " in text
    assert text.endswith("4 calculations: 1 waiting, 1 running, 1 failed, 1 blocked\n")


def test_status_for_programs_has_plain_keys(queued):
    fail(queued, "SCF not converged")
    start(queued)
    found = {entry["path"]: entry for entry in json.loads(queued("status", "--json").stdout)["calculations"]}
    running = found[f"{FM}/static"]
    names = ("campaign", "structure", "order", "hubbard", "step")
    assert [running[key] for key in names] == ["tiny", "bulk", "FM", "Ti-3d-4eV", "static"]
    assert (running["host"], running["job"], running["progress"]) == ("node7", None, "starting")
    assert running["since"].endswith("+00:00")
    assert found[f"{NM}/dos"]["blocked_by"] == f"{NM}/static"
    assert found[f"{NM}/static"]["reason"] == "SCF not converged"


def test_status_of_a_part_and_of_what_failed(queued):
    assert counts(queued, "tiny/bulk/FM") == {"waiting": 1, "ready": 1}
    assert queued("status", "--failed").stdout == "Nothing failed.\n"
    fail(queued, "no reason")
    assert queued("status", "--failed").stdout.splitlines()[1] == "1 calculation: 1 failed"


def test_a_misspelt_path_is_corrected(queued):
    for words in (
        ("status", "tinny"),
        ("cancel", "tinny"),
        ("pause", "tinny"),
        ("resume", "tinny"),
        ("retry", "tinny"),
    ):
        done = queued(*words, code=1)
        assert "'tinny' names no calculation of the queue; did you mean 'tiny'?" in done.stderr
        assert done.stderr.count("\n") == 1
    done = queued("cancel", "--campaign", "tinny", code=1)
    assert "'tinny' names no campaign of the queue; did you mean 'tiny'?" in done.stderr


def test_folders_and_the_campaign_file_name_what_they_hold(queued, tiny_file):
    folder = f"runs/{FM}"
    assert counts(queued, folder) == counts(queued, f"{queued.folder}/{folder}/") == {"waiting": 1, "ready": 1}
    assert counts(queued, str(tiny_file)) == counts(queued, "runs/tiny") == {"waiting": 2, "ready": 2}
    assert queued("pause", folder).stdout.startswith("2 calculations paused")
    assert queued("resume", f"runs/{FM}/static", f"runs/{FM}/dos").stdout.startswith("2 calculations may run again")
    assert queued("cancel", folder, "--yes").stdout.startswith("2 calculations cancelled")
    assert queued("retry", folder, "--cancelled").stdout.startswith("2 calculations back in the queue")
    assert queued("cancel", str(tiny_file), "--yes").stdout.startswith("4 calculations cancelled")
    assert queued("status", str(tiny_file.with_name("none.yaml")), code=1).stderr.count("\n") == 1


def test_many_are_told_in_a_table_by_step(queued, tiny_file):
    many(queued, tiny_file)
    fail(queued, "SCF not converged")
    lines = queued("status", "tiny").stdout.splitlines()
    assert lines[0].split() == ["static", "dos"]
    cells = [line.split() for line in lines]
    assert [NM, "FAIL", "block"] in cells
    assert [FM, "ready", "wait"] in cells
    place = lines.index("Failed:")
    assert lines[place + 1].strip() == f"{NM}/static"
    assert lines[place + 2].strip().startswith("SCF not converged")
    assert f"  1 by {NM}/static" in lines


def test_cancel_and_back(queued):
    text = queued("cancel", "tiny/bulk/FM", "--yes").stdout
    assert text.startswith("2 calculations cancelled, 0 of them running; put them back with: heterodft retry")
    assert counts(queued) == {"waiting": 1, "ready": 1, "cancelled": 2}
    assert "Nothing to cancel" in queued("cancel", "tiny/bulk/FM").stdout
    assert "--cancelled puts cancelled ones back" in queued("retry", "tiny/bulk/FM", code=1).stderr
    assert queued("retry", "tiny/bulk/FM", "--cancelled").stdout.startswith("2 calculations back in the queue")
    assert counts(queued) == {"waiting": 2, "ready": 2}


def test_cancelling_a_running_one_leaves_word_in_its_folder(queued):
    start(queued)
    done = queued("cancel", "--campaign", "tiny", "--yes")
    assert f"{NM}/static is being ended by its worker" in done.stderr
    assert "4 calculations cancelled, 1 of them running" in done.stdout
    assert (queued.folder / "runs" / NM / "static" / "CANCEL").is_file()
    queued("retry", "--cancelled", "--campaign", "tiny")
    assert not (queued.folder / "runs" / NM / "static" / "CANCEL").exists()


def test_more_than_one_is_asked_about_on_a_terminal(queued, monkeypatch):
    monkeypatch.setattr("heterodft.cli.cancel.sys.stdin", Terminal("n\n"))
    assert queued("cancel", "tiny").stdout.endswith("Nothing was cancelled.\n")
    assert counts(queued) == {"waiting": 2, "ready": 2}
    monkeypatch.setattr("heterodft.cli.cancel.sys.stdin", Terminal("y\n"))
    queued("cancel", "tiny")
    assert counts(queued) == {"cancelled": 4}


def test_more_than_one_is_not_cancelled_where_nobody_can_be_asked(queued):
    done = queued("cancel", "tiny", code=2)
    assert "4 calculations would be cancelled and there is no terminal to ask on; add --yes" in done.stderr
    assert counts(queued) == {"waiting": 2, "ready": 2}
    queued("cancel", f"{FM}/dos")
    assert counts(queued) == {"waiting": 1, "ready": 2, "cancelled": 1}


class Terminal:
    """A terminal at which someone types."""

    def __init__(self, text):
        self.text = text

    def isatty(self):
        return True

    def readline(self, *_):
        return self.text


def test_what_the_file_no_longer_asks_for_is_cancelled(queued, tiny_file):
    tiny_file.write_text(tiny_file.read_text().replace("orders: [NM, FM]", "orders: [FM]"))
    assert queued("cancel", "--orphaned", str(tiny_file), "--yes").stdout.startswith("2 calculations cancelled")
    assert counts(queued, "tiny/bulk/NM") == {"cancelled": 2}
    assert counts(queued, "tiny/bulk/FM") == {"waiting": 1, "ready": 1}


def test_cancel_wants_to_know_what(queued):
    assert "give one of PATHS, --campaign NAME and --orphaned FILE" in queued("cancel", code=2).stderr


def test_a_run_of_what_is_paused_says_how_to_go_on(queued):
    queued("pause")
    assert queued("run").stdout.splitlines() == [
        "Ran 0 calculations in 0 s. In the queue: 4 paused.",
        "Paused ones are not run; let them with: heterodft resume",
    ]


def test_pause_and_resume(queued):
    start(queued)
    text = queued("pause").stdout
    assert text == "3 calculations paused; 1 that runs goes on to the end; go on with: heterodft resume\n"
    assert counts(queued) == {"running": 1, "paused": 3}
    assert queued("resume", "tiny/bulk/FM").stdout.startswith("2 calculations may run again")
    assert counts(queued) == {"waiting": 1, "ready": 1, "running": 1, "paused": 1}


def test_retry_says_what_is_blocked_no_longer(queued):
    fail(queued, "SCF not converged")
    text = queued("retry", "--all-failed", "--campaign", "tiny").stdout
    assert text.startswith("1 calculation back in the queue; 1 more is blocked no longer")
    assert counts(queued) == {"waiting": 2, "ready": 2}


def test_watching_a_pipe_prints_changes_and_ends_with_the_queue(queued):
    watch = subprocess.Popen(
        [sys.executable, "-m", "heterodft", "status", "--watch", "0.2"],
        cwd=queued.folder,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert "4 calculations: 2 waiting, 2 ready" in watch.stdout.readline()
    queued("cancel", "tiny/bulk/FM", "--yes")
    queued("cancel", "tiny/bulk/NM", "--yes")
    text, _ = watch.communicate(timeout=60)
    assert watch.returncode == 0
    assert f"cancelled {FM}/static" in text
    assert text.splitlines()[-1].endswith("4 calculations: 4 cancelled")


def test_ctrl_c_leaves_the_watch_quietly(queued):
    watch = subprocess.Popen(
        [sys.executable, "-m", "heterodft", "status", "--watch"],
        cwd=queued.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    watch.stdout.readline()
    time.sleep(0.3)
    os.kill(watch.pid, signal.SIGINT)
    _, err = watch.communicate(timeout=30)
    assert (watch.returncode, err) == (0, "")
