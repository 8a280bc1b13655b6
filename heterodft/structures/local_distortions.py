"""Local distortions: the neighbours of a defect moved towards it or away, and all atoms rattled a little.

A relaxation that starts at the sites of the crystal often ends in the nearest minimum only. Other starts find others:
bonds to the defect stretched by a factor, with a small random displacement of every atom that breaks the symmetry
[Mosquera-Lois, Kavanagh, Walsh and Scanlon, npj Comput. Mater. 9, 25 (2023)].
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from heterodft.errors import StructureError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

__all__ = ["Centre", "Neighbour", "defect_centres", "distort_around", "nearest_neighbours", "rattle"]

_SHELL = 1.15
"""Atoms up to this multiple of the shortest distance are the nearest neighbours."""
_AT = 0.3
"""Å; an atom that is this near to the place of a defect is the defect."""
_CLOSEST = 1.0
"""Å between two atoms, below which a distortion is refused."""
_KEPT = 0.8
"""Of the shortest distance in a structure, below which a rattle brings no two atoms."""
_ATTEMPTS = 50


@dataclass(frozen=True)
class Centre:
    """What neighbours are moved about: a defect, a member of a complex, or any atom.

    Attributes
    ----------
    name
        ``V_O``, ``Ti_Al``; of an atom its element and site, ``Ti 3``.
    position
        Å, Cartesian, shape (3,).
    site
        Index of the atom that is there, None of a vacancy.
    """

    name: str
    position: tuple[float, float, float]
    site: int | None


@dataclass(frozen=True)
class Neighbour:
    """A neighbour of a centre.

    Attributes
    ----------
    site
        Its index in the structure.
    centre
        Index of the centre it is nearest to.
    vector
        Å from the centre to it, shape (3,), the nearest periodic image.
    """

    site: int
    centre: int
    vector: tuple[float, float, float]

    @property
    def distance(self) -> float:
        """Å."""
        return float(np.linalg.norm(self.vector))


def defect_centres(structure: Structure) -> tuple[Centre, ...]:
    """Return where the defect of a structure is, one centre a member of a complex.

    Parameters
    ----------
    structure
        Of `enumerate_defects`, whose ``properties["defect"]`` tells.

    Raises
    ------
    StructureError
        If the structure has no defect.
    """
    noted = structure.properties.get("defect")
    if not noted:
        raise StructureError(f"{structure.formula} has no defect to distort around; name a site of it")
    members = noted.get("members") or [noted]
    centres = []
    for member in members:
        x, y, z = map(float, member["position"])
        vacancy = str(member["kind"]).startswith("V_")
        centres.append(Centre(str(member["kind"]), (x, y, z), None if vacancy else _atom_at(structure, (x, y, z))))
    return tuple(centres)


def _atom_at(structure: Structure, position: tuple[float, float, float]) -> int | None:
    place = structure.lattice.get_fractional_coords(position)
    distances = structure.lattice.get_all_distances([place], structure.frac_coords)[0]
    nearest = int(distances.argmin())
    return nearest if distances[nearest] < _AT else None


def _site_centre(structure: Structure, site: int) -> Centre:
    if not 0 <= site < len(structure):
        raise StructureError(f"site {site}: {structure.formula} has the sites 0 to {len(structure) - 1}")
    x, y, z = map(float, structure[site].coords)
    return Centre(f"{structure[site].species_string} {site}", (x, y, z), site)


def nearest_neighbours(
    structure: Structure, centres: Sequence[Centre], *, number: int | None = None
) -> list[Neighbour]:
    """Return the nearest neighbours of each centre, nearest first and then by index.

    Atoms that are centres themselves are none; an atom beside two centres belongs to the nearer one. An atom that
    sees two images of its centre at about one distance, as in a cell one unit cell wide, has no way to go and is
    left out.

    Parameters
    ----------
    structure
        The structure.
    centres
        Of `defect_centres`.
    number
        How many of each centre; by default those within 15 % of the shortest distance.

    Raises
    ------
    StructureError
        If there are none.
    """
    distances, vectors = _nearest_images(structure, centres)
    distances[:, :, [c.site for c in centres if c.site is not None]] = np.inf
    owner = distances[0].argmin(axis=0)
    found: list[Neighbour] = []
    for index in range(len(centres)):
        nearest, second = distances[:, index]
        if not np.isfinite(nearest.min()):
            continue
        limit = _SHELL * nearest.min()
        chosen = sorted(
            (site for site in range(len(structure)) if np.isfinite(nearest[site])),
            key=lambda site, nearest=nearest: (round(float(nearest[site]), 2), site),  # type: ignore[misc]
        )
        chosen = [site for site in chosen if nearest[site] <= limit] if number is None else chosen[:number]
        directed = [site for site in chosen if owner[site] == index and second[site] > _SHELL * nearest[site]]
        for site in directed:
            x, y, z = map(float, vectors[index, site])
            found.append(Neighbour(site, index, (x, y, z)))
    if not found:
        names = " and ".join(centre.name for centre in centres)
        raise StructureError(
            f"no neighbour of {names} can be moved in {structure.formula}: each lies between two images of it; "
            "make the supercell larger"
        )
    return found


def _nearest_images(
    structure: Structure, centres: Sequence[Centre]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the two shortest distances (Å), shape (2, centre, site), and the shortest vectors (centre, site, 3)."""
    lattice = structure.lattice
    places = np.mod(lattice.get_fractional_coords([centre.position for centre in centres]), 1)
    steps = np.mgrid[-2:3, -2:3, -2:3].reshape(3, -1).T
    apart = np.mod(structure.frac_coords, 1)[None, :, None, :] - places[:, None, None, :] + steps
    vectors = np.asarray(apart @ lattice.matrix)
    lengths = np.linalg.norm(vectors, axis=-1)
    order = np.argsort(lengths, axis=-1, kind="stable")[..., :2]
    two = np.take_along_axis(lengths, order, axis=-1)
    shortest = np.take_along_axis(vectors, order[..., :1, None], axis=2)[:, :, 0]
    return np.moveaxis(two, -1, 0).copy(), shortest


def distort_around(
    structure: Structure,
    factor: float,
    *,
    site: int | None = None,
    neighbours: int | None = None,
    closest: float = _CLOSEST,
) -> Structure:
    """Return a structure whose bonds around its defect, or a site, are longer by a factor.

    A neighbour at the distance d along the unit vector e goes to ``(1 + factor) d e``, as ShakeNBreak defines its
    bond distortions; every other atom stays.

    Parameters
    ----------
    structure
        The structure; atoms, their order and their site properties are kept.
    factor
        -0.4 brings the neighbours nearer by 40 %; from -0.9 to 1.
    site
        Index of the atom to distort around; by default the defect, each member of a complex in its turn.
    neighbours
        How many of each centre; by default those within 15 % of the nearest.
    closest
        Å below which no two atoms may come.

    Raises
    ------
    StructureError
        If there is nothing to distort, or atoms would come too near.
    """
    if not -0.9 <= factor <= 1:
        raise StructureError(f"a bond distortion of {factor:g}; give -0.9 to 1, such as -0.2 for bonds 20 % shorter")
    centres = defect_centres(structure) if site is None else (_site_centre(structure, site),)
    found = nearest_neighbours(structure, centres, number=neighbours)
    moves = np.zeros((len(structure), 3))
    for neighbour in found:
        moves[neighbour.site] = factor * np.array(neighbour.vector)
    moved = _moved(structure, moves)
    _check_distances(moved, closest, f"bonds {factor:+.0%} around {' and '.join(c.name for c in centres)}")
    return moved


def _moved(structure: Structure, moves: NDArray[np.float64]) -> Structure:
    """Return a structure with atoms moved by so many Å; what did not move keeps its coordinates to the last digit."""
    changed = structure.copy()
    changed.properties = deepcopy(structure.properties)
    for index in np.flatnonzero(np.any(moves != 0, axis=1)):
        shift = structure.lattice.get_fractional_coords(moves[index])
        changed.translate_sites([int(index)], shift, frac_coords=True, to_unit_cell=False)
    return changed


def _check_distances(structure: Structure, closest: float, what: str) -> None:
    distances = structure.distance_matrix + np.diag(np.full(len(structure), np.inf))
    shortest = float(distances.min())
    if shortest < closest:
        first, second = sorted(int(i) for i in np.unravel_index(distances.argmin(), distances.shape))
        names = f"{structure[first].species_string} {first} and {structure[second].species_string} {second}"
        raise StructureError(
            f"{what} of {structure.formula} would bring {names} to {shortest:.2f} Å; give a smaller distortion"
        )


def rattle(structure: Structure, size: float, *, seed: int) -> Structure:
    """Return a structure with every atom displaced at random, the same by the same seed.

    Each Cartesian component is drawn from a normal distribution. A displacement that brings an atom nearer to
    another than 80 % of the shortest distance in the structure is drawn again.

    Parameters
    ----------
    structure
        The structure; atoms, their order and their site properties are kept.
    size
        Standard deviation of each component, Å; 0 leaves all where they are.
    seed
        Of the random numbers.

    Raises
    ------
    StructureError
        If the size is negative or more than an eighth of the shortest distance, or no displacement is small enough.
    """
    if size == 0 or len(structure) == 0:
        return _moved(structure, np.zeros((len(structure), 3)))
    shortest = _shortest(structure)
    if not 0 < size <= shortest / 8:
        raise StructureError(
            f"a rattle of {size:g} Å; give 0 to {shortest / 8:.2f} Å, an eighth of the shortest distance in "
            f"{structure.formula}"
        )
    random = np.random.default_rng(seed)
    moves = np.zeros((len(structure), 3))
    places = structure.cart_coords
    for index in range(len(structure)):
        moves[index] = _small_move(structure, places, index, size, _KEPT * shortest, random)
        places[index] += moves[index]
    return _moved(structure, moves)


def _shortest(structure: Structure) -> float:
    distances = structure.distance_matrix + np.diag(np.full(len(structure), np.inf))
    return float(min(distances.min(), *structure.lattice.abc))


def _small_move(  # noqa: PLR0917, of one loop
    structure: Structure,
    places: NDArray[np.float64],
    index: int,
    size: float,
    kept: float,
    random: np.random.Generator,
) -> NDArray[np.float64]:
    others = structure.lattice.get_fractional_coords(np.delete(places, index, axis=0))
    for _ in range(_ATTEMPTS):
        move = random.normal(0.0, size, 3)
        if not len(others):
            return move
        place = structure.lattice.get_fractional_coords(places[index] + move)
        if structure.lattice.get_all_distances([place], others).min() >= kept:
            return move
    raise StructureError(f"a rattle of {size:g} Å brings atoms of {structure.formula} too near; give a smaller one")
