"""What the queue costs: wall time of `heterodft run` on a real campaign over the times that its programs print.

    python benchmarks/overhead.py [CAMPAIGN]    # the demo by default: ten calculations, two to three minutes

The programs print what they took by the clock, from start to end; beside them there are the start of the worker,
mpirun, inputs, Custodian, reading, results, and the queue.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DEMO = Path(__file__).parents[1] / "examples" / "demo" / "campaign.yaml"
_WALL = re.compile(r"^\s+(?:PWSCF|PROJWFC|POST-PROC)\s+:.*?CPU\s+(.*?)\s*WALL", re.MULTILINE)


def seconds(text: str) -> float:
    parts = re.findall(r"([\d.]+)\s*([hms])", text)
    return sum(float(value) * {"h": 3600, "m": 60, "s": 1}[unit] for value, unit in parts)


def main() -> None:
    campaign = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else DEMO
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(campaign, folder / "campaign.yaml")
        command = [sys.executable, "-m", "heterodft"]
        subprocess.run([*command, "submit", "campaign.yaml"], cwd=folder, check=True)
        started = time.perf_counter()
        subprocess.run([*command, "run", "--quiet"], cwd=folder, check=True)
        wall = time.perf_counter() - started
        programs = [seconds(m) for path in folder.glob("runs/**/*.out*") for m in _WALL.findall(path.read_text())]
    print(f"wall time of heterodft run      {wall:7.1f} s")
    print(f"sum of {len(programs):3} programs             {sum(programs):7.1f} s")
    print(f"overhead                        {100 * (wall / sum(programs) - 1):7.1f} %  (aim: 5 %)")


if __name__ == "__main__":
    main()
