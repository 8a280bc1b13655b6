"""Finished calculations with a shifted site, of our own and of others, as the series that linear response fits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from heterodft.analysis.energies.calculation_settings import settings_of
from heterodft.analysis.energies.states import reached_moments, same_state
from heterodft.analysis.linear_response import LinearResponse, ShiftSeries
from heterodft.analysis.result import SHELLS
from heterodft.errors import ReaderError
from heterodft.structures.symmetry import equivalent_under, site_permutations

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from heterodft.analysis.result import Result

__all__ = [
    "ShiftedResult",
    "electrons_of",
    "first_images",
    "read_shifted",
    "response_of",
    "shifted_result",
    "symmetry_of",
]

_RESOLUTION = {"espresso": 1e-5, "vasp": 1e-3}
"""Electrons: steps of the occupations that a code prints."""
_SAME_MOMENT, _SAME_OCCUPATION = 0.02, 0.005
"""μB and electrons by which sites may differ that symmetry maps on one another."""
_TURNED_ON = 3
"""LDAUTYPE of a shifted site."""
_FIXED = 10
"""ICHARG from which on the density is held."""


@dataclass(frozen=True)
class ShiftedResult:
    """A finished calculation and what was shifted in it.

    Attributes
    ----------
    result
        As it was read.
    site, alpha
        The shifted site and eV; None and 0 of the cell that the others started from.
    bare
        Whether its potential was held.
    shell
        ``d`` or ``f``: the shell that was shifted; empty where it is not known or needed.
    """

    result: Result
    site: int | None = None
    alpha: float = 0.0
    bare: bool = False
    shell: str = ""


def shifted_result(result: Result) -> ShiftedResult:
    """Return a calculation of our own with what its request says was shifted."""
    body = result.request.get("request") or {}
    shift = body.get("shift")
    if shift is None:
        return ShiftedResult(result)
    site = int(shift[0])
    element = result.structure[site].species_string
    shell = next((str(u[1])[-1] for u in body.get("hubbard", ()) if u[0] == element), "")
    return ShiftedResult(result, site, float(shift[1]), result.step == "shift-bare", shell)


def read_shifted(folder: Path) -> ShiftedResult:
    """Read a folder of our own, or one of VASP with LDAUTYPE = 3, or without: the cell that others started from.

    Raises
    ------
    ReaderError
        If it cannot be read, or its INCAR does not shift exactly one site.
    """
    from heterodft.analysis.readers import read_folder

    result = read_folder(folder)
    if result.request or result.code != "vasp":
        return shifted_result(result)
    return _of_incar(folder, result)


def _of_incar(folder: Path, result: Result) -> ShiftedResult:
    from pymatgen.io.vasp import Incar

    try:
        incar: dict[str, Any] = dict(Incar.from_file(folder / "INCAR"))
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise ReaderError(f"{folder / 'INCAR'} does not say what was shifted: {error}") from error
    if incar.get("LDAUTYPE") != _TURNED_ON:
        return ShiftedResult(result)
    counts = _block_sizes(folder)
    shells, up, down = (np.atleast_1d(incar.get(tag, 0)).astype(float) for tag in ("LDAUL", "LDAUU", "LDAUJ"))
    blocks = np.flatnonzero(up).tolist() if len(up) == len(counts) else []
    if len(blocks) != 1 or counts[blocks[0]] != 1 or not np.array_equal(up, down) or len(shells) != len(counts):
        raise ReaderError(
            f"{folder / 'INCAR'}: LDAUTYPE = 3 must shift one atom, a block of its own, and both spins alike "
            "(LDAUU = LDAUJ); make it so, or leave the folder out"
        )
    block = blocks[0]
    bare = int(incar.get("ICHARG", 0)) >= _FIXED
    return ShiftedResult(result, sum(counts[:block]), float(up[block]), bare, SHELLS[int(shells[block])])


def _block_sizes(folder: Path) -> list[int]:
    try:
        lines = (folder / "POSCAR").read_text(encoding="utf-8", errors="replace").splitlines()[5:7]
        words = next(line.split() for line in lines if line.split() and line.split()[0].isdigit())
        return [int(word) for word in words]
    except (OSError, StopIteration, ValueError) as error:
        raise ReaderError(f"{folder / 'POSCAR'} does not say how many atoms its blocks hold") from error


def response_of(results: Sequence[ShiftedResult], *, tolerance: float = 0.05) -> LinearResponse:
    """Fit the response of one cell.

    Calculations that did not converge or ended in another magnetic state than the unshifted cell are left out, and
    that is said in the notes.

    Parameters
    ----------
    results
        With shifted sites, and the unshifted cell: the point at zero of every series.
    tolerance
        As of `heterodft.analysis.line_fits.fit_line`.

    Raises
    ------
    ReaderError
        If the unshifted cell is missing, or a result tells no occupations.
    """
    unshifted = next((one.result for one in results if one.site is None), None)
    if unshifted is None:
        raise ReaderError("linear response needs the unshifted cell beside those with a shift; add its folder")
    _check_cells(results, unshifted)
    notes = [words for one in results if (words := _unusable(one, unshifted))]
    usable = [one for one in results if one.site is not None and not _unusable(one, unshifted)]
    shells = {one.result.structure[one.site].species_string: one.shell for one in usable if one.site is not None}
    sites = [i for i, site in enumerate(unshifted.structure) if site.species_string in shells]
    series = _series(usable, unshifted, sites, shells)
    response = LinearResponse.from_series(
        series,
        sites,
        labels=[f"{unshifted.structure[i].species_string}{i + 1}" for i in sites],
        permutations=symmetry_of(unshifted, sites, shells),
        resolution=_RESOLUTION.get(unshifted.code, 0.0),
        tolerance=tolerance,
    )
    return replace(response, notes=tuple(notes))


def _check_cells(results: Sequence[ShiftedResult], unshifted: Result) -> None:
    """Refuse results of other atoms or another basis: their occupations differ by more than a shift.

    Raises
    ------
    ReaderError
        If one is.
    """
    elements = [site.species_string for site in unshifted.structure]
    wanted = settings_of(unshifted)
    for one in results:
        here = settings_of(one.result)
        if [site.species_string for site in one.result.structure] != elements:
            formula = one.result.structure.formula
            raise ReaderError(f"a shift in {formula} beside the unshifted {unshifted.structure.formula}: two cells")
        if one.result.code != unshifted.code:
            raise ReaderError("calculations of two codes, whose occupations differ; give those of one")
        for key in ("cutoff", "xc"):
            if None not in (here[key], wanted[key]) and here[key] != wanted[key]:
                raise ReaderError(
                    f"a shift with {key} {here[key]} beside the unshifted cell with {wanted[key]}; give those of one"
                )


def _unusable(one: ShiftedResult, unshifted: Result) -> str:
    """Return why a calculation is left out, in words; empty where it is not."""
    if one.site is None:
        return ""
    name = f"site {one.site + 1}, {one.alpha:+g} eV, {'bare' if one.bare else 'screened'}: left out, "
    if one.result.converged is False:
        return name + "its cycle did not converge"
    before, after = reached_moments(unshifted), reached_moments(one.result)
    if before is None or after is None or before[1] != after[1] or same_state(before[0], after[0]):
        return ""
    return name + "it ended in another magnetic state"


def _series(
    usable: Sequence[ShiftedResult], unshifted: Result, sites: Sequence[int], shells: dict[str, str]
) -> list[ShiftSeries]:
    found: dict[tuple[int, bool], dict[float, NDArray[np.float64]]] = {}
    zero = electrons_of(unshifted, sites, shells)
    for one in usable:
        if one.site is not None:
            points = found.setdefault((one.site, one.bare), {0.0: zero})
            points[one.alpha] = electrons_of(one.result, sites, shells)
    return [
        ShiftSeries(site, bare, np.array(sorted(points)), np.array([points[alpha] for alpha in sorted(points)]))
        for (site, bare), points in sorted(found.items(), key=lambda item: (item[0][0], not item[0][1]))
    ]


def electrons_of(result: Result, sites: Sequence[int], shells: dict[str, str]) -> NDArray[np.float64]:
    """Return the electrons in the Hubbard orbitals of sites; in VASP those of the shell inside the sphere.

    VASP projects shifts, as it does U, within its spheres, and prints these charges with three decimals.

    Raises
    ------
    ReaderError
        If the result does not tell them.
    """
    name = str(result.request.get("about", {}).get("name", "")) or "the result"
    if result.code == "vasp":
        spheres = result.sites.get("sphere")
        if spheres is None or spheres.shell_charges is None:
            raise ReaderError(f"{name} tells no charges by shell; compute it with LORBIT = 11")
        columns = [SHELLS.index(shells[result.structure[i].species_string]) for i in sites]
        return np.asarray(spheres.shell_charges[list(sites), columns], dtype=np.float64)
    told = {each.site: each.electrons for each in result.occupations}
    missing = [i for i in sites if i not in told]
    if missing:
        raise ReaderError(
            f"{name} ({result.step}) tells no Hubbard occupation of site {missing[0] + 1}; read it again"
        )
    return np.array([told[i] for i in sites])


def symmetry_of(result: Result, sites: Sequence[int], shells: dict[str, str]) -> NDArray[np.int64]:
    """Return how the symmetry of a cell and its magnetic order permutes sites.

    Sites map on one another that have the same element and occupation (so that U by layer tells them apart) and, all
    moments turned over or none, the same moment.

    Returns
    -------
    array of shape (operations, sites)
        Places in `sites`, as of `LinearResponse.from_series`.
    """
    electrons = dict(zip(sites, _grouped(electrons_of(result, sites, shells), _SAME_OCCUPATION), strict=True))
    names = [(site.species_string, electrons.get(i, -1)) for i, site in enumerate(result.structure)]
    reached = reached_moments(result)
    moments = np.zeros(len(names)) if reached is None else np.asarray(reached[0])
    sizes = _grouped(np.abs(moments), _SAME_MOMENT) * np.sign(moments) * (np.abs(moments) > _SAME_MOMENT)
    moves = equivalent_under(site_permutations(result.structure, names), sizes.astype(np.float64))
    places = {site: place for place, site in enumerate(sites)}
    return np.unique([[places[int(move[site])] for site in sites] for move in moves], axis=0)


def _grouped(values: NDArray[np.float64], apart: float) -> NDArray[np.int64]:
    """Number values so that those nearer than a distance share a number, from 1 on."""
    order = np.argsort(values)
    steps = np.diff(values[order], prepend=values[order][:1]) > apart
    numbers = np.empty(len(values), dtype=np.int64)
    numbers[order] = 1 + np.cumsum(steps)
    return numbers


def first_images(sites: Sequence[int], moves: NDArray[np.int64]) -> dict[int, list[int]]:
    """Return the inequivalent sites, each with all that symmetry maps it on.

    Examples
    --------
    >>> first_images([1, 4, 6], np.array([[0, 1, 2], [1, 0, 2]]))
    {1: [1, 4], 6: [6]}
    """
    found: dict[int, list[int]] = {}
    for place, site in enumerate(sites):
        if not any(site in images for images in found.values()):
            found[site] = sorted({sites[int(move[place])] for move in moves})
    return found
