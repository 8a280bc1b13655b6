"""All that one finished folder says: the run, its gap and moments, and every quantity that can be made by layer."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from heterodft.analysis.gaps import Gap, find_gap
from heterodft.analysis.grid_results import (
    first_of_each,
    grids_beside,
    grids_instead,
    holds_grids,
    result_of_grids,
)
from heterodft.analysis.layers import find_layering
from heterodft.analysis.overview_of_steps import join_steps, told_elsewhere
from heterodft.analysis.plain_data import plain
from heterodft.analysis.readers import read_folder
from heterodft.analysis.sections import SECTIONS, Source
from heterodft.analysis.step_folders import find_steps, find_steps_beside
from heterodft.errors import HeterodftError, ReaderError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pandas import DataFrame

    from heterodft.analysis.grids import VolumeGrid
    from heterodft.analysis.layers import Layering
    from heterodft.analysis.result import Result

__all__ = ["FolderOverview"]


@dataclass(frozen=True, repr=False)
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
    steps
        Of a configuration of this program, whose steps were read together: the overview of each by its name.
    beside
        Of the folder of a step: the other steps of its configuration.
    """

    folder: Path
    result: Result
    gap: Gap | None
    source: Source
    quantities: Mapping[str, Any]
    columns: Mapping[str, Sequence[float]]
    missing: Mapping[str, str]
    steps: Mapping[str, FolderOverview] = field(default_factory=dict)
    beside: Mapping[str, Path] = field(default_factory=dict)

    @classmethod
    def read(
        cls,
        folder: Path,
        *,
        by: Literal["layer", "plane"] = "layer",
        layers: str | None = None,
        axis: str | None = None,
        bulks: Mapping[str, Result] | None = None,
        stoner: Mapping[str, float] | None = None,
        edge: float | None = None,
    ) -> FolderOverview:
        """Read a folder and make every quantity that can be made.

        Parameters
        ----------
        folder
            Of a run of VASP or Quantum ESPRESSO, one of its files, a file of a grid or a folder of such; or of a
            configuration of this program, whose steps are read together.
        by
            ``layer`` or ``plane``.
        layers, axis
            Sites of each layer and the vector of the stacking, where they shall not be found; see `find_layering`.
        bulks
            Results of bulk materials by name, to compare layers with.
        stoner
            Stoner parameters in eV by element, for N(EF) of one spin; see `StonerProduct`.
        edge
            eV from the Fermi level, of an insulator from the middle of its gap: an energy inside the gap of the host,
            from which carriers and band edges are counted where levels of a defect stand in it.

        Raises
        ------
        ReaderError
            If the folder cannot be read. What cannot be made from it is told in `missing` instead.
        """
        options: dict[str, Any] = {"by": by, "layers": layers, "axis": axis, "bulks": bulks}
        options |= {"stoner": stoner, "edge": edge}
        steps = find_steps(folder)
        if steps:
            return _read_steps(folder, steps, options)
        missing: dict[str, str] = {}
        alone = False
        try:
            if folder.is_file() and holds_grids(folder):
                raise ReaderError(f"{folder} is a grid")
            result = read_folder(folder)
        except ReaderError as error:
            grids, alone = grids_instead(folder, error), True
            result = result_of_grids(folder, grids)
        else:
            if result.step == "bands" or result.on_path:  # a path is drawn by layer
                result = read_folder(folder, projections=True)
            grids = grids_beside(folder, missing)
        overview = cls.from_result(result, folder=folder, grids=grids, grids_alone=alone, **options)
        beside = find_steps_beside(folder)
        said = {
            words: told_elsewhere(words, reason, beside)
            for words, reason in (missing | dict(overview.missing)).items()
        }
        return replace(overview, missing=said, beside=beside)

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
        stoner: Mapping[str, float] | None = None,
        edge: float | None = None,
        grids: Sequence[VolumeGrid] = (),
        grids_alone: bool = False,
    ) -> FolderOverview:
        """Make every quantity that can be made of a result and the grids of its run, if any; see `read`."""
        missing: dict[str, str] = {}
        layering = _layering(result, layers, axis, missing)
        _check_bulks(bulks or {}, layering, folder)
        if layering is None and result.bands is not None:  # bands without layers are bands all the same
            result = replace(result, bands=replace(result.bands, projections=None))
        source = Source(
            folder, result, layering, by, bulks or {}, first_of_each(grids), grids_alone, stoner or {}, edge
        )
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

    def __repr__(self) -> str:
        """Return what a prompt and ``print`` show: as in a notebook."""
        table = self.to_frame().to_string(index=False) if self.source.layering is not None else ""
        return f"{self._words()}\n{table}".rstrip()

    def _words(self) -> str:
        result, gap = self.result, "" if self.gap is None else f", {self.gap.text}"
        return f"{result.structure.composition.reduced_formula}, {result.code} {result.version}{gap}"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the run in words and the layer table."""
        from html import escape

        words = self._words()
        table = self.to_frame().to_html(index=False) if self.source.layering is not None else ""
        return f"<b>{escape(words)}</b>{table}"

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
                "gap_step": self.gap_step,
                "metal": None if self.gap is None else self.gap.metal,
                "gap_detail": None if self.gap is None else self.gap.to_dict(),
                "method": result.method,
                "notes": self.notes,
                "layers_from": None if layering is None else layering.source,
                "by": self.source.by,
                "layers": self.to_frame().to_dict("records"),
                "missing": dict(self.missing),
                "steps": {
                    step: {
                        "folder": str(one.folder),
                        "converged": one.result.converged,
                        "gap": None if one.gap is None else one.gap.value,
                        "metal": None if one.gap is None else one.gap.metal,
                        "fermi_level": max(one.result.fermi_levels, default=None),
                    }
                    for step, one in self.steps.items()
                },
                "beside": {step: str(path) for step, path in self.beside.items()},
            }
        )
        return data

    @property
    def gap_step(self) -> str:
        """The step the gap is from, where several were read; else empty."""
        return next((step for step, one in self.steps.items() if one.gap is self.gap and self.gap is not None), "")

    @property
    def notes(self) -> list[str]:
        """What the reader must know, of the run and of each quantity, each said once."""
        said = [note for quantity in self.quantities.values() for note in getattr(quantity, "notes", ())]
        own = [note for one in self.steps.values() for note in one.result.notes]
        return list(dict.fromkeys([*self.result.notes, *own, *said, *_shift_note(self.result)]))

    def save(self, folder: Path) -> list[Path]:
        """Write ``analysis.json``, ``layers.csv`` and each quantity's figure with its numbers.

        Raises
        ------
        StorageError
            If the file system refuses.
        """
        from heterodft.analysis.overview_files import save_overview

        return save_overview(self, folder)


def _check_bulks(bulks: Mapping[str, Result], layering: Layering | None, folder: Path) -> None:
    """Refuse bulk materials that are not in the stack."""
    known = [] if layering is None else list(dict.fromkeys(layer.material for layer in layering.layers))
    for name in bulks if known else ():
        if name not in known:
            raise ReaderError(f"bulk {name} is not in the stack of {folder}{did_you_mean(name, known)}")


def _shift_note(result: Result) -> list[str]:
    """Say that numbers are those of a cell with a shifted potential, of a step of linear response."""
    shift = (result.request.get("request") or {}).get("shift")
    if not shift:
        return []
    site, alpha = int(shift[0]), float(shift[1])
    where = f"{result.structure[site].specie.symbol}{site + 1}"
    return [f"the potential of {where} is shifted by {alpha:+g} eV: its energy and gap are not those of the cell"]


def _read_steps(folder: Path, paths: Mapping[str, Path], options: dict[str, Any]) -> FolderOverview:
    """Read the steps of a configuration into one overview.

    Raises
    ------
    ReaderError
        If none can be read.
    """
    read: dict[str, FolderOverview] = {}
    problems: dict[str, str] = {}
    for step, path in paths.items():
        try:
            read[step] = FolderOverview.read(path, **options)
        except ReaderError as error:
            problems[f"step '{step}'"] = str(error)
    if not read:
        raise ReaderError(f"{folder}: no step can be read: {next(iter(problems.values()))}")
    return join_steps(folder, read, problems)


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
