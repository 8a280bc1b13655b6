"""What tests share: the real outputs beside the project, a small campaign, and the real programs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

# A shell starts what runs in the background with Ctrl-C ignored, and every program started here would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which nohup ignores

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "examples" / "demo" / "campaign.yaml"

TINY = """\
name: tiny
code: espresso
materials:
  SrTiO3: {prototype: perovskite, a: 3.905}
structures:
  bulk: {stack: [{material: SrTiO3, layers: 1}]}
magnetism: {orders: [NM, FM], moments: {Ti: 1.0}}
hubbard: {Ti-3d: 4.0}
method: {protocol: fast, cutoff: 20 Ry, kspacing: 1.7}
steps: [static, {dos: {kspacing: 0.9}}]
"""
"""SrTiO3 at 20 Ry: seconds with a real pw.x, for the ways of the program, not for its numbers."""


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the folder of real outputs made by others is not beside the project")
    return folder


@pytest.fixture
def demo_file() -> Path:
    return DEMO


@pytest.fixture
def tiny_file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


@dataclass(frozen=True)
class Program:
    """The command line in a folder of its own."""

    folder: Path

    def __call__(
        self, *words: str, code: int | None = 0, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "heterodft", *words],
            cwd=self.folder,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert code is None or done.returncode == code, done.stdout + done.stderr
        return done


@pytest.fixture
def heterodft(tmp_path: Path) -> Program:
    return Program(tmp_path)


@pytest.fixture
def heterodft_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """The command line within this process: as `heterodft`, but without its start-up."""
    from heterodft.cli import main

    def run(*words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["heterodft", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        assert int(stop.value.code or 0) == code, out + err
        return subprocess.CompletedProcess(words, code, out, err)

    run.folder = tmp_path  # type: ignore[attr-defined]
    return run


@pytest.fixture(scope="session")
def heterodft_in() -> type[Program]:
    return Program


@pytest.fixture(scope="session")
def tiny_text() -> str:
    return TINY


@pytest.fixture(scope="session")
def pw() -> str:
    """The real pw.x; tests that need it are skipped without, except in CI, which can install it."""
    found = shutil.which("pw.x")
    if found is None and os.environ.get("CI"):
        pytest.fail("pw.x is missing in CI; make system installs it")
    if found is None:
        pytest.skip("pw.x is not installed; run: make system")
    return found
