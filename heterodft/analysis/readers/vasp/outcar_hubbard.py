"""The onsite density matrices of OUTCAR, which VASP prints in each electronic step where LDAUPRINT is 1 or 2."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.readers.file_text import fixed_width, number, rfind
from heterodft.analysis.readers.occupation_matrices import checked_occupations
from heterodft.analysis.readers.vasp.orbitals import LM_COLUMNS, in_our_order

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from heterodft.analysis.readers.file_text import Mapped
    from heterodft.analysis.result import HubbardOccupations

__all__ = ["read_occupations"]

_NAME = b"onsite density matrix"
_ATOM = re.compile(rb"\natom =\s*(\S+)\s+type =\s*(\S+)\s+l =\s*([0-3])[ \r]*\n\s*onsite density matrix")
_COMPONENT = re.compile(rb"\nspin component\s+(\d)[ \r]*\n[ \r]*\n((?:[ \t]*[-\d.*][-\d.* \t\r]*\n)+)")
_END = b"occupancies and eigenvectors"
_WIDTH, _BETWEEN = 8, 4
"""Of a number, and the blanks between the real and the imaginary parts of a row."""
_OCCUPANCY = re.compile(rb"\n\s*o =([ \d.-]{8})\s+v =")
_ROUNDED = 0.002
"""Of the occupancies printed below the matrices, against their eigenvalues."""
_LETTERS = "spdf"
_SAME_SPINS = 2e-4
_RESPONSE = 3
"""LDAUTYPE of linear response, where LDAUU and LDAUJ are shifts of the potential."""


def read_occupations(
    data: Mapped, begin: int, end: int, settings: dict[str, Any], notes: list[str]
) -> dict[str, Any]:
    """Read the matrices of the last electronic step of a cycle.

    They are those that this step started from, which at its end have settled like the density.

    Parameters
    ----------
    data
        The file.
    begin, end
        Where the cycle begins and ends.
    settings
        Of the header.
    notes
        Grows where something there cannot be read, and is left out.
    """
    start = max(rfind(data, b" Iteration ", begin, end), begin)
    if "LDAUTYPE" not in settings or rfind(data, _NAME, start, end) < 0:
        return {}
    last: dict[int, HubbardOccupations] = {}
    try:
        for match, text in _blocks(bytes(data[start:end])):
            found = _site(match, text, settings)
            if _has_u(match, settings):
                last[found.site] = found
    except ValueError as error:
        notes.append(f"the onsite density matrices in OUTCAR were left out: {error}")
        return {}
    return {"occupations": tuple(last[site] for site in sorted(last))}


def _blocks(text: bytes) -> list[tuple[re.Match[bytes], bytes]]:
    matches = list(_ATOM.finditer(text))
    if len(matches) != text.count(_NAME):
        raise ValueError("one does not tell its atom")
    ends = [*(match.start() for match in matches[1:]), len(text)]
    return [(match, text[match.end() : stop]) for match, stop in zip(matches, ends, strict=True)]


def _has_u(match: re.Match[bytes], settings: dict[str, Any]) -> bool:
    """Tell whether U is meant: an s shell with U = J = 0 is another way to say that there is none."""
    if match[3] != b"0" or settings["LDAUTYPE"] == _RESPONSE:
        return True
    kind = int(match[2]) - 1
    values = [settings.get(name, []) for name in ("LDAUU", "LDAUJ")]
    return any(kind < len(each) and each[kind] != 0 for each in values)


def _site(match: re.Match[bytes], text: bytes, settings: dict[str, Any]) -> HubbardOccupations:
    if not match[1].isdigit() or not 0 < int(match[1]) <= settings.get("NIONS", int(match[1])):
        raise ValueError(f"one is of atom {match[1].decode('latin-1')}")
    site, shell = int(match[1]) - 1, _LETTERS[int(match[3])]
    size = 2 * int(match[3]) + 1
    printed = [number(word) for word in _OCCUPANCY.findall(text)]
    if _END not in text or len(printed) != 2 * size:
        raise ValueError(f"that of atom {site + 1} is cut off")
    matrices = [_matrix(found, size, site) for found in _COMPONENT.finditer(text[: text.index(_END)])]
    if len(matrices) != (4 if settings.get("LNONCOLLINEAR") else 2):
        raise ValueError(f"that of atom {site + 1} has {len(matrices)} spin components")
    whole = np.stack(matrices)
    if len(whole) == 4:  # the second is down-up: only so the eigenvalues are those printed below
        whole = whole[[0, 2, 1, 3]]
    checked = checked_occupations(site, shell, whole)
    if np.abs(np.sort(checked.eigenvalues.ravel()) - np.sort(printed)).max() > _ROUNDED:
        raise ValueError(f"that of atom {site + 1} does not have the occupancies printed below it")
    if settings.get("ISPIN") == 1 and len(whole) == 2:
        if np.abs(whole[0] - whole[1]).max() > _SAME_SPINS:
            raise ValueError(f"that of atom {site + 1} differs by spin in a run without")
        whole = whole[:1]
    columns = LM_COLUMNS[int(match[3]) ** 2 : (int(match[3]) + 1) ** 2]
    for axis in (1, 2):
        whole, _ = in_our_order(whole, columns, axis)
    return checked_occupations(site, shell, whole)


def _matrix(found: re.Match[bytes], size: int, site: int) -> NDArray[Any]:
    rows = [row.rstrip() for row in found[2].splitlines()]
    columns = [(_WIDTH * i, _WIDTH * (i + 1)) for i in range(size)]
    lengths = {len(row) for row in rows}
    if len(rows) != size or not lengths <= {_WIDTH * size, 2 * _WIDTH * size + _BETWEEN}:
        raise ValueError(f"that of atom {site + 1} is no matrix of {size} x {size} numbers")
    real = fixed_width(rows, columns)
    if lengths == {_WIDTH * size}:
        return real
    shift = _WIDTH * size + _BETWEEN
    return real + 1j * fixed_width(rows, [(a + shift, b + shift) for a, b in columns])
