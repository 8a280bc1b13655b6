"""The header of OUTCAR: settings, pseudopotentials, atoms, mesh of k-points."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from heterodft.analysis.readers.file_text import find, number, words_to_numbers

if TYPE_CHECKING:
    from heterodft.analysis.readers.file_text import Mapped

__all__ = ["read_header"]

_HEADER = 1 << 22
_NUMBER = rb"([-+.\d*]\S*)"
_WORDS: dict[str, tuple[bytes, Any]] = {
    "NIONS": (rb"number of ions\s+NIONS =\s*(\d+)", int),
    "NKPTS": (rb"NKPTS =\s*(\d+)", int),
    "NBANDS": (rb"NBANDS=\s*(\d+)", int),
    "ISPIN": (rb"\n\s*ISPIN  =\s*(\d+)", int),
    "ICHARG": (rb"\n\s*ICHARG =\s*(\d+)", int),
    "NSW": (rb"\n\s*NSW    =\s*(-?\d+)", int),
    "IBRION": (rb"\n\s*IBRION =\s*(-?\d+)", int),
    "ISMEAR": (rb"ISMEAR =\s*(-?\d+)", int),
    "NELM": (rb"\n\s*NELM   =\s*(\d+)", int),
    "IVDW": (rb"\n\s*IVDW\s*=\s*(\d+)", int),
    "LDAUTYPE": (rb"LDAUTYPE =\s*(\d+)", int),
    "ENCUT": (rb"\n\s*ENCUT  =\s*" + _NUMBER, number),
    "ENAUG": (rb"\n\s*ENAUG  =\s*" + _NUMBER, number),
    "EDIFF": (rb"\n\s*EDIFF  =\s*" + _NUMBER, number),
    "NELECT": (rb"\n\s*NELECT =\s*" + _NUMBER, number),
    "SIGMA": (rb"SIGMA  =\s*" + _NUMBER, number),
    "AEXX": (rb"\n\s*AEXX    =\s*" + _NUMBER, number),
    "HFSCREEN": (rb"\n\s*HFSCREEN=\s*" + _NUMBER, number),
    "LDAUL": (rb"LDAUL =([^\n]*)", lambda text: [int(v) for v in words_to_numbers(text) if not math.isnan(v)]),
    "LDAUU": (rb"LDAUU =([^\n]*)", words_to_numbers),
    "LDAUJ": (rb"LDAUJ =([^\n]*)", words_to_numbers),
    "PREC": (rb"\n\s*PREC   =\s*(\w+)\s+normal or accurate", bytes.decode),
    "LASPH": (rb"LASPH  =\s*([TF])\s+aspherical", lambda text: text == b"T"),
    "LREAL": (rb"LREAL  =\s*([TF])\s+real-space", lambda text: text == b"T"),
    "LDIPOL": (rb"LDIPOL =\s*([TF])\s+correct", lambda text: text == b"T"),
    "LNONCOLLINEAR": (rb"LNONCOLLINEAR =\s*([TF])", lambda text: text == b"T"),
    "LSORBIT": (rb"LSORBIT =\s*([TF])", lambda text: text == b"T"),
    "LUSE_VDW": (rb"\n\s*LUSE_VDW\s*=\s*([TF])", lambda text: text == b"T"),
    "ZAB_VDW": (rb"\n\s*Zab_VDW\s*=\s*([-+.\d]+)", number),
    "LHFCALC": (rb"LHFCALC =\s*([TF])", lambda text: text == b"T"),
    "GGA": (rb"\n\s*GGA     =\s*(\S+)\s+GGA type", bytes.decode),
    "LEXCH": (rb"\n\s*LEXCH   =\s*(-?\d+)", int),
    "METAGGA": (rb"\n\s*METAGGA\s*=\s*(\w+)", bytes.decode),
}
_TITLE_OF_ATOM = re.compile(rb"\n ([^\n:]*):[ ]*\n energy of atom ")
"""Where the POTCARs were cut out of the header, as is done to publish a file, their titles still stand here."""
_VALENCES = re.compile(rb"\n\s*Ionic Valenz\s*\n\s*ZVAL   =([-+.\d\s]*)\n")
_SYMBOL_OF_TITLE = re.compile(r"\S+ ([A-Z][a-z]?)(?![a-z])")


def read_header(data: Mapped) -> dict[str, Any]:
    """Return the fields of `OutcarData` that stand before the first electronic step."""
    first = find(data[:_HEADER], b" Iteration ", 0)
    head = bytes(data[: first if first >= 0 else _HEADER])
    settings: dict[str, Any] = {}
    for name, (pattern, convert) in _WORDS.items():
        match = re.search(pattern, head)
        if match is not None:
            value = convert(match[1])
            if not (isinstance(value, float) and math.isnan(value)):
                settings[name] = value
    version = re.search(rb"^ ?vasp\.(\d+\.\d+(?:\.\d+)?)", head)
    mesh = re.search(rb"generate k-points for:\s*(\d+)\s+(\d+)\s+(\d+)", head)
    found = re.findall(rb"TITEL  =([^\n]*)", head) or _TITLE_OF_ATOM.findall(head)
    titles = tuple(" ".join(text.decode("latin-1").split()) for text in found)
    symbols = [text.decode("latin-1") for text in re.findall(rb"VRHFIN =\s*([A-Z][a-z]?)\s*:", head)]
    if not symbols:
        matches = [_SYMBOL_OF_TITLE.match(title) for title in titles]
        symbols = [match[1] for match in matches if match is not None]
    valences = tuple(number(text) for text in re.findall(rb"ZVAL   =\s*(\S+)\s+mass and valenz", head))
    if not valences and (listed := _VALENCES.search(head)) is not None:
        valences = tuple(words_to_numbers(listed[1]))
    per_type = re.search(rb"ions per type =([^\n]*)", head)
    counts = tuple(int(text) for text in re.findall(rb"\d+", per_type[1])) if per_type is not None else ()
    if settings.get("NIONS", sum(counts)) != sum(counts):
        counts = ()
    elements = None
    if counts and len(symbols) == len(counts):
        elements = tuple(symbol for symbol, count in zip(symbols, counts, strict=True) for _ in range(count))
    return {
        "version": version[1].decode() if version is not None else None,
        "settings": settings,
        "elements": elements,
        "titles": titles,
        "valences": valences if len(valences) == len(counts) else (),
        "counts": counts,
        "mesh": tuple(int(text) for text in mesh.groups()) if mesh is not None else None,
    }
