"""``heterodft build``: structures as files, and what was made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from heterodft.cli.common import build_all, campaign_file, echo_json, json_option, print_table, read_campaign
from heterodft.cli.progress import quiet_option, working

if TYPE_CHECKING:
    from collections.abc import Callable

    from heterodft.structures import Moments, StructureReport
    from heterodft.workflows.built_structures import BuiltStructure
    from heterodft.workflows.campaign import Campaign

    Described = list[tuple[BuiltStructure, StructureReport]]

__all__ = ["command"]

_FEW = 3
"""Structures whose planes are listed without being asked for."""


@click.command("build")
@campaign_file
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("structures"),
    show_default=True,
    help="Folder for the structures.",
)
@click.option("--planes/--no-planes", default=None, help="List the planes of each pristine structure.")
@click.option("--matches", is_flag=True, help="List the ways in which unlike lattices fit on one another.")
@click.option("--pictures", is_flag=True, help="Draw each pristine structure from the side, as SVG.")
@quiet_option
@json_option
def command(  # noqa: PLR0917, click names them
    file: Path, output: Path, planes: bool | None, matches: bool, pictures: bool, as_json: bool
) -> None:
    """Build the structures of the campaign FILE as POSCAR, CIF and JSON with their labels.

    Example: heterodft build campaign.yaml -o structures
    """
    from heterodft.workflows.configurations import check_elements

    campaign = read_campaign(file)
    notes: list[str] = []
    structures = build_all(campaign, notes)
    check_elements(campaign, structures)
    with working("describing", len(structures)) as step:
        built = [(b, _describe(campaign, b, step)) for b in structures]
    folder = output / campaign.name
    data = _write(built, folder, pictures=pictures)
    for note in notes:
        click.echo(f"note: {note}", err=True)
    if as_json:
        echo_json(data)
        return
    _print_structures(campaign.name, built, folder)
    _print_materials(campaign)
    pristine = _one_a_stack(built)
    _print_blocks(pristine)
    _print_interfaces(pristine)
    if planes or (planes is None and len(pristine) <= _FEW):
        _print_planes(pristine)
    _print_distances(pristine)
    _print_orders(campaign, pristine)
    if matches:
        _print_matches(campaign, structures)


def _one_a_stack(built: Described) -> Described:
    """Return the pristine cell of each stack, or its first defect where that alone is wanted."""
    stacks: dict[int, Any] = {}
    for b, r in built:
        stacks.setdefault(id(b.structure if b.host is None else b.host), (b, r))
    return list(stacks.values())


def _magnetism(campaign: Campaign, built: BuiltStructure) -> Any:
    return built.spec.magnetism or campaign.magnetism


def _describe(campaign: Campaign, built: BuiltStructure, step: Callable[[str], None]) -> StructureReport:
    from heterodft.errors import StructureError
    from heterodft.structures import describe

    step(built.name)
    try:
        return describe(built.structure, _moments(campaign, built))
    except StructureError as error:
        raise campaign.error(("structures", built.key), f"{built.name}: {error}") from error


def _moments(campaign: Campaign, built: BuiltStructure) -> Moments:
    """Return the sizes of moments, those of single sites moved to where the host's sites are in a defect."""
    moments: Moments = _magnetism(campaign, built).moments
    return moments.on(built.kept) if built.kept else moments


def _write(built: Described, folder: Path, *, pictures: bool) -> list[dict[str, Any]]:
    """Write every structure and ``structures.json``, the report of all; return that."""
    from dataclasses import asdict

    from heterodft.files import write_json
    from heterodft.structures import write_structure

    for b, _ in built:
        write_structure(b.structure, folder, b.name, comment=b.label)
        if pictures and b.host is None:
            _draw(b, folder)
    data = [{"name": b.name, "label": b.label, **asdict(r)} for b, r in built]
    write_json(folder / "structures.json", {"structures": data})
    return data


def _draw(built: BuiltStructure, folder: Path) -> None:
    from heterodft.analysis.plots import draw_side_view
    from heterodft.files import atomic_writer

    with atomic_writer(folder / f"{built.name}.svg") as stream:
        draw_side_view(built.structure).savefig(stream, format="svg")


def _print_structures(name: str, built: Described, folder: Path) -> None:
    print_table(
        f"{name}: {len(built)} structure{'s' * (len(built) != 1)} in {folder}",
        ["structure", "what", "formula", ">atoms", ">a (Å)", ">b (Å)", ">c (Å)", ">α", ">β", ">γ", ""],
        [
            [b.name, b.label, r.formula, r.atoms, *(f"{x:.3f}" for x in r.lengths),
             *(f"{x:.1f}" for x in r.angles), r.space_group]
            for b, r in built
        ],
    )  # fmt: skip


def _print_materials(campaign: Campaign) -> None:
    from heterodft.workflows.built_structures import stacked_materials

    rows = []
    for material in stacked_materials(campaign):
        a, _, c = material.cell.lattice.abc
        source = "the campaign file" if material.source == "given" else material.source
        rows.append([material.name, material.prototype, f"{a:.3f}", f"{c:.3f}", source])
    print_table("Materials: the lattices of the bulk", ["material", "type", ">a (Å)", ">c (Å)", "from"], rows)


def _together(rows: list[list[Any]]) -> list[list[Any]]:
    """Merge rows that differ in the name of the structure alone: ``sl-r1 … sl-r4``."""
    merged: dict[tuple[Any, ...], list[str]] = {}
    for name, *rest in rows:
        names = merged.setdefault(tuple(rest), [])
        if name not in names:
            names.append(name)
    return [[n[0] if len(n) == 1 else f"{n[0]} … {n[-1]} ({len(n)})", *rest] for rest, n in merged.items()]


def _print_blocks(pristine: Described) -> None:
    rows = [
        [
            b.name, block.material, f"({' '.join(map(str, block.normal))})", f"{block.layers:g}",
            f"{block.asked_thickness / 10:g}" if block.asked_thickness else "", f"{block.thickness / 10:.3f}",
            " ".join(f"{x:+.2f}" for x in sorted(set(block.strains))),
            f"{block.rotation:.1f}" if block.rotation else "", f"{block.bulk_layer:.3f}", f"{block.layer:.3f}",
        ]
        for b, r in pristine
        for block in r.blocks
    ]  # fmt: skip
    print_table(
        "Blocks: in-plane strain; height of a layer in the bulk and here",
        ["structure", "material", "normal", ">layers", ">asked (nm)", ">is (nm)", ">strain (%)", ">turned (°)",
         ">bulk (Å)", ">here (Å)"],
        _together(rows),
    )  # fmt: skip


def _print_interfaces(pristine: Described) -> None:
    rows = [
        [
            b.name, f"{i.below}/{i.above}", i.planes, i.joint, f"{i.gap:.3f}", " ".join(f"{x:.3f}" for x in i.shift),
            "" if i.discontinuity is None else f"{i.discontinuity:+.2f}",
            "" if i.density is None else f"{i.density:+.2f}",
        ]
        for b, r in pristine
        for i in r.interfaces
    ]  # fmt: skip
    if rows:
        print_table(
            "Interfaces: polar discontinuity, positive where electrons compensate it",
            ["structure", "interface", "planes", "joint", ">gap (Å)", ">shift", ">e per cell", ">e per nm²"],
            _together(rows),
        )


def _print_planes(pristine: Described) -> None:
    for b, r in pristine:
        print_table(
            f"Planes of {b.name}, bottom first; the last spacing closes the period",
            [">plane", "layer", "formula", ">atoms", ">charge (e)", ">height (Å)", ">to next (Å)"],
            [
                [p.plane, p.layer, p.formula, p.atoms, "" if p.charge is None else f"{p.charge:+g}",
                 f"{p.height:.3f}", f"{p.spacing:.3f}"]
                for p in r.planes
            ],
        )  # fmt: skip


def _print_distances(pristine: Described) -> None:
    rows = [
        [b.name, *(f"{p.first}–{p.second} {p.distance:.3f} / {p.radii:.2f}" for p in r.pairs[:_FEW])]
        for b, r in pristine
    ]
    print_table(
        "Shortest distances / sum of ionic radii (Å)",
        ["structure", "closest", "second", "third"],
        _together([[*row, *[""] * (1 + _FEW - len(row))] for row in rows]),
    )


def _print_orders(campaign: Campaign, pristine: Described) -> None:
    """Say of each order of the campaign whether the cell holds it, and which others it holds."""
    from heterodft.errors import StructureError
    from heterodft.structures import facing_moments
    from heterodft.workflows.orders import host_orders

    rows = []
    for b, r in pristine:
        asked = host_orders(b.structure, _magnetism(campaign, b))
        for name, found in asked.items():
            if isinstance(found, StructureError):
                rows.append([b.name, name, "does not fit", "", "", str(found).removeprefix("magnetism: ")])
                continue
            faces = facing_moments(b.structure, found.values) if found.values else []
            short = "/".join({"antiparallel": "anti", "compensated": "comp."}.get(face, face) for face in faces)
            sources = "; ".join(f"{element} {text}" for element, text in found.summary(b.structure).items())
            net = f"{sum(found.values):g}" if found.values else ""
            rows.append([b.name, name, "fits", net, short if set(faces) - {"none"} else "", sources])
        others = [order for order in r.orders if order not in asked]
        if others:
            rows.append([b.name, " ".join(others), "would fit", "", "", ""])
    print_table(
        "Magnetic orders: net moment (μB), interfaces, starting moments (μB)",
        ["structure", "order", "", ">net", "interfaces", "moments and their source"],
        _together(rows),
    )


def _print_matches(campaign: Campaign, structures: list[BuiltStructure]) -> None:
    """List the matches of the unlike materials of each stack, within its limits."""
    from heterodft.workflows.built_structures import stack_matches

    seen = set()
    for b in structures:
        if b.host is not None or b.key in seen:
            continue
        seen.add(b.key)
        for film, substrate, found in stack_matches(campaign, b.spec):
            print_table(
                f"Matches of {film} on {substrate} in {b.key}; match: {{candidate: N}} chooses one",
                [">N", ">area (Å²)", ">strain (%)", ">turned (°)", "film", "substrate"],
                [
                    [n, f"{m.area:.1f}", " ".join(f"{100 * x:+.2f}" for x in m.strains), f"{m.rotation:.2f}",
                     str([list(row) for row in m.film]), str([list(row) for row in m.substrate])]
                    for n, m in enumerate(found, start=1)
                ],
            )  # fmt: skip
