"""Programs that outlived their worker, with a stand-in that stops when it is asked to, as pw.x and VASP do."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace

import pytest

from heterodft.errors import InterruptedCalculation
from heterodft.workflows.orphans import settle_orphan
from heterodft.workflows.processes import programs_in, start_program
from heterodft.workflows.settings_file import load_settings

OBEDIENT = """
import pathlib, sys, time
pathlib.Path("started").touch()
while not pathlib.Path(sys.argv[1]).exists():
    time.sleep(0.05)
pathlib.Path("checkpoint").touch()
"""


@pytest.fixture
def orphan(tmp_path):
    """Start the stand-in in a folder whose name has a space; it heeds this file."""
    folder = tmp_path / "a run"
    folder.mkdir()
    processes = []

    def start(file, heeds):
        command = [sys.executable, "-c", OBEDIENT, heeds]
        record = {"file": file, "asked": "ours"}
        processes.append(
            start_program(command, folder, output="o", errors="e", environment=os.environ, record=record)
        )
        while not (folder / "started").exists():
            time.sleep(0.02)
        return folder

    yield start
    for process in processes:
        process.kill()
        process.wait(10)


@pytest.mark.parametrize(("file", "heeds"), [("pw.in", "pwscf.EXIT"), ("INCAR", "STOPCAR")])
def test_an_adopted_program_writes_its_checkpoint_when_the_time_is_up(orphan, file, heeds):
    folder = orphan(file, heeds)
    with pytest.raises(InterruptedCalculation, match="run again"):
        settle_orphan(folder, ["ours"], replace(load_settings(), grace=20.0, deadline=time.time() + 0.2))
    assert (folder / "checkpoint").exists()
    assert not programs_in(folder)
    assert not (folder / "pwscf.EXIT").exists(), "it would stop the next attempt, too"


def test_a_program_that_is_not_to_be_adopted_writes_its_checkpoint_too(orphan):
    folder = orphan("pw.in", "pwscf.EXIT")
    assert settle_orphan(folder, ["ours"], replace(load_settings(), grace=20.0, orphans="end")) == "ended"
    assert (folder / "checkpoint").exists()


def test_a_program_with_another_input_is_ended_at_once(orphan):
    folder = orphan("pw.in", "pwscf.EXIT")
    assert settle_orphan(folder, ["another"], replace(load_settings(), grace=20.0)) == "ended"
    assert not (folder / "checkpoint").exists()
    assert not programs_in(folder)
