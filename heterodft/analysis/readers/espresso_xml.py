"""``data-file-schema.xml`` of pw.x: structure, energies, Fermi level, bands (Hartree atomic units inside)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from lxml import etree

from heterodft.analysis.result import Bands
from heterodft.errors import ReaderError
from heterodft.units import BOHR, HARTREE

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from pymatgen.core import Structure

__all__ = ["PwXml", "read_pw_xml"]


@dataclass(frozen=True)
class PwXml:
    """The XML file of pw.x.

    Attributes
    ----------
    version, calculation
        ``6.7MaX``; ``scf``, ``nscf`` …
    structure
        Final structure, sites in the order of the input.
    electrons
        Valence electrons.
    energy
        eV; None for an nscf, whose file holds a zero.
    fermi_levels
        eV; one, or two when the total moment was fixed. With fixed occupations the highest occupied level.
    total_moment, absolute_moment
        μB a cell; None when not spin-polarized or not computed.
    converged, iterations
        Of the self-consistent cycle; None for an nscf.
    bands
        Energies in eV with k-points fractional in the reciprocal cell.
    """

    version: str
    calculation: str
    structure: Structure
    electrons: float
    energy: float | None
    fermi_levels: tuple[float, ...]
    total_moment: float | None
    absolute_moment: float | None
    converged: bool | None
    iterations: int | None
    bands: Bands


def read_pw_xml(path: Path) -> PwXml:
    """Read ``data-file-schema.xml``.

    Raises
    ------
    ReaderError
        If the file is missing, cut off, or has no output.
    """
    try:
        root: Any = etree.parse(str(path), etree.XMLParser(resolve_entities=False, huge_tree=True)).getroot()
    except (OSError, etree.XMLSyntaxError) as error:
        raise ReaderError(f"cannot read {path}: {error}") from error
    output = root.find("output")
    if output is None:
        raise ReaderError(f"{path} has no output; the run did not get that far")
    try:
        return _read(root, output)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ReaderError(f"{path} cannot be read as a pw.x XML file: {error}") from error


def _read(root: Any, output: Any) -> PwXml:
    if output.findtext("magnetization/noncolin") == "true":
        raise ValueError("noncollinear runs cannot be read yet")
    calculation = root.findtext("input/control_variables/calculation")
    selfconsistent = calculation not in ("nscf", "bands")
    polarized = output.findtext("magnetization/lsda") == "true"
    cycle = output.find("convergence_info/scf_conv")
    structure, cell = _read_structure(output)
    return PwXml(
        version=root.find("general_info/creator").get("VERSION"),
        calculation=calculation,
        structure=structure,
        electrons=float(output.findtext("band_structure/nelec")),
        energy=float(output.findtext("total_energy/etot")) * HARTREE if selfconsistent else None,
        fermi_levels=_read_fermi_levels(output.find("band_structure")),
        total_moment=_moment(output, "total") if polarized and selfconsistent else None,
        absolute_moment=_moment(output, "absolute") if polarized and selfconsistent else None,
        converged=cycle.findtext("convergence_achieved") == "true" if selfconsistent else None,
        iterations=int(cycle.findtext("n_scf_steps")) if selfconsistent else None,
        bands=_read_bands(output.find("band_structure"), cell),
    )


def _moment(output: Any, name: str) -> float | None:
    text = output.findtext(f"magnetization/{name}")
    return None if text is None else float(text)


def _read_structure(output: Any) -> tuple[Structure, NDArray[np.float64]]:
    """Return the structure and its cell (Å, rows)."""
    from pymatgen.core import Lattice, Structure

    atomic = output.find("atomic_structure")
    cell = np.array([_numbers(atomic.find(f"cell/a{i}")) for i in (1, 2, 3)]) * BOHR
    atoms = atomic.findall("atomic_positions/atom")
    if not atoms:
        raise ValueError("no atomic positions")
    positions = np.array([_numbers(atom) for atom in atoms]) * BOHR
    structure = Structure(
        Lattice(cell), [_element(atom.get("name")) for atom in atoms], positions, coords_are_cartesian=True
    )
    return structure, cell


def _element(kind: str) -> str:
    """Return the element of a kind label such as ``Ti1`` or ``O``."""
    from pymatgen.core import Element

    letters = "".join(c for c in kind[:2] if c.isalpha()).capitalize()
    return letters if Element.is_valid_symbol(letters) else letters[0]


def _numbers(node: Any) -> list[float]:
    return [float(word) for word in node.text.split()]


def _read_fermi_levels(bands: Any) -> tuple[float, ...]:
    two = bands.find("two_fermi_energies")
    if two is not None:
        return tuple(level * HARTREE for level in _numbers(two))
    for name in ("fermi_energy", "highestOccupiedLevel"):
        text = bands.findtext(name)
        if text is not None:
            return (float(text) * HARTREE,)
    raise ValueError("no Fermi level")


def _read_bands(node: Any, cell: NDArray[np.float64]) -> Bands:
    points = node.findall("ks_energies")
    energies = np.array([_numbers(point.find("eigenvalues")) for point in points]) * HARTREE
    occupations = np.array([_numbers(point.find("occupations")) for point in points])
    spins = 2 if node.findtext("lsda") == "true" else 1  # bands up and down stand one after the other
    shape = (len(points), spins, -1)
    weights = np.array([float(point.find("k_point").get("weight")) for point in points])
    # k-points are Cartesian in 2π/alat with alat = |a1|, so that k · a_i / |a1| is fractional.
    cartesian = np.array([_numbers(point.find("k_point")) for point in points])
    return Bands(
        energies.reshape(shape).swapaxes(0, 1),
        occupations.reshape(shape).swapaxes(0, 1),
        cartesian @ cell.T / np.linalg.norm(cell[0]),
        weights / weights.sum(),
    )
