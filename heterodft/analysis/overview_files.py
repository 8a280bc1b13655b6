"""The files that an overview of a folder is saved as: tables, figures with their numbers, cubes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from heterodft.analysis.plots import draw_side_view, save_figure
from heterodft.errors import HeterodftError, ReaderError
from heterodft.files import make_folder, write_json, write_text

if TYPE_CHECKING:
    from pathlib import Path

    from pandas import DataFrame
    from pymatgen.core import Structure

    from heterodft.analysis.layers import Layering
    from heterodft.analysis.overview import FolderOverview
    from heterodft.analysis.result import Result

__all__ = ["save_overview"]

_NOTHING = 1e-9


def save_overview(overview: FolderOverview, folder: Path) -> list[Path]:
    """Write ``analysis.json``, ``layers.csv`` and each quantity's figure with its numbers; return what was written.

    Raises
    ------
    StorageError
        If the file system refuses.
    """
    written = [write_json(make_folder(folder) / "analysis.json", overview.to_dict())]
    if overview.source.layering is not None:
        table = overview.to_frame()
        written.append(write_text(folder / "layers.csv", table.to_csv(index=False, lineterminator="\n")))
        view = draw_side_view(_with_defect(overview.result), overview.source.layering)
        written += save_figure(
            view, _site_frame(overview.result.structure, overview.source.layering), folder / "cell"
        )
    for name, quantity in overview.quantities.items():
        frame = quantity.to_wide_frame() if hasattr(quantity, "to_wide_frame") else quantity.to_frame()
        try:
            if not _has_something_to_show(quantity):
                raise ReaderError("it is zero everywhere")
            figure = quantity.plot()
        except HeterodftError:  # there is nothing to draw: charges without a bulk to compare them with
            table = frame.to_csv(index=False, lineterminator="\n")
            written.append(write_text(folder / f"{name}.csv", table))
        else:
            written += save_figure(figure, frame, folder / name)
    return written + _save_cubes(overview, folder)


def _save_cubes(overview: FolderOverview, folder: Path) -> list[Path]:
    """Write the magnetization density, for isosurfaces."""
    grids = [grid for one in (overview, *overview.steps.values()) for grid in one.source.grids.values()]
    found = {grid.quantity: grid for grid in grids if grid.quantity in ("spin density", "magnetization")}
    return [grid.write_cube(folder / f"{quantity.replace(' ', '-')}.cube") for quantity, grid in found.items()]


def _with_defect(result: Result) -> Structure:
    """Return the structure with the place of its defect, which outputs do not tell."""
    structure, defect = result.structure.copy(), result.request.get("about", {}).get("defect")
    structure.properties = ({"defect": defect} if defect else {}) | structure.properties  # a copy shares them
    return structure


def _has_something_to_show(quantity: Any) -> bool:
    """Whether a profile along the layers is not zero in each of them, as the carriers of an insulator are."""
    values = getattr(quantity, "values", None)
    if values is None or not hasattr(quantity, "columns") or values.ndim != 2:
        return True
    return bool((abs(values) > _NOTHING).any())


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
