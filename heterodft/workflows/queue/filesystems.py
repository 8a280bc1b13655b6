"""Which file system a queue file lies on: SQLite's log is shared memory, which other hosts do not see."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

from heterodft.errors import QueueError

__all__ = ["filesystem_of", "refuse_network_filesystem"]

_log = logging.getLogger(__name__)
_MOUNTS = Path("/proc/self/mountinfo")
_ALLOW = "HETERODFT_ALLOW_NETWORK_QUEUE"
_NETWORK = frozenset(
    [
        "9p",
        "acfs",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "davfs",
        "fhgfs",
        "gfs",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "mmfs",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "panfs",
        "pvfs2",
        "smb3",
        "smbfs",
        "vboxsf",
        "wekafs",
        "yfs",
        "fuse.afs",
        "fuse.beegfs",
        "fuse.ceph",
        "fuse.ceph-fuse",
        "fuse.curlftpfs",
        "fuse.davfs",
        "fuse.gcsfuse",
        "fuse.glusterfs",
        "fuse.juicefs",
        "fuse.moosefs",
        "fuse.mfs",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.smbnetfs",
        "fuse.sshfs",
        "fuse.cvmfs2",
    ]
)


def filesystem_of(path: Path, mounts: Path = _MOUNTS) -> str | None:
    """Return the type of the file system that holds a path, such as ``ext4`` or ``nfs4``; None when not known.

    Parameters
    ----------
    path
        It need not exist; symbolic links are followed.
    mounts
        A table as of ``/proc/self/mountinfo``.
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    target = path.resolve()
    found: tuple[int, str] | None = None
    for line in lines:
        mount, separator, rest = line.partition(" - ")
        fields = mount.split(" ")
        if not separator or len(fields) < 5:
            continue
        point = Path(_unescaped(fields[4]))
        # Of two at one place, the later one hides the other.
        if target.is_relative_to(point) and (found is None or len(point.parts) >= found[0]):
            found = len(point.parts), rest.split(" ")[0]
    return None if found is None else found[1]


def _unescaped(text: str) -> str:
    """Return a path with its blanks, which the table writes as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def refuse_network_filesystem(path: Path, mounts: Path = _MOUNTS) -> None:
    """Refuse a queue file that several hosts could open.

    Raises
    ------
    QueueError
        If it lies on a network file system; only logged where ``HETERODFT_ALLOW_NETWORK_QUEUE`` is 1.
    """
    kind = filesystem_of(path.parent, mounts)
    if kind not in _NETWORK:
        return
    told = f"the queue {path} lies on a network file system ({kind}), where it may be damaged"
    if os.environ.get(_ALLOW) == "1":
        _log.warning("%s; use it from one host only", told)
        return
    raise QueueError(
        f"{told}; name a local folder (launchpad: host: sqlite:///local/queue.sqlite) or a MongoDB server, "
        f"or use heterodft launch --offline; {_ALLOW}=1 allows it for one host"
    )
