"""What the periodic images of a charged defect add to its energy, as point charges in a dielectric.

A charge q in a cell of a crystal with the dielectric tensor ε, in a neutralizing background, has the energy

    E = -q² α / (2 ε L)                                             (Makov and Payne, Phys. Rev. B 51, 4014 (1995))

too much, α the Madelung constant of its lattice: 2.8373 for a simple cubic one. For a tensor the lattice is
scaled, x' = ε^(-1/2) x, and the energy divided by √det ε (Rurali and Cartoixà, Nano Lett. 9, 975 (2009)). Lany and
Zunger (Phys. Rev. B 78, 235104 (2008)) add the third-order term of Makov and Payne for the screening charge spread
over the cell, which is -c (1 - 1/ε) of the first, c = 0.369 in a simple cubic cell: about two thirds are left.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from pymatgen.core import Lattice, Structure

__all__ = [
    "Alignment",
    "ChargeCorrection",
    "Scheme",
    "align_potentials",
    "correct_charge",
    "madelung_constant",
    "point_charge_energy",
    "shape_factor",
]

Scheme = Literal["makov-payne", "lany-zunger"]

_SYMMETRIC = 1e-6
_FEWEST_SITES = 3


@dataclass(frozen=True)
class ChargeCorrection:
    """What is added to the energy of a charged cell.

    Attributes
    ----------
    scheme
        ``makov-payne`` or ``lany-zunger``.
    charge
        e.
    image
        eV: minus the interaction with the periodic images and the background.
    alignment
        eV: q ΔV; None where no potentials were given.
    notes
        What must be known beside the number.
    """

    scheme: Scheme
    charge: int
    image: float
    alignment: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def energy(self) -> float:
        """eV, to be added to the formation energy."""
        return self.image + (self.alignment or 0.0)

    @property
    def label(self) -> str:
        """What was corrected, in words."""
        names = {"makov-payne": "Makov–Payne, first order", "lany-zunger": "Lany–Zunger"}
        return names[self.scheme] + (" with potential alignment" if self.alignment is not None else ", not aligned")

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return asdict(self) | {"energy": self.energy, "label": self.label, "notes": list(self.notes)}


@dataclass(frozen=True)
class Alignment:
    """Potential energy of an electron in the defect's cell above that in its host, far from the defect: eV, standard
    deviation (eV), and number of sites.
    """

    shift: float
    deviation: float
    sites: int


def correct_charge(
    structure: Structure,
    charge: int,
    *,
    dielectric: ArrayLike,
    scheme: Scheme = "lany-zunger",
    alignment: float | Alignment | None = None,
) -> ChargeCorrection:
    """Return the correction of a charged defect's energy.

    Parameters
    ----------
    structure
        The cell.
    charge
        e; positive where electrons are missing.
    dielectric
        Static constant, electronic and ionic, where ions relaxed, else the electronic one: a number, or a tensor of
        shape (3, 3).
    scheme
        See the head of this module.
    alignment
        Potential energy of an electron (as in LOCPOT, or at the cores in OUTCAR) in the defect's cell above that in
        the host, far from the defect, eV; see `align_potentials`.

    Raises
    ------
    ReaderError
        If the dielectric tensor is not symmetric, or below 1.
    """
    tensor = dielectric_tensor(dielectric)
    image = -point_charge_energy(structure.lattice, charge, tensor)
    notes: list[str] = []
    if scheme == "lany-zunger":
        mean = float(np.trace(tensor)) / 3
        image *= 1 - shape_factor(structure.lattice) * (1 - 1 / mean)
        if not np.allclose(tensor, mean * np.eye(3), rtol=1e-3):
            notes.append(f"the third-order term takes the mean dielectric constant {mean:.3g}")
    shift = alignment.shift if isinstance(alignment, Alignment) else alignment
    if alignment is None and charge:
        notes.append("potentials are not aligned")
    if isinstance(alignment, Alignment):
        notes.append(f"aligned by {alignment.shift:.3f} ± {alignment.deviation:.3f} eV over {alignment.sites} sites")
    return ChargeCorrection(scheme, charge, image, None if shift is None else charge * shift, tuple(notes))


def dielectric_tensor(dielectric: ArrayLike) -> NDArray[np.float64]:
    """Return a dielectric constant as a tensor, shape (3, 3).

    Raises
    ------
    ReaderError
        If it is neither a number of 1 or more nor a symmetric tensor of such.
    """
    given = np.asarray(dielectric, dtype=np.float64)
    tensor = float(given) * np.eye(3) if given.ndim == 0 else given
    if tensor.shape != (3, 3) or not np.allclose(tensor, tensor.T, atol=_SYMMETRIC * max(1.0, np.abs(tensor).max())):
        raise ReaderError(f"dielectric: shape {given.shape}; give a number or a symmetric tensor of 3 × 3")
    if not np.isfinite(tensor).all() or np.linalg.eigvalsh(tensor).min() < 1 - _SYMMETRIC:
        raise ReaderError(
            f"dielectric: {np.round(tensor, 3).tolist()} is below 1, that of vacuum; give that of the crystal"
        )
    return tensor


def point_charge_energy(lattice: Lattice, charge: float, dielectric: ArrayLike = 1.0) -> float:
    """Return the energy in eV, negative, of a lattice of point charges in a background and a dielectric.

    Parameters
    ----------
    lattice
        One charge a cell.
    charge
        e.
    dielectric
        A number, or a tensor of shape (3, 3).
    """
    from pymatgen.analysis.ewald import EwaldSummation
    from pymatgen.core import Lattice, Structure

    if not charge:
        return 0.0
    tensor = dielectric_tensor(dielectric)
    values, vectors = np.linalg.eigh(tensor)
    scaled = Lattice(lattice.matrix @ (vectors / np.sqrt(values)) @ vectors.T)
    unit = Structure(scaled, ["H"], [[0.0, 0.0, 0.0]], site_properties={"charge": [1.0]})
    unit.add_oxidation_state_by_element({"H": 1})
    ewald: Any = EwaldSummation(unit)  # type: ignore[no-untyped-call]
    return float(ewald.total_energy) * charge**2 / float(np.sqrt(values.prod()))


def madelung_constant(lattice: Lattice) -> float:
    """Return α of E = -q² α / (2 L), L the cube root of the volume; 2.8373 of a simple cubic lattice.

    Examples
    --------
    >>> from pymatgen.core import Lattice
    >>> round(madelung_constant(Lattice.cubic(5.0)), 4)
    2.8373
    """
    from scipy import constants

    coulomb = float(constants.e / (4 * np.pi * constants.epsilon_0) * 1e10)  # eV Å
    return -2 * point_charge_energy(lattice, 1.0) * float(np.cbrt(lattice.volume)) / coulomb


def shape_factor(lattice: Lattice) -> float:
    """Return c of Lany and Zunger's third-order term -c (1 - 1/ε) E₁ for a cell.

    The screening charge -q (1 - 1/ε) is spread evenly over the Wigner-Seitz cell; its second moment gives the
    third-order term 2π q Q / (3 ε V).

    Examples
    --------
    >>> from pymatgen.core import Lattice
    >>> round(shape_factor(Lattice.cubic(5.0)), 3)
    0.369
    """
    volume = lattice.volume
    length = float(np.cbrt(volume))
    third = 2 * np.pi / 3 * _mean_square_radius(lattice) / volume
    return third / (madelung_constant(lattice) / (2 * length))


def _mean_square_radius(lattice: Lattice) -> float:
    """Return the mean of r² over the Wigner-Seitz cell in Å², exact: from tetrahedra."""
    from scipy.spatial import ConvexHull, Voronoi

    reduced = lattice.get_lll_reduced_lattice().matrix
    points = np.array(list(product(range(-2, 3), repeat=3))) @ reduced
    voronoi = Voronoi(points)
    centre = int(np.flatnonzero((np.abs(points) < 1e-9).all(axis=1))[0])
    corners = voronoi.vertices[voronoi.regions[voronoi.point_region[centre]]]
    faces = corners[ConvexHull(corners).simplices]  # with the origin, tetrahedra
    volumes = np.abs(np.linalg.det(faces)) / 6
    sums = faces.sum(axis=1)
    squares = ((faces**2).sum(axis=(1, 2)) + (sums**2).sum(axis=1)) / 20
    return float((volumes * squares).sum() / volumes.sum())


def align_potentials(
    structure: Structure,
    defect: ArrayLike,
    potentials: ArrayLike,
    host_potentials: ArrayLike,
    *,
    beyond: float | None = None,
) -> Alignment:
    """Return how much the potential lies above that of the host, far from the defect.

    Parameters
    ----------
    structure
        The cell with the defect.
    defect
        Where it is, Å.
    potentials, host_potentials
        Of an electron, eV, at each site of the structure, and at the same sites of the host, shape (sites,).
    beyond
        Å: sites farther from the defect and all its images count; by default 0.8 of the farthest.

    Raises
    ------
    ReaderError
        If the numbers do not fit the structure, or fewer than three sites are that far.
    """
    here, there = np.asarray(potentials, dtype=np.float64), np.asarray(host_potentials, dtype=np.float64)
    if here.shape != (len(structure),) or there.shape != here.shape:
        raise ReaderError(
            f"potentials: {here.size} and {there.size} numbers for {len(structure)} sites; give one each"
        )
    place = structure.lattice.get_fractional_coords(np.asarray(defect, dtype=np.float64))
    distances = structure.lattice.get_all_distances(structure.frac_coords, [place])[:, 0]
    limit = 0.8 * float(distances.max()) if beyond is None else beyond
    far = distances > limit
    if far.sum() < _FEWEST_SITES:
        raise ReaderError(f"{int(far.sum())} sites lie more than {limit:.1f} Å from the defect; lower beyond")
    apart = (here - there)[far]
    return Alignment(float(apart.mean()), float(apart.std()), int(far.sum()))
