"""Formation energy of a superlattice against its strained bulks, and the energy of its interfaces."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.energies.comparability import compare
from heterodft.analysis.state_marks import state_marks
from heterodft.errors import ReaderError
from heterodft.structures.vacuum import has_vacuum

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pandas import DataFrame
    from pymatgen.core import Structure

    from heterodft.analysis.result import Result

__all__ = ["JOULE_PER_SQUARE_METRE", "BulkTerm", "SuperlatticeFormation", "count_formula_units"]

JOULE_PER_SQUARE_METRE = 16.02176634
"""An eV/Å² in J/m²."""
_INTEGER = 1e-3
_SAME_AREA = 0.005


@dataclass(frozen=True)
class BulkTerm:
    """One bulk in the sum: its name, formula units in the superlattice, and energy in eV per formula unit (None
    where there is none).
    """

    name: str
    formula_units: float
    energy: float | None


@dataclass(frozen=True)
class SuperlatticeFormation:
    """What it costs to form a superlattice: ΔE = E(superlattice) - Σ n_i E_i(bulk).

    Attributes
    ----------
    name
        Of the superlattice.
    bulks
        The terms of the sum.
    energy
        ΔE in eV a cell, of a slab with its two surfaces; None where it may not be subtracted.
    formula_units
        Σ n_i.
    area
        Å², in-plane.
    interfaces
        In the cell; those of a period are told together, as the sum cannot part them.
    slab
        Whether there is vacuum in the cell.
    surfaces
        Energy of both surfaces of a slab (meV/Å²) as the user gave it.
    reason
        Why there is no number; empty where there is.
    notes
        What must be known beside the number.
    """

    name: str
    bulks: tuple[BulkTerm, ...]
    energy: float | None
    formula_units: float
    area: float
    interfaces: int
    slab: bool
    surfaces: float | None
    reason: str
    notes: tuple[str, ...]

    @classmethod
    def from_results(
        cls,
        superlattice: Result,
        bulks: Mapping[str, Result],
        *,
        surfaces: float | None = None,
        interfaces: int | None = None,
        trust: bool = False,
    ) -> SuperlatticeFormation:
        """Subtract the bulks.

        Parameters
        ----------
        superlattice
            A superlattice or a slab.
        bulks
            By name, strained as they are in the superlattice; the notes say where their in-plane area does not fit.
        surfaces
            Of a slab: energy of both of its surfaces together in meV/Å², to be subtracted.
        interfaces
            Number in the cell; by default from the labels of its blocks, else two.
        trust
            Subtract where the files do not tell some setting; the notes then say which.

        Raises
        ------
        ReaderError
            If the bulks do not add up to the superlattice.
        """
        names, results = list(bulks), list(bulks.values())
        counts = count_formula_units(superlattice.structure, {n: r.structure for n, r in bulks.items()})
        terms = tuple(
            BulkTerm(name, count, None if (e := result.energy) is None else e / _units(result.structure))
            for name, count, result in zip(names, counts, results, strict=True)
        )
        name = str(superlattice.request.get("about", {}).get("name") or superlattice.structure.formula)
        found = [compare(superlattice, r, "formation", names=(name, n)) for n, r in bulks.items()]
        reasons = [text for one in found if (text := one.reason(trust=trust))]
        slab = has_vacuum(superlattice.structure)
        number, assumed = _interfaces(superlattice.structure, slab, interfaces)
        notes = [note for one in found for note in one.caveats(trust=trust)] + assumed
        notes += _strained(superlattice.structure, bulks)
        every = {name: superlattice, **bulks}
        notes += [f"{own}: {mark}" for own, result in every.items() for mark in state_marks(result)]
        notes += ["the slab's two surfaces are in the energy"] if slab and surfaces is None else []
        energy = None if reasons or superlattice.energy is None else superlattice.energy - _sum(terms)
        return cls(
            name=name,
            bulks=terms,
            energy=energy,
            formula_units=float(sum(counts)),
            area=_area(superlattice.structure),
            interfaces=number,
            slab=slab,
            surfaces=surfaces if slab else None,
            reason="; ".join(dict.fromkeys(reasons)),
            notes=tuple(dict.fromkeys(notes)),
        )

    @classmethod
    def read(
        cls, folder: Path, bulks: Mapping[str, Path], *, surfaces: float | None = None, trust: bool = False
    ) -> SuperlatticeFormation:
        """Subtract the bulks of folders from the superlattice of a folder.

        Raises
        ------
        ReaderError
            If a folder cannot be read, or the bulks do not add up to the superlattice.
        """
        from heterodft.analysis.readers import read_folder

        found = {name: read_folder(path) for name, path in bulks.items()}
        return cls.from_results(read_folder(folder), found, surfaces=surfaces, trust=trust)

    @property
    def per_formula_unit(self) -> float | None:
        """Energy in eV per formula unit of the bulks together."""
        return None if self.energy is None else self.energy / self.formula_units

    @property
    def per_area(self) -> float | None:
        """meV/Å² of the in-plane cell."""
        return None if self.energy is None else 1000 * self.energy / self.area

    @property
    def per_interface(self) -> float | None:
        """meV/Å² an interface, the mean of all in the cell; None where surfaces of unknown energy are in it."""
        if self.per_area is None or not self.interfaces or (self.slab and self.surfaces is None):
            return None
        return (self.per_area - (self.surfaces or 0.0)) / self.interfaces

    def to_frame(self) -> DataFrame:
        """Return a table of one row."""
        from pandas import DataFrame

        joule = JOULE_PER_SQUARE_METRE / 1000
        per_interface = self.per_interface
        row = {
            "superlattice": self.name,
            "bulks": " + ".join(f"{term.formula_units:g} {term.name}" for term in self.bulks),
            "formation energy (eV)": self.energy,
            "formation energy (eV per formula unit)": self.per_formula_unit,
            "formation energy (meV/Å²)": self.per_area,
            "interface energy (meV/Å²)": per_interface,
            "interface energy (J/m²)": None if per_interface is None else per_interface * joule,
            "interfaces": self.interfaces,
            "area (Å²)": self.area,
            "no number because": self.reason,
            "notes": "; ".join(self.notes),
        }
        return DataFrame([row])

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        derived = ("per_formula_unit", "per_area", "per_interface")
        return asdict(self) | {key: getattr(self, key) for key in derived} | {"notes": list(self.notes)}


def _sum(terms: Sequence[BulkTerm]) -> float:
    return sum(term.formula_units * (term.energy or 0.0) for term in terms)


def count_formula_units(whole: Structure, parts: Mapping[str, Structure]) -> list[float]:
    """Return how many formula units of each part make up a cell, from the elements in them.

    Raises
    ------
    ReaderError
        If the parts do not add up, or several sums do.
    """
    wanted = whole.composition.get_el_amt_dict()
    units = {name: part.composition.reduced_composition.get_el_amt_dict() for name, part in parts.items()}
    elements = sorted(set(wanted) | {element for unit in units.values() for element in unit})
    matrix = np.array([[unit.get(element, 0.0) for unit in units.values()] for element in elements])
    target = np.array([wanted.get(element, 0.0) for element in elements])
    names = " and ".join(parts)
    if np.linalg.matrix_rank(matrix) < len(parts):
        raise ReaderError(f"{names} hold the same elements in the same ratio; give one of them as the bulk of both")
    counts = np.round(np.linalg.pinv(matrix) @ target)
    left = target - matrix @ counts
    if np.abs(left).max() > _INTEGER or counts.min() < -_INTEGER:
        over = ", ".join(f"{element} {x:+g}" for element, x in zip(elements, left, strict=True) if abs(x) > _INTEGER)
        raise ReaderError(
            f"{whole.formula} is not a sum of {names} (left over: {over or 'a negative number of one'}); a cell with "
            "defects or polar terminations needs chemical potentials, see DefectFormation"
        )
    return [float(count) for count in counts]


def _units(structure: Structure) -> float:
    return float(structure.composition.get_reduced_composition_and_factor()[1])


def _area(structure: Structure) -> float:
    a, b, _ = structure.lattice.matrix
    return float(np.linalg.norm(np.cross(a, b)))


def _interfaces(structure: Structure, slab: bool, given: int | None) -> tuple[int, list[str]]:
    """Return the number of interfaces in the cell, and what was assumed."""
    if given is not None:
        return given, []
    if "block" not in structure.site_properties:
        return (1, ["one interface in the slab is assumed"]) if slab else (2, ["two interfaces a period are assumed"])
    blocks = len(set(structure.site_properties["block"]))
    if slab:
        return blocks - 1, []
    return (blocks if blocks > 1 else 0), []


def _strained(superlattice: Structure, bulks: Mapping[str, Result]) -> list[str]:
    """Say which bulks are not strained as in the superlattice: whose in-plane area does not fit into its own."""
    notes = []
    for name, result in bulks.items():
        ratio = _area(superlattice) / _area(result.structure)
        whole = max(ratio, 1 / ratio)
        if abs(whole / round(whole) - 1) > _SAME_AREA:
            notes.append(
                f"the bulk {name} is not strained as in the superlattice (in-plane {_area(result.structure):.3f} Å² "
                f"against {_area(superlattice):.3f} Å²): its strain is in the energy"
            )
    return notes
