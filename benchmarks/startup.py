"""CPU seconds that the commands a user waits for take to start: ``--help`` and ``status``; aim: under 0.3 s each.

    python benchmarks/startup.py [REPEATS]

Prints the median of user + system time of whole processes, beside an empty Python and the import of FireWorks.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

DEMO = Path(__file__).parents[1] / "examples" / "demo" / "campaign.yaml"
LIMIT = 0.3


def cpu_seconds(command: list[str], folder: str, repeats: int) -> float:
    """Median CPU seconds of a command."""
    times = []
    for _ in range(repeats):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return statistics.median(times)


def main() -> int:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    program = [sys.executable, "-m", "heterodft"]
    cases = {
        "python, empty": [sys.executable, "-c", ""],
        "import fireworks": [sys.executable, "-c", "import fireworks"],
        "heterodft --help": [*program, "--help"],
        "heterodft status": [*program, "status"],
    }
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*program, "submit", str(DEMO)], cwd=folder, check=True, capture_output=True)
        times = {name: cpu_seconds(command, folder, repeats) for name, command in cases.items()}
    for name, seconds in times.items():
        print(f"{name:18} {seconds:6.3f} s CPU   {seconds / times['import fireworks']:5.2f} of importing FireWorks")
    slow = [name for name, seconds in times.items() if name.startswith("heterodft") and seconds > LIMIT]
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
