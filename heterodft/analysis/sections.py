"""What `heterodft analyze` makes of a folder: one entry a quantity, each with its columns of the layer table."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from heterodft.errors import ReaderError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pandas import DataFrame

    from heterodft.analysis.layers import Layering, SiteGroup
    from heterodft.analysis.result import Result

__all__ = ["SECTIONS", "WINDOW", "Section", "Source", "table_columns"]

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
    """

    folder: Path
    result: Result
    layering: Layering | None
    by: Literal["layer", "plane"] = "layer"
    bulks: Mapping[str, Result] = field(default_factory=dict)

    @property
    def groups(self) -> Sequence[SiteGroup]:
        """The layers or planes; empty where they cannot be told."""
        if self.layering is None:
            return ()
        return self.layering.layers if self.by == "layer" else self.layering.planes


@dataclass(frozen=True)
class Section:
    """One quantity.

    Attributes
    ----------
    name
        Of its files, and its key in JSON.
    words
        What it is, for the line that says why there is none.
    module, kind
        Its module in `heterodft.analysis` and its class, with ``from_result(result, layering=…, by=…)``.
    columns
        Numbers for the layer table by the name of their column, one a group; None where there are none.
    applies
        Whether the question makes sense for a result at all.
    options
        What else ``from_result`` is given.
    """

    name: str
    words: str
    module: str
    kind: str
    columns: Callable[[Any, Source], Mapping[str, Sequence[float]]] | None = None
    applies: Callable[[Result], bool] = lambda _: True
    options: Callable[[Source], Mapping[str, Any]] = lambda _: {}

    def make(self, source: Source) -> Any:
        """Make the quantity; None where it does not apply or this version has none.

        Raises
        ------
        ReaderError
            If it cannot be made, with the reason.
        """
        if not self.applies(source.result) or find_spec(f"heterodft.analysis.{self.module}") is None:
            return None
        kind = getattr(import_module(f"heterodft.analysis.{self.module}"), self.kind, None)
        if kind is None or not hasattr(kind, "from_result"):
            return None
        if source.layering is None:
            raise ReaderError("it needs the layers, which cannot be told")
        return kind.from_result(source.result, layering=source.layering, by=source.by, **self.options(source))


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
        said = " ".join(map(str, combination))
        for name in numbers:
            column = f"{said} {name}".strip()
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


def _has_path(result: Result) -> bool:
    return result.bands is not None and result.bands.labels is not None


def _has_defect(result: Result) -> bool:
    return bool(result.request.get("about", {}).get("defect") or result.structure.properties.get("defect"))


def _against_bulks(source: Source) -> Mapping[str, Any]:
    return {"bulks": source.bulks} if source.bulks else {}


SECTIONS: tuple[Section, ...] = (
    Section("moments", "moments by layer", "moments", "LayerMoments", _frame_columns("moment")),
    Section(
        "charges",
        "charges by layer",
        "charges",
        "LayerCharges",
        _frame_columns("charge|electrons"),
        options=_against_bulks,
    ),
    Section("dos", "density of states by layer", "pdos", "LayerDos", _window_columns),
    Section("band-edges", "band edges by layer", "band_edges", "BandEdges", _frame_columns("edge")),
    Section("carriers", "sheet carriers", "carriers", "SheetCarriers", _frame_columns("cm²")),
    Section(
        "orbital-polarization",
        "orbital polarization",
        "orbitals",
        "OrbitalPolarization",
        _frame_columns("polarization"),
    ),
    Section(
        "structure",
        "tilts, displacements and spacings",
        "structure",
        "StructureProfile",
        _frame_columns("tilt|displacement|spacing"),
    ),
    Section("defect", "neighbours of the defect", "local", "DefectNeighbours", applies=_has_defect),
    Section("bands", "bands along the path", "bands", "LayerBands", applies=_has_path),
)
"""In the order they are shown."""
