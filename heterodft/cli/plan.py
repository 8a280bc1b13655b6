"""``heterodft plan``: every calculation before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from heterodft.cli.common import (
    campaign_file,
    echo_json,
    json_option,
    print_table,
    read_campaign,
    request_chains,
    settings_for,
)

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["command"]


@click.command("plan")
@campaign_file
@json_option
def command(file: Path, as_json: bool) -> None:
    """List every calculation of the campaign FILE with its size and cost; nothing is written.

    Example: heterodft plan campaign.yaml
    """
    from heterodft.workflows.calculation import finished_id
    from heterodft.workflows.cost import estimate_cost

    campaign = read_campaign(file)
    settings = settings_for(campaign)
    requests = [request for chain in request_chains(campaign, settings) for request in chain]
    costs = [estimate_cost(request, pseudo_dir=settings.pseudo_dir) for request in requests]
    reused = [finished_id(settings.runs / request.path) == request.id for request in requests]
    hours = sum(cost.core_hours for cost, done in zip(costs, reused, strict=True) if not done)
    if as_json:
        rows = zip(requests, costs, reused, strict=True)
        echo_json(
            {
                "campaign": campaign.name,
                "calculations": [
                    {"id": r.id, "path": r.path, "label": r.about["label"], **c.to_dict(), "reused": done}
                    for r, c, done in rows
                ],
                "core_hours": hours,
            }
        )
        return
    print_table(
        f"{campaign.name}: {len(requests)} calculations, {sum(reused)} finished already",
        ["id", "calculation", ">atoms", ">electrons", ">kinds", ">bands", ">waves", "k-mesh", ">k", ">core-h", ""],
        [
            [
                r.id, r.path.removeprefix(f"{campaign.name}/"), c.atoms, f"{c.electrons:g}", c.species, c.bands,
                c.plane_waves, "×".join(map(str, r.settings.kpoints)) + ("*" if any(r.settings.shift) else ""),
                c.kpoints, f"{c.core_hours:.3f}", "finished" if done else "",
            ]
            for r, c, done in zip(requests, costs, reused, strict=True)
        ],
    )  # fmt: skip
    click.echo(
        f"To run: about {hours:.2f} core-hours (an estimate, good to a factor of three). "
        "k: irreducible k-points; * a mesh shifted by half a step."
    )
