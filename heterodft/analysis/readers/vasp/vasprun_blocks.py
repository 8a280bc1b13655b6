"""The large blocks of vasprun.xml: eigenvalues, densities of states and projections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.readers.numbers import BadNumberError, parse_number
from heterodft.analysis.readers.vasp.vasprun_sets import Sets, read_fields
from heterodft.analysis.readers.vasp.vasprun_text import CutOffError, DamageError, children

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from heterodft.analysis.readers.vasp.vasprun_text import Element, Text

__all__ = ["Eigenvalues", "OptionalBlocks", "RawDos", "read_dos", "read_eigenvalues", "read_projections"]

_SPACING = 2.1e-4
"""Two energies of a grid are each rounded to four digits."""


@dataclass(frozen=True)
class Eigenvalues:
    """Energies in eV and occupations, shape (spin, k, band), and how many of them are stars."""

    energies: NDArray[np.float64]
    occupations: NDArray[np.float64]
    unknown: int


@dataclass(frozen=True)
class RawDos:
    """Density of states as VASP printed it.

    Attributes
    ----------
    fermi_level
        eV.
    energies
        eV, shape (energy,).
    total, integrated
        1/eV and electrons, shape (spin, energy); of a noncollinear run with four spins: sum, x, y, z.
    partial
        1/eV, shape (site, column, spin, energy); None when not written, not asked for, or not whole.
    columns
        Names of the columns as in the file, see `heterodft.analysis.readers.vasp.vasprun.ORBITAL_OF`.
    unknown
        How many numbers are stars.
    troubles
        What is wrong with it, in words.
    """

    fermi_level: float | None
    energies: NDArray[np.float64]
    total: NDArray[np.float64]
    integrated: NDArray[np.float64]
    partial: NDArray[np.float64] | None = None
    columns: tuple[str, ...] = ()
    unknown: int = 0
    troubles: tuple[str, ...] = ()


@dataclass(frozen=True)
class OptionalBlocks:
    """What VASP computed at the k-points of KPOINTS_OPT beside the main calculation; None for what is missing.

    Attributes
    ----------
    kpoints, weights
        Shapes (k, 3) and (k,), of the eigenvalues.
    energies
        eV, shape (spin, k, band); there are no occupations.
    dos
        With a Fermi level of its own.
    projections
        Shape (spin, k, band, site, column), and the columns.
    """

    kpoints: NDArray[np.float64] | None
    weights: NDArray[np.float64] | None
    energies: NDArray[np.float64] | None
    dos: RawDos | None
    projections: tuple[NDArray[np.float64], tuple[str, ...]] | None


def _array(text: Text, element: Element) -> Element:
    """Return the ``<array>`` within an element."""
    for part in children(text, element.start, element.end, open_end=not element.complete, long="array"):
        if part.tag == "array":
            return part
    raise (DamageError if element.complete else CutOffError)("a block without its numbers", element.start)


def _stack(spins: list[NDArray[np.float64]], array: Element) -> NDArray[np.float64]:
    if not spins or any(part.shape != spins[0].shape for part in spins):
        raise DamageError("the spins have different numbers of values", array.start)
    return np.stack(spins)


def read_eigenvalues(text: Text, element: Element) -> Eigenvalues:
    """Read ``<eigenvalues>``.

    Raises
    ------
    DamageError
        If something is missing.
    """
    array = _array(text, element)
    columns, start = read_fields(text, array)
    if columns[:1] != ("eigene",):
        raise DamageError(f"columns {', '.join(columns)} of eigenvalues", array.start)
    sets = Sets(text, start, array.end, len(columns))
    spins = []
    for _ in sets.numbered("spin"):
        blocks = list(sets.blocks("kpoint"))
        if len({block.shape[1:] for block in blocks}) != 1:
            raise DamageError("k-points with different numbers of bands", array.start)
        spins.append(np.concatenate(blocks))
    values = _stack(spins, array)
    occupations = values[..., 1] if len(columns) > 1 else np.full(values.shape[:-1], np.nan)
    return Eigenvalues(np.ascontiguousarray(values[..., 0]), np.ascontiguousarray(occupations), sets.unknown)


def read_dos(text: Text, element: Element, sites: int, *, totals: bool = True) -> RawDos:
    """Read ``<dos>``: the totals, and of so many sites, unless there are none, the partial ones.

    Raises
    ------
    DamageError
        If the totals are not whole.
    """
    found = children(text, element.start, element.end, open_end=not element.complete, long="partial")
    parts = {part.tag: part for part in found}
    fermi_level = None
    if "i" in parts:
        if not parts["i"].complete:
            raise CutOffError("within the Fermi level", parts["i"].start)
        level = bytes(text.bytes[parts["i"].start : parts["i"].end])
        try:
            fermi_level = parse_number(level)
        except BadNumberError as error:
            raise DamageError(f"{level.strip()!r} where a Fermi level is expected", parts["i"].start) from error
    if not totals:
        return RawDos(fermi_level, np.empty(0), np.empty((0, 0)), np.empty((0, 0)))
    if "total" not in parts:
        raise (DamageError if element.complete else CutOffError)("no total density of states", element.start)
    array = _array(text, parts["total"])
    columns, start = read_fields(text, array)
    if columns != ("energy", "total", "integrated"):
        raise DamageError(f"columns {', '.join(columns)} of a density of states", array.start)
    sets = Sets(text, start, array.end, 3)
    values = _stack([spin for block in sets.blocks("spin") for spin in block], array)
    energies = values[0, :, 0]
    troubles = _check_grid(values[..., 0], array)
    dos = RawDos(fermi_level, energies, values[..., 1], values[..., 2], unknown=sets.unknown, troubles=troubles)
    return _with_partial(text, dos, parts.get("partial"), sites) if sites else dos


def _check_grid(energies: NDArray[np.float64], array: Element) -> tuple[str, ...]:
    """Make sure that the energies are the same in all spins and rise; say when they do not rise evenly."""
    if not np.array_equal(energies, np.broadcast_to(energies[0], energies.shape)):
        raise DamageError("the spins have different energies", array.start)
    steps = np.diff(energies[0])
    if steps.size and not steps.min() >= 0:
        raise DamageError("the energies of the density of states do not rise", array.start)
    if steps.size and np.abs(steps - steps.mean()).max() > _SPACING:
        return ("the energies of the density of states are not evenly spaced",)
    return ()


def _with_partial(text: Text, dos: RawDos, element: Element | None, sites: int) -> RawDos:
    if element is None:
        return dos
    known = (dos.fermi_level, dos.energies, dos.total, dos.integrated)
    try:
        values, columns, unknown = _read_partial(text, element, sites, dos)
    except DamageError as error:
        kind = "cut off" if isinstance(error, CutOffError) else "damaged"
        what = f"the densities of states of the sites are {kind} {text.at(error.position)}: {error.what}"
        return RawDos(*known, unknown=dos.unknown, troubles=(*dos.troubles, what))
    return RawDos(*known, values, columns, dos.unknown + unknown, dos.troubles)


def _read_partial(
    text: Text, element: Element, sites: int, dos: RawDos
) -> tuple[NDArray[np.float64], tuple[str, ...], int]:
    array = _array(text, element)
    columns, start = read_fields(text, array)
    spins, rows = dos.total.shape
    values = np.empty((sites, len(columns) - 1, spins, rows))
    sets = Sets(text, start, array.end, len(columns))
    site = 0
    for site in sets.numbered("ion"):
        spin = 0
        for block in sets.blocks("spin", first=1):
            if site > sites or spin + len(block) > spins or block.shape[1] != rows:
                raise DamageError(f"site {site} has more than {spins} spins of {rows} energies", array.start)
            values[site - 1, :, spin : spin + len(block)] = block.transpose(2, 0, 1)
            spin += len(block)
        if spin != spins:
            raise DamageError(f"site {site} has {spin} of {spins} spins", array.start)
    if site != sites:
        raise DamageError(f"densities of states of {site} of {sites} sites", array.start)
    if sets.leading is None or not np.array_equal(sets.leading[:, 0], dos.energies):
        raise DamageError("the energies are not those of the total density of states", array.start)
    return values, columns[1:], sets.unknown


def read_projections(text: Text, element: Element, sites: int) -> tuple[NDArray[np.float64], tuple[str, ...], int]:
    """Read ``<projected>``: shape (spin, k, band, site, column), the columns, and how many numbers are stars.

    Raises
    ------
    DamageError
        If something is missing.
    """
    array = _array(text, element)
    columns, start = read_fields(text, array)
    sets = Sets(text, start, array.end, len(columns))
    spins, kpoints, bands = _size_of(text, element)
    # Room for all spins of which only what is filled takes memory; a noncollinear run has four of one set of bands.
    values = np.empty((2 if spins == 2 else 4, kpoints, bands, sites, len(columns)))
    spin = 0
    for spin in sets.numbered("spin"):
        if spin > len(values):
            raise DamageError(f"projections of more than {len(values)} spins", array.start)
        point = 0
        for point in sets.numbered("kpoint"):
            band = 0
            for block in sets.blocks("band"):
                if point > kpoints or band + len(block) > bands or block.shape[1] != sites:
                    raise DamageError(f"more than {bands} bands of {sites} sites", array.start)
                values[spin - 1, point - 1, band : band + len(block)] = block
                band += len(block)
            if band != bands:
                raise DamageError(f"projections of {band} of {bands} bands at k-point {point}", array.start)
        if point != kpoints:
            raise DamageError(f"projections of {point} of {kpoints} k-points", array.start)
    if spin not in ((2,) if spins == 2 else (1, 4)):
        raise DamageError(f"projections of {spin} spins of {spins} sets of bands", array.start)
    return values[:spin], columns, sets.unknown


def _size_of(text: Text, element: Element) -> tuple[int, int, int]:
    """Return the numbers of spins, k-points and bands from the eigenvalues beside the projections."""
    for part in children(text, element.start, element.end, open_end=not element.complete):
        if part.tag == "eigenvalues":
            spins, kpoints, bands = read_eigenvalues(text, part).energies.shape
            return spins, kpoints, bands
    raise DamageError("projections without their eigenvalues", element.start)
