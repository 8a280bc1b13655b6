"""Grid files of VASP and pp.x, written as those programs write them, for a density that is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Lattice, Structure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

BOHR = 0.529177210903


def fortran_e(value: float, width: int, digits: int) -> str:
    """E17.11 and its like of gfortran: 0.dddE+xx, without the zero where a minus needs its place."""
    if value == 0:
        text = "0." + "0" * digits + "E+00"
    else:
        mantissa, exponent = f"{abs(value):.{digits - 1}E}".split("E")
        text = f"0.{mantissa.replace('.', '')}E{int(exponent) + 1:+03d}"
    text = "-" + text if value < 0 else text
    if len(text) > width:
        text = text.replace("0.", ".", 1)
    return text.rjust(width)


def cell(*, lean: float = 0.0) -> Structure:
    """Two layers of NiO in an orthogonal cell, or one whose third vector leans."""
    lattice = Lattice([[3.0, 0.0, 0.0], [0.0, 3.2, 0.0], [lean, 0.5 * lean, 4.0]])
    positions = [[0, 0, 0], [0.5, 0.5, 0.0], [0.5, 0.5, 0.5], [0.0, 0.0, 0.5]]
    structure = Structure(lattice, ["Ni", "O", "Ni", "O"], positions)
    labels = {"material": ["NiO"] * 4, "block": [1] * 4, "layer": [1, 1, 2, 2], "plane": [0, 0, 1, 1]}
    for name, values in labels.items():
        structure.add_site_property(name, values)
    return structure


def wave(shape: tuple[int, int, int], *, mean: float = 1.0, seed: int = 3) -> NDArray[np.float64]:
    """Some smooth periodic function with a mean."""
    random = np.random.default_rng(seed)
    x, y, z = np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij")
    values = np.full(shape, mean)
    for k in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (0, 1, -1), (0, 0, 2)):
        phase = 2 * np.pi * (k[0] * x + k[1] * y + k[2] * z + random.random())
        values += 0.1 * random.random() * np.cos(phase)
    return values


def poscar(structure: Structure, *, names: bool = True, selective: bool = False) -> str:
    order = sorted(range(len(structure)), key=lambda i: structure[i].species_string)
    elements = list(dict.fromkeys(structure[i].species_string for i in order))
    lines = ["unknown system", "   1.00000000000000"]
    lines += ["".join(f"{x:12.6f}" for x in vector) for vector in structure.lattice.matrix]
    lines += ["   " + "  ".join(elements)] if names else []
    lines.append("".join(f"{sum(site.species_string == e for site in structure):6d}" for e in elements))
    lines += ["Selective dynamics"] if selective else []
    lines.append("Direct")
    flags = "   T   T   F" if selective else ""
    lines += ["".join(f"{x:10.6f}" for x in structure[i].frac_coords) + flags for i in order]
    return "\n".join(lines) + "\n \n"


def vasp_rows(values: NDArray[np.float64]) -> str:
    """Rows of 5(1X,E17.11), the last filled up with blanks, the first index fastest."""
    words = [" " + fortran_e(float(v), 17, 11) for v in values.ravel(order="F")]
    rows = ["".join(words[i : i + 5]) for i in range(0, len(words), 5)]
    rows[-1] += "  " if len(words) % 5 else ""
    return "\n".join(rows) + "\n"


def chg_rows(values: NDArray[np.float64]) -> str:
    """Rows of 10(1X,G11.5): without exponents where they are not needed."""
    words = []
    for value in values.ravel(order="F"):
        plain = 0.1 <= abs(value) < 1
        words.append(" " + (f"{value:.5f}".rjust(7) + "    " if plain else fortran_e(float(value), 11, 5)))
    return "\n".join("".join(words[i : i + 10]) for i in range(0, len(words), 10)) + "\n"


def augmentation(atoms: int, numbers: int = 7) -> str:
    text = ""
    for atom in range(1, atoms + 1):
        text += f"augmentation occupancies {atom:3d} {numbers:3d}\n"
        words = [f"{0.1 * i:15.7E}" for i in range(numbers)]
        text += "\n".join("".join(words[i : i + 5]) for i in range(0, numbers, 5)) + "\n"
    return text


def vasp_file(
    structure: Structure,
    grids: Iterable[NDArray[np.float64]],
    *,
    paw: bool = True,
    names: bool = True,
    selective: bool = False,
) -> str:
    """CHGCAR (its grids times the volume), or with ``paw=False`` LOCPOT."""
    text = poscar(structure, names=names, selective=selective)
    for number, values in enumerate(grids):
        if number:
            words = [f"{1.0:20.12E}" for _ in structure]
            text += "\n".join("".join(words[i : i + 5]) for i in range(0, len(words), 5)) + "\n"
        text += "".join(f"{n:5d}" for n in values.shape) + "\n" + vasp_rows(values)
        text += augmentation(len(structure)) if paw else ""
    return text


def cube_file(structure: Structure, values: NDArray[np.float64]) -> str:
    """As pp.x writes it: 6E13.5, a new row for each first two indices."""
    lines = [" Cubefile created from PWScf calculation", "Contains the selected quantity on a FFT grid"]
    lines.append(f"{len(structure):5d}" + "".join(f"{0.0:12.6f}" for _ in range(3)))
    for n, vector in zip(values.shape, structure.lattice.matrix, strict=True):
        lines.append(f"{n:5d}" + "".join(f"{x / n / BOHR:12.6f}" for x in vector))
    for site in structure:
        place = "".join(f"{x / BOHR:12.6f}" for x in site.coords)
        lines.append(f"{site.specie.Z:5d}{float(site.specie.Z):12.6f}{place}")
    for record in values.reshape(-1, values.shape[2]):
        words = [fortran_e(float(v), 13, 5) for v in record]
        lines += ["".join(words[i : i + 6]) for i in range(0, len(words), 6)]
    return "\n".join(lines) + "\n"


def filplot_file(structure: Structure, values: NDArray[np.float64], plot_num: int) -> str:
    """As pp.x writes it, with ibrav = 0."""
    alat = float(np.linalg.norm(structure.lattice.matrix[0])) / BOHR
    elements = list(dict.fromkeys(site.species_string for site in structure))
    n = values.shape
    lines = [" " * 75, "".join(f"{x:8d}" for x in (*n, *n, len(structure), len(elements)))]
    lines.append(f"{0:6d}  " + "".join(f"{x:12.8f}" for x in (alat, 0, 0, 0, 0, 0)))
    lines += ["  ".join(f"{x / BOHR / alat:.16f}" for x in vector) for vector in structure.lattice.matrix]
    lines.append("".join(f"{x:20.10f}" for x in (100.0, 4.0, 20.0)) + f"{plot_num:6d}")
    lines += [f"{i:4d}   {e:2s}   {10.0:5.2f}" for i, e in enumerate(elements, start=1)]
    for i, site in enumerate(structure, start=1):
        place = "".join(f"{x / BOHR / alat:15.9f}" for x in site.coords)
        lines.append(f"{i:4d}   {place}   {elements.index(site.species_string) + 1:2d}")
    words = [f"{v:17.9E}" for v in values.ravel(order="F")]
    lines += ["".join(words[i : i + 5]) for i in range(0, len(words), 5)]
    return "\n".join(lines) + "\n"


def xsf_file(structure: Structure, values: NDArray[np.float64]) -> str:
    """As pp.x writes it: the first points once more at the end of each vector."""
    full = np.pad(values, ((0, 1),) * 3, mode="wrap")
    lines = [" CRYSTAL", " PRIMVEC", *("".join(f"{x:15.9f}" for x in v) for v in structure.lattice.matrix)]
    lines += [" PRIMCOORD", f"{len(structure):12d}{1:12d}"]
    lines += [f"{s.species_string:3s}" + "".join(f"{x:15.9f}" for x in s.coords) for s in structure]
    lines += ["BEGIN_BLOCK_DATAGRID_3D", "3D_PWSCF", "BEGIN_DATAGRID_3D_UNKNOWN"]
    lines += ["".join(f"{n:12d}" for n in full.shape), "  0.000000  0.000000  0.000000"]
    lines += ["".join(f"{x:12.6f}" for x in v) for v in structure.lattice.matrix]
    words = [fortran_e(float(v), 14, 6) for v in full.ravel(order="F")]
    lines += ["".join(words[i : i + 6]) for i in range(0, len(words), 6)]
    return "\n".join([*lines, "END_DATAGRID_3D", "END_BLOCK_DATAGRID_3D"]) + "\n"
