"""The one Result that every DFT code is read into: eV, Å, μB, sites in the builder's order."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from heterodft.errors import ReaderError
from heterodft.files import atomic_writer, read_json, write_json

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from pymatgen.core import Structure

__all__ = ["ARRAYS_FILE", "ORBITALS", "RESULT_FILE", "Bands", "ProjectedDos", "Result", "SiteValues"]

RESULT_FILE, ARRAYS_FILE = "result.json", "result.npz"
_SCHEMA = 1

ORBITALS = (
    "s", "pz", "px", "py", "dz2", "dxz", "dyz", "dx2-y2", "dxy",
    "fz3", "fxz2", "fyz2", "fz(x2-y2)", "fxyz", "fx(x2-3y2)", "fy(3x2-y2)",
)  # fmt: skip
"""Real harmonics in the order of every orbital axis; shells of the same kind (3s and 4s) are added."""


@dataclass(frozen=True)
class SiteValues:
    """Numbers per site that say how they were made.

    Attributes
    ----------
    kind
        ``sphere`` (integrated around the nucleus) or ``Löwdin`` (projected on atomic wavefunctions).
    charges
        Electrons, shape (sites,).
    moments
        μB, shape (sites,); None when not spin-polarized.
    """

    kind: str
    charges: tuple[float, ...]
    moments: tuple[float, ...] | None


@dataclass(frozen=True)
class Bands:
    """Band energies.

    Attributes
    ----------
    energies
        eV, shape (spin, k, band).
    occupations
        0…1, shape (spin, k, band).
    kpoints
        Fractional in the reciprocal cell, shape (k, 3).
    weights
        Shape (k,), summing to one.
    """

    energies: NDArray[np.float64]
    occupations: NDArray[np.float64]
    kpoints: NDArray[np.float64]
    weights: NDArray[np.float64]


@dataclass(frozen=True)
class ProjectedDos:
    """Density of states projected on atomic wavefunctions.

    Attributes
    ----------
    energies
        eV on the scale of the Fermi level, shape (energy,).
    values
        States per eV, shape (site, orbital, spin, energy); orbitals as in `ORBITALS`.
    total
        States per eV of the whole cell, shape (spin, energy).
    """

    energies: NDArray[np.float64]
    values: NDArray[np.float64]
    total: NDArray[np.float64]


@dataclass(frozen=True)
class Result:
    """What one finished calculation says.

    Attributes
    ----------
    code, version, step
        ``espresso``, ``6.7``, ``static`` or ``dos``.
    structure
        Final structure with the site properties of the builder where they are known.
    electrons
        Number of valence electrons.
    energy
        Total energy in eV; None where the step computes none (dos).
    fermi_levels
        eV: one, or one a spin when the total moment was fixed.
    total_moment, absolute_moment
        μB a cell; None when not spin-polarized or not computed.
    sites
        By kind, ``sphere`` or ``Löwdin``.
    converged
        Whether the self-consistent cycle reached its tolerance; None where there is none (dos).
    iterations, accuracy
        Of that cycle; the accuracy in eV.
    cpu_seconds, wall_seconds
        As the program printed them.
    bands, dos
        Arrays, or None.
    spilling
        Part of the wavefunctions outside the projection, 0…1.
    request
        ``request.json`` of the folder: id, names, settings; empty for a folder of others.
    corrections
        What handlers changed between its runs, see `heterodft.analysis.corrections`; empty when nothing.
    """

    code: str
    version: str
    step: str
    structure: Structure
    electrons: float
    energy: float | None
    fermi_levels: tuple[float, ...]
    total_moment: float | None
    absolute_moment: float | None
    sites: dict[str, SiteValues]
    converged: bool | None
    iterations: int | None
    accuracy: float | None
    cpu_seconds: float | None
    wall_seconds: float | None
    bands: Bands | None = None
    dos: ProjectedDos | None = None
    spilling: float | None = None
    request: dict[str, Any] = field(default_factory=dict)
    corrections: list[dict[str, Any]] = field(default_factory=list)

    @property
    def id(self) -> str | None:
        """Identity of the calculation, None for a folder of others."""
        return self.request.get("id")

    @property
    def fermi_level(self) -> float:
        """The Fermi level in eV, the higher one when there are two."""
        return max(self.fermi_levels)

    def to_dict(self) -> dict[str, Any]:
        """Return the small, readable part as plain JSON data."""
        from heterodft.analysis.gaps import find_gap

        gap = find_gap(self) if self.bands is not None else None
        return {
            "schema": _SCHEMA,
            "id": self.id,
            "code": self.code,
            "version": self.version,
            "step": self.step,
            "energy": self.energy,
            "gap": None if gap is None else gap.value,
            "gap_detail": None if gap is None else gap.to_dict(),
            "moment": self.total_moment,
            "absolute_moment": self.absolute_moment,
            "fermi_levels": list(self.fermi_levels),
            "electrons": self.electrons,
            "converged": self.converged,
            "iterations": self.iterations,
            "accuracy": self.accuracy,
            "cpu_seconds": self.cpu_seconds,
            "wall_seconds": self.wall_seconds,
            "spilling": self.spilling,
            "sites": {
                kind: {"charges": list(v.charges), "moments": None if v.moments is None else list(v.moments)}
                for kind, v in self.sites.items()
            },
            "structure": self.structure.as_dict(),
            "request": self.request,
            "corrections": self.corrections,
        }

    def save(self, folder: Path) -> None:
        """Write ``result.npz``, then ``result.json``, whose presence says that both are whole."""
        arrays: dict[str, NDArray[np.floating[Any]]] = {}
        if self.bands is not None:
            arrays |= {f"bands_{name}": value for name, value in vars(self.bands).items()}
        if self.dos is not None:
            arrays |= {"dos_energies": self.dos.energies, "dos_total": self.dos.total}
            # Single precision: projwfc.x prints three to four digits.
            arrays["dos_values"] = self.dos.values.astype(np.float32)
        with atomic_writer(folder / ARRAYS_FILE) as stream:
            np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
        write_json(folder / RESULT_FILE, self.to_dict())

    @classmethod
    def load(cls, folder: Path) -> Result:
        """Read back what `save` wrote.

        Raises
        ------
        ReaderError
            If a file is missing, cut off, or of another version.
        """
        data = read_json(folder / RESULT_FILE)
        if data.get("schema") != _SCHEMA:
            raise ReaderError(
                f"{folder / RESULT_FILE}: schema {data.get('schema')} is not {_SCHEMA}; analyse it again"
            )
        try:
            with (folder / ARRAYS_FILE).open("rb") as stream, np.load(stream) as arrays:
                held = {key: arrays[key] for key in arrays.files}
        except (OSError, ValueError, EOFError, KeyError, BadZipFile, zlib.error) as error:
            raise ReaderError(f"cannot read {folder / ARRAYS_FILE}: {error}; analyse the folder again") from error
        try:
            return cls._from_data(data, held)
        except KeyError as error:
            raise ReaderError(f"{folder / RESULT_FILE} lacks {error}; analyse the folder again") from error

    @classmethod
    def _from_data(cls, data: dict[str, Any], held: dict[str, Any]) -> Result:
        from pymatgen.core import Structure

        names = ("energies", "occupations", "kpoints", "weights")
        keys = ("code", "version", "step", "electrons", "energy", "absolute_moment", "converged", "iterations")
        return cls(
            **{key: data[key] for key in (*keys, "accuracy", "cpu_seconds", "wall_seconds", "spilling", "request")},
            structure=Structure.from_dict(data["structure"]),
            corrections=data.get("corrections", []),
            total_moment=data["moment"],
            fermi_levels=tuple(data["fermi_levels"]),
            sites={
                kind: SiteValues(kind, tuple(v["charges"]), None if v["moments"] is None else tuple(v["moments"]))
                for kind, v in data["sites"].items()
            },
            bands=Bands(*(held[f"bands_{name}"] for name in names)) if "bands_energies" in held else None,
            dos=ProjectedDos(held["dos_energies"], held["dos_values"].astype(np.float64), held["dos_total"])
            if "dos_energies" in held
            else None,
        )
