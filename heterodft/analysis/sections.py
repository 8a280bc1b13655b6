"""What `heterodft analyze` makes of a folder: one entry a quantity, each with its columns of the layer table."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pandas import DataFrame

    from heterodft.analysis.grids import VolumeGrid
    from heterodft.analysis.layers import Layering, SiteGroup
    from heterodft.analysis.result import Result

    Variants: TypeAlias = Mapping[str, Callable[[], Any]]

__all__ = [
    "SECTIONS",
    "WINDOW",
    "Section",
    "Source",
    "has_orbitals",
    "is_plain_metal",
    "table_columns",
    "transition_metals",
]

WINDOW = (-2.0, 0.0)
"""eV from the reference: where the electrons of the layer table are counted."""
_MOST_SERIES = 8
"""A frame with more numbers a layer than this is no profile."""


@dataclass(frozen=True)
class Source:
    """What a quantity may be made from.

    Attributes
    ----------
    folder, result
        The folder, and what was read from it.
    layering
        None where the layers cannot be told.
    by
        ``layer`` or ``plane``.
    bulks
        Results of bulk materials by name, to compare layers with.
    grids
        The first grid of each quantity in the folder.
    grids_alone
        Whether there is nothing but grids.
    stoner
        Stoner parameters in eV by element, for N(EF) of one spin.
    edge
        eV from the reference of the densities of states: inside the gap of the host, from which bands are told apart;
        None where it is to be found.
    """

    folder: Path
    result: Result
    layering: Layering | None
    by: Literal["layer", "plane"] = "layer"
    bulks: Mapping[str, Result] = field(default_factory=dict)
    grids: Mapping[str, VolumeGrid] = field(default_factory=dict)
    grids_alone: bool = False
    stoner: Mapping[str, float] = field(default_factory=dict)
    edge: float | None = None

    @property
    def groups(self) -> Sequence[SiteGroup]:
        """The layers or planes; empty where they cannot be told."""
        if self.layering is None:
            return ()
        return self.layering.layers if self.by == "layer" else self.layering.planes


@dataclass(frozen=True)
class Section:
    """One kind of quantity.

    Attributes
    ----------
    name
        Of its files, and its key in JSON.
    words
        What it is, for the line that says why there is none.
    variants
        How to make it: one function or several by what to append to the name (an element); none where the question
        makes no sense. Making them, or calling one, raises `ReaderError` with the reason why it cannot be made.
    columns
        Numbers for the layer table by the name of their column, one a group; None where there are none.
    """

    name: str
    words: str
    variants: Callable[[Source], Variants]
    columns: Callable[[Any, Source], Mapping[str, Sequence[float]]] | None = None


def _by_layer(
    module: str,
    kind: str,
    *,
    applies: Callable[[Result], bool] = lambda _: True,
    options: Callable[[Source], Mapping[str, Mapping[str, Any]]] = lambda _: {"": {}},
) -> Callable[[Source], Variants]:
    """Return the variants of a quantity of ``from_result(result, layering=…, by=…)``, one for each set of options."""

    def variants(source: Source) -> Variants:
        if source.grids_alone or not applies(source.result):
            return {}
        if source.layering is None and module != "bands":
            raise ReaderError("they need the layers, which cannot be told")
        quantity = getattr(import_module(f"heterodft.analysis.{module}"), kind)
        same = {"layering": source.layering, "by": source.by}
        return {
            end: partial(quantity.from_result, source.result, **same, **own) for end, own in options(source).items()
        }

    return variants


def _frame_columns(pattern: str = "") -> Callable[[Any, Source], Mapping[str, Sequence[float]]]:
    """Return a function that takes the columns of a quantity's frame whose names match a regular expression."""

    def columns(quantity: Any, source: Source) -> Mapping[str, Sequence[float]]:
        found = table_columns(quantity.to_frame(), [group.label for group in source.groups])
        return {name: values for name, values in found.items() if re.search(pattern, name)}

    return columns


def table_columns(frame: DataFrame, labels: Sequence[str]) -> dict[str, list[float]]:
    """Return the numbers of a frame that belong to layers, one list a column in the order of `labels`.

    Parameters
    ----------
    frame
        With a column (or index) ``layer`` or ``plane``. Several rows a layer, told apart by other columns of words
        such as the spin, become several columns; numbers that say where a layer is are left out.
    labels
        Of the layers or planes.
    """
    frame = frame.reset_index() if frame.index.name in ("layer", "plane") else frame
    key = next((name for name in ("plane", "layer") if name in frame and set(frame[name]) >= set(labels)), None)
    if key is None or not labels or len(frame) > _MOST_SERIES * len(labels):
        return {}
    numbers = [name for name in frame.select_dtypes("number") if name != "number" and "height" not in name]
    words = [
        name
        for name in frame.columns.difference([key, *numbers, *frame.select_dtypes("bool")], sort=False)
        if frame.groupby(key)[name].nunique(dropna=False).max() > 1
    ]
    found: dict[str, list[float]] = {}
    parts = frame.groupby(words, sort=False) if words else [((), frame)]
    for combination, part in parts:
        rows = part.drop_duplicates(key).set_index(key)
        said = "".join(f", {word}" for word in combination)
        for name in numbers:
            column = f"{name}{said}"
            found[column] = [float(rows.at[label, name]) if label in rows.index else np.nan for label in labels]
    return {name: values for name, values in found.items() if not np.isnan(values).all()}


def _window_columns(layer_dos: Any, source: Source) -> Mapping[str, Sequence[float]]:
    """Electrons of each layer in the window below the reference."""
    from heterodft.analysis.pdos import electrons_between

    electrons = electrons_between(layer_dos, *WINDOW)
    name = f"electrons {WINDOW[0]:g} to {WINDOW[1]:g} eV"
    if electrons.shape[1] != 2:
        return {name: electrons[:, 0].tolist()}
    return {f"{name}, up": electrons[:, 0].tolist(), f"{name}, down": electrons[:, 1].tolist()}


def is_plain_metal(result: Result) -> bool:
    """Whether a run without spin has states at the Fermi level, which a moment might lower."""
    from heterodft.analysis.gaps import find_gap

    if result.dos is None or result.bands is None or len(result.bands.energies) != 1:
        return False
    gap = find_gap(result)
    return gap is not None and gap.metal and not result.method.get("noncollinear")


def _structure(source: Source) -> Variants:
    from heterodft.analysis.structure import StructureProfile

    if source.layering is None:
        return {}
    return {"": partial(StructureProfile.from_result, source.result, layering=source.layering, by=source.by)}


def _has_defect(result: Result) -> bool:
    return bool(result.request.get("about", {}).get("defect") or result.structure.properties.get("defect"))


def has_orbitals(result: Result) -> bool:
    """Whether a density of states tells the d orbitals of a transition metal one by one."""
    return result.dos is not None and bool(transition_metals(result)) and "dz2" in result.dos.orbitals


def transition_metals(result: Result) -> list[str]:
    """Return the elements whose d orbitals hold the electrons that are asked for; not Sc, Y, La and lanthanides."""
    metals = [element for element in result.structure.elements if element.is_transition_metal]
    return [element.symbol for element in metals if element.group > 3]


def _elements(source: Source) -> Mapping[str, Mapping[str, Any]]:
    return {f"-{symbol}": {"element": symbol} for symbol in transition_metals(source.result)}


def _against_bulks(source: Source) -> Mapping[str, Mapping[str, Any]]:
    return {"": {"reference": source.bulks} if source.bulks else {}}


def _parameters(source: Source) -> Mapping[str, Mapping[str, Any]]:
    return {"": {"parameters": source.stoner}}


def _counted_from(key: str) -> Callable[[Source], Mapping[str, Mapping[str, Any]]]:
    """Return the option of a quantity that takes an energy inside the gap under a key."""
    return lambda source: {"": {} if source.edge is None else {key: source.edge}}


def _stoner_columns(stoner: Any, source: Source) -> Mapping[str, Sequence[float]]:
    """Mean product of each element in each layer."""
    return {
        f"I·N(EF), {element}": _along_groups(stoner.groups, stoner.values[:, i], source)
        for i, element in enumerate(stoner.columns)
    }


def _polarization_columns(orbitals: Any, source: Source) -> Mapping[str, Sequence[float]]:
    return {f"eg polarization, {orbitals.element}": _along_groups(orbitals.groups, orbitals.polarization, source)}


def _along_groups(groups: Sequence[SiteGroup], values: Sequence[float], source: Source) -> list[float]:
    """Return a value for each layer of the table, not-a-number for those that have none."""
    found = {group.label: float(value) for group, value in zip(groups, values, strict=True)}
    return [found.get(group.label, np.nan) for group in source.groups]


def _occupations(source: Source) -> Variants:
    """Shells with a U; they have the label of their layer where layers can be told, and need none."""
    from heterodft.analysis.occupations import SiteOccupations

    if not source.result.occupations:
        return {}
    return {"": partial(SiteOccupations.from_result, source.result, layering=source.layering, by=source.by)}


def _defect(source: Source) -> Variants:
    from heterodft.analysis.local import DefectNeighbours

    return {"": partial(DefectNeighbours.from_result, source.result)} if _has_defect(source.result) else {}


def _shells(source: Source) -> Variants:
    """Moment inside spheres around the defect, of the spin density."""
    from heterodft.analysis.defect_place import locate_defect
    from heterodft.analysis.grids.shells import DefectShells

    grid = source.grids.get("spin density") if _has_defect(source.result) else None
    if grid is None:
        return {}
    place = grid.structure.lattice.get_fractional_coords(locate_defect(source.result).position)
    return {"": partial(DefectShells.from_grid, grid, center=[float(x) for x in place])}


def _averages(source: Source) -> Variants:
    from heterodft.analysis.potentials import PlanarAverage

    return {
        f"-{quantity.replace(' ', '-')}": partial(PlanarAverage.from_grid, grid, layering=source.layering)
        for quantity, grid in source.grids.items()
        if quantity != "magnetization"
    }


def _average_columns(average: Any, source: Source) -> Mapping[str, Sequence[float]]:
    """Mean potential of each layer; planes are too thin for one, and densities are integrated instead."""
    if source.by != "layer" or average.quantity != "potential":
        return {}
    means = {layer.label: layer.mean for layer in average.layers}
    name = f"mean {average.quantity} ({average.unit})"
    return {name: [means.get(group.label, np.nan) for group in source.groups]} if means else {}


def _slabs(source: Source) -> Variants:
    from heterodft.analysis.densities import SlabIntegrals

    if source.layering is None:
        return {}
    return {
        f"-{quantity.replace(' ', '-')}": partial(
            SlabIntegrals.from_grid, grid, layering=source.layering, by=source.by
        )
        for quantity, grid in source.grids.items()
        if quantity != "potential"
    }


def _slab_columns(slabs: Any, source: Source) -> Mapping[str, Sequence[float]]:
    found = table_columns(slabs.to_frame(), [group.label for group in source.groups])
    return {f"slab {name}": values for name, values in found.items() if re.match("moment|charge", name)}


def _slices(source: Source) -> Variants:
    """Cut the spin density at the atom with the largest moment, else the charge density, else the potential."""
    from heterodft.analysis.grids.shells import integrate_spheres
    from heterodft.analysis.grids.slices import DensitySlice

    grids = dict(source.grids)
    if "magnetization" in grids:
        grids.setdefault("spin density", grids["magnetization"].component("z"))
    for quantity in ("spin density", "charge density", *(["potential"] if source.grids_alone else [])):
        if quantity in grids:
            grid = grids[quantity]
            size = np.abs(integrate_spheres(grid)[1]) if quantity != "potential" else np.zeros(1)
            site = int(np.argmax(np.round(size, 3)))
            return {f"-{quantity.replace(' ', '-')}": partial(DensitySlice.from_grid, grid, through=site)}
    return {}


SECTIONS: tuple[Section, ...] = (
    Section("moments", "moments", _by_layer("moments", "LayerMoments"), _frame_columns(r"^\S+( [xyz])? moment \(")),
    Section(
        "charges",
        "charges",
        _by_layer("charges", "LayerCharges", options=_against_bulks),
        _frame_columns("charge|transfer"),
    ),
    Section("occupations", "Hubbard occupations", _occupations),
    Section("dos", "density of states", _by_layer("pdos", "LayerDos"), _window_columns),
    Section(
        "band-edges",
        "band edges",
        _by_layer("band_edges", "BandEdges", options=_counted_from("start")),
        _frame_columns("edge"),
    ),
    Section(
        "carriers",
        "sheet carriers",
        _by_layer("carriers", "SheetCarriers", options=_counted_from("edge")),
        _frame_columns("cm²"),
    ),
    Section(
        "stoner",
        "Stoner product",
        _by_layer("stoner", "StonerProduct", applies=is_plain_metal, options=_parameters),
        _stoner_columns,
    ),
    Section(
        "orbital-polarization",
        "orbital polarization",
        _by_layer("orbitals", "OrbitalPolarization", applies=has_orbitals, options=_elements),
        _polarization_columns,
    ),
    Section(
        "structure", "tilts, displacements and spacings", _structure, _frame_columns("tilt|displacement|spacing")
    ),
    Section("defect", "neighbours of the defect", _defect),
    Section("shells", "moment around the defect", _shells),
    Section("average", "averages of grids", _averages, _average_columns),
    Section("slabs", "densities integrated over layers", _slabs, _slab_columns),
    Section("slice", "slice", _slices),
    Section("bands", "bands along the path", _by_layer("bands", "LayerBands", applies=lambda result: result.on_path)),
)
"""In the order they are shown."""
