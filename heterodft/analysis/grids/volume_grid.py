"""Densities and potentials on the grid of a cell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from heterodft.errors import ReaderError
from heterodft.files import atomic_writer
from heterodft.units import BOHR, HARTREE

if TYPE_CHECKING:
    from pathlib import Path

    from ase import Atoms
    from numpy.typing import NDArray
    from pymatgen.core import Lattice, Structure
    from pymatgen.io.common import VolumetricData

__all__ = ["GridQuantity", "VolumeGrid", "plane_normal"]

GridQuantity = Literal["charge density", "spin density", "potential", "magnetization"]


def plane_normal(lattice: Lattice, axis: int) -> NDArray[np.float64]:
    """Return the unit normal of the plane of the two other cell vectors, on the side of cell vector ``axis``."""
    vectors = lattice.matrix
    normal = np.cross(vectors[(axis + 1) % 3], vectors[(axis + 2) % 3])
    unit: NDArray[np.float64] = normal / np.linalg.norm(normal)
    return unit if float(unit @ vectors[axis]) > 0 else -unit


@dataclass(frozen=True)
class VolumeGrid:
    """One quantity on the regular grid of a cell.

    Attributes
    ----------
    quantity
        ``charge density``, ``spin density`` (up minus down), ``magnetization`` (three components) or ``potential``.
    unit
        ``e/Å³``, ``μB/Å³`` or ``eV``.
    values
        Shape (n1, n2, n3), or (3, n1, n2, n3) of a magnetization; point (i, j, k) lies at i/n1, j/n2, k/n3 of the
        cell vectors; the periodic end points are not repeated. A potential is that of an electron: low where
        electrons like to be.
    structure
        Its cell and atoms.
    source
        Name of the file and what it holds, for captions: ``LOCPOT (ionic and Hartree)``.
    notes
        What is missing or doubtful, in words for the user.
    """

    quantity: GridQuantity
    unit: str
    values: NDArray[np.float64]
    structure: Structure
    source: str = ""
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Points along the three cell vectors."""
        n1, n2, n3 = self.values.shape[-3:]
        return n1, n2, n3

    @property
    def volume_element(self) -> float:
        """Å³ a point."""
        return float(self.structure.volume / np.prod(self.values.shape[-3:]))

    def integrate(self) -> float | NDArray[np.float64]:
        """Integrate over the cell: electrons, μB (three of a magnetization), or eV Å³."""
        total: NDArray[np.float64] = self.values.sum(axis=(-3, -2, -1)) * self.volume_element
        return total if total.ndim else float(total)

    def period(self, axis: int = 2) -> float:
        """Return the height of the cell in Å along the normal of the two vectors other than ``axis``."""
        lattice = self.structure.lattice
        return float(lattice.matrix[axis] @ plane_normal(lattice, axis))

    def planar_average(self, axis: int = 2) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Average over the planes parallel to the two cell vectors other than ``axis``.

        The cell may be oblique: such planes hold all points of equal index along ``axis``, and lie at that part of
        the cell's height along their normal however far the third vector leans.

        Parameters
        ----------
        axis
            0, 1 or 2: along which cell vector the planes follow each other.

        Returns
        -------
        tuple
            Heights in Å along the normal, shape (n,); averages, shape (n,), or (3, n) of a magnetization.
        """
        others = tuple(i - 3 for i in range(3) if i != axis)
        number = self.shape[axis]
        heights = np.arange(number, dtype=np.float64) * (self.period(axis) / number)
        average: NDArray[np.float64] = self.values.mean(axis=others)
        return heights, average

    def component(self, direction: NDArray[np.float64] | str) -> VolumeGrid:
        """Return a magnetization along a direction: ``x``, ``y``, ``z`` or a vector.

        Raises
        ------
        ReaderError
            If there are no components, or that is no direction.
        """
        if self.quantity != "magnetization":
            raise ReaderError(
                f"{self.source or 'the grid'} is a {self.quantity}; only a magnetization has components"
            )
        if isinstance(direction, str) and direction not in ("x", "y", "z"):
            raise ReaderError(f"component '{direction}': give x, y, z or a Cartesian vector")
        vector = np.eye(3)["xyz".index(direction)] if isinstance(direction, str) else np.asarray(direction, float)
        if vector.shape != (3,) or not np.isfinite(vector).all() or not vector.any():
            raise ReaderError(f"component {direction}: give x, y, z or a Cartesian vector that is not zero")
        unit = vector / np.linalg.norm(vector)
        name = direction if isinstance(direction, str) else "[" + " ".join(f"{x:.3g}" for x in unit) + "]"
        values = np.tensordot(unit, self.values, axes=1)
        return replace(self, quantity="spin density", values=values, source=f"{self.source}, component {name}")

    def write_cube(self, path: Path) -> Path:
        """Write a Gaussian cube file, for isosurfaces in VESTA, XCrySDen, ASE …

        In atomic units, as such files are: densities in electrons or μB a bohr³, a potential in hartree. A
        magnetization is written as its absolute value; take a `component` for one with a sign.
        """
        values = np.linalg.norm(self.values, axis=0) if self.values.ndim == 4 else self.values
        unit = 1 / HARTREE if self.quantity == "potential" else BOHR**3
        name = "hartree" if self.quantity == "potential" else "1/bohr^3"
        source = self.source.encode("ascii", errors="replace").decode().replace("\n", " ")
        lines = [f"{self.quantity} in {name}, written by heterodft; {source}", _LOOPS]
        rows = [(len(self.structure), np.zeros(3))]
        rows += [(n, v / n / BOHR) for n, v in zip(self.shape, self.structure.lattice.matrix, strict=True)]
        lines += [f"{n:5d}{x:14.8f}{y:14.8f}{z:14.8f}" for n, (x, y, z) in rows]
        for site in self.structure:
            number = getattr(site.specie, "Z", 0)
            x, y, z = site.coords / BOHR
            lines.append(f"{number:5d}{float(number):14.8f}{x:14.8f}{y:14.8f}{z:14.8f}")
        with atomic_writer(path) as stream:
            stream.write(("\n".join(lines) + "\n").encode())
            for plane in values * unit:
                stream.write("".join(_cube_rows(record) for record in plane.tolist()).encode())
        return path

    def to_pymatgen(self) -> VolumetricData:
        """Return pymatgen's object; a density is multiplied by the cell's volume, which is what pymatgen expects.

        Raises
        ------
        ReaderError
            For a magnetization, which pymatgen has as three grids: take each `component`.
        """
        from pymatgen.io.common import VolumetricData

        if self.values.ndim == 4:
            raise ReaderError("pymatgen holds one component a grid; convert component('x'), ('y') and ('z')")
        factor = 1.0 if self.quantity == "potential" else self.structure.volume
        return VolumetricData(self.structure, {"total": self.values * factor})

    def to_ase(self) -> tuple[Atoms, NDArray[np.float64]]:
        """Return the atoms of ASE and the values, which is what ``ase.io.cube`` reads and writes."""
        from pymatgen.io.ase import AseAtomsAdaptor

        atoms: Any = AseAtomsAdaptor.get_atoms(self.structure.copy(site_properties={}))
        return atoms, self.values


_LOOPS = "OUTER LOOP: X, MIDDLE LOOP: Y, INNER LOOP: Z"


def _cube_rows(record: list[float]) -> str:
    """Return one column of points as rows of six, the last of which may be shorter."""
    words = [f"{value:16.8E}" for value in record]
    return "".join("".join(words[i : i + 6]) + "\n" for i in range(0, len(words), 6))
