"""Full and read-only folders, the real ones: a small file system in memory, where the tests may mount one."""

from __future__ import annotations

import subprocess
from contextlib import suppress

import pytest


@pytest.fixture
def small_disk(tmp_path, heterodft_in, tiny_text):
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1200k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    (folder / "tiny.yaml").write_text(tiny_text)
    (folder / "heterodft.yaml").write_text("disk: {free: 0}\n")  # of the 1 GB that it would leave
    yield heterodft_in(folder)
    subprocess.run(["umount", "-l", str(folder)], check=True)


def remount(program, options):
    subprocess.run(["mount", "-o", f"remount,{options}", str(program.folder)], check=True)


def fill(program):
    with (program.folder / "filler").open("wb", buffering=0) as stream, suppress(OSError):
        while True:
            stream.write(b"0" * 4096)


def test_a_full_disk_stops_a_submission_whole(small_disk):
    fill(small_disk)
    done = small_disk("submit", "tiny.yaml", code=1)
    assert done.stderr.count("\n") == 1
    assert "full" in done.stderr or "No space left" in done.stderr
    assert not list(small_disk.folder.glob("runs/**/*.json"))
    (small_disk.folder / "filler").unlink()
    assert "4 queued" in small_disk("submit", "tiny.yaml").stdout


@pytest.mark.espresso
@pytest.mark.slow
def test_a_disk_that_fills_up_while_running_loses_nothing(small_disk, pw):
    small_disk("submit", "tiny.yaml")
    done = small_disk("run", "--quiet", code=None)
    assert done.returncode in (1, 3)
    assert "No space left" in done.stderr or "full" in done.stderr or "GB free" in done.stderr
    assert not list(small_disk.folder.glob("runs/tiny/**/.*.tmp"))
    remount(small_disk, "size=100m")
    small_disk("retry", "--all-failed")
    small_disk("run", "--quiet")
    assert '"done": 4' in small_disk("status", "--json").stdout


def test_a_read_only_folder_is_told_and_can_still_be_looked_at(small_disk):
    small_disk("submit", "tiny.yaml")
    remount(small_disk, "ro")
    assert "Read-only file system" in small_disk("build", "tiny.yaml", code=1).stderr
    done = small_disk("run", code=1)
    assert done.stderr.count("\n") == 1
    assert "make it writable" in done.stderr
    assert '"ready": 2' in small_disk("status", "--json").stdout
    remount(small_disk, "rw")
