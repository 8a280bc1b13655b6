"""Starting moments: their size from the source that comes first, their sign from the order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from heterodft.errors import StructureError, did_you_mean
from heterodft.structures.magnetic_orders import Order, order_label, order_signs
from heterodft.structures.superlattice import layer_labels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymatgen.core import Structure

__all__ = [
    "DEFAULT_MOMENTS",
    "Moments",
    "StartingMoments",
    "assign_moments",
    "moment_sizes",
    "no_moment",
    "starting_moments",
]

DEFAULT_MOMENTS = {"V": 2.0, "Cr": 3.0, "Mn": 4.0, "Fe": 4.0, "Co": 3.0, "Ni": 1.0, "Ru": 1.5}
"""μB, of ions in oxides and nitrides; other elements start without."""


@dataclass(frozen=True)
class Moments:
    """Sizes of starting moments in μB; the first that names a site wins.

    Attributes
    ----------
    sites
        By index of the site, from 0.
    layers
        By element and layer label, ``("Ta", "KTaO3:1")``.
    species
        By element.
    """

    sites: Mapping[int, float] = field(default_factory=dict)
    layers: Mapping[tuple[str, str], float] = field(default_factory=dict)
    species: Mapping[str, float] = field(default_factory=dict)

    def on(self, kept: Sequence[int]) -> Moments:
        """Return the same for a structure whose sites are these of the one that `sites` counts, as of a defect."""
        numbers = {old: new for new, old in enumerate(kept)}
        sites = {numbers[old]: size for old, size in self.sites.items() if old in numbers}
        return Moments(sites, self.layers, self.species)


@dataclass(frozen=True)
class StartingMoments:
    """Starting moments of a structure.

    Attributes
    ----------
    values
        μB by site; None when the order is not spin-polarized.
    sources
        Where the size of each came from: ``site``, ``layer``, ``species``, ``file``, ``default`` or ``none``.
    signs
        Of each place, whether or not there is a moment; empty when the order is not spin-polarized.
    """

    values: tuple[float, ...] | None
    sources: tuple[str, ...]
    signs: tuple[int, ...] = ()

    def summary(self, structure: Structure) -> dict[str, str]:
        """Return for each element with a moment its sizes and their source: ``{"Cr": "3 (default)"}``."""
        found: dict[str, dict[str, None]] = {}
        for site, value, source in zip(structure, self.values or (), self.sources, strict=bool(self.values)):
            if value:
                found.setdefault(site.species_string, {})[f"{abs(value):g} ({source})"] = None
        return {element: ", ".join(texts) for element, texts in found.items()}


def moment_sizes(structure: Structure, moments: Moments) -> tuple[list[float], tuple[str, ...]]:
    """Return the size of each site's moment in μB, and where it came from.

    Precedence: site, layer, species, the structure's own ``magmom`` (the file of the material) where it is not 0,
    `DEFAULT_MOMENTS`.
    """
    labels = layer_labels(structure) if moments.layers else [""] * len(structure)
    own = [moment or None for moment in structure.site_properties.get("magmom") or [0.0] * len(structure)]
    _check_names(structure, moments, labels)
    sizes, sources = [], []
    for index, site in enumerate(structure):
        element = site.species_string
        choices = [
            ("site", moments.sites.get(index)),
            ("layer", moments.layers.get((element, labels[index]))),
            ("species", moments.species.get(element)),
            ("file", own[index]),
            ("default", DEFAULT_MOMENTS.get(element)),
        ]
        source, size = next(((s, float(v)) for s, v in choices if v is not None), ("none", 0.0))
        sizes.append(abs(size))
        sources.append(source)
    return sizes, tuple(sources)


def _check_names(structure: Structure, moments: Moments, labels: list[str]) -> None:
    for index in moments.sites:
        if not 0 <= index < len(structure):
            raise StructureError(
                f"magnetism: site {index}: {structure.formula} has the sites 0 to {len(structure) - 1}"
            )
    present = {(site.species_string, label) for site, label in zip(structure, labels, strict=True)}
    for element, label in moments.layers:
        if label not in set(labels):
            raise StructureError(f"magnetism: no layer {label}{did_you_mean(label, labels)}")
        if (element, label) not in present:
            raise StructureError(f"magnetism: layer {label} holds no {element}")


def starting_moments(structure: Structure, order: Order, moments: Moments, *, needed: bool = True) -> StartingMoments:
    """Return the starting moment of each site.

    Parameters
    ----------
    structure
        With the site properties of `build_superlattice` where the order or the sizes name blocks or layers.
    order
        A name, an order by block, or signs by layer.
    moments
        Sizes.
    needed
        Refuse a structure in which no site has a moment; otherwise only the signs of its places are of use.

    Raises
    ------
    StructureError
        If the order is unknown or does not fit, or no site would carry a moment.
    """
    if order == "NM":
        return StartingMoments(None, ("none",) * len(structure))
    sizes, sources = moment_sizes(structure, moments)
    if needed and not any(sizes):
        raise no_moment(structure, order_label(order))
    signs = order_signs(structure, order, [size > 0 for size in sizes])
    values = tuple(size * int(sign) + 0.0 for size, sign in zip(sizes, signs, strict=True))
    return StartingMoments(values, sources, tuple(int(sign) for sign in signs))


def no_moment(structure: Structure, order: str) -> StructureError:
    """Return the error of an order of a structure in which no site has a moment."""
    return StructureError(
        f"magnetism: order {order} on {structure.formula} has no moment to order; "
        "give magnetism: {moments: {ELEMENT: μB}} for one of its elements"
    )


def assign_moments(structure: Structure, order: Order, moments: Mapping[str, float]) -> list[float] | None:
    """Return the starting moment of each site in μB, with sizes by element.

    Parameters
    ----------
    structure, order
        As in `starting_moments`.
    moments
        Starting moment in μB by element; for those left out see `moment_sizes`, those the structure lacks are
        ignored.

    Returns
    -------
    list of float or None
        Shape (sites,); None for ``NM``: not spin-polarized.

    Raises
    ------
    StructureError
        If the order is unknown or does not fit, or no site would carry a moment.

    Examples
    --------
    >>> from heterodft.structures.materials import build_material
    >>> assign_moments(build_material("SrTiO3").cell, "FM", {"Ti": 1.0})
    [0.0, 1.0, 0.0, 0.0, 0.0]
    """
    found = starting_moments(structure, order, Moments(species=moments))
    return None if found.values is None else list(found.values)
