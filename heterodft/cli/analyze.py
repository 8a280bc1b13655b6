"""``heterodft analyze``: what any finished folder of VASP or Quantum ESPRESSO says, layer by layer."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from heterodft.cli.common import echo_json, json_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heterodft.analysis.overview import FolderOverview
    from heterodft.analysis.result import Result

__all__ = ["command"]

_UNREADABLE = 3


@click.command("analyze")
@click.argument("folders", metavar="DIR...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--by", type=click.Choice(["layer", "plane"]), default="layer", show_default=True, help="Resolve by.")
@click.option(
    "--layers",
    metavar="SPEC",
    help="Atoms of each layer, counted from 1: '1-5,6-10;11-20', with ; between layers, or a YAML file; or labels, "
    "composition, planes.",
)
@click.option("--axis", type=click.Choice(["a", "b", "c"]), help="The vector the layers are stacked along.")
@click.option(
    "--bulk", "bulks", metavar="MATERIAL=DIR", multiple=True, help="A bulk run to compare the layers' charges with."
)
@click.option(
    "--stoner",
    "parameters",
    metavar="ELEMENT=EV",
    multiple=True,
    help="I of the Stoner product for N(EF) of one spin; else that of the elemental metal, where it is known.",
)
@click.option(
    "--edge",
    type=float,
    metavar="EV",
    help="Energy inside the gap of the host, from the zero of the figures: carriers and band edges are counted from "
    "there, where levels of a defect stand in the gap.",
)
@click.option(
    "--reference", metavar="NAME", help="Of several DIRs, the one whose energy is zero; else FM or the lowest."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write figures, their numbers and JSON there.")
@json_option
def command(
    folders: Sequence[Path],
    *,
    by: Literal["layer", "plane"],
    layers: str | None,
    axis: str | None,
    bulks: Sequence[str],
    parameters: Sequence[str],
    edge: float | None,
    reference: str | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Say what is in finished folders of VASP or Quantum ESPRESSO, ours or not; nothing is written into them.

    DIR may also be one file, such as a vasprun.xml or a CHGCAR, or a folder of a campaign: the steps of each
    configuration below it are then read together. Several are compared: their energies are subtracted only where
    they may be.

    \b
      heterodft analyze runs/demo/sl/FM/U0
      heterodft analyze FM/ AFM/ --by plane -o figures

    Exit codes: 0 done, 1 nothing could be read, 2 wrong usage, 3 some of the folders could not be read.
    """  # noqa: D301, the backspace tells click to keep the lines
    from heterodft.analysis.comparison import compare_results
    from heterodft.analysis.overview import FolderOverview
    from heterodft.analysis.step_folders import distinct_names, find_configurations
    from heterodft.errors import ReaderError

    wanted: dict[str, Any] = {
        "by": by,
        "axis": axis,
        "layers": layers,
        "bulks": _read_bulks(bulks),
        "stoner": read_parameters(parameters),
        "edge": edge,
    }
    found: dict[str, FolderOverview] = {}
    failed: dict[str, str] = {}
    paths = find_configurations(folders)
    for name, folder in zip(distinct_names(paths), paths, strict=True):
        try:
            found[name] = FolderOverview.read(folder, **wanted)
        except ReaderError as error:
            failed[str(folder)] = str(error)
            click.echo(f"heterodft: {error}", err=True)
    compared = compare_results(
        {name: one.result for name, one in found.items()},
        reference=reference,
        gaps={name: one.gap for name, one in found.items()},
    )
    files = {} if output is None else _write(found, compared, output)
    if as_json:
        echo_json(_json_data(found, compared, failed, files))
    else:
        _print(found, compared, output)
    if failed:
        sys.exit(_UNREADABLE if found else 1)


def _json_data(
    found: dict[str, FolderOverview], compared: dict[str, Any], failed: dict[str, str], files: dict[str, list[str]]
) -> dict[str, Any]:
    """Return the keys of the one folder, or those of several by folder with what they say together."""
    from heterodft.analysis.plain_data import plain

    told = [overview.to_dict() | {"name": name, "files": files.get(name, [])} for name, overview in found.items()]
    if len(told) == 1 and not failed:
        return told[0]
    data: dict[str, Any] = {"folders": told, "energies": None, "segregation": None, "against_u": None}
    data |= {name: plain(quantity.to_dict()) for name, quantity in compared.items()}
    return data | {"unreadable": failed}


def _read_bulks(entries: Sequence[str]) -> dict[str, Result]:
    """Read the bulk runs, given as MATERIAL=DIR; of a configuration, the charges of all its steps on one density."""
    from heterodft.analysis.readers import read_folder
    from heterodft.analysis.step_folders import find_steps
    from heterodft.errors import ReaderError

    bulks = {}
    for entry in entries:
        name, equals, folder = entry.partition("=")
        if not (name and equals and folder):
            raise click.BadParameter(f"'{entry}' is not MATERIAL=DIR", param_hint="--bulk")
        steps = find_steps(Path(folder))
        own = [steps[step] for step in ("static", "dos") if step in steps] or list(steps.values())[:1]
        read = [read_folder(step) for step in own or [Path(folder)]]
        sites = {kind: values for one in reversed(read) for kind, values in one.sites.items()}
        if not sites:
            raise ReaderError(
                f"--bulk {entry}: {folder} holds no charges of atoms; set LORBIT = 11 (VASP) or run projwfc.x there"
            )
        bulks[name] = replace(read[0], sites=sites)
    return bulks


def read_parameters(entries: Sequence[str]) -> dict[str, float]:
    """Read the Stoner parameters, given as ELEMENT=EV."""
    from pymatgen.core import Element

    parameters = {}
    for entry in entries:
        element, _, value = entry.partition("=")
        try:
            parameters[element] = float(value)
        except ValueError:
            parameters[element] = math.nan
        if not (Element.is_valid_symbol(element) and 0 < parameters[element] < math.inf):
            raise click.BadParameter(f"'{entry}' is not ELEMENT=EV, such as Ru=0.6", param_hint="--stoner")
    return parameters


def _write(found: dict[str, FolderOverview], compared: dict[str, Any], output: Path) -> dict[str, list[str]]:
    """Write the files of each folder into a folder of its name, and the comparisons beside them."""
    from heterodft.analysis.plots import save_figure

    files = {name: [str(path) for path in overview.save(output / name)] for name, overview in found.items()}
    for name, quantity in compared.items():
        if name == "energies" and len({row.family for row in quantity.rows}) == len(quantity.rows):
            continue  # each alone with its structure and U
        save_figure(quantity.plot(), quantity.to_frame(), output / name.replace("_", "-"))
    return files


def _print(found: dict[str, FolderOverview], compared: dict[str, Any], output: Path | None) -> None:
    from heterodft.cli.analyze_text import print_comparisons, print_overview

    for overview in found.values():
        print_overview(overview)
    print_comparisons(compared)
    if output is not None and found:
        click.echo(f"Figures and numbers: {output.resolve()}")
