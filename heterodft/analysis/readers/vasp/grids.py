"""LOCPOT, CHGCAR, CHG, PARCHG and AECCAR of VASP: densities and potentials on a grid.

A file holds a POSCAR, then one grid of numbers, or two (ISPIN = 2), or four (noncollinear), the first index fastest.
Densities are multiplied by the volume of the cell; the second grid is up minus down. LOCPOT has the potential of
up and of down electrons instead. Behind a grid may stand the augmentation occupancies of PAW, which are skipped, and
one number for each atom.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.grids import VolumeGrid
from heterodft.analysis.readers.grid_numbers import read_numbers
from heterodft.analysis.readers.lines import Lines
from heterodft.analysis.readers.opening import find_file, read_bytes
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from pymatgen.core import Structure

__all__ = ["VASP_GRIDS", "read_vasp_grids", "vasp_grid_kind"]

VASP_GRIDS = {
    "LOCPOT": "local potential",
    "CHGCAR": "valence charge",
    "CHG": "valence charge",
    "PARCHG": "charge of chosen bands",
    "AECCAR0": "core charge",
    "AECCAR1": "charge of overlapping atoms",
    "AECCAR2": "all-electron valence charge",
}
"""Which files are known, and what they hold."""
_KIND = re.compile(r"AECCAR[012]|LOCPOT|CHGCAR|PARCHG|CHG(?![A-Z])", re.IGNORECASE)
_AUGMENTATION = re.compile(rb"augmentation occupancies[^\d\n]*(\d+)\s+(\d+)[^\n]*\n")
_SYMBOL = re.compile(r"[A-Z][a-z]?")
_UNKNOWN = "abcdfghijklmnopqrstuvwxyz"
"""Xa, Xb … of elements that nobody names; Xe is one."""
_MOST_ATOMS = 100_000


def vasp_grid_kind(name: str) -> str | None:
    """Return which of `VASP_GRIDS` a file is by its name (``PARCHG.0012.0001``, ``LOCPOT.gz``), None for others."""
    found = _KIND.search(name)
    return found[0].upper() if found else None


def read_vasp_grids(path: Path) -> tuple[VolumeGrid, ...]:
    """Read every grid of a file.

    Returns
    -------
    tuple
        Charge density, then spin density or magnetization (its components relative to SAXIS) where there is one.
        Of LOCPOT: the potential, the mean over spins, then those of up and down electrons where there are two.

    Raises
    ------
    ReaderError
        If it cannot be read, or is cut off within its first grid. When a later one is cut off or damaged, the others
        are returned with a note.
    """
    kind = vasp_grid_kind(path.name)
    if kind is None:
        raise ReaderError(f"{path} is named like none of {', '.join(VASP_GRIDS)}; rename it")
    cursor = Lines(read_bytes(path), path)
    structure = _read_structure(cursor)
    sets, notes = _read_sets(cursor, len(structure))
    grids = _potentials(sets, structure, path) if kind == "LOCPOT" else _densities(sets, structure, path, kind)
    return tuple(replace(grid, notes=grid.notes + notes) for grid in grids)


def _read_structure(cursor: Lines) -> Structure:
    """Read the POSCAR at the top, of VASP 4 without its line of element names too."""
    from pymatgen.core import Lattice, Structure

    title = cursor.next()
    scale = cursor.floats(1, "the scale of the cell")[0]
    vectors = np.array([cursor.floats(3, "a cell vector") for _ in range(3)])
    volume = abs(float(np.linalg.det(vectors)))
    if scale == 0 or not 1e-3 < abs(volume * scale**3 if scale > 0 else scale) < 1e8:
        raise ReaderError(f"{cursor.path}: the cell has a volume of {volume:g} times {scale:g}; copy it again")
    factor = float(scale) if scale > 0 else (-float(scale) / volume) ** (1 / 3)
    names, counts = _read_species(cursor)
    coordinates = cursor.next()
    if coordinates.strip()[:1].lower() == "s":
        coordinates = cursor.next()
    if coordinates.strip()[:1].lower() not in ("d", "c", "k"):
        cursor.refuse(coordinates, "Direct or Cartesian")
    cartesian = coordinates.strip()[0].lower() in ("c", "k")
    positions = np.array([cursor.floats(3, "the position of an atom") for _ in range(sum(counts))])
    if cartesian:
        positions *= factor
    elements = _elements(names, counts, title, cursor)
    symbols = [name for name, count in zip(elements, counts, strict=True) for _ in range(count)]
    return Structure(Lattice(vectors * factor), symbols, positions, coords_are_cartesian=cartesian)


def _read_species(cursor: Lines) -> tuple[list[str] | None, list[int]]:
    names: list[str] | None = None
    words = cursor.next().split()
    while words and not words[0].isdecimal():  # VASP puts 20 into a line
        names, words = [*(names or ()), *words], cursor.next().split()
    while names and words and words[-1].isdecimal() and len(words) < len(names):
        words = [*words, *cursor.next().split()]
    if not words or not all(word.isdecimal() and word.isascii() and len(word) < 7 for word in words):
        cursor.refuse(" ".join(words), "the numbers of atoms")
    counts = [int(word) for word in words]
    if not 0 < sum(counts) <= _MOST_ATOMS or min(counts) < 1 or (names is not None and len(names) != len(counts)):
        cursor.refuse(" ".join(words), "the numbers of atoms of each element")
    return names, counts


def _elements(names: list[str] | None, counts: list[int], title: str, cursor: Lines) -> list[str]:
    """Return an element for each count: as named, or as the title says, or those of CONTCAR or POSCAR, or unknown."""
    from pymatgen.core import Element

    found = [match[0] if (match := _SYMBOL.match(name)) else "" for name in names or title.split()]
    if len(found) == len(counts) and all(Element.is_valid_symbol(name) for name in found):
        return found
    if names is not None:
        cursor.refuse(" ".join(names), "the names of elements")
    return _neighbours(cursor.path.parent, counts) or [f"X{_UNKNOWN[i % 25]}" for i in range(len(counts))]


def _neighbours(folder: Path, counts: list[int]) -> list[str] | None:
    from pymatgen.core import Element

    for name in ("CONTCAR", "POSCAR"):
        path = find_file(folder, name)
        lines = read_bytes(path).decode("latin-1").split("\n")[5:7] if path else []
        if len(lines) == 2 and lines[1].split() == [str(count) for count in counts]:
            found = [match[0] for word in lines[0].split() if (match := _SYMBOL.match(word))]
            if len(found) == len(counts) and all(map(Element.is_valid_symbol, found)):
                return found
    return None


def _read_sets(cursor: Lines, atoms: int) -> tuple[list[NDArray[np.float64]], tuple[str, ...]]:
    """Read the grids one after the other, and say what is wrong behind the first."""
    shape = cursor.dimensions()
    again = re.compile(rb"^[ \t]*%d[ \t]+%d[ \t]+%d[ \t\r]*\n" % shape, re.MULTILINE)
    data, path = cursor.data, cursor.path
    sets: list[NDArray[np.float64]] = []
    start: int | None = cursor.at
    while start is not None:
        try:
            values, end = read_numbers(data, start, int(np.prod(shape)), path)
        except ReaderError as error:
            if not sets:
                raise
            return sets[:1], (str(error),)
        sets.append(values.reshape(shape, order="F"))
        following = again.search(data, end)
        start = following.end() if following else None
    problem = _look_behind(data[end:], atoms, path)
    if len(sets) not in (1, 2, 4):
        return sets[:1], (f"{path} holds {len(sets)} grids where 1, 2 or 4 should be; copy it again",)
    return sets, (problem,) if problem else ()


def _look_behind(text: bytes, atoms: int, path: Path) -> str | None:
    """Check that behind the last grid come whole augmentation occupancies and a number for each atom, or nothing.

    Returns
    -------
    str or None
        What is missing there.

    Raises
    ------
    ReaderError
        If numbers follow the grid itself: then its dimensions are not what they say.
    """
    headers = list(_AUGMENTATION.finditer(text))
    between = text[: headers[0].start() if headers else len(text)].split()
    before = len(between)
    if before not in (0, atoms) and not between[0].isalpha():
        raise ReaderError(f"{path}: {before} words behind a grid, whose dimensions may be damaged; copy it again")
    ends = [*(header.start() for header in headers[1:]), len(text)]
    there = [len(text[header.end() : end].split()) for header, end in zip(headers, ends, strict=False)]
    whole = all(int(header[2]) in (n, n - atoms) for header, n in zip(headers, there, strict=True))
    if whole and before in (0, atoms) and len(headers) % atoms == 0 and text[-1:] in (b"", b"\n"):
        return None
    return f"{path} is cut off or damaged behind its last grid: one of the spins may be missing; copy it again"


def _densities(sets: list[NDArray[np.float64]], structure: Structure, path: Path, kind: str) -> list[VolumeGrid]:
    for values in sets:
        np.divide(values, structure.volume, out=values)
    source = f"{path.name} ({VASP_GRIDS[kind]})"
    grids = [VolumeGrid("charge density", "e/Å³", sets[0], structure, source)]
    if len(sets) == 2:
        spin = f"{path.name} (spin density)"
        grids.append(VolumeGrid("spin density", "μB/Å³", sets[1], structure, spin))
    elif len(sets) == 4:
        vectors = f"{path.name} (magnetization)"
        grids.append(VolumeGrid("magnetization", "μB/Å³", np.stack(sets[1:]), structure, vectors))
    return grids


def _potentials(sets: list[NDArray[np.float64]], structure: Structure, path: Path) -> list[VolumeGrid]:
    name = path.name
    if len(sets) != 2:
        return [VolumeGrid("potential", "eV", sets[0], structure, f"{name} (local potential)")]
    up, down = sets
    if float(np.std(up - down)) > float(np.std(up)):
        note = f"{path}: its second grid is not the potential of down electrons; the first was taken as that of both"
        return [VolumeGrid("potential", "eV", up, structure, f"{name} (local potential)", (note,))]
    return [
        VolumeGrid("potential", "eV", (up + down) / 2, structure, f"{name} (local potential, mean of both spins)"),
        VolumeGrid("potential", "eV", up, structure, f"{name} (local potential of up electrons)"),
        VolumeGrid("potential", "eV", down, structure, f"{name} (local potential of down electrons)"),
    ]
