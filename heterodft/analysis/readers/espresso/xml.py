"""``data-file-schema.xml`` of pw.x 6.1 to 7.5: structure, energies, bands (Hartree atomic units inside)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from lxml import etree

from heterodft.analysis.readers.espresso.hubbard import xml_occupations
from heterodft.analysis.readers.espresso.method import method_of_xml
from heterodft.analysis.readers.espresso.stamps import time_of
from heterodft.analysis.readers.opening import SUFFIXES, read_bytes
from heterodft.analysis.result import Bands, HubbardOccupations, SiteValues
from heterodft.errors import ReaderError
from heterodft.units import BOHR, HARTREE

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from numpy.typing import NDArray
    from pymatgen.core import Structure

__all__ = ["PwXml", "read_pw_xml"]

_NOT_COMPLETED = "255"
"""The exit status in the file from its start to its end."""
_MUCH = 0.05
"""Electrons by which occupations may miss the number of electrons before a note says so."""


@dataclass(frozen=True)
class PwXml:
    """The XML file of pw.x.

    Attributes
    ----------
    version, calculation, prefix
        ``6.7MaX``; ``scf``, ``nscf`` …; the name of the files.
    structure
        Final structure, sites in the order of the input.
    electrons
        Valence electrons.
    energy
        eV; None for an nscf, whose file holds a zero.
    fermi_levels
        eV; one, or two when the total moment was fixed. With fixed occupations the highest occupied level. Empty
        when the file tells none.
    total_moment, absolute_moment
        μB a cell; None when not spin-polarized or not computed. Of a noncollinear run the norm of the vector, which
        files before 7.3 do not hold.
    converged, iterations
        Of the self-consistent cycle; None for an nscf.
    bands
        Energies in eV with k-points fractional in the reciprocal cell. One spin channel of a noncollinear run.
    forces, stress
        As in `Result`; None when not computed.
    sites
        Charges and moments in spheres, which files from 7.3 on hold.
    method
        As in `Result`.
    relaxed
        Whether a relaxation reached its tolerance; None where it was none.
    completed
        False of a file that says it was written before the end.
    notes
        What is doubtful.
    occupations
        As in `Result`.
    lost_occupations
        Why those that are there cannot be read; else empty.
    written
        When the file was, by the clock of its host; None where not told.
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
    prefix: str = ""
    forces: NDArray[np.float64] | None = None
    stress: NDArray[np.float64] | None = None
    sites: SiteValues | None = None
    method: dict[str, Any] = field(default_factory=dict)
    relaxed: bool | None = None
    completed: bool = True
    notes: tuple[str, ...] = ()
    occupations: tuple[HubbardOccupations, ...] = ()
    lost_occupations: str = ""
    written: datetime | None = None

    @property
    def noncollinear(self) -> bool:
        """Whether the wavefunctions are spinors."""
        return bool(self.method.get("noncollinear"))


def read_pw_xml(path: Path) -> PwXml:
    """Read ``data-file-schema.xml``, plain or compressed.

    Raises
    ------
    ReaderError
        If the file is missing, cut off, or has no output.
    """
    parser = etree.XMLParser(resolve_entities=False, huge_tree=True, remove_comments=True)
    try:
        if path.suffix in SUFFIXES[1:]:
            root: Any = etree.fromstring(read_bytes(path), parser)
        else:
            root = etree.parse(str(path), parser).getroot()
    except (OSError, etree.XMLSyntaxError) as error:
        raise ReaderError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    program = root.find("general_info/creator")
    if program is not None and program.get("NAME", "PWSCF") != "PWSCF":
        raise ReaderError(f"{path} is of {program.get('NAME').lower()}.x, which cannot be read; give a run of pw.x")
    output = root.find("output")
    if output is None:
        raise ReaderError(f"{path} has no output; the run did not get that far")
    try:
        return _with_occupations(_read(root, output), output, path)
    except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
        raise ReaderError(f"{path} cannot be read as a pw.x XML file: {error}") from error


def _with_occupations(found: PwXml, output: Any, path: Path) -> PwXml:
    try:
        return replace(found, occupations=xml_occupations(output, path))
    except (AttributeError, TypeError, ValueError) as error:
        return replace(found, lost_occupations=str(error))


def _read(root: Any, output: Any) -> PwXml:
    calculation = root.findtext("input/control_variables/calculation")
    selfconsistent = calculation not in ("nscf", "bands")
    lsda, noncollinear = (_flag(output, f"magnetization/{name}") for name in ("lsda", "noncolin"))
    magnetic = (output.findtext("magnetization/do_magnetization") or "true").strip() != "false"
    polarized = (lsda or (noncollinear and magnetic)) and selfconsistent
    cycle = output.find("convergence_info/scf_conv")
    relaxed = output.find("convergence_info/opt_conv/convergence_achieved")
    structure, cell, alat = _read_structure(output.find("atomic_structure"))
    computed = _computed_structure(root, output)
    electrons = _scalar(output, "band_structure/nelec")
    bands = _read_bands(output.find("band_structure"), cell / alat)
    return PwXml(
        version=root.find("general_info/creator").get("VERSION"),
        calculation=calculation,
        prefix=root.findtext("input/control_variables/prefix") or "",
        structure=structure if computed is None else computed,
        electrons=electrons,
        energy=_scalar(output, "total_energy/etot") * HARTREE if selfconsistent else None,
        fermi_levels=_read_fermi_levels(output.find("band_structure")),
        total_moment=_total_moment(output, noncollinear=noncollinear) if polarized else None,
        absolute_moment=_moment(output, "absolute") if polarized else None,
        converged=_cycle_converged(root, cycle) if selfconsistent else None,
        iterations=int(cycle.findtext("n_scf_steps")) if selfconsistent else None,
        bands=bands,
        forces=_read_forces(output, len(structure)) if selfconsistent else None,
        stress=_read_stress(output) if selfconsistent else None,
        sites=_read_sites(output, len(structure)) if selfconsistent else None,
        method=method_of_xml(root, output),
        relaxed=None if relaxed is None or "relax" not in calculation else relaxed.text.strip() == "true",
        completed=(root.findtext("exit_status") or root.findtext("status") or "0").strip() != _NOT_COMPLETED,
        notes=_doubts(bands, electrons, noncollinear=noncollinear, path=calculation == "bands"),
        written=_read_time(root.find("general_info/created")),
    )


def _read_time(node: Any) -> datetime | None:
    return None if node is None else time_of(f"{node.get('DATE')} {node.get('TIME')}")


def _flag(node: Any, name: str) -> bool:
    text = (node.findtext(name) or "").strip()
    if text not in ("true", "false"):
        raise ValueError(f"{name} is {text!r}, not true or false")
    return text == "true"


def _cycle_converged(root: Any, cycle: Any) -> bool:
    """Return what the file says; before 6.4 it gives the accuracy reached instead, in the unit of the threshold."""
    if cycle.find("convergence_achieved") is not None:
        return _flag(cycle, "convergence_achieved")
    return _scalar(cycle, "scf_error") <= _scalar(root, "input/electron_control/conv_thr")


def _scalar(node: Any, name: str) -> float:
    if node.find(name) is None:
        raise ValueError(f"it has no {name}; the run did not get that far")
    value = float(node.findtext(name))
    if not np.isfinite(value):
        raise ValueError(f"{name} is {value}")
    return value


def _doubts(bands: Bands, electrons: float, *, noncollinear: bool, path: bool) -> tuple[str, ...]:
    """Compare what the occupations hold with the number of electrons; on a path of k-points they need not agree."""
    a_band = 1 if noncollinear or len(bands.energies) == 2 else 2
    held = a_band * float((bands.occupations * bands.weights[None, :, None]).sum())
    if path or abs(held - electrons) < _MUCH:
        return ()
    return (f"the occupations of the XML file hold {held:.3f} of {electrons:g} electrons",)


def _moment(output: Any, name: str) -> float | None:
    return None if output.find(f"magnetization/{name}") is None else _scalar(output, f"magnetization/{name}")


def _total_moment(output: Any, *, noncollinear: bool) -> float | None:
    """Return the total moment; files before 7.3 hold a zero in place of that of a noncollinear run."""
    if not noncollinear:
        return _moment(output, "total")
    vector = output.find("magnetization/total_vec")
    return None if vector is None else float(np.linalg.norm(_numbers(vector, 3)))


def _computed_structure(root: Any, output: Any) -> Structure | None:
    """Return the structure of the last step of a relaxation where that has the energy of the output.

    The output part of a relaxation that ran out of steps holds atoms already moved on, with the energy and the forces
    of where they were.
    """
    steps = root.findall("step")
    if not steps or _scalar(steps[-1], "total_energy/etot") != _scalar(output, "total_energy/etot"):
        return None
    structure, _, _ = _read_structure(steps[-1].find("atomic_structure"))
    return structure


def _read_structure(atomic: Any) -> tuple[Structure, NDArray[np.float64], float]:
    """Return the structure, its cell (Å, rows) and alat (Å), the unit of k-points, which |a1| need not be."""
    from pymatgen.core import Lattice, Structure

    cell = np.array([_numbers(atomic.find(f"cell/a{i}"), 3) for i in (1, 2, 3)]) * BOHR
    atoms = atomic.findall("atomic_positions/atom")
    if not atoms:
        raise ValueError("no atomic positions")
    if len(atoms) != int(atomic.get("nat", len(atoms))):
        raise ValueError(f"{len(atoms)} of {atomic.get('nat')} atoms")
    if abs(np.linalg.det(cell)) < 1e-3:
        raise ValueError("a cell without volume")
    positions = np.array([_numbers(atom, 3) for atom in atoms]) * BOHR
    structure = Structure(
        Lattice(cell), [_element(atom.get("name")) for atom in atoms], positions, coords_are_cartesian=True
    )
    alat = atomic.get("alat")
    return structure, cell, float(np.linalg.norm(cell[0])) if alat is None else float(alat) * BOHR


def _element(kind: str) -> str:
    """Return the element of a kind label such as ``Ti1`` or ``O``."""
    from pymatgen.core import Element

    letters = "".join(c for c in kind[:2] if c.isalpha()).capitalize()
    return letters if Element.is_valid_symbol(letters) else letters[0]


def _numbers(node: Any, count: int | None = None) -> NDArray[np.float64]:
    """Decode a block of numbers; without `count` as many as its attribute ``size`` says."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # of numpy, at what is no number
        try:
            found: NDArray[np.float64] = np.fromstring(node.text, sep=" ")
        except (DeprecationWarning, ValueError):
            raise ValueError(f"{node.tag} holds something that is no number") from None
    expected = count if count is not None else int(node.get("size", len(found)))
    if len(found) != expected or not np.isfinite(found).all():
        raise ValueError(f"{node.tag} holds {len(found)} of {expected} numbers")
    return found


def _read_fermi_levels(bands: Any) -> tuple[float, ...]:
    two = bands.find("two_fermi_energies")
    if two is not None:
        return tuple((_numbers(two, 2) * HARTREE).tolist())
    for name in ("fermi_energy", "highestOccupiedLevel"):
        if bands.find(name) is not None:
            return (_scalar(bands, name) * HARTREE,)
    return ()


def _read_bands(node: Any, axes: NDArray[np.float64]) -> Bands:
    """Read the bands; `axes` are the cell vectors (rows) in units of alat."""
    points = node.findall("ks_energies")
    told = int(node.findtext("nks", str(len(points))))
    if not points or told not in (len(points), 2 * len(points)):
        raise ValueError(f"bands of {len(points)} of {told} k-points")
    energies = np.array([_numbers(point.find("eigenvalues")) for point in points]) * HARTREE
    occupations = np.array([_numbers(point.find("occupations")) for point in points])
    if energies.shape != occupations.shape:
        raise ValueError("occupations of other bands than the eigenvalues")
    spins = 2 if _flag(node, "lsda") else 1  # bands up and down stand one after the other
    shape = (len(points), spins, -1)
    weights = np.array([float(point.find("k_point").get("weight")) for point in points])
    # k-points are Cartesian in 2π/alat, so that k · a_i / alat is fractional.
    cartesian = np.array([_numbers(point.find("k_point"), 3) for point in points])
    return Bands(
        energies.reshape(shape).swapaxes(0, 1),
        occupations.reshape(shape).swapaxes(0, 1),
        cartesian @ axes.T,
        weights / weights.sum(),
    )


def _read_forces(output: Any, sites: int) -> NDArray[np.float64] | None:
    node = output.find("forces")
    return None if node is None else _numbers(node, 3 * sites).reshape(sites, 3) * HARTREE / BOHR


def _read_stress(output: Any) -> NDArray[np.float64] | None:
    """pw.x counts a stress positive when the cell wants to grow, `Result` when it wants to shrink."""
    node = output.find("stress")
    return None if node is None else -_numbers(node, 9).reshape(3, 3).T * HARTREE / BOHR**3


def _read_sites(output: Any, sites: int) -> SiteValues | None:
    """Read ``Scalar_Site_Magnetic_Moments`` or, of noncollinear runs, ``Site_Magnetizations``."""
    found = output.findall("magnetization//SiteMagnetization") + output.findall("magnetization//SiteMagnetizations")
    if len(found) != sites or any(node.get("charge") is None for node in found):
        return None
    charges = tuple(float(node.get("charge")) for node in found)
    values = [_numbers(node) for node in found]
    if all(len(value) == 1 for value in values):
        return SiteValues("sphere", charges, tuple(float(value[0]) for value in values))
    if all(len(value) == 3 for value in values):
        vectors = np.array(values)
        return SiteValues("sphere", charges, tuple(vectors[:, 2].tolist()), vectors)
    return None
