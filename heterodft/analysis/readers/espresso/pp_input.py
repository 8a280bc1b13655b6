"""What pp.x was asked for: plot_num and spin_component from the input or output beside the file it wrote."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from heterodft.analysis.readers.opening import SUFFIXES, read_text
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from pathlib import Path

    from heterodft.analysis.grids import GridQuantity

__all__ = ["Plot", "name_plot", "plot_of"]

_QUANTITIES: dict[int, tuple[GridQuantity, str]] = {
    0: ("charge density", "valence charge"),
    1: ("potential", "bare, Hartree and exchange-correlation potential"),
    2: ("potential", "bare potential"),
    3: ("charge density", "local density of states"),
    6: ("spin density", "spin density"),
    7: ("charge density", "density of one state"),
    9: ("charge density", "charge minus that of the atoms"),
    10: ("charge density", "charge of an energy window"),
    11: ("potential", "bare and Hartree potential"),
    12: ("potential", "sawtooth potential"),
    13: ("spin density", "magnetization"),
    17: ("charge density", "all-electron valence charge"),
    21: ("charge density", "all-electron charge"),
}
_PARTS = {0: "", 1: " of up electrons", 2: " of down electrons"}
_COMPONENTS = {1: "magnetization along x", 2: "magnetization along y", 3: "magnetization along z"}
_KEY = r"(?im)^[^!\n]*?\b{}\s*(?:\(\s*1\s*\))?\s*=\s*"
_BIGGEST_INPUT = 100_000


@dataclass(frozen=True)
class Plot:
    """``plot_num``, ``spin_component`` and the file that says so."""

    number: int
    component: int
    source: str


def name_plot(plot: Plot, path: Path) -> tuple[GridQuantity, str]:
    """Return which quantity it is, and its name for captions.

    Raises
    ------
    ReaderError
        If it is neither a density nor a potential.
    """
    if plot.number not in _QUANTITIES:
        known = ", ".join(map(str, _QUANTITIES))
        raise ReaderError(
            f"{path}: plot_num = {plot.number} is no density or potential known here (those are {known})"
        )
    quantity, name = _QUANTITIES[plot.number]
    if plot.number == 13 and plot.component == 0:
        raise ReaderError(
            f"{path}: the absolute magnetization has no sign; let pp.x write spin_component = 1, 2 and 3"
        )
    if plot.number == 13:
        return quantity, _COMPONENTS.get(plot.component, name)
    if plot.number in (0, 1, 17):
        return quantity, name + _PARTS.get(plot.component, "")
    return quantity, name


def plot_of(path: Path) -> Plot | None:
    """Return what pp.x was asked for when it wrote a file; None where nothing beside it says."""
    name = path.stem if path.suffix and path.suffix in SUFFIXES else path.name
    inputs = _texts(path.parent, ("*.in", "*.inp", "*.pp.in"), "plot")
    for source, text in inputs.items():
        if name in (_word(text, "fileout"), _word(text, "filplot")):
            found = _asked(text, source) or _asked_elsewhere(inputs, _word(text, "filepp"))
            if found is not None:
                return found
    for source, text in _texts(path.parent, ("*.out",), "plot_num").items():
        number = re.search(r"Calling punch_plot, plot_num =\s*(\d+)", text)
        if number and re.search(rf"Writing data to (?:be plotted to )?file\s+\S*?{re.escape(name)}\s", text):
            return Plot(int(number[1]), 0, source)
    return None


def _texts(folder: Path, patterns: tuple[str, ...], mark: str) -> dict[str, str]:
    """Return the small text files of a folder that hold a word, by name."""
    found = {}
    for path in sorted({path for pattern in patterns for path in folder.glob(pattern)}):
        if path.is_file() and path.stat().st_size < _BIGGEST_INPUT and mark in (text := read_text(path)):
            found[path.name] = text
    return found


def _asked(text: str, source: str) -> Plot | None:
    number = re.search(_KEY.format("plot_num") + r"(\d+)", text)
    component = re.search(_KEY.format("spin_component") + r"(\d+)", text)
    return Plot(int(number[1][:6]), int(component[1][:6]) if component else 0, source) if number else None


def _asked_elsewhere(inputs: dict[str, str], filplot: str | None) -> Plot | None:
    """Return what was asked for in the run that wrote the filplot which another run plotted."""
    for source, text in inputs.items():
        if filplot is not None and _word(text, "filplot") == filplot and (found := _asked(text, source)):
            return found
    return None


def _word(text: str, key: str) -> str | None:
    """Return the name of a file without its folder."""
    found = re.search(_KEY.format(key) + r"['\"]([^'\"\n]*)['\"]", text)
    return found[1].strip().rpartition("/")[2] if found else None
