from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("numpy", "pymatgen", "fireworks", "pymongo", "mongomock", "matplotlib", "ase", "scipy", "pydantic", "pandas")


@pytest.mark.parametrize("words", ["['--help']", "['status']", "['analyze', '--help']"])
def test_what_a_user_waits_for_imports_nothing_heavy(words, tmp_path):
    code = (
        "import sys\n"
        "from heterodft.cli import cli\n"
        f"cli.main({words}, standalone_mode=False)\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
