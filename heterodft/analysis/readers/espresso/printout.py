"""The physics that pw.x prints: structure, bands, Fermi level, forces, stress; for folders without its XML file."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.readers.espresso.hubbard import printed_occupations
from heterodft.analysis.readers.espresso.method import is_noncollinear, method_of_text
from heterodft.analysis.readers.espresso.output import PwOutput, parse_pw_output
from heterodft.analysis.readers.espresso.stamps import time_of
from heterodft.analysis.readers.espresso.xml import _element
from heterodft.analysis.result import Bands, HubbardOccupations
from heterodft.units import BOHR, RYDBERG

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray
    from pymatgen.core import Structure

__all__ = ["PwPrintout", "read_printout"]

_FLOAT = r"[-+]?\d*\.?\d+(?:[EeDd][-+]?\d+)?"
_VERSION = re.compile(r"Program PWSCF v\.?\s*(\S+)(?: \([^)\n]*\))? starts")
_BEGAN = re.compile(r"Program PWSCF [^\n]* starts on ([^\n]*)")
_ALAT = re.compile(rf"lattice parameter \((?:alat|a_0)\)\s+=\s+({_FLOAT})\s+a\.u\.")
_AXIS = re.compile(rf"a\([123]\) = \(\s*({_FLOAT})\s+({_FLOAT})\s+({_FLOAT})\s*\)")
_CELLDM = re.compile(rf"celldm\(1\)=\s*({_FLOAT})")
_SITE = re.compile(rf"^\s+\d+\s+(\S+)\s+tau\(\s*\d+\) = \(\s*({_FLOAT})\s+({_FLOAT})\s+({_FLOAT})\s*\)", re.M)
_CELL_CARD = re.compile(
    rf"^CELL_PARAMETERS[ \t]*[({{]?\s*(\w+)(?:\s*=\s*({_FLOAT}))?[^\n]*\n((?:[^\n]+\n){{3}})", re.M
)
_POSITION_CARD = re.compile(r"^ATOMIC_POSITIONS[ \t]*[({]?\s*(\w+)[^\n]*\n((?:[A-Z][^\n]*\d[^\n]*\n)+)", re.M)
_FORCE = re.compile(rf"atom\s+(\d+) type\s+\d+\s+force =\s*({_FLOAT})\s+({_FLOAT})\s+({_FLOAT})\s*\n")
_STRESS = re.compile(r"total\s+stress\s+\(Ry/bohr\*\*3\)[^\n]*\n((?:[^\n]+\n){3})")
_K_POINT = re.compile(rf"^\s+k\(\s*\d+\) = \(\s*({_FLOAT})\s+({_FLOAT})\s+({_FLOAT})\s*\), wk =\s*({_FLOAT})", re.M)
_ENERGY = re.compile(rf"^! +total energy\s+=\s+{_FLOAT} Ry", re.M)
_ATOM_COUNT = re.compile(r"number of atoms/cell\s+=\s+(\d+)")
_TOTAL_FORCE = re.compile(rf"Total force =\s+({_FLOAT})")
_K_COUNT = re.compile(r"number of k points=\s*(\d+)")
_FIXED_POINT = re.compile(r"-?\d+\.\d{4}")  # F9.4, which may run together
_BAND_BLOCK = re.compile(r"^\s+k =[^\n]*bands \(ev\):\s*\n\s*\n((?:[ \t]*[-\d.*][-\d. *]*\n)+)", re.M)
_OCCUPATION_BLOCK = re.compile(r"^\s+occupation numbers\s*\n((?:[ \t]*[-\d.*][-\d. *]*\n)+)", re.M)
_ONE_FERMI = re.compile(rf"the Fermi energy is\s+({_FLOAT})\s+ev", re.I)
_TWO_FERMI = re.compile(rf"the spin up/dw Fermi energies are\s+({_FLOAT})\s+({_FLOAT})\s+ev", re.I)
_HIGHEST = re.compile(rf"highest occupied(?:, lowest unoccupied)? level \(ev\):\s*({_FLOAT})")
_ELECTRONS = re.compile(rf"number of electrons\s+=\s+({_FLOAT})")
_KILOBAR = 1602.1766
"""In an eV/Å³."""
_CONDUCTION = re.compile(rf"the conduction Fermi energy is\s+({_FLOAT})\s+ev", re.I)
_FORCE_TOLERANCE = re.compile(rf"force convergence thresh\. =\s*({_FLOAT})")
_RELAXATION = re.compile(r"Geometry Optimization|Damped Dynamics|Damped Cell Dynamics|Minimization using the FIRE")
_DYNAMICS = re.compile(r"Molecular Dynamics Calculation|Langevin Dynamics|Entering Dynamics")
_CELL_MOVES = re.compile(r"press convergence thresh|new unit-cell volume")
_STEPS = re.compile(r"^\s+nstep\s+=", re.M)
_CYCLE_STARTS = "Self-consistent Calculation"
_CRYSTAL_AXES = "crystal axes: (cart. coord. in units of alat)"
_MUCH = 0.05
"""Electrons by which occupations may miss the number of electrons before a note says so."""
_SCF_ENDED = re.compile(r"End of (?:self-consistent|band structure) calculation")


@dataclass(frozen=True)
class PwPrintout:
    """One run as pw.x printed it.

    Attributes
    ----------
    output
        Convergence, energy, moments, times, as last printed.
    cycle
        The same as it was when the last cycle ended, without what one that was cut off added.
    version, calculation
        ``6.7MaX``; ``scf``, ``nscf``, ``relax``, ``vc-relax``, ``md`` or ``vc-md`` as far as the text tells.
    structure
        That of the energy: the last one computed; None when the run did not get that far.
    electrons, fermi_levels, bands, forces, stress, method
        As in `Result`, as far as printed.
    notes
        How the bands were made, or why there are none.
    doubts
        What is damaged, as far as what is printed twice tells.
    occupations
        As in `Result`, to three decimals; of a self-consistent run those of its last cycle that ended.
    lost_occupations
        Why those that are there cannot be read; else empty.
    began
        When the run did, by the clock of its host; None where not told.
    """

    output: PwOutput
    cycle: PwOutput
    version: str
    calculation: str
    structure: Structure | None = None
    electrons: float | None = None
    fermi_levels: tuple[float, ...] = ()
    bands: Bands | None = None
    forces: NDArray[np.float64] | None = None
    stress: NDArray[np.float64] | None = None
    method: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    occupations: tuple[HubbardOccupations, ...] = ()
    lost_occupations: str = ""
    began: datetime | None = None


def read_printout(text: str) -> PwPrintout:
    """Read what one run printed, as far as it goes; nothing in it is an error."""
    output, version = parse_pw_output(text), _VERSION.search(text)
    lost = _lost_energy(text, output)
    ended = _ended_cycles(text)
    cycle = output if len(ended) == len(text) else parse_pw_output(ended)
    began = _BEGAN.search(text)
    text = ended
    structure = _read_structure(text)
    bands: Bands | None = None
    notes: list[str] = []
    electrons = _number(_ELECTRONS, text)
    levels = _read_fermi_levels(text)
    if structure is not None:
        bands, notes = _read_bands(text, electrons, levels)
    if _CONDUCTION.search(text):
        notes.append("of two chemical potentials the Fermi level is that of the valence bands")
    sites = 0 if structure is None else len(structure)
    forces, stress = _read_forces(text, sites), _read_stress(text)
    occupations, lost_occupations = _read_occupations(text)
    return PwPrintout(
        output=output,
        cycle=cycle,
        version=version[1] if version else "",
        calculation=_calculation(text),
        structure=structure,
        electrons=electrons,
        fermi_levels=levels,
        bands=bands,
        forces=forces,
        stress=stress,
        method=method_of_text(text),
        notes=tuple(notes),
        doubts=(*lost, *_doubts(text, forces, stress, cycle)),
        occupations=occupations,
        lost_occupations=lost_occupations,
        began=None if began is None else time_of(began[1]),
    )


def _read_occupations(text: str) -> tuple[tuple[HubbardOccupations, ...], str]:
    """Return the occupations of the last cycle that ended, and why there are none; a start is no result."""
    if not (_SCF_ENDED.search(text) or "\n!" in text):
        return (), ""
    try:
        return printed_occupations(_computed_part(text)), ""
    except ValueError as error:
        return (), str(error)


def _number(pattern: re.Pattern[str], text: str) -> float | None:
    found = pattern.search(text)
    return _float(found[1]) if found else None


def _float(word: str) -> float:
    return float(word.upper().replace("D", "E"))


def _floats(words: Any) -> list[float]:
    return [_float(word) for word in words]


def _calculation(text: str) -> str:
    """Tell the calculation from the head and from what moves the atoms, of which old versions print less."""
    tolerance, dynamics = _number(_FORCE_TOLERANCE, text), _DYNAMICS.search(text)
    cell = "vc-" if _CELL_MOVES.search(text.partition("Begin final coordinates")[0]) else ""
    if _RELAXATION.search(text) or tolerance or (tolerance is None and not dynamics and _STEPS.search(text)):
        return f"{cell}relax"
    if dynamics or tolerance == 0:
        return f"{cell}md"
    return "nscf" if "Band Structure Calculation" in text else "scf"


def _ended_cycles(text: str) -> str:
    """Return the text without a cycle that has no energy yet, of a relaxation that was cut off."""
    energy = text.rfind("\n!!")  # of a hybrid functional, whose other energies are of parts of a cycle
    start = text.find(_CYCLE_STARTS, energy) if energy >= 0 else text.rfind(_CYCLE_STARTS)
    return text[:start] if 0 <= (energy if energy >= 0 else text.rfind("\n!")) < start else text


def _computed_part(text: str) -> str:
    """Return the text up to what belongs to the last energy; a relaxation prints the next positions after it."""
    if "End final coordinates" in text:
        return text
    energy = text.rfind("\n!")
    return text if energy < 0 else text[:energy]


def _read_structure(text: str) -> Structure | None:
    """Return the structure of the last energy from the table at the start or the cards of a relaxation."""
    from pymatgen.core import Lattice, Structure

    text = _computed_part(text)
    alat = _read_alat(text)
    axes = [_floats(row) for row in _AXIS.findall(text)][-3:]
    if alat is None or len(axes) < 3:
        return None
    unit = alat * BOHR
    cell, place = np.array(axes) * unit, text.rfind("crystal axes")
    card = _last(_CELL_CARD, text)
    if card is not None and card.start() > place:
        rows = np.array([_floats(line.split()[:3]) for line in card[3].splitlines()])
        cell = rows * _length(card[1], unit, card[2])
    if abs(np.linalg.det(cell)) < 1e-3:
        return None
    kinds, positions = _read_positions(text, cell, unit)
    if not kinds or len(kinds) != _number(_ATOM_COUNT, text):
        return None
    species = [_element(kind) for kind in kinds]
    return Structure(Lattice(cell), species, positions, coords_are_cartesian=True)


def _read_alat(text: str) -> float | None:
    """Return alat (bohr) of the last head, with the six digits of celldm(1) unless the cell came from a file."""
    text = text[max(text.rfind("lattice parameter ("), 0) :]
    alat, precise = _number(_ALAT, text), _number(_CELLDM, text)
    return precise if alat is not None and precise is not None and abs(precise - alat) < 1e-4 else alat


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    found = None
    for found in pattern.finditer(text):  # noqa: B007
        pass
    return found


def _length(word: str, alat: float, value: str | None = None) -> float:
    if word == "alat" and value is not None:
        return _float(value) * BOHR
    return {"bohr": BOHR, "angstrom": 1.0}.get(word, alat)


def _read_positions(text: str, cell: NDArray[np.float64], alat: float) -> tuple[list[str], NDArray[np.float64]]:
    """Return kinds and Cartesian positions (Å)."""
    table, card = text.rfind("positions (alat units)"), _last(_POSITION_CARD, text)
    if card is not None and card.start() > table:
        rows = [line.split() for line in card[2].splitlines()]
        values = np.array([_floats(row[1:4]) for row in rows])
        return [row[0] for row in rows], values @ cell if card[1] == "crystal" else values * _length(card[1], alat)
    part = text[max(table, 0) :].partition("cryst. coord.")[0].partition("number of k points")[0]
    found = _SITE.findall(part) if table >= 0 else []
    return [row[0] for row in found], np.array([_floats(row[1:]) for row in found]).reshape(-1, 3) * alat


def _read_fermi_levels(text: str) -> tuple[float, ...]:
    ends = [match.start() for match in _SCF_ENDED.finditer(text)]
    part = text[ends[-1] :] if ends else text
    two, one, highest = (pattern.search(part) for pattern in (_TWO_FERMI, _ONE_FERMI, _HIGHEST))
    if two is not None:
        return _float(two[1]), _float(two[2])
    found = one or highest
    return (_float(found[1]),) if found else ()


def _read_bands(text: str, electrons: float | None, levels: tuple[float, ...]) -> tuple[Bands | None, list[str]]:
    """Return the bands of the last cycle and what is to be said of them."""
    ends = [match.end() for match in _SCF_ENDED.finditer(text)]
    mesh = _read_kpoints(text)
    part = text[ends[-1] :] if ends else ""
    if "set verbosity='high' to print" in part:
        return None, ["the bands of 100 and more k-points are printed with verbosity='high' only"]
    if mesh is None or "bands (ev)" not in part:
        return None, ["no bands were printed"]
    points, weights = mesh
    energies = _blocks(_BAND_BLOCK, part)
    spins = 2 if "SPIN DOWN" in part else 1
    if energies is None or len(energies) != spins * len(points):
        return None, ["the bands were not printed whole and were left out"]
    energies = energies.reshape(spins, len(points), -1)
    occupations, notes = _blocks(_OCCUPATION_BLOCK, part), ["the bands are those printed, to 0.1 meV"]
    if occupations is None or occupations.size != energies.size:
        if not levels:
            return None, ["bands without occupations and Fermi level were left out"]
        notes.append("occupations were not printed: those given are 1 up to the Fermi level and 0 above")
        limits = np.array(levels if len(levels) == spins else levels[:1])
        occupations = (energies <= limits[:, None, None] + 1e-4).astype(float)
    bands = Bands(energies, occupations.reshape(energies.shape), points, weights)
    return bands, [*notes, *_missing_electrons(bands, text, electrons)]


def _missing_electrons(bands: Bands, text: str, electrons: float | None) -> list[str]:
    """Compare what fixed occupations hold with the number of electrons: a level of an atom may be partly filled."""
    if electrons is None or "End of self-consistent" not in text or "smearing, width" in text or "tetrah" in text:
        return []
    a_band = 1 if is_noncollinear(text) or len(bands.energies) == 2 else 2
    held = a_band * float((bands.occupations * bands.weights[None, :, None]).sum())
    if abs(held - electrons) < _MUCH:
        return []
    return [f"the occupations hold {held:.3f} of {electrons:g} electrons: a degenerate level is filled in part"]


def _read_kpoints(text: str) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return fractional k-points and weights of the last list, in the cell printed with it.

    A relaxation of the cell keeps them fractional, so that the cell it ends with is another.
    """
    text = text[max(text.rfind(_CRYSTAL_AXES), 0) :]
    count, axes = _number(_K_COUNT, text), [_floats(row) for row in _AXIS.findall(text)[:3]]
    rows = [_floats(row) for row in _K_POINT.findall(text)][: int(count or 0)]
    if not rows or len(rows) != count or len(axes) < 3:
        return None
    points = np.array(rows)
    return points[:, :3] @ np.array(axes).T, points[:, 3] / points[:, 3].sum()


def _blocks(pattern: re.Pattern[str], text: str) -> NDArray[np.float64] | None:
    """Return blocks of numbers as rows; None when they differ in length or hold what is no number."""
    found: list[str] = pattern.findall(text)
    rows = [_floats(_FIXED_POINT.findall(block)) for block in found]
    if not rows or any("*" in block for block in found) or len({len(row) for row in rows}) != 1:
        return None
    return np.array(rows)


def _read_forces(text: str, sites: int) -> NDArray[np.float64] | None:
    """Return the forces of the last energy, which stand after it; at high verbosity their contributions follow."""
    start = text.find("Forces acting on atoms", max(text.rfind("\n!"), 0))
    rows = _FORCE.findall(text[start:])[:sites] if start >= 0 else []
    if not rows or [int(row[0]) for row in rows] != list(range(1, sites + 1)):
        return None
    return np.array([_floats(row[1:]) for row in rows]) * RYDBERG / BOHR


def _read_stress(text: str) -> NDArray[np.float64] | None:
    """pw.x counts a stress positive when the cell wants to grow, `Result` when it wants to shrink."""
    found = _STRESS.search(text, max(text.rfind("\n!"), 0))
    if found is None:
        return None
    rows = [_floats(re.findall(_FLOAT, line)) for line in found[1].splitlines()]
    if any(len(row) != 6 for row in rows):
        return None
    printed = np.array(rows)  # in Ry/bohr³, then in kbar
    stress: NDArray[np.float64] = -printed[:, :3] * RYDBERG / BOHR**3
    same = np.allclose(-stress * _KILOBAR, printed[:, 3:], rtol=1e-3, atol=0.02)
    return stress if same else None


def _lost_energy(text: str, output: PwOutput) -> tuple[str, ...]:
    """Compare the number of energies with that of cycles that converged, which each print one."""
    energies, ended = len(_ENERGY.findall(text)), text.count("convergence has been achieved")
    if ended > energies or (output.finished and energies > ended):
        return (f"{energies} energies of {ended} converged cycles: the energy may be that of an earlier step",)
    return ()


def _doubts(
    text: str, forces: NDArray[np.float64] | None, stress: NDArray[np.float64] | None, cycle: PwOutput
) -> tuple[str, ...]:
    """Compare what is printed twice, and tell what is there but cannot be read."""
    doubts = []
    end = text[max(text.rfind("\n!"), 0) :]
    if stress is None and "Computing stress" in end and "not implemented" not in end and cycle.finished:
        doubts.append("the stress is damaged and was left out")
    total = _number(_TOTAL_FORCE, end)
    if total is not None and forces is None:
        doubts.append("the forces are damaged and were left out")
    if total is not None and forces is not None:
        norm = float(np.linalg.norm(forces)) / (RYDBERG / BOHR)
        if abs(norm - total) > 1e-5 + 1e-3 * total:
            doubts.append(
                f"the forces add up to {norm:.6f} Ry/bohr, not {total:.6f} as printed: fixed atoms, or damaged"
            )
    if not cycle.charges and ("Magnetic moment per site" in text or "Magnetic moment per atom" in text):
        doubts.append("the moments in spheres are damaged and were left out")
    return tuple(doubts)
