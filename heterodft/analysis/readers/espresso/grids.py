"""What pp.x and average.x of Quantum ESPRESSO write: cube, XSF and filplot files, planar averages.

A filplot says which quantity it holds (plot_num); a cube and an XSF do not. It is taken from the keyword, from the
input or output of pp.x in the same folder, from the first line of a cube that this program wrote, from the name of
the file, or, of a quantity that is never negative and adds up to a whole number of electrons, from the values; the
grid's ``source`` says from which. Potentials of pp.x are in Ry, densities in 1/bohr³.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from heterodft.analysis.grids import GridQuantity, VolumeGrid
from heterodft.analysis.readers.espresso.pp_input import Plot, name_plot, plot_of
from heterodft.analysis.readers.grid_numbers import read_numbers
from heterodft.analysis.readers.lines import Lines
from heterodft.analysis.readers.opening import read_bytes, read_text
from heterodft.errors import ReaderError
from heterodft.units import BOHR, HARTREE, RYDBERG

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from pymatgen.core import Structure

__all__ = ["AverageFile", "EnergyUnit", "read_average", "read_espresso_grid"]

EnergyUnit = Literal["Ry", "Ha", "eV"]
_ENERGIES: dict[str, float] = {"Ry": RYDBERG, "Ha": HARTREE, "eV": 1.0}
_OWN = re.compile(
    r"(charge density|spin density|magnetization|potential) in (hartree|1/bohr\^3), written by heterodft"
)
_NAMES: tuple[tuple[str, GridQuantity], ...] = (
    (r"spin|magn|mag(?![a-z])", "spin density"),
    (r"pot|^v(?![a-z])|vtot|vh", "potential"),
    (r"charge|rho|dens|chg", "charge density"),
)
_SYMBOL = re.compile(r"[A-Z][a-z]?")


@dataclass(frozen=True)
class _Raw:
    """Numbers as the file has them."""

    values: NDArray[np.float64]
    structure: Structure
    title: str
    plot: int | None = None


def read_espresso_grid(
    path: Path, *, quantity: GridQuantity | None = None, unit: EnergyUnit | None = None
) -> VolumeGrid:
    """Read a cube, an XSF or a filplot.

    Parameters
    ----------
    path
        Its format is told from what is in it.
    quantity
        What it holds, where the program cannot know (see above).
    unit
        Of a potential that pp.x did not write; Ry of one that it did.

    Raises
    ------
    ReaderError
        If it cannot be read, is cut off, or holds something else than a density or a potential.
    """
    raw = _read_raw(path)
    plot = plot_of(path) if raw.plot is None else (plot_of(path) or Plot(raw.plot, 0, "its head"))
    own = _OWN.match(raw.title)
    found: GridQuantity
    if quantity is not None:
        found, told, how = quantity, str(quantity), "as said"
    elif plot is not None:
        found, told = name_plot(plot, path)
        how = f"plot_num {plot.number} in {plot.source}"
    elif own is not None:
        found, told, how = _own_quantity(own[1]), own[1], "in its first line"
    else:
        found, how = _guess(path, raw)
        told = found
    source = f"{path.name} ({told}, {how})"
    if found != "potential":
        name = "e/Å³" if found == "charge density" else "μB/Å³"
        return VolumeGrid(found, name, raw.values / BOHR**3, raw.structure, source)
    return VolumeGrid(found, "eV", raw.values * _energy(path, raw, unit, plot, own), raw.structure, source)


def _energy(path: Path, raw: _Raw, unit: EnergyUnit | None, plot: Plot | None, own: re.Match[str] | None) -> float:
    """Return the unit of a potential in eV."""
    if unit is not None:
        return _ENERGIES[unit]
    if own is not None:
        return HARTREE
    if plot is not None or "PWScf" in raw.title or "PWSCF" in raw.title:
        return RYDBERG
    raise ReaderError(f"{path}: nothing says in which unit its potential is; say unit='Ry', 'Ha' or 'eV'")


def _own_quantity(name: str) -> GridQuantity:
    if name == "potential":
        return "potential"
    return "charge density" if name == "charge density" else "spin density"


def _guess(path: Path, raw: _Raw) -> tuple[GridQuantity, str]:
    for pattern, quantity in _NAMES:
        if re.search(pattern, path.name, re.IGNORECASE):
            return quantity, "by its name"
    electrons = float(raw.values.mean() * raw.structure.volume / BOHR**3)
    if raw.values.min() > -0.01 * raw.values.max() and electrons > 0.5 and abs(electrons - round(electrons)) < 0.02:
        return "charge density", f"as it adds up to {electrons:.2f} electrons"
    raise ReaderError(
        f"{path}: nothing says what it holds, no input of pp.x is beside it; say quantity='potential' …"
    )


def _read_raw(path: Path) -> _Raw:
    data = read_bytes(path)
    head = data[:4096].decode("latin-1")
    if re.search(r"^\s*(CRYSTAL|SLAB|MOLECULE|PRIMVEC|BEGIN_BLOCK_DATAGRID)", head, re.MULTILINE):
        return _read_xsf(Lines(data, path))
    second = head.split("\n")[1:2]
    if second and re.fullmatch(r"(\s*[0-9]+){8}\s*", second[0]):
        return _read_filplot(Lines(data, path))
    return _read_cube(Lines(data, path))


def _read_cube(lines: Lines) -> _Raw:
    title = lines.next().strip()
    lines.next()
    text = lines.next()
    (atoms,) = lines.whole_numbers(text, 1, "the number of atoms of a cube file")
    if not 0 < atoms <= 100_000:
        lines.refuse(text, "the number of atoms of a cube file")
    origin = lines.parse(text, 3, "the origin of the grid", skip=1)
    numbers, steps = [], []
    for _ in range(3):
        text = lines.next()
        numbers += lines.whole_numbers(text, 1, "a dimension and a vector of the grid")
        steps.append(lines.parse(text, 3, "a dimension and a vector of the grid", skip=1))
    if 0 in numbers or len({number > 0 for number in numbers}) > 1:
        lines.refuse(text, "a dimension of the grid")
    unit = BOHR if numbers[0] > 0 else 1.0
    n1, n2, n3 = (abs(number) for number in numbers)
    vectors = np.array(steps) * np.array([[n1], [n2], [n3]]) * unit
    elements, positions = [], []
    for _ in range(atoms):
        text = lines.next()
        elements += [_element(number) for number in lines.whole_numbers(text, 1, "an atom")]
        positions.append((lines.parse(text, 3, "an atom", skip=2) - origin) * unit)
    structure = _structure(lines, vectors, elements, np.array(positions))
    values, end = read_numbers(lines.data, lines.at, n1 * n2 * n3, lines.path, record=n3)
    if lines.data[end:].strip():
        raise ReaderError(f"{lines.path}: more numbers than its {n1} × {n2} × {n3} grid; copy it again")
    return _Raw(values.reshape(n1, n2, n3), structure, title)


def _element(number: int) -> str:
    from pymatgen.core import Element

    return str(Element.from_Z(number).symbol) if 1 <= number <= 118 else "X"


def _structure(
    lines: Lines, vectors: NDArray[np.float64], elements: list[str], positions: NDArray[np.float64]
) -> Structure:
    """Make a structure of Cartesian positions in Å."""
    from pymatgen.core import Lattice, Structure

    volume = float(np.linalg.det(vectors))
    if not 1e-3 < abs(volume) < 1e8:
        raise ReaderError(f"{lines.path}: its cell has a volume of {volume:.3g} Å³; copy it again")
    return Structure(Lattice(vectors), elements, positions, coords_are_cartesian=True)


def _read_filplot(lines: Lines) -> _Raw:
    title = lines.next().strip()
    text = lines.next()
    n1x, n2x, _, n1, n2, n3, atoms, types = lines.whole_numbers(text, 8, "the dimensions of a filplot")
    if not (0 < n1 <= n1x and 0 < n2 <= n2x and n3 > 0 and 0 < types <= atoms <= 100_000):
        lines.refuse(text, "the dimensions of a filplot")
    text = lines.next()
    (ibrav,) = lines.whole_numbers(text, 1, "the Bravais lattice")
    celldm = lines.parse(text, 6, "the Bravais lattice and six lengths", skip=1)
    if ibrav == 0:
        vectors = np.array([lines.floats(3, "a cell vector") for _ in range(3)])
    else:
        vectors = _bravais(ibrav, celldm, lines)
    alat = celldm[0] * BOHR
    text = lines.next()
    plot = lines.whole_numbers(" ".join(text.split()[3:]), 1, "cutoffs and plot_num")[0]
    labels = [lines.next().split() for _ in range(types)]
    if any(len(words) < 3 or not _SYMBOL.match(words[1]) for words in labels):
        lines.refuse(" ".join(labels[-1]), "a kind of atoms")
    elements, positions = [], []
    for _ in range(atoms):
        text = lines.next()
        positions.append(lines.parse(text, 3, "an atom", skip=1) * alat)
        kind = lines.whole_numbers(" ".join(text.split()[4:]), 1, "an atom and its kind")[0]
        if not 1 <= kind <= types:
            lines.refuse(text, "an atom and its kind")
        elements.append(_from_label(labels[kind - 1][1]))
    structure = _structure(lines, vectors * alat, elements, np.array(positions))
    values, end = read_numbers(lines.data, lines.at, n1x * n2x * n3, lines.path)
    if lines.data[end:].strip():
        raise ReaderError(f"{lines.path}: more numbers than its {n1} × {n2} × {n3} grid; copy it again")
    grid = values.reshape((n1x, n2x, n3), order="F")[:n1, :n2]
    return _Raw(grid, structure, title, plot)


def _from_label(label: str) -> str:
    """Return the element of a kind such as ``Ni1``, cut to two letters by pp.x."""
    from pymatgen.core import Element

    name = label[:2].rstrip("0123456789_-").capitalize()
    return name if Element.is_valid_symbol(name) else ("X" if not Element.is_valid_symbol(name[:1]) else name[:1])


def _bravais(ibrav: int, celldm: NDArray[np.float64], lines: Lines) -> NDArray[np.float64]:
    """Return the cell of the commonest Bravais lattices of pw.x, in units of celldm(1) (see its INPUT_PW)."""
    ratio_b, ratio_c = celldm[1], celldm[2]
    cells = {
        1: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        2: [[-0.5, 0, 0.5], [0, 0.5, 0.5], [-0.5, 0.5, 0]],
        3: [[0.5, 0.5, 0.5], [-0.5, 0.5, 0.5], [-0.5, -0.5, 0.5]],
        4: [[1, 0, 0], [-0.5, np.sqrt(0.75), 0], [0, 0, ratio_c]],
        6: [[1, 0, 0], [0, 1, 0], [0, 0, ratio_c]],
        8: [[1, 0, 0], [0, ratio_b, 0], [0, 0, ratio_c]],
    }
    if ibrav not in cells:
        raise ReaderError(
            f"{lines.path}: ibrav = {ibrav} is not known here; let pp.x write a cube (output_format = 6)"
        )
    return np.array(cells[ibrav], dtype=np.float64)


def _read_xsf(lines: Lines) -> _Raw:
    vectors: NDArray[np.float64] | None = None
    elements: list[str] = []
    positions: list[NDArray[np.float64]] = []
    title = ""
    text = lines.next()
    while not re.match(r"\s*(BEGIN_)?DATAGRID_3D", text):
        keyword = text.strip()
        if keyword == "PRIMVEC":
            vectors = np.array([lines.floats(3, "a cell vector") for _ in range(3)])
        elif keyword == "PRIMCOORD":
            (atoms,) = lines.whole_numbers(lines.next(), 1, "the number of atoms")
            for _ in range(min(atoms, 100_000)):
                text = lines.next()
                positions.append(lines.parse(text, 3, "an atom", skip=1))
                elements.append(_xsf_element(text.split()[0]))
        elif keyword.startswith("BEGIN_BLOCK_DATAGRID"):
            title = lines.next().strip()
        text = lines.next()
    n1, n2, n3 = lines.dimensions()
    origin = lines.floats(3, "the origin of the grid")
    span = np.array([lines.floats(3, "a vector of the grid") for _ in range(3)])
    if vectors is None or not positions or min(n1, n2, n3) < 2:
        raise ReaderError(f"{lines.path}: an XSF without PRIMVEC, PRIMCOORD or points; let pp.x write a cube")
    if not np.allclose(span, vectors, atol=1e-4):
        raise ReaderError(f"{lines.path}: its grid does not span the cell; let pp.x write the whole (a cube)")
    structure = _structure(lines, vectors, elements, np.array(positions) - origin)
    values, end = read_numbers(lines.data, lines.at, n1 * n2 * n3, lines.path)
    if not lines.data[end:].lstrip().startswith(b"END_DATAGRID_3D"):
        raise ReaderError(f"{lines.path}: its {n1} × {n2} × {n3} grid is not followed by its end; copy it again")
    grid = values.reshape((n1, n2, n3), order="F")
    for axis in range(3):
        if not np.allclose(np.take(grid, 0, axis), np.take(grid, -1, axis), rtol=1e-4, atol=1e-7):
            raise ReaderError(f"{lines.path}: its last points along vector {axis + 1} do not repeat the first")
    return _Raw(grid[:-1, :-1, :-1], structure, title)


def _xsf_element(word: str) -> str:
    return _element(int(word)) if word.isdecimal() and word.isascii() else _from_label(word)


@dataclass(frozen=True)
class AverageFile:
    """What average.x wrote, in the unit of the file that it averaged.

    Attributes
    ----------
    heights
        Å along the normal, shape (n,).
    planar, macroscopic
        Shape (n,); Ry of a potential, 1/bohr³ of a density.
    """

    heights: NDArray[np.float64]
    planar: NDArray[np.float64]
    macroscopic: NDArray[np.float64]


def read_average(path: Path) -> AverageFile:
    """Read ``avg.dat`` of average.x.

    Raises
    ------
    ReaderError
        If it is no table of three columns with even steps, or is cut off within a row. Whether whole rows are
        missing at its end, the file does not tell.
    """
    text = read_text(path)
    rows = [line.split() for line in text.split("\n")[:-1]]
    try:
        table = np.array([[float(word) for word in row] for row in rows])
    except ValueError as error:
        raise ReaderError(f"{path} is no table of average.x: {error}; copy it again") from error
    if not text.endswith("\n") or table.ndim != 2 or table.shape[1] != 3 or len(table) < 3:
        raise ReaderError(f"{path} is cut off or no table of three columns, as average.x writes them; copy it again")
    heights = table[:, 0] * BOHR
    steps = np.diff(table[:, 0])
    if not np.isfinite(table).all() or steps.min() <= 0 or np.ptp(steps) > 1e-5:
        raise ReaderError(f"{path}: its heights do not grow in even steps from 0, or a value is none; copy it again")
    return AverageFile(heights, table[:, 1], table[:, 2])
