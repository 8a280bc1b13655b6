"""Materials on one in-plane lattice: which cells lie on it, how they are strained, how high their layers are.

Cells with corresponding vectors are put on one another as they are; any other pair is matched by `matching`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from heterodft.errors import StructureError
from heterodft.structures.matching import MatchLimits, deform, enumerate_matches, plain_multiples

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from heterodft.structures.planes import Plane
    from heterodft.structures.surface_cells import SurfaceCell

__all__ = ["MOST_STRAIN", "FittedCell", "fit_cells", "translations"]

MOST_STRAIN = 5.0
"""%, in the plane; more is seldom grown coherently, and is told."""
_MAXIMUM_STRAIN = 0.15
"""Of materials of one prototype, cell on cell."""
_HOPELESS_STRAIN = 0.25
"""How far a message looks for the match that the limits exclude."""
_AREA_STEPS = (0.2, 0.5, 1.0)
"""Of the largest area: small cells are found fast, and are listed first."""

_SAME_PART = 0.03
"""Of a repeat; internal coordinates of one structure type differ by less."""

Multiples = tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True)
class FittedCell:
    """A surface cell on the common in-plane lattice.

    Attributes
    ----------
    cell
        As the bulk has it.
    repeats
        Shape (2, 2), integer: the common in-plane vectors as multiples of the cell's.
    common
        Shape (2, 2), Å: the common in-plane vectors as rows.
    strains
        Principal in-plane strains, the larger first.
    rotation
        Degrees by which the cell is turned, anticlockwise.
    stretch
        Factor on every height.
    """

    cell: SurfaceCell
    repeats: NDArray[np.int64]
    common: NDArray[np.float64]
    strains: tuple[float, float]
    rotation: float
    stretch: float

    @property
    def layer_thickness(self) -> float:
        """Å from one layer to the next, strained."""
        return self.cell.layer_thickness * self.stretch

    @property
    def atoms_per_layer(self) -> int:
        """In the common cell."""
        copies = round(abs(float(np.linalg.det(self.repeats))))
        return copies * sum(len(plane.atoms) for plane in self.cell.planes) // self.cell.layers

    @cached_property
    def axes(self) -> NDArray[np.float64]:
        """Directions of the edges of the conventional cell, shape (3, 3), unit vectors as rows; z is the normal."""
        angle = np.radians(self.rotation)
        turn = np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
        edges = self.cell.axes @ turn
        return np.asarray(edges / np.linalg.norm(edges, axis=1)[:, None])

    def spread(self, plane: Plane, repeat: int) -> NDArray[np.float64]:
        """Return where the atoms of a plane lie in the common cell.

        Returns
        -------
        array of shape (atoms × copies, 2)
            Fractional in the cell's own in-plane vectors; the copies of an atom follow one another.
        """
        spots = np.array([atom[1:] for atom in plane.atoms]) + repeat * self.cell.shift
        return (spots[:, None, :] + translations(plain_multiples(self.repeats))[None]).reshape(-1, 2)

    def continues(self, other: FittedCell) -> bool:
        """Return whether the lattice of another material goes on in this one."""
        a, b = self.cell, other.cell
        return _alike(a, b) and bool(np.array_equal(self.repeats, other.repeats))


@lru_cache(maxsize=256)
def translations(multiples: Multiples) -> NDArray[np.float64]:
    """Return the lattice vectors inside a supercell, shape (number, 2), in units of the small cell.

    Examples
    --------
    >>> translations(((1, 1), (-1, 1))).tolist()
    [[0.0, 0.0], [0.0, 1.0]]
    """
    matrix = np.array(multiples)
    reach = int(np.abs(matrix).sum()) + 1
    points = np.array(list(product(range(-reach, reach + 1), repeat=2)))
    inside = np.round(points @ np.linalg.inv(matrix), 9)
    chosen = points[((inside >= 0) & (inside < 1)).all(axis=1)].astype(float)
    ordered = chosen[np.lexsort((chosen[:, 1], chosen[:, 0], np.abs(chosen).sum(axis=1)))]
    ordered.setflags(write=False)
    return ordered


def _same_planes(a: SurfaceCell, b: SurfaceCell) -> bool:
    """Whether the planes of two cells correspond: as many atoms at the same part of a repeat."""
    if [len(plane.atoms) for plane in a.planes] != [len(plane.atoms) for plane in b.planes]:
        return False
    apart = a.plane_parts - b.plane_parts
    return bool((np.abs(apart - np.round(apart)) < _SAME_PART).all())


def _alike(a: SurfaceCell, b: SurfaceCell) -> bool:
    """Whether two cells are cut along the same vectors from one structure type."""
    if a is b:
        return True
    kinds = {a.material.prototype, b.material.prototype} - {"file"}
    same = a.normal == b.normal and len(kinds) <= 1 and a.formula_type == b.formula_type
    return same and bool(np.array_equal(a.vectors, b.vectors)) and _same_planes(a, b)


def fit_cells(
    cells: Mapping[str, SurfaceCell],
    reference: str,
    in_plane: NDArray[np.float64],
    *,
    mean: bool = False,
    poisson: Mapping[str, float] | None = None,
    limits: MatchLimits | None = None,
) -> dict[str, FittedCell]:
    """Put every material on one in-plane lattice.

    Parameters
    ----------
    cells
        Materials by name.
    reference
        The one whose in-plane vectors correspond to `in_plane`.
    in_plane
        Shape (2, 2), Å: the lattice that materials take.
    mean
        Take the mean of the matched lattices of all materials instead.
    poisson
        Poisson ratio ν by material: its spacings change by -ν/(1 - ν) (ε1 + ε2); those left out keep their volume.
    limits
        Of lattices that do not correspond vector by vector.

    Raises
    ------
    StructureError
        If a material cannot be put there within the limits.
    """
    limits = limits or MatchLimits()
    if not (0 < limits.strain <= _HOPELESS_STRAIN and limits.area > 0):
        raise StructureError(
            f"match: strain {limits.strain:g} and area {limits.area:g} Å²; give a strain of up to "
            f"{_HOPELESS_STRAIN:g} and an area above 0"
        )
    if mean and all(_alike(cell, cells[reference]) for cell in cells.values()):
        in_plane = _mean_lattice([cell.in_plane for cell in cells.values()])  # what strains are measured against
    base, repeats = _repeats(cells, reference, in_plane, limits)
    common = base @ in_plane
    if mean:
        common = _mean_lattice([repeats[name] @ cell.in_plane for name, cell in cells.items()])
    length = np.linalg.norm(common[0])
    along = common[0] / length
    common = common @ np.array([[along[0], -along[1]], [along[1], along[0]]])  # the first vector along x
    return {name: _fitted(cell, repeats[name], common, (poisson or {}).get(name)) for name, cell in cells.items()}


def _fitted(
    cell: SurfaceCell, repeats: NDArray[np.int64], common: NDArray[np.float64], poisson: float | None
) -> FittedCell:
    own = repeats @ cell.in_plane
    strains, rotation = deform(own, common)
    if poisson is None:
        stretch = float(np.linalg.det(own) / np.linalg.det(common))
    else:
        stretch = 1 - poisson / (1 - poisson) * sum(strains)
    return FittedCell(cell, repeats, common, strains, rotation, stretch)


def _mean_lattice(lattices: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Mean of the lengths and of the enclosed angle; the first vector along x."""
    a = np.mean([np.linalg.norm(lattice[0]) for lattice in lattices])
    b = np.mean([np.linalg.norm(lattice[1]) for lattice in lattices])
    angle = np.mean(
        [
            np.arccos(lattice[0] @ lattice[1] / np.linalg.norm(lattice[0]) / np.linalg.norm(lattice[1]))
            for lattice in lattices
        ]
    )
    return np.array([[a, 0.0], [b * np.cos(angle), b * np.sin(angle)]])


def _repeats(
    cells: Mapping[str, SurfaceCell], reference: str, in_plane: NDArray[np.float64], limits: MatchLimits
) -> tuple[NDArray[np.int64], dict[str, NDArray[np.int64]]]:
    """Return the common cell as multiples of `in_plane`, and of each material's own vectors."""
    one = np.eye(2, dtype=np.int64)
    unlike = [name for name, cell in cells.items() if not _on_top(cell, cells[reference], in_plane, limits)]
    if not unlike:
        return one, dict.fromkeys(cells, one)
    base = replace(cells[reference], in_plane=in_plane)
    fits: list[tuple[NDArray[np.int64], dict[str, NDArray[np.int64]]]] = []
    for fraction in _AREA_STEPS:
        fits = []
        for match in enumerate_matches(cells[unlike[0]], base, replace(limits, area=limits.area * fraction)):
            multiples = np.array(match.substrate)
            repeats = dict.fromkeys(cells, multiples) | {unlike[0]: np.array(match.film)}
            common = replace(base, in_plane=multiples @ in_plane)
            others = {name: _on_exactly(cells[name], common, limits) for name in unlike[1:]}
            if all(found is not None for found in others.values()):
                fits.append((multiples, repeats | {name: np.array(found) for name, found in others.items()}))
        if 1 <= limits.candidate <= len(fits):
            return fits[limits.candidate - 1]
    if fits:
        raise StructureError(
            f"match: candidate {limits.candidate} of {len(fits)} within the limits; give 1 to {len(fits)}"
        )
    raise StructureError(_no_match(cells, unlike, base, limits))


def _on_top(cell: SurfaceCell, reference: SurfaceCell, in_plane: NDArray[np.float64], limits: MatchLimits) -> bool:
    """Whether a cell lies on the reference lattice vector by vector.

    Raises
    ------
    StructureError
        If it should, being of one structure type, but its strain is absurd.
    """
    strains, _ = deform(cell.in_plane, in_plane)
    worst = max(strains, key=abs)
    if _alike(cell, reference):
        if abs(worst) > _MAXIMUM_STRAIN:
            raise StructureError(
                f"{cell.material.name}: an in-plane strain of {100 * worst:+.1f} % is beyond "
                f"{100 * _MAXIMUM_STRAIN:.0f} %; check its lattice constant and in_plane"
            )
        return True
    return abs(worst) <= limits.strain


def _on_exactly(film: SurfaceCell, common: SurfaceCell, limits: MatchLimits) -> Multiples | None:
    """Return the multiples of a film that lie on one given cell, None where they do not."""
    area = abs(float(np.linalg.det(common.in_plane)))
    exact = MatchLimits(limits.strain, area * (1 + 1e-6))
    one = ((1, 0), (0, 1))
    return next((m.film for m in enumerate_matches(film, common, exact) if m.substrate == one), None)


def _no_match(cells: Mapping[str, SurfaceCell], unlike: list[str], base: SurfaceCell, limits: MatchLimits) -> str:
    films = " and ".join(cells[name].name for name in unlike)
    text = f"{films} does not fit on {base.name} within {100 * limits.strain:g} % strain and {limits.area:g} Å²"
    wider = enumerate_matches(cells[unlike[0]], base, MatchLimits(_HOPELESS_STRAIN, limits.area))
    if len(unlike) > 1 or not wider:
        return f"{text}; widen match: {{strain: …, area: …}}, or choose another in_plane"
    best = min(wider, key=lambda match: round(match.strain, 4))
    return (
        f"{text}; the least strained match there has {100 * best.strain:.1f} % on {best.area:.1f} Å²: widen "
        "match: {strain: …, area: …}, or choose another in_plane"
    )
