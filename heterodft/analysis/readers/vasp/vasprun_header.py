"""The small parts at the beginning of vasprun.xml: atoms and k-points."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.readers.numbers import BadNumberError, parse_number, split_numbers
from heterodft.analysis.readers.vasp.vasprun_sets import read_rows
from heterodft.analysis.readers.vasp.vasprun_text import CutOffError, DamageError, children

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from heterodft.analysis.readers.vasp.vasprun_text import Element, Text

__all__ = ["Atoms", "read_atoms", "read_kpoints", "read_mesh", "read_path"]

_COUNT = re.compile(rb"\s*<atoms>\s*(\d+)\s*</atoms>")
_ROW = re.compile(rb"\s*<rc>((?:\s*<c>[^<>]*</c>)+)\s*</rc>")
_CELL = re.compile(rb"<c>([^<>]*)</c>")
_SYMBOL = re.compile(r"[A-Z][a-z]?")
_CLIPPED = {"r": "Zr", "X": "Xe"}
"""What some POTCARs make of these elements."""
_DIVISIONS = re.compile(rb"<v[^<>]*name=\"divisions\"\s*>\s*(\d+)\s+(\d+)\s+(\d+)\s*</v>")
_POINT = re.compile(rb"<v>([^<>]*)</v>")


@dataclass(frozen=True)
class Atoms:
    """Symbols of the sites, which species each is, and of each species the title and electrons of its POTCAR."""

    elements: tuple[str, ...]
    species: tuple[int, ...]
    pseudopotentials: tuple[str, ...]
    valences: tuple[float, ...]
    """Not-a-number where it cannot be read."""


def read_atoms(text: Text, element: Element) -> Atoms:
    """Read ``<atominfo>``.

    Raises
    ------
    DamageError
        If its two tables do not fit each other.
    """
    count = _COUNT.match(text.bytes, element.start, element.end)
    arrays = {part.name: part for part in children(text, element.start, element.end, open_end=False)}
    if count is None or not {"atoms", "atomtypes"} <= set(arrays):
        raise DamageError("no number of atoms, or no table of them", element.start)
    rows, kinds = (_table(text, arrays[name], width) for name, width in (("atoms", 2), ("atomtypes", 5)))
    try:
        species = tuple(int(row[1]) - 1 for row in rows)
        counts = [int(row[0]) for row in kinds]
    except ValueError as error:
        raise DamageError(f"the table of atoms holds {error}", element.start) from error
    elements = tuple(_CLIPPED.get(row[0], row[0]) for row in rows)
    of_kind = [_CLIPPED.get(row[1], row[1]) for row in kinds]
    if len(rows) != int(count[1]) or counts != [species.count(i) for i in range(len(kinds))]:
        raise DamageError(f"{len(rows)} atoms in the table, {count[1].decode()} by their number", element.start)
    if any(of_kind[kind] != symbol for kind, symbol in zip(species, elements, strict=True)):
        raise DamageError("the table of atoms does not fit that of the species", element.start)
    if not all(_SYMBOL.fullmatch(symbol) for symbol in of_kind):
        raise DamageError(f"{', '.join(of_kind)} are not all elements", element.start)
    return Atoms(elements, species, tuple(row[4] for row in kinds), tuple(_valence(row[3]) for row in kinds))


def _valence(cell: str) -> float:
    try:
        return parse_number(cell.encode("ascii", errors="replace"))
    except BadNumberError:
        return math.nan


def _table(text: Text, array: Element, width: int) -> list[list[str]]:
    position = text.bytes.find(b"<set>", array.start, array.end)
    if position < 0:
        raise DamageError("a table without its set", array.start)
    position += 5
    rows = []
    while (match := _ROW.match(text.bytes, position, array.end)) is not None:
        cells = [cell.decode("utf-8", errors="replace").strip() for cell in _CELL.findall(match[1])]
        if len(cells) != width:
            raise DamageError(f"{len(cells)} cells in a row of {width}", position)
        rows.append(cells)
        position = match.end()
    if text.bytes[position : array.end].strip() != b"</set>":
        raise DamageError("a table with something else than rows", position)
    return rows


def read_kpoints(text: Text, element: Element) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Read the list of k-points, shape (k, 3), and their weights as printed, shape (k,).

    Raises
    ------
    DamageError
        If there is not a weight for each.
    """
    parts = {part.name: part for part in children(text, element.start, element.end, open_end=not element.complete)}
    if not {"kpointlist", "weights"} <= set(parts) or not parts["weights"].complete:
        raise (DamageError if element.complete else CutOffError)("k-points or weights are missing", element.start)
    points, unknown = read_rows(text, parts["kpointlist"].start, parts["kpointlist"].end, 3)
    weights, none = read_rows(text, parts["weights"].start, parts["weights"].end, 1)
    if len(points) != len(weights) or unknown or none:
        raise DamageError(f"{len(weights)} weights of {len(points)} k-points", element.start)
    return points, weights[:, 0]


def _generation(text: Text, element: Element) -> Element | None:
    for part in children(text, element.start, element.end, open_end=not element.complete):
        if part.tag == "generation" and part.complete:
            return part
    return None


def read_mesh(text: Text, element: Element) -> tuple[int, int, int] | None:
    """Return the divisions of a regular mesh; None for a list or a path.

    Raises
    ------
    DamageError
        If it should have some, but has none, or is made in another way.
    """
    made = _generation(text, element)
    kind = "" if made is None else made.attributes.get("param", "").lower()
    if made is None or kind == "listgenerated":
        return None
    if not kind.startswith(("g", "m", "a")):  # Gamma, Monkhorst-Pack, Auto; older versions cut the words
        raise DamageError(f"{kind!r} is no way to make k-points that is known", made.start)
    match = _DIVISIONS.search(text.bytes, made.start, made.end)
    if match is None:
        raise DamageError("a mesh of k-points without its divisions", made.start)
    return int(match[1]), int(match[2]), int(match[3])


def read_path(text: Text, element: Element) -> NDArray[np.float64] | None:
    """Return the ends of the lines of a path, shape (points, 3); None where there is no path.

    Raises
    ------
    DamageError
        If they are no points.
    """
    made = _generation(text, element)
    if made is None or made.attributes.get("param", "").lower() != "listgenerated":
        return None
    try:
        points = [split_numbers(point) for point in _POINT.findall(text.bytes[made.start : made.end])]
    except BadNumberError as error:
        raise DamageError(f"{error.text.strip()!r} where a k-point is expected", made.start) from error
    if any(len(point) != 3 for point in points):
        raise DamageError("a k-point that has not three numbers", made.start)
    return np.array(points, dtype=np.float64).reshape(-1, 3)
