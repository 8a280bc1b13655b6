"""Sites and orbitals by their names: elements, layers, planes, shells, t2g."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heterodft.analysis.bond_axes import EG, T2G, common_axes, local_name
from heterodft.errors import ReaderError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pymatgen.core import Structure

    from heterodft.analysis.layers import Layering, SiteGroup

__all__ = ["groups_of", "select_columns", "select_sites"]


def groups_of(layering: Layering, by: str) -> Sequence[SiteGroup]:
    """Return the layers or planes of a layering.

    Raises
    ------
    ReaderError
        If `by` is neither ``layer`` nor ``plane``.
    """
    if by not in ("layer", "plane"):
        raise ReaderError(f"by={by!r} is unknown; it is 'layer' or 'plane'")
    return layering.layers if by == "layer" else layering.planes


def select_sites(
    structure: Structure,
    groups: Sequence[SiteGroup] = (),
    *,
    elements: Iterable[str] | None = None,
    layers: Iterable[str] | None = None,
    sites: Iterable[int] | None = None,
) -> list[int]:
    """Return the indices of the sites that meet every condition given, in ascending order.

    Parameters
    ----------
    structure
        Its order is that of the indices.
    groups
        Planes or layers by whose labels `layers` are found; planes also by the label of their layer.
    elements
        Symbols.
    layers
        Labels: ``KTaO3:1`` or ``KTaO3:1 TaO2``.
    sites
        Indices.

    Raises
    ------
    ReaderError
        If a name is unknown or nothing is left.
    """
    chosen = set(range(len(structure)))
    symbols = [site.specie.symbol for site in structure]
    if elements is not None:
        wanted = _known(elements, sorted(set(symbols)), "element")
        chosen &= {i for i, symbol in enumerate(symbols) if symbol in wanted}
    if layers is not None:
        names = {group.label: group.sites for group in groups}
        for group in groups:
            if (layer := getattr(group, "layer", None)) is not None:
                names[layer] = (*names.get(layer, ()), *group.sites)
        chosen &= {i for label in _known(layers, names, "layer") for i in names[label]}
    if sites is not None:
        asked = {int(i) for i in sites}
        if not asked <= set(range(len(structure))):
            raise ReaderError(f"site {max(asked)} is not one of 0 … {len(structure) - 1}")
        chosen &= asked
    if not chosen:
        raise ReaderError("no site is in all of the elements, layers and sites asked for")
    return sorted(chosen)


def select_columns(
    names: Sequence[str],
    *,
    shells: Iterable[str] | None = None,
    orbitals: Iterable[str] | None = None,
    structure: Structure | None = None,
    sites: Sequence[int] = (),
) -> list[int]:
    """Return the places along an orbital axis.

    Parameters
    ----------
    names
        Along the axis: real harmonics, or shells where the code told no more.
    shells
        ``s``, ``p``, ``d``, ``f``.
    orbitals
        ``dxy``; sums as ``dxz+dyz``; ``t2g`` and ``eg``, for which the bonds of `sites` in `structure` must lie along
        the Cartesian axes or their in-plane diagonals.

    Raises
    ------
    ReaderError
        If a name is unknown or not resolved by the run.
    """
    kept = list(range(len(names)))
    if shells is not None:
        wanted = _known(shells, sorted({name[0] for name in names}), "shell")
        kept = [i for i in kept if names[i][0] in wanted]
    if orbitals is None:
        return kept
    asked = [orbitals] if isinstance(orbitals, str) else list(orbitals)
    single = [part for name in asked for part in _expanded(name, structure, sites)]
    if all(len(name) == 1 for name in names) and any(len(name) > 1 for name in single):
        raise ReaderError(
            f"the run resolved shells only, not {', '.join(single)}; project on orbitals (VASP: LORBIT = 11)"
        )
    places = {names.index(name) for name in _known(single, names, "orbital")}
    found = [i for i in kept if i in places]
    if not found:
        raise ReaderError("no orbital is in both the shells and the orbitals asked for")
    return found


def _expanded(name: str, structure: Structure | None, sites: Sequence[int]) -> list[str]:
    if name not in ("t2g", "eg"):
        return name.split("+")
    if structure is None:
        raise ReaderError(f"{name} needs the structure, from which the directions of the bonds are told")
    along = common_axes(structure, sites)
    return [local_name(orbital, along) for orbital in (T2G if name == "t2g" else EG)]


def _known(asked: Iterable[str], names: Iterable[str], kind: str) -> list[str]:
    """Return what was asked for, a single text as one name.

    Raises
    ------
    ReaderError
        If a name is unknown.
    """
    wanted = [asked] if isinstance(asked, str) else list(asked)
    known = list(names)
    for name in wanted:
        if name not in known:
            raise ReaderError(f"there is no {kind} '{name}'{did_you_mean(name, known)}")
    return wanted
