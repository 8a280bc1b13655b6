"""``heterodft build``: structures as files, and what was made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from heterodft.cli.common import campaign_file, echo_json, json_option, print_table, read_campaign

if TYPE_CHECKING:
    from heterodft.workflows.configurations import BuiltStructure

__all__ = ["command"]


@click.command("build")
@campaign_file
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("structures"), show_default=True)
@json_option
def command(file: Path, output: Path, as_json: bool) -> None:
    """Build the structures of the campaign FILE as POSCAR and as JSON with their labels.

    Example: heterodft build campaign.yaml -o structures
    """
    from heterodft.structures import describe
    from heterodft.workflows.configurations import build_structures

    campaign = read_campaign(file)
    built = build_structures(campaign)
    reports = [describe(b.structure) for b in built]
    for b in built:
        _write(b, output / campaign.name)
    if as_json:
        echo_json([{"name": b.name, "label": b.label, **_plain(r)} for b, r in zip(built, reports, strict=True)])
        return
    print_table(
        f"{campaign.name}: {len(built)} structures in {output / campaign.name}",
        ["structure", "what", "formula", ">atoms", ">a (Å)", ">b (Å)", ">c (Å)", "strain (%)", "shortest", ""],
        [
            [
                b.name, b.label, r.formula, r.atoms, *(f"{x:.3f}" for x in r.lengths),
                " ".join(f"{m} {s:+.2f}" for m, s in r.strain.items()),
                f"{r.shortest[0]}–{r.shortest[1]} {r.shortest[2]:.3f}", r.space_group,
            ]
            for b, r in zip(built, reports, strict=True)
        ],
    )  # fmt: skip
    pristine = [(b, r) for b, r in zip(built, reports, strict=True) if b.label == "pristine"]
    for b, r in pristine:
        print_table(
            f"Planes of {b.name}, bottom first; the last spacing closes the period",
            [">plane", "layer", "formula", ">height (Å)", ">to next (Å)"],
            [[p.plane, p.layer, p.formula, f"{p.height:.3f}", f"{p.spacing:.3f}"] for p in r.planes],
        )


def _write(built: BuiltStructure, folder: Path) -> None:
    from pymatgen.io.vasp import Poscar

    from heterodft.files import make_folder, write_json, write_text

    make_folder(folder)
    ordered = built.structure.get_sorted_structure(key=lambda site: site.specie.Z)
    write_text(folder / f"{built.name}.vasp", Poscar(ordered, comment=f"{built.name} {built.label}").get_str())
    write_json(folder / f"{built.name}.json", built.structure.as_dict())


def _plain(report: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(report)
