"""All that one finished folder says: the run, its gap and moments, and every quantity that can be made by layer."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from heterodft.analysis.gaps import Gap, find_gap
from heterodft.analysis.layers import find_layering
from heterodft.analysis.readers import read_folder
from heterodft.analysis.sections import SECTIONS, Source
from heterodft.errors import HeterodftError, ReaderError
from heterodft.files import make_folder, write_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pandas import DataFrame

    from heterodft.analysis.layers import Layering
    from heterodft.analysis.result import Result

__all__ = ["FolderOverview", "compare_energies", "distinct_names", "plain"]


@dataclass(frozen=True)
class FolderOverview:
    """What one folder says.

    Attributes
    ----------
    folder
        The folder or file that was read.
    result
        What was read.
    gap
        None where the bands tell none.
    source
        Layers and settings the quantities were made with.
    quantities
        By the name of their section, see `heterodft.analysis.sections.SECTIONS`.
    columns
        The layer table: numbers by the name of their column, one a layer or plane from the bottom up.
    missing
        Why a quantity could not be made, by its words.
    """

    folder: Path
    result: Result
    gap: Gap | None
    source: Source
    quantities: Mapping[str, Any]
    columns: Mapping[str, Sequence[float]]
    missing: Mapping[str, str]

    @classmethod
    def read(
        cls,
        folder: Path,
        *,
        by: Literal["layer", "plane"] = "layer",
        layers: str | None = None,
        axis: str | None = None,
        bulks: Mapping[str, Result] | None = None,
    ) -> FolderOverview:
        """Read a folder and make every quantity that can be made.

        Parameters
        ----------
        folder
            Of a run of VASP or Quantum ESPRESSO, or one of its files.
        by
            ``layer`` or ``plane``.
        layers, axis
            Sites of each layer and the vector of the stacking, where they shall not be found; see `find_layering`.
        bulks
            Results of bulk materials by name, to compare layers with.

        Raises
        ------
        ReaderError
            If the folder cannot be read. What cannot be made from it is told in `missing` instead.
        """
        result = read_folder(folder)
        if result.bands is not None and result.bands.labels is not None:  # a path is drawn by layer
            more: dict[str, Any] = {"projections": True}
            result = read_folder(folder, **more)
        return cls.from_result(result, folder=folder, by=by, layers=layers, axis=axis, bulks=bulks)

    @classmethod
    def from_result(
        cls,
        result: Result,
        *,
        folder: Path,
        by: Literal["layer", "plane"] = "layer",
        layers: str | None = None,
        axis: str | None = None,
        bulks: Mapping[str, Result] | None = None,
    ) -> FolderOverview:
        """Make every quantity that can be made of a result; `folder` may hold grids. See `read`."""
        missing: dict[str, str] = {}
        layering = _layering(result, layers, axis, missing)
        if layering is None and result.bands is not None:  # bands without layers are bands all the same
            result = replace(result, bands=replace(result.bands, projections=None))
        source = Source(folder, result, layering, by, bulks or {})
        gap = None
        try:
            gap = find_gap(result) if result.bands is not None else None
        except HeterodftError as error:
            missing["gap"] = str(error)
        quantities, columns = _make_all(source, missing)
        return cls(folder, result, gap, source, quantities, columns, missing)

    def to_frame(self) -> DataFrame:
        """Return the layer table, one row a layer or plane from the bottom up."""
        from pandas import DataFrame

        groups = self.source.groups
        return DataFrame(
            {
                self.source.by: [group.label for group in groups],
                "formula": [group.formula for group in groups],
                "height (Å)": [group.height for group in groups],
                **self.columns,
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data, without arrays over energies or k-points; what is not known is None."""
        result, layering = self.result, self.source.layering
        keys = ("code", "version", "step", "ended", "converged", "iterations", "energy", "absolute_moment")
        levels = result.fermi_levels
        data: dict[str, Any] = plain(
            {
                "folder": str(self.folder),
                **{key: getattr(result, key) for key in keys},
                "formula": result.structure.composition.formula,
                "atoms": len(result.structure),
                "moment": result.total_moment,
                "electrons": result.electrons,
                "fermi_level": max(levels) if levels else None,
                "fermi_levels": list(levels),
                "gap": None if self.gap is None else self.gap.value,
                "metal": None if self.gap is None else self.gap.metal,
                "gap_detail": None if self.gap is None else self.gap.to_dict(),
                "method": result.method,
                "notes": self.notes,
                "layers_from": None if layering is None else layering.source,
                "by": self.source.by,
                "layers": self.to_frame().to_dict("records"),
                "missing": dict(self.missing),
            }
        )
        return data

    @property
    def notes(self) -> list[str]:
        """What the reader must know, of the run and of each quantity, each said once."""
        said = [note for quantity in self.quantities.values() for note in getattr(quantity, "notes", ())]
        return list(dict.fromkeys([*self.result.notes, *said]))

    def save(self, folder: Path) -> list[Path]:
        """Write ``analysis.json``, ``layers.csv`` and each quantity's figure with its numbers.

        Raises
        ------
        StorageError
            If the file system refuses.
        """
        from heterodft.analysis.plots import draw_side_view, save_figure
        from heterodft.files import write_text

        written = [write_json(make_folder(folder) / "analysis.json", self.to_dict())]
        if self.source.layering is not None:
            table = self.to_frame()
            written.append(write_text(folder / "layers.csv", table.to_csv(index=False, lineterminator="\n")))
            view = draw_side_view(self.result.structure, self.source.layering)
            written += save_figure(view, _site_frame(self.result.structure, self.source.layering), folder / "cell")
        for name, quantity in self.quantities.items():
            try:
                figure = quantity.plot()
            except HeterodftError:  # there is nothing to draw: charges without a bulk to compare them with
                table = quantity.to_frame().to_csv(index=False, lineterminator="\n")
                written.append(write_text(folder / f"{name}.csv", table))
            else:
                written += save_figure(figure, quantity.to_frame(), folder / name)
        return written


def _layering(result: Result, layers: str | None, axis: str | None, missing: dict[str, str]) -> Layering | None:
    """Find the layers; where the user asked for something, an error is one."""
    asked: dict[str, Any] = {key: value for key, value in (("layers", layers), ("axis", axis)) if value is not None}
    try:
        return find_layering(result.structure, **asked)
    except ReaderError as error:
        if asked:
            raise
        missing["layers"] = str(error)
        return None


def _make_all(source: Source, missing: dict[str, str]) -> tuple[dict[str, Any], dict[str, Sequence[float]]]:
    """Make every quantity; what cannot be made goes to `missing` with the reason."""
    quantities: dict[str, Any] = {}
    columns: dict[str, Sequence[float]] = {}
    for section in SECTIONS:
        try:
            variants = section.variants(source)
        except HeterodftError as error:
            missing[section.words] = str(error)
            continue
        for end, make in variants.items():
            try:
                quantity = make()
            except HeterodftError as error:
                missing[f"{section.words}{end.replace('-', ' ', 1)}"] = str(error)
                continue
            quantities[section.name + end] = quantity
            if section.columns is not None and source.layering is not None:
                columns |= section.columns(quantity, source)
    return quantities, columns


def _site_frame(structure: Any, layering: Layering) -> DataFrame:
    """Return what the side view shows: each atom, its place and its layer."""
    from pandas import DataFrame

    plane_of = {site: plane for plane in layering.planes for site in plane.sites}
    sites = sorted(plane_of)
    places = structure.cart_coords[sites]
    return DataFrame(
        {
            "site": sites,
            "element": [structure[site].specie.symbol for site in sites],
            "layer": [plane_of[site].layer for site in sites],
            "plane": [plane_of[site].number for site in sites],
            **{f"{name} (Å)": places[:, i] for i, name in enumerate("xyz")},
        }
    )


def compare_energies(found: Mapping[str, FolderOverview], *, reference: str | None = None) -> Any:
    """Rank the energies of several folders; None where this version cannot.

    Returns
    -------
    ConfigurationEnergies
        With a row for each folder, whose energy is left out with the reason where it may not be subtracted.
    """
    from heterodft.analysis import energies

    kind = getattr(energies, "ConfigurationEnergies", None)
    if kind is None:
        return None
    asked = {} if reference is None else {"reference": reference}
    return kind.from_results([overview.result for overview in found.values()], names=list(found), **asked)


def plain(data: Any) -> Any:
    """Return JSON data in which no number is infinite or none: those are None."""
    if isinstance(data, dict):
        return {str(key): plain(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [plain(value) for value in data]
    if hasattr(data, "tolist"):
        return plain(data.tolist())
    return None if isinstance(data, float) and not math.isfinite(data) else data


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """Return a name for each path: the parts in which they differ.

    Examples
    --------
    >>> from pathlib import Path
    >>> distinct_names([Path("/r/sl/FM/static"), Path("/r/sl/AFM-G/static")])
    ['FM', 'AFM-G']
    """
    places = [path.resolve().parent if path.is_file() else path.resolve() for path in paths]
    parts = [place.parts for place in places]
    if len(set(parts)) < 2:
        names = [place.name or "root" for place in places]
    else:
        shortest = min(map(len, parts))
        first = next((i for i in range(shortest) if len({p[i] for p in parts}) > 1), shortest - 1)
        last = next((i for i in range(1, shortest - first + 1) if len({p[-i] for p in parts}) > 1), 1)
        names = ["_".join(p[first : len(p) - last + 1]) or p[-1] for p in parts]
    return [
        name if names.index(name) == i else f"{name}-{names[: i + 1].count(name)}" for i, name in enumerate(names)
    ]
