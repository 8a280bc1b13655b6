"""``heterodft plan``: every calculation before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

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
from heterodft.words import number_of

if TYPE_CHECKING:
    from pathlib import Path

    from heterodft.workflows.calculation import Request
    from heterodft.workflows.cost import Calibration, Cost
    from heterodft.workflows.disk import Disk
    from heterodft.workflows.settings import Settings

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
    from heterodft.workflows.cost import calibrate
    from heterodft.workflows.disk import disk_warnings

    campaign = read_campaign(file, code=code)
    settings = settings_for(campaign)
    notes: list[str] = []
    requests = [request for chain in request_chains(campaign, settings, notes=notes) for request in chain]
    version = version_for(campaign, pw_version, vasp_version)
    found = check_inputs(campaign, requests, settings, version=version)
    tell(found)
    calibration = calibrate(settings)
    planned = _plan(requests, settings, calibration)
    totals = _totals(planned, calibration)
    warnings = disk_warnings(totals["disk_kept"], totals["disk_peak"], settings)
    tell(warnings)
    if not as_json:
        _print(campaign.name, planned)
        click.echo(_summary(totals, calibration, planned))
        return
    echo_json(
        {
            "campaign": campaign.name,
            "code": campaign.code,
            "calculations": [_data(one) for one in planned],
            "totals": totals,
            "core_hours": totals["core_hours"],
            "notes": [*notes, *found, *warnings],
        }
    )


class _Planned(NamedTuple):
    """A calculation with its cost and space; the mark says why it does not run."""

    request: Request
    cost: Cost
    disk: Disk
    mark: Literal["finished", "as above", ""]


def _plan(requests: list[Request], settings: Settings, calibration: Calibration) -> list[_Planned]:
    """Estimate each calculation; of two names of one calculation the first runs."""
    from heterodft.workflows.calculation import finished_id
    from heterodft.workflows.cost import estimate_cost
    from heterodft.workflows.disk import estimate_disk

    planned = []
    above: set[str] = set()
    with working("estimating", len(requests)) as step:
        for request in requests:
            step(request.path)
            cost = estimate_cost(request, settings, calibration=calibration)
            finished = finished_id(settings.runs / request.path) == request.id
            mark: Literal["finished", "as above", ""] = (
                "finished" if finished else "as above" if request.id in above else ""
            )
            planned.append(_Planned(request, cost, estimate_disk(request, settings, cost=cost), mark))
            above.add(request.id)
    return planned


def _totals(planned: list[_Planned], calibration: Calibration) -> dict[str, Any]:
    """Return what the calculations to come take together.

    They run one after the other, or a few at a time: the most on the disk is what all leave, and the largest while it
    runs.
    """
    to_come = [one for one in planned if not one.mark]
    kept = sum(one.disk.kept for one in to_come)
    return {
        "calculations": len(planned),
        "finished": sum(one.mark == "finished" for one in planned),
        "core_hours": sum(one.cost.core_hours for one in to_come),
        "largest_memory": max(one.cost.memory for one in planned),
        "calibrated_by": calibration.runs,
        "disk_kept": kept,
        "disk_peak": kept + max((one.disk.peak - one.disk.kept for one in to_come), default=0.0),
    }


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


def _data(planned: _Planned) -> dict[str, Any]:
    request, cost, disk, mark = planned
    names = {"id": request.id, "path": request.path, "label": request.about["label"]}
    mesh = {"mesh": list(request.settings.kpoints), "shift": list(request.settings.shift)}
    space = {"disk_kept": disk.kept, "disk_peak": disk.peak}
    taken = {"taken_over": request.about.get("taken_over"), "reused": mark == "finished"}
    return names | cost.to_dict() | space | mesh | taken


def _print(name: str, planned: list[_Planned]) -> None:
    finished = sum(one.mark == "finished" for one in planned)
    print_table(
        f"{name}: {number_of(len(planned), 'calculation')}, {finished} finished already",
        _COLUMNS,
        [
            [
                r.id, r.path.removeprefix(f"{name}/"), c.atoms, f"{c.electrons:g}" + "?" * c.estimated_electrons,
                c.species, c.bands, c.plane_waves, _mesh(r), c.kpoints, f"{c.memory:.1f}", _hours(c.core_hours),
                mark,
            ]
            for r, c, _, mark in planned
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


def _summary(totals: dict[str, Any], calibration: Calibration, planned: list[_Planned]) -> str:
    trust = (
        f"calibrated by {number_of(calibration.runs, 'past run')} here"
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
    return text + (" ? from the names of POTCARs that are not here." if planned[0].cost.estimated_electrons else "")
