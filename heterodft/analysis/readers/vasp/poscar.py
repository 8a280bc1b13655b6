"""POSCAR and CONTCAR as VASP reads them; an element that is not named is not guessed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.readers.file_text import words_to_numbers
from heterodft.analysis.readers.opening import read_bytes
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Poscar", "read_poscar"]

_SYMBOL = re.compile(rb"([A-Z][a-z]?)(?:[_/].*)?")


@dataclass(frozen=True)
class Poscar:
    """A structure: elements one a site (None where not named), Å as rows, fractional coordinates."""

    elements: tuple[str, ...] | None
    sites: int
    lattice: NDArray[np.float64]
    fractional: NDArray[np.float64]


def read_poscar(path: Path) -> Poscar:
    """Read a POSCAR or CONTCAR.

    Raises
    ------
    ReaderError
        If the file cannot be opened, is cut off, or holds something else.
    """
    lines = read_bytes(path).split(b"\n")
    if len(lines) < 8:
        raise ReaderError(f"{path} is cut off: {len(lines) - 1} lines")
    scales = words_to_numbers(lines[1].split(b"!")[0])[:3]
    lattice = np.array([(words_to_numbers(line) + [np.nan] * 3)[:3] for line in lines[2:5]])
    lattice = lattice * _scale(scales, lattice)
    symbols, counts, at = _species(lines)
    sites = sum(counts)
    if at < len(lines) and lines[at].lstrip()[:1].lower() == b"s":
        at += 1
    if len(lines) <= at or not sites or (symbols is not None and len(symbols) != len(counts)):
        raise ReaderError(f"cannot read {path}: line {at} does not say how many atoms there are")
    cartesian = lines[at].lstrip()[:1].lower() in (b"c", b"k")
    rows = [words_to_numbers(line)[:3] for line in lines[at + 1 : at + 1 + sites]]
    if len(rows) < sites or any(len(row) < 3 for row in rows):
        raise ReaderError(f"{path} is cut off: it holds fewer than its {sites} positions")
    positions = np.array(rows)
    whole = np.isfinite(lattice).all() and np.isfinite(positions).all()
    if not whole or abs(np.linalg.det(lattice)) < 1e-3:
        raise ReaderError(f"cannot read {path}: lattice or positions hold something that is no number")
    if cartesian:
        positions = (positions * _scale(scales, lattice, cartesian=True)) @ np.linalg.inv(lattice)
    elements = None
    if symbols is not None and None not in symbols:
        elements = tuple(str(s) for s, count in zip(symbols, counts, strict=True) for _ in range(count))
    return Poscar(elements, sites, lattice, positions)


def _species(lines: list[bytes]) -> tuple[list[str | None] | None, list[int], int]:
    """Return the elements where they are named, how many atoms each has, and the next line; 20 stand in a line."""
    at, names, counts = 5, list[bytes](), list[int]()
    while at < len(lines) and (words := lines[at].split(b"!")[0].split()) and not words[0].isdigit():
        names += words
        at += 1
    while at < len(lines) and (found := re.findall(rb"(?<!\S)\d+(?!\S)", lines[at].split(b"!")[0])):
        counts += map(int, found)
        at += 1
        if len(counts) >= len(names):
            break
    return [_symbol(name) for name in names] if names else None, counts, at


def _symbol(word: bytes) -> str | None:
    match = _SYMBOL.fullmatch(word)
    return match[1].decode() if match is not None else None


def _scale(scales: list[float], lattice: NDArray[np.float64], *, cartesian: bool = False) -> NDArray[np.float64]:
    """Return what lengths are multiplied by: one number, three, or from the volume that a negative one asks for."""
    if len(scales) == 3 and not any(np.isnan(scales)):
        return np.array(scales)
    factor = scales[0] if scales else np.nan
    if factor < 0:
        volume = abs(np.linalg.det(lattice))
        if cartesian:
            raise ReaderError("a POSCAR with a volume for its scale and Cartesian positions is not read")
        factor = (-factor / volume) ** (1 / 3) if volume > 0 else np.nan
    return np.array(factor)
