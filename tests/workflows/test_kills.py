"""Workers killed at random moments, as `benchmarks/kills.py` does it hundreds of times."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "kills.py"


@pytest.mark.espresso
@pytest.mark.slow
def test_forty_kills_lose_nothing_and_run_nothing_twice(tmp_path, pw):
    command = [sys.executable, str(BENCHMARK), "--jobs", "60", "--kills", "40", "--folder", str(tmp_path / "k")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    counts = {name: int(number) for name, number in re.findall(r"^(\w[\w ]+?) +(\d+)$", done.stdout, re.MULTILINE)}
    assert done.returncode == 0, done.stdout + done.stderr
    counts.pop("started again")  # a program that outlived its worker is waited for instead
    assert counts == {
        "jobs": 60,
        "done": 60,
        "lost": 0,
        "wrong state": 0,
        "two at once": 0,
        "ran after the end": 0,
        "programs left": 0,
    }
    assert sum(map(int, re.findall(r"(\d+) by SIG", done.stdout))) == 40
