"""Hubbard occupations of pw.x: those of its XML file, with ``occup.txt`` beside it, else those it printed.

The XML file has all digits. Of a noncollinear run it holds absolute values alone, so that the matrices are those of
``occup.txt``, which is nothing but numbers: the XML file tells its shape and proves that both are of one run. What is
printed has three decimals, its trace five.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.readers.occupation_matrices import checked_occupations

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from heterodft.analysis.result import HubbardOccupations

__all__ = ["printed_occupations", "xml_occupations"]

_LETTERS = "spdf"
_ABSOLUTE = ("Hubbard_ns_nc", "Hubbard_ns_mod")
"""Names from 7.x on, and before."""
_SAME = 1e-6
_BLOCK = re.compile(r"^ --- enter write_ns ---|^\s+=+ HUBBARD OCCUPATIONS =+", re.MULTILINE)
# up to 6.7: "atom    1   Tr[ns(na)] (up, down, total) =   4.98478  3.61527  8.60005", without spin "Tr[ns(na)] = …"
# later:     "---- ATOM    1 ----", then "Tr[ns] (up, down, total) = …", from 7.0 on "Tr[ns(  1)] (up, …"
_ATOM = re.compile(
    r"^(?:atom\s+(\d+)\s+|\s+-+ ATOM\s+(\d+) -+\n\s+)Tr\[ns(?:\([^)]*\))?\]( \(up, down, total\))?\s+="
    r"((?:\s+-?\d+\.\d+)+)",
    re.MULTILINE,
)
_MATRIX = re.compile(
    r"^\s+occupation(?:s| matrix ns \(before diag\.\)):[ \t]*\n((?:(?:[ \t]*-?\d+\.\d{3})+[ \t]*\n)+)", re.M
)
_ROUNDED = 0.0006
"""Of each printed number that a trace is added up from."""
_COMPLEX = re.compile(r"\(\s*([^,\s]+)\s*,\s*([^)\s]+)\s*\)")


# The XML file


def xml_occupations(output: Any, path: Path) -> tuple[HubbardOccupations, ...]:
    """Return what the element ``output`` of an XML file holds; nothing of a run without U.

    Raises
    ------
    ValueError
        If it is damaged, or of a noncollinear run whose ``occup.txt`` is not beside it.
    """
    node = output.find("dft/dftU")
    if node is None:
        return ()
    kinds = [atom.get("name") for atom in output.findall("atomic_structure/atomic_positions/atom")]
    absolute = [entry for name in _ABSOLUTE for entry in node.findall(name)]
    if absolute:
        return _noncollinear(absolute, kinds, path.with_name("occup.txt"))
    entries = node.findall("Hubbard_ns")
    told = output.findtext("magnetization/lsda") or ""
    spins = 2 if told.strip() == "true" else 1
    if len(entries) % spins:
        raise ValueError(f"{len(entries)} occupation matrices of {spins} spins")
    return tuple(_collinear(entries[i : i + spins], kinds) for i in range(0, len(entries), spins))


def _collinear(entries: list[Any], kinds: list[str]) -> HubbardOccupations:
    """Return those of one site; its matrix is as large as that of the largest shell of any site."""
    site, size = _site(entries, kinds), 2 * _LETTERS.index(entries[0].get("label")[-1]) + 1
    if [entry.get("spin", "1") for entry in entries] != [str(i + 1) for i in range(len(entries))]:
        raise ValueError(f"the occupation matrices of atom {site + 1} are not one of each spin")
    whole = np.stack([_matrix(entry) for entry in entries])
    return checked_occupations(site, entries[0].get("label"), whole[:, :size, :size])


def _site(entries: list[Any], kinds: list[str]) -> int:
    """Return the site; before 7.2 the index counts spins as well."""
    first, last = (int(entry.get("index")) - 1 for entry in (entries[0], entries[-1]))
    site = first if first == last and len(entries) > 1 else first // len(entries)
    if not 0 <= site < len(kinds) or any(entry.get("specie") != kinds[site] for entry in entries):
        raise ValueError(f"occupations of atom {site + 1}, which is no {entries[0].get('specie')}")
    return site


def _matrix(entry: Any) -> NDArray[np.float64]:
    rows, columns = (int(word) for word in entry.get("dims").split())
    values = np.array((entry.text or "").split(), dtype=np.float64)
    if len(values) != rows * columns or rows != columns:
        raise ValueError(f"{entry.tag} holds {len(values)} of {rows * columns} numbers")
    return values.reshape(rows, columns).T


def _noncollinear(entries: list[Any], kinds: list[str], path: Path) -> tuple[HubbardOccupations, ...]:
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, ValueError):
        raise ValueError(f"those of a noncollinear run need {path.name} beside the XML file") from None
    largest = len(_matrix(entries[0])) // 2
    numbers = np.array([complex(float(a), float(b)) for a, b in _COMPLEX.findall(text)])
    if numbers.size != largest**2 * 4 * len(kinds):
        raise ValueError(f"{path.name} holds {numbers.size} of {largest**2 * 4 * len(kinds)} numbers")
    held = numbers.reshape(len(kinds), 4, largest, largest).swapaxes(2, 3)  # Fortran's order, backwards
    found = []
    for entry in entries:
        site, size = _site([entry], kinds), 2 * _LETTERS.index(entry.get("label")[-1]) + 1
        blocks = held[site]
        whole = np.block([[blocks[0], blocks[1]], [blocks[2], blocks[3]]])
        if np.abs(np.abs(whole) - _matrix(entry)).max() > _SAME:
            raise ValueError(f"{path.name} and the XML file differ: files of two runs?")
        found.append(checked_occupations(site, entry.get("label"), blocks[:, :size, :size]))
    return tuple(found)


# As printed


def printed_occupations(text: str) -> tuple[HubbardOccupations, ...]:
    """Return the last occupations of a text; nothing where there are none, or noncollinear ones.

    Raises
    ------
    ValueError
        If the last block is damaged.
    """
    start = max((match.start() for match in _BLOCK.finditer(text)), default=-1)
    if start < 0 or "n_(i1, i2)^(sigma1, sigma2)" in text[start:]:
        return ()
    atoms = list(_ATOM.finditer(text, start))
    ends = [*(atom.start() for atom in atoms[1:]), len(text)]
    return tuple(_printed_site(atom, text[atom.end() : end]) for atom, end in zip(atoms, ends, strict=False))


def _printed_site(atom: re.Match[str], text: str) -> HubbardOccupations:
    """Return those of one site; matrices after the first of each spin are those of a background shell."""
    site = int(atom[1] or atom[2]) - 1
    spins = 2 if atom[3] else 1
    told = np.array(atom[4].split()[:spins], dtype=np.float64) / (1 if atom[3] else 2)
    matrices = [_rows(match[1]) for match in _MATRIX.finditer(text)][:spins]
    size = len(matrices[0]) if matrices else 0
    if len(matrices) != spins or any(matrix.shape != (size, size) for matrix in matrices) or size not in (1, 3, 5, 7):
        raise ValueError(f"the printed occupation matrix of atom {site + 1} is cut off")
    whole = np.stack(matrices)
    if np.abs(np.trace(whole, axis1=1, axis2=2) - told).max() > _ROUNDED * (size + 1):
        raise ValueError(f"the printed occupation matrix of atom {site + 1} does not fit its trace")
    # The trace has five decimals, the matrix three.
    missing = (told - np.trace(whole, axis1=1, axis2=2)) / size
    return checked_occupations(site, _LETTERS[size // 2], whole + missing[:, None, None] * np.eye(size))


def _rows(text: str) -> NDArray[np.float64]:
    rows = [re.findall(r"-?\d+\.\d{3}", line) for line in text.splitlines()]
    return np.array(rows, dtype=np.float64) if len({len(row) for row in rows}) == 1 else np.zeros((0, 1))
