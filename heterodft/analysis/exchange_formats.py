"""Results as objects of pymatgen and ASE, for what others have written on top of those."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.result import SHELLS
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import NDArray
    from pymatgen.electronic_structure.bandstructure import BandStructure
    from pymatgen.electronic_structure.dos import CompleteDos

    from heterodft.analysis.result import Result

__all__ = ["to_ase", "to_pymatgen_bands", "to_pymatgen_dos"]

_PYMATGEN_ORDER = (
    "s", "py", "pz", "px", "dxy", "dyz", "dz2", "dxz", "dx2-y2",
    "fy(3x2-y2)", "fxyz", "fyz2", "fz3", "fxz2", "fz(x2-y2)", "fx(x2-3y2)",
)  # fmt: skip
"""The values of pymatgen's ``Orbital``, the order of VASP; some of its names changed between versions."""


def to_pymatgen_dos(result: Result) -> CompleteDos:
    """Return the density of states with its projections, as ``Vasprun.complete_dos`` is.

    Of a noncollinear run both spins together are the spin up of pymatgen.

    Raises
    ------
    ReaderError
        If the result holds no projected density of states.
    """
    from pymatgen.electronic_structure.core import OrbitalType
    from pymatgen.electronic_structure.dos import CompleteDos, Dos

    dos = result.dos
    if dos is None:
        raise ReaderError("the result holds no projected density of states; run a dos step")
    level = result.fermi_level
    total = Dos(level, dos.energies, _by_spin(dos.total))
    shells = not set(dos.orbitals) - set(SHELLS)
    keys = [OrbitalType[name] if shells else _orbital(name) for name in dos.orbitals]
    parts: Any = {
        site: {key: _by_spin(dos.values[i, j]) for j, key in enumerate(keys)}
        for i, site in enumerate(result.structure)
    }
    return CompleteDos(result.structure, total, parts)


def to_pymatgen_bands(result: Result) -> BandStructure:
    """Return the bands, along a path as ``BandStructureSymmLine``, with their projections where they were read.

    Raises
    ------
    ReaderError
        If the result holds no bands.
    """
    from pymatgen.electronic_structure.bandstructure import BandStructure, BandStructureSymmLine

    bands = result.bands
    if bands is None:
        raise ReaderError("the result holds no band energies")
    named = {name: bands.kpoints[i].tolist() for i, name in enumerate(bands.labels or ()) if name}
    parts = None if bands.projections is None else _by_spin(_projections(bands.projections, bands.orbitals))
    arguments: dict[str, Any] = {
        "eigenvals": _by_spin(bands.energies.transpose(0, 2, 1)),
        "lattice": result.structure.lattice.reciprocal_lattice,
        "efermi": result.fermi_level,
        "structure": result.structure,
        "projections": parts,
    }
    if named:
        return BandStructureSymmLine(bands.kpoints, labels_dict=named, **arguments)
    return BandStructure(bands.kpoints, labels_dict={}, **arguments)


def to_ase(result: Result) -> Atoms:
    """Return the final atoms, with what is known of energy, forces, stress and moments on a calculator.

    Moments are those in spheres where there are some, else Löwdin's; ``atoms.info["moments"]`` says which, and
    ``atoms.info["converged"]`` whether the energy means anything.
    """
    from ase import Atoms
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.stress import full_3x3_to_voigt_6_stress

    structure = result.structure
    atoms = Atoms(
        [site.specie.symbol for site in structure],
        positions=structure.cart_coords,
        cell=structure.lattice.matrix,
        pbc=True,
    )
    known: dict[str, Any] = {"energy": result.energy, "forces": result.forces, "magmom": result.total_moment}
    if result.stress is not None:
        voigt: Any = full_3x3_to_voigt_6_stress
        known["stress"] = voigt(result.stress)
    kind = next((kind for kind in ("sphere", "Löwdin") if kind in result.sites), None)
    if kind is not None and result.sites[kind].moments is not None:
        known["magmoms"] = np.array(result.sites[kind].moments)
        atoms.info["moments"] = kind
    atoms.info["converged"] = result.converged
    calculator: Any = SinglePointCalculator
    atoms.calc = calculator(atoms, **{name: value for name, value in known.items() if value is not None})
    return atoms


def _by_spin(values: NDArray[np.float64]) -> dict[Any, Any]:
    """Return the entries of a spin axis by pymatgen's names; of four (noncollinear) only the first, both spins."""
    from pymatgen.electronic_structure.core import Spin

    return dict(zip((Spin.up, Spin.down), values[:2] if len(values) == 2 else values[:1], strict=False))


def _orbital(name: str) -> Any:
    from pymatgen.electronic_structure.core import Orbital

    return Orbital(_PYMATGEN_ORDER.index(name))


def _projections(values: NDArray[np.float64], orbitals: tuple[str, ...]) -> NDArray[np.float64]:
    """Reorder (spin, k, band, site, orbital) into pymatgen's (spin, band, k, orbital, site) and order of orbitals."""
    moved = values.transpose(0, 2, 1, 4, 3)
    if not set(orbitals) - set(SHELLS):
        return moved
    return moved[:, :, :, np.argsort([_PYMATGEN_ORDER.index(name) for name in orbitals])]
