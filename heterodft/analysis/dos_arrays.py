"""A projected density of states by group and column: shells, orbitals, t2g; and what its spin axis holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from heterodft.analysis.counted_states import CountedStates, count_states
from heterodft.analysis.layers import sum_over_groups
from heterodft.analysis.result import SHELLS, ProjectedDos
from heterodft.analysis.selection import select_columns
from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from heterodft.analysis.layers import Layering, SiteGroup
    from heterodft.analysis.result import Bands, Result

__all__ = [
    "charge_channels",
    "counted_dos",
    "in_plane_area",
    "projected_dos",
    "resolve_columns",
    "sampled_dos",
    "spin_names",
    "state_parts",
]


def spin_names(count: int) -> tuple[str, ...]:
    """Return what the entries of a spin axis are."""
    return {1: ("both",), 2: ("up", "down")}.get(count, ("both", "x", "y", "z"))


def charge_channels(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the entries of the second-last axis (spin) that add up to all states, without the magnetization."""
    return values if values.shape[-2] != 4 else values[..., :1, :]


def state_parts(bands: Bands) -> NDArray[np.float64]:
    """Return the part of each state on each orbital, shape (spin, k, band, site, orbital), spins as of the energies.

    Of a noncollinear run codes also tell the x, y and z components of each state's magnetization, which are no parts.

    Raises
    ------
    ReaderError
        If there are no projections.
    """
    if bands.projections is None:
        raise ReaderError("the result holds no projections of its bands; read it with projections=True")
    return bands.projections[: len(bands.energies)]


def in_plane_area(structure: Structure, layering: Layering) -> float:
    """Return the area in Å² of the cell across the normal of its layers."""
    return float(structure.volume / abs(layering.period))


def projected_dos(result: Result) -> ProjectedDos:
    """Return the projected density of states of a result, see `counted_dos`."""
    return counted_dos(result).dos


def counted_dos(result: Result) -> CountedStates:
    """Return the projected density of states of a result, one by tetrahedra with as many states as its bands have.

    Raises
    ------
    ReaderError
        As `sampled_dos`.
    """
    return count_states(sampled_dos(result), result)


def sampled_dos(result: Result) -> ProjectedDos:
    """Return the projected density of states of a result as it was read.

    Raises
    ------
    ReaderError
        If it holds none, or one that was cut off.
    """
    if result.dos is None:
        raise ReaderError("the result holds no projected density of states; run a dos step")
    if len(result.dos.energies) < 2:
        raise ReaderError(
            "the projected density of states has no energy grid; the file was cut off, run the dos step again"
        )
    return result.dos


def resolve_columns(
    dos: ProjectedDos,
    structure: Structure,
    groups: Sequence[SiteGroup],
    columns: tuple[str, ...],
    kept: list[int] | None,
) -> NDArray[np.float64]:
    """Return the densities by group and column, shape (group, column, spin, energy); both spins if noncollinear."""
    values = charge_channels(dos.values)
    if kept is not None:
        mask = np.zeros(len(structure))
        mask[kept] = 1.0
        values = values * mask[:, None, None, None]
    if columns == SHELLS:
        by_site = ProjectedDos(dos.energies, values, dos.total, dos.orbitals).by_shell()
    else:
        by_site = np.stack([_column(dos, structure, name, values, kept) for name in columns], axis=1)
    return sum_over_groups(groups, by_site)


def _column(
    dos: ProjectedDos, structure: Structure, name: str, values: NDArray[np.float64], kept: list[int] | None
) -> NDArray[np.float64]:
    """Return the density of one column by site, shape (site, spin, energy)."""
    names = tuple(dos.orbitals)
    if name in SHELLS:
        places = [i for i, orbital in enumerate(names) if orbital[0] == name]
        return np.asarray(values[:, places].sum(axis=1))
    if name not in ("t2g", "eg"):
        return np.asarray(values[:, select_columns(names, orbitals=[name])].sum(axis=1))
    found = np.zeros((len(values), *values.shape[2:]))
    for site in _octahedral(structure, kept):
        columns = select_columns(names, orbitals=[name], structure=structure, sites=[site])
        found[site] = values[site, columns].sum(axis=0)
    return found


def _octahedral(structure: Structure, kept: list[int] | None) -> list[int]:
    """Return the sites that t2g and eg are told of; scandium, yttrium and lanthanum only when asked for."""
    elements = [site.specie for site in structure]
    if kept is not None:
        return [i for i in kept if elements[i].is_transition_metal]
    return [i for i, own in enumerate(elements) if own.is_transition_metal and not own.is_rare_earth]
