"""Electrons layer by layer, and how many more or fewer than in the bulk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from pymatgen.core import Composition

from heterodft.analysis.layers import find_layering, sum_over_groups
from heterodft.analysis.layers.plane_contents import has_vacuum
from heterodft.analysis.layers.plane_search import anions_of, content, heights_along
from heterodft.analysis.layers.site_sums import (
    block_of,
    group_columns,
    group_data,
    plain_numbers,
    site_kinds,
    use_layering,
)
from heterodft.analysis.result import Result
from heterodft.analysis.sphere_radii import other_spheres
from heterodft.errors import ReaderError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from heterodft.analysis.layers import Layering, SiteGroup

__all__ = ["LayerCharges"]

_FEWEST_LAYERS = 3


@dataclass(frozen=True)
class LayerCharges:
    """Valence electrons added over the sites of each layer or plane.

    Attributes
    ----------
    groups
        Layers or planes from the bottom up.
    by
        ``layer`` or ``plane``.
    kinds
        ``sphere`` and ``Löwdin``, those there are.
    charges
        Electrons, shape (group, kind).
    transfer
        Electrons more than in the bulk on the atoms that are there, shape (group, kind): a vacancy takes none with
        it. Not-a-number where there is no reference.
    reference
        What the bulk is: ``bulk`` (the reference given) or ``inner layers of the same block``.
    cations
        Along the last axis of `valence`.
    valence
        Change against the bulk in e, mean of the cations of each element, shape (group, kind, cation): positive where
        electrons are lost. Charges in spheres and by Löwdin change by less than the formal valence does.
    electrons
        Of the whole cell; None when not told.
    notes
        What is doubtful.
    """

    groups: tuple[SiteGroup, ...]
    by: str
    kinds: tuple[str, ...]
    charges: NDArray[np.float64]
    transfer: NDArray[np.float64]
    reference: str
    cations: tuple[str, ...]
    valence: NDArray[np.float64]
    electrons: float | None
    notes: tuple[str, ...] = ()

    @classmethod
    def from_result(
        cls,
        result: Result,
        *,
        layering: Layering | None = None,
        by: str = "layer",
        reference: Result | Mapping[str, Result | Mapping[str, float] | float] | None = None,
    ) -> Self:
        """Add the charges of a result and compare them with the bulk.

        Parameters
        ----------
        result
            With charges of sites.
        layering
            Of `find_layering`; by default found from the structure.
        by
            ``layer`` or ``plane``.
        reference
            The bulk: a result whose sites give the electrons of each element, or by material a result, electrons of
            an atom of each element, or electrons a formula unit. It is for the same code, pseudopotentials, spheres.
            Without it, each site is compared with the mean of its element in the inner layers of its block, those
            that touch no other block or vacuum.

        Raises
        ------
        ReaderError
            If the result holds no charges of sites, or a material of the reference is not in the stack.
        """
        used = use_layering(result.structure, layering)
        kinds = site_kinds(result)
        values = np.column_stack([found.charges for found in kinds.values()])
        groups = used.groups(by)
        notes: list[str] = [*used.notes, *result.notes]
        if reference is None:
            expected, name = _inner(result, used, values, notes), "inner layers of the same block"
            whole = np.full_like(sum_over_groups(groups, values), np.nan)
        else:
            expected, whole = _bulk(result, used, groups, reference, tuple(kinds), notes)
            name = "bulk"
        change = values - expected
        transfer = sum_over_groups(groups, change)
        cations = _cations(result)
        valence = np.full((len(groups), len(kinds), len(cations)), np.nan)
        for row, group in enumerate(groups):
            for column, element in enumerate(cations):
                own = [site for site in group.sites if result.structure[site].specie.symbol == element]
                if own:
                    valence[row, :, column] = -change[own].mean(axis=0)
        charges = sum_over_groups(groups, values)
        return cls(
            groups=groups,
            by=by,
            kinds=tuple(kinds),
            charges=charges,
            transfer=np.where(np.isnan(whole), transfer, charges - whole),
            reference=name,
            cations=cations,
            valence=valence,
            electrons=result.electrons,
            notes=tuple(notes),
        )

    @classmethod
    def read(
        cls,
        folder: Path,
        *,
        layering: Layering | None = None,
        by: str = "layer",
        reference: Result | Mapping[str, Result | Mapping[str, float] | float] | None = None,
    ) -> Self:
        """Read a finished folder; see `from_result`."""
        from heterodft.analysis.readers import read_folder

        return cls.from_result(read_folder(folder), layering=layering, by=by, reference=reference)

    @property
    def quantity(self) -> str:
        """What the values are."""
        return f"electrons against {self.reference}" if self._compared else "valence electrons"

    @property
    def unit(self) -> str:
        """Of the values."""
        return "e"

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the series: the kinds."""
        return self.kinds

    @property
    def values(self) -> NDArray[np.float64]:
        """Electrons more than in the bulk, or, where nothing is known of that, electrons; shape (group, kind)."""
        return self.transfer if self._compared else self.charges

    @property
    def _compared(self) -> bool:
        return not bool(np.isnan(self.transfer).all())

    @property
    def missing(self) -> NDArray[np.float64] | None:
        """Electrons of the cell that are in no sphere or on no atomic wavefunction, shape (kind,)."""
        return None if self.electrons is None else self.electrons - self.charges.sum(axis=0)

    def to_frame(self) -> pd.DataFrame:
        """Return a table, one row a layer or plane from the bottom up."""
        import pandas as pd

        data: dict[str, Any] = group_columns(self.groups, self.by)
        for i, kind in enumerate(self.kinds):
            data[f"{kind} charge (electrons)"] = self.charges[:, i]
            data[f"{kind} transfer (electrons)"] = self.transfer[:, i]
            for j, element in enumerate(self.cations):
                data[f"{kind} valence change of {element} (e)"] = self.valence[:, i, j]
        frame = pd.DataFrame(data)
        frame.attrs = {"reference": self.reference}
        return frame

    def plot(self) -> Figure:
        """Draw the charge transfer along the layers."""
        from heterodft.analysis.plots import draw_profile

        return draw_profile(self)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON data, electrons; None where there is no reference."""
        missing = self.missing
        return {
            "by": self.by,
            "groups": group_data(self.groups),
            "kinds": list(self.kinds),
            "charges": self.charges.tolist(),
            "reference": self.reference,
            "transfer": plain_numbers(self.transfer),
            "cations": list(self.cations),
            "valence_change": plain_numbers(self.valence),
            "electrons": self.electrons,
            "missing": None if missing is None else missing.tolist(),
            "notes": list(self.notes),
        }


def _cations(result: Result) -> tuple[str, ...]:
    anions = anions_of(result.structure)
    return tuple(dict.fromkeys(s.specie.symbol for s in result.structure if s.specie.symbol not in anions))


def _inner(result: Result, layering: Layering, values: NDArray[np.float64], notes: list[str]) -> NDArray[np.float64]:
    """Return for each site the mean of its element, in the like plane of the layer, of inner layers of its block."""
    expected = np.full_like(values, np.nan)
    few: list[str] = []
    blocks: dict[str, list[Any]] = {}
    for layer in layering.layers:
        blocks.setdefault(block_of(layer.label), []).append(layer)
    planes = [plane.sites for plane in layering.planes]
    bulk = len(blocks) == 1 and not has_vacuum(planes, heights_along(result.structure, "abc".index(layering.axis)))
    for name, layers in blocks.items():
        inner = layers if bulk else layers[1:-1]
        if not bulk and len(layers) < _FEWEST_LAYERS:
            few.append(name)
            continue
        for layer in layers:
            for number, plane in enumerate(layer.planes):
                like = _like_sites(result, inner, plane, number)
                for site in plane.sites:
                    same = [s for s in like if _symbol(result, s) == _symbol(result, site)]
                    expected[site] = values[same].mean(axis=0) if same else np.nan
    if few:
        notes.append(f"no charge transfer of {', '.join(few)}: no layer lies inside it; compare with a bulk run")
    return expected


def _symbol(result: Result, site: int) -> str:
    return str(result.structure[site].specie.symbol)


def _like_sites(result: Result, inner: Sequence[Any], plane: Any, number: int) -> list[int]:
    """Return the sites of those planes of inner layers that are like a plane, which is the `number`th of its layer.

    By what is in them, since the outermost layer of a slab may lack a plane; by their number where several are alike.
    """
    elements = {_symbol(result, site) for site in plane.sites}
    found: dict[float, list[int]] = {}
    for layer in inner:
        for place, other in enumerate(layer.planes):
            others = {_symbol(result, site) for site in other.sites}
            alike = len(elements & others) / len(elements | others)
            found.setdefault(alike + (0.01 if place == number else 0.0), []).extend(other.sites)
    return found[max(found)]


def _bulk(  # noqa: PLR0917, one place calls it
    result: Result,
    layering: Layering,
    groups: tuple[SiteGroup, ...],
    reference: Any,
    kinds: tuple[str, ...],
    notes: list[str],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what each site, and where only formula units were given each layer, has in the bulk.

    Shapes (site, kind) and (group, kind); what is not known is not-a-number.
    """
    materials = {layer.material for layer in layering.layers}
    if isinstance(reference, Result):
        name = next((layer.material for layer in find_layering(reference.structure).layers), "")
        reference = {name: reference} if name in materials else dict.fromkeys(materials, reference)
    for name in reference:
        if name not in materials:
            raise ReaderError(f"reference: {name} is not in the stack{did_you_mean(name, materials)}")
    expected = np.full((len(result.structure), len(kinds)), np.nan)
    whole = np.full((len(groups), len(kinds)), np.nan)
    for layer in layering.layers:
        given = reference.get(layer.material)
        if isinstance(given, int | float):
            row = next((i for i, group in enumerate(groups) if group is layer), None)
            units = _units(result, layer)
            if row is None or units is None:
                notes.append(f"{layer.label} is no whole number of {layer.material}; give electrons by element")
            else:
                whole[row] = given * units
        elif given is not None:
            atoms = _comparable(result, given, kinds, _of_elements(given, kinds), notes)
            for site in layer.sites:
                symbol = result.structure[site].specie.symbol
                expected[site] = atoms.get(symbol, np.nan)
    for name in sorted(materials - set(reference)):
        notes.append(f"no bulk reference for {name}")
    return expected, whole


def _comparable(
    result: Result, given: Any, kinds: tuple[str, ...], atoms: dict[str, NDArray[np.float64]], notes: list[str]
) -> dict[str, NDArray[np.float64]]:
    """Leave charges in spheres out where those of the bulk have another size."""
    others = other_spheres(result, given) if isinstance(given, Result) and "sphere" in kinds else []
    for element in others:
        atoms[element][kinds.index("sphere")] = np.nan
    if others:
        note = (
            f"charges of {', '.join(others)} in spheres are not compared with the bulk: pw.x makes spheres as large "
            "as the distances allow, and these differ; those by Löwdin, of the dos steps, are"
        )
        notes += [note] * (note not in notes)
    return atoms


def _units(result: Result, layer: Any) -> float | None:
    """Return how many formula units of its material a layer holds; None where atoms are missing or added."""
    counts = Composition(content(result.structure, layer.sites))
    try:
        formula = Composition(layer.material)
    except ValueError:
        return None
    units = counts.num_atoms / formula.num_atoms
    whole = set(counts) == set(formula) and all(abs(counts[e] - units * formula[e]) < 0.01 for e in formula)
    return units if whole else None


def _of_elements(given: Any, kinds: tuple[str, ...]) -> dict[str, NDArray[np.float64]]:
    """Return electrons of an atom by element, each of shape (kind,)."""
    if not isinstance(given, Result):
        return {element: np.full(len(kinds), float(value)) for element, value in given.items()}
    symbols = np.array([site.specie.symbol for site in given.structure])
    found = site_kinds(given)
    return {
        str(element): np.array(
            [
                np.asarray(found[kind].charges)[symbols == element].mean() if kind in found else np.nan
                for kind in kinds
            ]
        )
        for element in set(symbols)
    }
