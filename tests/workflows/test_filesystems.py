from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from heterodft.errors import QueueError
from heterodft.workflows.queue import filesystems
from heterodft.workflows.queue.filesystems import filesystem_of, refuse_network_filesystem
from heterodft.workflows.queue.launchpad import open_launchpad
from heterodft.workflows.settings_file import load_settings


def line(point: str, kind: str) -> str:
    return f"36 35 98:0 / {point} rw,noatime master:1 - {kind} /dev/root rw,errors=continue\n"


@pytest.fixture
def table(tmp_path):
    """A table of mounts in which a few folders of this one are elsewhere."""
    here = str(tmp_path)
    path = tmp_path / "mountinfo"
    path.write_text(
        line("/", "ext4")
        + line(f"{here}/home", "nfs4")
        + line(f"{here}/home/local", "xfs")
        + line(f"{here}/with\\040blank", "fuse.sshfs")
        + line(f"{here}/auto", "autofs")
        + line(f"{here}/auto", "lustre")
        + "a line of something else\n"
    )
    return path


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("other", "ext4"),
        ("home", "nfs4"),
        ("home/me/runs", "nfs4"),
        ("homeless", "ext4"),
        ("home/local/me", "xfs"),
        ("with blank/runs", "fuse.sshfs"),
        ("auto/runs", "lustre"),
    ],
)
def test_the_innermost_mount_holds_a_path(tmp_path, table, folder, kind):
    assert filesystem_of(tmp_path / folder, table) == kind


def test_links_are_followed(tmp_path, table):
    (tmp_path / "home").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "home")
    assert filesystem_of(tmp_path / "link" / "runs", table) == "nfs4"


def test_where_there_is_no_table_nothing_is_known(tmp_path):
    assert filesystem_of(tmp_path, tmp_path / "none") is None
    refuse_network_filesystem(tmp_path / "queue.sqlite", tmp_path / "none")


def test_the_real_table_knows_this_folder():
    if not Path("/proc/self/mountinfo").exists():
        pytest.skip("this system has no /proc/self/mountinfo")
    assert filesystem_of(Path.cwd())
    assert filesystem_of(Path("/proc/self")) == "proc"


def test_a_queue_on_a_network_file_system_is_refused_with_the_remedy(tmp_path, table, monkeypatch, caplog):
    queue = tmp_path / "auto" / "queue.sqlite"
    with pytest.raises(
        QueueError, match=r"auto/queue\.sqlite lies on a network file system \(lustre\).*sqlite:///local"
    ):
        refuse_network_filesystem(queue, table)
    monkeypatch.setenv("HETERODFT_ALLOW_NETWORK_QUEUE", "1")
    with caplog.at_level(logging.WARNING):
        refuse_network_filesystem(queue, table)
    assert "use it from one host only" in caplog.text


def test_it_is_refused_before_anything_is_made(tmp_path, table, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(filesystems.refuse_network_filesystem, "__defaults__", (table,))
    settings = replace(load_settings(), host=f"sqlite://{tmp_path}/home/me/queue.sqlite")
    with pytest.raises(QueueError, match="nfs4"):
        open_launchpad(settings)
    assert not (tmp_path / "home").exists()
