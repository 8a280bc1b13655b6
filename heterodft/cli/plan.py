"""``heterodft plan``: every calculation before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from heterodft.cli.common import (
    campaign_file,
    check_inputs,
    code_option,
    echo_json,
    json_option,
    print_table,
    read_campaign,
    request_chains,
    settings_for,
    tell,
    version_for,
    version_options,
)
from heterodft.cli.progress import quiet_option, working

if TYPE_CHECKING:
    from pathlib import Path

    from heterodft.workflows.calculation import Request
    from heterodft.workflows.cost import Calibration, Cost
    from heterodft.workflows.disk import Disk

__all__ = ["command"]


@click.command("plan")
@campaign_file
@code_option
@version_options
@quiet_option
@json_option
def command(
    file: Path,
    code: str | None,
    pw_version: tuple[int, int] | None,
    vasp_version: tuple[int, int] | None,
    as_json: bool,
) -> None:
    """List every calculation of the campaign FILE with its size and cost; nothing is written.

    Example: heterodft plan campaign.yaml
    """
    from heterodft.workflows.calculation import finished_id
    from heterodft.workflows.cost import calibrate, estimate_cost
    from heterodft.workflows.disk import disk_warnings, estimate_disk

    campaign = read_campaign(file, code=code)
    settings = settings_for(campaign)
    notes: list[str] = []
    requests = [request for chain in request_chains(campaign, settings, notes=notes) for request in chain]
    version = version_for(campaign, pw_version, vasp_version)
    found = check_inputs(campaign, requests, settings, version=version)
    tell(found)
    notes += found
    calibration = calibrate(settings)
    costs = []
    with working("estimating", len(requests)) as step:
        for request in requests:
            step(request.path)
            costs.append(estimate_cost(request, settings, calibration=calibration))
    disks = [estimate_disk(request, settings, cost=cost) for request, cost in zip(requests, costs, strict=True)]
    reused = [finished_id(settings.runs / request.path) == request.id for request in requests]
    ids = [request.id for request in requests]
    again = [ids.index(identity) < number for number, identity in enumerate(ids)]  # of two names, it runs once
    to_run = [not (done or twice) for done, twice in zip(reused, again, strict=True)]
    hours = sum(cost.core_hours for cost, wanted in zip(costs, to_run, strict=True) if wanted)
    totals = {
        "calculations": len(requests),
        "finished": sum(reused),
        "core_hours": hours,
        "largest_memory": max(cost.memory for cost in costs),
        "calibrated_by": calibration.runs,
        **_disk_totals(disks, to_run),
    }
    warnings = disk_warnings(totals["disk_kept"], totals["disk_peak"], settings)
    tell(warnings)
    notes += warnings
    if as_json:
        rows = zip(requests, costs, disks, reused, strict=True)
        calculations = [_data(r, c, d, reused=done) for r, c, d, done in rows]
        echo_json(
            {
                "campaign": campaign.name,
                "code": campaign.code,
                "calculations": calculations,
                "totals": totals,
                "core_hours": hours,
                "notes": notes,
            }
        )
        return
    marks = ["finished" if done else "as above" if twice else "" for done, twice in zip(reused, again, strict=True)]
    _print(campaign.name, requests, costs, marks)
    click.echo(_summary(totals, calibration, costs))


_COLUMNS = (
    "id",
    "calculation",
    ">atoms",
    ">electrons",
    ">kinds",
    ">bands",
    ">waves",
    "k-mesh",
    ">k",
    ">GB",
    ">core-h",
    "",
)


def _disk_totals(disks: list[Disk], to_run: list[bool]) -> dict[str, float]:
    """Return what the calculations to come leave on the disk together, and the most that it holds on the way.

    They run one after the other, or a few at a time: the most is what all leave, and the largest while it runs.
    """
    to_come = [disk for disk, wanted in zip(disks, to_run, strict=True) if wanted]
    kept = sum(disk.kept for disk in to_come)
    return {"disk_kept": kept, "disk_peak": kept + max((disk.peak - disk.kept for disk in to_come), default=0.0)}


def _data(request: Request, cost: Cost, disk: Disk, *, reused: bool) -> dict[str, Any]:
    names = {"id": request.id, "path": request.path, "label": request.about["label"]}
    mesh = {"mesh": list(request.settings.kpoints), "shift": list(request.settings.shift)}
    space = {"disk_kept": disk.kept, "disk_peak": disk.peak}
    return names | cost.to_dict() | space | mesh | {"taken_over": request.about.get("taken_over"), "reused": reused}


def _print(name: str, requests: list[Request], costs: list[Cost], marks: list[str]) -> None:
    finished = marks.count("finished")
    print_table(
        f"{name}: {len(requests)} calculation{'s' * (len(requests) != 1)}, {finished} finished already",
        _COLUMNS,
        [
            [
                r.id, r.path.removeprefix(f"{name}/"), c.atoms, f"{c.electrons:g}" + "?" * c.estimated_electrons,
                c.species, c.bands, c.plane_waves, _mesh(r), c.kpoints, f"{c.memory:.1f}", _hours(c.core_hours),
                mark,
            ]
            for r, c, mark in zip(requests, costs, marks, strict=True)
        ],
        spare=("waves", "kinds", "bands", "electrons", "GB", "id"),
    )  # fmt: skip


def _mesh(request: Request) -> str:
    settings = request.settings
    if settings.path is not None:
        return "-".join(label for _, label in settings.path.labels)
    return "×".join(map(str, settings.kpoints)) + ("*" if any(settings.shift) else "")


def _hours(hours: float) -> str:
    return f"{hours:.3f}" if hours < 10 else f"{hours:.0f}"


def _gigabytes(number: float) -> str:
    return f"{number:.2f} GB" if number < 10 else f"{number:.0f} GB"


def _summary(totals: dict[str, Any], calibration: Calibration, costs: list[Cost]) -> str:
    trust = (
        f"calibrated by {calibration.runs} past runs here"
        if calibration.runs
        else "an estimate, good to a factor of three"
    )
    if totals["finished"] == totals["calculations"]:
        return "Nothing to run: all are finished. k: irreducible k-points; * a mesh shifted by half a step."
    text = (
        f"To run: about {_hours(totals['core_hours'])} core-hours ({trust}), up to {totals['largest_memory']:.1f} GB "
        f"of memory at once; on disk {_gigabytes(totals['disk_kept'])} to keep, "
        f"{_gigabytes(totals['disk_peak'])} at the most. k: irreducible k-points; * a mesh shifted by half a step."
    )
    return text + (" ? from the names of POTCARs that are not here." if costs[0].estimated_electrons else "")
