"""Bands from OUTCAR, for folders in which nothing else of them was kept; four decimals."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.readers.file_text import mapped, number, rfind, words_to_numbers
from heterodft.analysis.readers.vasp.outcar import find_step
from heterodft.analysis.readers.vasp.outcar_header import read_header
from heterodft.analysis.result import Bands

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["read_outcar_bands"]

_KPOINT = re.compile(rb"\n k-point *\d+ :([^\n]*)\n[^\n]*band No\.[^\n]*\n")
_IRREDUCIBLE = re.compile(rb"Found\s+(\d+) irreducible k-points:\s+Following reciprocal coordinates:\s+[^\n]*\n")
_LIST = re.compile(rb"k-points in reciprocal lattice and weights:[^\n]*\n")
_HEADER = 1 << 22


def read_outcar_bands(path: Path, *, step: int | None = None) -> Bands | None:
    """Read the bands after an ionic step, without it after the last that ended.

    Returns
    -------
    Bands or None
        None where they are not there (NWRITE), cut off, or not as many as the header says.

    Raises
    ------
    ReaderError
        If the file cannot be opened.
    """
    with mapped(path) as data:
        begin, middle, _ = find_step(data, step)
        start = rfind(data, b"E-fermi :", begin, middle) if middle >= 0 else -1
        if start < 0:
            return None
        settings, text = read_header(data)["settings"], bytes(data[start:middle])
        head = bytes(data[:_HEADER])
    bands, kpoints = settings.get("NBANDS", 0), settings.get("NKPTS", 0)
    blocks = list(_KPOINT.finditer(text))
    spins = 2 if settings.get("ISPIN") == 2 else 1
    if not bands or not kpoints or len(blocks) != spins * kpoints:
        return None
    states = [_states(text, block.end(), bands) for block in blocks]
    points = _kpoints(head, kpoints)
    if any(block is None for block in states) or points is None:
        return None
    values = np.array(states).reshape(spins, kpoints, bands, 2)
    coordinates, weights = points
    filling = 1.0 if spins == 2 or settings.get("LNONCOLLINEAR") else 2.0
    return Bands(values[..., 0].copy(), values[..., 1] / filling, coordinates, weights / weights.sum())


def _states(text: bytes, start: int, bands: int) -> NDArray[np.float64] | None:
    rows = text[start : start + 60 * (bands + 1)].split(b"\n")[:bands]
    values = np.array([(words_to_numbers(row) + [np.nan] * 3)[:3] for row in rows])
    if values.shape != (bands, 3) or not np.array_equal(values[:, 0], np.arange(1, bands + 1)):
        return None
    return values[:, 1:] if np.isfinite(values).all() else None


def _kpoints(head: bytes, kpoints: int) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return coordinates with eight decimals; weights as whole numbers where the mesh was generated."""
    listed = _LIST.search(head)
    if listed is None:
        return None
    values = _rows(head, listed.end(), kpoints, [(0, 13), (13, 25), (25, 37), (37, 60)])
    generated = _IRREDUCIBLE.search(head)
    if values is None:
        return None
    weights = values[:, 3]
    if generated is not None and int(generated[1]) == kpoints:
        exact = _rows(head, generated.end(), kpoints, [(0, 10), (10, 20), (20, 30), (30, 50)])
        if exact is not None:
            weights = exact[:, 3]
    return (values[:, :3].copy(), weights.copy()) if weights.sum() > 0 else None


def _rows(head: bytes, start: int, count: int, columns: list[tuple[int, int]]) -> NDArray[np.float64] | None:
    rows = head[start : start + 80 * (count + 1)].split(b"\n")[:count]
    values = np.array([[number(row[begin:stop]) for begin, stop in columns] for row in rows])
    return values if values.shape == (count, 4) and np.isfinite(values).all() else None
