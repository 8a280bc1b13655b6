"""How a VASP run was computed, in words and numbers that can be compared."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["VaspSettings", "method_of", "parse_incar", "without_cycle"]

_GGA = {
    "PE": "PBE", "PS": "PBEsol", "RP": "revPBE", "RE": "revPBE", "91": "PW91", "CA": "LDA", "AM": "AM05", "HL": "LDA",
    "PZ": "LDA", "WI": "LDA", "B3": "B3LYP", "B5": "B3LYP", "OR": "optPBE", "BO": "optB88", "MK": "optB86b",
    "ML": "rPW86", "CX": "vdW-DF-cx",
}  # fmt: skip
"""GGA of INCAR → our word."""
_LEXCH = {2: "LDA", 7: "PW91", 8: "PBE", 13: "AM05", 14: "PBEsol"}
"""VASP's internal number of a functional, as OUTCAR prints it."""
_FAMILIES = {"PAW_PBE": "PBE", "PAW_GGA": "PW91", "PAW": "LDA", "US": "LDA"}
"""First word of a POTCAR's title → the functional it was made with, which VASP takes unless told."""
_SMEARING = {
    -5: "tetrahedron (Blöchl)", -4: "tetrahedron", -3: "MP loop", -2: "fixed", -1: "Fermi-Dirac", 0: "Gaussian",
    -14: "tetrahedron (Fermi-Dirac)", -15: "tetrahedron (Fermi-Dirac, Blöchl)",
}  # fmt: skip
_SHELL = "spdf"
_NOTHING = ("", "--", "F", "FALSE", "NONE", "N", ".FALSE.")
_PRECISIONS = {"A": "accurate", "N": "normal", "M": "medium", "H": "high", "L": "low", "S": "single"}
_RESPONSE = r"(EV|QP|SC|G0W0|\d)?GW|G0W0|CHI|BSE|TDHF|TIMEEV|ACFDT|RPA|2E4W|CRPA"
"""Beginnings of ALGO."""
_HSE_SCREENINGS = {0.2: "HSE06", 0.3: "HSE03"} | {w: f"HSE06 (HFSCREEN {w:g})" for w in (0.207, 0.2079, 0.208)}
"""1/Å; the 0.11 1/bohr of HSE06 are 0.2079, and energies differ from those with VASP's 0.2."""


@dataclass(frozen=True)
class VaspSettings:
    """What the files of a run say of its settings.

    Attributes
    ----------
    tags
        By VASP's names in capitals, as typed values.
    titles
        Of the POTCARs, one a species.
    valences, counts
        Electrons of an atom, and sites, of each species; empty where unknown.
    mesh
        Of k-points where they were generated, or their number.
    """

    tags: Mapping[str, Any] = field(default_factory=dict)
    titles: tuple[str, ...] = ()
    valences: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    mesh: tuple[int, int, int] | int | None = None


def parse_incar(text: str) -> dict[str, Any]:
    """Return the tags of an INCAR: numbers, logicals, lists of them (``3*1.0``), or words."""
    tags: dict[str, Any] = {}
    for line in text.replace("\\\n", " ").splitlines():
        for part in line.split("!")[0].split("#")[0].split(";"):
            name, equals, value = part.partition("=")
            if equals and name.strip():
                tags.setdefault(name.strip().upper(), _typed(value.strip()))
    return tags


def _typed(text: str) -> Any:
    words: list[Any] = []
    for word in text.split():
        count, star, value = word.partition("*")
        times, value = (int(count), value) if star and count.isdigit() else (1, word)
        words += [_word(value)] * min(times, 100_000)
    return words[0] if len(words) == 1 else words


def _word(text: str) -> Any:
    if text.strip(".").upper() in ("T", "TRUE", "F", "FALSE"):
        return text.strip(".").upper().startswith("T")
    for kind in (int, float):
        try:
            return kind(text.lower().replace("d", "e") if kind is float else text)
        except ValueError:
            continue
    return text


def method_of(settings: VaspSettings, electrons: float | None) -> dict[str, Any]:
    """Return `Result.method` with what is known, but for the k-points, see `mesh_of`."""
    tags = settings.tags
    smearing = tags.get("ISMEAR")
    name = None if smearing is None else _SMEARING.get(int(smearing), f"Methfessel-Paxton {smearing}")
    charge = None
    if electrons is not None and settings.valences and len(settings.valences) == len(settings.counts):
        neutral = sum(z * count for z, count in zip(settings.valences, settings.counts, strict=True))
        charge = round(neutral - electrons, 6) + 0.0
    method = {
        "xc": _functional(tags, settings.titles),
        "cutoff": _number(tags.get("ENCUT", tags.get("ENMAX"))),
        "smearing": name,
        "smearing_width": _number(tags.get("SIGMA")),
        "hubbard": _hubbard(tags, settings.titles),
        "pseudopotentials": _pseudopotentials(settings.titles),
        "charge": charge,
        "noncollinear": _flag(tags.get("LNONCOLLINEAR")),
        "spin_orbit": _flag(tags.get("LSORBIT")),
        "precision": _PRECISIONS.get(_said(tags, "PREC")[:1]),
        "support_grid": _flag(tags.get("ADDGRID")),
        "projectors": None if tags.get("LREAL") is None else "reciprocal" if _said(tags, "LREAL") == "" else "real",
        "aspherical": _flag(tags.get("LASPH")),
        "dipole": _flag(tags.get("LDIPOL")),
        "dispersion": _dispersion(tags),
    }
    return {key: value for key, value in method.items() if value is not None}


def without_cycle(tags: Mapping[str, Any]) -> bool:
    """Tell whether the run was one of many-body or response theory, which has no self-consistent cycle of DFT."""
    return re.match(_RESPONSE, str(tags.get("ALGO", "")).strip().upper()) is not None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _flag(value: Any) -> bool | None:
    return None if value is None else bool(value)


def _said(tags: Mapping[str, Any], name: str) -> str:
    """Return a tag as a word in capitals, empty where it names nothing."""
    word = str(tags.get(name, "")).strip().upper()
    return "" if word in _NOTHING else word


def _dispersion(tags: Mapping[str, Any]) -> str | None:
    told = [f"IVDW {tags['IVDW']}"] if tags.get("IVDW") else []
    if tags.get("LUSE_VDW") is True:
        numbers = [f"{name} {tags[name]:g}" for name in ("ZAB_VDW", "BPARAM") if _number(tags.get(name)) is not None]
        told.append(" ".join(["nonlocal van der Waals", *numbers]))
    return ", ".join(told) or None


def _functional(tags: Mapping[str, Any], titles: Sequence[str]) -> str | None:
    families = {_FAMILIES.get(title.split()[0]) for title in titles if title.split()}
    base = _GGA.get(_said(tags, "GGA")[:2]) or _LEXCH.get(tags.get("LEXCH", -1))
    if base is None and len(families) == 1 and not _said(tags, "GGA"):
        base = families.pop()
    meta = _said(tags, "METAGGA")
    if tags.get("LHFCALC") is True:
        return _hybrid(tags, meta or base)
    if meta:
        return {"R2SCAN": "r2SCAN", "RSCAN": "rSCAN", "MBJ": "mBJ"}.get(meta, meta)
    return base or (_said(tags, "GGA") or None)


def _hybrid(tags: Mapping[str, Any], base: str | None) -> str:
    mixing = _number(tags.get("AEXX"))
    screening = _number(tags.get("HFSCREEN")) or 0.0
    if base in (None, "PBE") and mixing in (None, 0.25) and (not screening or screening in _HSE_SCREENINGS):
        return _HSE_SCREENINGS.get(screening, "PBE0")
    if base == "B3LYP":
        return base
    return f"hybrid of {base or 'unknown'} (AEXX {mixing}, HFSCREEN {screening})"


def _species(titles: Sequence[str]) -> list[str]:
    """Return a name for each species: its element, numbered from the second of the same on."""
    names: list[str] = []
    for title in titles:
        words = title.split()
        element = (words[1] if len(words) > 1 else title).split("_")[0]
        seen = sum(name.split("(")[0] == element for name in names)
        names.append(f"{element}({seen + 1})" if seen else element)
    return names


def _pseudopotentials(titles: Sequence[str]) -> dict[str, str] | None:
    return dict(zip(_species(titles), titles, strict=True)) if titles else None


def _hubbard(tags: Mapping[str, Any], titles: Sequence[str]) -> dict[str, Any] | None:
    """Return L, U, J and, where told, LDAUTYPE of each species that has any, in eV; empty of a run without."""
    if not tags.get("LDAU") and "LDAUTYPE" not in tags:
        return {} if "LDAU" in tags or "NIONS" in tags else None
    if tags.get("LDAU") is False:
        return {}
    lists = [tags.get(name, []) for name in ("LDAUL", "LDAUU", "LDAUJ")]
    shells, strengths, exchanges = (value if isinstance(value, list | tuple) else [value] for value in lists)
    exchanges = list(exchanges) + [0.0] * (len(shells) - len(exchanges))
    names = _species(titles)
    if len(names) != len(shells) or len(strengths) != len(shells):
        names = [f"species {index + 1}" for index in range(min(len(shells), len(strengths)))]
    way = tags.get("LDAUTYPE")
    kind = {"type": int(way)} if isinstance(way, int | float) else {}
    return {
        name: {"shell": _SHELL[int(shell)], "L": int(shell), "U": float(u), "J": float(j), **kind}
        for name, shell, u, j in zip(names, shells, strengths, exchanges, strict=False)
        if 0 <= int(shell) < len(_SHELL) and (u or j)
    }
