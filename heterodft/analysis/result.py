"""The one Result that every DFT code is read into: eV, Å, μB, sites in the builder's order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from heterodft.analysis.response import ResponseU

__all__ = [
    "ARRAYS_FILE",
    "ORBITALS",
    "RESULT_FILE",
    "SHELLS",
    "Bands",
    "HubbardOccupations",
    "ProjectedDos",
    "Result",
    "SiteValues",
]

RESULT_FILE, ARRAYS_FILE = "result.json", "result.npz"

ORBITALS = (
    "s", "pz", "px", "py", "dz2", "dxz", "dyz", "dx2-y2", "dxy",
    "fz3", "fxz2", "fyz2", "fz(x2-y2)", "fxyz", "fx(x2-3y2)", "fy(3x2-y2)",
)  # fmt: skip
"""Real harmonics in the order of an orbital axis; shells of the same kind (3s and 4s) are added."""
SHELLS = ("s", "p", "d", "f")
"""An orbital axis where the code told no more than these."""


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
        μB, shape (sites,); None when not spin-polarized. Of a noncollinear run the z components.
    vectors
        μB, shape (sites, 3), of a noncollinear run; None of others.
    shell_charges, shell_moments
        By shell as in `SHELLS`, shape (sites, 4); None when the code did not tell.
    orbital_charges
        Electrons by spin and orbital as in `ORBITALS`, shape (sites, spin, 16); None when the code did not tell.
    """

    kind: str
    charges: tuple[float, ...]
    moments: tuple[float, ...] | None
    vectors: NDArray[np.float64] | None = None
    shell_charges: NDArray[np.float64] | None = None
    shell_moments: NDArray[np.float64] | None = None
    orbital_charges: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class HubbardOccupations:
    """Occupation matrices of the shell of one site that carries a Hubbard U.

    Attributes
    ----------
    site
        Its index in the structure.
    shell
        ``3d``; without its number where the code tells none.
    matrices
        Electrons, shape (spin, m, m), orbitals in the order of `ORBITALS` with the signs of the code; one spin, with
        0…1 as in the others, of a run without spin; complex, shape (4, m, m), with up-up, up-down, down-up and
        down-down of a noncollinear run.
    """

    site: int
    shell: str
    matrices: NDArray[Any]

    @property
    def eigenvalues(self) -> NDArray[np.float64]:
        """Occupations of the eigenorbitals, lowest first, shape (spin, m); (1, 2m) of a noncollinear run."""
        blocks = self.matrices
        if len(blocks) == 4:
            blocks = np.block([[blocks[0], blocks[1]], [blocks[2], blocks[3]]])[None]
        return np.asarray(np.linalg.eigvalsh(blocks), dtype=np.float64)

    @property
    def electrons(self) -> float:
        """Electrons of the shell, both spins."""
        traces = self._traces
        return float(2 * traces[0] if len(traces) == 1 else traces[0] + traces[-1])

    @property
    def moment(self) -> float:
        """μB: electrons up minus down, of a noncollinear run the z component; 0 without spin."""
        traces = self._traces
        return float(traces[0] - traces[-1])

    @property
    def size(self) -> float:
        """μB: length of the moment, which of a noncollinear run may point anywhere."""
        aside = 2 * complex(np.trace(self.matrices[1])) if len(self.matrices) == 4 else 0.0
        return float(np.hypot(self.moment, abs(aside)))

    @property
    def _traces(self) -> NDArray[np.float64]:
        return np.asarray(np.trace(self.matrices, axis1=1, axis2=2).real, dtype=np.float64)


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
    projections
        Part of each state on each orbital of each site, 0…1, shape (spin, k, band, site, orbital); None when not
        computed or not asked for.
    orbitals
        Names along the orbital axis: `ORBITALS` or `SHELLS`.
    labels
        Names of the points of a path, one a k-point, mostly empty; None on a mesh.
    """

    energies: NDArray[np.float64]
    occupations: NDArray[np.float64]
    kpoints: NDArray[np.float64]
    weights: NDArray[np.float64]
    projections: NDArray[np.float64] | None = None
    orbitals: tuple[str, ...] = ORBITALS
    labels: tuple[str, ...] | None = None


@dataclass(frozen=True)
class ProjectedDos:
    """Density of states projected on atomic wavefunctions.

    Attributes
    ----------
    energies
        eV on the scale of the Fermi level, shape (energy,).
    values
        States per eV, shape (site, orbital, spin, energy).
    total
        States per eV of the whole cell, shape (spin, energy).
    orbitals
        Names along the orbital axis: `ORBITALS`, or `SHELLS` where no more was told.

    The spin axis has one entry without spin, two (up, down) of a collinear run, four (both, then the x, y and z
    components of the magnetization) of a noncollinear run whose code tells them.
    """

    energies: NDArray[np.float64]
    values: NDArray[np.float64]
    total: NDArray[np.float64]
    orbitals: tuple[str, ...] = ORBITALS

    def by_shell(self) -> NDArray[np.float64]:
        """Add the orbitals of each shell; shape (site, shell, spin, energy), shells as in `SHELLS`."""
        sums = np.zeros((self.values.shape[0], len(SHELLS), *self.values.shape[2:]))
        for column, name in enumerate(self.orbitals):
            sums[:, SHELLS.index(name[0])] += self.values[:, column]
        return sums


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
        Number of valence electrons; None when a file was cut off before it.
    energy
        Total energy in eV; None where the step computes none (dos).
    fermi_levels
        eV: one, or one a spin when the total moment was fixed; empty when the run did not get that far.
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
    forces
        eV/Å, shape (site, 3), of the final structure; None when not told.
    stress
        eV/Å³, shape (3, 3), positive when the cell wants to shrink in pymatgen's convention of VASP; None when not
        told.
    method
        What the outputs say of how it was computed, where they do: ``xc``, ``cutoff`` and ``density_cutoff`` (eV),
        ``kpoints`` (a mesh, or the number of points), ``kpoints_shift`` (1 for half a step of the mesh),
        ``smearing``, ``smearing_width`` (eV), ``hubbard`` (eV by kind or by site), ``pseudopotentials``, ``charge``,
        ``noncollinear``, ``spin_orbit``, ``dispersion``; of VASP also ``precision``, ``support_grid``,
        ``projectors``, ``aspherical``, ``dipole``.
    ended
        ``finished``, ``stopped`` (asked to end early), ``crashed`` or ``cut off``.
    notes
        What is missing, doubtful or was mended while reading, in words for the user.
    occupations
        Of each site with a Hubbard U, in the structure's order; empty where none is told.
    response
        Hubbard U by linear response; None where none was computed.
    spent
        ``runs`` of programs, ``iterations`` of all SCF cycles, ``cpu_seconds`` of one rank and ``core_seconds`` of
        all ranks in all runs, also those before a correction or an interruption; empty for a folder of others.
    """

    code: str
    version: str
    step: str
    structure: Structure
    electrons: float | None
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
    forces: NDArray[np.float64] | None = None
    stress: NDArray[np.float64] | None = None
    method: dict[str, Any] = field(default_factory=dict)
    ended: Literal["finished", "stopped", "crashed", "cut off"] = "finished"
    notes: tuple[str, ...] = ()
    occupations: tuple[HubbardOccupations, ...] = ()
    response: ResponseU | None = None
    spent: dict[str, Any] = field(default_factory=dict)

    @property
    def all_iterations(self) -> int | None:
        """SCF iterations of all runs and all steps of a relaxation; of the last cycle where no more is known."""
        return self.spent.get("iterations", self.iterations)

    @property
    def all_cpu_seconds(self) -> float | None:
        """CPU time of all runs; of the last one where no more is known."""
        return self.spent.get("cpu_seconds", self.cpu_seconds)

    @property
    def on_path(self) -> bool:
        """Whether the k-points of the bands lie on a path, not on a mesh."""
        return self.bands is not None and self.bands.labels is not None

    @property
    def id(self) -> str | None:
        """Identity of the calculation, None for a folder of others."""
        return self.request.get("id")

    @property
    def fermi_level(self) -> float:
        """The Fermi level in eV, the higher one when there are two.

        Raises
        ------
        ReaderError
            If the run did not get that far.
        """
        if not self.fermi_levels:
            raise ReaderError("the result holds no Fermi level; the run did not get that far")
        return max(self.fermi_levels)

    def to_dict(self) -> dict[str, Any]:
        """Return the small, readable part as plain JSON data."""
        from heterodft.analysis.result_files import result_data

        return result_data(self)

    def save(self, folder: Path) -> None:
        """Write ``result.npz``, then ``result.json``, whose presence says that both are whole."""
        from heterodft.analysis.result_files import save_result

        save_result(self, folder)

    @classmethod
    def load(cls, folder: Path) -> Result:
        """Read back what `save` wrote.

        Raises
        ------
        ReaderError
            If a file is missing, cut off, or of another version.
        """
        from heterodft.analysis.result_files import load_result

        return load_result(folder)
