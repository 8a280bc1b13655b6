"""UPF pseudopotentials: found and checked.

Looked for in the folder of the settings or of ``ESPRESSO_PSEUDO``, and otherwise in the installed family of the
functional.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from heterodft.errors import PseudopotentialError
from heterodft.files import checksum
from heterodft.templates.families import Family, family_for, install_family, known_families
from heterodft.units import RYDBERG

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = [
    "Family",
    "Pseudopotential",
    "UpfHeader",
    "family_for",
    "find_pseudopotentials",
    "install_family",
    "known_families",
    "parse_upf_header",
    "wavefunction_shells",
]


@dataclass(frozen=True)
class UpfHeader:
    """What is needed of a UPF header: element, valence electrons, atomic wavefunctions, functional, relativity."""

    element: str
    valence: float
    wavefunctions: int
    functional: str
    relativistic: str = "scalar"
    kind: str = "NC"


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
    relativistic
        ``scalar``, ``full`` or ``no``; spin-orbit coupling needs ``full``.
    suggested_cutoff
        What its authors suggest for the wavefunctions, in eV, where they do.
    functional
        What the file says it was made with.
    kind
        ``NC``, norm-conserving; others need a larger density cutoff.
    """

    element: str
    path: Path
    sha256: str
    valence: float
    wavefunctions: int
    relativistic: str = "scalar"
    suggested_cutoff: float | None = None
    functional: str = ""
    kind: str = "NC"


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
            relativistic=_relativity(values),
            kind=values.get("pseudo_type", "NC").strip().upper() or "NC",
        )
    except (KeyError, ValueError) as error:
        raise PseudopotentialError(f"not a UPF file of format 2: its header lacks {error}") from error


def _relativity(values: dict[str, str]) -> str:
    if values.get("has_so", "").strip().upper() in ("T", "TRUE", ".TRUE."):
        return "full"
    return values.get("relativistic", "").strip().lower() or "scalar"


_SPELLINGS = {
    "PBE": ("PBE", "SLA PW PBX PBC", "SLA PW PBE PBE"),
    "PBEsol": ("PBESOL", "SLA PW PSX PSC"),
    "PW91": ("PW91", "SLA PW GGX GGC"),
    "LDA": ("PZ", "SLA PZ NOGX NOGC", "PW", "SLA PW NOGX NOGC", "LDA"),
    "BLYP": ("BLYP", "SLA LYP B88 BLYP"),
}
_XC_OF = {spelling: xc for xc, spellings in _SPELLINGS.items() for spelling in spellings}


def _functional(header: UpfHeader) -> str | None:
    """What a header's functional is called here; None when it is spelled in a way not known."""
    return _XC_OF.get(" ".join(re.split(r"[\s+-]+", header.functional.upper())))


_SHELL_LABEL = re.compile(r"<PP_CHI\.\d+[^>]*?\blabel\s*=\s*\"\s*(\d[SPDF])", re.DOTALL | re.IGNORECASE)


def wavefunction_shells(path: Path) -> tuple[str, ...]:
    """Return the shells of a UPF file's atomic wavefunctions, ``("3s", "3p", "3d")``; none if it does not say."""
    return _shells(path, path.stat().st_mtime_ns) if path.is_file() else ()


@lru_cache(maxsize=256)
def _shells(path: Path, _changed: int) -> tuple[str, ...]:
    labels = _SHELL_LABEL.findall(path.read_text(encoding="utf-8", errors="replace"))
    return tuple(dict.fromkeys(label.lower() for label in labels))


def find_pseudopotentials(
    elements: Iterable[str], *, xc: str, folder: Path | None = None, relativistic: str = "scalar"
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
    relativistic
        ``full`` for spin-orbit coupling.

    Raises
    ------
    PseudopotentialError
        If one is missing, ambiguous, of another functional, not relativistic enough, or differs from its recorded
        checksum.
    """
    wanted = sorted(set(elements))
    if folder is not None:
        return {element: _from_folder(element, folder, xc, relativistic) for element in wanted}
    family = family_for(xc, relativistic)
    return {element: _from_family(element, family) for element in wanted}


def _from_folder(element: str, folder: Path, xc: str, relativistic: str) -> Pseudopotential:
    path = _only_file(element, folder)
    header = _header(path, path.stat().st_mtime_ns)
    if header.element != element:
        raise PseudopotentialError(
            f"{path} is a pseudopotential of {header.element}, not of {element}; put one of {element} there"
        )
    made_with = _functional(header)
    if made_with is not None and xc in _SPELLINGS and made_with != xc:
        raise PseudopotentialError(
            f"{path} is a pseudopotential of {made_with}, not of {xc}; put one of {xc} there, or "
            "unset ESPRESSO_PSEUDO to use the installed family"
        )
    if relativistic == "full" and header.relativistic != "full":
        raise PseudopotentialError(
            f"{path} has relativistic = {header.relativistic}, and spin-orbit coupling needs full; put one with it "
            "there, or unset ESPRESSO_PSEUDO to use the installed family"
        )
    return Pseudopotential(
        element,
        path.absolute(),
        checksum(path),
        header.valence,
        header.wavefunctions,
        relativistic=header.relativistic,
        functional=header.functional,
        kind=header.kind,
    )


@lru_cache(maxsize=256)
def _header(path: Path, _changed: int) -> UpfHeader:
    return parse_upf_header(path.read_bytes().decode(errors="replace"))


def _only_file(element: str, folder: Path) -> Path:
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
    return files[0]


def _from_family(element: str, family: Family) -> Pseudopotential:
    if element not in family.files:
        raise PseudopotentialError(
            f"the family {family.name} has no pseudopotential for {element}; "
            "give a folder that has one with ESPRESSO_PSEUDO"
        )
    entry = family.files[element]
    path = family.folder / entry["file"]
    state = family.state(element)
    if state == "missing":
        raise PseudopotentialError(
            f"pseudopotential {path} is not installed; run: heterodft pseudos install {family.name}"
        )
    if state == "altered":
        raise PseudopotentialError(
            f"pseudopotential {path} was altered: its checksum is not the recorded one; "
            f"run: heterodft pseudos install {family.name}"
        )
    return Pseudopotential(
        element,
        path,
        entry["sha256"],
        entry["valence"],
        entry["wavefunctions"],
        relativistic=family.relativistic,
        suggested_cutoff=entry["cutoff"] * RYDBERG if entry.get("cutoff") else None,
        functional=family.xc,
    )
